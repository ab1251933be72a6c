"""One-way audio: one direction is dead and the other is not (`OWA-*`)."""

from __future__ import annotations

from collections.abc import Sequence

from trunktrace.diagnosis.course import Course, course_of, intervals, overlap
from trunktrace.diagnosis.dead import Dead, dead_in, dead_out, goes_out, is_judged, nothing_goes_out
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import OneWay, Thresholds
from trunktrace.windows import Leg, MediaWindow

MODE = "one_way_audio"


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The findings of one-way audio; at most one a direction."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The findings, with whose fault each is."""
    limits = thresholds.one_way
    towards_agent = dead_in(story, course, limits)
    towards_caller = dead_out(story, course, limits)
    if towards_agent and (towards_caller or nothing_goes_out(course, limits)):
        return ()  # both directions are dead: a media failure (MED-7)
    if towards_agent:
        # Live, the other direction may only not have been told of yet.
        is_sure = story.now is None or "OWA-7" in towards_agent.evidence
        return (_judged(towards_agent),) if is_sure or goes_out(story, course) else ()
    if towards_caller:
        asked = _asked(story, course, limits)
        return (_judged(towards_caller, ("OWA-6",) if asked else ()),)
    return _silent(story, course, limits)


def _judged(dead: Dead, more: tuple[str, ...] = ()) -> Judged:
    finding = Finding(
        mode=MODE,
        evidence=tuple(sorted({*dead.evidence, *more})),
        leg=dead.leg,
        direction=dead.direction,
        start=dead.start,
        end=dead.end,
        detail=dead.detail,
    )
    return Judged(finding, dead.fault, "one_way")


def _asked(story: Story, course: Course, limits: OneWay) -> bool:
    assert course.talk is not None
    asks = [m for m in story.marks if m.kind == "asks_if_heard" and m.start >= course.talk[0]]
    return len(asks) >= limits.asks


def _silent(story: Story, course: Course, limits: OneWay) -> tuple[Judged, ...]:
    """Packets arrive and hold no sound (OWA-2)."""
    if course.talk is None or not is_judged(course, limits):
        return ()
    legs: tuple[Leg, ...] = ("trunk", "agent")
    for leg in legs:
        heard = [w for w in course.windows_of(leg, "in") if _tells_of_sound(w)]
        start = _silent_since(heard, limits)
        if start is None:
            continue
        end = heard[-1].end
        if course.unheld((start, end)) < limits.silent_s or not _agent_alone(
            story, (start, end), limits
        ):
            continue
        finding = Finding(
            mode=MODE,
            evidence=("OWA-2",),
            leg=leg,
            direction="in",
            start=start,
            end=None if story.now is not None and course.ended_at is None else end,
            detail="packets arrived and held no sound",
        )
        # Muted, or lost before it was a packet: who fell silent cannot be seen from here.
        return (Judged(finding, None, "one_way"),)
    return ()


def _tells_of_sound(window: MediaWindow) -> bool:
    return window.silence_ratio is not None or window.level_dbfs is not None


def _silent_since(windows: Sequence[MediaWindow], limits: OneWay) -> float | None:
    """Since when there was no sound until the end; None if there is some."""
    since: float | None = None
    for window in windows:
        if not _is_silent(window, limits):
            since = None
        elif since is None:
            since = window.start
    return since


def _is_silent(window: MediaWindow, limits: OneWay) -> bool:
    if window.packet_count == 0:
        return False
    if window.silence_ratio is not None:
        return window.silence_ratio >= limits.silent_ratio
    return window.level_dbfs is not None and window.level_dbfs < limits.silent_dbfs


def _agent_alone(story: Story, times: tuple[float, float], limits: OneWay) -> bool:
    """Whether the agent spoke its turns in these times and its VAD heard nobody."""
    spoke = intervals(story, "agent_speaking", open_until=times[1])
    turns = sum(1 for start, end in spoke if start < times[1] and end > times[0])
    heard = overlap(times, intervals(story, "user_speaking", open_until=times[1]))
    return turns >= limits.agent_turns and heard == 0.0
