"""Records the metrics of each phone call of the process when it ends, sampled or not."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    set_span_in_context,
)

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.guard import after_fork_in_child, guarded, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.metrics.ended import EndedCall, Point, call_labels
from trunktrace.metrics.labels import Labels
from trunktrace.metrics.points import GROUPS
from trunktrace.registry import CallRegistry, calls
from trunktrace.watch import watch

if TYPE_CHECKING:
    from trunktrace.directory.model import Names


class CallMetrics:
    """Counts and measures every phone call of the process; a job without SIP adds nothing.

    A call is counted once, when it ends, whether its trace is sampled or not. Each measurement is
    made in the call's context, so that its exemplar leads to the trace of a sampled call.
    """

    def __init__(self, registry: CallRegistry = calls) -> None:
        self.labels = Labels()
        self._registry = registry
        self._lock = threading.Lock()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        # The calls that are open, each with its root as it was when it opened.
        self._open: dict[LiveCall, SpanContext] = {}
        self._told_active: frozenset[tuple[tuple[str, Value], ...]] = frozenset()
        after_fork_in_child(self, CallMetrics._reset)

    def install(self, provider: metrics.MeterProvider | None = None) -> None:
        """Make the instruments and record from now on; once, whatever it is asked again.

        On the given meter provider, else on the global one: set already, or set later.
        """
        with self._lock:
            if self._counters:
                return
            self._make(
                metrics.get_meter(c.SCOPE_NAME, meter_provider=provider, schema_url=c.SCHEMA_URL)
            )
        # Told before us, so that its last verdict is there to be counted.
        self._registry.subscribe(watch)
        self._registry.subscribe(self)

    def know(self, names: Names) -> None:
        """These carriers, routes and regions stand in the directory: never `other`."""
        self.labels.know(names)

    # What the registry tells --------------------------------------------------------------------

    def call_opened(self, call: LiveCall) -> None:
        """Remember where the call's exemplars lead to."""
        self._open[call] = _root_of(call)

    @guarded
    def call_finished(self, call: LiveCall) -> None:
        """Record what the call adds to each metric."""
        root = self._open.pop(call, None)
        if not call.is_phone_call:
            return
        context = _context(_root_of(call) if root is None else root)
        ended = EndedCall(
            facts=call.attributes,
            former=call.former,
            story=call.story(final=True),
            diagnosis=call.diagnosis or Diagnosis(),
        )
        for group in GROUPS:
            with swallowing(f"metrics.{group.__name__}"):
                for point in group(ended):
                    self._record(point, context)

    def _record(self, point: Point, context: Context) -> None:
        labels = self.labels.bounded(point.labels)
        counter = self._counters.get(point.name)
        if counter is not None:
            counter.add(point.value, labels, context)
        else:
            self._histograms[point.name].record(point.value, labels, context)

    # Instruments --------------------------------------------------------------------------------

    def _make(self, meter: metrics.Meter) -> None:
        for metric in c.METRICS:
            if not metric.of_call:
                continue
            if metric.instrument == "counter":
                self._counters[metric.name] = meter.create_counter(
                    metric.name, metric.unit, metric.brief
                )
            elif metric.instrument == "histogram":
                self._histograms[metric.name] = meter.create_histogram(
                    metric.name,
                    metric.unit,
                    metric.brief,
                    explicit_bucket_boundaries_advisory=metric.bounds,
                )
            else:
                meter.create_observable_up_down_counter(
                    metric.name, [self._active], metric.unit, metric.brief
                )

    def _active(self, _: CallbackOptions) -> Iterable[Observation]:
        """Calls that are open now; and 0 for labels that had some before, or they would linger."""
        now: Tally[tuple[tuple[str, Value], ...]] = Tally()
        for call in tuple(self._open):
            if call.is_phone_call and not call.concluded:
                labels = self.labels.bounded(call_labels(call.attributes, ended=False))
                now[tuple(labels.items())] += 1
        with self._lock:
            told = self._told_active = self._told_active | now.keys()
        return [Observation(now[labels], dict(labels)) for labels in sorted(told, key=str)]

    def _reset(self) -> None:
        """In a forked child: the parent's calls are none of ours."""
        self._lock = threading.Lock()
        self._open = {}
        self._told_active = frozenset()


def _root_of(call: LiveCall) -> SpanContext:
    return INVALID_SPAN_CONTEXT if call.root is None else call.root.get_span_context()


def _context(root: SpanContext) -> Context:
    """A context of nothing but the root, ended as it is: exemplars take its ids and flags."""
    return set_span_in_context(NonRecordingSpan(root), Context())


call_metrics: Final = CallMetrics()
"""The metrics of this process' calls."""
