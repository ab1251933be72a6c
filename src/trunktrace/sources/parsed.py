"""What every reader of records gives: observations, and the records it could not read.

A reader is a pure function `parse(data: bytes, reading: Reading) -> Parsed`. It never raises on
what the bytes hold. One broken record never stops the good ones, and none is dropped in silence: a
record is an observation's, or it is `broken`, or it is counted in `ignored`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trunktrace.errors import ParseError
from trunktrace.facts import Observation
from trunktrace.sources.reading import Reading

__all__ = ["Broken", "Observation", "Parse", "ParseWith", "Parsed"]


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that could not be read: its line (1-based), and why.

    `reason` never quotes a value: it may hold a number of a person.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file said.

    `ignored` counts records that are well formed and say nothing about a call's trunk or media:
    the bridge's other log lines, events of other kinds. An empty file gives an empty `Parsed`.
    """

    observations: tuple[Observation, ...] = ()
    broken: tuple[Broken, ...] = ()
    ignored: int = 0

    def or_raise(self) -> tuple[Observation, ...]:
        """The observations, where nothing was broken.

        Raises ParseError with line and reason of the first record that could not be read.
        """
        for record in self.broken:
            raise ParseError(record.reason, line=record.line)
        return self.observations


Parse = Callable[[bytes], Parsed]
ParseWith = Callable[[bytes, Reading], Parsed]
"""A reader of records that must be told more than they say."""
