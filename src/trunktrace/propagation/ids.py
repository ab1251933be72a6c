"""Trace and span ids in hexadecimal digits, and what a header said of both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_HEX: Final = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True, slots=True)
class Ids:
    """What one header says: `span_id` and `sampled` are None where it does not say them."""

    trace_id: int
    span_id: int | None = None
    sampled: bool | None = None


def hex_id(text: str | None, *lengths: int) -> int | None:
    """The number in `text` if it is exactly that many hexadecimal digits, of either case.

    None for anything else, and for an id of zeros: that is the id that says "none".
    """
    if text is None or len(text) not in lengths or not _HEX.fullmatch(text):
        return None
    return int(text, 16) or None
