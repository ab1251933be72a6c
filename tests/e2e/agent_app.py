"""The worker's program: `python -m e2e.agent_app start`, as one would deploy it.

A real module, because forkserver and spawn import it again in every job process. What it does is
chosen by environment variables, so that one program serves every test:

TRUNKTRACE_E2E_PLAIN      1: without trunktrace (the harness alone)
TRUNKTRACE_E2E_FORM       decorator (default); in_place: server.rtc_session(traced_call(entry));
                          instrument: trunktrace.instrument() and no decorator
TRUNKTRACE_E2E_EXECUTOR   process (default) or thread
TRUNKTRACE_E2E_START      forkserver (default) or spawn
TRUNKTRACE_E2E_PROVIDER   user: made in setup_fnc, the ordinary way (default); wrapped: the same,
                          trunktrace's two exporters around; environment: nobody makes one here;
                          inside: made in the entrypoint, as one should not
TRUNKTRACE_E2E_IDLE       processes or threads kept warm (default 1)
TRUNKTRACE_E2E_NOTES      a file; one JSON line for each thing that a test must know

A job's metadata (JSON) tells the scenario, see `Job`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import multiprocessing.util
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

from livekit import api, rtc
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    JobExecutorType,
    JobProcess,
    cli,
    function_tool,
    get_job_context,
    telemetry,
)
from livekit.agents.voice import room_io
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from . import consultation, fakes, witness
from .calls import CONVERSATION, GREETING
from .network import port_of
from .notes import note

if TYPE_CHECKING:
    from trunktrace.livecall import LiveCall

PLAIN = os.environ.get("TRUNKTRACE_E2E_PLAIN") == "1"
FORM = os.environ.get("TRUNKTRACE_E2E_FORM", "decorator")
THREAD = os.environ.get("TRUNKTRACE_E2E_EXECUTOR") == "thread"
PROVIDER = os.environ.get("TRUNKTRACE_E2E_PROVIDER", "user")
TRACES = os.environ.get("TRUNKTRACE_E2E_ENDPOINT", "") + "/v1/traces"

Entrypoint = Callable[[JobContext], Awaitable[None]]


class Job(TypedDict):
    """A job's metadata; without any it is an ordinary inbound call."""

    bridge: NotRequired[str]
    """Outbound: the address to ask for a SIP participant ..."""
    attempts: NotRequired[list[dict[str, str]]]
    """... and what to ask for in turn: `trunk_id`, `from`, `to`."""
    dials: NotRequired[bool]
    """... with `trunktrace.dial`, and not with a loop of its own."""
    waits_for_answer: NotRequired[bool]
    """Whether the request returns only after the answer (default: yes)."""
    link: NotRequired[str]
    """Identity of the participant that the session takes as its caller."""
    losses: NotRequired[list[float | None]]
    """Trunk loss of each piece of the caller's speech, recorded when it ends."""
    loss_out: NotRequired[float]
    """Trunk loss of what the agent says."""
    greeting: NotRequired[str]
    """What the agent says first, in place of the usual."""
    tells_port: NotRequired[bool]
    """The job notes the UDP port of its media, for a wire that loses packets."""
    consults: NotRequired[consultation.Asked]
    """Whom to ask in a second room, while the caller waits."""
    reads_headers: NotRequired[bool]
    """The tool reads every SIP header by LiveKit's RPC, as some agents do."""


def _as_it_is(entrypoint: Entrypoint) -> Entrypoint:
    return entrypoint


def _decorator() -> Callable[[Entrypoint], Entrypoint]:
    if PLAIN:
        return _as_it_is
    import trunktrace

    return cast("Callable[[Entrypoint], Entrypoint]", trunktrace.traced_call)


def _watcher() -> witness.CallWatcher | None:
    if PLAIN:
        return None
    from trunktrace.registry import calls

    watcher = witness.CallWatcher()
    calls.subscribe(watcher)
    return watcher


traced = _decorator()
watcher = _watcher()


