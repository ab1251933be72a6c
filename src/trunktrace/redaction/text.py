"""Finding numbers in what others wrote, and masking them there. Every pass takes linear time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final

from trunktrace.conventions import MAX_STRING_CHARACTERS
from trunktrace.redaction.addresses import (
    ASCII_SEPARATORS,
    MASKED,
    MAX_RAW_CHARACTERS,
    SQUEEZE,
    calling_code,
    is_withheld,
    mask_international,
    mask_whole,
    user_of,
)

MIN_SECRET_CHARACTERS: Final = 4
_MIN_DIGITS: Final = 7
_MANY: Final = 2048
_LARGE: Final = 128
"""A call with more secrets has dialled many numbers. Each makes another set, soon out of use."""
_SEPARATORS: Final = ASCII_SEPARATORS.encode()

_NUMBER: Final = re.compile(r"\+?[0-9]+")
_RUN: Final = re.compile(r"[0-9]{7,}")
_CORE: Final = re.compile(r"(?:\+|%2[Bb])?([0-9]{7,})")

# One set of characters to begin with lets the search skip through the text; the bounded repeats
# keep hostile text linear: no match is looked for over more than 256 characters.
_SIGNALLING: Final = re.compile(
    r"""
    [sStT+\uff0b%]
    (?: (?<=[sS]) (?<![A-Za-z0-9][sS]) [iI][pP]
        (?: [sS]?: (?P<user>[^\s@<>"]{1,256}) @
            (?P<host> \[[0-9A-Fa-f:.]{2,45}\] | [0-9]{1,3}(?:\.[0-9]{1,3}){3} (?![0-9A-Za-z-]) )?
          | (?: [sS]?:[ ]? | _ ) (?P<sip>[+*\#]?\d{4,24}) (?![A-Za-z0-9.]) )
      | (?<=[tT]) (?<![A-Za-z0-9][tT]) [eE][lL]:[ ]?
        (?P<tel>[+*\#]?(?:\d[().-]?){3,24}) (?![A-Za-z0-9])
      | (?: (?<=[+\uff0b]) | (?<=%) 2[bB] ) (?P<digits>\d{7,15}) (?!\d)
    )
    """,
    re.VERBOSE,
)
_ASCII: Final = bytes(range(128))
# Digits of other scripts; rarer spaces, dashes and invisible marks. Two patterns: one class of each
# is twice as fast as one alternation.
_OTHER_DIGIT: Final = re.compile(r"[^\x00-\x7f\D]")
_OTHER_SEPARATOR: Final = re.compile(
    r"[\u00a0\u00ad\u2000-\u2013\u2028-\u202f\u205f-\u206f\u2212\u3000\ufeff]"
)
# In names (rooms, identities): runs of digits that could be a number. None with its country code
# has 10 or 13 digits and starts with 1: those are unix times; 8 or 14 digits from 20 on are dates.
# And what LiveKit's dispatch rule puts between prefix and random end: an extension.
_IN_NAMES: Final = re.compile(
    r"""
      (?<![0-9a-z]) (?!1\d{9}(?:\d{3})?(?!\d)) (?!20\d\d[01]\d[0-3]\d(?:\d{6})?(?!\d))
        \d{7,15} (?![0-9a-z])
    | (?<=_) \d{3,6} (?=_[0-9a-z]{12}\Z)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def secrets_of(*raws: str) -> frozenset[str]:
    """All the strings under which these signalling values could stand in a text.

    As given, the SIP user, LiveKit's identity for it (`sip_<user>`), and for a number its digits,
    with `+`, with `%2B`, and without country code. Nothing under 4 characters, no plain words
    (`caller` is a SIP user and a word of the language) and nothing that says "withheld".
    """
    return frozenset(form for raw in raws for form in _forms(raw) if _is_distinctive(form))


def scrub(text: str, secrets: Collection[str]) -> str:
    """`text` with every secret masked, and every number in signalling position.

    Signalling positions: the user of a `sip:`, `sips:` or `tel:` URI (with its host, if that is an
    IP address), the identity `sip_<number>`, and `+` before 7 to 15 digits. A secret of at least 7
    digits is found with and without separators and in the digits of any script; a shorter one, or
    one with letters, only as a word of its own. Times, ids and counters stay.
    """
    return scrubber_for(frozenset(secrets)).text(text)


def scrubber_for(secrets: frozenset[str]) -> Scrubber:
    """The scrubber of one call, made once for each set of secrets."""
    return _large(secrets) if len(secrets) > _LARGE else _small(secrets)


@lru_cache(maxsize=256)
def _small(secrets: frozenset[str]) -> Scrubber:
    return Scrubber(secrets)


@lru_cache(maxsize=8)
def _large(secrets: frozenset[str]) -> Scrubber:
    return Scrubber(secrets)


class Scrubber:
    """Masks one set of secrets. Each method returns the same object when there is nothing to mask.

    `known` masks the secrets and nothing else (for what people said), `text` also numbers in
    signalling position, `name` also what looks like a number in a name of a room or a participant.
    """

    __slots__ = ("_clean_keys", "_cores", "_digits", "_probes", "_word_pattern", "_words")

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for form in secrets if len(form) >= MIN_SECRET_CHARACTERS}
        squeezed = {form: form.translate(SQUEEZE) for form in forms}
        cores = {found[1] for form in squeezed.values() if (found := _CORE.fullmatch(form))}
        lengths = sorted({len(core) for core in cores})
        self._cores = sorted(cores, key=len, reverse=True)
        # A text that holds a long form holds the short one in it.
        self._probes = [
            core.encode()
            for core in cores
            if not _holds_any(core, cores, [one for one in lengths if one < len(core)])
        ]
        self._words = [
            form
            for form in sorted(forms, key=len, reverse=True)
            if not _holds_any(squeezed[form], cores, lengths)
        ]
        # Made once something is to be masked: a job that dials on and on has many sets of secrets.
        self._digits: re.Pattern[str] | None = None
        self._word_pattern: re.Pattern[str] | None = None
        self._clean_keys: set[str] = set()

    def may_change(self, text: str) -> bool:
        """Whether `text` could have something to mask; a cheap look, right when it says no."""
        if self._may_hold_digits(text) or any(word in text for word in self._words):
            return True
        return _may_signal(text) and _SIGNALLING.search(text) is not None

    def known(self, text: str) -> str:
        """`text` with the secrets masked."""
        if self._may_hold_digits(text):
            text = self._mask_digits(text)
        if self._words and any(word in text for word in self._words):
            if self._word_pattern is None:
                self._word_pattern = _word_pattern(self._words)
            text = self._word_pattern.sub(MASKED, text)
        return text

    def text(self, text: str) -> str:
        """`text` with the secrets and the numbers in signalling position masked."""
        text = self.known(text)
        return _SIGNALLING.sub(_mask_signalling, text) if _may_signal(text) else text

    def name(self, text: str) -> str:
        """A room's or participant's name, the rest of it kept so that it can be recognised."""
        return _IN_NAMES.sub(MASKED, self.text(text))

    def key(self, key: str) -> str:
        """An attribute's key; the same keys come again and again and are looked at once."""
        if key in self._clean_keys:
            return key
        cleaned = self.text(key)
        if cleaned is key and len(self._clean_keys) < _MANY:
            self._clean_keys.add(key)
        return cleaned

    def holds(self, number: int) -> bool:
        """Whether an integer is one of the secret numbers."""
        return bool(self._probes) and str(number) in self._cores

    def _may_hold_digits(self, text: str) -> bool:
        if not self._probes:
            return False
        # Bytes: many times as fast as the same on text.
        raw = text.encode(errors="replace")
        squeezed = raw.translate(None, _SEPARATORS)
        for probe in self._probes:
            if probe in squeezed:
                return True
        if len(raw) == len(text):
            return False
        others = raw.translate(None, _ASCII).decode()
        return bool(_OTHER_DIGIT.search(others) or _OTHER_SEPARATOR.search(others))

    def _mask_digits(self, text: str) -> str:
        squeezed = text.translate(SQUEEZE)
        if self._digits is None:
            self._digits = re.compile("|".join(self._cores))
        if not self._digits.search(squeezed):
            return text
        # Characters of `text` are gone from `squeezed`: where each of the others stood.
        places = [at for at, char in enumerate(text) if SQUEEZE[ord(char)] is not None]
        parts: list[str] = []
        done = 0
        for found in self._digits.finditer(squeezed):
            first, last = found.start(), found.end() - 1
            start, mask = places[first], MASKED
            before = squeezed[max(0, first - 3) : first].lower()
            if before.endswith("+"):
                start, mask = places[first - 1], mask_international(found[0])
            elif before == "%2b":
                mask = mask_international(found[0]).removeprefix("+")
            parts += (text[done:start], mask)
            done = places[last] + 1
        return "".join((*parts, text[done:]))


def _holds_any(text: str, cores: Collection[str], lengths: Iterable[int]) -> bool:
    """Whether one of `cores`, each of one of these lengths, stands in the text.

    The time that it takes depends on how many lengths there are, and not on how many cores.
    """
    return any(
        run[at : at + length] in cores
        for run in _RUN.findall(text)
        for length in lengths
        for at in range(len(run) - length + 1)
    )


def _may_signal(text: str) -> bool:
    if "+" in text or "%2" in text or "\uff0b" in text:
        return True
    lowered = text.lower()
    return "sip_" in lowered or "sip:" in lowered or "sips:" in lowered or "tel:" in lowered


def _mask_signalling(found: re.Match[str]) -> str:
    kind = str(found.lastgroup)
    if kind in ("user", "host"):
        before = found[0][: found.start("user") - found.start()]
        return f"{before}{mask_whole(found['user'])}@{MASKED if found['host'] else ''}"
    before = found[0][: found.start(kind) - found.start()]
    if kind == "digits":
        return before + mask_international(found[kind].translate(SQUEEZE)).removeprefix("+")
    return before + mask_whole(found[kind])


def _word_pattern(words: list[str]) -> re.Pattern[str]:
    """Each secret as a word of its own; one of digits only is no part of a time or JSON number."""
    exact = "|".join(re.escape(word) for word in words if not word.isdecimal())
    short = "|".join(word for word in words if word.isdecimal())
    parts: list[str] = []
    if exact:
        parts.append(f"(?:{exact})")
    if short:
        parts.append(rf'(?<![0-9][.:,-])(?<!":)(?<!":[ ])(?:{short})(?![.:,-][0-9])')
    return re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(parts)})(?![0-9A-Za-z])")


def _forms(raw: object) -> Iterator[str]:
    if not isinstance(raw, str):
        return
    user = user_of(raw)
    shown = raw[:MAX_RAW_CHARACTERS] if user is None else raw.partition("<")[0]
    if user is None or "<" in raw:  # a number in a display name, or in what cannot be read
        yield from _RUN.findall(shown.translate(SQUEEZE))[:8]
    if user is None or is_withheld(user):
        return
    yield user
    yield f"sip_{user}"
    if len(raw) <= MAX_STRING_CHARACTERS:
        yield raw.strip()
    plain = user.translate(SQUEEZE)
    digits = plain.removeprefix("+")
    if _NUMBER.fullmatch(plain) and len(digits) >= _MIN_DIGITS:
        yield from (digits, f"+{digits}", f"%2B{digits}")
        yield from (form for form in _nationals(plain) if len(form) >= _MIN_DIGITS)


def _nationals(plain: str) -> Iterator[str]:
    """The number without what is dialled before it, from abroad or at home."""
    international = plain.startswith("+")
    digits = plain.removeprefix("+")
    dialled = () if international else ("011", "00", "0")
    for prefix in dialled:
        if digits.startswith(prefix):
            digits = digits.removeprefix(prefix)
            yield digits
            break
    if international or len(digits) > 10:
        yield digits[len(calling_code(digits)) :]


def _is_distinctive(form: str) -> bool:
    return len(form) >= MIN_SECRET_CHARACTERS and any(
        char.isdigit() or char in "._@+" for char in form
    )
