"""Twilio's Call Summaries: which edge is which leg, what is counted, and what a summary is not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES, GOLDEN

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

SUMMARY = SOURCES["twilio-summary"]
CAPTURED = CAPTURES / "twilio" / "call-summary-carrier-inbound.json"
TRUNKING = json.loads(
    (GOLDEN / "twilio-summary" / "made-trunking-originating-loss.json").read_text()
)


def _parse(*records: Any, reading: Reading | None = None) -> Parsed:
    data = "\n".join(map(json.dumps, records)).encode()
    return SUMMARY.parse(data, reading or Reading())


def _changed(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy; `properties__direction="inbound"` reaches into objects."""
    changed = copy.deepcopy(record)
    for path, value in changes.items():
        *steps, last = path.split("__")
        inner = changed
        for step in steps:
            inner = inner[step]
        inner[last] = value
    return changed


def _leg(parsed: Parsed, leg: str) -> Observation:
    (found,) = (one for one in parsed.observations if one.leg == leg)
    return found


def _measures(observation: Observation, direction: str) -> dict[str, Any]:
    told = [*observation.windows, *observation.untimed]
    (found,) = (window.measures() for window in told if window.direction == direction)
    return found


def test_captured_summary_says_what_is_true() -> None:
    """The public summary gives the facts of its label, and no loss for its tags."""
    truth = json.loads(CAPTURED.with_suffix("").with_suffix(".facts.json").read_text())
    (told,) = SUMMARY.parse(CAPTURED.read_bytes()).observations
    assert told.facts["sip.call.direction"] == truth["direction"]
    assert told.facts["sip.response.status_code"] == truth["sip_code"]
    assert told.facts["sip.call.outcome"] == "answered"
    assert told.facts["rtp.codec"] == truth["codec"].lower()
    assert told.facts["sip.hangup.source"] == truth["hung_up_by"]
    assert told.facts["sip.call.duration_ms"] == truth["duration_s"] * 1000
    inward, outward = _measures(told, "in"), _measures(told, "out")
    assert (inward["loss_ratio"], outward["loss_ratio"]) == (0.0, 0.0)
    assert inward["jitter_ms"] == truth["jitter_ms"]
    assert (told.leg, told.completeness) == ("pstn", "complete")


def test_edges_are_legs_with_their_directions() -> None:
    """`sip_edge` is the trunk and `carrier_edge` lies beyond; inbound is what came to Twilio."""
    parsed = _parse(TRUNKING)
    trunk, pstn = _leg(parsed, "trunk"), _leg(parsed, "pstn")
    assert _measures(trunk, "out")["lost_count"] == 2
    assert _measures(trunk, "in")["lost_count"] == 150
    assert _measures(pstn, "in")["loss_ratio"] == 150 / 3000
    assert _measures(pstn, "out")["lost_count"] == 0
    assert {window.leg for window in trunk.windows} == {"trunk"}
    assert {one.ids["provider_call_id"] for one in (trunk, pstn)} == {TRUNKING["call_sid"]}
    assert {one.ids["linked_id"] for one in (trunk, pstn)} == {TRUNKING["call_sid"]}


def test_facts_of_the_call_stand_once() -> None:
    """Code, hang-up and Call-ID stand on the trunk leg alone; the codec on the leg that has it."""
    codec = _changed(TRUNKING, carrier_edge__metrics__inbound__codec=8)
    codec["carrier_edge"]["metrics"]["inbound"]["codec_name"] = "PCMA"
    parsed = _parse(codec)
    trunk, pstn = _leg(parsed, "trunk").facts, _leg(parsed, "pstn").facts
    assert (trunk["rtp.codec"], pstn["rtp.codec"]) == ("pcmu", "pcma")
    for key in ("sip.response.status_code", "sip.hangup.source", "sip.call_id", "trunk.id"):
        assert key in trunk
        assert key not in pstn


def test_carrier_is_twilio_and_never_the_parties_company() -> None:
    """`from.carrier` and `to.carrier` are free text about the parties, not about our trunk."""
    for one in _parse(TRUNKING).observations:
        assert one.facts["trunk.carrier"] == "twilio"
        assert "T-Mobile" not in repr(one)


