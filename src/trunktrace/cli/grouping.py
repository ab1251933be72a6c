"""Which observations are of one call, and which statistics go with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from trunktrace.cli.group import CALL_IDS, OF_ONE_ROOM, Group
from trunktrace.cli.nearness import joined_by_nearness
from trunktrace.facts import Observation
from trunktrace.quality.rtc import Sample

_IDS: Final = ("room_id", "job_id", "livekit_call_id")
"""What two records of one call share, under one name."""

_UNIQUE: Final = 12
"""Characters from which on an id is taken to be unique among systems. One system's call id is
another's linked id: an id of this length counts under any name."""

_OF_ONE_MACHINE: Final = re.compile(r"\d{9,11}\.\d{1,9}")
"""A second and a counter: Asterisk's id without a `systemname`. Two machines may give one."""

_BRIDGES_LOG: Final = "livekit-sip"


def grouped(
    told: Iterable[tuple[Path, Observation]], looks: Iterable[tuple[Path, Sequence[Sample]]]
) -> list[Group]:
    """Calls, in the order in which they began.

    Observations that share an id are of one call. Calls of one folder whose systems share no id are
    one where nothing but that is possible (`nearness`). What names no leg (a room's spans,
    statistics) goes with the call of its folder; of several, with that of the same time, or with
    none.
    """
    rooms = _joined(told)
    calls = joined_by_nearness([one for one in rooms if one.names_a_leg])
    calls.sort(key=lambda one: one.began)
    loose = [one for one in rooms if not one.names_a_leg]
    loose += [Group([], {file}, list(samples)) for file, samples in looks if samples]
    if not calls and loose:
        calls, loose = loose[:1], loose[1:]
    for one in loose:
        found = _call_of(one, calls)
        if found is not None:
            found.take(one)
    for call in calls:
        call.samples.sort(key=lambda sample: sample.t)
    return calls


def _joined(told: Iterable[tuple[Path, Observation]]) -> list[Group]:
    """Observations by the ids that they share, directly or by way of others."""
    listed = list(told)
    parents = list(range(len(listed)))

    def first(at: int) -> int:
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    by_id: dict[tuple[str, str], int] = {}
    for at, (file, one) in enumerate(listed):
        for key in _ids(file, one):
            parents[first(at)] = first(by_id.setdefault(key, at))
    groups: dict[int, Group] = {}
    for at, (file, one) in enumerate(listed):
        group = groups.setdefault(first(at), Group())
        group.told.append(one)
        group.files.add(file)
    return list(groups.values())


def _ids(file: Path, one: Observation) -> list[tuple[str, str]]:
    ids = [(name, one.ids[name]) for name in _IDS if one.ids.get(name)]
    for name in CALL_IDS:
        value = one.ids.get(name, "").lower()
        if value.strip("0-"):  # a Session-ID that is not known yet is 0 (RFC 7989, section 5)
            ids.append((_scope(file, one, name, value), value))
    return [*ids, ("file", str(file))] if one.source == OF_ONE_ROOM else ids


def _scope(file: Path, one: Observation, name: str, value: str) -> str:
    """Among which records an id says that they are of one call."""
    if _OF_ONE_MACHINE.fullmatch(value):
        return f"machine {file.parent}"
    return "call" if len(value) >= _UNIQUE else f"{one.source} {name}"


def others_left_out(calls: Sequence[Group]) -> list[Group]:
    """The calls to tell of: a log's calls of other rooms are none of a call with its own files.

    A log is the bridge's, or any file that tells of a call with files of its own and of others.
    """
    agents = [call for call in calls if call.seen_by_agent]
    return [
        call
        for call in calls
        if call.seen_by_agent or not any(_is_beside(call, other) for other in agents)
    ]


def _is_beside(call: Group, other: Group) -> bool:
    if call.files & other.files:
        return True
    return call.sources == {_BRIDGES_LOG} and bool(call.folders & other.folders)


def _call_of(loose: Group, calls: Sequence[Group]) -> Group | None:
    near = [call for call in calls if call.folders & loose.folders] or list(calls)
    if len(near) == 1:
        return near[0]
    start = min(loose.began, *(sample.t for sample in loose.samples[:1]), float("inf"))
    end = loose.samples[-1].t if loose.samples else loose.ended
    best = max(near, key=lambda call: _common_s(call, start, end), default=None)
    return best if best is not None and _common_s(best, start, end) > 0 else None


def _common_s(call: Group, start: float, end: float) -> float:
    return min(call.ended, end) - max(call.began, start)
