"""The one guard: what goes wrong inside trunktrace never reaches the agent.

It logs the first failure of each place with its traceback, counts every one in the metric
`trunktrace.internal_errors`, and goes on. Tests make it raise (`reraising`).
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_MOST_WARNINGS: Final = 1000

logger = logging.getLogger("trunktrace")


class Guard:
    """Counts and logs what was swallowed; `counts` maps the place to how often."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.dropped_facts = 0
        self.evicted_calls = 0
        self.reraise = False
        self._once: set[str] = set()
        self._lock = threading.Lock()

    def swallowed(self, place: str, error: BaseException) -> None:
        """Record a failure at `place`; log it the first time."""
        with self._lock:
            first = not self.counts[place]
            self.counts[place] += 1
        if first:
            # The place in the code, never the message: it may hold a number of the call.
            logger.warning(
                "trunktrace failed in %s (%s) and went on; the call is not touched. "
                "Further failures there are only counted.\n%s",
                place,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )

    def warn_once(self, key: str, message: str, *args: object) -> None:
        """Log `message` as a warning the first time `key` is seen in this process."""
        with self._lock:
            if key in self._once or len(self._once) >= _MOST_WARNINGS:
                return
            self._once.add(key)
        logger.warning(message, *args)

    def reset(self) -> None:
        """Forget counts and what was logged (for tests, and in a forked child)."""
        self._lock = threading.Lock()
        self.counts.clear()
        self.dropped_facts = 0
        self.evicted_calls = 0
        self._once.clear()


T = TypeVar("T")


def after_fork_in_child(thing: T, reset: Callable[[T], None]) -> None:
    """Have `reset(thing)` called in every forked child, as long as `thing` lives.

    A lock that another thread held at the fork would never be released in the child.
    """
    alive = weakref.ref(thing)

    def run() -> None:
        found = alive()
        if found is not None:
            reset(found)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=run)


guard = Guard()
after_fork_in_child(guard, Guard.reset)


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Wrap `function` so that it returns None instead of raising an `Exception`."""
    place = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            guard.swallowed(place, error)
            if guard.reraise:
                raise
            return None

    return inner


@contextmanager
def swallowing(place: str) -> Generator[None, None, None]:
    """Run a block; an `Exception` out of it is counted and logged, not raised."""
    try:
        yield
    except Exception as error:
        guard.swallowed(place, error)
        if guard.reraise:
            raise


@contextmanager
def reraising(*, value: bool = True) -> Generator[Guard, None, None]:
    """Within the block the guard raises what it swallows elsewhere (for tests)."""
    before = guard.reraise
    guard.reraise = value
    try:
        yield guard
    finally:
        guard.reraise = before


def warn_once(key: str, message: str, *args: Any) -> None:
    """Log a warning once a process for each `key`."""
    guard.warn_once(key, message, *args)
