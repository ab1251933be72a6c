"""Twilio, Telnyx, Plivo, Vonage and SignalWire: their samples, and other records of theirs."""

from __future__ import annotations

import copy
import json
import random
from urllib.parse import parse_qsl, urlencode

import pytest

from .shelf import (
    OUTCOMES,
    losses,
    measure,
    on,
    parsed,
    raw,
    read,
    same,
    sample,
    values,
    windows,
)

SAMPLES = [
    ("twilio", "call-summary-carrier-inbound", "json", "twilio-summary"),
    ("twilio", "status-busy-486", "form", "twilio-status"),
    ("telnyx", "hangup-200-2021", "json", "telnyx"),
    ("telnyx", "hangup-200-quality", "json", "telnyx"),
    ("telnyx", "hangup-487-originator-cancel", "json", "telnyx"),
    ("plivo", "hangup-completed", "form", "plivo"),
    ("plivo", "vobiz-inbound-hangup", "json", "plivo"),
    ("vonage", "event-answered", "json", "vonage"),
    ("vonage", "event-completed", "json", "vonage"),
    ("signalwire", "status-completed-58s", "form", "signalwire"),
]


def body(system: str, name: str, ending: str) -> bytes:
    """A captured body."""
    return raw(system, f"{name}.{ending}")


@pytest.mark.parametrize("system,name,ending,source", SAMPLES, ids=lambda v: v)
def test_each_sample_says_what_was_true_and_nothing_else(system, name, ending, source):
    """Code, cause, codec, outcome, who hung up, duration, direction; no loss of a skip count, no
    jitter of a variance."""
    facts = sample(system, name)
    records = read(source, body(system, name, ending))
    assert len(records) == 1
    assert records[0]["leg"] == "pstn"
    told = records[0]["facts"]
    assert told.get("sip.response.status_code") in (
        {facts["sip_code"]} if facts["sip_code"] else {None, 200 if facts["answered"] else None}
    )
    assert told.get("sip.reason.q850") == facts["q850_cause"]
    outcome = told.get("sip.call.outcome")
    assert (outcome == "answered") == facts["answered"]
    assert told.get("rtp.codec") == (facts["codec"] and facts["codec"].lower())
    assert told.get("sip.call.direction") in (None, facts["direction"])
    by = (facts["hung_up_by"] or "").split(" ")[0] or None
    if by == "application":
        assert told.get("sip.hangup.source") in (None, "agent", "platform")
    elif facts["answered"]:
        assert told.get("sip.hangup.source") == by
    else:
        assert told.get("sip.hangup.source") in (None, by)
    if facts["duration_s"]:
        assert told["sip.call.duration_ms"] == facts["duration_s"] * 1000
    if not facts["answered"]:
        assert "sip.call.duration_ms" not in told
    if facts["loss_ratio_in"] is None:
        assert losses(records, "pstn", "in") == losses(records, "pstn", "out") == []
    else:
        assert losses(records, "pstn", "in") == [(facts["loss_ratio_in"], "counted")]
        assert losses(records, "pstn", "out") == [(facts["loss_ratio_out"], "counted")]
    if facts["jitter_ms"] is None:
        assert {measure(w, "jitter_ms") for w in windows(records)} <= {None}
    else:
        (into,) = windows(records, "pstn", "in")
        assert measure(into, "jitter_ms") == pytest.approx(facts["jitter_ms"], abs=1e-3)


