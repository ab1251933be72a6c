"""The ways in which a program comes to start a span inside a call.

Each mechanism is an async function that runs `work` once and returns its result. `work` takes the
context to start its span from (None: the current one).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from .kit import under

Work = Callable[[Context | None], Any]
Mechanism = Callable[[Work], Awaitable[Any]]

POOL = ThreadPoolExecutor(max_workers=3, thread_name_prefix="behaviour")


async def inline(work: Work) -> Any:
    return work(None)


async def after_a_sleep(work: Work) -> Any:
    await asyncio.sleep(0)
    return work(None)


async def create_task(work: Work) -> Any:
    async def inner() -> Any:
        await asyncio.sleep(0)
        return work(None)

    return await asyncio.create_task(inner())


async def task_in_a_task(work: Work) -> Any:
    return await asyncio.create_task(create_task(work))


async def task_group(work: Work) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(after_a_sleep(work))
    return task.result()


async def gather(work: Work) -> Any:
    return (await asyncio.gather(after_a_sleep(work), asyncio.sleep(0)))[0]


async def wait_for(work: Work) -> Any:
    return await asyncio.wait_for(after_a_sleep(work), 5)


async def shielded(work: Work) -> Any:
    return await asyncio.shield(after_a_sleep(work))


async def to_thread(work: Work) -> Any:
    return await asyncio.to_thread(work, None)


async def executor_with_copied_context(work: Work) -> Any:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(POOL, context.run, work, None)


async def executor_without_context(work: Work) -> Any:
    return await asyncio.get_running_loop().run_in_executor(POOL, work, None)


async def executor_with_a_given_otel_context(work: Work) -> Any:
    current = otel_context.get_current()
    return await asyncio.get_running_loop().run_in_executor(POOL, work, current)


async def executor_with_the_bare_parent(work: Work) -> Any:
    bare = under(trace.get_current_span())
    return await asyncio.get_running_loop().run_in_executor(POOL, work, bare)


async def thread_without_context(work: Work) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work(None)))
    thread.start()
    await asyncio.to_thread(thread.join)
    return results[0]


async def copied_context_run(work: Work) -> Any:
    return contextvars.copy_context().run(work, None)


async def empty_context_run(work: Work) -> Any:
    return contextvars.Context().run(work, None)


async def task_in_an_empty_context(work: Work) -> Any:
    task = asyncio.create_task(after_a_sleep(work), context=contextvars.Context())
    return await task


async def call_soon(work: Work) -> Any:
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(work(None)))
    return await done


async def call_later(work: Work) -> Any:
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.001, lambda: done.set_result(work(None)))
    return await done


async def call_soon_threadsafe(work: Work) -> Any:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    context = contextvars.copy_context()
    await asyncio.to_thread(
        lambda: loop.call_soon_threadsafe(lambda: done.set_result(work(None)), context=context)
    )
    return await done


async def done_callback(work: Work) -> Any:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: done.set_result(work(None)))
    return await done


async def async_generator(work: Work) -> Any:
    async def values() -> Any:
        await asyncio.sleep(0)
        yield 0
        yield work(None)

    return [value async for value in values()][-1]


async def generator(work: Work) -> Any:
    def values() -> Any:
        yield 0
        yield work(None)

    return list(values())[-1]


async def explicit_current_context(work: Work) -> Any:
    return work(otel_context.get_current())


async def explicit_parent_in_a_bare_context(work: Work) -> Any:
    return work(under(trace.get_current_span()))


async def explicit_empty_context(work: Work) -> Any:
    return work(Context())


async def stored_context_used_elsewhere(work: Work) -> Any:
    stored = otel_context.get_current()

    async def elsewhere() -> Any:
        return work(stored)

    return await asyncio.create_task(elsewhere(), context=contextvars.Context())


async def stored_bare_context_used_elsewhere(work: Work) -> Any:
    stored = under(trace.get_current_span())

    async def elsewhere() -> Any:
        return work(stored)

    return await asyncio.create_task(elsewhere(), context=contextvars.Context())


async def attached_bare_context(work: Work) -> Any:
    token = otel_context.attach(under(trace.get_current_span()))
    try:
        return work(None)
    finally:
        otel_context.detach(token)


MECHANISMS: tuple[Mechanism, ...] = (
    inline,
    after_a_sleep,
    create_task,
    task_in_a_task,
    task_group,
    gather,
    wait_for,
    shielded,
    to_thread,
    executor_with_copied_context,
    executor_without_context,
    executor_with_a_given_otel_context,
    executor_with_the_bare_parent,
    thread_without_context,
    copied_context_run,
    empty_context_run,
    task_in_an_empty_context,
    call_soon,
    call_later,
    call_soon_threadsafe,
    done_callback,
    async_generator,
    generator,
    explicit_current_context,
    explicit_parent_in_a_bare_context,
    explicit_empty_context,
    stored_context_used_elsewhere,
    stored_bare_context_used_elsewhere,
    attached_bare_context,
)


def each(gaps: dict[Mechanism, str] | None = None) -> Any:
    """Parametrise a test over all mechanisms; a known gap is a strict xfail with its reason."""
    gaps = gaps or {}
    return pytest.mark.parametrize(
        "mechanism",
        [
            pytest.param(
                each_one,
                id=each_one.__name__,
                marks=[pytest.mark.xfail(strict=True, reason=gaps[each_one])]
                if each_one in gaps
                else [],
            )
            for each_one in MECHANISMS
        ],
    )
