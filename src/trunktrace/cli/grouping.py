"""Which observations are of one call, and which statistics go with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trunktrace.facts import Observation
from trunktrace.quality.rtc import Sample

_IDS: Final = ("room_id", "job_id", "livekit_call_id", "call_id", "provider_call_id", "session_id")
"""What two records of one call share."""

_LEG_IDS: Final = ("livekit_call_id", "call_id", "provider_call_id")
"""What names a leg of a call; a room without one is no call."""


@dataclass(slots=True)
class Group:
    """Observations of one call, the folders that they are from, and the statistics of its agent."""

    told: list[Observation] = field(default_factory=list[Observation])
    folders: set[Path] = field(default_factory=set[Path])
    samples: list[Sample] = field(default_factory=list[Sample])

    @property
    def names_a_leg(self) -> bool:
        """Whether somebody was on the phone."""
        return any(one.ids.get(name) for one in self.told for name in _LEG_IDS)

    @property
    def began(self) -> float:
        """When the first of it began, unix seconds; infinite where nobody says."""
        return min((o.start for o in self.told if o.start is not None), default=float("inf"))

    @property
    def ended(self) -> float:
        """When the last of it ended, unix seconds; infinite where nobody says."""
        return max((o.end for o in self.told if o.end is not None), default=float("inf"))

    def take(self, other: Group) -> None:
        """Everything of another group."""
        self.told += other.told
        self.folders |= other.folders
        self.samples += other.samples


def grouped(
    told: Iterable[tuple[Path, Observation]], looks: Iterable[tuple[Path, Sequence[Sample]]]
) -> list[Group]:
    """Calls, in the order in which they began.

    Observations that share an id are of one call. What names no leg (a room's spans, statistics)
    goes with the call of its folder; of several, with that of the same time, or with none.
    """
    rooms = _joined(told)
    calls = sorted((one for one in rooms if one.names_a_leg), key=lambda one: one.began)
    loose = [one for one in rooms if not one.names_a_leg]
    loose += [Group([], {file.parent}, list(samples)) for file, samples in looks if samples]
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
    by_id: dict[tuple[str, str], Group] = {}
    groups: dict[int, Group] = {}
    for file, one in told:
        ids = [(name, one.ids[name]) for name in _IDS if one.ids.get(name)]
        group = Group([], {file.parent})
        for known in {id(by_id[key]): by_id[key] for key in ids if key in by_id}.values():
            # The larger one takes the smaller: a log of many calls is joined in linear time.
            small, group = sorted((group, known), key=lambda each: len(each.told))
            group.take(small)
            groups.pop(id(small), None)
            for key, owner in _keys(small, by_id):
                if owner is small:
                    by_id[key] = group
        group.told.append(one)
        groups[id(group)] = group
        by_id |= dict.fromkeys(ids, group)
    return list(groups.values())


def _keys(group: Group, by_id: dict[tuple[str, str], Group]) -> list[tuple[tuple[str, str], Group]]:
    keys = {(name, one.ids[name]) for one in group.told for name in _IDS if one.ids.get(name)}
    return [(key, by_id[key]) for key in keys if key in by_id]


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
