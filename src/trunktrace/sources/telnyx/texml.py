"""Status callbacks of Telnyx's TeXML: forms with Twilio's names, and some of Telnyx's own.

The callbacks of one call are one observation, in whatever order they came. `CallStatus` says what
became of it; there is no SIP code among the documented fields. `CallQualityStats` is JSON in a
text; its documented measures (`mos`, `jitter`, `packet_loss`) have no unit and no direction, and
are left out. The callback of an answering machine detection has no status and no time. Source:
Telnyx's callback pages `texml-call-initiated`, `-ringing`, `-answered`, `-completed`, `-amd`. No
whole real record was seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from trunktrace.sip.codecs import clock_hz
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import forms
from trunktrace.sources.shapes.callbacks import ENDINGS
from trunktrace.sources.shapes.jsonlines import Record, text_in
from trunktrace.sources.shapes.ordered import in_file_order
from trunktrace.sources.shapes.values import count, http_time, integer, iso_time
from trunktrace.sources.telnyx.leg import TelnyxLeg, legs_by_control_id
from trunktrace.sources.telnyx.words import (
    OUTCOMES,
    answered_by,
    attestation,
    code_and_cause,
    hangup_source,
)

NAME: Final = "telnyx-texml"

_MAX_STATS_CHARACTERS: Final = 8192
_OTHER_CALLBACKS: Final = ("RecordingStatus", "RecordingUrl", "StatusCallbackEvent", "Digits")
"""Fields of callbacks that are no status of a call."""

_PROGRESS: Final = "call-progress-events"
_COSTS: Final = "call-cost-events"
_DETECTION: Final = "AnsweredBy"
_CONVERSATION: Final = "conversation"
"""How a `CallStatus` begins that is one of an assistant's conversation, and not of the call."""

_TIMES: Final = ("OccurredAt", "Timestamp", "EndTime")


@dataclass(frozen=True, slots=True)
class _Callback:
    status: str
    at: float | None
    form: Record

    @property
    def leg_id(self) -> str | None:
        return text_in(self.form, "CallLegId")

    @property
    def control_id(self) -> str | None:
        return text_in(self.form, "CallSid") or text_in(self.form, "CallControlId")


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each call, in the order in which they began."""
    broken: list[Broken] = []
    callbacks: list[_Callback] = []
    ignored = 0
    for line, body in forms(data):
        found = body if isinstance(body, Broken) else _callback(body, line)
        if isinstance(found, Broken):
            broken.append(found)
        elif found is None:
            ignored += 1
        else:
            callbacks.append(found)
    legs = _legs(sorted(callbacks, key=_order))
    return Parsed(tuple(leg.observation(reading) for leg in legs), in_file_order(broken), ignored)


def _order(callback: _Callback) -> tuple[int, float, int]:
    number = count(callback.form.get("SequenceNumber"))
    return _RANKS[callback.status], callback.at or 0.0, number or 0


def _callback(form: Record, line: int) -> _Callback | Broken | None:
    """A status of a call, None for a callback about something else, or why it cannot be read."""
    status = text_in(form, "CallStatus")
    if _is_no_status(form, status):
        return None
    if status is None and text_in(form, _DETECTION):
        status = _DETECTION
    if status is None:
        return Broken(line, "no `CallStatus`")
    if status not in _RANKS:
        return Broken(line, "a `CallStatus` that is not known")
    at = next(filter(None, (_time(form, name) for name in _TIMES)), None)
    if at is None and any(text_in(form, name) for name in _TIMES):
        return Broken(line, "no time under `Timestamp`")
    found = _Callback(status, at, form)
    if found.leg_id is None and found.control_id is None:
        return Broken(line, "no `CallSid`")
    return found


def _is_no_status(form: Record, status: str | None) -> bool:
    """Whether a callback is about something else: a recording's has the `CallStatus` as well."""
    source = text_in(form, "CallbackSource")
    if status is None:
        return source == _COSTS or any(text_in(form, name) for name in _OTHER_CALLBACKS)
    is_of_recording = text_in(form, "RecordingStatus") is not None and source != _PROGRESS
    return is_of_recording or source == _COSTS or status.startswith(_CONVERSATION)


