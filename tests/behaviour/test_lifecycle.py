"""Calls open and finish whatever happens in them, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

import trunktrace
from trunktrace.guard import guard, reraising
from trunktrace.registry import CallRegistry, calls

from .kit import CARRIER, FACTS, ROUTE, Pipeline, Scripted, inherited, ours, remote_parent


class UsersError(Exception):
    """An exception of the application."""


def test_nothing_is_left_after_the_block():
    """0 calls after the root ended; the call is falsy and finished."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        assert call
        assert not call.finished
        assert len(calls) == 1
    assert call.finished
    assert not call
    assert len(calls) == 0


def test_a_call_and_its_spans_are_freed():
    """When the block and its spans are over, nothing holds the call or a span of it."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        span = pipe.tracer.start_span("work")
        call.record(hangup_source="agent")
        span.end()
        child = weakref.ref(span)
        root = weakref.ref(trace.get_current_span())
        del span
    if hasattr(type(call), "__weakref__"):
        held = weakref.ref(call)
    else:
        held = None
    del call
    pipe.memory.clear()
    gc.collect()
    assert child() is None
    assert root() is None
    assert held is None or held() is None


def test_a_span_that_never_ends_is_not_kept_by_us():
    """A span left open for ever is released with its call."""
    pipe = Pipeline()
    with pipe.call(**FACTS):
        forgotten = weakref.ref(pipe.tracer.start_span("forgotten"))
    gc.collect()
    assert forgotten() is None


def test_a_thousand_calls_leave_nothing():
    """The registry is empty again and has counted each."""
    pipe = Pipeline()
    opened, finished = calls.opened, calls.finished
    for n in range(1000):
        with pipe.call(carrier=f"c{n % 3}", direction="inbound"):
            pipe.tracer.start_span("work").end()
    assert (calls.opened - opened, calls.finished - finished) == (1000, 1000)
    assert len(calls) == 0


def test_the_users_exception_passes_unchanged():
    """The same object comes out, with its cause and no added notes."""
    pipe = Pipeline()
    error, cause = UsersError("mine"), ValueError("why")
    with pytest.raises(UsersError) as caught, pipe.call(**FACTS):
        raise error from cause
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None or error.__context__ is cause
    assert getattr(error, "__notes__", []) == []
    assert len(calls) == 0


async def test_the_users_exception_passes_unchanged_out_of_async_with():
    """`async with` as well."""
    pipe = Pipeline()
    error = UsersError("mine")
    with pytest.raises(UsersError) as caught:
        async with pipe.call(**FACTS):
            raise error
    assert caught.value is error
    assert len(calls) == 0


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_exits_pass_and_finish_the_call(kind):
    """What is no `Exception` passes too, and the call is finished."""
    pipe = Pipeline()
    error = kind()
    caught = None
    try:
        with pipe.call(**FACTS):
            raise error
    except BaseException as out:
        caught = out
    assert caught is error
    assert len(calls) == 0
    assert pipe.named("sip.call").end_time is not None


def test_a_failed_block_is_an_error_span_without_the_exceptions_text():
    """`error.type` is the class; the text, which may hold a number, is nowhere on the span."""
    pipe = Pipeline()
    with pytest.raises(UsersError), pipe.call(**FACTS):
        raise UsersError("dialling +14155550134 failed")
    root = pipe.named("sip.call")
    assert root.status.status_code is trace.StatusCode.ERROR
    assert root.attributes["error.type"].endswith("UsersError")
    assert "4155550134" not in root.to_json()


async def test_cancellation_passes_unchanged_and_finishes_the_call():
    """A cancelled task is cancelled, with its message; the call is over."""
    pipe = Pipeline()
    entered = asyncio.Event()
    seen: list[BaseException] = []

    async def run() -> None:
        async with pipe.call(**FACTS):
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                seen.append(error)
                raise

    task = asyncio.create_task(run())
    await entered.wait()
    task.cancel("hang up")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert seen[0].args == ("hang up",)
    assert len(calls) == 0
    assert inherited(pipe.attributes("sip.call"))[CARRIER] == "telnyx"


async def test_a_timeout_around_a_call_still_times_out():
    """`asyncio.timeout` turns our pass-through of its cancellation into TimeoutError."""
    pipe = Pipeline()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), pipe.call(**FACTS):
            await asyncio.Event().wait()
    assert len(calls) == 0


async def test_a_closed_generator_finishes_its_call():
    """`aclose()` of a generator that holds a call open ends it; also from another task."""
    pipe = Pipeline()

    async def body() -> Any:
        async with pipe.call(**FACTS):
            yield 1

    here, elsewhere = body(), body()
    await anext(here)
    await here.aclose()
    assert len(calls) == 0
    await asyncio.create_task(_next(elsewhere))
    assert len(calls) == 1
    await asyncio.create_task(elsewhere.aclose(), context=contextvars.Context())
    assert len(calls) == 0
    assert not trunktrace.current_call()


async def _next(generator: Any) -> Any:
    return await anext(generator)


def test_a_generator_that_is_collected_finishes_its_call():
    """Garbage collection of a suspended block is an end like any other."""
    pipe = Pipeline()

    def body() -> Any:
        with pipe.call(**FACTS):
            yield 1

    suspended = body()
    next(suspended)
    assert len(calls) == 1
    del suspended
    gc.collect()
    assert len(calls) == 0


def test_a_scope_can_be_left_in_another_thread():
    """Enter here, exit there: nothing is raised and the call is finished."""
    pipe = Pipeline()
    scope = pipe.call(**FACTS)
    context = contextvars.Context()
    context.run(scope.__enter__)
    errors: list[BaseException] = []

    def leave() -> None:
        try:
            scope.__exit__(None, None, None)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert errors == []
    assert len(calls) == 0
    assert pipe.named("sip.call").end_time is not None


def test_the_context_is_as_before_after_the_block():
    """The current span and the current call are those of before the block."""
    pipe = Pipeline()
    with pipe.tracer.start_as_current_span("outer") as outer:
        with pipe.call(**FACTS):
            pass
        assert trace.get_current_span() is outer
        assert not trunktrace.current_call()


def test_a_root_that_the_user_ends_inside_the_block_does_no_harm():
    """`get_current_span().end()` in the block ends the root; the block's end is quiet."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        trace.get_current_span().end()
        call.record(route="too-late")
        pipe.tracer.start_span("after").end()
    assert len(calls) == 0
    assert call.finished


