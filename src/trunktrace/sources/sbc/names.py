"""Names of columns that need no map: our own, in any case, with spaces, hyphens or dots for `_`.

A measure without the leg and direction in its name is of the trunk leg, towards the agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from trunktrace import conventions as c
from trunktrace.facts import key_of
from trunktrace.sources.sbc.columns import Column
from trunktrace.sources.sbc.fields import DURATIONS, FIELDS, MEDIA, PERSONS
from trunktrace.windows import Leg, MediaDirection

_PLACES: Final = [(leg, direction) for leg in ("trunk", "pstn") for direction in ("in", "out")]
_OTHER_NAMES: Final = {
    "sip_call_id": "call_id",
    "callid": "call_id",
    "start_time": "setup_time",
    "invite_time": "setup_time",
    "connect_time": "answer_time",
    "answered_time": "answer_time",
    "hangup_time": "end_time",
    "disconnect_time": "end_time",
    "sip_code": "status_code",
    "response_code": "status_code",
    "sip_status": "status_code",
    "sip_reason": "reason",
    "q850": "q850_cause",
    "hangup_by": "hangup_source",
    "caller": "caller_number",
    "callee": "callee_number",
    "calling_number": "caller_number",
    "called_number": "callee_number",
    "packets_received": "packet_count",
    "packets_lost": "lost_count",
    "packets_discarded": "discarded_count",
    "packets_sent": "sent_count",
    "jitter": "jitter_ms",
    "max_jitter_ms": "jitter_max_ms",
    "round_trip_ms": "rtt_ms",
}


def plain(name: str) -> str:
    """A name as the tables have it: `SIP Code` is `sip_code`."""
    return name.strip().lower().replace(" ", "_").replace("-", "_").replace(".", "_")


def _fields() -> dict[str, tuple[str, str | None]]:
    """Field and unit by plain name, of what has no leg in its name."""
    found: dict[str, tuple[str, str | None]] = {
        name: (name, None) for name in FIELDS - {PERSONS, "end"}
    }
    found |= {name: (field, None) for name, field in _OTHER_NAMES.items()}
    found |= {plain(key): (name, None) for name in FIELDS if (key := key_of(name)) is not None}
    for name in DURATIONS:
        bare = name.removesuffix("_ms")
        found |= {f"{bare}_s": (name, "s"), f"{bare}_seconds": (name, "s")}
    return found | {
        "loss_percent": ("loss_ratio", "percent"),
        "loss_pct": ("loss_ratio", "percent"),
    }


_KNOWN: Final = _fields()


def _measures() -> dict[str, Column]:
    """Columns by the names of measures with leg and direction in them."""
    found: dict[str, Column] = {}
    media = {name: (f, u) for name, (f, u) in _KNOWN.items() if f in MEDIA}
    for leg, direction in _PLACES:
        for name, (field, unit) in media.items():
            place = Column(name, field, leg=cast("Leg", leg), unit=unit,
                           direction=cast("MediaDirection", direction))  # fmt: skip
            found[f"{leg}_{direction}_{name}"] = place
            if (key := c.media_key(leg, direction, field)) is not None:
                found.setdefault(plain(key), place)
    return found


_MEASURED: Final = _measures()


def columns_of(header: Iterable[str]) -> tuple[Column, ...]:
    """The columns of a header line that are known by their names, by position."""
    found: list[Column] = []
    for at, name in enumerate(header, start=1):
        key = plain(name[:128])
        place = _MEASURED.get(key)
        if place is None and key in _KNOWN:
            field, unit = _KNOWN[key]
            media = field in MEDIA
            place = Column(at, field, leg="trunk" if media else None, unit=unit,
                           direction="in" if media else None)  # fmt: skip
        if place is not None:
            found.append(
                Column(at, place.field, leg=place.leg, direction=place.direction, unit=place.unit)
            )
    return tuple(found)