def _time(form: Record, name: str) -> float | None:
    value = form.get(name)
    told = iso_time(value)
    return http_time(value) if told is None else told


def _legs(callbacks: list[_Callback]) -> list[TelnyxLeg]:
    known = legs_by_control_id([(one.leg_id, one.control_id) for one in callbacks])
    legs: dict[str, TelnyxLeg] = {}
    for callback in callbacks:
        control = callback.control_id or ""
        key = callback.leg_id or known.get(control, control)
        leg = legs.setdefault(key, TelnyxLeg(source=NAME, leg_id=key))
        _common(leg, callback)
        _STATUSES[callback.status](leg, callback)
    return sorted(legs.values(), key=lambda leg: leg.start or leg.end or 0.0)


def _common(leg: TelnyxLeg, callback: _Callback) -> None:
    form = callback.form
    session = text_in(form, "CallSessionId") or text_in(form, "ParentCallSid")
    leg.session_id = session or leg.session_id
    leg.connection_id = text_in(form, "ConnectionId") or leg.connection_id
    leg.caller = text_in(form, "From") or leg.caller
    leg.callee = text_in(form, "To") or leg.callee
    leg.start = _time(form, "CallInitiatedAt") or leg.start
    leg.add_person(text_in(form, "CallerId"))
    way = (text_in(form, "Direction") or "").partition("-")[0]
    leg.direction = {"inbound": "incoming", "outbound": "outgoing"}.get(way, leg.direction)
    codec = text_in(form, "Codec")
    told: dict[str, object] = {
        "codec": codec,
        "clock_rate_hz": clock_hz(codec, integer(form.get("SamplingRate"))),
        "stir_attestation": attestation(
            form.get("ShakenStirAttestation"), form.get("ShakenStirValidated")
        ),
        "answered_by": answered_by(form.get("AnsweredBy")),
    }
    leg.facts |= {name: value for name, value in told.items() if value is not None}


def _on_initiated(leg: TelnyxLeg, callback: _Callback) -> None:
    leg.initiated = True
    leg.start = callback.at if leg.start is None else leg.start


def _on_progress(_leg: TelnyxLeg, _callback: _Callback) -> None:
    """It says no more than what every callback does: other times are not told."""


def _on_answered(leg: TelnyxLeg, callback: _Callback) -> None:
    leg.answered = True
    leg.answered_at = _time(callback.form, "AnsweredTime") or callback.at


def _on_end(leg: TelnyxLeg, callback: _Callback) -> None:
    form = callback.form
    answered_at = _time(form, "AnsweredTime")
    leg.over, leg.end = True, _time(form, "EndTime") or callback.at
    leg.word = text_in(form, "HangupCause")
    leg.code, leg.cause = code_and_cause(form.get("SipHangupCause") or form.get("SipResponseCode"))
    leg.hangup_source = hangup_source(form.get("HangupSource"))
    leg.quality = _statistics(form.get("CallQualityStats"))
    is_completed = callback.status == "completed"
    leg.outcome = None if is_completed else ENDINGS[callback.status]
    was_taken = is_completed and leg.word not in OUTCOMES
    if leg.answered or answered_at is not None or was_taken:
        leg.answered = True
        leg.answered_at = answered_at or leg.answered_at
        seconds = count(form.get("CallDuration"))
        leg.duration_ms = None if seconds is None else seconds * 1000.0
    else:
        leg.reason = text_in(form, "ErrorMessage")


def _statistics(value: object) -> Record:
    if not isinstance(value, str) or len(value) > _MAX_STATS_CHARACTERS:
        return {}
    try:
        told: object = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return cast("Record", told) if isinstance(told, dict) else {}


_STATUSES: Final[dict[str, Callable[[TelnyxLeg, _Callback], None]]] = {
    "queued": _on_initiated,
    "initiated": _on_initiated,
    "ringing": _on_progress,
    "in-progress": _on_answered,
    "answered": _on_answered,
    _DETECTION: _on_progress,
    "completed": _on_end,
    "busy": _on_end,
    "no-answer": _on_end,
    "canceled": _on_end,
    "failed": _on_end,
}
_RANKS: Final = {status: rank for rank, status in enumerate(_STATUSES)}
