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

_OF_ONE_ROOM: Final = "livekit-participant"
"""A source whose file is what one agent saw in one room."""

_AGENT_SIDE: Final = frozenset({_OF_ONE_ROOM, "livekit-webhook", "livekit-spans"})

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
    def seen_by_agent(self) -> bool:
        """Whether there is more than the bridge's log, which holds the calls of all rooms."""
        return bool(self.samples) or any(one.source in _AGENT_SIDE for one in self.told)

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
        group.folders.add(file.parent)
    return list(groups.values())


def _ids(file: Path, one: Observation) -> list[tuple[str, str]]:
    ids = [(name, one.ids[name]) for name in _IDS if one.ids.get(name)]
    return [*ids, ("file", str(file))] if one.source == _OF_ONE_ROOM else ids


def others_left_out(calls: Sequence[Group]) -> list[Group]:
    """The calls to tell of: a log's calls of other rooms are none of a call with its own files."""
    agents = [call for call in calls if call.seen_by_agent]
    return [
        call
        for call in calls
        if call.seen_by_agent or not any(call.folders & other.folders for other in agents)
    ]


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
