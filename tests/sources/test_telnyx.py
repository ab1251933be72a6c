"""Telnyx: what its call events and TeXML callbacks say, and what they do not."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES, GOLDEN
from tests.sources.quick import lines_of_json

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge, turned
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

CAPTURED = sorted(path.name for path in (CAPTURES / "telnyx").glob("hangup-*.json")
                  if not path.name.endswith(".facts.json"))  # fmt: skip
LEG = "9c000000-c86c-11f1-9f0e-024200000001"
OUTCOME, CODE, CAUSE = "sip.call.outcome", "sip.response.status_code", "sip.reason.q850"


def parse(*records: Any, source: str = "telnyx", reading: Reading | None = None) -> Parsed:
    """What the reader makes of JSON records, one a line."""
    data = "\n".join(map(json.dumps, records)).encode()
    return SOURCES[source].parse(data, reading or Reading())


def event(kind: str, at: str = "2026-11-22T10:30:06Z", **payload: Any) -> dict[str, Any]:
    """One event as it is sent, of one call leg."""
    told = {"call_leg_id": LEG, "call_control_id": "v3:X", "call_session_id": "s1",
            "from": "+15555550142", "to": "+15555550184"}  # fmt: skip
    body = {"event_type": kind, "id": f"{kind}-{at}", "occurred_at": at,
            "payload": {**told, **payload}, "record_type": "event"}  # fmt: skip
    return {"data": body, "meta": {"attempt": 1}}


def hangup(word: str, code: object = None, **payload: Any) -> dict[str, Any]:
    """A hang-up with its word and its `sip_hangup_cause`."""
    return event("call.hangup", hangup_cause=word, sip_hangup_cause=code, **payload)


def one(*records: Any, source: str = "telnyx", reading: Reading | None = None) -> Observation:
    """The only observation of records that are all good."""
    parsed = parse(*records, source=source, reading=reading)
    assert not parsed.broken
    (found,) = parsed.observations
    return found


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_hangups_say_what_is_true(name: str) -> None:
    """Code and who hung up are the truth's; what the truth does not know is not invented."""
    path = CAPTURES / "telnyx" / name
    truth = json.loads(path.with_suffix("").with_suffix(".facts.json").read_text())
    (found,) = SOURCES["telnyx"].parse(path.read_bytes()).observations
    assert found.facts[CODE] == truth["sip_code"]
    assert found.facts["sip.hangup.source"] == truth["hung_up_by"]
    assert (found.facts[OUTCOME] == "answered") == truth["answered"]
    assert found.facts.get("sip.call.direction") in (None, truth["direction"])
    for key in (CAUSE, "rtp.codec", "sip.call.duration_ms"):
        assert key not in found.facts
    for window in (*found.windows, *found.untimed):
        assert (window.loss_ratio, window.lost_count, window.jitter_ms) == (None, None, None)


def test_a_hangup_reads_the_same_wrapped_bare_and_flat() -> None:
    """As sent (under `data`), as applications keep it, and with the fields at the top."""
    wrapped = hangup("user_busy", "486")
    bare = wrapped["data"]
    flat = {**bare["payload"], **{k: v for k, v in bare.items() if k != "payload"}}
    assert parse(wrapped) == parse(bare) == parse(flat)
    assert one(flat).facts[CODE] == 486


def test_events_of_a_leg_are_one_observation_in_any_order() -> None:
    """Each order of a call's events, and any of them sent again, says the same."""
    events = [
        event("call.initiated", "2026-11-22T10:30:00Z", direction="incoming"),
        event("call.answered", "2026-11-22T10:30:02Z", codec="PCMA", sampling_rate=8000),
        hangup("normal_clearing", "200", end_time="2026-11-22T10:30:06Z"),
    ]
    first = parse(*events)
    for order in itertools.permutations(events):
        assert parse(*order, order[0], order[-1]) == first
    (found,) = first.observations
    assert found.facts["sip.call.duration_ms"] == 4000.0
    assert found.facts["sip.setup_ms"] == 2000.0
    assert found.facts["rtp.codec"] == "pcma"
    assert found.completeness == "complete"


