"""Records in the order of their times: a log shipper delivers late, and some lines twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TypeVar

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.jsonlines import Record

T = TypeVar("T")

Numbered = tuple[int, Record]
"""(line, record)"""
Key = tuple[float, int]
"""(unix seconds, rank among the records of one time)"""


Take = Callable[[Record], str | None]
"""Takes a record; why it could not be read: empty if it was, None if it says nothing of a call."""


def take_in_order(
    numbered: Iterable[tuple[int, Record | Broken]],
    key_of: Callable[[Record], Key | None],
    take: Take,
) -> tuple[tuple[Broken, ...], int]:
    """Have each record of a file taken, in order: what is broken, and how many say nothing."""
    broken: list[Broken] = []
    ordered, repeated = in_order(numbered, broken, key_of)
    refused, ignored = take_each(ordered, take)
    return in_file_order([*broken, *refused]), repeated + ignored


def take_each(
    numbered: Iterable[tuple[int, T | Broken]], take: Callable[[T], str | None]
) -> tuple[tuple[Broken, ...], int]:
    """Have each record taken as it comes: what is broken, and how many say nothing.

    `take` says why one could not be read; empty if it was, None if it says nothing of a call.
    """
    broken: list[Broken] = []
    ignored = 0
    for number, record in numbered:
        if isinstance(record, Broken):
            broken.append(record)
            continue
        reason = take(record)
        if reason is None:
            ignored += 1
        elif reason:
            broken.append(Broken(number, reason))
    return tuple(broken), ignored


def in_order(
    numbered: Iterable[tuple[int, Record | Broken]],
    broken: list[Broken],
    key_of: Callable[[Record], Key | None],
) -> tuple[list[Numbered], int]:
    """The records in the order of `key_of`, and how many were left out as repetitions.

    Those of one key keep the order of their lines; those without one come first. What is broken
    goes to `broken`.
    """
    kept: list[tuple[Key, int, Record]] = []
    for number, record in numbered:
        if isinstance(record, Broken):
            broken.append(record)
        else:
            kept.append((key_of(record) or (float("-inf"), 0), number, record))
    kept.sort(key=_key)
    once = [
        (number, record) for _, group in groupby(kept, key=_key) for number, record in _once(group)
    ]
    return once, len(kept) - len(once)


def _key(kept: tuple[Key, int, Record]) -> Key:
    return kept[0]


def _once(group: Iterable[tuple[Key, int, Record]]) -> Iterator[Numbered]:
    told = list(group)
    if len(told) == 1:
        yield told[0][1:]
        return
    seen: set[str] = set()
    for _, number, record in told:
        text = _text_of(record)
        if text is None or text not in seen:
            yield number, record
        if text is not None:
            seen.add(text)


def _text_of(record: Record) -> str | None:
    try:
        return json.dumps(record, sort_keys=True)
    except RecursionError:  # read at the very limit of what can be nested
        return None


def in_file_order(broken: Iterable[Broken]) -> tuple[Broken, ...]:
    """What is broken, by its line."""
    return tuple(sorted(broken, key=lambda one: one.line))
