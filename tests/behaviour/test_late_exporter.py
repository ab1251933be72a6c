"""`LateFactsExporter`: held until the call is settled, passed on in every case, in bounds."""

from __future__ import annotations

import contextlib
import contextvars
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

from .kit import CARRIER, FACT_ATTRIBUTES, FACTS, ROUTE, Pipeline, Scripted, inherited, wait_until
from .test_lifecycle import run_python

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


def test_spans_wait_until_the_call_is_settled_and_a_grace_longer():
    """Nothing leaves before carrier, route, direction and code are known; then after the grace."""
    bench = Bench(grace_s=2.0)
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        assert bench.names() == []
        assert bench.late.held_spans == 1
        call.record(carrier="telnyx", route="primary")
        bench.later(3)
        assert bench.names() == []
        assert not call.settled
        call.record(status_code=200)
        assert call.settled
        bench.later(0)
        assert bench.names() == []
        bench.later(1)
        call.record(codec="pcmu")
        bench.later(1.01)
        assert bench.names() == ["early"]
        assert bench.late.held_spans == 0
    early = bench.attributes("early")
    assert (early[CARRIER], early[ROUTE], early["rtp.codec"]) == ("telnyx", "primary", "pcmu")
    assert "trunk.region" not in early
    bench.pipe.provider.shutdown()


def test_spans_of_a_settled_call_pass_without_waiting():
    """After the grace, what ends leaves with the export that brings it."""
    bench = Bench(grace_s=1.0)
    with bench.pipe.call(**SETTLING):
        bench.later(5)
        bench.tracer.start_span("work").end()
        bench.later(1.01)
        assert bench.names() == ["work"]
    bench.pipe.provider.shutdown()


def test_the_roots_end_releases_what_is_held():
    """An unsettled call's spans leave with its root, with what is known by then."""
    bench = Bench()
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        call.record(carrier="telnyx")
        assert bench.names() == []
    bench.late.release_due()
    assert sorted(bench.names()) == ["early", "sip.call"]
    assert bench.attributes("early")[CARRIER] == "telnyx"
    assert bench.late.held_spans == 0
    bench.pipe.provider.shutdown()


def test_force_flush_releases_and_flushes_the_inner_exporter():
    """Everything that is held leaves now; the inner exporter is flushed too."""
    bench = Bench()
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        call.record(carrier="telnyx")
        assert bench.late.force_flush(1000) is True
        assert bench.names() == ["early"]
        assert bench.attributes("early")[CARRIER] == "telnyx"
        assert bench.inner.flushes == 1
        bench.tracer.start_span("later").end()
        assert bench.names() == ["early"], "a flush ends no holding"
    bench.pipe.provider.shutdown()


def test_shutdown_releases_and_shuts_the_inner_exporter_down_once():
    """Nothing is lost at shutdown, and a second one is quiet."""
    bench = Bench()
    with bench.pipe.call(direction="inbound"):
        bench.tracer.start_span("early").end()
        bench.late.shutdown()
        assert bench.names() == ["early"]
        assert bench.inner.shutdowns == 1
        bench.late.shutdown()
        assert bench.inner.shutdowns == 1


def test_after_shutdown_nothing_is_held_for_ever():
    """A span exported after shutdown is answered (passed on or refused), never kept."""
    bench = Bench()
    bench.late.shutdown()
    with bench.pipe.call(direction="inbound"):
        bench.tracer.start_span("late").end()
        assert bench.late.held_spans == 0


def test_the_count_bound_releases_the_longest_held_call_first():
    """More than `max_spans` held: the oldest call's spans leave, the others stay."""
    bench = Bench(max_spans=5)
    scopes = []
    for name in ("old", "new"):
        context = contextvars.Context()
        scope = bench.pipe.call(direction="inbound")
        context.run(scope.__enter__)
        scopes.append((context, scope))
        for n in range(3):
            context.run(bench.tracer.start_span, f"{name}-{n}").end()
        bench.now += 1
    bench.late.release_due()
    assert sorted(bench.names()) == ["old-0", "old-1", "old-2"]
    assert bench.late.held_spans == 3
    for context, scope in scopes:
        context.run(scope.__exit__, None, None, None)
    bench.pipe.provider.shutdown()
    assert len(bench.names()) == len(set(bench.names())) + 1  # two spans are named sip.call


def test_one_call_alone_never_holds_more_than_the_bound():
    """A call of a thousand spans that never settles is held in bounds, and loses none."""
    bench = Bench(max_spans=10)
    with bench.pipe.call(direction="inbound"):
        for n in range(1000):
            bench.tracer.start_span(f"s{n}").end()
            assert bench.late.held_spans <= 10
    bench.pipe.provider.shutdown()
    assert sorted(bench.names()) == sorted([*(f"s{n}" for n in range(1000)), "sip.call"])


