"""Event webhooks of Vonage's Voice API: JSON, one object an event.

The events of one leg (`uuid`) are one observation. All numbers are text. `sip_code` is read where
it stands; it is not in the examples that were seen. No media. Seen: examples of Vonage's own SDK,
no record of a real call.
"""

from __future__ import annotations

from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.callbacks import (
    Callback,
    Fields,
    direction_by,
    gathered,
    leg_to,
    with_plus,
)
from trunktrace.sources.shapes.values import count, iso_time

NAME: Final = "vonage"

_RANKS: Final = {
    "started": 0,
    "ringing": 1,
    "answered": 2,
    "human": 3,
    "machine": 3,
    "disconnected": 4,
    "completed": 5,
    "busy": 5,
    "cancelled": 5,
    "failed": 5,
    "rejected": 5,
    "timeout": 5,
    "unanswered": 5,
}
_OVER: Final = 5
_OUTCOMES: Final = {
    "answered": "answered",
    "human": "answered",
    "machine": "answered",
    "disconnected": "answered",
    "completed": "answered",
    "busy": "busy",
    "cancelled": "canceled",
    "failed": "failed",
    "rejected": "rejected",
    "timeout": "no_answer",
    "unanswered": "no_answer",
}
_OTHER_KINDS: Final = ("recording_url", "dtmf", "speech", "type", "reason")
"""Fields of webhooks that are no event of a leg: recordings, input, transfers, errors."""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each leg; times without an offset are of the reading's zone."""
    told = gathered(bodies(data), _read)
    found = tuple(_observed(uuid, fields, reading) for uuid, fields in told.calls.items())
    return Parsed(found, told.broken, told.ignored)


def _read(fields: Fields) -> Callback | str | None:
    status, uuid = fields.get("status"), fields.get("uuid")
    if status is None:
        others = any(name in fields for name in _OTHER_KINDS)
        return None if others else "no `status`"
    if status not in _RANKS:
        return "a `status` that is not known"
    if uuid is None:
        return "no `uuid`"
    at = iso_time(fields.get("timestamp"))
    return "no time under `timestamp`" if at is None else Callback(uuid, _RANKS[status], at, fields)


def _observed(uuid: str, fields: Fields, reading: Reading) -> Observation:
    told = fields.get
    status, way = fields["status"], told("direction")
    caller, callee = with_plus(told("from")), with_plus(told("to"))
    leg = leg_to(caller if way == "inbound" else callee)
    start = iso_time(told("start_time"), reading.zone)
    end = iso_time(told("end_time"), reading.zone)
    draft = Draft(NAME, leg=leg, record_id=uuid)
    draft.complete = _RANKS[status] == _OVER
    draft.start, draft.end = start, end
    draft.hide(caller, callee)
    draft.identify("linked_id", told("conversation_uuid"))
    draft.say(
        provider_call_id=uuid,
        caller_number=caller,
        callee_number=callee,
        direction=direction_by(reading, way if leg == "pstn" else None, caller, callee),
    )
    answered = start is not None or bool(count(told("duration")))
    if status != "completed" or answered:
        draft.say(outcome=_OUTCOMES.get(status))
    if _OUTCOMES.get(status) != "answered":
        draft.answer(count(told("sip_code")))
    elif answered:
        seconds = count(told("duration")) if status == "completed" else None
        draft.say(duration_ms=None if seconds is None else seconds * 1000.0)
        draft.happened("answered", start)
        draft.happened("hangup", end)
    return draft.build()
