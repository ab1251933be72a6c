"""Nothing of ours hurts a dial: broken parts, identities of answers and errors, same requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from livekit.agents import telemetry
from livekit.protocol.sip import CreateSIPParticipantRequest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from tests.behaviour.fakejob import Job, Room
from tests.behaviour.kit import Pipeline
from tests.fake_livekit_api import ANSWERS, BUSY, UNAVAILABLE, Play
from tests.inviting import REFUSED, asking, invite, invites, leg, request, run, said
from tests.twirp import SipApi

import trunktrace
from trunktrace import DialFailed, DialResult, Directory, Redaction, SipPropagator, Trunk
from trunktrace.guard import reraising
from trunktrace.livekit.pickling import registered
from trunktrace.livekit.room import RoomObserver

from .witness import NUMBER, dial, witnessed

A, B = "ST_a", "ST_b"


class Broken(Exception):
    """What a broken part of ours raises; it holds a number, as such texts do."""

    def __init__(self, *_: Any) -> None:
        super().__init__("no +14155550134")


def breaks(*_: Any, **__: Any) -> Any:
    raise Broken


class BrokenTracer(trace.Tracer):
    """Starts no span."""

    start_span = start_as_current_span = breaks


class BrokenProvider(trace.TracerProvider):
    """Gives broken tracers."""

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return BrokenTracer()


class BrokenProcessor(SpanProcessor):
    """Fails at the end of each span, as a processor of somebody's may."""

    def on_end(self, span: ReadableSpan) -> None:
        raise Broken

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        if span.name.startswith("sip."):
            raise Broken


class BrokenExporter(SpanExporter):
    """Exports nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise Broken

    def shutdown(self) -> None:
        raise Broken


class BrokenPropagator(SipPropagator):
    """Fails as it writes."""

    inject = breaks


def provider_with(processor: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


@pytest.fixture(autouse=True)
def _livekits_own_provider() -> Iterator[None]:
    yield
    telemetry.set_tracer_provider(trace.get_tracer_provider())
    # A job's settings stay those of its process.
    registered.latest = None


PARTS = ("tracer", "processor", "exporter", "directory", "redaction", "started", "returned",
         "failed", "clock")  # fmt: skip


def break_part(part: str, patch: pytest.MonkeyPatch) -> None:
    match part:
        case "tracer":
            telemetry.set_tracer_provider(BrokenProvider())
        case "processor":
            telemetry.set_tracer_provider(provider_with(BrokenProcessor()))
        case "exporter":
            telemetry.set_tracer_provider(provider_with(SimpleSpanProcessor(BrokenExporter())))
        case "directory":
            patch.setattr(Directory, "identify", breaks)
        case "redaction":
            patch.setattr(Redaction, "party", breaks)
            patch.setattr(Redaction, "number", breaks)
        case "clock":
            from trunktrace.clock import clock

            patch.setattr(type(clock), "now_s", breaks)
        case _:
            name = {"started": "started", "returned": "returned", "failed": "raised"}[part]
            from trunktrace.livekit.attempts import Attempts

            patch.setattr(Attempts, name, breaks)


@pytest.mark.parametrize("part", PARTS)
async def test_dial_goes_its_way_with_a_broken_part(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """503, then 200: the same trunks and the same participant, whatever of ours is broken."""
    caplog.set_level(logging.DEBUG, logger="trunktrace")
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, server):
        with monkeypatch.context() as patch, reraising(value=False):
            break_part(part, patch)
            result = await dial(ctx, A, B)
        assert result.participant.participant_identity == "callee"
        assert [(one.trunk_id, one.status_code) for one in result.attempts] == [(A, 503), (B, 200)]
        server.check()
        assert server.dialled == [A, B]
    ours = "".join(line.getMessage() for line in caplog.records if line.name == "trunktrace")
    assert "4155550134" not in ours


@pytest.mark.parametrize("part", PARTS)
async def test_dial_fails_as_it_would_with_a_broken_part(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """486: DialFailed from the API's own exception, and no second trunk."""
    async with witnessed({A: BUSY, B: ANSWERS}) as (ctx, server):
        with monkeypatch.context() as patch, reraising(value=False):
            break_part(part, patch)
            with pytest.raises(DialFailed) as failed:
                await dial(ctx, A, B)
        assert isinstance(failed.value.__cause__, REFUSED)
        assert failed.value.__cause__.metadata["sip_status_code"] == "486"
        assert server.dialled == [A]


