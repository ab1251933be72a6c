"""Channel events of FreeSWITCH's event socket (ESL), plain or JSON: one observation a leg.

All events of a channel are read together, in the order of their times: later ones add to earlier
ones. CHANNEL_HANGUP_COMPLETE has all that a CDR has; without it an observation is partial.
RECV_RTCP_MESSAGE and SEND_RTCP_MESSAGE give windows, DTMF a count (never a digit), CHANNEL_HOLD and
RECORD_START what they say. Events of other kinds are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunktrace.sources.freeswitch.call import observations
from trunktrace.sources.freeswitch.frames import Event, events
from trunktrace.sources.freeswitch.leg import (
    CAME_IN,
    MAX_NAME_CHARACTERS,
    NOT_SIP,
    VARIABLES,
    Leg,
    caller_of,
    holds_in,
    names_of,
)
from trunktrace.sources.freeswitch.media import Statistics
from trunktrace.sources.freeswitch.rtcp import RECEIVED, SENT, intervals, reports_of
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.ordered import in_file_order
from trunktrace.sources.shapes.values import count, http_time, unix_time
from trunktrace.timeline import MarkKind

NAME: Final = "freeswitch-esl"

_COMPLETE: Final = "CHANNEL_HANGUP_COMPLETE"
_OVER: Final = frozenset({"CHANNEL_HANGUP", _COMPLETE, "CHANNEL_DESTROY"})
_REPORTS: Final = frozenset({RECEIVED, SENT})
_SPANS: Final[dict[str, tuple[MarkKind, bool]]] = {
    "CHANNEL_HOLD": ("hold", True),
    "CHANNEL_UNHOLD": ("hold", False),
    "RECORD_START": ("recording", True),
    "RECORD_STOP": ("recording", False),
}
_OTHERS: Final = _REPORTS | {"DTMF", "RECORD_START", "RECORD_STOP"}
_TIMES: Final = (
    "Caller-Channel-Created-Time",
    "Caller-Channel-Progress-Time",
    "Caller-Channel-Progress-Media-Time",
    "Caller-Channel-Answered-Time",
    "Caller-Channel-Hangup-Time",
)
_FIRST_COUNTS: Final = frozenset({"Caller-Destination-Number", "Caller-Caller-ID-Number"})
"""Headers that a transfer changes: the call was made with the first value."""

_PERSONS: Final = (
    "Caller-Username", "Caller-Caller-ID-Name", "Caller-Caller-ID-Number", "Caller-ANI",
    "Caller-Orig-Caller-ID-Number", "Caller-Callee-ID-Number", "Caller-Destination-Number",
    "Other-Leg-Username", "Other-Leg-Caller-ID-Number", "Other-Leg-Destination-Number",
)  # fmt: skip
_PERSON_VARIABLES: Final = (
    "sip_from_user",
    "sip_to_user",
    "sip_req_user",
    "sip_contact_user",
    "sip_from_display",
)


_OF_AN_EVENT: Final = (
    "Event-Name", "Event-Date-Timestamp", "Event-Date-GMT", "Event-Sequence", "Unique-ID",
    "Channel-Name", "Channel-Call-UUID", "Call-Direction", "Caller-Direction", "Hangup-Cause",
    "Caller-Network-Addr", "Other-Leg-Direction", "Other-Leg-Network-Addr", "Other-Leg-Unique-ID",
    "Other-Type", "SSRC", "RTP-Rate", "Capture-Time", "Source0-SSRC", "Source0-Lost",
    "Source0-Jitter", "Source0-Highest-Sequence-Number-Received", "variable_direction",
    "Source-SSRC", "Source-Lost", "Source-Highest-Sequence-Number-Received",
    "Channel-Read-Codec-Name",
)  # fmt: skip
_READ: Final = frozenset(
    {*_OF_AN_EVENT, *_TIMES, *_PERSONS, *(f"variable_{name}" for name in VARIABLES)}
)


def _is_read(header: str) -> bool:
    return header in _READ or header.startswith("variable_rtp_audio_")


@dataclass(frozen=True, slots=True)
class _Event:
    """An event of a channel: when it was, its number, its line, and what it holds."""

    at: float
    number: int
    line: int
    uuid: str
    headers: Event

    @property
    def name(self) -> str:
        return self.headers["Event-Name"]


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation a leg; the order of the events in the file does not matter."""
    broken: list[Broken] = []
    taken: list[_Event] = []
    ignored = 0
    for line, told in events(data, _is_read):
        found = _event(told, line) if isinstance(told, dict) else told
        if found is None:
            ignored += 1
        elif isinstance(found, Broken):
            broken.append(found)
        else:
            taken.append(found)
    channels: dict[str, _Channel] = {}
    for event in sorted(taken, key=lambda one: (one.at, one.number)):
        channels.setdefault(event.uuid, _Channel(event.uuid)).take(event)
    legs: list[Leg] = []
    for channel in channels.values():
        leg = channel.leg()
        if leg is not None:
            legs.append(leg)
        elif channel.has_no_direction:
            broken += [Broken(line, "no Call-Direction") for line in channel.lines]
        else:
            ignored += channel.events
    told_of = tuple(observations(NAME, legs, reading))
    return Parsed(told_of, in_file_order(broken), ignored)


