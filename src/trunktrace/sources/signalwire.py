"""Status callbacks of SignalWire: forms with Twilio's names, and media counts of FreeSWITCH.

RELAY's `calling.call.state` is read as well (`signalwire_relay`): it has no media.

The callbacks of one call (`CallSid`) are one observation. There is no SIP code in the one real
record that was seen; `SipResponseCode` is read where it stands. Packets are counted at SignalWire:
`AudioIn...` what it received from the leg's party, `AudioOut...` what it sent. No loss is stated:
`AudioInSkipPacketCount` counts reads that found nothing, `AudioInAveragePtime` is the mean
interval of packets whose time nobody states, and what `AudioOutLost` counts is not documented.
`AudioInJitterMaxVariance` is a variance in ms squared: no jitter. Seen: one public record.
"""

from __future__ import annotations

from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.freeswitch.media import FEWEST_PACKETS, score
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import forms
from trunktrace.sources.shapes.callbacks import (
    ENDINGS,
    Callback,
    Fields,
    direction_by,
    gathered,
    leg_to,
)
from trunktrace.sources.shapes.values import (
    count,
    http_time,
    iso_time,
    milliseconds_between,
    unix_time,
)
from trunktrace.sources.signalwire_relay import (
    ANSWERED_AT,
    ENDED,
    ENDED_AT,
    STARTED_AT,
    as_callback,
)
from trunktrace.windows import MediaDirection

NAME: Final = "signalwire"

_RANKS: Final = {
    "queued": 0,
    "initiated": 1,
    "ringing": 2,
    "in-progress": 3,
    "answered": 3,
    "completed": 4,
    "busy": 4,
    "no-answer": 4,
    "canceled": 4,
    "failed": 4,
    "declined": 4,
    ENDED: 4,
}
_OUTCOMES: Final = {
    "in-progress": "answered",
    "answered": "answered",
    "declined": "rejected",
    **ENDINGS,
}
_OVER: Final = 4
_OTHER_KINDS: Final = (
    "ConferenceSid", "MessageSid", "RecordingSid", "FaxSid", "StreamSid", "event_type", "jsonrpc",
)  # fmt: skip
_DETECTED: Final = {"human": "human", "machine": "machine", "fax": "machine"}
_OPPOSITE: Final[dict[MediaDirection, MediaDirection]] = {"in": "out", "out": "in"}


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each call, of all its callbacks together."""
    told = gathered(map(as_callback, forms(data)), _read)
    found = tuple(_observed(sid, fields, reading) for sid, fields in told.calls.items())
    return Parsed(found, told.broken, told.ignored)


def _read(fields: Fields) -> Callback | str | None:
    status, sid = fields.get("CallStatus"), fields.get("CallSid")
    if status is None:
        others = any(name in fields for name in _OTHER_KINDS)
        return None if others else "no `CallStatus`"
    if status not in _RANKS:
        return "a `CallStatus` that is not known"
    if sid is None:
        return "no `CallSid`"
    at = http_time(fields.get("Timestamp")) or iso_time(fields.get("Timestamp"))
    return "no time under `Timestamp`" if at is None else Callback(sid, _RANKS[status], at, fields)


def _observed(sid: str, fields: Fields, reading: Reading) -> Observation:
    told = fields.get
    caller, callee = told("From"), told("To")
    way = (told("Direction") or "").removesuffix("-api")
    leg = leg_to(caller if way == "inbound" else callee)
    answered_at = unix_time(told(ANSWERED_AT))
    status = fields["CallStatus"]
    if status == ENDED and answered_at is not None:
        status = "completed"
    detected = _DETECTED.get((told("AnsweredBy") or "").partition("_")[0])
    draft = Draft(NAME, leg=leg, record_id=sid)
    draft.complete = _RANKS[status] == _OVER
    draft.hide(caller, callee, told("HangupBy"))
    draft.identify("linked_id", told("ParentCallSid") or sid)
    draft.say(
        provider_call_id=sid,
        call_id=told("SipCallId"),
        caller_number=caller,
        callee_number=callee,
        outcome=_OUTCOMES.get(status),
        answered_by=detected,
        direction=direction_by(reading, way if leg == "pstn" else None, caller, callee),
    )
    draft.answer(count(told("SipResponseCode")))
    draft.start = unix_time(told(STARTED_AT))
    draft.happened("answered", answered_at)
    if not draft.complete:
        return draft.build()
    ended_at = unix_time(told(ENDED_AT))
    draft.end = ended_at or http_time(told("Timestamp")) or iso_time(told("Timestamp"))
    draft.happened("hangup", ended_at)
    if status == "completed":
        seconds = count(told("CallDuration"))
        talked = milliseconds_between(answered_at, ended_at)
        draft.say(
            duration_ms=talked if seconds is None else seconds * 1000.0,
            hangup_source=_hung_up_by(told("HangupBy"), caller, callee),
        )
        _media(draft, fields)
    return draft.build()


def _hung_up_by(who: str | None, caller: str | None, callee: str | None) -> str | None:
    if who is None or caller == callee:
        return None
    return {caller: "caller", callee: "callee"}.get(who)


def _media(draft: Draft, fields: Fields) -> None:
    """What SignalWire received from the party, and what it sent there."""
    received = count(fields.get("AudioInMediaPacketCount"))
    sent = count(fields.get("AudioOutMediaPacketCount"))
    if not received and not sent:
        # An answered call of no packet at all is one whose packets were not counted.
        return
    towards: MediaDirection = "in" if draft.leg == "pstn" else "out"
    heard: dict[str, object] = {
        "packet_count": received,
        "discarded_count": count(fields.get("AudioInFlushPacketCount")),
    }
    if received is not None and received >= FEWEST_PACKETS:
        heard |= score(fields.get("AudioInMos"))
    draft.total(draft.leg, towards, heard)
    draft.total(draft.leg, _OPPOSITE[towards], {"packet_count": sent})
