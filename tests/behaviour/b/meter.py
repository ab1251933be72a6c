"""A process of its own with a meter provider in memory: what its calls left in the metrics."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from behaviour.kit import run_python

_BEFORE = """
import json
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from trunktrace.clock import replaced
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
import trunktrace
from trunktrace.timeline import Attempt, Mark
T0 = 1_790_000_000
class Now:
    s = 0.0
    def ns(self): return T0 * 10**9 + round(self.s * 1e9)
now = Now()
replacing = replaced(now.ns)
replacing.__enter__()
def provider(sampler=ALWAYS_ON):
    made = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    made.add_span_processor(trunktrace.CallSpanProcessor())
    return made
tracing = provider()
FACTS = dict(carrier="telnyx", route="us/1", region="us1", direction="inbound",
             status_code=200, codec="pcmu",
             setup_ms=900.0, pdd_ms=80.0)
trace_ids = []
def call(seconds=60, tracing=tracing, attempts=(), media=True, loss=0.0, timed=True, **facts):
    now.s += 1
    start = now.s
    with trunktrace.start_call(tracer_provider=tracing, **{**FACTS, **facts}) as made:
        trace_ids.append(format(trace.get_current_span().get_span_context().trace_id, "032x"))
        for each in attempts:
            made.note_attempt(each)
        answered = {**FACTS, **facts}["status_code"] == 200
        if answered:
            made.mark(Mark(kind="answered", start=T0 + start))
        for n in range(0, int(seconds), 5):
            now.s = start + n + 5
            if media:
                made.record_media(leg="trunk", direction="in", loss_ratio=loss,
                    start=T0 + start + n, end=T0 + start + n + 5, jitter_ms=4.0, rtt_ms=80.0,
                    packet_count=round(250 * (1 - loss)), lost_count=round(250 * loss))
        made.mark(Mark(kind="hangup", start=T0 + now.s))
        if answered and timed:
            made.record(duration_ms=(now.s - start) * 1000.0)
def points(**_):
    data = reader.get_metrics_data()
    found = []
    for r in data.resource_metrics if data else ():
        for scope in r.scope_metrics:
            for m in scope.metrics:
                for p in m.data.data_points:
                    found.append(dict(name=m.name, unit=m.unit, scope=scope.scope.name,
                        attributes=dict(p.attributes or {}), value=getattr(p, "value", None),
                        count=getattr(p, "count", None), sum=getattr(p, "sum", None),
                        bounds=list(getattr(p, "explicit_bounds", ()) or ()),
                        kind=type(m.data).__name__,
                        monotonic=getattr(m.data, "is_monotonic", None),
                        exemplars=[format(e.trace_id or 0, "032x") for e in p.exemplars]))
    return found
"""
_AFTER = """
print("RESULT" + json.dumps({"points": points(), "traces": trace_ids}))
"""


class Told:
    """The metric points of a script."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.points: list[dict[str, Any]] = answer["points"]
        self.traces: list[str] = answer["traces"]

    def named(self, name: str) -> list[dict[str, Any]]:
        """The points of one metric."""
        return [point for point in self.points if point["name"] == name]

    def total(self, name: str) -> float:
        """The sum of a counter, or the count of a histogram, over all its points."""
        return sum(p["value"] if p["count"] is None else p["count"] for p in self.named(name))


def told(script: str) -> Told:
    """Run a script after the preamble; what its meter holds at the end."""
    out = run_python(_BEFORE + textwrap.dedent(script) + _AFTER)
    return Told(json.loads(out.split("RESULT", 1)[1]))
