"""Which spans a window of media marks: a bad minute, a long window, another leg, a later count."""

from __future__ import annotations

import pytest

from behaviour.kit import LOSS, METHOD
from behaviour.scene import Call

MINUTE = 60
TURNS = range(2, 178, 8)


def long_call(windows, *, known_after=0.0):
    """Three minutes with a turn each 8 s; `windows` of (start, end, ratio) come when they end."""
    due = sorted(windows, key=lambda w: w[1])
    call = Call(late=True)
    with call:

        def deliver(until):
            while due and due[0][1] + known_after <= until:
                start, end, ratio = due.pop(0)
                call.loss(start, end, ratio, known=end + known_after)

        for n, at in enumerate(TURNS):
            deliver(at)
            call.user_turn(n, at, at + 2.5)
            deliver(at + 3.0)
            call.end(f"user{n}", at + 3.0)
            call.agent_turn(n, at + 3.0)
            call.start("llm_node", at + 3.1, key=f"llm{n}", parent=f"agent{n}")
            deliver(at + 5.5)
            call.end(f"llm{n}", at + 5.5)
            call.end(f"agent{n}", at + 7.0)
        deliver(1000)
    return call


def in_bad_minute(at):
    return 60 <= at < 118


@pytest.mark.parametrize("length", [1, 2, 5, 10, 15])
@pytest.mark.parametrize("clean_told", [True, False])
def test_one_bad_minute_marks_the_turns_of_that_minute_and_no_others(length, clean_told):
    """Each turn whose speech lies in the bad minute has its loss; no other turn has any."""
    windows = [
        (s, s + length, 0.08 if 60 <= s < 120 else 0.0)
        for s in range(0, 180, length)
        if clean_told or 60 <= s < 120
    ]
    call = long_call(windows)
    for n, at in enumerate(TURNS):
        speech = (at, at + 2.5)
        whole = speech[0] >= 60 and speech[1] <= 120
        apart = speech[1] <= 60 or speech[0] >= 120
        for key in (f"user{n}", f"agent{n}", f"llm{n}"):
            loss = call.exported(key).get(LOSS)
            known = length <= 3 or any(
                s < speech[1] and e > speech[0] and e <= at + 5 for s, e, _ in windows
            )
            if whole and known and key != f"user{n}":
                assert loss == pytest.approx(0.08), (key, at)
            elif apart:
                assert not loss, (key, at, loss)


def test_windows_of_one_minute_mark_no_turn():
    """What a periodic statistics line says goes to the root; no turn speaks of a whole minute."""
    call = long_call([(0, 60, 0.0), (60, 120, 0.08), (120, 180, 0.0)])
    for n, _ in enumerate(TURNS):
        for key in (f"user{n}", f"agent{n}", f"llm{n}"):
            assert LOSS not in call.exported(key), key
    root = call.root()
    assert root[LOSS] == pytest.approx(0.08 / 3, abs=0.002)
    assert root[METHOD] == "counted"


@pytest.mark.parametrize("length,marks", [(14.9, True), (15.0, True), (15.2, False), (16, False)])
def test_fifteen_seconds_is_the_longest_window_that_speaks_of_a_turn(length, marks):
    """Never from a window longer than 15 s."""
    with Call() as call:
        call.user_turn(1, 20, 23)
        call.loss(24 - length, 24, 0.05)
        call.end("user1", 24.5)
    assert (LOSS in call.exported("user1")) is marks


@pytest.mark.parametrize("leg", ["agent", "pstn"])
def test_other_legs_never_mark_a_span_and_never_make_rtp_keys(leg):
    """Legs are never mixed: a lossy agent leg or carrier side leaves no rtp key anywhere."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        for start in range(0, 30, 5):
            for direction in ("in", "out"):
                call.loss(start, start + 5, 0.3, leg=leg, direction=direction, known=13)
        call.end("user1", 14)
        call.agent_turn(1, 14)
        call.end("agent1", 31)
    for span in call.pipe.finished():
        for key in span.attributes or {}:
            assert not key.startswith("rtp."), (span.name, key)
    prefix = {"agent": "webrtc", "pstn": "pstn"}[leg]
    assert call.root()[f"{prefix}.in.loss_ratio"] == pytest.approx(0.3)
    assert call.root()[f"{prefix}.out.loss_ratio"] == pytest.approx(0.3)


def test_each_leg_keeps_its_own_loss():
    """Three legs, three numbers on the root; only the trunk's is inherited."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.01, leg="agent")
        call.loss(9, 14, 0.02, leg="trunk", known=13)
        call.loss(9, 14, 0.04, leg="pstn")
        call.end("user1", 15)
    root = call.root()
    assert root["webrtc.in.loss_ratio"] == pytest.approx(0.01)
    assert root["rtp.in.loss_ratio"] == pytest.approx(0.02)
    assert root["pstn.in.loss_ratio"] == pytest.approx(0.04)
    assert call.exported("user1")[LOSS] == pytest.approx(0.02)
    assert "pstn.in.loss_ratio" not in call.exported("user1")