@pytest.mark.parametrize(
    "word, edge, leg, direction",
    [
        ("trunking_originating", None, "trunk", "inbound"),
        ("trunking-terminating", None, "trunk", "outbound"),
        ("inbound", "inbound", "pstn", "inbound"),
        ("outbound_api", "outbound", "pstn", "outbound"),
        ("outbound_dial", "outbound", "pstn", "outbound"),
        ("outbound_dial", "outbound", "trunk", "inbound"),
        ("outbound_api", None, "trunk", "inbound"),
        ("inbound", "inbound", "trunk", "outbound"),
        (None, "outbound", "trunk", "inbound"),
        ("sideways", None, "pstn", None),
    ],
)
def test_direction_is_the_agents(
    word: str | None, edge: str | None, leg: str, direction: str | None
) -> None:
    """What Twilio places towards the SIP side comes to the agent; towards a phone it goes out."""
    name, other = ("sip_edge", "carrier_edge") if leg == "trunk" else ("carrier_edge", "sip_edge")
    record = _changed(TRUNKING, properties__direction=word, call_type=None, **{other: None})
    record[name]["properties"]["direction"] = edge
    assert _leg(_parse(record), leg).facts.get("sip.call.direction") == direction


def test_direction_by_the_party_on_the_sip_side() -> None:
    """Where no direction is told, a party behind SIP tells it."""
    record = _changed(TRUNKING, properties=None, to={"callee": "sip:a@bridge.example.com"})
    record["sip_edge"]["properties"].pop("direction")
    assert _leg(_parse(record), "trunk").facts["sip.call.direction"] == "inbound"
    record = _changed(record, to=TRUNKING["to"], **{"from": {"connection": "sip_interface"}})
    assert _leg(_parse(record), "trunk").facts["sip.call.direction"] == "outbound"


def test_direction_as_configured() -> None:
    """What is said of the bridge counts more than the record's own word."""
    reading = Reading(bridge=Bridge(end="caller"))
    told = _parse(TRUNKING, reading=reading).observations
    assert {one.facts["sip.call.direction"] for one in told} == {"outbound"}
    reading = Reading(bridge=Bridge(names=frozenset({"bridge.example.com"})))
    record = _changed(TRUNKING, properties=None, from__caller="sip:a@bridge.example.com:5060")
    assert _leg(_parse(record, reading=reading), "trunk").facts["sip.call.direction"] == "outbound"
    reading = Reading(bridge=Bridge(names=frozenset({"2001:db8::5"})))
    record = _changed(TRUNKING, properties=None, from__caller="sip:a@[2001:DB8:0::5]:5060")
    assert _leg(_parse(record, reading=reading), "trunk").facts["sip.call.direction"] == "outbound"


def test_missing_stream_is_not_invented() -> None:
    """`silence` beside a stream without metrics leaves that stream unknown, not 0 packets."""
    record = _changed(TRUNKING, tags=["silence"], carrier_edge=None)
    del record["sip_edge"]["metrics"]["inbound"]
    (told,) = _parse(record).observations
    assert {window.direction for window in told.windows} == {"in"}


def test_tags_are_no_measures() -> None:
    """A summary says the same with any tags and without."""
    tags = ["high_packet_loss", "high_jitter", "silence", "high_latency"]
    with_tags = _parse(_changed(TRUNKING, tags=tags)).observations
    assert with_tags == _parse(_changed(TRUNKING, tags=None)).observations


def test_latency_is_no_round_trip_time() -> None:
    """Twilio's `latency` is its own transit, and the SDK's `rtt` is of no telephone."""
    record = _changed(TRUNKING, sdk_edge={"metrics": {"inbound": {"rtt": {"avg": 81.0}}}})
    for one in _parse(record).observations:
        assert not any("rtt_ms" in window.measures() for window in one.windows)


