"""A dial that was cancelled is cleared away, and touches no later participant of its identity."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

import trunktrace
from trunktrace import DialFailed
from trunktrace.errors import ConfigurationError
from trunktrace.livekit.pickling import registered

from .behaviour.d.witness import NUMBER, Witness, dial, witnessed
from .behaviour.fakejob import Job, Participant, settle, until
from .fake_livekit_api import ANSWERS, Play

A, B = "ST_a", "ST_b"
RINGS = Play(hangs=True, rings=True)
UNSEEN = Play(hangs=True, joins=False)


def idle() -> bool:
    """Whether no clean-up is under way."""
    return not any(one.get_name() == "trunktrace-dial-cancel" for one in asyncio.all_tasks())


async def cancelled(ctx: Any, server: Witness, *trunks: str) -> None:
    """A dial, cancelled while the request is under way."""
    task = asyncio.create_task(dial(ctx, *trunks))
    await server.is_hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.is_hanging.clear()


@contextlib.asynccontextmanager
async def after_a_cancelled_dial(
    first: Play, second: Play = ANSWERS
) -> AsyncIterator[tuple[Any, Witness]]:
    async with witnessed({A: first, B: second}) as (ctx, server):
        await cancelled(ctx, server, A)
        yield ctx, server


def joins(
    server: Witness, trunk: str = A, status: str = "dialing", call_id: str = "SCL_x"
) -> Participant:
    """Somebody joins under the identity of the dial: another request's participant, say."""
    phone = Participant(
        "callee",
        {
            "sip.callID": call_id,
            "sip.callStatus": status,
            "sip.trunkID": trunk,
            "sip.phoneNumber": NUMBER,
        },
    )
    phone.sid = f"PA_{call_id}"
    server.there["callee"] = phone
    server._playing["callee"] = Play()
    server.room.join(phone)
    return phone


# The next dial ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lingers", [0.0, 0.5, 2.5])
async def test_the_next_dial_waits_until_the_former_phone_is_silent(lingers: float) -> None:
    """It is no error to dial again at once; the INVITE goes out when the former one has gone."""
    play = Play(hangs=True, rings=True, lingers=lingers)
    async with after_a_cancelled_dial(play) as (ctx, server):
        result = await dial(ctx, B)
        await until(idle)
        server.check()
        assert result.participant.participant_identity == "callee"
        assert server.there.keys() == {"callee"}
        assert not server.crowd


async def test_the_next_dial_waits_no_longer_than_it_must() -> None:
    """The phone of the cancelled request was seen, and has gone: no other can come of it."""
    async with after_a_cancelled_dial(RINGS) as (ctx, server):
        await dial(ctx, B)
        assert server.time.seconds < 1.0


async def test_the_next_dial_waits_for_what_may_still_come() -> None:
    """Nobody was seen of the cancelled request: 3 s of silence, who joins in them is put out."""
    async with after_a_cancelled_dial(UNSEEN) as (ctx, server):
        server.time.after(1.0, lambda: _ignore(joins(server)))
        await dial(ctx, B)
        server.check()
        assert not server.crowd
        assert [one["trunk"] for one in server.deeds if one["kind"] == "gone"] == [A]
        assert server.there["callee"].attributes["sip.trunkID"] == B


async def test_the_next_dial_of_another_identity_waits_for_nobody() -> None:
    """A clean-up concerns its own identity."""
    async with after_a_cancelled_dial(UNSEEN) as (ctx, server):
        await dial(ctx, B, identity="other")
        assert server.deeds[-1]["kind"] in ("create", "join")
        assert server.time.seconds < 3.0


async def test_a_phone_that_does_not_go_ends_the_next_dial() -> None:
    """What may still ring gets no second phone beside it: nothing is dialled."""
    play = Play(hangs=True, rings=True, lingers=None)
    async with after_a_cancelled_dial(play) as (ctx, server):
        with pytest.raises(DialFailed) as failed:
            await dial(ctx, B)
        assert failed.value.attempts == ()
        assert "could not be confirmed gone" in failed.value.why
        assert server.dialled == [A]


