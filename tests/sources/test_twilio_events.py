"""Twilio's Call Events: the progress of a call at each edge, to the millisecond."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.facts import Observation
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.table import SOURCES

EVENTS = SOURCES["twilio-events"]
SID = "CA" + "1" * 32
START = 1795393200


def _event(second: float, name: str, edge: str = "sip_edge", **more: Any) -> dict[str, Any]:
    return {
        "timestamp": f"2026-11-23T00:20:{second:06.3f}Z",
        "call_sid": SID,
        "edge": edge,
        "group": "connection",
        "name": name,
        "level": "INFO",
        edge: {"metadata": {"region": "us1", "external_ip": "203.0.113.9"}},
        **more,
    }


def _parse(*events: Any) -> Parsed:
    return EVENTS.parse("\n".join(map(json.dumps, events)).encode())


def _one(*events: Any) -> Observation:
    (told,) = _parse(*events).observations
    return told


CALL = [
    _event(0.25, "initiated"),
    _event(1.0, "ringing"),
    _event(3.5, "answered"),
    _event(43.528, "completed"),
]


@given(st.permutations(CALL), st.booleans())
def test_the_progress_of_a_call(events: list[dict[str, Any]], twice: bool) -> None:
    """Four events, in any order and twice, give its marks and the times between them."""
    told = _one(*events * (1 + twice))
    assert [(mark.kind, round(mark.start - START, 3)) for mark in told.marks] == [
        ("invite", 0.25),
        ("ringing", 1.0),
        ("answered", 3.5),
        ("hangup", 43.528),
    ]
    assert told.facts["sip.call.outcome"] == "answered"
    times = {key: value for key, value in told.facts.items() if key.endswith("_ms")}
    assert times == {
        "sip.setup_ms": 3250.0,
        "sip.pdd_ms": 750.0,
        "sip.ring_ms": 2500.0,
        "sip.call.duration_ms": 40028.0,
    }
    assert (told.leg, told.completeness) == ("trunk", "complete")


def test_each_edge_is_a_leg() -> None:
    """What happened at the carrier's edge lies beyond the trunk, at its own times."""
    parsed = _parse(*CALL, _event(0.1, "initiated", "carrier_edge"))
    assert {one.leg: len(one.marks) for one in parsed.observations} == {"trunk": 4, "pstn": 1}


@pytest.mark.parametrize(
    "name, outcome",
    [("busy", "busy"), ("no-answer", "no_answer"), ("canceled", "canceled"), ("failed", "failed")],
)
def test_a_call_that_nobody_answered(name: str, outcome: str) -> None:
    """The end of an unanswered call is no hang-up, and gives no duration."""
    told = _one(_event(0.25, "initiated"), _event(5.0, name))
    assert told.facts["sip.call.outcome"] == outcome
    assert [mark.kind for mark in told.marks] == ["invite"]
    assert "sip.call.duration_ms" not in told.facts
    assert told.end == START + 5.0


def test_a_call_that_is_not_over_is_partial() -> None:
    """Without its last event a call is not told to its end."""
    told = _one(*CALL[:2])
    assert (told.completeness, told.end) == ("partial", None)
    assert "sip.call.outcome" not in told.facts


def test_names_of_event_streams() -> None:
    """`call.connected`, as Event Streams' documentation writes it, is the answer."""
    kind = "com.twilio.voice.insights.call-event."
    answered = {"specversion": "1.0", "type": kind + "gateway", "data": _event(1, "call.connected")}
    sdk = {"specversion": "1.0", "type": kind + "sdk", "data": {}}
    parsed = _parse([answered, sdk])
    assert [mark.kind for mark in parsed.observations[0].marks] == ["answered"]
    assert parsed.ignored == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "constant-audio-input-level"},
        {"edge": "sdk_edge"},
        {"edge": "client_edge"},
        {"edge": "ashburn"},
        {"edge": None},
    ],
)
def test_events_of_no_leg_of_ours_are_ignored(change: dict[str, Any]) -> None:
    """Other events, and those of Twilio's own WebRTC client, say nothing of a trunk."""
    assert _parse({**CALL[0], **change}) == Parsed(ignored=1)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"timestamp": 1795393200}, "no time under `timestamp`"),
        ({"call_sid": None}, "no SID under `call_sid`"),
        ({"name": ""}, "no `name`"),
    ],
)
def test_what_lacks_its_id_time_or_name_is_broken(change: dict[str, Any], reason: str) -> None:
    """An event without what it is about is broken, and the next one is read."""
    parsed = _parse({"meta": {}, "events": [{**CALL[0], **change}, CALL[1]]})
    assert [one.reason for one in parsed.broken] == [reason]
    assert len(parsed.observations) == 1


def test_addresses_stand_nowhere() -> None:
    """The gateways' and the peers' addresses are not said."""
    assert "203.0.113" not in repr(_parse(*CALL))


@given(content=st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """Bytes of any kind give a `Parsed` and no exception."""
    assert isinstance(EVENTS.parse(content), Parsed)
