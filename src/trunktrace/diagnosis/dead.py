"""Directions in which nothing flows: what the one-way rules and the media rules both ask.

Nothing is asked of a call that was not answered, that is shorter than `shortest_call_s`, or while
it is on hold. A line that has paused and come back `pauses` times suppresses silence (RFC 3389):
there a pause is none, unless the bridge gave the line up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace.diagnosis.counting import (
    BRIDGES,
    FAR_LEGS,
    counted,
    is_lost_on_the_way,
    received,
    without_bystanders,
)
from trunktrace.diagnosis.course import Course, Interval, spoken_s
from trunktrace.diagnosis.flows import Flow
from trunktrace.diagnosis.series import by_teller
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import OneWay
from trunktrace.timeline import NEVER
from trunktrace.windows import Leg, MediaDirection, MediaWindow

_NOBODY: Final = "nobody ever subscribed to the agent's track"

_ALMOST_ALL: Final = 0.9
"""The agent got this share of what the bridge received: nothing was lost between them."""


@dataclass(frozen=True, slots=True)
class Dead:
    """A direction in which nothing flows, by which rules, since when, and whose fault it is."""

    leg: Leg
    direction: MediaDirection
    evidence: tuple[str, ...]
    start: float
    end: float | None
    detail: str
    fault: str | None = None


def is_judged(course: Course, limits: OneWay) -> bool:
    """Whether the call was answered and is long enough to ask about one-way audio."""
    if course.talk is None or not (course.answered or is_lost_on_the_way(course)):
        return False
    return course.unheld(course.talk) >= limits.shortest_call_s


def dead_in(story: Story, course: Course, limits: OneWay) -> Dead | None:
    """Nothing arrives from the caller; None where something does, or nobody counted."""
    course = without_bystanders(course)
    if course.talk is None or not is_judged(course, limits):
        return None
    trunk = received(course.windows_of("trunk", "in"))
    given_up = [
        mark.start
        for mark in story.marks
        if mark.kind == "media_timeout" and not course.is_held_at(mark.start)
    ]
    found = _silence(trunk, course, limits)
    beyond = _dead_beyond(course, limits, trunk, is_silent=found is not None)
    if beyond is not None:
        return beyond
    if found is not None:
        ignored = sum(window.ignored_count or 0 for window in trunk)
        return _on_trunk(found, ignored, gave_up=bool(given_up))
    if given_up:
        start = given_up[0] if _packets(trunk) else course.talk[0]
        what = "the bridge ended the call because no RTP came"
        return Dead("trunk", "in", ("OWA-7",), start, given_up[0], what, "network")
    return _by_agent(course, limits, trunk)


def _dead_beyond(
    course: Course, limits: OneWay, trunk: Sequence[MediaWindow], *, is_silent: bool
) -> Dead | None:
    """Nothing arrives at the PBX or carrier's edge already: that is where the silence began.

    What flows on the trunk all the same was made up by whoever sends it there (announcements,
    silence). Where the PBX sends nothing itself, the media go past it, and it hears nothing of them
    on either side.
    """
    far = counted(course.windows_of("pstn", "in"))
    found = _silence(far, course, limits)
    if found is None:
        return None
    relays = {window.source for window in far}
    made_up = any(w.packet_count and w.source in relays for w in course.windows_of("trunk", "in"))
    if trunk and not is_silent and not made_up:
        return None
    what = "no audio packet arrived from beyond the PBX or carrier's edge"
    return Dead("pstn", "in", ("OWA-1",), found[0], found[1], what, "carrier")


def _on_trunk(found: Interval, ignored: int, *, gave_up: bool) -> Dead:
    evidence = ("OWA-1", "OWA-5") if ignored else ("OWA-1",)
    detail = "no audio packet arrived on the trunk"
    if ignored:
        detail = f"{ignored} packets arrived on the trunk and were ignored; none held audio"
    if gave_up:
        evidence = (*evidence, "OWA-7")
    # Packets that came had a way: who sent them where, or as what, the bridge cannot say.
    fault = None if ignored else "network"
    return Dead("trunk", "in", evidence, found[0], found[1], detail, fault)


def _by_agent(course: Course, limits: OneWay, trunk: Sequence[MediaWindow]) -> Dead | None:
    """What the agent's own statistics say; of a stream that never came, who reads them says 0."""
    ours = counted(course.windows_of("agent", "in"))
    found = _silence(ours, course, limits)
    if found is None:
        return None
    received = _packets(trunk)
    if not trunk or received is None:
        what = "no packet reached the agent"
        return Dead("agent", "in", ("OWA-1",), found[0], found[1], what)
    if (_packets(ours) or 0) >= _ALMOST_ALL * received:
        what = "the trunk fell silent: all that the bridge received had reached the agent"
        return Dead("trunk", "in", ("OWA-1",), found[0], found[1], what, "network")
    what = "no packet reached the agent, though the bridge received audio"
    return Dead("agent", "in", ("OWA-1",), found[0], found[1], what, "platform")


