"""What the tests of attempts share: a traced job that dials by livekit-api's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import api
from livekit.agents import telemetry
from livekit.protocol.sip import CreateSIPParticipantRequest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from trunktrace import Directory

from .behaviour.fakejob import OURS, OUTBOUND, Job, Participant
from .twirp import SipApi

DIRECTORY = Directory.parse(
    """
[trunks.ST_a]
carrier = "twilio"
route = "a/one"
region = "us1"

[trunks.ST_b]
carrier = "telnyx"
route = "b/two"

[hosts."sip.carrier-c.example"]
carrier = "carrier-c"
"""
)
NUMBER = "+14155550134"
OTHER = "+14155550177"
REFUSED = getattr(api, "SipCallError", api.TwirpError)

Entry = Callable[[Any, SipApi], Awaitable[Any]]


def request(
    trunk: str = "ST_a",
    *,
    to: str = NUMBER,
    identity: str = "callee",
    waits: bool = True,
    room: str = "call-room",
    number: str = OURS,
) -> CreateSIPParticipantRequest:
    return CreateSIPParticipantRequest(
        sip_trunk_id=trunk,
        sip_call_to=to,
        sip_number=number,
        participant_identity=identity,
        wait_until_answered=waits,
        room_name=room,
    )


def leg(
    identity: str = "callee", trunk: str = "ST_a", call_id: str = "SCL_1", **more: str
) -> Participant:
    own = {"sip.trunkID": trunk, "sip.callID": call_id, **more}
    return Participant(identity, OUTBOUND | own)


def asking(sip: SipApi, asked: Any = None, **options: Any) -> asyncio.Task[Any]:
    """The request, made beside the test."""
    asked = request() if asked is None else asked
    return asyncio.create_task(sip.client.sip.create_sip_participant(asked, **options))


async def run(entry: Entry, job: Job | None = None, **settings: Any) -> Job:
    """The job, after its entrypoint has run under `traced_call`."""
    job = Job() if job is None else job
    settings.setdefault("directory", DIRECTORY)
    telemetry.set_tracer_provider(job.pipe.provider)

    async def entrypoint(ctx: Any) -> Any:
        async with SipApi() as sip:
            ctx.sip = sip
            return await entry(ctx, sip)

    try:
        await job.run(entrypoint, **settings)
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    return job


def invites(job: Job) -> list[ReadableSpan]:
    found = [span for span in job.pipe.finished() if span.name == "sip.invite"]
    return sorted(found, key=lambda span: int(said(span)["sip.attempt.number"]))


def invite(job: Job) -> ReadableSpan:
    (found,) = invites(job)
    return found


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
