"""The operator's trunks as LiveKit knows them, where the worker's key may read them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Final

from trunktrace.directory import TrunkRow
from trunktrace.guard import warn_once
from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings

FRESH_S: Final = 300.0
"""How long a list is believed: a worker with many jobs in one process asks once in this time."""

PATIENCE_S: Final = 5.0
"""How long a call's names wait for the list."""


class TrunkList:
    """The trunks of one LiveKit project, asked for once and kept for a while."""

    def __init__(self) -> None:
        self._rows: tuple[TrunkRow, ...] = ()
        self._asked_at: float | None = None

    async def rows(self, sip: Any) -> tuple[TrunkRow, ...]:
        """Name and metadata of every trunk. Raises what the API raises, a missing grant too."""
        from livekit.protocol.sip import ListSIPInboundTrunkRequest, ListSIPOutboundTrunkRequest

        now = time.monotonic()
        if self._asked_at is None or now - self._asked_at > FRESH_S:
            inbound = await _list(sip, "inbound")(ListSIPInboundTrunkRequest())
            outbound = await _list(sip, "outbound")(ListSIPOutboundTrunkRequest())
            self._rows = tuple(_rows((*inbound.items, *outbound.items)))
            self._asked_at = now
        return self._rows


def _list(sip: Any, kind: str) -> Any:
    # Before livekit-api 1.0.7 the methods had the names that are deprecated since.
    return getattr(sip, f"list_{kind}_trunk", None) or getattr(sip, f"list_sip_{kind}_trunk")


def _rows(trunks: Iterable[Any]) -> Iterable[TrunkRow]:
    for trunk in trunks:
        yield TrunkRow(
            trunk_id=trunk.sip_trunk_id, name=trunk.name or "", metadata=trunk.metadata or ""
        )


trunk_list: Final = TrunkList()


def learned(ctx: Any, settings: Settings, observer: RoomObserver) -> None:
    """Start learning the trunks in the background, if the settings ask for it."""
    if not settings.learn_trunks:
        return
    observer.naming.awaiting(
        asyncio.get_running_loop().create_task(_learn(ctx, settings, observer))
    )


async def _learn(ctx: Any, settings: Settings, observer: RoomObserver) -> None:
    directory = settings.directory
    try:
        async with asyncio.timeout(PATIENCE_S):
            directory = directory.with_trunks(await trunk_list.rows(ctx.api.sip))
    except Exception as error:
        warn_once(
            "trunks",
            "trunktrace may not read LiveKit's trunk list (%s); the directory file names the "
            "carriers alone. Give the worker's key the SIP admin grant, or leave learn_trunks off.",
            type(error).__name__,
        )
    observer.use_directory(directory)
