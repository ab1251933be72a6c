"""The Reason header (RFC 3326): why a request or a response was sent, by other protocols' causes.

Values are separated by commas, or the header is repeated; texts are quoted or not. RFC 6432 allows
the header in responses, RFC 8606 adds `location` to Q.850. Two more protocols occur, whose causes
are not those of Q.850: `RELEASE_CAUSE` of mobile phones (3GPP TS 24.229, 7.2A.18.11: 1 is the user
who ends the call), and `X.int`, whose hexadecimal code stands under `reasoncode` or in the text
(0 is a normal end).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_CHARACTERS: Final = 1024
"""A header is read so far; what stands behind is not."""

MAX_REASONS: Final = 16
MAX_TEXT_CHARACTERS: Final = 255

_Q850: Final = frozenset({"q.850", "q850"})
_X_INT: Final = "x.int"

# A quote always has an end, if only that of the header: else each one would be tried to there.
_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z)|[,;]|[^",;]+', re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!%'*+._`~-]{1,32}")
_CAUSE: Final = re.compile(r"[0-9]{1,5}")
_HEX: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One value of the header. `protocol` is as written; None is what it does not say."""

    protocol: str
    cause: int | None = None
    text: str | None = None
    location: str | None = None

    @property
    def q850_cause(self) -> int | None:
        """The Q.850 cause (0 to 127), None for another protocol."""
        if self.protocol.lower() not in _Q850 or self.cause is None:
            return None
        return self.cause if self.cause <= 127 else None

    @property
    def sip_code(self) -> int | None:
        """The SIP code that it names itself (`SIP ;cause=200`); None for another protocol."""
        if self.protocol.lower() != "sip" or self.cause is None:
            return None
        return self.cause if 100 <= self.cause <= 699 else None


def parse_reasons(header: str | Iterable[str]) -> tuple[Reason, ...]:
    """Every value of the header (or of the headers), in order; never raises.

    A value without a protocol name is left out. At most 16 values of 1,024 characters a header.
    """
    headers = [header] if isinstance(header, str) else list(header)[:MAX_REASONS]
    found = [reason for one in headers for value in _values(one) if (reason := _reason(value))]
    return tuple(found[:MAX_REASONS])


def q850_cause(header: str | Iterable[str]) -> int | None:
    """The first Q.850 cause of a Reason header; None without one."""
    causes = (reason.q850_cause for reason in parse_reasons(header))
    return next((cause for cause in causes if cause is not None), None)


def words(phrase: str | None, header: str | Iterable[str] = ()) -> str:
    """A reason phrase and the texts of the Reason headers: what `codes.meaning_of` reads.

    A block by analytics (603+, ATIS-1000099) says so in both.
    """
    texts = [reason.text for reason in parse_reasons(header)]
    return " ".join(text for text in (phrase, *texts) if text)


def _values(header: str) -> list[list[str]]:
    """The values of one header, each as its parameters; quotes hold commas and semicolons."""
    values: list[list[str]] = [[""]]
    for part in _PARTS.findall(header[:MAX_CHARACTERS]):
        if part == ",":
            values.append([""])
        elif part == ";":
            values[-1].append("")
        else:
            values[-1][-1] += part
    return values


def _reason(parameters: list[str]) -> Reason | None:
    protocol = parameters[0].strip()
    if not _TOKEN.fullmatch(protocol):
        return None
    named: dict[str, str] = {}
    for parameter in parameters[1:]:
        name, _, value = parameter.partition("=")
        named.setdefault(name.strip().lower(), _unquoted(value.strip()))
    text = named.get("text", "")
    cause = _number(named.get("cause", ""))
    if cause is None and protocol.lower() == _X_INT:
        cause = _number(named.get("reasoncode", "")) if "reasoncode" in named else _number(text)
    return Reason(
        protocol,
        cause,
        text[:MAX_TEXT_CHARACTERS] or None,
        named.get("location", "")[:MAX_TEXT_CHARACTERS] or None,
    )


def _number(value: str) -> int | None:
    if _HEX.fullmatch(value):
        return int(value, 16)
    return int(value) if _CAUSE.fullmatch(value) else None


def _unquoted(value: str) -> str:
    found = _QUOTED.match(value)
    return value if found is None else _ESCAPED.sub(r"\1", found[1]).strip()
