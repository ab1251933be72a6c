"""Call detail records of Asterisk (`Master.csv` of cdr_csv): two legs of each call.

Columns are those of cdr_csv.c: 16, then `uniqueid` (loguniqueid), `userfield` (loguserfield) and
`peeraccount, linkedid, sequence` (newcdrcolumns) as switched on; or those of a header line. Times
are whole seconds in the zone of the PBX, UTC with `usegmtime`. There is no SIP code in them but
that a call was answered.
"""

from __future__ import annotations

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
    moment,
    number_of,
    numbers_in,
    unique_id,
)
from trunktrace.sources.asterisk.quality import Quality, quality_of, string_of
from trunktrace.sources.asterisk.rows import Cells, disposition_of, rows
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT, Ends
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.values import count, decimal, iso_time

NAME: Final = "asterisk-cdr"

_OUTGOING: Final = frozenset({"AppDial", "AppDial2"})
"""The application of a channel that was dialled, by a `Local` channel or for itself."""

_EPOCH: Final = re.compile(r"\d{9,10}(?:\.\d{1,9})?")


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
        """Whether the channel that was dialled answered; of one alone, whether it did."""
        return self.disposition == "ANSWERED"

    @property
    def caller_answered(self) -> bool:
        """Whether the caller was: `answer` is his, also where nobody was found (since 12)."""
        return self.answered or self.answer is not None

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
        """The record that names the parties: an answered one, or the last `Dial`."""
        dialed = self.dialed() or self.rows
        return next((row for row in dialed if row.answered), dialed[-1])

    def answered(self) -> list[_Row]:
        """The records in which the caller was answered, by whom or by what it may be."""
        return [row for row in self.rows if row.caller_answered]

    def end(self) -> float | None:
        """When the last record ended, as far as each tells."""
        ends = [row.end for row in self.rows if row.end is not None]
        return max(ends) if len(ends) == len(self.rows) else None

    def seconds(self) -> float | None:
        """From the caller's first answer to his end."""
        told = self.answered()
        if len(told) == 1:
            return _seconds(told[0].cells, "billsec")
        answers = [row.answer for row in told if row.answer is not None]
        end = self.end()
        if end is None or not answers or len(answers) < len(told):
            return None
        return end - min(answers)


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The caller's leg of each call, and a leg for each channel that was dialled for it."""
    calls: dict[str, _Call] = {}
    broken: list[Broken] = []
    ignored = 0
    for number, cells in rows(data):
        row = cells if cells is None or isinstance(cells, Broken) else _row(cells, reading)
        if isinstance(row, Broken):
            broken.append(row)
        elif isinstance(row, str):
            broken.append(Broken(number, row))
        elif row is None or (row.channel is None and row.dialed is None):
            ignored += 1
        else:
            calls.setdefault(_key(row), _Call()).rows.append(row)
    told = [one for call in calls.values() for one in _observations(call, reading)]
    return Parsed(tuple(told), tuple(broken), ignored)


def _row(told: Cells, reading: Reading) -> _Row | str:
    """A record, or why it is none."""
    created = created_at(unique_id(told.get("uniqueid")) or "")
    start = created if "start" not in told else _time(told, "start", reading, created)
    if start is None:
        return "no time under `start`"
    disposition = disposition_of(told)
    if disposition is None:
        return "no disposition"
    if not told.get("channel"):
        return "no name of a channel"
    answer = _time(told, "answer", reading, start)
    answer = answer if answer is not None and answer >= start else None
    duration = _seconds(told, "duration")
    end = _time(told, "end", reading, start + (duration or 0.0))
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


def _time(told: Cells, name: str, reading: Reading, after: float | None) -> float | None:
    """A time; a custom row may have it in Unix seconds (`CDR(start,u)`)."""
    text = told.get(name, "").strip()
    if _EPOCH.fullmatch(text):
        return moment(text)
    return iso_time(text, reading.zone, after=after)


def _seconds(told: Cells, name: str) -> float | None:
    """A number of seconds; a custom row may have parts of them (`CDR(billsec,f)`)."""
    found = decimal(told.get(name))
    return found if found is not None and found >= 0.0 else None


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
    draft.hide(*numbers_in(row.unique, row.cells.get("linkedid")))
    draft.identify(ENDPOINT, name.endpoint)
    draft.identify("host", name.host)
    draft.identify("linked_id", unique_id(row.cells.get("linkedid")) or _key(row))
    # Whom the PBX called by itself may be the agent or somebody far away.
    is_placed = end == "callee" or row.cells.get("lastapp") not in _OUTGOING
    draft.place(ends, end, names=name.names, states_direction=is_placed)
    draft.say(
        caller_number=number_of(row.cells.get("src")),
        callee_number=number_of(row.cells.get("dst")),
    )
    return draft


def _say_end(draft: Draft, row: _Row, answered: bool, seconds: float | None) -> None:
    if answered:
        draft.answer(200)
        draft.say(duration_ms=None if seconds is None else round(seconds * 1000.0, 3))
    else:
        draft.say(outcome=OUTCOMES.get(row.disposition))


def _caller(call: _Call, main: _Row, name: ChannelName, ends: Ends) -> Observation:
    draft = _draft(main, name, "caller", ends, main.unique or _key(main))
    draft.identify("channel_id", main.unique)
    answered = bool(call.answered())
    draft.start, draft.end = min(row.start for row in call.rows), call.end()
    _say_end(draft, main, answered, call.seconds())
    draft.say(q850_cause=None if answered else _cause(call))
    quality = next((one for row in call.rows if (one := _quality(row)) is not None), None)
    if quality is not None:
        say_quality(draft, quality, "caller", ends, answered, None, _times(main))
    return draft.build()


def _times(row: _Row) -> Times | None:
    return None if row.end is None else (row.answer or row.start, row.end)


def _callee(row: _Row, name: ChannelName, index: int, ends: Ends) -> Observation:
    # Its own id is not in the record: the caller's, and which of the dialled channels it is.
    draft = _draft(row, name, "callee", ends, f"{_key(row)} {index + 1}")
    draft.start, draft.end = row.start, row.end
    _say_end(draft, row, row.answered, _seconds(row.cells, "billsec"))
    return draft.build()


def _cause(call: _Call) -> int | None:
    """What `Hangup(cause)` told the caller; None where no such application was the last."""
    causes = [
        count(row.cells.get("lastdata"))
        for row in call.rows
        if row.cells.get("lastapp") == "Hangup"
    ]
    return next((cause for cause in causes if cause), None)


def _quality(row: _Row) -> Quality | None:
    """The quality string of the caller's channel in the user field, if the dialplan put it.

    A custom row may have it in a column of its own.
    """
    for name, cell in row.cells.items():
        if name == "userfield" or name.startswith("more "):
            pairs = string_of(cell)
            if pairs is not None:
                return quality_of(pairs)
    return None
