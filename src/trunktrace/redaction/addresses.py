"""The strings in which signalling names a person, read leniently: anything may come from outside.

Sources: RFC 3261 and RFC 3966 for the URIs, ITU-T E.164 for the country codes, LiveKit's SIP bridge
for the identity `sip_<user>`.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final
from urllib.parse import unquote

MASKED: Final = "*******"
"""Stands for a value that is hidden whole: always the same, so that not even its length shows."""

MAX_RAW_CHARACTERS: Final = 1024
"""A signalling value longer than this is absurd and is not read."""

_WITHHELD: Final = frozenset({
    "anonymous", "asserted-identity-unknown", "blocked", "no-number", "none", "null", "private",
    "restricted", "unavailable", "unknown", "withheld",
})  # fmt: skip
# Twilio spells anonymous, restricted, blocked, unknown and unavailable on the telephone keypad.
_WITHHELD_KEYPAD: Final = frozenset(
    ("266696687", "7378742833", "2562533", "8656696", "86282452253")
)
# ITU-T E.164 country codes of two digits; 1 and 7 have one digit, all others three.
_TWO_DIGIT_CODES: Final = frozenset({
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
})  # fmt: skip
_BRACKETED: Final = re.compile(r"<\s*((?:sips?|tel):[^<>]*)", re.IGNORECASE)
_SCHEME: Final = re.compile(r"(sips?|tel):", re.IGNORECASE)
_HOST_PORT: Final = re.compile(r"(?:\[(.*)\]|([^:]*))(?::[0-9]+)?")
_ALREADY: Final = re.compile(r"(?:\+[0-9]{1,3})?\*{7}(?:[0-9]{2})?")
_INTERNATIONAL: Final = re.compile(r"\+[0-9]{7,15}")


ASCII_SEPARATORS: Final = " -.()/\t"
_OTHER_SEPARATORS: Final = "\u2010\u2011\u2012\u2013\u2212"


class _Squeeze(dict[int, int | str | None]):
    """For `str.translate`: digits of any script become ASCII, what stands between digits goes.

    Each character becomes one or none, so that positions can be found again.
    """

    def __missing__(self, code: int) -> int | str | None:
        char = chr(code)
        category = unicodedata.category(char)
        value: int | str | None = code
        if category == "Nd":
            value = str(unicodedata.decimal(char))
        elif category in ("Zs", "Cf") or char in ASCII_SEPARATORS or char in _OTHER_SEPARATORS:
            value = None
        elif char in "\uff0b\ufe62":
            value = "+"
        if len(self) < 4096:  # hostile text must not fill the memory
            self[code] = value
        return value


SQUEEZE: Final = _Squeeze()
"""A table for `str.translate`: `+1 (555) 123-4567` becomes `+15551234567`, in any script."""


def clean(raw: object) -> str | None:
    """`raw` without surrounding space; None if it is empty, absurdly long or not printable."""
    if not isinstance(raw, str) or len(raw) > MAX_RAW_CHARACTERS:
        return None
    text = raw.strip()
    if not text.isprintable():
        # Marks of writing direction come with numbers that somebody pasted; they say nothing.
        kept = (char for char in text if unicodedata.category(char) != "Cf")
        text = "".join(" " if unicodedata.category(char) == "Zs" else char for char in kept).strip()
    return text if text and text.isprintable() else None


def user_of(raw: object) -> str | None:
    """The user part of a SIP or tel URI, header value or identity; a bare number as it is.

    None where there is none: only a host, empty, absurd.
    """
    text = clean(raw)
    if text is None:
        return None
    bracketed = _BRACKETED.search(text)
    address = bracketed[1] if bracketed else text.strip("\"'<> ")
    scheme = _SCHEME.match(address)
    if scheme is None:
        user = address.removeprefix("sip_").partition("@")[0]
    else:
        rest = address[scheme.end() :]
        user, at, _ = rest.partition("@")
        if not at and not rest.translate(SQUEEZE).lstrip("+")[:1].isdigit():
            return None
        if scheme[1].lower() != "tel":
            user = user.partition(":")[0]
    user = unquote(user.partition(";")[0]).strip()
    return user if user and user.isprintable() else None


def is_withheld(user: str) -> bool:
    """Whether this user says that the caller hides the number."""
    return user.lower() in _WITHHELD or user.removeprefix("+") in _WITHHELD_KEYPAD


def calling_code(digits: str) -> str:
    """The country calling code that an international number (without `+`) starts with."""
    if digits[:1] in ("1", "7"):
        return digits[:1]
    return digits[:2] if digits[:2] in _TWO_DIGIT_CODES else digits[:3]


def mask_international(digits: str) -> str:
    """`+1*******34` for the digits of an international number: country code and last two.

    Always seven stars: they do not tell how long the number is.
    """
    if len(digits) < 7 or digits.startswith("0"):
        return MASKED
    return f"+{calling_code(digits)}{MASKED}{digits[-2:]}"


def mask_whole(text: str) -> str:
    """The mask of a text that is one number or SIP user as a whole.

    `+1*******34` if it is written with `+` and country code, else `*******`. What is masked
    already stays as it is, and so does the word that says that the number is withheld.
    """
    if _ALREADY.fullmatch(text):
        return text
    user = user_of(text)
    if user is not None and is_withheld(user):
        return text if user == text else user
    plain = "" if user is None else user.translate(SQUEEZE)
    return mask_international(plain[1:]) if _INTERNATIONAL.fullmatch(plain) else MASKED


def is_ip(host: str) -> bool:
    """Whether `host`, with or without brackets and port, is an IP address and not a name."""
    host = host.strip()
    with_port = _HOST_PORT.fullmatch(host)
    for candidate in (host, *(with_port.groups() if with_port else ())):
        try:
            ipaddress.ip_address(candidate or "")
        except ValueError:
            continue
        return True
    return False


def without_ip_host(call_id: str) -> str:
    """A Call-ID without its host part if that is an IP address, which may be a person's."""
    local, at, host = call_id.rpartition("@")
    return local if at and is_ip(host) else call_id
