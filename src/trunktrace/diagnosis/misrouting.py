"""Caller-ID and region misrouting: the call is not the one that it should be (`MIS-*`)."""

from __future__ import annotations

from typing import Final

from trunktrace import conventions as c
from trunktrace.diagnosis.course import Course, course_of
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.setup import ending_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds

MODE: Final = "misrouting"


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The finding of misrouting, if there is one."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The finding. Who changed a number or chose a region on the way, the agent cannot see."""
    del thresholds
    refused = _refused_for_caller_id(story, course)
    found = {
        "MIS-1": "From and asserted identity differ" if story.identity_differs else None,
        "MIS-2": _caller(story),
        "MIS-3": _country(story),
        "MIS-4": _region(story),
        "MIS-5": "refused for its caller ID" if refused else None,
    }
    evidence = {rule: what for rule, what in found.items() if what is not None}
    if not evidence:
        return ()
    start = course.answered_at
    if start is None:
        start = min((mark.start for mark in story.marks), default=None)
    finding = Finding(
        mode=MODE,
        evidence=tuple(sorted(evidence)),
        start=start,
        end=course.ended_at,
        detail=", ".join(evidence.values()),
    )
    return (Judged(finding, "operator" if refused else None),)


def _caller(story: Story) -> str | None:
    expected = story.expected
    if expected is None or expected.caller_matches is not False:
        return None
    return "the number is not the customer record's"


def _country(story: Story) -> str | None:
    expected = story.expected.country if story.expected else None
    outbound = story.facts.get(c.SIP_CALL_DIRECTION) == "outbound"
    found = story.facts.get(c.SIP_CALLEE_COUNTRY if outbound else c.SIP_CALLER_COUNTRY)
    if expected is None or found is None or str(found).upper() == expected.upper():
        return None
    return f"country {found}, expected {expected}"


def _region(story: Story) -> str | None:
    expected = story.expected.region if story.expected else None
    found = story.facts.get(c.TRUNK_REGION)
    if expected is None or found is None or str(found).lower() == expected.lower():
        return None
    return f"region {found}, expected {expected}"


def _refused_for_caller_id(story: Story, course: Course) -> bool:
    ending = ending_of(story, course)
    return ending is not None and ending.meaning.detail == "caller_id"
