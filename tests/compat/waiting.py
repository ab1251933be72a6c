"""Waits for a condition with a deadline; nothing here waits for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL_S = 0.02


def until(
    condition: Callable[[], T | None],
    what: str,
    *,
    deadline_s: float = 30.0,
    alive: Callable[[], None] | None = None,
) -> T:
    """The first truthy answer of `condition`; `alive` may raise to end the wait early."""
    end = time.monotonic() + deadline_s
    while True:
        if alive is not None:
            alive()
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s} s; last answer: {answer!r}")
        time.sleep(_INTERVAL_S)
