"""Each request for a SIP participant is a span, however it is reached, and nothing else changes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from livekit import api
from livekit.agents import JobContext
from livekit.protocol.sip import CreateSIPParticipantRequest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.livekit_api_server import KEY, SECRET

from .lk import (
    CALLEE,
    CALLER,
    SERVER_ERROR,
    SIP_ERROR,
    LiveKit,
    Reply,
    answer,
    no_answer,
    no_bridge,
    refuse,
    until,
)
from .traces import Traces, attributes, events, everything, findings, in_clear


async def test_an_answered_request_is_a_client_span_with_its_trunk(traces: Traces):
    """Trunk, carrier, route, direction, masked numbers, 200, outcome, times: all on sip.invite."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            return await ctx.api.sip.create_sip_participant(livekit.request(sip_number=CALLER))

        info = await traces.job(livekit, work)
    assert info.participant_identity == "callee"
    span = traces.one("sip.invite")
    told = attributes(span)
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is not StatusCode.ERROR
    assert told["trunk.id"] == "ST_a"
    assert told["trunk.carrier"] == "telnyx"
    assert told["trunk.route"] == "east/primary"
    assert told["sip.call.direction"] == "outbound"
    assert told["sip.callee.number"] == "+1*******00"
    assert told["sip.caller.number"] == "+1*******22"
    assert told["sip.response.status_code"] == 200
    assert told["sip.call.outcome"] == "answered"
    assert told.get("trunk.fault", "none") == "none"
    assert "error.type" not in told
    assert 0 <= told["sip.pdd_ms"] <= told["sip.setup_ms"]
    assert told["sip.ring_ms"] >= 0


async def test_the_attempt_is_below_the_span_that_asked_and_in_the_trace(traces: Traces):
    """A dial out of a function tool shows below the tool."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            with traces.tracer.start_as_current_span("function_tool"):
                await ctx.api.sip.create_sip_participant(livekit.request())

        await traces.job(livekit, work)
    span, tool = traces.one("sip.invite"), traces.one("function_tool")
    assert span.parent is not None
    assert tool.context is not None
    assert span.parent.span_id == tool.context.span_id
    assert span.context is not None
    assert span.context.trace_id == tool.context.trace_id


async def test_a_refusal_has_code_reason_outcome_and_the_exception_is_the_same(traces: Traces):
    """486 as captured: busy, the callee's fault, ERROR with the code as error.type."""
    async with LiveKit({"ST_a": [refuse(486, "Busy Here", rings=True)]}) as livekit:

        async def work(ctx):
            with pytest.raises(SIP_ERROR) as raised:
                await ctx.api.sip.create_sip_participant(livekit.request())
            return raised.value

        error = await traces.job(livekit, work)
    assert type(error) is SIP_ERROR
    assert error.metadata["sip_status_code"] == "486"
    assert error.code == "resource_exhausted"
    assert error.status == 429
    assert error.__cause__ is None
    span = traces.one("sip.invite")
    told = attributes(span)
    assert span.status.status_code is StatusCode.ERROR
    assert told["error.type"] == "486"
    assert told["sip.response.status_code"] == 486
    assert told["sip.response.reason"] == "Busy Here"
    assert told["sip.call.outcome"] == "busy"
    assert told["trunk.fault"] == "callee"
    assert "sip.setup_ms" not in told
    assert "CSF-1" in findings(traces.root)["call_setup_failure"]


async def test_our_own_ringing_timeout_is_no_sip_408(traces: Traces):
    """A plain ServerError with HTTP 408: no_answer, no code, callee, error.type timeout."""
    async with LiveKit({"ST_a": [no_answer()]}) as livekit:

        async def work(ctx):
            with pytest.raises(SERVER_ERROR) as raised:
                await ctx.api.sip.create_sip_participant(livekit.request())
            assert raised.value.status == 408

        await traces.job(livekit, work)
    span = traces.one("sip.invite")
    told = attributes(span)
    assert "sip.response.status_code" not in told
    assert told["sip.call.outcome"] == "no_answer"
    assert told["trunk.fault"] == "callee"
    assert told["error.type"] == "timeout"
    assert span.status.status_code is StatusCode.ERROR
    assert "sip.response.status_code" not in attributes(traces.root)
    assert "call_setup_failure" in findings(traces.root)


