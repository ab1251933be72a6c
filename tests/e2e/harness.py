"""One call from end to end: the far end's side of it, and the trace that Jaeger then has."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livekit import api

from .bridge import Bridge, Outcome
from .caller import SipCaller
from .calls import CONVERSATION, CallTruth, Turn
from .jaeger_api import TRACE_DEADLINE_S, JaegerApi, Trace, complete
from .polling import until, until_async
from .worker import Worker

_JOB_S = 60.0


@dataclass(frozen=True, slots=True)
class CallResult:
    """What is true of a call, and the spans that reached Jaeger."""

    truth: CallTruth
    spans: Trace
    raw: str
    """The trace as Jaeger answered it, to search for what must not be there."""
    worker: Worker
    ended_spans: frozenset[str]
    """Ids of the spans that the program ended, as its own witness counted them."""

    def notes(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """What the program told about this call."""
        return self.worker.notes(event, room=self.truth.room, **fields)

    @property
    def warnings(self) -> list[str]:
        """What trunktrace logged during this call."""
        lines = self.worker.log_lines()
        return [str(one["message"]) for one in lines if one.get("room") == self.truth.room]

    def note(self, event: str, **fields: Any) -> dict[str, Any]:
        """The one such note."""
        (found,) = self.notes(event, **fields)
        return found


async def answer_call(
    worker: Worker, truth: CallTruth, conversation: Sequence[Turn] = CONVERSATION
) -> CallTruth:
    """An inbound call from ringing to hang-up; returns when the job has ended."""
    worker.truths.append(truth)
    caller = SipCaller(worker.livekit, truth)
    try:
        await caller.join(dispatch=worker.agent_name, metadata=json.dumps(truth.job))
        await caller.publish()
        await caller.answered()
        await converse(caller, conversation)
        await caller.hang_up()
    finally:
        await caller.leave()
    await job_ended(worker, truth)
    return truth


async def answer_calls(worker: Worker, truths: Sequence[CallTruth]) -> list[CallTruth]:
    """Several inbound calls at once, each with its whole conversation."""
    async with asyncio.TaskGroup() as group:
        for truth in truths:
            group.create_task(answer_call(worker, truth), name=truth.room)
            if worker.options.executor == "thread":
                # Rooms that connect at the same moment in threads of one process sometimes hang in
                # livekit's FFI ("timed out waiting for ReadyForRoomEventRequest").
                await agent_in(worker, truth)
    return list(truths)


async def converse(caller: SipCaller, conversation: Sequence[Turn] = CONVERSATION) -> None:
    """The greeting, every turn (the next one may interrupt), and one digit in between."""
    await caller.greeted()
    for index, turn in enumerate(conversation):
        interrupted = index + 1 < len(conversation) and conversation[index + 1].interrupts
        await caller.take(turn, wait_to_the_end=not interrupted)
        if index == 0:
            await caller.press("1")


async def place_call(
    worker: Worker,
    truth: CallTruth,
    outcomes: Mapping[str, Outcome],
    conversation: Sequence[Turn] = CONVERSATION,
) -> CallTruth:
    """An outbound call over the trunks of `outcomes` in their order, until one answers."""
    worker.truths.append(truth)
    async with Bridge(worker.livekit) as bridge:
        answered = bridge.expect(truth, outcomes)
        numbers = {"from": truth.caller_number, "to": truth.callee_number}
        attempts = [{"trunk_id": trunk_id, **numbers} for trunk_id in outcomes]
        await dispatch(worker, truth, {**truth.job, "bridge": bridge.url, "attempts": attempts})
        if any(outcome.error is None for outcome in outcomes.values()):
            async with asyncio.timeout(_JOB_S):
                leg = await answered
            try:
                await converse(leg, conversation)
                await leg.hang_up()
            finally:
                await leg.leave()
        await job_ended(worker, truth)
    return truth


def collect(
    worker: Worker, truth: CallTruth, is_whole: Callable[[Trace], bool] = complete
) -> CallResult:
    """The call's trace as soon as all of it is in Jaeger; AssertionError when it never is.

    `is_whole` is asked beside what the program's witness counted.
    """
    assert truth.trace_id is not None, f"no job started in {truth.room}"
    process_left(worker, truth)
    jaeger = JaegerApi(worker.jaeger.query)
    ended = frozenset(note["span_id"] for note in worker.notes("span", trace_id=truth.trace_id))
    spans = jaeger.wait_for_trace(
        truth.trace_id,
        lambda spans: is_whole(spans) and ended <= {span.span_id for span in spans},
        deadline_s=TRACE_DEADLINE_S,
    )
    return CallResult(truth, spans, jaeger.raw_trace(truth.trace_id), worker, ended)


def process_left(worker: Worker, truth: CallTruth) -> None:
    """Wait until the job's process is gone; a thread has none, and its program goes on."""
    pid = truth.job_pid
    if pid is None or pid == worker.child.pid:
        return

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone, deadline_s=_JOB_S, what=f"the process of {truth.room} has left")


def run_inbound(
    worker: Worker, truth: CallTruth, conversation: Sequence[Turn] = CONVERSATION
) -> CallResult:
    """`answer_call` and `collect`, for tests that are not coroutines."""
    asyncio.run(answer_call(worker, truth, conversation))
    return collect(worker, truth)


def run_inbound_together(worker: Worker, truths: Sequence[CallTruth]) -> list[CallResult]:
    """`answer_calls` and `collect` of each, for tests that are not coroutines."""
    asyncio.run(answer_calls(worker, truths))
    return [collect(worker, truth) for truth in truths]


def run_outbound(worker: Worker, truth: CallTruth, outcomes: Mapping[str, Outcome]) -> CallResult:
    """`place_call` and `collect`, for tests that are not coroutines."""
    asyncio.run(place_call(worker, truth, outcomes))
    return collect(worker, truth)


async def dispatch(worker: Worker, truth: CallTruth, metadata: Mapping[str, object]) -> None:
    """Send the agent into the room, where nobody has to be."""
    server = worker.livekit
    async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
        await livekit.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                agent_name=worker.agent_name, room=truth.room, metadata=json.dumps(metadata)
            )
        )


async def job_ended(worker: Worker, truth: CallTruth) -> None:
    """Wait for the end of the room's job; the truth then knows its trace and its process."""
    await job_started(worker, truth)
    await _told(worker, truth, "ended")


async def job_started(worker: Worker, truth: CallTruth) -> None:
    """Wait for the start of the room's job; the truth then knows its trace and its process."""
    job = await _told(worker, truth, "job")
    truth.trace_id, truth.job_pid = job["trace_id"], job["pid"]


async def agent_in(worker: Worker, truth: CallTruth) -> None:
    """Wait until the agent has entered the room."""
    await job_started(worker, truth)
    await until_async(
        lambda: worker.notes("span", trace_id=truth.trace_id, name="room_connect"),
        deadline_s=_JOB_S,
        what=f"the agent is in {truth.room}",
    )


async def _told(worker: Worker, truth: CallTruth, event: str) -> dict[str, Any]:
    notes = await until_async(
        lambda: worker.notes(event, room=truth.room),
        deadline_s=_JOB_S,
        what=f"worker notes {event} of {truth.room}",
    )
    return notes[0]
