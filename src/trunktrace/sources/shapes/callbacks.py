"""Webhooks of a carrier about one call each: put together by call, in the order of what they say.

A carrier stands between the bridge and the telephone network, and a leg of it has one party at its
other end: a telephone (the leg is `pstn`), or a SIP URI (the bridge: `trunk`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from trunktrace.facts import End
from trunktrace.sip.uris import host_in_uri, is_sip_uri
from trunktrace.sources.parsed import Broken
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.bodies import Body
from trunktrace.sources.shapes.jsonlines import Record
from trunktrace.windows import Leg

Fields = dict[str, str]
"""Fields as text; those that are empty, or longer than 1,024 characters, left out."""

Ending = Literal["answered", "busy", "no_answer", "canceled", "failed"]
"""What became of a call that is over, in our words."""

ENDINGS: Final[dict[str, Ending]] = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}
"""`CallStatus` of a call that is over, in TwiML's words: Twilio's, Telnyx's TeXML, SignalWire's."""

_LONGEST: Final = 1024
_BARE_NUMBER: Final = re.compile(r"[1-9]\d{10,14}")


@dataclass(frozen=True, slots=True)
class Callback:
    """One webhook: whose it is, how far the call was (a rank), when (unix seconds), its fields."""

    call: str
    rank: int
    at: float
    fields: Fields


@dataclass(frozen=True, slots=True)
class Gathered:
    """The calls with what their callbacks say together, what is broken, and what says nothing."""

    calls: Mapping[str, Fields]
    broken: tuple[Broken, ...]
    ignored: int


def gathered(bodies: Iterable[Body], read: Callable[[Fields], Callback | str | None]) -> Gathered:
    """The calls in the order of their first callbacks; of a field the latest callback counts.

    `read` gives a callback, or why it cannot be read, or None where it is about something else.
    """
    calls: dict[str, list[Callback]] = {}
    broken: list[Broken] = []
    ignored = 0
    for line, body in bodies:
        if isinstance(body, Broken):
            broken.append(body)
            continue
        found = read(_fields(body))
        if found is None:
            ignored += 1
        elif isinstance(found, str):
            broken.append(Broken(line, found))
        else:
            calls.setdefault(found.call, []).append(found)
    return Gathered({call: _together(told) for call, told in calls.items()}, tuple(broken), ignored)


def _together(callbacks: list[Callback]) -> Fields:
    fields: Fields = {}
    for callback in sorted(callbacks, key=lambda one: (one.rank, one.at)):
        fields |= callback.fields
    return fields


def _fields(body: Record) -> Fields:
    fields: Fields = {}
    for name, value in body.items():
        text = value.strip() if isinstance(value, str) else _written(value)
        if text and len(text) <= _LONGEST:
            fields[name] = text
    return fields


def _written(value: object) -> str:
    """A number as text; a truth value and everything else is none."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def leg_to(party: str | None) -> Leg:
    """The leg with that party at its other end."""
    return "trunk" if is_sip_uri(party) else "pstn"


def direction_by(reading: Reading, told: str | None, caller: object, callee: object) -> str | None:
    """The call's direction: as configured for the bridge, else as the record told it."""
    end: End | None = None
    if told in ("inbound", "outbound"):
        end = "callee" if told == "inbound" else "caller"
    ends = reading.bridge.ends(caller=[host_in_uri(caller)], callee=[host_in_uri(callee)], told=end)
    return None if ends.by == "assumed" else ends.direction


def with_plus(party: str | None) -> str | None:
    """A number that is written as E.164 without its `+`; anything else as it is.

    Of at least 11 digits: with fewer it may be of a country, and its code unknown.
    """
    return f"+{party}" if party is not None and _BARE_NUMBER.fullmatch(party) else party
