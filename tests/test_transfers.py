"""A warm transfer is one story over two rooms: each room's spans carry their own leg's trunk."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from livekit import api
from livekit.agents import Agent, AgentSession, ToolError, llm, telemetry
from livekit.agents.beta.workflows import WarmTransferTask, warm_transfer
from livekit.agents.beta.workflows.warm_transfer import WarmTransferResult
from livekit.agents.job import _JobContextVar
from livekit.agents.voice.room_io import RoomOptions
from livekit.api.room_service import RoomService
from livekit.api.sip_service import SipService
from livekit.protocol.sip import SIPParticipantInfo, TransferSIPParticipantResponse
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import SpanKind, StatusCode

import trunktrace
from trunktrace.export.late import LateFactsExporter
from trunktrace.livekit.demo.agent import _session as demo_session
from trunktrace.livekit.demo.conversation import Conversation, Line, Turn
from trunktrace.livekit.demo.llm import ScriptedLLM
from trunktrace.livekit.demo.phone import Ear, Mouth
from trunktrace.livekit.job import current_job
from trunktrace.metrics import CallMetrics
from trunktrace.registry import calls

from .behaviour.fakejob import (
    CALLER,
    OUTBOUND,
    REASON,
    Job,
    LocalParticipant,
    Participant,
    Room,
    caller,
    settle,
    until,
)
from .behaviour.kit import CARRIER, CODE, DIRECTION, ROUTE, Pipeline, under

COLLEAGUE = "+15552223333"
IDENTITY = "human-agent-sip"
TALK = Conversation("Hi.", (Turn(said="Yes?", heard="Yes", reply="Good."),))
CALLERS = {CARRIER: "telnyx", ROUTE: "us-east/primary", DIRECTION: "inbound", CODE: 200}
THEIRS = {CARRIER: "twilio", ROUTE: "out/one", DIRECTION: "outbound"}


class Agents(LocalParticipant):
    """The agent in a room; what it sends to nobody is heard by nobody."""

    async def send_bytes(self, *_: Any, **__: Any) -> None:
        """To a session's remote end."""

    set_attributes = send_bytes


class OtherRoom(Room):
    """The room in which the colleague is consulted."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "call-room-human-agent"
        self.local_participant = Agents()

    async def connect(self, *_: Any) -> None:  # type: ignore[override]
        """As `rtc.Room.connect`: nobody is there yet."""

    def register_byte_stream_handler(self, *_: Any) -> None:
        """Nobody sends any."""

    unregister_byte_stream_handler = register_byte_stream_handler


class Phones:
    """LiveKit's API with the telephone network behind it in our hands."""

    def __init__(self, *rooms: Room) -> None:
        http: Any = object()
        self.rooms = {room.name: room for room in rooms}
        self.sip = SipService(http, "http://livekit.invalid", "key", "secret" * 6)
        self.room = RoomService(http, "http://livekit.invalid", "key", "secret" * 6)
        self.sip._client = self.room._client = SimpleNamespace(request=self._request)  # type: ignore[assignment]
        self.answer: Callable[[Participant], Awaitable[Any]] = self.picks_up
        self.phone: Participant | None = None

    async def _request(self, _: str, method: str, request: Any, *__: Any, **___: Any) -> Any:
        if method == "CreateSIPParticipant":
            room = self.rooms[request.room_name]
            number = {"sip.phoneNumber": request.sip_call_to}
            attributes = {**OUTBOUND, **number, "sip.trunkID": request.sip_trunk_id}
            self.phone = room.join(Participant(request.participant_identity, attributes))
            room.status(self.phone, "ringing")
            await settle()
            return await self.answer(self.phone)
        if method == "MoveParticipant":
            phone = self.rooms[request.room].remote_participants[request.identity]
            self.rooms[request.room].leave(phone, REASON.PARTICIPANT_REMOVED)
            self.rooms[request.destination_room].join(phone)
            await settle()
            return None
        return TransferSIPParticipantResponse()

    async def picks_up(self, phone: Participant) -> SIPParticipantInfo:
        self.room_of(phone).status(phone, "active")
        await settle()
        return SIPParticipantInfo(participant_identity=phone.identity)

    async def is_busy(self, phone: Participant) -> Any:
        self.room_of(phone).leave(phone, REASON.USER_REJECTED)
        raise api.TwirpError(
            "unavailable",
            "busy",
            status=486,
            metadata={"sip_status_code": "486", "sip_status": "Busy Here"},
        )

    async def rings_on(self, _: Participant) -> Any:
        await asyncio.Event().wait()

    def room_of(self, phone: Participant) -> Room:
        return next(
            room for room in self.rooms.values() if phone.identity in room.remote_participants
        )

    async def dial(self, room: str, **changes: Any) -> Any:
        asked = {
            "sip_trunk_id": "ST_out",
            "sip_call_to": COLLEAGUE,
            "room_name": room,
            "participant_identity": IDENTITY,
            "wait_until_answered": True,
        }
        return await self.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(**{**asked, **changes})
        )

    async def move(self) -> None:
        await self.room.move_participant(
            api.MoveParticipantRequest(
                room="call-room-human-agent", identity=IDENTITY, destination_room="call-room"
            )
        )


