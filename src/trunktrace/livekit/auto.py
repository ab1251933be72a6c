"""The entry point of `opentelemetry-instrument python agent.py start`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trunktrace.livekit.instrumentor import instrument, uninstrument


class TrunktraceInstrumentor(BaseInstrumentor):
    """`trunktrace.instrument()` for OpenTelemetry's auto-instrumentation."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """What must be installed for this to be of use."""
        return ("livekit-agents >= 1.3",)

    def _instrument(self, **kwargs: Any) -> None:
        instrument(tracer_provider=kwargs.get("tracer_provider"))

    def _uninstrument(self, **kwargs: Any) -> None:
        uninstrument()
