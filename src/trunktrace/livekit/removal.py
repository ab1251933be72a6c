"""Makes sure that the participant of a failed attempt is gone, so that two phones never ring."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any, Final

from trunktrace.livekit.failures import twirp_code
from trunktrace.livekit.pauses import pauses
from trunktrace.sip import participant as sip

POLL_S: Final = 0.2
SETTLING_S: Final = 3.0
"""After a request that failed on its way nobody knows whether an INVITE goes out; a bridge joins
the room before it sends one. So long nobody may have been seen."""

_RPC_S: Final = 5.0
ASK_EVERY_S: Final = 1.0
_NOT_FOUND: Final = "not_found"
_NO_METHOD: Final = frozenset({"bad_route", "unimplemented"})
_NO_PAGE: Final = 404
_PAGE: Final = (None, "unknown")
"""What livekit-api makes of a page that is no answer of the API; None: an error of aiohttp's."""
_CALL_ID: Final = "sip.callID"
_RANG: Final = frozenset({"ringing", "automation"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A participant as it was seen: LiveKit's id of it, of its SIP call ('' if none), and state."""

    sid: str
    call_id: str
    trunk_id: str
    status: str

    @classmethod
    def of(cls, participant: Any) -> Seen:
        """Read the room's or the API's participant."""
        said = participant.attributes
        return cls(
            str(participant.sid),
            said.get(_CALL_ID, ""),
            said.get(sip.TRUNK_ID, ""),
            said.get(sip.CALL_STATUS, ""),
        )

    def is_one_with(self, other: Seen) -> bool:
        """Whether both are one phone: a bridge that reconnects gets another `sid`."""
        if self.call_id and other.call_id:
            return self.call_id == other.call_id
        return self.sid == other.sid


@dataclass(frozen=True, slots=True)
class Look:
    """One look for a participant: `absent` is known absence; `why` says why it is not known.

    `in_room` is who is there by what the room says, which is slower, `by_api` by what the API says.
    """

    absent: bool
    in_room: Seen | None = None
    by_api: Seen | None = None
    answered: Any = None
    why: str = ""

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Who was seen: the room's first, as it is the older."""
        return tuple(one for one in (self.in_room, self.by_api) if one is not None)

    @property
    def rings(self) -> bool:
        """Whether a 18x was seen."""
        return any(one.status in _RANG for one in self.seen)


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

    @property
    def timeout_s(self) -> float:
        """How long a participant has to be gone."""
        return self._timeout_s

    async def until_gone(self, quiet_s: float = 0.0) -> Departure:
        """Remove the participant until it is seen absent, for `quiet_s` seconds on end.

        For the dial that holds the identity: whoever joins under it is of one of its attempts. One
        that has answered is left alone.
        """
        deadline = pauses.now() + self._timeout_s + quiet_s
        absent_since: float | None = None
        asked_at = -math.inf
        rang = False
        while True:
            look = await self.look()
            rang = rang or look.rings
            if look.answered is not None:
                return Departure(False, look.answered, rang, "the callee has answered")
            now = pauses.now()
            if look.absent:
                absent_since = now if absent_since is None else absent_since
                if now - absent_since >= quiet_s:
                    return Departure(True, rang=rang)
            else:
                absent_since = None
                if now - asked_at >= ASK_EVERY_S:
                    asked_at = now
                    await self.ask()
            if now >= deadline:
                return Departure(False, rang=rang, why=self.why(look))
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

    def in_room(self) -> Seen | None:
        """Who is there by what the room says."""
        there = self._room.remote_participants.get(self._identity)
        return None if there is None else Seen.of(there)

    async def look(self) -> Look:
        """Who is there now, by what the API and the room say."""
        by_api, answered, why = None, None, ""
        try:
            async with asyncio.timeout(_RPC_S):
                found = await self._found()
        except Exception as error:
            why = f"get_participant: {_word(error)}"
        else:
            if found is not None:
                by_api = Seen.of(found)
                if by_api.status == "active":
                    answered = self._info(found.sid, found.attributes)
        in_room = self.in_room()
        absent = in_room is None and by_api is None and not why
        return Look(absent, in_room, by_api, self.here() or answered, why)

    async def _found(self) -> Any:
        """Who is there by what the API says; None for nobody. Raises what the API does else."""
        try:
            return await self._api.room.get_participant(self._named())
        except Exception as error:
            if _word(error) == _NOT_FOUND:
                return None
            if not _is_no_method(error):
                raise
        from livekit.protocol.room import ListParticipantsRequest

        asked = ListParticipantsRequest(room=self._room_name)
        there = (await self._api.room.list_participants(asked)).participants
        return next((one for one in there if one.identity == self._identity), None)

    def why(self, look: Look) -> str:
        """Why a participant is not known to be gone."""
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


def _is_no_method(error: Exception) -> bool:
    """Whether who answers for the API has no such method: a gateway before it, or a stand-in."""
    said = twirp_code(error)
    return said in _NO_METHOD or (said in _PAGE and getattr(error, "status", None) == _NO_PAGE)


def _word(error: Exception) -> str:
    """An error in one word: its Twirp code, else its class."""
    return twirp_code(error) or type(error).__name__
