"""A span of a call carries its call's facts and never another's, by every mechanism."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

import trunktrace
from trunktrace.registry import calls

from . import mechanisms
from .kit import CARRIER, ROUTE, Pipeline, remote_parent

NO_LINK = (
    "nothing links the span to the call: no context was copied, so OpenTelemetry starts a trace of "
    "its own there"
)


BARE = {
    mechanisms.executor_without_context: NO_LINK,
    mechanisms.thread_without_context: NO_LINK,
    mechanisms.empty_context_run: NO_LINK,
    mechanisms.task_in_an_empty_context: NO_LINK,
}


EMPTY = {
    mechanisms.explicit_empty_context: "an explicit empty Context() holds neither a parent nor our "
    "key: the program asked for a trace that belongs to nothing",
}


async def _one_call(pipe: Pipeline, name: str, mechanism: Any, *, parent: Context | None = None):
    """A call that starts a span by the mechanism, learns its carrier while it is open, ends it."""

    def work(context: Context | None) -> trace.Span:
        return pipe.tracer.start_span(name, context=context, attributes={"of": name})

    async with pipe.call(direction="inbound", route=name, parent=parent) as call:
        await asyncio.sleep(0)
        span = await mechanism(work)
        await asyncio.sleep(0)
        call.record(carrier=name)
        await asyncio.sleep(0)
        span.end()


@mechanisms.each(BARE | EMPTY)
async def test_a_span_has_its_calls_facts(mechanism):
    """Known before its start and learned while it is open, by every mechanism."""
    pipe = Pipeline()
    await _one_call(pipe, "call-1", mechanism)
    attributes = pipe.attributes("call-1")
    assert attributes.get(ROUTE) == "call-1"
    assert attributes.get(CARRIER) == "call-1"
    assert len(calls) == 0


@mechanisms.each()
async def test_overlapping_calls_never_mix(mechanism):
    """Eight calls at once: no span has a value of another call."""
    pipe = Pipeline()
    await asyncio.gather(*(_one_call(pipe, f"call-{i}", mechanism) for i in range(8)))
    for i in range(8):
        attributes = pipe.attributes(f"call-{i}")
        assert attributes.get(ROUTE) in (None, f"call-{i}")
        assert attributes.get(CARRIER) in (None, f"call-{i}")


@mechanisms.each(BARE | EMPTY)
async def test_calls_under_one_remote_parent_never_mix(mechanism):
    """Calls that share a trace id are told apart, and each span has its own call's facts."""
    pipe = Pipeline()
    parent = remote_parent()
    await asyncio.gather(
        *(_one_call(pipe, f"call-{i}", mechanism, parent=parent) for i in range(4))
    )
    for i in range(4):
        attributes = pipe.attributes(f"call-{i}")
        assert attributes.get(ROUTE) == f"call-{i}"
        assert attributes.get(CARRIER) == f"call-{i}"
    roots = [span for span in pipe.finished() if span.name == "sip.call"]
    assert sorted(root.attributes[CARRIER] for root in roots) == [f"call-{i}" for i in range(4)]
    assert {root.context.trace_id for root in roots} == {0xABC}


def _current_call_in(context: Context | None) -> Any:
    """`current_call()` where `context`, if one is given, is the current one."""
    if context is None:
        return trunktrace.current_call()
    token = otel_context.attach(context)
    try:
        return trunktrace.current_call()
    finally:
        otel_context.detach(token)


@mechanisms.each(BARE | EMPTY)
@pytest.mark.parametrize("parent", [None, remote_parent()], ids=["own_trace", "shared_trace"])
async def test_current_call_is_the_running_call(mechanism, parent):
    """`current_call()` inside the mechanism is the call itself."""
    pipe = Pipeline()
    async with pipe.call(direction="inbound", parent=parent) as call:
        assert await mechanism(_current_call_in) is call


