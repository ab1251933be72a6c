"""The map of the columns of an SBC's CSV, as a TOML file gives it, checked.

```toml
delimiter = "|"
missing = ["-1"]

[columns]
SIPCallId = "call_id"
PackLoss = { to = "lost_count", leg = "trunk", direction = "in" }
7 = { to = "answer_time", form = "%d/%m/%Y %H:%M:%S" }
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from trunktrace.errors import ConfigurationError
from trunktrace.facts import End
from trunktrace.sources.sbc.fields import FIELDS, MEDIA, TIMES, WORDS, is_time_form, units_of
from trunktrace.windows import Leg, LossMethod, MediaDirection

Flow = Literal["received", "sent"]
"""Seen from the SBC: from that end, or to it."""

_TOP: Final = frozenset(
    {"delimiter", "quotes", "has_header", "width", "missing", "end", "leg", "rows", "columns"}
)
_OF_A_COLUMN: Final = frozenset(
    {"to", "end", "leg", "direction", "flow", "unit", "form", "values", "missing", "zero", "method"}
)
_MOST_COLUMNS: Final = 1024


@dataclass(frozen=True, slots=True)
class Column:
    """What one column says. `name` is its name in the header, or its position from 1."""

    name: str | int
    field: str
    end: End | None = None
    leg: Leg | None = None
    direction: MediaDirection | None = None
    flow: Flow | None = None
    unit: str | None = None
    form: str = "any"
    words: Mapping[str, str] | None = None
    missing: frozenset[str] = frozenset()
    method: LossMethod | None = None


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """How a CSV is to be read. `delimiter` None is found in the header line."""

    columns: tuple[Column, ...]
    delimiter: str | None = ","
    quotes: bool = True
    has_header: bool = True
    width: int | None = None
    end: End | None = None
    leg: Leg = "trunk"
    only: tuple[str | int, frozenset[str]] | None = None
    """The column that says what a row is (by name, or position from 1), and what is read."""


def column_map(given: Mapping[str, object]) -> ColumnMap:
    """The map that a TOML file gives. Raises ConfigurationError naming field, value and fix."""
    _known(given, _TOP, "columns")
    table = _table(given.get("columns"), "columns.columns")
    if not 0 < len(table) <= _MOST_COLUMNS:
        raise ConfigurationError("columns", len(table), "give a table [columns] of 1 to 1024 rows")
    missing = _words(given.get("missing", []), "columns.missing")
    columns = tuple(_column(name, told, missing) for name, told in table.items())
    named = any(isinstance(column.name, str) for column in columns)
    end = _one_of(given.get("end"), "columns.end", ("caller", "callee"))
    leg = _one_of(given.get("leg"), "columns.leg", ("trunk", "pstn"))
    only = _only(given.get("rows"))
    _checked_places(columns, rows_have_an_end=end is not None or _tells_end(columns))
    return ColumnMap(
        columns,
        delimiter=_delimiter(given.get("delimiter", ",")),
        quotes=_flag(given.get("quotes", True), "columns.quotes"),
        has_header=named
        or _is_named(only)
        or _flag(given.get("has_header", False), "columns.has_header"),
        width=_position(given["width"], "columns.width") if "width" in given else None,
        end=cast("End | None", end),
        leg=cast("Leg", leg or "trunk"),
        only=only,
    )


def _column(name: str, told: object, missing: frozenset[str]) -> Column:
    where = f"columns.{name[:64]}"
    row = {"to": told} if isinstance(told, str) else _table(told, where)
    _known(row, _OF_A_COLUMN, where)
    field = _field(row.get("to"), where)
    unit = _one_of(row.get("unit"), f"{where}.unit", tuple(units_of(field)))
    own = missing | _words(row.get("missing", []), f"{where}.missing")
    if _one_of(row.get("zero"), f"{where}.zero", ("unknown",)):
        own |= {"0", "0.0", "0.00"}
    method = _one_of(row.get("method"), f"{where}.method", ("counted", "derived"))
    return Column(
        int(name) if name.isascii() and name.isdecimal() else name,
        field,
        end=cast("End | None", _one_of(row.get("end"), f"{where}.end", ("caller", "callee"))),
        leg=cast("Leg | None", _one_of(row.get("leg"), f"{where}.leg", ("trunk", "pstn"))),
        direction=cast(
            "MediaDirection | None",
            _one_of(row.get("direction"), f"{where}.direction", ("in", "out")),
        ),
        flow=cast("Flow | None", _one_of(row.get("flow"), f"{where}.flow", ("received", "sent"))),
        unit=unit,
        form=_form(row.get("form"), field, where),
        words=_values(row.get("values"), field, where),
        missing=own,
        method=cast("LossMethod | None", method),
    )


def _checked_places(columns: Iterable[Column], *, rows_have_an_end: bool) -> None:
    for column in columns:
        where = f"columns.{column.name}"
        if isinstance(column.name, int) and not 0 < column.name <= _MOST_COLUMNS:
            raise ConfigurationError(where, column.name, "positions are counted from 1")
        if column.field not in MEDIA:
            continue
        by_end = column.flow is not None and (column.end is not None or rows_have_an_end)
        if not by_end and column.direction is None:
            raise ConfigurationError(
                where,
                column.field,
                "say leg and direction (in is towards the agent), or end and flow "
                "(received from that end or sent to it)",
            )


def _tells_end(columns: Iterable[Column]) -> bool:
    return any(column.field == "end" for column in columns)


def _field(told: object, where: str) -> str:
    if isinstance(told, str) and told in FIELDS:
        return told
    near = difflib.get_close_matches(str(told)[:64], sorted(FIELDS), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ConfigurationError(f"{where}.to", told, f"{hint}known are {', '.join(sorted(FIELDS))}")


def _form(told: object, field: str, where: str) -> str:
    if told is None:
        return "any"
    if field not in TIMES:
        raise ConfigurationError(f"{where}.form", told, f"only times have a form; {field} is none")
    if isinstance(told, str) and is_time_form(told):
        return told
    raise ConfigurationError(
        f"{where}.form", told, "write any, iso, epoch, epoch_ms, gateway, or a form of strptime"
    )


def _values(told: object, field: str, where: str) -> dict[str, str] | None:
    if told is None:
        return None
    words = {name.lower(): str(value) for name, value in _table(told, f"{where}.values").items()}
    known = WORDS.get(field)
    for value in words.values():
        if known is not None and value not in known:
            fix = f"write one of {', '.join(sorted(known))}"
            raise ConfigurationError(f"{where}.values", value, fix)
    return words


def _is_named(only: tuple[str | int, frozenset[str]] | None) -> bool:
    return only is not None and isinstance(only[0], str)


def _only(told: object) -> tuple[str | int, frozenset[str]] | None:
    if told is None:
        return None
    row = _table(told, "columns.rows")
    _known(row, frozenset({"column", "values"}), "columns.rows")
    wanted = _words(row.get("values"), "columns.rows.values")
    column = row.get("column")
    if isinstance(column, str) and column.strip():
        return column, wanted
    return _position(column, "columns.rows.column"), wanted


def _known(row: Mapping[str, object], known: frozenset[str], where: str) -> None:
    for name in row:
        if name not in known:
            fix = f"known are {', '.join(sorted(known))}"
            raise ConfigurationError(where, name, fix)


def _table(told: object, where: str) -> Mapping[str, object]:
    if isinstance(told, Mapping):
        return cast("Mapping[str, object]", told)
    raise ConfigurationError(where, told, "give a TOML table")


def _words(told: object, where: str) -> frozenset[str]:
    if isinstance(told, list):
        return frozenset(str(one).lower() for one in cast("list[object]", told))
    raise ConfigurationError(where, told, "give a list of strings")


def _one_of(told: object, where: str, known: tuple[str, ...]) -> str | None:
    if told is None or (isinstance(told, str) and told in known):
        return told
    fix = f"write one of {', '.join(known)}" if known else "this field has none: leave it out"
    raise ConfigurationError(where, told, fix)


def _flag(told: object, where: str) -> bool:
    if isinstance(told, bool):
        return told
    raise ConfigurationError(where, told, "write true or false")


def _position(told: object, where: str) -> int:
    if isinstance(told, int) and not isinstance(told, bool) and 0 < told <= _MOST_COLUMNS:
        return told
    raise ConfigurationError(where, told, "positions are counted from 1, to 1024")


def _delimiter(told: object) -> str:
    if isinstance(told, str) and len(told) == 1 and told not in '"\r\n':
        return told
    raise ConfigurationError("columns.delimiter", told, "give one character, as | or ;")
