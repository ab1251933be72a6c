"""How long a server asks to be left alone (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait, out of a number of seconds or a date; None where nothing is asked.

    `headers` are by lower-case name; `now` is unix seconds. At most a day.
    """
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit() and len(told) <= 9:
        return min(float(told), LONGEST_S)
    try:
        at = parsedate_to_datetime(told).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(0.0, at - (time.time() if now is None else now)), LONGEST_S)
