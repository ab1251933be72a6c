"""Values as records write them, in text: numbers, and times of several fashions.

None is what cannot be read, or says nothing (empty, `-`, `unknown`). Nothing here raises.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

_INTEGER: Final = re.compile(r"-?\d{1,18}")
_DECIMAL: Final = re.compile(r"-?(?:\d{1,18}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?")
_LATEST_UNIX_S: Final = 4_102_444_800.0
"""2100-01-01: a greater number is no time, but a number of something else."""
_LONGEST_TIME: Final = 64


def integer(value: object) -> int | None:
    """A whole number that is written in decimal digits, or is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if -(10**18) < value < 10**18 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e18 else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    return int(text) if text.isascii() and _INTEGER.fullmatch(text) else None


def count(value: object) -> int | None:
    """A whole number that is not negative."""
    found = integer(value)
    return found if found is not None and found >= 0 else None


def decimal(value: object) -> float | None:
    """A finite number that is written with a point, or is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if -1e300 < value < 1e300 else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text.isascii() or not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if -1e300 < number < 1e300 else None


def unix_time(value: object, *, per_second: float = 1.0) -> float | None:
    """Unix seconds out of a number of (parts of) seconds since 1970; 0 says nothing."""
    number = decimal(value)
    if number is None:
        return None
    seconds = number / per_second
    return seconds if 0 < seconds < _LATEST_UNIX_S else None


def iso_time(value: object, zone: tzinfo = UTC, *, after: float | None = None) -> float | None:
    """Unix seconds out of ISO 8601 (`2026-11-23T01:13:37.8Z`, `2026-11-23 01:13:37`).

    A time without an offset is of `zone`, and as `local_seconds` reads it.
    """
    if not isinstance(value, str) or not value.isascii() or len(value) > _LONGEST_TIME:
        return None
    try:
        told = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return local_seconds(told, zone, after=after)


def http_time(value: object) -> float | None:
    """Unix seconds out of RFC 2822 (`Thu, 25 Jun 2026 20:11:01 +0000`)."""
    if not isinstance(value, str) or not value.isascii() or len(value) > _LONGEST_TIME:
        return None
    try:
        told = parsedate_to_datetime(value.strip())
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return local_seconds(told, UTC)


def strptime(
    value: object, form: str, zone: tzinfo = UTC, *, after: float | None = None
) -> float | None:
    """Unix seconds out of a time of the given form (`datetime.strptime`), as `iso_time`."""
    if not isinstance(value, str) or len(value) > _LONGEST_TIME:
        return None
    try:
        told = datetime.strptime(value.strip(), form)  # noqa: DTZ007 - the zone is given below
    except ValueError:
        return None
    return local_seconds(told, zone, after=after)


def local_seconds(told: datetime, zone: tzinfo, *, after: float | None = None) -> float | None:
    """Unix seconds of a time, which is of `zone` where it has no offset of its own.

    In the night in which clocks are set back an hour comes twice. The first one is meant, unless
    that is before `after` (unix seconds: what the record says came earlier) and the second is not.
    """
    told = told if told.tzinfo is not None else told.replace(tzinfo=zone)
    try:
        seconds = told.timestamp()
        if after is not None and seconds < after:
            second = told.replace(fold=1).timestamp()
            seconds = second if second >= after else seconds
    except (ValueError, OverflowError, OSError):
        return None
    return seconds if 0 < seconds < _LATEST_UNIX_S else None


def milliseconds_between(start: float | None, end: float | None) -> float | None:
    """Milliseconds from one unix time to a later one, to the microsecond."""
    if start is None or end is None or end < start:
        return None
    return round((end - start) * 1000.0, 3)


def text(value: object) -> str | None:
    """A text that is not blank, without blanks around it."""
    if not isinstance(value, str):
        return None
    return value.strip() or None
