"""`dial` over several trunks: livekit-api's own client, against a server that plays the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from livekit.agents import telemetry
from livekit.protocol.sip import CreateSIPParticipantRequest
from opentelemetry import trace

import trunktrace
from trunktrace import DialFailed, DialResult, Trunk
from trunktrace.livekit import pauses
from trunktrace.sip.codes import CODES

from .behaviour.fakejob import Context, Job, Participant, Room, settle, until
from .behaviour.kit import Pipeline
from .fake_livekit_api import ANSWERS, BUSY, UNAVAILABLE, FakeLiveKitApi, Play, Turning

NUMBER = "+15550100001"
A, B, C = "ST_a", "ST_b", "ST_c"
LOST = Play(lost=True)


class _Context(Context):
    """A job's context with an API."""

    client: Any = None

    @property
    def api(self) -> Any:
        return self.client


class Stage:
    """A room, its API, a time that goes on when somebody waits, and the spans that come of it."""

    def __init__(self, server: FakeLiveKitApi, pipe: Pipeline) -> None:
        self.server = server
        self.pipe = pipe
        self.room = server.room
        self.time = server.time
        self.ctx: Any = _Context(self.room)
        self.ctx.client = server.client

    async def dial(self, *trunks: str | Trunk, **options: Any) -> DialResult:
        """As from an entrypoint that nobody traces."""
        options.setdefault("identity", "callee")
        return await trunktrace.dial(self.ctx, NUMBER, trunks=trunks, **options)

    async def fails(self, *trunks: str | Trunk, **options: Any) -> DialFailed:
        with pytest.raises(DialFailed) as failed:
            await self.dial(*trunks, **options)
        return failed.value

    async def traced(self, *trunks: str | Trunk, **options: Any) -> Job:
        """As from a traced entrypoint, in its call."""
        job = Job(self.room, pipe=self.pipe, ctx=self.ctx)

        async def entrypoint(_: Any) -> None:
            with contextlib.suppress(DialFailed):
                await self.dial(*trunks, **options)

        await job.run(entrypoint)
        return job

    @property
    def invites(self) -> list[Any]:
        return [span for span in self.pipe.finished() if span.name == "sip.invite"]


@pytest.fixture
def pipe() -> Iterator[Pipeline]:
    """Spans of livekit-agents' provider, in memory."""
    pipeline = Pipeline()
    telemetry.set_tracer_provider(pipeline.provider)
    try:
        yield pipeline
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())


@contextlib.asynccontextmanager
async def staged(pipe: Pipeline, plays: Mapping[str, Play]) -> AsyncIterator[Stage]:
    """The trunks do what they are told, in a time of their own."""
    time = Turning()
    with pauses.replaced(time):
        async with FakeLiveKitApi(Room(), plays, time) as server:
            yield Stage(server, pipe)


def results(attempts: tuple[trunktrace.Attempt, ...]) -> list[tuple[str | None, object]]:
    return [(one.trunk_id, one.status_code or one.failure) for one in attempts]


# When it goes on ---------------------------------------------------------------------------------


