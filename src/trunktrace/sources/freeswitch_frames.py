"""The stream of FreeSWITCH's event socket, taken apart into events.

A frame is a few headers (`Content-Length`, `Content-Type`), a blank line, and an event: `Key:
value` lines with URL-encoded values up to a blank line (`text/event-plain`), or one JSON object
without a line end behind it (`text/event-json`). Frames may be missing (events alone, one after
the other), line ends may be CRLF, and a length is a hint: where it does not fit, the text decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from trunktrace.sources.bodies import bodies
from trunktrace.sources.jsonlines import record
from trunktrace.sources.parsed import Broken
from trunktrace.sources.values import count

MAX_EVENT_BYTES: Final = 256 * 1024
MAX_HEADERS: Final = 2048
_LONGEST_VALUE: Final = 16 * 1024
_NAME: Final = "Event-Name"
_LENGTH: Final = "Content-Length"
_TYPE: Final = "Content-Type"
_STARTS: Final = (b"Content-Length:", b"Content-Type:", b"Event-Name:", b"{")
_JSON_ENDS: Final = (b"}Content-Length:", b"}Content-Type:", b'}{"Event-Name"')
_BOM: Final = b"\xef\xbb\xbf"

Event = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Block:
    """Headers up to a blank line: where they begin and end, and whether the file ended first."""

    start: int
    end: int
    headers: Event
    cut: bool
    reason: str = ""


def events(data: bytes) -> Iterator[tuple[int, Event | Broken | None]]:
    """Each event with its line; None for a frame that is none (an answer to a command)."""
    if data.removeprefix(_BOM).lstrip()[:1] == b"[":
        yield from _listed(data)
    else:
        yield from _Stream(data).events()


def _listed(data: bytes) -> Iterator[tuple[int, Event | Broken | None]]:
    for line, body in bodies(data):
        yield line, body if isinstance(body, Broken) else _texts(body)


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(_BOM) if data.startswith(_BOM) else 0
        self._line = 1

    def events(self) -> Iterator[tuple[int, Event | Broken | None]]:
        frame: _Block | None = None
        while self._skip_blank():
            line = self._line
            if self._data.startswith(b"{", self._at):
                yield line, self._json(frame)
                frame = None
                continue
            block = self._headers()
            if block.reason:
                self._move(block.end)
                yield line, Broken(line, block.reason)
                frame = None
            elif _NAME in block.headers:
                yield line, self._plain(block, frame)
                frame = None
            elif frame is None and block.headers.get(_TYPE, "text/event").startswith("text/event"):
                self._move(block.end)
                frame = block
            else:
                self._pass(block)
                yield line, Broken(line, "no event: a frame without one") if frame else None
                frame = None
        if frame is not None:
            yield self._line, Broken(self._line, "the last event is cut off")

    def _skip_blank(self) -> bool:
        end = self._at
        while end < len(self._data) and self._data[end] in b"\r\n\t ":
            end += 1
        self._move(end)
        return self._at < len(self._data)

    def _move(self, end: int) -> None:
        self._line += self._data.count(b"\n", self._at, end)
        self._at = end

    def _headers(self) -> _Block:
        """The lines from here to a blank one, or to where a JSON event begins."""
        headers: Event = {}
        at = self._at
        for _ in range(MAX_HEADERS):
            end = self._data.find(b"\n", at)
            stop = len(self._data) if end < 0 else end
            line = self._data[at : min(stop, at + MAX_EVENT_BYTES)].rstrip(b"\r")
            if not line or line.startswith(b"{"):
                return _Block(
                    self._at, at, headers, cut=False, reason=_reason(headers, at, self._at)
                )
            key, colon, value = line.partition(b":")
            if not colon and not headers:
                return _Block(self._at, stop, headers, cut=end < 0, reason="no event")
            if colon:
                headers[key.decode("utf-8", "replace")] = value.strip().decode("utf-8", "replace")
            at = stop + 1
            if end < 0:
                return _Block(
                    self._at, stop, headers, cut=bool(line), reason=_reason(headers, stop, self._at)
                )
        rest = self._data.find(b"\n\n", at)
        return _Block(
            self._at,
            len(self._data) if rest < 0 else rest,
            headers,
            cut=False,
            reason="an event of too many headers",
        )

    def _plain(self, block: _Block, frame: _Block | None) -> Event | Broken:
        line = self._line
        length = _length(frame)
        if block.cut and (length is None or block.end - block.start < length - 2):
            self._move(block.end)
            return Broken(line, "the last event is cut off")
        end = block.start + (length or 0)
        self._move(end if end > block.end and self._is_start(end) else block.end)
        return {
            key: unquote(value[:_LONGEST_VALUE]) if "%" in value else value
            for key, value in block.headers.items()
        }

    def _json(self, frame: _Block | None) -> Event | Broken:
        line, start = self._line, self._at
        length = _length(frame)
        end = start + length if length else 0
        if not (length and self._data[end - 1 : end] == b"}" and self._is_start(end)):
            end = self._end_of_json(start)
        found = record(self._data[start:end], line, max_line_bytes=MAX_EVENT_BYTES)
        self._move(end)
        return found if isinstance(found, Broken) else _texts(found)

    def _end_of_json(self, start: int) -> int:
        stop = self._data.find(b"\n", start)
        stop = len(self._data) if stop < 0 else stop
        ends = [
            at + 1 for text in _JSON_ENDS if (at := self._data.find(text, start, stop + 64)) >= 0
        ]
        return min([stop, *ends])

    def _pass(self, block: _Block) -> None:
        """Past a frame that is no event, and past its body."""
        after = block.end + len(self._data[block.end : block.end + 2].split(b"\n")[0]) + 1
        end = after + (_length(block) or 0)
        self._move(end if end <= len(self._data) and self._is_start(end) else block.end)

    def _is_start(self, at: int) -> bool:
        """Whether a frame or an event begins here, after blanks; or nothing follows."""
        if at > len(self._data):
            return False
        rest = self._data[at : at + 64].lstrip()
        return not rest or rest.startswith(_STARTS)


def _reason(headers: Event, end: int, start: int) -> str:
    if end - start > MAX_EVENT_BYTES:
        return f"the event is longer than {MAX_EVENT_BYTES // 1024} KiB"
    if any("\ufffd" in value for value in headers.values()):
        return "not UTF-8"
    return "" if headers else "no event"


def _length(block: _Block | None) -> int | None:
    return None if block is None else count(block.headers.get(_LENGTH))


def _texts(told: dict[str, object]) -> Event:
    return {key: value for key, value in told.items() if isinstance(value, str)}
