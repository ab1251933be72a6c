"""Plivo, Vonage and SignalWire: what the public samples show, and nothing more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.output import as_json
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

NAMES = ("plivo", "vonage", "signalwire")
SAMPLES = sorted(
    path.relative_to(CAPTURES)
    for name in NAMES
    for path in (CAPTURES / name).iterdir()
    if path.suffix in (".form", ".json") and not path.name.endswith(".facts.json")
)
OUTCOME, CAUSE, HUNG_UP = "sip.call.outcome", "sip.reason.q850", "sip.hangup.source"
CODE, DURATION, DIRECTION = (
    "sip.response.status_code",
    "sip.call.duration_ms",
    "sip.call.direction",
)

PLIVO = {"CallUUID": "p1", "Direction": "outbound", "From": "15555550190", "To": "15555550142",
         "CallStatus": "completed", "Duration": "66", "HangupCause": "NORMAL_CLEARING",
         "HangupSource": "Callee", "SessionStart": "2024-09-26 08:35:10.910772",
         "StartTime": "2024-09-26 14:05:08", "AnswerTime": "2024-09-26 14:05:18",
         "EndTime": "2024-09-26 14:06:23"}  # fmt: skip
VONAGE = {"uuid": "v1", "conversation_uuid": "CON-v1", "from": "442079460000",
          "to": "447700900000", "status": "answered", "direction": "outbound",
          "timestamp": "2020-01-01T12:00:00.000Z",
          "start_time": "2020-01-01T12:00:00.000Z"}  # fmt: skip
SIGNALWIRE = {"CallSid": "s1", "Direction": "outbound-api", "From": "+15555550130",
              "To": "+15555550174", "Timestamp": "Thu, 25 Jun 2026 20:11:01 +0000",
              "CallStatus": "completed", "CallDuration": "58", "AudioInMos": "4.5",
              "AudioInMediaPacketCount": "2873", "AudioInSkipPacketCount": "300",
              "AudioInJitterMaxVariance": "85.95", "AudioInAveragePtime": "21.50",
              "AudioOutMediaPacketCount": "2686", "AudioOutLost": "0",
              "HangupBy": "+15555550174"}  # fmt: skip


def parse(source: str, *records: dict[str, Any], reading: Reading | None = None) -> Parsed:
    """What the reader makes of records: Vonage's are JSON, the others forms."""
    lines = (json.dumps(one) if source == "vonage" else urlencode(one) for one in records)
    return SOURCES[source].parse("\n".join(lines).encode(), reading or Reading())


def one(source: str, *records: dict[str, Any], reading: Reading | None = None) -> Observation:
    """The only observation of records that are all good."""
    parsed = parse(source, *records, reading=reading)
    assert not parsed.broken
    (found,) = parsed.observations
    return found


# The public samples ------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_sample_says_what_is_true_of_it(sample: Any) -> None:
    """Direction, answer, cause, duration and who hung up are the truth's; no code is invented."""
    path = CAPTURES / sample
    truth = json.loads(path.with_suffix(".facts.json").read_text())
    (found,) = SOURCES[sample.parts[0]].parse(path.read_bytes()).observations
    assert found.facts.get(DIRECTION) == truth["direction"]
    assert (found.facts.get(OUTCOME) == "answered") == truth["answered"]
    assert found.facts.get(CODE) == truth["sip_code"]
    assert found.facts.get(CAUSE) == truth["q850_cause"]
    seconds = truth["duration_s"]
    assert found.facts.get(DURATION) == (None if seconds is None else seconds * 1000)
    who = (truth["hung_up_by"] or "").split(" ")[0]
    assert found.facts.get(HUNG_UP) == {"application": "agent", "": None}.get(who, who)
    assert not {"rtp.codec", "trunk.id"} & found.facts.keys()
    for window in found.untimed:
        assert (window.loss_ratio, window.lost_count, window.jitter_ms) == (None, None, None)


def test_the_samples_are_there() -> None:
    """Five samples were found in public."""
    assert len(SAMPLES) == 5


