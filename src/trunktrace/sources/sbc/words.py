"""Words that SBCs and voice gateways write: times of Cisco's fashion, hexadecimal causes.

Sources: Cisco's "CDR Accounting for Cisco IOS Voice Gateways", AudioCodes' CDR field descriptions,
Oracle's Accounting Guide.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from trunktrace.sources.shapes.values import count, local_seconds, unix_time

_TIME: Final = re.compile(
    r"[*.]?[ ]?(\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,6}))?[ ]{1,4}"
    r"([A-Za-z]{1,5}(?:[+-]\d{1,2}(?::?\d\d)?)?|[+-]\d{1,2}:?\d\d)[ ]{1,4}"
    r"(?:[A-Za-z]{3},?[ ]{1,4})?([A-Za-z]{3})[ ]{1,4}(\d{1,2})[ ]{1,4}(\d{4})"
)
_LONGEST_TIME: Final = 64
_NEXT_CENTURY: Final = 4_102_444_800.0
_MONTHS: Final = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
# Abbreviations that stand for one offset only (RFC 5322 section 4.3, and Europe's).
_HOURS: Final = {
    "utc": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
    "pst": -8, "pdt": -7, "wet": 0, "west": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "msk": 3,
    "jst": 9, "aest": 10, "aedt": 11,
}  # fmt: skip
_OFFSET: Final = re.compile(r"(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d\d))?", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{1,2})|\d{1,3} \(0x([0-9a-fA-F]{1,2})\)")


def gateway_time(
    value: str | None, zone: tzinfo = UTC, *, after: float | None = None
) -> float | None:
    """Unix seconds out of `.13:00:05.123 UTC Mon Nov 23 2026`, which Cisco calls NTP format.

    A `*` before it says that the gateway's clock was never set, a `.` that it is not synchronized:
    both are read as they stand. A zone whose abbreviation is not known is taken to be `zone`, and
    its hours as `values.local_seconds` reads them.
    """
    if value is None or len(value) > _LONGEST_TIME or not value.isascii():
        return None
    found = _TIME.fullmatch(value.strip())
    month = _MONTHS.get(found[6].lower()) if found else None
    if found is None or month is None:
        return None
    micro = int((found[4] or "0").ljust(6, "0"))
    try:
        told = datetime(
            int(found[8]), month, int(found[7]), int(found[1]), int(found[2]), int(found[3]),
            micro, tzinfo=_zone(found[5], zone),
        )  # fmt: skip
    except (ValueError, OverflowError):
        return None
    return local_seconds(told, zone, after=after)


def _zone(name: str, default: tzinfo) -> tzinfo:
    hours = _HOURS.get(name.lower())
    if hours is not None:
        return timezone(timedelta(hours=hours))
    found = _OFFSET.fullmatch(name)
    if found is None:
        return default
    offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(-offset if found[1] == "-" else offset)


def epoch_time(value: str | None, *, per_second: float = 1.0) -> float | None:
    """Unix seconds of this century; a number of a person in the wrong place is none."""
    at = unix_time(value, per_second=per_second)
    return at if at is not None and at < _NEXT_CENTURY else None


def q850_of(value: str | None, *, decimal: bool, answered: bool) -> int | None:
    """The Q.850 cause out of h323-disconnect-cause; 0 says nothing.

    Cisco writes two hexadecimal digits (`10` is 16), AudioCodes decimal ones (`16`, `22 (0x16)`).
    An answered call that ends with `16` ended normally, by whatever base: 0x16 (number changed)
    ends no answered call.
    """
    if value is None:
        return None
    text = value.strip()
    if decimal or (answered and text == "16"):
        number = count(text.partition(" ")[0])
    else:
        found = _HEXADECIMAL.fullmatch(text)
        number = int(found[1] or found[2], 16) if found else None
    return number if number is not None and 0 < number < 128 else None
