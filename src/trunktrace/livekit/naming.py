"""Names carrier, route and region of a call: by the directory, and headers that it still needs."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from typing import Any

from trunktrace.belief import Rank
from trunktrace.directory import Directory
from trunktrace.guard import guard, guarded, warn_once
from trunktrace.livecall import LiveCall
from trunktrace.livekit.headers import fetch_headers
from trunktrace.livekit.trace_headers import TraceHeaders
from trunktrace.metrics import call_metrics
from trunktrace.sip import participant as sip
from trunktrace.sip.legs import Leg


class Naming:
    """Asks the directory about a leg, and the bridge for headers where the directory wants some.

    `is_call` tells whether a leg is the call (still): only then what is found is said of it.
    `headers` are those of the trace: they are asked for in the same question.
    """

    def __init__(
        self,
        room: Any,
        call: LiveCall,
        directory: Directory,
        is_call: Callable[[Leg], bool],
        headers: TraceHeaders,
    ) -> None:
        self._room = room
        self._call = call
        self._is_call = is_call
        self._headers = headers
        self.directory = directory
        self._sure = False
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()

    def awaiting(self, names: asyncio.Task[None]) -> None:
        """Names are on their way: until this task is done nobody is said to be missing."""
        self._tasks.add(names)
        names.add_done_callback(self._tasks.discard)

    def arrived(self, directory: Directory) -> None:
        """Name from this directory from now on; called by the awaited task."""
        self._tasks.difference_update({asyncio.current_task()})
        self.directory = directory
        call_metrics.know(directory.names)

    def cancel(self) -> None:
        """Stop asking: the room has ended."""
        for task in tuple(self._tasks):
            task.cancel()

    def of_leg(self, leg: Leg) -> None:
        """Name the call by what its participant's attributes say, and ask for what is missing."""
        self._by_directory(leg)
        wanted = self.directory.headers_wanted(_trunk_id(leg), leg.attributes)
        # Outbound, what counts comes with the 200 OK: headers, and attributes made of them.
        unanswered = leg.direction == "outbound" and leg.active_at is None
        if unanswered and (wanted or not self._sure):
            return
        if not wanted or leg.headers_asked:
            if not self._tasks:
                self.finish()
            return
        leg.headers_asked = True
        self.awaiting(
            asyncio.get_running_loop().create_task(
                self._ask_headers(leg, (*wanted, *self._headers.wanted)), context=self._context
            )
        )

    def of_trunk(
        self, trunk_id: str | None, host: str | None, attributes: Mapping[str, str]
    ) -> None:
        """Name the call by the directory."""
        identity = self.directory.identify(trunk_id=trunk_id, host=host, attributes=attributes)
        # What lower sources say otherwise comes last, so that it is told as a conflict.
        for name, claim in (*identity.claims().items(), *identity.refused):
            self._call.observe(
                {name: claim.value}, source=f"directory:{claim.source}", rank=claim.rank
            )
        carrier = identity.carrier
        self._sure = carrier is not None and carrier.rank >= Rank.TRUSTED_HEADER

    def _by_directory(self, leg: Leg) -> None:
        self.of_trunk(_trunk_id(leg), leg.attributes.get(sip.HOSTNAME), leg.attributes)

    @guarded
    def finish(self) -> None:
        """All that can be known of the identity is known; say once what would name it for sure."""
        self._call.identified = True
        trunk_id = self._call.facts.trunk_id
        if not self._sure and (fix := self.directory.missing_row(trunk_id)) is not None:
            warn_once(f"carrier:{trunk_id}", "trunktrace: %s", fix)

    async def _ask_headers(self, leg: Leg, wanted: tuple[str, ...]) -> None:
        try:
            headers = await fetch_headers(self._room.local_participant, leg.identity, wanted)
        except Exception as error:
            # An older bridge does not know the method: the carrier stays as far as it is known.
            warn_once("headers", "trunktrace could not read SIP headers: %s", type(error).__name__)
            headers = {}
        try:
            leg.take(headers)
            self._call.add_secrets(sip.persons_in(leg.attributes))
            self._headers.of_leg(leg)
            if self._is_call(leg):
                self._by_directory(leg)
                self.finish()
        except Exception as error:
            guard.swallowed("naming.headers", error)


def _trunk_id(leg: Leg) -> str | None:
    return leg.attributes.get(sip.TRUNK_ID) or None
