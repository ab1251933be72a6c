"""Time per span: every scenario in turn, round after round, and the least time of each.

CPU time of the thread is taken, not wall time, and the minimum of many short rounds: what another
program takes away in between then counts least.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor

from . import calls
from .facts import OWN_ATTRIBUTES, TWELVE
from .scenarios import SPANS, Scenario, make_provider, open_root

ROUNDS: Final = 60
MANY: Final = 10_000
Least = dict[str, float]


def least_times(scenarios: Iterable[Scenario], rounds: int = ROUNDS) -> Least:
    """Nanoseconds per span of each scenario, the minimum of `rounds` interleaved rounds."""
    ready = list(scenarios)
    least: Least = dict.fromkeys((s.name for s in ready), float("inf"))
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number in range(rounds):
            for scenario in ready:
                start = time.thread_time_ns()
                scenario.run(SPANS)
                spent = time.thread_time_ns() - start
                scenario.drain()
                least[scenario.name] = min(least[scenario.name], spent / SPANS)
            if (number + 1) % 20 == 0:
                print(f"  timed {number + 1} of {rounds} rounds", file=sys.stderr, flush=True)
    finally:
        gc.enable()
        gc.unfreeze()
    return least


def call_count_ratio(rounds: int = ROUNDS) -> tuple[float, Least]:
    """Bar F: what the facts cost in time with 10,000 active calls over what they cost with one.

    Spans go to the calls in random order. Each side's extra is over plain spans under as many
    roots, because many roots alone are slower to walk.
    """
    scenarios = [_spread(ours, many) for ours in (False, True) for many in (1, MANY)]
    least = least_times(scenarios, rounds)
    one = least["ours_1"] - least["plain_1"]
    many = least[f"ours_{MANY}"] - least[f"plain_{MANY}"]
    return many / one, least


def _spread(ours: bool, many: int) -> Scenario:
    registry = calls.new_registry()
    processors: Sequence[SpanProcessor] = (
        (calls.processor(tuple(TWELVE), registry),) if ours else ()
    )
    provider, batch = make_provider(*processors)
    contexts: list[Context] = []
    for _ in range(many):
        tracer, root, context = open_root(provider)
        contexts.append(context)
        if ours:
            calls.record_twelve(calls.open_on(root, registry))
    random.Random(7).shuffle(contexts)
    tracer = provider.get_tracer("benchmark")
    name = f"{'ours' if ours else 'plain'}_{many}"
    loop = _walking_loop(tracer, contexts)
    # The first span of a call may cost more than the next ones: it is no part of the bar.
    for _ in range(0, many, SPANS):
        loop(SPANS)
        batch.force_flush()
    return Scenario(name, loop, batch.force_flush)


def _walking_loop(tracer: trace.Tracer, contexts: list[Context]) -> Callable[[int], None]:
    reached = 0

    def run(n: int) -> None:
        nonlocal reached
        for _ in range(n):
            context = contexts[reached]
            reached = (reached + 1) % len(contexts)
            tracer.start_span("llm_request", context=context, attributes=OWN_ATTRIBUTES).end()

    return run
