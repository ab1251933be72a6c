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


# Who was dialled, and what was seen of it --------------------------------------------------------


def test_another_number_is_another_call():
    """486, and then a number that somebody else has: nobody was called in vain."""
    story = dialled(attempt("A", 486, party=1), attempt("A", 486, party=2, at=5))
    assert loops(story) == set()
    assert loops(dialled(attempt("A", 486, party=1), attempt("A", 486, party=1, at=5))) == {
        "FOL-4",
        "FOL-5",
    }


def test_each_number_has_its_own_path():
    """Two numbers in turn: the loop is the first one's, and so is the path."""
    story = dialled(
        attempt("A", 503, party=1),
        attempt("A", 503, party=2, at=2),
        attempt("B", 503, party=1, at=4),
        attempt("B", 503, party=2, at=6),
        attempt("A", 503, party=1, at=8),
    )
    (found,) = failover_loop.find(story, Thresholds.default())
    assert found.evidence == ("FOL-1",)
    assert found.detail == "A:503>B:503>A:503"


@pytest.mark.parametrize("parties", [(None, None, None), (None, 1, None), (1, None, 1), (1, 1, 1)])
def test_a_number_that_is_not_known_is_the_one_before(parties):
    """What other systems record has no number that could be told apart."""
    tried = (("A", 503), ("B", 503), ("A", 503))
    story = dialled(
        *(
            attempt(name, code, party=party, at=2 * at)
            for at, ((name, code), party) in enumerate(zip(tried, parties, strict=True))
        )
    )
    assert loops(story) == {"FOL-1"}


def test_whom_an_agent_calls_in_is_no_attempt_at_the_call():
    """Beside an answered call a colleague is busy on one trunk, and on the next one too."""
    asides = (attempt("A", 486, at=5, aside=True), attempt("A", 486, at=9, aside=True))
    told = diagnosed(dialled(attempt("A", 200), asides=asides))
    assert told.findings == ()
    assert loops(dialled(attempt("A", 200), *asides)) == set()


def test_a_loop_that_is_still_open_tells_its_path_so_far():
    """The third attempt has begun: it has a name, and no code yet."""
    story = dialled(attempt("A", 503), attempt("B", 503, at=2), attempt("A", at=4), live=True)
    (found,) = failover_loop.find(story, Thresholds.default())
    assert found.detail == "A:503>B:503>A"
    assert found.end == story.attempts[-1].start


@pytest.mark.parametrize(
    "former",
    [
        {"code": 480},
        {"code": 408},
        {"failure": "timeout"},
        {"failure": "transport"},
        {"failure": "client_error"},
        {"failure": "unanswered"},
        {"failure": "canceled", "own_cancel": True},
        {"code": 487, "own_cancel": True},
    ],
)
def test_going_on_after_a_18x_is_not_legitimate(former):
    """The callee's phone may have rung; whether it had, nobody saw: then nobody is blamed."""
    for progress, expected in ((True, {"FOL-4"}), (False, set()), (None, set())):
        story = dialled(attempt("A", **former, progress=progress), attempt("B", 200, at=20))
        assert loops(story) == expected, progress


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504, 580])
def test_a_servers_failure_after_a_18x_is_no_blame(code):
    """A 18x is no proof of ringing, and it was the trunk that failed: as in a captured call."""
    story = dialled(attempt("A", code, progress=True), attempt("B", 200, at=5))
    assert loops(story) == set()


@pytest.mark.parametrize("failure", ["sdp", "auth"])
def test_what_no_other_trunk_can_change(failure):
    """Our media and our credentials are the same on the next trunk."""
    story = dialled(attempt("A", failure=failure), attempt("B", 200, at=5))
    assert loops(story) == {"FOL-4"}


def test_the_failed_call_is_told_by_its_last_attempt():
    """The last attempt to the number that was dialled last says why the call failed."""
    told = diagnosed(dialled(attempt("A", 503, party=1), attempt("B", 486, party=2, at=4)))
    assert [(found.mode, found.detail) for found in told.findings] == [
        ("call_setup_failure", "486 Busy Here")
    ]
    assert (told.outcome, told.fault) == ("busy", "callee")
