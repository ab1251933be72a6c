"""HEP3 packets taken apart and put together again."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

Chunk = tuple[int, int, bytes]
Packet = list[Chunk]

PROTO, CORRELATION, PAYLOAD, SECONDS, MICROS = 0x0B, 0x11, 0x0F, 0x09, 0x0A


def apart(data: bytes) -> list[Packet]:
    """The chunks of each packet of a file of hex lines."""
    packets = []
    for line in data.split():
        raw, at, chunks = bytes.fromhex(line.decode()), 6, []
        while at < len(raw):
            vendor, kind, size = (
                int.from_bytes(raw[at + i : at + i + 2], "big") for i in (0, 2, 4)
            )
            chunks.append((vendor, kind, raw[at + 6 : at + size]))
            at += size
        packets.append(chunks)
    return packets


def packed(packet: Packet) -> bytes:
    """One packet with right lengths."""
    body = b"".join(
        vendor.to_bytes(2, "big")
        + kind.to_bytes(2, "big")
        + (len(data) + 6).to_bytes(2, "big")
        + data
        for vendor, kind, data in packet
    )
    return b"HEP3" + (len(body) + 6).to_bytes(2, "big") + body


def together(packets: list[Packet]) -> bytes:
    """Packets as hex lines."""
    return b"".join(packed(each).hex().encode() + b"\n" for each in packets)


def chunk(packet: Packet, kind: int) -> bytes:
    """The data of a chunk; empty where there is none."""
    return next((data for vendor, number, data in packet if (vendor, number) == (0, kind)), b"")


def put(packet: Packet, kind: int, data: bytes) -> Packet:
    """A copy with other data in a chunk (added where there was none)."""
    rest = [each for each in packet if each[:2] != (0, kind)]
    return [*rest, (0, kind, data)]


def payloads(packets: list[Packet], change: Callable[[bytes], bytes]) -> list[Packet]:
    """Each payload changed, in place."""
    return [
        [(v, k, change(d) if (v, k) == (0, PAYLOAD) else d) for v, k, d in packet]
        for packet in packets
    ]


def six(packet: Packet) -> Packet:
    """The same packet between IPv6 addresses 2001:db8::IPv4."""
    found = []
    for vendor, kind, data in packet:
        if kind == 1:
            found.append((vendor, kind, b"\x0a"))
        elif kind in (3, 4):
            address = ipaddress.IPv6Address("2001:db8::" + str(ipaddress.IPv4Address(data)))
            found.append((vendor, kind + 2, address.packed))
        else:
            found.append((vendor, kind, data))
    return found


def report(source: str, target: str, seconds: int, text: bytes, call: bytes = b"c1") -> Packet:
    """A packet with an RTCP report as JSON."""
    return [
        (0, 1, b"\x02"),
        (0, 2, b"\x11"),
        (0, 3, ipaddress.IPv4Address(source).packed),
        (0, 4, ipaddress.IPv4Address(target).packed),
        (0, 7, (41001).to_bytes(2, "big")),
        (0, 8, (30001).to_bytes(2, "big")),
        (0, SECONDS, seconds.to_bytes(4, "big")),
        (0, MICROS, b"\0\0\0\0"),
        (0, PROTO, b"\x05"),
        (0, 0x0C, b"\0\0\x07\xd2"),
        (0, CORRELATION, call),
        (0, PAYLOAD, text),
    ]
