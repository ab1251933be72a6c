"""RTCP reports as Asterisk's manager tells them: what each interval of a leg says.

`RTCPSent` holds what Asterisk received, `RTCPReceived` what the peer did. Cumulative counts become
differences. `Report0IAJitter` is in units of the media clock, which the peer's sender reports give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from trunktrace.sip.codecs import clock_near
from trunktrace.sources import losses
from trunktrace.sources.asterisk.events import Event
from trunktrace.sources.asterisk.names import moment
from trunktrace.sources.asterisk.quality import round_trip_ms
from trunktrace.sources.shapes.values import count

MOST_REPORTS: Final = 20_000

_PTIME_TOLERANCE: Final = 0.02
_LONGEST_FIRST_S: Final = 30.0
_NEAR_S: Final = 60.0
_LATEST_S: Final = 3600.0
_NEGATIVE: Final = 2**23
_CYCLE: Final = 2**16
_MOST_PACKETS: Final = 10**6
_PTIMES_MS: Final = (10, 20, 30, 40, 60)


@dataclass(frozen=True, slots=True)
class Report:
    """The first report block of one event; counts run on from the call's beginning.

    `highest` is the extended highest sequence number, `jitter` in units of the media clock.
    """

    at: float
    source: str
    lost: int
    fraction: int | None
    highest: int
    jitter: int | None
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class Sender:
    """A peer's sender report: its clock, its media clock, its packets."""

    at: float
    rtp: int
    packets: int


@dataclass(frozen=True, slots=True)
class Interval:
    """What one receiver counted between two of its reports."""

    start: float
    end: float
    measures: dict[str, object]
    lost: int


@dataclass(slots=True)
class Rtcp:
    """The reports of one leg."""

    ours: list[Report] = field(default_factory=list[Report])
    peers: list[Report] = field(default_factory=list[Report])
    senders: list[Sender] = field(default_factory=list[Sender])
    now: float | None = None
    """The time of the last report, by Asterisk's own clock."""
    peers_now: float | None = None
    """The same by the peer's clock, as far as it is believed."""

    def take(self, event: Event, at: float | None, created: float | None) -> None:
        """A report of a leg that was made when; `at` is the time of its event, if it has one."""
        is_ours = event.name == "rtcpsent"
        if at is None:
            at = self._our_time(event) if is_ours else self._peers_time(event, created)
        else:
            self.now = at
        reports = self.ours if is_ours else self.peers
        report = None if at is None else _report(event, at)
        if report is not None and len(reports) < MOST_REPORTS:
            reports.append(report)
        sender = None if is_ours else _sender(event)
        if sender is not None and len(self.senders) < MOST_REPORTS:
            self.senders.append(sender)

    def _our_time(self, event: Event) -> float | None:
        """A receiver report has no time of its own: it follows what came last."""
        told = moment(event.get("sentntp"))
        self.now = told or self.now
        return told or self.now or self.peers_now

    def _peers_time(self, event: Event, created: float | None) -> float | None:
        """The clock of a peer is believed where it can be ours."""
        told = moment(event.get("sentntp"))
        if self.now is not None:
            return told if told is not None and abs(told - self.now) < _NEAR_S else self.now
        if told is not None and created is not None and -1.0 <= told - created < _LATEST_S:
            self.peers_now = told
        return self.peers_now

    @property
    def lost(self) -> int | None:
        """What Asterisk has lost so far, by its last report."""
        return max(self.ours[-1].lost, 0) if self.ours else None

    def clock_hz(self) -> int | None:
        """The clock of the peer's media; None where its sender reports do not agree on one."""
        told = {_clock(one, other) for one, other in pairwise(self.senders)}
        return told.pop() if len(told) == 1 else None

    def ptime_ms(self) -> int | None:
        """Milliseconds of audio in one packet; None where packets differ or pauses are left out."""
        clock = self.clock_hz()
        if clock is None:
            return None
        told = {_ptime(one, other, clock) for one, other in pairwise(self.senders)}
        return told.pop() if len(told) == 1 else None

    def intervals(self, *, ours: bool, since: float | None) -> Iterator[Interval]:
        """What Asterisk (`ours`) or the peer counted between two reports each.

        `since` is when the leg began, None where the stream does not have its beginning.
        """
        reports = self.ours if ours else self.peers
        clock = self.clock_hz()
        if reports and since is not None and 0 < reports[0].at - since < _LONGEST_FIRST_S:
            yield _first(reports[0], since, clock)
        for one, other in _neighbours(reports):
            if (found := _between(one, other, clock)) is not None:
                yield found


