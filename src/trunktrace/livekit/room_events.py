"""What the room's legs become in the trace: events of the root, and facts of the legs beside it."""

from __future__ import annotations

from typing import Any, Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.directory import Directory
from trunktrace.facts import CallFacts, checked
from trunktrace.redaction import Redaction
from trunktrace.sip import participant as sip
from trunktrace.sip.legs import Leg

_IDENTITY_FIELDS: Final = ("carrier", "route", "region")
_LEG_FIELDS: Final = ("direction", "trunk_id", "livekit_call_id", "livekit_rule_id")


def state_event(state: str, reason: str | None = None) -> dict[str, Value]:
    """Attributes of a `sip.state` event; `reason` is the name of a DisconnectReason."""
    event: dict[str, Value] = {c.SIP_CALL_STATE: state}
    if reason is not None:
        event[c.LIVEKIT_DISCONNECT_REASON] = reason.lower()
    return event


def leg_event(leg: Leg, state: str | None, reason: str | None = None) -> dict[str, Value]:
    """Attributes of a `sip.leg` event: a leg of the room that is not the call."""
    stated = sip.facts_of(leg.attributes)
    event: dict[str, Value] = {c.SIP_CALL_DIRECTION: leg.direction}
    for name in ("trunk_id", "livekit_call_id"):
        believed = checked(name, stated.get(name))
        if believed is not None:
            event[believed[0]] = believed[1]
    if state is not None:
        event[c.SIP_CALL_STATE] = state
    if reason is not None:
        event[c.LIVEKIT_DISCONNECT_REASON] = reason.lower()
    return event


def leg_facts(leg: Leg, directory: Directory, redaction: Redaction) -> CallFacts:
    """What is known of a leg that is not the call; its numbers are masked."""
    stated = sip.facts_of(leg.attributes)
    facts: dict[str, Any] = {name: value for name, value in stated.items() if name in _LEG_FIELDS}
    identity = directory.identify(
        trunk_id=leg.attributes.get(sip.TRUNK_ID),
        host=leg.attributes.get(sip.HOSTNAME),
        attributes=leg.attributes,
    )
    for name in _IDENTITY_FIELDS:
        if (claim := getattr(identity, name)) is not None:
            facts[name] = claim.value
    for role in ("caller", "callee"):
        raw = stated.get(f"{role}_number")
        shown = redaction.number(raw) if isinstance(raw, str) else None
        if shown is not None:
            facts[f"{role}_number"] = shown.masked
    return CallFacts(**facts)


def reason_name(reason: object) -> str:
    """Name of a DisconnectReason, given as its number or already as its name."""
    if isinstance(reason, str):
        return reason
    from livekit.rtc import DisconnectReason

    try:
        return str(DisconnectReason.Name(reason))  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return "UNKNOWN_REASON"
