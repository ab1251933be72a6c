"""Frozen values about a call: what is known, by whom, about which leg and when.

Unknown is None, never 0 and never an empty string. Every field of `CallFacts` has one attribute key
(`key_of`), and one rule for what is believed (`checked`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal, TypedDict

from trunktrace import conventions as c
from trunktrace.belief import (
    Check,
    Value,
    believable_text,
    believed_by,
    carrier_slug,
    codec,
    count,
    milliseconds,
    name_of_ours,
    one_of,
    whole,
)
from trunktrace.timeline import Attempt, Mark
from trunktrace.windows import MEASURES, Leg, MediaWindow

__all__ = [
    "KNOWN_NAMES",
    "Attempt",
    "AttributeValues",
    "CallFacts",
    "End",
    "FactFields",
    "Leg",
    "Mark",
    "MediaWindow",
    "Observation",
    "Value",
    "checked",
    "key_of",
]

AttributeValues = Mapping[str, Value]

End = Literal["caller", "callee"]
"""The two ends of a call, as its INVITE names them."""


class FactFields(TypedDict, total=False):
    """The keyword arguments of `call.record()`; each is a field of `CallFacts`."""

    carrier: str | None
    route: str | None
    region: str | None
    direction: str | None
    status_code: int | None
    codec: str | None
    trunk_id: str | None
    fault: str | None
    call_id: str | None
    session_id: str | None
    provider_call_id: str | None
    livekit_call_id: str | None
    livekit_rule_id: str | None
    outcome: str | None
    outcome_detail: str | None
    reason: str | None
    q850_cause: int | None
    hangup_source: str | None
    setup_ms: float | None
    pdd_ms: float | None
    ring_ms: float | None
    duration_ms: float | None
    attempt_count: int | None
    dtmf_count: int | None
    transport: str | None
    media_encryption: str | None
    stir_attestation: str | None
    answered_by: str | None
    payload_type: int | None
    clock_rate_hz: int | None
    ptime_ms: int | None
    caller_number: str | None
    callee_number: str | None


_FIELDS: Final[dict[str, tuple[str, Check]]] = {
    "carrier": (c.TRUNK_CARRIER, carrier_slug),
    "route": (c.TRUNK_ROUTE, name_of_ours),
    "region": (c.TRUNK_REGION, name_of_ours),
    "direction": (c.SIP_CALL_DIRECTION, one_of("inbound", "outbound")),
    "status_code": (c.SIP_RESPONSE_STATUS_CODE, whole(200, 699)),
    "codec": (c.RTP_CODEC, codec),
    "trunk_id": (c.TRUNK_ID, believable_text),
    "fault": (c.TRUNK_FAULT, one_of(*c.FAULTS)),
    "call_id": (c.SIP_CALL_ID, believable_text),
    "session_id": (c.SIP_SESSION_ID, believable_text),
    "provider_call_id": (c.SIP_PROVIDER_CALL_ID, believable_text),
    "livekit_call_id": (c.LIVEKIT_SIP_CALL_ID, believable_text),
    "livekit_rule_id": (c.LIVEKIT_SIP_RULE_ID, believable_text),
    "outcome": (c.SIP_CALL_OUTCOME, one_of(*c.OUTCOMES)),
    "outcome_detail": (c.SIP_CALL_OUTCOME_DETAIL, believable_text),
    "reason": (c.SIP_RESPONSE_REASON, believable_text),
    "q850_cause": (c.SIP_REASON_Q850, whole(0, 127)),
    "hangup_source": (
        c.SIP_HANGUP_SOURCE,
        one_of("caller", "callee", "agent", "carrier", "platform"),
    ),
    "setup_ms": (c.SIP_SETUP_MS, milliseconds),
    "pdd_ms": (c.SIP_PDD_MS, milliseconds),
    "ring_ms": (c.SIP_RING_MS, milliseconds),
    "duration_ms": (c.SIP_CALL_DURATION_MS, milliseconds),
    "attempt_count": (c.SIP_ATTEMPT_COUNT, count),
    "dtmf_count": (c.SIP_DTMF_COUNT, count),
    "transport": (c.SIP_TRANSPORT, one_of("udp", "tcp", "tls", "ws", "wss")),
    "media_encryption": (c.SIP_MEDIA_ENCRYPTION, one_of("none", "srtp")),
    "stir_attestation": (c.SIP_STIR_ATTESTATION, one_of("A", "B", "C", "none")),
    "answered_by": (c.SIP_ANSWERED_BY, one_of("human", "machine")),
    "payload_type": (c.RTP_PAYLOAD_TYPE, whole(0, 127)),
    "clock_rate_hz": (c.RTP_CLOCK_RATE_HZ, whole(1, 1_000_000)),
    "ptime_ms": (c.RTP_PTIME_MS, whole(1, 1000)),
}

_PARTIES: Final = {
    "caller_number": c.SIP_CALLER_NUMBER,
    "callee_number": c.SIP_CALLEE_NUMBER,
    "caller_hash": c.SIP_CALLER_HASH,
    "callee_hash": c.SIP_CALLEE_HASH,
    "caller_country": c.SIP_CALLER_COUNTRY,
    "callee_country": c.SIP_CALLEE_COUNTRY,
}


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known about one call; None is unknown.

    Durations are milliseconds. `caller_number` and `callee_number` are masked
    (`+1*******34`); the number in clear is kept nowhere in here.
    """

    carrier: str | None = None
    route: str | None = None
    region: str | None = None
    direction: str | None = None
    status_code: int | None = None
    codec: str | None = None
    trunk_id: str | None = None
    fault: str | None = None
    call_id: str | None = None
    session_id: str | None = None
    provider_call_id: str | None = None
    livekit_call_id: str | None = None
    livekit_rule_id: str | None = None
    outcome: str | None = None
    outcome_detail: str | None = None
    reason: str | None = None
    q850_cause: int | None = None
    hangup_source: str | None = None
    setup_ms: float | None = None
    pdd_ms: float | None = None
    ring_ms: float | None = None
    duration_ms: float | None = None
    attempt_count: int | None = None
    dtmf_count: int | None = None
    transport: str | None = None
    media_encryption: str | None = None
    stir_attestation: str | None = None
    answered_by: str | None = None
    payload_type: int | None = None
    clock_rate_hz: int | None = None
    ptime_ms: int | None = None
    caller_number: str | None = None
    callee_number: str | None = None
    caller_hash: str | None = None
    callee_hash: str | None = None
    caller_country: str | None = None
    callee_country: str | None = None

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, object]) -> CallFacts:
        """The facts behind span attributes; keys that are not ours are left out."""
        known = {name: attributes[key] for name, key in _KEYS.items() if key in attributes}
        return cls(**known)  # type: ignore[arg-type]  # each value passed `checked` on its way in

    def attributes(self) -> dict[str, Value]:
        """The facts by attribute key, unknown ones left out."""
        found = ((key, getattr(self, name)) for name, key in _KEYS.items())
        return {key: value for key, value in found if value is not None}


