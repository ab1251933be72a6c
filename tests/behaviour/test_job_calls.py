"""What a LiveKit job's room says about the call, driven by hand."""

from __future__ import annotations

from typing import Any

import pytest

import trunktrace
from trunktrace.registry import calls

from .fakejob import (
    CALLER,
    INBOUND,
    OURS,
    REASON,
    Job,
    Participant,
    Room,
    callee,
    caller,
    settle,
)
from .kit import CARRIER, CODE, DIRECTION, REGION, ROUTE, ours


async def test_an_inbound_call_from_ringing_to_hangup():
    """Every fact of the room is on the root, in its time; children get the inherited ones."""
    job = Job()

    async def entry(ctx: Any) -> str:
        job.pipe.tracer.start_span("before").end()
        whole = job.pipe.tracer.start_span("whole")
        phone = ctx.room.join(caller())
        await settle()
        ringing = job.pipe.tracer.start_span("ringing")
        ringing.end()
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()
        ctx.room.press(phone, "7")
        ctx.room.press(phone, "3")
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        await settle()
        whole.end()
        return "result"

    assert await job.run(entry) == "result"
    assert ours(job.pipe.attributes("before")) == {}
    assert ours(job.pipe.attributes("ringing")) == {
        CARRIER: "telnyx",
        ROUTE: "us-east/primary",
        REGION: "us1",
        DIRECTION: "inbound",
    }
    full = {
        CARRIER: "telnyx",
        ROUTE: "us-east/primary",
        REGION: "us1",
        DIRECTION: "inbound",
        CODE: 200,
    }
    assert ours(job.pipe.attributes("talking")) == full
    assert ours(job.pipe.attributes("whole")) == full
    root = job.root()
    assert {key: root[key] for key in full} == full
    assert root["trunk.id"] == "ST_in"
    assert root["livekit.sip.call_id"] == "SCL_aMwkECsiCx3N"
    assert root["sip.call_id"] == "3b6e87185fc0"
    assert root["sip.caller.number"] == "+1*******34"
    assert root["sip.caller.country"] == "US"
    assert root["sip.callee.country"] == "GB"
    assert root["sip.dtmf_count"] == 2
    assert root["sip.call.outcome"] == "answered"
    assert root["sip.call.duration_ms"] >= 0
    states = [event["sip.call.state"] for event in job.events("sip.state")]
    assert states == ["ringing", "active", "hangup"]
    assert len(calls) == 0


async def test_no_signalling_number_and_no_digit_leaves_the_process():
    """Numbers and DTMF digits stand in no key, value, event or name of any exported span."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        for digit in "918273":
            ctx.room.press(phone, digit)
        await settle()
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    text = "\n".join(span.to_json() for span in job.pipe.finished())
    for number in (CALLER, OURS):
        assert number not in text
        assert number.lstrip("+") not in text
        assert number[2:] not in text
    assert "192.0.2.7" not in text
    assert job.root()["sip.dtmf_count"] == 6


async def test_an_outbound_call_that_is_answered():
    """No rule id: outbound; the number is the callee's; Call-ID comes with the answer."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(callee())
        await settle()
        dialing = dict(job.pipe.tracer.start_span("x").attributes)
        assert dialing[DIRECTION] == "outbound"
        assert CODE not in dialing
        ctx.room.status(phone, "ringing")
        ctx.room.change(phone, sip__callIDFull="lqKjiYoS15k3", sip__callTag="8ff77794")
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    root = job.root()
    assert root[DIRECTION] == "outbound"
    assert root[CODE] == 200
    assert root[CARRIER] == "twilio"
    assert root["sip.call_id"] == "lqKjiYoS15k3"
    assert root["sip.callee.country"] == "US"
    assert root["sip.caller.country"] == "GB"
    assert root["sip.ring_ms"] >= 0
    assert root["sip.setup_ms"] >= 0
    assert job.pipe.attributes("talking")[CODE] == 200


