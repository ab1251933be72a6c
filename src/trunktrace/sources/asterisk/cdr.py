"""Call detail records of Asterisk (`Master.csv` of cdr_csv): two legs of each call.

Columns are those of cdr_csv.c: 16, then `uniqueid` (loguniqueid), `userfield` (loguserfield) and
`peeraccount, linkedid, sequence` (newcdrcolumns) as switched on; or those of a header line. Times
are whole seconds in the zone of the PBX, UTC with `usegmtime`. There is no SIP code in them but
that a call was answered.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sources.asterisk.leg import OUTCOMES
from trunktrace.sources.asterisk.media import Times, say_quality
from trunktrace.sources.asterisk.names import (
    ChannelName,
    channel_name,
    created_at,
    number_of,
    unique_id,
)
from trunktrace.sources.asterisk.quality import Quality, quality_of, string_of
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT, Ends
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.lines import text_lines
from trunktrace.sources.shapes.values import count, iso_time

NAME: Final = "asterisk-cdr"

MAX_ROW_BYTES: Final = 64 * 1024

_BASE: Final = [
    *("accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp"),
    *("lastdata", "start", "answer", "end", "duration", "billsec", "disposition", "amaflags"),
]
_NEW: Final = ["peeraccount", "linkedid", "sequence"]
_HEADER: Final = frozenset({"channel", "dstchannel", "disposition"})
_ALIASES: Final = {"calldate": "start", "answerdate": "answer", "hangupdate": "end"}
_UNIQUE: Final = re.compile(r"(?:[\w.-]{1,64}-)?\d{9,11}\.\d{1,10}")
_DISPOSITIONS: Final = frozenset(
    {"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION", "UNKNOWN"}
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One record: what it says, believed."""

    cells: dict[str, str]
    channel: ChannelName | None
    dialed: ChannelName | None
    start: float
    answer: float | None
    end: float | None
    disposition: str

    @property
    def answered(self) -> bool:
        return self.disposition == "ANSWERED"

    @property
    def unique(self) -> str:
        return unique_id(self.cells.get("uniqueid")) or ""


@dataclass(slots=True)
class _Call:
    """The records of one call: of a `Dial` that failed there are two."""

    rows: list[_Row] = field(default_factory=list[_Row])

    def dialed(self) -> list[_Row]:
        """The records with a callee that is a leg of its own."""
        return [row for row in self.rows if row.dialed is not None]

    def main(self) -> _Row:
        """The record that speaks for the caller's leg: an answered one, or the first `Dial`."""
        dialed = self.dialed() or self.rows
        return next((row for row in dialed if row.answered), dialed[-1])


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The caller's leg of each call, and a leg for each channel that was dialled for it."""
    calls: dict[str, _Call] = {}
    broken: list[Broken] = []
    ignored = 0
    header: list[str] | None = None
    for number, line in text_lines(data, max_line_bytes=MAX_ROW_BYTES):
        if isinstance(line, Broken):
            broken.append(line)
            continue
        if not line.strip():
            continue
        cells = _cells(line)
        if header is None and cells is not None and (found := _header_of(cells)) is not None:
            header = found
            ignored += 1
            continue
        row = _row(cells, header, reading)
        if isinstance(row, str):
            broken.append(Broken(number, row))
        elif row.channel is None and row.dialed is None:
            ignored += 1
        else:
            calls.setdefault(_key(row), _Call()).rows.append(row)
    told = [one for call in calls.values() for one in _observations(call, reading)]
    return Parsed(tuple(told), tuple(broken), ignored)


def _cells(line: str) -> list[str] | None:
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _header_of(cells: Sequence[str]) -> list[str] | None:
    names = [cell.strip().lower() for cell in cells]
    return [_ALIASES.get(name, name) for name in names] if set(names) >= _HEADER else None


def _columns(cells: Sequence[str]) -> list[str] | None:
    """The names of the columns of a row, by how many it has; None for none of cdr_csv's."""
    extra = len(cells) - len(_BASE)
    if extra in (1, 4):
        one = "uniqueid" if _UNIQUE.fullmatch(cells[len(_BASE)]) else "userfield"
        return [*_BASE, one, *(_NEW if extra == 4 else [])]
    known = {
        0: _BASE,
        2: [*_BASE, "uniqueid", "userfield"],
        3: [*_BASE, *_NEW],
        5: [*_BASE, "uniqueid", "userfield", *_NEW],
    }
    return known.get(extra)


