"""`X-Baggage`: a few allow-listed values in the syntax of W3C Baggage, and never a number.

What goes into a SIP header is read by everybody on the way, so a key that may hold a phone number
is refused where it is configured, and a value that looks like one is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Final, cast
from urllib.parse import quote, unquote

from trunktrace import conventions
from trunktrace.errors import ConfigurationError
from trunktrace.guard import warn_once

_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_VALUE: Final = 256
_MAX_MEMBERS: Final = 64
_NOT_PRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MANY_DIGITS: Final = re.compile(r"\d{7}")
_BETWEEN_DIGITS: Final = re.compile(r"[\W_]+")
_ADDRESS: Final = re.compile(r"@|\b(?:sips?|tel):", re.IGNORECASE)
_MASKED: Final = "*******"
_PERSONAL_WORDS: Final = ("phone", "msisdn", "e164")


def allowed_keys(field: str, keys: object) -> tuple[str, ...]:
    """The keys as configured, each once.

    Raises ConfigurationError for what is no list of keys, and for a key that may hold a number.
    """
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise ConfigurationError(field, keys, 'give a list of keys: ["trunk.carrier"]')
    found: dict[str, None] = {}
    for key in cast("Iterable[object]", keys):
        why = _refused(key)
        if why is not None:
            is_number = isinstance(key, str) and names_a_person(key)
            raise ConfigurationError(field, _MASKED if is_number else key, why)
        found[str(key)] = None
    return tuple(found)


def format_baggage(values: Mapping[str, object]) -> str:
    """`key=value,key=value`, percent-encoded; without what may not go out. May be empty."""
    return ",".join(
        f"{key}={quote(text, safe='/:')}"
        for key, value in values.items()
        if (text := _sendable(key, value))
    )


def parse_baggage(header: str, keys: Collection[str]) -> dict[str, str]:
    """Those of `keys` that a header holds, decoded; without values that could not be sent."""
    found: dict[str, str] = {}
    for member in header.split(",", _MAX_MEMBERS)[:_MAX_MEMBERS]:
        key, _, value = member.partition(";")[0].partition("=")
        key, text = key.strip(" \t"), unquote(value.strip(" \t"))
        if key in keys and key not in found and is_clean(text):
            found[key] = text
    return found


def _sendable(key: object, value: object) -> str | None:
    if not isinstance(value, (str, int, float)):
        return None
    text, refused = str(value), _refused(key) is not None
    if not refused and is_clean(text):
        return text
    warn_once(
        f"propagation.baggage:{'' if refused else key}",
        "trunktrace leaves %s out of X-Baggage: it may name a person, or it is empty, longer than "
        "256 characters or not printable. Allow another key.",
        "a key" if refused else f"the value of {key}",
    )
    return None


def is_clean(text: str) -> bool:
    """Whether a value may go out: printable, not too long, and no number or address."""
    return (
        0 < len(text) <= _MAX_VALUE
        and not _NOT_PRINTABLE.search(text)
        and not names_a_person(text)
        and not names_a_person(unquote(text))
    )


def names_a_person(text: str) -> bool:
    """Whether it looks like a phone number, or like an address of somebody.

    Seven digits of any script, whatever stands between them but letters. That takes dates and IP
    addresses too: they have no place in a SIP header of ours.
    """
    plain = unicodedata.normalize("NFKC", text)
    return bool(_ADDRESS.search(plain) or _MANY_DIGITS.search(_BETWEEN_DIGITS.sub("", plain)))


def _refused(key: object) -> str | None:
    """Why a key may not go out; None if it may."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return "a key has 1 to 64 letters, digits and . - _"
    known = conventions.ATTRIBUTES.get(key)
    personal = known is not None and known.privacy != "public"
    lower = key.lower()
    if personal or "pii" in lower.split(".") or any(word in lower for word in _PERSONAL_WORDS):
        return "it may hold a phone number; leave it out"
    if names_a_person(key):
        return "it looks like a phone number; leave it out"
    return None
