"""LiveKit's SIP API as a local HTTP server, answered by hand: livekit-api's own client talks to it.

Each request waits until the test answers it, so that a test says in which order things come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from livekit import api
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

_CREATE = "/twirp/livekit.SIP/CreateSIPParticipant"
_SECRET = "s" * 32


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
        body = info.SerializeToString()
        self._answer.set_result(web.Response(body=body, content_type="application/protobuf"))

    def refuse(self, code: int, reason: str, **meta: str) -> None:
        """A final SIP answer, as livekit-sip tells it."""
        told = {"sip_status_code": str(code), "sip_status": reason, **meta}
        text = f"twirp error unknown: INVITE failed: sip status: {code}: {reason}"
        self.fail("failed_precondition", text, 412, told)

    def fail(
        self, code: str, text: str, status: int, meta: Mapping[str, str] | None = None
    ) -> None:
        """An error of the API."""
        body = {"code": code, "msg": text, "meta": dict(meta or {})}
        self._answer.set_result(web.json_response(body, status=status))

    def respond(self, response: web.Response) -> None:
        """What is no answer of the API, as a proxy gives."""
        self._answer.set_result(response)

    def break_off(self) -> None:
        """The connection is lost before an answer came."""
        self._answer.set_result(None)


class SipApi:
    """The server (an async context manager), and livekit-api's client of it (`client`)."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[Asked] = asyncio.Queue()
        self._waiting: set[Asked] = set()
        self.client: Any = None
        app = web.Application()
        app.router.add_post(_CREATE, self._create)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.client = api.LiveKitAPI(f"http://127.0.0.1:{port}", "key", _SECRET)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.aclose()
        await self._runner.cleanup()

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