def test_outside_of_calls_there_is_an_inert_call():
    """`current_call()` outside of calls is falsy, and takes everything without effect."""
    call = trunktrace.current_call()
    assert not call
    call.record(carrier="telnyx")
    call.record(nonsense=object())
    call.record_media(leg="trunk", direction="in", loss_ratio=0.1, start=1.0, end=2.0)
    call.record_media(leg="x", direction="y", start="z", end=None)
    assert dict(call.attributes) == {}
    assert call.facts == trunktrace.CallFacts()
    assert trunktrace.current_call().facts.carrier is None
    assert len(calls) == 0


def test_a_fact_after_the_end_is_ignored():
    """`record` on a finished call raises nothing and is on no span."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="telnyx") as call:
        pass
    exported = dict(pipe.named("sip.call").attributes)
    call.record(route="late")
    call.record_media(leg="trunk", direction="in", loss_ratio=0.1, start=1.0, end=2.0)
    assert dict(pipe.named("sip.call").attributes) == exported
    assert ROUTE not in exported
    assert len(calls) == 0


def test_a_scope_that_is_entered_twice_says_so_and_harms_nothing():
    """A second use of one `start_call` object is refused loudly; the first call is whole."""
    pipe = Pipeline()
    scope = pipe.call(**FACTS)
    with scope as call:
        with pytest.raises(Exception) as caught:
            scope.__enter__()
        assert type(caught.value).__name__ in {"RuntimeError", "ConfigurationError"}
        assert str(caught.value)
        assert call
        assert trunktrace.current_call() is call
    assert len(calls) == 0
    with pytest.raises(type(caught.value)):
        scope.__enter__()
    assert len(calls) == 0
    assert not trunktrace.current_call()


async def test_with_and_async_with_do_the_same():
    """Both forms make the same root and open the same kind of call."""
    one, two = Pipeline(), Pipeline()
    with one.call(**FACTS):
        pass
    async with two.call(**FACTS):
        pass
    assert dict(one.named("sip.call").attributes) == dict(two.named("sip.call").attributes)
    assert one.named("sip.call").kind == two.named("sip.call").kind


def test_making_a_scope_without_entering_it_opens_nothing():
    """`start_call(...)` alone is no call."""
    pipe = Pipeline()
    pipe.call(**FACTS)
    assert len(calls) == 0
    assert not trunktrace.current_call()


def test_at_ratio_a_tenth_every_call_is_opened_fed_and_finished():
    """Sampling decides about spans only: facts and life of each call are the same."""
    pipe = Pipeline(sampler=ParentBased(TraceIdRatioBased(0.1)), seed=7)
    opened, finished = calls.opened, calls.finished
    heard: list[tuple[str, bool]] = []

    class Listener:
        def call_opened(self, call: Any) -> None:
            heard.append(("opened", bool(call)))

        def call_finished(self, call: Any) -> None:
            heard.append(("finished", call.facts.carrier == "telnyx"))

    listener = Listener()
    calls.subscribe(listener)
    held = 0
    for _ in range(500):
        with pipe.call(direction="inbound") as call:
            with pipe.tracer.start_as_current_span("work"):
                trunktrace.current_call().record(**FACTS)
            held += call.facts.carrier == "telnyx"
        assert call.finished
    assert held == 500
    assert (calls.opened - opened, calls.finished - finished) == (500, 500)
    assert heard.count(("opened", True)) == 500
    assert heard.count(("finished", True)) == 500
    roots = [span for span in pipe.finished() if span.name == "sip.call"]
    works = [span for span in pipe.finished() if span.name == "work"]
    assert len(roots) == len(works)
    assert 30 <= len(roots) <= 70
    assert all(span.attributes[CARRIER] == "telnyx" for span in roots + works)


def test_unsampled_calls_are_told_apart_under_one_unsampled_remote_parent():
    """Not sampled and in one trace: `current_call()` is still each one's own."""
    pipe = Pipeline(sampler=ParentBased(ALWAYS_OFF))
    parent = remote_parent(sampled=False)
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = pipe.call(direction="inbound", carrier=name, parent=parent)
        scopes.append((context, scope, context.run(scope.__enter__)))
    for context, _, call in scopes:
        assert context.run(trunktrace.current_call) is call
    for context, scope, call in scopes:
        context.run(scope.__exit__, None, None, None)
        assert call.finished
    assert pipe.finished() == ()


