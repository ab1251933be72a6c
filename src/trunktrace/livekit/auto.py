"""The entry point of `opentelemetry-instrument python agent.py start`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

# mypy sees nothing in that module: it begins with a bare `type: ignore`.
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from trunktrace.livekit.instrumentor import instrument, uninstrument


class TrunktraceInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """`trunktrace.instrument()` for OpenTelemetry's auto-instrumentation."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """What must be installed for this to be of use."""
        return ("livekit-agents >= 1.2",)

    def _instrument(self, **kwargs: Any) -> None:
        instrument(tracer_provider=kwargs.get("tracer_provider"))

    def _uninstrument(self, **_: Any) -> None:
        uninstrument()
