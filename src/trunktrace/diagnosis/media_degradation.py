"""Media degradation: loss, jitter, delay, concealment and clipping, each leg by itself (`MED-*`).

Windows of one source make samples of `length_s`; `enter` bad ones of the last `of` begin an
episode. A longer window speaks for itself. Counted loss stands before derived loss, and that before
estimated loss: where somebody knows better, neither is a finding. Loss that was in the stream
before it came to a leg is not told of that leg (`passed_on`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace.diagnosis.course import Course, course_of, overlap
from trunktrace.diagnosis.dead import dead_in, dead_out, nothing_goes_out
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.passed_on import is_passed_on, may_blame_beyond
from trunktrace.diagnosis.series import (
    Episode,
    Sample,
    Teller,
    by_teller,
    combined,
    episodes,
    may_reach,
    samples_of,
)
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Limits, Thresholds, Windowing
from trunktrace.diagnosis.whole_way import is_of_whole_way
from trunktrace.windows import LOSS_METHODS, Leg, LossMethod, MediaDirection, MediaWindow

MODE: Final = "media_degradation"
PLACES: Final[tuple[tuple[Leg, MediaDirection], ...]] = (
    ("trunk", "in"), ("trunk", "out"), ("agent", "in"), ("agent", "out"),
    ("pstn", "in"), ("pstn", "out"),
)  # fmt: skip

FULL_RATE: Final = 45.0
"""Packets a second of 20 ms, less a tenth. Below it audio was missing before the agent leg: its
jitter and concealment are then the trunk's doing."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An episode under one rule, and whether it was bad or only degraded."""

    rule: str
    episode: Episode
    bad: bool
    what: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is judged in windows: where it stands and which limits are its own."""

    rule: str
    field: str
    degraded: str
    bad: str
    what: str


_MEASURES: Final = (
    Measure("MED-4", "jitter_ms", "jitter_degraded_ms", "jitter_bad_ms", "jitter"),
    Measure("MED-5", "rtt_ms", "rtt_degraded_ms", "rtt_bad_ms", "round-trip time"),
    Measure("MED-6", "concealment_ratio", "concealment_degraded", "concealment_bad", "concealment"),
    Measure("MED-8", "clipping_ratio", "clipping_degraded", "clipping_bad", "clipping"),
)
_LOSS: Final = frozenset({"MED-1", "MED-2"})
_NEEDS_ALL_PACKETS: Final = frozenset({"MED-4", "MED-6"})


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The findings of media degradation; at most one for each leg and direction."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The findings, with whose fault each is and how bad."""
    towards_agent = dead_in(story, course, thresholds.one_way)
    towards_caller = dead_out(story, course, thresholds.one_way)
    silent_out = towards_caller or nothing_goes_out(course, thresholds.one_way)
    if towards_agent and silent_out:
        finding = Finding(
            mode=MODE,
            evidence=("MED-7",),
            start=towards_agent.start,
            end=towards_agent.end,
            detail="no media in either direction",
        )
        return (Judged(finding, None, "bad"),)
    dead = {(one.leg, one.direction) for one in (towards_agent, towards_caller) if one}
    found: list[Judged] = []
    for leg, direction in PLACES:
        if (leg, direction) in dead:
            continue  # not degraded
        troubles = list(_troubles(story, course, leg, direction, thresholds))
        if troubles:
            found.append(_judged(leg, direction, troubles, story, course))
    return tuple(_blamed(found))


def _in_words(troubles: Sequence[Trouble]) -> str:
    """What each rule saw in its longest episode: the parts of a call say no more than the whole."""

    def length_s(trouble: Trouble) -> float:
        end = trouble.episode.end
        return math.inf if end is None else end - trouble.episode.start

    seen: dict[str, str] = {}
    for trouble in sorted(troubles, key=length_s, reverse=True):
        seen.setdefault(trouble.rule, trouble.what)
    return ", ".join(dict.fromkeys(seen.values()))


