"""What the operator wants numbers to look like: masked, with a keyed hash, in clear only if asked.

`phonenumbers` is imported inside functions: loading it takes 0.1 s (`Redaction.prepare`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from typing import Final, Literal

from trunktrace import conventions as c
from trunktrace.errors import ConfigurationError
from trunktrace.redaction.addresses import (
    MASKED,
    SQUEEZE,
    clean,
    is_withheld,
    mask_international,
    user_of,
    without_ip_host,
)

MIN_KEY_BYTES: Final = 16
ENV_HASH_KEY: Final = "TRUNKTRACE_HASH_KEY"
ENV_HASH_KEY_ID: Final = "TRUNKTRACE_HASH_KEY_ID"
ENV_REVEAL_NUMBERS: Final = "TRUNKTRACE_REVEAL_NUMBERS"

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_NUMBER: Final = re.compile(r"\+?[0-9]+")
_SWITCH: Final = {"1": True, "true": True, "0": False, "false": False, "": False}
_PARTY_KEYS: Final = {
    "caller": (
        c.SIP_CALLER_NUMBER,
        c.SIP_CALLER_HASH,
        c.SIP_CALLER_COUNTRY,
        c.SIP_CALLER_PII_NUMBER,
    ),
    "callee": (
        c.SIP_CALLEE_NUMBER,
        c.SIP_CALLEE_HASH,
        c.SIP_CALLEE_COUNTRY,
        c.SIP_CALLEE_PII_NUMBER,
    ),
}


@dataclass(frozen=True, slots=True)
class RedactedNumber:
    """What may be said about one phone number.

    `masked` is `+1*******34`, or `*******` for what is no E.164 number. `hash` is None without a
    key; `country` (ISO 3166 alpha-2) is None where the numbering plan does not say; both are None
    for what is no E.164 number. `clear` is set only if the operator asked for numbers in clear.
    `e164` is for use in memory: it stands on no span.
    """

    masked: str
    hash: str | None = None
    country: str | None = None
    clear: str | None = dataclasses.field(default=None, repr=False)
    e164: str | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """How phone numbers are written on spans; by default masked and nothing else.

    `hash_key` has at least 16 bytes (text counts as UTF-8) and never shows in `repr`. `key_id`
    stands before every hash, so that keys can be changed: 1 to 32 of `A-Z a-z 0-9 _ -`; by default
    the first 8 hex digits of the key's SHA-256. `default_country` (ISO 3166 alpha-2) reads numbers
    that come without `+`; without it they are masked whole. Raises `ConfigurationError`.
    """

    hash_key: str | bytes | None = dataclasses.field(default=None, repr=False)
    key_id: str | None = None
    reveal_numbers: bool = False
    default_country: str | None = None

    def __post_init__(self) -> None:
        if type(self.reveal_numbers) is not bool:
            raise ConfigurationError("reveal_numbers", self.reveal_numbers, "give True or False")
        key = _checked_key(self.hash_key)
        object.__setattr__(self, "hash_key", key)
        object.__setattr__(self, "key_id", _checked_key_id(self.key_id, key))
        object.__setattr__(self, "default_country", _checked_country(self.default_country))

    @classmethod
    def from_environment(cls, default_country: str | None = None) -> Redaction:
        """What the environment asks for; a variable that is empty is not set.

        Reads TRUNKTRACE_HASH_KEY, TRUNKTRACE_HASH_KEY_ID and TRUNKTRACE_REVEAL_NUMBERS (1, true, 0
        or false). Raises `ConfigurationError`, which names the variable.
        """
        reveal = os.environ.get(ENV_REVEAL_NUMBERS, "")
        if reveal.strip().lower() not in _SWITCH:
            raise ConfigurationError(ENV_REVEAL_NUMBERS, reveal, "write 1, true, 0 or false")
        try:
            return cls(
                hash_key=os.environ.get(ENV_HASH_KEY) or None,
                key_id=os.environ.get(ENV_HASH_KEY_ID) or None,
                reveal_numbers=_SWITCH[reveal.strip().lower()],
                default_country=default_country,
            )
        except ConfigurationError as error:
            names = {"hash_key": ENV_HASH_KEY, "key_id": ENV_HASH_KEY_ID}
            name = names.get(error.field, error.field)
            raise ConfigurationError(name, error.value, error.fix) from None

    def prepare(self) -> None:
        """Load the numbering plans now (0.1 s, once a process), so that no call waits for them."""
        self.number("+12025550123")
        if self.default_country is not None:
            self.number("2025550123")

    def number(self, raw: str) -> RedactedNumber | None:
        """What may be said about a number in any form that SIP gives: URI, header, identity, bare.

        None where no number is told: not text, empty, absurd (over 1,024 characters, control
        characters), or withheld by the caller (`anonymous`, `restricted`, and Twilio's spellings
        of these on the keypad, such as +266696687).
        """
        user = user_of(raw)
        if user is None or is_withheld(user):
            return None
        e164 = self._e164(user.translate(SQUEEZE))
        if e164 is None:
            clear = user[: c.MAX_STRING_CHARACTERS] if self.reveal_numbers else None
            return RedactedNumber(MASKED, clear=clear)
        return RedactedNumber(
            masked=mask_international(e164[1:]),
            hash=self._hash(e164),
            country=_country_of(e164),
            clear=e164 if self.reveal_numbers else None,
            e164=e164,
        )

    def party(self, role: Literal["caller", "callee"], raw: str) -> dict[str, str]:
        """The attributes of one party, by key: number, hash, country, and in clear if asked for.

        Empty where `number` is None; what is unknown has no key.
        """
        found = self.number(raw)
        if found is None:
            return {}
        values = (found.masked, found.hash, found.country, found.clear)
        pairs = zip(_PARTY_KEYS[role], values, strict=True)
        return {key: value for key, value in pairs if value is not None}

    def call_id(self, raw: str) -> str | None:
        """A SIP Call-ID, its host part cut off if that is an IP address; else unchanged.

        None for what is not text, empty, over 1,024 characters, or holds control characters.
        """
        text = clean(raw)
        return None if text is None else without_ip_host(text)

    def _e164(self, plain: str) -> str | None:
        if not _NUMBER.fullmatch(plain):
            return None
        if plain.startswith("+"):
            return _parsed(plain, None)
        if self.default_country is None:
            return None
        # Some trunks leave out the plus of a foreign number; guessing so, only one that exists.
        return _parsed(plain, self.default_country) or _parsed(f"+{plain}", None, exists=True)

    def _hash(self, e164: str) -> str | None:
        if not isinstance(self.hash_key, bytes):
            return None
        digest = hmac.new(self.hash_key, e164.encode(), hashlib.sha256).hexdigest()
        return f"{self.key_id}:{digest[:16]}"


def _checked_key(key: object) -> bytes | None:
    if key is None:
        return None
    data = key.encode() if isinstance(key, str) else key
    if not isinstance(data, bytes):
        raise ConfigurationError("hash_key", f"<{type(data).__name__}>", "give text or bytes")
    if len(data) < MIN_KEY_BYTES:
        fix = f"use at least {MIN_KEY_BYTES} bytes, for example from `openssl rand -hex 32`"
        raise ConfigurationError("hash_key", f"<{len(data)} bytes>", fix)
    return data


def _checked_key_id(key_id: object, key: bytes | None) -> str | None:
    if key_id is None:
        return None if key is None else hashlib.sha256(key).hexdigest()[:8]
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        # Not the value: it may be the key, put in the wrong place.
        shown = f"({len(key_id)} characters)" if isinstance(key_id, str) else type(key_id).__name__
        raise ConfigurationError("key_id", shown, "use 1 to 32 letters, digits, `_` or `-`")
    if key is None:
        raise ConfigurationError("key_id", key_id, "give the hash key that it names, or leave out")
    return key_id


def _checked_country(country: str | None) -> str | None:
    if country is None:
        return None
    import phonenumbers

    code = str(country).strip().upper()
    if code not in phonenumbers.SUPPORTED_REGIONS:
        fix = "use the two letters of ISO 3166, such as US, GB or DE"
        raise ConfigurationError("default_country", country, fix)
    return code


def _parsed(plain: str, country: str | None, *, exists: bool = False) -> str | None:
    """The E.164 form of a number that its plan has room for (`exists`: has assigned), or None."""
    import phonenumbers

    try:
        number = phonenumbers.parse(plain, country)
    except phonenumbers.NumberParseException:
        return None
    good = phonenumbers.is_valid_number if exists else phonenumbers.is_possible_number
    if not good(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _country_of(e164: str) -> str | None:
    import phonenumbers

    region = phonenumbers.region_code_for_number(phonenumbers.parse(e164, None))
    # `001` stands for numbers of no country, such as +800.
    return region if region and region.isalpha() else None
