"""What reception reports of RTCP say when they are put one after the other.

A report has running totals; a window is the difference of two. Source: RFC 3550, section 6.4.1 and
A.3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trunktrace.sip.codecs import clock_near
from trunktrace.sources import losses

DEFAULT_CLOCK_HZ: Final = 8000
LONGEST_SHORT_S: Final = 15.0
"""A longer window is a total of the call (`media.LONGEST_WINDOW_S`)."""

_MOST_JITTER_MS: Final = 5_000.0
"""More is a first report's start value (63125527 was seen), and no jitter."""
_MOST_RTT_MS: Final = 10_000.0
_MOST_PACKETS_PER_S: Final = 1_000.0
_USUAL_PACKETS_PER_S: Final = 50.0
_NEAR_S: Final = 3.0
_LEAST_CLOCK_S: Final = 4.0
_MOST_CLOCK_S: Final = 40_000.0
"""An RTP timestamp of 48 kHz begins anew after 24 hours."""
_SEQUENCES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Block:
    """A report block: what one receiver says about one sender since the call began.

    `lost` may be negative (duplicates). `fraction` is of 256 since the last report, `jitter` in
    timestamp units, `lsr` and `dlsr` in 1/65536 s; None unknown.
    """

    time: float
    source_ssrc: int
    lost: int
    highest: int
    fraction: int | None = None
    jitter: int | None = None
    lsr: int | None = None
    dlsr: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What a receiver heard between two times; the first one begins with the call.

    `lost` is below 0 where packets came that were counted as lost before, or twice.
    """

    start: float
    end: float
    expected: int | None
    lost: int
    jitter_ms: float | None
    rtt_ms: float | None
    fraction: int | None = None

    def measures(self) -> dict[str, object]:
        """For a window. Without a count of packets the share is of the report's own 1/256."""
        told: dict[str, object] = {"jitter_ms": self.jitter_ms, "rtt_ms": self.rtt_ms}
        if self.expected is None:
            share = self.fraction / 256.0 if self.fraction is not None else None
            return told | {"lost_count": max(0, self.lost), "loss_ratio": share}
        return told | losses.of_expected(self.expected, self.lost).measures


def signed_24(value: int) -> int:
    """A 24-bit number in two's complement that somebody wrote without its sign."""
    return value - (1 << 24) if 0x800000 <= value <= 0xFFFFFF else value


def spans(
    blocks: Sequence[Block],
    *,
    start: float | None = None,
    sent: Sequence[tuple[float, int]] = (),
    sender_reports: Mapping[int, float] | None = None,
    clock_hz: int = DEFAULT_CLOCK_HZ,
) -> list[Span]:
    """One span a report, in order of time, over all senders that were heard one after the other.

    `start` is when media began, unix seconds; where it is not known, the first span is as long as
    its packets take at the rate of the next one (50 a second if there is none). `sent` are (time,
    packets so far) of the sender, for the first report, which does not say of how many it speaks.
    `sender_reports` are the middle 32 bits of NTP times of reports to this receiver, with the time
    when each was seen: from these comes the round trip.
    """
    told: list[Span] = []
    before: dict[int, Block] = {}
    for block in _once(blocks):
        known = before.get(block.source_ssrc)
        before[block.source_ssrc] = block
        jitter = _jitter_ms(block, clock_hz)
        rtt = _rtt_ms(block, sender_reports or {})
        if known is None:
            begin = start if start is not None and not told else None
            told.append(_first(block, begin, sent, jitter, rtt))
            continue
        expected = _expected(known, block)
        if expected is not None:
            lost = block.lost - known.lost
            told.append(Span(known.time, block.time, expected, lost, jitter, rtt))
    return _begun(told)


def clock_of(told: Sequence[tuple[float, int]]) -> int | None:
    """The media clock in Hz by (time, RTP timestamp) of sender reports in order of time.

    None where they are too near to each other, or fit no clock.
    """
    if len(told) < 2:
        return None
    seconds = told[-1][0] - told[0][0]
    if not _LEAST_CLOCK_S <= seconds <= _MOST_CLOCK_S:
        return None
    ticks = (told[-1][1] - told[0][1]) % (1 << 32)
    return clock_near(ticks / seconds)