def test_the_registry_is_bounded_and_counts_what_it_evicts():
    """The oldest call makes room; it is finished, counted and logged once, the others go on."""
    registry = CallRegistry(3)
    from trunktrace.livecall import LiveCall

    evicted_before = guard.evicted_calls
    made = [LiveCall(trace_id=n, root_span_id=n) for n in range(1, 6)]
    for call in made:
        registry.open(call, owns_trace=True)
    assert len(registry) == 3
    assert registry.evicted == 2
    assert guard.evicted_calls - evicted_before == 2
    assert [bool(call) for call in made] == [False, False, True, True, True]
    for call in made:
        registry.close(call)
        registry.close(call)
    assert len(registry) == 0
    assert registry.finished == 5


def test_an_evicted_call_harms_nobody():
    """Records on it and spans in its trace go on without facts and without errors."""
    registry_bound = CallRegistry(1)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor(registry=registry_bound))
    from trunktrace.livecall import LiveCall

    first, second = (LiveCall(trace_id=n, root_span_id=n) for n in (1, 2))
    registry_bound.open(first, owns_trace=True)
    registry_bound.open(second, owns_trace=True)
    first.record(carrier="late")
    tracer = provider.get_tracer("t")
    span = tracer.start_span("work", context=remote_parent(trace_id=1, span_id=1))
    span.end()
    assert ours(span.attributes) == {}
    registry_bound.close(second)


