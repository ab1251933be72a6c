"""Attempts to reach one number, one after the other: what a failover is judged by.

Another number is another call, and so is what is dialled after an answer.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from trunktrace.sip.failover import attempt_result
from trunktrace.timeline import Attempt

Way = tuple[str | None, str | None]

_LONGEST: Final = 255
_MORE: Final = ">..."


def runs_of(attempts: Iterable[Attempt]) -> tuple[tuple[Attempt, ...], ...]:
    """Attempts to one number, up to its answer; in the order of their last attempts.

    Attempts beside the call are left out. A party that is not known is that of the attempt before;
    before any is known, that of the first known one.
    """
    told = [one for one in attempts if not one.aside]
    party = next((one.party for one in told if one.party is not None), None)
    answered: Counter[int | None] = Counter()
    runs: dict[tuple[int | None, int], list[Attempt]] = {}
    for attempt in told:
        party = party if attempt.party is None else attempt.party
        place = party, answered[party]
        # Taken out and put in again: the one that was last continued stands last.
        runs[place] = [*runs.pop(place, ()), attempt]
        answered[party] += attempt.answered
    return tuple(tuple(run) for run in runs.values())


def way_of(attempt: Attempt) -> Way | None:
    """By what two attempts are one way: carrier and route, else the trunk; None if not known."""
    if attempt.route is not None or (attempt.carrier is not None and attempt.trunk_id is None):
        return attempt.carrier, attempt.route
    return None if attempt.trunk_id is None else (attempt.trunk_id, None)


def advances(run: Sequence[Attempt]) -> Iterator[tuple[Attempt, Attempt]]:
    """Each going on to another trunk: the attempt that was left, and the next.

    The same way tried again is none; ways that nobody names are taken for two.
    """
    for former, latter in itertools.pairwise(run):
        way = way_of(former)
        if way is None or way != way_of(latter):
            yield former, latter


def path_of(attempts: Sequence[Attempt]) -> str:
    """The attempts in words: `telnyx:503>twilio:200`, by carrier, route or trunk id.

    One whose end is not known has its name alone: `A:503>B`. A path of more than 255 characters is
    cut after a step, and ends with `>...`.
    """
    path = ">".join(_named(attempt) for attempt in attempts)
    if len(path) <= _LONGEST:
        return path
    head = path[: _LONGEST - len(_MORE)].rpartition(">")[0]
    return head + _MORE if head else path[:_LONGEST]


def _named(attempt: Attempt) -> str:
    name = attempt.carrier or attempt.route or attempt.trunk_id or "trunk"
    return f"{name}:{attempt_result(attempt)}" if attempt.over else name
