"""Windows of one source put side by side: samples of one length, and the episodes they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trunktrace.diagnosis.thresholds import Windowing
from trunktrace.media import packets_of
from trunktrace.windows import LossMethod, MediaWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one source says of one place over some seconds; as in `MediaWindow`, None is unknown.

    `is_long` is whether it was one long window to begin with: it speaks for itself.
    """

    start: float
    end: float
    is_long: bool = False
    packet_count: int | None = None
    lost_count: int | None = None
    loss_ratio: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    concealment_ratio: float | None = None
    clipping_ratio: float | None = None

    @property
    def packets_per_s(self) -> float | None:
        """Packets a second; None where nobody counted."""
        if self.packet_count is None or self.end <= self.start:
            return None
        return self.packet_count / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which something was bad; `end` is None while it goes on."""

    start: float
    end: float | None


Teller = tuple[str, LossMethod]
"""(source, method)"""


def by_teller(windows: Iterable[MediaWindow]) -> dict[Teller, list[MediaWindow]]:
    """Windows apart by source and method: they are never mixed."""
    found: dict[Teller, list[MediaWindow]] = {}
    told: list[MediaWindow] = []
    source, method = None, None
    for window in windows:
        if window.source != source or window.loss_method != method:
            source, method = window.source, window.loss_method
            told = found.setdefault((source, method), [])
        told.append(window)
    return found


def samples_of(
    windows: Sequence[MediaWindow], windowing: Windowing, measure: str | None = None
) -> list[Sample]:
    """Samples of about the windowing's length, in order; as in `combined`, of one measure or all.

    Short windows are put together; a window longer than one and a half lengths is a sample of its
    own. What is left over at the end or before a hole, less than a full length, is no sample.
    """
    samples: list[Sample] = []
    pending: list[MediaWindow] = []
    longest = 1.5 * windowing.length_s
    for window in windows:
        if window.end - window.start > longest:
            pending.clear()
            samples.append(combined([window], measure, is_long=True))
            continue
        if pending and window.start - pending[-1].end > 0.5 * windowing.length_s:
            pending.clear()
        pending.append(window)
        if window.end - pending[0].start >= 0.9 * windowing.length_s:
            samples.append(combined(pending, measure))
            pending.clear()
    return samples


def combined(
    windows: Sequence[MediaWindow], measure: str | None = None, *, is_long: bool = False
) -> Sample:
    """Windows as one sample: counts summed, loss from the counts where there are any.

    With `measure`, the name of one, the sample knows no other besides the counts.
    """

    def mean(name: str) -> float | None:
        return _mean(windows, name) if measure is None or measure == name else None

    packets, lost = _sum(windows, "packet_count"), _sum(windows, "lost_count")
    loss, of = mean("loss_ratio"), _packets_of(windows)
    if loss is not None and lost is not None and of:
        loss = lost / of
    return Sample(
        start=windows[0].start,
        end=windows[-1].end,
        is_long=is_long,
        packet_count=packets,
        lost_count=lost,
        loss_ratio=loss,
        jitter_ms=mean("jitter_ms"),
        rtt_ms=mean("rtt_ms"),
        concealment_ratio=mean("concealment_ratio"),
        clipping_ratio=mean("clipping_ratio"),
    )


def may_reach(windows: Iterable[MediaWindow], measure: str, limit: float) -> bool:
    """Whether any sample made of these windows may reach a limit: no mean is above its largest."""
    least = limit * (1.0 - 1e-9)
    for window in windows:
        value: float | None = getattr(window, measure)
        if value is not None and value >= least:
            return True
        if measure == "loss_ratio" and window.lost_count:
            of = packets_of(window)
            if of is not None and window.lost_count >= least * of:
                return True
    return False


def _packets_of(windows: Sequence[MediaWindow]) -> int | None:
    """How many packets the loss is a share of; None unless every window says so."""
    total = 0
    for window in windows:
        of = packets_of(window)
        if of is None:
            return None
        total += of
    return total


def _sum(windows: Sequence[MediaWindow], name: str) -> int | None:
    """The sum of a count; None unless every window has it."""
    total = 0
    for window in windows:
        value: int | None = getattr(window, name)
        if value is None:
            return None
        total += value
    return total


def _mean(windows: Sequence[MediaWindow], name: str) -> float | None:
    """The mean by time over the windows that know it."""
    total = weight = 0.0
    for window in windows:
        value: float | None = getattr(window, name)
        if value is not None:
            seconds = max(window.end - window.start, 1e-9)
            total += value * seconds
            weight += seconds
    return total / weight if weight else None


def episodes(
    samples: Iterable[Sample], is_bad: Callable[[Sample], bool | None], windowing: Windowing
) -> list[Episode]:
    """When it was bad: entered on `enter` bad samples of the last `of`, left after `leave` clean.

    A sample that says nothing (`is_bad` is None) is no sample. An episode begins with the first bad
    sample that led to it and ends with its last bad one; `end` is None if it was not left.
    """
    found: list[Episode] = []
    recent: list[tuple[Sample, bool]] = []
    start: float | None = None
    last_bad, clean = 0.0, 0
    for sample in samples:
        bad = is_bad(sample)
        if bad is None:
            continue
        recent = [*recent, (sample, bad)][-windowing.of :]
        clean = 0 if bad else clean + 1
        if bad:
            last_bad = sample.end
        if start is None:
            bads = [one for one, was_bad in recent if was_bad]
            if bad and len(bads) >= windowing.enter:
                start = bads[0].start
        elif clean >= windowing.leave:
            found.append(Episode(start, last_bad))
            start, recent = None, []
    if start is not None:
        found.append(Episode(start, None))
    return found
