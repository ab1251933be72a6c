"""`rtp.loss_ratio` on the spans of turns: which speech a span's loss speaks of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .kit import LOSS, METHOD, Pipeline, fake_time
from .scene import Call


@pytest.fixture
def call() -> Iterator[Call]:
    scene = Call()
    with scene:
        yield scene


def test_the_loss_of_the_callers_speech_stands_on_the_user_turn_and_below():
    """A window over the speech, known while the turn is open, marks ASR and end-of-turn spans."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.start("eou_wait", 13, parent="user1")
        call.start("eou_detection", 13, parent="eou_wait")
        call.loss(9, 14, 0.06)
        call.end("eou_detection", 14.1)
        call.end("eou_wait", 14.2)
        call.end("user1", 14.3)
    for key in ("user1", "eou_wait", "eou_detection"):
        assert call.exported(key)[LOSS] == pytest.approx(0.06), key
        assert call.exported(key)[METHOD] == "counted", key


def test_the_answer_to_a_speech_carries_the_loss_of_that_speech():
    """agent_turn, LLM and tool spans speak of the caller's speech that the turn answers."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.06)
        call.agent_turn(1, 14.1)
        call.end("user1", 14.2)
        call.start("llm_node", 14.2, parent="agent1")
        call.start("llm_request", 14.2, parent="llm_node")
        call.start("function_tool", 15, parent="agent1")
        call.start("guardrail", 15, parent="agent1")
        for key in ("llm_request", "llm_node", "function_tool", "guardrail", "agent1"):
            call.end(key, 16)
    for key in ("agent1", "llm_node", "llm_request", "function_tool", "guardrail"):
        assert call.exported(key)[LOSS] == pytest.approx(0.06), key
        assert call.exported(key)[METHOD] == "counted", key


def test_a_loss_known_only_during_the_answer_reaches_its_open_spans():
    """The window comes when the agent already thinks: open spans of the turn get it."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.end("user1", 13.5)
        call.agent_turn(1, 13.4)
        call.start("llm_node", 13.5, parent="agent1")
        assert LOSS not in call.now("llm_node")
        call.loss(9, 14, 0.06, known=15)
        assert call.now("llm_node")[LOSS] == pytest.approx(0.06)
        assert call.now("agent1")[LOSS] == pytest.approx(0.06)
        call.start("function_tool", 15.1, parent="agent1")
        assert call.now("function_tool")[LOSS] == pytest.approx(0.06)


def test_a_preemptive_answer_belongs_to_the_speech_it_answers():
    """agent_turn may start before user_turn has ended (captured: 2.4 s before)."""
    with Call() as call:
        call.user_turn(1, 62.26, 63.26)
        call.agent_turn(1, 63.41)
        call.start("llm_node", 63.42, parent="agent1")
        call.end("llm_node", 63.5)
        call.loss(60, 65, 0.02)
        call.end("user1", 65.77)
        call.start("function_tool", 65.77, parent="agent1")
    assert call.exported("function_tool")[LOSS] == pytest.approx(0.02)
    assert call.exported("agent1")[LOSS] == pytest.approx(0.02)


def test_a_new_turn_drops_the_loss_of_the_earlier_one():
    """Never carried over: the second turn has no loss until a window of its own is known."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.06)
        call.end("user1", 14)
        call.agent_turn(1, 14)
        call.end("agent1", 16)
        call.user_turn(2, 20, 22)
        call.start("eou_wait", 22, key="eou2", parent="user2")
        call.agent_turn(2, 22.1)
        call.start("llm_node", 22.2, key="llm2", parent="agent2")
    for key in ("user2", "speaking2", "eou2", "agent2", "llm2"):
        assert LOSS not in call.exported(key), key
        assert METHOD not in call.exported(key), key


def test_a_later_window_never_rewrites_an_earlier_turn():
    """A window of the second speech leaves spans of the first turn as they are, open or not."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.06)
        call.end("user1", 14)
        call.agent_turn(1, 14)
        call.user_turn(2, 17, 19)
        call.loss(16, 20, 0.5)
        call.end("agent1", 20)
        call.end("user2", 21)
    assert call.exported("agent1")[LOSS] == pytest.approx(0.06)
    assert call.exported("user1")[LOSS] == pytest.approx(0.06)
    assert call.exported("user2")[LOSS] == pytest.approx(0.5)


def test_a_barge_in_does_not_mark_the_turn_that_it_interrupts():
    """Speech that begins during agent_turn 1 is not what agent_turn 1 answers."""
    with Call() as call:
        call.user_turn(1, 10, 11)
        call.end("user1", 12)
        call.agent_turn(1, 12)
        call.user_turn(2, 13, 14)
        call.loss(12.5, 14.5, 0.3)
        call.end("agent1", 15)
        call.end("user2", 15)
    assert LOSS not in call.exported("agent1")
    assert call.exported("user2")[LOSS] == pytest.approx(0.3)


