"""Call events of Telnyx: Call Control applications, and SIP connections with a webhook URL.

The events of one call leg (`call_leg_id`) are one observation, in whatever order they came and
however often: a webhook that is not answered with 200 is sent again. Bodies are taken as sent
(under `data`), as an application keeps them (what was under `data`), and flat.

There is no SIP Call-ID, no count of lost packets and no jitter among what Telnyx says:
`call_quality_stats` is FreeSWITCH's, whose skipped reads are not loss and whose variance is not
jitter. Source: Telnyx's callback pages (`call-initiated`, `call-answered`, `call-hangup`, ...).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trunktrace.sip import reason as reasons
from trunktrace.sip.codecs import clock_hz
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record, list_in, object_in, text_in
from trunktrace.sources.shapes.ordered import in_file_order
from trunktrace.sources.shapes.values import integer, iso_time
from trunktrace.sources.telnyx.leg import TelnyxLeg, legs_by_control_id
from trunktrace.sources.telnyx.words import (
    answered_by,
    attestation,
    code_and_cause,
    error_text,
    hangup_source,
)

NAME: Final = "telnyx"

_MOST_HEADERS: Final = 64
_FIRST_VERSION: Final = "call_"
"""How events of API v1 are called: `call_hangup`, and their bodies are flat."""

_SESSION_ID_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    at: float
    id: str
    payload: Record

    @property
    def leg_id(self) -> str | None:
        return text_in(self.payload, "call_leg_id")

    @property
    def control_id(self) -> str | None:
        return text_in(self.payload, "call_control_id")


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each call leg, in the order in which they began."""
    broken: list[Broken] = []
    events: dict[tuple[str, ...], _Event] = {}
    ignored = 0
    for line, body in bodies(data):
        found = body if isinstance(body, Broken) else _event(body, line)
        if isinstance(found, Broken):
            broken.append(found)
        elif found is None:
            ignored += 1
        else:
            events.setdefault((found.kind, found.id, found.leg_id or found.control_id or ""), found)
    legs = _legs(sorted(events.values(), key=lambda one: (one.at, _RANKS[one.kind], one.id)))
    return Parsed(tuple(leg.observation(reading) for leg in legs), in_file_order(broken), ignored)


def _event(body: Record, line: int) -> _Event | Broken | None:
    """What a body tells; None for an event that says nothing of a call's trunk or media."""
    event = object_in(body, "data") or body
    kind = text_in(event, "event_type")
    if kind is None:
        return Broken(line, "no name under `event_type`")
    if kind.startswith(_FIRST_VERSION):
        kind = kind.replace("_", ".")
    if kind not in _HANDLERS:
        return None
    payload = object_in(event, "payload") or event
    if not (text_in(payload, "call_leg_id") or text_in(payload, "call_control_id")):
        return Broken(line, "no id of a call leg")
    at = _time(kind, event, payload)
    if at is None:
        return Broken(line, "no time under `occurred_at`")
    told = text_in(event, "id") or text_in(event, "webhook_id")
    return _Event(kind, at, told or _as_text(payload), payload)


def _time(kind: str, event: Record, payload: Record) -> float | None:
    """When it happened: `occurred_at` stands in the event or in its payload."""
    own = {"call.hangup": "end_time", "call.initiated": "start_time"}.get(kind)
    places = [(payload, own)] if own else []
    places += [(event, "occurred_at"), (payload, "occurred_at"), (event, "created_at")]
    times = (iso_time(record.get(key)) for record, key in places)
    return next((time for time in times if time is not None), None)


def _as_text(payload: Record) -> str:
    try:
        return json.dumps(payload, sort_keys=True)
    except RecursionError:  # read at the very limit of what can be nested
        return ""


def _legs(events: list[_Event]) -> list[TelnyxLeg]:
    known = legs_by_control_id([(event.leg_id, event.control_id) for event in events])
    legs: dict[str, TelnyxLeg] = {}
    for event in events:
        control = event.control_id or ""
        key = event.leg_id or known.get(control, control)
        leg = legs.setdefault(key, TelnyxLeg(source=NAME, leg_id=key))
        _common(leg, event.payload)
        _HANDLERS[event.kind](leg, event)
    return list(legs.values())


