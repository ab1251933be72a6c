"""Callbacks of Plivo (answer_url, hangup_url), and of carriers that write the same (Vobiz).

Forms or JSON. There is no SIP code and no media in them. `HangupCause` is FreeSWITCH's name of a
Q.850 cause. `HangupCauseCode` is Plivo's own; it says what became of a call where Vobiz writes
`completed` for all that is over. A webhook of a Vobiz trunk has `Status`, and `Billsec` for the
talking time. `StartTime`, `AnswerTime` and `EndTime` are local times of the account, and nothing
says so; `SessionStart` is UTC. Where the two differ by whole quarters of an hour, that is the
account's offset; else they are of `reading.zone`. Seen: one public record of Plivo, two of Vobiz.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.freeswitch.causes import cause_named, outcome_of
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import forms
from trunktrace.sources.shapes.callbacks import (
    Callback,
    Fields,
    direction_by,
    gathered,
    leg_to,
    with_plus,
)
from trunktrace.sources.shapes.values import count, iso_time

NAME: Final = "plivo"

_RANKS: Final = {
    "queued": 0,
    "initiated": 0,
    "ringing": 1,
    "in-progress": 2,
    "completed": 3,
    "busy": 3,
    "failed": 3,
    "timeout": 3,
    "no-answer": 3,
    "cancel": 3,
    "canceled": 3,
}
_OVER: Final = 3
_SAYS_LITTLE: Final = frozenset({"completed", "failed"})
"""The statuses of a call that nobody answered, of which the cause says more."""

_OUTCOMES: Final = {
    "in-progress": "answered",
    "busy": "busy",
    "failed": "failed",
    "timeout": "no_answer",
    "no-answer": "no_answer",
    "cancel": "canceled",
    "canceled": "canceled",
}
_SOURCES: Final = {
    "caller": "caller",
    "callee": "callee",
    "call recipient": "callee",
    "carrier": "carrier",
    "plivo": "carrier",
    "vobiz": "carrier",
    "answer xml": "agent",
    "api request": "agent",
}
"""`HangupSource`: the last two are our own application."""

_OUR_SCRIPT_ENDED: Final = "4010"
"""`HangupCauseCode`, "End Of XML Instructions": the carrier hangs up as it was told no more."""

_UNANSWERED: Final = {
    "1000": "canceled",
    "2000": "invalid_number",
    "3000": "no_answer",
    "3010": "busy",
    "3020": "rejected",
    "6010": "no_answer",
}
"""`HangupCauseCode` of calls that nobody answered: Canceled, Invalid Destination Address, No
Answer, Busy Line, Rejected, Ring Timeout Reached. Source: Plivo's and Vobiz's pages on causes."""

_DETECTED: Final = {"true": "machine", "false": "human"}
"""`Machine`, of an answering machine's detection; `false` as well where nobody answered."""

_OTHER_KINDS: Final = (
    "RecordUrl", "RecordingID", "RecordFile", "Digits", "ConferenceUUID", "DialAction",
    "DialStatus", "DialBLegStatus", "Speech", "StreamID", "Machine",
)  # fmt: skip
_TIMES: Final = ("SessionStart", "StartTime", "AnswerTime", "EndTime", "Timestamp")
_QUARTER_S: Final = 900
_MOST_OFFSET_S: Final = 15 * 3600
_NEAR_S: Final = 60.0
"""Session and call begin within seconds of each other (0.1 and 2.9 s in the records seen)."""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each call (`CallUUID`), of all its callbacks together."""
    told = gathered(forms(data), _read)
    found = tuple(_observed(uuid, fields, reading) for uuid, fields in told.calls.items())
    return Parsed(found, told.broken, told.ignored)


def _read(fields: Fields) -> Callback | str | None:
    uuid = fields.get("CallUUID")
    status = fields.get("CallStatus") or (fields.get("Status") if "Event" in fields else None)
    if status is None:
        others = any(name in fields for name in _OTHER_KINDS)
        return None if others else "no `CallStatus`"
    if status not in _RANKS:
        return "a `CallStatus` that is not known"
    if uuid is None:
        return "no `CallUUID`"
    times = [at for name in _TIMES if (at := iso_time(fields.get(name))) is not None]
    # Before a call is over, many callbacks state no time at all: their rank puts them in order.
    at = times[0] if times else 0.0
    return Callback(uuid, _RANKS[status], at, {**fields, "CallStatus": status})


def _observed(uuid: str, fields: Fields, reading: Reading) -> Observation:
    told = fields.get
    caller, callee = with_plus(told("From")), with_plus(told("To"))
    way = told("Direction")
    leg = leg_to(caller if way == "inbound" else callee)
    draft = Draft(NAME, leg=leg, record_id=uuid)
    draft.complete = _RANKS[fields["CallStatus"]] == _OVER
    draft.hide(caller, callee, told("CallerName"), told("ForwardedFrom"))
    draft.identify("linked_id", told("ALegUUID") or uuid)
    draft.start, draft.end = _times(fields, reading)
    draft.say(
        provider_call_id=uuid,
        call_id=told("SIPCallID"),
        trunk_id=told("TrunkID"),
        caller_number=caller,
        callee_number=callee,
        direction=direction_by(reading, way if leg == "pstn" else None, caller, callee),
        stir_attestation=told("STIRAttestation"),
    )
    _end(draft, fields)
    if draft.known(c.SIP_CALL_OUTCOME) == "answered":
        draft.say(answered_by=_DETECTED.get((told("Machine") or "").lower()))
    return draft.build()


def _end(draft: Draft, fields: Fields) -> None:
    told, status = fields.get, fields["CallStatus"]
    draft.say(outcome=_OUTCOMES.get(status))
    if not draft.complete:
        return
    code = told("HangupCauseCode") or ""
    cause = told("HangupCause") or told("Reason")
    draft.say(q850_cause=cause_named(cause))
    seconds = count(told("Billsec") or told("Duration"))
    answered = code not in _UNANSWERED and (
        iso_time(told("AnswerTime")) is not None or bool(seconds)
    )
    if status == "completed" and answered:
        ours = code == _OUR_SCRIPT_ENDED
        source = _SOURCES.get((told("HangupSource") or "").lower())
        draft.say(
            outcome="answered",
            duration_ms=None if seconds is None else seconds * 1000.0,
            hangup_source="agent" if ours and source == "carrier" else source,
        )
    elif status in _SAYS_LITTLE:
        by_code, by_cause = _UNANSWERED.get(code), outcome_of(cause)
        is_sure = status == "failed" and by_cause not in (None, "failed")
        draft.say(outcome=by_cause if is_sure else by_code or by_cause)
    elif status == "busy" and _UNANSWERED.get(code, outcome_of(cause)) == "rejected":
        draft.say(outcome="rejected")


def _times(fields: Fields, reading: Reading) -> tuple[float | None, float | None]:
    """Beginning and end in unix seconds."""
    session = iso_time(fields.get("SessionStart"))
    start, end = fields.get("StartTime"), fields.get("EndTime")
    offset = _offset(session, iso_time(start, UTC))
    if offset is None:
        return session or iso_time(start, reading.zone), iso_time(end, reading.zone)
    local_end = iso_time(end, UTC)
    return session, None if local_end is None else local_end - offset


def _offset(session: float | None, start: float | None) -> float | None:
    """Seconds by which the account's clock is before UTC; None where they do not tell."""
    if session is None or start is None:
        return None
    apart = start - session
    offset = round(apart / _QUARTER_S) * _QUARTER_S
    near = abs(apart - offset) <= _NEAR_S and abs(offset) <= _MOST_OFFSET_S
    return float(offset) if near else None
