"""Attempts and the participants of the room: who answered which, whoever waits, in any order."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import api
from livekit.agents import telemetry
from opentelemetry import trace
from opentelemetry.trace import StatusCode

import trunktrace

from .behaviour.fakejob import CALLER, REASON, Job, Participant, Room, caller, settle
from .behaviour.kit import CARRIER, CODE, ROUTE, fake_time
from .inviting import NUMBER, OTHER, REFUSED, asking, invite, invites, leg, request, run, said
from .twirp import SipApi

try:
    from livekit.agents.beta.workflows import warm_transfer
except ImportError:  # before livekit-agents 1.3
    warm_transfer = None  # type: ignore[assignment]

UNTOLD = {"sip.response.status_code", "sip.response.reason", "trunk.fault"}


async def dialled(sip: SipApi, call_id: str = "SCL_1", **asked: Any) -> None:
    """A request that did not wait, and came back."""
    task = asking(sip, request(waits=False, **asked))
    (await sip.next()).accept(call_id)
    await task


# Without waiting for the answer -------------------------------------------------------------------


async def test_an_active_participant_is_a_200():
    """The request has long returned; the participant says when it rang and was answered."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        with fake_time() as time:
            await dialled(sip)
            time.now = 1
            phone = ctx.room.join(leg())
            time.now = 3
            ctx.room.status(phone, "ringing")
            time.now = 9
            ctx.room.status(phone, "active")
            time.now = 60
            ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    span = invite(await run(entry))
    facts = said(span)
    assert facts[CODE] == 200
    assert facts["sip.call.outcome"] == "answered"
    assert (facts["sip.pdd_ms"], facts["sip.ring_ms"], facts["sip.setup_ms"]) == (3e3, 6e3, 9e3)
    assert span.end_time - span.start_time == 9_000_000_000
    assert "trunktrace.unobservable" not in facts
    assert "livekit.disconnect_reason" not in facts


@pytest.mark.parametrize(
    "reason", [REASON.CLIENT_INITIATED, REASON.USER_REJECTED, REASON.USER_UNAVAILABLE]
)
async def test_leaving_before_the_answer_is_unanswered(reason):
    """No code, no fault, no reason is invented: the span says that nobody can know them."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip)
        phone = ctx.room.join(leg())
        ctx.room.status(phone, "ringing")
        ctx.room.leave(phone, reason)

    span = invite(await run(entry))
    facts = said(span)
    assert not UNTOLD & facts.keys()
    assert set(facts["trunktrace.unobservable"]) == UNTOLD
    assert facts["sip.call.outcome"] == "failed"
    assert facts["error.type"] == "unanswered"
    assert facts["livekit.disconnect_reason"] == REASON.Name(reason).lower()
    assert facts["sip.attempt.progress"] is True
    assert "sip.pdd_ms" in facts
    assert not {"sip.ring_ms", "sip.setup_ms"} & facts.keys()
    assert span.status.status_code is StatusCode.ERROR


async def test_a_participant_that_we_removed_is_canceled():
    """Our own side gave the call up: no error."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip)
        phone = ctx.room.join(leg())
        ctx.room.leave(phone, REASON.PARTICIPANT_REMOVED)

    span = invite(await run(entry))
    assert said(span)["sip.call.outcome"] == "canceled"
    assert "error.type" not in said(span)
    assert span.status.status_code is StatusCode.UNSET
    assert CODE in said(span)["trunktrace.unobservable"]


