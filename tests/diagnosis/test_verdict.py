"""The verdict: the burden of proof, and what is never the trunk's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trunktrace import conventions as c
from trunktrace.diagnosis.rules import MODE_OF, RULES

from .stories import (
    T0,
    answered,
    attempt,
    clean_media,
    diagnosed,
    dialled,
    loss,
    mark,
    path,
    window,
    windows,
)


def test_a_clean_answered_call_is_nobodys_fault():
    """Watched and good."""
    told = diagnosed(answered(windows=clean_media()))
    assert (told.fault, told.outcome, told.media_state) == ("none", "answered", "good")
    assert told.findings == ()


def test_an_estimate_of_no_loss_watches_the_trunk_too():
    """The agent alone may say none."""
    seen = windows(
        "trunk", "in", *[{"loss_ratio": 0.0}] * 6, source="agent", loss_method="estimated"
    )
    assert diagnosed(answered(30, windows=seen)).fault == "none"


def test_a_trunk_that_nobody_watched_is_not_acquitted():
    """Answered, and a good agent leg: whose fault anything was is not known."""
    agent = windows("agent", "in", *[loss(0)] * 12)
    told = diagnosed(answered(windows=agent))
    assert told.fault is None
    assert told.media_state == "good"
    assert diagnosed(answered()).media_state is None


def test_while_the_call_goes_on_nobody_is_acquitted():
    """Live: it may still go wrong."""
    assert diagnosed(answered(windows=clean_media(), live=True)).fault is None


@pytest.mark.parametrize(
    "marks",
    [
        [mark("agent_turn", 20, value="9.5")],
        [mark("correction", at) for at in range(5, 50, 5)],
        [mark("barge_in", at) for at in range(5, 50, 5)],
        [mark("asks_if_heard", at) for at in range(5, 50, 5)],
        [mark("task", 50, value="failed")],
    ],
    ids=["slow", "corrections", "barge-ins", "asks", "failed task"],
)
def test_trouble_of_the_agents_models_is_never_the_trunks(marks):
    """A slow LLM or a failing STT on a clean trunk."""
    told = diagnosed(answered(windows=clean_media(), marks=marks))
    assert (told.findings, told.fault) == ((), "none")


def test_a_recovered_call_has_no_fault():
    """503, then answered on the next trunk, with good media."""
    story = path(("A", 503), ("B", 200))
    watched = type(story)(
        facts=story.facts,
        attempts=story.attempts,
        marks=(mark("answered", 4), mark("hangup", 64)),
        windows=(window("trunk", "in", 4, 64, packet_count=3000, lost_count=0),),
    )
    told = diagnosed(watched)
    assert (told.findings, told.fault, told.outcome) == ((), "none", "answered")


def test_the_worst_finding_comes_first_and_decides():
    """One-way audio before degradation; its fault is the verdict."""
    lossy = windows("agent", "in", *[loss(10)] * 12)
    dead = [
        window("trunk", "in", 0, 60, packet_count=0),
        window("trunk", "out", 0, 60, packet_count=3000),
    ]
    told = diagnosed(answered(windows=[*dead, *lossy]))
    assert [f.mode for f in told.findings] == ["one_way_audio", "media_degradation"]
    assert told.fault == "network"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_is_of_a_known_mode(rule):
    """Mode, and an id of letters and a number."""
    assert rule.mode in c.FAILURE_MODES
    prefix, _, number = rule.id.partition("-")
    assert prefix.isupper()
    assert number.isdigit()


def test_rule_ids_are_unique():
    """One id, one rule."""
    assert len(MODE_OF) == len(RULES)


def test_a_finding_never_ends_before_it_begins():
    """Two sources disagree on the clock: the attempt began after it ended."""
    story = dialled(attempt("A", 486, at=5))
    late = replace(story.attempts[0], end=T0)
    finding = diagnosed(replace(story, attempts=(late,))).findings[0]
    assert finding.start == finding.end == T0 + 5
