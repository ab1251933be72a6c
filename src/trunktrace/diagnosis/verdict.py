"""The verdict: what became of the call, how its media were, and whose fault a failure is.

The burden of proof. From the bridge alone, loss is the `network`'s: the path between carrier and
bridge, not attributable further. `carrier` needs an observation from the carrier's or SBC's side,
or a code that the carrier made. Trouble of the agent leg is the `platform`'s (LiveKit and the
network it runs on), never the trunk's. `none` is said of an answered call whose trunk was watched
and clean, whatever the agent's models did meanwhile. Where the evidence does not reach, no fault is
named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.diagnosis.course import Course
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.setup import Ending, ending_of
from trunktrace.diagnosis.story import Story

_SEVERITY: Final = {mode: at for at, mode in enumerate(c.FAILURE_MODES)}
_WORSE: Final = {state: at for at, state in enumerate(c.MEDIA_STATES)}
_NOT_THE_TRUNKS: Final = frozenset({"compliance"})
_OF_A_LEG: Final = frozenset({"media_degradation", "one_way_audio"})
"""What is the carrier's or the path's by its leg: which leg it is must be known, not assumed."""


def verdict(story: Story, course: Course, judged: Sequence[Judged]) -> Diagnosis:
    """Everything that is found, the worst first, with the fault of the worst."""
    ordered = tuple(sorted((_in_order(one) for one in judged), key=_order))
    ending = ending_of(story, course)
    return Diagnosis(
        findings=findings_of(ordered),
        fault=_fault(story, course, ordered, ending),
        outcome="answered" if course.answered else (ending.meaning.outcome if ending else None),
        outcome_detail=ending.meaning.detail if ending else None,
        media_state=_state(course, ordered),
    )


def _in_order(judged: Judged) -> Judged:
    """A finding that ends no earlier than it begins: two sources' clocks may say otherwise."""
    finding = judged.finding
    if finding.start is None or finding.end is None or finding.end >= finding.start:
        return judged
    return replace(judged, finding=replace(finding, end=finding.start))


def _order(judged: Judged) -> tuple[int, int, float]:
    finding = judged.finding
    return (
        _SEVERITY[finding.mode],
        -_WORSE.get(judged.state or "", 0),
        finding.start if finding.start is not None else float("inf"),
    )


def _fault(
    story: Story, course: Course, judged: Sequence[Judged], ending: Ending | None
) -> str | None:
    for one in judged:
        if one.finding.mode not in _NOT_THE_TRUNKS:
            is_media = one.finding.mode in _OF_A_LEG and one.fault in ("carrier", "network")
            return None if is_media and story.ends_assumed else one.fault
    if ending is not None:
        # We gave the call up ourselves: nothing failed.
        return "none" if ending.rule is None else ending.meaning.fault
    is_over = story.now is None or course.ended_at is not None
    return "none" if course.answered and is_over and _trunk_watched(course) else None


def _state(course: Course, judged: Sequence[Judged]) -> str | None:
    states = [one.state for one in judged if one.state is not None]
    if states:
        return max(states, key=_WORSE.__getitem__)
    watched = _trunk_watched(course) or _agent_leg_watched(course)
    return "good" if watched else None


def _trunk_watched(course: Course) -> bool:
    """Whether packets of the caller were seen on the trunk leg, by a count or an estimate."""
    return any(
        window.packet_count or window.loss_ratio is not None
        for window in course.windows_of("trunk", "in")
    )


def _agent_leg_watched(course: Course) -> bool:
    return any(window.packet_count for window in course.windows_of("agent", "in"))
