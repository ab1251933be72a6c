"""Which end of a call faces the bridge, and so which leg of a PBX or proxy is which of ours.

A PBX, SBC or proxy sees two ends: the caller's and the callee's. The leg between it and the end
that faces the bridge is `trunk`, the other one `pstn`. What comes from the far end goes `in`
(towards the agent), on both legs; so what the bridge's end sends towards the PBX is `out`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from trunktrace import conventions as c
from trunktrace.facts import End, Observation
from trunktrace.sip.uris import parse_host
from trunktrace.windows import Leg, MediaDirection, MediaWindow

ENDPOINT: Final = "endpoint"
"""Id under which an observation has the name that a PBX gives to that end: endpoint or gateway."""

_LEGS: Final[dict[Leg, Leg]] = {"trunk": "pstn", "pstn": "trunk", "agent": "agent"}
_DIRECTIONS: Final[dict[MediaDirection, MediaDirection]] = {"in": "out", "out": "in"}


@dataclass(frozen=True, slots=True)
class Ends:
    """The end that faces the bridge, and how that is known.

    `by` is `configured` by the user, `told` by the record (it names a carrier at the other end), or
    `assumed`: a call that comes into a PBX is taken to be on its way to the agent.
    """

    bridge: End = "callee"
    by: Literal["configured", "told", "assumed"] = "assumed"
    names: frozenset[str] = frozenset()
    """Names of the bridge, where one of them was found in the record; as `_name` gives them."""

    @property
    def far(self) -> End:
        """The end that faces the carrier."""
        return "caller" if self.bridge == "callee" else "callee"

    @property
    def direction(self) -> str:
        """`inbound` where the bridge is called, `outbound` where it calls."""
        return "inbound" if self.bridge == "callee" else "outbound"

    def leg(self, end: End) -> Leg:
        """Our leg between that end and the PBX."""
        return "trunk" if end == self.bridge else "pstn"

    def sent_by(self, end: End) -> MediaDirection:
        """Our direction of what that end sends and the PBX receives."""
        return "out" if end == self.bridge else "in"

    def sent_to(self, end: End) -> MediaDirection:
        """Our direction of what the PBX sends and that end receives."""
        return "in" if end == self.bridge else "out"

    def is_aside(self, end: End, names: Iterable[str | None]) -> bool:
        """Whether a leg of the bridge's end, with these names, is somebody else's.

        It may be a desk phone that rang too, or to which the call was handed over.
        """
        own = {_name(name) for name in names if name}
        return end == self.bridge and bool(own and self.names) and not own & self.names

    def stated_by(self, end: End) -> str | None:
        """The direction of the call, as far as this end's leg may state it.

        An assumption is stated by the leg on which the call came in alone.
        """
        return None if self.by == "assumed" and end == self.bridge else self.direction


@dataclass(frozen=True, slots=True)
class Bridge:
    """What a user says of the bridge: names by which records call it, or the end where it stands.

    `names` are endpoints, gateways, hosts or addresses of the LiveKit SIP bridge as a PBX writes
    them, compared without case and port. `end` is for records of calls of one direction only.
    """

    names: frozenset[str] = frozenset()
    end: End | None = None

    def _named(self, names: Iterable[str | None]) -> frozenset[str]:
        return frozenset(map(_name, self.names)) & {_name(name) for name in names if name}

    def ends(
        self,
        *,
        caller: Iterable[str | None] = (),
        callee: Iterable[str | None] = (),
        told: End | None = None,
    ) -> Ends:
        """The ends of a call whose record calls them so; `told`: where the record puts us."""
        if found := self._named(callee):
            return Ends("callee", "configured", found)
        if found := self._named(caller):
            return Ends("caller", "configured", found)
        if self.end is not None:
            return Ends(self.end, "configured")
        return Ends(told, "told") if told is not None else Ends()


def _name(text: str) -> str:
    """A name as it is compared: a host without its port, an address in its one form."""
    found = parse_host(text)
    return text.strip().lower() if found is None else found.host


def turned(observation: Observation, direction: str) -> Observation:
    """The observation as it reads in a call that others know to be inbound or outbound.

    One that was placed by configuration, or stands at one end only, stays as it is.
    """
    right: End = "callee" if direction == "inbound" else "caller"
    if observation.bridge_end is None or observation.bridge_end_by == "configured":
        return observation
    told = replace(observation, bridge_end_by="told")
    facts = {**observation.facts, c.SIP_CALL_DIRECTION: direction}
    if observation.bridge_end == right:
        return replace(told, facts=facts)
    leg = _LEGS[observation.leg]
    facts.pop(c.TRUNK_ID, None)
    if leg == "pstn" and (endpoint := observation.ids.get(ENDPOINT)):
        facts[c.TRUNK_ID] = endpoint
    return replace(
        told,
        leg=leg,
        bridge_end=right,
        facts=facts,
        windows=tuple(map(_turned_window, observation.windows)),
        untimed=tuple(map(_turned_window, observation.untimed)),
    )


def _turned_window(window: MediaWindow) -> MediaWindow:
    if window.leg == "agent":
        return window
    return replace(window, leg=_LEGS[window.leg], direction=_DIRECTIONS[window.direction])