class Orders(Agent):
    """The agent of the conversation: it greets, answers, and looks orders up."""

    def __init__(self, job: Job) -> None:
        super().__init__(instructions="Answer questions about orders.")
        self._job = job

    async def on_enter(self) -> None:
        self.session.say(self._job.get("greeting", GREETING))

    @function_tool
    async def look_up_order(self, order: str) -> str:
        """Look an order up by its number."""
        note("tool", order=order)
        if self._job.get("reads_headers"):
            await _read_headers(get_job_context().room)
        return f"order {order}: on its way"


async def _read_headers(room: rtc.Room) -> None:
    (caller,) = room.remote_participants
    answer = await room.local_participant.perform_rpc(
        destination_identity=caller, method="lk.sip.GetRemoteHeaders", payload="{}"
    )
    note("headers", room=room.name, names=sorted(json.loads(answer)["headers"]))


def _exporter() -> SpanExporter:
    exporter = OTLPSpanExporter(endpoint=TRACES)
    if PROVIDER != "wrapped":
        return exporter
    import trunktrace

    return trunktrace.LateFactsExporter(trunktrace.RedactingExporter(exporter))


@functools.cache
def _provider() -> TracerProvider:
    # Cached: with threads setup_fnc runs once for each of them, in one process.
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    witness.count_spans(provider)
    if PLAIN:
        # Job processes leave by os._exit. trunktrace does this itself; without it we must.
        multiprocessing.util.Finalize(None, provider.shutdown, exitpriority=100)
    return provider


def prewarm(_: JobProcess) -> None:
    """Make the tracer provider where the user is the one who makes it."""
    if PROVIDER in ("user", "wrapped"):
        telemetry.set_tracer_provider(_provider())


server = AgentServer(
    setup_fnc=prewarm,
    job_executor_type=JobExecutorType.THREAD if THREAD else JobExecutorType.PROCESS,
    multiprocessing_context=cast(
        "Literal['forkserver', 'spawn']", os.environ.get("TRUNKTRACE_E2E_START", "forkserver")
    ),
    # A small machine under load must still take the call.
    load_fnc=lambda *_: 0.0,
    load_threshold=math.inf,
    num_idle_processes=int(os.environ.get("TRUNKTRACE_E2E_IDLE", "1")),
    initialize_process_timeout=60.0,
    drain_timeout=5,
    host="127.0.0.1",
    port=0,
)


@server.on("worker_registered")
def _registered(*_: object) -> None:
    note("registered")


async def run_job(ctx: JobContext) -> None:
    """Answer a call, or place one, as the job's metadata says."""
    if PROVIDER == "inside":
        telemetry.set_tracer_provider(_provider())
    witness.count_spans(trace.get_tracer_provider())
    context = trace.get_current_span().get_span_context()
    note("job", room=ctx.job.room.name, trace_id=f"{context.trace_id:032x}")

    async def ended(reason: str) -> None:
        note("ended", room=ctx.job.room.name, reason=reason)

    ctx.add_shutdown_callback(ended)
    ctx.room.on("participant_disconnected", _gone)
    call = _current_call()
    witness.watch_answer(ctx.room, call)
    job: Job = json.loads(ctx.job.metadata or "{}")
    options = room_io.RoomOptions()
    if "link" in job:
        await ctx.connect()  # LiveKit wants it so where the participant is named
        options.participant_identity = job["link"]
    if "attempts" in job:
        # Named, because the leg of a failed attempt may still be in the room.
        dial = _dial_by_trunktrace if job.get("dials") else _dial
        options.participant_identity = await dial(ctx, job)
    session = _session()
    if call is not None:
        losses = job.get("losses", [])
        witness.Losses(call, losses, job.get("loss_out"), ctx.room.name).watch(session)
    await session.start(agent=Orders(job), room=ctx.room, room_options=options)
    if "consults" in job:
        await consultation.consult(ctx, job["consults"], _session(), Orders(job))
    if job.get("tells_port"):
        note("port", room=ctx.room.name, port=await port_of(ctx.room))


def _current_call() -> LiveCall | None:
    if PLAIN:
        return None
    import trunktrace

    return trunktrace.current_call()


def _gone(participant: rtc.RemoteParticipant) -> None:
    reason = participant.disconnect_reason
    note(
        "participant_gone",
        identity=participant.identity,
        reason=None if reason is None else rtc.DisconnectReason.Name(reason),
    )


