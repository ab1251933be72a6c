"""Each request for a SIP participant in a traced job is a `sip.invite` span, however it is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from livekit import api
from livekit.agents import JobContext
from livekit.api import twirp_client
from livekit.api.sip_service import SipService
from livekit.protocol.sip import SIPOutboundConfig
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import trunktrace
from trunktrace import Redaction
from trunktrace.guard import reraising

from .behaviour.fakejob import CALLER, REASON, Job, settle
from .behaviour.kit import CARRIER, CODE, ROUTE, Pipeline, UsersError, fake_time
from .inviting import (
    DIRECTORY,
    NUMBER,
    OTHER,
    REFUSED,
    asking,
    invite,
    invites,
    leg,
    request,
    run,
    said,
)
from .twirp import Asked, SipApi


async def refused(job_room: Any, sip: SipApi, answer: Callable[[Asked], None]) -> BaseException:
    """The exception of a dial that rang and then was answered so."""
    task = asking(sip)
    asked = await sip.next()
    phone = job_room.join(leg())
    job_room.status(phone, "ringing")
    answer(asked)
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # whatever it is
        await task
    job_room.leave(phone, REASON.USER_UNAVAILABLE)
    return caught.value


# How it is asked for ------------------------------------------------------------------------------


def _positional(sip: Any) -> Awaitable[Any]:
    return sip.create_sip_participant(request("ST_a"))


def _keyword(sip: Any) -> Awaitable[Any]:
    return sip.create_sip_participant(create=request("ST_a"))


def _trunk_beside(sip: Any) -> Awaitable[Any]:
    return sip.create_sip_participant(request(""), trunk_id="ST_a")


def _trunk_instead(sip: Any) -> Awaitable[Any]:
    return sip.create_sip_participant(create=request("ST_b"), trunk_id="ST_a")


WAYS = [_positional, _keyword]
if "trunk_id" in SipService.create_sip_participant.__kwdefaults__:  # livekit-api 1.1
    WAYS += [_trunk_beside, _trunk_instead]


@pytest.mark.parametrize("ask", WAYS)
async def test_a_request_is_a_span_of_its_trunk(ask):
    """However the arguments are given: a REFUSED span with trunk, carrier, numbers and times."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        with fake_time() as time:
            task = asyncio.ensure_future(ask(sip.client.sip))
            asked = await sip.next()
            assert asked.request.sip_trunk_id == "ST_a"
            time.now = 0.5
            phone = ctx.room.join(leg())
            time.now = 2
            ctx.room.status(phone, "ringing")
            time.now = 7
            asked.accept()
            answer = await task
            assert answer.sip_call_id == "SCL_1"

    job = await run(entry)
    span = invite(job)
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert not span.events
    assert said(span) == {
        "trunk.id": "ST_a",
        CARRIER: "twilio",
        ROUTE: "a/one",
        "trunk.region": "us1",
        "livekit.sip.call_id": "SCL_1",
        "sip.call.direction": "outbound",
        "sip.attempt.number": 1,
        "sip.attempt.progress": True,
        "sip.callee.number": "+1*******34",
        "sip.callee.country": "US",
        "sip.caller.number": "+44*******18",
        "sip.caller.country": "GB",
        CODE: 200,
        "sip.call.outcome": "answered",
        "trunk.fault": "none",
        "sip.setup_ms": 7000.0,
        "sip.pdd_ms": 2000.0,
        "sip.ring_ms": 5000.0,
    }
    assert span.end_time - span.start_time == 7_000_000_000


async def test_a_trunk_without_an_id_is_named_by_its_host():
    """A trunk's configuration in the request has no id: the directory knows its host."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        asked = request("")
        asked.trunk.CopyFrom(SIPOutboundConfig(hostname="sip.carrier-c.example"))
        task = asking(sip, asked)
        (await sip.next()).accept()
        await task
        if len(WAYS) == 4:
            trunk = SIPOutboundConfig(hostname="sip.carrier-c.example")
            sip.client.sip._client.request = _returning(None)
            with contextlib.suppress(AttributeError):  # livekit-api 1.2.2 cannot do it
                await asking(sip, request(""), outbound_trunk_config=trunk)

    for span in invites(await run(entry)):
        assert said(span)[CARRIER] == "carrier-c"
        assert "trunk.id" not in said(span)


async def test_add_sip_participant_of_the_job_is_a_span():
    """LiveKit's own wrapper asks in a task and does not wait: the participant ends the attempt."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        context = SimpleNamespace(
            is_fake_job=lambda: False,
            api=sip.client,
            _room=ctx.room,
            _track_pending_task=lambda *_, **__: None,
            _pending_tasks=[],
        )
        task = JobContext.add_sip_participant(
            context, call_to=NUMBER, trunk_id="ST_a", participant_identity="callee"
        )
        (await sip.next()).accept()
        await task
        phone = ctx.room.join(leg())
        ctx.room.status(phone, "active")

    job = await run(entry)
    assert said(invite(job))[CODE] == 200
    assert said(invite(job))["trunk.id"] == "ST_a"


