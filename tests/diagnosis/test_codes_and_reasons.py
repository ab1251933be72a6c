"""What decides beside a final code: the reason phrase, a Q.850 cause, a 18x before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import conventions as c
from trunktrace.sip import q850
from trunktrace.sip.codes import CODES, TEXT_RULES, UNANSWERED, meaning_of


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
        (603, "Decline", None, "rejected"),
        (603, "Call declined", "callee", "rejected"),
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
