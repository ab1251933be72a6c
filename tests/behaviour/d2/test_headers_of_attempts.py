"""The trace of each attempt in its own headers, and what the far end wrote as a link."""

from __future__ import annotations

import pytest
from opentelemetry import trace

import trunktrace

from .lk import CALLEE, SERVER_ERROR, LiveKit, answer, refuse
from .traces import Traces, attributes, everything, in_clear

FAR, FAR_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{FAR}-{FAR_SPAN}-01"


def traceparent(span) -> str:
    own = span.context
    return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"


async def one(traces: Traces, livekit: LiveKit, request=None, **settings):
    async def work(ctx):
        try:
            await ctx.api.sip.create_sip_participant(request or livekit.request())
        except SERVER_ERROR:
            pass

    await traces.job(livekit, work, **settings)
    return livekit.created[0]


async def test_every_attempt_carries_its_own_span(traces: Traces):
    """Out: X-Traceparent of each request is that attempt's sip.invite."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            await trunktrace.dial(ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)

        await traces.job(livekit, work)
        sent = [dict(request.headers)["X-Traceparent"] for request in livekit.created]
    assert sent == [traceparent(span) for span in traces.invites]
    assert sent[0] != sent[1]


async def test_the_participant_carries_it_for_the_bye(traces: Traces):
    """Back on BYE: the attribute that `attributes_to_headers` of the trunk maps."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        sent = await one(traces, livekit)
    told = dict(sent.participant_attributes)
    assert told["trunktrace.traceparent"] == dict(sent.headers)["X-Traceparent"]


@pytest.mark.parametrize("name", ["X-Traceparent", "x-traceparent"])
async def test_the_users_own_header_stays(traces: Traces, name: str):
    """Who sets the header himself has his reasons."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        sent = await one(traces, livekit, livekit.request(headers={name: GOOD}))
    assert dict(sent.headers) == {name: GOOD}


async def test_it_can_be_switched_off(traces: Traces):
    """`sip_headers=False`: the attempt is traced, and nothing is written."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        sent = await one(traces, livekit, sip_headers=False)
    assert dict(sent.headers) == {}
    assert dict(sent.participant_attributes) == {}
    assert len(traces.invites) == 1


async def test_it_can_be_switched_off_for_the_process(traces: Traces, monkeypatch):
    """The environment stands above the code."""
    monkeypatch.setenv("TRUNKTRACE_SIP_HEADERS", "0")
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        sent = await one(traces, livekit, sip_headers=trunktrace.SipPropagator())
    assert dict(sent.headers) == {}


async def test_session_id_and_baggage_if_asked(traces: Traces):
    """Each attempt's own carrier, and the trace id as Session-ID."""
    headers = trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier", "trunk.route"])
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            await trunktrace.dial(ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)

        await traces.job(livekit, work, sip_headers=headers)
        first, second = (dict(request.headers) for request in livekit.created)
    assert "trunk.carrier=telnyx" in first["X-Baggage"]
    assert "trunk.carrier=twilio" in second["X-Baggage"]
    assert (
        "trunk.route=west%2Fsecond" in second["X-Baggage"] or "west/second" in second["X-Baggage"]
    )
    trace_id = f"{traces.root.context.trace_id:032x}"
    assert first["Session-ID"] == second["Session-ID"] == f"{trace_id};remote={'0' * 32}"
    ours = sum(len(f"{name}: {value}\r\n") for name, value in first.items())
    assert ours <= 320


async def test_no_number_goes_out_in_a_header_of_ours(traces: Traces):
    """Neither the callee's nor the caller's."""
    headers = trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier", "trunk.route"])
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        sent = await one(traces, livekit, sip_headers=headers)
    assert in_clear(repr(dict(sent.headers)) + repr(dict(sent.participant_attributes))) == []


