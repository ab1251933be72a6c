"""An event loop whose time passes only while everything waits, and then at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

from trunktrace.clock import replaced

from .line import BEGIN


class _Waiting(selectors.DefaultSelector):
    """Instead of waiting, lets the time pass."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class FakeTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.waiting = _Waiting()
        super().__init__(self.waiting)

    def time(self) -> float:
        return self.waiting.now


def run(program: Coroutine[Any, Any, None]) -> None:
    """Run a program in fake time that begins at `BEGIN`, for the loop as for trunktrace's clock."""
    loop = FakeTimeLoop()
    try:
        with replaced(lambda: round((BEGIN + loop.time()) * 1e9)):
            loop.run_until_complete(program)
    finally:
        loop.close()
