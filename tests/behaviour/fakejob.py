"""A job without LiveKit: a room with real event semantics, driven by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from livekit import rtc
from livekit.protocol import agent as agent_proto
from opentelemetry import trace

import trunktrace
from trunktrace import Directory

from .kit import Pipeline, under

SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
REASON = rtc.DisconnectReason

CALLER = "+14155550134"
OURS = "+442079460018"
INBOUND = {
    "sip.callID": "SCL_aMwkECsiCx3N",
    "sip.callIDFull": "3b6e87185fc0@192.0.2.7",
    "sip.callTag": "b91d582d",
    "sip.callStatus": "ringing",
    "sip.trunkID": "ST_in",
    "sip.ruleID": "SDR_1",
    "sip.phoneNumber": CALLER,
    "sip.trunkPhoneNumber": OURS,
    "sip.hostname": "192.0.2.7",
}
OUTBOUND = {
    "sip.callID": "SCL_XtCdmZoJYZA8",
    "sip.callStatus": "dialing",
    "sip.trunkID": "ST_out",
    "sip.phoneNumber": CALLER,
    "sip.trunkPhoneNumber": OURS,
    "sip.hostname": "192.0.2.9:5060",
}
DIRECTORY = Directory.parse(
    """
[trunks.ST_in]
carrier = "telnyx"
route = "us-east/primary"
region = "us1"

[trunks.ST_out]
carrier = "twilio"
route = "out/one"

[trunks.ST_headers]
trusted_headers = { carrier = "X-Carrier", route = "X-Route" }
"""
)


class Participant:
    """A remote participant; attributes change in place, as LiveKit's do."""

    def __init__(self, identity: str, attributes: Any = None, kind: Any = SIP) -> None:
        self.identity = identity
        self.sid = f"PA_{abs(hash(identity)) % 10**8}"
        self.name = f"Phone {identity}"
        self.metadata = ""
        self.kind = kind
        self.attributes = {} if attributes is None else attributes
        self.disconnect_reason: Any = None
        self.track_publications: dict[str, Any] = {}


class LocalParticipant:
    """Answers `perform_rpc` as told; remembers what it was asked."""

    identity = "agent-1"
    sid = "PA_agent"

    def __init__(self) -> None:
        self.kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self.attributes: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[], Awaitable[str]] | None = None

    async def perform_rpc(self, **question: Any) -> str:
        self.asked.append(question)
        if self.answer is None:
            raise RuntimeError("RPC error 1400: method not supported")
        return await self.answer()


class Room(rtc.EventEmitter):  # type: ignore[type-arg]
    """The part of `rtc.Room` that an observer may use."""

    def __init__(self, *participants: Participant, connected: bool = True) -> None:
        super().__init__()
        self.name = "call-room"
        self.local_participant = LocalParticipant()
        self.remote_participants = {p.identity: p for p in participants}
        self.connected = connected

    def isconnected(self) -> bool:
        return self.connected

    @property
    def connection_state(self) -> Any:
        state = rtc.ConnectionState
        return state.CONN_CONNECTED if self.connected else state.CONN_DISCONNECTED

    def connect(self, *participants: Participant) -> None:
        """As LiveKit: who is there already is announced by no event."""
        self.connected = True
        self.remote_participants = {p.identity: p for p in participants}
        self.emit("connection_state_changed", self.connection_state)

    def join(self, participant: Participant) -> Participant:
        self.remote_participants[participant.identity] = participant
        self.emit("participant_connected", participant)
        return participant

    def change(self, participant: Participant, **changed: Any) -> None:
        changed = {key.replace("__", "."): value for key, value in changed.items()}
        participant.attributes.update(changed)
        self.emit("participant_attributes_changed", changed, participant)

    def status(self, participant: Participant, status: Any) -> None:
        participant.attributes["sip.callStatus"] = status
        self.emit("participant_attributes_changed", {"sip.callStatus": status}, participant)

    def leave(self, participant: Participant, reason: Any) -> None:
        participant.disconnect_reason = reason
        self.remote_participants.pop(participant.identity, None)
        self.emit("participant_disconnected", participant)

    def press(self, participant: Participant, digit: str) -> None:
        self.emit(
            "sip_dtmf_received", SimpleNamespace(code=1, digit=digit, participant=participant)
        )

    def disconnect(self) -> None:
        self.connected = False
        self.emit("connection_state_changed", self.connection_state)
        self.emit("disconnected", REASON.CLIENT_INITIATED)