async def test_the_span_is_below_who_asked_and_above_the_http_request():
    """A function tool that dials is the parent; what the HTTP client traces is a child."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        tracer = ctx.pipe.tracer
        seen: list[int] = []
        original = sip.client.sip._client.request

        async def watched(*args: Any, **kwargs: Any) -> Any:
            seen.append(trace.get_current_span().get_span_context().span_id)
            return await original(*args, **kwargs)

        sip.client.sip._client.request = watched
        with tracer.start_as_current_span("function_tool"):
            task = asking(sip)
        (await sip.next()).accept()
        await task
        assert trace.get_current_span().name == "job_entrypoint"
        ctx.seen = seen

    job = Job()
    job.ctx.pipe = job.pipe
    await run(entry, job)
    span, tool = invite(job), job.pipe.named("function_tool")
    assert span.parent.span_id == tool.context.span_id
    assert span.context.trace_id == tool.context.trace_id
    assert job.ctx.seen == [span.context.span_id]


async def test_a_request_outside_of_any_job_is_left_alone():
    """A web service in the same process dials too: no span, no error."""
    job = Job()
    trunktrace.traced_call(directory=DIRECTORY)(_nothing)
    async with SipApi() as sip:
        task = asking(sip)
        (await sip.next()).accept("SCL_9")
        assert (await task).sip_call_id == "SCL_9"
    assert job.pipe.finished() == ()


async def _nothing(ctx: Any) -> None:
    del ctx


async def test_a_wrong_call_of_the_api_is_the_users_error():
    """Without a request, or with it twice, the API's own TypeError passes."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        with pytest.raises(TypeError):
            await sip.client.sip.create_sip_participant()
        with pytest.raises(TypeError):
            await sip.client.sip.create_sip_participant(request(), create=request())

    await run(entry)


# How it ends --------------------------------------------------------------------------------------

FINAL = [
    # code, phrase, outcome, fault
    (486, "Busy Here", "busy", "callee"),
    (503, "Service Unavailable", "congestion", "carrier"),
    (404, "Not Found", "invalid_number", None),
    (603, "Decline", "rejected", None),
    (487, "Request Terminated", "canceled", "caller"),
    (407, "Proxy Authentication Required", "failed", "operator"),
]


@pytest.mark.parametrize("code, phrase, outcome, fault", FINAL)
async def test_a_final_answer_is_on_the_span(code, phrase, outcome, fault):
    """The SIP code out of livekit-api's own exception, and what it means; never the HTTP status."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        error = await refused(ctx.room, sip, lambda asked: asked.refuse(code, phrase))
        assert type(error) is REFUSED

    job = await run(entry)
    span = invite(job)
    facts = said(span)
    assert facts[CODE] == code
    assert facts["sip.response.reason"] == phrase
    assert facts["sip.call.outcome"] == outcome
    assert facts.get("trunk.fault") == fault
    assert facts["error.type"] == str(code)
    assert facts["sip.attempt.progress"] is True
    assert span.status.status_code is StatusCode.ERROR
    assert "trunktrace.unobservable" not in facts
    assert not {"sip.setup_ms", "sip.ring_ms"} & facts.keys()
    assert facts["sip.pdd_ms"] >= 0


ERRORS = [
    # Twirp code, text, HTTP status; outcome, fault, error.type
    ("canceled", "sip request timed out", 408, "no_answer", "callee", "timeout"),
    ("unavailable", "cpu exhausted", 503, "failed", "platform", "no_bridge"),
    ("unavailable", "no response from servers", 503, "failed", "platform", "no_bridge"),
    ("invalid_argument", "missing room name", 400, "failed", None, "ServerError"),
    ("not_found", "requested sip trunk does not exist", 404, "failed", None, "ServerError"),
    ("permission_denied", "permissions denied", 403, "failed", None, "ServerError"),
    ("deadline_exceeded", "request timed out", 408, "failed", None, "ServerError"),
    ("unknown", "context deadline exceeded", 500, "failed", None, "ServerError"),
    ("unauthenticated", "invalid API key", 401, "failed", None, "ServerError"),
]


@pytest.mark.parametrize("code, text, status, outcome, fault, kind", ERRORS)
async def test_an_error_without_a_sip_answer_has_no_code(code, text, status, outcome, fault, kind):
    """No HTTP status becomes a SIP code: 408 is our own ringing timeout, 503 a missing bridge."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        error = await refused(ctx.room, sip, lambda asked: asked.fail(code, text, status))
        assert error.code == code

    span = invite(await run(entry))
    facts = said(span)
    assert CODE not in facts
    assert "sip.response.reason" not in facts
    assert facts["sip.call.outcome"] == outcome
    assert facts.get("trunk.fault") == fault
    named = api.TwirpError.__qualname__ if kind == "ServerError" else kind
    assert facts["error.type"] == named
    assert span.status.status_code is StatusCode.ERROR