_KEYS: Final[dict[str, str]] = {name: key for name, (key, _) in _FIELDS.items()} | _PARTIES


def key_of(field_name: str) -> str | None:
    """The attribute key of a field of `CallFacts`; None if there is no such field."""
    return _KEYS.get(field_name)


def checked(field_name: str, value: object) -> tuple[str, Value] | None:
    """(attribute key, value to believe), or None if the field is not known or the value absurd."""
    entry = _FIELDS.get(field_name)
    if entry is None:
        return None
    key, check = entry
    believed = believed_by(check, value)
    return None if believed is None else (key, believed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one record of a carrier, PBX, SBC or bridge says about one leg of one call.

    `facts` and what `windows` hold are believed values; `ids` are what the record can be matched
    by (`call_id`, `provider_call_id`, ...). `marks` say what happened when, `attempts` what became
    of each outbound INVITE. `record_id` names the record within its source;
    `completeness` is `partial` where the source will send a fuller one. Times are unix seconds.
    `claims` are what a `Directory` may name carrier, route and region by: participant attributes
    and headers by LiveKit's names (`carrier.name`, `sip.h.x-route`, `sip.hostname`), without those
    of persons, and with every number masked. `identity_differs` as in `diagnosis.story.Story`.

    `untimed` are media facts of the whole call in a record that does not say when it was: `start`
    and `end` are 0. `bridge_end` is the end of the call that was taken to face the bridge by a
    record of an element between both ends (a PBX, a proxy), and `bridge_end_by` how that was known;
    None for a source that stands at one end. `sources.ends.turned` gives the other reading.
    `is_aside` is whether the leg is of somebody beside the bridge, as a desk phone that rang too:
    its media are nobody's who speaks with the agent, and are left out.
    """

    source: str
    leg: Leg = "trunk"
    record_id: str = ""
    completeness: Literal["partial", "complete"] = "complete"
    start: float | None = None
    end: float | None = None
    facts: AttributeValues = field(default_factory=dict[str, Value])
    ids: Mapping[str, str] = field(default_factory=dict[str, str])
    windows: tuple[MediaWindow, ...] = ()
    marks: tuple[Mark, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    identity_differs: bool | None = None
    untimed: tuple[MediaWindow, ...] = ()
    bridge_end: End | None = None
    bridge_end_by: Literal["configured", "told", "assumed"] = "assumed"
    is_aside: bool = False


_STATEMENTS: Final = ("record_media", "record_task", "record_recording", "expect")

KNOWN_NAMES: Final = frozenset(
    {*(item.name for item in fields(CallFacts)), *MEASURES, *_STATEMENTS}
)
"""Names that may stand in a log line; any other that a program gives may hold a number."""
