"""Trace context through a real SIP element: sipp, Kamailio that hides topology, and a bridge."""

from __future__ import annotations

import pytest

from trunktrace.propagation import TRACEPARENT_ATTRIBUTE, read_headers, write_headers

from .servers import HOST
from .sip_bridge import sip_bridge
from .sip_calls import (
    ALL_HEADERS,
    BACK_ON_BYE,
    BUDGET_BYTES,
    BY_NAME,
    CARRIERS_SESSION,
    NIL,
    OURS,
    SESSION,
    SPAN,
    THEIRS,
    TRACE,
    TRACEPARENT,
    X_HEADERS,
    from_carrier,
    lines_of,
    request,
    to_carrier,
)


@pytest.mark.parametrize(
    "trunk, session",
    [(ALL_HEADERS, SESSION), (X_HEADERS, None), (BY_NAME, SESSION)],
    ids=["all", "x", "by name"],
)
async def test_a_carriers_trace_survives_a_renamed_call(trunk, session, kamailios, start_sipp):
    """Behind the controller the Call-ID is another; the headers are the same, byte for byte."""
    sent = (
        f"X-Traceparent: {TRACEPARENT}",
        f"Session-ID: {SESSION};remote={NIL}",
        f"User-to-User: 00{TRACEPARENT.encode().hex()};encoding=hex",
        "X-Baggage: carrier=acme,route=east",
    )
    async with sip_bridge(trunk) as bridge:
        call, seen = await from_carrier(start_sipp, kamailios["open"], bridge, *sent)
    assert call.call_id != request(seen, "INVITE").message.call_id
    assert set(sent) <= set(lines_of(call.raw))
    remote = read_headers(call.attributes)
    assert remote is not None
    assert (remote.header, remote.session_id) == ("X-Traceparent", session)
    assert remote.span_context == THEIRS


@pytest.mark.parametrize(
    "line",
    [
        f"Traceparent: {TRACEPARENT}",
        f"X-Trace-ID: {TRACE}",
        f"b3: {TRACE}-{SPAN}-1",
        f"Session-ID: {TRACE};remote={NIL}",
        f"User-to-User: 00{TRACEPARENT.encode().hex()};encoding=hex",
    ],
    ids=lambda line: line.partition(":")[0],
)
async def test_other_headers_survive_as_well(line, kamailios, start_sipp):
    """Each header that others write comes through the controller and names the trace."""
    async with sip_bridge(ALL_HEADERS) as bridge:
        call, _ = await from_carrier(start_sipp, kamailios["open"], bridge, line)
    assert line in lines_of(call.raw)
    remote = read_headers(call.attributes)
    assert remote is not None
    assert f"{remote.trace_id:032x}" == TRACE
    assert remote.header.lower() == line.partition(":")[0].lower()


async def test_the_controllers_log_leads_to_the_trace(kamailios, start_sipp):
    """Its accounting has the carrier's Call-ID and our header in one line, not the bridge's ID."""
    sbc = kamailios["open"]
    async with sip_bridge(X_HEADERS) as bridge:
        sent = f"X-Traceparent: {TRACEPARENT}"
        call, seen = await from_carrier(start_sipp, sbc, bridge, sent)
    invite, _ = await sbc.accounts(request(seen, "INVITE").message.call_id)
    assert (invite["method"], invite["traceparent"]) == ("INVITE", TRACEPARENT)
    assert sbc.accounted(call.call_id) == []


async def test_of_our_calls_the_log_has_the_bridges_call_id(kamailios, start_sipp):
    """Who calls names the call: outbound, the log has the Call-ID and the trace of the bridge."""
    sbc = kamailios["open"]
    async with sip_bridge(ALL_HEADERS) as bridge:
        ours = write_headers(OURS, session_id=True)
        call, seen = await to_carrier(start_sipp, sbc, bridge, ours)
    invite, bye = await sbc.accounts(call.call_id)
    assert (invite["method"], invite["traceparent"]) == ("INVITE", TRACEPARENT)
    assert bye["method"] == "BYE"
    assert sbc.accounted(request(seen, "INVITE").message.call_id) == []


async def test_our_headers_reach_the_carrier(kamailios, start_sipp):
    """What we write into an INVITE stands in the carrier's, under another Call-ID; so on BYE."""
    ours = write_headers(OURS, session_id=True, baggage={"trunk.carrier": "acme"})
    assert {"X-Traceparent", "Session-ID", "X-Baggage"} == set(ours)
    async with sip_bridge(BACK_ON_BYE) as bridge:
        call, seen = await to_carrier(
            start_sipp,
            kamailios["open"],
            bridge,
            ours,
            agent_sets={TRACEPARENT_ATTRIBUTE: TRACEPARENT},
        )
    invite, bye = request(seen, "INVITE"), request(seen, "BYE")
    assert invite.message.call_id == bye.message.call_id != call.call_id
    assert {f"{name}: {value}" for name, value in ours.items()} <= set(lines_of(invite.raw))
    assert f"X-Traceparent: {TRACEPARENT}" in lines_of(bye.raw)


async def test_the_answer_has_both_halves_of_the_session(kamailios, start_sipp):
    """The carrier answers with its own Session-ID and ours: both are read, in their places."""
    ours = write_headers(OURS, session_id=True)
    async with sip_bridge(ALL_HEADERS) as bridge:
        call, _ = await to_carrier(start_sipp, kamailios["open"], bridge, ours)
    told = call.attributes["sip.h.session-id"]
    assert told == f"{CARRIERS_SESSION};remote={ours['Session-ID'].partition(';')[0]}"
    remote = read_headers(call.attributes)
    assert remote is not None
    assert remote.header == "Session-ID"
    assert (remote.session_id, remote.session_id_remote) == (CARRIERS_SESSION, TRACE)


