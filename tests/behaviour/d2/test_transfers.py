"""transfer_sip_participant: a sip.refer span, the call left as it was."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api
from livekit.protocol.sip import TransferSIPParticipantRequest
from opentelemetry.trace import SpanKind, StatusCode
from tests.livekit_api_server import KEY, SECRET

from .lk import SERVER_ERROR, SIP_ERROR, LiveKit, Reply, refuse
from .traces import Traces, attributes, everything, in_clear

TARGET = "+15559990033"
INBOUND = {
    "sip.callStatus": "active",
    "sip.ruleID": "SDR_1",
    "sip.trunkID": "ST_a",
    "sip.callID": "SCL_1",
    "sip.phoneNumber": "+15557778888",
    "sip.trunkPhoneNumber": "+15550001111",
}


async def transferred(traces: Traces, reply: Reply, to: str = f"tel:{TARGET}", own: bool = False):
    """An inbound call that is transferred; what the request raised, or None."""
    async with LiveKit() as livekit:
        livekit.transfer_reply = reply

        async def work(ctx):
            livekit.room.join("caller", INBOUND)
            request = TransferSIPParticipantRequest(
                participant_identity="caller", room_name=ctx.room.name, transfer_to=to
            )
            client = api.LiveKitAPI(livekit.url, KEY, SECRET) if own else ctx.api
            try:
                await client.sip.transfer_sip_participant(request)
            except SERVER_ERROR as error:
                return error
            finally:
                if own:
                    await client.aclose()
            return None

        return await traces.job(livekit, work)


@pytest.mark.parametrize("own", [False, True], ids=["ctx.api", "own client"])
async def test_a_transfer_is_a_client_span_with_a_masked_target(traces: Traces, own: bool):
    """However it is reached: CLIENT, the leg's trunk, a masked target, no error."""
    assert await transferred(traces, Reply(200), own=own) is None
    span = traces.one("sip.refer")
    told = attributes(span)
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is not StatusCode.ERROR
    assert told["trunk.carrier"] == "telnyx"
    assert told["trunk.id"] == "ST_a"
    assert told["sip.refer.target"] == "+1*******33"
    assert "error.type" not in told


async def test_a_refused_transfer_has_its_own_code_and_leaves_the_call(traces: Traces):
    """603 to the REFER: the span is ERROR; the call's code and outcome stay the call's."""
    error = await transferred(traces, refuse(603, "Decline"))
    assert type(error) is SIP_ERROR
    assert error.metadata["sip_status_code"] == "603"
    span = traces.one("sip.refer")
    told = attributes(span)
    assert span.status.status_code is StatusCode.ERROR
    assert told["error.type"] == "603"
    assert told["sip.response.status_code"] == 603
    assert told["sip.response.reason"] == "Decline"
    root = attributes(traces.root)
    assert root.get("sip.response.status_code") != 603
    assert root.get("sip.call.outcome") in (None, "answered")


async def test_a_transfer_that_times_out_is_no_sip_408(traces: Traces):
    """A plain ServerError without a SIP code."""
    late = Reply(None, twirp=("canceled", 408, "sip request timed out"))
    error = await transferred(traces, late)
    assert error is not None
    told = attributes(traces.one("sip.refer"))
    assert "sip.response.status_code" not in told
    assert told["error.type"] == "timeout"


async def test_no_bridge_for_a_transfer(traces: Traces):
    """`unavailable` is the platform's."""
    await transferred(traces, Reply(None, twirp=("unavailable", 503, "no bridge")))
    told = attributes(traces.one("sip.refer"))
    assert "sip.response.status_code" not in told
    assert told["trunk.fault"] == "platform"


@pytest.mark.parametrize("code", [404, 480, 486, 503])
async def test_each_refusal_is_told_by_its_code(traces: Traces, code: int):
    """The code of the final NOTIFY or of the REFER itself."""
    await transferred(traces, refuse(code))
    told = attributes(traces.one("sip.refer"))
    assert told["sip.response.status_code"] == code
    assert told["error.type"] == str(code)


@pytest.mark.parametrize(
    "to",
    [f"tel:{TARGET}", f"sip:{TARGET}@pbx.example.com", TARGET, "sip:bob@pbx.example.com"],
)
async def test_the_target_is_never_in_clear(traces: Traces, to: str):
    """Numbers and users, also in the text of a refusal."""
    await transferred(traces, refuse(404, f"no {TARGET} here, nor bob"), to)
    text = everything(traces.spans)
    assert in_clear(text, TARGET, "+15557778888") == []
    assert "bob@" not in text


async def test_a_transfer_is_no_attempt_and_no_failover(traces: Traces):
    """It is counted as neither."""
    await transferred(traces, refuse(503))
    root = attributes(traces.root)
    assert "trunk.failover.path" not in root
    assert root.get("sip.attempt_count", 0) == 0
    assert traces.invites == []


async def test_a_cancelled_transfer_passes_the_cancellation(traces: Traces):
    """CancelledError, and a span that ended."""
    async with LiveKit() as livekit:

        async def work(ctx):
            livekit.room.join("caller", INBOUND)
            request = TransferSIPParticipantRequest(
                participant_identity="caller", room_name=ctx.room.name, transfer_to=f"tel:{TARGET}"
            )
            task = asyncio.create_task(ctx.api.sip.transfer_sip_participant(request))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        await traces.job(livekit, work)
    span = traces.one("sip.refer")
    assert span.end_time is not None
    assert "sip.response.status_code" not in attributes(span)
