"""Events of Asterisk's manager (AMI): one observation for each channel that is a leg.

The caller's leg is the channel that came in, a callee's one that was dialled. Without
`timestampevents` the stream has no times but whole seconds in the ids of channels, those of `Cdr`
events, and those of sender reports. Fields: docs.asterisk.org, "AMI Events".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.asterisk.call import observations_of
from trunktrace.sources.asterisk.events import Event, events
from trunktrace.sources.asterisk.leg import CANCELED, Lasting, Leg
from trunktrace.sources.asterisk.legs import Legs, Said
from trunktrace.sources.asterisk.names import codec_of, created_at, moment, number_of, unique_id
from trunktrace.sources.asterisk.variables import take_variable
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.values import count, integer, iso_time

NAME: Final = "asterisk-ami"

_CALL_ID: Final = re.compile(r"\bcall-?id[ =:]{1,4}([^\s,;]{6,200})", re.IGNORECASE)
_SAYS_A_LINE: Final = frozenset({"noop", "verbose", "log"})
_LONGEST_LINE: Final = 1024


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each leg, in the order in which the legs were first seen."""
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


class _Stream:
    """The legs of a stream so far."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._legs = Legs()

    def take(self, event: Event) -> Said:
        """Take an event."""
        handler = _HANDLERS.get(event.name)
        if handler is None:
            return None
        if event.fault:
            return event.fault
        return handler(self, event, moment(event.get("timestamp")))

    def observations(self) -> tuple[Observation, ...]:
        """What is known of each leg."""
        return tuple(observations_of(self._legs, self._reading, NAME))

    def on_variable(self, event: Event, _at: float | None) -> Said:
        """A variable was set: quality, Call-IDs, times of the last `Dial`."""
        return take_variable(self._legs, event)

    def on_channel(self, event: Event, at: float | None) -> Said:
        """A channel began, changed, was put into a bridge or taken out of it."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        if event.name == "newchannel":
            leg.began_at = leg.began_at or at
            leg.first_state = count(event.get("channelstate"))
            if leg.first_state:
                leg.dialed_number = leg.dialed_number or number_of(event.get("exten"))
        leg.codec = codec_of(event.get("nativeformats")) or leg.codec
        self._legs.seen(leg, event, at)
        return ""

    def on_dial(self, event: Event, at: float | None) -> Said:
        """A channel was dialled, rang, or the dialling ended."""
        dialed = self._legs.of(event, "dest")
        caller = self._legs.of(event) if "channel" in event.fields else None
        if isinstance(caller, Leg):
            self._legs.seen(caller, event, at)
            if event.name == "dialend":
                caller.dial_status = event.get("dialstatus")
        if not isinstance(dialed, Leg):
            return "" if dialed is None and isinstance(caller, Leg) else dialed
        dialed.dialed = True
        if isinstance(caller, Leg):
            _join(caller, dialed)
        number = number_of((event.get("dialstring") or "").rpartition("/")[2].partition("@")[0])
        dialed.dialed_number = dialed.dialed_number or number
        dialed.know(number)
        self._legs.seen(dialed, event, at, "dest")
        _dial_status(dialed, event, at)
        return ""

    def on_old_dial(self, event: Event, at: float | None) -> Said:
        """The `Dial` event of releases before 12."""
        if (event.get("subevent") or "").lower() != "end":
            fields = {**event.fields, "destchannel": event.get("destination") or ""}
            return self.on_dial(Event(event.line, "dialbegin", fields), at)
        caller = self._legs.of(event)
        if not isinstance(caller, Leg):
            return caller
        dialed = self._legs.in_dialling(caller)
        caller.dial_status = event.get("dialstatus")
        if dialed is not None:
            _dial_status(dialed, Event(event.line, "dialend", event.fields), at)
        return ""

    def on_old_bridge(self, event: Event, at: float | None) -> Said:
        """The `Bridge` event of releases before 12: two channels hear each other."""
        found = [
            self._legs.known(event.get(f"uniqueid{end}"), event.get(f"channel{end}") or "")
            for end in ("1", "2")
        ]
        legs = [leg for leg in found if leg is not None]
        if not legs:
            return None
        for leg in legs:
            leg.answered(at)
        if len(legs) == 2 and legs[0] is not legs[1]:
            legs[0].peer_name, legs[1].peer_name = legs[1].name.text, legs[0].name.text
        return ""

    def on_line(self, event: Event, _at: float | None) -> Said:
        """A step of the dialplan: of use where it writes the Call-ID down."""
        if (event.get("application") or "").lower() not in _SAYS_A_LINE:
            return None
        found = _CALL_ID.search((event.get("appdata") or "")[:_LONGEST_LINE])
        if found is None:
            return None
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        if found[1] not in (leg.unique, leg.linked):
            leg.call_id = leg.call_id or found[1]
        return ""

    def on_hangup_request(self, event: Event, at: float | None) -> Said:
        """`HangupRequest`: its far end wants to go. `SoftHangupRequest`: Asterisk ends it."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        self._legs.seen(leg, event, at)
        by_far_end = event.name == "hanguprequest"
        if leg.up:
            self._legs.asked_to_end(leg, by_far_end)
            leg.ended_at = leg.ended_at or (at if by_far_end else None)
            return ""
        leg.sip_code = _sip_code(event) or leg.sip_code
        if by_far_end and leg.end == "caller" and leg.sip_code in (None, CANCELED):
            leg.gave_up = True
        return ""

    def on_hangup(self, event: Event, at: float | None) -> Said:
        """A channel is gone."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        self._legs.seen(leg, event, at)
        leg.hung_up = True
        leg.ended_at = leg.ended_at or at
        leg.cause = integer(event.get("cause")) or leg.cause
        leg.sip_code = _sip_code(event) or leg.sip_code
        return ""

    def on_rtcp(self, event: Event, at: float | None) -> Said:
        """A report was sent or received."""
        if "channel" not in event.fields and "ourssrc" in event.fields:
            # Releases before 12 do not say whose report it is.
            return None
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        leg.rtcp.take(event, at, leg.created)
        return ""

    def on_cdr(self, event: Event, _at: float | None) -> Said:
        """A `Cdr` event: whole seconds, in the PBX's own zone."""
        zone = self._reading.zone
        unique = unique_id(event.get("uniqueid"))
        started = iso_time(event.get("starttime"), zone, after=created_at(unique or ""))
        lasted = count(event.get("duration")) or 0
        earliest = None if started is None else started + lasted
        ended = iso_time(event.get("endtime"), zone, after=earliest)
        if started is None or unique is None or "channel" not in event.fields:
            return "no id, channel or time of a call"
        caller = self._legs.known(unique, event.get("channel") or "")
        dialed = self._legs.by_name.get(event.get("destinationchannel") or "")
        legs = [leg for leg in (caller, dialed) if leg is not None]
        parties = [number_of(event.get(key)) for key in ("source", "destination")]
        for leg in legs:
            if ended is not None and ended >= started:
                leg.record_end = ended
            leg.know(*parties)
            if event.get("disposition") == "ANSWERED":
                leg.up = leg.up or leg.sip_code is None
                leg.billed_ms = _thousand(count(event.get("billableseconds")))
        return "" if legs else None

    def on_digit(self, event: Event, _at: float | None) -> Said:
        """A DTMF digit ended: it is counted, and never looked at."""
        if (event.get("direction") or "").lower() != "received":
            return None
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        leg.dtmf_count += 1
        return ""

    def on_span(self, event: Event, at: float | None) -> Said:
        """A channel was put on hold, or its recording began; or that ended."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        kind, opens = _SPANS[event.name]
        if opens:
            leg.opened(kind, at)
        else:
            leg.closed(kind, at)
        return ""


def _join(caller: Leg, dialed: Leg) -> None:
    """One channel had another one dialled: two legs of one call."""
    if dialed.dialed_by != caller.unique:
        caller.dialing.append(dialed.unique)
    dialed.dialed_by = caller.unique
    caller.linked = caller.linked or caller.unique
    dialed.linked = dialed.linked or caller.linked


def _dial_status(dialed: Leg, event: Event, at: float | None) -> None:
    status = event.get("dialstatus")
    if event.name == "dialend":
        dialed.dial_status = status
        if status == "ANSWER":
            dialed.answered(at)
    elif status in ("RINGING", "PROGRESS"):
        dialed.progressed(at)


def _sip_code(event: Event) -> int | None:
    """`TechCause`: the SIP code of a channel that ended otherwise than it should (since 2025)."""
    code = integer(event.get("techcause"))
    return code if code is not None and 300 <= code <= 699 else None


def _thousand(seconds: int | None) -> float | None:
    return None if seconds is None else seconds * 1000.0


_SPANS: Final[dict[str, tuple[Lasting, bool]]] = {
    "hold": ("hold", True),
    "unhold": ("hold", False),
    "mixmonitorstart": ("recording", True),
    "mixmonitorstop": ("recording", False),
}

_HANDLERS: Final[dict[str, Callable[[_Stream, Event, float | None], Said]]] = {
    "newchannel": _Stream.on_channel,
    "newstate": _Stream.on_channel,
    "status": _Stream.on_channel,
    "bridgeenter": _Stream.on_channel,
    "bridgeleave": _Stream.on_channel,
    "dialbegin": _Stream.on_dial,
    "dialstate": _Stream.on_dial,
    "dialend": _Stream.on_dial,
    "dial": _Stream.on_old_dial,
    "bridge": _Stream.on_old_bridge,
    "varset": _Stream.on_variable,
    "newexten": _Stream.on_line,
    "hanguprequest": _Stream.on_hangup_request,
    "softhanguprequest": _Stream.on_hangup_request,
    "hangup": _Stream.on_hangup,
    "rtcpsent": _Stream.on_rtcp,
    "rtcpreceived": _Stream.on_rtcp,
    "cdr": _Stream.on_cdr,
    "dtmfend": _Stream.on_digit,
    "hold": _Stream.on_span,
    "unhold": _Stream.on_span,
    "mixmonitorstart": _Stream.on_span,
    "mixmonitorstop": _Stream.on_span,
}
