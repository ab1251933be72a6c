"""The one table of final codes: outcome, fault, whether another trunk may be tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import conventions as c
from trunktrace.sip import q850
from trunktrace.sip.codes import CODES, TEXT_RULES, UNANSWERED, meaning_of, unanswered

PLATFORM = {400, 405, 406, 413, 414, 416, 420, 421, 422, 423, 481, 491, 493, 494}
"""`us` in the reference, and our bridge's doing rather than our account's (issue 6)."""

OPERATOR = {401, 402, 403, 407}
CALLEE = {410, 486, 600, 604, 607}
CALLER = {433, 484, 485, 487}
CARRIER = {300, 301, 302, 305, 380, 500, 501, 502, 503, 504}
INTERMEDIARY = {608}
TWO_SIDES = {404, 408, 415, 428, 436, 437, 438, 480, 482, 483, 488, 505, 513, 580, 603, 606}
NONE = {200, 202}

FAULTS = {
    **dict.fromkeys(PLATFORM, "platform"),
    **dict.fromkeys(OPERATOR, "operator"),
    **dict.fromkeys(CALLEE, "callee"),
    **dict.fromkeys(CALLER, "caller"),
    **dict.fromkeys(CARRIER, "carrier"),
    **dict.fromkeys(INTERMEDIARY, "intermediary"),
    **dict.fromkeys(TWO_SIDES, None),
    **dict.fromkeys(NONE, "none"),
}

OUTCOMES = {
    "answered": {200, 202},
    "redirected": {300, 301, 302, 305, 380},
    "failed": (PLATFORM - {491}) | {401, 402, 407, 415, 488, 606, 500, 501, 502, 505, 513, 580},
    "rejected": {403, 433, 603},
    "invalid_number": {404, 410, 484, 485, 604},
    "timeout": {408, 504},
    "blocked": {428, 436, 437, 438, 607, 608},
    "no_answer": {480},
    "loop": {482, 483},
    "busy": {486, 600},
    "canceled": {487},
    "congestion": {503},
    None: {491},
}


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_code_has_the_fault_of_its_side(code):
    """The side of the reference becomes the fault by the rule of issue 6."""
    assert meaning_of(code).fault == FAULTS[code]


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_code_has_its_outcome(code):
    """The outcome is the reference's, and a value of the vocabulary."""
    outcome = meaning_of(code).outcome
    assert code in OUTCOMES[outcome]
    assert outcome is None or outcome in c.OUTCOMES


def test_the_table_holds_every_code_of_the_reference():
    """No code of the table is without an expected fault, and none is missing."""
    assert set(CODES) == set(FAULTS)
    assert set(CODES) == set().union(*OUTCOMES.values())


@pytest.mark.parametrize("code", sorted(CODES))
def test_another_trunk_is_tried_only_after_the_codes_that_allow_it(code):
    """408, 480, 500 to 504 and 580; nothing else (issue 6)."""
    assert meaning_of(code).goes_on == (code in {408, 480, 500, 501, 502, 503, 504, 580})


@pytest.mark.parametrize(
    "code,detail",
    [
        (401, "auth"),
        (407, "auth"),
        (402, "billing"),
        (415, "media"),
        (488, "media"),
        (606, "media"),
        (428, "identity"),
        (438, "identity"),
        (607, "unwanted"),
        (608, "analytics"),
        (486, None),
    ],
)
def test_some_codes_say_more_than_their_outcome(code, detail):
    """The detail stands beside the outcome where the code decides it."""
    assert meaning_of(code).detail == detail


