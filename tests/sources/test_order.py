"""Files as log shippers deliver them: out of order, and some lines twice."""

from __future__ import annotations

import random

import pytest
from tests.sources.captured import FILES, NAMES, data

from trunktrace.sources.parsed import Parsed
from trunktrace.sources.table import SOURCES


def _parse(source: str, lines: list[bytes]) -> Parsed:
    return SOURCES[source].parse(b"\n".join(lines))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", FILES)
def test_lines_out_of_order_say_the_same(source: str, name: str) -> None:
    """Each record has its time: the order of the lines is none."""
    lines = data(name, source).splitlines()
    expected = _parse(source, lines)
    for seed in range(3):
        shuffled = list(lines)
        random.Random(seed).shuffle(shuffled)
        assert _parse(source, shuffled) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", FILES)
def test_lines_that_come_twice_say_the_same(source: str, name: str) -> None:
    """A record that is repeated says nothing new, wherever it stands."""
    lines = data(name, source).splitlines()
    expected = _parse(source, lines).observations
    assert _parse(source, lines * 2).observations == expected
    assert _parse(source, [line for line in lines for _ in range(2)]).observations == expected


@pytest.mark.parametrize("source", FILES)
def test_records_nested_as_deep_as_can_be_are_compared(source: str) -> None:
    """Two records of one time, at every depth around the limit of the reader: no exception."""
    for depth in (*range(900, 1000, 7), *range(960, 1000)):
        record = b'{"t": 1.5, "ts": 1.5, "x": ' + b"[" * depth + b"]" * depth + b"}"
        _parse(source, [record, record])
