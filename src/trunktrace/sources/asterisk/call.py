"""The legs of one call of Asterisk, put side by side: who ended it, and whose loss is whose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trunktrace.facts import End, Observation
from trunktrace.sources.asterisk.leg import Leg, draft_of, say_media
from trunktrace.sources.asterisk.legs import Legs
from trunktrace.sources.ends import Ends
from trunktrace.sources.reading import Reading
from trunktrace.timeline import Attempt

_FAILURES = {"NOANSWER": "timeout", "CANCEL": "canceled"}


def observations_of(legs: Legs, reading: Reading, source: str) -> Iterator[Observation]:
    """One observation for each leg, in the order in which they were first seen."""
    calls: dict[str, list[Leg]] = {}
    for leg in legs.by_id.values():
        calls.setdefault(leg.linked or leg.unique, []).append(leg)
    sides = {linked: _ends(call, reading) for linked, call in calls.items()}
    for leg in legs.by_id.values():
        linked = leg.linked or leg.unique
        ends, call = sides[linked], calls[linked]
        draft = draft_of(leg, ends, source)
        draft.say(hangup_source=_hung_up_by(leg, call, legs))
        say_media(draft, leg, ends, _upstream(call, legs.peer(leg)))
        if leg.end == "callee" and draft.leg == "pstn":
            draft.attempts.append(_attempt(leg))
        yield draft.build()


def _ends(call: Iterable[Leg], reading: Reading) -> Ends:
    names: dict[End, list[str]] = {"caller": [], "callee": []}
    for leg in call:
        names[leg.end] += [name for name in (leg.name.endpoint, leg.name.host) if name]
    return reading.bridge.ends(caller=names["caller"], callee=names["callee"])


def _hung_up_by(leg: Leg, call: Iterable[Leg], legs: Legs) -> End | None:
    """The far end that was the first to go, of those that heard each other at the end.

    None where Asterisk ended the call itself, or it goes on. A caller may be connected to one
    callee after the other.
    """
    if not leg.up:
        return "caller" if leg.gave_up else None
    partner = legs.by_id.get(leg.dialed_by or "") or legs.answered_by(leg)
    both = {one.unique for one in (call if partner is None else (leg, partner))}
    for unique, by_far_end in legs.hangups.get(leg.linked or leg.unique, ()):
        if unique in both:
            return legs.by_id[unique].end if by_far_end else None
    return None


def _upstream(call: list[Leg], peer: Leg | None) -> int | None:
    """What was lost on the other leg before Asterisk; None where nobody knows.

    Where there is no other leg Asterisk is the sender, or sends back what it hears (`Echo`): then
    gaps come from the leg itself.
    """
    if peer is not None:
        return peer.lost()
    return 0 if len(call) == 1 and call[0].lost() == 0 else None


def _attempt(leg: Leg) -> Attempt:
    """The INVITE of a leg that was dialled towards the far end."""
    return Attempt(
        start=leg.began_at or leg.created,
        end=leg.answered_at or leg.ended_at,
        trunk_id=leg.name.endpoint,
        status_code=200 if leg.up else leg.sip_code,
        failure=None if leg.up or leg.sip_code else _FAILURES.get(leg.dial_status or ""),
        progress=True if leg.rang else None,
    )