def dead_out(story: Story, course: Course, limits: OneWay) -> Dead | None:
    """Nothing goes out to the caller; None where something does, or nobody counted."""
    course = without_bystanders(course)
    if course.talk is None or not is_judged(course, limits):
        return None
    unheard = _unheard_since(story)
    if unheard is not None:
        # Asked first: LiveKit's sessions wait with their first word until somebody listens.
        ended = None if story.now is not None and course.ended_at is None else course.talk[1]
        return Dead("agent", "out", ("OWA-3",), unheard, ended, _NOBODY, "platform")
    spoke = spoken_s(story, "agent_speaking", course.talk) >= limits.agent_spoke_s
    sent = [w for w in counted(course.windows_of("trunk", "out")) if w.source in BRIDGES]
    if spoke or any(window.packet_count for window in course.windows_of("trunk", "out")):
        for leg in FAR_LEGS:
            far = counted(course.windows_of(leg, "out"))
            found = _silence([w for w in far if w.source not in BRIDGES], course, limits)
            if found is not None:
                what = "the far end received none of the packets sent to it"
                fault = "network" if leg == "trunk" else "carrier"
                return Dead(leg, "out", ("OWA-4",), found[0], found[1], what, fault)
    if spoke:
        return _unsent(story, course, limits, sent)
    return _never_sent(story, course, limits)


def _never_sent(story: Story, course: Course, limits: OneWay) -> Dead | None:
    """A PBX got no packet of the bridge's side, and nobody of that side says what it sent."""
    assert course.talk is not None
    got = [w for w in counted(course.windows_of("trunk", "out")) if w.source not in BRIDGES]
    ours = (w for w in story.windows if w.direction == "out" and w.leg != "pstn")
    if story.now is not None or any(w.source not in {one.source for one in got} for w in ours):
        return None
    heard = any(window.packet_count for leg in FAR_LEGS for window in course.windows_of(leg, "in"))
    if not heard or not _is_empty(got, course, limits):
        return None
    what = "no packet came from the bridge's side, which was sent audio all the time"
    return Dead("trunk", "out", ("OWA-8",), course.talk[0], course.talk[1], what)


def _unsent(
    story: Story, course: Course, limits: OneWay, sent: Sequence[MediaWindow]
) -> Dead | None:
    """The agent spoke, and its audio got no further than the agent leg, or than the bridge."""
    assert course.talk is not None
    start, end = course.talk
    ended = None if story.now is not None and course.ended_at is None else end
    told = counted(course.windows_of("agent", "out"))
    if _is_empty([w for w in told if w.source not in BRIDGES], course, limits):
        what = "the agent spoke and its process sent no packet"
        return Dead("agent", "out", ("OWA-3",), start, ended, what, "agent")
    if _is_empty([w for w in told if w.source in BRIDGES], course, limits):
        what = "the agent spoke and none of it reached the bridge"
        return Dead("agent", "out", ("OWA-3",), start, ended, what, "platform")
    if _is_empty(sent, course, limits):
        what = "the agent spoke and the bridge sent no packet"
        return Dead("trunk", "out", ("OWA-3",), start, ended, what, "platform")
    return None