def _common(leg: TelnyxLeg, payload: Record) -> None:
    """What each event of a leg may repeat, and some leave out."""
    leg.session_id = text_in(payload, "call_session_id") or leg.session_id
    leg.connection_id = text_in(payload, "connection_id") or leg.connection_id
    leg.direction = text_in(payload, "direction") or leg.direction
    leg.party_type = text_in(payload, "calling_party_type") or leg.party_type
    leg.caller = text_in(payload, "from") or leg.caller
    leg.callee = text_in(payload, "to") or leg.callee
    leg.caller_uri = text_in(payload, "from_sip_uri") or leg.caller_uri
    leg.callee_uri = text_in(payload, "to_sip_uri") or leg.callee_uri
    leg.add_person(text_in(payload, "caller_id_name"))
    level = attestation(
        payload.get("shaken_stir_attestation"), payload.get("shaken_stir_validated")
    )
    if level is not None:
        leg.facts["stir_attestation"] = level


def _started(leg: TelnyxLeg, event: _Event) -> None:
    """`start_time` is the same in every event of a call (but not in one of a recording)."""
    told = iso_time(event.payload.get("start_time"))
    if told is not None and told <= event.at:
        leg.start = told


def _on_initiated(leg: TelnyxLeg, event: _Event) -> None:
    leg.initiated = True
    leg.start = event.at if leg.start is None else leg.start
    _read_headers(leg, event.payload)


def _on_answered(leg: TelnyxLeg, event: _Event) -> None:
    _started(leg, event)
    leg.answered = True
    leg.answered_at = event.at if leg.answered_at is None else leg.answered_at
    codec = text_in(event.payload, "codec")
    rate = clock_hz(codec, integer(event.payload.get("sampling_rate")))
    leg.facts |= {"codec": codec, "clock_rate_hz": rate}
    _read_headers(leg, event.payload)


def _on_bridged(leg: TelnyxLeg, event: _Event) -> None:
    """Two legs that hear each other: this one was answered, or nobody took it in the end."""
    _started(leg, event)
    leg.bridged = True


def _on_hangup(leg: TelnyxLeg, event: _Event) -> None:
    _started(leg, event)
    leg.over, leg.end = True, event.at
    leg.code, leg.cause = code_and_cause(event.payload.get("sip_hangup_cause"))
    leg.word = text_in(event.payload, "hangup_cause")
    leg.hangup_source = hangup_source(event.payload.get("hangup_source"))
    leg.reason = error_text(event.payload.get("telnyx_error"))
    leg.quality = object_in(event.payload, "call_quality_stats")
    _read_headers(leg, event.payload)


def _on_dtmf(leg: TelnyxLeg, event: _Event) -> None:
    """A digit was pressed; which one is not read."""
    leg.dtmf.add(event.id)


def _on_detection(leg: TelnyxLeg, event: _Event) -> None:
    who = answered_by(event.payload.get("result"))
    if who is not None:
        leg.facts["answered_by"] = who


def _on_recording(leg: TelnyxLeg, event: _Event) -> None:
    start = iso_time(event.payload.get("recording_started_at"))
    if start is not None:
        leg.recordings[start] = iso_time(event.payload.get("recording_ended_at"))


def _read_headers(leg: TelnyxLeg, payload: Record) -> None:
    """`Reason` and `Session-ID`; other headers of a call may name persons, and are left alone."""
    for header in (list_in(payload, "sip_headers") + list_in(payload, "custom_headers"))[
        :_MOST_HEADERS
    ]:
        name, value = _header(header)
        if name == "reason":
            cause = reasons.q850_cause(value)
            leg.cause = cause if leg.cause is None else leg.cause
            leg.reason = leg.reason or reasons.words(None, value) or None
        elif name == "session-id":
            local = value.partition(";")[0].strip().lower()
            if len(local) == _SESSION_ID_CHARACTERS and local.strip("0") and _is_hex(local):
                leg.facts["session_id"] = local


def _header(header: object) -> tuple[str, str]:
    if not isinstance(header, dict):
        return "", ""
    record: Record = header  # pyright: ignore[reportUnknownVariableType] - JSON has text for keys
    return (text_in(record, "name") or "").lower(), text_in(record, "value") or ""


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdef" for character in text)


_HANDLERS: Final[dict[str, Callable[[TelnyxLeg, _Event], None]]] = {
    "call.initiated": _on_initiated,
    "call.answered": _on_answered,
    "call.bridged": _on_bridged,
    "call.dtmf.received": _on_dtmf,
    "call.machine.detection.ended": _on_detection,
    "call.machine.premium.detection.ended": _on_detection,
    "call.recording.saved": _on_recording,
    "call.hangup": _on_hangup,
}
_RANKS: Final = {kind: rank for rank, kind in enumerate(_HANDLERS)}
"""The order of events of one moment."""