@pytest.mark.parametrize("system,name,ending,source", SAMPLES, ids=lambda v: v)
def test_a_record_more_in_the_file_is_a_call_more(system, name, ending, source):
    """Two calls in one file: one a line (forms), a list, lines, pretty, with unknown fields."""
    one = body(system, name, ending)
    ids = (
        "call_sid",
        "CallSid",
        "call_leg_id",
        "call_control_id",
        "call_session_id",
        "CallUUID",
        "ALegUUID",
        "ALegRequestUUID",
        "RequestUUID",
        "uuid",
        "conversation_uuid",
        "SipCallId",
        "id",
        "webhook_id",
    )

    def other(value, key=""):
        if isinstance(value, dict):
            return {k: other(v, k) for k, v in value.items()}
        if key in ids and isinstance(value, str):
            return value[:-4] + ("0000" if not value.endswith("0000") else "1111")
        return value

    if ending == "form":
        pairs = dict(parse_qsl(one.decode(), keep_blank_values=True))
        two = urlencode(other(pairs)).encode()
        more = urlencode({**pairs, "NewField": "x"}).encode()
        packings = [one + b"\n" + two, two + b"\r\n" + one + b"\r\n", more + b"\n\n" + two]
    else:
        document = json.loads(one)
        again = other(document)
        packings = [
            json.dumps(document) + "\n" + json.dumps(again),
            json.dumps([again, document]),
            json.dumps(document, indent=1) + "\n" + json.dumps(again, indent=1),
            "\ufeff" + json.dumps([document, {**again, "new_field": {"x": 1}}]),
        ]
    alone = read(source, one)
    for data in packings:
        records = read(source, data)
        assert len(records) == 2, data[:80]
        assert alone[0] in records


@pytest.mark.parametrize(
    "system,name,ending,source", [s for s in SAMPLES if s[2] == "form"], ids=lambda v: v
)
def test_a_form_may_be_json_of_its_fields(system, name, ending, source):
    """A log shows a form post as JSON."""
    one = body(system, name, ending)
    pairs = dict(parse_qsl(one.decode(), keep_blank_values=True))
    same(read(source, json.dumps(pairs)), read(source, one))


STATUS = dict(parse_qsl(body("twilio", "status-busy-486", "form").decode(), keep_blank_values=True))


def status(**more) -> bytes:
    """A Twilio callback with other fields; None takes one out."""
    return urlencode({k: v for k, v in (STATUS | more).items() if v is not None}).encode()


@pytest.mark.parametrize("code", OUTCOMES)
def test_twilio_callbacks_have_the_code_and_what_became_of_it(code):
    """SipResponseCode; failed with 480 is no answer."""
    states = {480: "no-answer", 486: "busy", 600: "busy", 487: "canceled"}
    records = read(
        "twilio-status", status(SipResponseCode=str(code), CallStatus=states.get(code, "failed"))
    )
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}
    assert values(records, "trunk.carrier") == {"twilio"}


def test_twilio_callbacks_may_come_in_any_order():
    """SequenceNumber orders them: one call, its last word."""
    rows = [
        status(SequenceNumber="0", CallStatus="initiated", SipResponseCode=None),
        status(SequenceNumber="1", CallStatus="ringing", SipResponseCode=None),
        status(SequenceNumber="2", CallStatus="in-progress", SipResponseCode=None),
        status(
            SequenceNumber="3", CallStatus="completed", SipResponseCode="200", CallDuration="77"
        ),
    ]
    wanted = read("twilio-status", b"\n".join(rows))
    assert len(wanted) == 1
    assert wanted[0]["facts"]["sip.call.duration_ms"] == 77_000
    assert wanted[0]["facts"]["sip.call.outcome"] == "answered"
    for seed in range(4):
        same(read("twilio-status", b"\n".join(random.Random(seed).sample(rows, 4))), wanted)


@pytest.mark.parametrize(
    "verdict,told",
    [
        ("TN-Validation-Passed-A", "A"),
        ("TN-Validation-Passed-B", "B"),
        ("TN-Validation-Passed-C", "C"),
        ("No-TN-Validation", None),
        ("TN-Validation-Failed-A", None),
    ],
)
def test_a_failed_signature_is_no_attestation(verdict, told):
    """StirVerstat of an inbound call."""
    records = read("twilio-status", status(StirVerstat=verdict, Direction="inbound"))
    found = values(records, "sip.stir.attestation")
    assert found == ({told} if told else set()) or (told is None and found == {"none"})


