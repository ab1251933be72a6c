"""One planned call from its link to its hang-up, with facts at the times a real one learns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunktrace.demo.plans import Plan
from trunktrace.livecall import LiveCall
from trunktrace.livekit.demo.agent import play
from trunktrace.livekit.demo.conversation import Packets
from trunktrace.livekit.demo.dial import refusal

Tick = Callable[[], None]
"""Called after each stretch of speech, from the thread of its call."""

_UNTIL_LINKED_S = 0.08
_UNTIL_ANSWERED_S = 0.12


async def hold(plan: Plan, call: LiveCall, tick: Tick) -> None:
    """Hold the planned call and record on `call` what becomes known, when it does.

    As on a real call the session starts before the caller is linked, and the final code and the
    codec are known a moment after the trunk is. Raises livekit-api's `SipCallError` where the
    carrier refuses the call.
    """
    if plan.conversation is None:
        await _link(plan, call)
        await asyncio.sleep(_UNTIL_ANSWERED_S)
        call.record(status_code=plan.status_code, reason=plan.reason, outcome="failed")
        raise refusal(plan.status_code, plan.reason)

    def observe(packets: Packets) -> None:
        _record_packets(call, packets)
        tick()

    signalling = asyncio.create_task(_answer(plan, call))
    await play(plan.conversation, plan.trunk.line, observe)
    await signalling
    call.record(hangup_source="caller" if plan.direction == "inbound" else "callee")


async def _link(plan: Plan, call: LiveCall) -> None:
    """The caller, or the callee who is rung, comes into the room with the trunk's ids."""
    await asyncio.sleep(_UNTIL_LINKED_S)
    trunk = plan.trunk
    call.record(
        carrier=trunk.carrier,
        route=trunk.route,
        region=trunk.region,
        trunk_id=trunk.trunk_id,
        direction=plan.direction,
        caller_number=plan.caller,
        callee_number=plan.callee,
    )


async def _answer(plan: Plan, call: LiveCall) -> None:
    await _link(plan, call)
    await asyncio.sleep(_UNTIL_ANSWERED_S)
    call.record(
        status_code=plan.status_code,
        reason=plan.reason,
        outcome="answered",
        setup_ms=plan.setup_ms,
        codec=plan.trunk.codec,
    )


def _record_packets(call: LiveCall, packets: Packets) -> None:
    call.record_media(
        leg="trunk",
        direction=packets.direction,
        loss_ratio=packets.loss_ratio,
        loss_method="counted",
        start=packets.start,
        end=packets.end,
    )
