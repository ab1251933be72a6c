"""RTCP as it is on the wire: compound packets of RFC 3550, extended reports of RFC 3611."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.rtcp.flow import Block, signed_24
from trunktrace.sources.shapes.packets import hex_packets, is_text

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
DESCRIPTION: Final = 202
EXTENDED: Final = 207
NTP_EPOCH: Final = 2_208_988_800

_REPORT: Final = re.compile(rb"[\x80-\xbf][\xc8\xc9]")
_KNOWN: Final = range(192, 224)
_HEAD: Final = 4
_BLOCK: Final = 24
_SENDER: Final = 20
_VOIP_METRICS: Final = 7
_VOIP_BYTES: Final = 32
_CNAME: Final = 1
_EARLIEST_S: Final = 946_684_800
"""2000-01-01: a device without a clock writes the time since it started."""


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """A VoIP metrics block (RFC 3611, section 4.7) as it is; 127 and the like are not taken out.

    Rates are of 256, delays milliseconds, MOS in tenths.
    """

    source_ssrc: int
    loss_rate: int
    discard_rate: int
    round_trip_ms: int
    r_factor: int
    mos_lq: int
    mos_cq: int


@dataclass(slots=True)
class Compound:
    """One compound packet: who speaks, when by its own clock, what it sent and what it heard."""

    line: int
    ssrc: int
    time: float | None = None
    """Unix seconds; None in a packet without a sender report, or of a device without a clock."""
    middle: int | None = None
    sent: int | None = None
    timestamp: int | None = None
    """The RTP timestamp at `time`."""
    blocks: list[Block] = field(default_factory=list[Block])
    metrics: list[VoipMetrics] = field(default_factory=list[VoipMetrics])
    cname: str | None = None


def compounds(data: bytes) -> Iterator[Compound | Broken]:
    """Each compound packet of a file: one a line in hexadecimal digits, or one after the other.

    A packet whose lengths do not add up is broken as a whole.
    """
    if is_text(data):
        for line, packet in hex_packets(data):
            yield packet if isinstance(packet, Broken) else _compound(packet, line)
        return
    for number, packet in enumerate(_cut(data), start=1):
        yield _compound(packet, number)


def _cut(data: bytes) -> Iterator[bytes]:
    """Compound packets one after the other: each begins with a sender or receiver report."""
    begin = at = 0
    while begin < len(data):
        if at + _HEAD <= len(data) and _is_head(data, at):
            if at > begin and data[at + 1] in (SENDER_REPORT, RECEIVER_REPORT):
                yield data[begin:at]
                begin = at
            at += _length(data, at)
            continue
        # The end, or no packet: what was there so far ends where a report may begin again.
        at = _next_report(data, max(begin + 1, at)) if at != len(data) else at
        yield data[begin:at]
        begin = at


def _next_report(data: bytes, at: int) -> int:
    """Where a report may begin after what is none; the end of the data where nowhere."""
    for found in _REPORT.finditer(data, min(at, len(data))):
        if found.start() + _length(data, found.start()) <= len(data):
            return found.start()
    return len(data)


def _is_head(data: bytes, at: int) -> bool:
    return data[at] >> 6 == 2 and data[at + 1] in _KNOWN


def _length(data: bytes, at: int) -> int:
    return 4 * (int.from_bytes(data[at + 2 : at + 4], "big") + 1)


def _compound(data: bytes, line: int) -> Compound | Broken:
    told: Compound | None = None
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD:
            return Broken(line, "the RTCP packet is cut short")
        if data[at] >> 6 != 2:
            return Broken(line, "no RTCP: the version is not 2")
        kind, end = data[at + 1], at + _length(data, at)
        if kind not in _KNOWN:
            return Broken(line, "no RTCP: the packet type is not one of RTCP's")
        if end > len(data):
            return Broken(line, "the RTCP packet is cut short")
        if told is None:
            if end - at < 8:
                return Broken(line, "the RTCP packet is cut short")
            told = Compound(line, _u32(data, at + 4))
        reason = _take(told, data[at:end], kind)
        if reason is not None:
            return Broken(line, reason)
        at = end
    return told if told is not None else Broken(line, "no RTCP packet")


def _take(told: Compound, packet: bytes, kind: int) -> str | None:
    """Add one packet; why it cannot be read, None if it was."""
    if packet[0] & 0x20 and kind != EXTENDED:
        padding = packet[-1]
        if padding == 0 or padding % 4 or padding > len(packet) - _HEAD:
            return "the padding is longer than the packet"
        packet = packet[:-padding]
    if kind in (SENDER_REPORT, RECEIVER_REPORT):
        return _report(told, packet, kind)
    if kind == DESCRIPTION:
        told.cname = told.cname or _cname(packet)
    if kind == EXTENDED:
        return _extended(told, packet)
    return None


def _report(told: Compound, packet: bytes, kind: int) -> str | None:
    at = 8 + (_SENDER if kind == SENDER_REPORT else 0)
    count = packet[0] & 0x1F
    if at + count * _BLOCK > len(packet):
        return "a report with fewer blocks than it says"
    if kind == SENDER_REPORT:
        seconds, fraction = _u32(packet, 8), _u32(packet, 12)
        unix = seconds - NTP_EPOCH + fraction / 2**32
        told.time = round(unix, 6) if unix >= _EARLIEST_S else None
        told.middle = ((seconds & 0xFFFF) << 16) | (fraction >> 16)
        told.timestamp = _u32(packet, 16)
        told.sent = _u32(packet, 20)
    for _ in range(count):
        told.blocks.append(_block(packet[at : at + _BLOCK]))
        at += _BLOCK
    return None


def _block(data: bytes) -> Block:
    return Block(
        time=0.0,
        source_ssrc=_u32(data, 0),
        fraction=data[4],
        lost=signed_24(int.from_bytes(data[5:8], "big")),
        highest=_u32(data, 8),
        jitter=_u32(data, 12),
        lsr=_u32(data, 16),
        dlsr=_u32(data, 20),
    )


def _extended(told: Compound, packet: bytes) -> str | None:
    at = 8
    while at < len(packet):
        if len(packet) - at < _HEAD:
            return "an extended report that is cut short"
        end = at + _length(packet, at)
        if end > len(packet):
            return "an extended report that is cut short"
        if packet[at] == _VOIP_METRICS:
            if end - at != _HEAD + _VOIP_BYTES:
                return "a VoIP metrics block of a wrong length"
            told.metrics.append(_voip(packet[at + _HEAD : end]))
        at = end
    return None


def _voip(data: bytes) -> VoipMetrics:
    return VoipMetrics(
        source_ssrc=_u32(data, 0),
        loss_rate=data[4],
        discard_rate=data[5],
        round_trip_ms=int.from_bytes(data[12:14], "big"),
        r_factor=data[20],
        mos_lq=data[22],
        mos_cq=data[23],
    )


def _cname(packet: bytes) -> str | None:
    """The first canonical name; None where there is none that can be read."""
    at = 8
    while at + 2 <= len(packet) and packet[at]:
        kind, length = packet[at], packet[at + 1]
        if kind == _CNAME:
            return packet[at + 2 : at + 2 + length].decode("utf-8", "replace") or None
        at += 2 + length
    return None


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