def test_a_count_replaces_an_estimate_on_the_turn_and_on_the_root():
    """Estimated first, counted later over the same speech: counted stands, with its method."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.05, method="estimated", known=13)
        assert call.now("user1")[METHOD] == "estimated"
        call.loss(9, 14, 0.02, method="counted", known=13.5)
        assert call.now("user1")[LOSS] == pytest.approx(0.02)
        call.end("user1", 14)
    for attributes in (call.exported("user1"), call.root()):
        assert attributes[LOSS] == pytest.approx(0.02)
        assert attributes[METHOD] == "counted"


def test_an_estimate_never_replaces_a_count():
    """The agent's estimate comes after the bridge's count: the count stays."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.02, method="counted", known=13)
        call.loss(9, 14, 0.05, method="estimated", known=13.5)
        call.end("user1", 14)
    for attributes in (call.exported("user1"), call.root()):
        assert attributes[LOSS] == pytest.approx(0.02)
        assert attributes[METHOD] == "counted"


def test_a_count_of_one_part_leaves_the_estimate_of_another_part():
    """Each turn speaks with what was known of its own speech."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.05, method="estimated", known=13)
        call.end("user1", 14)
        call.user_turn(2, 30, 33)
        call.loss(29, 34, 0.01, method="counted", known=33)
        call.end("user2", 34)
    assert (call.exported("user1")[LOSS], call.exported("user1")[METHOD]) == (0.05, "estimated")
    assert (call.exported("user2")[LOSS], call.exported("user2")[METHOD]) == (0.01, "counted")


def test_a_whole_call_count_at_the_end_is_the_roots_whatever_was_estimated():
    """The final statistics line: the root has the count of the whole call, once."""
    with Call() as call:
        for start in range(0, 60, 5):
            call.loss(start, start + 5, 0.09, method="estimated")
        call.loss(0, 60, 0.0956, method="counted")
    assert call.root()[LOSS] == pytest.approx(0.0956)
    assert call.root()[METHOD] == "counted"
    assert call.root()["rtp.in.loss_ratio"] == pytest.approx(0.0956)


def test_the_worse_direction_stands_on_the_root():
    """Root: the worse of the two, each direction under its own key."""
    with Call() as call:
        call.loss(0, 10, 0.01)
        call.loss(0, 10, 0.04, direction="out")
    root = call.root()
    assert root[LOSS] == pytest.approx(0.04)
    assert root["rtp.in.loss_ratio"] == pytest.approx(0.01)
    assert root["rtp.out.loss_ratio"] == pytest.approx(0.04)


def test_loss_towards_the_caller_marks_what_the_agent_says_and_nothing_else():
    """`out` windows speak of tts spans and agent_speaking only."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.end("user1", 13.5)
        call.agent_turn(1, 13.5)
        call.start("llm_node", 13.6, parent="agent1")
        call.start("tts_node", 14, parent="agent1")
        call.start("agent_speaking", 14.2, parent="agent1")
        call.loss(14, 17, 0.07, direction="out")
        for key in ("llm_node", "tts_node", "agent_speaking", "agent1"):
            call.end(key, 17.5)
    assert call.exported("agent_speaking")[LOSS] == pytest.approx(0.07)
    assert call.exported("tts_node")[LOSS] == pytest.approx(0.07)
    for key in ("user1", "llm_node", "agent1"):
        assert LOSS not in call.exported(key), key


def test_a_window_told_twice_counts_once():
    """The same window delivered twice, and again by another source, does not weigh more."""
    with Call() as call:
        call.user_turn(1, 10, 14)
        for _ in range(3):
            call.loss(10, 12, 0.08, known=13)
        call.loss(12, 14, 0.0, known=14)
        call.end("user1", 14.5)
    assert call.exported("user1")[LOSS] == pytest.approx(0.04, abs=0.005)
