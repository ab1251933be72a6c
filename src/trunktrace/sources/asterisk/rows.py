"""Call detail records as Asterisk's writers lay them out: what stands under which name.

Names are those of cdr_csv.c. A header line names the columns; without one the place of the
disposition tells the layout: cdr_csv's, that of cdr_custom.conf.sample, or the table's of cdr_mysql
and FreePBX. JSON objects name everything by themselves.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record, list_in
from trunktrace.sources.shapes.lines import text_lines

MAX_ROW_BYTES: Final = 64 * 1024

DISPOSITIONS: Final = frozenset(
    {"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION", "UNKNOWN"}
)

Cells = dict[str, str]

_TO_CHANNELS: Final = ["channel", "dstchannel", "lastapp", "lastdata"]
_TIMES: Final = ["start", "answer", "end"]
_LASTED: Final = ["duration", "billsec", "disposition", "amaflags"]
_BASE: Final = [
    *("accountcode", "src", "dst", "dcontext", "clid"),
    *(*_TO_CHANNELS, *_TIMES, *_LASTED),
]
_NEW: Final = ["peeraccount", "linkedid", "sequence"]
_CUSTOM: Final = [
    *("clid", "src", "dst", "dcontext", *_TO_CHANNELS, *_TIMES, *_LASTED),
    *("accountcode", "uniqueid", "userfield", "sequence"),
]
_TABLE: Final = [
    *("start", "clid", "src", "dst", "dcontext", *_TO_CHANNELS, *_LASTED),
    *("accountcode", "uniqueid", "userfield"),
]
_OF_FREEPBX: Final = [
    *(*_TABLE, "did", "recordingfile", "cnum", "cnam", "outbound_cnum", "outbound_cnam"),
    *("dst_cnam", "linkedid", "peeraccount", "sequence"),
]
_LEAST_CUSTOM: Final = 18
_MOST_CUSTOM: Final = 64

_HEADER: Final = frozenset({"channel", "dstchannel", "disposition"})
_ENDS: Final = ("disposition", "status")
_DELIMITERS: Final = (",", ";", "\t")
_ALIASES: Final = {
    **dict.fromkeys(("calldate", "call date", "date", "starttime", "start_time"), "start"),
    **dict.fromkeys(("answerdate", "answertime", "answer_time"), "answer"),
    **dict.fromkeys(("hangupdate", "endtime", "end_time"), "end"),
    **dict.fromkeys(("source", "calleridnum"), "src"),
    **dict.fromkeys(("destination",), "dst"),
    **dict.fromkeys(("callerid",), "clid"),
    **dict.fromkeys(("src. channel", "src_channel", "source channel"), "channel"),
    **dict.fromkeys(
        ("destinationchannel", "dst. channel", "dst_channel", "destination channel"), "dstchannel"
    ),
    **dict.fromkeys(("lastapplication",), "lastapp"),
    **dict.fromkeys(("status",), "disposition"),
    **dict.fromkeys(("durationsec",), "duration"),
    **dict.fromkeys(("billableseconds", "billsecs"), "billsec"),
    **dict.fromkeys(("unique id", "unique_id"), "uniqueid"),
    **dict.fromkeys(("linked_id",), "linkedid"),
    **dict.fromkeys(("user field",), "userfield"),
}
"""What exports, cdr_beanstalkd and the manager's `Cdr` event call the same."""

_UNIQUE: Final = re.compile(r"(?:[\w.-]{1,64}-)?\d{9,11}\.\d{1,10}")
_OBJECT: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*[\"}]")
_MOST_LISTS: Final = 16


def rows(data: bytes) -> Iterator[tuple[int, Cells | Broken | None]]:
    """Each record with its line, or why it is none; None for a line that names the columns."""
    objects = list(_objects(data)) if _OBJECT.match(data) else []
    if any(isinstance(told, dict) for _, told in objects):
        yield from objects
        return
    header: list[str] | None = None
    delimiter = ","
    for number, line in text_lines(data, max_line_bytes=MAX_ROW_BYTES):
        if isinstance(line, Broken):
            yield number, line
            continue
        if not line.strip():
            continue
        if header is None and (found := _header_of(line)) is not None:
            header, delimiter = found
            yield number, None
            continue
        yield number, _named(line, number, header, delimiter)


