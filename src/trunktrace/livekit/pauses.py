"""The waiting that `dial` does: one object, so that tests can put a fake in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol


class Waiter(Protocol):
    """Waits without blocking the loop, and knows how long it was."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def wait(self, seconds: float) -> None:
        """Come back after so many seconds."""
        ...


class LoopWaiter:
    """Waits on the running loop, by its own clock."""

    def now(self) -> float:
        """The loop's time in seconds."""
        return asyncio.get_running_loop().time()

    async def wait(self, seconds: float) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)


class Pauses:
    """What `dial` waits by; `waiter` can be replaced."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter

    def now(self) -> float:
        """Seconds on the waiter's clock."""
        return self.waiter.now()

    async def wait(self, seconds: float) -> None:
        """Come back after so many seconds; at once for 0."""
        if seconds > 0:
            await self.waiter.wait(seconds)


pauses: Final = Pauses(LoopWaiter())


@contextmanager
def replaced(waiter: Waiter) -> Generator[Waiter, None, None]:
    """Within the block `dial` waits by `waiter`."""
    before = pauses.waiter
    pauses.waiter = waiter
    try:
        yield waiter
    finally:
        pauses.waiter = before
