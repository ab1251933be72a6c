"""Status callbacks of Twilio's Programmable Voice: forms, or JSON with the same names.

The callbacks of one call (`CallSid`) are one observation, in whatever order they came:
`SequenceNumber` orders them, and a word that ends the call is never taken back. Their times are
whole seconds, so they give no moment of answer or hang-up. The request to the `action` of a
`<Dial><Sip>` is one of the dialled leg as well. Calls over an Elastic SIP Trunk have no
status callbacks. Sources: Twilio's pages "Call resource" (StatusCallback), "Voice request
parameters", "TwiML Voice: Dial" and "TwiML Voice: Sip".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from trunktrace.conventions import MAX_STRING_CHARACTERS
from trunktrace.facts import Observation
from trunktrace.sip.uris import is_sip_uri
from trunktrace.sources.draft import Draft
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import forms
from trunktrace.sources.shapes.callbacks import ENDINGS, direction_by
from trunktrace.sources.shapes.jsonlines import Record, object_in
from trunktrace.sources.shapes.values import count, decimal, http_time, iso_time
from trunktrace.sources.twilio.words import (
    ANSWERED_BY,
    CARRIER,
    data_of,
    direction_told,
    say_country,
    say_ending,
    sid_of,
)

NAME: Final = "twilio-status"

_UNDER_WAY: Final = ("queued", "initiated", "ringing", "in-progress")
_DIALLED: Final = {"answered": "in-progress"}
"""`DialCallStatus` where it is no word of a `CallStatus`: a leg that talks to somebody else now."""
_OTHER_KINDS: Final = frozenset(
    {
        "ConferenceSid",
        "MessageSid",
        "PaymentSid",
        "QueueSid",
        "RecordingSid",
        "SiprecSid",
        "SmsSid",
        "StreamSid",
        "TranscriptionSid",
    }
)
"""Fields of callbacks that are about something else, some with the `CallSid` of its call."""

_VERSTAT: Final = re.compile(r"TN-Validation-Passed-([ABC])(?:-[A-Za-z-]{1,32})?")
_CLIENT: Final = "client:"
_PARTIES: Final = ("From", "To", "Caller", "Called", "ForwardedFrom", "CallerName")


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each call, in the order in which its first callback stands."""
    calls: dict[str, _Call] = {}
    broken: list[Broken] = []
    ignored = 0
    for line, body in forms(data):
        if isinstance(body, Broken):
            broken.append(body)
            continue
        fields = _fields(body)
        reason = _why_not(fields)
        if reason is None:
            ignored += 1
        elif reason:
            broken.append(Broken(line, reason))
        else:
            _take(calls, fields)
    told = [call.observation(reading) for call in calls.values()]
    return Parsed(tuple(told), tuple(broken), ignored)


def _take(calls: dict[str, _Call], fields: dict[str, str]) -> None:
    """Add a callback to its call, and what it says of a leg that this call dialled."""
    sid, dialled = fields["CallSid"], _dialled(fields)
    calls.setdefault(sid, _Call(sid)).callbacks.append(fields)
    if dialled is not None:
        sid = dialled["CallSid"]
        leg = calls.setdefault(sid, _Call(sid))
        leg.callbacks.append(dialled)
        leg.is_sip = True
        leg.persons.update(fields[name] for name in _PARTIES if name in fields)


def _dialled(fields: dict[str, str]) -> dict[str, str] | None:
    """What the request after a `<Dial><Sip>` says of the dialled leg, under the names of that leg.

    None where it says nothing. Of other nouns it does not say whether they are a telephone.
    """
    sid, status = sid_of(fields.get("DialCallSid")), fields.get("DialCallStatus", "")
    status = _DIALLED.get(status, status)
    names = {"SipCallId": "DialSipCallId", "SipResponseCode": "DialSipResponseCode"}
    told = {name: fields[dial] for name, dial in names.items() if dial in fields}
    if sid is None or not told or status not in (*ENDINGS, *_UNDER_WAY):
        return None
    if "DialCallDuration" in fields:
        told["CallDuration"] = fields["DialCallDuration"]
    parent = {"ParentCallSid": fields["CallSid"], "Direction": "outbound-dial"}
    return {"CallSid": sid, "CallStatus": status, **parent, **told}


def _fields(body: Record) -> dict[str, str]:
    """The parameters of a callback as text, empty ones left out.

    A callback that comes by Event Streams has them under `data.request.parameters`.
    """
    if "specversion" in body:
        body = object_in(object_in(data_of(body) or {}, "request"), "parameters")
    fields: dict[str, str] = {}
    for name, value in body.items():
        text = value if isinstance(value, str) else _written(value)
        if text.strip():
            fields[name] = text.strip()
    return fields