def test_a_call_without_its_hangup_is_partial() -> None:
    """A fuller record will come; nothing is said of an end."""
    found = one(event("call.answered", codec="PCMU"))
    assert found.completeness == "partial"
    assert "hangup" not in {mark.kind for mark in found.marks}


def test_two_legs_of_a_session_are_two_observations() -> None:
    """They have their own ids, and the session in common."""
    parsed = parse(hangup("user_busy", "486"), hangup("user_busy", "486", call_leg_id="other"))
    assert [one.ids["provider_call_id"] for one in parsed.observations] == [LEG, "other"]
    assert {one.ids["linked_id"] for one in parsed.observations} == {"s1"}


@pytest.mark.parametrize(
    "word,code,status,cause,outcome",
    [
        ("normal_clearing", "200", 200, None, "answered"),
        ("normal_clearing", "503", 503, None, None),
        ("normal_clearing", "16", None, 16, None),
        ("normal_clearing", "unspecified", None, None, None),
        ("normal_clearing", None, None, None, None),
        ("time_limit", "unspecified", 200, None, "answered"),
        ("unspecified", "unspecified", None, None, None),
        ("call_rejected", "603", 603, None, "rejected"),
        ("call_rejected", "unspecified", None, None, "rejected"),
        ("originator_cancel", "487", 487, None, "canceled"),
        ("timeout", "487", 487, None, "no_answer"),
        ("user_busy", 486, 486, None, "busy"),
        ("user_busy", "17", None, 17, "busy"),
        ("not_found", "404", 404, None, "invalid_number"),
        ("no_answer", "480", 480, None, "no_answer"),
        ("unspecified", "503", 503, None, "congestion"),
        ("unspecified", "0", None, None, None),
        ("unspecified", "9999", None, None, None),
    ],
)
def test_the_words_and_codes_of_a_hangup(
    word: str, code: object, status: int | None, cause: int | None, outcome: str | None
) -> None:
    """A number under 128 is a Q.850 cause; a code that its word contradicts has no outcome."""
    facts = one(hangup(word, code)).facts
    assert (facts.get(CODE), facts.get(CAUSE), facts.get(OUTCOME)) == (status, cause, outcome)


@pytest.mark.parametrize("kind", ["call.answered", "call.bridged"])
def test_an_answered_call_stays_answered(kind: str) -> None:
    """A code that comes with the hang-up of an answered call is no answer to its INVITE."""
    facts = one(event(kind, "2026-11-22T10:30:01Z"), hangup("normal_clearing", "503")).facts
    assert (facts[CODE], facts[OUTCOME]) == (200, "answered")


@pytest.mark.parametrize(
    "word,code,outcome",
    [("user_busy", "486", "busy"), ("user_busy", None, "busy"), ("timeout", "487", "no_answer"),
     ("originator_cancel", "487", "canceled"), ("call_rejected", "603", "rejected")],
)  # fmt: skip
def test_bridged_legs_may_hear_early_media(word: str, code: object, outcome: str) -> None:
    """A leg that was bridged and then refused was never answered, and has no duration."""
    bridged = event("call.bridged", "2026-11-22T10:30:01Z")
    facts = one(bridged, hangup(word, code)).facts
    assert (facts.get(CODE), facts[OUTCOME]) == (code and int(str(code)), outcome)
    answered = event("call.answered", "2026-11-22T10:30:02Z")
    assert one(bridged, answered, hangup(word, code)).facts[OUTCOME] == "answered"
    assert OUTCOME not in one(bridged).facts


@pytest.mark.parametrize("code", ["16", "unspecified", None])
def test_a_hangup_alone_does_not_say_that_nobody_answered(code: object) -> None:
    """It has the start of the call; an `invite` mark would say that an answer would be known."""
    start = "2026-11-22T10:30:00Z"
    alone = one(hangup("normal_clearing", code, start_time=start))
    assert {mark.kind for mark in alone.marks} == {"hangup"}
    begun = one(event("call.initiated", start), hangup("normal_clearing", code))
    assert {mark.kind for mark in begun.marks} == {"invite", "hangup"}