async def test_no_answer_and_no_ringing_is_the_networks():
    """The ringing timeout, and its participant never rang: the callee is not to blame."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        ctx.room.join(leg())
        asked.fail("canceled", "sip request timed out", 408)
        with pytest.raises(api.TwirpError):
            await task

    facts = said(invite(await run(entry)))
    assert facts["sip.call.outcome"] == "timeout"
    assert facts["trunk.fault"] == "network"
    assert facts["error.type"] == "timeout"
    assert facts["sip.attempt.progress"] is False
    assert CODE not in facts


def _html(asked: Asked) -> None:
    asked.respond(web.Response(status=502, text="<html>Bad Gateway</html>"))


def _broken(asked: Asked) -> None:
    asked.break_off()


@pytest.mark.parametrize("answer", [_html, _broken])
async def test_a_request_that_was_lost_blames_nobody(answer, monkeypatch):
    """Nobody knows what became of the INVITE; `error.type` is the exception's class."""
    _without_retries(monkeypatch)

    async def entry(ctx: Any, sip: SipApi) -> str:
        error = await refused(ctx.room, sip, answer)
        ctx.kind = type(error).__qualname__
        return ctx.kind

    job = await run(entry)
    span = invite(job)
    facts = said(span)
    assert facts["error.type"] == job.ctx.kind
    assert facts["sip.call.outcome_detail"] == "api"
    assert "trunk.fault" not in facts
    assert CODE not in facts
    assert span.status.status_code is StatusCode.ERROR


def _without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """livekit-api 1.2 sends a lost request again, a second later."""
    if hasattr(twirp_client, "failover_attempts"):
        monkeypatch.setattr(twirp_client, "failover_attempts", lambda *_, **__: 1)


async def test_a_lost_request_may_still_be_answered():
    """The client gave up; then the phone was answered: the root tells the call that there is."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        sip.client.sip._client.request = _raising(TimeoutError())
        phone = ctx.room.join(leg())
        with pytest.raises(TimeoutError):
            await sip.client.sip.create_sip_participant(request())
        phone = ctx.room.join(leg("late", call_id="SCL_2"))
        ctx.room.status(phone, "active")

    job = await run(entry)
    assert said(invite(job))["error.type"] == "TimeoutError"
    assert "trunk.fault" not in said(invite(job))
    assert job.root()[CODE] == 200


def _raising(error: BaseException) -> Any:
    async def request_(*_: Any, **__: Any) -> Any:
        raise error

    return request_


async def test_a_cancelled_dial_is_no_error():
    """Our own side gave it up: outcome canceled, and the cancellation passes."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        await sip.next()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    span = invite(await run(entry))
    assert said(span)["sip.call.outcome"] == "canceled"
    assert "error.type" not in said(span)
    assert "trunk.fault" not in said(span)
    assert span.status.status_code is StatusCode.UNSET


async def test_487_after_our_own_cancel_is_no_error():
    """The participant was removed while it rang: the 487 is what our CANCEL asked for."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        phone = ctx.room.join(leg())
        ctx.room.status(phone, "ringing")
        ctx.room.leave(phone, REASON.PARTICIPANT_REMOVED)
        asked.refuse(487, "Request Terminated")
        with pytest.raises(REFUSED):
            await task

    span = invite(await run(entry))
    assert said(span)[CODE] == 487
    assert "error.type" not in said(span)
    assert said(span)["livekit.disconnect_reason"] == "participant_removed"
    assert span.status.status_code is StatusCode.UNSET


async def test_retry_after_is_told_where_a_source_states_it():
    """An operator's bridge may hand Retry-After on in the error's metadata."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await refused(ctx.room, sip, lambda one: one.refuse(503, "Busy", **{"Retry-After": "12"}))

    assert said(invite(await run(entry)))["sip.retry_after_ms"] == 12_000.0


