"""The worker's program: `python -m e2e.agent_app start`, as one would deploy it.

A real module, because forkserver and spawn import it again in every job process. What it does is
chosen by environment variables, so that one program serves every test:

TRUNKTRACE_E2E_PLAIN      1: without trunktrace (the harness alone)
TRUNKTRACE_E2E_EXECUTOR   process (default) or thread
TRUNKTRACE_E2E_START      forkserver (default) or spawn
TRUNKTRACE_E2E_PROVIDER   user: made in setup_fnc, the ordinary way (default); wrapped: the same,
                          trunktrace's two exporters around; environment: nobody makes one here
TRUNKTRACE_E2E_IDLE       processes or threads kept warm (default 1)
TRUNKTRACE_E2E_NOTES      a file; one JSON line for each thing that a test must know

A job's metadata (JSON) tells the scenario: nothing for an inbound call, or
{"bridge": address, "attempts": [{"trunk_id", "from", "to"}, ...]} for an outbound one.
"""

from __future__ import annotations

import functools
import json
import math
import multiprocessing.util
import os
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

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
    telemetry,
)
from livekit.agents.voice import room_io
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from . import fakes
from .calls import CONVERSATION, GREETING
from .notes import note

PLAIN = os.environ.get("TRUNKTRACE_E2E_PLAIN") == "1"
THREAD = os.environ.get("TRUNKTRACE_E2E_EXECUTOR") == "thread"
PROVIDER = os.environ.get("TRUNKTRACE_E2E_PROVIDER", "user")

Entrypoint = Callable[[JobContext], Awaitable[None]]


def _as_it_is(entrypoint: Entrypoint) -> Entrypoint:
    return entrypoint


def _decorator() -> Callable[[Entrypoint], Entrypoint]:
    if PLAIN:
        return _as_it_is
    import trunktrace

    return cast("Callable[[Entrypoint], Entrypoint]", trunktrace.traced_call)


traced = _decorator()


class Orders(Agent):
    """The agent of the conversation: it greets, answers, and looks orders up."""

    def __init__(self) -> None:
        super().__init__(instructions="Answer questions about orders.")

    async def on_enter(self) -> None:
        self.session.say(GREETING)

    @function_tool
    async def look_up_order(self, order: str) -> str:
        """Look an order up by its number."""
        note("tool", order=order)
        return f"order {order}: on its way"


def _exporter() -> SpanExporter:
    if PROVIDER != "wrapped":
        return OTLPSpanExporter()
    import trunktrace

    return trunktrace.LateFactsExporter(trunktrace.RedactingExporter(OTLPSpanExporter()))


@functools.cache
def _provider() -> TracerProvider:
    # Cached: with threads setup_fnc runs once for each of them, in one process.
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    if PLAIN:
        # Job processes leave by os._exit. trunktrace does this itself; without it we must.
        multiprocessing.util.Finalize(None, provider.shutdown, exitpriority=100)
    return provider


def prewarm(_: JobProcess) -> None:
    """Make the tracer provider where the user is the one who makes it."""
    if PROVIDER != "environment":
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


@server.rtc_session()
@traced
async def entrypoint(ctx: JobContext) -> None:
    """Answer a call, or place one, as the job's metadata says."""
    context = trace.get_current_span().get_span_context()
    note("job", room=ctx.job.room.name, trace_id=f"{context.trace_id:032x}")

    async def ended(reason: str) -> None:
        note("ended", room=ctx.job.room.name, reason=reason)

    ctx.add_shutdown_callback(ended)
    ctx.room.on("participant_disconnected", _gone)
    job: dict[str, Any] = json.loads(ctx.job.metadata or "{}")
    options = room_io.RoomOptions()
    if "attempts" in job:
        # Named, because the leg of a failed attempt may still be in the room.
        options.participant_identity = await _dial(ctx, job)
    await _session().start(agent=Orders(), room=ctx.room, room_options=options)


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


async def _dial(ctx: JobContext, job: dict[str, Any]) -> str:
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
                wait_until_answered=True,
            )
            try:
                leg = await livekit.sip.create_sip_participant(request)
                return str(leg.participant_identity)
            except api.ServerError as error:
                note("dial_failed", trunk_id=attempt["trunk_id"], error=str(error))
                failed = error
    assert failed is not None, "a dial without attempts"
    raise failed


if __name__ == "__main__":
    cli.run_app(server)