@pytest.mark.parametrize("source", ["unknown", "", None, 7, "somebody"])
def test_an_unknown_hangup_source_is_not_told(source: object) -> None:
    """Only `caller` and `callee` say who hung up."""
    found = one(hangup("normal_clearing", "200", hangup_source=source))
    assert "sip.hangup.source" not in found.facts


@pytest.mark.parametrize(
    "error,detail,outcome",
    [
        ("User channel limit exceeded D1", "our_limit", "congestion"),
        ({"error_code": "D3"}, "our_limit", "congestion"),
        ({"title": "Caller Origination Number is Invalid", "error_code": "D35"}, "caller_id",
         "rejected"),
        (None, None, "rejected"),
        ([], None, "rejected"),
    ],
)  # fmt: skip
def test_telnyx_own_codes_say_why(error: object, detail: str | None, outcome: str) -> None:
    """A code of Telnyx's in `telnyx_error` tells our own limits from a refusal."""
    facts = one(hangup("call_rejected", "403", telnyx_error=error)).facts
    assert (facts.get("sip.call.outcome_detail"), facts[OUTCOME]) == (detail, outcome)


STATS = {"inbound": {"packet_count": "500", "skip_packet_count": "40", "mos": "3.10",
                     "jitter_max_variance": "63.77", "jitter_packet_count": "0"},
         "outbound": {"packet_count": "480", "skip_packet_count": "0"}}  # fmt: skip


def packets(found: Observation) -> dict[tuple[str, str], Any]:
    """Packet counts by leg and direction; no window says anything else."""
    windows = [*found.windows, *found.untimed]
    assert {name for window in windows for name in window.measures()} <= {"packet_count"}
    return {(one.leg, one.direction): one.packet_count for one in windows}


def test_only_packets_are_taken_from_the_quality_statistics() -> None:
    """Skipped reads are no loss, the variance is no jitter, and the MOS is none."""
    found = one(event("call.answered", "2026-11-22T10:30:01Z"),
                hangup("normal_clearing", "200", call_quality_stats=STATS))  # fmt: skip
    assert packets(found) == {("pstn", "in"): 500, ("pstn", "out"): 480}
    assert [one.end - one.start for one in found.windows] == [5.0, 5.0]


@pytest.mark.parametrize(
    "payloads,leg,direction",
    [
        ({"direction": "incoming", "calling_party_type": "pstn"}, "pstn", "inbound"),
        ({"direction": "outgoing", "calling_party_type": "sip"}, "trunk", "outbound"),
        ({"direction": "incoming", "calling_party_type": "sip"}, "pstn", "inbound"),
        ({"direction": "outgoing"}, "pstn", "outbound"),
        ({"direction": "outgoing", "to": "sip:agent@x.sip.livekit.cloud"}, "trunk", None),
        ({"calling_party_type": "pstn"}, "pstn", "inbound"),
        ({"calling_party_type": "sip"}, "trunk", None),
        ({}, "pstn", None),
    ],
)
def test_whose_leg_it_is(payloads: dict[str, Any], leg: str, direction: str | None) -> None:
    """A telephone at the other end makes it `pstn`, the bridge `trunk`; media goes accordingly."""
    found = one(hangup("normal_clearing", "200", call_quality_stats=STATS, **payloads))
    assert (found.leg, found.facts.get("sip.call.direction")) == (leg, direction)
    received = "out" if leg == "trunk" else "in"
    assert packets(found)[leg, received] == 500


def test_a_sip_caller_may_be_the_bridge() -> None:
    """Who comes by SIP is taken for a customer of Telnyx, until LiveKit says that it called."""
    ours = one(hangup("normal_clearing", "200", direction="incoming", calling_party_type="sip"))
    assert (ours.leg, turned(ours, "outbound").leg) == ("pstn", "trunk")
    phone = one(hangup("normal_clearing", "200", direction="incoming", calling_party_type="pstn"))
    assert turned(phone, "outbound").leg == "pstn"


