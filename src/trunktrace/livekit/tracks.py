"""What becomes of the two audio tracks of a call: heard, muted, or never listened to.

The room's events and what it knows of its participants become marks: `caller_track`, `agent_track`
and, while the caller's side has muted its track, `hold`: it then sends nothing on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trunktrace.clock import clock
from trunktrace.guard import guarded
from trunktrace.livecall import LiveCall
from trunktrace.timeline import NEVER, Mark, MarkKind

SOURCE: Final = "livekit"

NEVER_AFTER_S: Final = 5.0
"""So long after the answer somebody should listen to the agent's track: a bridge does at once."""

LONGEST_TICK_S: Final = 1.5
"""A tick later than this counts as so much: the loop stood still, and events wait behind it."""

KIND_AUDIO: Final = 1
"""`TrackKind.KIND_AUDIO` in livekit-protocol."""

Held = Callable[[float, float | None], None]


def audio_of(participant: Any) -> Any:
    """The participant's first audio publication; None if there is none, or no such participant."""
    publications: dict[str, Any] = getattr(participant, "track_publications", None) or {}
    return next((one for one in list(publications.values()) if one.kind == KIND_AUDIO), None)


class Tracks:
    """The tracks of one job's call. `caller()` names the participant that calls, None while none.

    `held` is told of each hold: since when, and to when (None: it goes on). `tick` is to be called
    once a second: it takes up what no event told of. Whoever subscribes first to the agent's track
    counts as the caller's side: LiveKit does not say who it was.
    """

    def __init__(
        self, room: Any, call: LiveCall, caller: Callable[[], str | None], held: Held
    ) -> None:
        self._room = room
        self._call = call
        self._caller = caller
        self._held = held
        self._told_of: str | None = None
        self._muted_since: float | None = None
        self._is_heard = False
        self._published_at: float | None = None
        self._looked_at: float | None = None
        self._waited_s = 0.0
        self._never = False

    def start(self) -> None:
        """Listen to the room's events."""
        for event in ("track_subscribed", "track_muted", "track_unmuted"):
            self._room.on(event, self._on_change)
        self._room.on("local_track_subscribed", self._on_heard)

    @guarded
    def tick(self, now_s: float) -> None:
        """A second has passed."""
        self._look(now_s)
        self._look_for_listener(now_s)

    @guarded
    def _on_change(self, *_: object) -> None:
        self._look(clock.now_s())

    @guarded
    def _on_heard(self, track: Any) -> None:
        if getattr(track, "kind", KIND_AUDIO) == KIND_AUDIO and not self._is_heard:
            self._is_heard = True
            self._mark("agent_track", clock.now_s())

    def _look(self, now_s: float) -> None:
        caller = self._caller()
        if caller is None:
            return
        publication = audio_of(self._room.remote_participants.get(caller))
        if publication is None:
            return
        if publication.track is not None and self._told_of != caller:
            self._told_of = caller
            self._mark("caller_track", now_s)
            if self._is_heard:
                # Of a second caller's subscription there is no event: only of the first.
                self._mark("agent_track", now_s)
        is_muted = publication.muted is True
        if is_muted and self._muted_since is None:
            self._muted_since = now_s
            self._hold(now_s, None)
        elif not is_muted and self._muted_since is not None:
            since, self._muted_since = self._muted_since, None
            self._hold(since, now_s)

    def _look_for_listener(self, now_s: float) -> None:
        if self._is_heard or self._never:
            return
        answered = self._call.time_of("answered")
        if answered is None:
            return
        if self._published_at is None:
            if audio_of(self._room.local_participant) is None:
                return
            self._published_at = now_s
        since = max(answered, self._published_at)
        before, self._looked_at = self._looked_at, now_s
        waited = now_s - (since if before is None else max(since, before))
        self._waited_s += min(max(0.0, waited), LONGEST_TICK_S)
        if self._waited_s >= NEVER_AFTER_S:
            self._never = True
            self._mark("agent_track", since, value=NEVER)

    def _hold(self, start: float, end: float | None) -> None:
        self._mark("hold", start, end=end)
        self._held(start, end)

    def _mark(
        self, kind: MarkKind, start: float, *, end: float | None = None, value: str = ""
    ) -> None:
        if not self._call.finished:
            self._call.mark(Mark(kind=kind, start=start, end=end, value=value, source=SOURCE))
