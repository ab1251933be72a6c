"""What windows say about the media of a call: within a time, and as a whole.

A window longer than 15 s never speaks about a part of the call, only about the whole. Windows of
different sources are never mixed: the source that was heard first speaks, as far as it covers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.windows import (
    LOSS_METHODS,
    LossMethod,
    MediaDirection,
    MediaWindow,
    same_window,
)

LONGEST_WINDOW_S: Final = 15.0
"""A longer window says nothing about a turn; it goes to the root and the record only."""

LEAST_COVER: Final = 0.5
"""Share of a time that windows must cover before they speak for it."""

LOSS_TOLERANCE: Final = 0.02
"""Two sources that count the same seconds may differ by this much: their clocks and edges do."""

KEPT_WINDOWS: Final = 512
MOST_TELLERS: Final = 32
"""Sources of one place that are told apart; who gives each window a source of its own is not."""

_RETOLD: Final = 64
"""A short window that is told again is looked for among so many of the newest."""

Loss = tuple[float, LossMethod]
Interval = tuple[float, float]
"""(start, end) in unix seconds."""
Teller = tuple[LossMethod, str]
"""(method, source) of a window."""
Disagreement = tuple[str, tuple[Value, str], tuple[Value, str]]
"""(key, (value kept, source), (value refused, source))"""

_COUNTS: Final = frozenset(
    {"packet_count", "lost_count", "discarded_count", "gap_count", "ignored_count"}
)
_OF_VOICED: Final = frozenset({"clipping_ratio", "level_dbfs"})
"""Measures of the voiced part of the audio: a window weighs as much as was voiced in it."""

_MAXIMA: Final = frozenset({"jitter_max_ms"})


class _Sum:
    """Windows side by side: counts summed, maxima kept, everything else a mean by time.

    The mean of loss is by packets, as long as every window says of how many it speaks.
    """

    __slots__ = ("_by_packets", "_means", "_values", "seconds")

    def __init__(self, windows: Iterable[MediaWindow] = ()) -> None:
        self.seconds = 0.0
        self._values: dict[str, Value] = {}
        self._means: dict[str, tuple[float, float]] = {}
        self._by_packets: tuple[float, float] | None = (0.0, 0.0)
        for window in windows:
            self.take(window)

    def take(self, window: MediaWindow) -> None:
        self.seconds += window.duration_s
        weight = max(window.duration_s, 1e-9)
        voiced = max(weight * (1.0 - (window.silence_ratio or 0.0)), 1e-9)
        self._weigh_loss(window)
        for name, value in window.measures().items():
            if isinstance(value, str):
                self._values[name] = value
            elif name in _COUNTS:
                self._values[name] = int(self._values.get(name, 0)) + int(value)
            elif name in _MAXIMA:
                self._values[name] = max(float(self._values.get(name, value)), float(value))
            else:
                total, length = self._means.get(name, (0.0, 0.0))
                share = voiced if name in _OF_VOICED else weight
                self._means[name] = (total + value * share, length + share)

    def copy(self) -> _Sum:
        other = _Sum()
        other.seconds, other._by_packets = self.seconds, self._by_packets
        other._values, other._means = self._values.copy(), self._means.copy()
        return other

    def values(self) -> dict[str, Value]:
        means = {name: total / length for name, (total, length) in self._means.items()}
        if self._by_packets is not None and self._by_packets[1]:
            means["loss_ratio"] = self._by_packets[0] / self._by_packets[1]
        return {**self._values, **means}

    def _weigh_loss(self, window: MediaWindow) -> None:
        if window.loss_ratio is None or self._by_packets is None:
            return
        packets = packets_of(window)
        if packets is None:
            self._by_packets = None
            return
        lost, of = self._by_packets
        self._by_packets = (lost + window.loss_ratio * packets, of + packets)


def packets_of(window: MediaWindow) -> int | None:
    """How many packets the loss of a window is a share of; None where it does not say."""
    if window.packet_count is None or window.lost_count is None:
        return None
    if (window.leg, window.direction) == ("agent", "out"):
        # The agent counts what it sent, and there the lost ones are among them.
        return window.packet_count
    return window.packet_count + window.lost_count


class _Totals:
    """One teller's windows of one leg and direction, as a whole; told again, a window counts once.

    A running total that is longer than `LONGEST_WINDOW_S` replaces what it covers.
    """

    __slots__ = ("_latest", "_long", "_settled", "_short")

    def __init__(self) -> None:
        self._short = _Sum()
        self._long: tuple[MediaWindow, ...] = ()
        # The newest short windows, and the sum of those before them.
        self._latest: dict[Interval, MediaWindow] = {}
        self._settled = _Sum()

    def add(self, window: MediaWindow) -> None:
        times = (window.start, window.end)
        if window.duration_s > LONGEST_WINDOW_S:
            # Windows side by side stand together.
            rest = (w for w in self._long if not (window.start <= w.start and w.end <= window.end))
            self._long = (*rest, window)[-KEPT_WINDOWS:]
        elif times in self._latest:
            self._latest[times] = window
            self._short = self._settled.copy()
            for one in self._latest.values():
                self._short.take(one)
        else:
            self._latest[times] = window
            self._short.take(window)
            if len(self._latest) > _RETOLD:
                self._settled.take(self._latest.pop(next(iter(self._latest))))

    def values(self) -> dict[str, Value]:
        """From the long windows or the short ones, whichever tell of more time."""
        long = _Sum(self._long)
        tells_more = self._long and long.seconds >= self._short.seconds
        return (long if tells_more else self._short).values()


class MediaBook:
    """The windows of a call: recent short ones of the trunk leg in full, everything in totals.

    One thread at a time may `add`; `loss` may be asked meanwhile: what it reads is replaced, never
    changed.
    """

    __slots__ = ("_recent", "_totals")

    def __init__(self) -> None:
        # In the order of their ends.
        self._recent: dict[tuple[str, Teller], tuple[MediaWindow, ...]] = {}
        self._totals: dict[tuple[str, str], dict[Teller, _Totals]] = {}

    def add(self, window: MediaWindow) -> Disagreement | None:
        """Take a window; what it contradicts, if another source said otherwise of the same time.

        Told again (`windows.same_window`), it replaces what it was.
        """
        teller: Teller = (window.loss_method, window.source)
        tellers = self._totals.setdefault((window.leg, window.direction), {})
        if teller not in tellers and len(tellers) >= MOST_TELLERS:
            return None
        tellers.setdefault(teller, _Totals()).add(window)
        if window.leg != "trunk" or window.loss_ratio is None:
            return None
        if window.duration_s > LONGEST_WINDOW_S:
            return None
        refuted = self._contradicted(window)
        place = (window.direction, teller)
        recent = _with(window, self._recent.get(place, ()))
        self._recent = {**self._recent, place: recent[-KEPT_WINDOWS:]}
        return refuted

    def loss(self, direction: MediaDirection, *times: Interval) -> Loss | None:
        """The trunk leg's loss within these times; None where windows cover less than half."""
        if not times:
            return None
        for method in LOSS_METHODS:
            for (towards, teller), recent in self._recent.items():
                if towards == direction and teller[0] == method:
                    found = _weighted(_near(recent, times), times)
                    if found is not None:
                        return found, method
        return None

    def is_counted(self, window: MediaWindow) -> bool:
        """Whether somebody knows the loss of the trunk leg in a window's direction and time.

        By a count, or derived from what a record holds. For a long window it is enough that
        somebody does at all.
        """
        if window.duration_s <= LONGEST_WINDOW_S:
            found = self.loss(window.direction, (window.start, window.end))
            return found is not None and found[1] != "estimated"
        told = self._totals.get(("trunk", window.direction), {})
        return any(
            method != "estimated" and "loss_ratio" in totals.values()
            for (method, _), totals in told.items()
        )

    def root_values(self, leg: str, direction: str) -> dict[str, Value]:
        """Attributes of the root for one leg and direction, over the whole call."""
        values: dict[str, Value] = {}
        for name, value in self._whole(leg, direction).items():
            key = c.media_key(leg, direction, name)
            if key is not None:
                values[key] = value
        if leg == "trunk" and (worst := self._worst("trunk")) is not None:
            values |= {c.RTP_LOSS_RATIO: worst[0], c.RTP_LOSS_METHOD: worst[1]}
        if leg == "pstn" and (worst := self._worst("pstn")) is not None:
            values[c.PSTN_LOSS_METHOD] = worst[1]
        return values

    def _tellers(self, leg: str, direction: str) -> Iterator[tuple[Teller, dict[str, Value]]]:
        """What each teller says of the whole, those who count first."""
        told = self._totals.get((leg, direction), {})
        for method in LOSS_METHODS:
            for teller, totals in told.items():
                if teller[0] == method:
                    yield teller, totals.values()

    def _whole(self, leg: str, direction: str) -> dict[str, Value]:
        whole: dict[str, Value] = {}
        # The counts beside a loss are those of who tells it.
        told = sorted(self._tellers(leg, direction), key=lambda one: "loss_ratio" not in one[1])
        for _, values in told:
            whole = {**values, **whole}
        return whole

    def _worst(self, leg: str) -> Loss | None:
        """The worse direction of a leg; of two alike the one that is known better."""
        known: list[Loss] = []
        for direction in ("in", "out"):
            for (method, _), values in self._tellers(leg, direction):
                if isinstance(ratio := values.get("loss_ratio"), float):
                    known.append((ratio, method))
                    break
        return max(known, key=lambda one: (one[0], -LOSS_METHODS.index(one[1])), default=None)

    def _contradicted(self, window: MediaWindow) -> Disagreement | None:
        """What an earlier source said otherwise of the same time by the same method."""
        if window.loss_ratio is None:
            return None
        times = ((window.start, window.end),)
        for (towards, (method, source)), recent in self._recent.items():
            if (towards, method) != (window.direction, window.loss_method):
                continue
            if source == window.source:
                return None
            said = _weighted(_near(recent, times), times)
            if said is not None and abs(said - window.loss_ratio) > LOSS_TOLERANCE:
                key = c.MEDIA_KEYS["trunk", window.direction, "loss_ratio"]
                return key, (said, source), (window.loss_ratio, window.source)
        return None


