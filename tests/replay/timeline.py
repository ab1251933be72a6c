"""Time that moves from event to event: nothing waits, and everything happens in its order."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

_ROUNDS = 8
"""Turns of the event loop after each event: more than any chain of awaits in a call needs."""


class Timeline:
    """What happens when (unix nanoseconds), played one after the other."""

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def read(self) -> int:
        """The time of the event that happens now."""
        return self.now_ns

    def at(self, when_ns: int, happens: Callable[[], None]) -> None:
        """Have `happens` called at that time; of two at one time the first given comes first."""
        heapq.heappush(self._due, (when_ns, next(self._order), happens))

    async def until(self, when_ns: int) -> None:
        """Return at that time; at once if it has passed."""
        if when_ns <= self.now_ns:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.at(when_ns, lambda: None if reached.done() else reached.set_result(None))
        await reached

    async def play(self, after_each: Callable[[], None]) -> None:
        """Let everything happen; tasks that an event woke run before the next event."""
        await _settle()
        while self._due:
            when_ns, _, happens = heapq.heappop(self._due)
            self.now_ns = max(self.now_ns, when_ns)
            happens()
            await _settle()
            after_each()


async def _settle() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
