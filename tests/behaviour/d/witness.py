"""A bridge that bears witness: what was asked, what was there then, and who rang at one time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web
from livekit.protocol.room import RoomParticipantIdentity
from livekit.protocol.sip import CreateSIPParticipantRequest
from tests.behaviour.fakejob import Context, Participant, Room
from tests.fake_livekit_api import FakeLiveKitApi, Play, Turning

import trunktrace
from trunktrace.livekit import pauses

NUMBER = "+15550100001"
SILENT_S = 3.0
"""How long nobody may have been seen after a request that was lost (the how-to says it)."""


class Deed(dict[str, Any]):
    """One thing that was asked of the bridge, and what it said."""


class Witness(FakeLiveKitApi):
    """`deeds` is the timeline; `crowd` are moments at which two participants were there."""

    def __init__(self, room: Room, plays: Mapping[str, Play], time: Turning) -> None:
        self.deeds: list[Deed] = []
        self.crowd: list[str] = []
        self.removal_fails = 0
        self.look_fails = 0
        self.rings_late: dict[str, float] = {}
        self.leaves_late: dict[str, float] = {}
        self.at_deed: dict[int, asyncio.Event] = {}
        super().__init__(room, plays, time)

    def _note(self, kind: str, **more: Any) -> None:
        self.deeds.append(Deed(kind=kind, at=self.time.seconds, **more))
        if (event := self.at_deed.get(len(self.deeds))) is not None:
            event.set()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        asked = CreateSIPParticipantRequest.FromString(await request.read())
        self._note("create", trunk=asked.sip_trunk_id, there=sorted(self.there))
        return await super()._create(request)

    def _join(self, asked: CreateSIPParticipantRequest) -> Participant:
        if self.there:
            self.crowd.append(asked.sip_trunk_id)
        self._note("join", trunk=asked.sip_trunk_id)
        leg = super()._join(asked)
        trunk = asked.sip_trunk_id
        if trunk in self.rings_late:
            self.time.after(self.rings_late[trunk], lambda: self._ring(leg))
        if trunk in self.leaves_late:
            self.time.after(self.leaves_late[trunk], lambda: self._leave(leg))
        return leg

    def _ring(self, leg: Participant) -> None:
        if self.there.get(leg.identity) is leg:
            self.room.status(leg, "ringing")

    def _leave(self, leg: Participant) -> None:
        if self.there.get(leg.identity) is leg:
            self._note("gone", trunk=leg.attributes["sip.trunkID"])
        super()._leave(leg)

    async def _remove(self, request: web.Request) -> web.Response:
        if self.removal_fails > 0:
            self.removal_fails -= 1
            self._note("remove", said="error")
            return web.json_response({"code": "internal", "msg": "not today"}, status=500)
        asked = RoomParticipantIdentity.FromString(await request.read())
        self._note("remove", said="ok" if asked.identity in self.there else "not_found")
        return await super()._remove(request)

    async def _get(self, request: web.Request) -> web.Response:
        if self.look_fails > 0:
            self.look_fails -= 1
            self._note("get", said="error")
            return web.json_response({"code": "internal", "msg": "not today"}, status=500)
        asked = RoomParticipantIdentity.FromString(await request.read())
        self._note("get", said="there" if asked.identity in self.there else "not_found")
        return await super()._get(request)

    # What must hold -------------------------------------------------------------------------------

    def check(self) -> None:
        """No INVITE goes out before the former participant was confirmed to be gone."""
        assert not self.crowd, f"two participants at once: {self.deeds}"
        former: str | None = None
        since: list[Deed] = []
        for deed in self.deeds:
            if deed["kind"] != "create":
                since.append(deed)
                continue
            assert not deed["there"], f"an INVITE while {deed['there']} is there: {self.deeds}"
            if former is not None:
                looks = [one for one in since if one["kind"] == "get"]
                assert looks, f"nobody looked before the INVITE over {deed['trunk']}: {self.deeds}"
                assert looks[-1]["said"] == "not_found", f"not confirmed gone: {self.deeds}"
                if self.plays[former].lost:
                    self._check_silence(since)
            former, since = deed["trunk"], []

    def _check_silence(self, since: list[Deed]) -> None:
        """After a lost request: absent, as far as anybody looked, for the whole settling time."""
        absent_since: float | None = None
        longest = 0.0
        for one in since:
            if one["kind"] == "get" and one["said"] == "not_found":
                absent_since = one["at"] if absent_since is None else absent_since
                longest = one["at"] - absent_since
            elif one["kind"] in ("get", "join"):
                absent_since = None
        assert longest >= SILENT_S - 1e-6, f"absent for {longest} s only: {self.deeds}"


class ApiContext(Context):
    """A job's context with an API."""

    client: Any = None

    @property
    def api(self) -> Any:
        return self.client


@contextlib.asynccontextmanager
async def witnessed(plays: Mapping[str, Play]) -> AsyncIterator[tuple[Any, Witness]]:
    """A job's context and its bridge, in a time of their own."""
    time = Turning()
    with pauses.replaced(time):
        async with Witness(Room(), plays, time) as server:
            ctx: Any = ApiContext(server.room)
            ctx.client = server.client
            yield ctx, server


async def dial(ctx: Any, *trunks: Any, **options: Any) -> trunktrace.DialResult:
    options.setdefault("identity", "callee")
    return await trunktrace.dial(ctx, NUMBER, trunks=trunks, **options)
