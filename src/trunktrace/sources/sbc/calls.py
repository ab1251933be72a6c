"""What the rows of one call say together, where an SBC writes one for each leg."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from trunktrace.facts import End
from trunktrace.sources.sbc.columns import Column, ColumnMap
from trunktrace.sources.sbc.fields import value_of

Cell = tuple[Column, str]

_LONGEST_CELL: Final = 1024
_MOST_NAMES: Final = 64
"""Of one end of one call: no call has more legs."""
_NAMING: Final = ("endpoint", "host", "trunk_group")


class Calls:
    """What the rows of each call, one for each leg, say together: by which names its ends go."""

    def __init__(self) -> None:
        self._names: dict[str, dict[End, set[str]]] = {}

    def take(self, row: Iterable[Cell], told: ColumnMap) -> None:
        """Take the names of a row that has the id of its call, and tells of which end it is."""
        spoken = spoken_of(row)
        call, end = _call_of(spoken), told_end(spoken) or told.end
        if call is not None and end is not None:
            names: dict[End, set[str]] = self._names.setdefault(
                call, {"caller": set(), "callee": set()}
            )
            if len(names[end]) < _MOST_NAMES:
                names[end] |= own_names(spoken, end, end)

    def names(self, spoken: list[Cell], end: End) -> set[str]:
        """The names of that end of the row's call."""
        return self._names.get(_call_of(spoken) or "", {}).get(end, set())


def spoken_of(row: Iterable[Cell]) -> list[Cell]:
    """The cells of a row that say something, with what they say."""
    return [(column, text) for column, cell in row if (text := _text(column, cell))]


def _call_of(spoken: list[Cell]) -> str | None:
    return next((text for column, text in spoken if column.field == "linked_id"), None)


def _text(column: Column, cell: str) -> str:
    """What a cell says; empty where that is nothing, or cannot be."""
    text = "" if len(cell) > _LONGEST_CELL or cell.lower() in column.missing else cell
    text = " ".join(text.split()) if "\n" in text else text
    return text if column.words is None else column.words.get(text.lower(), text)


def told_end(spoken: list[Cell]) -> End | None:
    """The end that the row is of, as a cell of it tells; None where none does."""
    found = [value_of("end", text, None) for column, text in spoken if column.field == "end"]
    return cast("End | None", found[0]) if found else None


def own_names(spoken: list[Cell], end: End, row_end: End | None) -> set[str]:
    """By what the row calls that end."""
    return {
        text
        for column, text in spoken
        if column.field in _NAMING and (column.end or row_end) == end
    }