@pytest.mark.parametrize("part", [*PARTS, "propagator"])
async def test_a_users_own_dial_with_a_broken_part(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal and one answer through the client: as without us, also in a traced job."""
    errors: list[BaseException] = []

    async def entry(ctx: Any, sip: SipApi) -> None:
        with monkeypatch.context() as patch, reraising(value=False):
            if part != "propagator":
                break_part(part, patch)
            task = asking(sip)
            asked = await sip.next()
            ctx.room.join(leg())
            asked.refuse(486, "Busy Here")
            try:
                await task
            except REFUSED as error:
                errors.append(error)
            task = asking(sip, request("ST_b", identity="two"))
            (await sip.next()).accept("SCL_2")
            assert (await task).sip_call_id == "SCL_2"

    headers: dict[str, Any] = {"sip_headers": BrokenPropagator()} if part == "propagator" else {}
    with reraising(value=False):
        await run(entry, **headers)
    (error,) = errors
    assert error.metadata["sip_status_code"] == "486"  # type: ignore[attr-defined]


async def test_an_observer_that_cannot_be_made_breaks_no_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Outside a traced job `dial` makes its own observer: if that fails, it dials all the same."""
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, server):
        with monkeypatch.context() as patch, reraising(value=False):
            patch.setattr(RoomObserver, "start", breaks)
            result = await dial(ctx, A, B)
        assert result.attempts[-1].answered
        server.check()


# Identities ---------------------------------------------------------------------------------------


class Client:
    """The API's client, whose answers are ours to choose; the room's are the server's."""

    def __init__(self, client: Any, answers: list[Any]) -> None:
        self.room = client.room
        self.sip = self
        self.answers = answers
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    async def create_sip_participant(self, asked: Any, **options: Any) -> Any:
        self.asked.append((asked, options))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def test_the_participant_is_the_apis_own_object() -> None:
    """By identity, through `dial`."""
    answer = object()
    async with witnessed({}) as (ctx, server):
        client: Any = Client(server.client, [answer])
        result = await dial(ctx, A, api=client)
    assert result.participant is answer
    assert isinstance(result, DialResult)
    assert isinstance(result.attempts, tuple)


@pytest.mark.parametrize(
    "error", [ValueError("x"), TimeoutError("x"), ConnectionResetError(), KeyError(1)]
)
async def test_the_cause_is_the_last_exception_itself(error: Exception) -> None:
    """By identity, of the last attempt, with its own text and context."""
    async with witnessed({}) as (ctx, server):
        client: Any = Client(server.client, [error])
        with pytest.raises(DialFailed) as failed:
            await dial(ctx, A, api=client)
    assert failed.value.__cause__ is error
    assert error.__cause__ is None
    assert not hasattr(error, "__notes__")


async def test_a_foreign_error_is_no_reason_to_go_on() -> None:
    """A bug in the user's client, say: nobody knows what it means."""
    async with witnessed({}) as (ctx, server):
        client: Any = Client(server.client, [ValueError("x"), object()])
        with pytest.raises(DialFailed):
            await dial(ctx, A, B, api=client)
        assert len(client.asked) == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_is_no_exception_passes_as_itself(kind: type[BaseException]) -> None:
    """The process is to end: not wrapped into DialFailed."""
    error = kind("stop")

    class Ends(Client):
        async def create_sip_participant(self, asked: Any, **options: Any) -> Any:
            raise error

    async with witnessed({}) as (ctx, server):
        client: Any = Ends(server.client, [])
        coroutine = dial(ctx, A, api=client)
        with pytest.raises(kind) as out:
            # By hand: a task would hand these on to the loop.
            coroutine.send(None)
        assert out.value is error