def goes_out(story: Story, course: Course) -> bool:
    """Whether anything is known to go towards the caller: packets, or the agent's speech."""
    legs: tuple[Leg, ...] = ("trunk", "agent", "pstn")
    sent = any(window.packet_count for leg in legs for window in course.windows_of(leg, "out"))
    return sent or any(mark.kind == "agent_speaking" for mark in story.marks)


def nothing_goes_out(course: Course, limits: OneWay) -> bool:
    """Whether no packet went towards the caller at all: by the bridge, else by who else counted."""
    trunk = counted(course.windows_of("trunk", "out"))
    bridge = [w for w in trunk if w.source in BRIDGES]
    ours = [w for w in counted(course.windows_of("agent", "out")) if w.source not in BRIDGES]
    return _is_empty(bridge or trunk or ours, course, limits)


def _unheard_since(story: Story) -> float | None:
    """Since when the agent's track has been there without a listener; None if there was one."""
    tracks = [mark for mark in story.marks if mark.kind == "agent_track"]
    if not tracks or any(mark.value != NEVER for mark in tracks):
        return None
    return min(mark.start for mark in tracks)


def _is_empty(windows: Sequence[MediaWindow], course: Course, limits: OneWay) -> bool:
    if not windows or any(window.packet_count for window in windows):
        return False
    past = [flow for window in windows if (flow := _past(window, course)) is not None]
    if any(flow.flowed_until is not None for flow in past):
        return False
    watched = course.unheld((windows[0].start, max(window.end for window in windows)))
    return watched >= limits.dead_at_start_s


def _packets(windows: Sequence[MediaWindow]) -> int | None:
    """Packets of the teller that tells of most; a total stands for the parts that it covers."""
    totals: list[int] = []
    for told in by_teller(windows).values():
        total, reached = 0, float("-inf")
        for window in sorted(told, key=lambda w: (w.start, -w.end)):
            if window.end > reached:
                total += window.packet_count or 0
                reached = window.end
        totals.append(total)
    return max(totals, default=None)


def _silence(windows: Sequence[MediaWindow], course: Course, limits: OneWay) -> Interval | None:
    """When packets were missing until the end; None as soon as one source saw some in the end."""
    found: Interval | None = None
    for told in by_teller(windows).values():
        silence = _trailing(told, course, limits)
        if silence is None:
            return None
        found = found or silence
    return found


def _trailing(windows: Sequence[MediaWindow], course: Course, limits: OneWay) -> Interval | None:
    assert course.talk is not None
    flowed = [at for at, window in enumerate(windows) if window.packet_count]
    past = _past(windows[0], course)
    before = None if past is None else past.flowed_until
    end = min(max(window.end for window in windows), course.talk[1])
    if not flowed and before is None:
        start = max(course.talk[0], windows[0].start if past is None else past.began)
        return (start, end) if course.unheld((start, end)) >= limits.dead_at_start_s else None
    until = flowed[-1] + 1 if flowed else 0
    rest = windows[until:]
    pauses = _pauses(windows[flowed[0] : until], limits) if flowed else 0
    if past is not None:
        pauses += sum(back - since >= limits.pause_s for since, back in past.stops)
    if not rest or pauses >= limits.pauses:
        return None
    start = rest[0].start if until or before is None else before
    return (start, end) if course.unheld((start, end)) >= limits.dead_mid_call_s else None


def _past(window: MediaWindow, course: Course) -> Flow | None:
    """What is known of the source of a window before the windows of the story."""
    return course.past.get((window.leg, window.direction, window.source))


def _pauses(windows: Sequence[MediaWindow], limits: OneWay) -> int:
    """How often packets were missing for a while and came back."""
    pauses, since = 0, None
    for window in windows:
        if not window.packet_count:
            since = window.start if since is None else since
        else:
            if since is not None and window.start - since >= limits.pause_s:
                pauses += 1
            since = None
    return pauses
