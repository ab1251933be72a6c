"""Status callbacks of SignalWire: forms with Twilio's names, and media counts of FreeSWITCH.

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
from trunktrace.sources.shapes.values import count, http_time, iso_time
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
}
_OUTCOMES: Final = {"in-progress": "answered", "answered": "answered", **ENDINGS}
_OVER: Final = 4
_OTHER_KINDS: Final = ("ConferenceSid", "MessageSid", "RecordingSid", "FaxSid", "StreamSid")
_OPPOSITE: Final[dict[MediaDirection, MediaDirection]] = {"in": "out", "out": "in"}


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each call, of all its callbacks together."""
    told = gathered(forms(data), _read)
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
    over = _RANKS[fields["CallStatus"]] == _OVER
    draft = Draft(NAME, leg=leg, record_id=sid)
    draft.complete = over
    draft.hide(caller, callee, told("HangupBy"))
    draft.identify("linked_id", told("ParentCallSid") or sid)
    draft.say(
        provider_call_id=sid,
        call_id=told("SipCallId"),
        caller_number=caller,
        callee_number=callee,
        outcome=_OUTCOMES.get(fields["CallStatus"]),
        direction=direction_by(reading, way if leg == "pstn" else None, caller, callee),
    )
    draft.answer(count(told("SipResponseCode")))
    if not over:
        return draft.build()
    draft.end = http_time(told("Timestamp")) or iso_time(told("Timestamp"))
    seconds = count(told("CallDuration"))
    if fields["CallStatus"] == "completed":
        draft.say(
            duration_ms=None if seconds is None else seconds * 1000.0,
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
    towards: MediaDirection = "in" if draft.leg == "pstn" else "out"
    heard: dict[str, object] = {
        "packet_count": received,
        "discarded_count": count(fields.get("AudioInFlushPacketCount")),
    }
    if received is not None and received >= FEWEST_PACKETS:
        heard |= score(fields.get("AudioInMos"))
    draft.total(draft.leg, towards, heard)
    sent = {"packet_count": count(fields.get("AudioOutMediaPacketCount"))}
    draft.total(draft.leg, _OPPOSITE[towards], sent)
