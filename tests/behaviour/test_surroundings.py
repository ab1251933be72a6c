"""Exporters that fail, providers that are none, processors of others."""

from __future__ import annotations

import contextvars
import json
import threading
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExportResult,
)

import trunktrace
from trunktrace.guard import reraising
from trunktrace.registry import calls

from .kit import (
    FACTS,
    Pipeline,
    Scripted,
    UsersError,
    ours,
    run_python,
)


def test_an_exporter_that_raises_or_fails_touches_no_call():
    """The application sees nothing, and the calls are finished."""

    def explode(spans: Any) -> SpanExportResult:
        raise OSError("the collector is gone")

    for answer in (explode, lambda spans: SpanExportResult.FAILURE):
        inner = Scripted(answer)
        pipe = Pipeline(
            wrap=lambda memory, inner=inner: trunktrace.LateFactsExporter(
                trunktrace.RedactingExporter(inner)
            )
        )
        with reraising(value=False), pipe.call(**FACTS):
            pipe.tracer.start_span("work").end()
        with reraising(value=False):
            pipe.provider.force_flush()
            pipe.provider.shutdown()
        assert {span.name for span in inner.spans} == {"work", "sip.call"}
        assert len(calls) == 0


def test_an_exporter_that_blocks_does_not_block_the_call():
    """With a batch processor the call's thread never waits for the exporter."""
    gate = threading.Event()

    def blocked(spans: Any) -> SpanExportResult:
        gate.wait(30)
        return SpanExportResult.SUCCESS

    inner = Scripted(blocked)
    late = trunktrace.LateFactsExporter(inner)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(BatchSpanProcessor(late, schedule_delay_millis=1))
    tracer = provider.get_tracer("t")
    done = threading.Event()

    def work() -> None:
        for _ in range(50):
            with trunktrace.start_call(tracer_provider=provider, **FACTS) as call:
                span = tracer.start_span("work")
                call.record(hangup_source="caller")
                span.end()
        done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        assert done.wait(10), "the call waited for the exporter"
    finally:
        gate.set()
        thread.join(10)
        provider.shutdown()
    assert len(calls) == 0
    assert sum(span.name == "work" for span in inner.spans) == 50


@pytest.mark.parametrize(
    "provider", [trace.NoOpTracerProvider(), trace.ProxyTracerProvider()], ids=["noop", "proxy"]
)
def test_without_an_sdk_a_call_still_lives(provider):
    """No SDK: the block runs, the call holds its facts, `current_call()` finds it, all ends."""
    with trunktrace.start_call(tracer_provider=provider, **FACTS) as call:
        assert call
        assert trunktrace.current_call() is call
        call.record(hangup_source="caller")
        assert call.facts.carrier == "telnyx"
        assert call.facts.hangup_source == "caller"
    assert call.finished
    assert len(calls) == 0


def test_two_calls_without_an_sdk_are_two_calls():
    """Without an SDK there are no trace ids to go by; the context tells the calls apart."""
    provider = trace.NoOpTracerProvider()
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = trunktrace.start_call(tracer_provider=provider, carrier=name)
        scopes.append((context, scope, context.run(scope.__enter__)))
    assert len(calls) == 2
    for context, _, call in scopes:
        assert context.run(trunktrace.current_call) is call
    assert not trunktrace.current_call()
    for context, scope, call in scopes:
        context.run(scope.__exit__, None, None, None)
        assert call.finished
    assert len(calls) == 0


def test_a_provider_of_someone_else_is_left_as_it_is():
    """A provider that takes no processors is used and not touched."""

    class Foreign(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            return trace.NoOpTracer()

    with trunktrace.start_call(tracer_provider=Foreign(), **FACTS) as call:
        assert call.facts.carrier == "telnyx"
    assert len(calls) == 0


def test_a_provider_that_is_shut_down_in_the_call_ends_it_quietly():
    """Shutdown before the block's end: nothing raised, nothing left."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        pipe.provider.shutdown()
        call.record(route="after")
    assert call.finished
    assert len(calls) == 0


def test_the_processor_is_no_listener_of_spans_that_are_no_calls():
    """Spans of no call are exported as they were started, and nothing is kept of them."""
    pipe = Pipeline()
    for _ in range(100):
        with pipe.tracer.start_as_current_span("plain", attributes={"own": 1}):
            pipe.tracer.start_span("below").end()
    assert all(ours(span.attributes) == {} for span in pipe.finished())
    assert len(calls) == 0


def test_the_global_provider_serves_by_default():
    """Without `tracer_provider` the call uses the global one, and gives it a processor."""
    said = json.loads(
        run_python(
            """
            import json
            from opentelemetry import trace
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import SimpleSpanProcessor
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
            import trunktrace

            memory = InMemorySpanExporter()
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(memory))
            trace.set_tracer_provider(provider)
            with trunktrace.start_call(direction="inbound") as call:
                with trace.get_tracer("t").start_as_current_span("work"):
                    call.record(carrier="telnyx")
            print(json.dumps([[s.name, s.attributes.get("trunk.carrier")]
                              for s in memory.get_finished_spans()]))
            """
        )
    )
    assert said == [["work", "telnyx"], ["sip.call", "telnyx"]]


def test_without_a_provider_nothing_happens_and_nothing_fails():
    """A program without OpenTelemetry set up runs its calls all the same."""
    said = run_python(
        """
        import asyncio, trunktrace

        async def main():
            async with trunktrace.start_call(direction="inbound") as call:
                call.record(carrier="telnyx")
                print(call.facts.carrier, trunktrace.current_call() is call)
        asyncio.run(main())
        """
    )
    assert said.split() == ["telnyx", "True"]


def test_a_processor_of_someone_else_that_raises_at_the_end_leaves_no_call():
    """Another processor's failure in `on_end` is the SDK's to let through; our call still ends."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Bad(SpanProcessor):
        def on_end(self, span: Any) -> None:
            raise UsersError("bad processor")

    pipe = Pipeline()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Bad())
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(pipe.memory))
    try:
        with trunktrace.start_call(tracer_provider=provider, **FACTS) as call:
            pass
    except UsersError:
        pass
    assert call.finished
    assert len(calls) == 0
    assert not trunktrace.current_call()
