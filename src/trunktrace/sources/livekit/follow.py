"""Staying with the bridge's log while it grows: each call once it is over.

Memory is bounded by the calls that are open. A log that is rotated (another inode) or emptied
(shorter than what was read) is read on from its new beginning.
"""

from __future__ import annotations

import os
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from trunktrace.facts import Observation
from trunktrace.sources.livekit.sip import SETTLE_S, BridgeLog
from trunktrace.sources.livekit.sip_lines import LogLines
from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.jsonlines import MAX_LINE_BYTES

POLL_S: Final = 0.5
_CHUNK: Final = 64 * 1024

Told = Observation | Broken
Wait = Callable[[float], bool]
"""Waits for so many seconds; False ends the following."""


def follow(path: Path | None, *, wait: Wait | None = None) -> Iterator[Told]:
    """Each call when it is over, and each broken line when it is read.

    `path` is read from its beginning; None is standard input, read until it ends. A file is
    followed until `wait` says no (the default: never), then the open calls come as `partial`.
    Raises OSError if the file is not there when it begins.
    """
    chunks = _of_stdin() if path is None else _of_file(path, wait or _sleep)
    log, lines, reader = BridgeLog(), Lines(), LogLines()
    idle_s = 0.0
    for chunk in chunks:
        if chunk:
            idle_s = 0.0
            yield from _read(log, reader, lines.feed(chunk))
            yield from log.over()
        else:
            idle_s += POLL_S
            if idle_s >= SETTLE_S:
                yield from log.settled()
    yield from _read(log, reader, lines.end())
    yield from log.rest()


def _read(log: BridgeLog, reader: LogLines, lines: Iterator[tuple[int, bytes]]) -> Iterator[Broken]:
    for number, line in lines:
        if not line.strip():
            continue
        found = reader.read(line, number)
        if isinstance(found, Broken):
            yield found
            continue
        reason = log.take(found)
        if reason:
            yield Broken(number, reason)


class Lines:
    """Cuts what comes in pieces into numbered lines; a line that is too long keeps its beginning.

    What is kept of such a line is one byte more than may be, so that its reader refuses it.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines that this piece ends."""
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._number += 1
            yield self._number, self._joined(line)
            self._rest = b""
        self._rest = self._joined(rest)

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The last line, if it has no end."""
        if self._rest:
            yield self._number + 1, self._rest
            self._rest = b""

    def _joined(self, piece: bytes) -> bytes:
        return (self._rest + piece)[: MAX_LINE_BYTES + 1]


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def _of_stdin() -> Iterator[bytes]:
    """Pieces of standard input; an empty one after each pause. Ends with the input."""
    stream = sys.stdin.buffer
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(stream, selectors.EVENT_READ)
        except (OSError, ValueError):
            # A plain file, or a system that selects sockets only: it can be read at once.
            while chunk := os.read(stream.fileno(), _CHUNK):
                yield chunk
            return
        while True:
            if not selector.select(POLL_S):
                yield b""
            elif chunk := os.read(stream.fileno(), _CHUNK):
                yield chunk
            else:
                return


def _of_file(path: Path, wait: Wait) -> Iterator[bytes]:
    """Pieces of a file; an empty one after each pause."""
    stream: BinaryIO = path.open("rb")
    try:
        while True:
            while chunk := stream.read(_CHUNK):
                yield chunk
            if (newer := _replaced(path, stream)) is not None:
                stream.close()
                stream = newer
                # What was cut off at the rotation ends there.
                yield b"\n"
                continue
            yield b""
            if not wait(POLL_S):
                return
    finally:
        stream.close()


def _replaced(path: Path, stream: BinaryIO) -> BinaryIO | None:
    """The file that now stands in the place of the one that is read; None if it is the same."""
    try:
        now, then = path.stat(), os.fstat(stream.fileno())
        same = (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev)
        if same and now.st_size >= stream.tell():
            return None
        return path.open("rb")
    except OSError:
        return None  # between two files: it comes
