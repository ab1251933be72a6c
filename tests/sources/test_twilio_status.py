"""Twilio's status callbacks: one call out of several, in any order, and what they do not say."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

STATUS = SOURCES["twilio-status"]
CAPTURED = CAPTURES / "twilio" / "status-busy-486.form"
SID = "CA" + "1" * 32
PHONE = {"From": "+15005550006", "To": "+15105550100", "Direction": "outbound-api"}


def _form(**fields: object) -> bytes:
    told = {"CallSid": SID, "CallStatus": "completed", **PHONE, **fields}
    return urlencode({name: value for name, value in told.items() if value is not None}).encode()


def _facts(*lines: bytes, reading: Reading | None = None) -> dict[str, Any]:
    (told,) = STATUS.parse(b"\n".join(lines), reading or Reading()).observations
    return dict(told.facts)


def test_captured_callback_says_what_is_true() -> None:
    """The public callback gives the facts of its label, in spite of its broken time."""
    truth = json.loads(CAPTURED.with_suffix(".facts.json").read_text())
    (told,) = STATUS.parse(CAPTURED.read_bytes()).observations
    assert told.facts["sip.call.direction"] == truth["direction"]
    assert told.facts["sip.response.status_code"] == truth["sip_code"]
    assert told.facts["sip.call.outcome"] == "busy"
    assert (told.facts["sip.caller.country"], told.facts["sip.callee.country"]) == ("GB", "ZM")
    assert told.end == 1651933814.0
    assert not {"rtp.codec", "sip.hangup.source", "sip.call.duration_ms"} & told.facts.keys()


PROGRESS = [
    _form(CallStatus="initiated", SequenceNumber=0, Timestamp="Mon, 23 Nov 2026 00:20:00 +0000"),
    _form(CallStatus="ringing", SequenceNumber=1, Timestamp="Mon, 23 Nov 2026 00:20:02 +0000"),
    _form(CallStatus="in-progress", SequenceNumber=2, AnsweredBy="human"),
    _form(SequenceNumber=3, CallDuration=55, SipResponseCode=200,
          Timestamp="Mon, 23 Nov 2026 00:21:04 +0000"),
]  # fmt: skip


@given(st.permutations(PROGRESS), st.booleans())
def test_callbacks_of_a_call_are_one_in_any_order(lines: list[bytes], twice: bool) -> None:
    """Several callbacks of one call are one observation, out of order and twice."""
    parsed = STATUS.parse(b"\n".join(lines * (1 + twice)))
    assert parsed == STATUS.parse(b"\r\n".join(PROGRESS))
    (told,) = parsed.observations
    assert told.facts["sip.call.outcome"] == "answered"
    assert told.facts["sip.call.duration_ms"] == 55000.0
    assert told.facts["sip.answered_by"] == "human"
    assert (told.start, told.end, told.completeness) == (1795393200.0, 1795393264.0, "complete")


def test_a_final_word_is_not_taken_back() -> None:
    """A callback without a number that comes late does not open the call again."""
    late = _form(CallStatus="ringing")
    assert _facts(_form(CallStatus="busy", SipResponseCode=486, SequenceNumber=2), late) == _facts(
        late, _form(CallStatus="busy", SipResponseCode=486, SequenceNumber=2)
    )


def test_a_call_that_is_not_over_is_partial() -> None:
    """Before the last callback there is no outcome."""
    (told,) = STATUS.parse(PROGRESS[1]).observations
    assert told.completeness == "partial"
    assert "sip.call.outcome" not in told.facts
    assert (told.start, told.end) == (1795393202.0, None)


@pytest.mark.parametrize(
    "status, code, outcome, said",
    [
        ("completed", "200", "answered", 200),
        ("completed", None, "answered", None),
        ("busy", "486", "busy", 486),
        ("busy", None, "busy", None),
        ("no-answer", "480", "no_answer", 480),
        ("no-answer", "487", "no_answer", 487),
        ("busy", "487", "busy", 487),
        ("failed", "480", "no_answer", 480),
        ("failed", "503", "congestion", 503),
        ("failed", "404", "invalid_number", 404),
        ("failed", None, "failed", None),
        ("failed", "0", "failed", None),
        ("canceled", "487", "canceled", 487),
        ("canceled", None, "canceled", None),
    ],
)
def test_what_became_of_the_call(
    status: str, code: str | None, outcome: str, said: int | None
) -> None:
    """The code says more than the status; a 487 of a call that nobody took is Twilio's CANCEL."""
    facts = _facts(_form(CallStatus=status, SipResponseCode=code, CallDuration="0"))
    assert facts["sip.call.outcome"] == outcome
    assert facts.get("sip.response.status_code") == said
    assert ("sip.call.duration_ms" in facts) == (outcome == "answered")


