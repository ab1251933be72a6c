"""Bencode, as the `ng` protocol of rtpengine writes it: integers, strings, lists, dictionaries.

Why our own: forty lines, with bounds on depth, size and parts that no library has. Dictionaries
keep the order that was sent: where nothing else tells the ends, the first is the caller.
"""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_PARTS: Final = 6000
"""Values that a message may hold; real ones have some hundred."""

_LONGEST_NUMBER: Final = 19
_END: Final = ord("e")

Bencoded = int | str | list["Bencoded"] | dict[str, "Bencoded"]


class BencodeError(ValueError):
    """What cannot be read; the text says where, and quotes nothing."""


def decoded(data: bytes, at: int = 0) -> tuple[Bencoded, int]:
    """The value that begins at a byte, and where it ends. Raises BencodeError.

    Strings are text: what is not UTF-8 in them is replaced.
    """
    reader = _Reader(data[at : at + MAX_BYTES])
    return reader.value(0), at + reader.at


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._parts = 0

    def value(self, depth: int) -> Bencoded:
        """The value here; afterwards `at` is behind it."""
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > MAX_PARTS:
            raise BencodeError("bencode is nested too deeply, or has too many parts")
        kind = self._data[self.at : self.at + 1]
        if kind in (b"i", b"l", b"d"):
            self.at += 1
            if kind == b"i":
                return self._number(b"e")
            return self._list(depth) if kind == b"l" else self._dict(depth)
        return self._text()

    def _list(self, depth: int) -> list[Bencoded]:
        members: list[Bencoded] = []
        while not self._ends():
            members.append(self.value(depth + 1))
        return members

    def _dict(self, depth: int) -> dict[str, Bencoded]:
        members: dict[str, Bencoded] = {}
        while not self._ends():
            key = self._text()
            members[key] = self.value(depth + 1)
        return members

    def _ends(self) -> bool:
        if self.at >= len(self._data):
            raise BencodeError("bencode ends too early")
        if self._data[self.at] != _END:
            return False
        self.at += 1
        return True

    def _number(self, end: bytes) -> int:
        stop = self._data.find(end, self.at, self.at + _LONGEST_NUMBER + 2)
        digits = self._data[self.at : stop] if stop >= 0 else b""
        if not digits.removeprefix(b"-").isdigit():
            raise BencodeError(f"no bencode at byte {self.at}")
        self.at = stop + 1
        return int(digits)

    def _text(self) -> str:
        if not self._data[self.at : self.at + 1].isdigit():
            raise BencodeError(f"no bencode at byte {self.at}")
        length = self._number(b":")
        start, self.at = self.at, self.at + length
        if self.at > len(self._data):
            raise BencodeError("bencode ends too early")
        return self._data[start : self.at].decode("utf-8", "replace")
