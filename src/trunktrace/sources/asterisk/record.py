"""The manager's `Cdr` event (cdr_manager): what it says of the legs that it names.

Whole seconds, in the PBX's own zone. It has the id of the caller's channel alone.
"""

from __future__ import annotations

from datetime import tzinfo

from trunktrace.sources.asterisk.events import Event
from trunktrace.sources.asterisk.leg import Leg
from trunktrace.sources.asterisk.legs import Legs, Said
from trunktrace.sources.asterisk.names import created_at, number_of, unique_id
from trunktrace.sources.shapes.values import count, iso_time


def take_record(legs: Legs, event: Event, zone: tzinfo) -> Said:
    """Take a `Cdr` event."""
    unique = unique_id(event.get("uniqueid"))
    started = iso_time(event.get("starttime"), zone, after=created_at(unique or ""))
    lasted = count(event.get("duration")) or 0
    earliest = None if started is None else started + lasted
    ended = iso_time(event.get("endtime"), zone, after=earliest)
    if started is None or unique is None or "channel" not in event.fields:
        return "no id, channel or time of a call"
    text = event.get("destinationchannel") or ""
    caller = legs.known(unique, event.get("channel") or "")
    dialed = legs.by_name.get(text) if caller is None else legs.named(text, caller)
    if caller is not None:
        caller.own_number = caller.own_number or number_of(event.get("source"))
        caller.dialed_number = caller.dialed_number or number_of(event.get("destination"))
    if dialed is not None and not dialed.has_id:
        dialed.created = started
        dialed.other_number = number_of(event.get("source"))
        dialed.dialed_number = number_of(event.get("destination"))
    found = [leg for leg in (caller, dialed) if leg is not None]
    for leg in found:
        leg.know(number_of(event.get("source")), number_of(event.get("destination")))
        if ended is not None and ended >= started:
            leg.record_end = ended
        # The answer time is the caller's, also where nobody was found.
        if event.get("disposition") == "ANSWERED" or (leg is caller and event.get("answertime")):
            leg.up = leg.up or leg.sip_code is None
            _bill(leg, event, iso_time(event.get("answertime"), zone, after=started))
        else:
            leg.dial_status = leg.dial_status or event.get("disposition")
    return "" if found else None


def _bill(leg: Leg, event: Event, answered: float | None) -> None:
    """The talk time; of a second record of the same channel, since the first one's answer."""
    seconds = count(event.get("billableseconds"))
    leg.billed_ms = None if seconds is None else seconds * 1000.0
    since, leg.record_answer = leg.record_answer, leg.record_answer or answered
    if since is not None and leg.record_end is not None and leg.record_end >= since:
        leg.billed_ms = (leg.record_end - since) * 1000.0
