"""The trunk's facts travel as baggage with the requests of function tools, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from livekit.agents import Agent, JobContext, function_tool, telemetry
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import trunktrace
from trunktrace.call_baggage import CallBaggagePropagator, tool_baggage
from trunktrace.errors import ConfigurationError
from trunktrace.livekit.demo import agent as demo_agent
from trunktrace.livekit.demo.conversation import Conversation, Line, Turn
from trunktrace.livekit.demo.jobs import run_jobs
from trunktrace.livekit.demo.llm import TOOL, ScriptedLLM

from .behaviour.fakejob import CALLER, REASON, Job, callee, caller
from .behaviour.kit import Pipeline, under

ALLOWED = ["trunk.carrier", "trunk.route"]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Whatever the test installs is taken back."""
    before = propagate.get_global_textmap()
    standard = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    propagate.set_global_textmap(standard)
    yield
    tool_baggage.uninstall()
    propagate.set_global_textmap(before)


def request(pipe: Pipeline, *names: str) -> dict[str, str]:
    """The headers of a request that is made inside these spans."""
    headers: dict[str, str] = {}
    if not names:
        propagate.inject(headers)
        return headers
    with pipe.tracer.start_as_current_span(names[0]):
        return request(pipe, *names[1:])


def entries(headers: dict[str, str]) -> dict[str, object]:
    """What the far end reads out of the `baggage` header."""
    return dict(baggage.get_all(W3CBaggagePropagator().extract(headers)))


async def test_a_tools_request_says_the_carrier() -> None:
    """Within a function tool the request carries the allowed facts, and the trace as before."""
    job = Job()
    sent: dict[str, str] = {}

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        sent.update(request(job.pipe, "function_tool", "POST"))

    await job.run(entry, tool_baggage=ALLOWED)
    assert entries(sent) == {"trunk.carrier": "telnyx", "trunk.route": "us-east/primary"}
    assert sent["traceparent"].split("-")[1] == f"{job.pipe.named('POST').context.trace_id:032x}"
    assert CALLER not in str(sent)


async def test_other_requests_carry_nothing_of_ours() -> None:
    """A request to a language model, and one outside of any span, has no baggage."""
    job = Job()
    sent: list[dict[str, str]] = []

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        sent.append(request(job.pipe, "llm_node", "POST"))
        sent.append(request(job.pipe))
        with job.pipe.tracer.start_as_current_span("function_tool"):
            pass
        sent.append(request(job.pipe, "POST"))

    await job.run(entry, tool_baggage=ALLOWED)
    sent.append(request(job.pipe, "function_tool", "POST"))
    assert [headers for headers in sent if "baggage" in headers] == []


async def test_nothing_travels_unless_it_is_asked_for() -> None:
    """Without `tool_baggage` a tool's request is as it was."""
    job = Job()
    sent: dict[str, str] = {}

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        sent.update(request(job.pipe, "function_tool", "POST"))

    await job.run(entry)
    assert "baggage" not in sent


async def test_the_values_are_those_of_the_moment() -> None:
    """What is not known yet is absent, and the next attempt's trunk is said of the next request."""
    job = Job()
    sent: list[dict[str, object]] = []

    async def entry(ctx: Any) -> None:
        sent.append(entries(request(job.pipe, "function_tool", "GET")))
        first = ctx.room.join(callee())
        sent.append(entries(request(job.pipe, "function_tool", "GET")))
        ctx.room.leave(first, REASON.CLIENT_INITIATED)
        other = {"sip.trunkID": "ST_in", "sip.callID": "SCL_other"}
        ctx.room.join(callee(**other))
        sent.append(entries(request(job.pipe, "function_tool", "GET")))

    await job.run(entry, tool_baggage=ALLOWED)
    assert sent == [
        {},
        {"trunk.carrier": "twilio", "trunk.route": "out/one"},
        {"trunk.carrier": "telnyx", "trunk.route": "us-east/primary"},
    ]


async def test_the_users_own_baggage_stays() -> None:
    """What the agent's code has put into the context travels beside ours."""
    job = Job()
    sent: dict[str, str] = {}

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        token = attach(baggage.set_baggage("tenant", "acme"))
        sent.update(request(job.pipe, "function_tool", "POST"))
        detach(token)

    await job.run(entry, tool_baggage=["trunk.carrier"])
    assert entries(sent) == {"tenant": "acme", "trunk.carrier": "telnyx"}


async def test_where_baggage_is_not_sent_the_users_own_stays_at_home() -> None:
    """A process without the baggage propagator sends our entries alone."""
    propagate.set_global_textmap(plain := TraceContextTextMapPropagator())
    job = Job()
    sent: dict[str, str] = {}

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        token = attach(baggage.set_baggage("tenant", "acme"))
        sent.update(request(job.pipe, "function_tool", "POST"))
        detach(token)

    await job.run(entry, tool_baggage=["trunk.carrier"])
    assert entries(sent) == {"trunk.carrier": "telnyx"}
    tool_baggage.uninstall()
    assert propagate.get_global_textmap() is plain


def test_uninstrument_puts_the_global_propagator_back() -> None:
    """What was added behind the process's own is taken away, unless another was set since."""
    before = propagate.get_global_textmap()
    tool_baggage.install()
    tool_baggage.install()
    assert propagate.get_global_textmap() is not before
    trunktrace.uninstrument()
    assert propagate.get_global_textmap() is before
    tool_baggage.install()
    propagate.set_global_textmap(another := TraceContextTextMapPropagator())
    trunktrace.uninstrument()
    assert propagate.get_global_textmap() is another


