"""Wait for a condition with a deadline; nothing here waits for a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL_S = 0.02


class NotInTime(AssertionError):
    """The condition did not hold before its deadline."""


def until(
    condition: Callable[[], T | None],
    *,
    deadline_s: float,
    what: str,
    alive: Callable[[], None] | None = None,
) -> T:
    """The first truthy answer of `condition`.

    `alive` is called before each try and may raise to end the wait early.
    Raises NotInTime with `what` and the last answer after `deadline_s` seconds.
    """
    end = time.monotonic() + deadline_s
    while True:
        if alive is not None:
            alive()
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise NotInTime(f"{what}: not within {deadline_s} s; last answer: {answer!r}")
        time.sleep(_INTERVAL_S)


async def until_async(condition: Callable[[], T | None], *, deadline_s: float, what: str) -> T:
    """Like `until`, in an event loop."""
    end = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise NotInTime(f"{what}: not within {deadline_s} s; last answer: {answer!r}")
        await asyncio.sleep(_INTERVAL_S)