@pytest.mark.parametrize("payload", [{"direction": "incoming"}, {}])
def test_the_bridges_connection_can_be_named(payload: dict[str, Any]) -> None:
    """A leg of the connection that is told to be the bridge's is the trunk."""
    reading = Reading(bridge=Bridge(frozenset({"C1"})))
    found = one(hangup("normal_clearing", "200", connection_id="c1", **payload), reading=reading)
    assert found.leg == "trunk"
    assert one(hangup("normal_clearing", "200", connection_id="c2"), reading=reading).leg == "pstn"


@pytest.mark.parametrize("uri", ["sip:agent@[2001:DB8:0::5]:5060", "agent@[2001:db8::5]"])
@pytest.mark.parametrize("field", ["to", "to_sip_uri"])
def test_the_bridges_address_can_be_named(field: str, uri: str) -> None:
    """An IPv6 address is found in a SIP URI, whatever port and form it is written with."""
    reading = Reading(bridge=Bridge(frozenset({"2001:db8::5"})))
    told = hangup("normal_clearing", "200", direction="outgoing", **{field: uri})
    found = one(told, reading=reading)
    assert (found.leg, found.bridge_end_by) == ("trunk", "configured")
    assert found.facts["sip.call.direction"] == "inbound"


def test_no_packet_of_an_unanswered_call_is_no_one_way_call() -> None:
    """Zero packets on a call that nobody took says nothing, in either direction."""
    none = {"inbound": {"packet_count": "0", "skip_packet_count": "101"},
            "outbound": {"packet_count": "0", "skip_packet_count": "0"}}  # fmt: skip
    assert packets(one(hangup("call_rejected", "603", call_quality_stats=none))) == {}


def test_no_packet_received_on_an_answered_call_is_told() -> None:
    """Reads that found nothing show that Telnyx listened; a 0 without them is missing."""
    heard = {"inbound": {"packet_count": "0", "skip_packet_count": "101"}}
    idle = {"inbound": {"packet_count": "0", "skip_packet_count": "0"}}
    found = one(hangup("normal_clearing", "200", call_quality_stats=heard))
    assert packets(found) == {("pstn", "in"): 0}
    assert packets(one(hangup("normal_clearing", "200", call_quality_stats=idle))) == {}


def test_headers_pass_by_an_allow_list() -> None:
    """`Reason` gives a cause, `Session-ID` an id; others, and `client_state`, leave no trace."""
    headers = [
        {"name": "Reason", "value": 'SIP;cause=404, Q.850;cause=1;text="Unallocated, so"'},
        {"name": "session-id", "value": "0AF7651916CD43DD8448EB211C80319C;remote=" + "0" * 32},
        {"name": "X-Customer", "value": "Secret Customer"},
        {"name": "P-Asserted-Identity", "value": "<sip:5555550142@192.0.2.1>"},
        "odd", {"name": 1, "value": []},
    ]  # fmt: skip
    found = one(hangup("not_found", "404", sip_headers=headers, client_state="U2VjcmV0"))
    assert found.facts[CAUSE] == 1
    assert found.facts["sip.session_id"] == "0af7651916cd43dd8448eb211c80319c"
    for secret in ("Customer", "U2VjcmV0", "5550142", "192.0.2"):
        assert secret not in repr(found)


def test_digits_are_counted_and_not_read() -> None:
    """DTMF events give a count; one that was sent twice counts once."""
    first = event("call.dtmf.received", "2026-11-22T10:30:03Z", digit="7")
    second = event("call.dtmf.received", "2026-11-22T10:30:04Z", digit="7")
    found = one(first, second, first)
    assert found.facts["sip.dtmf_count"] == 2
    assert "'7'" not in repr(found)


def test_a_recording_does_not_move_the_start_of_its_call() -> None:
    """`start_time` of `call.recording.saved` is the recording's."""
    found = one(
        event("call.initiated", "2026-11-22T10:30:00Z", direction="incoming"),
        event("call.recording.saved", "2026-11-22T10:30:09Z", start_time="2026-11-22T10:30:02Z",
              recording_started_at="2026-11-22T10:30:02Z",
              recording_ended_at="2026-11-22T10:30:06Z"),
        hangup("normal_clearing", "200", start_time="2026-11-22T10:30:00Z"),
    )  # fmt: skip
    (recording,) = [mark for mark in found.marks if mark.kind == "recording"]
    assert found.start is not None
    assert (recording.start - found.start, recording.end) == (2.0, found.end)


