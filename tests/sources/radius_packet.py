"""Accounting-Request packets of our own making, in the layout of RFC 2866 and RFC 6929."""

from __future__ import annotations

ORACLE = 9148
CISCO = 9
AUDIOCODES = 5003

Value = bytes | str | int


def _raw(value: Value) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(4, "big")
    return value.encode() if isinstance(value, str) else value


def attribute(number: int, value: Value) -> bytes:
    """One attribute: type, length, value (RFC 2865 section 5)."""
    raw = _raw(value)
    return bytes((number, len(raw) + 2)) + raw


def vendor(number: int, *attributes: bytes) -> bytes:
    """Vendor-Specific with one or several attributes in it (RFC 2865 section 5.26)."""
    return attribute(26, number.to_bytes(4, "big") + b"".join(attributes))


def extended(number: int, kind: int, value: Value) -> bytes:
    """An extended attribute (RFC 6929 section 2.1)."""
    return attribute(number, bytes((kind,)) + _raw(value))


def long_extended(number: int, kind: int, *parts: bytes) -> bytes:
    """A long extended attribute in parts, each but the last with the More flag (section 2.2)."""
    flags = [0x80] * (len(parts) - 1) + [0]
    return b"".join(
        attribute(number, bytes((kind, flag)) + part)
        for part, flag in zip(parts, flags, strict=True)
    )


def packet(*attributes: bytes, code: int = 4) -> bytes:
    """A packet with a header (RFC 2866 section 3); its authenticator is not checked by us."""
    data = b"".join(attributes)
    return bytes((code, 7)) + (len(data) + 20).to_bytes(2, "big") + bytes(16) + data


def hex_lines(*packets: bytes) -> bytes:
    """One packet a line."""
    return b"".join(one.hex().encode() + b"\n" for one in packets)


def oracle_stop() -> bytes:
    """A Stop of an Oracle SBC: 5 % lost by the caller's packets, as `made-oracle.detail` has it."""
    return packet(
        attribute(40, 2),
        attribute(4, bytes((192, 0, 2, 1))),
        attribute(44, "7d1a2c-0002"),
        attribute(31, '"Ada" <sip:+15551230001@198.51.100.20>;tag=1c88'),
        attribute(30, "<sip:+15551230099@192.0.2.1>"),
        attribute(46, 60),
        attribute(55, 1_795_438_866),
        vendor(CISCO, attribute(25, "h323-setup-time=13:00:01.250 UTC NOV 23 2026")),
        vendor(CISCO, attribute(28, "13:00:05.500 UTC NOV 23 2026")),
        vendor(CISCO, attribute(29, "13:01:05.750 UTC NOV 23 2026")),
        # Several attributes of one vendor in one Vendor-Specific.
        vendor(
            ORACLE,
            attribute(3, "f3a1c2d4-2@carrier.example"),
            attribute(4, "SDpk2a401-f3a1c2d4-2"),
            attribute(41, "carrier-one"),
            attribute(42, "livekit"),
            attribute(2, "PCMU"),
        ),
        vendor(ORACLE, attribute(29, 2850), attribute(37, 150), attribute(38, 11)),
        vendor(ORACLE, attribute(45, 3000), attribute(51, 0), attribute(52, 1)),
        vendor(ORACLE, attribute(152, 372), attribute(154, 441), attribute(58, 850)),
        vendor(ORACLE, attribute(61, 2), attribute(62, 16), attribute(60, 3)),
        # What no table here knows: a vendor, attributes of RFC 6929, Oracle's VSA 249.
        vendor(311, b"\x01\x02\x03"),
        vendor(ORACLE, attribute(249, b"\x0b\x031")),
        extended(241, 1, b"\x00\x00\x00\x01"),
        long_extended(245, 1, b"a" * 200, b"b" * 200),
    )
