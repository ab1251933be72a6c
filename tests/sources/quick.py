"""How long reading takes, in a unit of the machine: no test knows seconds."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from functools import cache

_LONG_LINE = "[" + "1," * 131_072 + "1]"


def least_s(work: Callable[[], object], times: int = 3) -> float:
    """The least of some times, of this thread alone, without the garbage collector."""
    took: list[float] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            begun = time.thread_time()
            work()
            took.append(time.thread_time() - begun)
    finally:
        gc.enable()
    return min(took)


@cache
def _bare_s() -> float:
    return least_s(lambda: json.loads(_LONG_LINE), 5)


def lines_of_json(work: Callable[[], object]) -> float:
    """How many times the bare reading of 256 KiB of JSON (some 5 ms) the work takes."""
    return least_s(work) / _bare_s()
