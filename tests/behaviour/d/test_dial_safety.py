"""Two phones never ring: `dial` under random troubles of bridge, room and caller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.behaviour.fakejob import Participant, until
from tests.fake_livekit_api import ANSWERS, UNAVAILABLE, Play

from trunktrace import DialFailed, DialResult
from trunktrace.errors import ConfigurationError

from .witness import Witness, dial, witnessed

A, B, C = "ST_a", "ST_b", "ST_c"
WORTHY = frozenset({408, 480, 500, 501, 502, 503, 504, 580})
UNWORTHY = (300, 302, 400, 402, 403, 404, 407, 415, 428, 436, 437, 438, 481, 482, 486, 487, 488,
            505, 513, 600, 603, 604, 606, 607, 608)  # fmt: skip
ERRORS = (
    ("unavailable", "cpu exhausted"),
    ("canceled", "sip request timed out"),
    ("internal", "whatever"),
    ("invalid_argument", "no such trunk"),
)

LINGERS = st.sampled_from([0.0, 0.0, 0.0, 0.3, 0.3, 1.7, 4.0, None])
refused = st.builds(
    Play,
    code=st.sampled_from([*WORTHY, *WORTHY, *UNWORTHY]),
    reason=st.just("No"),
    rings=st.booleans(),
    leaves=st.booleans(),
    lingers=LINGERS,
    joins=st.booleans(),
)
failed = st.builds(
    Play,
    error=st.sampled_from(ERRORS),
    rings=st.booleans(),
    leaves=st.booleans(),
    lingers=LINGERS,
    joins=st.booleans(),
)
lost = st.builds(
    Play,
    lost=st.just(True),
    joins_after=st.sampled_from([None, 0.0, 0.1, 0.9, 1.5, 2.9]),
    active_after=st.sampled_from([None, None, None, 2.0, 3.1]),
    lingers=LINGERS,
)
troubles = st.one_of(refused, failed, lost)
quick = settings(
    max_examples=25, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


async def outcome_of(dialling: Any) -> DialResult | DialFailed:
    try:
        result: DialResult = await dialling
    except DialFailed as error:
        return error
    return result


def check_result(server: Witness, outcome: DialResult | DialFailed) -> None:
    """What `dial` says is what the bridge saw."""
    assert [one.trunk_id for one in outcome.attempts] == server.dialled
    assert all(one.over for one in outcome.attempts)
    assert not any(one.answered for one in outcome.attempts[:-1])
    if isinstance(outcome, DialResult):
        assert outcome.attempts[-1].answered
        assert server.there, "who answered was put out"
    else:
        assert not outcome.attempts[-1].answered
        assert outcome.__cause__ is not None
    for one in outcome.attempts[:-1]:
        play = server.plays[str(one.trunk_id)]
        if play.lost:
            assert one.failure == "client_error"
            continue
        assert play.error is None or play.error[1] == "sip request timed out", one
        assert play.error is not None or one.status_code in WORTHY, one
        assert not (play.rings and play.joins), f"gone on after progress: {one}"


@quick
@given(st.lists(troubles, min_size=1, max_size=2), st.integers(0, 3), st.integers(0, 3))
async def test_never_two_at_once(plays: list[Play], removals: int, looks: int) -> None:
    """Whatever the trunks do: no INVITE before the former participant was seen to be gone."""
    named = dict(zip((A, B), plays, strict=False)) | {C: ANSWERS}
    async with witnessed(named) as (ctx, server):
        server.removal_fails, server.look_fails = removals, looks
        outcome = await outcome_of(dial(ctx, *named))
        server.check()
        check_result(server, outcome)


@quick
@given(st.one_of(troubles, st.just(ANSWERS)), st.integers(1, 12), st.booleans())
async def test_cancelled_anywhere(play: Play, at: int, after_progress: bool) -> None:
    """Cancelled at any deed of the bridge: as itself, no INVITE after it, nobody rings on."""
    named = {A: play, B: Play(503, lingers=0.3, leaves=False, rings=True), C: Play(hangs=True)}
    async with witnessed(named) as (ctx, server):
        server.at_deed[at] = reached = asyncio.Event()
        task = asyncio.create_task(
            outcome_of(dial(ctx, *named, after_progress=after_progress)), name="dial"
        )
        waits = asyncio.create_task(reached.wait())
        hangs = asyncio.create_task(server.is_hanging.wait())
        await asyncio.wait({task, waits, hangs}, return_when=asyncio.FIRST_COMPLETED)
        was_done = task.done()
        task.cancel()
        waits.cancel()
        hangs.cancel()
        placed = len(server.asked)
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert was_done or isinstance(outcome, asyncio.CancelledError), outcome
        server.check()
        if isinstance(outcome, asyncio.CancelledError):
            assert len(server.asked) <= placed + 1
            if play.lingers is not None:
                await until(lambda: not server.there)
                await until(_idle)
                assert not server.there
        server.check()


def _idle() -> bool:
    return not any(one.get_name().startswith("trunktrace") for one in asyncio.all_tasks())


async def test_a_new_dial_after_a_cancelled_one_is_not_hung_up() -> None:
    """`asyncio.timeout` around a dial, then another one of the same identity: its call lives."""
    async with witnessed({A: Play(hangs=True, rings=True), B: ANSWERS}) as (ctx, server):
        task = asyncio.create_task(dial(ctx, A))
        await server.is_hanging.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: "callee" not in server.room.remote_participants)
        result = await dial(ctx, B)
        await until(_idle)
        assert result.attempts[-1].answered
        assert "callee" in server.there, f"who answered was removed: {server.deeds}"
        assert "callee" in server.room.remote_participants


async def test_a_new_dial_at_once_after_a_cancelled_one() -> None:
    """Right after the cancellation: refused, or once the former phone is silent; never both."""
    async with witnessed({A: Play(hangs=True, rings=True, lingers=0.5), B: ANSWERS}) as (ctx, s):
        task = asyncio.create_task(dial(ctx, A))
        await s.is_hanging.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            await dial(ctx, B)
        except ConfigurationError:
            return
        await until(_idle)
        assert not s.crowd, s.deeds
        assert "callee" in s.there, f"who answered was removed: {s.deeds}"


async def test_a_lost_request_that_rings_and_goes_is_progress() -> None:
    """It joins late, rings and leaves by itself: a phone has rung, so no other trunk is dialled."""
    plays = {A: Play(lost=True, joins_after=0.5, lingers=None), B: ANSWERS}
    async with witnessed(plays) as (ctx, server):
        server.rings_late[A], server.leaves_late[A] = 0.1, 0.6
        outcome = await outcome_of(dial(ctx, A, B))
        assert isinstance(outcome, DialFailed)
        assert server.dialled == [A]


async def test_ringing_between_two_looks_is_progress() -> None:
    """The room tells of ringing and leaving after the API's 503, between two looks: it has rung."""
    async with witnessed({A: Play(503, leaves=False, lingers=None), B: ANSWERS}) as (ctx, server):
        server.rings_late[A], server.leaves_late[A] = 0.1, 0.15
        outcome = await outcome_of(dial(ctx, A, B))
        server.check()
        assert isinstance(outcome, DialFailed), outcome
        assert server.dialled == [A]


