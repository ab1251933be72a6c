"""What names the carrier of a job's call: rows, headers that are fetched, and nobody."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import trunktrace
from trunktrace.guard import reraising
from trunktrace.registry import calls

from .fakejob import (
    CALLER,
    REASON,
    Job,
    caller,
    headers,
    settle,
    until,
)
from .kit import CARRIER, ROUTE


async def test_a_header_of_the_invite_never_overrides_the_trunks_row():
    """Whoever calls may send `X-Carrier`: the operator's table stands."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(
            caller(
                **{
                    "sip.h.x-carrier": "evil",
                    "carrier.name": "evil",
                    "sip.twilio.callSid": "CA0123456789",
                }
            )
        )
        await settle()

    await job.run(entry)
    assert job.root()[CARRIER] == "telnyx"
    assert "evil" not in job.pipe.named("job_entrypoint").to_json()


async def test_an_unnamed_carrier_is_unknown_on_the_root_at_its_end_only():
    """Nobody can name it: `unknown` on the root, on no child, and not before the end."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller(**{"sip.trunkID": "ST_nobody"}))
        await settle()
        assert CARRIER not in trunktrace.current_call().attributes
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    assert job.root()[CARRIER] == "unknown"
    assert CARRIER not in job.pipe.attributes("work")
    assert CARRIER not in job.pipe.attributes("job_shutdown")


async def test_a_header_that_the_directory_needs_is_fetched():
    """A trusted header that is not among the attributes is asked for, by name, and believed."""
    job = Job()
    job.room.local_participant.answer = headers(X_Carrier="acme", X_Route="lcr-7", X_Evil="no")

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: trunktrace.current_call().facts.carrier is not None)
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    work = job.pipe.attributes("work")
    assert (work[CARRIER], work[ROUTE]) == ("acme", "lcr-7")
    (asked,) = job.room.local_participant.asked
    assert asked["method"] == "lk.sip.GetRemoteHeaders"
    assert asked["destination_identity"] == f"sip_{CALLER}"
    wanted = [name.lower() for name in json.loads(asked["payload"])["include"]]
    assert wanted[:2] == ["x-carrier", "x-route"]
    assert {"x-traceparent", "session-id"} < set(wanted)
    assert "user-to-user" not in wanted


async def test_no_header_is_fetched_where_the_row_says_all():
    """No RPC for a trunk whose row is complete."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()

    await job.run(entry)
    assert job.room.local_participant.asked == []


BAD_ANSWERS = {
    "raises": None,
    "empty": "",
    "no-json": "<html>",
    "list": "[]",
    "null": "null",
    "no-headers": "{}",
    "headers-list": '{"headers": ["X-Carrier"]}',
    "headers-null": '{"headers": null}',
    "value-number": '{"headers": {"X-Carrier": 5}}',
    "value-null": '{"headers": {"X-Carrier": null}}',
    "value-10kB": json.dumps({"headers": {"X-Carrier": "x" * 10_240}}),
    "value-control": json.dumps({"headers": {"X-Carrier": "a\x00b"}}),
    "deep": "[" * 100_000,
    "no-text": 5,
}


@pytest.mark.parametrize("answer", list(BAD_ANSWERS.values()), ids=list(BAD_ANSWERS))
async def test_a_bad_answer_about_headers_is_survived(answer):
    """An RPC that fails or answers nonsense: the call goes on without the fact."""
    job = Job()
    if answer is not None:

        async def say() -> Any:
            return answer

        job.room.local_participant.answer = say

    async def entry(ctx: Any) -> str:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: len(job.room.local_participant.asked) > 0)
        await settle()
        assert trunktrace.current_call().facts.status_code == 200
        return "went on"

    with reraising(value=False):
        assert await job.run(entry) == "went on"
    assert job.root()[CARRIER] == "unknown"
    assert len(calls) == 0


async def test_an_answer_that_never_comes_holds_nobody():
    """The RPC hangs: entrypoint, shutdown and loop end all the same, no task is left."""
    job = Job()
    gone: list[str] = []

    async def never() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            gone.append("cancelled")
        raise AssertionError

    job.room.local_participant.answer = never

    async def entry(ctx: Any) -> str:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: len(job.room.local_participant.asked) > 0)
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        return "went on"

    async with asyncio.timeout(5):
        assert await job.run(entry) == "went on"
    await until(lambda: gone == ["cancelled"])
    # The statistics are read as long as the room lives.
    tasks = {task for task in asyncio.all_tasks() if task.get_name() != "trunktrace-media"}
    assert tasks == {asyncio.current_task()}
