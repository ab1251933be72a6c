"""The stream of Asterisk's manager: its events, one after the other.

An event is lines of `Key: value` and ends with a blank line; CRLF and LF are both taken. Between
events stand the banner, and responses to whoever asked. Keys differ in case between versions, so
they are compared without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record

MAX_EVENT_BYTES: Final = 64 * 1024
MAX_LINES: Final = 512

_KEY: Final = re.compile(r"[A-Za-z][^\s:]{0,150}")
"""`ChanVariable(PJSIP/acme-00000003)` is one too."""

_VARIABLES: Final = frozenset({"chanvariable", "destchanvariable"})
"""One line for each variable under `channelvars` in manager.conf, all of one key."""

_OF_OTHERS: Final = frozenset({"response", "action"})

_CUT: Final = "the file ends within this event"
_BANNER: Final = b"Asterisk Call Manager/"
_CONSOLE: Final = re.compile(rb"(?:<-- |\[.{0,160}: )Examining AMI event\b")
"""Asterisk's console and log before each event, with `manager set debug on` or `core set debug`."""
_COMMAND_ENDS: Final = b"--END COMMAND--"
_BOM: Final = b"\xef\xbb\xbf"
_OBJECT: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*\"")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its line, its name in lower case, its values by key in lower case."""

    line: int
    name: str
    fields: dict[str, str]
    fault: str = ""
    """Why it cannot be believed, whatever it is: it is cut, or a line of it is no `Key: value`."""

    def get(self, key: str) -> str | None:
        """The value under a key (in lower case), None if it is absent or empty.

        A variable of the channel is under `chanvariable NAME`.
        """
        return self.fields.get(key) or None


@dataclass(slots=True)
class _Block:
    """The lines of an event so far."""

    line: int
    lines: list[bytes] = field(default_factory=list[bytes])
    size: int = 0
    is_cut: bool = False

    def add(self, line: bytes) -> None:
        self.size += len(line) + 1
        if self.size <= MAX_EVENT_BYTES and len(self.lines) < MAX_LINES:
            self.lines.append(line)
        else:
            self.size = MAX_EVENT_BYTES + 1


def events(data: bytes) -> Iterator[Event | Broken | None]:
    """Each event of a stream, or why it cannot be read; None is what is no event."""
    objects = list(_objects(data)) if _OBJECT.match(data) else []
    if any(isinstance(told, Event) for told in objects):
        return iter(objects)
    return _blocks(data)


def _objects(data: bytes) -> Iterator[Event | Broken | None]:
    for number, body in bodies(data):
        yield body if isinstance(body, Broken) else _event_of(number, body)


def _event_of(number: int, body: Record) -> Event | Broken | None:
    fields = {key.lower(): _text(value) for key, value in body.items()}
    if not fields.get("event"):
        known = not fields.keys().isdisjoint(_OF_OTHERS)
        return None if known else Broken(number, "an object that is no event")
    return Event(number, fields["event"].lower(), fields)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _blocks(data: bytes) -> Iterator[Event | Broken | None]:
    block: _Block | None = None
    for number, line, is_whole in _lines(data):
        if line.startswith(_BANNER):
            yield None
            continue
        if _CONSOLE.match(line):
            if block is not None:
                yield _event(block)
            block = None
            yield None
            continue
        if not line.strip():
            if block is not None:
                yield _event(block)
            block = None
            continue
        if block is not None and line[:6].lower() == b"event:":
            # A blank line went missing.
            yield _event(block)
            block = None
        if block is None:
            block = _Block(number)
        block.add(line)
        block.is_cut = not is_whole
    if block is not None:
        yield _event(block)


def _lines(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Each line with its number, and whether it has an end."""
    number, start = 0, len(_BOM) if data.startswith(_BOM) else 0
    while start < len(data):
        number += 1
        end = data.find(b"\n", start)
        stop = len(data) if end < 0 else end
        yield number, data[start:stop].rstrip(b"\r"), end >= 0
        start = stop + 1


def _event(block: _Block) -> Event | Broken | None:
    if block.size > MAX_EVENT_BYTES:
        return Broken(block.line, "an event that is too long")
    if block.is_cut and len(block.lines) == 1:
        return Broken(block.line, _CUT)
    fields: dict[str, str] = {}
    fault = _CUT if block.is_cut else ""
    for line in block.lines:
        # Names of persons come in any encoding; what matters here is ASCII.
        key, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon and _KEY.fullmatch(key):
            name = key.lower()
            if name in _VARIABLES:
                variable, _, value = value.partition("=")
                name = f"{name} {variable.strip().lower()}"
            fields[name] = value.strip()
        else:
            fault = fault or "a line that is no `Key: value`"
    if "event" not in fields:
        known = not fields.keys().isdisjoint(_OF_OTHERS) or block.lines[-1] == _COMMAND_ENDS
        return None if known else Broken(block.line, "lines that are no event")
    return Event(block.line, fields["event"].lower(), fields, fault)
