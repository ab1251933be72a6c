"""The demo: all planned calls at once, through the real pipeline, as exported."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from trunktrace.demo.plans import Plan
from trunktrace.demo.play import Tick, hold
from trunktrace.demo.wire import KeepingExporter, SpanRecord, decode
from trunktrace.directory import Directory
from trunktrace.export.environment import otlp_endpoint, otlp_exporter
from trunktrace.export.late import LateFactsExporter
from trunktrace.export.redacting import RedactingExporter
from trunktrace.livekit.demo.dial import Refusal
from trunktrace.livekit.demo.jobs import by_room, can_simulate_jobs, run_jobs
from trunktrace.livekit.entrypoint import traced_call
from trunktrace.processor import CallSpanProcessor
from trunktrace.start import current_call, start_call


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the calls left behind.

    `spans` are read back from the exported bytes. `endpoint` is where the same spans were sent by
    OTLP, None if nowhere; `refused` is how many it did not take.
    """

    spans: list[SpanRecord]
    endpoint: str | None
    refused: int


def run(plans: Sequence[Plan], tick: Tick, *, simulate_jobs: bool) -> Outcome:
    """Hold all calls at once and return when they are over and exported.

    With `simulate_jobs` every call is a simulated job of a real worker, under `traced_call`, and
    its root is LiveKit's `job_entrypoint`; else it runs under `start_call`, and its root is
    `sip.call`. To be run once in a process: it makes its tracer provider the global one.
    """
    keeper = KeepingExporter(otlp_exporter())
    provider = _provider(keeper)
    trace.set_tracer_provider(provider)
    hold_all = _in_jobs if simulate_jobs and can_simulate_jobs() else _in_tasks
    asyncio.run(hold_all(plans, tick))
    provider.shutdown()
    return Outcome(decode(keeper.messages), otlp_endpoint(), keeper.refused)


def _provider(exporter: KeepingExporter) -> TracerProvider:
    # Sampling would take calls out of the demo, whatever the environment says.
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource.create({"service.name": "trunktrace-demo"})
    )
    provider.add_span_processor(CallSpanProcessor())
    late = LateFactsExporter(RedactingExporter(exporter))
    provider.add_span_processor(BatchSpanProcessor(late))
    return provider


async def _in_jobs(plans: Sequence[Plan], tick: Tick) -> None:
    by_name = {plan.name: plan for plan in plans}

    async def hold_one(room: str) -> None:
        await hold(by_name[room], current_call(), tick)

    # The demo's trunks are invented: a carriers.toml that lies about knows nothing of them.
    traced = traced_call(directory=Directory.builtin())
    await run_jobs(traced(by_room(hold_one)), by_name)


async def _in_tasks(plans: Sequence[Plan], tick: Tick) -> None:
    async def hold_one(plan: Plan) -> None:
        with suppress(Refusal):
            async with start_call(direction=plan.direction) as call:
                await hold(plan, call, tick)

    await asyncio.gather(*map(hold_one, plans))