@pytest.mark.parametrize(
    "result,by",
    [("human", "human"), ("machine", "machine"), ("human_business", "human"), ("not_sure", None),
     ("fax_detected", "machine"), ("silence", None)],
)  # fmt: skip
def test_who_answered(result: str, by: str | None) -> None:
    """The detection's result, where it is sure."""
    found = one(event("call.machine.detection.ended", result=result))
    assert found.facts.get("sip.answered_by") == by


def test_a_detection_that_is_not_sure_takes_nothing_back() -> None:
    """Who answered stays known when a later detection does not know it."""
    first = event("call.machine.detection.ended", "2026-11-22T10:30:03Z", result="human")
    later = event("call.machine.premium.detection.ended", "2026-11-22T10:30:05Z", result="not_sure")
    assert one(first, later).facts["sip.answered_by"] == "human"


@pytest.mark.parametrize(
    "validated,level", [(True, "B"), (None, "B"), (False, None), ("false", None)]
)
def test_an_attestation_that_did_not_hold_is_none(validated: object, level: str | None) -> None:
    """A level whose signature could not be validated is nobody's word."""
    found = one(event("call.initiated", shaken_stir_attestation="B",
                      shaken_stir_validated=validated))  # fmt: skip
    assert found.facts.get("sip.stir.attestation") == level


def test_offered_codecs_are_not_the_codec() -> None:
    """What could have been agreed is not what was; G.722's clock is half of its sampling rate."""
    offered = one(event("call.initiated", offered_codecs="PCMU,G729", connection_codecs="PCMA"))
    assert "rtp.codec" not in offered.facts
    agreed = one(event("call.answered", codec="G722", sampling_rate=16000)).facts
    assert agreed["rtp.codec"] == "g722"
    assert agreed["rtp.clock_rate_hz"] == 8000


def test_broken_events_are_told_and_others_counted() -> None:
    """Each record is an observation's, broken, or ignored; the good ones come out."""
    good = hangup("user_busy", "486")
    parsed = parse(
        {"data": {"payload": {}}},
        event("call.speak.started"),
        {"data": {"event_type": "fax.sent"}},
        event("call.hangup", "soon"),
        event("call.answered", call_leg_id=None, call_control_id=""),
        good,
    )
    assert [broken.line for broken in parsed.broken] == [1, 4, 5]
    assert parsed.ignored == 2
    assert parsed.observations == parse(good).observations


def test_an_event_without_a_leg_id_finds_its_leg() -> None:
    """By the control id, where that belongs to one leg."""
    stray = event("call.answered", "2026-11-22T10:30:01Z", call_leg_id=None)
    assert one(stray, hangup("normal_clearing", "unspecified")).facts[CODE] == 200


def test_events_of_the_first_version() -> None:
    """API v1 writes `call_hangup` with a flat body; it says what v2 says."""
    told = event("call.hangup", hangup_cause="user_busy", sip_hangup_cause="486")["data"]
    payload = {**told["payload"], "occurred_at": told.pop("occurred_at"), "state": "hangup"}
    first = {**told, "event_type": "call_hangup", "created_at": "2026-11-22T10:30:07Z",
             "payload": payload}  # fmt: skip
    assert one(first) == one(hangup("user_busy", "486"))
    assert parse({**first, "event_type": "call_speak_ended"}).ignored == 1


# TeXML


def callback(status: str, **fields: Any) -> dict[str, Any]:
    """One status callback as a form has it."""
    return {"CallSid": "v3:X", "CallStatus": status, "From": "+15555550142", "To": "+15555550184",
            "Timestamp": "2026-11-22T10:30:06Z", **fields}  # fmt: skip


def texml(*forms: dict[str, Any], json_bodies: bool = False) -> Parsed:
    """What the reader makes of callbacks, as forms or as JSON."""
    if json_bodies:
        return parse(*forms, source="telnyx-texml")
    return SOURCES["telnyx-texml"].parse("\n".join(map(urlencode, forms)).encode())