def _neighbours(reports: Sequence[Report]) -> Iterator[tuple[Report, Report]]:
    """Reports that follow each other in time; one of the same moment is passed over."""
    last: Report | None = None
    for report in reports:
        if last is not None and report.at <= last.at:
            continue
        if last is not None:
            yield last, report
        last = report


def _report(event: Event, at: float) -> Report | None:
    lost = count(event.get("report0cumulativelost"))
    highest = count(event.get("report0highestsequence"))
    if lost is None or highest is None:
        return None
    cycles = count(event.get("report0sequencenumbercycles")) or 0
    return Report(
        at=at,
        source=event.get("report0sourcessrc") or "",
        lost=lost - 2 * _NEGATIVE if lost >= _NEGATIVE else lost,
        fraction=count(event.get("report0fractionlost")),
        highest=highest % _CYCLE + cycles * _CYCLE,
        jitter=count(event.get("report0iajitter")),
        rtt_ms=round_trip_ms(event.get("rtt")),
    )


def _sender(event: Event) -> Sender | None:
    at = moment(event.get("sentntp"))
    rtp, packets = count(event.get("sentrtp")), count(event.get("sentpackets"))
    if at is None or not rtp or packets is None:
        return None
    return Sender(at, rtp, packets)


def _clock(one: Sender, other: Sender) -> int | None:
    seconds = other.at - one.at
    units = (other.rtp - one.rtp) % 2**32
    if seconds < 1.0 or units > _MOST_PACKETS * 1000:
        return None
    return clock_near(units / seconds)


def _ptime(one: Sender, other: Sender, clock: int) -> int | None:
    packets = other.packets - one.packets
    if packets <= 0:
        return None
    told = (other.rtp - one.rtp) % 2**32 / packets / clock * 1000.0
    near = [ms for ms in _PTIMES_MS if abs(told - ms) <= _PTIME_TOLERANCE * ms]
    return near[0] if near else None


def _first(report: Report, since: float, clock: int | None) -> Interval:
    """What the first report says of the time before it: its fraction, in 256ths."""
    share = 0.0 if report.lost <= 0 else None
    if share is None and report.fraction is not None and report.fraction < 256:
        share = report.fraction / 256
    measures: dict[str, object] = {
        "loss_ratio": share,
        "lost_count": max(report.lost, 0),
        "jitter_ms": _jitter(report, clock),
        "rtt_ms": report.rtt_ms,
    }
    return Interval(since, report.at, measures, max(report.lost, 0))


def _between(one: Report, other: Report, clock: int | None) -> Interval | None:
    expected = other.highest - one.highest
    if -_CYCLE < expected < 0:
        expected += _CYCLE
    # More than were expected: packets that came twice.
    lost = max(other.lost - one.lost, 0)
    if one.source != other.source or not 0 < expected < _MOST_PACKETS or lost > expected:
        return None
    measures: dict[str, object] = {
        **losses.of_expected(expected, lost).measures,
        "jitter_ms": _jitter(other, clock),
        "rtt_ms": other.rtt_ms,
    }
    return Interval(one.at, other.at, measures, lost)


def _jitter(report: Report, clock: int | None) -> float | None:
    if clock is None or not report.jitter:
        return None
    return round(report.jitter / clock * 1000.0, 4)