@pytest.mark.parametrize("joined", [True, False])
async def test_an_attempt_that_is_open_when_the_room_ends(joined):
    """Nobody knows what became of it: it has no outcome and no status, and says what is missing."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip)
        if joined:
            ctx.room.join(leg())
        ctx.room.disconnect()

    span = invite(await run(entry))
    facts = said(span)
    assert "sip.call.outcome" not in facts
    assert span.status.status_code is StatusCode.UNSET
    assert set(facts["trunktrace.unobservable"]) >= UNTOLD
    assert ("sip.setup_ms" in facts["trunktrace.unobservable"]) is not joined


async def test_an_attempt_of_a_job_that_never_connected_ends_with_the_job():
    """The room was never joined, so its participant was never seen."""
    job = Job(Room(connected=False))

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip)

    facts = said(invite(await run(entry, job)))
    assert set(facts["trunktrace.unobservable"]) > UNTOLD


async def test_a_dial_before_the_room_is_joined_has_no_setup_time():
    """The participant was active when the agent came: since when, nobody knows."""
    job = Job(Room(connected=False))

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip)
        ctx.room.connect(leg(**{"sip.callStatus": "active"}))

    facts = said(invite(await run(entry, job)))
    assert facts[CODE] == 200
    assert not {"sip.setup_ms", "sip.pdd_ms", "sip.ring_ms"} & facts.keys()
    assert "sip.attempt.progress" not in facts


async def test_a_refused_request_needs_no_participant():
    """The API refuses the request itself: the attempt has ended, and nothing is unobservable."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(waits=False))
        (await sip.next()).fail("invalid_argument", "missing number", 400)
        with pytest.raises(api.TwirpError):
            await task

    facts = said(invite(await run(entry)))
    assert facts["sip.call.outcome"] == "failed"
    assert "trunktrace.unobservable" not in facts


# Whose participant it is --------------------------------------------------------------------------


@pytest.mark.parametrize("joins_first", [True, False])
@pytest.mark.parametrize("swapped", [True, False])
async def test_two_dials_at_once_never_mix(joins_first, swapped):
    """Two trunks, two numbers: each span has its own trunk's end, in whatever order all comes."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        one = asking(sip, request("ST_a", identity="a", waits=False))
        first = await sip.next()
        two = asking(sip, request("ST_b", identity="b", to=OTHER, waits=False))
        second = await sip.next()
        legs = [leg("a", "ST_a", "SCL_a"), leg("b", "ST_b", "SCL_b", **{"sip.phoneNumber": OTHER})]
        order = legs[::-1] if swapped else legs
        for phone in order if joins_first else ():
            ctx.room.join(phone)
        first.accept("SCL_a")
        second.accept("SCL_b")
        await asyncio.gather(one, two)
        for phone in () if joins_first else order:
            ctx.room.join(phone)
        ctx.room.status(legs[1], "active")
        ctx.room.leave(legs[0], REASON.USER_UNAVAILABLE)
        await settle()

    job = await run(entry)
    first, second = invites(job)
    assert said(first)["error.type"] == "unanswered"
    assert (said(first)["trunk.id"], said(first)["livekit.sip.call_id"]) == ("ST_a", "SCL_a")
    assert (said(first)[CARRIER], said(first)[ROUTE]) == ("twilio", "a/one")
    assert said(second)[CODE] == 200
    assert (said(second)["trunk.id"], said(second)["livekit.sip.call_id"]) == ("ST_b", "SCL_b")
    assert (said(second)[CARRIER], said(second)[ROUTE]) == ("telnyx", "b/two")
    # The call is the one that was answered.
    root = job.root()
    assert (root[CODE], root["trunk.id"], root[CARRIER]) == (200, "ST_b", "telnyx")
    assert root["sip.callee.number"] == "+1*******77"


@pytest.mark.parametrize("joins_first", [True, False])
async def test_livekit_made_up_the_identities(joins_first):
    """One trunk, two numbers, no identity in either request: the response's call id decides."""
    hidden = {"sip.phoneNumber": ""}

    async def entry(ctx: Any, sip: SipApi) -> None:
        tasks = [asking(sip, request(identity="", to=to, waits=False)) for to in (NUMBER, OTHER)]
        asked = [await sip.next() for _ in tasks]
        asked.sort(key=lambda one: one.request.sip_call_to)
        legs = [leg("sip_2", call_id="SCL_2", **hidden), leg("sip_1", call_id="SCL_1", **hidden)]
        for phone in legs if joins_first else ():
            ctx.room.join(phone)
        for number, one in enumerate(asked, 1):
            one.accept(f"SCL_{number}", f"sip_{number}")
        await asyncio.gather(*tasks)
        for phone in () if joins_first else legs:
            ctx.room.join(phone)
        ctx.room.status(legs[0], "active")
        ctx.room.leave(legs[1], REASON.USER_REJECTED)

    spans = {said(one)["sip.callee.number"]: said(one) for one in invites(await run(entry))}
    assert spans["+1*******34"]["livekit.sip.call_id"] == "SCL_1"
    assert spans["+1*******34"]["error.type"] == "unanswered"
    assert spans["+1*******77"]["livekit.sip.call_id"] == "SCL_2"
    assert spans["+1*******77"][CODE] == 200


