r"""FreeRADIUS' `detail` files: a line with the time, then `Attribute = value` lines, then a blank.

Values in quotes hold `\"`, `\\` and `\ooo` (octal bytes of UTF-8). Attributes that the server had
no name for (`Attr-26.9148.3 = 0x...`) are looked up here. The output of the server's debug mode
has the same lines, since version 3 with the request's number before them (`(31)    Name = value`);
AudioCodes' manuals write vendor and number there (`(4923 30) name = value`), and remarks after
`//`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import tzinfo
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.radius.dictionary import AUDIOCODES, VENDORS, plain_name, unnamed
from trunktrace.sources.radius.packets import value_of
from trunktrace.sources.radius.record import RadiusRecord
from trunktrace.sources.sbc.words import epoch_time
from trunktrace.sources.shapes import values
from trunktrace.sources.shapes.lines import text_lines

_MAX_LINE_BYTES: Final = 16 * 1024
_MAX_ATTRIBUTES: Final = 1024
_BLANKS: Final = " \t\r\v\f"
"""Not all that Python strips: a line of other control characters is a broken one."""

_PAIR: Final = re.compile(
    r"[ \t]*(&?[A-Za-z][A-Za-z0-9_.-]{0,120}(?::\d{1,3})?)[ \t]*(?:\+?=|:=|==)[ \t]*(.*)"
)
_BEFORE: Final = re.compile(r"\(\d{1,9}(?: \d{1,3})?\)[ ]{1,2}")
_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{3})|(.))")
_PLAIN: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_NOT_ACCOUNTING: Final = frozenset(
    {"access-request", "access-accept", "access-reject", "access-challenge", "accounting-response"}
)

Found = RadiusRecord | Broken | None


def detail_records(data: bytes, zone: tzinfo) -> Iterator[Found]:
    """Each record; why it cannot be read; None for one that is no accounting request."""
    block: list[tuple[int, str | Broken]] = []
    for number, line in _lines(data):
        blank = isinstance(line, str) and not line.strip(_BLANKS)
        # A line that is not set in begins a record, wherever the blank line before it went.
        begins = isinstance(line, str) and line[:1] not in " \t" and not _PAIR.fullmatch(line)
        if block and (blank or begins):
            yield _record(block, zone)
            block = []
        if not blank:
            block.append((number, line))
    if block:
        yield _record(block, zone)


def _lines(data: bytes) -> Iterator[tuple[int, str | Broken]]:
    """The lines without what debug modes and manuals write before them, and without remarks."""
    for number, line in text_lines(data, max_line_bytes=_MAX_LINE_BYTES):
        if isinstance(line, Broken):
            yield number, line
        elif not line.startswith("//"):
            yield number, _BEFORE.sub("", line, count=1) if line.startswith("(") else line


def _record(block: list[tuple[int, str | Broken]], zone: tzinfo) -> Found:
    first, head = block[0]
    if len(block) > _MAX_ATTRIBUTES:
        return Broken(first, f"the record has more than {_MAX_ATTRIBUTES} lines")
    record = RadiusRecord(first)
    if isinstance(head, str) and head[:1] not in " \t" and not _PAIR.fullmatch(head):
        record.written_at = values.strptime(head, "%a %b %d %H:%M:%S %Y", zone)
        block = block[1:]
        if not block:
            return Broken(first, "a line that is no attribute, and no record after it")
    for number, line in block:
        if isinstance(line, Broken):
            return line
        pair = _PAIR.fullmatch(line)
        told = None if pair is None else _value(pair[2])
        if pair is None or told is None:
            return Broken(number, "a line of the record is no attribute with a value")
        _add(record, pair[1].partition(":")[0], told)
    return _timed(record)


def _timed(record: RadiusRecord) -> Found:
    kind = (record.text("packet-type") or "").lower()
    if kind in _NOT_ACCOUNTING:
        return None
    stamp = epoch_time(record.text("timestamp"))
    record.written_at = stamp or record.written_at or _event_time(record)
    return record


def _event_time(record: RadiusRecord) -> float | None:
    told = record.text("event-timestamp")
    return epoch_time(told) or values.iso_time(told)


def _value(text: str) -> str | None:
    """A value without its quotes; None where they do not end."""
    text = text.strip().removesuffix(",")
    if text[:1] not in ('"', "'"):
        return text
    if len(text) < 2 or text[-1] != text[0]:
        return None
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    return _ESCAPE.sub(_unescaped, inner.encode("utf-8")).decode("utf-8", "replace")


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes((int(found[1], 8) & 0xFF,))
    return _PLAIN.get(found[2], found[2])


def _add(record: RadiusRecord, name: str, value: str) -> None:
    plain = plain_name(name)
    number = unnamed(name.lower())
    if number is None:
        record.add(plain, value)
        return
    known = VENDORS.get(number[0], {}).get(number[1])
    if known is None:
        return
    record.decimal = record.decimal or number[0] in AUDIOCODES
    if not value.lower().startswith("0x"):
        record.add(known.name, value)
        return
    try:
        record.add(known.name, value_of(known, bytes.fromhex(value[2:])))
    except ValueError:
        return
