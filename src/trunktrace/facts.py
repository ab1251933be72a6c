"""Frozen values about a call: what is known, by whom, about which leg and when.

Unknown is None, never 0 and never an empty string. Every field of `CallFacts` has one attribute key
(`key_of`), and one rule for what is believed (`checked`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final, Literal, TypedDict

from trunktrace import conventions as c

Leg = Literal["agent", "trunk", "pstn"]
MediaDirection = Literal["in", "out"]
LossMethod = Literal["counted", "estimated"]
CallDirection = Literal["inbound", "outbound"]
Value = str | int | float | bool
AttributeValues = Mapping[str, Value]

LEGS: Final = frozenset({"agent", "trunk", "pstn"})
MEDIA_DIRECTIONS: Final = frozenset({"in", "out"})
_ABSURD_CHARACTERS: Final = 2048
_LATEST_UNIX_S: Final = 1e11
# Control characters, line separators, and surrogates, which no UTF-8 encoder takes.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CODEC: Final = re.compile(r"[a-z0-9][a-z0-9._+-]{0,31}")


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


def believable_text(value: object) -> str | None:
    """A string without control characters, cut at 255; None where it is empty or absurd."""
    if not isinstance(value, str) or len(value) > _ABSURD_CHARACTERS or _CONTROL.search(value):
        return None
    return value.strip()[: c.MAX_STRING_CHARACTERS] or None


def _slug(value: object) -> str | None:
    text = believable_text(value)
    return None if text is None else text.lower().replace(" ", "-")


def _carrier(value: object) -> str | None:
    # Unknown is absent; only the end of a call's root says that nobody could name it.
    slug = _slug(value)
    return None if slug == c.UNKNOWN_CARRIER else slug


def _codec(value: object) -> str | None:
    text = believable_text(value)
    if text is None:
        return None
    subtype = text.lower().removeprefix("audio/").split("/")[0]
    return subtype if _CODEC.fullmatch(subtype) else None


def _whole(low: int, high: int) -> Callable[[object], int | None]:
    def check(value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if low <= value <= high else None

    return check


def _number(low: float, high: float) -> Callable[[object], float | None]:
    def check(value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # The comparison first: it takes an int of any size, isfinite does not. NaN fails it.
        return float(value) if low <= value <= high else None

    return check


def _one_of(*values: str) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        return value if isinstance(value, str) and value in values else None

    return check


_DAY_MS: Final = 86_400_000.0
_milliseconds: Final = _number(0.0, 30 * _DAY_MS)
_count: Final = _whole(0, 2**53)
_ratio: Final = _number(0.0, 1.0)

Check = Callable[[object], Value | None]

_FIELDS: Final[dict[str, tuple[str, Check]]] = {
    "carrier": (c.TRUNK_CARRIER, _carrier),
    "route": (c.TRUNK_ROUTE, believable_text),
    "region": (c.TRUNK_REGION, believable_text),
    "direction": (c.SIP_CALL_DIRECTION, _one_of("inbound", "outbound")),
    "status_code": (c.SIP_RESPONSE_STATUS_CODE, _whole(200, 699)),
    "codec": (c.RTP_CODEC, _codec),
    "trunk_id": (c.TRUNK_ID, believable_text),
    "fault": (c.TRUNK_FAULT, believable_text),
    "call_id": (c.SIP_CALL_ID, believable_text),
    "session_id": (c.SIP_SESSION_ID, believable_text),
    "provider_call_id": (c.SIP_PROVIDER_CALL_ID, believable_text),
    "livekit_call_id": (c.LIVEKIT_SIP_CALL_ID, believable_text),
    "livekit_rule_id": (c.LIVEKIT_SIP_RULE_ID, believable_text),
    "outcome": (c.SIP_CALL_OUTCOME, believable_text),
    "outcome_detail": (c.SIP_CALL_OUTCOME_DETAIL, believable_text),
    "reason": (c.SIP_RESPONSE_REASON, believable_text),
    "q850_cause": (c.SIP_REASON_Q850, _whole(0, 127)),
    "hangup_source": (
        c.SIP_HANGUP_SOURCE,
        _one_of("caller", "callee", "agent", "carrier", "platform"),
    ),
    "setup_ms": (c.SIP_SETUP_MS, _milliseconds),
    "pdd_ms": (c.SIP_PDD_MS, _milliseconds),
    "ring_ms": (c.SIP_RING_MS, _milliseconds),
    "duration_ms": (c.SIP_CALL_DURATION_MS, _milliseconds),
    "attempt_count": (c.SIP_ATTEMPT_COUNT, _count),
    "dtmf_count": (c.SIP_DTMF_COUNT, _count),
    "transport": (c.SIP_TRANSPORT, _slug),
    "media_encryption": (c.SIP_MEDIA_ENCRYPTION, _slug),
    "stir_attestation": (c.SIP_STIR_ATTESTATION, _one_of("A", "B", "C", "none")),
    "answered_by": (c.SIP_ANSWERED_BY, _one_of("human", "machine")),
    "payload_type": (c.RTP_PAYLOAD_TYPE, _whole(0, 127)),
    "clock_rate_hz": (c.RTP_CLOCK_RATE_HZ, _whole(1, 1_000_000)),
    "ptime_ms": (c.RTP_PTIME_MS, _whole(1, 1000)),
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
    believed = _believed(check, value)
    return None if believed is None else (key, believed)


def _believed(check: Check, value: object) -> Value | None:
    # A value of a type of its own may raise where it is only looked at.
    try:
        return check(value)
    except Exception:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaWindow:
    """What one source says about one leg and direction between two times (unix seconds).

    `direction` is `in` towards the agent, `out` towards the caller. Ratios are 0..1, times
    milliseconds; None is unknown.

    Raises ValueError from `checked_window` only; the class itself does not check.
    """

    leg: Leg
    direction: MediaDirection
    start: float
    end: float
    source: str = "api"
    loss_ratio: float | None = None
    loss_method: LossMethod = "counted"
    packet_count: int | None = None
    lost_count: int | None = None
    discarded_count: int | None = None
    burst_ratio: float | None = None
    jitter_ms: float | None = None
    jitter_max_ms: float | None = None
    clipping_ratio: float | None = None
    silence_ratio: float | None = None
    mos: float | None = None
    r_factor: float | None = None
    mos_algorithm: str | None = None
    rtt_ms: float | None = None

    @property
    def duration_s(self) -> float:
        """Length of the window in seconds."""
        return self.end - self.start

    def measures(self) -> dict[str, Value]:
        """What the window says besides its place and time, by field name, unknown left out."""
        found = ((name, getattr(self, name)) for name in _MEASURES)
        return {name: value for name, value in found if value is not None}


_MEASURES: Final[dict[str, Check]] = {
    "loss_ratio": _ratio,
    "packet_count": _count,
    "lost_count": _count,
    "discarded_count": _count,
    "burst_ratio": _number(0.0, 1000.0),
    "jitter_ms": _number(0.0, 60_000.0),
    "jitter_max_ms": _number(0.0, 60_000.0),
    "clipping_ratio": _ratio,
    "silence_ratio": _ratio,
    "mos": _number(1.0, 5.0),
    "r_factor": _number(0.0, 130.0),
    "mos_algorithm": believable_text,
    "rtt_ms": _number(0.0, 600_000.0),
}


class MediaFields(TypedDict, total=False):
    """The measures that `call.record_media()` takes besides leg, direction and times."""

    loss_ratio: float | None
    packet_count: int | None
    lost_count: int | None
    discarded_count: int | None
    burst_ratio: float | None
    jitter_ms: float | None
    jitter_max_ms: float | None
    clipping_ratio: float | None
    silence_ratio: float | None
    mos: float | None
    r_factor: float | None
    mos_algorithm: str | None
    rtt_ms: float | None


def unix_seconds(value: object) -> float | None:
    """A time as unix seconds: a finite number, or an aware `datetime`; None for anything else."""
    if isinstance(value, datetime):
        return value.timestamp() if value.tzinfo is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < _LATEST_UNIX_S else None


def _check_place(leg: str, direction: str, loss_method: str) -> None:
    if leg not in LEGS:
        raise ValueError(f"leg is none of {sorted(LEGS)}")
    if direction not in MEDIA_DIRECTIONS:
        raise ValueError("direction is neither 'in' (towards the agent) nor 'out'")
    if loss_method not in ("counted", "estimated"):
        raise ValueError("loss_method is neither 'counted' nor 'estimated'")


def checked_window(
    *,
    leg: str,
    direction: str,
    start: object,
    end: object,
    source: str,
    loss_method: str,
    measures: Mapping[str, object],
) -> MediaWindow:
    """A window with only what can be believed in it.

    Raises ValueError naming the field where leg, direction, method or times are wrong, or where
    no measure is left.
    """
    _check_place(leg, direction, loss_method)
    start_s, end_s = unix_seconds(start), unix_seconds(end)
    if start_s is None or end_s is None or end_s < start_s:
        raise ValueError("start and end are not unix seconds or aware datetimes in that order")
    believed = {
        name: value
        for name, check in _MEASURES.items()
        if (value := _believed(check, measures.get(name))) is not None
    }
    if not believed:
        raise ValueError("there is no measure that can be believed")
    return MediaWindow(
        leg=leg,  # type: ignore[arg-type]  # checked above
        direction=direction,  # type: ignore[arg-type]
        start=start_s,
        end=end_s,
        source=source,
        loss_method=loss_method,  # type: ignore[arg-type]
        **believed,  # type: ignore[arg-type]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one record of a carrier, PBX, SBC or bridge says about one leg of one call.

    `facts` and what `windows` hold are believed values; `ids` are what the record can be matched
    by (`call_id`, `provider_call_id`, ...). `record_id` names the record within its source;
    `completeness` is `partial` where the source will send a fuller one. Times are unix seconds.
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


KNOWN_NAMES: Final = frozenset(
    {*(item.name for item in fields(CallFacts)), *_MEASURES, "record_media"}
)
"""Names that may stand in a log line; any other that a program gives may hold a number."""
