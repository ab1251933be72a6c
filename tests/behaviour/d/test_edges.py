"""Edges of outbound calls: words of the far end, late exporters, sampling, identities, odd use."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Status, StatusCode
from tests.behaviour.fakejob import REASON, Job, caller
from tests.behaviour.kit import Pipeline
from tests.fake_livekit_api import ANSWERS, UNAVAILABLE, Play
from tests.inviting import NUMBER, REFUSED, asking, invite, invites, leg, request, run, said
from tests.twirp import SipApi

import trunktrace
from trunktrace import Attempt, DialFailed, DialResult, LateFactsExporter, SipPropagator, Trunk
from trunktrace.errors import ConfigurationError, TrunktraceError

from .test_own_failover import TABLE
from .witness import dial, witnessed

A, B = "ST_a", "ST_b"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

WORDS = (
    (503, "CPS limit exceeded", "operator", "our_limit"),
    (503, "Concurrent call limit exceeded", "operator", "our_limit"),
    (503, "Service Unavailable", "carrier", None),
    (603, "Network Blocked", "intermediary", None),
    (603, "Decline", None, None),
    (404, "Not Found", None, None),
)


@pytest.mark.parametrize("code, phrase, fault, detail", WORDS)
async def test_the_reason_text_decides_between_two_sides(
    code: int, phrase: str, fault: str | None, detail: str | None
) -> None:
    """Our own limit is the operator's, an analytics block the intermediary's; else nobody's."""

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        (await sip.next()).refuse(code, phrase)
        with pytest.raises(REFUSED):
            await task

    told = said(invite(await run(entry)))
    assert told.get("trunk.fault") == fault
    if detail is not None:
        assert told["sip.call.outcome_detail"] == detail
    if phrase == "Network Blocked":
        assert told["sip.call.outcome"] == "blocked"


async def failing_over(job: Job, **settings: Any) -> Job:
    async def entry(ctx: Any, sip: SipApi) -> None:
        for at, (trunk, code) in enumerate(((A, 503), (B, 200))):
            task = asking(sip, request(trunk, identity=f"c{at}"))
            asked = await sip.next()
            phone = ctx.room.join(leg(f"c{at}", trunk, f"SCL_{at}"))
            if code == 200:
                asked.accept(f"SCL_{at}", f"c{at}")
                await task
                ctx.room.status(phone, "active")
            else:
                asked.refuse(code, "No")
                with pytest.raises(REFUSED):
                    await task
                ctx.room.leave(phone, REASON.USER_UNAVAILABLE)

    return await run(entry, job, directory=TABLE, **settings)


async def test_a_held_span_keeps_its_own_trunk() -> None:
    """Behind LateFactsExporter the first attempt is not completed with the second one's facts."""
    pipe = Pipeline(wrap=LateFactsExporter)
    job = await failing_over(Job(pipe=pipe))
    pipe.exporter.force_flush()
    pipe.exporter.shutdown()
    first, second = map(said, invites(job))
    assert (first["trunk.carrier"], first["sip.response.status_code"]) == ("a", 503)
    assert (second["trunk.carrier"], second["sip.response.status_code"]) == ("b", 200)
    assert first["trunk.route"] == "a/1"


async def test_unsampled_is_dialled_and_told_to_the_far_end_as_unsampled() -> None:
    """No span, but the header: flags 00."""
    sent: list[str] = []

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        sent.append(asked.request.headers["X-Traceparent"])
        asked.accept()
        await task

    job = await run(entry, Job(pipe=Pipeline(sampler=ALWAYS_OFF)))
    assert not job.pipe.finished()
    assert sent[0].endswith("-00")


async def test_the_header_names_the_attempts_own_span() -> None:
    """Each attempt's header carries that attempt's span id, in the call's trace."""
    sent: list[str] = []

    async def entry(_: Any, sip: SipApi) -> None:
        for trunk in (A, B):
            task = asking(sip, request(trunk))
            asked = await sip.next()
            sent.append(asked.request.headers["X-Traceparent"])
            asked.refuse(503, "No")
            with pytest.raises(REFUSED):
                await task

    spans = invites(await run(entry, sip_headers=SipPropagator()))
    assert sent == [f"00-{s.context.trace_id:032x}-{s.context.span_id:016x}-01" for s in spans]


