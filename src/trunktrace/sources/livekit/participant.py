"""What a Python agent saw in its room: participants, their attributes, dial results, its states.

A line is an object with `t` (unix seconds) and `event`, the name of a room event of livekit-rtc, or
one of `wait_for_participant`, `rpc_GetRemoteHeaders`, `create_sip_participant` (result, or every
field of the exception). The how-to shows the few lines of Python that write such a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trunktrace.facts import Attempt, Observation
from trunktrace.sip.dialling import failure_of, final_answer
from trunktrace.sip.participant import HEADER_PREFIX
from trunktrace.sources.draft import Draft
from trunktrace.sources.livekit.leg import SeenLeg, is_sip_kind, reason_of, texts_of
from trunktrace.sources.livekit.whole import one_a_line
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.shapes.jsonlines import (
    Record,
    count_in,
    number_in,
    object_in,
    records,
    text_in,
    time_in,
)
from trunktrace.sources.shapes.ordered import Key, take_in_order

NAME: Final = "livekit-participant"

_AGENT_STATE: Final = "lk.agent.state"
_JOB: Final = re.compile(r"agent-(AJ_[A-Za-z0-9]{4,64})")
_ANSWERED: Final = 200
_MOST_STRANGERS: Final = 1000


def parse(data: bytes) -> Parsed:
    """One observation for each SIP participant, in the order in which they came."""
    room = _Room()
    broken, ignored = take_in_order(records(one_a_line(data)), _key_of, room.take)
    told = tuple(room.observations())
    return Parsed(told, broken, ignored if told else ignored + room.taken)


def _key_of(record: Record) -> Key | None:
    at = time_in(record, "t")
    return None if at is None else (at, 0)


class _Room:
    def __init__(self) -> None:
        self._legs: list[SeenLeg] = []
        # When the agent subscribed to a track, of whom it was not told yet.
        self._tracks: dict[str, float] = {}
        self._loose: list[Attempt] = []
        self._job_id: str | None = None
        self._speaking: list[tuple[float, float | None]] = []
        self._agent: str | None = None
        self._last_at = 0.0
        self.taken = 0

    def take(self, record: Record) -> str | None:
        """Why the record could not be read; empty if it was, None if it says nothing of a call."""
        reason = self._take(record)
        self.taken += reason == ""
        return reason

    def _take(self, record: Record) -> str | None:
        at, event = time_in(record, "t"), text_in(record, "event")
        if at is None:
            return "no time under `t`"
        if event is None:
            return "no name under `event`"
        self._last_at = max(self._last_at, at)
        handler = _HANDLERS.get(event)
        self._note_job(text_in(record, "identity"))
        return None if handler is None else handler(self, record, at)

    # Events: each says why it could not be read, empty if it was, None if it is of no interest ----

    def on_participant(self, record: Record, at: float) -> str | None:
        """A participant came, or was found in the room."""
        participant = object_in(record, "participant")
        identity = text_in(participant, "identity")
        if identity is None:
            return "no participant with an identity"
        self._note_job(identity)
        if not is_sip_kind(participant.get("kind")):
            return None
        seen = self._leg(identity)
        if seen is None:
            seen = self._came(identity, text_in(participant, "name") or "", at)
        seen.take(object_in(participant, "attributes"), at)
        return ""

    def on_attributes(self, record: Record, at: float) -> str | None:
        """Attributes of a participant changed."""
        identity = text_in(record, "identity")
        changed = texts_of(object_in(record, "changed"))
        if identity is None:
            return "no identity"
        seen = self._leg(identity)
        if seen is None and any(key.startswith("sip.") for key in changed):
            seen = self._came(identity, "", at)
        if seen is not None:
            seen.take(changed, at)
            return ""
        state = changed.get(_AGENT_STATE)
        if state is None or self._agent not in (None, identity):
            return None
        self._agent = identity
        self._speaks(state == "speaking", at)
        return ""

    def on_disconnected(self, record: Record, at: float) -> str | None:
        """A participant left."""
        participant = object_in(record, "participant")
        identity = text_in(participant, "identity")
        if identity is None:
            return "no participant with an identity"
        seen = self._leg(identity)
        if seen is None:
            return None
        seen.take(object_in(participant, "attributes"), at)
        seen.left(reason_of(participant.get("disconnect_reason")), at)
        return ""

    def on_track(self, record: Record, at: float) -> str | None:
        """The agent subscribed to a track."""
        identity = text_in(record, "identity")
        if identity is None:
            return "no identity"
        seen = self._leg(identity)
        if seen is not None:
            seen.draft.happened("caller_track", at)
        elif len(self._tracks) < _MOST_STRANGERS:
            self._tracks.setdefault(identity, at)
        return ""

    def on_dtmf(self, record: Record, at: float) -> str | None:
        """The caller pressed a key; which one is nobody's business."""
        seen = self._leg(text_in(record, "identity") or "") or self._current()
        if seen is None:
            return None
        seen.digits += 1
        seen.last_at = max(seen.last_at, at)
        return ""

    def on_headers(self, record: Record, at: float) -> str | None:
        """The bridge told the headers of the INVITE (inbound) or the 200 OK (outbound)."""
        seen = self._current()
        headers = texts_of(object_in(object_in(record, "response"), "headers"))
        if seen is None or not headers:
            return None
        seen.take({HEADER_PREFIX + name.lower(): value for name, value in headers.items()}, at)
        return ""

    def on_dialled(self, record: Record, at: float) -> str | None:
        """A request for an outbound call came back, or raised."""
        if not isinstance(record.get("ok"), bool):
            return "no truth value under `ok`"
        attempt = _attempt(record, at)
        seen = self._dialled(attempt)
        if seen is None:
            self._loose.append(attempt)
            return ""
        leg = seen.leg
        seen.attempt = replace(
            attempt,
            livekit_call_id=attempt.livekit_call_id or leg.attributes.get("sip.callID"),
            # The room says `ringing` for every 18x.
            progress=attempt.answered or leg.progress_at is not None,
        )
        return ""

    # What comes of it -----------------------------------------------------------------------------

    def observations(self) -> list[Observation]:
        """All legs, those that were dialled and never came as participants included."""
        self._speaks(False, self._last_at)
        legs = [*self._legs, *map(_never_came, self._loose)]
        if self._speaking and not legs:
            alone = Draft(NAME, leg="agent")
            self._tell_speaking(alone)
            return [alone.build()]
        if legs:
            answered = [seen for seen in legs if seen.leg.active_at is not None]
            self._tell_speaking((answered or legs)[-1].draft)
        for seen in legs:
            seen.draft.identify("job_id", self._job_id)
        return [seen.observation() for seen in legs]

    def _tell_speaking(self, draft: Draft) -> None:
        for start, end in self._speaking:
            draft.happened("agent_speaking", start, end)

    def _speaks(self, speaking: bool, at: float) -> None:
        open_since = None
        if self._speaking and self._speaking[-1][1] is None:
            open_since = self._speaking[-1][0]
        if speaking and open_since is None:
            self._speaking.append((at, None))
        elif not speaking and open_since is not None:
            self._speaking[-1] = (open_since, max(at, open_since))

    def _note_job(self, identity: str | None) -> None:
        if self._job_id is None and identity is not None and (found := _JOB.fullmatch(identity)):
            self._job_id = found[1]

    def _came(self, identity: str, name: str, at: float) -> SeenLeg:
        track_at = self._tracks.pop(identity, None)
        seen = SeenLeg(NAME, identity, name, at if track_at is None else min(at, track_at))
        seen.draft.happened("caller_track", track_at)
        self._legs.append(seen)
        return seen

    def _leg(self, identity: str) -> SeenLeg | None:
        """The leg of that identity that is there, or was there last."""
        found = [seen for seen in self._legs if seen.leg.identity == identity]
        present = [seen for seen in found if not seen.is_over]
        return present[-1] if present else None

    def _current(self) -> SeenLeg | None:
        present = [seen for seen in self._legs if not seen.is_over]
        return present[-1] if present else None

    def _dialled(self, attempt: Attempt) -> SeenLeg | None:
        """The participant that an attempt made: by its id, else the last one over its trunk."""
        for seen in reversed(self._legs):
            attributes = seen.leg.attributes
            if seen.attempt is not None or seen.leg.direction != "outbound":
                continue
            if attempt.livekit_call_id is not None:
                if attributes.get("sip.callID") == attempt.livekit_call_id:
                    return seen
            elif attributes.get("sip.trunkID") == attempt.trunk_id:
                return seen
        return None


