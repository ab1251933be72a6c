"""Event webhooks of Vonage's Voice API: JSON, one object an event, or a query (`event_method` GET).

The events of one leg (`uuid`; `call_uuid` where a machine was detected) are one observation. All
numbers are text. `sip_code` is read where it stands; it is not in the examples that were seen. No
media. Seen: examples of Vonage's own SDK and documentation, no record of a real call.
"""

from __future__ import annotations

from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
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
from trunktrace.windows import Leg

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
_ANSWERED: Final = 200
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
_DETAILS: Final = {
    "invalid_number": "invalid_number",
    "number_out_of_service": "invalid_number",
    "declined": "rejected",
}
"""`detail` of a call that failed, where it says more than the status. Source: Vonage's Java SDK,
`CallStatusDetail`. Of the others `restricted`, `cannot_route`, `internal_error`, `carrier_timeout`
and `unavailable` say what the status says."""

_DETECTED: Final = frozenset({"human", "machine"})
_OTHER_STATUSES: Final = frozenset({"input", "record", "transfer"})
_OTHER_KINDS: Final = ("recording_url", "dtmf", "speech", "type", "reason")
"""Fields of webhooks that are no event of a leg: recordings, input, transfers, errors."""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each leg; times without an offset are of the reading's zone."""
    told = gathered(forms(data), _read)
    found = tuple(_observed(uuid, fields, reading) for uuid, fields in told.calls.items())
    return Parsed(found, told.broken, told.ignored)


def _read(fields: Fields) -> Callback | str | None:
    status, uuid = fields.get("status"), fields.get("uuid") or fields.get("call_uuid")
    if status is None or status in _OTHER_STATUSES:
        others = status is not None or any(name in fields for name in _OTHER_KINDS)
        return None if others else "no `status`"
    if status not in _RANKS:
        return "a `status` that is not known"
    if uuid is None:
        return "no `uuid`"
    at = iso_time(fields.get("timestamp"))
    if at is None:
        return "no time under `timestamp`"
    # Later events of the leg say nothing of it.
    kept = {"detected": status} if status in _DETECTED else {}
    return Callback(uuid, _RANKS[status], at, {**fields, **kept})


def _observed(uuid: str, fields: Fields, reading: Reading) -> Observation:
    told = fields.get
    status, way = fields["status"], told("direction")
    caller, callee = with_plus(told("from")), with_plus(told("to"))
    leg = _leg_to(caller if way == "inbound" else callee)
    draft = Draft(NAME, leg=leg, record_id=uuid)
    draft.complete = _RANKS[status] == _OVER
    draft.start = iso_time(told("start_time"), reading.zone)
    draft.end = iso_time(told("end_time"), reading.zone)
    if draft.end is None and draft.complete:
        draft.end = iso_time(told("timestamp"))
    draft.hide(caller, callee)
    draft.identify("linked_id", told("conversation_uuid"))
    draft.say(
        provider_call_id=uuid,
        caller_number=_number(caller),
        callee_number=_number(callee),
        answered_by=told("detected"),
        direction=direction_by(reading, way if leg == "pstn" else None, caller, callee),
    )
    _end(draft, fields, reading)
    return draft.build()


def _end(draft: Draft, fields: Fields, reading: Reading) -> None:
    told, status = fields.get, fields["status"]
    answered = draft.start is not None or bool(count(told("duration")))
    code = count(told("sip_code"))
    if status != "completed" or answered:
        draft.say(outcome=_OUTCOMES.get(status))
    if _OUTCOMES.get(status) != "answered":
        draft.say(outcome=_DETAILS.get(told("detail") or ""))
        draft.answer(code)
    elif answered:
        seconds = count(told("duration")) if status == "completed" else None
        draft.say(duration_ms=None if seconds is None else seconds * 1000.0)
        draft.answer(code if code == _ANSWERED else None)
        draft.say(hangup_source=_hung_up_by(fields))
        draft.happened("answered", draft.start)
        draft.happened("hangup", iso_time(told("end_time"), reading.zone))


def _hung_up_by(fields: Fields) -> str | None:
    """The leg's party, where it is said to have hung up; `platform` is Vonage or our own script.

    Source: Vonage's .NET SDK, `EventWebhooks/Completed`.
    """
    if fields["status"] != "completed" or fields.get("disconnected_by") != "user":
        return None
    return {"inbound": "caller", "outbound": "callee"}.get(fields.get("direction", ""))


def _leg_to(party: str | None) -> Leg:
    """As `leg_to`; a WebSocket (`wss://...`) is our own end, as the bridge is."""
    return "trunk" if _number(party) != party else leg_to(party)


def _number(party: str | None) -> str | None:
    return None if party is not None and "://" in party else party
