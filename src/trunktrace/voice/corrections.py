"""What a caller's words say about the call itself: a correction, or doubt that anybody hears him.

The phrases are data (`phrases.toml`), by language. What was said is read and forgotten: no mark, no
log line and no error holds a word of it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final, Protocol

_MOST_CHARACTERS: Final = 1000
_WILD: Final = {"*": r"(?: \S+){0,4}", "+": r"(?: \S+){1,4}"}
_NO_SPACES: Final = frozenset({"ja", "zh", "th"})
_NOT_SAID: Final = frozenset({"", "multi", "mul", "und", "auto", "unknown"})
# Marks on Latin letters, and the dot of Hindi that recognisers leave out; its vowels stay.
_ACCENTS: Final = re.compile(r"[\u0300-\u036f\u093c]")


class CorrectionRule(Protocol):
    """Whether the caller corrects what the agent understood.

    `text` is the caller's turn as it was recognised, `previous_user_text` the turn before it (None
    at the first), `language` what the recogniser says (`en`, `de-DE`; None where it says nothing).
    It is called once a turn, on the agent's event loop, so it must be quick; where it raises, the
    turn is no correction.
    """

    def __call__(self, text: str, previous_user_text: str | None, language: str | None, /) -> bool:
        """Whether this turn is a correction."""
        ...


def is_correction(text: str, _: str | None, language: str | None, /) -> bool:
    """The rule by default: one of the phrases of `language`, of any language where it is None.

    "No, I said Tuesday" is one; "no", "no thanks" and "no, that's fine" answer a question.
    """
    said = _plain(text)
    return any(words.corrects(said) for words in _of(language))


def asks_if_heard(text: str, previous_user_text: str | None, language: str | None) -> bool:
    """Whether the caller asks if anybody hears him, or says that he hears nobody.

    "Can you hear me?" is; "hello?" alone is too, if it is not the first that he says.
    """
    said = _plain(text)
    is_first = previous_user_text is None
    return any(words.asks(said) or (not is_first and words.greets(said)) for words in _of(language))


class _Words:
    """The phrases of one language, ready to match."""

    __slots__ = ("_asks", "_correction", "_except", "_greetings", "_spaced")

    def __init__(self, language: str, table: dict[str, list[str]]) -> None:
        self._spaced = language not in _NO_SPACES
        self._correction = self._pattern(table["correction"])
        self._except = self._pattern(table["except"])
        self._asks = self._pattern(table["asks_if_heard"])
        self._greetings = frozenset(self._of(_plain(phrase)) for phrase in table["greeting"])

    def corrects(self, said: str) -> bool:
        said = self._of(said)
        return bool(self._correction.search(said)) and not self._except.search(said)

    def asks(self, said: str) -> bool:
        return self._asks.search(self._of(said)) is not None

    def greets(self, said: str) -> bool:
        return self._of(said) in self._greetings

    def _of(self, said: str) -> str:
        return said if self._spaced else said.replace(" ", "")

    def _pattern(self, phrases: list[str]) -> re.Pattern[str]:
        found = [_spaced(one) if self._spaced else re.escape(_plain(one)) for one in phrases]
        return re.compile("|".join(found) if found else r"(?!)")


@cache
def _words() -> dict[str, _Words]:
    text = files("trunktrace.voice").joinpath("phrases.toml").read_text("utf-8")
    return {language: _Words(language, table) for language, table in tomllib.loads(text).items()}


def prepare() -> None:
    """Read the phrases now (some 15 ms, once a process), so that no call waits for them."""
    _words()


def languages() -> frozenset[str]:
    """The languages that have phrases, as ISO 639-1 codes."""
    return frozenset(_words())


def _of(language: str | None) -> Iterable[_Words]:
    known = _words()
    code = (language or "").replace("_", "-").partition("-")[0].lower()
    if code in _NOT_SAID:
        return known.values()
    return (known[code],) if code in known else ()


def _plain(text: str) -> str:
    """Lower case, without punctuation and accents, words with one space between them."""
    folded = _ACCENTS.sub("", unicodedata.normalize("NFKD", text[:_MOST_CHARACTERS].casefold()))
    kept = (
        char
        if char.isalnum() or unicodedata.category(char).startswith("M")
        else ""
        if char in "'\u2019\u02bc"
        else " "
        for char in unicodedata.normalize("NFC", folded)
    )
    return " ".join("".join(kept).split())


def _spaced(phrase: str) -> str:
    """The regular expression of a phrase of a language that writes spaces."""
    parts = [
        _WILD[word] if word in _WILD else " " + re.escape(_plain(word))
        for word in phrase.removeprefix("^").removesuffix("$").split()
    ]
    start = "^" if phrase.startswith("^") else r"(?<!\S)"
    end = "$" if phrase.endswith("$") else r"(?!\S)"
    return start + "".join(parts).removeprefix(" ") + end