@pytest.mark.parametrize(
    "status,word,outcome,code",
    [
        ("completed", "normal_clearing", "answered", 200),
        ("completed", "originator_cancel", "canceled", None),
        ("busy", "user_busy", "busy", None),
        ("no-answer", "timeout", "no_answer", None),
        ("canceled", "originator_cancel", "canceled", None),
        ("failed", "call_rejected", "rejected", None),
        ("failed", "unspecified", "failed", None),
        ("failed", "", "failed", None),
    ],
)
def test_texml_statuses(status: str, word: str, outcome: str, code: int | None) -> None:
    """The status says what became of a call, the word says more; a code is not invented."""
    (found,) = texml(callback(status, HangupCause=word)).observations
    assert (found.facts[OUTCOME], found.facts.get(CODE)) == (outcome, code)


def test_texml_callbacks_are_one_call_in_any_order() -> None:
    """Forms and JSON bodies say the same, whatever order they came in."""
    forms = [
        callback("ringing", Timestamp="2026-11-22T10:30:01Z", CallDuration="1"),
        callback("in-progress", Timestamp="2026-11-22T10:30:02Z", Codec="PCMU",
                 SamplingRate="8000", ShakenStirAttestation="C"),
        callback("completed", AnsweredTime="2026-11-22T10:30:02.5Z",
                 EndTime="2026-11-22T10:30:06Z", CallDuration="4"),
    ]  # fmt: skip
    first = texml(*forms)
    for order in itertools.permutations(forms):
        assert texml(*order).observations == first.observations
    assert texml(*forms, json_bodies=True).observations == first.observations
    (found,) = first.observations
    assert found.facts["sip.call.duration_ms"] == 3500.0
    assert found.facts["sip.stir.attestation"] == "C"
    assert found.facts["rtp.clock_rate_hz"] == 8000


def test_texml_quality_without_units_is_left_out() -> None:
    """`packet_loss: 0.5` may be half a percent or a half: neither is said."""
    stats = json.dumps({"mos": 4.2, "jitter": 10, "packet_loss": 0.5})
    (found,) = texml(callback("completed", CallQualityStats=stats)).observations
    assert not found.windows
    assert not found.untimed


def test_texml_detection_comes_by_itself() -> None:
    """The callback of the detection has neither status nor time; it adds to its call."""
    form = {"AccountSid": "a", "CallSid": "v3:X", "CallSidLegacy": "v3:X", "ConnectionId": "7",
            "AnsweredBy": "machine_end_beep", "MachineDetectionDuration": "2500"}  # fmt: skip
    (alone,) = texml(form).observations
    assert alone.facts["sip.answered_by"] == "machine"
    assert (alone.completeness, alone.start, alone.marks) == ("partial", None, ())
    done = callback("completed", HangupCause="normal_clearing", CallDuration="4")
    for order in itertools.permutations([form, done]):
        (found,) = texml(*order).observations
        assert found.facts["sip.answered_by"] == "machine"
        assert found.facts["sip.call.duration_ms"] == 4000.0
    (fax,) = texml({**form, "AnsweredBy": "fax"}).observations
    assert fax.facts["sip.answered_by"] == "machine"
    (unsure,) = texml({**form, "AnsweredBy": "unknown"}).observations
    assert "sip.answered_by" not in unsure.facts


@pytest.mark.parametrize(
    "fields",
    [
        {"RecordingStatus": "completed", "RecordingEndTime": "2026-11-22T10:30:06Z"},
        {"CallStatus": "conversation_ended", "Reason": "hangup", "Messages": "[]"},
        {"CallStatus": None, "CallbackSource": "call-cost-events", "CallCost[v3:X]": "0.004"},
        {"CallbackSource": "call-cost-events", "CallCost[v3:X]": "0.004"},
    ],
)
def test_texml_callbacks_about_something_else(fields: dict[str, Any]) -> None:
    """A recording, an assistant's conversation and the price are no status of the call."""
    form = {key: value for key, value in callback("completed", **fields).items() if value}
    assert texml(form) == Parsed(ignored=1)