def _never_came(attempt: Attempt) -> SeenLeg:
    """A leg of an attempt whose participant nobody saw."""
    seen = SeenLeg(NAME, "", "", attempt.start or attempt.end or 0.0)
    if attempt.trunk_id is not None:
        seen.take({"sip.trunkID": attempt.trunk_id}, None)
    if attempt.livekit_call_id is not None:
        seen.take({"sip.callID": attempt.livekit_call_id}, None)
    seen.attempt = attempt
    seen.leg.disconnected = not attempt.answered
    return seen


def _attempt(record: Record, at: float) -> Attempt:
    took = number_in(record, "took_s")
    start = at - took if took is not None and 0 <= took < 86_400 else None
    trunk = text_in(record, "trunk")
    made = text_in(object_in(record, "response"), "sip_call_id")
    if record["ok"] is True:
        return Attempt(
            start=start, end=at, livekit_call_id=made, trunk_id=trunk, status_code=_ANSWERED
        )
    code, reason = _sip_answer(record)
    failure = None
    if code is None:
        failure = failure_of(
            kind=text_in(record, "exc_type") or "",
            code=text_in(record, "code"),
            text=text_in(record, "message") or "",
        )
    return Attempt(
        start=start,
        end=at,
        livekit_call_id=made,
        trunk_id=trunk,
        status_code=code,
        reason=reason,
        failure=failure,
    )


def _sip_answer(record: Record) -> tuple[int | None, str | None]:
    """The final SIP code and its phrase; never the HTTP status of the API."""
    metadata = object_in(record, "metadata")
    reason = text_in(record, "sip_status") or text_in(metadata, "sip_status")
    code = count_in(record, "sip_status_code")
    stated = text_in(metadata, "sip_status_code") or ""
    if code is None and len(stated) == 3 and stated.isascii() and stated.isdigit():
        code = int(stated)
    if code is None and (told := final_answer(text_in(record, "message") or "")) is not None:
        code, reason = told[0], reason or told[1]
    if code is None or not 200 <= code <= 699:
        return None, None
    return code, reason[:255] if reason else None


Handler = Callable[[_Room, Record, float], str | None]

_HANDLERS: Final[dict[str, Handler]] = {
    "participant_connected": _Room.on_participant,
    "wait_for_participant": _Room.on_participant,
    "participant_attributes_changed": _Room.on_attributes,
    "participant_disconnected": _Room.on_disconnected,
    "track_subscribed": _Room.on_track,
    "sip_dtmf_received": _Room.on_dtmf,
    "rpc_GetRemoteHeaders": _Room.on_headers,
    "create_sip_participant": _Room.on_dialled,
}