def test_twilios_error_explains_a_decline() -> None:
    """Error 32203 behind a 603 is a carrier's block, not a callee who declined."""
    facts = _facts(_form(CallStatus="failed", SipResponseCode=603, ErrorCode=32203))
    assert facts["sip.call.outcome"] == "blocked"
    assert facts["sip.call.outcome_detail"] == "carrier_blocked"


@pytest.mark.parametrize(
    "direction, caller, callee, leg, expected",
    [
        ("inbound", "+15005550006", "+15105550100", "pstn", "inbound"),
        ("outbound-api", "+15005550006", "+15105550100", "pstn", "outbound"),
        ("outbound-dial", "+15005550006", "sip:a@bridge.example.com", "trunk", "inbound"),
        ("outbound-api", "+15005550006", "sips:a@bridge.example.com", "trunk", "inbound"),
        ("inbound", "sip:a@x.sip.twilio.com", "+15105550100", "trunk", "outbound"),
        ("trunking-originating", "+15005550006", "+15105550100", "trunk", "inbound"),
        ("trunking-terminating", "+15005550006", "+15105550100", "trunk", "outbound"),
        (None, "+15005550006", "+15105550100", "pstn", None),
    ],
)
def test_leg_and_direction(
    direction: str | None, caller: str, callee: str, leg: str, expected: str | None
) -> None:
    """A leg to a SIP URI faces the bridge; what Twilio places on it comes to the agent."""
    form = _form(Direction=direction, From=caller, To=callee)
    (told,) = STATUS.parse(form).observations
    assert told.leg == leg
    assert told.facts.get("sip.call.direction") == expected


def test_direction_as_configured() -> None:
    """What is said of the bridge counts more than the record's own word."""
    reading = Reading(bridge=Bridge(end="callee"))
    assert _facts(_form(), reading=reading)["sip.call.direction"] == "inbound"
    reading = Reading(bridge=Bridge(names=frozenset({"b.example.com"})))
    form = _form(Direction=None, To="sip:a@b.example.com;transport=tls")
    assert _facts(form, reading=reading)["sip.call.direction"] == "inbound"


@pytest.mark.parametrize(
    "verstat, expected",
    [
        ("TN-Validation-Passed-A", "A"),
        ("TN-Validation-Passed-C-Diverted", "C"),
        ("No-TN-Validation", "none"),
        ("TN-Validation-Failed-A", None),
        ("TN-Validation-Failed", None),
        ("TN-Validation-Passed-D", None),
        ("", None),
    ],
)
def test_attestation(verstat: str, expected: str | None) -> None:
    """Only a signature that Twilio found valid attests something."""
    facts = _facts(_form(Direction="inbound", StirVerstat=verstat))
    assert facts.get("sip.stir.attestation") == expected


def test_legs_of_one_call_are_linked() -> None:
    """The call that a `<Dial>` made has its parent's id."""
    parent = "CA" + "2" * 32
    told = STATUS.parse(_form(ParentCallSid=parent) + b"\n" + _form(CallSid=parent)).observations
    assert [one.ids["linked_id"] for one in told] == [parent, parent]
    assert [one.ids["provider_call_id"] for one in told] == [SID, parent]