async def test_two_agents_in_one_process_have_their_own_keys() -> None:
    """What one agent allows is not sent for the other, at the same time."""
    jobs = {"a": Job(pipe=Pipeline(seed=1)), "b": Job(pipe=Pipeline(seed=2))}
    sent: dict[str, dict[str, object]] = {}
    both = asyncio.Barrier(2)

    async def run(name: str, keys: list[str]) -> None:
        job = jobs[name]

        async def entry(ctx: Any) -> None:
            ctx.room.join(caller())
            await both.wait()
            sent[name] = entries(request(job.pipe, "function_tool", "POST"))

        await job.run(entry, tool_baggage=keys)

    await asyncio.gather(run("a", ["trunk.carrier"]), run("b", ["trunk.region"]))
    assert sent == {"a": {"trunk.carrier": "telnyx"}, "b": {"trunk.region": "us1"}}


async def test_a_thread_of_a_tool_carries_it_too() -> None:
    """A tool that works in a thread, as asyncio starts it, sends the same."""
    job = Job()
    sent: dict[str, str] = {}

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        with job.pipe.tracer.start_as_current_span("function_tool"):
            sent.update(await asyncio.to_thread(request, job.pipe, "POST"))

    await job.run(entry, tool_baggage=["trunk.carrier"])
    assert entries(sent) == {"trunk.carrier": "telnyx"}


async def test_an_unsampled_call_sends_none() -> None:
    """Where no span is recorded nobody can tell a tool's request from another: nothing is added."""
    job = Job(pipe=Pipeline(sampler=ALWAYS_OFF))
    sent: dict[str, str] = {}

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        sent.update(request(job.pipe, "function_tool", "POST"))

    await job.run(entry, tool_baggage=ALLOWED)
    assert "baggage" not in sent


@pytest.mark.parametrize(
    "keys",
    [
        "trunk.carrier",
        ["trunk.carier"],
        ["sip.caller.number"],
        ["sip.response.reason"],
        ["sip.call_id"],
        ["sip.caller.hash"],
        ["sip.caller.pii.number"],
        ["trunktrace.sources"],
        [3],
        None,
    ],
)
def test_wrong_keys_are_refused_at_once(keys: Any) -> None:
    """A key that is unknown, a list, or says something of a person raises where it is given."""
    with pytest.raises(ConfigurationError, match="tool_baggage"):
        trunktrace.traced_call(tool_baggage=keys)
    with pytest.raises(ConfigurationError, match="keys"):
        CallBaggagePropagator(keys)


def test_a_number_that_is_given_for_a_key_is_not_shown() -> None:
    """The error says what is wrong, and not the number."""
    with pytest.raises(ConfigurationError) as caught:
        CallBaggagePropagator(["+15550100001"])
    assert "5550100001" not in f"{caught.value} {caught.value!r} {caught.value.value}"


def test_by_hand_outside_of_livekit() -> None:
    """The propagator works alone around `start_call`, with keys of its own."""
    pipe = Pipeline()
    sent: dict[str, str] = {}
    with (
        pipe.call(direction="inbound", carrier="telnyx"),
        pipe.tracer.start_as_current_span("function_tool"),
    ):
        CallBaggagePropagator(["trunk.carrier"]).inject(sent)
    assert entries(sent) == {"trunk.carrier": "telnyx"}
    outside: dict[str, str] = {}
    CallBaggagePropagator(["trunk.carrier"]).inject(
        outside, under(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT))
    )
    assert outside == {}


@pytest.mark.parametrize(
    "route",
    ["did-5550199123", "gw (555) 019.91-23", "sip:bob@carrier.example", "did-555%2D0199123"],
)
def test_a_number_in_a_routes_name_stays_at_home(route: str) -> None:
    """It names somebody: it is left out, and an id that looks like a number is not."""
    pipe = Pipeline()
    sent: dict[str, str] = {}
    with pipe.call(direction="outbound", carrier="telnyx") as call:
        call.record(route=route, trunk_id="1494404757140276705")
        with pipe.tracer.start_as_current_span("function_tool"):
            keys = ["trunk.route", "trunk.id", "trunk.carrier"]
            CallBaggagePropagator(keys).inject(sent)
    assert entries(sent) == {"trunk.id": "1494404757140276705", "trunk.carrier": "telnyx"}


async def test_a_real_session_sends_it_from_its_tool_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In livekit-agents' own session a tool's request carries it; the model's requests do not."""
    sent: dict[str, list[dict[str, str]]] = {"tool": [], "model": []}

    def ask(where: str) -> None:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        sent[where].append(headers)

    class Clerk(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="Be brief.")

        @function_tool(name=TOOL)
        async def find_appointment(self, day: str) -> str:
            """Find a free appointment on that day."""
            ask("tool")
            return f"{day}: 10:30 is free"

    class Model(ScriptedLLM):
        def chat(self, **asked: Any) -> Any:
            ask("model")
            return super().chat(**asked)

    monkeypatch.setattr(demo_agent, "_Clerk", Clerk)
    monkeypatch.setattr(demo_agent, "ScriptedLLM", Model)
    pipe = Pipeline()
    telemetry.set_tracer_provider(pipe.provider)

    @trunktrace.traced_call(tool_baggage=ALLOWED)
    async def entry(ctx: JobContext) -> None:
        trunktrace.current_call().record(carrier="acme", direction="inbound")
        turn = Turn(said="On Tuesday?", heard="On Tuesday", looks_up="Tuesday", reply="At ten.")
        await demo_agent.play(Conversation("Hello!", (turn,)), Line(), lambda _: None)
        ctx.shutdown("the caller hung up")

    try:
        await run_jobs(entry, ["call"])
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    assert [entries(headers) for headers in sent["tool"]] == [{"trunk.carrier": "acme"}]
    assert len(sent["model"]) == 2
    assert not any("baggage" in headers for headers in sent["model"])