@pytest.mark.parametrize(
    "told",
    [
        {"sip.h.x-traceparent": GOOD},
        {"sip.h.traceparent": GOOD},
        {"trunktrace.traceparent": GOOD},
        {"X-Traceparent": GOOD},
        {"sip.h.b3": f"{FAR}-{FAR_SPAN}-1"},
        {"sip.h.x-trace-id": FAR, "sip.h.x-span-id": FAR_SPAN},
        {"sip.h.user-to-user": f"{GOOD.encode().hex()};encoding=hex"},
    ],
    ids=lambda told: next(iter(told)),
)
@pytest.mark.parametrize("before", [True, False], ids=["there", "joins"])
async def test_an_inbound_trace_is_a_link_of_the_root(traces: Traces, told, before):
    """In: a span link, never a parent."""
    about = {"sip.callStatus": "active", "sip.ruleID": "SDR_1", "sip.trunkID": "ST_a", **told}
    async with LiveKit() as livekit:
        if before:
            livekit.room.join("caller", about)

        async def work(ctx):
            if not before:
                livekit.room.join("caller", about)

        await traces.job(livekit, work)
    root = traces.root
    assert root.parent is None
    assert [
        (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in root.links
    ] == [(FAR, FAR_SPAN)]
    assert f"{root.context.trace_id:032x}" != FAR


async def test_an_inbound_session_id_is_a_fact(traces: Traces):
    """Session-ID has no span id: sip.session_id on the root, no link."""
    about = {"sip.callStatus": "active", "sip.ruleID": "SDR_1", "sip.trunkID": "ST_a"}
    about["sip.h.session-id"] = f"{FAR};remote={'0' * 32}"
    async with LiveKit() as livekit:

        async def work(ctx):
            livekit.room.join("caller", about)

        await traces.job(livekit, work)
    assert attributes(traces.root)["sip.session_id"] == FAR
    assert traces.root.links == ()


@pytest.mark.parametrize(
    "value", ["", "x", GOOD + "\r\nX: y", "00-" + "0" * 32 + "-1-1", "a" * 9000]
)
async def test_a_hostile_inbound_header_is_nothing(traces: Traces, value: str):
    """Neither link nor attribute nor exception."""
    about = {"sip.callStatus": "active", "sip.ruleID": "SDR_1", "sip.h.x-traceparent": value}
    async with LiveKit() as livekit:

        async def work(ctx):
            livekit.room.join("caller", about)

        await traces.job(livekit, work)
    assert traces.root.links == ()
    assert "trunktrace.link.trace_id" not in attributes(traces.root)


async def test_our_own_trace_that_comes_back_is_no_link(traces: Traces):
    """The 200 echoes our header: the root does not link to itself."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            mine = dict(livekit.created[0].headers)["X-Traceparent"]
            livekit.room.change("callee", {"sip.h.x-traceparent": mine})

        await traces.job(livekit, work)
    assert traces.root.links == ()


def test_start_call_takes_the_headers_of_an_invite(traces: Traces):
    """Outside LiveKit: a link by default, the parent if told to."""
    with trunktrace.start_call(direction="inbound", sip_headers={"X-Traceparent": GOOD}):
        pass
    with trunktrace.start_call(
        direction="inbound", sip_headers=[("x-traceparent", GOOD)], as_parent=True
    ):
        pass
    linked, child = traces.named("sip.call")
    assert f"{linked.links[0].context.trace_id:032x}" == FAR
    assert linked.parent is None
    assert child.parent is not None
    assert f"{child.context.trace_id:032x}" == FAR
    assert child.parent.is_remote
    assert child.kind is trace.SpanKind.SERVER


async def test_no_number_is_exported_of_a_call_with_all_headers(traces: Traces):
    """An INVITE with every header: what we add says no number."""
    about = {
        "sip.callStatus": "active",
        "sip.ruleID": "SDR_1",
        "sip.trunkID": "ST_a",
        "sip.phoneNumber": "+15557778888",
        "sip.trunkPhoneNumber": "+15550001111",
        "sip.h.from": '"Caller" <sip:+15557778888@192.0.2.1>;tag=1',
        "sip.h.p-asserted-identity": "<sip:+15557778888@carrier.example.com>",
        "sip.h.user-to-user": "15557778888;encoding=ascii",
        "sip.h.session-id": "00000000000000000000015557778888",
        "sip.callIDFull": "+15557778888-1@192.0.2.1",
    }
    async with LiveKit() as livekit:

        async def work(ctx):
            livekit.room.join("sip_+15557778888", about)

        await traces.job(livekit, work)
    assert in_clear(everything(traces.spans), "+15557778888", "+15550001111") == []
