"""Within the call trunk.* travels as baggage to the services that function tools call."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession, web
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace
from trunktrace.errors import ConfigurationError

from .lk import LiveKit, answer
from .traces import Traces


async def injected(traces: Traces, where: str = "function_tool", **settings) -> dict[str, str]:
    """What an instrumented HTTP client would send from within a span of this name."""
    headers: dict[str, str] = {}
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            with traces.tracer.start_as_current_span(where):
                propagate.inject(headers)

        await traces.job(livekit, work, **settings)
    return headers


async def test_the_carrier_reaches_a_tools_request(traces: Traces):
    """Opt-in, by key."""
    headers = await injected(traces, tool_baggage=["trunk.carrier"])
    assert headers["baggage"] == "trunk.carrier=telnyx"
    assert "traceparent" in headers


async def test_by_default_nothing_travels(traces: Traces):
    """It is opt-in."""
    assert "baggage" not in await injected(traces)


@pytest.mark.parametrize("where", ["llm_request_run", "tts_request", "user_turn", "agent_turn"])
async def test_only_tools_send_it(traces: Traces, where: str):
    """Requests to models go to other companies."""
    assert "baggage" not in await injected(traces, where, tool_baggage=["trunk.carrier"])


@pytest.mark.parametrize(
    "key", ["sip.callee.number", "sip.caller.pii.number", "trunk.nothing", "", "carrier"]
)
def test_other_keys_are_refused(key: str):
    """Allow-listed: trunk.* of the vocabulary."""
    with pytest.raises(ConfigurationError):
        trunktrace.traced_call(tool_baggage=[key])


async def test_the_users_own_baggage_stays(traces: Traces):
    """Ours stands beside it."""
    headers: dict[str, str] = {}
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            with traces.tracer.start_as_current_span("function_tool"):
                propagate.inject(headers, context=baggage.set_baggage("tenant", "acme"))

        await traces.job(livekit, work, tool_baggage=["trunk.carrier"])
    assert set(headers["baggage"].split(",")) == {"tenant=acme", "trunk.carrier=telnyx"}


async def test_a_crms_spans_say_the_carrier(traces: Traces):
    """Over real HTTP: the service reads the baggage and is in the same trace."""
    there = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(there))

    async def crm(request):
        held = propagate.extract(dict(request.headers))
        with provider.get_tracer("crm").start_as_current_span("lookup", held) as span:
            for key, value in baggage.get_all(held).items():
                span.set_attribute(key, str(value))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", crm)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with LiveKit({"ST_a": [answer()]}) as livekit, ClientSession() as http:

        async def tool():
            with traces.tracer.start_as_current_span("function_tool"):
                headers: dict[str, str] = {}
                propagate.inject(headers)
                async with http.get(url, headers=headers):
                    pass

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            await asyncio.create_task(tool())

        keys = ["trunk.carrier", "trunk.route"]
        await traces.job(livekit, work, tool_baggage=keys)
    await runner.cleanup()
    (span,) = there.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["trunk.carrier"] == "telnyx"
    assert span.attributes["trunk.route"] == "east/primary"
    assert span.context is not None
    assert span.context.trace_id == traces.root.context.trace_id
    provider.shutdown()


async def test_after_the_call_nothing_of_it_is_left_in_the_context(traces: Traces):
    """The call's end takes its baggage with it."""
    await injected(traces, tool_baggage=["trunk.carrier"])
    headers: dict[str, str] = {}
    W3CBaggagePropagator().inject(headers)
    assert headers == {}
    assert not trace.get_current_span().get_span_context().is_valid