async def test_a_participant_that_was_and_went_before_the_response():
    """The far end was quicker than the API: the response tells whose it was."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        tasks = [asking(sip, request(identity="", to=to, waits=False)) for to in (NUMBER, OTHER)]
        asked = [await sip.next() for _ in tasks]
        phone = ctx.room.join(leg("sip_x", call_id="SCL_1", **{"sip.phoneNumber": ""}))
        ctx.room.leave(phone, REASON.USER_REJECTED)
        for number, one in enumerate(asked, 1):
            one.accept(f"SCL_{number}", f"sip_{number}")
        await asyncio.gather(*tasks)

    first, second = invites(await run(entry))
    ended = {said(one).get("livekit.sip.call_id"): said(one) for one in (first, second)}
    assert ended["SCL_1"]["error.type"] == "unanswered"
    assert ended["SCL_1"]["livekit.disconnect_reason"] == "user_rejected"
    assert "error.type" not in ended["SCL_2"]


async def test_an_identity_that_is_dialled_again():
    """After the first has left the same identity is dialled again: two attempts, two ends."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip, "SCL_1")
        phone = ctx.room.join(leg())
        ctx.room.leave(phone, REASON.USER_UNAVAILABLE)
        await dialled(sip, "SCL_2", trunk="ST_b")
        phone = ctx.room.join(leg(trunk="ST_b", call_id="SCL_2"))
        ctx.room.status(phone, "active")
        await settle()

    job = await run(entry)
    first, second = invites(job)
    assert said(first)["error.type"] == "unanswered"
    assert said(first)["trunk.id"] == "ST_a"
    assert (said(second)[CODE], said(second)["trunk.id"]) == (200, "ST_b")
    assert [one.context.span_id for one in second.links] == [first.context.span_id]
    assert job.root()["trunk.failover.path"] == "twilio:unanswered>telnyx:200"


async def test_an_identity_that_another_took_before_anybody_said_goodbye():
    """LiveKit lets the second one in and puts the first out: the first was given up by us."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip, "SCL_1")
        ctx.room.join(leg())
        await dialled(sip, "SCL_2", trunk="ST_b")
        phone = ctx.room.join(leg(trunk="ST_b", call_id="SCL_2"))
        ctx.room.status(phone, "active")

    first, second = invites(await run(entry))
    assert CODE not in said(first)
    assert (said(second)[CODE], said(second)["trunk.id"]) == (200, "ST_b")


async def test_a_refused_participant_that_lingers_is_not_the_next_ones():
    """The API answers first, and the participant is gone later: the next dial does not take it."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        lingering = ctx.room.join(leg())
        ctx.room.status(lingering, "ringing")
        asked.refuse(503, "Service Unavailable")
        with pytest.raises(REFUSED):
            await task
        task = asking(sip, request(identity="", waits=False))
        asked = await sip.next()
        ctx.room.leave(lingering, REASON.CLIENT_INITIATED)
        asked.accept("SCL_2", "sip_1")
        await task
        phone = ctx.room.join(leg("sip_1", call_id="SCL_2"))
        ctx.room.status(phone, "active")

    first, second = invites(await run(entry))
    assert (said(first)[CODE], said(second)[CODE]) == (503, 200)
    assert said(second)["sip.attempt.progress"] is False