FORK = """
    import json, os, sys
    import trunktrace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from trunktrace.registry import calls

    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("t")
    said = {}
    with trunktrace.start_call(
        tracer_provider=provider, direction="inbound", carrier="parent"
    ) as call:
        open_span = tracer.start_span("open")
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                memory.clear()
                said["calls"] = len(calls)
                said["current"] = bool(trunktrace.current_call())
                call.record(route="from-the-child")
                inside = tracer.start_span("inherited-context")
                said["inherited"] = dict(inside.attributes)
                inside.end()
                with trunktrace.start_call(
                    tracer_provider=provider, direction="inbound", carrier="child"
                ):
                    tracer.start_span("childs").end()
                said["childs"] = [
                    dict(s.attributes) for s in memory.get_finished_spans() if s.name == "childs"
                ]
                said["left"] = len(calls)
                code = 0
            except BaseException as error:
                said["error"] = repr(error)
            os.write(write, json.dumps(said).encode())
            os._exit(code)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = json.loads(pipe.read())
        os.waitpid(pid, 0)
        said["parent_calls"] = len(calls)
        call.record(region="us1")
        open_span.end()
    said["open"] = dict(memory.get_finished_spans()[0].attributes)
    print(json.dumps(said))
"""


def run_python(code: str, *, timeout: float = 60.0, **environment: str) -> str:
    """Run a script in a fresh interpreter; its output, or the failure with what it said."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_forked_child_has_no_calls():
    """The child starts empty and can make calls of its own; the parent goes on untouched."""
    said = json.loads(run_python(FORK))
    assert "error" not in said
    assert said["calls"] == 0
    assert said["current"] is False
    assert said["inherited"].get(CARRIER) is None
    assert [each[CARRIER] for each in said["childs"]] == ["child"]
    assert said["left"] == 0
    assert said["parent_calls"] == 1
    assert said["open"][CARRIER] == "parent"
    assert said["open"]["trunk.region"] == "us1"
    assert "trunk.route" not in said["open"]


def test_a_fork_while_another_thread_writes_does_not_deadlock_the_child():
    """The writer's lock may be held at the moment of the fork; the child works all the same."""
    said = run_python(
        """
        import os, threading
        import trunktrace
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider(shutdown_on_exit=False)
        stop = threading.Event()
        with trunktrace.start_call(tracer_provider=provider, direction="inbound") as call:
            def write():
                n = 0
                while not stop.is_set():
                    n += 1
                    call.record(route=f"r{n}")
            threads = [threading.Thread(target=write) for _ in range(2)]
            for thread in threads:
                thread.start()
            codes = []
            while len(codes) < 20 and not any(codes):
                pid = os.fork()
                if pid == 0:
                    import signal
                    signal.alarm(5)
                    with trunktrace.start_call(
                        tracer_provider=provider, direction="inbound", carrier="c"
                    ) as own:
                        own.record(route="x")
                        trunktrace.current_call().record(region="y")
                    call.record(route="from-the-child")
                    os._exit(0)
                codes.append(os.waitpid(pid, 0)[1])
            stop.set()
            for thread in threads:
                thread.join()
        print(codes.count(0), len(codes))
        """,
        PYTHONWARNINGS="ignore",
    )
    assert said.split() == ["20", "20"]


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


def test_a_listener_that_raises_touches_no_call():
    """Who listens to the registry cannot hurt the call; the other listeners are still told."""
    heard: list[str] = []

    class Bad:
        def call_opened(self, call: Any) -> None:
            raise UsersError("bad listener")

        def call_finished(self, call: Any) -> None:
            raise UsersError("bad listener")

    class Good:
        def call_opened(self, call: Any) -> None:
            heard.append("opened")

        def call_finished(self, call: Any) -> None:
            heard.append("finished")

    bad, good = Bad(), Good()
    calls.subscribe(bad)
    calls.subscribe(good)
    pipe = Pipeline()
    with reraising(value=False), pipe.call(**FACTS):
        pass
    assert heard == ["opened", "finished"]
    assert len(calls) == 0


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
