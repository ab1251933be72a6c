"""Channel events of FreeSWITCH's event socket (ESL), plain or JSON: one observation a leg.

All events of a channel are read together, in the order of their times: later ones add to earlier
ones. CHANNEL_HANGUP_COMPLETE has all that a CDR has; without it an observation is partial.
RECV_RTCP_MESSAGE gives windows, DTMF a count (never a digit), CHANNEL_HOLD and RECORD_START what
they say. Events of other kinds are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunktrace.sources.freeswitch_call import observations
from trunktrace.sources.freeswitch_frames import Event, events
from trunktrace.sources.freeswitch_leg import END_OF, VARIABLES, Leg, names_of
from trunktrace.sources.freeswitch_media import Statistics
from trunktrace.sources.freeswitch_rtcp import intervals, report_of
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.values import count, http_time, unix_time
from trunktrace.timeline import MarkKind

NAME: Final = "freeswitch-esl"

_OVER: Final = "CHANNEL_HANGUP_COMPLETE"
_REPORT: Final = "RECV_RTCP_MESSAGE"
_SPANS: Final[dict[str, tuple[MarkKind, bool]]] = {
    "CHANNEL_HOLD": ("hold", True),
    "CHANNEL_UNHOLD": ("hold", False),
    "RECORD_START": ("recording", True),
    "RECORD_STOP": ("recording", False),
}
_OTHERS: Final = frozenset({_REPORT, "DTMF", "RECORD_START", "RECORD_STOP"})
_NOT_SIP: Final = ("loopback/", "null/", "error/")
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


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation a leg; the order of the events in the file does not matter."""
    broken: list[Broken] = []
    taken: list[tuple[float, int, str, Event]] = []
    ignored = 0
    for line, event in events(data):
        found = _keyed(event, line) if isinstance(event, dict) else event
        if found is None:
            ignored += 1
        elif isinstance(found, Broken):
            broken.append(found)
        else:
            taken.append(found)
    channels: dict[str, _Channel] = {}
    for at, _, uuid, event in sorted(taken, key=_order):
        channels.setdefault(uuid, _Channel(uuid)).take(event, at)
    legs: list[Leg] = []
    for channel in channels.values():
        leg = channel.leg()
        if leg is None:
            ignored += channel.events
        else:
            legs.append(leg)
    return Parsed(tuple(observations(NAME, legs, reading)), tuple(broken), ignored)


def _order(taken: tuple[float, int, str, Event]) -> tuple[float, int, str]:
    return taken[:3]


def _keyed(event: Event, line: int) -> tuple[float, int, str, Event] | Broken | None:
    """An event with its time, number and channel; None where it says nothing of a channel."""
    name = event.get("Event-Name")
    if not name:
        return Broken(line, "no Event-Name")
    if not name.startswith("CHANNEL_") and name not in _OTHERS:
        return None
    uuid = event.get("Unique-ID")
    if not uuid:
        return Broken(line, "no Unique-ID")
    at = unix_time(event.get("Event-Date-Timestamp"), per_second=1e6)
    at = at or http_time(event.get("Event-Date-GMT"))
    if at is None:
        return Broken(line, "no time under `Event-Date-Timestamp`")
    return at, count(event.get("Event-Sequence")) or 0, uuid, event


class _Channel:
    def __init__(self, uuid: str) -> None:
        self.events = 0
        self._uuid = uuid
        self._headers: Event = {}
        self._reports: list[Event] = []
        self._spans: dict[MarkKind, list[tuple[float, float | None]]] = {}
        self._digits = 0
        self._over = False

    def take(self, event: Event, at: float) -> None:
        """An event of the channel, later than those before."""
        self.events += 1
        name = event["Event-Name"]
        if name == _REPORT:
            self._reports.append(event)
            return
        if name in _SPANS:
            self._span(*_SPANS[name], at)
        if name == "DTMF":
            self._digits += 1
        self._over = self._over or name == _OVER
        for key, value in event.items():
            kept = key in _FIRST_COUNTS and key in self._headers
            if value and not kept and not (key in _TIMES and value == "0"):
                self._headers[key] = value

    def _span(self, kind: MarkKind, begins: bool, at: float) -> None:
        spans = self._spans.setdefault(kind, [])
        if begins:
            spans.append((at, None))
        elif spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], at)

    def leg(self) -> Leg | None:
        """The leg; None where no event said on which side it is, or it is none of SIP."""
        told = self._headers
        end = END_OF.get(told.get("Call-Direction") or told.get("variable_direction") or "")
        if end is None or told.get("Channel-Name", "").startswith(_NOT_SIP):
            return None
        variables = {key: value for key in VARIABLES if (value := told.get(f"variable_{key}"))}
        variables.setdefault("hangup_cause", told.get("Hangup-Cause", ""))
        variables.setdefault("call_uuid", told.get("Channel-Call-UUID", ""))
        media = {
            key.removeprefix("variable_"): value
            for key, value in told.items()
            if key.startswith("variable_rtp_audio_")
        }
        created, progress, early, answered, hung_up = map(self._time, _TIMES)
        leg = Leg(
            uuid=self._uuid,
            end=end,
            variables=variables,
            statistics=Statistics(media),
            created=created,
            progress=min((time for time in (progress, early) if time is not None), default=None),
            answered=answered,
            hung_up=hung_up,
            caller=told.get("Caller-Caller-ID-Number"),
            callee=told.get("Caller-Destination-Number"),
            complete=self._over,
            other_leg=told.get("Other-Leg-Unique-ID"),
            dtmf_count=self._digits or None,
            marks=tuple(self._marks()),
        )
        self._name_ends(leg)
        own_ssrc = count(leg.said("rtp_use_ssrc"))
        reports = (report_of(event, own_ssrc) for event in self._reports)
        leg.intervals = tuple(
            intervals((one for one in reports if one is not None), leg.clock_rate_hz)
        )
        return leg

    def _time(self, header: str) -> float | None:
        return unix_time(self._headers.get(header), per_second=1e6)

    def _marks(self) -> Iterator[tuple[MarkKind, float, float | None]]:
        for kind, spans in self._spans.items():
            for start, end in spans:
                yield kind, start, end

    def _name_ends(self, leg: Leg) -> None:
        told = self._headers.get
        own = ("sip_gateway_name", "sip_gateway", "sip_network_ip", "sip_received_ip")
        host = "sip_from_host" if leg.end == "caller" else "sip_to_host"
        leg.near |= names_of([*map(leg.said, (*own, host)), told("Caller-Network-Addr")])
        leg.persons |= names_of([*map(told, _PERSONS), *map(leg.said, _PERSON_VARIABLES)])
        if told("Other-Leg-Direction") != told("Call-Direction"):
            leg.far |= names_of([told("Other-Leg-Network-Addr")])
