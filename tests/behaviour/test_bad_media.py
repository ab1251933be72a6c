"""A bad window leaves the call alone: it is absent, logged once and counted."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from trunktrace.guard import guard

from .bad import GOOD_MEDIA, HUGE, NOW, TEN_KB, anything
from .kit import LOSS, Pipeline, log_lines, ours

NAIVE = datetime(2026, 10, 1, 12, 0, 0)  # noqa: DTZ001  # what must be refused


AWARE = datetime(2026, 10, 1, 12, 0, 0, tzinfo=UTC)


BAD_MEDIA = {
    "leg": [{"leg": value} for value in ("carrier", "", "Trunk", None, 5, [], {})],
    "direction": [{"direction": value} for value in ("inbound", "", "IN", None, 5, [], {})],
    "method": [{"loss_method": value} for value in ("guessed", "", None, 5, [], {})],
    "ratio": [
        {"loss_ratio": value}
        for value in (
            1.01,
            -0.01,
            math.nan,
            math.inf,
            -math.inf,
            True,
            "0.1",
            HUGE,
            -HUGE,
            [0.1],
            b"1",
            5,
        )
    ],
    "start": [
        {"start": value}
        for value in (
            None,
            "now",
            math.nan,
            math.inf,
            -1.0,
            True,
            HUGE,
            NAIVE,
            NOW + 60,
            [],
            datetime.min,  # noqa: DTZ901  # naive is what must be refused
            datetime.max,  # noqa: DTZ901
        )
    ],
    "end": [
        {"end": value}
        for value in (
            None,
            "now",
            math.nan,
            -math.inf,
            -1.0,
            True,
            HUGE,
            NAIVE,
            NOW - 60,
            [],
            datetime.min,  # noqa: DTZ901
        )
    ],
    "mixed": [
        {"start": AWARE, "end": AWARE - timedelta(seconds=1)},
        {"start": NAIVE, "end": NAIVE + timedelta(seconds=1)},
        {"start": AWARE, "end": NAIVE},
    ],
}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(case, id=f"{kind}-{i}")
        for kind, cases in BAD_MEDIA.items()
        for i, case in enumerate(cases)
    ],
)
def test_a_bad_window_is_absent_logged_once_and_counted(pipe, log, wrong):
    """Nothing raised, no media attribute anywhere, one log line, counted."""
    before = guard.dropped_facts
    with pipe.call(direction="outbound") as call:
        child = pipe.tracer.start_span("user_turn", start_time=int((NOW - 5) * 1e9))
        call.record_media(**(GOOD_MEDIA | wrong))
        assert ours(child.attributes) == {"sip.call.direction": "outbound"}
        child.end()
    media = [
        key for key in pipe.attributes("sip.call") if key.startswith(("rtp.", "webrtc.", "pstn."))
    ]
    assert media == []
    assert guard.dropped_facts - before >= 1
    assert len(log_lines(log)) == 1
    assert guard.counts == {}


@pytest.mark.parametrize(
    "name, value",
    [
        *(("jitter_ms", value) for value in (-1, math.nan, math.inf, True, "5", HUGE)),
        *(("rtt_ms", value) for value in (-1, math.nan, math.inf, True, "5", HUGE)),
        *(("mos", value) for value in (-1, 0, 6, math.nan, True, "4", HUGE)),
        *(("lost_count", value) for value in (-1, 1.5, math.nan, True, "4", HUGE)),
        *(("mos_algorithm", value) for value in ("", TEN_KB, "a\x00b", 5, True)),
        ("no_such_measure", 1.0),
        ("rtp.in.loss_ratio", 1.0),
    ],
)
def test_a_bad_measure_costs_only_itself(pipe, log, name, value):
    """Beside a bad measure the good loss of the same window stands."""
    before = guard.dropped_facts
    with pipe.call(direction="outbound") as call:
        call.record_media(**GOOD_MEDIA, **{name: value})
    root = pipe.attributes("sip.call")
    assert root[LOSS] == pytest.approx(0.1)
    allowed = {LOSS, "rtp.loss_method", "rtp.in.loss_ratio"}
    assert {key for key in root if key.startswith("rtp.")} <= allowed
    assert guard.dropped_facts - before == 1
    assert len(log_lines(log)) == 1


def test_a_window_without_any_measure_says_nothing(pipe):
    """Times without a measure are no fact."""
    with pipe.call(direction="outbound") as call:
        call.record_media(leg="trunk", direction="in", start=NOW - 1, end=NOW)
    assert not any(key.startswith("rtp.") for key in pipe.attributes("sip.call"))


def test_a_loss_of_more_than_everything_never_reaches_a_span(pipe):
    """Counts that contradict each other give no ratio above 1."""
    with pipe.call(direction="outbound") as call:
        call.record_media(
            leg="trunk", direction="in", start=NOW - 1, end=NOW, packet_count=5, lost_count=10**12
        )
    assert pipe.attributes("sip.call").get(LOSS, 0.0) <= 1.0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    leg=st.sampled_from(["trunk", "agent", "pstn"]) | anything,
    direction=st.sampled_from(["in", "out"]) | anything,
    start=st.floats(NOW - 10, NOW) | anything,
    end=st.floats(NOW - 10, NOW) | anything,
    loss_method=st.sampled_from(["counted", "estimated"]) | anything,
    measures=st.dictionaries(
        st.sampled_from(["loss_ratio", "packet_count", "lost_count", "jitter_ms", "mos", "rtt_ms"]),
        st.floats(0, 1) | anything,
        max_size=3,
    ),
)
def test_whatever_media_is_recorded_nothing_is_raised(
    leg, direction, start, end, loss_method, measures
):
    """Any window: no exception; a ratio that stands is 0..1 and has its method beside it."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        call.record_media(
            leg=leg, direction=direction, start=start, end=end, loss_method=loss_method, **measures
        )
    root = pipe.attributes("sip.call")
    assert (LOSS in root) == ("rtp.loss_method" in root)
    assert 0 <= root.get(LOSS, 0.0) <= 1
    assert guard.counts == {}