def _returning(answer: object) -> Any:
    async def request_(*_: Any, **__: Any) -> Any:
        return answer

    return request_


async def test_the_exception_passes_unchanged():
    """The same object, with the context, cause, notes and arguments that it had."""
    errors: list[BaseException] = [
        UsersError("mine"),
        api.TwirpError("unavailable", "x", status=503, metadata={"sip_status_code": "503"}),
        asyncio.CancelledError(),
        KeyError("k"),
    ]

    async def entry(ctx: Any, sip: SipApi) -> None:
        for error in errors:
            sip.client.sip._client.request = _raising(error)
            with pytest.raises(type(error)) as caught:
                await sip.client.sip.create_sip_participant(request(""))
            raised = caught.value
            assert raised is error or isinstance(error, api.TwirpError)  # it makes its own of it
            assert raised.__cause__ is None
            assert raised.__context__ is None or raised.__suppress_context__
            assert not hasattr(raised, "__notes__")

    errors_before = [(type(error), error.args) for error in errors]
    job = await run(entry)
    assert [(type(error), error.args) for error in errors] == errors_before
    assert len(invites(job)) == len(errors)


async def test_the_answer_passes_unchanged():
    """The very object that the API's client made."""
    answer = object()

    async def entry(ctx: Any, sip: SipApi) -> None:
        sip.client.sip._client.request = _returning(answer)
        assert await sip.client.sip.create_sip_participant(request()) is answer

    assert said(invite(await run(entry)))[CODE] == 200


# What nobody may see ------------------------------------------------------------------------------

KEY = "0123456789abcdef"
REDACTIONS = {
    "masked": ({}, {"sip.callee.number": "+1*******34"}),
    "hashed": ({"TRUNKTRACE_HASH_KEY": KEY}, {"sip.callee.number": "+1*******34"}),
    "in clear": ({"TRUNKTRACE_REVEAL_NUMBERS": "1"}, {"sip.callee.pii.number": NUMBER}),
}


@pytest.mark.parametrize("setting", REDACTIONS)
async def test_numbers_are_shown_as_the_operator_wants_them(setting, monkeypatch):
    """Masked by default, hashed with a key, in clear under a `pii` key and only if asked for."""
    environment, wanted = REDACTIONS[setting]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def entry(ctx: Any, sip: SipApi) -> None:
        await refused(ctx.room, sip, lambda asked: asked.refuse(503, f"{NUMBER} is unavailable"))

    span = invite(await run(entry))
    facts = said(span)
    assert wanted.items() <= facts.items()
    assert ("sip.callee.hash" in facts) == (setting == "hashed")
    assert "4155550134" not in facts["sip.response.reason"]
    clear = {key: value for key, value in facts.items() if "pii" not in key}
    assert "4155550134" not in str(clear)
    assert ("sip.caller.pii.number" in facts) == (setting == "in clear")


async def test_the_callers_number_may_be_known_by_the_participant_only():
    """The request names no number to show: the trunk's stands on the participant."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(number=""))
        asked = await sip.next()
        ctx.room.join(leg())
        asked.accept()
        await task

    assert said(invite(await run(entry)))["sip.caller.number"] == "+44*******18"


# Nothing of ours may break a dial -----------------------------------------------------------------


class _Raises:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("part", ["_tracer", "_directory", "_redaction", "_call"])
async def test_a_broken_part_of_ours_breaks_no_dial(part, monkeypatch):
    """The dial goes on, its exception is the API's, and the next dial works again."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        from trunktrace.livekit.job import current_job

        job = current_job()
        assert job is not None
        broken = _Raises() if part in ("_redaction", "_call") else (lambda: 1 / 0)
        with monkeypatch.context() as patch, reraising(value=False):
            patch.setattr(job.observer._dials, part, broken)
            error = await refused(ctx.room, sip, lambda asked: asked.refuse(486, "Busy Here"))
            assert type(error) is REFUSED
        task = asking(sip, request("ST_b", identity="next"))
        (await sip.next()).accept("SCL_2")
        await task

    job = await run(entry)
    last = invites(job)[-1]
    assert said(last)[CODE] == 200
    assert said(last)["trunk.id"] == "ST_b"
    assert job.root()[CODE] == 200
    if part in ("_directory", "_redaction"):
        assert said(invites(job)[0])[CODE] == 486


