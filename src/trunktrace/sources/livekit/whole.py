"""Records of a file that has them over several lines: a body as somebody saved it, or a list."""

from __future__ import annotations

import json
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import records

_MOST: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


def one_a_line(data: bytes) -> bytes:
    """The same records one a line; the file as it is where its first line holds a record.

    Each stands on the line on which it began, if none before it does. The file stays as it is
    where any part of it cannot be read, or where it holds no record at all (`[]`): it is told line
    by line what is broken; and where it is of more than 1 MiB, which nobody has saved by hand.
    """
    start = data[:256].removeprefix(_BOM).lstrip()
    if len(data) > _MOST or not start.startswith((b"{", b"[")):
        return data
    first = next(records(data), None)
    if first is None or not isinstance(first[1], Broken):
        return data
    lines: list[bytes] = []
    try:
        for line, body in bodies(data):
            if isinstance(body, Broken):
                return data
            lines += [b""] * (line - 1 - len(lines))
            lines.append(json.dumps(body).encode())
    except RecursionError:  # read at the very limit of what can be nested
        return data
    return b"\n".join(lines) if lines else data
