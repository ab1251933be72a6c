"""Runs every scenario once under callgrind; started by `counting.count`, not by hand."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterable

from .scenarios import SPANS, Scenario, build

WARM_UP = 100


def measure(scenarios: Iterable[Scenario]) -> None:
    """Warm each loop up, then run it once with callgrind's counter on."""
    library = ctypes.CDLL(os.environ["TRUNKTRACE_COUNTING"])
    ready = list(scenarios)
    gc.collect()
    gc.freeze()
    gc.disable()
    for scenario in ready:
        scenario.run(WARM_UP)
        scenario.drain()
        library.counting_start()
        scenario.run(SPANS)
        library.counting_stop(scenario.name.encode())
        scenario.drain()
        print(f"  counted {scenario.name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    measure(build())
    os._exit(0)  # the batch processors' threads are of no use any more
