"""A traced job on one side of a real Kamailio, a carrier on the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from livekit import api
from livekit.agents import telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from tests.behaviour.fakejob import INBOUND, OUTBOUND, Job, Participant, settle

import trunktrace

from .servers import HOST
from .sip_api import sip_api
from .sip_bridge import Call, sip_bridge
from .sip_calls import (
    ALL_HEADERS,
    BACK_ON_BYE,
    CARRIERS_SESSION,
    NIL,
    THEIRS,
    TRACEPARENT,
    X_HEADERS,
    from_carrier,
    lines_of,
    request,
)


async def test_the_root_of_the_job_links_to_the_carriers_span(kamailios, start_sipp):
    """What came through the controller, in a job: a link to the span that called, no parent."""
    async with sip_bridge(X_HEADERS) as bridge:
        sent = f"X-Traceparent: {TRACEPARENT}"
        call, _ = await from_carrier(start_sipp, kamailios["open"], bridge, sent)
    root = await root_of_inbound(call)
    (link,) = root.links
    assert link.context == THEIRS
    assert dict(link.attributes) == {"trunktrace.link.header": "X-Traceparent"}
    assert root.parent is None
    assert root.context.trace_id != THEIRS.trace_id


async def test_the_root_of_a_stripped_call_has_the_session(kamailios, start_sipp):
    """Where X- headers are taken out, the root has the carrier's Session-ID, and no link."""
    async with sip_bridge(ALL_HEADERS) as bridge:
        sent = (f"X-Traceparent: {TRACEPARENT}", f"Session-ID: {CARRIERS_SESSION};remote={NIL}")
        call, _ = await from_carrier(start_sipp, kamailios["strips"], bridge, *sent)
    root = await root_of_inbound(call)
    assert root.attributes["sip.session_id"] == CARRIERS_SESSION
    assert not root.links


async def test_a_controller_can_name_the_call_by_its_own_call_id(kamailios, start_sipp):
    """With the line of the documentation, the root is found by the MD5 of the carrier's Call-ID."""
    async with sip_bridge(X_HEADERS) as bridge:
        call, seen = await from_carrier(start_sipp, kamailios["names"], bridge, "Subject: test")
    root = await root_of_inbound(call)
    named = hashlib.md5(request(seen, "INVITE").message.call_id.encode()).hexdigest()
    assert root.attributes["trunktrace.link.trace_id"] == named
    assert not root.links


async def root_of_inbound(call: Call) -> ReadableSpan:
    """The root of a job whose caller has the attributes of that call."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(Participant("sip_carrier", INBOUND | call.attributes))
        await settle()

    await job.run(entry)
    return job.pipe.named("job_entrypoint")


@pytest.fixture
def job() -> Iterator[Job]:
    """A job whose trace ids are UUIDs, and whose provider is LiveKit's."""
    one = Job()
    one.pipe.provider.id_generator = trunktrace.SessionIdGenerator()
    one.pipe.tracer = one.pipe.provider.get_tracer("agent")
    telemetry.set_tracer_provider(one.pipe.provider)
    yield one
    telemetry.set_tracer_provider(trace.get_tracer_provider())


async def test_a_dial_of_the_agent_is_one_trace_up_to_the_carrier(job, kamailios, start_sipp):
    """An agent asks LiveKit's API for a call: the carrier's INVITE and BYE name that attempt."""
    sbc = kamailios["open"]
    headers = trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier"])
    sipp = start_sipp("carrier_answers", sbc, session=CARRIERS_SESSION)
    await sipp.listens()

    async with sip_bridge(BACK_ON_BYE) as bridge, sip_api(bridge, sbc.place) as client:

        async def entry(ctx: Any) -> None:
            request = request_for(sipp.port, room_name=ctx.room.name)
            await client.sip.create_sip_participant(request)
            active = {"sip.callStatus": "active"}
            ctx.room.join(Participant("callee", OUTBOUND | bridge.calls[0].attributes | active))
            await settle()

        await job.run(entry, sip_headers=headers)
        assert (await bridge.hang_up(bridge.calls[0])).code == 200
    seen = await sipp.done()
    root, span = job.pipe.named("job_entrypoint"), job.pipe.named("sip.invite").context
    trace_id = f"{span.trace_id:032x}"
    header = f"X-Traceparent: 00-{trace_id}-{span.span_id:016x}-{span.trace_flags:02x}"
    assert span.trace_id == root.context.trace_id
    invite = lines_of(request(seen, "INVITE").raw)
    assert {header, f"Session-ID: {trace_id};remote={NIL}"} <= set(invite)
    assert "X-Baggage: trunk.carrier=twilio" in invite
    assert header in lines_of(request(seen, "BYE").raw)
    assert root.attributes["sip.session_id"] == CARRIERS_SESSION
    assert not root.links, "the carrier has no trace of its own"


async def test_a_dial_that_the_controller_refuses_says_why(job, kamailios):
    """The user's own header of 900 bytes is too long for the controller: 513 on the attempt."""
    sbc = kamailios["narrow"]
    async with sip_bridge(ALL_HEADERS) as bridge, sip_api(bridge, sbc.place) as client:

        async def entry(ctx: Any) -> None:
            long = {"X-Mine": "v" * 900}
            request = request_for(9, room_name=ctx.room.name, headers=long)
            with pytest.raises(api.SipCallError):
                await client.sip.create_sip_participant(request)

        await job.run(entry)
    told = job.pipe.attributes("sip.invite")
    assert told["sip.response.status_code"] == 513
    assert told["sip.response.reason"] == "Message Too Large"


def request_for(port: int, **asked: Any) -> api.CreateSIPParticipantRequest:
    """What an agent asks for, at a trunk on that port of loopback."""
    return api.CreateSIPParticipantRequest(
        sip_trunk_id="ST_out",
        trunk=api.SIPOutboundConfig(hostname=f"{HOST}:{port}"),
        sip_call_to="carrier",
        participant_identity="callee",
        wait_until_answered=True,
        **asked,
    )
