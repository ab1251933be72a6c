"""Our own health as metrics."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import trunktrace
from trunktrace.guard import guard, reraising, swallowing
from trunktrace.metrics import HealthMetrics


def _points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, object], float]]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [(dict(p.attributes or {}), p.value) for p in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_what_was_swallowed_and_dropped_is_counted() -> None:
    """The three health counters say what happened, errors by place."""
    reader = InMemoryMetricReader()
    HealthMetrics().install(MeterProvider([reader]))
    with reraising(value=False), swallowing("somewhere"):
        raise RuntimeError("of ours")
    with trunktrace.start_call(direction="inbound") as call:
        before = guard.dropped_facts
        call.record(status_code=-1)
    points = _points(reader)
    assert points["trunktrace.internal_errors"] == [({"trunktrace.place": "somewhere"}, 1)]
    assert points["trunktrace.facts.dropped"] == [({}, before + 1)]
    assert points["trunktrace.calls.evicted"] == [({}, guard.evicted_calls)]


def test_the_global_instruments_are_made_once() -> None:
    """A second processor makes no second set of instruments."""
    metrics = HealthMetrics()
    metrics.install()
    metrics.install()
    reader = InMemoryMetricReader()
    metrics.install(MeterProvider([reader]))
    assert len(_points(reader)) == 2  # nothing was swallowed, so that counter has no point
