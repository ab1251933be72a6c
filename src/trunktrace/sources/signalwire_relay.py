"""RELAY's `calling.call.state`, told with the names of SignalWire's status callbacks.

The event comes as the body of a webhook (`call_state_url`), or as a message of the WebSocket
(`signalwire.event`). Fields: SignalWire's page on CallState, and its SDKs. No real one was seen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.bodies import Body
from trunktrace.sources.shapes.jsonlines import Record, object_in, text_in
from trunktrace.sources.shapes.values import unix_time

STATE: Final = "calling.call.state"

ENDED: Final = "ended"
"""The status of a call that is over, where nothing but an answer tells what became of it."""

STARTED_AT: Final = "StartedAt"
ANSWERED_AT: Final = "AnsweredAt"
ENDED_AT: Final = "EndedAt"
"""Fields of our own: unix seconds."""

_STATES: Final = {"created": "initiated", "ringing": "ringing", "answered": "in-progress"}
_ENDINGS: Final = {
    "busy": "busy",
    "noAnswer": "no-answer",
    "no_answer": "no-answer",
    "cancel": "canceled",
    "decline": "declined",
    "error": "failed",
}
_NUMBERS: Final = (("From", ("from_number", "from")), ("To", ("to_number", "to")))
_LATEST_IN_S: Final = 1e11
"""A greater number counts milliseconds."""


def as_callback(body: Body) -> Body:
    """The body as it is, or of a state of a call what a status callback would say of it."""
    line, record = body
    event = None if isinstance(record, Broken) else _event_in(record)
    return body if event is None else (line, _told(event))


def _event_in(record: Record) -> Record | None:
    """The event of a webhook or message, if it is a state; other events are left as they are."""
    event = object_in(record, "params") if "jsonrpc" in record else record
    return event if text_in(event, "event_type") == STATE else None


def _told(event: Record) -> Record:
    params = object_in(event, "params")
    state = text_in(params, "call_state") or ""
    device = object_in(object_in(params, "device"), "params")
    at = _time(event.get("timestamp"))
    answered = _time(params.get("answer_time")) or (at if state == "answered" else None)
    ended = _time(params.get("end_time")) or (at if state == ENDED else None)
    started = _time(params.get("start_time")) or (at if state == "created" else None)
    moment = at or ended or answered or started
    told: Record = {
        "event_type": STATE,
        "CallStatus": _STATES.get(state),
        "CallSid": params.get("call_id"),
        "ParentCallSid": object_in(params, "parent").get("call_id"),
        "Direction": params.get("direction"),
        "Timestamp": None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(),
        STARTED_AT: started,
        ANSWERED_AT: answered,
        ENDED_AT: ended,
    }
    if state == ENDED:
        told["CallStatus"] = _ENDINGS.get(text_in(params, "end_reason") or "", ENDED)
    for name, keys in _NUMBERS:
        told[name] = next((device[key] for key in keys if device.get(key)), None)
    return told


def _time(value: object) -> float | None:
    number = unix_time(value, per_second=1000.0)
    return number if number is not None and number >= _LATEST_IN_S / 1000.0 else unix_time(value)
