"""Packets of HEPv3, as hexadecimal lines or one after the other in a binary file.

Chunks: vendor, type and length (each 16 bits), then data. Source: the HEP3 protocol description of
the sipcapture project (type numbers in `_Chunk`).
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.packets import hex_packets, is_text

MAX_PAYLOAD_BYTES: Final = 65_535

SIP: Final = 1
RTCP_JSON: Final = 5
RTP_AGENT: Final = 34
RTCP_XR: Final = 35

_MAGIC: Final = b"HEP3"
_HEAD: Final = 6
_MOST_CHUNKS: Final = 256


class _Chunk:
    IP_PROTOCOL: Final = 2
    SOURCE_4: Final = 3
    TARGET_4: Final = 4
    SOURCE_6: Final = 5
    TARGET_6: Final = 6
    SOURCE_PORT: Final = 7
    TARGET_PORT: Final = 8
    SECONDS: Final = 9
    MICROSECONDS: Final = 10
    PAYLOAD_KIND: Final = 11
    PAYLOAD: Final = 15
    COMPRESSED: Final = 16
    CORRELATION: Final = 17


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """One end of a packet."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Packet:
    """What a capture agent saw at `time` (unix seconds); `kind` is the payload's protocol.

    `correlation` is mostly the Call-ID of the call or leg; None where the agent gave none.
    """

    line: int
    time: float
    source: Address
    target: Address
    kind: int
    payload: bytes
    correlation: str | None


def packets(data: bytes) -> Iterator[Packet | Broken]:
    """Each packet of a file; its `line` is the line, or the number of the packet in a binary file.

    HEP versions 1 and 2, and what is cut short, are broken.
    """
    if data.startswith(_MAGIC) or not is_text(data):
        yield from _binary(data)
        return
    for line, packet in hex_packets(data):
        yield packet if isinstance(packet, Broken) else _packet(packet, line)


def _binary(data: bytes) -> Iterator[Packet | Broken]:
    at = number = 0
    while at < len(data):
        number += 1
        length = int.from_bytes(data[at + 4 : at + 6], "big")
        if data.startswith(_MAGIC, at) and _HEAD <= length <= len(data) - at:
            yield _packet(data[at : at + length], number)
            at += length
            continue
        yield Broken(number, _why(data[at : at + _HEAD]))
        found = data.find(_MAGIC, at + 1)
        at = len(data) if found < 0 else found


def _why(head: bytes) -> str:
    if head.startswith(_MAGIC):
        return "the HEP packet is cut short"
    if head[:1] in (b"\x01", b"\x02"):
        return "no HEP version 3: versions 1 and 2 are not read"
    return "no HEP packet"


def _packet(data: bytes, line: int) -> Packet | Broken:
    if not data.startswith(_MAGIC):
        return Broken(line, _why(data[:_HEAD]))
    length = int.from_bytes(data[4:6], "big")
    if length != len(data):
        short = length > len(data) or length < _HEAD
        return Broken(
            line, "the HEP packet is cut short" if short else "bytes after the HEP packet"
        )
    chunks = _chunks(data)
    if isinstance(chunks, str):
        return Broken(line, chunks)
    try:
        return _read(chunks, line)
    except ValueError as error:
        return Broken(line, str(error))


def _chunks(data: bytes) -> dict[int, bytes] | str:
    """Chunks of the standard vendor (0) by type, the first of each; why they cannot be read."""
    found: dict[int, bytes] = {}
    at, count = _HEAD, 0
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 6], "big")
        count += 1
        if len(data) - at < _HEAD or not _HEAD <= length <= len(data) - at:
            return "a chunk is longer than the HEP packet, or shorter than its head"
        if count > _MOST_CHUNKS:
            return f"more than {_MOST_CHUNKS} chunks"
        if data[at : at + 2] == b"\0\0":
            kind = int.from_bytes(data[at + 2 : at + 4], "big")
            found.setdefault(kind, data[at + _HEAD : at + length])
        at += length
    return found


def _read(chunks: dict[int, bytes], line: int) -> Packet:
    """The packet out of its chunks. Raises ValueError saying what is wrong or missing."""
    seconds = _number(chunks, _Chunk.SECONDS, 4, "time")
    micros = _number(chunks, _Chunk.MICROSECONDS, 4, "time") if _Chunk.MICROSECONDS in chunks else 0
    if seconds == 0 or micros >= 1_000_000:
        raise ValueError("the HEP packet has no time that can be believed")
    correlation = chunks.get(_Chunk.CORRELATION, b"").rstrip(b"\0").decode("utf-8", "replace")
    return Packet(
        line=line,
        time=seconds + micros / 1e6,
        source=_address(chunks, _Chunk.SOURCE_4, _Chunk.SOURCE_6, _Chunk.SOURCE_PORT),
        target=_address(chunks, _Chunk.TARGET_4, _Chunk.TARGET_6, _Chunk.TARGET_PORT),
        kind=_number(chunks, _Chunk.PAYLOAD_KIND, 1, "payload protocol"),
        payload=_payload(chunks),
        correlation=correlation.strip()[:255] or None,
    )


def _number(chunks: dict[int, bytes], kind: int, size: int, name: str) -> int:
    value = chunks.get(kind)
    if value is None:
        raise ValueError(f"the HEP packet has no {name}")
    if len(value) != size:
        raise ValueError(f"the chunk of the {name} has a wrong length")
    return int.from_bytes(value, "big")


def _address(chunks: dict[int, bytes], four: int, six: int, port: int) -> Address:
    value = chunks.get(four)
    size = 4
    if value is None:
        value, size = chunks.get(six), 16
    if value is None:
        raise ValueError("the HEP packet has no address")
    if len(value) != size:
        raise ValueError("the chunk of an address has a wrong length")
    number = _number(chunks, port, 2, "port") if port in chunks else 0
    return Address(str(ipaddress.ip_address(value)), number)


def _payload(chunks: dict[int, bytes]) -> bytes:
    plain = chunks.get(_Chunk.PAYLOAD)
    if plain is not None:
        return plain
    packed = chunks.get(_Chunk.COMPRESSED)
    if packed is None:
        raise ValueError("the HEP packet has no payload")
    try:
        return zlib.decompressobj(wbits=47).decompress(packed, MAX_PAYLOAD_BYTES)
    except zlib.error as error:
        raise ValueError("the compressed payload cannot be read") from error
