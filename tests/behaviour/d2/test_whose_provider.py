"""Attempts are spans of the provider that made the call's root, whichever that is."""

from __future__ import annotations

import pytest
from livekit.agents import telemetry
from opentelemetry import trace

import trunktrace

from .lk import CALLEE, LiveKit, answer, refuse
from .traces import Traces, attributes


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Traces:
    """The provider that LiveKit has, which is not the one of the root."""
    made = Traces()
    monkeypatch.setattr(telemetry.tracer, "_tracer_provider", made.provider)
    return made


async def test_a_root_of_the_global_provider(other: Traces, monkeypatch: pytest.MonkeyPatch):
    """LiveKit still has the provider of an earlier day; the root is the global one's."""
    mine = Traces()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", mine.provider)
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())

        await mine.job(livekit, work)
    assert attributes(mine.one("sip.invite"))["sip.response.status_code"] == 200
    assert other.spans == []


async def test_a_root_of_livekits_provider(other: Traces, monkeypatch: pytest.MonkeyPatch):
    """LiveKit's own provider made the root: the global one gets none of ours."""
    everybodys = Traces()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", everybodys.provider)
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())

        await other.job(livekit, work)
    assert attributes(other.one("sip.invite"))["sip.response.status_code"] == 200
    assert everybodys.spans == []


async def test_a_call_that_was_given_a_provider(other: Traces):
    """`start_call(tracer_provider=...)`: the attempts of a dial in it are spans of that one."""
    mine = Traces()
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        with trunktrace.start_call(direction="outbound", tracer_provider=mine.provider):
            await trunktrace.dial(livekit.ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)
        livekit.room.disconnect()
    call = mine.one("sip.call")
    assert [span.parent.span_id for span in mine.invites if span.parent] == [
        call.context.span_id
    ] * 2
    assert other.spans == []
