"""The stream of FreeSWITCH's event socket, taken apart into events.

A frame is a few headers (`Content-Length`, `Content-Type`), a blank line, and an event: `Key:
value` lines with URL-encoded values up to a blank line (`text/event-plain`), or one JSON object
without a line end behind it (`text/event-json`). Frames may be missing (events alone, one after
the other), line ends may be CRLF, and a length is a hint: where it does not fit, the text decides.

fs_cli (`/event plain`) prints `RECV EVENT` and an event without any encoding: a session description
then goes over several lines and may end with a blank one, after which the event goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import unquote

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import record
from trunktrace.sources.shapes.values import count

MAX_EVENT_BYTES: Final = 256 * 1024
MAX_HEADERS: Final = 1024
_MOST_ENCODED: Final = 64 * 1024
"""Characters of encoded values that are decoded for one record; real ones have about 10,000."""

_NAME: Final = "Event-Name"
_LENGTH: Final = "Content-Length"
_TYPE: Final = "Content-Type"
_STARTS: Final = (b"Content-Length:", b"Content-Type:", b"Event-Name:", b"RECV EVENT", b"{")
_GOES_ON: Final = b"variable_"
_OF_SDP: Final = re.compile(rb"[a-z]=")
_LONGEST_SDP: Final = 8 * 1024
_MOST_PARTS: Final = 32
"""Parts of an event in clear, between blank lines; real ones have about five."""

_DATES: Final = ("Event-Date-GMT", "Event-Date-Local")
_TALK: Final = re.compile(
    r"[+]OK\b|-ERR\b|RECV EVENT|/\w|freeswitch@|(?:[0-9a-f-]{36} )?\d{4}-\d\d-\d\d \d"
)
"""How begins what fs_cli prints besides events: answers, commands, its prompt, the log."""

_NOTHING: Final = "_undef_"
"""What FreeSWITCH writes for a value that is empty."""
_JSON_ENDS: Final = (b"}Content-Length:", b"}Content-Type:", b'}{"Event-Name"')
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_SEEN: Final = re.compile(rb"[^ \t\r\n]")

Event = dict[str, str]
Numbered = tuple[int, Event | Broken | None]
"""(line, the event, or why it cannot be read, or None for what is none: an answer)"""


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines up to a blank one. `ended`: the file did, before; `torn`: within a line."""

    line: int
    start: int
    end: int
    headers: Event
    ended: bool = False
    torn: bool = False
    reason: str = ""

    @property
    def length(self) -> int:
        """Bytes that follow, as far as it says so."""
        return count(self.headers.get(_LENGTH)) or 0

    @property
    def is_frame(self) -> bool:
        """Whether an event or an answer follows."""
        return _TYPE in self.headers or _LENGTH in self.headers

    @property
    def is_in_clear(self) -> bool:
        """Whether its values are not encoded: an encoded date has no blank."""
        return any(" " in self.headers.get(name, "") for name in _DATES)

    @property
    def is_talk(self) -> bool:
        """Whether it is what fs_cli prints besides events."""
        first = next(iter(self.headers), "")
        return _NAME not in self.headers and _TALK.match(first) is not None

    @property
    def announces(self) -> bool:
        """Whether what follows is an event."""
        return self.headers.get(_TYPE, "text/event").startswith("text/event")


def events(data: bytes, is_read: Callable[[str], bool]) -> Iterator[Numbered]:
    """Each event with its line, in the order of the file; with the headers that are read."""
    if data.removeprefix(_BOM).lstrip()[:1] in (b"[", b"{") and b"Content-Type:" not in data:
        for line, body in bodies(data):
            yield line, body if isinstance(body, Broken) else _texts(body, is_read)
    else:
        yield from _Stream(data, is_read).events()


def decoded(values: Mapping[str, str]) -> Event:
    """Values without their URL encoding; beyond 64 KiB of encoded ones, those left are left out."""
    told: Event = {}
    left = _MOST_ENCODED
    for key, value in values.items():
        if "%" not in value:
            told[key] = value
        elif len(value) <= left:
            left -= len(value)
            told[key] = unquote(value)
    return told


