"""How audio comes and goes over time: holes in its arrival, and stretches when nobody speaks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Interval = tuple[float, float]
"""(start, end) in unix seconds."""

HOLE_S: Final = 0.08
"""A hole is at least this long. The largest frame that LiveKit hands out by default is 50 ms."""


class Arrivals:
    """Finds holes in a stream of audio by how far its clock falls behind that of the arrivals.

    A frame that comes late, and a burst that makes up for a stall of the event loop or of the
    network, are none: only audio that never came is. So the least lag of a window is compared with
    that of the window before, and a rise counts when it is still there a window later. Holes of one
    window count as one.
    """

    def __init__(self) -> None:
        self.missing_s = 0.0
        self._heard = 0.0
        self._least: float | None = None
        self._base: float | None = None
        self._risen = False

    def take(self, arrived: float, duration_s: float) -> None:
        """A frame of `duration_s` seconds came at `arrived` (unix seconds)."""
        self._heard += duration_s
        lag = arrived - self._heard
        self._least = lag if self._least is None else min(self._least, lag)

    def cut(self) -> int | None:
        """Holes that became certain since the last cut; None if nothing came since."""
        least, self._least = self._least, None
        if least is None:
            return None
        if self._base is None or least - self._base < HOLE_S:
            self._base, self._risen = least, False
            return 0
        if not self._risen:
            self._risen = True
            return 0
        self.missing_s += least - self._base
        self._base, self._risen = least, False
        return 1

    def restart(self) -> None:
        """Another stream begins: what lies between the two is no hole."""
        self._heard, self._least, self._base, self._risen = 0.0, None, None, False


class DeadAir:
    """The longest stretch in which nobody spoke, told of both directions together."""

    def __init__(self) -> None:
        self._quiet_since: float | None = None
        self._until = 0.0
        self._longest = 0.0

    def note(self, start: float, until: float, spoken: Iterable[Interval]) -> None:
        """From `start` to `until` somebody spoke in these intervals, and else nobody did.

        Calls follow each other in time; the first one's `start` is where silence begins to count.
        """
        if self._quiet_since is None:
            self._quiet_since = start
        for began, ended in sorted(spoken):
            self._longest = max(self._longest, began - self._quiet_since)
            self._quiet_since = max(self._quiet_since, ended)
        self._until = max(self._until, until)

    def restart(self, at: float) -> None:
        """Forget what was before `at` (unix seconds)."""
        self._longest = 0.0
        if self._quiet_since is not None:
            self._quiet_since = max(self._quiet_since, at)

    @property
    def current_s(self) -> float:
        """Seconds since somebody last spoke; 0 while somebody does, and before anything came."""
        if self._quiet_since is None:
            return 0.0
        return max(0.0, self._until - self._quiet_since)

    @property
    def longest_s(self) -> float | None:
        """Seconds of the longest stretch, the current one included; None before anything came."""
        return None if self._quiet_since is None else max(self._longest, self.current_s)
