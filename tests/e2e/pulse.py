"""A witness of whether this machine let the test process run: a thread that should wake up on time.

It knows nothing of calls. Where it woke up on time, whatever was late is nobody's fault but that of
what is tested.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

EVERY_S = 0.02
HELD_UP_S = 0.25
"""A process that may run wakes up some milliseconds late; so much later others had the machine."""


class Pulse:
    """A context manager that watches while it is entered."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._late: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    @property
    def now(self) -> float:
        """A time to ask `held_up` from."""
        return time.monotonic()

    def held_up(self, since: float = 0.0) -> float:
        """Seconds by which it woke up too late at worst since then; 0 if never by HELD_UP_S."""
        return max((late for at, late in list(self._late) if at >= since), default=0.0)

    @property
    def times(self) -> int:
        """How often it woke up too late by at least HELD_UP_S."""
        return len(self._late)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.is_set():
            due = time.monotonic() + EVERY_S
            self._ended.wait(EVERY_S)
            now = time.monotonic()
            if now - due >= HELD_UP_S:
                self._late.append((now, now - due))
