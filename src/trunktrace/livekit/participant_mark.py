"""Our trace as an attribute of the caller's participant, so that the BYE to it can carry it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, Final

from trunktrace.guard import warn_once
from trunktrace.livecall import LiveCall
from trunktrace.propagation import TRACEPARENT_ATTRIBUTE, names, write_headers
from trunktrace.sip.legs import Leg

PATIENCE_S: Final = 5.0
"""How long the API has to take an attribute."""

Write = Callable[[str, str], Awaitable[object]]
"""Writes a traceparent on the participant of an identity."""


class ParticipantMark:
    """Writes the root's traceparent on inbound legs, once each, once `write` is set."""

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        self.write: Write | None = None
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()

    def of_leg(self, leg: Leg) -> None:
        """Have an inbound leg marked, in the background."""
        root = self._call.root
        if self.write is None or root is None or leg.is_over or leg.trace_asked:
            return
        value = write_headers(root.get_span_context()).get(names.X_TRACEPARENT)
        if leg.direction != "inbound" or value is None:
            return
        leg.trace_asked = True
        task = asyncio.get_running_loop().create_task(
            _bounded(self.write, leg.identity, value), context=self._context
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Wait for nothing: the room has ended."""
        for task in tuple(self._tasks):
            task.cancel()


async def _bounded(write: Write, identity: str, value: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await write(identity, value)
    except Exception as error:
        warn_once(
            "mark_participant",
            "trunktrace could not write its trace on a participant (%s), so a BYE will not carry "
            "it. Give the worker's key the room admin grant, or leave mark_participant off.",
            type(error).__name__,
        )


def by_api(ctx: Any) -> Write:
    """Writes through the server API of a job's context."""

    async def write(identity: str, traceparent: str) -> None:
        from livekit.protocol.room import UpdateParticipantRequest

        await ctx.api.room.update_participant(
            UpdateParticipantRequest(
                room=ctx.room.name,
                identity=identity,
                attributes={TRACEPARENT_ATTRIBUTE: traceparent},
            )
        )

    return write
