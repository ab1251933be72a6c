"""A SIP REFER, asked of a local server by the real livekit-api client, as a span of the call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from livekit import api
from livekit.agents import telemetry
from livekit.api.sip_service import SipService
from livekit.protocol import models
from livekit.protocol import sip as sip_proto
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import trunktrace
from trunktrace.diagnosis.story import Story
from trunktrace.guard import reraising
from trunktrace.livekit.refer import ending_of_answer
from trunktrace.voice.measures import measures_of

from .behaviour.fakejob import (
    CALLER,
    OUTBOUND,
    REASON,
    Context,
    Job,
    Participant,
    Room,
    caller,
    settle,
)
from .behaviour.kit import CARRIER, CODE, DIRECTION, ROUTE, Pipeline
from .livekit_api_server import LiveKitApiServer, error, message

NUMBER = "+15552223333"
USER = "reception.desk"
Answer = Callable[[web.Request], Awaitable[web.Response]]
Ask = Callable[[Any, api.LiveKitAPI], Awaitable[Any]]


def answers(body: Any) -> Answer:
    """The API answers with this message."""

    async def handler(_: web.Request) -> web.Response:
        return message(body)

    return handler


def refuses(status: int, code: str, text: str, **metadata: str) -> Answer:
    """The API answers with a Twirp error."""

    async def handler(_: web.Request) -> web.Response:
        return error(code, text, status, metadata)

    return handler


class Waiting:
    """The API has got the request, and does not answer before it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.told = asyncio.Event()

    async def answer(self, _: web.Request) -> web.Response:
        self.asked.set()
        await self.told.wait()
        return web.Response()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[api.LiveKitAPI]:
    """A client of a server that answers transfers so."""
    methods = {"SIP/TransferSIPParticipant": answer}
    async with LiveKitApiServer(methods, failover=False) as server:
        yield server.client


async def by_position(ctx: Any, client: api.LiveKitAPI, target: str = f"tel:{NUMBER}") -> Any:
    """The user's own client."""
    return await client.sip.transfer_sip_participant(request_to(ctx, target))


def request_to(ctx: Any, target: str) -> api.TransferSIPParticipantRequest:
    (phone,) = ctx.room.remote_participants
    return api.TransferSIPParticipantRequest(
        room_name=ctx.room.name, participant_identity=phone, transfer_to=target
    )


@asynccontextmanager
async def traced_with(pipe: Pipeline) -> AsyncIterator[None]:
    """LiveKit's own spans, and ours beside them, go to this pipeline."""
    telemetry.set_tracer_provider(pipe.provider)
    try:
        yield
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())


class Transferred:
    """An answered inbound call whose caller is transferred, and what was exported of it."""

    def __init__(self) -> None:
        self.job = Job(pipe=Pipeline())
        self.story = Story()
        self.raised: BaseException | None = None
        self.answer: Any = None

    async def run(self, server: Answer, ask: Ask = by_position) -> Transferred:
        async with serving(server) as client, traced_with(self.job.pipe):

            async def entry(ctx: Any) -> None:
                phone = ctx.room.join(caller())
                ctx.room.status(phone, "active")
                await settle()
                try:
                    self.answer = await ask(ctx, client)
                except BaseException as error:
                    self.raised = error
                self.job.pipe.tracer.start_span("after").end()
                ctx.room.status(phone, "hangup")
                ctx.room.leave(phone, REASON.CLIENT_INITIATED)
                await settle()
                self.story = trunktrace.current_call().story()

            await self.job.run(entry)
        return self

    @property
    def span(self) -> Any:
        return self.job.pipe.named("sip.refer")

    @property
    def said(self) -> Mapping[str, Any]:
        return dict(self.span.attributes)

    @property
    def counted(self) -> list[tuple[str, str]]:
        found = measures_of(self.story.marks, self.story.facts).transfers
        return [(one.to, one.result) for one in found]

    def is_untouched(self) -> None:
        """The call's own facts are those of a call that was answered and hung up."""
        root = self.job.root()
        assert root[CODE] == 200
        assert root["sip.call.outcome"] == "answered"
        assert root.get("trunk.fault") in (None, "none")
        assert "sip.response.reason" not in root
        assert self.job.pipe.attributes("after")[CODE] == 200
        text = "\n".join(span.to_json() for span in self.job.pipe.finished())
        for secret in (NUMBER, NUMBER[1:], USER, CALLER):
            assert secret not in text


