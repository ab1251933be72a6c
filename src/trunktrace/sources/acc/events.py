"""Events of OpenSIPS as text: what its datagram and AMQP transports sent before version 3.

An event is its name on a line of its own, and then `name::value` lines: `E_ACC_CDR`,
`method::INVITE`, ... A value may stand in quotes. Source: OpenSIPS's page of `event_datagram`
(1.8 to 2.4), "DATAGRAM events syntax".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.jsonlines import Record
from trunktrace.sources.shapes.lines import text_lines

_HEAD: Final = 8192
_NAME_LINE: Final = re.compile(rb"^E_[A-Z][A-Z0-9_]{1,62}\r?$", re.MULTILINE)
_NAME: Final = re.compile(r"E_[A-Z][A-Z0-9_]{1,62}")
_ARGUMENT: Final = re.compile(r"([A-Za-z_][\w.-]{0,63})::(.*)", re.ASCII)
_MOST_ARGUMENTS: Final = 1024


def is_text(data: bytes) -> bool:
    """Whether a file holds events as text, by its beginning."""
    return _NAME_LINE.search(data[:_HEAD].removeprefix(b"\xef\xbb\xbf")) is not None


def of_text(data: bytes) -> Iterator[tuple[int, Record | Broken | None]]:
    """Each event with its line, as JSON would have it: its name under `event`.

    What stands between events (the headings of a packet sniffer) is None; of an argument that
    stands twice the first counts.
    """
    begun, event = 0, Record()
    for number, line in text_lines(data):
        text = line if isinstance(line, Broken) else line.strip()
        if not isinstance(text, Broken) and _NAME.fullmatch(text):
            if event:
                yield begun, event
            begun, event = number, Record(event=text)
            continue
        argument = None if isinstance(text, Broken) or not event else _ARGUMENT.fullmatch(text)
        if argument is not None:
            if len(event) <= _MOST_ARGUMENTS:
                event.setdefault(argument[1], _unquoted(argument[2]))
            continue
        if event:
            yield begun, event
        event = Record()
        if isinstance(text, Broken):
            yield number, text
        elif text:
            yield number, None
    if event:
        yield begun, event


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value
