"""Failover loops and advances that are not legitimate; what recovers is neither."""

from __future__ import annotations

import pytest

from trunktrace.diagnosis import failover_loop
from trunktrace.diagnosis.thresholds import Thresholds

from .stories import attempt, diagnosed, dialled, path


def loops(story):
    found = failover_loop.find(story, Thresholds.default())
    return set(found[0].evidence) if found else set()


@pytest.mark.parametrize(
    "tried,expected",
    [
        ([("A", 503), ("B", 200)], set()),
        ([("A", 503), ("B", 503)], set()),
        ([("A", 503), ("B", 503), ("C", 200)], set()),
        ([("A", 503), ("B", 503), ("A", 503)], {"FOL-1"}),
        ([("A", 503), ("B", 503), ("A", 200)], {"FOL-1"}),
        ([("A", 503), ("A", 200)], set()),
        ([("A", 503), ("A", 503)], {"FOL-5"}),
        ([("A", 486), ("B", 200)], {"FOL-4"}),
        ([("A", 603), ("B", 486)], {"FOL-4"}),
        ([("A", 404), ("B", 404)], {"FOL-4"}),
        ([("A", 487), ("B", 200)], {"FOL-4"}),
        ([("A", 482), ("B", 200)], {"FOL-3", "FOL-4"}),
        ([("A", 503), ("B", 483)], {"FOL-3"}),
        ([("A", 482)], {"FOL-3"}),
        ([("A", 483)], {"FOL-3"}),
        ([(name, 503) for name in "ABCD"], set()),
        ([(name, 503) for name in "ABCDE"], {"FOL-2"}),
        ([("A", 491), ("A", 200)], set()),
        ([("A", 200), ("A", 486)], set()),
        ([("A", 200), ("B", 503), ("A", 200)], set()),
    ],
)
def test_each_path_is_a_loop_or_none(tried, expected):
    """Trunk and final code of each attempt, in order."""
    assert loops(path(*tried)) == expected


@pytest.mark.parametrize("code", [408, 480, 500, 501, 502, 503, 504, 580])
def test_going_on_is_legitimate_after_these(code):
    """A second trunk may be tried."""
    assert loops(path(("A", code), ("B", 200))) == set()


@pytest.mark.parametrize("failure", ["transport", "no_bridge", "timeout", "dns", "canceled"])
def test_going_on_is_legitimate_where_nobody_answered(failure):
    """No final code: nobody said no."""
    story = dialled(attempt("A", failure=failure), attempt("B", 200, at=5))
    assert loops(story) == set()


def test_carrier_and_route_tell_two_ways_apart():
    """Two routes of one carrier are two ways; one route by two trunk ids is one."""
    two = dialled(
        attempt("A", 503, carrier="x", route="r1"),
        attempt("A", 503, carrier="x", route="r2", at=2),
    )
    assert loops(two) == set()
    one = dialled(
        attempt("A", 503, carrier="x", route="r1"),
        attempt("B", 503, carrier="y", route="r2", at=2),
        attempt("C", 503, carrier="x", route="r1", at=4),
    )
    assert loops(one) == {"FOL-1"}


def test_a_loop_tells_its_path_and_is_the_operators():
    """Where to go on to is our own configuration; the call's last code is its outcome."""
    told = diagnosed(path(("A", 503), ("B", 503), ("A", 200)))
    assert [f.mode for f in told.findings] == ["failover_loop"]
    assert told.findings[0].detail == "A:503>B:503>A:200"
    assert (told.fault, told.outcome) == ("operator", "answered")


def test_a_loop_that_was_never_answered_is_a_setup_failure_too():
    """Both are true: the worse one decides whose fault it is."""
    told = diagnosed(path(("A", 503), ("B", 503), ("A", 503)))
    assert [f.mode for f in told.findings] == ["call_setup_failure", "failover_loop"]
    assert told.fault == "carrier"


def test_a_loop_is_seen_while_it_goes_on():
    """Live: the third attempt has begun and is not over."""
    story = dialled(attempt("A", 503), attempt("B", 503, at=2), attempt("A", at=4), live=True)
    assert [f.mode for f in diagnosed(story).findings] == ["failover_loop"]


def test_whom_an_agent_dials_from_an_inbound_call_is_no_failover():
    """Two supervisors, one after the other: each is another call."""
    attempts = (attempt("A", 486), attempt("B", 200, at=5))
    facts = {"sip.call.direction": "inbound", "sip.response.status_code": 200}
    assert loops(dialled(*attempts, facts=facts)) == set()