async def test_a_transfer_that_went_through_is_a_client_span_of_the_call():
    """Measured: a server that states nothing answers when the final NOTIFY has come."""
    held = await Transferred().run(answers(sip_proto.TransferSIPParticipantResponse()))
    span = held.span
    assert span.kind is SpanKind.CLIENT
    assert span.parent.span_id == held.job.pipe.named("job_entrypoint").context.span_id
    assert span.status.status_code is StatusCode.UNSET
    assert held.said == {
        CARRIER: "telnyx",
        ROUTE: "us-east/primary",
        "trunk.region": "us1",
        "trunk.id": "ST_in",
        DIRECTION: "inbound",
        "sip.caller.number": "+1*******34",
        "sip.callee.number": "+44*******18",
        "sip.refer.target": "+1*******33",
        "voice_agent.transfer.to": "human",
        "voice_agent.transfer.result": "completed",
    }
    assert held.counted == [("human", "completed")]
    held.is_untouched()


async def test_the_transfer_of_a_colleague_is_none_of_the_callers():
    """Another leg of the caller's room is sent on: the span is that leg's, nothing is counted."""

    async def ask(ctx: Any, client: api.LiveKitAPI) -> Any:
        ctx.room.join(Participant("colleague", OUTBOUND | {"sip.callID": "SCL_2"}))
        await settle()
        return await client.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(
                room_name=ctx.room.name,
                participant_identity="colleague",
                transfer_to=f"tel:{NUMBER}",
            )
        )

    held = await Transferred().run(answers(sip_proto.TransferSIPParticipantResponse()), ask)
    assert held.said[DIRECTION] == "outbound"
    assert held.said["trunk.id"] == OUTBOUND["sip.trunkID"]
    assert held.said["livekit.sip.call_id"] == "SCL_2"
    assert held.said.get(CARRIER) != "telnyx"
    assert held.said["voice_agent.transfer.result"] == "completed"
    assert held.counted == []
    held.is_untouched()


async def test_the_transfer_of_somebody_unknown_states_no_trunk():
    """Nobody has seen that participant: what is known of the caller is not said of them."""

    async def ask(ctx: Any, client: api.LiveKitAPI) -> Any:
        return await client.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(
                room_name=ctx.room.name, participant_identity="nobody", transfer_to=f"tel:{NUMBER}"
            )
        )

    held = await Transferred().run(refuses(404, "not_found", "participant does not exist"), ask)
    assert not {CARRIER, ROUTE, DIRECTION, "trunk.id"} & held.said.keys()
    assert held.counted == []


async def test_a_provider_that_gives_no_tracer_stops_no_transfer(monkeypatch: pytest.MonkeyPatch):
    """The user's transfer is made, and its answer passes; only the span is missing."""

    def broken(_: Any) -> Any:
        raise RuntimeError("no tracer today")

    monkeypatch.setattr("trunktrace.livekit.job.JobCall.tracer", broken)
    with reraising(value=False):
        held = await Transferred().run(answers(sip_proto.TransferSIPParticipantResponse()))
    assert held.raised is None
    assert held.answer is not None


@pytest.mark.parametrize(
    "target, shown, to",
    [
        (f"tel:{NUMBER}", "+1*******33", "human"),
        (NUMBER, "+1*******33", "human"),
        (f"sip:{NUMBER}@pbx.example", "+1*******33", "human"),
        (f"sip:{USER}@pbx.example", "*******", "human"),
        (f"sip:{USER}@abc.sip.livekit.cloud;transport=tls", "*******", "other"),
    ],
)
async def test_the_target_is_masked_in_every_form(target, shown, to):
    """Country code and last two digits; what is no number is masked whole."""

    async def ask(ctx: Any, client: api.LiveKitAPI) -> Any:
        return await by_position(ctx, client, target)

    held = await Transferred().run(answers(sip_proto.TransferSIPParticipantResponse()), ask)
    assert held.said["sip.refer.target"] == shown
    assert held.said["voice_agent.transfer.to"] == to
    held.is_untouched()


