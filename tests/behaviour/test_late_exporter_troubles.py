"""`LateFactsExporter` among threads, forks and exporters that fail."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExportResult,
)

import trunktrace
from trunktrace.guard import reraising
from trunktrace.registry import calls

from .bench import SETTLING, Bench
from .kit import (
    CARRIER,
    FACT_ATTRIBUTES,
    FACTS,
    Pipeline,
    Scripted,
    inherited,
    run_python,
    wait_until,
)


def test_exports_of_many_threads_never_overlap_in_the_inner_exporter():
    """The inner exporter sees one `export` at a time: OpenTelemetry promises it that."""
    inside = threading.Lock()
    overlaps: list[int] = []
    gate = threading.Event()

    def answer(spans: Any) -> SpanExportResult:
        if not inside.acquire(blocking=False):
            overlaps.append(len(spans))
            return SpanExportResult.SUCCESS
        try:
            gate.wait(0.0005)
        finally:
            inside.release()
        return SpanExportResult.SUCCESS

    inner = Scripted(answer)
    late = trunktrace.LateFactsExporter(inner, max_hold_s=0.001, grace_s=0.001, max_spans=20)
    pipe = Pipeline(wrap=lambda memory: late)
    errors: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for i in range(20):
                with pipe.call(direction="inbound", carrier=f"c{n}"):
                    pipe.tracer.start_span("work", attributes={"of": f"c{n}"}).end()
                pipe.tracer.start_span("plain").end()
                if i % 5 == 0:
                    late.force_flush()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.provider.shutdown()
    assert errors == []
    assert overlaps == []
    names = [span.name for span in inner.spans]
    assert (names.count("work"), names.count("plain"), names.count("sip.call")) == (120, 120, 120)
    assert all(s.attributes[CARRIER] == s.attributes["of"] for s in inner.spans if s.name == "work")


def test_each_span_is_exported_once_whatever_releases_it():
    """Settlement, flush, root end and shutdown together give each span once, none twice."""
    bench = Bench(grace_s=1.0)
    for n in range(5):
        with bench.pipe.call(direction="inbound") as call:
            for i in range(4):
                bench.tracer.start_span(f"{n}-{i}").end()
                if i == 1:
                    call.record(**SETTLING)
                if i == 2:
                    bench.later(2)
        if n % 2:
            bench.late.force_flush()
    bench.pipe.provider.shutdown()
    names = [name for name in bench.names() if name != "sip.call"]
    assert sorted(names) == sorted(f"{n}-{i}" for n in range(5) for i in range(4))
    assert bench.names().count("sip.call") == 5


def test_an_inner_exporter_that_raises_costs_its_batch_only():
    """What comes later is exported, and what failed is not kept."""
    broken = [True]

    def answer(spans: Any) -> SpanExportResult:
        if broken[0]:
            raise OSError("gone")
        return SpanExportResult.SUCCESS

    bench = Bench(answer, max_hold_s=1.0)
    with reraising(value=False):
        with bench.pipe.call(direction="inbound"):
            bench.tracer.start_span("first").end()
            with contextlib.suppress(OSError):
                bench.later(2)
            assert bench.late.held_spans == 0
            broken[0] = False
            bench.tracer.start_span("second").end()
            bench.later(2)
        bench.pipe.provider.shutdown()
    assert "second" in [span.name for batch in bench.inner.batches[1:] for span in batch]
    assert bench.late.held_spans == 0


def test_the_timer_survives_an_inner_exporter_that_raises():
    """After a failure in the timer's own thread the next span is still released by it."""
    broken = [True]

    def answer(spans: Any) -> SpanExportResult:
        if broken[0]:
            broken[0] = False
            raise OSError("gone")
        return SpanExportResult.SUCCESS

    inner = Scripted(answer)
    pipe = Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner, max_hold_s=0.05))
    with reraising(value=False), pipe.call(direction="inbound"):
        pipe.tracer.start_span("first").end()
        wait_until(lambda: len(inner.batches) == 1, 5)
        pipe.tracer.start_span("second").end()
        wait_until(lambda: "second" in [span.name for span in inner.spans], 5)
    with reraising(value=False):
        pipe.provider.shutdown()


def test_an_inner_exporter_that_blocks_does_not_block_record_or_spans():
    """While the inner exporter hangs in the timer's thread, the call goes on."""
    gate, entered = threading.Event(), threading.Event()

    def answer(spans: Any) -> SpanExportResult:
        entered.set()
        gate.wait(20)
        return SpanExportResult.SUCCESS

    inner = Scripted(answer)
    late = trunktrace.LateFactsExporter(inner, max_hold_s=0.02)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(BatchSpanProcessor(late, schedule_delay_millis=1))
    tracer = provider.get_tracer("t")
    done = threading.Event()

    def work() -> None:
        with trunktrace.start_call(tracer_provider=provider, direction="inbound") as call:
            tracer.start_span("first").end()
            entered.wait(10)
            call.record(**SETTLING)
            tracer.start_span("second").end()
        done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        assert done.wait(10)
    finally:
        gate.set()
        thread.join(5)
        provider.shutdown()
    assert sorted(span.name for span in inner.spans) == ["first", "second", "sip.call"]


