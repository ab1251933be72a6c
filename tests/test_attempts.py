"""Nothing that was true of one attempt, or of one participant, is said of the next."""

from __future__ import annotations

from typing import Any

from livekit.api.twirp_client import TwirpError
from livekit.protocol.sip import CreateSIPParticipantRequest

from trunktrace import LateFactsExporter
from trunktrace.livekit.invite import Invite
from trunktrace.livekit.job import JobCall, current_job

from .behaviour.fakejob import CALLER, INBOUND, OUTBOUND, REASON, Job, Participant
from .behaviour.kit import Pipeline, fake_time


def job() -> Job:
    """A job whose spans go through the exporter that takes back what was withdrawn."""
    return Job(pipe=Pipeline(wrap=LateFactsExporter))


def running() -> JobCall:
    found = current_job()
    assert found is not None
    return found


def dialled(trunk: str, identity: str) -> Invite:
    request = CreateSIPParticipantRequest(
        sip_trunk_id=trunk,
        sip_call_to=CALLER,
        participant_identity=identity,
        wait_until_answered=True,
    )
    invite = running().observer.dial_started(request)
    assert invite is not None
    return invite


async def test_the_delay_of_a_refused_attempt_is_not_the_answered_ones():
    """The first trunk rang after 2 s and was refused; the second was answered without ringing."""
    at = job()

    async def entry(ctx: Any) -> None:
        with fake_time() as time:
            first = dialled("ST_out", "c1")
            there = ctx.room.join(Participant("c1", dict(OUTBOUND)))
            time.now = 2
            ctx.room.status(there, "ringing")
            time.now = 7
            refusal = TwirpError(
                "unavailable",
                "x",
                status=503,
                metadata={"sip_status_code": "503", "sip_status": "Service Unavailable"},
            )
            running().observer.dial_failed(first, refusal)
            ctx.room.leave(there, REASON.SIP_TRUNK_FAILURE)
            second = dialled("ST_2", "c2")
            there = ctx.room.join(Participant("c2", OUTBOUND | {"sip.trunkID": "ST_2"}))
            time.now = 10
            ctx.room.status(there, "active")
            running().observer.dial_returned(second, None)

    await at.run(entry)
    root = at.root()
    assert root["sip.setup_ms"] == 3000.0
    assert root["sip.response.status_code"] == 200
    for former in ("sip.pdd_ms", "sip.response.reason", "trunk.route"):
        assert former not in root


async def test_the_number_of_another_participant_is_not_the_callers():
    """Who was first in the room gave a number; whom the session is linked to gives none."""
    at = job()
    private = {key: value for key, value in INBOUND.items() if key != "sip.phoneNumber"}

    async def entry(ctx: Any) -> None:
        ctx.room.join(Participant("first", dict(INBOUND)))
        second = ctx.room.join(Participant("second", private | {"sip.callID": "SCL_2"}))
        running().observer.linked(second)
        running().call.expect(caller=CALLER)
        expected = running().call.story().expected
        assert expected is not None
        assert expected.caller_matches is None

    await at.run(entry)
    root = at.root()
    assert root["livekit.sip.call_id"] == "SCL_2"
    assert "sip.caller.number" not in root
    assert "sip.caller.country" not in root
