"""What the behaviour tests share: a pipeline in memory, a clock to turn, a remote parent."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import trunktrace
from trunktrace.clock import replaced

CARRIER = "trunk.carrier"
ROUTE = "trunk.route"
REGION = "trunk.region"
DIRECTION = "sip.call.direction"
CODE = "sip.response.status_code"
CODEC = "rtp.codec"
LOSS = "rtp.loss_ratio"
METHOD = "rtp.loss_method"
INHERITED = (CARRIER, ROUTE, REGION, DIRECTION, CODE, CODEC)

FACTS = {
    "carrier": "telnyx",
    "route": "us-east/primary",
    "region": "us1",
    "direction": "inbound",
    "status_code": 200,
    "codec": "pcmu",
}
FACT_ATTRIBUTES = {
    CARRIER: "telnyx",
    ROUTE: "us-east/primary",
    REGION: "us1",
    DIRECTION: "inbound",
    CODE: 200,
    CODEC: "pcmu",
}

OURS = ("trunk.", "sip.", "rtp.", "webrtc.", "pstn.", "trunktrace.", "livekit.sip.")


class SeededIds(IdGenerator):
    """Trace and span ids that are the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) or 1


class Pipeline:
    """A provider with our processor and a list of what was exported, in that order."""

    def __init__(
        self,
        *,
        sampler: Any = None,
        wrap: Callable[[SpanExporter], SpanExporter] | None = None,
        processor: bool = True,
        inherit: Any = None,
        seed: int = 1,
        ours_last: bool = False,
    ) -> None:
        self.memory = InMemorySpanExporter()
        self.exporter: SpanExporter = self.memory if wrap is None else wrap(self.memory)
        self.provider = TracerProvider(
            sampler=sampler,
            id_generator=SeededIds(seed),
            resource=Resource({"service.name": "behaviour"}),
            shutdown_on_exit=False,
        )
        ours = [trunktrace.CallSpanProcessor(inherit)] if processor else []
        out = [SimpleSpanProcessor(self.exporter)]
        for each in out + ours if ours_last else ours + out:
            self.provider.add_span_processor(each)
        self.tracer = self.provider.get_tracer("behaviour")

    def call(self, **facts: Any) -> Any:
        return trunktrace.start_call(tracer_provider=self.provider, **facts)

    def finished(self) -> tuple[ReadableSpan, ...]:
        return self.memory.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        found = [span for span in self.finished() if span.name == name]
        assert len(found) == 1, f"{len(found)} exported spans are named {name!r}"
        return found[0]

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(self.named(name).attributes or {})


def ours(attributes: Any) -> dict[str, Any]:
    """The attributes whose keys are of our vocabulary."""
    return {key: value for key, value in dict(attributes or {}).items() if key.startswith(OURS)}


def inherited(attributes: Any) -> dict[str, Any]:
    """The six inherited facts without the loss."""
    return {key: value for key, value in dict(attributes or {}).items() if key in INHERITED}


def under(span: trace.Span) -> Context:
    """A context that holds `span` and nothing else, as LiveKit stores them."""
    return trace.set_span_in_context(span, Context())


def remote_parent(trace_id: int = 0xABC, span_id: int = 0xDEF, sampled: bool = True) -> Context:
    """The context of a caller elsewhere, as a propagator leaves it."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


class Time:
    """A clock of seconds since `T0` that the test turns."""

    T0 = 1_790_000_000

    def __init__(self) -> None:
        self.now = 0.0

    def unix(self, second: float) -> float:
        return self.T0 + second

    def ns(self, second: float) -> int:
        return self.T0 * 1_000_000_000 + round(second * 1e9)

    def source(self) -> int:
        return self.ns(self.now)


@contextlib.contextmanager
def fake_time() -> Iterator[Time]:
    """Trunktrace reads the time from the yielded clock."""
    time_ = Time()
    with replaced(time_.source):
        yield time_


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until the condition holds; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.002)


class Scripted(SpanExporter):
    """An exporter that answers as told, and remembers what it was given."""

    def __init__(self, answer: Callable[[Sequence[ReadableSpan]], SpanExportResult]) -> None:
        self.answer = answer
        self.batches: list[tuple[ReadableSpan, ...]] = []
        self.flushes = 0
        self.shutdowns = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(tuple(spans))
        return self.answer(spans)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.flushes += 1
        return True

    def shutdown(self) -> None:
        self.shutdowns += 1

    @property
    def spans(self) -> list[ReadableSpan]:
        return [span for batch in self.batches for span in batch]


class UsersError(Exception):
    """An exception of the application."""


def run_python(code: str, *, timeout: float = 60.0, **environment: str) -> str:
    """Run a script in a fresh interpreter; its output, or the failure with what it said."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def log_lines(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What our logger has said so far."""
    return [line for line in log.records if line.name.split(".")[0] == "trunktrace"]