@pytest.mark.parametrize(
    "stream, expected",
    [
        ({"packets_received": 1900, "packets_lost": 100, "packets_loss_percentage": 4.0}, 0.05),
        ({"packets_received": 1900, "packets_loss_percentage": 2.5}, 0.025),
        ({"packets_loss_percentage": 0}, 0.0),
        ({"packets_sent": 1953, "packets_lost": 40, "packets_loss_percentage": 2.05}, 0.0205),
        ({"packets_sent": 1000, "packets_lost": 100}, 0.1),
        ({"packets_sent": 1000, "packets_lost": 20, "packets_loss_percentage": 0}, 0.02),
        ({"packets_sent": 1000, "packets_lost": 0}, 0.0),
        ({"packets_sent": 0, "packets_lost": 0}, None),
        ({"packets_sent": 0, "packets_lost": 4}, None),
        ({"packets_sent": 10, "packets_lost": 11}, None),
        ({"packets_received": 0, "packets_lost": 0, "packets_loss_percentage": 0.0}, None),
        ({"packets_received": 0, "packets_lost": 12}, 1.0),
        ({"packets_received": 500}, None),
        ({"packets_received": 500, "packets_loss_percentage": 140.0}, None),
        ({"packets_received": 500, "packets_loss_percentage": -1}, None),
    ],
)
def test_loss_as_it_is_counted(stream: dict[str, Any], expected: float | None) -> None:
    """What came is counted, what was sent has a percentage; of nothing there is no loss."""
    record = _changed(TRUNKING, sip_edge__metrics={"inbound": {"jitter": {"avg": 1.0}, **stream}})
    found = _measures(_leg(_parse(record), "trunk"), "out").get("loss_ratio")
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize(
    "stream, method",
    [
        ({"packets_received": 1900, "packets_lost": 100}, "counted"),
        ({"packets_sent": 1000, "packets_lost": 100, "packets_loss_percentage": 10.0}, "counted"),
        ({"packets_sent": 1000, "packets_lost": 0, "packets_loss_percentage": 0}, "counted"),
        ({"packets_sent": 1000, "packets_lost": 100}, "derived"),
        ({"packets_sent": 1000, "packets_lost": 100, "packets_loss_percentage": 0}, "derived"),
    ],
)
def test_loss_of_what_was_sent_is_derived(stream: dict[str, Any], method: str) -> None:
    """A share of the packets that Twilio sent, where it states none itself, is our arithmetic."""
    record = _changed(TRUNKING, sip_edge__metrics={"outbound": stream})
    (window,) = _leg(_parse(record), "trunk").windows
    assert window.loss_method == method


def test_no_post_dial_delay_is_none() -> None:
    """A `pdd_ms` of 0 is one that was not measured."""
    facts = _leg(_parse(_changed(TRUNKING, properties__pdd_ms=0)), "trunk").facts
    assert "sip.pdd_ms" not in facts


def test_zero_packets_that_came_are_told() -> None:
    """A count of 0 that Twilio made is a fact, unlike a stream that is not there."""
    stream = {"packets_received": 0, "packets_lost": 0, "packets_loss_percentage": 0.0}
    record = _changed(TRUNKING, sip_edge__metrics={"inbound": stream})
    measures = _measures(_leg(_parse(record), "trunk"), "out")
    assert measures == {"packet_count": 0, "lost_count": 0}


@pytest.mark.parametrize(
    "state, code, outcome, status",
    [
        ("completed", 200, "answered", 200),
        ("completed", 481, "answered", None),
        ("answered", None, "answered", None),
        ("busy", 486, "busy", 486),
        ("fail", 503, "congestion", 503),
        ("fail", 480, "no_answer", 480),
        ("fail", None, "failed", None),
        ("noanswer", 487, "no_answer", 487),
        ("noanswer", 480, "no_answer", 480),
        ("canceled", 487, "canceled", 487),
        ("canceled", 200, "canceled", None),
        ("ringing", 180, None, None),
        ("undialed", None, None, None),
        (None, 486, "busy", 486),
        ("whatever", 200, None, None),
        ("fail", 9999, "failed", None),
    ],
)
def test_what_became_of_the_call(
    state: str | None, code: int | None, outcome: str | None, status: int | None
) -> None:
    """The last SIP response is the answer to the INVITE only where it fits the call's state."""
    record = _changed(TRUNKING, call_state=state, properties__last_sip_response_num=code)
    facts = _leg(_parse(record), "trunk").facts
    assert facts.get("sip.call.outcome") == outcome
    assert facts.get("sip.response.status_code") == status


def test_an_unanswered_call_has_no_duration_and_nobody_who_hung_up() -> None:
    """A `connect_duration` of 0 of a call that was not answered says nothing."""
    record = _changed(
        TRUNKING, call_state="busy", connect_duration=0, properties__last_sip_response_num=486
    )
    facts = _leg(_parse(record), "trunk").facts
    assert "sip.call.duration_ms" not in facts
    assert "sip.hangup.source" not in facts


@pytest.mark.parametrize(
    "told, expected",
    [("human", "human"), ("machine_end_beep", "machine"), ("fax", "machine"), ("unknown", None)],
)
def test_answered_by(told: str, expected: str | None) -> None:
    """Twilio's detection in our two words; what it does not know is absent."""
    facts = _leg(_parse(_changed(TRUNKING, answered_by=told)), "trunk").facts
    assert facts.get("sip.answered_by") == expected


def test_media_lie_within_the_answered_time() -> None:
    """`start_time` is the INVITE in some summaries: the streams ran for `connect_duration`."""
    record = _changed(TRUNKING, start_time="2026-11-23T00:20:00Z", connect_duration=41)
    told = _leg(_parse(record), "trunk")
    assert told.end is not None
    assert {(one.start, one.end) for one in told.windows} == {(told.end - 41, told.end)}


