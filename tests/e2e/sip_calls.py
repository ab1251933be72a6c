"""Calls through a real Kamailio, one way and the other, and what they are known by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.trace import SpanContext, TraceFlags

from trunktrace.propagation import TRACEPARENT_ATTRIBUTE

from .servers import HOST
from .sip_bridge import Call, SipBridge, Trunk
from .sip_elements import Kamailio, Seen, Sipp

StartSipp = Callable[..., Sipp]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
SESSION = "ab30317f1a784dc48ff824d0d3715d86"
CARRIERS_SESSION = "47755a9de7794ba387653f2099600ef2"
NIL = "0" * 32
BUDGET_BYTES = 320
OURS = SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=TraceFlags(1))
THEIRS = SpanContext(OURS.trace_id, OURS.span_id, is_remote=True, trace_flags=TraceFlags(1))
ALL_HEADERS = Trunk("all")
X_HEADERS = Trunk("x")
BY_NAME = Trunk(
    headers_to_attributes={"X-Traceparent": TRACEPARENT_ATTRIBUTE, "Session-ID": "session-id"}
)
BACK_ON_BYE = Trunk("all", attributes_to_headers={TRACEPARENT_ATTRIBUTE: "X-Traceparent"})


async def from_carrier(
    start_sipp: StartSipp, sbc: Kamailio, bridge: SipBridge, *lines: str
) -> tuple[Call, list[Seen]]:
    """The carrier calls through the controller with these header lines, and hangs up."""
    sipp = start_sipp("carrier_calls", sbc, bridge=bridge.address, headers="\r\n".join(lines))
    seen = await sipp.done()
    (call,) = bridge.calls
    assert call.acknowledged.is_set()
    assert call.ended.is_set()
    return call, seen


async def to_carrier(
    start_sipp: StartSipp,
    sbc: Kamailio,
    bridge: SipBridge,
    headers: Mapping[str, str],
    *,
    agent_sets: Mapping[str, str] = {},
) -> tuple[Call, list[Seen]]:
    """The bridge calls the carrier with these headers, and hangs up.

    In between the agent sets attributes of the participant.
    """
    sipp = start_sipp("carrier_answers", sbc, session=CARRIERS_SESSION)
    await sipp.listens()
    call = await bridge.call(f"sip:carrier@{HOST}:{sipp.port}", sbc.place, headers)
    assert call.final is not None
    assert call.final.code == 200
    call.attributes.update(agent_sets)
    assert (await bridge.hang_up(call)).code == 200
    return call, await sipp.done()


def lines_of(raw: bytes) -> list[str]:
    """The lines of a message's head."""
    return raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")


def request(seen: list[Seen], method: str) -> Seen:
    """The one request of that method."""
    (found,) = [one for one in seen if one.raw.startswith(f"{method} ".encode())]
    return found