def test_texml_status_with_a_recording() -> None:
    """A status callback stays one when it tells of the recording as well."""
    form = callback("completed", CallbackSource="call-progress-events",
                    RecordingStatus="completed", RecordingDuration="4")  # fmt: skip
    (found,) = texml(form).observations
    assert found.completeness == "complete"


def test_texml_without_any_time() -> None:
    """A callback that has no time is read, one with a time that is none is broken."""
    form = callback("completed", CallDuration="17", SequenceNumber="3")
    del form["Timestamp"]
    (found,) = texml(form).observations
    assert found.facts["sip.call.duration_ms"] == 17000.0
    assert (found.completeness, found.start, found.end, found.marks) == ("complete", None, None, ())
    assert texml({**form, "Timestamp": "soon"}).broken[0].reason == "no time under `Timestamp`"
    spaced = {**form, "Timestamp": "2026-11-22 10:30:06.731479Z"}
    assert texml(spaced).observations[0].end == 1795343406.731479


def test_texml_names_of_callers_stand_nowhere() -> None:
    """`CallerId` is a person's name, or a number that other texts may hold."""
    for name in ("Jane Roe", "555 555 0177"):
        form = callback("failed", CallerId=name, ErrorMessage="the call of 5555550177 failed")
        (found,) = texml(form).observations
        assert name not in repr(found)
    assert "5555550177" not in repr(found)


# Whatever the bytes are


DATA = {
    "telnyx": [path.read_bytes() for path in sorted((GOLDEN / "telnyx").glob("*.json*"))
               if "expected" not in path.name],
    "telnyx-texml": [path.read_bytes() for path in sorted((GOLDEN / "telnyx-texml").glob("*.*"))
                     if "expected" not in path.name],
}  # fmt: skip
ODD: list[Any] = [
    None, True, -1, 1e308, 10**30, "", " ", "0", "\x00", "x" * 3000, "+15551234567", [], {},
    [None, {"name": "Reason", "value": "," * 900}], "2026-11-22T10:30:06Z",
]  # fmt: skip
FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
both = pytest.mark.parametrize("source", sorted(DATA))


def _check(source: str, content: bytes) -> None:
    parsed = SOURCES[source].parse(content)
    assert "5551234567" not in repr(parsed)
    for broken in parsed.broken:
        assert 1 <= broken.line <= content.count(b"\n") + 1


@both
@FUZZ
@given(draw=st.data())
def test_odd_bytes_anywhere(source: str, draw: st.DataObject) -> None:
    """Bytes that were changed, cut, doubled or put in give a `Parsed` and no exception."""
    content = draw.draw(st.sampled_from(DATA[source]))
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, len(content)))
        put = draw.draw(st.binary(max_size=8))
        content = content[:at] + put + content[at + draw.draw(st.integers(0, 40)) :]
    _check(source, content)


@both
@FUZZ
@given(draw=st.data())
def test_odd_values_anywhere(source: str, draw: st.DataObject) -> None:
    """Any field of a record replaced by an odd value gives a `Parsed`, and no number in clear."""
    record: Any = (
        copy.deepcopy(hangup("user_busy", "486", call_quality_stats=STATS, direction="incoming"))
        if source == "telnyx"
        else callback("completed", CallQualityStats=json.dumps(STATS), CallLegId="l")
    )
    for _ in range(draw.draw(st.integers(1, 4))):
        place = record
        while isinstance(place, dict) and place:
            key = draw.draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or draw.draw(st.booleans()):
                place[key] = draw.draw(st.sampled_from(ODD))
                break
            place = place[key]
    _check(source, json.dumps(record).encode())


@both
def test_no_record_is_slow(source: str) -> None:
    """A body as long as may be takes no longer than a long line of JSON takes three times."""
    fill = "x" * 60_000
    record = hangup(fill, fill, telnyx_error=fill, sip_headers=[{"name": "Reason", "value": fill}])
    form = callback("completed", HangupCause=fill, CallQualityStats="[" * 8000, To=fill)
    content = json.dumps(record if source == "telnyx" else form).encode()
    _check(source, content)
    assert lines_of_json(lambda: _check(source, content)) < 3