TRUNKING = json.loads("""
{"call_sid":"CAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","call_type":"trunking","call_state":"completed",
 "processing_state":"complete","created_time":"2021-08-25T14:31:18Z",
 "start_time":"2021-08-25T14:31:22Z","end_time":"2021-08-25T14:32:02Z","duration":44,
 "connect_duration":41,
 "from":{"caller":"+15555555555","carrier":"ACS","connection":"landline","country_code":"US"},
 "to":{"callee":"+15555555556","carrier":"X","connection":"landline","country_code":"US"},
 "sip_edge":{"properties":{"media_region":"us1","signaling_region":"us1","sip_call_id":"a@192.0.2.1",
 "trunk_sid":"TK0123456789abcdef0123456789abcdef","direction":"inbound"},
 "metrics":{"outbound":{"codec":0,"codec_name":"pcmu","packets_sent":1953,"packets_lost":0,
 "packets_loss_percentage":0.0,"jitter":{"max":1.76407,"avg":0.23138},
 "latency":{"max":0.386,"avg":0.3765}}}},
 "carrier_edge":{"properties":{"media_region":"us1","signaling_region":"us1","direction":"outbound"}},
 "sdk_edge":null,"client_edge":null,"tags":["silence"],"attributes":{"conference_participant":false},
 "properties":{"last_sip_response_num":200,"pdd_ms":1990,"disconnected_by":"caller",
 "direction":"trunking_terminating"},"trust":null,"annotation":null}
""")


def test_a_trunking_summary_is_told_on_the_bridges_leg():
    """The public example: sip_edge is the trunk, terminating is outbound; no RTT of `latency`."""
    records = read("twilio-summary", json.dumps(TRUNKING))
    trunk = on(records, "trunk")
    assert len(trunk) == 1
    told = trunk[0]["facts"]
    assert told["sip.response.status_code"] == 200
    assert told["sip.call.direction"] == "outbound"
    assert told["sip.pdd_ms"] == 1990
    assert told["sip.call.duration_ms"] == 41_000
    assert told["sip.hangup.source"] == "caller"
    assert told["trunk.id"].startswith("TK")
    (only,) = windows(records, "trunk")
    assert only["direction"] == "in", "what Twilio sends to the bridge is on its way to the agent"
    assert measure(only, "jitter_ms") == 0.23138
    assert measure(only, "rtt_ms") is None
    assert measure(only, "mos") is None


@pytest.mark.parametrize(
    "edge,leg,into", [("carrier_edge", "pstn", "in"), ("sip_edge", "trunk", "out")]
)
@pytest.mark.parametrize("lost,percent", [(100, 4.76), (0, 0), (2000, 50.0)])
def test_an_edges_inbound_loss_is_on_its_leg(edge, leg, into, lost, percent):
    """Counted as Twilio counted it; percent of 100."""
    summary = copy.deepcopy(TRUNKING)
    summary["sip_edge"].pop("metrics")
    summary[edge]["metrics"] = {
        "inbound": {
            "codec": 8,
            "codec_name": "pcma",
            "packets_received": 2000,
            "packets_lost": lost,
            "packets_loss_percentage": percent,
            "jitter": {"max": 31.0, "avg": 9.0},
        }
    }
    records = read("twilio-summary", json.dumps(summary))
    (only,) = windows(records)
    assert (only["leg"], only["direction"]) == (leg, into)
    assert measure(only, "lost_count") == lost
    assert measure(only, "packet_count") == 2000
    assert measure(only, "loss_ratio") == pytest.approx(lost / (2000 + lost), abs=0.001)
    assert measure(only, "loss_method") == "counted"
    assert measure(only, "jitter_max_ms") == 31.0
    assert "pcma" in values(records, "rtp.codec")