def test_a_greeting_answers_nobody():
    """An agent_turn before any speech has no loss towards the agent, whatever is known."""
    with Call() as call:
        call.loss(0, 5, 0.2)
        call.agent_turn(0, 5)
        call.start("llm_node", 5.1, parent="agent0")
        call.end("llm_node", 5.5)
        call.user_turn(1, 6, 7)
        call.loss(5, 8, 0.4)
        call.end("agent0", 8)
    assert LOSS not in call.exported("llm_node")
    assert LOSS not in call.exported("agent0")


def test_two_windows_over_one_speech_count_by_their_share_of_it():
    """A speech half in each of two windows has the mean of both."""
    with Call() as call:
        call.user_turn(1, 10, 14)
        call.loss(8, 12, 0.1)
        call.loss(12, 16, 0.3)
        call.end("user1", 16)
    assert call.exported("user1")[LOSS] == pytest.approx(0.2)


def test_a_window_that_touches_no_speech_marks_no_turn():
    """A window between two speeches, or ending where one begins, marks neither."""
    with Call() as call:
        call.user_turn(1, 10, 12)
        call.loss(12, 16, 0.3)
        call.end("user1", 16)
        call.user_turn(2, 16, 18)
        call.end("user2", 19)
    assert LOSS not in call.exported("user1")
    assert LOSS not in call.exported("user2")


def test_a_pause_inside_a_turn_does_not_split_it():
    """Two speeches in one user_turn are one turn: both windows count, the pause's does not."""
    with Call() as call:
        call.start("user_turn", 10, key="user1")
        call.start("user_speaking", 10, key="first", parent="user1")
        call.end("first", 12)
        call.start("user_speaking", 20, key="second", parent="user1")
        call.end("second", 22)
        call.loss(10, 12, 0.1)
        call.loss(12, 20, 0.9, known=22)
        call.loss(20, 22, 0.3)
        call.end("user1", 23)
        call.agent_turn(1, 23)
    assert call.exported("user1")[LOSS] == pytest.approx(0.2)
    assert call.exported("agent1")[LOSS] == pytest.approx(0.2)


def test_a_window_known_while_the_caller_still_speaks_marks_the_open_spans():
    """The speech goes on: what is known of it so far stands on it already."""
    with Call() as call:
        call.start("user_turn", 10, key="user1")
        call.start("user_speaking", 10, key="speaking1", parent="user1")
        call.loss(10, 12, 0.1)
        assert call.now("user1")[LOSS] == pytest.approx(0.1)
        assert call.now("speaking1")[LOSS] == pytest.approx(0.1)


def test_a_held_user_turn_gets_the_loss_of_its_own_speech_after_its_end():
    """With the export held, a window that comes after the turn's end is still set on it."""
    with Call(late=True) as call:
        call.user_turn(1, 10, 13)
        call.start("eou_wait", 13, parent="user1")
        call.end("eou_wait", 13.5)
        call.end("user1", 13.6)
        call.agent_turn(1, 13.5)
        call.start("tts_node", 14, parent="agent1")
        call.end("tts_node", 15)
        call.end("agent1", 15)
        call.user_turn(2, 20, 21)
        call.end("user2", 22)
        call.loss(9, 14, 0.06, known=25)
        call.loss(14, 15, 0.02, direction="out", known=25)
        call.loss(19, 22, 0.5, known=25)
    for key in ("user1", "speaking1", "eou_wait", "agent1"):
        assert call.exported(key)[LOSS] == pytest.approx(0.06), key
    assert call.exported("tts_node")[LOSS] == pytest.approx(0.02)
    assert call.exported("user2")[LOSS] == pytest.approx(0.5)


def test_turns_of_two_calls_do_not_share_their_loss():
    """Two calls at one time: each turn has its own call's loss."""
    pipe = Pipeline()
    with fake_time() as time_:
        scopes = [pipe.call(direction="inbound") for _ in range(2)]
        calls = []
        import contextvars

        contexts = [contextvars.Context() for _ in scopes]
        for scope, context in zip(scopes, contexts, strict=True):
            calls.append(context.run(scope.__enter__))
        turns = [
            context.run(
                lambda i=i: pipe.tracer.start_span(
                    "user_turn", start_time=time_.ns(1), attributes={"i": i}
                )
            )
            for i, context in enumerate(contexts)
        ]
        time_.now = 3
        for i, call in enumerate(calls):
            call.record_media(
                leg="trunk",
                direction="in",
                loss_ratio=0.1 * (i + 1),
                start=time_.unix(1),
                end=time_.unix(3),
            )
        for i, turn in enumerate(turns):
            assert turn.attributes[LOSS] == pytest.approx(0.1 * (i + 1))
            turn.end(time_.ns(4))
        for scope, context in zip(scopes, contexts, strict=True):
            context.run(scope.__exit__, None, None, None)
