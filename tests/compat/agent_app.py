"""An agent of few words, written so that every supported livekit-agents can run it.

It plays one second of sound to the caller and returns from its entrypoint while the call goes on,
as most agents do.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents import Agent, AgentSession, JobContext, WorkerOptions, cli

import trunktrace

RATE = 16_000


@trunktrace.traced_call
async def entrypoint(ctx: JobContext) -> None:
    """Greet the caller."""
    session = AgentSession()
    await session.start(agent=Agent(instructions=""), room=ctx.room)
    session.say("hello", audio=_sound())


async def _sound() -> AsyncIterator[rtc.AudioFrame]:
    for _ in range(50):
        samples = RATE // 50
        wave = bytes(b for n in range(samples) for b in _sample(n))
        yield rtc.AudioFrame(wave, RATE, 1, samples)


def _sample(n: int) -> bytes:
    return int(6000 * math.sin(2 * math.pi * 300 * n / RATE)).to_bytes(2, "little", signed=True)


if __name__ == "__main__":
    cli.run_app(
        WorkerOptions(
            entrypoint_fnc=entrypoint,
            agent_name=os.environ.get("TRUNKTRACE_COMPAT_AGENT", "compat"),
            load_threshold=math.inf,
            host="127.0.0.1",
            port=0,
        )
    )
