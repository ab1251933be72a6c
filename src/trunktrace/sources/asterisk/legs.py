"""The legs of a stream of Asterisk's manager, found by the ids and names in its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from trunktrace.sources.asterisk.events import Event
from trunktrace.sources.asterisk.leg import Leg
from trunktrace.sources.asterisk.names import (
    channel_name,
    created_at,
    number_of,
    person_of,
    unique_id,
)
from trunktrace.sources.shapes.values import count

Said = str | None
"""Why an event could not be read; empty if it was, None if it says nothing of a leg."""

RING: Final = 4
"""A call comes in."""

_UP: Final = 6
_RINGING: Final = 5
_MOST_DIALED: Final = 64
_LAST: Final = frozenset({"hanguprequest", "softhanguprequest", "hangup"})
"""The state in these began some time before."""

STATES: Final = {
    "down": 0,
    "rsrvd": 1,
    "offhook": 2,
    "dialing": 3,
    "ring": RING,
    "ringing": _RINGING,
    "up": _UP,
    "busy": 7,
    "dialing offhook": 8,
    "pre-ring": 9,
}
"""Words for the state of a channel, by the number of each (`ast_state2str`)."""


def state_of(event: Event, prefix: Literal["", "dest"] = "") -> int | None:
    """The state of the channel, by its number; before 1.6 there was the word alone."""
    told = event.get(f"{prefix}channelstate")
    if told is None and not prefix:
        return STATES.get((event.get("state") or "").lower())
    return count(told)


@dataclass(slots=True)
class Legs:
    """Every leg by its id, and by the name of its channel; a name that comes again is the later's.

    `hangups` are, by the id of a call, the ids of answered channels that were asked to end, in
    order, and whether their far end asked.
    """

    by_id: dict[str, Leg] = field(default_factory=dict[str, Leg])
    by_name: dict[str, Leg] = field(default_factory=dict[str, Leg])
    hangups: dict[str, list[tuple[str, bool]]] = field(
        default_factory=dict[str, list[tuple[str, bool]]]
    )

    def of(self, event: Event, prefix: Literal["", "dest"] = "") -> Leg | Said:
        """The leg that an event is about; else why there is none."""
        text = event.get(f"{prefix}channel")
        if text is None:
            return "no name of a channel"
        leg = self.known(event.get(f"{prefix}uniqueid"), text)
        if leg is None:
            return None if channel_name(text) is None else "no id of a channel"
        leg.linked = unique_id(event.get(f"{prefix}linkedid")) or leg.linked
        return leg

    def known(self, unique: str | None, text: str) -> Leg | None:
        """The leg of that id and name, which is made if there was none; None for no leg."""
        name = channel_name(text)
        believed = unique_id(unique)
        if name is None:
            return None
        if believed is None:
            return self.by_name.get(text)
        leg = self.by_id.get(believed)
        if leg is None:
            leg = self._without_id(text, believed) or Leg(believed, name)
            leg.unique, leg.has_id, leg.created = believed, True, created_at(believed)
            self.by_id[believed] = self.by_name[text] = leg
        return leg

    def named(self, text: str, caller: Leg) -> Leg | None:
        """The channel of that name that a record says was dialled; None for no leg."""
        name = channel_name(text)
        leg = self.by_name.get(text)
        # Names come again when Asterisk starts anew.
        is_known = leg is not None and (leg.has_id or leg.dialed_by == caller.unique)
        if is_known or name is None:
            return leg
        unique = f"{caller.unique} {len(caller.dialing) + 1}"
        leg = self.by_id[unique] = self.by_name[text] = Leg(unique, name, has_id=False)
        leg.dialed = True
        caller.had_dialed(leg)
        return leg

    def _without_id(self, text: str, unique: str) -> Leg | None:
        """The leg that was known by this name alone, and now by this id."""
        leg = self.by_name.get(text)
        if leg is None or leg.has_id:
            return None
        created = created_at(unique)
        if created is not None and leg.record_end is not None and created > leg.record_end:
            return None
        self.by_id.pop(leg.unique, None)
        caller = self.by_id.get(leg.dialed_by or "")
        if caller is not None:
            caller.dialing.append(unique)
        return leg

    def seen(
        self, leg: Leg, event: Event, at: float | None, prefix: Literal["", "dest"] = ""
    ) -> None:
        """Take what the snapshot of a channel in an event says."""
        own, other = event.get(f"{prefix}calleridnum"), event.get(f"{prefix}connectedlinenum")
        leg.own_number = leg.own_number or number_of(own)
        leg.other_number = leg.other_number or number_of(other)
        leg.know(person_of(own), person_of(other))
        state = state_of(event, prefix)
        leg.call_id = event.get(f"{prefix}chanvariable sipcallid") or leg.call_id
        changed = event.name == "newstate"
        if event.name in _LAST:
            at = None
        if state == _UP:
            leg.up = True
            if leg.was_down or changed:
                leg.answered(at)
        elif state is not None and state < _UP:
            leg.was_down = True
        if state == _RINGING:
            leg.progressed(at if changed else None)

    def asked_to_end(self, leg: Leg, by_far_end: bool) -> None:
        """Somebody wants an answered leg to end; of many times the first ones count."""
        asked = self.hangups.setdefault(leg.linked or leg.unique, [])
        if len(asked) < _MOST_DIALED:
            asked.append((leg.unique, by_far_end))

    def peer(self, leg: Leg) -> Leg | None:
        """The other leg: of its last bridge, else of its dialling; None for none, or several."""
        bridged = self.by_name.get(leg.peer_name or "")
        if bridged is not None:
            return bridged
        if leg.dialed_by is not None:
            return self.by_id.get(leg.dialed_by)
        answered = self.answered(leg)
        return answered[0] if len(answered) == 1 else None

    def in_dialling(self, leg: Leg) -> Leg | None:
        """The one leg that is being dialled; None where there are several."""
        open_now = [one for one in self._dialed(leg) if one.dial_status is None]
        return open_now[0] if len(open_now) == 1 else None

    def answered_by(self, leg: Leg) -> Leg | None:
        """The leg that answered last when this one had it dialled."""
        answered = self.answered(leg)
        return answered[-1] if answered else None

    def answered(self, leg: Leg) -> list[Leg]:
        """The legs that answered when this one had them dialled."""
        return [one for one in self._dialed(leg) if one.up]

    def _dialed(self, leg: Leg) -> list[Leg]:
        return [self.by_id[one] for one in leg.dialing[-_MOST_DIALED:] if one in self.by_id]