def test_a_partial_summary_gives_way_to_the_complete_one():
    """Both in one file, in either order: one call, complete."""
    partial = copy.deepcopy(TRUNKING) | {"processing_state": "partial", "call_state": "ringing"}
    partial["properties"] = {"direction": "trunking_terminating"}
    for order in ([partial, TRUNKING], [TRUNKING, partial]):
        found = parsed("twilio-summary", json.dumps(order))
        assert {each.completeness for each in found.observations} == {"complete"}
        same(
            read("twilio-summary", json.dumps(order)), read("twilio-summary", json.dumps(TRUNKING))
        )
    lone = parsed("twilio-summary", json.dumps(partial))
    assert {each.completeness for each in lone.observations} == {"partial"}


@pytest.mark.parametrize("wrap", ["page", "event", "events"])
def test_twilio_wraps_summaries_in_pages_and_events(wrap):
    """The list answer, and Event Streams' CloudEvents."""
    event = {
        "specversion": "1.0",
        "type": "com.twilio.voice.insights.call-summary.complete",
        "id": "EZ1",
        "time": "2021-08-25T14:50:00Z",
        "data": TRUNKING,
    }
    data = {
        "page": {"call_summaries": [TRUNKING], "meta": {"page": 0, "key": "call_summaries"}},
        "event": event,
        "events": [event],
    }[wrap]
    same(read("twilio-summary", json.dumps(data)), read("twilio-summary", json.dumps(TRUNKING)))


@pytest.mark.parametrize(
    "drop",
    [
        "carrier_edge",
        "sip_edge",
        "tags",
        "from",
        "to",
        "properties",
        "end_time",
        "duration",
        "trust",
        "call_state",
    ],
)
def test_every_field_of_a_summary_may_be_null_or_missing(drop):
    """Nothing breaks, nothing is made up."""
    for value in ("null", "gone"):
        summary = copy.deepcopy(TRUNKING)
        if value == "null":
            summary[drop] = None
        else:
            summary.pop(drop)
        found = parsed("twilio-summary", json.dumps(summary))
        assert not found.broken, found.broken
        assert found.observations


def metric(at: str, edge: str, flow: str, **interval) -> dict:
    """One sample of Call Metrics."""
    key = {"carrier_edge": "carrier_edge", "sip_edge": "sip_edge"}[edge]
    return {
        "timestamp": at,
        "call_sid": TRUNKING["call_sid"],
        "account_sid": "AC0",
        "edge": edge,
        "direction": flow,
        "sdk_edge": None,
        "client_edge": None,
        "sip_edge": None,
        "carrier_edge": None,
        key: {
            "codec": 0,
            "codec_name": "pcmu",
            "interval": {
                "packets_received": 500,
                "packets_lost": 0,
                "packets_loss_percentage": 0.0,
                "jitter": {"avg": 1.0, "max": 2.0},
            }
            | interval,
            "cumulative": {"packets_received": 5000, "packets_lost": 77},
        },
    }


def test_metrics_are_windows_of_ten_seconds():
    """Interval, not cumulative; the 10 s before its time; each edge on its leg."""
    rows = [
        metric(
            "2021-08-25T14:31:40Z",
            "sip_edge",
            "inbound",
            packets_lost=25,
            packets_received=475,
            packets_loss_percentage=5.0,
        ),
        metric("2021-08-25T14:31:50Z", "carrier_edge", "inbound"),
    ]
    for data in (
        {"metrics": rows, "meta": {"page": 0, "key": "metrics"}},
        rows,
        "\n".join(map(json.dumps, rows)),
    ):
        text = data if isinstance(data, str) else json.dumps(data)
        records = read("twilio-metrics", text)
        (out,) = windows(records, "trunk", "out")
        assert out["end"] - out["start"] == 10
        assert measure(out, "lost_count") == 25
        assert measure(out, "loss_ratio") == pytest.approx(0.05, abs=0.001)
        (into,) = windows(records, "pstn", "in")
        assert measure(into, "loss_ratio") == 0


