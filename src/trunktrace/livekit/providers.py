"""Whose tracer provider a job uses, and that nothing of it is lost when the process leaves."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
from multiprocessing import util
from typing import Final
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from trunktrace.export import installed
from trunktrace.export.environment import provider_from_environment
from trunktrace.guard import guard, guarded, swallowing, warn_once
from trunktrace.livecall import LiveCall
from trunktrace.redaction import Redaction
from trunktrace.registry import calls
from trunktrace.start import ensure_processor

FLUSH_S: Final = 5.0
"""How long the end of a job may wait for its spans to leave."""

IDLE_S: Final = 1.0
"""How long the flushing thread waits for another call before it goes."""

_finalized: Final[WeakSet[TracerProvider]] = WeakSet()
_lock: Final = threading.Lock()

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


@guarded
def ensure_provider(redaction: Redaction | None = None) -> None:
    """Before a job's first span: the user's provider, else one from the OTEL_* environment."""
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
    if multiprocessing.parent_process() is not None:
        leaving = Leaving(provider)
        # Job processes leave by os._exit. Before Python 3.13 no atexit handler runs then, but
        # multiprocessing's finalizers do. Since then handlers run too, and the SDK's own would wait
        # for a backend without a bound.
        util.Finalize(None, leaving, exitpriority=100)
        atexit.unregister(provider.shutdown)
        atexit.register(leaving)


class Leaving:
    """Shuts a provider down when it is called, and waits `FLUSH_S` for it at most.

    A backend that is away holds nobody up. The thread stands ready from the start, because a
    process that leaves can start none (Python 3.12 and later).
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._due = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(provider,), name="trunktrace-leaving", daemon=True
        )
        self._thread.start()

    def __call__(self) -> None:
        """Have it done, once."""
        if not self._due.is_set():
            self._due.set()
            self._thread.join(FLUSH_S)

    def _run(self, provider: TracerProvider) -> None:
        self._due.wait()
        with swallowing("providers.leaving"):
            provider.shutdown()


class Flusher:
    """Flushes the providers after a call has ended, on a thread of its own."""

    def __init__(self) -> None:
        self._providers: WeakSet[TracerProvider] = WeakSet()
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, provider: TracerProvider) -> None:
        """Flush `provider` too from now on."""
        with self._lock:
            self._providers.add(provider)
        calls.subscribe(self)

    def call_opened(self, call: LiveCall) -> None:
        """Nothing to do yet."""

    def call_finished(self, call: LiveCall) -> None:  # noqa: ARG002  # the listener's signature
        """Have the spans of the call sent soon, without waiting for it."""
        with self._lock:
            self._due.set()
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, name="trunktrace-flush", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._is_due():
            for provider in tuple(self._providers):
                try:
                    provider.force_flush(int(FLUSH_S * 1000))
                except Exception as error:
                    guard.swallowed("providers.flush", error)

    def _is_due(self) -> bool:
        """Wait for the next call that ends; False when the thread may go."""
        self._due.wait(IDLE_S)
        with self._lock:
            if not self._due.is_set():
                self._thread = None
                return False
            self._due.clear()
            return True


flusher: Final = Flusher()


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