async def test_ringing_seen_only_by_the_api_is_progress() -> None:
    """The room's event came late; the API's look says `ringing`: it does not go on."""
    async with witnessed({A: Play(503, leaves=False, lingers=0.4), B: ANSWERS}) as (ctx, server):

        def silently(phone: Participant, status: Any) -> None:
            phone.attributes["sip.callStatus"] = status

        room: Any = server.room
        heard = room.status
        room.status = silently
        server.rings_late[A] = 0.0
        server.time.after(0.0, lambda: server._ring(server.there["callee"]))
        outcome = await outcome_of(dial(ctx, A, B))
        room.status = heard
        server.check()
        assert isinstance(outcome, DialFailed)
        assert server.dialled == [A]


@pytest.mark.parametrize("error", ["internal", "permission_denied", "unavailable", "not_found"])
async def test_only_not_found_says_gone(error: str) -> None:
    """A look that fails is no absence, whatever the error; `not_found` is one."""
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, server):
        server.room_errors["get"] = error
        outcome = await outcome_of(dial(ctx, A, B))
        assert isinstance(outcome, DialResult) == (error == "not_found")
        assert server.dialled == ([A, B] if error == "not_found" else [A])


async def test_two_dials_at_once_do_not_disturb_each_other() -> None:
    """Two people, one room: each dial has its own attempts, and removes its own participant."""
    async with witnessed({A: Play(503, leaves=False, lingers=0.4), B: ANSWERS}) as (ctx, server):
        one, other = await asyncio.gather(
            dial(ctx, A, B, identity="one"), dial(ctx, A, B, identity="other")
        )
        for result, identity in ((one, "one"), (other, "other")):
            assert result.participant.participant_identity == identity
            assert [(a.trunk_id, a.status_code) for a in result.attempts] == [(A, 503), (B, 200)]
        assert set(server.there) == {"one", "other"}


async def test_two_default_identities_differ() -> None:
    """Without an identity two dials at once are two participants, and no number is in a name."""
    async with witnessed({A: ANSWERS}) as (ctx, server):
        results = await asyncio.gather(*(dial(ctx, A, identity=None) for _ in range(2)))
        names = {one.participant.participant_identity for one in results}
        assert len(names) == 2
        assert not any("5550100001" in name for name in names)
        assert len(server.there) == 2