@pytest.mark.parametrize("address", ["sip:agent@bridge.example:5061", "sip:agent@[2001:DB8:0::5]"])
@pytest.mark.parametrize("source", NAMES)
def test_what_is_said_of_the_bridge_tells_the_direction(source: str, address: str) -> None:
    """A leg to a SIP URI says no direction of its own: the bridge's name, or its end, does."""
    record, to = {
        "plivo": (PLIVO, "To"),
        "vonage": (VONAGE, "to"),
        "signalwire": (SIGNALWIRE, "To"),
    }[source]
    to_bridge = {**record, to: address}
    assert DIRECTION not in one(source, to_bridge).facts
    for bridge in (Bridge(frozenset({"bridge.example", "2001:db8::5"})), Bridge(end="callee")):
        found = one(source, to_bridge, reading=Reading(bridge=bridge))
        assert (found.leg, found.facts[DIRECTION]) == ("trunk", "inbound")
    found = one(source, record, reading=Reading(bridge=Bridge(frozenset({"bridge.example"}))))
    assert found.facts[DIRECTION] == "outbound"


# SignalWire -------------------------------------------------------------------------------------


def test_signalwires_counts_are_no_loss() -> None:
    """Skipped reads, a mean interval and a variance say neither loss nor jitter."""
    received, sent = one("signalwire", SIGNALWIRE).untimed
    assert (received.leg, received.direction, received.packet_count) == ("pstn", "in", 2873)
    assert (received.loss_ratio, received.jitter_ms) == (None, None)
    assert (received.mos, received.mos_algorithm) == (4.5, "freeswitch")
    assert (sent.direction, sent.packet_count, sent.loss_ratio) == ("out", 2686, None)


def test_signalwires_zeros_in_both_directions_are_no_count() -> None:
    """In published examples both counts are 0 beside a score: nobody counted. One 0 is a count."""
    silent = {**SIGNALWIRE, "AudioInMediaPacketCount": "0"}
    assert [window.packet_count for window in one("signalwire", silent).untimed] == [0, 2686]
    assert one("signalwire", {**silent, "AudioOutMediaPacketCount": "0"}).untimed == ()


@pytest.mark.parametrize(
    "by, who",
    [("+15555550130", "caller"), ("+15555550174", "callee"), ("system", None), ("", None)],
)
def test_signalwire_names_who_hung_up_by_number(by: str, who: str | None) -> None:
    """`HangupBy` is one of the two numbers, else nobody is named; the number is not said."""
    found = one("signalwire", {**SIGNALWIRE, "HangupBy": by})
    assert found.facts.get(HUNG_UP) == who
    assert "55550" not in json.dumps(as_json(found))


def test_signalwires_leg_to_a_sip_uri_is_the_trunk() -> None:
    """What SignalWire receives from the bridge goes out; whose call it is, is not told."""
    found = one("signalwire", {**SIGNALWIRE, "To": "sip:+15555550174@bridge.example",
                               "Direction": "outbound-dial", "ParentCallSid": "s0"})  # fmt: skip
    assert (found.leg, found.ids["linked_id"], found.facts.get(DIRECTION)) == ("trunk", "s0", None)
    assert [window.direction for window in found.untimed] == ["out", "in"]


def test_signalwires_inbound_call_comes_from_the_caller() -> None:
    """An inbound call from a telephone is inbound to us."""
    found = one("signalwire", {**SIGNALWIRE, "Direction": "inbound"})
    assert (found.leg, found.facts[DIRECTION]) == ("pstn", "inbound")


@pytest.mark.parametrize(
    "status, code, outcome",
    [("busy", "486", "busy"), ("busy", "", "busy"), ("no-answer", "", "no_answer"),
     ("failed", "404", "invalid_number"), ("failed", "", "failed"), ("canceled", "", "canceled"),
     ("ringing", "", None)],
)  # fmt: skip
def test_signalwires_status_is_an_outcome(status: str, code: str, outcome: str | None) -> None:
    """The word gives the outcome, a code where one is written, and counts of 0 say nothing."""
    record = {**SIGNALWIRE, "CallStatus": status, "SipResponseCode": code,
              "AudioInMediaPacketCount": "0"}  # fmt: skip
    found = one("signalwire", record)
    assert found.facts.get(OUTCOME) == outcome
    assert found.facts.get(CODE) == (int(code) if code else None)
    assert found.untimed == ()
    assert found.completeness == ("partial" if status == "ringing" else "complete")