def test_media_of_a_summary_without_times() -> None:
    """Sums of a summary that does not say when it was are of the whole call."""
    record = _changed(TRUNKING, start_time=None, end_time=None, created_time=None)
    told = _leg(_parse(record), "trunk")
    assert not told.windows
    assert len(told.untimed) == 2


def test_partial_and_complete() -> None:
    """A partial summary is marked so; the complete one takes its place, in whatever order."""
    partial = _changed(TRUNKING, processing_state="partial", connect_duration=None)
    assert {one.completeness for one in _parse(partial).observations} == {"partial"}
    for order in ((partial, TRUNKING), (TRUNKING, partial)):
        parsed = _parse(*order)
        assert parsed.observations == _parse(TRUNKING).observations
        assert parsed.ignored == 1


def test_the_newest_of_two_partial_ones() -> None:
    """Of two partial summaries the one of the later version counts, else the later one."""
    first = _changed(TRUNKING, processing_state="partial", processing_version=3)
    second = _changed(first, processing_version=2, call_state="ringing")
    assert _parse(first, second).observations == _parse(first).observations
    third = _changed(first, connect_duration=7)
    assert _parse(first, third).observations == _parse(third).observations


@pytest.mark.parametrize(
    "kind, completeness",
    [("complete", "complete"), ("partial", "partial"), ("predicted-complete", "partial")],
)
def test_event_streams(kind: str, completeness: str) -> None:
    """A list of CloudEvents is taken; their type says how far the summary is, if it does not."""
    data = _changed(TRUNKING, parent_call_sid="CA" + "b" * 32)
    del data["processing_state"]
    event = {
        "specversion": "1.0",
        "type": f"com.twilio.voice.insights.call-summary.{kind}",
        "data": data,
    }
    parsed = _parse([event, {**event, "type": "com.twilio.eventstreams.test-event"}])
    assert {one.completeness for one in parsed.observations} == {completeness}
    assert {one.ids["linked_id"] for one in parsed.observations} == {"CA" + "b" * 32}
    assert parsed.ignored == 1


def test_data_of_an_event_may_be_a_text() -> None:
    """The first version of the schema came as JSON in a text; a text that is none is broken."""
    kind = "com.twilio.voice.insights.call-summary.complete"
    event = {"specversion": "1.0", "type": kind, "data": TRUNKING}
    text = {**event, "data": json.dumps(TRUNKING)}
    assert _parse([text]).observations == _parse([event]).observations
    for data in ("", "{", "[]", "7", "[" * 5000, "\ud800"):
        (broken,) = _parse({**event, "data": data}).broken
        assert broken.reason == "an event without `type` or `data`"


def test_a_summary_as_the_sdk_for_javascript_writes_it() -> None:
    """Its names are `callSid` and `sipEdge`, those within the edges stay as they are."""
    words = ((key.split("_"), value) for key, value in TRUNKING.items())
    camel = {first + "".join(map(str.title, more)): value for (first, *more), value in words}
    assert "callSid" in camel
    assert _parse(camel) == _parse(TRUNKING)
    assert _parse({"call_summaries": [camel]}) == _parse(TRUNKING)


FIRST_SCHEMA = {
    "call_sid": "CA" + "e" * 32,
    "parent_call_sid": "",
    "start_time": "2026-11-23T00:20:00Z",
    "end_time": "2026-11-23T00:20:05Z",
    "duration": 5,
    "connect_duration": 0,
    "call_type": "sip",
    "call_state": "fail",
    "from": {"caller": "+15005550006", "callee": "", "location": None, "country_code": "US"},
    "to": {"caller": "", "callee": "sip:agent@bridge.example.com", "connection": "sip_interface"},
    "processing_state": "partial",
    "processing_version": 1,
    "sip_edge": None,
    "carrier_edge": None,
    "sdk_edge": None,
    "client_edge": None,
    "tags": [],
    "attributes": None,
    "properties": {
        "q850_cause": 34,
        "last_sip_response_num": 503,
        "pdd_ms": 0,
        "route_id": "",
        "media_region": "unknown_realm",
        "signaling_region": "us1",
        "sip_call_id": "b7@192.0.2.9",
        "trunk_sid": "TK" + "1" * 32,
        "disconnected_by": "unknown_disconnected_by",
        "direction": "outbound_dial",
    },
}


