"""LiveKit's SIP API in front of our bridge: a request over HTTP becomes an INVITE, as LiveKit does.

The client is the real one of livekit-api.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from livekit import api
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

from .servers import HOST
from .sip_bridge import Place, SipBridge

_PATH: Final = "/twirp/livekit.SIP/CreateSIPParticipant"
_REFUSED: Final = 412
_FIRST_REFUSAL: Final = 300


@asynccontextmanager
async def sip_api(bridge: SipBridge, proxy: Place) -> AsyncIterator[api.LiveKitAPI]:
    """A client whose requests `bridge` dials through `proxy`, at the request's own trunk."""

    async def dial(asked: web.Request) -> web.Response:
        request = CreateSIPParticipantRequest.FromString(await asked.read())
        callee = f"sip:{request.sip_call_to}@{request.trunk.hostname}"
        call = await bridge.call(callee, proxy, request.headers)
        call.attributes.update(request.participant_attributes)
        assert call.final is not None
        if call.final.code >= _FIRST_REFUSAL:
            told = {"sip_status_code": str(call.final.code), "sip_status": call.final.phrase}
            said = f"INVITE failed: sip status: {call.final.code}: {call.final.phrase}"
            answer = {"code": "failed_precondition", "msg": said, "meta": told}
            return web.json_response(answer, status=_REFUSED)
        info = SIPParticipantInfo(
            participant_identity=request.participant_identity, room_name=request.room_name
        )
        return web.Response(body=info.SerializeToString(), content_type="application/protobuf")

    app = web.Application()
    app.router.add_post(_PATH, dial)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        url = f"http://{HOST}:{runner.addresses[0][1]}"
        async with api.LiveKitAPI(url, "key", "a secret of more than 32 characters.") as client:
            yield client
    finally:
        await runner.cleanup()
