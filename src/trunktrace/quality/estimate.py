"""Trunk loss seen from the agent alone: an estimate from the packet rate of the caller's track.

livekit-sip decodes the carrier's RTP and sends one Opus packet of 20 ms for each 20 ms of audio
that it received. It conceals nothing, so a packet lost before it is one that the agent never gets:
the deficit against 50 packets/s, less what the agent leg itself lost, is the loss between carrier
and bridge, towards the agent. It says nothing about the direction towards the caller.

No estimate (absent) for: the first 2 s; held time; pauses (nothing for 200 ms, under 60 % of 50/s
without many filled holes, one long hole) and the steps beside them; the last step, unless it ends
with a packet; a clock that jumped; less than 5 s in all; a rate above 50/s; a deficit that the
jitter buffer never had to fill (another packet time, DTX); many pauses; a deficit that mostly came
back later (delay, not loss).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trunktrace.quality.rtc import Sample
from trunktrace.quality.steps import PACKETS_PER_S, Step, first_packet_at, step_of, usual_rate
from trunktrace.windows import MediaWindow

SOURCE: Final = "agent"

WINDOW_S: Final = 5.0
LEAST_WINDOW_S: Final = 2.0
"""Less that is left over before a pause or at the end goes into the whole only."""

SKIPPED_START_S: Final = 2.0
LEAST_USABLE_S: Final = 5.0
HOLD_MARGIN_S: Final = 1.0
"""Steps this near to a hold are left out: nobody's clock says exactly when media stopped."""

NOISE_PACKETS: Final = 2.0
NOISE_JITTERS: Final = 2.0
"""A deficit of no more than 2 packets and 2 jitters is reported as none, and carried over: packets
that come late make it, and undo it again."""

WITNESSED_PACKETS: Final = 10.0
WITNESS_SHARE: Final = 0.25
"""From so many missing packets on, the jitter buffer must have filled this share of them."""

MOST_SURPLUS: Final = 0.03
MOST_RETURNED: Final = 0.01
PACKET_TIMES: Final = (100.0 / 3.0,)
"""Packets a second of the one other usual packet time (30 ms) that looks like heavy loss."""

Interval = tuple[float, float | None]
"""(start, end) in unix seconds; None: it goes on."""


@dataclass(slots=True)
class _Window:
    start: float
    end: float
    expected: float
    level: float
    """Packets missing since the segment began, at the end of the window."""
    jitter_s: float = 0.0


@dataclass(slots=True)
class _Segment:
    """Steps one after the other without a pause; `level` is how many packets are missing in it."""

    level: float = 0.0
    reported: float = 0.0
    is_new: bool = True
    current: _Window | None = None
    closing: _Window | None = None
    """The window that has ended, and waits for what comes after it."""


@dataclass(slots=True)
class _Total:
    """Sums over everything that was used."""

    start: float | None = None
    end: float = 0.0
    expected: float = 0.0
    missing: float = 0.0
    lost: float = 0.0
    returned: float = 0.0
    filled: float = 0.0
    is_witnessed: bool = True
    pauses: int = 0

    def believable(self) -> bool:
        """Whether these sums look like loss or like a clean line, and like nothing else."""
        if self.missing < -MOST_SURPLUS * self.expected:
            return False
        seconds = self.expected / PACKETS_PER_S
        if self.pauses >= 3 and self.pauses * 10.0 > seconds:
            return False
        if self.returned > max(WITNESSED_PACKETS, self.lost, MOST_RETURNED * self.expected):
            return False
        if self.missing <= WITNESSED_PACKETS:
            return True
        if self.is_witnessed:
            return self.filled >= WITNESS_SHARE * self.missing
        rate = PACKETS_PER_S * (1.0 - self.missing / self.expected)
        return all(abs(rate - other) > 1.0 for other in PACKET_TIMES)


