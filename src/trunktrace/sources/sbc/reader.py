"""Any CSV of an SBC: by a map of its columns, or by names in its header line that are our own.

A row is a record. It is broken where it has another number of columns than the header line, where a
time is not in its form, or where it has no id although the map names one; a row that says nothing
is ignored, and so is one that the map does not select.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.sbc.calls import Calls, Cell
from trunktrace.sources.sbc.columns import Column, ColumnMap, column_map
from trunktrace.sources.sbc.names import columns_of, plain
from trunktrace.sources.sbc.row import UnreadableError, observed
from trunktrace.sources.sbc.rows import Row, Rows, found_delimiter
from trunktrace.sources.shapes.ordered import in_file_order

_NO_COLUMN_KNOWN: Final = (
    "no column of the header line is known: give a map of the columns with --columns"
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of the file by position, and how many a row has; None where any number does."""

    columns: tuple[tuple[int, Column], ...]
    width: int | None
    least: int


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """What the rows say. Raises ConfigurationError for a wrong map, never for what `data` holds."""
    told = column_map(reading.columns) if reading.columns else None
    return _File(data, reading, told).parsed()


class _File:
    """One file, row by row."""

    def __init__(self, data: bytes, reading: Reading, told: ColumnMap | None) -> None:
        self._reading = reading
        self._given = told
        self._map = told or ColumnMap((), delimiter=None)
        delimiter = self._map.delimiter or found_delimiter(data)
        self._rows = Rows(data, delimiter, quotes=self._map.quotes)
        self._layout = None if self._map.has_header else self._by_position()
        self._selecting = self._by_number()
        self._unknown = False
        self._unselecting: int | None = None
        """Line of the first header line, as long as none has the column that selects rows."""
        self._calls = Calls()
        self._told: list[tuple[int, list[Cell]]] = []
        self._observations: list[Observation] = []
        self._broken: list[Broken] = []
        self._ignored = 0

    def parsed(self) -> Parsed:
        for row in self._rows:
            if isinstance(row, Broken):
                self._broken.append(row)
            else:
                self._take(row)
        self._observe()
        if self._unselecting is not None:
            self._ignored -= 1  # that header line is broken instead
            self._broken.append(Broken(self._unselecting, _NO_ROW_SELECTED))
        return Parsed(tuple(self._observations), in_file_order(self._broken), self._ignored)

    def _take(self, row: Row) -> None:
        if self._unknown:
            self._broken.append(Broken(row.line, _NO_COLUMN_KNOWN))
        elif self._layout is None or self._is_header(row):
            self._head(row)
        elif not self._is_selected(row):
            self._ignored += 1
        else:
            self._read(row, self._layout)

    def _is_header(self, row: Row) -> bool:
        """A header line that comes again: a log has one before each kind of record."""
        if not self._map.has_header or self._layout is None:
            return False
        if self._given is None:
            return len(columns_of(row.cells)) >= max(2, len(self._layout.columns))
        names = {plain(column.name) for column in self._map.columns if isinstance(column.name, str)}
        return len(names & set(map(plain, row.cells))) >= min(2, len(names))

    def _head(self, row: Row) -> None:
        """A header line: it says nothing of a call, and that it is none makes every row broken."""
        columns = self._named(row.cells)
        if columns:
            self._select_by(row)
            self._layout = _Layout(columns, len(row.cells), 0)
            self._ignored += 1
            return
        if self._layout is None:
            self._unknown = True
        self._broken.append(Broken(row.line, _NO_COLUMN_KNOWN if self._given is None else _MISSED))

    def _named(self, cells: tuple[str, ...]) -> tuple[tuple[int, Column], ...]:
        if self._given is None:
            return tuple((int(one.name) - 1, one) for one in columns_of(cells))
        return tuple(_placed(self._given.columns, cells))

    def _by_position(self) -> _Layout:
        columns = tuple(
            (column.name - 1, column)
            for column in self._map.columns
            if isinstance(column.name, int)
        )
        return _Layout(columns, self._map.width, 1 + max((at for at, _ in columns), default=0))

    def _by_number(self) -> int | None:
        """The position of the column that selects rows, where the map has it by position."""
        only = self._map.only
        return only[0] if only is not None and isinstance(only[0], int) else None

    def _select_by(self, head: Row) -> None:
        """A log's header lines of other kinds need not have the column: one of them must."""
        is_first = self._layout is None
        self._selecting = self._by_number() or self._by_title(head.cells)
        if self._selecting is not None or self._map.only is None:
            self._unselecting = None
        elif is_first:
            self._unselecting = head.line

    def _by_title(self, cells: tuple[str, ...]) -> int | None:
        only = self._map.only
        titles = [plain(cell) for cell in cells]
        title = plain(str(only[0])) if only is not None else ""
        return titles.index(title) + 1 if title in titles else None

    def _is_selected(self, row: Row) -> bool:
        if self._map.only is None:
            return True
        at, wanted = self._selecting, self._map.only[1]
        return at is not None and at <= len(row.cells) and row.cells[at - 1].lower() in wanted

    def _read(self, row: Row, layout: _Layout) -> None:
        width = self._map.width or layout.width
        if len(row.cells) != width if width is not None else len(row.cells) < layout.least:
            self._broken.append(Broken(row.line, "a row with the wrong number of columns"))
            if row.lines > 1:
                self._rows.again(row)
            return
        cells = [(column, row.cells[at]) for at, column in layout.columns if at < len(row.cells)]
        self._calls.take(cells, self._map)
        self._told.append((row.line, cells))

    def _observe(self) -> None:
        """The legs of the rows, now that all that is known of their calls was read."""
        for line, cells in self._told:
            try:
                found = observed(cells, self._map, self._reading, self._calls)
            except UnreadableError as error:
                self._broken.append(Broken(line, str(error)))
                continue
            self._observations += found
            self._ignored += not found


_NO_ROW_SELECTED: Final = "the column of `rows`, which selects them, is in no header line"
_MISSED: Final = "no column that the map names is in the header line"


def _placed(columns: Iterable[Column], cells: tuple[str, ...]) -> Iterable[tuple[int, Column]]:
    places: Mapping[str, int] = {plain(name): at for at, name in reversed(list(enumerate(cells)))}
    for column in columns:
        if isinstance(column.name, int):
            if column.name <= len(cells):
                yield column.name - 1, column
        elif (at := places.get(plain(column.name))) is not None:
            yield at, column
