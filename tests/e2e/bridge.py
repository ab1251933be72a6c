"""The SIP bridge as seen from an agent that dials out.

livekit-sip cannot be built here. So a small server answers `CreateSIPParticipant` with what the
real one answered (bodies copied from real calls), and meanwhile plays the leg in the room: it
joins as `dialing`, rings, and leaves or answers. livekit-api's own client makes its own exception
of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, web
from livekit import api, rtc
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

from .caller import SipCaller
from .calls import CARRIERS, CallTruth, outbound_attributes
from .servers import HOST, LiveKitServer

_PATH = "/twirp/livekit.SIP/CreateSIPParticipant"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trunk answers: `error` None means that the callee picks up."""

    label: str
    error: Mapping[str, object] | None = None
    http: int = 200
    leaves_with: rtc.DisconnectReason.ValueType = rtc.DisconnectReason.CLIENT_INITIATED
    rings: bool = True


ANSWERED = Outcome("200")
BUSY = Outcome(
    "486",
    {
        "code": "resource_exhausted",
        "msg": "twirp error unknown: INVITE failed: sip status: 486: Busy Here",
        "meta": {
            "error_details": "CAgSKUlOVklURSBmYWlsZWQ6IHNpcCBzdGF0dXM6IDQ4NjogQnVzeSBIZXJlGjcKJXR5"
            "cGUuZ29vZ2xlYXBpcy5jb20vbGl2ZWtpdC5TSVBTdGF0dXMSDgjmAxIJQnVzeSBIZXJl",
            "sip_status": "Busy Here",
            "sip_status_code": "486",
        },
    },
    429,
    rtc.DisconnectReason.USER_REJECTED,
)
UNAVAILABLE = Outcome(
    "503",
    {
        "code": "failed_precondition",
        "msg": "twirp error unknown: unexpected status from INVITE response: sip status: 503: "
        "Service Unavailable",
        "meta": {
            "error_details": "CAkSTHVuZXhwZWN0ZWQgc3RhdHVzIGZyb20gSU5WSVRFIHJlc3BvbnNlOiBzaXAgc3Rh"
            "dHVzOiA1MDM6IFNlcnZpY2UgVW5hdmFpbGFibGUaQQoldHlwZS5nb29nbGVhcGlzLmNvbS9saXZla2l0LlNJ"
            "UFN0YXR1cxIYCPcDEhNTZXJ2aWNlIFVuYXZhaWxhYmxl",
            "sip_status": "Service Unavailable",
            "sip_status_code": "503",
        },
    },
    412,
)
NO_ANSWER = Outcome(
    "timeout",
    {"code": "canceled", "msg": "sip request timed out", "meta": {}},
    408,
    rtc.DisconnectReason.USER_UNAVAILABLE,
)


@dataclass(slots=True)
class _Plan:
    truth: CallTruth
    outcomes: Mapping[str, Outcome]
    answered: asyncio.Future[SipCaller] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Bridge:
    """An async context manager; `expect` plans a room's attempts by trunk id."""

    def __init__(self, server: LiveKitServer) -> None:
        self._server = server
        self._plans: dict[str, _Plan] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        app = web.Application()
        app.router.add_post(_PATH, self._create)
        app.router.add_post("/twirp/livekit.RoomService/{method}", self._pass_on)
        self._runner = web.AppRunner(app)
        self.url = ""

    def expect(
        self, truth: CallTruth, outcomes: Mapping[str, Outcome]
    ) -> asyncio.Future[SipCaller]:
        """Plan the call of `truth.room`; the future is the callee's leg once it has answered."""
        plan = _Plan(truth, outcomes)
        self._plans[truth.room] = plan
        return plan.answered

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*self._leaving)
        await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        asked = CreateSIPParticipantRequest.FromString(await request.read())
        api.TokenVerifier(self._server.key, self._server.secret).verify(
            request.headers["Authorization"].removeprefix("Bearer ")
        )
        plan = self._plans[asked.room_name]
        outcome = plan.outcomes[asked.sip_trunk_id]
        plan.truth.attempts.append(f"{asked.sip_trunk_id}:{outcome.label}")
        self._prepare(plan.truth, asked)
        if not asked.wait_until_answered:
            self._soon(self._unwatched(plan, asked, outcome))
            return _accepted(plan.truth, asked)
        leg = await self._ring(plan.truth, asked, outcome.rings)
        if outcome.error is None:
            return await self._pick_up(plan, leg, asked)
        if outcome.label.isdigit():
            plan.truth.status_code = int(outcome.label)
        # The real bridge answers the request first; the participant is gone some ms later.
        self._soon(leg.leave(outcome.leaves_with))
        return web.json_response(dict(outcome.error), status=outcome.http)

    async def _unwatched(
        self, plan: _Plan, asked: CreateSIPParticipantRequest, outcome: Outcome
    ) -> None:
        """The request has been answered already: what becomes of it, only the room sees."""
        leg = await self._ring(plan.truth, asked, outcome.rings)
        if outcome.error is None:
            await self._pick_up(plan, leg, asked)
        else:
            await leg.leave(outcome.leaves_with)

    @staticmethod
    def _prepare(truth: CallTruth, asked: CreateSIPParticipantRequest) -> None:
        carrier = next(one for one in CARRIERS if one.trunk_id == asked.sip_trunk_id)
        truth.carrier = carrier
        truth.attributes = outbound_attributes(truth, carrier)
        truth.livekit_call_id = truth.attributes["sip.callID"]

    async def _pass_on(self, request: web.Request) -> web.Response:
        """What is asked of the rooms is LiveKit's own to answer."""
        wanted = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        url = self._server.url.replace("ws://", "http://") + request.path
        async with (
            ClientSession() as session,
            session.post(url, data=await request.read(), headers=wanted) as answer,
        ):
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )

    async def _ring(
        self, truth: CallTruth, asked: CreateSIPParticipantRequest, rings: bool
    ) -> SipCaller:
        leg = SipCaller(self._server, truth)
        await leg.join(identity=asked.participant_identity)
        await leg.publish()
        await leg.subscribed()
        if rings:
            await leg.status("ringing")
        return leg

    async def _pick_up(
        self, plan: _Plan, leg: SipCaller, asked: CreateSIPParticipantRequest
    ) -> web.Response:
        truth = plan.truth
        late = {"sip.callIDFull": truth.sip_call_id, "sip.callTag": truth.call_tag}
        await leg.attributes(late)
        self._soon(self._answer(plan, leg))
        return _accepted(truth, asked)

    @staticmethod
    async def _answer(plan: _Plan, leg: SipCaller) -> None:
        await leg.answered()
        plan.answered.set_result(leg)

    def _soon(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task = asyncio.get_running_loop().create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _accepted(truth: CallTruth, asked: CreateSIPParticipantRequest) -> web.Response:
    info = SIPParticipantInfo(
        participant_id=f"PA_{truth.call_tag}",
        participant_identity=asked.participant_identity,
        room_name=asked.room_name,
        sip_call_id=truth.livekit_call_id,
    )
    return web.Response(body=info.SerializeToString(), content_type="application/protobuf")
