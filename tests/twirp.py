"""LiveKit's SIP API as a local HTTP server, answered by hand: livekit-api's own client talks to it.

Each request waits until the test answers it, so that a test says in which order things come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

from .livekit_api_server import LiveKitApiServer, error, message


class Asked:
    """One request that waits for its answer."""

    def __init__(self, request: CreateSIPParticipantRequest, headers: Mapping[str, str]) -> None:
        self.request = request
        self.headers = headers
        self._answer: asyncio.Future[web.Response | None] = asyncio.Future()

    async def answered(self) -> web.Response | None:
        return await self._answer

    def accept(self, call_id: str = "SCL_1", identity: str | None = None) -> None:
        """The participant: after the answer if the request waits for it, else at once."""
        info = SIPParticipantInfo(
            participant_id="PA_1",
            participant_identity=identity or self.request.participant_identity,
            room_name=self.request.room_name,
            sip_call_id=call_id,
        )
        self._answer.set_result(message(info))

    def refuse(self, code: int, reason: str, **meta: str) -> None:
        """A final SIP answer, as livekit-sip tells it."""
        told = {"sip_status_code": str(code), "sip_status": reason, **meta}
        text = f"twirp error unknown: INVITE failed: sip status: {code}: {reason}"
        self.fail("failed_precondition", text, 412, told)

    def fail(
        self, code: str, text: str, status: int, meta: Mapping[str, str] | None = None
    ) -> None:
        """An error of the API."""
        self._answer.set_result(error(code, text, status, meta))

    def respond(self, response: web.Response) -> None:
        """What is no answer of the API, as a proxy gives."""
        self._answer.set_result(response)

    def break_off(self) -> None:
        """The connection is lost before an answer came."""
        self._answer.set_result(None)


class SipApi(LiveKitApiServer):
    """The server (an async context manager), and livekit-api's client of it (`client`)."""

    def __init__(self) -> None:
        super().__init__({"SIP/CreateSIPParticipant": self._create})
        self._asked: asyncio.Queue[Asked] = asyncio.Queue()

    async def next(self) -> Asked:
        """The next request, as soon as it has come."""
        async with asyncio.timeout(5):
            return await self._asked.get()

    async def _create(self, request: web.Request) -> web.Response:
        body = CreateSIPParticipantRequest.FromString(await request.read())
        asked = Asked(body, dict(request.headers))
        self._asked.put_nowait(asked)
        response = await asked.answered()
        if response is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return response
