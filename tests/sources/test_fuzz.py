"""A sample of `benchmarks/fuzz_parsers.py`: some hundred broken records for every source.

The same records in every run: number n of a finding is `Mutator(source, SEED).record(n)`.
"""

from __future__ import annotations

import pytest
from tests.sources.mutation import LINES, Broken, Mutator

from trunktrace.facts import Observation
from trunktrace.sources.parsed import Broken as BrokenRecord
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

SEED = 20261123
RECORDS = 250


@pytest.mark.parametrize("name", SOURCES)
def test_broken_records(name: str) -> None:
    """Nothing is raised, nothing is dropped in silence, and no number stands in clear."""
    source, mutator = SOURCES[name], Mutator(name, SEED)
    silent: list[int] = []
    in_clear: list[int] = []
    wrong_line: list[int] = []
    for number in range(RECORDS):
        record = mutator.record(number)
        parsed = source.parse(record.data, record.reading)
        lines = record.data.count(b"\n") + 1
        if not record.spoken(parsed):
            silent.append(number)
        if record.in_clear(parsed):
            in_clear.append(number)
        if not all(1 <= one.line <= lines and one.reason for one in parsed.broken):
            wrong_line.append(number)
    assert (silent, in_clear, wrong_line) == ([], [], [])


_BROKEN = BrokenRecord(1, "it is odd")


@pytest.mark.parametrize(
    "is_of_lines, parsed, spoken",
    [
        (True, Parsed(broken=(_BROKEN,), ignored=1), True),
        (True, Parsed(broken=(_BROKEN,)), False),
        (True, Parsed(ignored=3), False),
        (True, Parsed(observations=(Observation(source="x"),)), True),
        (True, Parsed(observations=(Observation(source="x"),), ignored=3), False),
        (False, Parsed(broken=(_BROKEN,)), True),
        (False, Parsed(), False),
    ],
)
def test_what_is_dropped_in_silence(is_of_lines: bool, parsed: Parsed, spoken: bool) -> None:
    """Of two lines one that is lost, or told twice, is found where each line is a record."""
    record = Broken(b"\xef\xbb\xbf{}\r\n\r\n[]\n", Reading(), 2, (), "made", is_of_lines)
    assert record.spoken(parsed) is spoken


def test_sources_of_lines_exist() -> None:
    """Those that are counted line by line are sources."""
    assert SOURCES.keys() >= LINES


@pytest.mark.parametrize("name", ["radius", "sbc-csv"])
def test_the_same_records_in_every_run(name: str) -> None:
    """A number and a seed bring a record back."""
    first, second = Mutator(name, SEED), Mutator(name, SEED)
    assert [first.record(n).data for n in range(50)] == [second.record(n).data for n in range(50)]
