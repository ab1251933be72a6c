"""Makes sure that the participant of a failed attempt is gone, so that two phones never ring."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any, Final

from trunktrace.livekit.pauses import pauses
from trunktrace.sip import participant as sip

POLL_S: Final = 0.2
SETTLING_S: Final = 3.0
"""After a request that failed on its way nobody knows whether an INVITE goes out; a bridge joins
the room before it sends one. So long nobody may have been seen."""

_RPC_S: Final = 5.0
_ASK_EVERY_S: Final = 1.0
_NOT_FOUND: Final = "not_found"
_CALL_ID: Final = "sip.callID"
_RANG: Final = frozenset({"ringing", "automation"})


@dataclass(frozen=True, slots=True)
class Look:
    """One look for a participant: `absent` is known absence; `why` says why it is not known."""

    absent: bool
    statuses: frozenset[str] = frozenset()
    answered: Any = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Departure:
    """What came of it: `gone` for sure; or `answered`, and it was left alone.

    `answered` is a `SIPParticipantInfo`. `rang` is whether a 18x was seen meanwhile. `why` says why
    it is not known to be gone.
    """

    gone: bool
    answered: Any = None
    rang: bool = False
    why: str = ""


class Removal:
    """Removes one participant of one room, and looks until it is gone."""

    def __init__(self, room: Any, api: Any, identity: str, timeout_s: float) -> None:
        self._room = room
        self._room_name = str(room.name)
        self._api = api
        self._identity = identity
        self._timeout_s = timeout_s
        self._refused = ""

    async def until_gone(self, quiet_s: float = 0.0, *, even_answered: bool = False) -> Departure:
        """Remove the participant until it is seen absent, for `quiet_s` seconds on end.

        One that has answered is left alone, unless `even_answered`.
        """
        deadline = pauses.now() + self._timeout_s + quiet_s
        absent_since: float | None = None
        asked_at = -math.inf
        rang = False
        while True:
            look = await self._look()
            rang = rang or not _RANG.isdisjoint(look.statuses)
            if look.answered is not None and not even_answered:
                return Departure(False, look.answered, rang, "the callee has answered")
            now = pauses.now()
            if look.absent:
                absent_since = now if absent_since is None else absent_since
                if now - absent_since >= quiet_s:
                    return Departure(True, rang=rang)
            else:
                absent_since = None
                if now - asked_at >= _ASK_EVERY_S:
                    asked_at = now
                    await self.ask()
            if now >= deadline:
                return Departure(False, rang=rang, why=self._why(look))
            await pauses.wait(min(POLL_S, max(deadline - now, 0.001)))

    async def ask(self) -> None:
        """Ask LiveKit to put the participant out; a refusal is remembered, and never raised."""
        try:
            async with asyncio.timeout(_RPC_S):
                await self._api.room.remove_participant(self._named())
        except Exception as error:
            self._refused = "" if _word(error) == _NOT_FOUND else _word(error)
        else:
            self._refused = ""

    def here(self) -> Any:
        """The participant as an answer of the API, if it is in the room and has answered."""
        there = self._room.remote_participants.get(self._identity)
        if there is None or there.attributes.get(sip.CALL_STATUS) != "active":
            return None
        return self._info(there.sid, there.attributes)

    async def _look(self) -> Look:
        there = self._room.remote_participants.get(self._identity)
        statuses: set[str] = set() if there is None else {there.attributes.get(sip.CALL_STATUS, "")}
        answered = self.here()
        why = ""
        absent = there is None
        try:
            async with asyncio.timeout(_RPC_S):
                found = await self._api.room.get_participant(self._named())
        except Exception as error:
            why = "" if _word(error) == _NOT_FOUND else f"get_participant: {_word(error)}"
            absent = absent and not why
        else:
            absent = False
            status = found.attributes.get(sip.CALL_STATUS, "")
            statuses.add(status)
            if status == "active":
                answered = answered or self._info(found.sid, found.attributes)
        return Look(absent, frozenset(statuses), answered, why)

    def _why(self, look: Look) -> str:
        details = [look.why, self._refused and f"remove_participant: {self._refused}"]
        told = "; ".join(one for one in details if one)
        return "its participant could not be confirmed gone" + (f" ({told})" if told else "")

    def _info(self, sid: str, attributes: Any) -> Any:
        from livekit.protocol.sip import SIPParticipantInfo

        return SIPParticipantInfo(
            participant_id=sid,
            participant_identity=self._identity,
            room_name=self._room_name,
            sip_call_id=attributes.get(_CALL_ID, ""),
        )

    def _named(self) -> Any:
        from livekit.protocol.room import RoomParticipantIdentity

        return RoomParticipantIdentity(room=self._room_name, identity=self._identity)


def _word(error: Exception) -> str:
    """An error in one word: its Twirp code, else its class."""
    code: object = getattr(error, "code", None)
    return code if isinstance(code, str) and code else type(error).__name__
