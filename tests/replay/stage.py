"""What stands in for LiveKit in a replay: a room, its participants, and the API's far side."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlparse

from livekit import rtc
from livekit.protocol.agent import Job
from livekit.protocol.models import Room as RoomInfo
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

from .capture import Capture, Dial, RoomEvent
from .timeline import Timeline


class Participant:
    """A remote participant, with what the captured room said of it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.identity: str = body["identity"]
        self.name: str = body["name"]
        self.sid: str = body["sid"]
        self.metadata: str = body["metadata"]
        self.kind = rtc.ParticipantKind.Value(body["kind"])
        self.attributes: dict[str, str] = dict(body["attributes"])
        self.disconnect_reason: int | None = None


class LocalParticipant:
    """The agent's own participant; it answers the headers RPC from the capture."""

    kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT

    def __init__(self, capture: Capture, timeline: Timeline) -> None:
        self.identity = "agent"
        self.attributes: dict[str, str] = {}
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self._capture = capture
        self._timeline = timeline

    async def perform_rpc(
        self,
        *,
        destination_identity: str,
        method: str,
        payload: str,
        response_timeout: float | None = None,
    ) -> str:
        """The headers named by `include` (all without it), after the time the real one took."""
        assert method == "lk.sip.GetRemoteHeaders"
        assert response_timeout is not None
        include = [name.lower() for name in json.loads(payload).get("include", [])]
        self.asked.append((destination_identity, tuple(include)))
        await self._timeline.until(self._timeline.now_ns + self._capture.header_delay_ns)
        answer = {
            name: value
            for name, value in self._capture.headers.items()
            if not include or name.lower() in include
        }
        return json.dumps({"headers": answer})


class Room:
    """`rtc.Room` as far as an observer can see it. A handler that raises fails the replay."""

    def __init__(self, capture: Capture, timeline: Timeline) -> None:
        self.name = capture.facts["room"]
        self.remote_participants: dict[str, Participant] = {}
        self.local_participant = LocalParticipant(capture, timeline)
        self._capture = capture
        self._connected = False
        self._handlers: dict[str, list[Callable[..., None]]] = defaultdict(list)

    def on(self, event: str, handler: Callable[..., None]) -> None:
        self._handlers[event].append(handler)

    def isconnected(self) -> bool:
        return self._connected

    def emit(self, event: str, *args: object) -> None:
        for handler in self._handlers[event]:
            handler(*args)

    def connect(self) -> None:
        """The job joins: who is there already is there without an event."""
        self._connected = True
        for body in self._capture.present_at_connect:
            self.remote_participants[body["identity"]] = Participant(body)
        self.emit("connection_state_changed", rtc.ConnectionState.CONN_CONNECTED)

    def replayed(self, event: RoomEvent) -> Callable[[], None] | None:
        """What does as the captured room did; None for a line that is no event of the room."""
        happens = getattr(self, f"_{event.name}", None)
        return None if happens is None else lambda: happens(event.body)

    def _participant_connected(self, body: Mapping[str, Any]) -> None:
        person = Participant(body["participant"])
        self.remote_participants[person.identity] = person
        self.emit("participant_connected", person)

    def _participant_attributes_changed(self, body: Mapping[str, Any]) -> None:
        person = self.remote_participants.get(body["identity"], self.local_participant)
        person.attributes.update(body["changed"])
        self.emit("participant_attributes_changed", dict(body["changed"]), person)

    def _participant_disconnected(self, body: Mapping[str, Any]) -> None:
        said = body["participant"]
        person = self.remote_participants.pop(said["identity"])
        person.attributes = dict(said["attributes"])
        person.disconnect_reason = rtc.DisconnectReason.Value(said["disconnect_reason"])
        self.emit("participant_disconnected", person)

    def _sip_dtmf_received(self, body: Mapping[str, Any]) -> None:
        (sender,) = self.remote_participants.values()
        self.emit("sip_dtmf_received", rtc.SipDTMF(body["code"], body["digit"], sender))

    def _room_disconnected(self, body: Mapping[str, Any]) -> None:
        self._connected = False
        self.remote_participants.clear()
        self.emit("disconnected", int(body["reason"]))


class JobContext:
    """What a traced entrypoint gets."""

    def __init__(self, capture: Capture, room: Room) -> None:
        self.room = room
        self.job = Job(room=RoomInfo(name=room.name, creation_time_ms=capture.room_created_ms))


class Twirp:
    """The HTTP session under livekit-api's own client: the server's side of each dial.

    So the captured errors are raised by livekit-api itself, out of what went over the wire.
    """

    timeout = None

    def __init__(self, dials: tuple[Dial, ...], timeline: Timeline) -> None:
        self._dials = list(dials)
        self._timeline = timeline

    def post(self, url: str, *, data: bytes, **_: object) -> Answer:
        assert urlparse(url).path == "/twirp/livekit.SIP/CreateSIPParticipant"
        dial = self._dials.pop(0)
        assert CreateSIPParticipantRequest.FromString(data).sip_trunk_id == dial.trunk_id
        return Answer(dial, self._timeline)


class Answer:
    """The HTTP response to one dial, when the capture had it."""

    def __init__(self, dial: Dial, timeline: Timeline) -> None:
        self._dial = dial
        self._timeline = timeline
        self.status = 200 if dial.body["ok"] else dial.body["status"]

    async def __aenter__(self) -> Self:
        await self._timeline.until(self._dial.ended_ns)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def read(self) -> bytes:
        return SIPParticipantInfo(**self._dial.body["response"]).SerializeToString()

    async def json(self) -> dict[str, Any]:
        said = self._dial.body
        return {"code": said["code"], "msg": said["message"], "meta": said["metadata"]}
