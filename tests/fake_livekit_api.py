"""LiveKit's API as livekit-api's own client sees it: a Twirp server, with a bridge that is played.

What a trunk does is told by a `Play`. The participant of an attempt joins a `Room` of
`behaviour.fakejob`, rings, answers, leaves, lingers or comes late. Time is a `Turning`: `dial`
waits by it, and what is planned happens when it is due; nothing here sleeps.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import RemoveParticipantResponse, RoomParticipantIdentity
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

from .behaviour.fakejob import REASON, Participant, Room
from .livekit_api_server import LiveKitApiServer, error, message

_TWIRP = {
    # Of real answers: what the API makes of a final SIP code.
    404: ("not_found", 404),
    486: ("resource_exhausted", 429),
    503: ("failed_precondition", 412),
    603: ("permission_denied", 403),
}


@dataclass(frozen=True)
class Play:
    """What a trunk does with an INVITE; without anything it answers.

    `code`: the final answer; `error`: another answer of the API (code, message); `lost`: the
    connection breaks before there is an answer, `page`: a proxy answers with an error page in the
    API's place, of this HTTP status; `answers_first`: the participant is active,
    whatever the API says then; `hangs`: it goes on until the client gives up.
    `joins_after` and `active_after` are seconds after a lost request; None: it never does.
    `lingers`: seconds that the participant stays after it was put out; None: for ever.
    """

    code: int = 200
    reason: str = ""
    error: tuple[str, str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    rings: bool = False
    answers_first: bool = False
    lost: bool = False
    page: int | None = None
    hangs: bool = False
    joins: bool = True
    joins_after: float | None = None
    active_after: float | None = None
    leaves: bool = True
    lingers: float | None = 0.0


ANSWERS = Play()
UNAVAILABLE = Play(503, "Service Unavailable")
BUSY = Play(486, "Busy Here")


class Turning:
    """The time of a dial: it goes on when somebody waits, and at once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self.seconds

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        until = self.seconds + seconds
        while self._due and self._due[0][0] <= until:
            self.seconds, _, happens = heapq.heappop(self._due)
            happens()
        self.seconds = until
        await asyncio.sleep(0)

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        """Have it happen when so many seconds have been waited."""
        heapq.heappush(self._due, (self.seconds + seconds, next(self._order), happens))


class FakeLiveKitApi(LiveKitApiServer):
    """LiveKit's SIP and room services; `client` is livekit-api's own client of them.

    `asked` are the requests for participants, `did` what was asked in order (`create ST_a`,
    `remove`, `get`), `most_there` how many participants were there at once, `doubles` how often
    one was asked for while another of the same identity was there. `room_errors` answers
    `RemoveParticipant` or `GetParticipant` with an error in place of what it would do.
    """

    def __init__(self, room: Room, plays: Mapping[str, Play], time: Turning) -> None:
        super().__init__(
            {
                "SIP/CreateSIPParticipant": self._create,
                "RoomService/RemoveParticipant": self._remove,
                "RoomService/GetParticipant": self._get,
            }
        )
        self.room = room
        self.plays = dict(plays)
        self.time = time
        self.room_errors: dict[str, str] = {}
        self.asked: list[CreateSIPParticipantRequest] = []
        self.did: list[str] = []
        self.there: dict[str, Participant] = {}
        self.most_there = 0
        self.doubles = 0
        self.is_hanging = asyncio.Event()
        self._playing: dict[str, Play] = {}
        self._calls = itertools.count(1)

    @property
    def dialled(self) -> list[str]:
        """The trunks that were asked for, in order."""
        return [request.sip_trunk_id for request in self.asked]

    # The SIP service ----------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.StreamResponse:
        asked = CreateSIPParticipantRequest.FromString(await request.read())
        self.asked.append(asked)
        self.doubles += asked.participant_identity in self.there
        self.did.append(f"create {asked.sip_trunk_id}")
        play = self.plays[asked.sip_trunk_id]
        self._playing[asked.participant_identity] = play
        if play.lost or play.page is not None:
            return self._lose(request, asked, play)
        leg = self._join(asked) if play.joins else None
        if leg is not None and play.rings:
            self.room.status(leg, "ringing")
        if leg is not None and play.answers_first:
            self.room.status(leg, "active")
        if play.hangs:
            self.is_hanging.set()
            await asyncio.Event().wait()
        if play.error is not None or play.code != 200:
            if leg is not None and play.leaves:
                self._leave(leg)
            return self._refusal(play)
        assert leg is not None
        self.room.status(leg, "active")
        return message(
            SIPParticipantInfo(
                participant_id=leg.sid,
                participant_identity=leg.identity,
                room_name=asked.room_name,
                sip_call_id=leg.attributes["sip.callID"],
            )
        )

    def _lose(
        self, request: web.Request, asked: CreateSIPParticipantRequest, play: Play
    ) -> web.StreamResponse:
        if play.joins_after is not None:
            self.time.after(play.joins_after, lambda: _ignore(self._join(asked)))
        if play.active_after is not None:
            identity = asked.participant_identity
            self.time.after(play.active_after, lambda: self._answer(identity))
        if play.page is not None:
            return web.Response(status=play.page, text="<html>Bad Gateway</html>")
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    def _refusal(self, play: Play) -> web.Response:
        if play.error is not None:
            code, message = play.error
            return error(code, message, 503 if code == "unavailable" else 408, play.metadata)
        code, http = _TWIRP.get(play.code, ("failed_precondition", 412))
        meta = {"sip_status_code": str(play.code), "sip_status": play.reason, **play.metadata}
        said = f"INVITE failed: sip status: {play.code}: {play.reason}"
        return error(code, said, http, meta)

    def _join(self, asked: CreateSIPParticipantRequest) -> Participant:
        leg = Participant(
            asked.participant_identity,
            {
                "sip.callID": f"SCL_{next(self._calls)}",
                "sip.callStatus": "dialing",
                "sip.trunkID": asked.sip_trunk_id,
                "sip.phoneNumber": asked.sip_call_to,
            },
        )
        self.there[leg.identity] = leg
        self.most_there = max(self.most_there, len(self.there))
        return self.room.join(leg)

    def _answer(self, identity: str) -> None:
        if identity in self.there:
            self.room.status(self.there[identity], "active")

    def _leave(self, leg: Participant) -> None:
        if self.there.get(leg.identity) is leg:
            del self.there[leg.identity]
            self.room.leave(leg, REASON.CLIENT_INITIATED)

    # The room service ---------------------------------------------------------------------------

    async def _remove(self, request: web.Request) -> web.Response:
        asked = RoomParticipantIdentity.FromString(await request.read())
        self.did.append("remove")
        if "remove" in self.room_errors:
            return error(self.room_errors["remove"], "not today", 500)
        leg = self.there.get(asked.identity)
        if leg is None:
            return error("not_found", "participant does not exist", 404)
        lingers = self._playing[asked.identity].lingers
        if lingers == 0:
            self._leave(leg)
        elif lingers is not None:
            self.time.after(lingers, lambda: self._leave(leg))
        return message(RemoveParticipantResponse())

    async def _get(self, request: web.Request) -> web.Response:
        asked = RoomParticipantIdentity.FromString(await request.read())
        self.did.append("get")
        if "get" in self.room_errors:
            return error(self.room_errors["get"], "not today", 500)
        leg = self.there.get(asked.identity)
        if leg is None:
            return error("not_found", "participant does not exist", 404)
        info = ParticipantInfo(sid=leg.sid, identity=leg.identity, attributes=leg.attributes)
        return message(info)


def _ignore(_: object) -> None:
    """A callback returns nothing."""
