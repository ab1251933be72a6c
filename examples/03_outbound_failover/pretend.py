"""A pretend LiveKit: an API server on this machine, and a room in which the callees appear.

`trunktrace.dial` and livekit-api's own client talk to it as they would to the real one.
"""

from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from aiohttp import web
from livekit import api, rtc
from livekit.protocol.room import RemoveParticipantResponse, RoomParticipantIdentity
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

HOST, KEY, SECRET = "127.0.0.1", "devkey", "nobody checks this secret of a pretend server"


@dataclass(frozen=True)
class Carrier:
    """What a carrier answers to an INVITE, and whether the phone rings before it does."""

    code: int
    reason: str = ""
    rings: bool = False


class PretendRoom(rtc.EventEmitter[str]):
    """The part of a room that matters to a dial."""

    name = "reminder"

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Any] = {}

    def isconnected(self) -> bool:
        return True

    def join(self, asked: CreateSIPParticipantRequest) -> None:
        self.remote_participants[asked.participant_identity] = callee = SimpleNamespace(
            identity=asked.participant_identity,
            sid="PA_callee",
            name="",
            kind=rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
            attributes={"sip.trunkID": asked.sip_trunk_id, "sip.callStatus": "dialing"},
            disconnect_reason=None,
        )
        self.emit("participant_connected", callee)

    def status(self, identity: str, status: str) -> None:
        callee = self.remote_participants[identity]
        callee.attributes["sip.callStatus"] = status
        self.emit("participant_attributes_changed", {"sip.callStatus": status}, callee)

    def leave(self, identity: str) -> None:
        callee = self.remote_participants.pop(identity, None)
        if callee is not None:
            self.emit("participant_disconnected", callee)

    def disconnect(self) -> None:
        self.emit("disconnected", rtc.DisconnectReason.CLIENT_INITIATED)


class PretendLiveKit:
    """Carriers by trunk id. `async with` it: `ctx` is then what an entrypoint gets."""

    def __init__(self, carriers: dict[str, Carrier]) -> None:
        self._carriers = carriers
        self._room = PretendRoom()
        app = web.Application()
        app.router.add_post("/twirp/livekit.SIP/CreateSIPParticipant", self._create)
        app.router.add_post("/twirp/livekit.RoomService/GetParticipant", self._get)
        app.router.add_post("/twirp/livekit.RoomService/RemoveParticipant", self._remove)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        url = f"http://{HOST}:{self._runner.addresses[0][1]}"
        self.ctx: Any = SimpleNamespace(room=self._room, api=api.LiveKitAPI(url, KEY, SECRET))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.ctx.api.aclose()
        await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        asked = CreateSIPParticipantRequest.FromString(await request.read())
        carrier, identity = self._carriers[asked.sip_trunk_id], asked.participant_identity
        self._room.join(asked)
        if carrier.rings:
            self._room.status(identity, "ringing")
        if carrier.code != 200:
            self._room.leave(identity)
            meta = {"sip_status_code": str(carrier.code), "sip_status": carrier.reason}
            return web.json_response({"code": "failed_precondition", "meta": meta}, status=412)
        self._room.status(identity, "active")
        return _message(SIPParticipantInfo(participant_identity=identity))

    async def _get(self, _: web.Request) -> web.Response:
        return web.json_response({"code": "not_found"}, status=404)

    async def _remove(self, request: web.Request) -> web.Response:
        asked = RoomParticipantIdentity.FromString(await request.read())
        self._room.leave(asked.identity)
        return _message(RemoveParticipantResponse())


def _message(message: Any) -> web.Response:
    return web.Response(body=message.SerializeToString(), content_type="application/protobuf")
