"""What a column of an SBC's CSV may say: fields, their units, and how they are read.

Every function here gives None for what cannot be read, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Final

from trunktrace.sip import codecs
from trunktrace.sources.sbc.words import epoch_time, gateway_time, q850_of
from trunktrace.sources.shapes import values
from trunktrace.windows import MEASURES

TEXTS: Final = frozenset(
    {"call_id", "session_id", "provider_call_id", "carrier", "route", "region", "trunk_id",
     "reason", "caller_number", "callee_number"}
)  # fmt: skip
SIDES: Final = ("this_end", "other_end")
"""Who hung up, as the leg that a row is of tells it."""
WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "direction": frozenset({"inbound", "outbound"}),
        "hangup_source": frozenset({"caller", "callee", "agent", "carrier", "platform", *SIDES}),
        "transport": frozenset({"udp", "tcp", "tls", "ws", "wss"}),
        "media_encryption": frozenset({"none", "srtp"}),
        "stir_attestation": frozenset({"A", "B", "C", "none"}),
        "answered_by": frozenset({"human", "machine"}),
        "end": frozenset({"caller", "callee"}),
    }
)
"""Fields with a few values; `values` in the map says how the SBC writes them."""
IDS: Final = frozenset({"linked_id", "channel_id", "endpoint", "host", "trunk_group", "record_id"})
TIMES: Final = frozenset({"setup_time", "ringing_time", "answer_time", "end_time"})
DURATIONS: Final = frozenset({"duration_ms", "setup_ms", "pdd_ms", "ring_ms"})
NUMBERS: Final = frozenset(
    {"status_code", "q850_cause", "attempt_count", "payload_type", "clock_rate_hz", "ptime_ms"}
)
PERSONS: Final = "person"
"""A column that holds a number or SIP user and says nothing else: it is hidden everywhere."""
MEDIA: Final = frozenset(MEASURES) - {"mos_algorithm"} | {"sent_count"}
"""Measures; `sent_count` is packets sent where nobody counted what arrived."""

FIELDS: Final = (
    TEXTS | WORDS.keys() | IDS | TIMES | DURATIONS | NUMBERS | MEDIA | {PERSONS, "codec"}
)

_PER_MS: Final[Mapping[str, float]] = {
    "ms": 1.0, "s": 1000.0, "ds": 100.0, "cs": 10.0, "us": 0.001, "samples": 0.125,
}  # fmt: skip
_RATIOS: Final[Mapping[str, float]] = {"ratio": 1.0, "percent": 0.01}
_SCORES: Final[Mapping[str, float]] = {
    "mos": 1.0, "mos_x10": 0.1, "mos_x100": 0.01, "x1": 1.0, "x10": 0.1, "x100": 0.01,
}  # fmt: skip
_CAUSES: Final[Mapping[str, float]] = {"decimal": 1.0, "hex": 1.0}
_TIME_FORMS: Final = frozenset({"any", "iso", "epoch", "epoch_ms", "gateway"})
_MINUS_ONE: Final = "4294967295"
"""-1 of 32 bits that somebody wrote without its sign: AudioCodes' `not known`."""
_DIRECTIVES: Final = re.compile(r"%[-aAbBcdfHIjmMpSUwWxXyYzZ%GuV]")


def units_of(field: str) -> Mapping[str, float]:
    """The units that a field may be kept in, the first by default; empty where it has none."""
    if field in DURATIONS or field in {"jitter_ms", "jitter_max_ms", "rtt_ms"}:
        return _PER_MS
    if field.endswith("_ratio") and field != "burst_ratio":
        return _RATIOS
    if field in {"mos", "r_factor"}:
        return _SCORES
    return _CAUSES if field == "q850_cause" else {}


def is_time_form(form: str) -> bool:
    """Whether this is a form of times: one by name, or of `strptime`."""
    if form in _TIME_FORMS:
        return True
    return "%" in form and "%" not in _DIRECTIVES.sub("", form)


def time_of(text: str, form: str, zone: tzinfo, *, after: float | None = None) -> float | None:
    """Unix seconds; `after` as in `values.local_seconds`."""
    if form == "iso":
        return values.iso_time(text, zone, after=after)
    if form in ("epoch", "epoch_ms"):
        return epoch_time(text, per_second=1000.0 if form == "epoch_ms" else 1.0)
    if form == "gateway":
        return gateway_time(text, zone, after=after)
    if form == "any":
        return (
            values.iso_time(text, zone, after=after)
            or (epoch_time(text) if len(text) > 8 else None)
            or gateway_time(text, zone, after=after)
            or values.http_time(text)
        )
    return values.strptime(text, form, zone, after=after)


def value_of(field: str, text: str, unit: str | None) -> object:
    """The value of a field that is no time, in our own unit."""
    if field == "codec":
        return codecs.named(text)
    if field == "q850_cause":
        return q850_of(text, decimal=unit != "hex", answered=False)
    if field in WORDS:
        return _word(field, text)
    if field in TEXTS or field in IDS or field == PERSONS:
        return text
    scale = units_of(field)
    if text.startswith("+") or text == _MINUS_ONE:
        return None  # no SBC writes `+`, but a number of a person in the wrong column begins so
    if not scale:
        return values.decimal(text) if field == "burst_ratio" else values.count(text)
    number = values.decimal(text)
    if number is None or number < 0:
        return None
    return round(number * scale[unit or next(iter(scale))], 9)


def _word(field: str, text: str) -> str | None:
    known = WORDS[field]
    lowered = text.lower()
    return next((word for word in known if word.lower() == lowered), None)