async def by_keyword(ctx: Any, client: api.LiveKitAPI) -> Any:
    return await client.sip.transfer_sip_participant(transfer=request_to(ctx, NUMBER), timeout=20.0)


async def in_a_task(ctx: Any, client: api.LiveKitAPI) -> Any:
    """As JobContext.transfer_sip_participant does it."""
    return await asyncio.create_task(by_position(ctx, client))


async def by_the_job_context(ctx: Any, client: api.LiveKitAPI) -> Any:
    from livekit.agents import JobContext

    class Ours(Context):
        api = client  # type: ignore[assignment]
        _room = ctx.room
        is_fake_job = staticmethod(lambda: False)  # type: ignore[assignment]
        _track_pending_task = staticmethod(lambda *_, **__: None)

    (phone,) = ctx.room.remote_participants
    return await JobContext.transfer_sip_participant(Ours(ctx.room), phone, NUMBER)  # type: ignore[arg-type]


@pytest.mark.parametrize("ask", [by_position, by_keyword, in_a_task, by_the_job_context])
async def test_however_it_is_asked_for_it_is_one_span(ask):
    """By position, by name, in a task, by LiveKit's own wrapper."""
    held = await Transferred().run(answers(sip_proto.TransferSIPParticipantResponse()), ask)
    assert held.raised is None
    assert held.said["voice_agent.transfer.result"] == "completed"
    assert held.counted == [("human", "completed")]


async def test_an_answer_of_an_older_api_is_a_transfer_that_went_through():
    """It has neither a status nor a reason."""
    assert ending_of_answer(models.Room()).done is True
    assert ending_of_answer(None).done is True


