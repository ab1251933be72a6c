"""Caller-ID and region misrouting: only where two things differ that are both known."""

from __future__ import annotations

import pytest

from trunktrace.diagnosis.story import Expectation

from .stories import answered, attempt, clean_media, diagnosed, dialled, found, rules

IN = {"sip.response.status_code": 200, "sip.call.direction": "inbound"}


def call(facts=None, **more):
    return answered(windows=clean_media(), facts={**IN, **(facts or {})}, **more)


def test_two_different_identities_are_misrouting():
    """From and P-Asserted-Identity are two numbers; who changed one is not known."""
    told = diagnosed(call(identity_differs=True))
    assert [(f.mode, f.evidence) for f in told.findings] == [("misrouting", ("MIS-1",))]
    assert told.fault is None


@pytest.mark.parametrize("differs", [None, False])
def test_one_identity_or_a_withheld_one_is_none(differs):
    """An anonymous caller with an asserted number is a normal call."""
    assert found(call(identity_differs=differs)) == []


@pytest.mark.parametrize(
    "expected,facts,evidence",
    [
        (Expectation(caller_matches=False), {}, {"MIS-2"}),
        (Expectation(caller_matches=True), {}, set()),
        (Expectation(caller_matches=None), {}, set()),
        (Expectation(country="DE"), {"sip.caller.country": "US"}, {"MIS-3"}),
        (Expectation(country="us"), {"sip.caller.country": "US"}, set()),
        (Expectation(country="DE"), {}, set()),
        (Expectation(country="DE"), {"sip.callee.country": "US"}, set()),
        (Expectation(region="eu"), {"trunk.region": "us-east"}, {"MIS-4"}),
        (Expectation(region="EU"), {"trunk.region": "eu"}, set()),
        (Expectation(region="eu"), {}, set()),
    ],
)
def test_what_was_expected_is_compared_where_both_are_known(expected, facts, evidence):
    """Unknown differs from nothing."""
    assert rules(call(facts, expected=expected)) == evidence


def test_outbound_the_customer_is_the_callee():
    """The record's country is compared with the number that was called."""
    facts = {"sip.call.direction": "outbound", "sip.callee.country": "FR"}
    assert rules(call(facts, expected=Expectation(country="DE"))) == {"MIS-3"}
    assert rules(call(facts, expected=Expectation(country="FR"))) == set()


def test_a_call_refused_for_its_caller_id_is_misrouting_as_well():
    """The carrier's code D35 or D36 names our caller ID: the operator's."""
    told = diagnosed(dialled(attempt("A", 403, reason="Invalid caller ID D35")))
    assert {f.mode for f in told.findings} == {"call_setup_failure", "misrouting"}
    assert told.fault == "operator"


def test_misrouting_never_shows_a_number():
    """The detail speaks of countries and regions, not of digits."""
    told = diagnosed(call(identity_differs=True, expected=Expectation(caller_matches=False)))
    assert not any(letter.isdigit() for letter in told.findings[0].detail)
