"""Nothing that was true of one attempt, or of one participant, is said of the next."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from livekit.api.twirp_client import TwirpError
from livekit.protocol.sip import CreateSIPParticipantRequest
from opentelemetry import trace

from trunktrace import LateFactsExporter
from trunktrace.guard import reraising
from trunktrace.livekit.invite import Invite
from trunktrace.livekit.job import JobCall, current_job
from trunktrace.livekit.requests import place
from trunktrace.sip.legs import Leg

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


async def test_a_job_that_dials_on_and_on_keeps_no_participant_for_ever():
    """Each callee is refused and leaves: after many of them only the last ones are remembered."""

    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, Leg | Invite) for one in gc.get_objects())

    counts: list[int] = []

    async def entry(ctx: Any) -> None:
        for number in range(300):
            identity = f"c{number % 7}" if number % 3 else f"other{number}"
            invite = dialled("ST_out", identity)
            attributes = OUTBOUND | {"sip.callID": f"SCL_{number}"}
            there = ctx.room.join(Participant(identity, attributes))
            refusal = TwirpError(
                "unavailable", "x", status=503, metadata={"sip_status_code": "486"}
            )
            running().observer.dial_failed(invite, refusal)
            ctx.room.leave(there, REASON.USER_REJECTED)
            del invite
            if number in (149, 299):
                counts.append(kept())

    await job().run(entry)
    half, whole = counts
    assert whole < 1.2 * half


async def test_a_request_whose_span_cannot_be_made_stays_in_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is traced below the request, as its HTTP span, is below who asked for it."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no span today")

    monkeypatch.setattr("trunktrace.livekit.attempts.start_span", broken)
    seen: list[bool] = []

    async def entry(ctx: Any) -> None:
        before = trace.get_current_span()

        async def send(_: Any) -> None:
            seen.append(trace.get_current_span() is before)

        request = CreateSIPParticipantRequest(sip_trunk_id="ST_out", sip_call_to=CALLER)
        with reraising(value=False):
            await place(running().observer, request, send)

    await job().run(entry)
    assert seen == [True]