def _written(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _why_not(fields: dict[str, str]) -> str | None:
    """Why a callback cannot be read; empty if it can, None if it is about something else."""
    status = fields.get("CallStatus")
    if status is None and not fields.keys().isdisjoint(_OTHER_KINDS):
        return None
    if sid_of(fields.get("CallSid")) is None:
        return "no SID under `CallSid`"
    if any(fields.get(name, "").lower().startswith(_CLIENT) for name in _legs_party(fields)):
        return None  # Twilio's own WebRTC client: no telephone, and no trunk
    if status is None:
        return "" if "AnsweredBy" in fields else "no `CallStatus`"
    if status not in ENDINGS and status not in _UNDER_WAY:
        return "`CallStatus` is none of Twilio's"
    return ""


def _legs_party(fields: dict[str, str]) -> tuple[str, str]:
    """Names under which the party at the other end of this leg stands."""
    return ("From", "Caller") if fields.get("Direction") == "inbound" else ("To", "Called")


class _Call:
    def __init__(self, call_sid: str) -> None:
        self._sid = call_sid
        self.callbacks: list[dict[str, str]] = []
        self.is_sip = False
        self.persons: set[str] = set()

    def observation(self, reading: Reading) -> Observation:
        """What the callbacks of the call say together."""
        ordered = sorted(self.callbacks, key=_order)
        fields: dict[str, str] = {}
        for callback in ordered:
            fields |= callback
        caller = fields.get("From") or fields.get("Caller")
        callee = fields.get("To") or fields.get("Called")
        faces_sip = self.is_sip or _faces_sip(fields.get("Direction", ""), caller, callee)
        draft = Draft(NAME, leg="trunk" if faces_sip else "pstn", record_id=self._sid)
        told = direction_told(fields.get("Direction"), faces_sip=faces_sip)
        draft.hide(*self.persons)
        _name_parties(draft, fields, ordered, caller, callee)
        draft.say(
            carrier=CARRIER,
            direction=direction_by(reading, told, caller, callee),
            provider_call_id=self._sid,
            call_id=fields.get("SipCallId"),
            answered_by=ANSWERED_BY.get(fields.get("AnsweredBy", "")),
            stir_attestation=_attestation(fields.get("StirVerstat")),
        )
        draft.identify("linked_id", sid_of(fields.get("ParentCallSid")) or self._sid)
        _say_ending(draft, fields)
        _say_times(draft, ordered, fields)
        return draft.build()


def _order(callback: dict[str, str]) -> tuple[bool, int, int, float]:
    status = callback.get("CallStatus", "")
    number = count(callback.get("SequenceNumber"))
    return (
        status in ENDINGS,
        number if number is not None else -1,
        _UNDER_WAY.index(status) if status in _UNDER_WAY else 0,
        _time(callback) or 0.0,
    )


def _time(callback: dict[str, str]) -> float | None:
    """When the callback was made: RFC 2822, in UTC."""
    return http_time(callback.get("Timestamp")) or iso_time(callback.get("Timestamp"))


def _faces_sip(direction: str, caller: str | None, callee: str | None) -> bool:
    """Whether the party at the other end of this leg is reached by SIP: there the bridge is."""
    if direction.startswith("trunking"):
        return True
    if direction.startswith("outbound"):
        return is_sip_uri(callee)
    if direction == "inbound":
        return is_sip_uri(caller)
    return is_sip_uri(caller) or is_sip_uri(callee)


def _name_parties(
    draft: Draft,
    fields: dict[str, str],
    callbacks: Iterable[dict[str, str]],
    caller: str | None,
    callee: str | None,
) -> None:
    for callback in callbacks:
        draft.hide(*(callback.get(name) for name in _PARTIES))
    draft.say(caller_number=caller, callee_number=callee)
    say_country(
        draft,
        fields.get("FromCountry") or fields.get("CallerCountry"),
        fields.get("ToCountry") or fields.get("CalledCountry"),
    )


def _attestation(verstat: str | None) -> str | None:
    """The level of a signature that Twilio found valid; one that failed proves nothing."""
    if verstat is None:
        return None
    if verstat == "No-TN-Validation":
        return "none"
    found = _VERSTAT.fullmatch(verstat)
    return found[1] if found else None


def _say_ending(draft: Draft, fields: dict[str, str]) -> None:
    told = filter(None, (fields.get("ErrorCode"), fields.get("ErrorMessage")))
    error = " ".join(told)[:MAX_STRING_CHARACTERS]
    ending = ENDINGS.get(fields.get("CallStatus", ""))
    say_ending(draft, ending, count(fields.get("SipResponseCode")), error or None)
    talked = decimal(fields.get("CallDuration"))
    if ending == "answered" and talked is not None:
        draft.say(duration_ms=talked * 1000.0)


def _say_times(draft: Draft, ordered: list[dict[str, str]], fields: dict[str, str]) -> None:
    """When it was, to the second; a call that is not over will be told more of."""
    times = [at for at in map(_time, ordered) if at is not None]
    draft.complete = fields.get("CallStatus") in ENDINGS
    if not times:
        return
    first, last = min(times), max(times)
    if draft.complete:
        first, draft.end = min(first, last - (decimal(fields.get("CallDuration")) or 0.0)), last
    if first < last or not draft.complete:
        draft.start = first
