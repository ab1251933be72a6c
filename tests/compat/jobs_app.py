"""The worker's program: `python jobs_app.py start`, as one would deploy it.

A file of its own, because forkserver and spawn import it again in every job process. Environment:

COMPAT_FORM      how it is traced: `decorator`; `in_place`, wrapped where it is registered;
                 `instrument`, by a call at the top; `bare`, by whoever starts it
COMPAT_REGISTER  `server` (AgentServer, from livekit-agents 1.3) or `options` (WorkerOptions)
COMPAT_EXECUTOR  `forkserver`, `spawn` or `thread`
COMPAT_PROVIDER  `user`, made in the setup function and exporting to COMPAT_SINK; `sampling`, the
                 same for every tenth trace; `environment` or `none`: nobody makes one here
COMPAT_NOTES     a file that gets one JSON line for each note

A job's metadata names its scenario, one of the functions below.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import math
import os
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from livekit import agents, api
from livekit.agents import (
    Agent,
    AgentSession,
    JobContext,
    JobExecutorType,
    JobProcess,
    WorkerOptions,
    cli,
    telemetry,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

import trunktrace
from trunktrace.registry import calls

FORM = os.environ.get("COMPAT_FORM", "decorator")
REGISTER = os.environ.get("COMPAT_REGISTER", "options")
EXECUTOR = os.environ.get("COMPAT_EXECUTOR", "forkserver")
PROVIDER = os.environ.get("COMPAT_PROVIDER", "user")

if FORM == "instrument":
    trunktrace.instrument()


class EvenIds(IdGenerator):
    """Trace ids that are spread evenly: of every ten traces in a row exactly one is sampled."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._numbers = itertools.count()

    def generate_span_id(self) -> int:
        return self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        # The sampler looks at the lower 64 bits; the upper ones make the id unique.
        lower = (next(self._numbers) % 10) * (1 << 64) // 10 + (1 << 40)
        return (self._random.generate_trace_id() >> 64) << 64 | lower


