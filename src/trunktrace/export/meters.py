"""A meter provider from the standard `OTEL_*` environment, for processes that live for one call."""

from __future__ import annotations

import logging
import os
import uuid
from functools import partial
from typing import Any, Final

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from trunktrace.export.environment import (
    first_set,
    load_all,
    made,
    names_asked_for,
    sdk_disabled,
)
from trunktrace.guard import warn_once

EXPORT_EVERY_MS: Final = 15_000.0
"""How often metrics leave while a call goes on, unless OTEL_METRIC_EXPORT_INTERVAL says otherwise:
calls that are open now are only as fresh as this."""

_EXPORTERS: Final = "opentelemetry_metrics_exporter"
_VARIABLE: Final = "OTEL_METRICS_EXPORTER"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PREFERENCE: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_INSTANCE: Final = "service.instance.id"

DELTA: Final[dict[type, AggregationTemporality]] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
    ObservableCounter: AggregationTemporality.DELTA,
    UpDownCounter: AggregationTemporality.CUMULATIVE,
    ObservableUpDownCounter: AggregationTemporality.CUMULATIVE,
}
"""What a process of one call must prefer: it has no total that anybody could follow over time."""


def meter_provider_from_environment() -> MeterProvider | None:
    """A meter provider as the environment asks for; None where it asks for none.

    It is asked for by `OTEL_METRICS_EXPORTER` (names of installed exporters, `none` for none) or by
    an OTLP endpoint. Counters and histograms leave as deltas, unless
    `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` says otherwise. Each process has a
    `service.instance.id` of its own: that of the environment or the SDK with the process id behind
    it, for a forked process inherits both. Everything else (`OTEL_SDK_DISABLED`, views, exemplars,
    timeouts) is the SDK's.
    """
    if sdk_disabled():
        return None
    asked_for = (
        made(name, _EXPORTERS, _VARIABLE, partial(_reader, name))
        for name in metric_exporter_names()
    )
    readers = [reader for reader in asked_for if reader is not None]
    return MeterProvider(readers, resource=_resource()) if readers else None


def metric_exporter_names() -> tuple[str, ...]:
    """Entry point names of the metric exporters that the environment asks for."""
    return names_asked_for(_VARIABLE, _ENDPOINTS, _PROTOCOLS)


def preload() -> None:
    """Import what `meter_provider_from_environment` will need."""
    load_all(_EXPORTERS, metric_exporter_names())


def _reader(name: str, kind: Any) -> MetricReader:
    if issubclass(kind, MetricReader):
        reader: MetricReader = kind()
        return reader
    if not name.startswith("otlp_"):
        exporter = kind()
    else:
        exporter = kind() if first_set((_PREFERENCE,)) else kind(preferred_temporality=DELTA)
        _refusal.listen(name)
    asked = first_set(("OTEL_METRIC_EXPORT_INTERVAL",))
    every = None if asked else EXPORT_EVERY_MS
    return PeriodicExportingMetricReader(exporter, export_interval_millis=every)


def _resource() -> Resource:
    named = Resource.create().attributes.get(_INSTANCE)
    own = f"{named}/{os.getpid()}" if named else str(uuid.uuid4())
    return Resource.create({_INSTANCE: own})


class _Refusal(logging.Filter):
    """Says once, and in words, that a backend takes spans only (Jaeger, Tempo)."""

    _LOGGERS: Final = {
        "otlp_proto_http": "opentelemetry.exporter.otlp.proto.http.metric_exporter",
        "otlp_proto_grpc": "opentelemetry.exporter.otlp.proto.grpc.exporter",
    }
    _SIGNS: Final = ("404", "405", "501", "UNIMPLEMENTED")

    def listen(self, name: str) -> None:
        """Listen to what this exporter logs."""
        logging.getLogger(self._LOGGERS.get(name, name)).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a refusal of metrics, which is told here instead."""
        said = record.getMessage()
        # The logger of gRPC is that of spans too, which names what it failed to send.
        ours = "metric" in record.name or "metrics" in said.lower()
        if not ours or not any(sign in said for sign in self._SIGNS):
            return True
        warn_once(
            "metrics refused",
            "trunktrace: the OTLP endpoint takes no metrics. Send them to a collector "
            "(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT), or set %s=none.",
            _VARIABLE,
        )
        return False


_refusal: Final = _Refusal()
