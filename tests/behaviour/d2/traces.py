"""What is exported, and a job whose entrypoint is traced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from livekit.agents import telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace

from .lk import CALLEE, CALLER, LiveKit

DIRECTORY = """
[trunks.ST_a]
carrier = "telnyx"
route = "east/primary"
[trunks.ST_b]
carrier = "twilio"
route = "west/second"
[trunks.ST_c]
carrier = "backup"
"""


class Traces:
    """A provider of the test's own; the global one meanwhile."""

    def __init__(self, **settings: Any) -> None:
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider(**settings)
        self.provider.add_span_processor(trunktrace.CallSpanProcessor())
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = self.provider.get_tracer("test")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # LiveKit keeps the provider that was the global one when it was imported.
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", self.provider)
        monkeypatch.setattr(telemetry.tracer, "_tracer_provider", self.provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.memory.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    @property
    def invites(self) -> list[ReadableSpan]:
        return self.named("sip.invite")

    @property
    def root(self) -> ReadableSpan:
        return self.one("job_entrypoint")

    async def job(
        self,
        livekit: LiveKit,
        work: Callable[[Any], Awaitable[Any]],
        *,
        leave: bool = True,
        **settings: Any,
    ) -> Any:
        """Runs `work(ctx)` as a traced entrypoint, below a root as LiveKit makes one."""
        settings.setdefault("directory", trunktrace.Directory.parse(DIRECTORY))

        @trunktrace.traced_call(**settings)
        async def entrypoint(ctx: Any) -> Any:
            return await work(ctx)

        with self.tracer.start_as_current_span("job_entrypoint"):
            try:
                return await entrypoint(livekit.ctx)
            finally:
                if leave:
                    for identity in list(livekit.room.remote_participants):
                        livekit.room.status(identity, "hangup")
                        livekit.room.leave(identity)
                livekit.room.disconnect()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def events(span: ReadableSpan, name: str) -> list[dict[str, Any]]:
    return [dict(event.attributes or {}) for event in span.events if event.name == name]


def findings(root: ReadableSpan) -> dict[str, tuple[str, ...]]:
    """Mode -> evidence of the findings on the root."""
    return {
        event["trunktrace.failure.mode"]: tuple(event["trunktrace.failure.evidence"])
        for event in events(root, "trunktrace.failure")
    }


def linked(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def everything(spans: list[ReadableSpan]) -> str:
    """All that leaves the process, as text."""
    return "\n".join(
        repr((span.name, attributes(span), span.status.description, span.resource.attributes))
        + repr([(event.name, dict(event.attributes or {})) for event in span.events])
        + repr([dict(link.attributes or {}) for link in span.links])
        for span in spans
    )


def in_clear(text: str, *more: str) -> list[str]:
    """The numbers of the call that stand in a text, in any common writing."""
    numbers = [CALLEE, CALLER, *more]
    return [n for n in numbers if n in text or n.lstrip("+") in text or n[2:] in text]
