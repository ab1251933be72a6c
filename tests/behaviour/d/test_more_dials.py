"""Dials inside traced jobs: what spans, root and metrics say is what the bridge saw."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.agents import telemetry
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.behaviour.fakejob import REASON, Job, caller
from tests.behaviour.kit import Pipeline, fake_time
from tests.fake_livekit_api import ANSWERS, UNAVAILABLE, Play
from tests.inviting import NUMBER, REFUSED, asking, invite, invites, leg, request, run, said
from tests.twirp import SipApi

import trunktrace
from trunktrace import DialFailed, DialResult, Directory
from trunktrace.metrics import CallMetrics

from .test_dial_safety import outcome_of, troubles
from .witness import dial, witnessed

A, B, C = "ST_a", "ST_b", "ST_c"
TABLE = Directory.parse(
    "\n".join(f'[trunks.ST_{name}]\ncarrier = "{name}"\nroute = "{name}/1"' for name in "abc")
)


async def in_job(ctx: Any, *trunks: str, **options: Any) -> tuple[Job, DialResult | DialFailed]:
    """A dial in a traced job, and what was exported."""
    pipe, found = Pipeline(), list[DialResult | DialFailed]()
    telemetry.set_tracer_provider(pipe.provider)
    job = Job(ctx.room, pipe=pipe, ctx=ctx)

    async def entrypoint(_: Any) -> None:
        found.append(await outcome_of(dial(ctx, *trunks, **options)))

    try:
        await job.run(entrypoint, directory=TABLE)
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    return job, found[0]


@settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(troubles, min_size=1, max_size=2))
async def test_spans_root_and_result_say_the_same(plays: list[Play]) -> None:
    """One CLIENT span an attempt, each linked to the former; the path is the result's own."""
    named = dict(zip((A, B), plays, strict=False)) | {C: ANSWERS}
    async with witnessed(named) as (ctx, server):
        job, outcome = await in_job(ctx, *named)
        server.check()
    spans = invites(job)
    assert [said(one)["trunk.id"] for one in spans] == [one.trunk_id for one in outcome.attempts]
    for at, (span, attempt) in enumerate(zip(spans, outcome.attempts, strict=True)):
        told = said(span)
        assert told.get("sip.response.status_code") == attempt.status_code
        assert told["trunk.carrier"] == attempt.trunk_id[-1:]  # type: ignore[index]
        assert [link.context for link in span.links] == [one.context for one in spans[:at][-1:]]
        assert span.end_time >= span.start_time  # type: ignore[operator]
    if isinstance(outcome, DialFailed):
        path = outcome.path
    else:
        failed = DialFailed(outcome.attempts, "")
        path = failed.path
    assert job.root().get("trunk.failover.count", 0) == len(spans) - 1
    if len(spans) > 1:
        assert job.root()["trunk.failover.path"] == path
    assert not [
        one
        for one in job.events("trunktrace.failure")
        if one["trunktrace.failure.mode"] == "failover_loop"
    ], "our own dial is no failover loop"


@pytest.mark.parametrize("traced", [True, False])
async def test_who_comes_back_in_the_pause_is_seen(traced: bool) -> None:
    """Gone, confirmed, and in the room again before the next INVITE: removed first."""
    async with witnessed({A: UNAVAILABLE, B: ANSWERS}) as (ctx, server):

        def again() -> None:
            if not server.there:
                server._join(server.asked[0])

        server.time.after(0.5, again)
        outcome = (await in_job(ctx, A, B))[1] if traced else await outcome_of(dial(ctx, A, B))
        server.check()
        assert isinstance(outcome, DialResult)
        kinds = [one["kind"] for one in server.deeds]
        assert "remove" in kinds[kinds.index("gone") :]


async def test_times_are_those_of_the_states() -> None:
    """INVITE to 18x, 18x to 200, INVITE to 200; in milliseconds."""
    with fake_time() as clock:

        async def entry(ctx: Any, sip: SipApi) -> None:
            clock.now = 10.0
            task = asking(sip)
            asked = await sip.next()
            clock.now = 10.25
            phone = ctx.room.join(leg())
            clock.now = 12.0
            ctx.room.status(phone, "ringing")
            clock.now = 17.0
            asked.accept()
            await task
            ctx.room.status(phone, "active")

        told = said(invite(await run(entry)))
    assert told["sip.pdd_ms"] == pytest.approx(2000.0, abs=1)
    assert told["sip.ring_ms"] == pytest.approx(5000.0, abs=1)
    assert told["sip.setup_ms"] == pytest.approx(7000.0, abs=1)


