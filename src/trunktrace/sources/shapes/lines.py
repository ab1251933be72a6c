"""Text as it comes from logs: each line with its number, or the reason why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunktrace.sources.parsed import Broken

MAX_LINE_BYTES: Final = 256 * 1024
"""A longer line is broken."""

_BOM: Final = b"\xef\xbb\xbf"


def text_lines(
    data: bytes, *, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, str | Broken]]:
    """Every line with its number (1-based), without its end; blank ones too.

    CRLF and a byte order mark are taken. A line that is too long, or is not UTF-8, is `Broken`.
    """
    number, start = 0, len(_BOM) if data.startswith(_BOM) else 0
    while start < len(data):
        number += 1
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - start > max_line_bytes:
            yield number, Broken(number, f"the line is longer than {max_line_bytes // 1024} KiB")
        else:
            yield number, _text(data[start:end], number)
        start = end + 1


def _text(line: bytes, number: int) -> str | Broken:
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        return Broken(number, f"not UTF-8 at byte {error.start}")
