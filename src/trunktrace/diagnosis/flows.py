"""What stays known of windows that a live story leaves out: whether packets flowed, and paused."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from trunktrace.windows import Leg, MediaDirection, MediaWindow

Source = tuple[Leg, MediaDirection, str]
"""(leg, direction, source) of windows."""

Stop = tuple[float, float]
"""(start, end) in unix seconds of a time without a packet, after which some came again."""

MOST_STOPS: Final = 64
MOST_SOURCES: Final = 32


@dataclass(frozen=True, slots=True)
class Flow:
    """What one source has counted at one place since the call began; times are unix seconds.

    `flowed_until` is the end of the last window that held packets, None where none ever did.
    `stops` are the newest times without a packet that are over.
    """

    began: float
    flowed_until: float | None = None
    stops: tuple[Stop, ...] = ()


class _Memory:
    __slots__ = ("_began", "_flowed_until", "_reached", "_stops")

    def __init__(self, began: float) -> None:
        self._began = began
        self._reached = began
        self._flowed_until: float | None = None
        self._stops: deque[Stop] = deque(maxlen=MOST_STOPS)

    def add(self, window: MediaWindow) -> None:
        if window.packet_count:
            until = self._flowed_until
            # What is told late or again was no stop.
            if until is not None and until < window.start and self._reached > until:
                self._stops.append((until, window.start))
            self._flowed_until = window.end if until is None else max(until, window.end)
        self._reached = max(self._reached, window.end)

    def flow(self) -> Flow:
        return Flow(self._began, self._flowed_until, tuple(self._stops))


class Flows:
    """Bounded: a few numbers for each source of a place."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Source, _Memory] = {}

    def add(self, window: MediaWindow) -> None:
        """Take a window; one in which nobody counted packets says nothing."""
        if window.packet_count is None or window.loss_method == "estimated":
            return
        source = (window.leg, window.direction, window.source)
        if source not in self._kept and len(self._kept) < MOST_SOURCES:
            self._kept[source] = _Memory(window.start)
        if source in self._kept:
            self._kept[source].add(window)

    def told(self) -> dict[Source, Flow]:
        """What every source has counted so far."""
        return {source: memory.flow() for source, memory in self._kept.items()}
