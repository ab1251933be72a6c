"""What is believed: the values that a field may have, and how far a source is trusted.

A check returns the value to believe, or None; it never raises for what it is given through
`believed_by`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from trunktrace import conventions as c

Value = str | int | float | bool
Check = Callable[[object], Value | None]

_ABSURD_CHARACTERS: Final = 2048
# Control characters, line separators, and surrogates, which no UTF-8 encoder takes.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PHONE_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}|\d{10,15}")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_CODEC: Final = re.compile(r"[a-z0-9][a-z0-9._+-]{0,31}")
_NO_VOICE: Final = frozenset(
    {"telephone-event", "cn", "comfort-noise", "red", "rtx", "t38", "t.38", "proxy", "proxy-vid"}
)
"""Payloads beside the voice, and FreeSWITCH's word for packets that it does not look into."""


class Rank(IntEnum):
    """How far a source is believed; a lower rank never overrides a higher one.

    For identity the order is the design's: the operator's row for the trunk id, headers that the
    operator trusts for that trunk, the SIP host, a provider's id. What the user's own code records
    stands above all of them.
    """

    HINT = 10
    """The name of the trunk in LiveKit: free text, used as a route where nobody names one."""
    PROVIDER_ID = 20
    """A call id that only one provider sends. It comes from a header that anyone can write."""
    SIP_HOST = 30
    """The SIP host. On an inbound call that is the From host: anyone can write it."""
    TRUSTED_HEADER = 40
    """A header or participant attribute that the operator trusts for this trunk."""
    TRUNK_ROW = 50
    """The operator's own row for the trunk id; LiveKit's server sets the id."""
    OBSERVED = 60
    """What a source states about the call itself: LiveKit, a bridge's log."""
    USER = 70
    """What the agent's own code records."""


def believable_text(value: object) -> str | None:
    """A string without control characters, cut at 255; None where it is empty or absurd."""
    if not isinstance(value, str) or len(value) > _ABSURD_CHARACTERS or _CONTROL.search(value):
        return None
    return value.strip()[: c.MAX_STRING_CHARACTERS] or None


def name_of_ours(value: object) -> str | None:
    """A name that the operator gives to a route or region; a phone number is none."""
    text = believable_text(value)
    return None if text is None or _PHONE_NUMBER.fullmatch(text) else text


def country_code(value: object) -> str | None:
    """An ISO 3166 alpha-2 code, in upper case; whether there is such a country is not asked."""
    text = believable_text(value)
    return text.upper() if text is not None and _COUNTRY.fullmatch(text) else None


def slug(value: object) -> str | None:
    """Believable text in lower case, with hyphens for spaces."""
    text = name_of_ours(value)
    return None if text is None else text.lower().replace(" ", "-")


def carrier_slug(value: object) -> str | None:
    """A slug that names a carrier: `unknown` is none."""
    name = slug(value)
    return None if name == c.UNKNOWN_CARRIER else name


def codec(value: object) -> str | None:
    """A lower-case IANA subtype, out of `PCMU`, `PCMU/8000` or `audio/PCMU`.

    None for what carries no voice: telephone events, comfort noise, redundancy.
    """
    text = believable_text(value)
    if text is None:
        return None
    subtype = text.lower().removeprefix("audio/").split("/")[0]
    return subtype if _CODEC.fullmatch(subtype) and subtype not in _NO_VOICE else None


def whole(low: int, high: int) -> Callable[[object], int | None]:
    """A check for whole numbers within bounds; a bool is none."""

    def check(value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if low <= value <= high else None

    return check


def number(low: float, high: float) -> Callable[[object], float | None]:
    """A check for finite numbers within bounds; a bool is none."""

    def check(value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # The comparison first: it takes an int of any size, isfinite does not. NaN fails it.
        return float(value) if low <= value <= high else None

    return check


def one_of(*values: str) -> Callable[[object], str | None]:
    """A check for a string out of a list."""

    def check(value: object) -> str | None:
        return value if isinstance(value, str) and value in values else None

    return check


_DAY_MS: Final = 86_400_000.0
milliseconds: Final = number(0.0, 30 * _DAY_MS)
count: Final = whole(0, 2**53)
ratio: Final = number(0.0, 1.0)


def believed_by(check: Check, value: object) -> Value | None:
    """The value that `check` believes, or None; never raises."""
    # A value of a type of its own may raise where it is only looked at.
    try:
        return check(value)
    except Exception:
        return None
