"""Attempts as they are remembered and told: bounded, in their order, each once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.diagnosis.attempts import attempts_of, facts_of, failover_facts
from trunktrace.diagnosis.runs import path_of, runs_of
from trunktrace.diagnosis.story import Story
from trunktrace.evidence import MOST_ATTEMPTS, Evidence
from trunktrace.facts import Observation
from trunktrace.timeline import Attempt

ENDS = ({"status_code": 503}, {"status_code": 200}, {"failure": "timeout"}, {})
COUNT, PATH = "trunk.failover.count", "trunk.failover.path"


@st.composite
def histories(draw: st.DrawFn) -> list[list[Attempt]]:
    """Attempts of one call, each as it was told from its start to its end."""
    starts = draw(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=8, unique=True))
    told = []
    for start in starts:
        trunk = draw(st.sampled_from(["ST_a", "ST_b", None]))
        begun = Attempt(
            start=start,
            trunk_id=trunk,
            party=draw(st.sampled_from([1, 2, None])),
            aside=draw(st.booleans()),
        )
        named = replace(begun, trunk_id=trunk or "ST_c", carrier="alpha")
        ended = replace(named, end=start + 1.0, **draw(st.sampled_from(ENDS)))
        told.append([begun, named, ended])
    return told


def story_of(told: list[Attempt]) -> Story:
    evidence = Evidence()
    for attempt in told:
        evidence.put_attempt(attempt)
    return evidence.story({}, frozenset(), None, caller_matches=None)


@given(histories(), st.data())
def test_any_order_of_updates_gives_the_same_story(told, data):
    """Several attempts may be open at once: what is told of one changes no other."""
    order = data.draw(st.permutations([at for at, steps in enumerate(told) for _ in steps]))
    left = [list(steps) for steps in told]
    story = story_of([left[at].pop(0) for at in order])
    assert story == story_of([step for steps in told for step in steps])
    ends = sorted((steps[-1] for steps in told), key=lambda one: one.start)
    assert story.attempts == tuple(one for one in ends if not one.aside)
    assert story.asides == tuple(one for one in ends if one.aside)


def test_an_attempt_that_is_told_again_stays_in_its_place():
    """The first of three ends last."""
    first, *others = (Attempt(start=float(at), trunk_id="ST_a") for at in range(3))
    ended = replace(first, status_code=503)
    assert story_of([first, *others, ended]).attempts == (ended, *others)


def test_attempts_of_one_moment_are_told_apart_by_trunk_and_party():
    """Two at once, over two trunks, or to two people."""
    one = Attempt(start=1.0, trunk_id="ST_a", party=1)
    others = (replace(one, trunk_id="ST_b"), replace(one, party=2), replace(one, aside=True))
    story = story_of([one, *others])
    assert len(story.attempts) + len(story.asides) == 4


@given(st.permutations(range(MOST_ATTEMPTS + 9)))
def test_the_latest_are_kept(order):
    """However many are dialled, in whatever order they are told."""
    kept = story_of([Attempt(start=float(at)) for at in order]).attempts
    assert [one.start for one in kept] == [float(at) for at in range(9, MOST_ATTEMPTS + 9)]


@given(histories())
def test_every_attempt_is_in_one_run(told):
    """Of those that are not beside the call; a run is of one number and ends with its answer."""
    attempts = sorted((steps[-1] for steps in told), key=lambda one: one.start)
    runs = runs_of(attempts)
    tried = [one for one in attempts if not one.aside]
    assert sorted((one for run in runs for one in run), key=lambda one: one.start) == tried
    assert not runs or runs[-1][-1] is tried[-1]
    for run in runs:
        assert run
        assert len({one.party for one in run} - {None}) <= 1
        assert not any(one.answered for one in run[:-1])


# What the root says -----------------------------------------------------------------------------

A = Attempt(start=1.0, trunk_id="ST_a", carrier="alpha", party=1, status_code=503)
B = Attempt(start=2.0, trunk_id="ST_b", carrier="beta", party=1, status_code=200)


def test_a_failover_has_its_count_and_path():
    """One advance; the path says what became of each."""
    assert failover_facts([A, B]) == {COUNT: 1, PATH: "alpha:503>beta:200"}
    assert failover_facts([A]) == {}
    assert failover_facts([]) == {}


@pytest.mark.parametrize(
    "more",
    [
        replace(B, party=2, status_code=486),
        replace(B, aside=True),
        replace(A, start=2.0, status_code=200),
    ],
    ids=["another number", "beside the call", "the same trunk again"],
)
def test_what_is_no_failover(more):
    """Another number, another leg, and the same way once more."""
    assert failover_facts([A, more]) == {}


def test_another_number_takes_the_failover_of_the_first_back():
    """A root cannot forget: it says 0, and the path of the number that was dialled last."""
    last = replace(A, start=3.0, party=2, status_code=200)
    assert failover_facts([A, replace(B, status_code=486), last]) == {COUNT: 0, PATH: "alpha:200"}


def test_what_is_dialled_after_an_answer_is_another_call():
    """The record of a call tells of its own attempts; a live one of the last."""
    later = (replace(A, start=10.0), replace(B, start=11.0, carrier="gamma", status_code=486))
    told = facts_of([A, B, *later])
    assert told == {
        "sip.attempt_count": 2,
        "sip.response.status_code": 200,
        COUNT: 1,
        PATH: "alpha:503>beta:200",
    }
    assert failover_facts([A, B, *later])[PATH] == "alpha:503>gamma:486"


def test_an_attempt_that_is_still_open_has_a_name_only():
    """No code is invented for it."""
    assert failover_facts([A, replace(B, status_code=None)])[PATH] == "alpha:503>beta"


def test_a_long_path_is_cut_after_a_step():
    """An attribute holds 255 characters; what was first stays."""
    path = path_of([replace(A, start=float(at)) for at in range(64)])
    assert len(path) <= 255
    assert path.startswith("alpha:503>alpha:503>")
    assert path.endswith("alpha:503>...")


@pytest.mark.parametrize("order", [1, -1])
def test_an_invite_beside_the_call_stays_beside_it(order: int) -> None:
    """One source tells that it is; the other, which may come first, does not know."""
    known = Attempt(start=1.0, livekit_call_id="SCL_1")
    told = [
        Observation(source="livekit", attempts=(replace(known, aside=True),)),
        Observation(source="livekit-sip", attempts=(replace(known, status_code=486),)),
    ]
    (attempt,) = attempts_of(told[::order])
    assert attempt.aside
    assert attempt.status_code == 486
