"""RTCP packets for tests: what a device would send, built field by field (RFC 3550, RFC 3611)."""

from __future__ import annotations

import struct

NTP_EPOCH = 2_208_988_800


def block(
    source: int, *, lost: int = 0, highest: int = 0, fraction: int = 0, jitter: int = 0,
    lsr: int = 0, dlsr: int = 0,
) -> bytes:  # fmt: skip
    """A report block of 24 bytes."""
    total = (lost & 0xFFFFFF).to_bytes(3, "big")
    return struct.pack(">IB", source, fraction) + total + struct.pack(
        ">IIII", highest, jitter, lsr, dlsr
    )  # fmt: skip


def packet(kind: int, payload: bytes, count: int = 0) -> bytes:
    """One RTCP packet with its head."""
    return struct.pack(">BBH", 0x80 | count, kind, len(payload) // 4) + payload


def sender_report(ssrc: int, time: float, sent: int, *blocks: bytes) -> bytes:
    """PT 200; `time` is unix seconds."""
    seconds = int(time) + NTP_EPOCH
    fraction = int((time % 1) * 2**32)
    payload = struct.pack(">IIIIII", ssrc, seconds, fraction, sent * 160, sent, sent * 160)
    return packet(200, payload + b"".join(blocks), len(blocks))


def receiver_report(ssrc: int, *blocks: bytes) -> bytes:
    """PT 201."""
    return packet(201, struct.pack(">I", ssrc) + b"".join(blocks), len(blocks))


def description(ssrc: int, cname: str) -> bytes:
    """PT 202 with a canonical name."""
    item = bytes((1, len(cname))) + cname.encode() + b"\0"
    item += b"\0" * (-len(item) % 4)
    return packet(202, struct.pack(">I", ssrc) + item, 1)


def voip_metrics(
    ssrc: int, source: int, *, loss: int = 0, discard: int = 0, rtt: int = 0, r: int = 127,
    mos_lq: int = 127, mos_cq: int = 127,
) -> bytes:  # fmt: skip
    """PT 207 with block type 7; 127 is unavailable."""
    payload = struct.pack(
        ">IBBBBHHHHbbBBBBBBBBHHH", source, loss, discard, 0, 0, 0, 30000, rtt, 40, -20, -60, 127,
        16, r, 127, mos_lq, mos_cq, 0xB2, 0, 40, 60, 240,
    )  # fmt: skip
    head = struct.pack(">BBH", 7, 0, len(payload) // 4)
    return packet(207, struct.pack(">I", ssrc) + head + payload)
