"""The fakes of the demo hold a call through the real AgentSession, with plain OpenTelemetry."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from trunktrace.livekit.demo.agent import play
from trunktrace.livekit.demo.conversation import Conversation, Line, Packets, Turn
from trunktrace.livekit.demo.jobs import by_room, can_simulate_jobs, run_jobs

CONVERSATION = Conversation(
    "Hello!",
    (
        Turn(said="On Tuesday?", heard="On Tuesday", looks_up="Tuesday", reply="At ten."),
        Turn(said="Yes.", heard="Yes", reply="Booked."),
    ),
)


@pytest.fixture
def exporter():
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    telemetry.set_tracer_provider(provider)
    yield kept
    telemetry.set_tracer_provider(trace.get_tracer_provider())
    provider.shutdown()


def names(spans: tuple[ReadableSpan, ...]) -> list[str]:
    return [span.name for span in spans]


async def test_a_played_call_has_the_spans_of_a_real_one(exporter):
    """One simulated job yields user, model, tool and speech spans under one job_entrypoint."""

    async def hold(room: str) -> None:
        await play(CONVERSATION, Line(), lambda packets: None)

    await run_jobs(by_room(hold), ["call"])
    spans = exporter.get_finished_spans()
    found = names(spans)
    assert found.count("user_turn") == 2
    assert found.count("llm_node") == 3
    assert found.count("function_tool") == 1
    assert found.count("tts_node") == 3
    assert found.count("agent_speaking") == 3
    assert {"user_speaking", "eou_wait", "llm_request", "tts_request"} <= set(found)
    assert [span.name for span in spans if span.parent is None] == ["job_entrypoint"]
    assert len({span.context.trace_id for span in spans}) == 1


async def test_what_is_heard_and_answered_is_what_the_script_says(exporter):
    """The recogniser and the model act on the audio that came through the line."""
    await play(CONVERSATION, Line(), lambda packets: None)
    text = " ".join(str(dict(span.attributes or {})) for span in exporter.get_finished_spans())
    for turn in CONVERSATION.turns:
        assert turn.heard in text
        assert turn.reply in text


async def test_a_bad_line_loses_the_packets_that_are_reported(exporter):
    """The observer is told how many packets of each stretch of speech the line lost."""
    seen: list[Packets] = []
    await play(CONVERSATION, Line(lose_in_every=4), seen.append)
    incoming = [packets for packets in seen if packets.direction == "in"]
    assert [packets.loss_ratio for packets in incoming] == [0.25, 0.25]
    assert all(packets.lost == 0 for packets in seen if packets.direction == "out")
    assert all(packets.start < packets.end for packets in seen)


async def test_calls_at_once_each_have_their_own_trace(exporter):
    """Simulated jobs that run at the same time are as many traces, each complete."""

    async def hold(room: str) -> None:
        await play(CONVERSATION, Line(), lambda packets: None)

    await run_jobs(by_room(hold), ["one", "two", "three"])
    by_trace: dict[int, list[str]] = {}
    for span in exporter.get_finished_spans():
        by_trace.setdefault(span.context.trace_id, []).append(span.name)
    assert [found.count("user_turn") for found in by_trace.values()] == [2, 2, 2]


async def test_a_call_that_fails_ends_its_job(exporter):
    """An exception of the call is on the job's root, and the others are not held up by it."""

    async def hold(room: str) -> None:
        if room == "refused":
            raise ConnectionRefusedError("no such line")
        await play(CONVERSATION, Line(), lambda packets: None)

    await asyncio.wait_for(run_jobs(by_room(hold), ["refused", "good"]), 30)
    roots = [span for span in exporter.get_finished_spans() if span.parent is None]
    assert len(roots) == 2
    assert sum(not span.status.is_ok and span.name == "job_entrypoint" for span in roots) == 1


def test_this_livekit_agents_can_simulate_jobs():
    """The demo's root is LiveKit's own: the public simulated job is there."""
    assert can_simulate_jobs()