@pytest.mark.parametrize("time", ["Sat, 07 May 2022 14:30:14 +000", "2022-05-07T14:30:14Z"])
def test_times(time: str) -> None:
    """A time zone that lost a digit is still UTC."""
    (told,) = STATUS.parse(_form(Timestamp=time)).observations
    assert told.end == 1651933814.0


def test_whole_seconds_are_no_moments() -> None:
    """Callbacks give no marks: a whole second is no moment of an answer."""
    (told,) = STATUS.parse(b"\n".join(PROGRESS)).observations
    assert told.marks == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"CallStatus": None, "RecordingSid": "RE1", "RecordingStatus": "completed"},
        {"CallStatus": None, "CallSid": None, "MessageSid": "SM1"},
        {"Direction": "inbound", "From": "client:alice"},
        {"To": "client:alice"},
    ],
)
def test_what_is_about_something_else_is_ignored(fields: dict[str, str | None]) -> None:
    """Callbacks of recordings and messages, and Twilio's own WebRTC client, are no trunk's."""
    assert STATUS.parse(_form(**fields)) == Parsed(ignored=1)


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"CallSid": None}, "no SID under `CallSid`"),
        ({"CallSid": "+15005550006"}, "no SID under `CallSid`"),
        ({"CallStatus": None}, "no `CallStatus`"),
        ({"CallStatus": "exploded"}, "`CallStatus` is none of Twilio's"),
    ],
)
def test_what_lacks_its_id_or_kind_is_broken(fields: dict[str, str | None], reason: str) -> None:
    """A callback without id or status is broken, and the next one is read."""
    parsed = STATUS.parse(_form(**fields) + b"\n" + PROGRESS[3])
    assert [(one.line, one.reason) for one in parsed.broken] == [(1, reason)]
    assert len(parsed.observations) == 1


def test_answering_machine_detection_comes_by_itself() -> None:
    """The callback of the detection has no status; it adds to its call."""
    facts = _facts(_form(CallStatus=None, AnsweredBy="machine_end_beep"), PROGRESS[1])
    assert facts["sip.answered_by"] == "machine"


def test_forms_json_and_event_streams_say_the_same() -> None:
    """A body that a log made JSON of, and one that came by Event Streams, say the same."""
    fields = {"CallSid": SID, "CallStatus": "busy", "SipResponseCode": 486, **PHONE}
    expected = STATUS.parse(_form(CallStatus="busy", SipResponseCode=486))
    assert STATUS.parse(json.dumps(fields).encode()) == expected
    event = {
        "specversion": "1.0",
        "type": "com.twilio.voice.status-callback.call.completed",
        "data": {"request": {"method": "POST", "parameters": fields}},
    }
    assert STATUS.parse(json.dumps([event]).encode()) == expected
    event["data"] = json.dumps(event["data"])
    assert STATUS.parse(json.dumps([event]).encode()) == expected


DIALLED = {
    "CallStatus": "in-progress",
    "Direction": "inbound",
    "DialCallSid": "CA" + "2" * 32,
    "DialCallStatus": "busy",
    "DialCallDuration": "0",
    "DialBridged": "false",
}
BY_SIP = {**DIALLED, "DialSipResponseCode": "486", "DialSipCallId": "a1@192.0.2.7"}


def test_the_request_after_a_dial_tells_of_the_dialled_leg() -> None:
    """What became of a `<Dial><Sip>` is told of that leg, and the calling one goes on."""
    calling, dialled = STATUS.parse(_form(**BY_SIP)).observations
    assert (calling.leg, calling.completeness) == ("pstn", "partial")
    assert "sip.call.outcome" not in calling.facts
    assert (dialled.leg, dialled.completeness) == ("trunk", "complete")
    assert dialled.facts["sip.response.status_code"] == 486
    assert dialled.facts["sip.call.outcome"] == "busy"
    assert dialled.facts["sip.call.direction"] == "inbound"
    assert dialled.facts["sip.provider.call_id"] == DIALLED["DialCallSid"]
    assert dialled.ids["call_id"] == "a1"
    assert dialled.ids["linked_id"] == calling.ids["linked_id"] == SID