FAILED = {"voice_agent.transfer.result": "failed"}
REFUSALS = {
    "the target is busy": (
        refuses(
            412, "failed_precondition", "transfer failed", sip_status_code="486",
            sip_status="Busy Here",
        ),
        "486",
        {CODE: 486, "sip.response.reason": "Busy Here", "sip.call.outcome": "busy",
         "trunk.fault": "callee"},
    ),
    "the carrier refuses it": (
        refuses(
            412, "failed_precondition", "refused", sip_status_code="603",
            sip_status=f"Declined {NUMBER}", sip_transfer_reason="STR_REJECTED",
        ),
        "603",
        {CODE: 603, "sip.call.outcome": "rejected", "livekit.transfer_reason": "rejected",
         "sip.response.reason": "Declined +1*******33"},
    ),
    "the far end takes no REFER": (
        refuses(412, "failed_precondition", "refused", sip_status_code="405"),
        "405",
        {CODE: 405, "sip.call.outcome": "failed"},
    ),
    "nobody takes it": (
        refuses(
            408, "deadline_exceeded", "timeout", sip_transfer_reason="STR_RINGING_TIMEOUT"
        ),
        "timeout",
        {"sip.call.outcome": "no_answer", "trunk.fault": "callee",
         "livekit.transfer_reason": "ringing_timeout"},
    ),
    "the API gives no answer in time": (
        refuses(408, "deadline_exceeded", "request timed out"),
        "ServerError",
        {"sip.call.outcome": "failed", "sip.call.outcome_detail": "api"},
    ),
    "no bridge": (
        refuses(503, "unavailable", "no response from servers"),
        "no_bridge",
        {"sip.call.outcome": "failed", "sip.call.outcome_detail": "no_bridge",
         "trunk.fault": "platform"},
    ),
    "there is no such participant": (
        refuses(404, "not_found", "participant does not exist"),
        "ServerError",
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_transfer_says_why_and_the_call_goes_on(case):
    """Code, reason, outcome and fault stand on the span alone; the exception is livekit-api's."""
    server, error_type, expected = REFUSALS[case]
    held = await Transferred().run(server)
    assert isinstance(held.raised, api.TwirpError)
    assert held.span.status.status_code is StatusCode.ERROR
    assert not held.span.status.description
    assert held.span.events == ()
    assert held.said["error.type"] == error_type
    said = {
        key: value
        for key, value in held.said.items()
        if key.startswith(("sip.response", "sip.call.outcome", "trunk.fault", "livekit.", "voice"))
    }
    assert said == {**FAILED, **expected, "voice_agent.transfer.to": "human"}
    assert held.counted == [("human", "failed")]
    held.is_untouched()


Response = sip_proto.TransferSIPParticipantResponse
STATED = {
    "successful": (
        Response(transfer_id="STR_1", status=sip_proto.STS_TRANSFER_SUCCESSFUL,
                 reason=sip_proto.STR_COMPLETED),
        True, {"livekit.transfer_reason": "completed"},
    ),
    "failed with a code": (
        Response(transfer_id="STR_1", status=sip_proto.STS_TRANSFER_FAILED,
                 reason=sip_proto.STR_REJECTED,
                 sip_status=sip_proto.SIPStatus(code=sip_proto.SIP_STATUS_BUSY_HERE,
                                                status="Busy Here")),
        False, {CODE: 486, "sip.call.outcome": "busy", "error.type": "486",
                "livekit.transfer_reason": "rejected"},
    ),
    "failed without one": (
        Response(transfer_id="STR_1", status=sip_proto.STS_TRANSFER_FAILED,
                 reason=sip_proto.STR_RINGING_TIMEOUT),
        False, {"sip.call.outcome": "no_answer", "error.type": "timeout"},
    ),
    "failed and nobody says why": (
        Response(transfer_id="STR_1", status=sip_proto.STS_TRANSFER_FAILED),
        False, {"error.type": "_OTHER"},
    ),
    "still under way": (
        Response(transfer_id="STR_1", status=sip_proto.STS_TRANSFER_ONGOING),
        False, {"error.type": "_OTHER"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STATED)
async def test_an_answer_that_is_no_success_is_a_failure_though_nothing_raised(case):
    """livekit-api: a status other than successful means that the transfer did not complete."""
    response, went_through, expected = STATED[case]
    held = await Transferred().run(answers(response))
    assert held.raised is None
    assert held.answer == response
    result = "completed" if went_through else "failed"
    assert held.said["voice_agent.transfer.result"] == result
    assert expected.items() <= held.said.items()
    assert (held.span.status.status_code is StatusCode.ERROR) is not went_through
    assert held.counted == [("human", result)]
    held.is_untouched()


async def test_a_cancelled_transfer_says_nothing_of_its_result():
    """Our side gave the request up: whether the far end goes on nobody knows."""

    server = Waiting()

    async def ask(ctx: Any, client: api.LiveKitAPI) -> Any:
        task = asyncio.create_task(by_position(ctx, client))
        await server.asked.wait()
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
        server.told.set()
        return ended

    held = await Transferred().run(server.answer, ask)
    (ended,) = held.answer
    assert isinstance(ended, asyncio.CancelledError)
    assert held.span.status.status_code is StatusCode.UNSET
    assert held.said["sip.call.outcome"] == "canceled"
    assert "voice_agent.transfer.result" not in held.said
    assert CODE not in held.said
    assert held.counted == []
    held.is_untouched()


async def test_a_request_that_is_lost_on_its_way_is_a_failed_transfer():
    """The exception is aiohttp's; no code is known, and it is nobody's fault."""

    async def ask(ctx: Any, _: api.LiveKitAPI) -> Any:
        async with aiohttp.ClientSession() as session:
            gone = SipService(session, "http://127.0.0.1:9", "key", "secret" * 6)
            return await gone.transfer_sip_participant(request_to(ctx, NUMBER))

    held = await Transferred().run(answers(Response()), ask)
    assert isinstance(held.raised, aiohttp.ClientError)
    assert held.said["voice_agent.transfer.result"] == "failed"
    assert held.said["error.type"] in ("ClientConnectorError", "transport")
    assert CODE not in held.said
    held.is_untouched()


async def test_outside_of_a_call_nothing_is_observed():
    """The request is what it is without us."""
    room = Room(caller())
    async with serving(answers(Response(transfer_id="STR_9"))) as client:
        answer = await by_position(Context(room), client)
    assert answer.transfer_id == "STR_9"


def test_the_requests_of_this_test_are_the_apis():
    """The client posts to the path that the local server answers on."""
    descriptor = sip_proto.DESCRIPTOR.services_by_name["SIP"]
    assert "TransferSIPParticipant" in json.dumps([m.name for m in descriptor.methods])
