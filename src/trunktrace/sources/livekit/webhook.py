"""Webhooks of LiveKit's server: SIP participants that joined and left, and recordings (egress).

A line is the body of one webhook (`livekit.WebhookEvent` as JSON, or as Python's protobuf prints it
with `preserving_proto_field_name`: `created_at` for `createdAt`); a file may also hold one over
several lines, or a list of them. Their times are whole seconds, but for a participant's joining and
an egress: so they give no moment of answer or hang-up. There is no SIP event, no code, no codec and
no statistics among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.livekit.leg import SeenLeg, is_sip_kind, reason_of, texts_of
from trunktrace.sources.livekit.whole import one_a_line
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.shapes.jsonlines import Record, object_in, records, text_in
from trunktrace.sources.shapes.ordered import Key, take_in_order

NAME: Final = "livekit-webhook"

_JOB: Final = re.compile(r"agent-(AJ_[A-Za-z0-9]{4,64})")
_RANKS: Final = {
    "room_started": 0,
    "participant_joined": 0,
    "egress_started": 0,
    "room_finished": 2,
    "participant_left": 2,
    "participant_connection_aborted": 2,
    "egress_ended": 2,
}
_CAPITAL: Final = re.compile(r"[A-Z]")
_RECORDS_NOTHING: Final = frozenset(
    {"EGRESS_STARTING", "EGRESS_FAILED", "EGRESS_ABORTED", "0", "4", "5"}
)
"""Status of an egress, by its name or its number."""


def parse(data: bytes) -> Parsed:
    """One observation for each SIP participant, in the order in which they joined."""
    rooms: dict[str, _Room] = {}
    broken, ignored = take_in_order(records(one_a_line(data)), _key_of, partial(_take, rooms))
    told = [one for room in rooms.values() for one in room.observations()]
    return Parsed(tuple(told), broken, ignored)


def _key_of(record: Record) -> Key | None:
    """Whole seconds: of one second, what began stands before what ended."""
    at = _seconds(record, "createdAt", 1.0)
    return None if at is None else (at, _RANKS.get(text_in(record, "event") or "", 1))


def _take(rooms: dict[str, _Room], record: Record) -> str | None:
    """Why the body could not be read; empty if it was, None if it says nothing of a call."""
    event = text_in(record, "event")
    if event is None:
        return "no name under `event`"
    handler = _HANDLERS.get(event)
    egress = _object(record, "egressInfo")
    room_id = text_in(object_in(record, "room"), "sid") or _text(egress, "roomId")
    if handler is None:
        return None
    if room_id is None:
        return "no id of a room"
    return handler(rooms.setdefault(room_id, _Room(room_id)), record)


class _Room:
    def __init__(self, room_id: str) -> None:
        self._id = room_id
        self._legs: dict[str, SeenLeg] = {}
        self._recordings: dict[str, tuple[float, float | None]] = {}
        self._job_id: str | None = None

    def on_joined(self, record: Record) -> str | None:
        """A participant joined."""
        return self._participant(record)

    def on_left(self, record: Record) -> str | None:
        """A participant left."""
        unread = self._participant(record)
        participant = object_in(record, "participant")
        seen = self._legs.get(text_in(participant, "sid") or "")
        at = _seconds(record, "createdAt", 1.0)
        if unread == "" and seen is not None and at is not None:
            reason = reason_of(_value(participant, "disconnectReason"))
            seen.left(reason, max(at, seen.leg.first_seen_at))
        return unread

    def on_egress(self, record: Record) -> str | None:
        """A recording began, changed or ended."""
        egress = _object(record, "egressInfo")
        started = _seconds(egress, "startedAt", 1e9)
        egress_id = _text(egress, "egressId")
        if egress_id is None:
            return "no id of an egress"
        status = egress.get("status")
        nothing = isinstance(status, str | int) and str(status) in _RECORDS_NOTHING
        if started is None or nothing or _only_streams(egress):
            return None
        ended = _seconds(egress, "endedAt", 1e9)
        self._recordings[egress_id] = (started, ended if ended and ended >= started else None)
        return ""

    def observations(self) -> Iterator[Observation]:
        """The legs of the room; a recording stands on the first of them."""
        drafts = [seen.draft for seen in self._legs.values()]
        alone = Draft(NAME, leg="agent") if self._recordings and not drafts else None
        for draft in [*drafts, alone]:
            if draft is not None:
                draft.identify("room_id", self._id)
                draft.identify("job_id", self._job_id)
        first = alone or next(iter(drafts), None)
        for start, end in self._recordings.values():
            if first is not None:
                first.happened("recording", start, end)
        for seen in self._legs.values():
            yield seen.observation()
        if alone is not None:
            yield alone.build()

    def _participant(self, record: Record) -> str | None:
        participant = object_in(record, "participant")
        identity, sid = text_in(participant, "identity"), text_in(participant, "sid")
        if identity is None or sid is None:
            return "no participant with an identity and an id"
        if found := _JOB.fullmatch(identity):
            self._job_id = self._job_id or found[1]
        if not is_sip_kind(participant.get("kind")):
            return None
        joined = _seconds(participant, "joinedAtMs", 1e3) or _seconds(participant, "joinedAt", 1.0)
        joined = joined or _seconds(record, "createdAt", 1.0)
        if joined is None:
            return "no time under `joinedAt` or `createdAt`"
        seen = self._legs.get(sid)
        if seen is None:
            name = text_in(participant, "name") or ""
            seen = SeenLeg(NAME, identity, name, joined, exact=False)
            self._legs[sid] = seen
        attributes = texts_of(object_in(participant, "attributes"))
        seen.take(attributes, None)
        state = attributes.get("sip.callStatus")
        # An inbound call that its caller gave up while it rang says `hangup` as well.
        if state == "active" or (state == "hangup" and seen.leg.direction == "outbound"):
            seen.answered = True
        return ""


def _only_streams(egress: Record) -> bool:
    """Whether an egress sends to elsewhere, and records nothing."""
    files = any(_results(egress, kind) for kind in ("file", "segment"))
    return not files and _results(egress, "stream")


def _results(egress: Record, kind: str) -> bool:
    """Whether an egress makes that: in a list, or in the deprecated field of one."""
    one = "segments" if kind == "segment" else kind
    return bool(_value(egress, f"{kind}Results")) or bool(object_in(egress, one))


# A key may be told as protobuf's JSON has it, or as its definition has it (`created_at`).


def _value(record: Record, key: str) -> object:
    return record.get(key, record.get(_CAPITAL.sub(lambda one: f"_{one[0].lower()}", key)))


def _object(record: Record, key: str) -> Record:
    return object_in({key: _value(record, key)}, key)


def _text(record: Record, key: str) -> str | None:
    return text_in({key: _value(record, key)}, key)


def _seconds(record: Record, key: str, per_second: float) -> float | None:
    """Unix seconds under `key`, where protobuf's JSON puts an int64 as text."""
    value = _value(record, key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / per_second if 0 < value < 1e11 * per_second else None


Handler = Callable[[_Room, Record], str | None]

_HANDLERS: Final[dict[str, Handler]] = {
    "participant_joined": _Room.on_joined,
    "participant_left": _Room.on_left,
    "participant_connection_aborted": _Room.on_left,
    "egress_started": _Room.on_egress,
    "egress_updated": _Room.on_egress,
    "egress_ended": _Room.on_egress,
}