class TrunkLossEstimator:
    """Samples in, windows of 5 s out: `trunk`, `in`, `estimated`, from source `agent`.

    A window comes about two samples after it ended, since packets that come late undo a deficit:
    what is lost until a time is the least that is missing at any later one. Windows hold no counts:
    an estimate has none. `whole()` is the estimate over all the time that could be used.
    """

    __slots__ = (
        "_after_pause",
        "_answered",
        "_begin",
        "_held",
        "_holds",
        "_last",
        "_samples_per_s",
        "_segment",
        "_total",
    )

    def __init__(self, *, answered: float | None = None, holds: Iterable[Interval] = ()) -> None:
        self._answered = answered
        self._holds: list[Interval] = list(holds)
        self._last: Sample | None = None
        self._begin: float | None = None
        self._samples_per_s: float | None = None
        self._held: Step | None = None
        self._after_pause = False
        self._total = _Total()
        self._segment = _Segment()

    def answered(self, at: float) -> None:
        """The call was answered (unix seconds): nothing before 2 s later counts."""
        self._answered = at

    def hold(self, start: float, end: float | None = None) -> None:
        """The call was held; a hold of the same start is replaced (its end came)."""
        self._holds = [one for one in self._holds if one[0] != start]
        self._holds.append((start, end))

    def add(self, sample: Sample) -> tuple[MediaWindow, ...]:
        """The windows that are sure now, with this sample."""
        old = self._last
        if sample.inbound is None or (old is not None and sample.t == old.t):
            return ()
        self._last = sample
        found = None if old is None else step_of(old, sample, samples_per_s=self._samples_per_s)
        if found is None:
            self._begin = None
            self._held = None
            return self._close_segment()
        step, rate = found
        if self._samples_per_s is None:
            self._samples_per_s = usual_rate(rate)
        if self._begin is None:
            self._begin = first_packet_at(old if old is not None else sample)
        if self._is_early(step):
            self._held = None
            return ()
        return self._take(step)

    def flush(self) -> tuple[MediaWindow, ...]:
        """The windows that are left.

        The last step is used only if it ends with a packet: else the hang-up may lie in it.
        """
        last, self._held = self._held, None
        told = () if last is None or not last.is_exact else self._use(last, None)
        return told + self._close_segment()

    def whole(self) -> MediaWindow | None:
        """The estimate over all usable time; None without 5 s of it, and where unsure."""
        total = self._total
        if total.start is None or total.expected < LEAST_USABLE_S * PACKETS_PER_S:
            return None
        if not total.believable():
            return None
        return _estimate(total.start, total.end, total.lost / total.expected)

    def _is_early(self, step: Step) -> bool:
        known = [at for at in (self._answered, self._begin) if at is not None]
        # A first packet long before the first look is the looks' beginning, not the call's.
        return bool(known) and step.start < max(known) + SKIPPED_START_S

    def _take(self, step: Step) -> tuple[MediaWindow, ...]:
        """Use the step before this one, unless one of its neighbours is a pause."""
        held, self._held = self._held, None
        if step.unusable or self._is_on_hold(step):
            if not self._after_pause:
                self._after_pause = True
                self._total.pauses += not self._is_on_hold(step)
            return self._close_segment()
        if self._after_pause:
            self._after_pause = False
            return ()
        self._held = step
        return () if held is None else self._use(held, step)

    def _is_on_hold(self, step: Step) -> bool:
        return any(
            step.end > start - HOLD_MARGIN_S and (end is None or step.start < end + HOLD_MARGIN_S)
            for start, end in self._holds
        )

    def _use(self, step: Step, ahead: Step | None) -> tuple[MediaWindow, ...]:
        segment = self._segment
        segment.level += step.missing
        least = segment.level + (0.0 if ahead is None else min(0.0, ahead.missing))
        self._note(step)
        told = self._close(least)
        window = segment.current
        if window is None:
            window = segment.current = _Window(step.start, step.end, 0.0, 0.0)
        window.end, window.level = step.end, segment.level
        window.expected += step.expected
        window.jitter_s = max(window.jitter_s, step.jitter_s)
        if segment.is_new:
            segment.reported = min(segment.reported, least)
        if window.end - window.start + step.duration_s / 2 >= WINDOW_S:
            segment.closing, segment.current, segment.is_new = window, None, False
        return told

    def _note(self, step: Step) -> None:
        total = self._total
        total.missing += step.missing
        total.expected += step.expected
        if step.filled is None:
            total.is_witnessed = False
        else:
            total.filled += step.filled

    def _close(self, least: float) -> tuple[MediaWindow, ...]:
        """Tell of the window that ended, `least` being the least missing at any time since."""
        segment, total = self._segment, self._total
        window, segment.closing = segment.closing, None
        if window is None:
            return ()
        lost = min(window.level, least) - segment.reported
        noise = NOISE_PACKETS + NOISE_JITTERS * window.jitter_s * PACKETS_PER_S
        if abs(lost) > noise:
            segment.reported += lost
        else:
            lost = 0.0
        total.start = window.start if total.start is None else total.start
        total.end = window.end
        total.returned += max(0.0, -lost)
        total.lost = max(0.0, total.lost + lost)
        if window.end - window.start < LEAST_WINDOW_S or not total.believable():
            return ()
        return (_estimate(window.start, window.end, max(0.0, lost) / window.expected),)

    def _close_segment(self) -> tuple[MediaWindow, ...]:
        segment = self._segment
        told = self._close(segment.level)
        segment.closing = segment.current
        if segment.current is not None:
            told += self._close(segment.current.level)
        self._segment = _Segment()
        return told


def estimate_windows(
    samples: Iterable[Sample],
    answered: float | None = None,
    ended: float | None = None,
    holds: Iterable[Interval] = (),
) -> tuple[MediaWindow, ...]:
    """The windows of a call that is over. Times are unix seconds, None not known."""
    return _run(samples, answered, ended, holds)[0]


def whole_estimate(
    samples: Iterable[Sample],
    answered: float | None = None,
    ended: float | None = None,
    holds: Iterable[Interval] = (),
) -> MediaWindow | None:
    """The estimate over a whole call that is over; None where there is none."""
    return _run(samples, answered, ended, holds)[1]


def _run(
    samples: Iterable[Sample],
    answered: float | None,
    ended: float | None,
    holds: Iterable[Interval],
) -> tuple[tuple[MediaWindow, ...], MediaWindow | None]:
    estimator = TrunkLossEstimator(answered=answered, holds=holds)
    windows: list[MediaWindow] = []
    for sample in samples:
        if ended is None or sample.t <= ended:
            windows.extend(estimator.add(sample))
    windows.extend(estimator.flush())
    return tuple(windows), estimator.whole()


def _estimate(start: float, end: float, ratio: float) -> MediaWindow:
    return MediaWindow(
        leg="trunk",
        direction="in",
        start=start,
        end=end,
        source=SOURCE,
        loss_ratio=min(1.0, ratio),
        loss_method="estimated",
    )
