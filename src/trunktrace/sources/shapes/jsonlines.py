"""JSON Lines as they come from logs: each line a record, or the reason why it is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final, cast

from trunktrace.sources.parsed import Broken

Record = dict[str, object]

MAX_LINE_BYTES: Final = 256 * 1024
"""A longer line is broken: reading one of this length takes less than 10 ms."""

MAX_PARTS: Final = 8192
"""Objects, lists and members that a line may have; real ones have a few hundred. A line of nothing
but brackets costs a hundred times what its length lets expect."""

_BOM: Final = b"\xef\xbb\xbf"


def records(
    data: bytes | Iterable[bytes],
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
    max_parts: int = MAX_PARTS,
) -> Iterator[tuple[int, Record | Broken]]:
    """Each line that is not blank with its number: the JSON object on it, or why it is broken.

    `data` is a whole file, or its lines. CRLF and a byte order mark are taken; `NaN` and
    `Infinity`, which some writers put where they know nothing, are None; of a key that stands
    twice the last counts.
    """
    for number, line in numbered(data):
        yield number, record(line, number, max_line_bytes=max_line_bytes, max_parts=max_parts)


def numbered(data: bytes | Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank with its number (1-based); without a byte order mark."""
    for number, line in enumerate(_lines(data), start=1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip(b" \t\r\n\v\f"):
            yield number, text


def record(
    line: bytes,
    number: int = 1,
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
    max_parts: int = MAX_PARTS,
) -> Record | Broken:
    """The JSON object that the line holds, or why it holds none."""
    if len(line) > max_line_bytes:
        return Broken(number, f"the line is longer than {max_line_bytes // 1024} KiB")
    if line.count(b"{") + line.count(b"[") + line.count(b",") > max_parts:
        return Broken(number, "JSON of too many parts")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Broken(number, f"not UTF-8 at byte {error.start}")
    try:
        value: object = json.loads(text, parse_constant=_unknown)
    except json.JSONDecodeError as error:
        return Broken(number, f"not JSON at character {error.pos}")
    except RecursionError:
        return Broken(number, "JSON is nested too deeply")
    except ValueError:
        return Broken(number, "a whole number has too many digits")
    if isinstance(value, dict):
        return cast("Record", value)
    return Broken(number, "no JSON object")


def _unknown(_constant: str) -> None:
    return None


def _lines(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    if not isinstance(data, bytes):
        yield from data
        return
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end]
        start = end + 1
    yield data[start:]


# Typed looks into what JSON gave. Each says None where the value is absent or of another type.


def text_in(record: Record, key: str) -> str | None:
    """The text under `key`; None if it is empty or none."""
    value = record.get(key)
    return value if isinstance(value, str) and value else None


def number_in(record: Record, key: str) -> float | None:
    """The finite number under `key`; None for anything else (a truth value is no number)."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e300 < value < 1e300 else None


def count_in(record: Record, key: str) -> int | None:
    """The whole number from 0 to 2**63 - 1 under `key`; None for anything else."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**63 else None


def object_in(record: Record, key: str) -> Record:
    """The object under `key`; empty if it is absent or something else."""
    value = record.get(key)
    return cast("Record", value) if isinstance(value, dict) else {}


def list_in(record: Record, key: str) -> list[object]:
    """The list under `key`; empty if it is absent or something else."""
    value = record.get(key)
    return cast("list[object]", value) if isinstance(value, list) else []


def time_in(record: Record, key: str) -> float | None:
    """The unix time in seconds under `key`; None if it is none that can be believed."""
    value = number_in(record, key)
    return value if value is not None and 0 < value < 1e11 else None
