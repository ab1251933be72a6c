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
from trunktrace.sources.asterisk.legs import RING, Legs, Said, state_of
from trunktrace.sources.asterisk.names import codec_of, moment, number_of
from trunktrace.sources.asterisk.record import take_record
from trunktrace.sources.asterisk.variables import take_variable
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.values import integer

NAME: Final = "asterisk-ami"

_CALL_ID: Final = re.compile(r"\bcall-?id[ =:]{1,4}([^\s,;]{6,200})", re.IGNORECASE)
_SAYS_A_LINE: Final = frozenset({"noop", "verbose", "log"})
_LONGEST_LINE: Final = 1024
_SIP: Final = re.compile(r"sips?:", re.IGNORECASE)
_OLD_RTCP: Final = frozenset({"ourssrc", "senderssrc", "receptionreports", "fractionlost"})


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each leg, in the order in which the legs were first seen."""
    stream = Stream(reading)
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


class Stream:
    """The legs of a stream so far."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._legs = Legs()

    @property
    def legs(self) -> Legs:
        """The legs that were seen."""
        return self._legs

    def take(self, event: Event) -> Said:
        """Take an event."""
        handler = _HANDLERS.get(event.name)
        if handler is None or _is_nobodys(event):
            return None
        if event.fault:
            return event.fault
        return handler(self, event, moment(event.get("timestamp")))

    def observations(self, source: str = NAME) -> tuple[Observation, ...]:
        """What is known of each leg."""
        return tuple(observations_of(self._legs, self._reading, source))

    def on_variable(self, event: Event, _at: float | None) -> Said:
        """A variable was set: quality, Call-IDs, times of the last `Dial`."""
        return take_variable(self._legs, event)

    def on_channel(self, event: Event, at: float | None) -> Said:
        """A channel began, changed, was put into a bridge or taken out of it."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        state = state_of(event)
        is_new = event.name == "newchannel"
        if is_new:
            leg.began_at = leg.began_at or at
        # chan_sip makes a channel before it says that a call comes in on it.
        if is_new or (leg.first_state == 0 and state == RING):
            leg.first_state = state
            if state:
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
            caller.had_dialed(dialed)
        number = _dialed_number(event.get("dialstring") or "")
        dialed.dialed_number = dialed.dialed_number or number
        dialed.know(number)
        self._legs.seen(dialed, event, at, "dest")
        _dial_status(dialed, event, at)
        return ""

    def on_old_dial(self, event: Event, at: float | None) -> Said:
        """The `Dial` event of releases before 12; before 1.6 with other names, and no end."""
        if (event.get("subevent") or "").lower() != "end":
            fields = {**event.fields, "destchannel": event.get("destination") or ""}
            if "source" in fields:
                fields |= {"channel": fields["source"], "uniqueid": fields.get("srcuniqueid", "")}
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
        """`Bridge` of releases before 12, `Link` of those before 1.6: two channels hear each other.

        `Bridgestate: Unlink` is its end: then they were answered some time before.
        """
        at = None if (event.get("bridgestate") or "").lower() == "unlink" else at
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
            _meet(legs[0], legs[1])
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
        if by_far_end:
            leg.cause = leg.cause or integer(event.get("cause")) or None
        if leg.up:
            self._legs.asked_to_end(leg, by_far_end)
            leg.ended_at = leg.ended_at or (at if by_far_end else None)
            return ""
        leg.sip_code = _sip_code(event) or leg.sip_code
        leg.is_dropped = leg.is_dropped or not by_far_end
        if by_far_end and leg.end == "caller" and leg.sip_code in (None, CANCELED):
            leg.gave_up = True
        return ""

    def on_hangup(self, event: Event, at: float | None) -> Said:
        """A channel is gone."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        self._legs.seen(leg, event, at)
        caller = self._legs.by_id.get(leg.dialed_by or "")
        leg.is_dropped = leg.is_dropped or (caller is not None and caller.gave_up)
        leg.hung_up = True
        leg.ended_at = leg.ended_at or at
        leg.cause = integer(event.get("cause")) or leg.cause
        leg.sip_code = _sip_code(event) or leg.sip_code
        return ""

    def on_rtcp(self, event: Event, at: float | None) -> Said:
        """A report was sent or received."""
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        leg.rtcp.take(event, at, leg.created)
        return ""

    def on_cdr(self, event: Event, _at: float | None) -> Said:
        """A `Cdr` event: the record of two legs."""
        return take_record(self._legs, event, self._reading.zone)

    def on_digit(self, event: Event, _at: float | None) -> Said:
        """A DTMF digit ended: it is counted, and never looked at.

        Before 12 `DTMF` tells of the beginning and the end of each.
        """
        is_end = event.name == "dtmfend" or (event.get("end") or "").lower() == "yes"
        if not is_end or (event.get("direction") or "").lower() != "received":
            return None
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        leg.dtmf_count += 1
        return ""

    def on_span(self, event: Event, at: float | None) -> Said:
        """A channel was put on hold, or its recording began; or that ended.

        Before 12 `Hold` has `Status: Off` for the end.
        """
        leg = self._legs.of(event)
        if not isinstance(leg, Leg):
            return leg
        kind, opens = _SPANS[event.name]
        if opens and (event.get("status") or "").lower() != "off":
            leg.opened(kind, at)
        else:
            leg.closed(kind, at)
        return ""