@pytest.mark.parametrize(
    "reason", [REASON.CLIENT_INITIATED, REASON.USER_REJECTED, REASON.USER_UNAVAILABLE]
)
async def test_an_outbound_call_that_never_was_active_was_not_answered(reason):
    """The 503 trap: CLIENT_INITIATED before `active` is no answer, and no reason is a code."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(callee())
        ctx.room.status(phone, "ringing")
        await settle()
        ctx.room.leave(phone, reason)
        await settle()

    await job.run(entry)
    root = job.root()
    assert CODE not in root
    assert root.get("sip.call.outcome") != "answered"
    assert "sip.call.duration_ms" not in root
    assert "sip.setup_ms" not in root
    assert "trunk.fault" not in root
    assert root[CARRIER] == "twilio"


async def test_hidden_numbers_are_absent():
    """`hide_phone_number`: no number, no host; the rest stands."""
    hidden = {
        key: value
        for key, value in INBOUND.items()
        if key not in ("sip.phoneNumber", "sip.trunkPhoneNumber", "sip.hostname")
    }
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(Participant("sip_hidden", hidden))
        await settle()

    await job.run(entry)
    root = job.root()
    assert root[CARRIER] == "telnyx"
    assert not any(key.startswith(("sip.caller.", "sip.callee.")) for key in root)


async def test_an_anonymous_caller_is_absent():
    """`anonymous` is no number."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller(**{"sip.phoneNumber": "anonymous"}))
        await settle()

    await job.run(entry)
    assert "sip.caller.number" not in job.root()
    assert job.root()["sip.callee.country"] == "GB"


async def test_several_sip_participants_the_call_is_the_first():
    """A transfer target joins: the call stays the caller's, the other is recorded as a leg."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        other = ctx.room.join(callee())
        ctx.room.status(other, "ringing")
        await settle()
        job.pipe.tracer.start_span("with-both").end()
        ctx.room.status(other, "active")
        ctx.room.press(other, "5")
        ctx.room.status(other, "hangup")
        ctx.room.leave(other, REASON.CLIENT_INITIATED)
        await settle()
        assert trunktrace.current_call()
        job.pipe.tracer.start_span("after-other").end()
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    for name in ("with-both", "after-other", "job_entrypoint"):
        attributes = job.pipe.attributes(name)
        assert attributes[CARRIER] == "telnyx", name
        assert attributes[DIRECTION] == "inbound", name
        assert attributes[CODE] == 200, name
    root = job.root()
    assert root["trunk.id"] == "ST_in"
    assert root["livekit.sip.call_id"] == INBOUND["sip.callID"]
    assert root["sip.caller.country"] == "US"
    assert "sip.dtmf_count" not in root
    assert len(job.events("sip.leg")) >= 1
    assert any(event.get("trunk.id") == "ST_out" for event in job.events("sip.leg"))
    states = [event["sip.call.state"] for event in job.events("sip.state")]
    assert states == ["ringing", "active", "hangup"]
    text = "\n".join(span.to_json() for span in job.pipe.finished())
    assert CALLER not in text


async def test_a_second_sip_participant_that_was_there_first_to_ring_does_not_take_over():
    """Two are in the room at the start: one of them is the call, all spans agree on it."""
    job = Job(Room(caller(), callee()))

    async def entry(ctx: Any) -> None:
        await settle()
        job.pipe.tracer.start_span("a").end()
        for phone in ctx.room.remote_participants.values():
            ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("b").end()

    await job.run(entry)
    assert {job.pipe.attributes(n)[CARRIER] for n in ("a", "b", "job_entrypoint")} == {"telnyx"}
    assert job.root()["livekit.sip.call_id"] == INBOUND["sip.callID"]


async def test_provider_ids_and_status_come_from_the_attributes():
    """Twilio's CallSid is the provider's call id, and names the carrier where no row does."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(
            caller(
                **{
                    "sip.trunkID": "ST_nobody",
                    "sip.twilio.callSid": "CA0123456789",
                    "sip.twilio.accountSid": "AC1",
                }
            )
        )
        await settle()

    await job.run(entry)
    assert job.root()["sip.provider.call_id"] == "CA0123456789"
    assert job.root()[CARRIER] == "twilio"
