"""Which texts become a carrier, a route or a region, and which are left alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from trunktrace.conventions import MAX_STRING_CHARACTERS, UNKNOWN_CARRIER

_NOT_SLUG: Final = re.compile(r"[^a-z0-9._-]+")
_NUMBER: Final = re.compile(
    r"\+[ ().-]{0,2}\d(?:[ ().-]{0,2}\d){6}|(?<!\d)\d(?:[ ().-]{0,2}\d){8,14}(?!\d)"
)
"""A phone number: + and 7 digits or more, or 9 to 15 digits (a longer id is no number)."""
_IPV4: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


def label(value: object) -> str | None:
    """`value` without space at its ends, if it can be a label.

    None for what is not a string, is empty, is over 255 characters, or holds control, formatting
    or unpaired surrogate characters.
    """
    if not isinstance(value, str) or len(value) > MAX_STRING_CHARACTERS:
        return None
    return (value.strip() or None) if value.isprintable() else None


def heard(value: object) -> str | None:
    """`label`, for a text that came with a call or from a list: no phone number, no SIP user.

    Such a text is written to spans in clear, so one that may name a person says nothing.
    """
    text = label(value)
    if text is None or "@" in text or _NUMBER.search(_IPV4.sub("", text)):
        return None
    return text


def slug(value: str) -> str | None:
    """`value` as a carrier name: lower case, ASCII, `a-z 0-9 . _ -`; None if nothing is left."""
    folded = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", folded).strip("-.")[:MAX_STRING_CHARACTERS] or None


def alias_key(value: str) -> str:
    """The form in which names of carriers are compared; never empty for a label."""
    return slug(value) or value.strip().casefold()


def carrier_name(value: str, aliases: Mapping[str, str]) -> str | None:
    """The carrier that `value` means: by alias, else its slug.

    None if no slug is left, and for `unknown`: that is what a call without a carrier ends with.
    """
    named = aliases.get(alias_key(value)) or slug(value)
    return None if named == UNKNOWN_CARRIER else named
