"""Identities of a room that a dial holds: one dial at a time, and its clean-up before the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from trunktrace.errors import ConfigurationError
from trunktrace.livekit.cleanup import CleanUp
from trunktrace.livekit.dialled import DialFailed, shown
from trunktrace.livekit.removal import Departure

_Key = tuple[str, str]


class Held:
    """An identity as long as a dial holds it, and until the clean-up after its cancellation."""

    __slots__ = ("clean_up", "loop", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.clean_up: CleanUp | None = None
        self.task: asyncio.Task[Departure] | None = None


class Identities:
    """Who holds which identity of which room, in this process."""

    def __init__(self) -> None:
        self._held: dict[_Key, Held] = {}

    @asynccontextmanager
    async def held(self, room: str, identity: str) -> AsyncGenerator[None]:
        """Within the block a dial holds the identity, and after it as long as it is cleaned up.

        First the clean-up of a former dial of it comes to its end. Raises DialFailed if the former
        phone may still ring, and ConfigurationError if another dial holds the identity.
        """
        key = (room, identity)
        await self._hold(key)
        try:
            yield
        finally:
            held = self._held.get(key)
            if held is not None and held.task is None:
                del self._held[key]

    async def _hold(self, key: _Key) -> None:
        loop = asyncio.get_running_loop()
        # Whoever had a loop that runs no longer holds nothing.
        while (held := self._held.get(key)) is not None and held.loop is loop:
            if held.task is None:
                raise ConfigurationError(
                    "identity", shown(key[1]), "is being dialled already: give another one"
                )
            # Whoever waits may be cancelled; the clean-up goes on.
            await asyncio.wait({held.task})
            left = _outcome(held.task)
            if not left.gone:
                why = f"a cancelled dial of this identity came before: {left.why}"
                raise DialFailed((), why)
            if self._held.get(key) is held:
                del self._held[key]
        self._held[key] = Held(loop)

    def clean_up(self, room: str, identity: str, clean_up: CleanUp) -> None:
        """In the background: a cancellation does not wait. It is held until that has ended."""
        held = self._held[room, identity]
        held.clean_up = clean_up
        # The loop itself holds tasks weakly.
        held.task = held.loop.create_task(clean_up.run(), name="trunktrace-dial-cancel")

        def over(_: Any) -> None:
            if self._held.get((room, identity)) is held:
                del self._held[room, identity]

        held.task.add_done_callback(over)

    def asked_for(self, request: Any) -> None:
        """A request for a participant goes out: if it is no dial's, who joins is none of ours."""
        key = (getattr(request, "room_name", ""), getattr(request, "participant_identity", ""))
        held = self._held.get(key)
        if held is not None and held.clean_up is not None:
            held.clean_up.supersede()


def _outcome(task: asyncio.Task[Departure]) -> Departure:
    if task.cancelled() or task.exception() is not None:
        return Departure(False, why="its participant was not looked for to the end")
    return task.result()


identities: Final = Identities()
"""The identities of this process."""
