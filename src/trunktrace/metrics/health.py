"""Metrics of our own health: what was swallowed, what was dropped, what was forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from trunktrace import conventions as c
from trunktrace.guard import guard


def _internal_errors(_: CallbackOptions) -> Iterable[Observation]:
    for place, count in guard.counts.copy().items():
        yield Observation(count, {c.TRUNKTRACE_PLACE: place})


def _facts_dropped(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(guard.dropped_facts)


def _calls_evicted(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(guard.evicted_calls)


_CALLBACKS: Final = {
    c.INTERNAL_ERRORS: _internal_errors,
    c.FACTS_DROPPED: _facts_dropped,
    c.CALLS_EVICTED: _calls_evicted,
}


class HealthMetrics:
    """The instruments of our own health, made once a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made = False

    def install(self, provider: metrics.MeterProvider | None = None) -> None:
        """Make the instruments on the given meter provider, else on the global one, set or to be.

        A provider that is given gets its instruments in any case; the global one gets them once.
        """
        with self._lock:
            if provider is None and self._made:
                return
            self._made = self._made or provider is None
        meter = metrics.get_meter(c.SCOPE_NAME, meter_provider=provider, schema_url=c.SCHEMA_URL)
        for metric in c.METRICS:
            if metric.name not in _CALLBACKS:
                continue
            meter.create_observable_counter(
                metric.name,
                callbacks=[_CALLBACKS[metric.name]],
                unit=metric.unit,
                description=metric.brief,
            )


health: Final = HealthMetrics()
