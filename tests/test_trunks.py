"""Carriers learned from LiveKit's own trunk list, asked of a server by livekit-api's client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from livekit import api, rtc
from livekit.protocol.sip import (
    ListSIPInboundTrunkResponse,
    ListSIPOutboundTrunkResponse,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)
from opentelemetry.sdk.trace import TracerProvider

from trunktrace import Directory, Redaction, start_call
from trunktrace.livecall import LiveCall
from trunktrace.livekit import trunks
from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings

SECRET = "a-secret-that-is-long-enough-for-hs256"
INBOUND = [
    SIPInboundTrunkInfo(
        sip_trunk_id="ST_1", name="berlin", metadata='{"carrier": "telnyx", "region": "eu"}'
    ),
    SIPInboundTrunkInfo(sip_trunk_id="ST_plain", name="only a name", metadata="since 2024"),
]
OUTBOUND = [SIPOutboundTrunkInfo(sip_trunk_id="ST_2", metadata='{"carrier": "twilio"}')]


class Platform:
    """A LiveKit server's trunk list; `refuses` is for a key without the grant."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False
        self.held = asyncio.Event()
        self.held.set()
        app = web.Application()
        app.router.add_post("/twirp/livekit.SIP/ListSIPInboundTrunk", self._inbound)
        app.router.add_post("/twirp/livekit.SIP/ListSIPOutboundTrunk", self._outbound)
        self.runner = web.AppRunner(app)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def _inbound(self, request: web.Request) -> web.Response:
        return await self._answer(request, ListSIPInboundTrunkResponse(items=INBOUND))

    async def _outbound(self, request: web.Request) -> web.Response:
        return await self._answer(request, ListSIPOutboundTrunkResponse(items=OUTBOUND))

    async def _answer(self, request: web.Request, answer: Any) -> web.Response:
        self.asked.append(request.path.rpartition("/")[2])
        await self.held.wait()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = api.TokenVerifier("key", SECRET).verify(token)
        if self.refuses or not (claims.sip and claims.sip.admin):
            refusal = {"code": "permission_denied", "msg": "permissions denied"}
            return web.json_response(refusal, status=403)
        return web.Response(body=answer.SerializeToString(), content_type="application/protobuf")


@pytest.fixture
async def platform(monkeypatch) -> AsyncIterator[Platform]:
    monkeypatch.setattr(trunks, "trunk_list", trunks.TrunkList())
    opened = Platform()
    await opened.runner.setup()
    await web.TCPSite(opened.runner, "127.0.0.1", 0).start()
    yield opened
    opened.held.set()
    await opened.runner.cleanup()


@pytest.fixture
async def ctx(platform) -> AsyncIterator[Any]:
    client = api.LiveKitAPI(platform.url, "key", SECRET)
    yield SimpleNamespace(api=client, room=rtc.Room())
    await client.aclose()


def observed(ctx: Any, call: LiveCall, directory: str = "") -> RoomObserver:
    settings = Settings(Directory.parse(directory), Redaction(), learn_trunks=True)
    observer = RoomObserver(ctx.room, None, call, settings)
    observer.start()
    trunks.learned(ctx, settings, observer)
    return observer


def join(ctx: Any, trunk_id: str) -> None:
    attributes = {"sip.ruleID": "SDR_1", "sip.trunkID": trunk_id, "sip.callStatus": "active"}
    caller: Any = SimpleNamespace(identity="sip_1", name="", kind=3, attributes=attributes)
    ctx.room.emit("participant_connected", caller)


async def settled(call: LiveCall) -> None:
    async with asyncio.timeout(10):
        while not call.identified:  # noqa: ASYNC110  # the call tells nobody
            await asyncio.sleep(0.005)


@pytest.fixture
def call():
    with start_call(tracer_provider=TracerProvider()) as opened:
        yield opened


@pytest.mark.parametrize(
    "trunk_id, named",
    [
        ("ST_1", ("telnyx", "berlin", "eu")),
        ("ST_2", ("twilio", None, None)),
        ("ST_plain", (None, "only a name", None)),
        ("ST_other", (None, None, None)),
    ],
)
async def test_name_and_metadata_name_the_trunk(ctx, call, trunk_id, named):
    """Metadata in JSON gives carrier, route and region; the name is the route where nobody says."""
    observed(ctx, call)
    join(ctx, trunk_id)
    await settled(call)
    assert (call.facts.carrier, call.facts.route, call.facts.region) == named


async def test_the_file_is_never_overridden(ctx, call):
    """A row of the file stands; the list fills only what it leaves open, and only if they agree."""
    observed(ctx, call, '[trunks.ST_1]\ncarrier = "acme"\nroute = "main"\n')
    join(ctx, "ST_1")
    await settled(call)
    assert (call.facts.carrier, call.facts.route, call.facts.region) == ("acme", "main", None)


async def test_a_caller_who_is_there_already_is_named_when_the_list_comes(
    ctx, call, platform, caplog
):
    """Nobody is said to be missing before the list is there."""
    platform.held.clear()
    with caplog.at_level(logging.WARNING, "trunktrace"):
        observed(ctx, call)
        join(ctx, "ST_1")
        assert call.facts.carrier is None
        assert not call.identified
        platform.held.set()
        await settled(call)
    assert call.facts.carrier == "telnyx"
    assert caplog.messages == []


async def test_one_list_serves_many_jobs(ctx, call, platform):
    """A worker with many jobs in one process asks once."""
    for _ in range(3):
        observed(ctx, call)
        join(ctx, "ST_1")
        await settled(call)
    assert sorted(platform.asked) == ["ListSIPInboundTrunk", "ListSIPOutboundTrunk"]


@pytest.mark.parametrize("trouble", ["no grant", "no server"])
async def test_a_list_that_cannot_be_read_is_one_line(ctx, call, platform, caplog, trouble):
    """The file goes on naming carriers, and the log says once how to get the list."""
    platform.refuses = True
    if trouble == "no server":
        await platform.runner.cleanup()
    with caplog.at_level(logging.WARNING, "trunktrace"):
        for _ in range(2):
            observed(ctx, call, '[trunks.ST_1]\ncarrier = "acme"\n')
            join(ctx, "ST_1")
            await settled(call)
    assert call.facts.carrier == "acme"
    (line,) = caplog.messages
    assert "SIP admin grant" in line


async def test_a_server_that_never_answers_holds_nobody(ctx, call, platform, monkeypatch, caplog):
    """After a while the call is named without the list."""
    monkeypatch.setattr(trunks, "PATIENCE_S", 0.05)
    platform.held.clear()
    with caplog.at_level(logging.WARNING, "trunktrace"):
        observed(ctx, call, '[trunks.ST_1]\ncarrier = "acme"\n')
        join(ctx, "ST_1")
        await settled(call)
    assert call.facts.carrier == "acme"


async def test_nobody_asks_unasked(ctx, call, platform):
    """Without `learn_trunks` the server is not asked."""
    settings = Settings(Directory.parse(""), Redaction())
    observer = RoomObserver(ctx.room, None, call, settings)
    observer.start()
    trunks.learned(ctx, settings, observer)
    join(ctx, "ST_1")
    await settled(call)
    assert platform.asked == []
