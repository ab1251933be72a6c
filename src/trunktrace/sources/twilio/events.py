"""Call Events of Twilio's Voice Insights: the progress of a call at each edge, with its times.

The events of media gateways are those of the call's progress, in the group `connection`. Events of
Twilio's own WebRTC client (`sdk_edge`, `client_edge`) and of other groups are ignored.
Source: Twilio's pages "Call Events" and "Call Insights Event Stream". No real record was seen.
"""

from __future__ import annotations

from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.callbacks import Ending
from trunktrace.sources.shapes.jsonlines import text_in
from trunktrace.sources.shapes.values import iso_time, milliseconds_between
from trunktrace.sources.twilio.words import (
    CARRIER,
    EDGES,
    Told,
    say_ending,
    sid_of,
    taken,
    told_in,
)
from trunktrace.timeline import MarkKind
from trunktrace.windows import Leg

NAME: Final = "twilio-events"

_EVENTS: Final = "com.twilio.voice.insights.call-event.gateway"
_MARKS: Final[dict[str, MarkKind]] = {
    "initiated": "invite",
    "ringing": "ringing",
    "answered": "answered",
    "in_progress": "answered",
    "connected": "answered",
}
_ENDINGS: Final[dict[str, Ending]] = {
    "completed": "answered",
    "disconnected": "answered",
    "busy": "busy",
    "no_answer": "no_answer",
    "noanswer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}


class _Leg:
    """The events of one edge of one call: the first of each kind."""

    def __init__(self) -> None:
        self.first: dict[MarkKind, float] = {}
        self.endings: dict[Ending, float] = {}

    def take(self, name: str, at: float) -> None:
        """Take an event of the call's progress."""
        kind, ending = _MARKS.get(name), _ENDINGS.get(name)
        if kind is not None:
            self.first[kind] = min(at, self.first.get(kind, at))
        if ending is not None:
            self.endings[ending] = max(at, self.endings.get(ending, at))


def parse(data: bytes, _reading: Reading = AS_IT_IS) -> Parsed:
    """An observation for each leg of each call, in the order in which they are first told of."""
    legs: dict[tuple[str, Leg], _Leg] = {}
    broken, ignored = taken(told_in(data, "events"), lambda told: _take(legs, told))
    observations = [_observation(sid, leg, seen) for (sid, leg), seen in legs.items()]
    return Parsed(tuple(observations), broken, ignored)


def _take(legs: dict[tuple[str, Leg], _Leg], told: Told) -> str | None:
    """Why an event could not be read; empty if it was, None if it says nothing of a leg of ours."""
    if told.kind and told.kind != _EVENTS:
        return None
    event = told.record
    call_sid, at = sid_of(event.get("call_sid")), iso_time(event.get("timestamp"))
    name = text_in(event, "name")
    if call_sid is None:
        return "no SID under `call_sid`"
    if at is None:
        return "no time under `timestamp`"
    if name is None:
        return "no `name`"
    leg = EDGES.get(text_in(event, "edge") or "")
    said = name.lower().removeprefix("call.").replace("-", "_")
    if leg is None or (said not in _MARKS and said not in _ENDINGS):
        return None
    legs.setdefault((call_sid, leg), _Leg()).take(said, at)
    return ""


def _observation(call_sid: str, leg: Leg, seen: _Leg) -> Observation:
    draft = Draft(NAME, leg=leg, record_id=call_sid)
    draft.say(carrier=CARRIER, provider_call_id=call_sid)
    draft.identify("linked_id", call_sid)
    for kind, at in seen.first.items():
        draft.happened(kind, at)
    invited, rang = seen.first.get("invite"), seen.first.get("ringing")
    answered = seen.first.get("answered")
    ending, ended = _end(seen)
    if answered is not None or ending is not None:
        say_ending(draft, "answered" if answered is not None else ending, None)
    if ending == "answered":
        draft.happened("hangup", ended)
    draft.start, draft.end = min(seen.first.values(), default=ended), ended
    draft.complete = ended is not None
    draft.say(
        setup_ms=milliseconds_between(invited, answered),
        pdd_ms=milliseconds_between(invited, rang),
        ring_ms=milliseconds_between(rang, answered),
        duration_ms=milliseconds_between(answered, ended),
    )
    return draft.build()


def _end(seen: _Leg) -> tuple[Ending | None, float | None]:
    """How the leg ended, and when; by the last word on it."""
    if not seen.endings:
        return None, None
    ending = max(seen.endings, key=lambda one: seen.endings[one])
    return ending, seen.endings[ending]
