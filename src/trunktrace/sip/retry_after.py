"""Retry-After (RFC 3261, 20.33): how long a server asks not to be called again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

_VALUE: Final = re.compile(r"\s{0,8}(\d{1,7})(?=\s|;|\(|$)")
_LONGEST: Final = 256
_NAMES: Final = ("retry-after", "retry_after", "sip_retry_after")
_ATTRIBUTE: Final = "sip.h.retry-after"


def retry_after_s(value: object) -> float | None:
    """Seconds of a Retry-After value: `120`, `18000;duration=3600`, `5 (in maintenance)`.

    None for what is no such value; a date of HTTP is none.
    """
    if not isinstance(value, str):
        return None
    found = _VALUE.match(value[:_LONGEST])
    return None if found is None else float(found[1])


def retry_after_in(metadata: object, attributes: Mapping[str, str]) -> float | None:
    """Retry-After where an error's metadata or the participant's attributes state it, else None.

    livekit-sip of August 2026 states it in neither; an operator's SBC or a later bridge may.
    """
    if isinstance(metadata, Mapping):
        for name, value in cast("Mapping[object, object]", metadata).items():
            told = retry_after_s(value)
            if isinstance(name, str) and name.lower() in _NAMES and told is not None:
                return told
    return retry_after_s(attributes.get(_ATTRIBUTE))
