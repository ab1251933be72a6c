"""Twilio's Call Metrics: samples of 10 s, running totals, and whose stream it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.facts import Observation
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.table import SOURCES

METRICS = SOURCES["twilio-metrics"]
SID = "CA" + "1" * 32
START = 1795393200


def _sample(
    second: float, edge: str = "carrier_edge", direction: str = "inbound", **measured: Any
) -> dict[str, Any]:
    minutes, seconds = divmod(second, 60)
    measured.setdefault("codec_name", "pcmu")
    return {
        "timestamp": f"2026-11-23T00:{20 + int(minutes):02}:{seconds:06.3f}Z",
        "call_sid": SID,
        "edge": edge,
        "direction": direction,
        edge: measured,
    }


def _interval(received: int, lost: int, **more: Any) -> dict[str, Any]:
    percent = 100 * lost / (received + lost) if received + lost else 0.0
    return {
        "packets_received": received,
        "packets_lost": lost,
        "packets_loss_percentage": percent,
        **more,
    }


def _parse(*samples: Any) -> Parsed:
    return METRICS.parse("\n".join(map(json.dumps, samples)).encode())


def _one(*samples: Any) -> Observation:
    (told,) = _parse(*samples).observations
    return told


def _windows(observation: Observation) -> list[tuple[float, float, int | None, int | None]]:
    return [
        (one.start - START, one.end - START, one.packet_count, one.lost_count)
        for one in observation.windows
    ]


def test_a_sample_holds_the_ten_seconds_before_it() -> None:
    """Each interval is a window that ends at the sample's time and says what it counted."""
    told = _one(
        _sample(10, interval=_interval(500, 0)),
        _sample(20, interval=_interval(450, 50)),
        _sample(26, interval=_interval(300, 0)),
    )
    assert _windows(told) == [(0, 10, 500, 0), (10, 20, 450, 50), (20, 26, 300, 0)]
    assert told.windows[1].loss_ratio == 0.1
    assert (told.start, told.end) == (START, START + 26)


@pytest.mark.parametrize(
    "edge, direction, place",
    [
        ("carrier_edge", "inbound", ("pstn", "in")),
        ("carrier_edge", "outbound", ("pstn", "out")),
        ("sip_edge", "inbound", ("trunk", "out")),
        ("sip_edge", "outbound", ("trunk", "in")),
    ],
)
def test_edges_are_legs_with_their_directions(
    edge: str, direction: str, place: tuple[str, str]
) -> None:
    """What arrives at Twilio from the bridge goes out; what it sends there goes in."""
    told = _one(_sample(10, edge, direction, interval={"packets_sent": 500, "packets_lost": 0}))
    assert [(one.leg, one.direction) for one in told.windows] == [place]
    assert told.leg == place[0]


def test_loss_of_what_was_sent_is_derived() -> None:
    """Of sent packets without a percentage the share is computed, of running totals as well."""
    first, last = (
        {"packets_sent": 500, "packets_lost": 0},
        {"packets_sent": 1000, "packets_lost": 50},
    )
    told = _one(
        _sample(10, "sip_edge", "outbound", cumulative=first),
        _sample(20, "sip_edge", "outbound", cumulative=last),
    )
    between, whole = told.windows
    assert (between.loss_ratio, between.loss_method) == (0.1, "derived")
    assert (whole.loss_ratio, whole.loss_method) == (0.05, "derived")


def test_running_totals_alone() -> None:
    """Media gateways may write running totals only: their differences are the windows."""
    told = _one(
        _sample(9.5, cumulative={"packets_received": 477, "packets_lost": 0}),
        _sample(19.5, cumulative={"packets_received": 957, "packets_lost": 20}),
        _sample(29.5, cumulative={"packets_received": 1457, "packets_lost": 20}),
    )
    assert _windows(told) == [
        (9.5, 19.5, 480, 20),
        (19.5, 29.5, 500, 0),
        (-0.5, 29.5, 1457, 20),
    ]
    assert told.windows[0].loss_ratio == 0.04


def test_running_totals_beside_intervals_are_no_second_count() -> None:
    """With both, the windows are the intervals; the totals say the jitter of the whole."""
    total = {"packets_received": 500, "packets_lost": 0, "jitter": {"max": 4.0, "avg": 0.5}}
    later = {"packets_received": 999, "packets_lost": 1, "jitter": {"max": 6.0, "avg": 0.75}}
    told = _one(
        _sample(10, interval=_interval(500, 0), cumulative=total),
        _sample(20, interval=_interval(499, 1), cumulative=later),
    )
    assert _windows(told) == [(0, 10, 500, 0), (10, 20, 499, 1), (0, 20, 999, 1)]
    assert (told.windows[2].jitter_ms, told.windows[2].jitter_max_ms) == (0.75, 6.0)
    assert told.windows[0].jitter_ms is None