async def test_an_inbound_header_is_a_link_of_the_root() -> None:
    """Whoever calls is linked, and never the parent."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller(**{"sip.h.x-traceparent": f"00-{TRACE}-{SPAN}-01"}))
        ctx.room.status(phone, "active")

    await job.run(entry)
    root = job.pipe.named("job_entrypoint")
    assert [f"{link.context.trace_id:032x}" for link in root.links] == [TRACE]
    assert f"{root.context.trace_id:032x}" != TRACE
    assert root.parent is None


async def test_bad_places_of_an_identity_are_refused() -> None:
    """The agent's own identity, and somebody's who is there: LiveKit would put them out."""
    async with witnessed({A: ANSWERS}) as (ctx, server):
        ctx.room.join(caller())
        for taken in (ctx.room.local_participant.identity, caller().identity):
            with pytest.raises(ConfigurationError):
                await dial(ctx, A, identity=taken)
        assert not server.asked


async def test_two_dials_of_one_identity_at_once_do_not_put_each_other_out() -> None:
    """The second is refused, or waits: no INVITE goes out for an identity that is being dialled."""
    async with witnessed({A: Play(hangs=True, rings=True), B: ANSWERS}) as (ctx, server):
        first = asyncio.create_task(dial(ctx, A))
        second = asyncio.create_task(dial(ctx, B))
        await server.is_hanging.wait()
        await asyncio.wait({second})
        first.cancel()
        answers = await asyncio.gather(first, second, return_exceptions=True)
        assert not server.doubles, server.deeds
        assert not server.crowd, server.deeds
        assert isinstance(answers[1], DialResult | ConfigurationError | DialFailed)


def test_a_failure_is_made_of_attempts() -> None:
    """`DialFailed(attempts)`, as the issue writes it; a TrunktraceError that travels."""
    attempts = (
        Attempt(start=1.0, end=2.0, trunk_id=A, status_code=503),
        Attempt(start=3.0, end=4.0, trunk_id=B, failure="timeout"),
    )
    error = DialFailed(attempts)  # type: ignore[call-arg,unused-ignore]
    assert isinstance(error, TrunktraceError)
    assert error.attempts == attempts
    assert error.path == "ST_a:503>ST_b:timeout"
    assert pickle.loads(pickle.dumps(error)).attempts == attempts


async def test_trunks_may_be_any_iterable() -> None:
    """A generator, a tuple, ids and Trunks mixed."""
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, _):
        result = await trunktrace.dial(ctx, NUMBER, trunks=(one for one in (A, Trunk(B))))
    assert [one.trunk_id for one in result.attempts] == [A, B]


async def test_an_answered_attempt_is_no_error_and_says_what_it_took() -> None:
    """200: status unset, outcome answered, nobody's fault."""
    async with witnessed({A: ANSWERS}) as (ctx, _):
        pipe = Pipeline()
        from livekit.agents import telemetry
        from opentelemetry import trace

        telemetry.set_tracer_provider(pipe.provider)
        try:
            await dial(ctx, A)
        finally:
            telemetry.set_tracer_provider(trace.get_tracer_provider())
    (span,) = (one for one in pipe.finished() if one.name == "sip.invite")
    assert span.status.status_code is Status(StatusCode.UNSET).status_code
    assert said(span)["sip.call.outcome"] == "answered"
    assert said(span)["trunk.fault"] == "none"
    assert "error.type" not in said(span)


async def test_the_request_to_livekits_own_api_is_no_sip_request() -> None:
    """With `sip` in the global list an instrumented HTTP client writes nothing of it."""
    from opentelemetry import propagate
    from opentelemetry.baggage.propagation import W3CBaggagePropagator
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    before = propagate.get_global_textmap()
    ours = SipPropagator(session_id=True, baggage=["trunk.carrier"])
    propagate.set_global_textmap(
        CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator(), ours])
    )
    http: dict[str, str] = {}
    asked: list[Any] = []

    async def sent(_: str, __: str, what: Any, *___: Any, **____: Any) -> Any:
        propagate.inject(http)
        asked.append(what)
        return object()

    async def entry(_: Any, sip: SipApi) -> None:
        sip.client.sip._client.request = sent
        await sip.client.sip.create_sip_participant(request())

    try:
        job = await run(entry, sip_headers=ours, directory=TABLE)
    finally:
        propagate.set_global_textmap(before)
    assert set(http) == {"traceparent"}
    (span,) = invites(job)
    assert http["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"
    assert asked[0].headers["X-Traceparent"] == http["traceparent"]
    assert asked[0].headers["X-Baggage"] == "trunk.carrier=a"


@pytest.mark.parametrize("length", [200, 255])
async def test_a_long_name_of_a_carrier_costs_the_baggage_and_nothing_else(length: int) -> None:
    """Over 320 bytes in all: X-Baggage gives way, X-Traceparent and the call do not."""
    table = trunktrace.Directory.parse(f'[trunks.ST_a]\ncarrier = "a"\nroute = "{"r" * length}"\n')
    sent: dict[str, str] = {}

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        sent.update(asked.request.headers)
        asked.accept()
        await task

    await run(entry, directory=table, sip_headers=SipPropagator(baggage=["trunk.route"]))
    lines = sum(len(f"{name}: {value}\r\n") for name, value in sent.items())
    assert "X-Traceparent" in sent
    assert lines <= 320
    assert ("X-Baggage" in sent) == (length == 200)
    assert all(value.isascii() and value.isprintable() for value in sent.values())


@pytest.mark.parametrize("rings", [True, False])
async def test_our_own_ringing_timeout_goes_on_only_if_told_to(rings: bool) -> None:
    """It rang in vain: no other trunk, but with `after_progress`; removed and gone before."""
    vain = Play(error=("canceled", "sip request timed out"), rings=rings, leaves=False, lingers=0.3)
    async with witnessed({A: vain, B: ANSWERS}) as (ctx, server):
        if rings:
            with pytest.raises(DialFailed) as failed:
                await dial(ctx, A, B)
            assert failed.value.attempts[0].status_code is None
            assert failed.value.path.endswith(":timeout")
            assert server.dialled == [A]
    async with witnessed({A: vain, B: ANSWERS}) as (ctx, server):
        result = await dial(ctx, A, B, after_progress=True)
        assert result.attempts[-1].answered
        server.check()
