"""A sample of `benchmarks/fuzz_headers.py`: hostile headers, the same in every run."""

from __future__ import annotations

from collections import Counter
from itertools import count, repeat
from typing import Any

import pytest
from opentelemetry.context import Context
from tests.propagation.hostile import case, judged

from trunktrace.guard import guard, reraising
from trunktrace.propagation import SipPropagator, read_headers

SEED = 20261123
LINES = 20_000


def test_hostile_headers() -> None:
    """Nothing is raised, and what comes out is valid and stands in a header."""
    wrong: list[tuple[int, str]] = []
    read = Counter[bool]()
    lines = 0
    with reraising(value=False):  # carriers that fail are counted by the guard, and only they
        for number in count():
            one = case(SEED, number)
            lines += one.lines
            wrong += [(number, what) for what in judged(one)]
            read[_reads(one.make())] += 1
            if lines >= LINES:
                break
    assert wrong == []
    assert guard.counts.keys() <= {"propagation.carrier"}
    assert read[True] > 500  # the sample is not all noise


def _reads(carrier: Any) -> bool:
    return read_headers(carrier) is not None


def test_the_same_cases_in_every_run() -> None:
    """A number and a seed bring a case back."""
    assert [case(7, n).texts for n in range(200)] == [case(7, n).texts for n in range(200)]


class _Counting:
    """Header lines without an end, that know how many were taken."""

    def __init__(self, line: object) -> None:
        self.taken, self._line = 0, line

    def __iter__(self) -> Any:
        for line in repeat(self._line):
            self.taken += 1
            yield line


@pytest.mark.parametrize(
    "line", [("X-Other", "1"), ("X-Traceparent", []), "no pair", ("a", "b", "c"), None]
)
def test_only_so_many_lines_are_looked_at(line: object) -> None:
    """After 256 lines of any kind nobody looks further."""
    endless = _Counting(line)
    SipPropagator().extract(endless, Context())
    assert endless.taken == 256


def test_values_of_one_name_count_as_lines() -> None:
    """A list of values under one name is not a way around the bound."""
    trace = f"00-{1:032x}-{2:016x}-01"
    assert read_headers({"X-Other": ["1"] * 255, "X-Traceparent": trace}) is not None
    assert read_headers({"X-Other": ["1"] * 256, "X-Traceparent": trace}) is None
