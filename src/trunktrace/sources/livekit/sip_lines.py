"""Lines of the bridge's log as they come: JSON, or the console's form, bare or in a wrapping.

Without `logging.json: true` livekit-sip writes zap's console form: time, level, logger, file and
line, message, and the fields as JSON, parted by tabs (by blanks once a terminal has had it). Before
a line stands what shippers put there (docker compose, kubectl, CRI, journald), or the line is a
text in an object of theirs (docker's json-file, journalctl, Loki, Google Cloud).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.jsonlines import (
    MAX_LINE_BYTES,
    Record,
    numbered,
    object_in,
    record,
    text_in,
)
from trunktrace.sources.shapes.wrapped import SHIPPED

_LONGEST_HEAD: Final = 2048
"""What stands before the fields; the longest that was seen has 160 characters."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,16}m")
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_CONSOLE: Final = re.compile(
    rf"({_TIME})\s+(?:DEBUG|INFO|WARN|ERROR|DPANIC|PANIC|FATAL)\s+(.*)", re.DOTALL
)
_AFTER_PLACE: Final = re.compile(r"\.go:\d+\s+(.*)", re.DOTALL)
_COLUMNS: Final = re.compile(r"\t|\s{2,}")

# Lines that the console's form has between its own: a stack, and what Go's own logger says.
_STACK: Final = re.compile(
    r"(?:^|[\s|])(?:[\w.@-]+/)+[\w.@()*\[\]-]+$|\.go:\d+(?: \+0x[0-9a-f]+)?$"
    r"|(?:^|[|\]]\s{1,4})[a-z]\w*\.[\w.()*\[\]-]+$"
    r"|(?:^|[\s|])goroutine \d+ \[[\w ,]+\]:$"
)
_PLAIN: Final = re.compile(r"(?:^|[\s|])\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
_LONGEST_ASIDE: Final = 1024

_TEXTS: Final = (*SHIPPED, "textPayload")


class LogLines:
    """Reads the lines of a log one after the other.

    It remembers whether the console's form was among them: what that form has between its lines is
    expected only there, and broken in a log of JSON.
    """

    def __init__(self) -> None:
        self._is_console = False

    def records(self, data: bytes) -> Iterator[tuple[int, Record | Broken]]:
        """Each line that is not blank, with its number: what it holds, or why it is broken."""
        for number, line in numbered(data):
            yield number, self.read(line, number)

    def read(self, line: bytes, number: int) -> Record | Broken:
        """The fields of the line with `ts` and `msg`; empty if it is of the log and has none."""
        found = self._read(line, number)
        if isinstance(found, Broken) and self._is_console and _is_aside(line):
            return {}
        return found

    def _read(self, line: bytes, number: int) -> Record | Broken:
        if line.lstrip()[:1] == b"{":
            found = record(line, number)
            return found if isinstance(found, Broken) else self._unwrapped(found, number)
        told = self._headed(line, number) if len(line) <= MAX_LINE_BYTES else None
        return record(line, number) if told is None else told

    def _headed(self, line: bytes, number: int) -> Record | Broken | None:
        """A line that begins with something else than its fields; None if it is none of the log."""
        at = line.find(b"\t{") + 1 or line.find(b"{")
        head = _text(line[: at if at >= 0 else None])
        if head is None:
            return None
        columns = _CONSOLE.search(head)
        fields = record(line[at:], number) if at >= 0 else {}
        if columns is None:
            # A shipper's own words before a line of JSON.
            told = not isinstance(fields, Broken) and "msg" in fields and "ts" in fields
            return fields if told else None
        self._is_console = True
        if isinstance(fields, Broken):
            return Broken(number, "no JSON after the message")
        place = _AFTER_PLACE.search(columns[2])
        message = place[1] if place else _COLUMNS.split(columns[2].strip())[-1]
        return {**fields, "ts": columns[1], "msg": message.strip()}

    def _unwrapped(self, found: Record, number: int) -> Record | Broken:
        """The line that stands as a text in a shipper's object; the object if none does."""
        if "msg" in found:
            return found
        payload = object_in(found, "jsonPayload")
        if "msg" in payload:
            return {"ts": found.get("timestamp"), **payload}
        for key in _TEXTS:
            text = (text_in(found, key) or "").strip()
            if not text:
                continue
            inner = text.encode("utf-8", "replace")
            if text.startswith("{"):
                told = record(inner, number)
                return told if isinstance(told, Broken) or "msg" in told else found
            headed = self._headed(inner, number)
            return found if headed is None else headed
        return found


def _text(head: bytes) -> str | None:
    """What stands before the fields, without colours; None if it is no text of a log."""
    if len(head) > _LONGEST_HEAD or (head[:1] == b"[" and not head.startswith(b"[pod/")):
        return None
    try:
        return _COLOUR.sub("", head.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _is_aside(line: bytes) -> bool:
    text = _text(line.rstrip()) if len(line) <= _LONGEST_ASIDE else None
    return text is not None and bool(_STACK.search(text) or _PLAIN.search(text))