def _event(headers: Event, line: int) -> _Event | Broken | None:
    """An event of a channel; None where it says nothing of one."""
    name = headers.get("Event-Name")
    if not name:
        return Broken(line, "no Event-Name")
    if not name.startswith("CHANNEL_") and name not in _OTHERS:
        return None
    uuid = headers.get("Unique-ID")
    if not uuid or len(uuid) > MAX_NAME_CHARACTERS:
        return Broken(line, "no Unique-ID")
    at = unix_time(headers.get("Event-Date-Timestamp"), per_second=1e6)
    at = at or http_time(headers.get("Event-Date-GMT"))
    if at is None:
        return Broken(line, "no time under `Event-Date-Timestamp`")
    return _Event(at, count(headers.get("Event-Sequence")) or 0, line, uuid, headers)


class _Channel:
    def __init__(self, uuid: str) -> None:
        self.events = 0
        self.lines: list[int] = []
        self._uuid = uuid
        self._headers: Event = {}
        self._reports: list[Event] = []
        self._spans: dict[MarkKind, list[tuple[float, float | None]]] = {}
        self._digits = 0
        self._complete = False
        self._over_at: float | None = None

    def take(self, event: _Event) -> None:
        """An event of the channel, later than those before."""
        self.events += 1
        if event.name in _REPORTS:
            self._reports.append(event.headers)
            return
        self.lines.append(event.line)
        if event.name in _SPANS:
            self._span(*_SPANS[event.name], event.at)
        self._digits += event.name == "DTMF"
        self._complete = self._complete or event.name == _COMPLETE
        if event.name in _OVER and self._over_at is None:
            self._over_at = event.at
        for key, value in event.headers.items():
            kept = key in _FIRST_COUNTS and key in self._headers
            if value and not kept and not (key in _TIMES and value == "0"):
                self._headers[key] = value

    @property
    def has_no_direction(self) -> bool:
        """Whether there are events of the channel, and none says on which side it is."""
        return bool(self.lines) and self._came_in is None

    @property
    def _came_in(self) -> bool | None:
        told = self._headers.get
        named = told("Call-Direction") or told("Caller-Direction") or told("variable_direction")
        return CAME_IN.get(named or "")

    def _span(self, kind: MarkKind, begins: bool, at: float) -> None:
        spans = self._spans.setdefault(kind, [])
        if begins:
            spans.append((at, None))
        elif spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], at)

    def leg(self) -> Leg | None:
        """The leg; None where no event said on which side it is, or it is none of SIP."""
        told = self._headers
        came_in = self._came_in
        if came_in is None or told.get("Channel-Name", "").startswith(NOT_SIP):
            return None
        variables = {key: value for key in VARIABLES if (value := told.get(f"variable_{key}"))}
        variables.setdefault("hangup_cause", told.get("Hangup-Cause", ""))
        variables.setdefault("call_uuid", told.get("Channel-Call-UUID", ""))
        variables.setdefault("read_codec", told.get("Channel-Read-Codec-Name", ""))
        media = {
            key.removeprefix("variable_"): value
            for key, value in told.items()
            if key.startswith("variable_rtp_audio_")
        }
        created, progress, early, answered, hung_up = map(self._time, _TIMES)
        leg = Leg(
            uuid=self._uuid,
            came_in=came_in,
            variables=variables,
            statistics=Statistics(media),
            created=created,
            progress=min((time for time in (progress, early) if time is not None), default=None),
            answered=answered,
            hung_up=hung_up or self._over_at,
            caller=caller_of(variables, told.get("Caller-Caller-ID-Number")),
            callee=told.get("Caller-Destination-Number"),
            over=self._over_at is not None,
            complete=self._complete,
            other_leg=told.get("Other-Leg-Unique-ID") if self._was_asked_for else None,
            dtmf_count=self._digits or None,
            marks=tuple(self._marks()),
        )
        self._name_ends(leg)
        reports = reports_of(self._reports, count(leg.said("rtp_use_ssrc")))
        leg.intervals = tuple(intervals(reports, leg.clock_rate_hz))
        return leg

    @property
    def _was_asked_for(self) -> bool:
        """Whether the other leg of the last event is the one for which this one was made."""
        kind = self._headers.get("Other-Type")
        if kind is None:
            return self._headers.get("Other-Leg-Direction") != "outbound"
        return kind == "originator"

    def _time(self, header: str) -> float | None:
        return unix_time(self._headers.get(header), per_second=1e6)

    def _marks(self) -> Iterator[tuple[MarkKind, float, float | None]]:
        if "hold" not in self._spans:
            yield from holds_in(self._headers.get("variable_hold_events"))
        for kind, spans in self._spans.items():
            for start, end in spans:
                yield kind, start, end

    def _name_ends(self, leg: Leg) -> None:
        told = self._headers.get
        leg.name_end(told("Caller-Network-Addr"))
        leg.persons |= names_of([*map(told, _PERSONS), *map(leg.said, _PERSON_VARIABLES)])
        if CAME_IN.get(told("Other-Leg-Direction") or "") is (not leg.came_in):
            leg.far |= names_of([told("Other-Leg-Network-Addr")])
