"""RTCP reports among FreeSWITCH's events (RECV_RTCP_MESSAGE, SEND_RTCP_MESSAGE): loss between two.

SEND_RTCP_MESSAGE (newer versions) is FreeSWITCH's own report of what it received on the leg. It
raises RECV_RTCP_MESSAGE for its own reports as well: those whose `SSRC` is the leg's own
(`rtp_use_ssrc`); they are left out beside the others. Any other one that reports on the own SSRC
says what the peer received. Counts run from the stream's beginning, so a window lies between
two reports, and the first of them gives none: FreeSWITCH's own has one lost packet too many.

Jitter is stated of the peer's reports alone: FreeSWITCH's own is taken against a clock that ticks
once a packet, and reads 20 ms on a clean call. `Rtt0-Avg` is no round-trip time either: it moves
with FreeSWITCH's own reports. Sources: RFC 3550 section 6.4; captured calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from trunktrace.sources import losses
from trunktrace.sources.shapes.values import count, unix_time

RECEIVED: Final = "RECV_RTCP_MESSAGE"
SENT: Final = "SEND_RTCP_MESSAGE"

_MOST_LOST: Final = 1 << 23
"""Lost packets are 24 bits with a sign: what is beyond was negative."""

_MOST_EXPECTED: Final = 1 << 20
_MICROSECONDS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Report:
    """One reception report: counts since the stream began. Jitter in timestamp units."""

    at: float
    of_ours: bool
    highest: int
    lost: int
    jitter: int | None
    rate_hz: int | None


@dataclass(frozen=True, slots=True)
class Interval:
    """What was received between two reports: by FreeSWITCH (`of_ours`), or by its peer."""

    start: float
    end: float
    of_ours: bool
    measures: Mapping[str, object]


def reports_of(events: Sequence[Mapping[str, str]], own_ssrc: int | None) -> Iterator[Report]:
    """The reports in the events of a leg; not those that FreeSWITCH tells in two ways."""
    tells_sent = any(event.get("Event-Name") == SENT for event in events)
    for event in events:
        found = _report(event, own_ssrc)
        told_twice = tells_sent and event.get("Event-Name") != SENT
        if found is not None and not (told_twice and found.of_ours):
            yield found


def _report(event: Mapping[str, str], own_ssrc: int | None) -> Report | None:
    """The report in an event; None where it does not say whose it is, or counts nothing."""
    at = unix_time(event.get("Capture-Time"), per_second=_MICROSECONDS) or unix_time(
        event.get("Event-Date-Timestamp"), per_second=_MICROSECONDS
    )
    was_sent = event.get("Event-Name") == SENT
    block = "Source" if was_sent else "Source0"
    sender, about = _ssrc(event.get("SSRC")), _ssrc(event.get(f"{block}-SSRC"))
    highest = count(event.get(f"{block}-Highest-Sequence-Number-Received"))
    lost = count(event.get(f"{block}-Lost"))
    if at is None or highest is None or lost is None or lost >= _MOST_LOST:
        return None
    if not was_sent and (own_ssrc is None or own_ssrc not in (sender, about)):
        return None
    return Report(
        at=at,
        of_ours=was_sent or sender == own_ssrc,
        highest=highest,
        lost=lost,
        jitter=count(event.get(f"{block}-Jitter")),
        rate_hz=count(event.get("RTP-Rate")),
    )


def intervals(reports: Iterable[Report], clock_rate_hz: int | None) -> Iterator[Interval]:
    """The windows between the reports of each side, in order of time."""
    ordered = sorted(reports, key=lambda one: one.at)
    for of_ours in (True, False):
        for one, other in pairwise(item for item in ordered if item.of_ours is of_ours):
            found = _between(one, other, clock_rate_hz)
            if found is not None:
                yield found


def _between(one: Report, other: Report, clock_rate_hz: int | None) -> Interval | None:
    expected = other.highest - one.highest
    if expected < 0 and one.highest < 1 << 16:  # written without the cycles of the sequence
        expected += 1 << 16
    lost = max(0, other.lost - one.lost)
    if not 0 < expected <= _MOST_EXPECTED or lost > expected or other.at <= one.at:
        return None
    loss = losses.of_expected(expected, lost)
    measures = loss.measures | {"loss_ratio": round(loss.ratio or 0.0, 6)}
    rate = clock_rate_hz or other.rate_hz
    if not other.of_ours and other.jitter is not None and rate:
        measures["jitter_ms"] = round(other.jitter / rate * 1000.0, 3)
    return Interval(one.at, other.at, other.of_ours, measures)


def _ssrc(text: str | None) -> int | None:
    """An SSRC as events write it: up to eight hex digits."""
    if text is None or not 0 < len(text) <= 8 or not text.isalnum():
        return None
    try:
        return int(text, 16)
    except ValueError:
        return None
