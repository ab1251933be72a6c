"""The legs of one call of Asterisk, put side by side: who ended it, and whose loss is whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sources.asterisk.leg import Leg
from trunktrace.sources.asterisk.legs import Legs
from trunktrace.sources.asterisk.telling import draft_of, say_media
from trunktrace.sources.ends import Ends
from trunktrace.sources.reading import Reading
from trunktrace.timeline import Attempt

_FAILURES = {"NOANSWER": "timeout", "CANCEL": "canceled"}
_MOST_PARTNERS: Final = 16
_OTHER: Final[dict[End, End]] = {"caller": "callee", "callee": "caller"}


@dataclass(frozen=True, slots=True)
class _Call:
    """What its legs say together.

    `up` are the answered legs of each end, `ours` the ids of the legs that do not stand aside.
    """

    legs: tuple[Leg, ...]
    ends: Ends
    up: Mapping[End, Sequence[Leg]]
    ours: frozenset[str]

    def is_aside(self, leg: Leg) -> bool:
        """Whether a leg is of somebody beside the bridge."""
        return self.ends.is_aside(leg.end, leg.name.names)


def observations_of(legs: Legs, reading: Reading, source: str) -> Iterator[Observation]:
    """One observation for each leg, in the order in which they were first seen."""
    grouped: dict[str, list[Leg]] = {}
    for leg in legs.by_id.values():
        grouped.setdefault(leg.linked or leg.unique, []).append(leg)
    calls = {linked: _call(members, reading) for linked, members in grouped.items()}
    for leg in legs.by_id.values():
        call = calls[leg.linked or leg.unique]
        draft = draft_of(leg, call.ends, source)
        draft.say(hangup_source=_hung_up_by(leg, call, legs))
        say_media(draft, leg, call.ends, _upstream(leg, call, legs))
        if leg.end == call.ends.far == "callee":
            draft.attempts.append(_attempt(leg))
        yield draft.build()


def _call(legs: Sequence[Leg], reading: Reading) -> _Call:
    names: dict[End, list[str]] = {"caller": [], "callee": []}
    up: dict[End, list[Leg]] = {"caller": [], "callee": []}
    for leg in legs:
        names[leg.end] += leg.name.names
        if leg.up:
            up[leg.end].append(leg)
    ends = reading.bridge.ends(caller=names["caller"], callee=names["callee"])
    ours = (leg.unique for leg in legs if not ends.is_aside(leg.end, leg.name.names))
    return _Call(tuple(legs), ends, up, frozenset(ours))


def _hung_up_by(leg: Leg, call: _Call, legs: Legs) -> End | None:
    """The far end that was the first to go, of those that heard each other at the end.

    None where Asterisk ended the call itself, or it goes on. A caller may be connected to one
    callee after the other; how a call with somebody beside the bridge ended is no end of ours.
    """
    if not leg.up:
        return "caller" if leg.gave_up else None
    partner = legs.by_id.get(leg.dialed_by or "") or legs.answered_by(leg)
    if partner is not None and call.is_aside(partner):
        return None
    both = call.ours if partner is None else {partner.unique}
    for unique, by_far_end in legs.hangups.get(leg.linked or leg.unique, ()):
        if unique == leg.unique or unique in both:
            return legs.by_id[unique].end if by_far_end else None
    return None


def _upstream(leg: Leg, call: _Call, legs: Legs) -> int | None:
    """What was lost on the other leg before Asterisk; None where nobody knows.

    Nobody does where a caller was connected to several: which gaps went where is not told.
    Where there is no other leg Asterisk is the sender, or sends back what it hears (`Echo`): then
    gaps come from the leg itself.
    """
    partners = call.up[_OTHER[leg.end]] or legs.answered(leg)
    if len(partners) > 1:
        none_lost = len(partners) <= _MOST_PARTNERS and all(one.lost() == 0 for one in partners)
        return 0 if none_lost else None
    peer = legs.peer(leg) or (partners[0] if partners else None)
    if peer is not None:
        lost = peer.lost()
        beside = any(one is not leg for one in call.up[leg.end][:2])
        is_shared = beside or len(legs.answered(peer)) > 1
        return None if lost and is_shared else lost
    return 0 if len(call.legs) == 1 and leg.lost() == 0 else None


def _attempt(leg: Leg) -> Attempt:
    """The INVITE of a leg that was dialled towards the far end."""
    return Attempt(
        start=leg.began_at or leg.created,
        end=leg.answered_at or leg.ended_at,
        trunk_id=leg.name.endpoint,
        status_code=200 if leg.up else leg.code,
        failure=None if leg.up or leg.code else _FAILURES.get(leg.dial_status or ""),
        progress=True if leg.rang else None,
    )
