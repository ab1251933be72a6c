"""Lines of a log that stand in JSON: a container's log, a journal's export, a JSON log engine."""

from __future__ import annotations

from typing import Final

from trunktrace.sources.shapes.jsonlines import MAX_LINE_BYTES, Record, object_in, record, text_in

SHIPPED: Final = ("log", "message", "MESSAGE", "line")
"""Under which name a shipper's object has a program's line: docker, journald, Loki's export."""

_TEXTS: Final = ("log", "message", "MESSAGE", "msg", "line")
"""The same, and what a program calls its own text (Kamailio: `log_engine_type="json"`)."""


def is_wrapped(data: bytes) -> bool:
    """Whether a file is a log of JSON lines, by its first one: an object with a text in it."""
    first = data.lstrip().split(b"\n", 1)[0]
    if not first.startswith(b"{") or len(first) > MAX_LINE_BYTES:
        return False
    told = record(first.rstrip())
    return isinstance(told, dict) and text_of(told) is not None


def unwrapped(line: str) -> str:
    """The line that a JSON object holds; the line itself where it is no such object."""
    text = line.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return line
    told = record(text.encode("utf-8", "replace"))
    return (text_of(told) if isinstance(told, dict) else None) or line


def text_of(told: Record) -> str | None:
    """The text of a log record that is an object; None where it has none.

    Before it stands the function that wrote it, as in Kamailio's bare lines (`log_write_cdr(): `).
    """
    found = next((text for name in _TEXTS if (text := text_in(told, name))), None)
    if found is None:
        return None
    function = text_in(told, "function") or text_in(object_in(told, "native"), "function")
    return (f"{function}(): " if function else "") + found.rstrip("\r\n")