def test_a_running_total_that_stands_alone_has_no_beginning() -> None:
    """One total says how much, not since when."""
    told = _one(_sample(20, cumulative={"packets_received": 978, "packets_lost": 2}))
    assert not told.windows
    assert [(one.packet_count, one.lost_count) for one in told.untimed] == [(978, 2)]


def test_a_total_that_ran_backwards_gives_no_difference() -> None:
    """A count cannot shrink: between such samples nothing is known."""
    told = _one(
        _sample(10, cumulative={"packets_received": 900}),
        _sample(20, cumulative={"packets_received": 100}),
    )
    assert _windows(told) == [(0, 20, 100, None)]


def test_codec_and_region() -> None:
    """Codec, payload type and region stand beside the counts, or among them."""
    beside = _one(_sample(10, codec=8, codec_name="PCMA", metadata={"region": "ie1"}))
    assert beside.facts["rtp.codec"] == "pcma"
    assert (beside.facts["rtp.payload_type"], beside.facts["trunk.region"]) == (8, "ie1")
    among = _one(_sample(10, codec_name=None, interval={"codec": 9, "packets_received": 1}))
    assert among.facts["rtp.codec"] == "g722"
    unknown = _one(_sample(10, codec_name="unknown_codec_name", metadata={"region": "us1"}))
    assert "rtp.codec" not in unknown.facts


def test_latency_and_sdk_measures_are_not_taken() -> None:
    """Twilio's transit time is no RTT, and its SDK's MOS is of no telephone."""
    measured = _interval(500, 0, latency={"avg": 0.4}, rtt={"value": 80}, mos={"value": 4.4})
    (window,) = _one(_sample(10, interval=measured)).windows
    assert window.measures().keys() == {"packet_count", "lost_count", "loss_ratio"}


SAMPLES = [
    _sample(10.0 * at, edge, direction, interval=_interval(500 - at, at))
    for at in range(1, 4)
    for edge in ("carrier_edge", "sip_edge")
    for direction in ("inbound", "outbound")
]


@given(st.permutations(SAMPLES))
def test_order_and_repetition_do_not_matter(samples: list[dict[str, Any]]) -> None:
    """Samples out of order, and some twice, say the same of each leg."""
    expected = {one.leg: one for one in _parse(*SAMPLES).observations}
    assert {one.leg: one for one in _parse(*samples, *samples[:3]).observations} == expected


def test_pages_and_event_streams() -> None:
    """A page of the API, and gateway metrics by Event Streams, say what single samples say."""
    expected = _parse(*SAMPLES)
    assert _parse({"meta": {"key": "metrics"}, "metrics": SAMPLES}) == expected
    kind = "com.twilio.voice.insights.call-metrics."
    events = [{"specversion": "1.0", "type": kind + "gateway", "data": one} for one in SAMPLES]
    sdk = {"specversion": "1.0", "type": kind + "sdk", "data": {"edge": "sdk_edge"}}
    assert _parse(events) == expected
    assert _parse([*events, sdk]).ignored == 1


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"timestamp": "soon"}, "no time under `timestamp`"),
        ({"call_sid": "+15005550006"}, "no SID under `call_sid`"),
        ({"edge": None}, "no `edge` or no `direction`"),
        ({"direction": 7}, "no `edge` or no `direction`"),
        ({"carrier_edge": None}, "nothing under the name of its edge"),
    ],
)
def test_what_lacks_its_place_is_broken(change: dict[str, Any], reason: str) -> None:
    """A sample without id, time, edge or direction is broken, and the next one is read."""
    parsed = _parse({**SAMPLES[0], **change}, SAMPLES[1])
    assert [(one.line, one.reason) for one in parsed.broken] == [(1, reason)]
    assert len(parsed.observations) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"edge": "sdk_edge"},
        {"edge": "client_edge"},
        {"edge": "unknown_edge"},
        {"direction": "both"},
    ],
)
def test_samples_of_no_leg_of_ours_are_ignored(change: dict[str, Any]) -> None:
    """Twilio's own WebRTC client, and a stream of no direction, are no trunk's."""
    assert _parse({**SAMPLES[0], **change}) == Parsed(ignored=1)


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.none())


@given(st.dictionaries(st.sampled_from(sorted(_interval(1, 1))), VALUES), VALUES)
def test_any_measure(interval: dict[str, Any], cumulative: Any) -> None:
    """Odd measures are left out; the sample is still told."""
    parsed = _parse(_sample(10, interval=interval, cumulative=cumulative))
    assert len(parsed.observations) == 1
    assert not parsed.broken


@given(content=st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """Bytes of any kind give a `Parsed` and no exception."""
    assert isinstance(METRICS.parse(content), Parsed)