async def test_the_first_trunk_answers(pipe: Pipeline) -> None:
    """One attempt, the participant as livekit-api returns it, and nobody is removed."""
    async with staged(pipe, {A: ANSWERS, B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        assert result.participant.participant_identity == "callee"
        assert result.participant.sip_call_id == "SCL_1"
        assert results(result.attempts) == [(A, 200)]
        assert result.attempts[0].answered
        assert stage.server.did == ["create ST_a"]


async def test_a_503_goes_on_to_the_next_trunk(pipe: Pipeline) -> None:
    """Once the first participant is known to be gone, after the back-off."""
    async with staged(pipe, {A: UNAVAILABLE, B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        assert results(result.attempts) == [(A, 503), (B, 200)]
        assert stage.server.did == ["create ST_a", "get", "get", "create ST_b"]
        assert stage.time.waits == [1.0]


GOES_ON = {408, 480, 500, 501, 502, 503, 504, 580}


@pytest.mark.parametrize("code", [code for code in CODES if code >= 300 and code != 491])
async def test_each_final_code(pipe: Pipeline, code: int) -> None:
    """Another trunk is dialled after the codes of the rule, and after no other."""
    async with staged(pipe, {A: Play(code, "No"), B: ANSWERS}) as stage:
        if code in GOES_ON:
            result = await stage.dial(A, B)
            assert results(result.attempts) == [(A, code), (B, 200)]
        else:
            failed = await stage.fails(A, B)
            assert results(failed.attempts) == [(A, code)]
            assert failed.why.startswith(f"{code}: ")
        assert stage.server.dialled == ([A, B] if code in GOES_ON else [A])
        assert stage.server.doubles == 0


ENDS: dict[str, tuple[Play, bool]] = {
    "nobody answers": (Play(error=("canceled", "sip request timed out"), rings=True), False),
    "no response at all": (Play(error=("canceled", "sip request timed out")), True),
    "no bridge": (Play(error=("unavailable", "cpu exhausted"), joins=False), False),
    "transport": (
        Play(error=("internal", "transaction failed to complete (1 intermediate)")),
        True,
    ),
    "unknown": (Play(error=("internal", "something else")), False),
}


@pytest.mark.parametrize("end", ENDS)
async def test_an_end_without_a_final_code(pipe: Pipeline, end: str) -> None:
    """A transport error goes on; a phone that rang in vain, and what nobody understands, do not."""
    play, goes_on = ENDS[end]
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        if goes_on:
            assert (await stage.dial(A, B)).attempts[-1].trunk_id == B
        else:
            assert (await stage.fails(A, B)).__cause__ is not None
        assert stage.server.dialled == ([A, B] if goes_on else [A])


async def test_progress_stops_it(pipe: Pipeline) -> None:
    """A phone that has rung is not called again over another trunk."""
    async with staged(pipe, {A: Play(503, "No", rings=True), B: ANSWERS}) as stage:
        failed = await stage.fails(A, B)
        assert failed.attempts[0].progress is True
        assert "after progress" in failed.why
        assert stage.server.dialled == [A]


async def test_after_progress_when_told_to(pipe: Pipeline) -> None:
    """With `after_progress` it goes on, still not before the participant is gone."""
    play = Play(503, "No", rings=True, leaves=False, lingers=0.5)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        result = await stage.dial(A, B, after_progress=True)
        assert results(result.attempts) == [(A, 503), (B, 200)]
        assert result.attempts[0].progress is True
        assert stage.server.doubles == 0


async def test_a_phone_that_rang_in_vain_when_told_to(pipe: Pipeline) -> None:
    """With `after_progress` our own ringing timeout goes on as well, once the phone is silent."""
    play = Play(error=("canceled", "sip request timed out"), rings=True, leaves=False)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        result = await stage.dial(A, B, after_progress=True)
        assert results(result.attempts) == [(A, "timeout"), (B, 200)]
        assert stage.server.doubles == 0


async def test_progress_that_the_room_tells_late(pipe: Pipeline) -> None:
    """`ringing` that comes after the API's refusal still stops it."""
    async with staged(pipe, {A: Play(503, "No", leaves=False, lingers=0.5), B: ANSWERS}) as stage:
        stage.time.after(0.3, lambda: stage.room.status(stage.server.there["callee"], "ringing"))
        failed = await stage.fails(A, B)
        assert failed.attempts[0].progress is True
        assert stage.server.dialled == [A]


async def test_progress_between_two_looks(pipe: Pipeline) -> None:
    """It rings and leaves between two looks: the room has told of it, so it stops."""
    play = Play(503, "No", leaves=False, lingers=None)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:

        def rings_and_leaves() -> None:
            there = stage.server.there["callee"]
            stage.room.status(there, "ringing")
            stage.server._leave(there)

        stage.time.after(0.1, rings_and_leaves)
        failed = await stage.fails(A, B)
        assert failed.attempts[0].progress is True
        assert stage.server.dialled == [A]


# Two phones never ring ---------------------------------------------------------------------------


async def test_a_participant_that_stays_is_removed_first(pipe: Pipeline) -> None:
    """Removed, looked for until it is gone, and only then the next trunk."""
    play = Play(503, "No", leaves=False, lingers=2.0)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        await stage.dial(A, B)
        did = stage.server.did
        assert did[:3] == ["create ST_a", "get", "remove"]
        assert did[-1] == "create ST_b"
        assert did.count("get") >= 10, "it looks every 0.2 s"
        assert stage.server.doubles == 0


STUCK: dict[str, tuple[Play, dict[str, str], str]] = {
    "it never goes": (Play(503, "No", leaves=False, lingers=None), {}, "could not be confirmed"),
    "it cannot be removed": (
        Play(503, "No", leaves=False),
        {"remove": "internal"},
        "remove_participant: internal",
    ),
    "nobody says": (
        UNAVAILABLE,
        {"get": "permission_denied"},
        "get_participant: permission_denied",
    ),
}


@pytest.mark.parametrize("kind", STUCK)
async def test_not_confirmed_is_the_end(pipe: Pipeline, kind: str) -> None:
    """What may still ring ends the dial after `removal_timeout_s`, with the reason."""
    play, errors, why = STUCK[kind]
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        stage.server.room_errors = errors
        failed = await stage.fails(A, B, removal_timeout_s=4.0)
        assert why in failed.why
        assert sum(stage.time.waits) == pytest.approx(4.0)
        assert stage.server.dialled == [A]


async def test_a_removal_that_fails_is_no_matter_where_it_leaves(pipe: Pipeline) -> None:
    """What counts is that the participant is gone, not who saw to it."""
    async with staged(pipe, {A: Play(503, "No", leaves=False), B: ANSWERS}) as stage:
        stage.server.room_errors = {"remove": "internal"}
        there = stage.server.there
        stage.time.after(1.0, lambda: stage.server._leave(there["callee"]))
        await stage.dial(A, B)
        assert stage.server.dialled == [A, B]
        assert stage.server.doubles == 0


async def test_who_is_still_in_our_room_is_not_gone(pipe: Pipeline) -> None:
    """The API says not_found; the room still shows the participant, so it waits."""
    async with staged(pipe, {A: UNAVAILABLE, B: ANSWERS}) as stage:
        ghost = Participant("callee", {"sip.callStatus": "dialing"})
        leave = stage.room.leave

        def kept(participant: Any, reason: Any) -> None:
            leave(participant, reason)
            stage.room.remote_participants["callee"] = ghost
            stage.time.after(1.5, lambda: _ignore(stage.room.remote_participants.pop("callee")))

        stage.room.leave = kept  # type: ignore[method-assign]
        await stage.dial(A, B, backoff_s=0.0)
        assert stage.time.seconds == pytest.approx(1.6)
        assert stage.server.did[-1] == "create ST_b"


# A request that is lost ---------------------------------------------------------------------------


async def test_a_lost_request_waits_for_what_may_come(pipe: Pipeline) -> None:
    """Nobody knows whether an INVITE goes out: nobody may be seen for 3 s before the next trunk."""
    async with staged(pipe, {A: LOST, B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        assert results(result.attempts) == [(A, "client_error"), (B, 200)]
        assert sum(stage.time.waits) == pytest.approx(3.0 + 1.0)
        assert stage.server.did.count("get") >= 10


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_error_page_of_a_proxy_is_a_lost_request(pipe: Pipeline, status: int) -> None:
    """The API did not answer: who joins after 1.5 s is removed before the next trunk."""
    async with staged(pipe, {A: Play(page=status, joins_after=1.5), B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        assert results(result.attempts) == [(A, "client_error"), (B, 200)]
        assert stage.time.seconds >= 1.5 + 3.0
        assert stage.server.doubles == 0


async def test_who_joins_late_is_removed(pipe: Pipeline) -> None:
    """A participant of the lost request joins after 2 s: removed, and 3 s from then on."""
    async with staged(pipe, {A: Play(lost=True, joins_after=2.0), B: ANSWERS}) as stage:
        await stage.dial(A, B, backoff_s=0.0)
        assert stage.server.dialled == [A, B]
        assert "remove" in stage.server.did
        assert stage.server.doubles == 0
        assert stage.time.seconds == pytest.approx(2.0 + 3.0, abs=0.5)


async def test_who_joins_late_and_stays_ends_it(pipe: Pipeline) -> None:
    """It does not go on while the late participant is there."""
    play = Play(lost=True, joins_after=2.0, lingers=None)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        failed = await stage.fails(A, B)
        assert failed.path == "ST_a:client_error"
        assert "confirmed gone" in failed.why
        assert stage.time.seconds < 3.0 + 10.0 + 1.0, "waited for its removal once"
        assert stage.server.dialled == [A]


async def test_who_answers_meanwhile_is_the_call(pipe: Pipeline) -> None:
    """The request is lost, the callee answers all the same: nobody hangs up on them."""
    play = Play(lost=True, joins_after=1.0, active_after=1.0)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        assert results(result.attempts) == [(A, 200)]
        assert result.participant.participant_identity == "callee"
        assert result.participant.sip_call_id == "SCL_1"
        assert stage.server.there.keys() == {"callee"}
        assert "remove" not in stage.server.did
        (invite,) = stage.invites
        assert invite.attributes["sip.response.status_code"] == 200


async def test_a_lost_request_leaves_nobody_ringing(pipe: Pipeline) -> None:
    """On the last trunk too: when DialFailed comes, the late participant is gone."""
    async with staged(pipe, {A: Play(lost=True, joins_after=1.0)}) as stage:
        await stage.fails(A)
        assert stage.server.there == {}
        assert "remove" in stage.server.did


@pytest.mark.parametrize("error", [None, ("internal", "something else")])
async def test_who_has_answered_is_the_call_whatever_the_api_says(
    pipe: Pipeline, error: tuple[str, str] | None
) -> None:
    """The API tells of a failure, the room of an answer: the room has the callee."""
    play = Play(503, "No", error=error, answers_first=True, leaves=False)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        assert results(result.attempts) == [(A, 200)]
        assert stage.server.there.keys() == {"callee"}
        assert stage.server.dialled == [A]


async def test_an_end_that_nobody_explains_leaves_nobody_ringing(pipe: Pipeline) -> None:
    """An API error without a final code, and the participant stays: it is put out."""
    play = Play(error=("internal", "something else"), leaves=False)
    async with staged(pipe, {A: play, B: ANSWERS}) as stage:
        await stage.fails(A, B)
        assert stage.server.there == {}
        assert stage.server.dialled == [A]


async def test_a_client_that_times_out(pipe: Pipeline) -> None:
    """livekit-api's own time-out is a lost request, not a phone that rang in vain."""
    async with staged(pipe, {A: ANSWERS, B: ANSWERS}) as stage:
        stage.ctx.client = _Raising(stage.server.client, [TimeoutError()])
        result = await stage.dial(A, B)
        assert results(result.attempts) == [(A, "client_error"), (B, 200)]


class _Raising:
    """livekit-api's client, whose first requests raise."""

    def __init__(self, client: Any, errors: list[Exception]) -> None:
        self.room = client.room
        self.sip = self
        self._client = client
        self._errors = errors

    async def create_sip_participant(self, request: Any, **options: Any) -> Any:
        if self._errors:
            raise self._errors.pop(0)
        return await self._client.sip.create_sip_participant(request, **options)


# Timing and requests -----------------------------------------------------------------------------


async def test_retry_after_is_kept(pipe: Pipeline) -> None:
    """A Retry-After that a source states stands in place of the back-off, up to the longest."""
    soon = Play(503, "No", metadata={"Retry-After": "4"})
    late = Play(503, "No", metadata={"Retry-After": "3600"})
    async with staged(pipe, {A: soon, B: late, C: ANSWERS}) as stage:
        result = await stage.dial(A, B, C, longest_pause_s=7.0)
        assert stage.time.waits == [4.0, 7.0]
        assert [one.retry_after_s for one in result.attempts] == [4.0, 3600.0, None]


async def test_each_request_is_the_template_with_what_the_trunk_says(pipe: Pipeline) -> None:
    """Per-trunk time-out and number; the rest of the template as it is; the template unchanged."""
    template = CreateSIPParticipantRequest(
        sip_number="+15550100009", participant_metadata="m", headers={"X-Team": "orders"}
    )
    before = template.SerializeToString()
    async with staged(pipe, {A: UNAVAILABLE, B: ANSWERS}) as stage:
        second = Trunk(B, ringing_timeout_s=12.5, number="+15550100008")
        await stage.dial(A, second, name="Ann", request=template, ringing_timeout_s=20)
        one, two = stage.server.asked
    assert template.SerializeToString() == before
    assert [each.ringing_timeout.ToMilliseconds() for each in (one, two)] == [20_000, 12_500]
    assert [each.sip_number for each in (one, two)] == ["+15550100009", "+15550100008"]
    for each in (one, two):
        assert each.wait_until_answered
        assert (each.sip_call_to, each.room_name) == (NUMBER, "call-room")
        assert (each.participant_identity, each.participant_name) == ("callee", "Ann")
        assert each.participant_metadata == "m"
        assert each.headers["X-Team"] == "orders"


async def test_a_templates_ringing_time_stands(pipe: Pipeline) -> None:
    """Who says nothing about it gets the template's, and without one 30 s."""
    template = CreateSIPParticipantRequest()
    template.ringing_timeout.seconds = 8
    async with staged(pipe, {A: UNAVAILABLE, B: ANSWERS}) as stage:
        await stage.dial(A, B, request=template)
        await stage.dial(B, identity="second")
        asked = [each.ringing_timeout.seconds for each in stage.server.asked]
    assert asked == [8, 8, 30]


async def test_an_identity_without_the_number(pipe: Pipeline) -> None:
    """Nobody names the participant: it gets a name that does not tell whom it is."""
    async with staged(pipe, {A: ANSWERS}) as stage:
        result = await stage.dial(A, identity=None)
        identity = result.participant.participant_identity
        assert identity.startswith("callee-")
        assert "555" not in identity or len(identity) < len(NUMBER) + 8
        assert NUMBER.strip("+") not in identity


# Failure and cancellation -------------------------------------------------------------------------


async def test_the_last_exception_is_chained(pipe: Pipeline) -> None:
    """`__cause__` is livekit-api's own exception of the last attempt, the same object."""
    errors: list[Exception] = []
    async with staged(pipe, {A: UNAVAILABLE, B: BUSY}) as stage:
        client = stage.server.client.sip.create_sip_participant

        class Noting(_Raising):
            async def create_sip_participant(self, request: Any, **options: Any) -> Any:
                try:
                    return await client(request, **options)
                except Exception as error:
                    errors.append(error)
                    raise

        stage.ctx.client = Noting(stage.server.client, [])
        failed = await stage.fails(A, B)
    assert failed.__cause__ is errors[-1]
    assert len(errors) == 2
    assert failed.path == "ST_a:503>ST_b:486"
    assert results(failed.attempts) == [(A, 503), (B, 486)]
    assert str(failed) == f"ST_a:503>ST_b:486: {failed.why}"


async def test_no_trunk_is_left(pipe: Pipeline) -> None:
    """The last trunk's 503 says that there is no further one."""
    async with staged(pipe, {A: UNAVAILABLE}) as stage:
        failed = await stage.fails(A)
        assert failed.why == "503: there is no further trunk"


async def test_it_can_be_pickled(pipe: Pipeline) -> None:
    """The failure of one process can be read in another."""
    async with staged(pipe, {A: UNAVAILABLE, B: BUSY}) as stage:
        failed = await stage.fails(A, B)
    again = pickle.loads(pickle.dumps(failed))
    assert (again.attempts, again.why, str(again)) == (failed.attempts, failed.why, str(failed))
    assert pickle.loads(pickle.dumps(Trunk(A, 5, "+1555"))) == Trunk(A, 5, "+1555")


async def test_no_number_in_what_is_raised(pipe: Pipeline) -> None:
    """A reason phrase with the number in it: not in the failure, its attempts or its spans."""
    async with staged(pipe, {A: Play(404, f"No such user {NUMBER}")}) as stage:
        failed = await stage.fails(A)
    assert "5550100001" not in f"{failed} {failed.attempts!r} {failed.why}"
    (invite,) = stage.invites
    assert "5550100001" not in invite.to_json()


@pytest.mark.parametrize("rings", [True, False])
async def test_a_cancelled_dial_stops_the_ringing(pipe: Pipeline, rings: bool) -> None:
    """CancelledError comes at once, as itself; the phone is made to stop ringing behind it."""
    async with staged(pipe, {A: Play(hangs=True, rings=rings), B: ANSWERS}) as stage:
        task = asyncio.create_task(stage.dial(A, B))
        await asyncio.wait_for(stage.server.is_hanging.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stage.server.dialled == [A]
        await until(lambda: not stage.server.there)
        await settle()
        (invite,) = stage.invites
        assert invite.status.status_code.name == "UNSET"


async def test_cancelled_in_the_pause(pipe: Pipeline) -> None:
    """Cancelled between two attempts, it makes no further one."""
    async with staged(pipe, {A: UNAVAILABLE, B: ANSWERS}) as stage:
        task = asyncio.create_task(stage.dial(A, B, backoff_s=5.0))
        stage.time.after(1.0, lambda: _ignore(task.cancel()))
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: stage.time.seconds >= 8.0)
        assert stage.server.dialled == [A]


# What the trace says ------------------------------------------------------------------------------


async def test_attempts_are_spans_that_link_to_the_one_before(pipe: Pipeline) -> None:
    """In a traced job: one CLIENT span an attempt, each linked to the former; the path on top."""
    async with staged(pipe, {A: UNAVAILABLE, B: Play(500, "No"), C: ANSWERS}) as stage:
        job = await stage.traced(A, B, C)
        first, second, third = stage.invites
        assert [one.attributes["trunk.id"] for one in stage.invites] == [A, B, C]
        assert [one.attributes["sip.response.status_code"] for one in stage.invites] == [
            503,
            500,
            200,
        ]
        assert first.links == ()
        assert [link.context.span_id for link in second.links] == [first.context.span_id]
        assert [link.context.span_id for link in third.links] == [second.context.span_id]
        root = job.root()
        assert root["trunk.failover.path"] == "ST_a:503>ST_b:500>ST_c:200"
        assert root["trunk.failover.count"] == 2
        assert root["sip.response.status_code"] == 200
        assert {one.context.trace_id for one in stage.invites} == {
            pipe.named("job_entrypoint").context.trace_id
        }


async def test_what_is_known_late_is_told_to_the_call(pipe: Pipeline) -> None:
    """Answered after the API had refused: the path on the root ends as the result does."""
    play = Play(503, "No", leaves=False, lingers=None)
    async with staged(pipe, {A: UNAVAILABLE, B: play, C: ANSWERS}) as stage:
        stage.time.after(1.1, lambda: stage.room.status(stage.server.there["callee"], "active"))
        job = await stage.traced(A, B, C)
        assert stage.server.dialled == [A, B]
        assert stage.server.there.keys() == {"callee"}
    assert job.root()["trunk.failover.path"] == "ST_a:503>ST_b:200"


async def test_the_same_without_a_traced_job(pipe: Pipeline) -> None:
    """Nobody traces the job: the attempts are as complete, and their spans are linked as well."""
    async with staged(pipe, {A: Play(480, "No"), B: ANSWERS}) as stage:
        result = await stage.dial(A, B)
        first, second = result.attempts
        assert (first.progress, first.own_cancel, first.livekit_call_id) == (False, False, "SCL_1")
        assert first.start is not None
        assert first.end is not None
        assert second.livekit_call_id == "SCL_2"
        one, two = stage.invites
        assert [link.context.span_id for link in two.links] == [one.context.span_id]
        assert not any(stage.room._events.values()), "it listens to the room no longer"


async def test_a_second_dial_beside_the_call(pipe: Pipeline) -> None:
    """Whoever is called while somebody is on the line is another leg, over its own trunks."""
    async with staged(pipe, {A: ANSWERS, B: UNAVAILABLE, C: ANSWERS}) as stage:
        job = Job(stage.room, pipe=pipe, ctx=stage.ctx)

        async def entrypoint(_: Any) -> None:
            await stage.dial(A)
            beside = await stage.dial(B, C, identity="colleague")
            assert [one.aside for one in beside.attempts] == [True, True]
            assert stage.server.there.keys() == {"callee", "colleague"}

        await job.run(entrypoint)
        assert job.root()["trunk.id"] == A
        assert "trunk.failover.path" not in job.root()


def _ignore(_: object) -> None:
    """A callback returns nothing."""
