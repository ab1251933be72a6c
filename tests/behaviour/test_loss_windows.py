"""`rtp.loss_ratio` by direction, length and method of the window, and on the root."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from .kit import LOSS, METHOD
from .scene import Call


def test_tts_and_speaking_speak_of_their_own_time_towards_the_caller():
    """tts_* and agent_speaking take `out` windows over their own time, never `in` ones."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.06)
        call.end("user1", 14)
        call.agent_turn(1, 14)
        call.start("tts_node", 14.2, parent="agent1")
        call.start("tts_request", 14.2, parent="tts_node")
        call.start("tts_request_run", 14.2, parent="tts_request")
        call.start("agent_speaking", 14.5, parent="agent1")
        for key in ("tts_node", "tts_request", "tts_request_run", "agent_speaking"):
            assert LOSS not in call.now(key), key
        call.loss(14, 18, 0.01, direction="out")
        for key in ("tts_request_run", "tts_request", "tts_node", "agent_speaking"):
            call.end(key, 18)
        call.end("agent1", 18)
    for key in ("tts_request_run", "tts_request", "tts_node", "agent_speaking"):
        assert call.exported(key)[LOSS] == pytest.approx(0.01), key
    assert call.exported("agent1")[LOSS] == pytest.approx(0.06)


def test_an_out_window_never_marks_asr_or_llm_spans():
    """Loss towards the caller says nothing about what the agent heard."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.agent_turn(1, 13.1)
        call.start("llm_node", 13.2, parent="agent1")
        call.loss(9, 14, 0.5, direction="out")
    for key in ("user1", "agent1", "llm_node", "session"):
        assert LOSS not in call.exported(key), key


def test_an_out_window_of_another_time_never_marks_a_speaking_span():
    """agent_speaking over 30..32 has nothing of a window over 14..18."""
    with Call() as call:
        call.loss(14, 18, 0.5, direction="out")
        call.agent_turn(1, 29)
        call.start("agent_speaking", 30, parent="agent1")
        call.end("agent_speaking", 32)
    assert LOSS not in call.exported("agent_speaking")


def test_other_spans_speak_of_their_own_time_towards_the_agent():
    """A span outside of turns takes what the trunk lost while it ran."""
    with Call() as call:
        call.start("lookup", 10)
        call.loss(9, 13, 0.04)
        assert call.now("lookup")[LOSS] == pytest.approx(0.04)
        call.end("lookup", 13)
    assert call.exported("lookup")[LOSS] == pytest.approx(0.04)


def test_other_spans_start_without_the_loss_of_the_time_before_them():
    """Never stale: a span that starts after the window's end does not have it."""
    with Call() as call:
        call.loss(5, 10, 0.2)
        call.start("lookup", 10.5)
        call.end("lookup", 11)
    assert LOSS not in call.exported("lookup")


def test_a_long_window_goes_to_the_root_only():
    """Over 15 s a window never speaks about a turn, nor about any child."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.agent_turn(1, 13.1)
        call.start("agent_speaking", 14, parent="agent1")
        call.start("lookup", 10)
        call.loss(0, 15.001, 0.06, known=16)
        call.loss(0, 60, 0.05, direction="out", known=60)
    for key in ("user1", "speaking1", "agent1", "agent_speaking", "lookup", "session"):
        assert LOSS not in call.exported(key), key
    assert call.root()[LOSS] == pytest.approx(0.06)
    assert call.root()["rtp.in.loss_ratio"] == pytest.approx(0.06)
    assert call.root()["rtp.out.loss_ratio"] == pytest.approx(0.05)


def test_a_window_of_fifteen_seconds_still_speaks_about_the_turn():
    """The bound itself is within the bound."""
    with Call() as call:
        call.user_turn(1, 5, 8)
        call.loss(0, 15, 0.06)
        call.end("user1", 15.5)
    assert call.exported("user1")[LOSS] == pytest.approx(0.06)


def test_the_root_has_the_worse_direction():
    """Root: the worse of the two directions, with that one's method."""
    with Call() as call:
        call.loss(0, 10, 0.01)
        call.loss(0, 10, 0.07, direction="out", method="estimated")
    assert call.root()[LOSS] == pytest.approx(0.07)
    assert call.root()[METHOD] == "estimated"
    assert call.root()["rtp.in.loss_ratio"] == pytest.approx(0.01)
    assert call.root()["rtp.out.loss_ratio"] == pytest.approx(0.07)