_end: Final = attrgetter("end")


def _with(window: MediaWindow, recent: tuple[MediaWindow, ...]) -> tuple[MediaWindow, ...]:
    """The windows, which are in the order of their ends, and this one; told again, in its place."""
    at = bisect_right(recent, window.end, key=_end)
    same = bisect_left(recent, window.end, hi=at, key=_end)
    others = (one for one in recent[same:at] if not same_window(one, window))
    return (*recent[:same], *others, window, *recent[at:])


def _near(recent: tuple[MediaWindow, ...], times: Sequence[Interval]) -> Iterator[MediaWindow]:
    """The windows that can overlap the times, newest first."""
    earliest = min(start for start, _ in times)
    for window in reversed(recent):
        if window.end < earliest:
            return
        yield window


def _weighted(windows: Iterable[MediaWindow], times: Sequence[Interval]) -> float | None:
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
        return parts[0][2]
    if _covered(parts) < LEAST_COVER * length:
        return None
    if len({ratio for _, _, ratio in parts}) == 1:
        # Not the mean of equals, which rounding makes another number.
        return parts[0][2]
    weight = sum(high - low for low, high, _ in parts)
    return sum((high - low) * ratio for low, high, ratio in parts) / weight


def _covered(parts: list[tuple[float, float, float]]) -> float:
    """Length of the union of the parts."""
    total, reached = 0.0, float("-inf")
    for low, high, _ in sorted(parts):
        total += max(0.0, high - max(low, reached))
        reached = max(reached, high)
    return total
