"""A late exporter on a clock that the test turns."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace.export import (
    SpanExportResult,
)

import trunktrace

from .kit import Pipeline, Scripted

SETTLING = {"carrier": "telnyx", "route": "primary", "direction": "inbound", "status_code": 200}


class Bench:
    """A late exporter on a clock that the test turns, with what came out of it."""

    def __init__(self, answer: Any = None, **bounds: Any) -> None:
        self.now = 1000.0
        self.inner = Scripted(answer or (lambda spans: SpanExportResult.SUCCESS))
        self.pipe = Pipeline(wrap=lambda memory: self._late(bounds))
        self.tracer = self.pipe.tracer

    def _late(self, bounds: dict[str, Any]) -> trunktrace.LateFactsExporter:
        self.late = trunktrace.LateFactsExporter(self.inner, clock=lambda: self.now, **bounds)
        return self.late

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.late.release_due()

    def names(self) -> list[str]:
        return [span.name for span in self.inner.spans]

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(next(s.attributes for s in self.inner.spans if s.name == name))
