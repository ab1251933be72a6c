"""Packets as they are kept: one a line in hexadecimal digits, or as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trunktrace.sources.parsed import Broken

MAX_PACKET_BYTES: Final = 65_535
_HEX: Final = re.compile(rb"[0-9A-Fa-f]*")
_NO_TEXT: Final = re.compile(rb"[^\t\r\n\x20-\x7e]")
_BOM: Final = b"\xef\xbb\xbf"
_GAPS: Final = re.compile(rb"[ \t:]+")


def is_hex(data: bytes) -> bool:
    """Whether a file holds lines of hexadecimal digits, by its beginning."""
    head = _GAPS.sub(b"", data[:4096].removeprefix(_BOM).lstrip())
    first = head.split(b"\n", 1)[0].strip()
    return bool(first) and _HEX.fullmatch(first) is not None


def is_text(data: bytes) -> bool:
    """Whether a file is written in characters, by its beginning: a first line may be broken."""
    head = data[:4096].removeprefix(_BOM)
    return bool(data) and _NO_TEXT.search(head) is None


def hex_packets(data: bytes) -> Iterator[tuple[int, bytes | Broken]]:
    """Each packet with the line on which it stands.

    Digits may be apart by blanks or colons; a line that begins with `#` is a remark.
    """
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), start=1):
        if len(line) > 4 * MAX_PACKET_BYTES:
            yield number, Broken(number, "the line is longer than any packet")
            continue
        digits = _GAPS.sub(b"", line.strip())
        if not digits or digits.startswith(b"#"):
            continue
        if len(digits) % 2 or not _HEX.fullmatch(digits):
            yield number, Broken(number, "not pairs of hexadecimal digits")
        elif len(digits) > 2 * MAX_PACKET_BYTES:
            yield number, Broken(number, "the packet is longer than 65535 bytes")
        else:
            yield number, bytes.fromhex(digits.decode("ascii"))
