"""A LiveKit as an agent sees it: a Twirp API on loopback, a room, carriers by script."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

from aiohttp import web
from livekit import api, rtc
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import ListParticipantsResponse, RoomParticipantIdentity
from livekit.protocol.sip import (
    CreateSIPParticipantRequest,
    SIPParticipantInfo,
    TransferSIPParticipantRequest,
)
from tests.livekit_api_server import LiveKitApiServer, error, message

CALLEE, CALLER = "+15559990000", "+15550002222"
SIP_ERROR = getattr(api, "SipCallError", None) or api.TwirpError
"""Before livekit-api 1.2 a refusal is a TwirpError."""
SERVER_ERROR = getattr(api, "ServerError", None) or api.TwirpError

TWIRP = {  # as livekit-server 1.13.5 maps a few of them; others are unknown
    486: ("resource_exhausted", 429),
    603: ("permission_denied", 403),
    404: ("not_found", 404),
    503: ("failed_precondition", 412),
}


@dataclass
class Reply:
    """What becomes of one request for a SIP participant."""

    code: int | None = 200
    reason: str = ""
    rings: bool = False
    joins: bool = True
    leaves: bool = True
    """Whether the participant is out of the room by the time of the refusal."""
    lingers: int = 0
    """How many questions after its removal the server still names it."""
    removable: bool = True
    twirp: tuple[str, int, str] | None = None
    """A failure that is not SIP's: twirp code, HTTP status, message."""
    meta: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    """What the participant's attributes get with the answer."""
    answers: bool = False
    """Somebody answers, and only then the request fails."""
    picks_up: bool = False
    """Somebody answers at the moment in which the participant is put out."""
    drop: bool = False
    """The connection is closed without an answer."""
    gate: Callable[[], Awaitable[None]] | None = None
    """Waited for while it rings."""


def answer(**more: Any) -> Reply:
    return Reply(200, rings=True, **more)


def refuse(code: int, reason: str = "", **more: Any) -> Reply:
    return Reply(code, reason, **more)


def no_answer(**more: Any) -> Reply:
    told = ("canceled", 408, "twirp error unknown: sip request timed out")
    return Reply(None, **{"rings": True, "twirp": told} | more)


def no_bridge(**more: Any) -> Reply:
    return Reply(None, **{"joins": False, "twirp": ("unavailable", 503, "cpu exhausted")} | more)


class Room(rtc.EventEmitter[str]):
    """As much of a rtc.Room as the issue names."""

    def __init__(self, name: str = "room-1") -> None:
        super().__init__()
        self.name = name
        self.connected = True
        self.remote_participants: dict[str, Any] = {}
        self.metadata = ""
        self.local_participant = SimpleNamespace(identity="agent-1", attributes={})

    def isconnected(self) -> bool:
        return self.connected

    def join(self, identity: str, attributes: dict[str, str]) -> Any:
        callee = SimpleNamespace(
            identity=identity,
            sid=f"PA_{identity}",
            name="",
            kind=rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
            attributes=dict(attributes),
            metadata="",
            track_publications={},
            disconnect_reason=None,
        )
        self.remote_participants[identity] = callee
        self.emit("participant_connected", callee)
        return callee

    def change(self, identity: str, changed: dict[str, str]) -> None:
        callee = self.remote_participants[identity]
        callee.attributes.update(changed)
        self.emit("participant_attributes_changed", changed, callee)

    def status(self, identity: str, status: str) -> None:
        self.change(identity, {"sip.callStatus": status})

    def leave(self, identity: str, reason: int = rtc.DisconnectReason.CLIENT_INITIATED) -> None:
        callee = self.remote_participants.pop(identity, None)
        if callee is not None:
            callee.disconnect_reason = reason
            self.emit("participant_disconnected", callee)

    def disconnect(self) -> None:
        self.connected = False
        self.emit("disconnected", rtc.DisconnectReason.CLIENT_INITIATED)


