"""Events of Asterisk's manager (AMI): one observation for each channel that is a leg.

The caller's leg is the channel that came in, a callee's one that was dialled. Without
`timestampevents` the stream has no times but whole seconds in the ids of channels, those of `Cdr`
events, and those of sender reports. Fields: docs.asterisk.org, "AMI Events".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.asterisk_call import observations_of
from trunktrace.sources.asterisk_events import Event, events
from trunktrace.sources.asterisk_leg import Leg
from trunktrace.sources.asterisk_names import (
    channel_name,
    codec_of,
    created_at,
    number_of,
    person_of,
    unique_id,
)
from trunktrace.sources.asterisk_quality import pairs_of
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.values import count, decimal, integer, iso_time, unix_time

NAME: Final = "asterisk-ami"

_UP: Final = 6
_RINGING: Final = 5
_PERSONS: Final = ("calleridnum", "connectedlinenum")
_QUALITY: Final = "rtpaudioqos"
_BRIDGED: Final = "bridged"
_CALL_ID: Final = re.compile(r"\bcall-?id[ =:]{1,4}([^\s,;]{6,200})", re.IGNORECASE)
_SIP_CAUSE: Final = re.compile(r"SIP ([2-6]\d\d)\b")
_SAYS_A_LINE: Final = frozenset({"noop", "verbose", "log"})
_FARTHEST_S: Final = 86_400.0
_NEAR_S: Final = 60.0
_ENDED_AHEAD_S: Final = 1.0

Said = str | None
"""Why an event could not be read; empty if it was, None if it says nothing of a leg."""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each leg, in the order in which the legs began."""
    stream = _Stream(reading)
    broken: list[Broken] = []
    ignored = 0
    for event in events(data):
        if isinstance(event, Broken):
            broken.append(event)
            continue
        said = None if event is None else stream.take(event)
        if event is None or said is None:
            ignored += 1
        elif said:
            broken.append(Broken(event.line, said))
    return Parsed(stream.observations(), tuple(broken), ignored)