HANGUP = json.loads(body("telnyx", "hangup-200-quality", "json"))


def hangup(**more) -> str:
    """A Telnyx hang-up with another payload; None takes a field out."""
    found = copy.deepcopy(HANGUP)
    payload = {k: v for k, v in (found["payload"] | more).items() if v is not None}
    return json.dumps(
        {
            "data": {
                "event_type": "call.hangup",
                "id": "x",
                "record_type": "event",
                "occurred_at": payload.get("end_time"),
                "payload": payload,
            }
        }
    )


def test_telnyx_normal_clearing_beside_a_503_is_not_believed_blindly():
    """Correction 7: they contradict each other: no answered call of it."""
    records = read("telnyx", hangup(sip_hangup_cause="503", hangup_cause="normal_clearing"))
    assert "answered" not in values(records, "sip.call.outcome")
    assert 200 not in values(records, "sip.response.status_code")


def test_telnyx_sixteen_is_a_cause_and_no_code():
    """sip_hangup_cause "16" is Q.850."""
    records = read("telnyx", hangup(sip_hangup_cause="16"))
    assert values(records, "sip.reason.q850") == {16}
    assert values(records, "sip.response.status_code") <= {200}


@pytest.mark.parametrize("cause", ["unspecified", "", None, "0", "99999", "abc"])
def test_telnyx_without_a_code_has_none(cause):
    """Absent or unspecified: unknown."""
    records = read("telnyx", hangup(sip_hangup_cause=cause, hangup_cause="user_busy"))
    assert values(records, "sip.response.status_code") == set()
    assert values(records, "sip.call.outcome") == {"busy"}


@pytest.mark.parametrize("code", OUTCOMES)
def test_telnyx_codes_have_their_outcome(code):
    """Codes as strings."""
    causes = {
        486: "user_busy",
        600: "user_busy",
        487: "originator_cancel",
        603: "call_rejected",
        404: "not_found",
        480: "no_answer",
        504: "timeout",
    }
    text = hangup(sip_hangup_cause=str(code), hangup_cause=causes.get(code, "unspecified"))
    records = read("telnyx", text)
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}
    assert losses(records, "pstn", "in") == []


@pytest.mark.parametrize("skip", ["13", "300"])
def test_telnyx_statistics_are_freeswitchs(skip):
    """skip_packet_count is no loss, the variance no jitter; strings are numbers."""
    stats = copy.deepcopy(HANGUP["payload"]["call_quality_stats"])
    stats["inbound"] |= {"skip_packet_count": skip, "jitter_max_variance": "900.00"}
    records = read("telnyx", hangup(call_quality_stats=stats))
    for window in windows(records):
        assert measure(window, "loss_ratio") is None
        assert measure(window, "jitter_ms") is None
        assert measure(window, "jitter_max_ms") is None


@pytest.mark.parametrize("by", ["caller", "callee", "unknown"])
def test_telnyx_says_who_hung_up(by):
    """unknown is absent."""
    records = read("telnyx", hangup(hangup_source=by))
    assert values(records, "sip.hangup.source") == (set() if by == "unknown" else {by})


TEXML = {
    "AccountSid": "a0",
    "CallSid": "v3:AAAA",
    "CallControlId": "v3:AAAA",
    "CallLegId": "428c31b6-7af4-4bcb-b7f5-5013ef9657c1",
    "CallSessionId": "428c31b6-7af4-4bcb-b7f5-5013ef9657c2",
    "ConnectionId": "1500000000000000000",
    "CallStatus": "completed",
    "CallbackSource": "call-progress-events",
    "SequenceNumber": "3",
    "Timestamp": "2026-11-23T00:20:02Z",
    "CallInitiatedAt": "2026-11-23T00:19:30Z",
    "AnsweredTime": "2026-11-23T00:19:36Z",
    "EndTime": "2026-11-23T00:20:01Z",
    "CallDuration": "25",
    "From": "+15555550190",
    "To": "+15555550142",
    "HangupCause": "normal_clearing",
    "HangupSource": "callee",
    "CallQualityStats": '{"mos":4.2,"jitter":10,"packet_loss":0.5}',
    "Codec": "PCMU",
    "SamplingRate": "8000",
    "ShakenStirAttestation": "A",
    "ShakenStirValidated": "true",
}


