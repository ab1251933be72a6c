"""The records of one call, as far as they are known to belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trunktrace.facts import Observation
from trunktrace.quality.rtc import Sample

CALL_IDS: Final = ("call_id", "provider_call_id", "linked_id", "channel_id", "session_id")
"""What names a call or a leg of it."""

OF_ONE_ROOM: Final = "livekit-participant"
"""A source whose file is what one agent saw in one room."""

_AGENT_SIDE: Final = frozenset({OF_ONE_ROOM, "livekit-webhook", "livekit-spans"})

_LEG_IDS: Final = ("livekit_call_id", *(name for name in CALL_IDS if name != "channel_id"))
"""What names a call; a room, or a channel, without one is of the call of its folder."""


@dataclass(slots=True)
class Group:
    """Observations of one call, the files that they are from, and the statistics of its agent."""

    told: list[Observation] = field(default_factory=list[Observation])
    files: set[Path] = field(default_factory=set[Path])
    samples: list[Sample] = field(default_factory=list[Sample])

    @property
    def folders(self) -> set[Path]:
        """Where its files are."""
        return {file.parent for file in self.files}

    @property
    def sources(self) -> set[str]:
        """Who tells of it."""
        return {one.source for one in self.told}

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
        self.files |= other.files
        self.samples += other.samples