def _row(cells: Sequence[str] | None, header: list[str] | None, reading: Reading) -> _Row | str:
    """A record, or why it is none."""
    if cells is None:
        return "no CSV"
    columns = header or _columns(cells)
    if columns is None or len(columns) != len(cells):
        return "not the columns of a call detail record"
    told = dict(zip(columns, cells, strict=True))
    created = created_at(unique_id(told.get("uniqueid")) or "")
    start = iso_time(told.get("start"), reading.zone, after=created)
    if start is None:
        return "no time under `start`"
    disposition = told.get("disposition", "").strip().upper()
    if disposition not in _DISPOSITIONS:
        return "no disposition"
    if not told.get("channel"):
        return "no name of a channel"
    answer = iso_time(told.get("answer"), reading.zone, after=start)
    answer = answer if answer is not None and answer >= start else None
    duration = count(told.get("duration"))
    end = iso_time(told.get("end"), reading.zone, after=start + (duration or 0))
    if end is None and duration is not None and "end" not in told:
        end = start + duration
    return _Row(
        told,
        channel_name(told["channel"]),
        channel_name(told.get("dstchannel", "")),
        start,
        answer,
        end if end is not None and end >= (answer or start) else None,
        disposition,
    )


def _key(row: _Row) -> str:
    """What rows of one call have in common."""
    return row.unique or f"{row.start:.0f} {row.cells['channel']}"


def _observations(call: _Call, reading: Reading) -> list[Observation]:
    main = call.main()
    callees = [row.dialed for row in call.dialed()]
    ends = reading.bridge.ends(
        caller=_names([row.channel for row in call.rows]), callee=_names(callees)
    )
    told: list[Observation] = []
    if main.channel is not None:
        told.append(_caller(call, main, main.channel, ends))
    for index, row in enumerate(call.dialed()):
        if row.dialed is not None:
            told.append(_callee(row, row.dialed, index, ends))
    return told


def _names(names: Sequence[ChannelName | None]) -> list[str]:
    return [one for name in names if name is not None for one in name.names]


def _draft(row: _Row, name: ChannelName, end: End, ends: Ends, record_id: str) -> Draft:
    draft = Draft(NAME, record_id=record_id)
    draft.hide(*name.persons, number_of(row.cells.get("src")), number_of(row.cells.get("dst")))
    draft.identify(ENDPOINT, name.endpoint)
    draft.identify("host", name.host)
    draft.identify("linked_id", unique_id(row.cells.get("linkedid")) or _key(row))
    draft.place(ends, end, names=name.names)
    draft.say(
        caller_number=number_of(row.cells.get("src")),
        callee_number=number_of(row.cells.get("dst")),
    )
    draft.start, draft.end = row.start, row.end
    if row.answered:
        seconds = count(row.cells.get("billsec"))
        draft.answer(200)
        draft.say(duration_ms=None if seconds is None else seconds * 1000.0)
    else:
        draft.say(outcome=OUTCOMES.get(row.disposition))
    return draft


def _caller(call: _Call, main: _Row, name: ChannelName, ends: Ends) -> Observation:
    draft = _draft(main, name, "caller", ends, main.unique or _key(main))
    draft.identify("channel_id", main.unique)
    draft.say(q850_cause=None if main.answered else _cause(call))
    quality = next((one for row in call.rows if (one := _quality(row)) is not None), None)
    if quality is not None:
        say_quality(draft, quality, "caller", ends, main.answered, None, _times(main))
    return draft.build()


def _times(row: _Row) -> Times | None:
    return None if row.end is None else (row.answer or row.start, row.end)


def _callee(row: _Row, name: ChannelName, index: int, ends: Ends) -> Observation:
    # Its own id is not in the record: the caller's, and which of the dialled channels it is.
    return _draft(row, name, "callee", ends, f"{_key(row)} {index + 1}").build()


def _cause(call: _Call) -> int | None:
    """What `Hangup(cause)` told the caller; None where no such application was the last."""
    causes = [
        count(row.cells.get("lastdata"))
        for row in call.rows
        if row.cells.get("lastapp") == "Hangup"
    ]
    return next((cause for cause in causes if cause), None)


def _quality(row: _Row) -> Quality | None:
    """The quality string of the caller's channel in the user field, if the dialplan put it."""
    pairs = string_of(row.cells.get("userfield", ""))
    return None if pairs is None else quality_of(pairs)