class Context:
    """The part of `JobContext` that a wrapper may use."""

    def __init__(self, room: Any) -> None:
        self.room = room
        self.job = agent_proto.Job(id="AJ_1")
        self.proc = SimpleNamespace(executor_type=None)
        self.shutdown_callbacks: list[Any] = []

    def add_shutdown_callback(self, callback: Any) -> None:
        self.shutdown_callbacks.append(callback)

    def is_fake_job(self) -> bool:
        return False

    @property
    def api(self) -> Any:
        raise RuntimeError("no API in this test")


async def settle() -> None:
    """Let callbacks and tasks that have become ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Poll on the loop until the condition holds; fail at the deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # any condition, not only one that tells
            await asyncio.sleep(0.002)


def headers(**values: str) -> Callable[[], Awaitable[str]]:
    """An RPC answer with these headers (`X_Carrier` stands for `X-Carrier`)."""

    async def answer() -> str:
        return json.dumps({"headers": {k.replace("_", "-"): v for k, v in values.items()}})

    return answer


class Job:
    """Runs an entrypoint as LiveKit does: its root ends after the shutdown callbacks."""

    def __init__(self, room: Any = None, *, pipe: Pipeline | None = None, ctx: Any = None) -> None:
        self.pipe = pipe or Pipeline()
        self.room = Room() if room is None else room
        self.ctx = Context(self.room) if ctx is None else ctx
        self.call: Any = None

    async def run(self, entrypoint: Any, **settings: Any) -> Any:
        settings.setdefault("directory", DIRECTORY)
        traced = trunktrace.traced_call(**settings)(entrypoint) if settings else entrypoint
        return await self.run_traced(traced)

    async def run_traced(self, traced: Any) -> Any:
        root = self.pipe.tracer.start_span("job_entrypoint")
        stored = under(root)

        async def entry() -> Any:
            with trace.use_span(
                root, end_on_exit=False, record_exception=False, set_status_on_exception=False
            ):
                return await traced(self.ctx)

        try:
            return await asyncio.create_task(entry())
        finally:
            with self.pipe.tracer.start_as_current_span("job_shutdown", context=stored):
                for callback in getattr(self.ctx, "shutdown_callbacks", ()):
                    code = getattr(callback, "__code__", None)
                    takes = code.co_argcount if code is not None else 1
                    takes -= 1 if hasattr(callback, "__self__") else 0
                    await (callback("test") if takes else callback())
                if isinstance(self.room, Room):
                    self.room.disconnect()
                await settle()
            root.end()
            await settle()

    def root(self) -> dict[str, Any]:
        return self.pipe.attributes("job_entrypoint")

    def events(self, name: str) -> list[dict[str, Any]]:
        root = self.pipe.named("job_entrypoint")
        return [dict(event.attributes) for event in root.events if event.name == name]


def caller(**changes: Any) -> Participant:
    return Participant(f"sip_{CALLER}", INBOUND | changes)


def callee(**changes: Any) -> Participant:
    return Participant("callee-1", OUTBOUND | changes)


def shows_the_right_order(text: str) -> None:
    """The text holds both decorators, LiveKit's above ours."""
    assert "rtc_session" in text
    assert "traced_call" in text
    shown = text.index("@server.rtc_session()")
    assert "@trunktrace.traced_call" in text[shown:], "the right order: rtc_session, below it ours"