async def test_a_controller_that_strips_leaves_nothing(kamailios, start_sipp):
    """X- headers are taken out on the way: nothing is read, and the call is what it was."""
    async with sip_bridge(ALL_HEADERS) as bridge:
        sent = (f"X-Traceparent: {TRACEPARENT}", "X-Baggage: carrier=acme")
        call, _ = await from_carrier(start_sipp, kamailios["strips"], bridge, *sent)
    assert not [name for name in call.attributes if name.startswith("sip.h.x-")]
    assert read_headers(call.attributes) is None


async def test_a_controller_that_strips_can_be_told_to_keep_ours(kamailios, start_sipp):
    """With the line that the documentation gives, its own X- headers go and ours stay."""
    async with sip_bridge(X_HEADERS) as bridge:
        ours = (f"X-Traceparent: {TRACEPARENT}", "X-Baggage: trunk.carrier=acme")
        sent = (*ours, "X-Internal-Route: rack-7", "X-Traceparent-Old: no")
        call, _ = await from_carrier(start_sipp, kamailios["strips others"], bridge, *sent)
    arrived = [line for line in lines_of(call.raw) if line.startswith("X-")]
    assert arrived == list(ours)


async def test_session_id_survives_a_controller_that_strips(kamailios, start_sipp):
    """A standard header is no X- header: the trace is found by its Session-ID alone."""
    ours = write_headers(OURS, session_id=True)
    async with sip_bridge(ALL_HEADERS) as bridge:
        sent = [f"{name}: {value}" for name, value in ours.items()]
        call, _ = await from_carrier(start_sipp, kamailios["strips"], bridge, *sent)
    remote = read_headers(call.attributes)
    assert remote is not None
    assert remote.header == "Session-ID"
    assert f"{remote.trace_id:032x}" == TRACE


async def test_all_that_we_write_fits_a_datagram(kamailios, start_sipp):
    """With as many headers of ours as can be, an INVITE with SDP passes where 1300 bytes do."""
    ours = write_headers(OURS, session_id=True, baggage={"trunk.carrier": "a" * 135})
    assert sum(len(f"{name}: {value}\r\n") for name, value in ours.items()) == BUDGET_BYTES
    async with sip_bridge(ALL_HEADERS) as bridge:
        _, seen = await to_carrier(start_sipp, kamailios["narrow"], bridge, ours)
    arrived = lines_of(request(seen, "INVITE").raw)
    assert {f"{name}: {value}" for name, value in ours.items()} <= set(arrived)


async def test_a_long_header_is_refused_with_a_reason(kamailios, start_sipp):
    """A header of 2000 bytes costs the call, either way: 513, with the controller's phrase."""
    sbc, long = kamailios["narrow"], "k=" + "v" * 2000
    async with sip_bridge(ALL_HEADERS) as bridge:
        sipp = start_sipp(
            "carrier_is_refused", sbc, bridge=bridge.address, headers=f"X-Baggage: {long}"
        )
        await sipp.done()
        assert bridge.calls == []
        call = await bridge.call(f"sip:carrier@{HOST}:9", sbc.place, {"X-Baggage": long})
    assert call.final is not None
    assert (call.final.code, call.final.phrase) == (513, "Message Too Large")


OTHER = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


@pytest.mark.parametrize(
    "lines, trace",
    [
        pytest.param([f"X-Traceparent:\r\n {TRACEPARENT}"], TRACE, id="folded"),
        pytest.param([f"X-Traceparent: {TRACEPARENT}\r\n\t "], TRACE, id="folded to nothing"),
        pytest.param([f"X-Traceparent: {TRACEPARENT[:20]}\r\n {TRACEPARENT[20:]}"], None, id="cut"),
        pytest.param([f"X-Traceparent: {TRACEPARENT}"] * 2, TRACE, id="twice the same"),
        pytest.param([f"X-Traceparent: {v}" for v in (OTHER, TRACEPARENT)], TRACE, id="twice"),
        pytest.param([f"X-Traceparent: {TRACEPARENT}, {OTHER}"], None, id="two in a line"),
        pytest.param([f"x-TRACEPARENT :  {TRACEPARENT}"], TRACE, id="odd case and spaces"),
        pytest.param(["X-Traceparent:"], None, id="empty"),
        pytest.param([f"X-Traceparent: {TRACEPARENT}-{'0' * 900}"], None, id="long"),
        pytest.param([f"X-Traceparent: 00-{NIL}-{SPAN}-01"], None, id="nil"),
        pytest.param([f"X-Traceparent: {TRACEPARENT[:-1]}\u0661"], None, id="an Arabic digit"),
    ],
)
async def test_odd_headers_are_read_or_refused(lines, trace, kamailios, start_sipp):
    """Folded, repeated and broken headers pass the controller and are no exception here."""
    async with sip_bridge(X_HEADERS) as bridge:
        call, _ = await from_carrier(start_sipp, kamailios["open"], bridge, *lines)
    assert "\r\n".join(lines).encode() in call.raw, "Kamailio sends them on as they came"
    remote = read_headers(call.attributes)
    assert (None if remote is None else f"{remote.trace_id:032x}") == trace
