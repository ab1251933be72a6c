"""What the agent's code states about its call: what is refused, and what is never kept."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import trunktrace
from trunktrace.clock import clock
from trunktrace.guard import guard
from trunktrace.livecall import NO_CALL, LiveCall
from trunktrace.timeline import Attempt
from trunktrace.watch import Watch

NUMBER = "+14155550134"


def call() -> LiveCall:
    made = LiveCall(trace_id=1, root_span_id=1)
    made.become_phone_call()
    return made


def test_outside_of_a_call_nothing_is_kept():
    """There is one stand-in for all code without a call: it must not gather what that code says."""
    nobody = trunktrace.current_call()
    assert nobody is NO_CALL
    nobody.record(carrier="telnyx", caller_number=NUMBER)
    nobody.expect(caller=NUMBER, country="DE")
    nobody.note_policy(must_record=True, identity_differs=True)
    nobody.note_attempt(Attempt(start=1.0))
    nobody.record_task("completed")
    nobody.record_recording()
    assert not nobody.is_phone_call
    assert NUMBER not in "".join(nobody.secrets)
    story = nobody.story()
    assert (story.expected, story.attempts, story.marks) == (None, (), ())
    assert (story.must_record, story.identity_differs) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": 49},
        {"country": "Germany"},
        {"country": NUMBER},
        {"region": 1},
        {"region": NUMBER},
        {"caller": 4155550134},
        {"caller": "\x00"},
    ],
)
def test_an_expectation_that_cannot_be_is_left_out(wrong: dict[str, Any]):
    """It is counted, and the rules still work on the rest of the call."""
    dropped = guard.dropped_facts
    with_it = call()
    with_it.expect(**wrong)
    assert guard.dropped_facts == dropped + 1
    story = with_it.story()
    expected = story.expected
    assert expected is None or (expected.country, expected.region) == (None, None)
    Watch().look(with_it, final=True)
    assert with_it.diagnosis is not None


def test_an_expectation_is_stated_piece_by_piece():
    """A later statement adds to an earlier one, and replaces only what it says itself."""
    stated = call()
    stated.expect(country="de")
    stated.expect(region="eu1")
    expected = stated.story().expected
    assert expected is not None
    assert (expected.country, expected.region) == ("DE", "eu1")


def test_the_log_names_the_statement_that_was_wrong(caplog: pytest.LogCaptureFixture):
    """Not "a fact whose name it does not know"."""
    guard.reset()
    with caplog.at_level(logging.WARNING, "trunktrace"):
        stated = call()
        stated.record_task("perhaps")
        stated.record_recording(started="now")  # type: ignore[arg-type]
        stated.expect(region=NUMBER)
    said = caplog.text
    for name in ("record_task", "record_recording", "expect"):
        assert f"the fact {name}:" in said
    assert NUMBER not in said


@pytest.mark.parametrize("source", [NUMBER, None, 5, "", "\x00", "x" * 5000])
def test_a_source_that_is_no_name_is_refused(source: Any):
    """A window's source stands on the root in clear."""
    stated = call()
    now = clock.now_s()
    stated.record_media(
        leg="trunk", direction="in", start=now - 5, end=now, source=source, loss_ratio=0.1
    )
    assert stated.story().windows == ()
    assert not stated.attributes


def test_sources_without_end_are_bounded():
    """A name of its own for each window does not make a call grow without bound."""
    stated = call()
    now = clock.now_s()
    for at in range(300):
        stated.record_media(
            leg="trunk", direction="in", start=now + at, end=now + at + 1,
            source=f"probe-{at}", loss_ratio=0.1,
        )  # fmt: skip
    assert len(stated.story().sources) <= 64


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_the_customer_is_whoever_is_not_ours(direction: str):
    """On an outbound call the record's number is the one that was dialled."""
    ours = "+442079460018"
    numbers = (NUMBER, ours) if direction == "inbound" else (ours, NUMBER)
    stated = call()
    stated.record(direction=direction, caller_number=numbers[0], callee_number=numbers[1])
    stated.expect(caller=NUMBER)
    expected = stated.story().expected
    assert expected is not None
    assert expected.caller_matches is True
    stated.expect(caller="+14155550199")
    expected = stated.story().expected
    assert expected is not None
    assert expected.caller_matches is False