def test_the_first_schema_has_the_edges_properties_among_the_calls() -> None:
    """Region, Call-ID and trunk stand with the call, beside a Q.850 cause."""
    (told,) = _parse(FIRST_SCHEMA).observations
    assert (told.leg, told.completeness) == ("trunk", "partial")
    assert told.facts["trunk.region"] == "us1"
    assert told.facts["sip.reason.q850"] == 34
    assert told.facts["sip.response.status_code"] == 503
    assert told.facts["trunk.id"] == "TK" + "1" * 32
    assert told.ids["call_id"] == "b7"
    assert "sip.hangup.source" not in told.facts


def test_what_twilio_does_not_know_is_not_told() -> None:
    """`unknown_realm` is no region, an empty Call-ID no Call-ID, and cause 0 none."""
    record = _changed(
        FIRST_SCHEMA,
        properties__signaling_region="unknown_realm",
        properties__sip_call_id="",
        properties__trunk_sid="",
        properties__q850_cause=0,
        properties__last_sip_response_num=0,
    )
    (told,) = _parse(record).observations
    assert told.facts["sip.call.outcome"] == "failed"
    assert not {"trunk.region", "trunk.id", "sip.reason.q850", "sip.response.status_code"} & set(
        told.facts
    )
    assert "call_id" not in told.ids


@pytest.mark.parametrize("digits", [28, 31, 32, 33])
def test_sids_of_the_documentation(digits: int) -> None:
    """The examples of Twilio's pages have SIDs that are a little too short."""
    (told,) = _parse({**FIRST_SCHEMA, "call_sid": "CA" + "0" * digits}).observations
    assert told.record_id == "CA" + "0" * digits


@pytest.mark.parametrize("call_type", ["client", "whatsapp", None])
def test_a_call_without_a_leg_of_ours_is_ignored(call_type: str | None) -> None:
    """Twilio's own WebRTC client is no telephone and no trunk."""
    record = _changed(
        TRUNKING,
        call_type=call_type,
        sip_edge=None,
        carrier_edge=None,
        client_edge=TRUNKING["sip_edge"],
    )
    assert _parse(record) == Parsed(ignored=1)


def test_a_failed_call_without_edges_stands_on_the_leg_of_its_type() -> None:
    """A call that never had media is told by its type."""
    record = _changed(TRUNKING, call_state="fail", sip_edge=None, carrier_edge=None)
    (told,) = _parse(record).observations
    assert told.leg == "trunk"
    (told,) = _parse(_changed(record, call_type="carrier")).observations
    assert told.leg == "pstn"


def test_pages_lists_and_lines_are_the_same() -> None:
    """A page of the API, a list, and one a line say the same."""
    other = _changed(TRUNKING, call_sid="CA" + "c" * 32)
    lines = _parse(TRUNKING, other)
    assert _parse([TRUNKING, other]) == lines
    assert _parse({"meta": {"key": "call_summaries"}, "call_summaries": [TRUNKING, other]}) == lines
    assert _parse({"meta": {}, "call_summaries": []}) == Parsed(ignored=1)


def test_persons_stand_nowhere() -> None:
    """Neither numbers, SIP users nor addresses of the parties are in clear anywhere."""
    record = _changed(
        TRUNKING,
        from__caller="sip:+15005550006@203.0.113.9",
        to__callee="sip:alice.smith@bridge.example.com",
        sip_edge__properties__sip_call_id="+15005550006-77@203.0.113.9",
    )
    said = repr(_parse(record).observations)
    for person in ("5005550006", "alice", "203.0.113.9", "54.172.60.1"):
        assert person not in said


PATHS = st.sampled_from(
    [
        "call_sid", "call_type", "call_state", "processing_state", "created_time", "start_time",
        "end_time", "duration", "connect_duration", "from", "to", "sip_edge", "carrier_edge",
        "properties", "tags", "from__caller", "properties__direction", "properties__pdd_ms",
        "properties__last_sip_response_num", "properties__disconnected_by",
        "sip_edge__properties", "sip_edge__metrics", "sip_edge__metrics__inbound",
        "sip_edge__metrics__inbound__codec", "sip_edge__metrics__inbound__codec_name",
        "sip_edge__metrics__inbound__packets_received", "sip_edge__metrics__inbound__jitter",
        "sip_edge__metrics__inbound__packets_loss_percentage",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(path=PATHS, value=JSON)
def test_any_value_anywhere(path: str, value: Any) -> None:
    """A value of any kind in any place leaves a record that is told, broken or ignored."""
    parsed = _parse(_changed(TRUNKING, **{path: value}))
    assert bool(parsed.observations) + len(parsed.broken) + parsed.ignored == 1


@given(content=st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """Bytes of any kind give a `Parsed` and no exception."""
    assert isinstance(SUMMARY.parse(content), Parsed)