def _new_provider(*, ratio: float = 1.0) -> TracerProvider:
    sampler = ParentBased(TraceIdRatioBased(ratio))
    provider = TracerProvider(sampler=sampler, id_generator=EvenIds())
    exporter = OTLPSpanExporter(endpoint=os.environ["COMPAT_SINK"] + "/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@functools.cache
def _provider() -> TracerProvider:
    return _new_provider(ratio=0.1 if PROVIDER == "sampling" else 1.0)


_one_at_a_time = threading.Lock()


def prewarm(_: JobProcess) -> None:
    """Make the tracer provider, where the user is the one who makes it."""
    if PROVIDER not in ("user", "sampling"):
        return
    # With threads this runs once for each of them, in one process.
    with _one_at_a_time:
        telemetry.set_tracer_provider(_provider())


def note(**fields: Any) -> None:
    """Tell the test something; one write of one line, for several processes share the file."""
    line = json.dumps(fields) + "\n"
    target = os.open(os.environ["COMPAT_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(target, line.encode())
    os.close(target)


def step(ctx: JobContext, name: str) -> None:
    """One span of the agent's own."""
    with telemetry.tracer.start_as_current_span(name, attributes={"job": ctx.job.id}):
        pass


def steps(ctx: JobContext) -> None:
    """As many spans as the job asks for."""
    for number in range(metadata(ctx)["steps"]):
        step(ctx, f"step {number}")


def metadata(ctx: JobContext) -> dict[str, Any]:
    """What the test asks of this job."""
    asked: dict[str, Any] = json.loads(ctx.job.metadata)
    return asked


def caller_of(ctx: JobContext) -> SimpleNamespace:
    """A SIP participant as the room's events hand it over."""
    return SimpleNamespace(
        identity="sip_+15557778888",
        name="Phone +15557778888",
        sid="PA_caller",
        kind=3,
        disconnect_reason=1,
        attributes={
            "sip.callID": "SCL_1",
            "sip.callIDFull": "1-2@203.0.113.7",
            "sip.callStatus": "ringing",
            "sip.hostname": "acme.pstn.twilio.com",
            "sip.phoneNumber": "+15557778888",
            "sip.ruleID": "SDR_1",
            "sip.trunkID": "ST_1",
            "sip.trunkPhoneNumber": "+15550001111",
        },
    )


def emit(ctx: JobContext, event: Any, *args: object) -> None:
    """Have the job's room say what a connected one would."""
    ctx.room.emit(event, *args)


async def answered(ctx: JobContext) -> None:
    """An inbound call from its first ring to its end, with many spans just before the end."""
    caller = caller_of(ctx)
    emit(ctx, "participant_connected", caller)
    step(ctx, "ringing")
    caller.attributes["sip.callStatus"] = "active"
    emit(ctx, "participant_attributes_changed", {"sip.callStatus": "active"}, caller)
    trunktrace.current_call().record(codec="pcmu", region="eu-west")
    steps(ctx)
    emit(ctx, "participant_disconnected", caller)
    ctx.shutdown("the caller hung up")


async def raising(ctx: JobContext) -> None:
    """A call whose entrypoint has a bug."""
    emit(ctx, "participant_connected", caller_of(ctx))
    step(ctx, "before")
    ctx.shutdown("broken")
    raise LookupError("a bug of the agent")


async def busy(ctx: JobContext) -> None:
    """An outbound call that is refused; the entrypoint ends with livekit-api's own error."""
    request = api.CreateSIPParticipantRequest(
        sip_trunk_id="ST_2",
        sip_call_to="+15559990000",
        sip_number="+15550002222",
        room_name=ctx.job.room.name,
        participant_identity="callee",
        wait_until_answered=True,
    )
    try:
        async with api.LiveKitAPI() as livekit:
            await livekit.sip.create_sip_participant(request)
    finally:
        ctx.shutdown("nobody there")


async def cancelled(ctx: JobContext) -> None:
    """A call whose entrypoint is cancelled while it waits."""
    emit(ctx, "participant_connected", caller_of(ctx))
    step(ctx, "before")
    ctx.shutdown("cancelled")
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.Event().wait()


async def late_provider(ctx: JobContext) -> None:
    """The agent sets its tracer provider in the entrypoint, as many a guide shows."""
    provider = _new_provider()
    telemetry.set_tracer_provider(provider)
    emit(ctx, "participant_connected", caller_of(ctx))
    session = AgentSession[None]()
    await session.start(agent=Agent(instructions="Be kind."))
    steps(ctx)
    await session.aclose()
    ctx.shutdown("done")


async def quick(ctx: JobContext) -> None:
    """A call that is over at once; what it knew is noted, sampled or not."""
    carrier = f"carrier-{metadata(ctx)['number']}"
    trunktrace.current_call().record(carrier=carrier, direction="inbound")
    step(ctx, "one")
    step(ctx, "two")
    note(job=ctx.job.id, carrier=trunktrace.current_call().facts.carrier)
    ctx.shutdown("over")


async def count(ctx: JobContext) -> None:
    """Note what the process' registry has counted, this call included."""
    note(opened=calls.opened, finished=calls.finished, open=len(calls), evicted=calls.evicted)
    ctx.shutdown("counted")


SCENARIOS: dict[str, Callable[[JobContext], Awaitable[None]]] = {
    one.__name__: one for one in (answered, raising, busy, cancelled, late_provider, quick, count)
}


async def entrypoint(ctx: JobContext) -> None:
    """Run the job's scenario."""
    await SCENARIOS[metadata(ctx)["scenario"]](ctx)


if FORM == "decorator":
    # What `@trunktrace.traced_call` above the function does, which other forms must not have.
    entrypoint = trunktrace.traced_call(entrypoint)


SETTINGS: dict[str, Any] = {
    "job_executor_type": (
        JobExecutorType.THREAD if EXECUTOR == "thread" else JobExecutorType.PROCESS
    ),
    "multiprocessing_context": "spawn" if EXECUTOR == "spawn" else "forkserver",
    # A small machine under load must still take the job.
    "load_threshold": math.inf,
    # Threads one ahead: with none, livekit-agents 1.2 can forget a job of many that come at once.
    "num_idle_processes": int(EXECUTOR == "thread"),
    "initialize_process_timeout": 60.0,
    "drain_timeout": 10,
    "host": "127.0.0.1",
    "port": 0,
}


def _worker() -> Any:
    held = trunktrace.traced_call(entrypoint) if FORM == "in_place" else entrypoint
    if REGISTER == "options":
        return WorkerOptions(entrypoint_fnc=held, prewarm_fnc=prewarm, **SETTINGS)
    server = agents.AgentServer(setup_fnc=prewarm, **SETTINGS)
    server.rtc_session()(held)
    return server


if __name__ == "__main__":
    cli.run_app(_worker())
