"""Calls of several systems that share no id: joined where nothing but that is possible.

Two systems number one call each in its own way, and a B2BUA gives each leg a Call-ID of its own.
Within one folder, a call of one system and a call of another are one where they are of one time (or
one does not say), their numbers do not contradict each other, and neither has any other candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Final

from trunktrace import conventions as c
from trunktrace.cli.group import Group
from trunktrace.facts import Observation

SLACK_S: Final = 2.0
"""Records in whole seconds, and clocks that are kept by NTP, differ by no more."""

MOST_CALLS: Final = 200
"""In a folder of more calls, one that does not say when it was is joined with none."""

MOST_PAIRS: Final = 100_000
"""Where more calls were at once, none is the only one: nothing is joined."""

_NUMBERS: Final = (c.SIP_CALLER_NUMBER, c.SIP_CALLEE_NUMBER)
_COUNTRIES: Final = (c.SIP_CALLER_COUNTRY, c.SIP_CALLEE_COUNTRY)
_LAST_DIGITS: Final = 2
"""So many digits of a number stand behind its mask."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What a call is compared by: `times` from first to last, None where nobody says."""

    call: Group
    systems: frozenset[str]
    times: tuple[float, float] | None
    persons: dict[str, frozenset[str]]


def joined_by_nearness(calls: Sequence[Group]) -> list[Group]:
    """The calls, those of several systems that can only be one made one."""
    gone: set[int] = set()
    for folder in sorted({folder for call in calls for folder in call.folders}):
        here = [call for call in calls if call.folders == {folder}]
        gone |= _join(here)
    return [call for call in calls if id(call) not in gone]


def system_of(source: str) -> str:
    """The system that a source is of: `asterisk` of `asterisk-ami`."""
    return source.partition("-")[0]


def _join(calls: list[Group]) -> set[int]:
    """Join what can only be one; which groups went into others."""
    gone: set[int] = set()
    while True:
        pairs = _only_pairs([_looked_at(call) for call in calls if id(call) not in gone])
        if not pairs:
            return gone
        for kept, other in pairs:
            kept.take(other)
            gone.add(id(other))


def _only_pairs(looks: Sequence[_Look]) -> list[tuple[Group, Group]]:
    """Pairs of calls, each the only one of its systems that the other may be; no call twice."""
    candidates: dict[int, list[_Look]] = {id(look): [] for look in looks}
    near = list(islice(_of_one_time(looks), MOST_PAIRS))
    if len(near) == MOST_PAIRS:
        return []
    for one, other in near:
        if _may_be_one(one, other):
            candidates[id(one)].append(other)
            candidates[id(other)].append(one)
    pairs: list[tuple[Group, Group]] = []
    paired: set[int] = set()
    for look in looks:
        for other in candidates[id(look)]:
            if {id(look), id(other)} & paired:
                continue
            if _is_alone(other, candidates[id(look)]) and _is_alone(look, candidates[id(other)]):
                pairs.append((look.call, other.call))
                paired |= {id(look), id(other)}
    return pairs


def _of_one_time(looks: Sequence[_Look]) -> Iterator[tuple[_Look, _Look]]:
    """Pairs that were at one time, or of which one does not say when it was."""
    timed = sorted(((look.times, look) for look in looks if look.times), key=lambda one: one[0])
    for at, (times, look) in enumerate(timed):
        for others, other in islice(timed, at + 1, None):
            if others[0] > times[1] + SLACK_S:
                break
            yield look, other
    untimed = [look for look in looks if look.times is None]
    if len(looks) <= MOST_CALLS:
        yield from combinations(untimed, 2)
        yield from product(untimed, [look for _, look in timed])


def _is_alone(one: _Look, candidates: Iterable[_Look]) -> bool:
    """Whether no other candidate is told of by a system that tells of this one."""
    return not any(other is not one and one.systems & other.systems for other in candidates)


def _may_be_one(one: _Look, other: _Look) -> bool:
    if one.systems & other.systems:
        return False
    said = ((told, other.persons[key]) for key, told in one.persons.items())
    return not any(told and others and not told & others for told, others in said)


def _looked_at(call: Group) -> _Look:
    told = [at for one in call.told for at in _moments(one)]
    return _Look(
        call,
        frozenset(system_of(one.source) for one in call.told),
        (min(told), max(told)) if told else None,
        {key: frozenset(_said(call, key)) for key in (*_NUMBERS, *_COUNTRIES)},
    )


def _moments(one: Observation) -> Iterator[float]:
    if one.start is not None:
        yield one.start
    if one.end is not None:
        yield one.end
    for mark in one.marks:
        yield mark.start
    for window in one.windows:
        yield from (window.start, window.end)


def _said(call: Group, key: str) -> Iterator[str]:
    """What is said under a key; of a number the digits that are not masked at its end."""
    for one in call.told:
        value = one.facts.get(key)
        if not isinstance(value, str):
            continue
        if key in _COUNTRIES:
            yield value
        elif value[-_LAST_DIGITS:].isdecimal():
            yield value[-_LAST_DIGITS:]
