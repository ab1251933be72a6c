"""Whose tracer and meter provider a job uses, and that nothing of them is lost at its end."""

from __future__ import annotations

import atexit
import os
import threading
from functools import partial
from typing import Final
from weakref import WeakSet

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from trunktrace.export import installed
from trunktrace.export.environment import provider_from_environment
from trunktrace.export.meters import meter_provider_from_environment
from trunktrace.guard import guarded, warn_once
from trunktrace.livekit.leaving import FLUSH_S, flusher, leaving
from trunktrace.redaction import Redaction
from trunktrace.start import ensure_processor, tracer_of

_finalized: Final[WeakSet[TracerProvider | MeterProvider]] = WeakSet()
_lock: Final = threading.Lock()
_NONE_SET: Final = "_ProxyMeterProvider"  # there is no public name for it

if hasattr(os, "register_at_fork"):
    # What a parent has adopted has nobody in a forked child who shuts it down.
    os.register_at_fork(after_in_child=_finalized.clear)


def livekit_provider() -> TracerProvider | None:
    """The SDK provider that livekit-agents traces with now; None if there is none yet."""
    from livekit.agents import telemetry

    # `telemetry.set_tracer_provider` keeps it here and nowhere public; without the name the global
    # provider is all that can be seen.
    own = getattr(telemetry.tracer, "_tracer_provider", None)
    for provider in (own, trace.get_tracer_provider()):
        if isinstance(provider, TracerProvider):
            return provider
    return None


def maker_of(root: object) -> TracerProvider | None:
    """The global provider if this span is one of its own; None for any other."""
    shared = trace.get_tracer_provider()
    # Nothing public tells whose a span is.
    here = getattr(root, "_span_processor", None)
    is_its = here is not None and here is getattr(shared, "_active_span_processor", None)
    return shared if is_its and isinstance(shared, TracerProvider) else None


def livekit_tracer() -> trace.Tracer:
    """Makes our own spans where livekit-agents makes its own now."""
    return tracer_of(livekit_provider() or trace.get_tracer_provider())


def ensure_provider(redaction: Redaction | None = None) -> None:
    """Before a job's first span: the user's providers, else those of the OTEL_* environment."""
    _ensure_tracer_provider(redaction)
    _ensure_meter_provider()


@guarded
def _ensure_tracer_provider(redaction: Redaction | None) -> None:
    with _lock:
        provider = livekit_provider()
        if provider is None:
            if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
                return  # one that is not the SDK's, and that nobody can replace
            provider = provider_from_environment(redaction)
            if provider is None:
                return
            trace.set_tracer_provider(provider)
    adopt(provider)


@guarded
def adopt(provider: TracerProvider | None) -> None:
    """Add our processor to a provider, and have it shut down when a job process leaves."""
    if provider is None:
        return
    ensure_processor(provider)
    _warn_of_missing_exporters()
    with _lock:
        if provider in _finalized:
            return
        _finalized.add(provider)
    flusher.watch(provider)
    if leaving.add(partial(flusher.finish, provider, provider.shutdown)):
        # Since Python 3.13 handlers run in a job process too, and the SDK's own would wait for a
        # backend without a bound.
        atexit.unregister(provider.shutdown)


@guarded
def _ensure_meter_provider() -> None:
    with _lock:
        # The API's stand-in makes no instruments of its own; asked for another it would be logged.
        if type(metrics.get_meter_provider()).__name__ == _NONE_SET:
            provider = meter_provider_from_environment()
            if provider is not None:
                metrics.set_meter_provider(provider)
    adopt_meters()


@guarded
def adopt_meters() -> None:
    """Have the meter provider, whosever it is, send what it holds when a call or its job ends."""
    provider = metrics.get_meter_provider()
    if not isinstance(provider, MeterProvider):
        return
    with _lock:
        if provider in _finalized:
            return
        _finalized.add(provider)
    flusher.watch(provider)
    if getattr(provider, "_atexit_handler", None) is None:
        # Its owner shuts it down (LiveKit does with its own); it only has to be asked in time.
        flush = partial(provider.force_flush, FLUSH_S * 1000)
        leaving.add(partial(flusher.finish, provider, flush))
    elif leaving.add(partial(flusher.finish, provider, provider.shutdown)):
        atexit.unregister(provider.shutdown)


def _warn_of_missing_exporters() -> None:
    missing = {"LateFactsExporter", "RedactingExporter"} - installed.names()
    if missing:
        warn_once(
            "exporters",
            "trunktrace: %s not in your export pipeline. Without RedactingExporter LiveKit's own "
            "attributes leave with phone numbers in clear; without LateFactsExporter spans that "
            "end before a fact is known lack it. Wrap your exporter: BatchSpanProcessor("
            "LateFactsExporter(RedactingExporter(exporter))).",
            " and ".join(sorted(missing)) + (" are" if len(missing) > 1 else " is"),
        )
