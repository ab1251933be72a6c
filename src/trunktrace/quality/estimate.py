"""Trunk loss seen from the agent alone: an estimate from the packet rate of the caller's track.

livekit-sip decodes the carrier's RTP and sends one Opus packet of 20 ms for each 20 ms of audio
that it received. It conceals nothing, so a packet lost before it is one that the agent never gets:
the deficit against 50 packets/s, less what the agent leg itself lost, is the loss between carrier
and bridge, towards the agent. It says nothing about the direction towards the caller.

No estimate (absent) for: the first 2 s; held time; pauses (nothing for 200 ms, or a second or two
of under 60 % of 50/s) and the steps beside them; the last step, after which nothing can show that
its packets were only late; a clock that jumped; less than 5 s in all; a rate above 50/s, or under
60 % of it for the whole call; a deficit that the jitter buffer never had to fill (late packets,
another packet time, DTX); many pauses; a deficit that mostly came back later (delay, not loss);
uneven deficits of looks more than 1.5 s apart, where a pause cannot be told from loss; much missing
in what may be pauses or bursts; times in which the agent's own packets reached the server unevenly:
the trunk has no part in that, a starved worker or server and a bad path have.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from trunktrace.quality.apart import told_apart
from trunktrace.quality.rtc import Sample
from trunktrace.quality.steps import PACKETS_PER_S, Step, first_packet_at, step_of, usual_rate
from trunktrace.quality.tally import Segment, Total, Window
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

CLEAN_PACKETS: Final = 2.0
BURST_STEPS: Final = 3
EDGE_PACKETS: Final = 12.0
"""Doubtful steps are loss where so many follow each other, where both their neighbours miss more
than `CLEAN_PACKETS`, or one of them more than the edge of a pause may take; else they are pauses.
"""

DISTURBED_JITTER_S: Final = 0.02
"""Jitter of the agent's own stream, as the server reports it, above which the packet rate of the
caller's track says nothing about the trunk. In ten captured calls it was at most 1.6 ms, in those
that lost 10 % on the trunk too; on a starved machine 20 to 150 ms."""

DISTURBED_NEAR_S: Final = 1.0
"""A window is not told if the agent leg was disturbed so near to it: reports come each second."""

OLD_REPORT_S: Final = 5.0
"""The server reports about once a second (1.3 s at most in the captured calls): an older report is
of another time."""

_REMEMBERED: Final = 64

MOST_DISTURBED: Final = 0.3
"""The whole call has no estimate if more than this share of the looks found it disturbed."""

Interval = tuple[float, float | None]
"""(start, end) in unix seconds; None: it goes on."""


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
        "_disturbed",
        "_disturbed_at",
        "_doubtful",
        "_held",
        "_holds",
        "_in_burst",
        "_last",
        "_looks",
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
        self._doubtful: list[Step] = []
        self._in_burst = False
        self._after_pause = False
        self._looks = self._disturbed = 0
        self._disturbed_at: deque[float] = deque(maxlen=_REMEMBERED)
        self._total = Total()
        self._segment = Segment()

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
        self._note_disturbance(sample)
        found = None if old is None else step_of(old, sample, samples_per_s=self._samples_per_s)
        if found is None:
            self._begin = None
            return self._end_segment()
        step, rate = found
        if self._samples_per_s is None:
            self._samples_per_s = usual_rate(rate)
        if self._begin is None:
            self._begin = first_packet_at(old if old is not None else sample)
        if self._is_early(step):
            return ()
        return self._take(step)

    def flush(self) -> tuple[MediaWindow, ...]:
        """The windows that are left.

        The last step is not used: what is missing in it may only be late, and the hang-up in it.
        """
        return self._end_segment()

    @property
    def is_sure(self) -> bool:
        """Whether what was seen until now is loss or a clean line, and nothing else."""
        return self._total.believable() and self._disturbed <= MOST_DISTURBED * self._looks

    def whole(self) -> MediaWindow | None:
        """The estimate over all usable time; None without 5 s of it, and where unsure."""
        total = self._total
        if total.start is None or total.expected < LEAST_USABLE_S * PACKETS_PER_S:
            return None
        if not self.is_sure:
            return None
        return _estimate(total.start, total.end, total.lost / total.expected)

    def _note_disturbance(self, sample: Sample) -> None:
        self._looks += 1
        sent = sample.outbound
        if sent is None or (sent.reported_at or sample.t) < sample.t - OLD_REPORT_S:
            return
        if (sent.jitter_s or 0.0) > DISTURBED_JITTER_S:
            self._disturbed += 1
            self._disturbed_at.append(sample.t)

    def _was_disturbed(self, window: Window) -> bool:
        start, end = window.start - DISTURBED_NEAR_S, window.end + DISTURBED_NEAR_S
        return any(start <= at <= end for at in self._disturbed_at)

    def _is_early(self, step: Step) -> bool:
        known = [at for at in (self._answered, self._begin) if at is not None]
        # A first packet long before the first look is the looks' beginning, not the call's.
        return bool(known) and step.start < max(known) + SKIPPED_START_S

    def _take(self, step: Step) -> tuple[MediaWindow, ...]:
        if step.unusable or self._is_on_hold(step):
            if step.unexplained and not self._is_on_hold(step):
                self._total.unexplained += max(0.0, step.missing)
            return self._pause(counts=not self._is_on_hold(step))
        doubtful = self._doubtful
        if step.doubtful and not self._in_burst:
            doubtful.append(step)
            self._in_burst = len(doubtful) >= BURST_STEPS
            return self._settle() if self._in_burst else ()
        self._in_burst = step.doubtful
        if not doubtful:
            return self._accept(step)
        least, most = sorted((0.0 if self._held is None else self._held.missing, step.missing))
        if least > CLEAN_PACKETS or most > EDGE_PACKETS:
            return self._settle() + self._accept(step)
        return self._pause(counts=True) + self._accept(step)

    def _settle(self) -> tuple[MediaWindow, ...]:
        """The doubtful steps are loss: use them."""
        doubtful, self._doubtful = self._doubtful, []
        return tuple(window for step in doubtful for window in self._accept(step))

    def _pause(self, *, counts: bool) -> tuple[MediaWindow, ...]:
        """Leave a pause out, and the step before it; `counts` is whether nobody told of it."""
        if not self._after_pause:
            self._after_pause = True
            self._total.pauses += counts
        return self._end_segment()

    def _accept(self, step: Step) -> tuple[MediaWindow, ...]:
        """Use the step before this one; this one too, unless it follows a pause."""
        held, self._held = self._held, None
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

    def _use(self, step: Step, ahead: Step) -> tuple[MediaWindow, ...]:
        segment = self._segment
        segment.level += step.missing
        least = segment.level + min(0.0, ahead.missing)
        self._total.note(step)
        told = self._close(segment, least, step.filled)
        window = segment.current
        if window is None:
            window = segment.current = Window(step.start, step.end, 0.0, 0.0)
        window.end, window.level = step.end, segment.level
        window.expected += step.expected
        window.jitter_s = max(window.jitter_s, step.jitter_s)
        window.filled += math.inf if step.filled is None else step.filled
        if segment.is_new:
            segment.reported = min(segment.reported, least)
        if window.end - window.start + step.duration_s / 2 >= WINDOW_S:
            segment.closing, segment.current, segment.is_new = window, None, False
        return told

    def _close(
        self, segment: Segment, least: float, filled: float | None = 0.0
    ) -> tuple[MediaWindow, ...]:
        """Tell of the window that ended, `least` being the least missing at any time since.

        `filled` is what the jitter buffer has filled since.
        """
        total = self._total
        window, segment.closing = segment.closing, None
        if window is None:
            return ()
        noise = NOISE_PACKETS + NOISE_JITTERS * window.jitter_s * PACKETS_PER_S
        lost = segment.lost_by(window, least, noise, math.inf if filled is None else filled)
        total.start = window.start if total.start is None else total.start
        total.end = window.end
        total.returned += max(0.0, -lost)
        total.lost = max(0.0, total.lost + lost)
        if window.end - window.start < LEAST_WINDOW_S or not total.believable():
            return ()
        if self._was_disturbed(window):
            return ()
        return (_estimate(window.start, window.end, max(0.0, lost) / window.expected),)

    def _end_segment(self) -> tuple[MediaWindow, ...]:
        """Nothing follows that continues the last step: it only tells what came late before it."""
        last, self._held, self._doubtful, self._in_burst = self._held, None, [], False
        segment, self._segment = self._segment, Segment()
        least = segment.level + (0.0 if last is None else min(0.0, last.missing))
        told = self._close(segment, least)
        segment.closing = segment.current
        return told + self._close(segment, least)


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
    for sample in told_apart(samples):
        if ended is None or sample.t <= ended:
            windows.extend(estimator.add(sample))
    windows.extend(estimator.flush())
    # What the whole call makes doubtful was not sure in its first seconds either.
    return tuple(windows) if estimator.is_sure else (), estimator.whole()


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