def _judged(
    leg: Leg, direction: MediaDirection, troubles: Sequence[Trouble], story: Story, course: Course
) -> Judged:
    ends = [trouble.episode.end for trouble in troubles]
    goes_on = story.now is not None and course.ended_at is None
    last = max((w.end for w in course.windows_of(leg, direction)), default=None)
    known = [end for end in ends if end is not None]
    over = max(known, default=None) if None not in ends else (None if goes_on else last)
    finding = Finding(
        mode=MODE,
        evidence=tuple(sorted({trouble.rule for trouble in troubles})),
        leg=leg,
        direction=direction,
        start=min(trouble.episode.start for trouble in troubles),
        end=over,
        detail=_in_words(troubles),
    )
    state = "bad" if any(trouble.bad for trouble in troubles) else "degraded"
    return Judged(finding, _fault(finding, course), state)


def _fault(finding: Finding, course: Course) -> str | None:
    """Whose fault: what a leg's transport did to packets; clipping came from who made the audio."""
    if finding.evidence == ("MED-8",):
        return "agent" if finding.direction == "out" else None
    if finding.leg == "pstn" and not may_blame_beyond(course, finding.direction):
        return None
    told = course.windows_of(finding.leg, finding.direction or "in") if finding.leg else ()
    if _LOSS.issuperset(finding.evidence) and is_of_whole_way(told):
        return None
    return {"trunk": "network", "agent": "platform", "pstn": "carrier"}.get(finding.leg or "")


def _blamed(found: Iterable[Judged]) -> Iterator[Judged]:
    """What was bad beyond the carrier's edge already is not the path's to the bridge."""
    judged = list(found)
    beyond = {j.finding.direction for j in judged if j.finding.leg == "pstn"}
    for one in judged:
        if one.finding.leg == "trunk" and one.finding.direction in beyond and one.fault:
            yield Judged(one.finding, "carrier", one.state)
        else:
            yield one


def _troubles(
    story: Story,
    course: Course,
    leg: Leg,
    direction: MediaDirection,
    thresholds: Thresholds,
) -> Iterator[Trouble]:
    limits = thresholds.recognition if direction == "in" else thresholds.ears
    over = story.now is None or course.ended_at is not None
    told = by_teller(course.windows_of(leg, direction))
    was_there = is_passed_on(course, leg, direction)
    for (_, method), windows in told.items():
        known = _with("loss_ratio", windows)
        better = LOSS_METHODS[: LOSS_METHODS.index(method)]
        if known and not was_there and not _is_known_better(known, told, better):
            if method == "estimated":
                yield from _estimated(known, limits, thresholds)
            elif may_reach(known, "loss_ratio", limits.loss_degraded):
                yield from _counted_loss(known, limits, thresholds, over=over)
        if method == "estimated":
            continue
        for measure in _MEASURES:
            known = _with(measure.field, windows)
            if may_reach(known, measure.field, getattr(limits, measure.degraded)):
                samples = samples_of(known, thresholds.windows, measure.field)
                yield from _measured(samples, measure, limits, thresholds, leg=leg)


def _with(field: str, windows: Iterable[MediaWindow]) -> list[MediaWindow]:
    """The windows that know a measure: one source may tell each in windows of its own."""
    return [window for window in windows if getattr(window, field) is not None]


def _is_known_better(
    windows: Sequence[MediaWindow],
    told: Mapping[Teller, Sequence[MediaWindow]],
    better: Sequence[LossMethod],
) -> bool:
    """Whether somebody knows the loss of most of the time of these windows by a better method."""
    span = (windows[0].start, windows[-1].end)
    known = [
        (w.start, w.end)
        for (_, how), ws in told.items()
        if how in better
        for w in ws
        if w.loss_ratio is not None
    ]
    return bool(known) and overlap(span, known) >= 0.5 * (span[1] - span[0])