async def test_a_participant_whom_somebody_else_dialled_has_no_attempt():
    """A web service dialled him: the call is observed as ever, and no span is made up."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        phone = ctx.room.join(leg("web", "ST_b", "SCL_7"))
        ctx.room.status(phone, "ringing")
        ctx.room.status(phone, "active")

    job = await run(entry)
    assert invites(job) == []
    assert (job.root()[CODE], job.root()["trunk.id"]) == (200, "ST_b")
    assert "sip.attempt_count" not in job.root()


# Several at once ----------------------------------------------------------------------------------


async def test_the_call_is_the_attempt_that_was_answered():
    """Two waiting dials at once; the one that began first is answered, the other refused after."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        one = asking(sip, request("ST_a", identity="a"))
        first = await sip.next()
        two = asking(sip, request("ST_b", identity="b", to=OTHER))
        second = await sip.next()
        phone = ctx.room.join(leg("a", "ST_a", "SCL_a"))
        ctx.room.join(leg("b", "ST_b", "SCL_b"))
        first.accept("SCL_a")
        await one
        ctx.room.status(phone, "active")
        second.refuse(486, "Busy Here")
        with pytest.raises(REFUSED):
            await two
        await settle()

    job = await run(entry)
    first, second = invites(job)
    assert (said(first)[CODE], said(first)[CARRIER]) == (200, "twilio")
    assert (said(second)[CODE], said(second)[CARRIER]) == (486, "telnyx")
    root = job.root()
    assert (root[CODE], root["trunk.id"], root[CARRIER]) == (200, "ST_a", "twilio")
    assert root["sip.attempt_count"] == 2


@pytest.mark.parametrize("code", [200, 486])
@pytest.mark.parametrize("room", ["call-room", "consult-room"])
async def test_a_dial_beside_an_answered_call_leaves_its_facts_alone(room, code):
    """A colleague is called in, here or in another room: his attempt is a span and no more."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_b"}))
        ctx.room.status(phone, "active")
        await settle()
        task = asking(sip, request("ST_a", identity="colleague", to=OTHER, room=room))
        asked = await sip.next()
        if room == "call-room":
            beside = ctx.room.join(leg("colleague"))
            ctx.room.status(beside, "ringing")
        if code == 200:
            asked.accept()
            await task
        else:
            asked.refuse(code, "Busy Here")
            with pytest.raises(REFUSED):
                await task
        assert [one.aside for one in trunktrace.current_call().story().asides] == [True]
        await settle()

    job = await run(entry)
    span = said(invite(job))
    assert (span[CODE], span[CARRIER], span["trunk.id"]) == (code, "twilio", "ST_a")
    assert ("sip.pdd_ms" in span) is (room == "call-room")
    root = job.root()
    assert (root[CODE], root["trunk.id"], root[CARRIER]) == (200, "ST_b", "telnyx")
    assert root["sip.call.direction"] == "inbound"
    assert not {"sip.attempt_count", "trunk.failover.path", "sip.response.reason"} & root.keys()
    assert root["sip.caller.number"] == "+1*******34"


async def test_a_participant_of_this_room_is_not_the_attempts_of_another():
    """The same identity is dialled into another room: who joins here is somebody else."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await dialled(sip, "", room="other-room", identity="guest")
        guest = ctx.room.join(leg("guest", call_id="SCL_5"))
        ctx.room.status(guest, "active")
        await settle()

    span = said(invite(await run(entry)))
    assert CODE not in span
    assert CODE in span["trunktrace.unobservable"]