def test_a_texml_callback_tells_its_call():
    """Codec in lower case, attestation, who hung up, duration; no statistics without units."""
    records = read("telnyx-texml", urlencode(TEXML))
    (told,) = (each["facts"] for each in records)
    assert told["rtp.codec"] == "pcmu"
    assert told["sip.stir.attestation"] == "A"
    assert told["sip.hangup.source"] == "callee"
    assert told["sip.call.duration_ms"] == 25_000
    assert told["sip.call.outcome"] == "answered"
    assert losses(records, "pstn", "in") == []


@pytest.mark.parametrize(
    "state,outcome",
    [("busy", "busy"), ("no-answer", "no_answer"), ("canceled", "canceled"), ("failed", "failed")],
)
def test_texml_states_are_outcomes(state, outcome):
    """A state is no SIP code."""
    gone = (
        "AnsweredTime",
        "CallDuration",
        "HangupCause",
        "HangupSource",
        "Codec",
        "CallQualityStats",
    )
    fields = {k: v for k, v in TEXML.items() if k not in gone} | {"CallStatus": state}
    records = read("telnyx-texml", urlencode(fields))
    assert values(records, "sip.call.outcome") == {outcome}
    assert values(records, "sip.response.status_code") == set()
    assert values(records, "sip.call.duration_ms") == set()


@pytest.mark.parametrize(
    "state,outcome",
    [
        ("busy", "busy"),
        ("cancelled", "canceled"),
        ("failed", "failed"),
        ("rejected", "rejected"),
        ("timeout", {"timeout", "no_answer"}),
        ("unanswered", "no_answer"),
    ],
)
def test_vonages_states_are_outcomes(state, outcome):
    """Nothing more than a state."""
    event = json.loads(body("vonage", "event-answered", "json"))
    event.pop("start_time")
    event |= {"status": state}
    records = read("vonage", json.dumps(event))
    found = values(records, "sip.call.outcome")
    assert found <= (outcome if isinstance(outcome, set) else {outcome})
    assert found
    assert values(records, "sip.response.status_code") == set()


def test_plivos_times_are_of_no_known_zone():
    """Account-local times are never taken for UTC."""
    found = parsed("plivo", body("plivo", "hangup-completed", "form"))
    for each in found.observations:
        for time in (each.start, each.end, *(m.at for m in each.marks)):
            assert time is None or abs(time - 1727339710) < 120, "08:35:10 UTC it was"


@pytest.mark.parametrize("number", ["+4930901820", "447911123456", "sip:+4930901820@pbx.example"])
@pytest.mark.parametrize("system,name,ending,source", SAMPLES, ids=lambda v: v)
def test_no_number_of_any_country_is_printed(system, name, ending, source, number):
    """E.164 with and without +, SIP URIs."""
    one = body(system, name, ending).decode()
    if ending == "form":
        pairs = dict(parse_qsl(one, keep_blank_values=True))
        for key in ("From", "To", "Caller", "Called", "HangupBy"):
            if key in pairs:
                pairs[key] = number
        text = urlencode(pairs)
    else:
        document = json.loads(one)
        for part in (
            document,
            document.get("payload", {}),
            document.get("data", {}).get("payload", {}),
        ):
            for key in ("from", "to", "From", "To", "CallerName"):
                if isinstance(part.get(key), str):
                    part[key] = number
        text = json.dumps(document)
    found = parsed(source, text)
    assert found.observations
    digits = "".join(c for c in number if c.isdigit())
    assert digits not in repr(found)