def _begun(told: list[Span]) -> list[Span]:
    """The spans, the first with the time that its packets took."""
    if not told or not told[0].expected or told[0].start < told[0].end:
        return told
    first, after = told[0], told[1] if len(told) > 1 else None
    more = (after.expected or 0, after.end - after.start) if after is not None else (0, 0.0)
    return [replace(first, start=began(first.end, first.expected or 0, *more)), *told[1:]]


def began(end: float, count: int, more: int = 0, seconds: float = 0.0) -> float:
    """When so many packets began that were there by `end`: unix seconds.

    By the rate of `more` packets in `seconds` after it; else by 50 a second.
    """
    rate = more / seconds if more > 0 and seconds > 0 else _USUAL_PACKETS_PER_S
    return max(0.0, end - count / rate)


def whole(told: Sequence[Span]) -> Span | None:
    """All spans as one; None where nothing is known of how many packets there were.

    Where the first does not know of how many packets it speaks and has lost some, it is left out.
    """
    parts = [one for one in told if one.expected is not None]
    if len(parts) < len(told) and any(one.lost > 0 for one in told if one.expected is None):
        told = parts
    if not parts:
        return None
    return Span(
        start=min(one.start for one in told),
        end=max(one.end for one in told),
        expected=sum(one.expected or 0 for one in parts),
        lost=sum(one.lost for one in told),
        jitter_ms=_mean([one.jitter_ms for one in told]),
        rtt_ms=_mean([one.rtt_ms for one in told]),
    )


def total(told: Sequence[Span]) -> Span | None:
    """All spans as one where that is a window of its own: a long call's, of two spans or more."""
    found = whole(told) if len(told) > 1 else None
    return found if found is not None and found.end - found.start > LONGEST_SHORT_S else None


def jitter_max_ms(told: Iterable[Span]) -> float | None:
    """The largest of the jitters that were reported."""
    return max((one.jitter_ms for one in told if one.jitter_ms is not None), default=None)


def _once(blocks: Sequence[Block]) -> list[Block]:
    """In order of time; what two agents saw counts once."""
    ordered = sorted(blocks, key=lambda one: one.time)
    kept: dict[tuple[int, int, int, int | None, int | None], Block] = {}
    for one in ordered:
        kept.setdefault((one.source_ssrc, one.highest, one.lost, one.lsr, one.dlsr), one)
    return list(kept.values())


def _first(
    block: Block,
    start: float | None,
    sent: Sequence[tuple[float, int]],
    jitter: float | None,
    rtt: float | None,
) -> Span:
    expected = _sent_at(block.time, sent)
    if expected is None and block.fraction and block.lost > 0:
        expected = round(block.lost * 256 / block.fraction)
    begin = start if start is not None and start <= block.time else block.time
    return Span(begin, block.time, expected, block.lost, jitter, rtt, fraction=block.fraction)


def _sent_at(time: float, sent: Sequence[tuple[float, int]]) -> int | None:
    """How many packets the sender had sent, by its report nearest in time."""
    at = bisect_left(sent, (time, 0))
    near = [one for one in sent[max(0, at - 1) : at + 1] if abs(one[0] - time) <= _NEAR_S]
    return min(near, key=lambda one: abs(one[0] - time))[1] if near else None


def _expected(known: Block, block: Block) -> int | None:
    """Packets between two reports; None where the numbering was begun anew."""
    expected = block.highest - known.highest
    if -_SEQUENCES < expected < 0:
        # Some write the sequence number without its cycles.
        expected += _SEQUENCES
    seconds = block.time - known.time
    return expected if 0 <= expected <= _MOST_PACKETS_PER_S * (seconds + 1.0) else None


def _jitter_ms(block: Block, clock_hz: int) -> float | None:
    if block.jitter is None:
        return None
    told = block.jitter * 1000.0 / clock_hz
    return round(told, 4) if told <= _MOST_JITTER_MS else None


def _rtt_ms(block: Block, sender_reports: Mapping[int, float]) -> float | None:
    """Time from a sender report to this answer, without the time that the receiver held it."""
    if not block.lsr or block.dlsr is None:
        return None
    near = (sender_reports.get((block.lsr + off) & 0xFFFFFFFF) for off in (0, 1, -1))
    sent_at = next((one for one in near if one is not None), None)
    if sent_at is None:
        return None
    told = (block.time - sent_at - block.dlsr / 65536.0) * 1000.0
    return round(told, 3) if 0 < told <= _MOST_RTT_MS else None


def _mean(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return round(sum(told) / len(told), 4) if told else None