# Plivo ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-8, -4.5, 0, 1, 5.5, 5.75, 13])
def test_plivos_local_times_are_read_by_the_sessions_start(hours: float) -> None:
    """`SessionStart` is UTC: what lies between it and `StartTime` is the account's offset."""
    start = 1727339708 + hours * 3600

    def local(seconds: float) -> str:
        return datetime.fromtimestamp(start + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")

    found = one("plivo", {**PLIVO, "StartTime": local(0), "AnswerTime": local(10),
                          "EndTime": local(75)})  # fmt: skip
    assert found.start == pytest.approx(1727339710.910772)
    assert found.end == 1727339783
    assert not found.marks


def test_plivos_times_without_a_session_are_of_the_given_zone() -> None:
    """Where nothing tells the offset, the reader must be told the zone."""
    record = {**PLIVO, "SessionStart": ""}
    assert one("plivo", record).end == 1727339783 + 5.5 * 3600
    told = Reading(zone=ZoneInfo("Asia/Kolkata"))
    assert one("plivo", record, reading=told).end == 1727339783
    apart = {**PLIVO, "SessionStart": "2024-09-26 08:43:00"}
    assert one("plivo", apart, reading=told).end == 1727339783


@pytest.mark.parametrize(
    "source, who",
    [("Caller", "caller"), ("Callee", "callee"), ("Carrier", "carrier"), ("Plivo", "carrier"),
     ("Call recipient", "callee"), ("Vobiz", "carrier"), ("Error", None),
     ("Answer XML", "agent"), ("API Request", "agent"), ("Unknown", None), ("", None)],
)  # fmt: skip
def test_plivo_says_who_hung_up(source: str, who: str | None) -> None:
    """Our own script or request is the agent's side."""
    assert one("plivo", {**PLIVO, "HangupSource": source}).facts.get(HUNG_UP) == who


@pytest.mark.parametrize(
    "status, cause, outcome, q850",
    [("busy", "USER_BUSY", "busy", 17), ("no-answer", "NO_ANSWER", "no_answer", 19),
     ("timeout", "ORIGINATOR_CANCEL", "no_answer", None), ("cancel", "ORIGINATOR_CANCEL",
     "canceled", None), ("failed", "UNALLOCATED_NUMBER", "invalid_number", 1),
     ("failed", "SOMETHING_NEW", "failed", None), ("completed", "NORMAL_CLEARING", None, 16)],
)  # fmt: skip
def test_plivos_status_is_an_outcome(
    status: str, cause: str, outcome: str | None, q850: int | None
) -> None:
    """A call that never was answered has no duration, and nobody hung it up."""
    found = one("plivo", {**PLIVO, "CallStatus": status, "HangupCause": cause, "Duration": "0",
                          "AnswerTime": ""})  # fmt: skip
    assert (found.facts.get(OUTCOME), found.facts.get(CAUSE)) == (outcome, q850)
    assert not {HUNG_UP, DURATION, CODE} & found.facts.keys()


@pytest.mark.parametrize(
    "status, code, cause, outcome",
    [("completed", "6010", "NO_ANSWER", "no_answer"), ("completed", "3010", "USER_BUSY", "busy"),
     ("completed", "3020", "CALL_REJECTED", "rejected"), ("completed", "3000", "", "no_answer"),
     ("completed", "2000", "", "invalid_number"), ("completed", "1000", "", "canceled"),
     ("completed", "", "ORIGINATOR_CANCEL", "canceled"), ("completed", "0", "", None),
     ("busy", "3020", "CALL_REJECTED", "rejected"), ("busy", "", "CALL_REJECTED", "rejected"),
     ("busy", "3010", "USER_BUSY", "busy"), ("failed", "2000", "", "invalid_number"),
     ("failed", "5020", "", "failed")],
)  # fmt: skip
def test_plivos_cause_says_what_the_status_does_not(
    status: str, code: str, cause: str, outcome: str | None
) -> None:
    """Vobiz writes `completed` for a call that nobody answered; Plivo `busy` for a rejection."""
    found = one("plivo", {**PLIVO, "CallStatus": status, "HangupCauseCode": code, "Duration": "0",
                          "HangupCause": cause, "AnswerTime": ""})  # fmt: skip
    assert found.facts.get(OUTCOME) == outcome
    assert not {HUNG_UP, DURATION, CODE} & found.facts.keys()


def test_a_script_of_ours_that_ended_hung_up() -> None:
    """`End Of XML Instructions`: the carrier hangs up because our application says no more."""
    record = {**PLIVO, "HangupSource": "Plivo", "HangupCauseCode": "4010"}
    assert one("plivo", record).facts[HUNG_UP] == "agent"
    assert one("plivo", {**record, "HangupSource": "Caller"}).facts[HUNG_UP] == "caller"


@pytest.mark.parametrize(
    "event, status, outcome",
    [("Ring", "ringing", None), ("StartApp", "in-progress", "answered"), ("", "ringing", None)],
)
def test_plivos_callbacks_of_a_running_call_state_no_time(
    event: str, status: str, outcome: str | None
) -> None:
    """What Plivo sends to ring_url and answer_url has no time; it is read all the same."""
    begun = {"CallUUID": "p1", "Direction": "inbound", "From": "15555550190", "To": "15555550142",
             "CallStatus": status, "Event": event, "BillRate": "0.005"}  # fmt: skip
    found = one("plivo", begun)
    assert (found.facts.get(OUTCOME), found.completeness) == (outcome, "partial")
    assert (found.start, found.end) == (None, None)
    assert one("plivo", PLIVO, begun).facts[OUTCOME] == "answered"


def test_a_webhook_of_a_vobiz_trunk() -> None:
    """`Status` for `CallStatus`, `Billsec` for the talking time, the SIP Call-ID, the cause."""
    record = {"Event": "Hangup", "CallUUID": "z1", "Timestamp": "2026-03-18T12:00:08Z",
              "From": "+15555550190", "To": "+15555550142", "Direction": "outbound",
              "Status": "completed", "SIPCallID": "abc123@bridge.example.com", "Duration": 8,
              "Reason": "NORMAL_CLEARING", "StartTime": "2026-03-18T12:00:00Z", "Billsec": 3,
              "EndTime": "2026-03-18T12:00:08Z", "HangupCauseCode": 4000, "MOS": 4.5,
              "HangupSource": "Caller"}  # fmt: skip
    started = {**{key: record[key] for key in ("CallUUID", "Timestamp", "From", "To", "Direction")},
               "Event": "CallInitiated", "Status": "initiated", "Allowed": True}  # fmt: skip
    (found,) = (
        SOURCES["plivo"].parse(f"{json.dumps(started)}\n{json.dumps(record)}".encode()).observations
    )
    assert (found.facts[OUTCOME], found.facts[DURATION], found.facts[CAUSE]) == (
        "answered",
        3000.0,
        16,
    )
    assert found.facts[HUNG_UP] == "caller"
    assert found.ids["call_id"] == "abc123@bridge.example.com"
    assert (found.start, found.end) == (1773835200.0, 1773835208.0)
    missed = {**record, "Billsec": 0, "HangupCauseCode": 6010, "Reason": "NO_ANSWER"}
    (found,) = SOURCES["plivo"].parse(json.dumps(missed).encode()).observations
    assert found.facts[OUTCOME] == "no_answer"
    assert not {HUNG_UP, DURATION} & found.facts.keys()


def test_plivo_says_whether_a_machine_answered() -> None:
    """The callback of the machine detection, before the one of the hang-up."""
    detected = {**PLIVO, "CallStatus": "in-progress", "Machine": "true", "EndTime": ""}
    assert one("plivo", detected, PLIVO).facts["sip.answered_by"] == "machine"
    assert one("plivo", {**detected, "Machine": "False"}).facts["sip.answered_by"] == "human"


@pytest.mark.parametrize("status", ["ringing", "no-answer", "busy"])
def test_plivo_says_no_human_of_a_call_that_nobody_answered(status: str) -> None:
    """`Machine` is `false` there as well: no machine was detected, and no human either."""
    record = {**PLIVO, "CallStatus": status, "Machine": "false", "AnswerTime": "", "Duration": "0"}
    assert "sip.answered_by" not in one("plivo", record).facts


def test_plivos_attestation_is_a_letter() -> None:
    """`Not Applicable` says nothing."""
    key = "sip.stir.attestation"
    assert one("plivo", {**PLIVO, "STIRAttestation": "B"}).facts[key] == "B"
    assert key not in one("plivo", {**PLIVO, "STIRAttestation": "Not Applicable"}).facts


def test_a_number_without_its_plus_is_masked_as_one() -> None:
    """Plivo writes E.164 without `+`; what may be a national number is masked whole."""
    facts = one("plivo", {**PLIVO, "To": "05555550186"}).facts
    assert (facts["sip.caller.number"], facts["sip.callee.number"]) == ("+1*******90", "*******")


# Vonage -----------------------------------------------------------------------------------------


def test_vonages_events_of_a_leg_are_one_observation() -> None:
    """In whatever order they came, the event that ends the call has the last word."""
    done = {**VONAGE, "status": "completed", "duration": "2",
            "end_time": "2020-01-01T12:00:01.000Z",
            "timestamp": "2020-01-01T11:59:59.000Z"}  # fmt: skip
    found = one("vonage", done, VONAGE, {**VONAGE, "status": "ringing"})
    assert (found.facts[OUTCOME], found.facts[DURATION]) == ("answered", 2000.0)
    assert [(mark.kind, mark.start) for mark in found.marks] == [
        ("answered", 1577880000.0),
        ("hangup", 1577880001.0),
    ]


@pytest.mark.parametrize(
    "status, outcome",
    [("busy", "busy"), ("cancelled", "canceled"), ("failed", "failed"), ("rejected", "rejected"),
     ("timeout", "no_answer"), ("unanswered", "no_answer"), ("completed", None),
     ("started", None)],
)  # fmt: skip
def test_vonages_status_is_an_outcome(status: str, outcome: str | None) -> None:
    """`completed` without a beginning and a duration is no answer."""
    record = {**VONAGE, "status": status, "start_time": "", "duration": "0"}
    assert one("vonage", record).facts.get(OUTCOME) == outcome


def test_vonages_code_is_read_where_it_stands() -> None:
    """`sip_code` is documented, and was in no example."""
    found = one("vonage", {**VONAGE, "status": "failed", "start_time": "", "sip_code": 503})
    assert (found.facts[CODE], found.facts[OUTCOME]) == (503, "congestion")


def test_vonages_events_come_as_a_query_as_well() -> None:
    """With `event_method` GET the event is the query of a request."""
    told = SOURCES["vonage"].parse(urlencode(VONAGE).encode())
    assert told == SOURCES["vonage"].parse(json.dumps(VONAGE).encode())
    assert len(told.observations) == 1


def test_vonages_machine_detection_names_its_leg_otherwise() -> None:
    """`call_uuid` for `uuid`, and no direction: what was detected stays when the call ends."""
    detected = {"call_uuid": "v1", "conversation_uuid": "CON-v1", "from": VONAGE["from"],
                "to": VONAGE["to"], "status": "machine", "sub_state": "beep_start",
                "timestamp": "2020-01-01T12:00:02.000Z"}  # fmt: skip
    done = {**VONAGE, "status": "completed", "duration": "2"}
    found = one("vonage", VONAGE, detected, done)
    assert found.facts["sip.answered_by"] == "machine"
    assert found.facts[DURATION] == 2000.0
    assert one("vonage", {**detected, "status": "human"}).facts[OUTCOME] == "answered"


@pytest.mark.parametrize(
    "status, detail, outcome",
    [("rejected", "invalid_number", "invalid_number"), ("rejected", "restricted", "rejected"),
     ("unanswered", "declined", "rejected"), ("unanswered", "unavailable", "no_answer"),
     ("failed", "number_out_of_service", "invalid_number"), ("failed", "cannot_route", "failed"),
     ("failed", "something new", "failed")],
)  # fmt: skip
def test_vonages_detail_says_more(status: str, detail: str, outcome: str) -> None:
    """`detail` stands beside the status since 2021. The end is that of the last event."""
    found = one("vonage", {**VONAGE, "status": status, "detail": detail, "start_time": ""})
    assert (found.facts[OUTCOME], found.end) == (outcome, 1577880000.0)


@pytest.mark.parametrize(
    "by, direction, who",
    [("user", "outbound", "callee"), ("user", "inbound", "caller"), ("platform", "outbound", None),
     ("", "outbound", None)],
)  # fmt: skip
def test_vonage_says_whether_the_party_hung_up(by: str, direction: str, who: str | None) -> None:
    """`user` is the leg's party; `platform` is Vonage, or our own script."""
    done = {**VONAGE, "status": "completed", "duration": "2", "sip_code": "200",
            "disconnected_by": by, "direction": direction}  # fmt: skip
    found = one("vonage", done)
    assert (found.facts.get(HUNG_UP), found.facts[CODE]) == (who, 200)


def test_vonages_leg_to_a_websocket_is_no_telephone() -> None:
    """Our own end: the trunk's leg, and no number of a callee."""
    found = one("vonage", {**VONAGE, "to": "wss://bridge.example.com/socket?to=15555550142"})
    assert found.leg == "trunk"
    assert "sip.callee.number" not in found.facts
    assert "5550142" not in json.dumps(as_json(found))


def _relay(state: str, at: float, **params: Any) -> dict[str, Any]:
    told = {"call_id": "r1", "node_id": "n1", "call_state": state, "direction": "outbound",
            "device": {"type": "phone", "params": {"from_number": "+15555550130",
                                                   "to_number": "+15555550174"}}}  # fmt: skip
    return {"event_type": "calling.call.state", "event_channel": "c", "timestamp": at,
            "project_id": "p", "space_id": "s", "params": {**told, **params}}  # fmt: skip


def _relayed(*events: dict[str, Any]) -> Parsed:
    return SOURCES["signalwire"].parse("\n".join(json.dumps(event) for event in events).encode())


def test_relays_states_of_a_call_are_one_observation() -> None:
    """`calling.call.state` as a webhook and as a message: answered, ended, with their times."""
    answered = _relay("answered", 1795396160.25, answer_time=1795396160250)
    ended = _relay("ended", 1795396170.75, end_reason="hangup", answer_time=1795396160250,
                   end_time=1795396170750)  # fmt: skip
    message = {"jsonrpc": "2.0", "id": "1", "method": "signalwire.event", "params": answered}
    parsed = _relayed(_relay("created", 1795396157.5), message, _relay("ending", 1795396170.5),
                      ended, {"jsonrpc": "2.0", "id": "2", "method": "signalwire.ping"},
                      {"event_type": "calling.call.play", "params": {"call_id": "r1"}})  # fmt: skip
    (found,) = parsed.observations
    assert (parsed.broken, parsed.ignored) == ((), 3)
    assert (found.facts[OUTCOME], found.facts[DURATION]) == ("answered", 10_500.0)
    assert (found.leg, found.facts[DIRECTION], found.end) == ("pstn", "outbound", 1795396170.75)
    assert [(mark.kind, mark.start) for mark in found.marks] == [
        ("answered", 1795396160.25),
        ("hangup", 1795396170.75),
    ]
    assert "55550" not in json.dumps(as_json(found))


@pytest.mark.parametrize(
    "reason, outcome",
    [("busy", "busy"), ("noAnswer", "no_answer"), ("no_answer", "no_answer"), ("error", "failed"),
     ("decline", "rejected"), ("cancel", "canceled"), ("hangup", None), ("something new", None)],
)  # fmt: skip
def test_relays_reason_of_a_call_that_nobody_answered(reason: str, outcome: str | None) -> None:
    """The reason gives the outcome; `hangup` without an answer does not say what became of it."""
    (found,) = _relayed(_relay("ended", 1795396170.75, end_reason=reason)).observations
    assert found.facts.get(OUTCOME) == outcome
    assert not {DURATION, CODE, HUNG_UP} & found.facts.keys()
    assert found.completeness == "complete"


@pytest.mark.parametrize(
    "by, who",
    [("human", "human"), ("machine_end_beep", "machine"), ("fax", "machine"), ("unknown", None)],
)
def test_signalwire_says_who_answered(by: str, who: str | None) -> None:
    """The word of the detection, of which `unknown` says nothing."""
    assert one("signalwire", {**SIGNALWIRE, "AnsweredBy": by}).facts.get("sip.answered_by") == who


# All three --------------------------------------------------------------------------------------

RECORDS = {"plivo": PLIVO, "vonage": VONAGE, "signalwire": SIGNALWIRE}
ESSENTIAL = [
    ("plivo", "CallUUID"), ("plivo", "CallStatus"), ("vonage", "uuid"), ("vonage", "status"),
    ("vonage", "timestamp"), ("signalwire", "CallSid"), ("signalwire", "CallStatus"),
    ("signalwire", "Timestamp"),
]  # fmt: skip


@pytest.mark.parametrize("source, field", ESSENTIAL)
def test_without_an_essential_field_a_record_is_broken(source: str, field: str) -> None:
    """Id, kind and time are what a record needs; the others in the file are read."""
    record = RECORDS[source]
    without = {key: value for key, value in record.items() if key != field}
    parsed = parse(source, without, record)
    assert (len(parsed.observations), [broken.line for broken in parsed.broken]) == (1, [1])


@pytest.mark.parametrize("source", NAMES)
def test_an_unknown_field_is_no_error(source: str) -> None:
    """What a carrier adds tomorrow does not matter."""
    record = RECORDS[source]
    assert as_json(one(source, {**record, "Tomorrow": "1"})) == as_json(one(source, record))


@pytest.mark.parametrize(
    "source, record",
    [("plivo", {"CallUUID": "1", "RecordUrl": "u"}), ("signalwire", {"MessageSid": "SM"}),
     ("vonage", {"recording_url": "u", "timestamp": "2020-01-01T12:00:00Z"})],
)  # fmt: skip
def test_callbacks_about_something_else_are_ignored(source: str, record: dict[str, str]) -> None:
    """Recordings, messages and digits say nothing of a call's end."""
    parsed = parse(source, record)
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 1)


@pytest.mark.parametrize("source", NAMES)
def test_line_ends_do_not_matter(source: str) -> None:
    """CRLF, a byte order mark and blank lines say the same."""
    lines = [json.dumps(RECORDS[source]).encode(), b"", json.dumps(RECORDS[source]).encode()]
    told = SOURCES[source].parse(b"\n".join(lines))
    again = SOURCES[source].parse(b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n")
    assert told == again
    assert len(told.observations) == 1


@pytest.mark.parametrize("source", NAMES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_reading_is_total(source: str, data: st.DataObject) -> None:
    """Bytes put anywhere and odd values never raise, and nothing is dropped in silence."""
    record = dict(RECORDS[source])
    odd: st.SearchStrategy[Any] = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)
    )
    for key in data.draw(st.lists(st.sampled_from(sorted(record)), max_size=4)):
        record[key] = data.draw(odd)
    text = json.dumps(record).encode()
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.binary(max_size=4))
    parsed = SOURCES[source].parse(text[:at] + put + text[at:])
    assert parsed.observations or parsed.broken or parsed.ignored
    json.dumps([as_json(found) for found in parsed.observations], allow_nan=False)
