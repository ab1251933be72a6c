"""How a job's call begins, who is in the room by then, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import trunktrace
from trunktrace.registry import calls

from .fakejob import (
    DIRECTORY,
    REASON,
    Job,
    Room,
    caller,
    settle,
)
from .kit import CARRIER, CODE, Pipeline, Scripted


async def test_an_unsampled_job_is_opened_fed_and_finished():
    """No span is recorded; the call holds its facts and ends with the job."""
    job = Job(pipe=Pipeline(sampler=ALWAYS_OFF))
    opened, finished = calls.opened, calls.finished
    seen: list[Any] = []

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        seen.append(trunktrace.current_call().facts)
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    assert (seen[0].carrier, seen[0].status_code) == ("telnyx", 200)
    assert (calls.opened - opened, calls.finished - finished) == (1, 1)
    assert job.pipe.finished() == ()
    assert len(calls) == 0


async def test_a_job_whose_root_nobody_of_ours_sees_end_is_finished_with_the_room():
    """A recording root of a provider without our processor: the call ends with the room."""
    job = Job(pipe=Pipeline(processor=False))

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        await settle()
        assert trunktrace.current_call().facts.carrier == "telnyx"

    await job.run(entry)
    assert len(calls) == 0


async def test_jobs_in_one_process_never_mix():
    """Six overlapping jobs on three trunks, as in a THREAD worker: each has its own facts."""
    pipe = Pipeline()
    trunks = {"ST_in": "telnyx", "ST_out": "twilio", "ST_nobody": None}

    async def one(trunk: str) -> None:
        job = Job(pipe=pipe)

        async def entry(ctx: Any) -> None:
            phone = ctx.room.join(caller(**{"sip.trunkID": trunk}))
            for n in range(5):
                with pipe.tracer.start_as_current_span("work", attributes={"of": trunk}):
                    await asyncio.sleep(0)
                if n == 2:
                    ctx.room.status(phone, "active")
            await asyncio.to_thread(lambda: None)
            pipe.tracer.start_span("work", attributes={"of": trunk}).end()

        await job.run(entry)

    await asyncio.gather(*(one(trunk) for trunk in trunks for _ in range(2)))
    works = [span for span in pipe.finished() if span.name == "work"]
    assert len(works) == 36
    assert all(s.attributes.get(CARRIER) == trunks[s.attributes["of"]] for s in works)
    assert len(calls) == 0


async def test_with_the_late_exporter_every_span_of_the_job_has_the_facts():
    """Spans that ended before the caller joined leave with what became known."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    job = Job(pipe=Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner)))

    async def entry(ctx: Any) -> None:
        job.pipe.tracer.start_span("room_connect").end()
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    job.pipe.provider.shutdown()
    assert {span.name for span in inner.spans} == {
        "room_connect",
        "work",
        "job_shutdown",
        "job_entrypoint",
    }
    for span in inner.spans:
        assert span.attributes[CARRIER] == "telnyx", span.name
        assert span.attributes[CODE] == 200, span.name


async def test_an_entrypoint_that_returns_early_leaves_the_call_open():
    """The usual entrypoint returns once the session runs; facts go on until the job's root ends."""
    job = Job()
    root = job.pipe.tracer.start_span("job_entrypoint")
    from opentelemetry import trace

    from .kit import under

    async def entry(ctx: Any) -> None:
        await settle()

    with trace.use_span(root, end_on_exit=False):
        await trunktrace.traced_call(directory=DIRECTORY)(entry)(job.ctx)
    phone = job.room.join(caller())
    job.room.status(phone, "active")
    await settle()
    job.pipe.tracer.start_span("later", context=under(root)).end()
    assert job.pipe.attributes("later")[CODE] == 200
    job.room.status(phone, "hangup")
    job.room.leave(phone, REASON.CLIENT_INITIATED)
    await settle()
    root.end()
    assert len(calls) == 0
    assert job.root()[CARRIER] == "telnyx"


async def test_a_caller_who_is_there_before_the_entrypoint():
    """The participant is in the room when the wrapper starts: every span has the facts."""
    job = Job(Room(caller(**{"sip.callStatus": "active"})))

    async def entry(ctx: Any) -> None:
        await settle()
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    assert job.pipe.attributes("work")[CARRIER] == "telnyx"
    assert job.pipe.attributes("work")[CODE] == 200


async def test_a_caller_who_is_there_when_the_room_connects():
    """LiveKit announces no participant that is there already when the agent connects."""
    job = Job(Room(connected=False))

    async def entry(ctx: Any) -> None:
        phone = caller()
        ctx.room.connect(phone)
        await settle()
        job.pipe.tracer.start_span("work").end()
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()

    await job.run(entry)
    assert job.pipe.attributes("work")[CARRIER] == "telnyx"
    assert job.pipe.attributes("talking")[CODE] == 200


async def test_a_caller_who_is_first_seen_by_a_change():
    """Even without any event at the connect, the first change of the caller tells all."""
    job = Job(Room(connected=False))

    async def entry(ctx: Any) -> None:
        phone = caller()
        ctx.room.connected = True
        ctx.room.remote_participants[phone.identity] = phone
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()

    await job.run(entry)
    assert job.pipe.attributes("talking")[CARRIER] == "telnyx"
    assert job.pipe.attributes("talking")[CODE] == 200


async def test_the_users_exception_passes_and_the_call_is_finished():
    """An entrypoint that raises: the same object comes out; facts so far are on the root."""
    job = Job()
    error = RuntimeError("mine")

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        await settle()
        raise error

    with pytest.raises(RuntimeError) as caught:
        await job.run(entry)
    assert caught.value is error
    assert getattr(error, "__notes__", []) == []
    assert job.root()[CARRIER] == "telnyx"
    assert len(calls) == 0


async def test_cancellation_passes_and_the_call_is_finished():
    """A cancelled entrypoint is cancelled; with the root's end the call is over."""
    job = Job()
    started = asyncio.Event()
    cancelled: list[bool] = []

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = asyncio.create_task(job.run(entry))
    await started.wait()
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert cancelled == [True]
    assert len(calls) == 0