def _meet(one: Leg, other: Leg) -> None:
    """Two channels of which no event tells how they came together (a queue): the caller's first."""
    if one.linked is None and other.linked is None:
        first = other if (one.end, other.end) == ("callee", "caller") else one
        one.linked = other.linked = first.unique


def _is_nobodys(event: Event) -> bool:
    """Whether this is a report of RTCP of a release before 12: they do not say whose it is."""
    is_report = event.name in ("rtcpsent", "rtcpreceived")
    return is_report and "channel" not in event.fields and not _OLD_RTCP.isdisjoint(event.fields)


def _dialed_number(dialed: str) -> str | None:
    """The number in `+15555550143@acme`, `acme/+15555550143` or `acme/sip:+15555550143@host`."""
    told = dialed.rpartition("/")[2].partition("@")[0]
    return number_of(told.partition(":")[2] if _SIP.match(told) else told)


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


_SPANS: Final[dict[str, tuple[Lasting, bool]]] = {
    "hold": ("hold", True),
    "unhold": ("hold", False),
    "mixmonitorstart": ("recording", True),
    "mixmonitorstop": ("recording", False),
    "monitorstart": ("recording", True),
    "monitorstop": ("recording", False),
}

_HANDLERS: Final[dict[str, Callable[[Stream, Event, float | None], Said]]] = {
    "newchannel": Stream.on_channel,
    "newstate": Stream.on_channel,
    "status": Stream.on_channel,
    "bridgeenter": Stream.on_channel,
    "bridgeleave": Stream.on_channel,
    "dialbegin": Stream.on_dial,
    "dialstate": Stream.on_dial,
    "dialend": Stream.on_dial,
    "dial": Stream.on_old_dial,
    "bridge": Stream.on_old_bridge,
    "link": Stream.on_old_bridge,
    "varset": Stream.on_variable,
    "newexten": Stream.on_line,
    "hanguprequest": Stream.on_hangup_request,
    "softhanguprequest": Stream.on_hangup_request,
    "hangup": Stream.on_hangup,
    "rtcpsent": Stream.on_rtcp,
    "rtcpreceived": Stream.on_rtcp,
    "cdr": Stream.on_cdr,
    "dtmfend": Stream.on_digit,
    "dtmf": Stream.on_digit,
    "hold": Stream.on_span,
    "unhold": Stream.on_span,
    "mixmonitorstart": Stream.on_span,
    "mixmonitorstop": Stream.on_span,
    "monitorstart": Stream.on_span,
    "monitorstop": Stream.on_span,
}
