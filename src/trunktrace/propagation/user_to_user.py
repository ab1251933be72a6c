"""`User-to-User` (RFC 7433) with a traceparent in hexadecimal digits.

Its data are octets as hexadecimal digits, of either case (`encoding=hex`, which is also what an
absent `encoding` means). The first octet may be the protocol discriminator of ISDN. Each header may
hold several values, of several applications.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from trunktrace.propagation.ids import Ids
from trunktrace.propagation.traceparent import parse_traceparent

# Each alternative begins with a character that no other begins with, and none can fail once it has
# begun (a quote may stay open): one pass, no going back.
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[^",;]+|[,;]', re.DOTALL)
_MOST_PIECES: Final = 64
"""Of a value that is looked at: a traceparent with its parameters takes four."""

_DATA: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,256}")


def parse_user_to_user(values: Iterable[str]) -> Ids | None:
    """What the one traceparent among all values says; None if there is none, or several differ."""
    found = {ids for value in set(values) for fields in _split(value) if (ids := _ids(fields))}
    return found.pop() if len(found) == 1 else None


def _split(text: str) -> Iterator[list[str]]:
    """The values of a header, each as its data and its parameters; quotes are respected."""
    fields, field = list[str](), ""
    for found in islice(_PIECE.finditer(text), _MOST_PIECES):
        piece = found[0]
        if piece in {",", ";"}:
            fields.append(field)
            field = ""
            if piece == ",":
                yield fields
                fields = []
        else:
            field += piece
    yield [*fields, field]


def _ids(fields: list[str]) -> Ids | None:
    data, *parameters = (field.strip(" \t") for field in fields)
    encodings = [
        value.strip(' \t"').lower()
        for name, _, value in (parameter.partition("=") for parameter in parameters)
        if name.rstrip(" \t").lower() == "encoding"
    ]
    data = data.strip('"')
    if any(encoding != "hex" for encoding in encodings) or not _DATA.fullmatch(data):
        return None
    text = bytes.fromhex(data).decode("latin-1")
    return parse_traceparent(text) or parse_traceparent(text[1:])
