"""One RADIUS accounting record: its attributes by name, wherever they were written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trunktrace.sources.radius.dictionary import STATUS, plain_name
from trunktrace.sources.shapes import values

START, STOP, INTERIM, FAILED = 1, 2, 3, 15
_RANKS: Final = {START: 0, INTERIM: 1, STOP: 2, FAILED: 2}
_LONGEST_DELAY_S: Final = 86_400
_MOST_VALUES: Final = 4
"""Values that one attribute may have; its further ones are not looked at."""
_OF_THE_END: Final = (
    "acme-sip-status",
    "acme-disconnect-",
    "acme-session-disposition",
    "h323-disconnect-",
    "acct-terminate-cause",
)
"""What an interim record says of an attempt that failed is no word on the call's end."""


@dataclass(slots=True)
class RadiusRecord:
    """The attributes of one Accounting-Request, or of all of one session together.

    `written_at` is when a server wrote it (unix seconds), None where that is not known. `decimal`
    is whether its vendor writes causes as decimal numbers.
    """

    line: int
    written_at: float | None = None
    decimal: bool = False
    attributes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def add(self, name: str, value: str) -> None:
        """One more value of an attribute."""
        if name == "cisco-avpair":
            self._add_pair(value)
            return
        kept = self.attributes.setdefault(name, [])
        if len(kept) < _MOST_VALUES:
            kept.append(_without_name(name, value))

    def _add_pair(self, value: str) -> None:
        name, separator, rest = value.partition("=")
        kept = self.attributes.setdefault(plain_name(name.strip()), []) if separator else []
        if len(kept) < _MOST_VALUES:
            kept.append(rest)

    def text(self, *names: str) -> str | None:
        """The last value of the first of these attributes that says something."""
        for name in names:
            for value in reversed(self.attributes.get(name, ())):
                if found := values.text(value):
                    return found
        return None

    def number(self, *names: str) -> int | None:
        """The same as a whole number that is not negative."""
        for name in names:
            found = values.count(self.text(name))
            if found is not None:
                return found
        return None

    def has(self, *prefixes: str) -> bool:
        """Whether any attribute begins so."""
        return any(name.startswith(prefixes) for name in self.attributes)

    @property
    def status(self) -> int | None:
        """Acct-Status-Type as its number; None where it is missing or garbage."""
        told = self.text("acct-status-type")
        if told is None:
            return None
        return STATUS.get(told.lower(), values.count(told))

    @property
    def time(self) -> float | None:
        """When what it says happened: the server's time less Acct-Delay-Time, if that is one."""
        if self.written_at is None:
            return None
        delay = self.number("acct-delay-time") or 0
        return self.written_at - (delay if delay <= _LONGEST_DELAY_S else 0)


def together(records: Iterable[RadiusRecord]) -> RadiusRecord:
    """What the records of one session say together: Start, then interim ones, then Stop."""
    ordered = sorted(records, key=_order)
    whole = RadiusRecord(ordered[0].line, ordered[-1].written_at)
    for one in ordered:
        whole.decimal = whole.decimal or one.decimal
        last = one.status in (STOP, FAILED)
        for name, told in one.attributes.items():
            if last or not name.startswith(_OF_THE_END):
                whole.attributes[name] = told
    return whole


def _order(record: RadiusRecord) -> tuple[int, int, float]:
    rank = _RANKS.get(record.status or 0, 1)
    return rank, record.number("acct-session-time") or 0, record.time or 0.0


def _without_name(name: str, value: str) -> str:
    """Voice gateways write `h323-setup-time=...` as the value of h323-setup-time, too."""
    if not name.startswith(("h323-", "call-", "sip-call-id", "terminator")):
        return value
    before, separator, rest = value.partition("=")
    return rest if separator and plain_name(before.strip()) == name else value
