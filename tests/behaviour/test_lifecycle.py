"""Calls open and finish whatever happens in them, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from typing import Any

import pytest
from opentelemetry import trace

import trunktrace
from trunktrace.errors import ConfigurationError
from trunktrace.registry import calls

from .kit import (
    CARRIER,
    FACTS,
    ROUTE,
    Pipeline,
    UsersError,
    inherited,
)


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
    held = weakref.ref(call) if hasattr(type(call), "__weakref__") else None
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
        with pytest.raises((RuntimeError, ConfigurationError)) as caught:
            scope.__enter__()
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
