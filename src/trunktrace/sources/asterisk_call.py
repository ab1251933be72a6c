"""The legs of one call of Asterisk, put side by side: who ended it, and whose loss is whose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trunktrace.facts import End, Observation
from trunktrace.sources.asterisk_leg import Leg, draft_of, say_media
from trunktrace.sources.asterisk_legs import Legs
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
    left = _hung_up_by(legs)
    for leg in legs.by_id.values():
        linked = leg.linked or leg.unique
        ends, call = sides[linked], calls[linked]
        draft = draft_of(leg, ends, source)
        if leg.up or leg.gave_up:
            draft.say(hangup_source=left.get(linked))
        say_media(draft, leg, ends, _upstream(call, legs.peer(leg)))
        if leg.end == "callee" and draft.leg == "pstn":
            draft.attempts.append(_attempt(leg))
        yield draft.build()


def _ends(call: Iterable[Leg], reading: Reading) -> Ends:
    names: dict[End, list[str]] = {"caller": [], "callee": []}
    for leg in call:
        names[leg.end] += [name for name in (leg.name.endpoint, leg.name.host) if name]
    return reading.bridge.ends(caller=names["caller"], callee=names["callee"])


def _hung_up_by(legs: Legs) -> dict[str, str]:
    """Who ended each call, by the id of the call; a call that Asterisk ended itself has nobody."""
    first: dict[str, str | None] = {}
    for unique, by_far_end in legs.hangups:
        leg = legs.by_id[unique]
        first.setdefault(leg.linked or unique, leg.end if by_far_end else None)
    for leg in legs.by_id.values():
        if leg.gave_up:
            first.setdefault(leg.linked or leg.unique, "caller")
    return {linked: who for linked, who in first.items() if who is not None}


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
