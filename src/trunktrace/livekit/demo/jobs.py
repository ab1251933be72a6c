"""The agents' own simulated jobs: a real worker and real jobs, with no server and no network."""

# pyright: reportUnknownMemberType=false
# (livekit-agents leaves the type arguments of its own signatures open)

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable

from livekit.agents import AgentServer, JobContext, JobExecutorType

Entrypoint = Callable[[JobContext], Awaitable[None]]

_PATIENCE_S = 120


def can_simulate_jobs() -> bool:
    """Whether this livekit-agents can run a job without a server."""
    run = getattr(AgentServer, "run", None)
    simulate = getattr(AgentServer, "simulate_job", None)
    return (
        run is not None
        and simulate is not None
        and "unregistered" in inspect.signature(run).parameters
        and "fake_job" in inspect.signature(simulate).parameters
    )


def by_room(hold: Callable[[str], Awaitable[None]]) -> Entrypoint:
    """An entrypoint that holds the call of its room's name, then ends the job.

    An exception of `hold` ends the job as a crash of the entrypoint would.
    """

    async def entrypoint(ctx: JobContext) -> None:
        await hold(ctx.job.room.name)
        ctx.shutdown("the caller hung up")

    return entrypoint


async def run_jobs(entrypoint: Entrypoint, rooms: Iterable[str]) -> None:
    """Run `entrypoint` as one simulated job a room, all at once; return when all have ended.

    The jobs run in threads of this process, so they share its tracer provider. The worker listens
    on a free port of the loopback interface and connects to nothing. Raises TimeoutError if a job
    has not ended after two minutes.
    """
    server = AgentServer(
        job_executor_type=JobExecutorType.THREAD, host="127.0.0.1", port=0, load_fnc=_idle
    )
    server.rtc_session(entrypoint)
    started = asyncio.Event()
    server.once("worker_started", started.set)
    worker = asyncio.create_task(server.run(devmode=True, unregistered=True))
    ready = asyncio.create_task(started.wait())
    await asyncio.wait([worker, ready], return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        await worker
    try:
        await asyncio.gather(*(server.simulate_job(room, fake_job=True) for room in rooms))
        await server.drain(timeout=_PATIENCE_S)
    finally:
        await server.aclose()
        await worker


def _idle(_: AgentServer) -> float:
    return 0.0
