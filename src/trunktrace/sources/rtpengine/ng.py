"""The control messages of rtpengine (`ng`): bencode or JSON, with or without their cookie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from trunktrace.sources.parsed import Broken
from trunktrace.sources.rtpengine.bencode import MAX_BYTES, BencodeError, decoded
from trunktrace.sources.rtpengine.call import MediaCall, take_statistics
from trunktrace.sources.shapes.jsonlines import Record, list_in, record, text_in, time_in

_MAX_CALLS: Final = 100_000
_COOKIE: Final = re.compile(rb"[^\s{]{1,128} (?=[d{])")
_BEGINNING: Final = re.compile(rb"(?:[^\s{]{1,128} )?d\d{1,6}:")
_OFFERS: Final = frozenset({"offer", "publish", "subscribe request"})
_STATISTICS: Final = frozenset({"query", "delete"})


def is_bencoded(data: bytes) -> bool:
    """Whether a file begins with a message in bencode."""
    return _BEGINNING.match(data.lstrip()) is not None


def messages(data: bytes) -> Iterator[tuple[int, Record | Broken]]:
    """Each message of a file in bencode, with its line.

    After a broken one comes the next that begins on a line of its own.
    """
    at = line = 0
    while at < len(data):
        if data[at : at + 1].isspace():
            line += data[at] == ord("\n")
            at += 1
            continue
        cookie = _COOKIE.match(data, at)
        begins = cookie.end() if cookie else at
        try:
            value, end = decoded(data, begins)
        except BencodeError as error:
            yield line + 1, Broken(line + 1, str(error))
            end = _next_beginning(data, at)
        else:
            is_message = isinstance(value, dict)
            told = cast("Record", value) if is_message else Broken(line + 1, "no dictionary")
            yield line + 1, told
        line += data.count(b"\n", at, end)
        at = end


def _next_beginning(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    while end >= 0:
        if _BEGINNING.match(data, end + 1):
            return end + 1
        end = data.find(b"\n", end + 1)
    return len(data)


def _message_of(raw: str, line: int) -> tuple[str, Record | Broken]:
    """The cookie of a message as it went over the wire, and what it holds."""
    data = raw.encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        return "", Broken(line, "the message is too long")
    found = _COOKIE.match(data)
    cookie = found[0].decode("utf-8", "replace").strip() if found else ""
    body = data[found.end() :] if found else data
    if body.startswith(b"{"):
        return cookie, record(body, line)
    try:
        value, _ = decoded(body)
    except BencodeError as error:
        return cookie, Broken(line, str(error))
    if not isinstance(value, dict):
        return cookie, Broken(line, "no dictionary")
    return cookie, cast("Record", value)


@dataclass(slots=True)
class Dialogue:
    """The requests and replies of one control channel, told apart into calls."""

    calls: dict[str, MediaCall] = field(default_factory=dict[str, MediaCall])
    lone: list[MediaCall] = field(default_factory=list[MediaCall])
    _asked: dict[str, tuple[str, MediaCall]] = field(
        default_factory=dict[str, tuple[str, MediaCall]]
    )

    def take(self, told: Record, *, cookie: str = "", at: float | None = None) -> str | None:
        """Why the message cannot be read; empty if it was, None if it says nothing of a call."""
        command = text_in(told, "command")
        if command is not None:
            return self._request(command, told, cookie, at)
        if text_in(told, "result") is None and "tags" not in told:
            return "neither a command nor a result"
        asked, call = self._asked.pop(cookie, ("", None)) if cookie else ("", None)
        if asked and asked not in _STATISTICS:
            return None
        if not told.get("tags"):
            return None  # an error (`Unknown call-id`), a pong
        return self._statistics(told, asked, call, at)

    def _request(self, command: str, told: Record, cookie: str, at: float | None) -> str | None:
        call_id = text_in(told, "call-id")
        if call_id is None:
            return None if command in ("ping", "statistics", "list") else "no Call-ID"
        if call_id not in self.calls and len(self.calls) >= _MAX_CALLS:
            return None
        call = self.calls.setdefault(call_id, MediaCall(call_id, is_over=False))
        call.record_count += 1
        if cookie:
            self._asked[cookie] = (command, call)
        if command == "delete":
            call.deleted_by = text_in(told, "from-tag")
        elif command in _OFFERS or command == "answer":
            _take_description(call, told, answer=command == "answer")
            if call.created is None:
                call.created = at
        return ""

    def _statistics(
        self, told: Record, asked: str, call: MediaCall | None, at: float | None
    ) -> str | None:
        if call is None:
            call = MediaCall()
            self.lone.append(call)
        if not take_statistics(call, told):
            return "no statistics under `tags`"
        call.record_count += 1
        if asked == "delete":
            call.is_over = True
            call.ended = at or call.ended
        return ""

    def all(self) -> Iterator[MediaCall]:
        """Every call, in the order in which it appeared.

        Of answers without a Call-ID that tell of one call twice, the last counts.
        """
        yield from self.calls.values()
        told: dict[tuple[float | None, tuple[str, ...]], MediaCall] = {}
        for call in self.lone:
            known = told.get(_key(call))
            call.record_count += known.record_count if known is not None else 0
            told[_key(call)] = call
        yield from told.values()


def _key(call: MediaCall) -> tuple[float | None, tuple[str, ...]]:
    return call.created, tuple(sorted(call.sides))


def _take_description(call: MediaCall, told: Record, *, answer: bool) -> None:
    """An offer or answer: whose SDP it is, and where its SIP message came from.

    A re-INVITE of the callee offers too; who offered first is the caller.
    """
    tag = text_in(told, "to-tag" if answer else "from-tag")
    if tag is None:
        return
    side = call.side(tag)
    if not answer and call.offered_by is None:
        call.offered_by = tag
    side.label = side.label or text_in(told, "label")
    side.sdp = side.sdp or text_in(told, "sdp")
    received = [one for one in list_in(told, "received-from") if isinstance(one, str)]
    side.signalled_from = side.signalled_from or (received[-1] if received else None)


def take_line(dialogue: Dialogue, line: Record, number: int) -> str | None:
    """A line of `ng.jsonl`: `t`, `dir` and the message under `raw`."""
    raw = text_in(line, "raw")
    if raw is None:
        return "no message under `raw`"
    cookie, told = _message_of(raw, number)
    if isinstance(told, Broken):
        return told.reason
    return dialogue.take(told, cookie=cookie, at=time_in(line, "t"))