async def test_no_times_are_invented_for_a_refusal() -> None:
    """No ringing, no answer: no setup and no ring time."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        ctx.room.join(leg())
        asked.refuse(503, "No")
        with pytest.raises(REFUSED):
            await task

    told = said(invite(await run(entry)))
    assert not {"sip.pdd_ms", "sip.ring_ms", "sip.setup_ms"} & told.keys()
    assert told.get("sip.attempt.progress") is not True


async def test_the_metrics_count_each_attempt_and_each_failover_once() -> None:
    """`sip.invites` by carrier and code, `trunk.failovers` by who was left and who was taken."""
    reader = InMemoryMetricReader()
    CallMetrics().install(MeterProvider([reader], shutdown_on_exit=False))
    async with witnessed({A: UNAVAILABLE, B: Play(480, "Gone"), C: ANSWERS}) as (ctx, _):
        await in_job(ctx, A, B, C)
    data = reader.get_metrics_data()
    assert data is not None
    points = [
        (metric.name, dict(point.attributes or {}), getattr(point, "value", None))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    invited = {
        (one["trunk.carrier"], one["sip.response.status_code"]): value
        for name, one, value in points
        if name == "sip.invites"
    }
    assert invited == {("a", 503): 1, ("b", 480): 1, ("c", 200): 1}
    left = {
        (one["trunk.carrier"], one["trunk.failover.to_carrier"]): value
        for name, one, value in points
        if name == "trunk.failovers"
    }
    assert left == {("a", "b"): 1, ("b", "c"): 1}


async def test_two_jobs_at_once_know_nothing_of_each_other() -> None:
    """One process, two calls, the same number: no link, no count, no trunk crosses over."""

    async def one(trunks: tuple[str, ...]) -> Job:
        job = Job(pipe=Pipeline(seed=len(trunks)))

        async def entry(ctx: Any) -> None:
            async with SipApi() as sip:
                for at, trunk in enumerate(trunks):
                    task = asking(sip, request(trunk, identity=f"c{at}"))
                    asked = await sip.next()
                    phone = ctx.room.join(leg(f"c{at}", trunk, f"SCL_{at}"))
                    asked.refuse(503, "No")
                    with pytest.raises(REFUSED):
                        await task
                    ctx.room.leave(phone, REASON.USER_UNAVAILABLE)

        await job.run(entry, directory=TABLE)
        return job

    pipe = Pipeline()
    telemetry.set_tracer_provider(pipe.provider)
    try:
        first, second = await asyncio.gather(one((A, B)), one((C,)))
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    assert first.root()["trunk.failover.path"] == "a:503>b:503"
    assert "trunk.failover.path" not in second.root()
    assert (first.root()["sip.attempt_count"], second.root()["sip.attempt_count"]) == (2, 1)
    (alone,) = (one for one in pipe.finished() if said(one).get("trunk.id") == C)
    assert not alone.links


REFERS = (
    (603, "Decline", "rejected", "603"),
    (486, "Busy Here", "busy", "486"),
    (404, "Not Found", "invalid_number", "404"),
    (503, "No", "congestion", "503"),
)


@pytest.mark.parametrize("code, reason, outcome, error", REFERS)
async def test_a_refused_transfer(code: int, reason: str, outcome: str, error: str) -> None:
    """`sip.refer`: the call's trunk, code and reason, outcome, ERROR; the call itself goes on."""
    from livekit import api
    from opentelemetry.trace import SpanKind, StatusCode

    pipe = Pipeline()
    job = Job(pipe=pipe)
    raised = api.TwirpError(
        "permission_denied",
        f"REFER refused: {code}",
        status=403,
        metadata={"sip_status_code": str(code), "sip_status": reason},
    )

    async def answer(*_: Any, **__: Any) -> Any:
        raise raised

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        client = api.LiveKitAPI("http://127.0.0.1:9", "key", "secret" * 6)
        client.sip._client.request = answer  # type: ignore[method-assign]
        asked = api.TransferSIPParticipantRequest(
            room_name=ctx.room.name,
            participant_identity=phone.identity,
            transfer_to=f"tel:{NUMBER}",
        )
        with pytest.raises(api.TwirpError):
            await client.sip.transfer_sip_participant(asked)
        await client.aclose()
        trunktrace.current_call().record(codec="pcmu")

    telemetry.set_tracer_provider(pipe.provider)
    try:
        await job.run(entry)
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    span, told, root = pipe.named("sip.refer"), pipe.attributes("sip.refer"), job.root()
    assert span.kind is SpanKind.CLIENT
    assert (told["trunk.carrier"], told["trunk.route"]) == ("telnyx", "us-east/primary")
    assert (told["sip.response.status_code"], told["sip.response.reason"]) == (code, reason)
    assert told["sip.call.outcome"] == outcome
    assert (span.status.status_code, told["error.type"]) == (StatusCode.ERROR, error)
    assert told["sip.refer.target"] == "+1*******34"
    assert root["sip.response.status_code"] == 200
    assert root.get("sip.call.outcome") == "answered"
    assert not span.events
