"""Compliance: whether the call was recorded from its answer on (`REC-*`).

Asked only where somebody says that the call is recorded, or it was.
"""

from __future__ import annotations

from typing import Final

from trunktrace.diagnosis.course import Course, course_of
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.timeline import recording_delay_ms

MODE: Final = "compliance"


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The finding of a recording that was late or missing, if there is one."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The finding; it says nothing about the trunk."""
    if course.talk is None or story.must_record is False:
        return ()
    limits = thresholds.recording
    answered, until = course.talk
    delay_ms = recording_delay_ms(story.marks, answered)
    if delay_ms is None:
        over = story.now is None or course.ended_at is not None
        if story.must_record and (over or until - answered >= limits.missing_after_s):
            return (_late("REC-2", answered, until if over else None, "not recorded"),)
        return ()
    delay = delay_ms / 1000.0
    if delay <= limits.latest_start_s:
        return ()
    return (_late("REC-1", answered, answered + delay, f"recorded {delay:.1f} s after the answer"),)


def _late(rule: str, start: float, end: float | None, detail: str) -> Judged:
    return Judged(Finding(mode=MODE, evidence=(rule,), start=start, end=end, detail=detail))
