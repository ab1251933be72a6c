"""The rows of a CSV, each with its line; one that is broken does not take the next with it.

Quotes are those of RFC 4180, and may hold line ends. A quote that never ends breaks its own line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunktrace.sources.parsed import Broken

MAX_ROW_BYTES: Final = 64 * 1024
_MAX_COLUMNS: Final = 1024
_MAX_LINES: Final = 16
_DELIMITERS: Final = ",;|\t"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, without blanks around them; `lines` is how many lines it takes."""

    line: int
    lines: int
    cells: tuple[str, ...]


def found_delimiter(data: bytes) -> str:
    """The delimiter that stands most often in the first line."""
    first = data.removeprefix(_BOM).lstrip()[:MAX_ROW_BYTES].split(b"\n", 1)[0]
    return max(_DELIMITERS, key=lambda one: first.count(one.encode()))


class Rows:
    """The rows of a file. After a row that does not fit, `again()` reads on at its second line."""

    def __init__(self, data: bytes, delimiter: str, *, quotes: bool) -> None:
        self._lines = data.removeprefix(_BOM).split(b"\n")
        self._delimiter = delimiter
        self._quotes = quotes
        self._at = 0

    def __iter__(self) -> Iterator[Row | Broken]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip():
                yield self._row()
            else:
                self._at += 1

    def again(self, row: Row) -> None:
        """Read the lines after the first of a row anew: its quotes were none."""
        self._at = row.line

    def _row(self) -> Row | Broken:
        begin = self._at
        number = begin + 1
        self._at += 1
        raw = self._lines[begin]
        if len(raw) > MAX_ROW_BYTES:
            return Broken(number, f"the line is longer than {MAX_ROW_BYTES // 1024} KiB")
        whole, lines = raw, 1
        while self._quotes and whole.count(b'"') % 2 and lines < _MAX_LINES:
            if self._at >= len(self._lines) or len(whole) > MAX_ROW_BYTES:
                break
            whole += b"\n" + self._lines[self._at][:MAX_ROW_BYTES]
            self._at += 1
            lines += 1
        found = self._cells(whole, number, lines)
        if lines > 1 and isinstance(found, Broken):
            # Its quotes were none, or belong to another line: it stands for itself.
            self._at = begin + 1
            found = self._cells(raw, number, 1)
        return found

    def _cells(self, raw: bytes, number: int, lines: int) -> Row | Broken:
        if raw.count(self._delimiter.encode()) >= _MAX_COLUMNS:
            return Broken(number, f"more than {_MAX_COLUMNS} columns")
        try:
            text = raw.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            return Broken(number, f"not UTF-8 at byte {error.start}")
        if not self._quotes:
            return Row(number, lines, tuple(map(str.strip, text.split(self._delimiter))))
        stream = io.StringIO(text, newline="")
        try:
            told = list(csv.reader(stream, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return Broken(number, "no CSV: its quotes do not fit")
        if len(told) != 1:
            return Broken(number, "no CSV: a line end stands where none can be")
        return Row(number, lines, tuple(map(str.strip, told[0])))