async def test_a_dial_that_is_cancelled_while_it_waits() -> None:
    """It has asked for nothing; the former clean-up goes on, and the third dial waits for it."""
    play = Play(hangs=True, rings=True, lingers=1.5)
    async with after_a_cancelled_dial(play) as (ctx, server):
        waits = asyncio.create_task(dial(ctx, B))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        await dial(ctx, B)
        server.check()
        assert server.dialled == [A, B]
        assert server.there["callee"].attributes["sip.trunkID"] == B


async def test_one_dial_of_an_identity_at_a_time() -> None:
    """The second would put the first one's phone out: refused before anything is dialled."""
    async with witnessed({A: RINGS, B: ANSWERS}) as (ctx, server):
        first = asyncio.create_task(dial(ctx, A))
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match="identity"):
            await dial(ctx, B)
        await server.is_hanging.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert server.dialled == [A]


async def test_a_dial_that_has_ended_holds_its_identity_no_longer() -> None:
    """After a failure, and after an answer whose participant has left."""
    async with witnessed({A: Play(486, "Busy"), B: ANSWERS}) as (ctx, server):
        with pytest.raises(DialFailed):
            await dial(ctx, A)
        await dial(ctx, B)
        server._leave(server.there["callee"])
        await dial(ctx, B)
        assert server.dialled == [A, B, B]


# A request of the user's own ----------------------------------------------------------------------


async def test_who_joins_after_ours_has_gone_is_left_alone() -> None:
    """One request makes one participant: the next one of that identity is somebody else's."""
    async with after_a_cancelled_dial(RINGS) as (_, server):
        await until(lambda: "callee" not in server.there)
        joins(server, A, "ringing")
        await until(idle)
        assert server.there.keys() == {"callee"}


async def test_who_takes_the_place_of_ours_is_left_alone() -> None:
    """LiveKit puts the former out when the same identity joins: the removal is not for the new."""
    play = Play(hangs=True, rings=True, lingers=None)
    async with after_a_cancelled_dial(play) as (_, server):
        await until(lambda: any(one["kind"] == "remove" for one in server.deeds))
        server._leave(server.there["callee"])
        removals = sum(one["kind"] == "remove" for one in server.deeds)
        joins(server, A, "dialing")
        server._playing["callee"] = Play(lingers=0.0)
        await until(idle)
        assert server.there.keys() == {"callee"}
        assert sum(one["kind"] == "remove" for one in server.deeds) == removals


@pytest.mark.parametrize(
    "trunk, status", [(A, "active"), (B, "dialing"), (B, "ringing"), (B, "active")]
)
async def test_a_late_one_is_put_out_only_if_it_can_be_ours(trunk: str, status: str) -> None:
    """Not who has answered, and not who comes over another trunk than the one that was asked."""
    async with after_a_cancelled_dial(UNSEEN) as (_, server):
        await until(lambda: server.time.seconds > 0.0)
        joins(server, trunk, status)
        await until(idle)
        assert server.there.keys() == {"callee"}


async def test_somebody_who_is_no_phone_is_left_alone() -> None:
    """A browser takes the identity of the cancelled dial."""
    async with after_a_cancelled_dial(UNSEEN) as (_, server):
        await until(lambda: server.time.seconds > 0.0)
        server.there["callee"] = Participant("callee", {})
        server.room.join(server.there["callee"])
        await until(idle)
        assert not any(one["kind"] == "remove" for one in server.deeds)


async def test_who_has_just_answered_the_cancelled_dial_is_put_out() -> None:
    """Answered before the cancellation: nobody would ever talk to them."""
    play = Play(hangs=True, answers_first=True)
    async with after_a_cancelled_dial(play) as (_, server):
        await until(lambda: "callee" not in server.there)