def disposition_of(cells: Cells) -> str | None:
    """How the call ended, in capitals; None for no disposition."""
    told = cells.get("disposition", "").strip().upper()
    told = "NO ANSWER" if told == "NOANSWER" else told
    return told if told in DISPOSITIONS else None


def _named(line: str, number: int, header: Sequence[str] | None, delimiter: str) -> Cells | Broken:
    cells = _cells(line, delimiter)
    if cells is None:
        return Broken(number, "no CSV")
    columns = header or _columns(cells)
    if columns is None or len(columns) != len(cells):
        return Broken(number, "not the columns of a call detail record")
    return dict(zip(columns, cells, strict=True))


def _cells(line: str, delimiter: str) -> list[str] | None:
    # `""Bob" <100>"`: a custom row of before there was CSV_QUOTE. A cut row has a quote left.
    for strict in (True, False) if line.count('"') % 2 == 0 else (True,):
        try:
            found = list(csv.reader([line], strict=strict, delimiter=delimiter))
        except csv.Error:
            continue
        return found[0] if len(found) == 1 else None
    return None


def _header_of(line: str) -> tuple[list[str], str] | None:
    """The names of the columns, and what stands between them; None for a record."""
    lowered = line.lower()
    if "channel" not in lowered or not any(word in lowered for word in _ENDS):
        return None
    for delimiter in _DELIMITERS:
        names = _names([cell.strip().lower() for cell in _cells(line, delimiter) or ()])
        if set(names) >= _HEADER:
            return names, delimiter
    return None


def _names(told: Sequence[str]) -> list[str]:
    """The names of cdr_csv; another name for one that stands there itself remains as it is."""
    known = set(told)
    named: list[str] = []
    for name in told:
        own = _ALIASES.get(name, name)
        named.append(name if own != name and (own in known or own in named) else own)
    return named


def _columns(cells: Sequence[str]) -> list[str] | None:
    """The names of the columns of a row without a header; None for no layout that is known."""
    size = len(cells)
    if _is_layout(cells, _BASE):
        return _columns_of_csv(cells)
    if _is_layout(cells, _CUSTOM) and _LEAST_CUSTOM <= size <= _MOST_CUSTOM:
        more = [f"more {index}" for index in range(size - len(_CUSTOM))]
        return [*_CUSTOM, *more][:size]
    if _is_layout(cells, _TABLE) and size in (len(_TABLE), len(_OF_FREEPBX)):
        return _OF_FREEPBX[:size]
    return _columns_of_csv(cells)


def _is_layout(cells: Sequence[str], columns: Sequence[str]) -> bool:
    at = columns.index("disposition")
    return len(cells) > at and disposition_of({"disposition": cells[at]}) is not None


def _columns_of_csv(cells: Sequence[str]) -> list[str] | None:
    extra = len(cells) - len(_BASE)
    if extra in (1, 4):
        one = "uniqueid" if _UNIQUE.fullmatch(cells[len(_BASE)]) else "userfield"
        return [*_BASE, one, *(_NEW if extra == 4 else [])]
    if extra == 3 and _UNIQUE.fullmatch(cells[-3]) and not _UNIQUE.fullmatch(cells[-2]):
        return [*_BASE, "uniqueid", "userfield", "more 0"]
    known = {
        0: _BASE,
        2: [*_BASE, "uniqueid", "userfield"],
        3: [*_BASE, *_NEW],
        5: [*_BASE, "uniqueid", "userfield", *_NEW],
    }
    return known.get(extra)


def _objects(data: bytes) -> Iterator[tuple[int, Cells | Broken | None]]:
    for number, body in bodies(data):
        if isinstance(body, Broken):
            yield number, body
            continue
        for record in _records(body):
            cells = _cells_of(record)
            is_row = not _HEADER.isdisjoint(cells)
            yield number, cells if is_row else Broken(number, "no call detail record")


def _records(body: Record) -> list[Record]:
    """The records in an answer such as `{"data": [{...}, ...]}`; else the body itself."""
    for key in list(body)[:_MOST_LISTS]:
        found = [cast("Record", one) for one in list_in(body, key) if isinstance(one, dict)]
        if found:
            return found
    return [body]


def _cells_of(record: Record) -> Cells:
    names = _names([key.strip().lower() for key in record])
    told = zip(names, record.values(), strict=True)
    return {name: _text(value) for name, value in told}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