@dataclass(slots=True)
class _Stream:
    """The legs of a stream so far, and the time of its last event that had one."""

    reading: Reading
    legs: dict[str, Leg] = field(default_factory=dict[str, Leg])
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of channels by their names; a name that comes again is of the later one."""
    hangups: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """(id of an answered channel, whether its far end asked for it), in order."""
    now: float | None = None

    def take(self, event: Event) -> Said:
        """Take an event."""
        handler = _HANDLERS.get(event.name)
        if handler is None:
            return None
        if event.faults:
            return "a line that is no `Key: value`"
        at = unix_time(event.get("timestamp"))
        self.now = at or self.now
        return handler(self, event, at)

    def observations(self) -> tuple[Observation, ...]:
        """What is known of each leg."""
        return tuple(observations_of(self.legs.values(), self.hangups, self.reading, NAME))

    def on_channel(self, event: Event, at: float | None) -> Said:
        """A channel began, changed, was put into a bridge or taken out of it."""
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        if event.name == "newchannel":
            leg.began_at = leg.began_at or at
            leg.first_state = count(event.get("channelstate"))
            if leg.first_state != 0:
                leg.callee_number = leg.callee_number or number_of(event.get("exten"))
        self._state(leg, event, "", at)
        return ""

    def on_dial(self, event: Event, at: float | None) -> Said:
        """A channel was dialled, rang, or the dialling ended."""
        dialed = self._leg(event, "dest")
        caller = self._leg(event) if "channel" in event.fields else None
        if not isinstance(dialed, Leg):
            return dialed if not isinstance(caller, Leg) or dialed else ""
        dialed.dialed = True
        status = event.get("dialstatus")
        if isinstance(caller, Leg):
            self._state(caller, event, "", at)
            dialed.dialed_by = caller.unique
            dialed.linked = dialed.linked or caller.linked or caller.unique
            caller.linked = caller.linked or caller.unique
            if event.name == "dialend":
                caller.dial_status = status
        number = number_of((event.get("dialstring") or "").rpartition("/")[2].partition("@")[0])
        number = number or number_of(event.get("destcalleridnum"))
        dialed.callee_number = dialed.callee_number or number
        if number:
            dialed.persons.add(number)
        self._state(dialed, event, "dest", at)
        if event.name == "dialend":
            dialed.dial_status = status
            if status == "ANSWER":
                _answered(dialed, at)
        elif status in ("RINGING", "PROGRESS"):
            _rang(dialed, at)
        return ""

    def on_old_dial(self, event: Event, at: float | None) -> Said:
        """The `Dial` event of releases before 12."""
        if (event.get("subevent") or "").lower() == "end":
            caller = self._leg(event)
            if isinstance(caller, Leg):
                caller.dial_status = event.get("dialstatus")
                return ""
            return caller
        told = {**event.fields, "destchannel": event.get("destination") or ""}
        return self.on_dial(Event(event.line, "dialbegin", told), at)

    def on_variable(self, event: Event, _at: float | None) -> Said:
        """A variable was set: quality, Call-IDs, times of the last `Dial`."""
        variable, value = (event.get("variable") or "").lower(), event.get("value") or ""
        if variable.startswith(_QUALITY):
            return self._on_quality(event, variable.removeprefix(_QUALITY), value)
        found = _SIP_CAUSE.match(value) if "sip_cause" in variable else None
        if found:
            return self._on_sip_cause(variable, int(found[1]))
        handler = _VARIABLES.get(variable)
        if handler is None:
            return None
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        handler(self, leg, value)
        return ""

    def _on_quality(self, event: Event, sibling: str, value: str) -> Said:
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        pairs = pairs_of(value)
        if sibling in ("", _BRIDGED) and not {"rxcount", "txcount"} <= pairs.keys():
            return "a quality string without packet counts"
        if sibling.endswith(_BRIDGED):
            peer = self._peer(leg)
            if peer is not None:
                peer.copied_pairs.update(pairs)
        else:
            leg.quality_pairs.update(pairs)
        return ""

    def _on_sip_cause(self, variable: str, code: int) -> Said:
        for name, unique in self.names.items():
            if name.lower() in variable:
                leg = self.legs[unique]
                leg.sip_code = leg.sip_code or code
                return ""
        return None

    def set_own_call_id(self, leg: Leg, value: str) -> None:
        """`SIPCALLID`: chan_sip sets it, and a dialplan may."""
        leg.call_id = value or leg.call_id

    def set_peer_name(self, leg: Leg, value: str) -> None:
        """`BRIDGEPEER`: the other channel of the bridge; empty when the bridge ends."""
        leg.peer_name = value or leg.peer_name

    def set_peer_call_id(self, leg: Leg, value: str) -> None:
        """`BRIDGEPVTCALLID`: the Call-ID of the *other* channel."""
        peer = self._peer(leg)
        if peer is not None and value:
            peer.call_id = value

    def set_pdd(self, leg: Leg, value: str) -> None:
        """`RINGTIME_MS`, `PROGRESSTIME_MS`: from the dialling to the first 18x."""
        dialed = self._only_dialed_by(leg)
        told = decimal(value)
        if dialed is not None and told is not None:
            dialed.pdd_ms = told if dialed.pdd_ms is None else min(told, dialed.pdd_ms)

    def set_talk(self, leg: Leg, value: str, factor: float = 1.0) -> None:
        """`ANSWEREDTIME_MS`: from the answer to the end of the last `Dial`."""
        told = decimal(value)
        if told is None:
            return
        for one in (leg, self._only_dialed_by(leg)):
            if one is not None and (factor == 1.0 or one.talk_ms is None):
                one.talk_ms = told * factor

    def set_talk_s(self, leg: Leg, value: str) -> None:
        """`ANSWEREDTIME`, in whole seconds, of releases without the one above."""
        self.set_talk(leg, value, 1000.0)

    def set_dialed(self, leg: Leg, value: str) -> None:
        """`DIALEDTIME_MS`: from the dialling to the end."""
        dialed = self._only_dialed_by(leg)
        if dialed is not None:
            dialed.dialed_ms = decimal(value)

    def on_line(self, event: Event, _at: float | None) -> Said:
        """A step of the dialplan: of use where it writes the Call-ID down."""
        if (event.get("application") or "").lower() not in _SAYS_A_LINE:
            return None
        found = _CALL_ID.search((event.get("appdata") or "")[:1024])
        leg = self._leg(event) if found else None
        if not isinstance(leg, Leg) or found is None:
            return leg
        if found[1] not in (leg.unique, leg.linked):
            leg.call_id = leg.call_id or found[1]
        return ""

    def on_hangup_request(self, event: Event, at: float | None) -> Said:
        """`HangupRequest`: its far end wants to go. `SoftHangupRequest`: Asterisk ends it."""
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        self._state(leg, event, "", at)
        by_far_end = event.name == "hanguprequest"
        code = _sip_code(event)
        if leg.up:
            self.hangups.append((leg.unique, by_far_end))
            if by_far_end:
                leg.ended_at = leg.ended_at or at
        else:
            leg.sip_code = code or leg.sip_code
            asked_first = not any(one.dialed_by == leg.unique and one.up for one in self.legs.values())
            leg.gave_up = leg.gave_up or (by_far_end and leg.end == "caller" and asked_first)
        return ""

    def on_hangup(self, event: Event, at: float | None) -> Said:
        """A channel is gone."""
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        self._state(leg, event, "", at)
        leg.hung_up = True
        leg.ended_at = leg.ended_at or at
        leg.cause = integer(event.get("cause")) or None
        leg.sip_code = _sip_code(event) or leg.sip_code
        return ""

    def on_rtcp(self, event: Event, at: float | None) -> Said:
        """A report was sent or received."""
        if "channel" not in event.fields and "ourssrc" in event.fields:
            # Releases before 12 do not say whose report it is.
            return None
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        at = at or self._report_time(leg, event)
        self.now = at or self.now
        leg.rtcp.take(event, at)
        return ""

    def _report_time(self, leg: Leg, event: Event) -> float | None:
        """When a report was made; a peer's clock is believed where it can be ours."""
        told = unix_time(event.get("sentntp"))
        if told is None:
            return self.now
        if event.name == "rtcpsent":
            return told
        if self.now is not None and leg.created is not None and self.now >= leg.created:
            return told if abs(told - self.now) < _NEAR_S else self.now
        if leg.created is None or not -_ENDED_AHEAD_S <= told - leg.created < _FARTHEST_S:
            return self.now
        return told

    def on_cdr(self, event: Event, _at: float | None) -> Said:
        """A `Cdr` event: whole seconds, in the PBX's own zone."""
        started = iso_time(event.get("starttime"), self.reading.zone)
        unique = unique_id(event.get("uniqueid"))
        if started is None or unique is None or "channel" not in event.fields:
            return "no id, channel or time of a call"
        caller = self._known(unique, event.get("channel") or "")
        dialed = self.legs.get(self.names.get(event.get("destinationchannel") or "", ""))
        ended = iso_time(event.get("endtime"), self.reading.zone)
        billed = count(event.get("billableseconds"))
        answered = event.get("disposition") == "ANSWERED"
        legs = [leg for leg in (caller, dialed) if leg is not None]
        for leg in legs:
            leg.record_end = ended if ended is not None and ended >= started else leg.record_end
            if answered and leg.sip_code is None:
                leg.up = True
            if answered and leg.up and billed is not None:
                leg.billed_ms = billed * 1000.0
            leg.persons.update(
                found for key in ("source", "destination") if (found := number_of(event.get(key)))
            )
        return "" if legs else None

    def on_digit(self, event: Event, _at: float | None) -> Said:
        """A DTMF digit ended: it is counted, and never looked at."""
        if (event.get("direction") or "").lower() != "received":
            return None
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        leg.dtmf_count += 1
        return ""

    def on_span(self, event: Event, at: float | None) -> Said:
        """A channel was put on hold, or its recording began; or that ended."""
        leg = self._leg(event)
        if not isinstance(leg, Leg):
            return leg
        if event.name == "hold":
            leg.opened("hold", at)
        elif event.name == "mixmonitorstart":
            leg.opened("recording", at)
        else:
            leg.closed("hold" if event.name == "unhold" else "recording", at)
        return ""
