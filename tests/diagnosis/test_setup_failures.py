"""Call setup failures: which rule, whose fault, and what is no failure."""

from __future__ import annotations

import pytest

from trunktrace.diagnosis import setup
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds

from .stories import (
    T0,
    answered,
    attempt,
    clean_media,
    diagnosed,
    dialled,
    found,
    mark,
    path,
    rules,
)


@pytest.mark.parametrize(
    "code,outcome,fault",
    [
        (486, "busy", "callee"),
        (404, "invalid_number", None),
        (603, "rejected", None),
        (480, "no_answer", None),
        (401, "failed", "operator"),
        (403, "rejected", "operator"),
        (408, "timeout", None),
        (488, "failed", None),
        (500, "failed", "carrier"),
        (503, "congestion", "carrier"),
        (608, "blocked", "intermediary"),
    ],
)
def test_a_refused_invite_is_a_setup_failure(code, outcome, fault):
    """The one attempt's final code gives finding, outcome and fault."""
    told = diagnosed(path(("ST_a", code)))
    assert [(f.mode, f.evidence) for f in told.findings] == [("call_setup_failure", ("CSF-1",))]
    assert (told.outcome, told.fault) == (outcome, fault)


def test_a_refusal_has_the_time_of_its_attempt():
    """Start and end are the attempt's."""
    finding = diagnosed(path(("ST_a", 486))).findings[0]
    assert (finding.start, finding.end) == (T0, T0 + 1)
    assert (finding.leg, finding.direction) == (None, None)


def test_our_own_ringing_timeout_is_the_callee_who_did_not_answer():
    """No code; the outcome says no answer, the fault is the callee's."""
    told = diagnosed(dialled(attempt("ST_a", failure="timeout", progress=True)))
    assert told.findings[0].evidence == ("CSF-2",)
    assert (told.outcome, told.fault) == ("no_answer", "callee")


@pytest.mark.parametrize(
    "failure,rule,fault",
    [
        ("no_response", "CSF-3", "network"),
        ("transport", "CSF-3", "network"),
        ("dns", "CSF-3", None),
        ("sdp", "CSF-4", None),
        ("no_bridge", "CSF-5", "platform"),
        ("auth", "CSF-1", "operator"),
        ("other", "CSF-7", None),
    ],
)
def test_an_end_without_a_code_has_a_rule_of_its_own(failure, rule, fault):
    """What failed is told apart where no SIP code can tell it."""
    told = diagnosed(dialled(attempt("ST_a", failure=failure)))
    assert [f.evidence for f in told.findings] == [(rule,)]
    assert told.fault == fault


def test_an_invite_that_nobody_answered_at_all_is_the_networks():
    """A timeout without any 18x is not a phone that rang."""
    told = diagnosed(dialled(attempt("ST_a", failure="timeout", progress=False)))
    assert rules(dialled(attempt("ST_a", failure="timeout", progress=False))) == {"CSF-3"}
    assert (told.outcome, told.fault) == ("timeout", "network")


def test_our_own_limit_is_not_the_carriers_fault():
    """503 with the carrier's words for our limit."""
    told = diagnosed(dialled(attempt("ST_a", 503, reason="CPS limit exceeded")))
    assert (told.fault, told.outcome_detail) == ("operator", "our_limit")


def test_an_attempt_that_we_cancelled_is_no_failure():
    """We gave it up: outcome canceled, no finding, nobody's fault."""
    told = diagnosed(dialled(attempt("ST_a", failure="canceled")))
    assert told.findings == ()
    assert (told.outcome, told.fault) == ("canceled", "none")
    assert diagnosed(dialled(attempt("ST_a", 487))).findings == ()


def test_a_caller_who_hangs_up_before_the_answer_is_told():
    """Inbound: the caller gave up; it is the caller's."""
    story = Story(
        facts={"sip.call.direction": "inbound", "sip.call.outcome": "canceled"},
        marks=(mark("invite", -5), mark("ringing", -4), mark("hangup", 0)),
    )
    told = diagnosed(story)
    assert [f.evidence for f in told.findings] == [("CSF-6",)]
    assert told.outcome == "canceled"


def test_a_call_that_came_and_went_unanswered_is_told_without_a_cause():
    """The source saw INVITE and hang-up and no answer: a failure of nobody that is known."""
    story = Story(
        facts={"sip.call.direction": "inbound"}, marks=(mark("invite", -5), mark("hangup", 0))
    )
    told = diagnosed(story)
    assert [f.evidence for f in told.findings] == [("CSF-7",)]
    assert told.fault is None


def test_an_answered_call_is_no_setup_failure():
    """Nor is one that recovered on another trunk."""
    assert found(answered(windows=clean_media())) == []
    assert found(path(("ST_a", 503), ("ST_b", 200))) == []


@pytest.mark.parametrize("attempts", [(), (attempt("ST_a"),), (attempt("ST_a", progress=True),)])
def test_a_call_that_still_rings_is_no_failure(attempts):
    """Live: what is not over is not judged."""
    story = dialled(*attempts, live=True)
    assert diagnosed(story).findings == ()
    assert diagnosed(story).outcome is None
    assert diagnosed(story).fault is None


def test_nothing_known_is_nothing_found():
    """An empty story has no finding, no fault and no outcome."""
    told = diagnosed(Story())
    assert (told.findings, told.fault, told.outcome, told.media_state) == ((), None, None, None)


def test_the_rule_can_be_asked_alone():
    """`find` gives the findings of one mode."""
    asked = setup.find(path(("ST_a", 486)), Thresholds.default())
    assert [finding.mode for finding in asked] == ["call_setup_failure"]
