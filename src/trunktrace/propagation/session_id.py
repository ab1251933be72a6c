"""`Session-ID` (RFC 7989): the UUIDs that both ends gave to a call.

`ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000`: first the half of
whoever sent the message, then the other's. Zeros are the nil UUID: the other end is not known yet.
Without `remote` it is the older form of RFC 7329.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import format_trace_id

from trunktrace.propagation.ids import hex_id

_NIL: Final = "0" * 32
_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class SessionId:
    """Both halves as numbers; None where a half is nil, absent or no UUID. One of them is set."""

    local: int | None
    remote: int | None


def parse_session_id(text: str) -> SessionId | None:
    """The halves of a Session-ID; None for what has neither, and for one with two `remote`."""
    first, *parameters = text.split(";")
    found = [
        value.strip(" \t")
        for name, equals, value in (each.partition("=") for each in parameters)
        if equals and name.strip(" \t").lower() == "remote"
    ]
    if len(found) > 1:
        return None
    local = hex_id(first.strip(" \t"), _DIGITS)
    remote = hex_id(found[0], _DIGITS) if found else None
    return None if local is None and remote is None else SessionId(local, remote)


def format_session_id(trace_id: int) -> str:
    """The header of a first request, with the trace id as our half."""
    return f"{format_trace_id(trace_id)};remote={_NIL}"


def is_uuid4(trace_id: int) -> bool:
    """Whether a trace id is a UUID of version 4 as well, as RFC 7989 section 4.1 asks."""
    return uuid.UUID(int=trace_id).version == 4  # None where the variant is another