def _counted_loss(
    windows: Sequence[MediaWindow], limits: Limits, thresholds: Thresholds, *, over: bool
) -> Iterator[Trouble]:
    rules = thresholds.windows
    samples = samples_of(windows, rules, "loss_ratio")
    short = [sample for sample in samples if not sample.is_long]
    long = [sample for sample in samples if sample.is_long]

    def at_least(limit: float) -> Callable[[Sample], bool | None]:
        def judge_one(sample: Sample) -> bool | None:
            if sample.loss_ratio is None or _too_few(sample, rules.least_packets):
                return None
            return sample.loss_ratio >= limit

        return judge_one

    yield from _graded(
        "MED-1", "loss", short, at_least(limits.loss_degraded), at_least(limits.loss_bad), rules
    )
    if over and len(short) < rules.enter:
        brief = [w for w in windows if w.duration_s <= 1.5 * rules.length_s]
        long = [*long, combined(brief, "loss_ratio")] if brief else long
    for sample in long:
        worst = at_least(limits.loss_degraded)(sample)
        if worst and (sample.lost_count is None or sample.lost_count >= rules.least_lost):
            assert sample.loss_ratio is not None
            bad = sample.loss_ratio >= limits.loss_bad
            episode = Episode(sample.start, sample.end)
            yield Trouble("MED-2", episode, bad, f"{sample.loss_ratio:.1%} loss")


def _too_few(sample: Sample, least: int) -> bool:
    return (
        sample.packet_count is not None and sample.packet_count + (sample.lost_count or 0) < least
    )


def _estimated(
    windows: Sequence[MediaWindow], limits: Limits, thresholds: Thresholds
) -> Iterator[Trouble]:
    margins, rules = thresholds.estimate, thresholds.windows
    samples = samples_of(windows, rules, "loss_ratio")

    def at_least(limit: float) -> Callable[[Sample], bool | None]:
        return lambda s: None if s.loss_ratio is None else s.loss_ratio >= limit

    found = list(
        _graded(
            "MED-3",
            "estimated loss",
            samples,
            at_least(limits.loss_degraded + margins.window_margin),
            at_least(limits.loss_bad + margins.window_margin),
            rules,
        )
    )
    yield from found
    whole = combined(windows, "loss_ratio")
    long_enough = sum(window.duration_s for window in windows) >= margins.least_s
    if found or whole.loss_ratio is None or not long_enough:
        return
    if whole.loss_ratio >= limits.loss_degraded + margins.call_margin:
        bad = whole.loss_ratio >= limits.loss_bad + margins.call_margin
        what = f"{whole.loss_ratio:.1%} estimated loss"
        yield Trouble("MED-3", Episode(whole.start, None), bad, what)


def _measured(
    samples: Sequence[Sample], measure: Measure, limits: Limits, thresholds: Thresholds, *, leg: Leg
) -> Iterator[Trouble]:
    def at_least(limit: float) -> Callable[[Sample], bool | None]:
        def judge_one(sample: Sample) -> bool | None:
            value: float | None = getattr(sample, measure.field)
            if value is None or (leg == "agent" and _is_of_the_trunk(sample, measure)):
                return None
            return value >= limit

        return judge_one

    short = [sample for sample in samples if not sample.is_long]
    degraded, bad = getattr(limits, measure.degraded), getattr(limits, measure.bad)
    yield from _graded(
        measure.rule, measure.what, short, at_least(degraded), at_least(bad), thresholds.windows
    )
    for sample in samples:
        if sample.is_long and at_least(degraded)(sample):
            is_bad = bool(at_least(bad)(sample))
            yield Trouble(measure.rule, Episode(sample.start, sample.end), is_bad, measure.what)


def _is_of_the_trunk(sample: Sample, measure: Measure) -> bool:
    """Whether what the agent's jitter buffer shows may come from packets missing before it."""
    if measure.rule not in _NEEDS_ALL_PACKETS:
        return False
    return sample.packets_per_s is None or sample.packets_per_s < FULL_RATE


def _graded(
    rule: str,
    what: str,
    samples: Sequence[Sample],
    is_degraded: Callable[[Sample], bool | None],
    is_bad: Callable[[Sample], bool | None],
    windowing: Windowing,
) -> Iterator[Trouble]:
    """The episodes of one rule; bad where the bad limit alone would have made one."""
    found = episodes(samples, is_degraded, windowing)
    if not found:
        return
    bad = bool(episodes(samples, is_bad, windowing))
    for episode in found:
        yield Trouble(rule, episode, bad, what)
