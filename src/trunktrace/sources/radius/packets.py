"""Accounting-Request packets (RFC 2866) as attributes by name.

Vendor-Specific (RFC 2865 section 5.26) with one or several attributes in it, and the extended and
long extended attributes of RFC 6929 are read; what no table knows is passed over.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.radius.dictionary import (
    AUDIOCODES,
    METHODS,
    STANDARD,
    VENDORS,
    Attribute,
)
from trunktrace.sources.radius.record import RadiusRecord

ACCOUNTING_REQUEST: Final = 4
_CODES: Final = frozenset({1, 2, 3, 4, 5, 11, 12, 13, 40, 41, 42, 43, 44, 45})
"""Codes of RFC 2865, 2866 and 5176: another packet is none of RADIUS."""
_HEADER_BYTES: Final = 20
_MAX_PACKET_BYTES: Final = 4096
_VENDOR_SPECIFIC: Final = 26
_EXTENDED: Final = frozenset({241, 242, 243, 244})
_LONG_EXTENDED: Final = frozenset({245, 246})
_MORE: Final = 0x80


def is_binary(data: bytes) -> bool:
    """Whether a file begins with an Accounting-Request as it is on the wire."""
    whole = data[:1] == bytes((ACCOUNTING_REQUEST,)) and len(data) >= _HEADER_BYTES
    return whole and _HEADER_BYTES <= _length(data) <= min(len(data), _MAX_PACKET_BYTES)


def binary_packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Packets one after the other, each with its number; what is none ends with the file."""
    at = number = 0
    while at < len(data):
        number += 1
        length = _length(data[at : at + _HEADER_BYTES])
        end = at + length if _HEADER_BYTES <= length <= _MAX_PACKET_BYTES else len(data)
        yield number, data[at:end]
        at = end


def _length(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")


class _TruncatedError(ValueError):
    """An attribute does not fit where it stands."""


def record_of(packet: bytes, line: int) -> RadiusRecord | Broken | None:
    """What a packet says; None for one of RADIUS that is no accounting request."""
    if len(packet) < _HEADER_BYTES:
        return Broken(line, "the packet is shorter than a RADIUS header")
    length = _length(packet)
    if packet[0] not in _CODES or not _HEADER_BYTES <= length <= _MAX_PACKET_BYTES:
        return Broken(line, "no RADIUS packet")
    if length > len(packet):
        return Broken(line, "the packet is truncated")
    if packet[0] != ACCOUNTING_REQUEST:
        return None
    record = RadiusRecord(line)
    try:
        _read(record, packet[_HEADER_BYTES:length])
    except _TruncatedError:
        return Broken(line, "an attribute is truncated")
    except UnicodeDecodeError:
        return Broken(line, "a text is not UTF-8")
    when = record.number("event-timestamp")
    record.written_at = float(when) if when else None
    return record


def _read(record: RadiusRecord, data: bytes) -> None:
    long_values: dict[tuple[int, int], bytes] = {}
    for number, value in _pairs(data):
        if number == _VENDOR_SPECIFIC:
            _vendor(record, value)
        elif number in _EXTENDED or number in _LONG_EXTENDED:
            _extended(record, number, value, long_values)
        elif (known := STANDARD.get(number)) is not None:
            _add(record, known, value)


def _pairs(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2 or at + length > len(data):
            raise _TruncatedError
        yield data[at], data[at + 2 : at + length]
        at += length


def _vendor(record: RadiusRecord, value: bytes) -> None:
    if len(value) < 4:
        raise _TruncatedError
    vendor = int.from_bytes(value[:4], "big")
    table = VENDORS.get(vendor)
    if table is None:
        return
    record.decimal = record.decimal or vendor in AUDIOCODES
    for number, inner in _pairs(value[4:]):
        if (known := table.get(number)) is not None:
            _add(record, known, inner)


def _extended(
    record: RadiusRecord, number: int, value: bytes, long_values: dict[tuple[int, int], bytes]
) -> None:
    """RFC 6929 section 2.1 and 2.2; the extended type 26 holds a vendor's attribute."""
    if len(value) < (2 if number in _LONG_EXTENDED else 1):
        raise _TruncatedError
    kind, whole = value[0], value[1:]
    if number in _LONG_EXTENDED:
        before = long_values.pop((number, kind), b"")
        whole = before + value[2:]
        if value[1] & _MORE:
            long_values[number, kind] = whole
            return
    if kind != _VENDOR_SPECIFIC or len(whole) < 5:
        return
    known = VENDORS.get(int.from_bytes(whole[:4], "big"), {}).get(whole[4])
    if known is not None:
        _add(record, known, whole[5:])


def _add(record: RadiusRecord, known: Attribute, value: bytes) -> None:
    record.add(known.name, _text(known, value))


def _text(known: Attribute, value: bytes) -> str:
    if known.kind == "address":
        return socket.inet_ntoa(value) if len(value) == 4 else ""
    if known.kind == "number" and len(value) in (4, 8):
        number = int.from_bytes(value, "big")
        return METHODS.get(number, "") if known.name == "sip-method" else str(number)
    return value.rstrip(b"\0").decode("utf-8")


def value_of(known: Attribute, raw: bytes) -> str:
    """The value of an attribute that a server kept as bytes, without its name."""
    return _text(known, raw)
