"""The time that trunktrace reads: one object, so that tests can put a fake in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final


class Clock:
    """Unix time in nanoseconds; `source` can be replaced."""

    __slots__ = ("source",)

    def __init__(self, source: Callable[[], int] = time.time_ns) -> None:
        self.source = source

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        return self.source()

    def now_s(self) -> float:
        """Unix time in seconds."""
        return self.source() / 1e9


clock: Final = Clock()


@contextmanager
def replaced(source: Callable[[], int]) -> Generator[Clock, None, None]:
    """Within the block `clock` reads `source` (unix nanoseconds)."""
    before = clock.source
    clock.source = source
    try:
        yield clock
    finally:
        clock.source = before
