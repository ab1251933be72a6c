"""Which part of the call a span belongs to, and what was lost in it.

The rule of `rtp.loss_ratio` (conventions): a span of a turn speaks about the caller's speech that
the turn answers, `tts_*` and `agent_speaking` about their own time towards the caller, every other
span about its own time towards the agent. A window longer than 15 s never speaks about a span.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from trunktrace.facts import LossMethod, MediaDirection, MediaWindow

LONGEST_WINDOW_S: Final = 15.0
"""A longer window says nothing about a turn; it goes to the root and the record only."""

LEAST_COVER: Final = 0.5
"""Share of a span's time that windows must cover before they speak for it."""

KEPT_WINDOWS: Final = 512
KEPT_TURNS: Final = 16

Loss = tuple[float, LossMethod]

_METHODS: Final[tuple[LossMethod, ...]] = ("counted", "estimated")
"""A count comes first: it replaces an estimate."""

USER_TURN: Final = 1
USER_SPEAKING: Final = 2
AGENT_TURN: Final = 3
TO_CALLER: Final = 4
CALL_ROOT: Final = 5


class Roles(dict[str, int]):
    """Span name to its part in the rule, 0 for none; remembers the names that it has seen."""

    _MOST_NAMES = 4096

    def __missing__(self, name: str) -> int:
        role = TO_CALLER if name.startswith("tts_") else 0
        if len(self) < self._MOST_NAMES:
            self[name] = role
        return role


ROLES: Final = Roles(
    {
        "user_turn": USER_TURN,
        "user_speaking": USER_SPEAKING,
        "agent_turn": AGENT_TURN,
        "agent_speaking": TO_CALLER,
        "sip.call": CALL_ROOT,
    }
)
"""Span names of livekit-agents that have a part in the rule, and our own root."""


Interval = tuple[float, float]
"""(start, end) in unix seconds."""


class Turn:
    """The caller's speech and the spans that deal with it. A turn without speech has no loss.

    Speech is what the `user_speaking` spans cover, so that a pause within the turn is none; the
    `user_turn` span's own time where there are none.
    """

    __slots__ = ("answered", "end_ns", "loss", "members", "spoken", "start_ns")

    def __init__(self, start_ns: int | None) -> None:
        self.start_ns = start_ns
        self.end_ns: int | None = None
        self.spoken: dict[int, tuple[int, int | None]] = {}
        self.answered = False
        self.loss: Loss | None = None
        self.members: list[int] = []

    def speech(self, now_ns: int) -> tuple[Interval, ...]:
        """When the caller spoke; speech that still goes on ends now."""
        if self.start_ns is None:
            return ()
        spoken = self.spoken.values() if self.spoken else ((self.start_ns, self.end_ns),)
        return tuple(
            (start / 1e9, max(start, now_ns if end is None else end) / 1e9) for start, end in spoken
        )


class MediaBook:
    """The windows of the trunk leg, recent ones in full, older ones summed up."""

    __slots__ = ("_long", "_recent", "_sums")

    def __init__(self) -> None:
        self._recent: dict[str, deque[MediaWindow]] = {}
        self._sums: dict[tuple[str, str], tuple[float, float]] = {}
        self._long: dict[tuple[str, str], list[MediaWindow]] = {}

    def add(self, window: MediaWindow) -> None:
        """Take a window of the trunk leg that knows a loss."""
        if window.loss_ratio is None:
            return
        place = (window.direction, window.loss_method)
        if window.duration_s > LONGEST_WINDOW_S:
            self._add_long(place, window)
            return
        recent = self._recent.setdefault(window.direction, deque(maxlen=KEPT_WINDOWS))
        recent.append(window)
        lost, length = self._sums.get(place, (0.0, 0.0))
        weight = max(window.duration_s, 1e-9)
        self._sums[place] = (lost + window.loss_ratio * weight, length + weight)

    def _add_long(self, place: tuple[str, str], window: MediaWindow) -> None:
        """A running total replaces what it covers; windows side by side stand together."""
        rest = [
            other
            for other in self._long.get(place, ())
            if not (window.start <= other.start and other.end <= window.end)
        ]
        self._long[place] = [*rest, window][-KEPT_WINDOWS:]

    def loss(self, direction: MediaDirection, *times: Interval) -> Loss | None:
        """The loss within these times; None where windows cover less than half of them."""
        if not times:
            return None
        windows = self._recent.get(direction, ())
        for method in _METHODS:
            found = _weighted([w for w in windows if w.loss_method == method], times)
            if found is not None:
                return found, method
        return None

    def whole(self, direction: str) -> Loss | None:
        """The loss of the whole call, from the long or the short windows, whichever tell more."""
        for method in _METHODS:
            place = (direction, method)
            long = self._long.get(place, [])
            long_s = sum(window.duration_s for window in long)
            lost, short_s = self._sums.get(place, (0.0, 0.0))
            if long_s >= short_s and long:
                lost = sum((w.loss_ratio or 0.0) * w.duration_s for w in long)
                return lost / long_s, method
            if short_s:
                return lost / short_s, method
        return None

    def worst(self) -> Loss | None:
        """The worse direction of the whole call."""
        known = [loss for loss in (self.whole("in"), self.whole("out")) if loss is not None]
        return max(known, default=None)


def _weighted(windows: Iterable[MediaWindow], times: tuple[Interval, ...]) -> float | None:
    """Mean loss, weighted by overlap; None if the windows cover too little of the times."""
    parts: list[tuple[float, float, float]] = []
    for window in windows:
        for start, end in times:
            low, high = max(window.start, start), min(window.end, end)
            if low <= high and window.loss_ratio is not None:
                parts.append((low, high, window.loss_ratio))
    if not parts:
        return None
    length = sum(end - start for start, end in times)
    if length <= 0:
        return parts[-1][2]
    if _covered(parts) < LEAST_COVER * length:
        return None
    weight = sum(high - low for low, high, _ in parts)
    return sum((high - low) * ratio for low, high, ratio in parts) / weight


def _covered(parts: list[tuple[float, float, float]]) -> float:
    """Length of the union of the parts."""
    total, reached = 0.0, float("-inf")
    for low, high, _ in sorted(parts):
        total += max(0.0, high - max(low, reached))
        reached = max(reached, high)
    return total