def _session() -> AgentSession[None]:
    return AgentSession[None](
        vad=fakes.EnergyVAD(),
        stt=fakes.ScriptSTT(CONVERSATION),
        llm=fakes.ScriptLLM(CONVERSATION),
        tts=fakes.ToneTTS(),
        turn_handling={
            "turn_detection": fakes.SureTurnDetector(),
            "endpointing": {"min_delay": 0.2, "max_delay": 0.6},
            "interruption": {"mode": "vad", "min_duration": 0.2},
        },
        # The first three seconds of agent speech cannot be interrupted otherwise.
        aec_warmup_duration=None,
        session_close_transcript_timeout=0.2,
    )


async def _dial_by_trunktrace(ctx: JobContext, job: Job) -> str:
    """The same with `trunktrace.dial`; what it says is noted."""
    import trunktrace

    await ctx.connect()
    trunks = [trunktrace.Trunk(one["trunk_id"], number=one["from"]) for one in job["attempts"]]
    async with api.LiveKitAPI(job["bridge"]) as livekit:
        try:
            result = await trunktrace.dial(
                ctx, job["attempts"][0]["to"], trunks=trunks, backoff_s=0.1, api=livekit
            )
        except trunktrace.DialFailed as failed:
            note("dialled", room=ctx.room.name, path=failed.path, why=failed.why, answered=False)
            raise
    codes = [one.status_code for one in result.attempts]
    note("dialled", room=ctx.room.name, codes=codes, answered=True)
    return str(result.participant.participant_identity)


async def _picked_up(room: rtc.Room, identity: str) -> None:
    """Wait for the answer as the room tells it; LookupError if the participant leaves first."""
    told = asyncio.get_running_loop().create_future()

    def changed(_: object, participant: rtc.Participant) -> None:
        is_callee = participant.identity == identity
        if (
            is_callee
            and participant.attributes.get("sip.callStatus") == "active"
            and not told.done()
        ):
            told.set_result(True)

    def left(participant: rtc.RemoteParticipant) -> None:
        if participant.identity == identity and not told.done():
            told.set_result(False)

    room.on("participant_attributes_changed", changed)
    room.on("participant_disconnected", left)
    if identity in room.remote_participants:
        changed({}, room.remote_participants[identity])
    if not await told:
        raise LookupError("nobody answered")


async def _dial(ctx: JobContext, job: Job) -> str:
    """Try each trunk in turn: the identity of the leg that answered.

    Raises the last attempt's own error when none did.
    """
    failed: api.ServerError | None = None
    await ctx.connect()
    async with api.LiveKitAPI(job["bridge"]) as livekit:
        for index, attempt in enumerate(job["attempts"]):
            request = api.CreateSIPParticipantRequest(
                sip_trunk_id=attempt["trunk_id"],
                sip_call_to=attempt["to"],
                sip_number=attempt["from"],
                room_name=ctx.room.name,
                participant_identity=f"callee-{index + 1}",
                wait_until_answered=job.get("waits_for_answer", True),
            )
            note("dial", room=ctx.room.name, trunk_id=attempt["trunk_id"])
            try:
                leg = await livekit.sip.create_sip_participant(request)
                if not request.wait_until_answered:
                    await _picked_up(ctx.room, leg.participant_identity)
                return str(leg.participant_identity)
            except api.ServerError as error:
                note(
                    "dial_failed",
                    room=ctx.room.name,
                    trunk_id=attempt["trunk_id"],
                    error=str(error),
                )
                failed = error
    assert failed is not None, "a dial without attempts"
    raise failed


if FORM == "decorator":

    @server.rtc_session()
    @traced
    async def entrypoint(ctx: JobContext) -> None:
        """One line: the decorator."""
        await run_job(ctx)

elif FORM == "in_place":

    async def entrypoint(ctx: JobContext) -> None:
        """Wrapped where it is given to the server."""
        await run_job(ctx)

    server.rtc_session(traced(entrypoint))

else:
    import trunktrace

    trunktrace.instrument()

    @server.rtc_session()
    async def entrypoint(ctx: JobContext) -> None:
        """No decorator."""
        await run_job(ctx)


if __name__ == "__main__":
    cli.run_app(server)
