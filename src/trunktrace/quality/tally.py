"""What the estimate of trunk loss has added up, and whether those sums can be loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunktrace.quality.steps import LONGEST_CLEAR_S, PACKETS_PER_S, Step

WITNESSED_PACKETS: Final = 10.0
WITNESS_SHARE: Final = 0.25
"""From so many missing packets on, the jitter buffer must have filled this share of them."""

MOST_SURPLUS: Final = 0.03
"""More than this share above 50/s is another packet time."""

MOST_RETURNED: Final = 0.01
"""More than this share (and more than was lost) that came back later is delay."""

MOST_UNEXPLAINED: Final = 0.03
"""More than this share missing in what was left out as a pause, and may be bursts of loss: then
what is left says too little of the call."""

MOST_LOSS: Final = 0.4
"""More than this share missing in a whole call is another packet time, or no call."""

UNEVEN: Final = 6.0
"""Variance of missing packets over their mean: about 1 for random loss, 3 to 5 for short bursts."""

OTHER_RATE: Final = 100.0 / 3.0
"""Packets a second of the one other usual packet time (30 ms) that looks like loss."""


@dataclass(slots=True)
class Window:
    """Steps that will be told as one window; `expected` is packets."""

    start: float
    end: float
    expected: float
    level: float
    """Packets missing since the segment began, at the end of the window."""
    jitter_s: float = 0.0
    filled: float = 0.0
    """What the jitter buffer had to fill, in packets; infinite where it is unknown."""


@dataclass(slots=True)
class Segment:
    """Steps one after the other without a pause; `level` is how many packets are missing in it."""

    level: float = 0.0
    reported: float = 0.0
    is_new: bool = True
    current: Window | None = None
    closing: Window | None = None
    """The window that has ended, and waits for what comes after it."""
    carried: float = 0.0
    """How much of a deficit that is not reported yet was filled, in packets."""

    def lost_by(self, window: Window, least: float, noise: float, filled: float) -> float:
        """Packets lost in a window that has ended; below zero: so many came back.

        0 for a deficit within the noise, and for one that the jitter buffer had not to fill: the
        audio was there in time, or is still under way. Such a deficit is carried over. `least` is
        the least that was missing at any time since, `filled` what was filled since.
        """
        lost = min(window.level, least) - self.reported
        known = self.carried + window.filled
        if abs(lost) <= noise or known + filled < WITNESS_SHARE * lost:
            self.carried = min(known, max(0.0, lost))
            return 0.0
        self.reported += lost
        self.carried = 0.0
        return lost


@dataclass(slots=True)
class Total:
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
    unexplained: float = 0.0
    """Packets missing in steps that were left out and may have been loss."""
    slow_steps: int = 0
    slow_missing: float = 0.0
    slow_squares: float = 0.0

    def believable(self) -> bool:
        """Whether these sums look like loss or like a clean line, and like nothing else."""
        if self.missing < -MOST_SURPLUS * self.expected:
            return False
        seconds = self.expected / PACKETS_PER_S
        if self.pauses >= 3 and self.pauses * 10.0 > seconds:
            return False
        if self.returned > max(WITNESSED_PACKETS, self.lost, MOST_RETURNED * self.expected):
            return False
        if self.unexplained > max(WITNESSED_PACKETS, MOST_UNEXPLAINED * self.expected):
            return False
        return self.missing <= WITNESSED_PACKETS or self._looks_like_loss()

    def _looks_like_loss(self) -> bool:
        if self.missing > MOST_LOSS * self.expected or self._is_uneven():
            return False
        if self.is_witnessed:
            return self.filled >= WITNESS_SHARE * self.missing
        rate = PACKETS_PER_S * (1.0 - self.missing / self.expected)
        return abs(rate - OTHER_RATE) > 1.0

    def _is_uneven(self) -> bool:
        """Whether the long steps miss very different numbers: a pause in some of them does that."""
        if not self.slow_steps:
            return False
        mean = self.slow_missing / self.slow_steps
        variance = self.slow_squares / self.slow_steps - mean * mean
        return variance > UNEVEN * max(mean, 0.0) + UNEVEN

    def note(self, step: Step) -> None:
        """Count a step that is used."""
        self.missing += step.missing
        self.expected += step.expected
        if step.filled is None:
            self.is_witnessed = False
        else:
            self.filled += step.filled
        if step.duration_s > LONGEST_CLEAR_S:
            self.slow_steps += 1
            self.slow_missing += step.missing
            self.slow_squares += step.missing * step.missing