def test_a_batch_that_is_exported_after_the_call_still_gets_its_facts():
    """Spans that a batch processor brings after the root has ended are completed too."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    late = trunktrace.LateFactsExporter(inner)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(BatchSpanProcessor(late, schedule_delay_millis=60_000))
    tracer = provider.get_tracer("t")
    with trunktrace.start_call(tracer_provider=provider, direction="inbound") as call:
        tracer.start_span("early").end()
        call.record(**FACTS)
    assert inner.spans == []
    provider.force_flush()
    early = next(span for span in inner.spans if span.name == "early")
    assert inherited(early.attributes) == FACT_ATTRIBUTES
    provider.shutdown()


def test_the_exporter_holds_no_call_for_ever():
    """Its memory of calls is bounded in number and forgets with time."""
    from trunktrace.registry import CallMemory

    now = [0.0]
    memory = CallMemory(most=3, kept_s=10.0, clock=lambda: now[0])
    pipe = Pipeline()
    for n in range(10):
        with pipe.call(direction="inbound", carrier=f"c{n}"):
            pipe.tracer.start_span(f"s{n}").end()
    assert len(memory) <= 3
    spans = {span.name: span for span in pipe.finished()}
    assert memory.find(spans["s9"]).facts.carrier == "c9"
    assert memory.find(spans["s0"]) is None
    now[0] = 11.0
    with pipe.call(direction="inbound"):
        pass
    assert len(memory) == 1
    assert memory.find(spans["s9"]) is None
    assert len(calls) == 0


def test_no_thread_is_left_after_shutdown():
    """The timer's thread ends with the exporter, and there is none before something is held."""
    before = set(threading.enumerate())
    pipe = Pipeline(wrap=trunktrace.LateFactsExporter)
    assert set(threading.enumerate()) == before
    with pipe.call(direction="inbound"):
        pipe.tracer.start_span("early").end()
    pipe.provider.shutdown()
    wait_until(lambda: set(threading.enumerate()) <= before, 5)


def test_an_exporter_that_is_dropped_without_shutdown_frees_its_thread():
    """A provider that is thrown away does not keep a process alive."""
    said = run_python(
        """
        import trunktrace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

        provider = TracerProvider(shutdown_on_exit=False)
        late = trunktrace.LateFactsExporter(ConsoleSpanExporter(), max_hold_s=3600.0)
        provider.add_span_processor(SimpleSpanProcessor(late))
        scope = trunktrace.start_call(tracer_provider=provider, direction="inbound")
        scope.__enter__()
        provider.get_tracer("t").start_span("held").end()
        print("held", late.held_spans)
        """,
        timeout=20,
    )
    assert "held 1" in said


FORK = """
    import json, os
    import trunktrace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory = InMemorySpanExporter()
    late = trunktrace.LateFactsExporter(memory, max_hold_s=0.05)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(late))
    tracer = provider.get_tracer("t")
    with trunktrace.start_call(tracer_provider=provider, direction="inbound", carrier="parent"):
        late_before = tracer.start_span("parents")
        late_before.end()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            import contextvars, time
            said = {"held": late.held_spans}
            memory.clear()
            def child():
                with trunktrace.start_call(
                    tracer_provider=provider, direction="inbound", carrier="child"
                ):
                    tracer.start_span("childs").end()
                    deadline = time.monotonic() + 5
                    while time.monotonic() < deadline and not memory.get_finished_spans():
                        time.sleep(0.01)
                    said["by_timer"] = [s.name for s in memory.get_finished_spans()]
            contextvars.Context().run(child)
            late.shutdown()
            said["names"] = sorted(s.name for s in memory.get_finished_spans())
            os.write(write, json.dumps(said).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = json.loads(pipe.read())
        os.waitpid(pid, 0)
    late.shutdown()
    said["parent"] = sorted(s.name for s in memory.get_finished_spans())
    print(json.dumps(said))
"""


def test_a_forked_child_exports_its_own_spans_and_none_of_the_parents():
    """What the parent holds is the parent's; the child's timer runs in the child."""
    said = json.loads(run_python(FORK, timeout=30, PYTHONWARNINGS="ignore"))
    assert said["held"] == 0
    assert said["by_timer"] == ["childs"]
    assert said["names"] == ["childs", "sip.call"]
    assert said["parent"] == ["parents", "sip.call"]


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "redacting"])
def test_late_and_redacting_together_keep_every_span(wrapped):
    """The documented order, late around redacting, exports each span once with its facts."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    exporter = trunktrace.RedactingExporter(inner) if wrapped else inner
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(trunktrace.LateFactsExporter(exporter)))
    tracer = provider.get_tracer("t")
    with trunktrace.start_call(
        tracer_provider=provider, direction="inbound", caller_number="+14155550134"
    ) as call:
        span = tracer.start_span("early", attributes={"room": "call-+14155550134"})
        span.end()
        call.record(**FACTS)
    provider.shutdown()
    early = next(span for span in inner.spans if span.name == "early")
    assert inherited(early.attributes) == FACT_ATTRIBUTES
    assert ("4155550134" in early.attributes["room"]) is not wrapped
    assert len(inner.spans) == 2