def test_the_root_speaks_of_the_whole_call():
    """Two windows of equal length count equally on the root."""
    with Call() as call:
        call.loss(0, 10, 0.0)
        call.loss(10, 20, 0.1)
    assert call.root()[LOSS] == pytest.approx(0.05)


def test_a_count_replaces_an_estimate():
    """Estimated first, then counted: value and method are the count's, on open spans and root."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.09, method="estimated")
        assert call.now("user1")[LOSS] == pytest.approx(0.09)
        assert call.now("user1")[METHOD] == "estimated"
        call.loss(9, 14, 0.06, known=14.5)
        assert call.now("user1")[LOSS] == pytest.approx(0.06)
        assert call.now("user1")[METHOD] == "counted"
    assert call.root()[LOSS] == pytest.approx(0.06)
    assert call.root()[METHOD] == "counted"


def test_an_estimate_never_replaces_a_count():
    """Counted first, then estimated over the same time: the count stands."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.06)
        call.loss(9, 14, 0.09, method="estimated", known=14.5)
        assert call.now("user1")[LOSS] == pytest.approx(0.06)
        assert call.now("user1")[METHOD] == "counted"
    assert call.root()[LOSS] == pytest.approx(0.06)
    assert call.root()[METHOD] == "counted"


def test_a_loss_of_zero_is_a_loss_that_is_known():
    """0.0 counted is a measurement: it stands, with its method."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.0)
    assert call.exported("user1")[LOSS] == 0.0
    assert call.exported("user1")[METHOD] == "counted"


@pytest.mark.parametrize("leg", ["agent", "pstn"])
def test_another_leg_is_never_called_the_trunks(leg):
    """Loss of the agent or PSTN leg stands under its own prefix and is no `rtp.loss_ratio`."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.3, leg=leg)
        call.loss(9, 14, 0.2, leg=leg, direction="out")
    for attributes in (call.exported("user1"), call.root()):
        assert LOSS not in attributes
        assert "rtp.in.loss_ratio" not in attributes
    prefix = {"agent": "webrtc", "pstn": "pstn"}[leg]
    assert call.root()[f"{prefix}.in.loss_ratio"] == pytest.approx(0.3)
    assert call.root()[f"{prefix}.out.loss_ratio"] == pytest.approx(0.2)
    assert f"{prefix}.in.loss_ratio" not in call.exported("user1")


def test_times_may_be_aware_datetimes():
    """A datetime with a zone says the same as unix seconds."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.call.record_media(
            leg="trunk",
            direction="in",
            loss_ratio=0.06,
            start=datetime.fromtimestamp(call.time.unix(9), UTC),
            end=datetime.fromtimestamp(call.time.unix(14), UTC),
        )
        assert call.now("user1")[LOSS] == pytest.approx(0.06)
        assert call.now("user1")[METHOD] == "counted"


def test_a_held_estimate_is_replaced_by_a_later_count():
    """The estimate stood on the span when it ended; the count came before the export."""
    with Call(late=True) as call:
        call.user_turn(1, 10, 13)
        call.loss(9, 14, 0.09, method="estimated")
        call.end("user1", 14.5)
        call.loss(9, 14, 0.06, known=20)
    assert call.exported("user1")[LOSS] == pytest.approx(0.06)
    assert call.exported("user1")[METHOD] == "counted"


def test_loss_and_method_stand_together_everywhere():
    """No span has one of the two keys without the other."""
    with Call() as call:
        call.user_turn(1, 10, 13)
        call.agent_turn(1, 13.1)
        call.start("tts_node", 13.5, parent="agent1")
        call.loss(9, 14, 0.09, method="estimated")
        call.loss(9, 14, 0.02, direction="out")
        call.loss(9, 14, 0.06)
    for span in call.pipe.finished():
        assert (LOSS in span.attributes) == (METHOD in span.attributes), span.name