async def test_no_answer_at_all_to_the_invite_is_the_networks(traces: Traces):
    """The participant dialled and never rang: nobody answered our signalling."""
    async with LiveKit({"ST_a": [no_answer(rings=False)]}) as livekit:

        async def work(ctx):
            with pytest.raises(SERVER_ERROR):
                await ctx.api.sip.create_sip_participant(livekit.request())

        await traces.job(livekit, work)
    told = attributes(traces.one("sip.invite"))
    assert told["trunk.fault"] == "network"
    assert told["error.type"] == "timeout"
    assert "sip.response.status_code" not in told


async def test_no_bridge_is_not_a_sip_503(traces: Traces):
    """`unavailable` is the platform's, without a SIP code and without the carrier's fault."""
    async with LiveKit({"ST_a": [no_bridge()]}) as livekit:

        async def work(ctx):
            with pytest.raises(SERVER_ERROR) as raised:
                await ctx.api.sip.create_sip_participant(livekit.request())
            assert raised.value.code == "unavailable"

        await traces.job(livekit, work)
    span = traces.one("sip.invite")
    told = attributes(span)
    assert "sip.response.status_code" not in told
    assert told["trunk.fault"] == "platform"
    assert told["error.type"] not in ("503", "")
    assert span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    "code, status", [("invalid_argument", 400), ("permission_denied", 403), ("not_found", 404)]
)
async def test_a_wrong_request_has_no_sip_code(traces: Traces, code: str, status: int):
    """LiveKit's own refusals wear HTTP codes that look like SIP's, and are none."""
    reply = Reply(None, joins=False, twirp=(code, status, "no such trunk"))
    async with LiveKit({"ST_a": [reply]}) as livekit:

        async def work(ctx):
            with pytest.raises(SERVER_ERROR) as raised:
                await ctx.api.sip.create_sip_participant(livekit.request())
            assert raised.value.code == code

        await traces.job(livekit, work)
    told = attributes(traces.one("sip.invite"))
    assert "sip.response.status_code" not in told
    assert told["error.type"] not in (str(status), "")


async def test_a_lost_request_passes_its_own_exception(traces: Traces):
    """The connection breaks: aiohttp's error arrives, and the span names its class."""
    async with LiveKit({"ST_a": [Reply(drop=True, joins=False)]}) as livekit:

        async def work(ctx):
            with pytest.raises(Exception) as raised:  # noqa: PT011
                await ctx.api.sip.create_sip_participant(livekit.request())
            return raised.value

        error = await traces.job(livekit, work)
    span = traces.one("sip.invite")
    assert not isinstance(error, SERVER_ERROR)
    assert type(error).__name__ in attributes(span)["error.type"]
    assert "sip.response.status_code" not in attributes(span)


async def test_the_users_own_client_is_seen_too(traces: Traces):
    """A LiveKitAPI that the user made is another way to the same class."""
    async with LiveKit({"ST_b": [answer()]}) as livekit:

        async def work(ctx):
            own = api.LiveKitAPI(livekit.url, KEY, SECRET)
            try:
                await own.sip.create_sip_participant(livekit.request("ST_b"))
            finally:
                await own.aclose()

        await traces.job(livekit, work)
    assert attributes(traces.one("sip.invite"))["trunk.carrier"] == "twilio"


async def test_a_request_by_keyword_is_seen(traces: Traces):
    """`create=` is the parameter's name in livekit-api."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            return await ctx.api.sip.create_sip_participant(create=livekit.request())

        await traces.job(livekit, work)
    assert len(traces.invites) == 1


async def test_a_user_timeout_argument_still_works(traces: Traces):
    """What livekit-api takes beside the request, it still takes."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            return await ctx.api.sip.create_sip_participant(livekit.request(), timeout=40)

        assert (await traces.job(livekit, work)).sip_call_id.startswith("SCL_")
    assert len(traces.invites) == 1