@contextmanager
def traced_with(pipe: Pipeline) -> Iterator[Pipeline]:
    """LiveKit's spans, and ours beside them, go to this pipeline."""
    telemetry.set_tracer_provider(pipe.provider)
    try:
        yield pipe
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())


@pytest.fixture(params=["as they end", "when the facts are there"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    """LiveKit's spans and ours, in memory; behind LateFactsExporter as well."""
    late = request.param == "when the facts are there"
    with traced_with(Pipeline(wrap=LateFactsExporter if late else None)) as found:
        yield found
        found.exporter.shutdown()


class Warm:
    """An answered inbound call whose agent consults a colleague in another room."""

    def __init__(self, pipe: Pipeline, *, session: bool = True) -> None:
        self.job = Job(pipe=pipe)
        self.pipe = pipe
        self.elsewhere = OtherRoom()
        self.phones = Phones(self.job.room, self.elsewhere)
        self.session: AgentSession[Any] | None = demo_session(TALK) if session else None
        self.mouth = Mouth(Line(), lambda _: None)

    async def run(self, story: Callable[[Warm], Awaitable[None]]) -> Warm:
        async def entry(ctx: Any) -> None:
            phone = ctx.room.join(caller())
            ctx.room.status(phone, "active")
            await settle()
            await story(self)
            self.pipe.tracer.start_span("afterwards").end()
            ctx.room.status(phone, "hangup")
            ctx.room.leave(phone, REASON.CLIENT_INITIATED)
            await settle()

        await self.job.run(entry)
        self.pipe.exporter.force_flush()
        return self

    @property
    def is_late(self) -> bool:
        """Whether spans wait for the facts before they leave."""
        return isinstance(self.pipe.exporter, LateFactsExporter)

    async def consult(self) -> None:
        """Start the session with the colleague, in its own task as LiveKit's task does."""
        assert self.session is not None
        self.session.input.audio = self.mouth
        self.session.output.audio = Ear(Line(), lambda _: None)
        silent = RoomOptions(text_input=False, text_output=False)
        agent = Agent(instructions="Be brief.")
        await self.session.start(agent=agent, room=self.elsewhere, room_options=silent)

    @property
    def has_answered(self) -> bool:
        """Whether the agent has answered the colleague."""
        assert self.session is not None
        return any(item.role == "assistant" for item in self.session.history.messages())

    async def over(self) -> None:
        """The consultation has ended as far as the trace is concerned."""
        await until(lambda: len(calls) == 1)

    async def hang_up(self) -> None:
        if self.session is not None:
            await self.session.aclose()
        self.elsewhere.disconnect()
        await self.over()

    def said(self, name: str) -> Mapping[str, Any]:
        return self.pipe.attributes(name)

    def below(self, name: str) -> list[Any]:
        """The spans under the one of this name."""
        top = self.pipe.named(name).context.span_id
        parents = {
            span.context.span_id: span.parent.span_id if span.parent else None
            for span in self.pipe.finished()
        }

        def is_below(span_id: int | None) -> bool:
            while span_id is not None:
                span_id = parents.get(span_id)
                if span_id == top:
                    return True
            return False

        return [span for span in self.pipe.finished() if is_below(span.context.span_id)]


def has(span: Any, facts: Mapping[str, Any]) -> bool:
    return facts.items() <= dict(span.attributes or {}).items()


async def consulted_and_moved(warm: Warm) -> None:
    """The story as LiveKit's WarmTransferTask tells it."""

    async def consultation() -> None:
        await warm.consult()
        await warm.phones.dial(warm.elsewhere.name)
        await warm.mouth.say(0, 32)
        await until(lambda: warm.has_answered)

    await asyncio.create_task(consultation())
    warm.pipe.tracer.start_span("meanwhile").end()
    await warm.phones.move()
    await warm.hang_up()


# One story ----------------------------------------------------------------------------------------


async def test_each_rooms_spans_carry_their_own_legs_trunk(pipe):
    """The caller's keep the caller's carrier, those of the consultation have the colleague's."""
    warm = await Warm(pipe).run(consulted_and_moved)
    consult = warm.below("sip.call")
    spoken = {"user_turn", "user_speaking", "llm_node", "llm_request", "tts_node", "tts_request"}
    assert spoken | {"agent_session", "agent_turn", "session_close", "sip.invite"} <= {
        span.name for span in consult
    }
    first = warm.pipe.named("wait_for_participant" if warm.is_late else "user_turn").start_time
    for span in consult:
        if warm.is_late or span.end_time > first:
            assert has(span, THEIRS), span.name
        assert span.attributes.get(CARRIER) in (None, "twilio")
    others = [span for span in warm.pipe.finished() if span not in consult]
    assert {"job_entrypoint", "meanwhile", "afterwards", "job_shutdown", "sip.call"} == {
        span.name for span in others
    }
    for span in others:
        assert has(span, THEIRS if span.name == "sip.call" else CALLERS), span.name


async def test_the_consultation_is_a_call_of_its_own_in_the_callers_trace(pipe):
    """Its root is a CLIENT span below what asked for it, linked to the caller's root."""
    warm = await Warm(pipe).run(consulted_and_moved)
    root, callers = warm.pipe.named("sip.call"), warm.pipe.named("job_entrypoint")
    assert root.kind is SpanKind.CLIENT
    assert root.status.status_code is StatusCode.UNSET
    assert root.context.trace_id == callers.context.trace_id
    assert root.parent.span_id == callers.context.span_id
    assert [link.context.span_id for link in root.links] == [callers.context.span_id]
    assert root.attributes["sip.callee.number"] == "+1*******33"
    assert root.attributes["trunk.id"] == "ST_out"
    assert root.attributes["sip.attempt_count"] == 1
    assert root.attributes["sip.call.outcome"] == "answered"
    assert root.attributes["sip.call.duration_ms"] > 0
    assert "sip.hangup.source" not in root.attributes, "who was moved has not hung up"


async def test_the_callers_call_knows_the_colleague_as_a_leg_and_nothing_else(pipe):
    """No attempt, no failover, no code of the colleague's call stands on the caller's root."""
    warm = await Warm(pipe).run(consulted_and_moved)
    root = warm.said("job_entrypoint")
    assert has(warm.pipe.named("job_entrypoint"), CALLERS)
    assert root["trunk.id"] == "ST_in"
    assert root["livekit.sip.call_id"] == "SCL_aMwkECsiCx3N"
    for key in ("sip.attempt_count", "trunk.failover.count", "trunk.failover.path"):
        assert key not in root
    (leg,) = [e for e in warm.job.events("sip.leg") if e["sip.call.state"] == "active"]
    assert (leg["trunk.id"], leg["sip.call.direction"]) == ("ST_out", "outbound")
    states = [event["sip.call.state"] for event in warm.job.events("sip.state")]
    assert states == ["ringing", "active", "hangup"]


async def test_the_colleagues_invite_belongs_to_the_consultation(pipe):
    """It is attempt 1 of that call, below its session, and says its own trunk and answer."""
    warm = await Warm(pipe).run(consulted_and_moved)
    invite = warm.pipe.named("sip.invite")
    assert invite in warm.below("agent_session")
    assert has(invite, {**THEIRS, CODE: 200, "trunk.id": "ST_out", "sip.attempt.number": 1})


async def test_no_number_of_either_call_leaves_in_clear_behind_the_exporter():
    """What one call must not let out, the other call's spans do not let out either."""
    pipe = Pipeline(wrap=trunktrace.RedactingExporter)
    with traced_with(pipe):

        async def story(warm: Warm) -> None:
            await consulted_and_moved(warm)
            with pipe.tracer.start_as_current_span("tool") as span:
                span.set_attribute("arguments", f"call {COLLEAGUE} for {CALLER}")

        warm = await Warm(pipe).run(story)
    assert "*" in str(warm.said("tool")["arguments"])
    text = "\n".join(span.to_json() for span in pipe.finished())
    for number in (COLLEAGUE, COLLEAGUE[1:], CALLER, CALLER[1:]):
        assert number not in text


# No span is lost ----------------------------------------------------------------------------------


async def test_no_span_of_the_callers_is_lost_to_the_other_call(pipe):
    """However they are started, before, while and after a colleague is consulted; twice."""
    names: list[str] = []

    def start(name: str, context: Any = None) -> None:
        names.append(name)
        pipe.tracer.start_span(name, context=context).end()

    async def story(warm: Warm) -> None:
        root = trace.get_current_span()
        ended = pipe.tracer.start_span("ended before")
        ended.end()
        still_open = pipe.tracer.start_span("open")
        room = warm.job.room
        room.on("track_muted", lambda when: start(f"room event {when}", under(root)))
        for number in (1, 2):
            if number == 2:
                warm.elsewhere = OtherRoom()
                warm.phones.rooms[warm.elsewhere.name] = warm.elsewhere
                warm.session = demo_session(TALK)
            task = asyncio.create_task(warm.consult())
            await task
            await asyncio.create_task(warm.phones.dial(warm.elsewhere.name))
            for when in (f"while {number}", f"after {number}"):
                if when.startswith("after"):
                    await warm.hang_up()
                start(f"here {when}")
                start(f"pinned to the root {when}", under(root))
                start(f"below an open one {when}", under(still_open))
                start(f"below an ended one {when}", under(ended))
                contextvars.Context().run(start, f"bare {when}", under(root))
                await asyncio.create_task(asyncio.to_thread(start, f"thread {when}"))
                room.emit("track_muted", when)
        still_open.end()

    warm = await Warm(pipe).run(story)
    assert len(names) == 28
    for name in (*names, "open", "ended before", "afterwards", "job_shutdown", "job_entrypoint"):
        assert has(warm.pipe.named(name), CALLERS), name
    assert (len(calls), calls.owned, calls.shared) == (0, {}, {})


async def test_a_span_below_an_ended_consultation_never_has_the_callers_trunk(pipe):
    """What a session leaves running when its call is over belongs to that call, or to none."""
    left: list[Any] = []

    async def story(warm: Warm) -> None:
        async def consultation() -> None:
            await warm.consult()
            await warm.phones.dial(warm.elsewhere.name)
            left.append(trace.get_current_span())

        await asyncio.create_task(consultation())
        await warm.hang_up()
        pipe.tracer.start_span("straggler", context=under(left[0])).end()

    warm = await Warm(pipe).run(story)
    assert warm.said("straggler").get(CARRIER) in (None, "twilio")


async def test_a_session_that_the_users_task_has_started_leaves_it_with_the_caller(pipe):
    """LiveKit leaves the session's span current there; our call is the caller's again."""

    async def story(warm: Warm) -> None:
        callers = trunktrace.current_call()
        await warm.consult()
        assert trunktrace.current_call() is callers
        await warm.phones.dial(warm.elsewhere.name)
        await warm.hang_up()
        assert trunktrace.current_call() is callers
        pipe.tracer.start_span("later").end()

    warm = await Warm(pipe).run(story)
    assert has(warm.pipe.named("later"), CALLERS)


async def test_a_session_that_leaves_no_span_leaves_the_users_task_with_the_caller(pipe):
    """As in livekit-agents 1.2: what the task does next is not below the consultation's root."""

    class Session:
        def once(self, *_: Any) -> None:
            """Nobody closes it."""

    async def start() -> None:
        """Leaves no span current."""

    async def story(warm: Warm) -> None:
        before = trace.get_current_span()
        job = current_job()
        assert job is not None
        consult = job.consults.in_room(warm.elsewhere)
        await consult.run(Session(), start, (), {})
        assert trace.get_current_span() is before
        pipe.tracer.start_span("later").end()
        consult.end()

    warm = await Warm(pipe).run(story)
    assert has(warm.pipe.named("later"), CALLERS)


async def test_a_transfer_of_the_caller_that_the_consultation_asks_for_is_the_callers(pipe):
    """The span belongs to the call whose room the request names, whoever asks."""

    async def story(warm: Warm) -> None:
        async def consultation() -> None:
            await warm.consult()
            await warm.phones.dial(warm.elsewhere.name)
            (phone,) = warm.job.room.remote_participants
            await warm.phones.sip.transfer_sip_participant(
                api.TransferSIPParticipantRequest(
                    room_name="call-room", participant_identity=phone, transfer_to=COLLEAGUE
                )
            )

        await asyncio.create_task(consultation())
        await warm.hang_up()

    warm = await Warm(pipe).run(story)
    refer = warm.pipe.named("sip.refer")
    assert refer.attributes[CARRIER] == "telnyx"
    assert refer not in warm.below("sip.call")


# How it ends --------------------------------------------------------------------------------------


async def test_a_busy_colleague_is_a_failed_call_and_the_callers_goes_on(pipe):
    """The consultation ends busy, by its own trunk; nothing of it is on the caller's root."""

    async def story(warm: Warm) -> None:
        warm.phones.answer = warm.phones.is_busy
        await asyncio.create_task(warm.consult())
        with pytest.raises(api.TwirpError):
            await warm.phones.dial(warm.elsewhere.name)
        await warm.hang_up()

    warm = await Warm(pipe).run(story)
    root = warm.pipe.named("sip.call")
    busy = {CARRIER: "twilio", CODE: 486, "sip.call.outcome": "busy", "error.type": "486"}
    assert has(root, busy)
    assert root.attributes["trunk.fault"] == "callee"
    assert root.status.status_code is StatusCode.ERROR
    invite = warm.pipe.named("sip.invite")
    assert has(invite, {**busy, "trunk.id": "ST_out"})
    callers = warm.said("job_entrypoint")
    assert (callers["sip.call.outcome"], callers[CODE]) == ("answered", 200)
    assert has(warm.pipe.named("afterwards"), CALLERS)


async def test_a_dial_that_is_cancelled_ends_the_consultation_without_an_answer(pipe):
    """Our side gave it up: canceled, no error, and the exception is asyncio's."""

    async def story(warm: Warm) -> None:
        warm.phones.answer = warm.phones.rings_on
        await asyncio.create_task(warm.consult())
        dialling = asyncio.create_task(warm.phones.dial(warm.elsewhere.name))
        await until(lambda: warm.phones.phone is not None)
        await settle()
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await warm.hang_up()

    warm = await Warm(pipe).run(story)
    root = warm.pipe.named("sip.call")
    assert root.attributes["sip.call.outcome"] == "canceled"
    assert CODE not in root.attributes
    assert root.status.status_code is StatusCode.UNSET
    assert has(warm.pipe.named("afterwards"), CALLERS)


async def test_a_session_that_cannot_start_is_a_consultation_that_ends(pipe):
    """The exception is LiveKit's, and no call is left open."""

    async def story(warm: Warm) -> None:
        assert warm.session is not None
        nothing: Any = None
        with pytest.raises(AttributeError):
            await warm.session.start(agent=nothing, room=warm.elsewhere)
        await warm.over()

    warm = await Warm(pipe).run(story)
    assert CARRIER not in warm.said("sip.call")
    assert has(warm.pipe.named("afterwards"), CALLERS)


async def test_with_the_job_the_consultation_is_over(pipe):
    """A room that nobody leaves does not outlive the job's."""

    async def story(warm: Warm) -> None:
        await asyncio.create_task(warm.consult())
        await warm.phones.dial(warm.elsewhere.name)

    warm = Warm(pipe)
    await warm.run(story)
    assert warm.pipe.named("sip.call").attributes["sip.call.outcome"] == "answered"
    assert (len(calls), calls.owned, calls.shared) == (0, {}, {})
    assert warm.session is not None
    await warm.session.aclose()


async def test_a_dial_that_the_jobs_end_finds_is_told_of(pipe):
    """The attempt's span is not lost; what became of it is not known."""
    dialling: list[asyncio.Task[Any]] = []

    async def story(warm: Warm) -> None:
        warm.phones.answer = warm.phones.rings_on
        await asyncio.create_task(warm.consult())
        dialling.append(asyncio.create_task(warm.phones.dial(warm.elsewhere.name)))
        await until(lambda: warm.phones.phone is not None)
        await settle()

    warm = await Warm(pipe).run(story)
    for name in ("sip.invite", "sip.call"):
        assert CODE not in warm.said(name)
        assert warm.said(name)[CARRIER] == "twilio"
    assert len(calls) == 0
    assert warm.session is not None
    await warm.session.aclose()
    dialling[0].cancel()
    await asyncio.gather(*dialling, return_exceptions=True)


async def test_who_is_removed_and_not_moved_was_hung_up_on(pipe):
    """Without a move the room's word stands: our side has removed the participant."""

    async def story(warm: Warm) -> None:
        await asyncio.create_task(warm.consult())
        await warm.phones.dial(warm.elsewhere.name)
        assert warm.phones.phone is not None
        warm.elsewhere.leave(warm.phones.phone, REASON.PARTICIPANT_REMOVED)
        await warm.hang_up()

    warm = await Warm(pipe).run(story)
    assert warm.said("sip.call")["sip.hangup.source"] == "agent"


async def test_a_move_that_fails_changes_nothing(pipe):
    """The exception is the API's; who hangs up then has hung up."""

    async def story(warm: Warm) -> None:
        await asyncio.create_task(warm.consult())
        await warm.phones.dial(warm.elsewhere.name)
        warm.phones.rooms.pop("call-room-human-agent")
        with pytest.raises(KeyError):
            await warm.phones.move()
        assert warm.phones.phone is not None
        warm.elsewhere.leave(warm.phones.phone, REASON.PARTICIPANT_REMOVED)
        await warm.hang_up()

    warm = await Warm(pipe).run(story)
    assert warm.said("sip.call")["sip.hangup.source"] == "agent"


async def test_a_dial_into_another_room_without_a_session_is_an_attempt_beside_the_call(pipe):
    """A room in which no agent talks is no call of ours: the INVITE alone says its trunk."""

    async def story(warm: Warm) -> None:
        await warm.phones.dial(warm.elsewhere.name)
        assert len(calls) == 1

    warm = await Warm(pipe, session=False).run(story)
    invite = warm.pipe.named("sip.invite")
    assert has(invite, {**THEIRS, CODE: 200})
    assert [span.name for span in warm.pipe.finished() if span.name == "sip.call"] == []
    root = warm.said("job_entrypoint")
    assert "sip.attempt_count" not in root
    assert has(warm.pipe.named("job_entrypoint"), CALLERS)


# LiveKit's own task -------------------------------------------------------------------------------


class Connecting(ScriptedLLM):
    """A model that connects the colleague to the caller as soon as they say something."""

    def _answer(self, chat_ctx: llm.ChatContext) -> llm.ChoiceDelta:
        heard = [item for item in chat_ctx.messages() if item.role == "user"]
        if not heard:
            return llm.ChoiceDelta(role="assistant", content="Hello.")
        call = llm.FunctionToolCall(name="connect_to_caller", arguments="{}", call_id="connect")
        return llm.ChoiceDelta(role="assistant", tool_calls=[call])


class Front(Agent):
    """Transfers the caller as soon as it is there, and remembers what came of it."""

    def __init__(self) -> None:
        super().__init__(instructions="Transfer.")
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def on_enter(self) -> None:
        task = WarmTransferTask(sip_call_to=COLLEAGUE, sip_trunk_id="ST_out", hold_audio=None)
        try:
            self.result.set_result(await task)
        except Exception as error:
            self.result.set_result(error)


class LiveKitsTask(Warm):
    """The same story, told by LiveKit's WarmTransferTask in the caller's own session."""

    def __init__(self, pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(pipe, session=False)
        self.consultations: list[AgentSession[Any]] = []
        self.callers = demo_session(TALK)
        self.callers._llm = Connecting(TALK.turns)
        self.result: Any = None
        silent = functools.partial(RoomOptions, text_input=False, text_output=False)
        monkeypatch.setattr(warm_transfer, "room_io", SimpleNamespace(RoomOptions=silent))
        ours = SimpleNamespace(
            Room=lambda: self.elsewhere, DisconnectReason=warm_transfer.rtc.DisconnectReason
        )
        monkeypatch.setattr(warm_transfer, "rtc", ours)
        monkeypatch.setattr(warm_transfer, "AgentSession", self._session)
        for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
            monkeypatch.setenv(name, "k" * 32)

    def _session(self, **settings: Any) -> AgentSession[Any]:
        session: AgentSession[Any] = AgentSession(
            **{
                **settings,
                "turn_handling": {
                    "turn_detection": "vad",
                    "endpointing": {"mode": "fixed", "min_delay": 0.05, "max_delay": 0.2},
                    "interruption": {"mode": "vad", "resume_false_interruption": False},
                    "preemptive_generation": {"enabled": False},
                },
            },
            user_away_timeout=None,
            aec_warmup_duration=None,
        )
        session.input.audio = self.mouth
        session.output.audio = Ear(Line(), lambda _: None)
        self.consultations.append(session)
        return session

    async def transfer(self, _: Warm) -> None:
        with in_job(self.job.room, self.phones, self._delete_room):
            front = Front()
            self.callers.input.audio = Mouth(Line(), lambda _: None)
            self.callers.output.audio = Ear(Line(), lambda _: None)
            await self.callers.start(agent=front, record=False)
            await until(lambda: self.elsewhere_answers or front.result.done(), 20.0)
            if not front.result.done():
                await self.mouth.say(0, 32)
            self.result = await asyncio.wait_for(front.result, 20.0)
            await self.over()
            await self.callers.aclose()

    @property
    def elsewhere_answers(self) -> bool:
        """Whether the colleague is there, and the session that talks to them has started."""
        phone = self.phones.phone
        return phone is not None and phone.attributes["sip.callStatus"] == "active"

    def _delete_room(self, room_name: str = "") -> asyncio.Future[Any]:
        gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        gone.set_result(None)
        asyncio.get_running_loop().call_soon(self.phones.rooms[room_name].disconnect)
        return gone


@contextmanager
def in_job(room: Room, phones: Phones, delete_room: Any) -> Iterator[None]:
    """The code runs in a job of LiveKit's, whose room and API are these."""
    ctx = mock.MagicMock(room=room, api=phones, delete_room=delete_room)
    ctx.simulation_context.return_value = None
    ctx.is_fake_job.return_value = False
    ctx.job.enable_redaction = False
    ctx.connect = mock.AsyncMock()
    ctx._info.url = "ws://livekit.invalid"
    ctx._primary_agent_session = None
    token = _JobContextVar.set(ctx)
    try:
        yield
    finally:
        _JobContextVar.reset(token)


async def test_livekits_warm_transfer_is_one_story(pipe, monkeypatch):
    """Two sessions, two rooms, one trace: each session's spans with its own leg's trunk."""
    warm = LiveKitsTask(pipe, monkeypatch)
    await warm.run(warm.transfer)
    assert warm.result == WarmTransferResult(human_agent_identity=IDENTITY)
    consult = warm.below("sip.call")
    names = [span.name for span in consult]
    assert {"agent_session", "user_turn", "llm_node", "function_tool", "sip.invite"} <= set(names)
    sessions = [span for span in warm.pipe.finished() if span.name == "agent_session"]
    assert [span in consult for span in sorted(sessions, key=lambda s: s.start_time)] == [
        False,
        True,
    ]
    late = warm.is_late
    for span in warm.pipe.finished():
        wanted = THEIRS if span in consult or span.name == "sip.call" else CALLERS
        if wanted is CALLERS or late or span.name in ("user_turn", "llm_node", "function_tool"):
            assert has(span, wanted), span.name
        assert span.attributes.get(CARRIER) in (None, wanted[CARRIER]), span.name
    root = warm.said("sip.call")
    assert (root["sip.call.outcome"], root[CODE]) == ("answered", 200)
    assert "sip.hangup.source" not in root
    (leg,) = [e for e in warm.job.events("sip.leg") if e["sip.call.state"] == "active"]
    assert leg["trunk.id"] == "ST_out"


async def test_a_colleague_whom_livekits_task_does_not_reach(pipe, monkeypatch):
    """The task ends with LiveKit's error; the consultation was busy, and the call goes on."""
    warm = LiveKitsTask(pipe, monkeypatch)
    warm.phones.answer = warm.phones.is_busy
    await warm.run(warm.transfer)
    assert isinstance(warm.result, ToolError)
    root = warm.pipe.named("sip.call")
    assert has(root, {CARRIER: "twilio", CODE: 486, "sip.call.outcome": "busy"})
    assert root.status.status_code is StatusCode.ERROR
    assert has(warm.pipe.named("job_entrypoint"), CALLERS)
    assert has(warm.pipe.named("afterwards"), CALLERS)


# What is counted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [None, sampling.ALWAYS_OFF], ids=["sampled", "not sampled"])
async def test_the_consultation_is_counted_as_a_call_of_its_own(sampler):
    """One INVITE and one setup of the colleague's carrier, whether the trace is sampled or not."""
    reader = InMemoryMetricReader()
    counted = CallMetrics()
    counted.install(MeterProvider([reader], shutdown_on_exit=False))
    pipe = Pipeline(sampler=sampler)
    with traced_with(pipe):
        await Warm(pipe).run(consulted_and_moved)
    data = reader.get_metrics_data()
    found = [
        (metric.name, point.attributes[CARRIER])
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name in ("sip.invites", "sip.call.duration", "sip.call.setup.duration")
    ]
    assert sorted(found) == [
        ("sip.call.duration", "telnyx"),
        ("sip.call.duration", "twilio"),
        ("sip.call.setup.duration", "twilio"),
        ("sip.invites", "telnyx"),
        ("sip.invites", "twilio"),
    ]
