"""Every stage of an agent's pipeline has the trunk's facts, from voice activity to the summary."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent, telemetry
from opentelemetry import trace

import trunktrace
from trunktrace.livekit.demo import agent as demo
from trunktrace.livekit.demo.conversation import Conversation, Line, Turn
from trunktrace.livekit.demo.phone import Ear, Mouth

from .fakejob import REASON, Job, caller, settle, until
from .kit import CARRIER, CODE, DIRECTION, REGION, ROUTE, Pipeline

FACTS = {
    CARRIER: "telnyx",
    ROUTE: "us-east/primary",
    REGION: "us1",
    DIRECTION: "inbound",
    CODE: 200,
}
TURN = Turn(said="On Tuesday?", heard="On Tuesday", looks_up="Tuesday", reply="At ten.")


@pytest.fixture
def pipe():
    pipe = Pipeline()
    telemetry.set_tracer_provider(pipe.provider)
    yield pipe
    telemetry.set_tracer_provider(trace.get_tracer_provider())


class Guarded(demo._Clerk):
    """The demo's clerk, with a guardrail in the callback that LiveKit offers for one."""

    def __init__(self, tracer: Any) -> None:
        super().__init__()
        self._tracer = tracer

    async def on_user_turn_completed(self, *_: Any, **__: Any) -> None:
        with self._tracer.start_as_current_span("guardrail"):
            await asyncio.to_thread(self._check)

    def _check(self) -> None:
        self._tracer.start_span("guardrail_model").end()


async def a_call(job: Job, agent: Agent) -> None:
    """A call through a real session, with spans of the user's own at every stage."""
    tracer = job.pipe.tracer

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        session = demo._session(Conversation("", (TURN,)))
        mouth = Mouth(Line(), lambda _: None)
        session.input.audio, session.output.audio = mouth, Ear(Line(), lambda _: None)

        def voice_activity(event: Any) -> None:
            tracer.start_span("vad", attributes={"state": event.new_state}).end()

        session.on("user_state_changed", voice_activity)
        session.on("close", lambda _: tracer.start_span("session_closed").end())

        async def summary() -> None:
            await settle()
            with tracer.start_as_current_span("summary"):
                tracer.start_span("summary_model").end()

        ctx.add_shutdown_callback(summary)
        await session.start(agent=agent)
        await mouth.say(0, 32)
        await until(lambda: session.agent_state == "speaking")
        await session.current_speech.wait_for_playout()
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        await session.aclose()

    await job.run(entry)


STAGES = ("vad", "guardrail", "guardrail_model", "session_closed", "summary", "summary_model")
LIVEKITS = ("user_speaking", "user_turn", "llm_node", "function_tool", "tts_node", "agent_speaking")


async def test_every_stage_has_the_facts_of_the_trunk(pipe):
    """Voice activity, guardrail, tools, voice, and what is written after the caller has gone."""
    await a_call(Job(pipe=pipe), Guarded(pipe.tracer))
    spans = pipe.finished()
    found = {span.name for span in spans}
    assert found >= {*STAGES, *LIVEKITS}
    for span in spans:
        stands = {key: (span.attributes or {}).get(key) for key in FACTS}
        assert stands == FACTS, span.name
    assert len({span.context.trace_id for span in spans}) == 1


async def test_a_summary_after_the_call_is_not_dropped_by_what_it_records(pipe):
    """A shutdown callback may still state what became of the caller's task."""
    job = Job(pipe=pipe)
    kept: list[Any] = []

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        call = trunktrace.current_call()

        async def summary() -> None:
            call.record_task("completed")
            kept.extend(mark.value for mark in call.story().marks if mark.kind == "task")

        ctx.add_shutdown_callback(summary)
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    assert kept == ["completed"]
