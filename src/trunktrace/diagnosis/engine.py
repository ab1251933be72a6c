"""`diagnose`: every rule is asked about one story, and one verdict is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trunktrace.diagnosis import (
    compliance,
    failover_loop,
    media_degradation,
    misrouting,
    one_way,
    setup,
)
from trunktrace.diagnosis.course import Course, course_of
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.diagnosis.judged import Judged
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.diagnosis.verdict import verdict

Judge = Callable[[Story, Course, Thresholds], tuple[Judged, ...]]

_JUDGES: Final[tuple[Judge, ...]] = (
    setup.judge,
    one_way.judge,
    failover_loop.judge,
    media_degradation.judge,
    misrouting.judge,
    compliance.judge,
)


def diagnose(story: Story, thresholds: Thresholds | None = None) -> Diagnosis:
    """All that is wrong with a call, the worst first, and whose fault it was.

    A pure function of the story: the same live, where `story.now` is the time up to which it is
    known, and at the end. While a call goes on nothing is judged that is not over yet. `thresholds`
    are those of this process by default (`Thresholds.find`).

    Raises ConfigurationError if `thresholds` is None and TRUNKTRACE_THRESHOLDS names a wrong file.
    """
    limits = thresholds if thresholds is not None else Thresholds.find()
    course = course_of(story)
    judged = [one for judge in _JUDGES for one in judge(story, course, limits)]
    found = verdict(story, course, judged)
    if not story.is_untimed:
        return found
    untimed = (replace(one, start=None, end=None) for one in found.findings)
    return replace(found, findings=tuple(untimed))
