"""The Reason header (RFC 3326): why a request or a response was sent, by other protocols' causes.

Values are separated by commas, or the header is repeated; texts are quoted or not. Protocols that
occur beside `SIP` and `Q.850`: `X.int` and `release_cause` (as LiveKit's bridge knows them). RFC
6432 allows the header in responses, RFC 8606 adds `location` to Q.850.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trunktrace.sip import q850

MAX_CHARACTERS: Final = 1024
"""A header is read so far; what stands behind is not."""

MAX_REASONS: Final = 16
MAX_TEXT_CHARACTERS: Final = 255

_Q850: Final = frozenset({"q.850", "q850", "release_cause", "x.int"})
"""Protocols whose causes are those of Q.850."""

_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[,;]|[^",;]+', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!%'*+._`~-]{1,32}")
_CAUSE: Final = re.compile(r"\d{1,5}")


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

    @property
    def is_normal(self) -> bool:
        """Whether a call ended as it should: Q.850 16, SIP 0 or 200."""
        if self.protocol.lower() == "sip":
            return self.cause in (0, 200)
        return self.q850_cause in q850.NORMAL


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
    cause = named.get("cause", "")
    return Reason(
        protocol,
        int(cause) if cause.isascii() and _CAUSE.fullmatch(cause) else None,
        named.get("text", "")[:MAX_TEXT_CHARACTERS] or None,
        named.get("location", "")[:MAX_TEXT_CHARACTERS] or None,
    )


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inside = value[1:].removesuffix('"') if not value.endswith('\\"') else value[1:]
    return _ESCAPED.sub(r"\1", inside).strip()