@pytest.mark.parametrize("provider", ["unsampled", "none"])
async def test_without_a_recording_trace_nothing_fails(provider):
    """The dial goes on, and no span is exported."""
    pipe = Pipeline(sampler=ALWAYS_OFF)

    async def entry(ctx: Any, sip: SipApi) -> None:
        with trace.use_span(trace.INVALID_SPAN) if provider == "none" else _same():
            error = await refused(ctx.room, sip, lambda asked: asked.refuse(486, "Busy Here"))
        assert type(error) is REFUSED
        attempts = trunktrace.current_call().story().attempts
        assert [one.status_code for one in attempts] == [486]

    job = await run(entry, Job(pipe=pipe))
    assert job.pipe.finished() == ()


def _same() -> Any:
    return trace.use_span(trace.get_current_span())


# One after the other ------------------------------------------------------------------------------


async def test_a_failover_of_the_users_own_is_recognised():
    """503 on one trunk, then 200 on another: two linked spans, each with its own trunk's facts."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        await refused(ctx.room, sip, lambda asked: asked.refuse(503, "Service Unavailable"))
        task = asking(sip, request("ST_b"))
        asked = await sip.next()
        phone = ctx.room.join(leg(trunk="ST_b", call_id="SCL_2"))
        asked.accept("SCL_2")
        await task
        ctx.room.status(phone, "active")
        await settle()

    job = await run(entry)
    first, second = invites(job)
    assert (said(first)[CARRIER], said(first)["trunk.id"], said(first)[CODE]) == (
        "twilio",
        "ST_a",
        503,
    )
    assert (said(second)[CARRIER], said(second)["trunk.id"], said(second)[CODE]) == (
        "telnyx",
        "ST_b",
        200,
    )
    assert not first.links
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert "sip.response.reason" not in said(second)
    root = job.root()
    assert root["sip.attempt_count"] == 2
    assert root["trunk.failover.count"] == 1
    assert root["trunk.failover.path"] == "twilio:503>telnyx:200"


async def test_one_number_in_two_spellings_is_one_number():
    """Trunks want their numbers in different forms: it is a failover all the same."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        for to in (NUMBER, f"sip:{NUMBER}@sip.example", "+1 (415) 555-0134"):
            task = asking(sip, request("ST_a", to=to))
            (await sip.next()).refuse(503, "Service Unavailable")
            with pytest.raises(REFUSED):
                await task

    job = await run(entry)
    first, second, third = invites(job)
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert [link.context.span_id for link in third.links] == [second.context.span_id]


async def test_another_number_is_no_failover():
    """Two numbers, one after the other: no link between them, and no failover on the root."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        for to, code in ((NUMBER, 503), (OTHER, 486)):
            task = asking(sip, request("ST_a", to=to))
            (await sip.next()).refuse(code, "No")
            with pytest.raises(REFUSED):
                await task

    job = await run(entry)
    assert [one.links for one in invites(job)] == [(), ()]
    root = job.root()
    assert root["sip.attempt_count"] == 2
    assert "trunk.failover.count" not in root
    assert "trunk.failover.path" not in root


async def test_the_path_of_a_former_number_is_taken_back():
    """After a failover to one number another is dialled: the root's path is not the former's."""
    from trunktrace import LateFactsExporter

    async def entry(ctx: Any, sip: SipApi) -> None:
        dials = ((NUMBER, "ST_a", 503), (NUMBER, "ST_b", 486), (OTHER, "ST_a", 404))
        for to, trunk, code in dials:
            task = asking(sip, request(trunk, to=to))
            (await sip.next()).refuse(code, "No")
            with pytest.raises(REFUSED):
                await task

    job = await run(entry, Job(pipe=Pipeline(wrap=LateFactsExporter)))
    root = job.root()
    assert (root["trunk.failover.count"], root["trunk.failover.path"]) == (0, "twilio:404")
    assert root["sip.attempt_count"] == 3


async def test_redaction_given_in_code_is_that_of_the_spans():
    """`traced_call(redaction=...)` goes for attempts, too."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        (await sip.next()).accept()
        await task

    job = await run(entry, redaction=Redaction(hash_key=KEY, key_id="k1"))
    assert said(invite(job))["sip.callee.hash"].startswith("k1:")
    assert CALLER not in str(said(invite(job)))