def test_a_dialled_leg_that_talked() -> None:
    """Its duration is the dialled leg's own; one that is in a conference is not over."""
    ok = {**BY_SIP, "DialCallStatus": "completed", "DialSipResponseCode": "200"}
    _, dialled = STATUS.parse(_form(**{**ok, "DialCallDuration": "41"})).observations
    assert dialled.facts["sip.call.outcome"] == "answered"
    assert dialled.facts["sip.call.duration_ms"] == 41000.0
    _, dialled = STATUS.parse(_form(**{**ok, "DialCallStatus": "answered"})).observations
    assert dialled.completeness == "partial"


def test_a_dialled_leg_with_callbacks_of_its_own() -> None:
    """The request after the dial and the leg's own callbacks are one observation."""
    own = _form(
        CallSid=DIALLED["DialCallSid"],
        ParentCallSid=SID,
        CallStatus="busy",
        SipResponseCode=486,
        SequenceNumber=2,
        Direction="outbound-dial",
        To="sip:agent@bridge.example.com",
    )
    for lines in ((own, _form(**BY_SIP)), (_form(**BY_SIP), own)):
        found = {one.leg: one for one in STATUS.parse(b"\n".join(lines)).observations}
        assert found["trunk"].ids["call_id"] == "a1"
        assert found["trunk"].facts["sip.caller.number"] == "+1*******06"
        assert len(found) == 2


@pytest.mark.parametrize(
    "fields",
    [
        DIALLED,
        {**BY_SIP, "DialCallSid": "?"},
        {**BY_SIP, "DialCallStatus": "exploded"},
        {**BY_SIP, "DialCallStatus": None},
    ],
)
def test_a_dial_that_does_not_say_enough(fields: dict[str, str | None]) -> None:
    """A dialled telephone or WebRTC client cannot be told apart: no leg is made up of them."""
    (told,) = STATUS.parse(_form(**fields)).observations
    assert told.ids["provider_call_id"] == SID


def test_persons_stand_nowhere() -> None:
    """Neither numbers nor SIP users are in clear anywhere, and nothing of the caller's token."""
    form = _form(
        To="sip:alice.smith@bridge.example.com",
        CallerName="Alice Smith",
        ForwardedFrom="+15005550099",
        CallStatus="failed",
        ErrorCode="13224",
        ErrorMessage="+15005550006 cannot call 15005550099",
        CallToken="secret-token",
    )
    said = repr(STATUS.parse(form))
    for person in ("5005550006", "5005550099", "alice", "Smith", "secret-token"):
        assert person not in said
    dialled = _form(**{**BY_SIP, "DialSipCallId": "15005550006-7@192.0.2.7"})
    assert "5005550006" not in repr(STATUS.parse(dialled))


FIELDS = st.sampled_from(
    ["CallSid", "CallStatus", "SipResponseCode", "CallDuration", "SequenceNumber", "Timestamp",
     "From", "To", "Direction", "StirVerstat", "AnsweredBy", "ParentCallSid", "ErrorCode",
     "FromCountry", "SipCallId"]
)  # fmt: skip


@given(field=FIELDS, value=st.text(max_size=40))
def test_any_value_anywhere(field: str, value: str) -> None:
    """A value of any kind in any field leaves a callback that is told, broken or ignored."""
    parsed = STATUS.parse(_form(**{"SipResponseCode": 200, field: value}))
    assert len(parsed.observations) + len(parsed.broken) + parsed.ignored == 1


@given(content=st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """Bytes of any kind give a `Parsed` and no exception."""
    assert isinstance(STATUS.parse(content), Parsed)
