"""Variables of Asterisk's channels that say something of a leg (`VarSet` events)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from trunktrace.sources.asterisk.events import Event
from trunktrace.sources.asterisk.leg import Leg
from trunktrace.sources.asterisk.legs import Legs, Said
from trunktrace.sources.asterisk.names import codec_of
from trunktrace.sources.asterisk.quality import pairs_of, string_of
from trunktrace.sources.shapes.values import count, decimal

_QUALITY: Final = "rtpaudioqos"
_BRIDGED: Final = "bridged"
_SIP_CAUSE: Final = re.compile(r"SIP ([2-6]\d\d)\b")


def take_variable(legs: Legs, event: Event) -> Said:
    """Take a `VarSet` event."""
    variable, value = event.get("variable") or "", event.get("value") or ""
    lowered = variable.lower()
    if lowered.startswith(_QUALITY) and value:
        return _quality(legs, event, lowered.removeprefix(_QUALITY), value)
    if "SIP_CAUSE~" in variable:
        return _sip_cause(legs, variable, value)
    handler = _HANDLERS.get(lowered)
    if handler is None:
        return None
    leg = legs.of(event)
    if not isinstance(leg, Leg):
        return leg
    handler(legs, leg, value)
    return ""


def _quality(legs: Legs, event: Event, sibling: str, value: str) -> Said:
    pairs = string_of(value) if sibling in ("", _BRIDGED) else pairs_of(value)
    if pairs is None:
        return "a quality string without its packet counts"
    leg = legs.of(event)
    if not isinstance(leg, Leg):
        return leg
    if not sibling.endswith(_BRIDGED):
        leg.quality_pairs.update(pairs)
    elif (peer := legs.peer(leg)) is not None:
        peer.copied_pairs.update(pairs)
    return ""


def _sip_cause(legs: Legs, variable: str, value: str) -> Said:
    """`HASH(SIP_CAUSE,SIP/peer-0000001a)`: what chan_sip tells instead of a `TechCause`."""
    told = _SIP_CAUSE.match(value)
    leg = next((legs.by_name[part] for part in variable.split("~") if part in legs.by_name), None)
    if told is None or leg is None:
        return None
    leg.sip_code = int(told[1])
    return ""


def _own_call_id(_legs: Legs, leg: Leg, value: str) -> None:
    """`SIPCALLID`: chan_sip sets it, and a dialplan may."""
    leg.call_id = value or leg.call_id


def _peer_name(_legs: Legs, leg: Leg, value: str) -> None:
    """`BRIDGEPEER`: the other channel; empty when the bridge ends."""
    leg.peer_name = value or leg.peer_name


def _peer_call_id(legs: Legs, leg: Leg, value: str) -> None:
    """`BRIDGEPVTCALLID`: the Call-ID of the *other* channel."""
    peer = legs.peer(leg)
    if peer is not None and value:
        peer.call_id = value


def _progress(legs: Legs, leg: Leg, value: str) -> None:
    """`RINGTIME_MS`, `PROGRESSTIME_MS`: from the dialling to the first 180, to the first 183."""
    dialed, told = legs.in_dialling(leg), decimal(value)
    if dialed is not None and told is not None:
        dialed.pdd_ms = told if dialed.pdd_ms is None else min(told, dialed.pdd_ms)


def _talk(legs: Legs, leg: Leg, value: str) -> None:
    """`ANSWEREDTIME_MS`: from the answer to the end of the last `Dial`."""
    told = decimal(value)
    for one in (leg, legs.answered_by(leg)):
        if one is not None and told is not None:
            one.talk_ms = told


def _talk_s(legs: Legs, leg: Leg, value: str) -> None:
    """`ANSWEREDTIME`: the same in whole seconds, all that older releases have."""
    told = count(value)
    for one in (leg, legs.answered_by(leg)):
        if one is not None and told is not None and one.billed_ms is None:
            one.billed_ms = told * 1000.0


def _dialed(legs: Legs, leg: Leg, value: str) -> None:
    """`DIALEDTIME_MS`: from the dialling to the end."""
    dialed = legs.answered_by(leg)
    if dialed is not None:
        dialed.dialed_ms = decimal(value)


def _format(_legs: Legs, leg: Leg, value: str) -> None:
    """`AUDIOFORMAT`: a dialplan may write the format of the leg there."""
    leg.codec = codec_of(value) or leg.codec


_HANDLERS: Final[dict[str, Callable[[Legs, Leg, str], None]]] = {
    "sipcallid": _own_call_id,
    "bridgepeer": _peer_name,
    "bridgepvtcallid": _peer_call_id,
    "ringtime_ms": _progress,
    "progresstime_ms": _progress,
    "answeredtime_ms": _talk,
    "answeredtime": _talk_s,
    "dialedtime_ms": _dialed,
    "audioformat": _format,
}