async def test_the_template_is_not_changed() -> None:
    """Byte for byte, after two attempts; and each attempt's request is another object."""
    template = CreateSIPParticipantRequest(
        headers={"X-Team": "orders"}, participant_attributes={"a": "b"}, dtmf="1234"
    )
    before = template.SerializeToString(deterministic=True)
    telemetry.set_tracer_provider(Pipeline().provider)
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, server):
        await dial(ctx, Trunk(A, ringing_timeout_s=5), Trunk(B, number="+15550100002"),
                   request=template)  # fmt: skip
        first, second = server.asked
    assert template.SerializeToString(deterministic=True) == before
    assert first.headers["X-Team"] == second.headers["X-Team"] == "orders"
    assert (first.ringing_timeout.seconds, second.ringing_timeout.seconds) == (5, 30)
    assert second.sip_number == "+15550100002"
    assert first.headers["X-Traceparent"] != second.headers["X-Traceparent"]
    assert first.wait_until_answered
    assert second.wait_until_answered


async def test_a_users_request_is_not_changed() -> None:
    """Through the observed client: our headers go out, the user's object stays as it was."""
    asked_for = request()
    before = asked_for.SerializeToString(deterministic=True)

    async def entry(_: Any, sip: SipApi) -> None:
        for _ in range(2):
            task = asking(sip, asked_for)
            asked = await sip.next()
            assert asked.request.headers["X-Traceparent"].startswith("00-")
            asked.accept()
            await task

    job = await run(entry)
    assert asked_for.SerializeToString(deterministic=True) == before
    assert len(invites(job)) == 2


async def test_a_cancellation_passes_with_its_message() -> None:
    """The task is cancelled as if nobody watched."""

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        await sip.next()
        task.cancel("because")
        with pytest.raises(asyncio.CancelledError) as out:
            await task
        assert out.value.args == ("because",)

    span = invite(await run(entry))
    assert said(span)["sip.call.outcome"] == "canceled"
    assert "error.type" not in said(span)


# Timing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stated, waited",
    [("3", 3.0), ("120", 10.0), ("0", 0.0), ("5 (maintenance)", 5.0), ("18;duration=60", 10.0),
     ("soon", 1.0), ("-1", 1.0), ("", 1.0), ("9" * 400, 1.0)],
)  # fmt: skip
async def test_retry_after_where_it_is_stated_else_the_back_off(stated: str, waited: float) -> None:
    """At most the longest pause; what is no such value is none."""
    play = Play(503, "No", metadata={"Retry-After": stated})
    async with witnessed({A: play, B: ANSWERS}) as (ctx, server):
        await dial(ctx, A, B)
        assert sum(server.time.waits) == pytest.approx(waited)


async def test_the_phone_rings_as_long_as_each_trunk_says() -> None:
    """A trunk's own ringing time stands above the dial's; the API's client waits longer."""
    async with witnessed({}) as (ctx, server):
        client: Any = Client(server.client, [object()])
        await dial(ctx, Trunk(A, ringing_timeout_s=45), api=client, ringing_timeout_s=9)
        (asked, options) = client.asked[0]
    assert asked.ringing_timeout.seconds == 45
    assert options["timeout"] > 45


async def test_nothing_stays_behind_a_dial() -> None:
    """Outside a job: no listener is left in the room, no call is left open."""
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, server):
        before = _listeners(server.room)
        await dial(ctx, A, B)
        assert _listeners(server.room) == before
    assert not trunktrace.current_call()


def _listeners(room: Room) -> int:
    return sum(len(found) for found in room._events.values())


async def test_two_dials_at_once_in_a_job_have_their_own_numbers() -> None:
    """Each attempt is numbered once, and linked to the one before to the same person only."""
    pipe = Pipeline()
    telemetry.set_tracer_provider(pipe.provider)
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, _):
        job = Job(ctx.room, pipe=pipe, ctx=ctx)

        async def entrypoint(_: Any) -> None:
            await asyncio.gather(
                trunktrace.dial(ctx, NUMBER, trunks=[A, B], identity="one"),
                trunktrace.dial(ctx, "+15550100009", trunks=[A, B], identity="two"),
            )

        await job.run(entrypoint)
    spans = invites(job)
    assert [said(one)["sip.attempt.number"] for one in spans] == [1, 2, 3, 4]
    callee = {one.context.span_id: said(one)["sip.callee.number"] for one in spans}
    links = [(callee[one.context.span_id], callee[link.context.span_id]) for one in spans
             for link in one.links]  # fmt: skip
    assert len(links) == 2
    assert all(one == other for one, other in links)
