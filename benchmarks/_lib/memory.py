"""Bar G: what a call that is open costs in memory, and that nothing is left once it has ended."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import opentelemetry.attributes
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from trunktrace import conventions as names

from . import calls
from .facts import Value

CALLS: Final = 10_000
_SDK: Final = str(Path(opentelemetry.attributes.__file__).parents[1])
INHERIT: Final = (
    names.TRUNK_CARRIER, names.TRUNK_ROUTE, names.TRUNK_REGION, names.RTP_CODEC,
    names.SIP_TRANSPORT, names.SIP_MEDIA_ENCRYPTION, names.TRUNK_ID, names.SIP_CALL_ID,
    names.SIP_RESPONSE_STATUS_CODE, names.RTP_CLOCK_RATE_HZ, names.SIP_SETUP_MS, names.SIP_PDD_MS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memory:
    """Per open call in KB (1,024 bytes), and what was left after all roots had ended."""

    kb: float
    """Trunktrace's own, with the twelve values, none of them shared between calls."""

    root_kb: float
    """What the SDK allocates besides to hold the same facts on the root span."""

    calls_left: int
    spans_left: int


def own_facts(number: int) -> dict[str, Value]:
    """Twelve facts (8 strings, 2 ints, 2 floats) whose values no other call shares."""
    words = ("carrier", "route", "region", "codec", "session_id", "provider_call_id")
    facts: dict[str, Value] = {word: f"{word}-{number}" for word in words}
    facts |= {"trunk_id": f"ST_{number:012d}", "call_id": f"{number:032x}"}
    facts |= {"status_code": 300 + number % 400, "clock_rate_hz": 8000 + number}
    return facts | {"setup_ms": 500.0 + number, "pdd_ms": 100.0 + number}


def measure(count: int = CALLS) -> Memory:
    """Open `count` calls on roots that stand already, weigh them, end the roots, count the rest."""
    calls_before = calls.open_calls()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(calls.processor(INHERIT))
    tracer = provider.get_tracer("benchmark")
    roots = [tracer.start_span("job_entrypoint", context=Context()) for _ in range(count)]
    gc.collect()
    tracemalloc.start()
    try:
        for number, root in enumerate(roots):
            calls.open_on(root).record(**own_facts(number))  # type: ignore[arg-type]
            _child(tracer, root).end()
        gc.collect()
        total = tracemalloc.get_traced_memory()[0]
        sdk = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, f"{_SDK}/*")])
    finally:
        tracemalloc.stop()
    root_bytes = sum(stat.size for stat in sdk.statistics("filename"))
    spans = [weakref.ref(_child(tracer, root)) for root in roots]
    spans += [weakref.ref(root) for root in roots]
    for root in roots:
        root.end()
    root = None  # type: ignore[assignment]  # the loop's own reference would keep the last one
    roots.clear()
    gc.collect()
    left = sum(span() is not None for span in spans)
    per_call = 1024 * count
    calls_left = calls.open_calls() - calls_before
    return Memory((total - root_bytes) / per_call, root_bytes / per_call, calls_left, left)


def _child(tracer: trace.Tracer, root: trace.Span) -> trace.Span:
    return tracer.start_span("llm_request", context=trace.set_span_in_context(root, Context()))