async def test_an_attempt_that_the_room_answered_first():
    """`active` comes before the request returns, and then an error comes: it ended once, by 200."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        phone = ctx.room.join(leg())
        ctx.room.status(phone, "active")
        asked.fail("internal", "lost", 400)
        with pytest.raises(api.TwirpError):
            await task
        await settle()

    job = await run(entry)
    assert said(invite(job))[CODE] == 200
    assert job.root()[CODE] == 200


if warm_transfer is not None:

    async def test_a_warm_transfer_of_livekit_is_a_span():
        """LiveKit's own WarmTransferTask dials the colleague into a second room, and waits."""
        workflows: Any = warm_transfer
        job = Job()

        async def entry(ctx: Any, sip: SipApi) -> None:
            phone = ctx.room.join(caller(**{"sip.trunkID": "ST_b"}))
            ctx.room.status(phone, "active")
            task = SimpleNamespace(
                _sip_trunk_id="ST_a",
                _sip_call_to=OTHER,
                _sip_number=None,
                _sip_headers={},
                _dtmf=None,
                _ringing_timeout=None,
                _sip_connection=None,
            )
            original, workflows.get_job_context = workflows.get_job_context, lambda: ctx
            ctx.__class__ = type("WithApi", (type(ctx),), {"api": sip.client})
            try:
                dialling = asyncio.create_task(
                    workflows.WarmTransferTask._originate_human_agent(
                        task, room_name="consult", identity="human", room=None
                    )
                )
                (await sip.next()).accept("SCL_h")
                await dialling
            finally:
                workflows.get_job_context = original

        span = said(invite(await run(entry, job)))
        assert (span[CODE], span["trunk.id"], span[CARRIER]) == (200, "ST_a", "twilio")
        assert job.root()["trunk.id"] == "ST_b"


async def test_no_number_leaves_with_an_attempt():
    """No exported span holds a number: neither as attribute, nor as name, event or link."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip, identity=f"sip_{NUMBER}")
        phone = ctx.room.join(leg(f"sip_{NUMBER}"))
        ctx.room.leave(phone, REASON.USER_REJECTED)
        task = asking(sip, request("ST_b", to=f"sip:{OTHER}@192.0.2.1"))
        (await sip.next()).refuse(404, f"no route to {OTHER} from sip:{CALLER}@192.0.2.1")
        with pytest.raises(REFUSED):
            await task

    job = await run(entry)
    text = "\n".join(span.to_json() for span in job.pipe.finished())
    for number in (NUMBER, OTHER):
        assert number.lstrip("+") not in text
        assert number[2:] not in text


async def test_a_provider_that_is_set_in_the_entrypoint_gets_the_spans():
    """The job began without one: attempts go to the one that is there when they are made."""
    job = Job()

    async def entry(ctx: Any, sip: SipApi) -> None:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
        telemetry.set_tracer_provider(job.pipe.provider)
        await dialled(sip)
        phone = ctx.room.join(leg())
        ctx.room.status(phone, "active")

    assert said(invite(await run(entry, job)))[CODE] == 200


async def test_a_refusal_that_the_room_is_slower_to_tell_of():
    """The API says 486 before the room could say that it rang: progress is not known."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        phone = ctx.room.join(leg())
        asked.refuse(486, "Busy Here")
        with pytest.raises(REFUSED):
            await task
        ctx.room.status(phone, "ringing")
        ctx.room.leave(phone, REASON.USER_REJECTED)

    assert "sip.attempt.progress" not in said(invite(await run(entry)))


async def test_a_participant_with_strange_attributes_breaks_nothing():
    """Anyone with an API key can write attributes: what is no text is left out."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip)
        strange: Any = {"sip.callID": 7, "sip.trunkID": ["ST_b"], "sip.callStatus": "active"}
        ctx.room.join(Participant("callee", strange))
        await settle()

    span = said(invite(await run(entry)))
    assert (span[CODE], span["trunk.id"]) == (200, "ST_a")


async def test_a_participant_who_was_there_before_is_nobodys_answer():
    """Somebody else dialled him over the same trunk: his answer says nothing of our attempt."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        stranger = ctx.room.join(leg("stranger", call_id="SCL_s"))
        task = asking(sip, request(identity="", waits=False))
        asked = await sip.next()
        ctx.room.status(stranger, "active")
        asked.accept("SCL_1", "sip_1")
        await task

    assert CODE not in said(invite(await run(entry)))


