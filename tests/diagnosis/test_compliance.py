"""Recording: late or missing, where it is asked for."""

from __future__ import annotations

import pytest

from .stories import answered, attempt, clean_media, diagnosed, dialled, mark, rules


def call(*marks, **more):
    return answered(windows=clean_media(), marks=marks, **more)


@pytest.mark.parametrize(
    "began,evidence",
    [(-3.0, set()), (0.0, set()), (2.0, set()), (2.1, {"REC-1"}), (30.0, {"REC-1"})],
)
def test_a_recording_that_begins_late_is_told(began, evidence):
    """More than 2 s after the answer is late; before it is not."""
    assert rules(call(mark("recording", began))) == evidence


def test_the_first_recording_counts():
    """A second one that begins later is none."""
    assert rules(call(mark("recording", 1.0, 20.0), mark("recording", 30.0))) == set()


def test_a_missing_recording_is_told_only_where_it_must_be():
    """Nobody said so: no finding; said so: REC-2; said not so: not even a late one."""
    assert rules(call()) == set()
    assert rules(call(must_record=True)) == {"REC-2"}
    assert rules(call(mark("recording", 30.0), must_record=False)) == set()


def test_live_a_recording_has_some_time_to_begin():
    """Not missing after 5 s, missing after 15 s."""
    assert rules(answered(5.0, must_record=True, live=True)) == set()
    assert rules(answered(15.0, must_record=True, live=True)) == {"REC-2"}


def test_a_call_that_was_not_answered_need_not_be_recorded():
    """There was nothing to record."""
    assert rules(dialled(attempt("A", 486), must_record=True)) == {"CSF-1"}


def test_a_missing_recording_is_not_the_trunks_fault():
    """The trunk was watched and good: the verdict stays none."""
    told = diagnosed(call(must_record=True))
    assert [f.mode for f in told.findings] == ["compliance"]
    assert told.fault == "none"
    assert told.media_state == "good"
