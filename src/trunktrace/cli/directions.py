"""Which leg of a call a record is of, and whether the call came in: by who knows it best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sources.ends import turned

Knows = Callable[[Observation], bool]


def of_one_direction(told: Sequence[Observation]) -> list[Observation]:
    """The observations, those of PBXs and proxies read as the call's direction wants it.

    A PBX sees two ends and does not know which of them is the bridge; LiveKit's records, the user,
    or a record that names a carrier, do.
    """
    placed = _of_known_channels(told)
    direction = direction_of(placed)
    return placed if direction is None else [turned(one, direction) for one in placed]


def _of_known_channels(told: Sequence[Observation]) -> list[Observation]:
    """The observations, those of a channel alone on the leg of which that channel is.

    A body of Asterisk's rtp_statistics names a channel and neither its call nor its end: what was
    assumed of it, the records of the whole call know.
    """
    known = {one.ids["channel_id"]: one for one in told if "linked_id" in one.ids and _named(one)}
    return [_placed_as(one, known.get(one.ids.get("channel_id", ""))) for one in told]


def _named(one: Observation) -> bool:
    return "channel_id" in one.ids and one.bridge_end is not None


def _placed_as(one: Observation, known: Observation | None) -> Observation:
    if known is None or one.bridge_end is None or "linked_id" in one.ids:
        return one
    if one.leg != known.leg:
        opposite = "outbound" if one.bridge_end == "callee" else "inbound"
        one = turned(replace(one, bridge_end_by="assumed"), opposite)
    facts = {key: value for key, value in one.facts.items() if key != c.SIP_CALL_DIRECTION}
    return replace(one, facts=facts, bridge_end=known.bridge_end, bridge_end_by=known.bridge_end_by)


def direction_of(told: Sequence[Observation]) -> str | None:
    """`inbound` or `outbound`; None where all that says it assumes it."""
    for knows in _BEST_FIRST:
        said = {d for one in told if knows(one) and (d := _stated(one)) is not None}
        if said:
            # Whom the agent dials from a call that came in is of that call.
            return "inbound" if "inbound" in said else "outbound"
    return None


def _stated(one: Observation) -> str | None:
    if one.bridge_end is not None:
        return "inbound" if one.bridge_end == "callee" else "outbound"
    direction = one.facts.get(c.SIP_CALL_DIRECTION)
    return direction if isinstance(direction, str) else None


def _by(how: str) -> Knows:
    return lambda one: one.bridge_end is not None and one.bridge_end_by == how


_BEST_FIRST: Final[tuple[Knows, ...]] = (
    lambda one: one.source.startswith("livekit"),
    _by("configured"),
    _by("told"),
    lambda one: one.bridge_end is None,
)