async def test_the_response_corrects_whose_participant_it_is():
    """One who joined in between looked like ours; the response names another."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(identity="", waits=False))
        asked = await sip.next()
        stranger = ctx.room.join(leg("stranger", call_id="SCL_s"))
        asked.accept("SCL_1", "sip_1")
        await task
        ctx.room.leave(stranger, REASON.USER_REJECTED)
        phone = ctx.room.join(leg("sip_1", call_id="SCL_1"))
        ctx.room.status(phone, "active")

    span = said(invite(await run(entry)))
    assert (span[CODE], span["livekit.sip.call_id"]) == (200, "SCL_1")


async def test_the_call_is_the_first_attempt_if_that_is_answered():
    """Two dials that do not wait; the one that was sent first is answered, the other rings on."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await dialled(sip, "SCL_a", trunk="ST_a", identity="a")
        await dialled(sip, "SCL_b", trunk="ST_b", identity="b", to=OTHER)
        phone = ctx.room.join(leg("a", "ST_a", "SCL_a"))
        ctx.room.join(leg("b", "ST_b", "SCL_b"))
        ctx.room.status(phone, "active")
        await settle()

    root = (await run(entry)).root()
    assert (root[CODE], root["trunk.id"], root[CARRIER]) == (200, "ST_a", "twilio")
    assert root["sip.callee.number"] == "+1*******34"


async def given_up(sip: SipApi, **asked: Any) -> None:
    """A request that our side cancelled."""
    task = asking(sip, request(**asked))
    await sip.next()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_late_participant_is_the_one_that_was_given_up():
    """The same identity over another trunk is being dialled: the late one is not its answer."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await given_up(sip, trunk="ST_a")
        task = asking(sip, request("ST_b"))
        asked = await sip.next()
        late = ctx.room.join(leg("callee", "ST_a", "SCL_a"))
        ctx.room.status(late, "active")
        asked.refuse(486, "Busy Here")
        with pytest.raises(REFUSED):
            await task
        await settle()

    job = await run(entry)
    first, second = invites(job)
    assert said(first)["sip.call.outcome"] == "canceled"
    assert (said(second)[CODE], said(second)["trunk.id"]) == (486, "ST_b")
    # Somebody is on the phone all the same.
    assert (job.root()[CODE], job.root()["trunk.id"]) == (200, "ST_a")


async def test_a_late_participant_without_a_name_is_told_by_its_number():
    """Two requests over one trunk, one given up: the number says whose participant comes."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await given_up(sip, identity="")
        task = asking(sip, request(identity="", to=OTHER, waits=False))
        asked = await sip.next()
        late = ctx.room.join(leg("sip_1", call_id="SCL_1", **{"sip.phoneNumber": NUMBER}))
        ctx.room.status(late, "active")
        asked.accept("SCL_2", "sip_2")
        await task

    first, second = invites(await run(entry))
    assert said(first)["sip.call.outcome"] == "canceled"
    assert CODE not in said(second)


async def test_a_participant_whose_request_was_given_up_may_be_answered():
    """It rang when our side stopped waiting, and was taken up: the root tells the call."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        await sip.next()
        phone = ctx.room.join(leg())
        ctx.room.status(phone, "ringing")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await dialled(sip, "SCL_b", trunk="ST_b", identity="b")
        ctx.room.status(phone, "active")
        await settle()

    job = await run(entry)
    assert (job.root()[CODE], job.root()["trunk.id"]) == (200, "ST_a")


async def test_who_answers_after_all_is_on_the_line():
    """The request was given up, the phone taken up: whom the agent dials then is another leg."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        await sip.next()
        phone = ctx.room.join(leg())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ctx.room.status(phone, "active")
        await dialled(sip, "SCL_b", trunk="ST_b", identity="b")
        await settle()

    root = (await run(entry)).root()
    assert (root[CODE], root["trunk.id"], root["sip.attempt_count"]) == (200, "ST_a", 1)