@mechanisms.each()
@pytest.mark.parametrize("parent", [None, remote_parent()], ids=["own_trace", "shared_trace"])
async def test_current_call_is_never_another_call(mechanism, parent):
    """Overlapping calls: `current_call()` is the running one, or none."""
    pipe = Pipeline()

    async def one() -> None:
        async with pipe.call(direction="inbound", parent=parent) as call:
            await asyncio.sleep(0)
            found = await mechanism(_current_call_in)
            assert found is call or not found

    await asyncio.gather(*(one() for _ in range(6)))


async def test_fifty_overlapping_calls():
    """Fifty calls of nested spans at once: every span of each has its own facts, all of them."""
    pipe = Pipeline()

    async def turn(name: str) -> None:
        with pipe.tracer.start_as_current_span("turn", attributes={"of": name}):
            await asyncio.sleep(0)
            with pipe.tracer.start_as_current_span("llm", attributes={"of": name}):
                await asyncio.sleep(0)

    async def one(i: int) -> None:
        async with pipe.call(direction="inbound", carrier=f"c{i}") as call:
            for n in range(4):
                await asyncio.create_task(turn(f"c{i}"))
                call.record(route=f"c{i}-{n}")

    await asyncio.gather(*(one(i) for i in range(50)))
    spans = [span for span in pipe.finished() if span.name != "sip.call"]
    assert len(spans) == 50 * 8
    assert [s.name for s in spans if s.attributes[CARRIER] != s.attributes["of"]] == []
    assert all(
        s.attributes.get(ROUTE, s.attributes["of"]).startswith(s.attributes["of"]) for s in spans
    )
    assert len(calls) == 0


def test_threads_that_run_whole_calls():
    """Sixteen threads, each with calls of its own loop: no mixing, nothing left."""
    pipe = Pipeline()
    start = threading.Barrier(16)

    async def many(name: str) -> None:
        for n in range(10):
            async with pipe.call(direction="inbound", carrier=name) as call:
                with pipe.tracer.start_as_current_span("work", attributes={"of": name}):
                    await asyncio.sleep(0)
                    call.record(route=f"{name}-{n}")

    def thread(i: int) -> None:
        start.wait(10)
        asyncio.run(many(f"t{i}"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(thread, range(16)))
    spans = [span for span in pipe.finished() if span.name == "work"]
    assert len(spans) == 160
    for span in spans:
        assert span.attributes[CARRIER] == span.attributes["of"]
        assert span.attributes[ROUTE].startswith(span.attributes["of"] + "-")
    assert len(calls) == 0


def test_writers_and_readers_in_other_threads():
    """Facts recorded in one thread while others start and end spans: whole, and of the call."""
    pipe = Pipeline()
    errors: list[BaseException] = []
    stop = threading.Event()
    with pipe.call(direction="inbound", carrier="steady") as call:
        context = otel_context.get_current()

        def spans() -> None:
            try:
                while not stop.is_set():
                    pipe.tracer.start_span("work", context=context).end()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=spans) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(300):
            call.record(route=f"r{n}", region=f"g{n}")
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    found = [span for span in pipe.finished() if span.name == "work"]
    assert found
    assert all(span.attributes[CARRIER] == "steady" for span in found)


def test_a_fact_recorded_in_another_thread_reaches_open_spans():
    """Who records need not be who started the span."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        span = pipe.tracer.start_span("work")
        thread = threading.Thread(target=call.record, kwargs={"carrier": "telnyx"})
        thread.start()
        thread.join()
        assert span.attributes[CARRIER] == "telnyx"
        span.end()


def test_a_span_that_ends_in_another_thread_is_forgotten():
    """End and start need not share a thread; nothing of the call is left."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        span = pipe.tracer.start_span("work")
        call.record(carrier="telnyx")
        thread = threading.Thread(target=span.end)
        thread.start()
        thread.join()
        call.record(route="after")
    assert pipe.attributes("work")[CARRIER] == "telnyx"
    assert ROUTE not in pipe.attributes("work")
    assert len(calls) == 0