@pytest.mark.parametrize(
    "code,reason,fault,outcome",
    [
        (503, "CPS limit exceeded", "operator", "congestion"),
        (503, "Concurrent call limit exceeded", "operator", "congestion"),
        (503, "Service Unavailable", "carrier", "congestion"),
        (403, "User channel limit exceeded D1", "operator", "congestion"),
        (403, "Forbidden", "operator", "rejected"),
        (403, "Caller Origination Number is Invalid D35", "operator", "rejected"),
        (404, "No route D40", "carrier", "invalid_number"),
        (404, "Unallocated number", "callee", "invalid_number"),
        (404, "Not Found", None, "invalid_number"),
        (603, "Network Blocked", "intermediary", "blocked"),
        (603, "Decline", "callee", "rejected"),
        (603, "Something", None, "rejected"),
        (603, "32203 carrier blocked", "intermediary", "blocked"),
        (480, "Congestion in the network", "carrier", "congestion"),
        (480, "Temporarily Unavailable", None, "no_answer"),
        (480, "User not registered", "callee", "no_answer"),
    ],
)
def test_the_reason_phrase_decides_between_two_sides(code, reason, fault, outcome):
    """Our own limits are ours, an analytics block is the intermediary's; a plain phrase is not."""
    found = meaning_of(code, reason=reason)
    assert (found.fault, found.outcome) == (fault, outcome)


def test_a_480_after_ringing_is_the_callees():
    """The phone rang and nobody took it; without a 18x the carrier may have said it."""
    assert meaning_of(480, progress=True).fault == "callee"
    assert meaning_of(480, progress=False).fault is None


def test_the_q850_cause_decides_where_the_code_does_not():
    """404 with cause 1 is the number's, with cause 3 the carrier's; 486 stays the callee's."""
    assert meaning_of(404, q850_cause=1).fault == "callee"
    assert meaning_of(404, q850_cause=3).fault == "carrier"
    assert meaning_of(486, q850_cause=34).fault == "callee"


@pytest.mark.parametrize(
    "failure,outcome,fault",
    [
        ("timeout", "no_answer", "callee"),
        ("no_response", "timeout", "network"),
        ("transport", "failed", "network"),
        ("dns", "failed", None),
        ("sdp", "failed", None),
        ("auth", "failed", "operator"),
        ("no_bridge", "failed", "platform"),
        ("canceled", "canceled", None),
        ("other", "failed", None),
    ],
)
def test_an_end_without_a_code_means_something_too(failure, outcome, fault):
    """Our ringing timeout is the callee's; no bridge is the platform's, never a SIP 503."""
    found = unanswered(failure)
    assert (found.outcome, found.fault) == (outcome, fault)


def test_a_timeout_without_any_ringing_is_the_networks():
    """No answer at all to an INVITE: nothing rang, as far as anybody heard."""
    assert unanswered("timeout", progress=False).fault == "network"
    assert unanswered("timeout", progress=True).fault == "callee"


def test_every_word_of_the_tables_is_of_the_vocabulary():
    """Faults and outcomes of every row, rule and cause are values of the conventions."""
    rows = [*CODES.values(), *UNANSWERED.values()]
    assert {row.fault for row in rows} <= {*c.FAULTS, None}
    assert {row.outcome for row in rows} <= {*c.OUTCOMES, None}
    assert {rule.fault for rule in TEXT_RULES} <= {*c.FAULTS, None}
    assert {rule.outcome for rule in TEXT_RULES} <= {*c.OUTCOMES, None}
    assert set(q850.FAULTS.values()) <= set(c.FAULTS)


@given(st.integers(200, 699), st.text(max_size=300), st.integers(0, 127))
def test_any_code_and_any_phrase_mean_something(code, reason, cause):
    """A code without a row is of its class, and nobody is blamed for a code nobody knows."""
    found = meaning_of(code, reason=reason, q850_cause=cause, progress=None)
    assert found.code == code
    assert found.fault in (*c.FAULTS, None)
    assert code in CODES or meaning_of(code).fault is None


@pytest.mark.parametrize("cause,code", [(1, 404), (17, 486), (34, 503), (16, None), (126, None)])
def test_a_q850_cause_stands_for_a_sip_code(cause, code):
    """As in RFC 3398; normal clearing and an unknown cause stand for none."""
    assert q850.sip_code(cause) == code


def test_a_q850_cause_has_a_name():
    """In words, for people; None where it is not known."""
    assert q850.text(17) == "user busy"
    assert q850.text(126) is None
