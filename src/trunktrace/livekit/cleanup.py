"""What a cancelled dial leaves behind: its phone is made to stop ringing, and no other is touched.

Invariants, since LiveKit removes by identity, and the next participant may have the same one:
- One participant at most is put out: that of the request that was under way at the cancellation.
  Who was there when that happened is it, answered or not, because the dial held the identity.
- If nobody was there, the first phone that joins within 3 s over the same trunk is it, unless it
  has answered already. Any other one, and who is no phone, is left alone.
- Before each removal the API has just shown that participant, or could not be asked.
- From the next request for this identity on that this process knows of, nobody is put out any
  more. A dial sends none before the clean-up has ended.
Between that look and the removal lies one request: who takes the place of ours within it, without
our knowing, is the one who could be hit. LiveKit has no removal by anything but the identity.
"""

from __future__ import annotations

import math

from trunktrace.livekit.pauses import pauses
from trunktrace.livekit.removal import (
    ASK_EVERY_S,
    POLL_S,
    SETTLING_S,
    Departure,
    Look,
    Removal,
    Seen,
)


class CleanUp:
    """The clean-up after one cancelled dial; `run` it once."""

    def __init__(self, removal: Removal, trunk_id: str) -> None:
        self._removal = removal
        self._trunk_id = trunk_id
        there = removal.in_room()
        self._ours = there if there is not None and there.call_id else None
        self._is_superseded = False
        self._has_looked = False

    def supersede(self) -> None:
        """Another request for this identity goes out: put nobody out any more."""
        self._is_superseded = True

    async def run(self) -> Departure:
        """Put our participant out; come back when it is gone, or was not seen for 3 s."""
        deadline = pauses.now() + self._removal.timeout_s + SETTLING_S
        silent_since: float | None = None
        asked_at = -math.inf
        while True:
            look = await self._removal.look()
            if self._is_superseded:
                return Departure(False, why="another request has taken its identity")
            self._learn(look)
            now = pauses.now()
            if self._is_there(look):
                silent_since = None
                if self._may_remove(look) and now - asked_at >= ASK_EVERY_S:
                    asked_at = now
                    await self._removal.ask()
            else:
                silent_since = now if silent_since is None else silent_since
                if self._ours is not None or now - silent_since >= SETTLING_S:
                    return Departure(True)
            if now >= deadline:
                return Departure(False, why=self._removal.why(look))
            await pauses.wait(min(POLL_S, max(deadline - now, 0.001)))

    def _learn(self, look: Look) -> None:
        """Who is ours, once it is seen; it stays the only one."""
        at_once, self._has_looked = not self._has_looked, True
        if self._ours is None:
            self._ours = next((one for one in look.seen if self._can_be_ours(one, at_once)), None)

    def _can_be_ours(self, one: Seen, at_once: bool) -> bool:
        is_phone = bool(one.call_id) and one.trunk_id in ("", self._trunk_id)
        # The room tells of an answer later than the API: at the first look it is still ours.
        return is_phone and (at_once or one.status != "active")

    def _is_ours(self, one: Seen | None) -> bool:
        return one is not None and self._ours is not None and one.is_one_with(self._ours)

    def _is_there(self, look: Look) -> bool:
        """Whether ours is there, or may be; who else has its identity now has taken its place."""
        return bool(look.why) or any(map(self._is_ours, look.seen))

    def _may_remove(self, look: Look) -> bool:
        if look.by_api is not None:
            return self._is_ours(look.by_api)
        return bool(look.why) and self._is_ours(look.in_room)