class LiveKit(LiveKitApiServer):
    """The server. `async with` it; `ctx` is what an entrypoint gets."""

    def __init__(
        self, script: dict[str, list[Reply]] | None = None, *, without: frozenset[str] = frozenset()
    ) -> None:
        methods = {
            "SIP/CreateSIPParticipant": self._create,
            "SIP/TransferSIPParticipant": self._transfer,
            "RoomService/GetParticipant": self._get,
            "RoomService/ListParticipants": self._list,
            "RoomService/RemoveParticipant": self._remove,
            "RoomService/UpdateParticipant": self._update,
        }
        super().__init__({n: m for n, m in methods.items() if n.partition("/")[2] not in without})
        self.script = {trunk: deque(replies) for trunk, replies in (script or {}).items()}
        self.room = Room()
        self.rooms = {self.room.name: self.room}
        self.present: dict[str, Reply] = {}
        self.log: list[str] = []
        self.created: list[CreateSIPParticipantRequest] = []
        self.transfers: list[TransferSIPParticipantRequest] = []
        self.transfer_reply = Reply(200)
        self._calls = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.api = self.client
        self.ctx: Any = SimpleNamespace(
            room=self.room,
            api=self.api,
            job=SimpleNamespace(id="AJ_1", metadata="", room=SimpleNamespace(name=self.room.name)),
            add_shutdown_callback=lambda _: None,
        )
        return self

    @property
    def dialled(self) -> list[str]:
        return [request.sip_trunk_id for request in self.created]

    async def _create(self, http: web.Request) -> web.StreamResponse:
        asked = CreateSIPParticipantRequest.FromString(await http.read())
        self.created.append(asked)
        identity = asked.participant_identity or f"sip_{asked.sip_call_to}"
        self.log.append(f"create {asked.sip_trunk_id}")
        replies = self.script.get(asked.sip_trunk_id)
        reply = replies.popleft() if replies else Reply(200)
        self._calls += 1
        call_id = f"SCL_{self._calls:012d}"
        room = self.rooms.setdefault(asked.room_name, Room(asked.room_name))
        if reply.joins:
            shown = {
                "sip.phoneNumber": asked.sip_call_to,
                "sip.trunkPhoneNumber": asked.sip_number or CALLER,
                "sip.hostname": "192.0.2.7:5060",
            }
            room.join(
                identity,
                ({} if asked.hide_phone_number else shown)
                | {
                    "sip.trunkID": asked.sip_trunk_id,
                    "sip.callStatus": "dialing",
                    "sip.callID": call_id,
                    **dict(asked.participant_attributes),
                },
            )
            self.present[identity] = reply
            self.log.append(f"join {identity}")
        info = SIPParticipantInfo(
            participant_id=f"PA_{identity}",
            participant_identity=identity,
            room_name=asked.room_name,
            sip_call_id=call_id,
        )
        if not asked.wait_until_answered and reply.twirp is None and not reply.drop:
            return message(info)
        if reply.rings:
            room.status(identity, "ringing")
        if reply.gate is not None:
            await reply.gate()
        if reply.answers:
            room.status(identity, "active")
        if reply.drop:
            assert http.transport is not None
            http.transport.abort()
            return error("aborted", "", 500)
        if reply.code == 200:
            room.change(identity, {"sip.callIDFull": f"{call_id}@192.0.2.7"} | reply.attributes)
            room.status(identity, "active")
            return message(info)
        if reply.attributes and reply.joins:
            room.change(identity, reply.attributes)
        if reply.joins and reply.leaves:
            self._gone(identity, room)
        if reply.twirp is not None:
            code, status, text = reply.twirp
            return error(code, text, status, reply.meta)
        assert reply.code is not None
        code, status = TWIRP.get(reply.code, ("unknown", 500 if reply.code < 0 else 400))
        told = {"sip_status_code": str(reply.code), "sip_status": reply.reason}
        text = f"twirp error unknown: INVITE failed: sip status: {reply.code}: {reply.reason}"
        return error(code, text, status, told | reply.meta)

    def _gone(self, identity: str, room: Room | None = None) -> None:
        self.present.pop(identity, None)
        self.log.append(f"gone {identity}")
        for each in [room] if room is not None else self.rooms.values():
            each.leave(identity)

    async def _get(self, http: web.Request) -> web.Response:
        asked = RoomParticipantIdentity.FromString(await http.read())
        reply = self.present.get(asked.identity)
        if reply is None:
            self.log.append(f"absent {asked.identity}")
            return error("not_found", "participant does not exist", 404)
        if reply.removable and reply.lingers <= 0 and asked.identity in self._leaving:
            self._gone(asked.identity)
            return error("not_found", "participant does not exist", 404)
        reply.lingers -= 1
        return message(ParticipantInfo(identity=asked.identity, sid=f"PA_{asked.identity}"))

    @property
    def _leaving(self) -> set[str]:
        return {line.removeprefix("remove ") for line in self.log if line.startswith("remove ")}

    async def _list(self, http: web.Request) -> web.Response:
        await http.read()
        self.log.append("list")
        told = [ParticipantInfo(identity=name, sid=f"PA_{name}") for name in self.present]
        return message(ListParticipantsResponse(participants=told))

    async def _remove(self, http: web.Request) -> web.Response:
        asked = RoomParticipantIdentity.FromString(await http.read())
        self.log.append(f"remove {asked.identity}")
        reply = self.present.get(asked.identity)
        if reply is None:
            return error("not_found", "participant does not exist", 404)
        if reply.picks_up:
            self.rooms[asked.room].status(asked.identity, "active")
        if reply.removable and reply.lingers <= 0:
            self._gone(asked.identity)
        return web.Response(body=b"", content_type="application/protobuf")

    async def _update(self, http: web.Request) -> web.Response:
        await http.read()
        return message(ParticipantInfo())

    async def _transfer(self, http: web.Request) -> web.Response:
        self.transfers.append(TransferSIPParticipantRequest.FromString(await http.read()))
        reply = self.transfer_reply
        if reply.twirp is not None:
            code, status, text = reply.twirp
            return error(code, text, status, reply.meta)
        if reply.code == 200:
            return web.Response(body=b"", content_type="application/protobuf")
        code, status = TWIRP.get(reply.code or 0, ("unknown", 400))
        told = {"sip_status_code": str(reply.code), "sip_status": reply.reason}
        return error(code, "REFER failed", status, told | reply.meta)

    def request(self, trunk: str = "ST_a", to: str = CALLEE, **more: Any) -> Any:
        """A request as a user of livekit-api writes it."""
        fields: dict[str, Any] = {
            "room_name": self.room.name,
            "sip_trunk_id": trunk,
            "sip_call_to": to,
            "participant_identity": "callee",
            "wait_until_answered": True,
        }
        return CreateSIPParticipantRequest(**(fields | more))


async def until(true: Callable[[], bool]) -> None:
    """Lets the loop run until it is so, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never became so"
        await asyncio.sleep(0.001)