class _Stream:
    def __init__(self, data: bytes, is_read: Callable[[str], bool]) -> None:
        self._data = data
        self._is_read = is_read
        self._at = len(_BOM) if data.startswith(_BOM) else 0
        self._line = 1
        self._frame: _Block | None = None

    def events(self) -> Iterator[Numbered]:
        """The events; a frame without one is broken."""
        while self._skip_blank():
            if self._data.startswith(b"{", self._at):
                yield self._json()
                continue
            block = self._block()
            if block.is_frame and _NAME not in block.headers and not block.reason:
                yield from self._framed(block)
            else:
                yield self._plain(block)
        if self._frame is not None:
            yield self._frame.line, Broken(self._frame.line, "a frame without its event")

    def _framed(self, block: _Block) -> Iterator[Numbered]:
        """A frame's own headers: an event follows, or it is an answer."""
        if self._frame is not None:
            yield self._frame.line, Broken(self._frame.line, "a frame without its event")
        self._frame = block if block.announces else None
        self._move(block.end)
        if not block.announces:
            self._skip_blank()
            end = self._at + block.length
            self._move(end if self._is_start(end) else self._at)
            yield block.line, None

    def _plain(self, block: _Block) -> Numbered:
        frame, self._frame = self._frame, None
        length = frame.length if frame else 0
        end = block.start + length if frame else self._end_of_body(block)
        self._move(end if end > block.end and self._is_start(end) else block.end)
        if frame is None and block.is_talk:
            return block.line, None
        torn = block.torn or (frame is None and block.is_in_clear and self._is_torn_on(block))
        cut = torn if frame is None else block.ended and block.end - block.start < length - 2
        reason = block.reason or ("the event is cut off" if cut else "")
        if not reason and _NAME not in block.headers:
            reason = "no Event-Name"
        if reason:
            return block.line, Broken(block.line, reason)
        told = _texts(block.headers, self._is_read)
        return block.line, told if block.is_in_clear else decoded(told)

    def _end_of_body(self, block: _Block) -> int:
        """Where the body of an event without a frame ends; its end if it has none."""
        blank = self._data.find(b"\n", block.end)
        return block.end if not block.length or blank < 0 else blank + 1 + block.length

    def _is_torn_on(self, block: _Block) -> bool:
        """Take what follows blank lines within an event in clear; whether the file ends in it."""
        for _ in range(_MOST_PARTS):
            too_long = self._at - block.start > MAX_EVENT_BYTES
            if too_long or not self._skip_blank() or not self._data.startswith(_GOES_ON, self._at):
                break
            more = self._block()
            for name, value in more.headers.items():
                block.headers.setdefault(name, value)
            self._move(more.end)
            if more.torn or more.reason:
                return True
        return False

    def _json(self) -> Numbered:
        frame, self._frame = self._frame, None
        line, start = self._line, self._at
        end = start + (frame.length if frame else 0)
        if end == start or self._data[end - 1 : end] != b"}" or not self._is_start(end):
            end = self._end_of_json(start)
        found = record(self._data[start:end], line, max_line_bytes=MAX_EVENT_BYTES)
        if end - start > MAX_EVENT_BYTES:
            newline = self._data.find(b"\n", end)
            end = len(self._data) if newline < 0 else newline
        self._move(end)
        return line, found if isinstance(found, Broken) else _texts(found, self._is_read)

    def _end_of_json(self, start: int) -> int:
        most = start + MAX_EVENT_BYTES + 1
        stop = self._data.find(b"\n", start, most)
        stop = min(most, len(self._data)) if stop < 0 else stop
        if self._data[start:stop].rstrip() == b"{":
            # Over several lines: its own brace stands at the beginning of one.
            brace = self._data.find(b"\n}", stop, most)
            return stop if brace < 0 else brace + 2
        ends = (self._data.find(text, start, stop + len(text)) for text in _JSON_ENDS)
        return min([stop, *(at + 1 for at in ends if at >= 0)])

    def _block(self) -> _Block:
        """The lines from here to a blank one, or to where a JSON event begins."""
        headers: Event = {}
        start, line, at = self._at, self._line, self._at
        while at - start <= MAX_EVENT_BYTES and len(headers) <= MAX_HEADERS:
            newline = self._data.find(b"\n", at)
            stop = len(self._data) if newline < 0 else newline
            text = self._data[at : min(stop, at + MAX_EVENT_BYTES)].strip(_BLANK)
            if not text or text.startswith(b"{"):
                ended = newline < 0 and not text
                return _Block(line, start, at, headers, ended, reason=_reason(headers))
            _take(headers, text)
            at = stop + 1
            if newline < 0:
                return _Block(line, start, stop, headers, True, True, _reason(headers))
        blank = self._data.find(b"\n\n", at - 1)
        end = len(self._data) if blank < 0 else blank
        reason = f"an event of over {MAX_EVENT_BYTES // 1024} KiB or {MAX_HEADERS} headers"
        return _Block(line, start, end, headers, reason=reason)

    def _skip_blank(self) -> bool:
        found = _SEEN.search(self._data, self._at)
        self._move(found.start() if found else len(self._data))
        return found is not None

    def _move(self, end: int) -> None:
        self._line += self._data.count(b"\n", self._at, end)
        self._at = end

    def _is_start(self, at: int) -> bool:
        """Whether a frame or an event begins here, after blanks; or nothing follows."""
        if at > len(self._data):
            return False
        rest = self._data[at : at + 64].lstrip()
        return rest.startswith(_STARTS) or (not rest and at + 64 >= len(self._data))


def _take(headers: Event, text: bytes) -> None:
    """Take a line: a header, or one more of the session description before."""
    last = next(reversed(headers), None)
    if last is not None and _OF_SDP.match(text):
        if len(headers[last]) < _LONGEST_SDP:
            headers[last] += "\n" + _text(text)
        return
    key, colon, value = text.partition(b":")
    headers[_text(key)] = _text(value.strip()) if colon else ""


def _reason(headers: Event) -> str:
    wrong = any("\ufffd" in text for pair in headers.items() for text in pair)
    return "not UTF-8" if wrong else ""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _texts(told: Mapping[str, object], is_read: Callable[[str], bool]) -> Event:
    """The headers that are read, as text; those that stand several times are a list in JSON."""
    read = ((key, _value(value)) for key, value in told.items() if is_read(key))
    return {key: text for key, text in read if text is not None and text != _NOTHING}


def _value(value: object) -> str | None:
    if isinstance(value, list):
        texts = [one for one in cast("list[object]", value) if isinstance(one, str)]
        return "ARRAY::" + "|:".join(texts)
    return value if isinstance(value, str) else None