async def test_who_has_answered_before_the_room_tells_is_put_out() -> None:
    """The API shows at once what the room will tell later: still the cancelled dial's."""
    async with witnessed({A: UNSEEN}) as (ctx, server):
        task = asyncio.create_task(dial(ctx, A))
        await server.is_hanging.wait()
        joins(server, A, "active")
        del server.room.remote_participants["callee"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: "callee" not in server.there)


async def test_the_removal_is_for_whom_the_api_shows() -> None:
    """The room still shows the former phone when another has its identity already."""
    play = Play(hangs=True, rings=True, lingers=None)
    async with witnessed({A: play}) as (ctx, server):
        task = asyncio.create_task(dial(ctx, A))
        await server.is_hanging.wait()
        former = server.there["callee"]
        joins(server, A, "ringing")
        server.room.remote_participants["callee"] = former
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: server.time.seconds > 5.0)
        assert not any(one["kind"] == "remove" for one in server.deeds)
        server.room.leave(former, None)
        await until(idle)
        assert server.there.keys() == {"callee"}


async def test_a_users_own_request_ends_the_clean_up() -> None:
    """In a traced job: from the request on, nobody of that identity is put out any more."""
    from livekit.protocol.sip import CreateSIPParticipantRequest

    async with witnessed({A: UNSEEN}) as (ctx, server):
        job = Job(ctx.room, ctx=ctx)

        async def entrypoint(_: Any) -> None:
            await cancelled(ctx, server, A)
            server.plays[A] = RINGS
            request = CreateSIPParticipantRequest(
                sip_trunk_id=A,
                sip_call_to=NUMBER,
                room_name=ctx.room.name,
                participant_identity="callee",
            )
            task = asyncio.create_task(ctx.api.sip.create_sip_participant(request))
            await server.is_hanging.wait()
            await until(idle)
            assert "callee" in server.there
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        await job.run(entrypoint)
        assert not any(one["kind"] == "remove" for one in server.deeds)


# Nothing of ours in its way -----------------------------------------------------------------------


async def test_a_broken_carriers_file_stops_no_call(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Outside a traced job it is read in the call: dialled without names, with one warning."""
    (tmp_path / "carriers.toml").write_text("[trunks")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registered, "latest", None)
    async with witnessed({A: Play(503, "No"), B: ANSWERS}) as (ctx, _):
        for identity in ("one", "two"):
            result = await dial(ctx, A, B, identity=identity)
            assert [one.trunk_id for one in result.attempts] == [A, B]
            assert result.attempts[0].progress is False
    told = [one.getMessage() for one in caplog.records if "configuration" in one.getMessage()]
    assert len(told) == 1
    assert "carriers.toml" in told[0]


async def test_a_dial_in_a_call_of_start_call_is_that_calls() -> None:
    """Nobody traces the job: the root of `start_call` gets trunk, final code and path."""
    from .behaviour.kit import Pipeline

    pipe = Pipeline()
    async with witnessed({A: Play(503, "No"), B: ANSWERS}) as (ctx, _):
        with trunktrace.start_call(tracer_provider=pipe.provider, direction="outbound"):
            await dial(ctx, A, B)
    root = pipe.attributes("sip.call")
    assert root["trunk.failover.path"] == "ST_a:503>ST_b:200"
    assert root["trunk.failover.count"] == 1
    assert root["trunk.id"] == B
    assert root["sip.response.status_code"] == 200


async def test_a_dial_beside_an_inbound_call_of_start_call_changes_nothing_of_it() -> None:
    """Whom somebody calls in is another leg."""
    from .behaviour.kit import Pipeline

    pipe = Pipeline()
    async with witnessed({A: Play(503, "No"), B: ANSWERS}) as (ctx, _):
        with trunktrace.start_call(
            tracer_provider=pipe.provider, direction="inbound", trunk_id="ST_in"
        ):
            await dial(ctx, A, B)
    root = pipe.attributes("sip.call")
    assert root["trunk.id"] == "ST_in"
    assert root["sip.call.direction"] == "inbound"
    assert "trunk.failover.path" not in root
    await settle()


def _ignore(_: object) -> None:
    """A callback returns nothing."""