async def test_outside_of_a_job_nothing_is_seen_or_changed(traces: Traces):
    """A request that belongs to no call makes no span and carries no header of ours."""
    async with LiveKit({"ST_a": [answer(), answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())

        await traces.job(livekit, work)
        traces.memory.clear()
        livekit.room.connected = True
        await livekit.api.sip.create_sip_participant(livekit.request())
        assert dict(livekit.created[-1].headers) == {}
    assert traces.invites == []


async def test_the_users_request_object_is_not_changed(traces: Traces):
    """What goes out is a copy: the object of the user stays as he wrote it."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        request = livekit.request(ringing_timeout={"seconds": 9}, headers={"X-Team": "orders"})
        before = request.SerializeToString(deterministic=True)

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(request)

        await traces.job(livekit, work)
        assert request.SerializeToString(deterministic=True) == before
        sent = livekit.created[0]
    assert dict(sent.headers)["X-Team"] == "orders"
    assert sent.sip_call_to == CALLEE
    assert sent.ringing_timeout.seconds == 9


async def test_without_waiting_active_is_a_200(traces: Traces):
    """The attempt lasts until its participant is active, long after the request returned."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request(wait_until_answered=False))
            assert traces.invites == []
            livekit.room.status("callee", "ringing")
            livekit.room.status("callee", "active")
            await until(lambda: len(traces.invites) == 1)

        await traces.job(livekit, work)
    told = attributes(traces.one("sip.invite"))
    assert told["sip.response.status_code"] == 200
    assert told["sip.call.outcome"] == "answered"


async def test_without_waiting_a_refusal_says_what_cannot_be_known(traces: Traces):
    """A participant who leaves unanswered has no code: absent, and named as not knowable."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request(wait_until_answered=False))
            livekit.room.status("callee", "ringing")
            livekit.room.leave("callee")
            await until(lambda: len(traces.invites) == 1)

        await traces.job(livekit, work)
    span = traces.one("sip.invite")
    told = attributes(span)
    assert "sip.response.status_code" not in told
    assert "sip.response.reason" not in told
    assert "trunk.fault" not in told
    assert span.status.status_code is StatusCode.ERROR
    unknown = told["trunktrace.unobservable"]
    assert "sip.response.status_code" in unknown


async def test_without_waiting_the_jobs_end_ends_the_attempt(traces: Traces):
    """No span is left open, and nothing is claimed of an attempt whose end nobody saw."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request(wait_until_answered=False))

        await traces.job(livekit, work, leave=False)
    told = attributes(traces.one("sip.invite"))
    assert told.get("sip.call.outcome") != "answered"
    assert "sip.response.status_code" not in told


async def test_a_background_task_is_part_of_the_call(traces: Traces):
    """`add_sip_participant` asks in a task of its own, without waiting for the answer."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def ask(ctx):
            await ctx.api.sip.create_sip_participant(
                CreateSIPParticipantRequest(
                    room_name=ctx.room.name,
                    participant_identity="callee",
                    sip_trunk_id="ST_a",
                    sip_call_to=CALLEE,
                )
            )

        async def work(ctx):
            await asyncio.create_task(ask(ctx))
            livekit.room.status("callee", "active")
            await until(lambda: len(traces.invites) == 1)

        await traces.job(livekit, work)
    assert attributes(traces.one("sip.invite"))["sip.response.status_code"] == 200


async def test_a_cancelled_request_is_our_own_giving_up(traces: Traces):
    """Cancelled while it rang: canceled, no error of anybody, and CancelledError passes."""
    hold = asyncio.Event()
    async with LiveKit({"ST_a": [answer(gate=hold.wait)]}) as livekit:

        async def work(ctx):
            task = asyncio.create_task(ctx.api.sip.create_sip_participant(livekit.request()))
            await until(lambda: "callee" in livekit.room.remote_participants)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            hold.set()

        await traces.job(livekit, work)
    span = traces.one("sip.invite")
    assert attributes(span)["sip.call.outcome"] == "canceled"
    assert span.status.status_code is not StatusCode.ERROR


async def test_the_root_says_the_last_attempt_and_no_rival_root_is_made(traces: Traces):
    """The root has code, outcome, fault and the count of attempts; there is no sip.call."""
    async with LiveKit({"ST_a": [refuse(404, "Not Found")]}) as livekit:

        async def work(ctx):
            with pytest.raises(SIP_ERROR):
                await ctx.api.sip.create_sip_participant(livekit.request())

        await traces.job(livekit, work)
    root = attributes(traces.root)
    assert root["sip.response.status_code"] == 404
    assert root["sip.call.outcome"] == "invalid_number"
    assert root["sip.call.direction"] == "outbound"
    assert root["sip.attempt_count"] == 1
    assert root["trunk.carrier"] == "telnyx"
    assert traces.named("sip.call") == []
    assert "trunk.failover.path" not in root


async def test_an_unsampled_call_still_passes_everything_through(monkeypatch: pytest.MonkeyPatch):
    """With a sampler that drops all, exceptions are the same and the header says "not sampled"."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    traces = Traces(sampler=ALWAYS_OFF)
    traces.install(monkeypatch)
    async with LiveKit({"ST_a": [refuse(486, "Busy Here")]}) as livekit:

        async def work(ctx):
            with pytest.raises(SIP_ERROR) as raised:
                await ctx.api.sip.create_sip_participant(livekit.request())
            return raised.value

        error = await traces.job(livekit, work)
        header = dict(livekit.created[0].headers).get("X-Traceparent")
    assert error.metadata["sip_status_code"] == "486"
    assert header is not None
    assert int(header[-2:], 16) & 1 == 0
    assert traces.spans == []


async def test_two_requests_at_once_to_two_numbers_are_two_attempts(traces: Traces):
    """Concurrent attempts keep their own trunks, codes and participants."""
    async with LiveKit({"ST_a": [refuse(486)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            first = livekit.request("ST_a", participant_identity="one", sip_call_to="+15559990001")
            other = livekit.request("ST_b", participant_identity="two", sip_call_to="+15559990002")
            return await asyncio.gather(
                ctx.api.sip.create_sip_participant(first),
                ctx.api.sip.create_sip_participant(other),
                return_exceptions=True,
            )

        failed, info = await traces.job(livekit, work)
    assert isinstance(failed, SIP_ERROR)
    assert info.participant_identity == "two"
    by_trunk = {attributes(span)["trunk.id"]: attributes(span) for span in traces.invites}
    assert by_trunk["ST_a"]["sip.response.status_code"] == 486
    assert by_trunk["ST_b"]["sip.response.status_code"] == 200


async def test_a_second_leg_leaves_the_caller_alone(traces: Traces):
    """A colleague called in beside an answered call has a span; the root stays the caller's."""
    async with LiveKit({"ST_a": [answer()], "ST_b": [refuse(486, "Busy Here")]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            colleague = livekit.request(
                "ST_b", participant_identity="colleague", sip_call_to="+15559990077"
            )
            with pytest.raises(SIP_ERROR):
                await ctx.api.sip.create_sip_participant(colleague)

        await traces.job(livekit, work)
    root = attributes(traces.root)
    assert root["sip.response.status_code"] == 200
    assert root["trunk.carrier"] == "telnyx"
    assert "trunk.failover.path" not in root
    assert "failover_loop" not in findings(traces.root)
    assert attributes(traces.invites[1])["trunk.carrier"] == "twilio"
    assert attributes(traces.invites[1])["sip.response.status_code"] == 486


async def test_a_dial_into_another_room_is_no_attempt_of_the_callers(traces: Traces):
    """A warm transfer's second room: its span carries its own leg's trunk, the root does not."""
    async with LiveKit({"ST_a": [answer()], "ST_b": [refuse(480)]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            other = livekit.request("ST_b", room_name="consult", participant_identity="human")
            with pytest.raises(SIP_ERROR):
                await ctx.api.sip.create_sip_participant(other)

        await traces.job(livekit, work)
    root = attributes(traces.root)
    assert root["trunk.carrier"] == "telnyx"
    assert root["sip.response.status_code"] == 200
    second = attributes(traces.invites[1])
    assert second["trunk.carrier"] == "twilio"
    assert second["trunk.id"] == "ST_b"


@pytest.mark.parametrize(
    "written",
    [CALLEE, "tel:+15559990000", "sip:+15559990000@192.0.2.9", "15559990000", "+1 555 999 0000"],
)
async def test_the_number_is_masked_in_every_writing(traces: Traces, written: str):
    """However the user writes the number, no span, event, status or link has it in clear."""
    async with LiveKit({"ST_a": [refuse(503, f"cannot reach {written}")]}) as livekit:

        async def work(ctx):
            request = livekit.request(to=written, sip_number=CALLER)
            with pytest.raises(SIP_ERROR):
                await ctx.api.sip.create_sip_participant(request)

        await traces.job(livekit, work)
    assert in_clear(everything(traces.spans), written) == []


async def test_an_exception_that_leaves_the_entrypoint_hides_the_number_on_our_spans(traces):
    """The message of the error quotes the callee: our attempt's span records no such text."""
    reply = Reply(None, joins=False, twirp=("invalid_argument", 400, f"bad number {CALLEE}"))
    async with LiveKit({"ST_a": [reply]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())

        with pytest.raises(SERVER_ERROR, match=r"\+15559990000"):
            await traces.job(livekit, work)
    assert in_clear(everything(traces.invites)) == []


async def test_without_a_provider_the_call_works(monkeypatch: pytest.MonkeyPatch):
    """No tracing is no reason for a call to fail."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        import trunktrace

        @trunktrace.traced_call
        async def entrypoint(ctx):
            return await ctx.api.sip.create_sip_participant(livekit.request())

        info = await entrypoint(livekit.ctx)
        livekit.room.disconnect()
    assert info.participant_identity == "callee"


def job_context(livekit: LiveKit):
    """livekit-agents' own methods of a job's context, on a context without a worker."""
    pending: list[asyncio.Task[object]] = []
    return SimpleNamespace(
        _room=livekit.room,
        api=livekit.api,
        is_fake_job=lambda: False,
        _pending_tasks=pending,
        _track_pending_task=lambda task, name="": pending.append(task),
    )


async def test_the_wrapper_of_the_job_context_is_seen(traces: Traces):
    """`ctx.add_sip_participant` asks in the background, and does not wait for the answer."""
    async with LiveKit({"ST_b": [answer()]}) as livekit:

        async def work(_):
            own = job_context(livekit)
            await JobContext.add_sip_participant(
                own, call_to=CALLEE, trunk_id="ST_b", participant_identity="callee"
            )
            livekit.room.status("callee", "ringing")
            livekit.room.leave("callee")
            await until(lambda: len(traces.invites) == 1)

        await traces.job(livekit, work)
    told = attributes(traces.one("sip.invite"))
    assert told["trunk.carrier"] == "twilio"
    assert "sip.response.status_code" not in told
    assert "sip.response.status_code" in told["trunktrace.unobservable"]


async def test_a_transfer_by_the_job_context_is_seen(traces: Traces):
    """`ctx.transfer_sip_participant` is another way to the same class."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            own = job_context(livekit)
            await JobContext.transfer_sip_participant(own, "callee", "tel:+15559990033")

        await traces.job(livekit, work)
    told = attributes(traces.one("sip.refer"))
    assert told["sip.refer.target"] == "+1*******33"
    assert told["trunk.carrier"] == "telnyx"


async def test_a_trunk_that_is_given_inline_is_named_by_its_host(traces: Traces):
    """A request without a trunk id: the carrier by the host, and no trunk.id of ''."""
    async with LiveKit({"": [refuse(503)]}) as livekit:

        async def work(ctx):
            request = livekit.request("")
            request.trunk.hostname = "sip.telnyx.com"
            with pytest.raises(SIP_ERROR):
                await ctx.api.sip.create_sip_participant(request)

        await traces.job(livekit, work)
    told = attributes(traces.one("sip.invite"))
    assert told["trunk.carrier"] == "telnyx"
    assert told.get("trunk.id") != ""


async def test_without_an_identity_the_number_in_livekits_own_stays_hidden(traces: Traces, caplog):
    """LiveKit names such a participant `sip_` and the number: it is in nothing of ours."""
    caplog.set_level("DEBUG", logger="trunktrace")
    async with LiveKit({"ST_a": [refuse(486)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            for trunk in ("ST_a", "ST_b"):
                request = livekit.request(trunk, participant_identity="")
                try:
                    await ctx.api.sip.create_sip_participant(request)
                except SIP_ERROR:
                    continue

        await traces.job(livekit, work)
    assert len(traces.invites) == 2
    assert attributes(traces.invites[1])["sip.response.status_code"] == 200
    assert in_clear(everything(traces.spans)) == []
    assert in_clear(caplog.text) == []


async def test_a_hidden_number_is_absent(traces: Traces):
    """`hide_phone_number`: the participant says none, and nothing is made up of the caller."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request(hide_phone_number=True))

        await traces.job(livekit, work)
    for span in (traces.one("sip.invite"), traces.root):
        assert "sip.caller.number" not in attributes(span)
        assert attributes(span).get("sip.callee.number") in (None, "+1*******00")


@pytest.mark.parametrize("reason", ["STR_RINGING_TIMEOUT", "STR_REJECTED"])
async def test_a_transfer_that_says_only_livekits_word(traces: Traces, reason: str):
    """No SIP code, but a reason: no code is made of it."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        told = {"sip_transfer_reason": reason}
        livekit.transfer_reply = Reply(None, twirp=("aborted", 409, "transfer failed"), meta=told)

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            request = api.TransferSIPParticipantRequest(
                participant_identity="callee", room_name=ctx.room.name, transfer_to=CALLEE
            )
            with pytest.raises(SERVER_ERROR):
                await ctx.api.sip.transfer_sip_participant(request)

        await traces.job(livekit, work)
    span = traces.one("sip.refer")
    assert span.status.status_code is StatusCode.ERROR
    assert "sip.response.status_code" not in attributes(span)
    assert attributes(span)["error.type"]


async def test_a_colleague_who_is_moved_into_the_room_leaves_the_caller_alone(traces: Traces):
    """Dialled into a second room, then moved: the caller's spans keep the caller's trunk."""
    async with LiveKit({"ST_a": [answer()], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            await ctx.api.sip.create_sip_participant(livekit.request())
            other = livekit.request(
                "ST_b", "+15559990077", room_name="consult", participant_identity="human"
            )
            await ctx.api.sip.create_sip_participant(other)
            moved = livekit.rooms["consult"].remote_participants["human"]
            livekit.room.join("human", moved.attributes)
            with traces.tracer.start_as_current_span("llm_node"):
                pass
            livekit.room.leave("human")

        await traces.job(livekit, work)
    for span in (traces.root, traces.one("llm_node")):
        assert attributes(span)["trunk.carrier"] == "telnyx"
        assert attributes(span)["sip.response.status_code"] == 200
    root = attributes(traces.root)
    assert root["sip.attempt_count"] == 1
    assert root["trunk.id"] == "ST_a"
    assert "trunk.failover.path" not in root
    (leg, _) = events(traces.root, "sip.leg")
    assert leg["trunk.id"] == "ST_b"
    assert in_clear(everything(traces.spans), "+15559990077") == []