def test_the_age_bound_releases_what_waited_long_enough():
    """After `max_hold_s` a span leaves though the call is not settled."""
    bench = Bench(max_hold_s=30.0)
    with bench.pipe.call(direction="inbound"):
        bench.tracer.start_span("early").end()
        bench.later(29.9)
        assert bench.names() == []
        bench.later(0.2)
        assert bench.names() == ["early"]
    bench.pipe.provider.shutdown()


def test_the_age_bound_needs_no_export_to_come():
    """Its own timer: with nothing else exported, the span leaves all the same."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    pipe = Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner, max_hold_s=0.05))
    with pipe.call(direction="inbound"):
        pipe.tracer.start_span("early").end()
        wait_until(lambda: [span.name for span in inner.spans] == ["early"], 5)
    pipe.provider.shutdown()


def test_settlement_needs_no_export_to_come():
    """Its own timer again: settled plus grace is enough, long before the age bound."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    pipe = Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner, grace_s=0.05))
    with pipe.call(direction="inbound") as call:
        pipe.tracer.start_span("early").end()
        call.record(**SETTLING)
        wait_until(lambda: [span.name for span in inner.spans] == ["early"], 5)
    pipe.provider.shutdown()
    assert inner.spans[0].attributes[CARRIER] == "telnyx"


def test_spans_of_no_call_pass_at_once_as_the_same_objects():
    """What is none of ours is neither held nor copied."""
    bench = Bench()
    with bench.pipe.call(direction="inbound"):
        held = bench.tracer.start_span("held")
        held.end()
        plain = Pipeline(seed=5)
        contextvars.Context().run(plain.tracer.start_span, "plain").end()
        done = list(plain.finished())
        assert bench.late.export(done) is SpanExportResult.SUCCESS
        assert bench.inner.spans == done
        assert bench.inner.spans[0] is done[0]
    bench.pipe.provider.shutdown()


def test_spans_that_lack_nothing_pass_as_the_same_objects():
    """A span that already has every fact is not rebuilt."""
    bench = Bench(grace_s=0.5)
    with bench.pipe.call(**FACTS):
        span = bench.tracer.start_span("full")
        span.end()
        bench.late.force_flush()
    out = bench.inner.spans[0]
    assert dict(out.attributes) == dict(span.attributes)
    bench.pipe.provider.shutdown()


def test_the_answer_is_that_of_the_inner_exporter():
    """FAILURE of what passes is told to the SDK."""
    bench = Bench(lambda spans: SpanExportResult.FAILURE)
    plain = Pipeline(seed=5)
    plain.tracer.start_span("plain").end()
    assert bench.late.export(plain.finished()) is SpanExportResult.FAILURE
    bench.pipe.provider.shutdown()


def test_an_empty_export_does_no_harm():
    """No spans, no failure."""
    bench = Bench()
    assert bench.late.export(()) is SpanExportResult.SUCCESS
    bench.pipe.provider.shutdown()


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


def test_an_unnamed_carrier_settles_with_the_call():
    """A call whose carrier never comes is not held beyond its end."""
    bench = Bench(max_hold_s=1000.0)
    with bench.pipe.call(direction="inbound", status_code=200):
        bench.tracer.start_span("work").end()
    bench.late.release_due()
    assert sorted(bench.names()) == ["sip.call", "work"]
    assert CARRIER not in bench.attributes("work")
    bench.pipe.provider.shutdown()


def test_a_value_that_stood_on_an_ended_span_is_kept():
    """What was true of the span's own time is not rewritten by what came later."""
    bench = Bench()
    with bench.pipe.call(direction="outbound", status_code=503, route="first") as call:
        bench.tracer.start_span("during").end()
        call.record(carrier="telnyx", status_code=200, route="second")
    bench.late.force_flush()
    during = bench.attributes("during")
    assert (during["sip.response.status_code"], during[ROUTE]) == (503, "first")
    assert during[CARRIER] == "telnyx"
    bench.pipe.provider.shutdown()


def test_root_only_facts_are_not_added_to_held_children():
    """A held child gets the inherited keys only, as an open one does."""
    bench = Bench()
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        call.record(**FACTS, trunk_id="ST_1", caller_number="+14155550134", transport="udp")
    bench.late.force_flush()
    assert set(bench.attributes("early")) == set(FACT_ATTRIBUTES)
    bench.pipe.provider.shutdown()


def test_held_children_get_the_set_that_their_processor_inherits():
    """`CallSpanProcessor(inherit=...)` also rules what is added late."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    pipe = Pipeline(
        inherit={CARRIER, "sip.transport"},
        wrap=lambda memory: trunktrace.LateFactsExporter(inner),
    )
    with pipe.call(direction="inbound") as call:
        pipe.tracer.start_span("early").end()
        call.record(**FACTS, transport="udp")
    pipe.provider.force_flush()
    early = next(span for span in inner.spans if span.name == "early")
    assert dict(early.attributes) == {CARRIER: "telnyx", "sip.transport": "udp"}
    pipe.provider.shutdown()


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
