"""Frozen values of the directory: what it says about a call, and the rows it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from trunktrace.belief import Rank

Field = Literal["carrier", "route", "region"]
FIELDS: Final[tuple[Field, ...]] = ("carrier", "route", "region")


@dataclass(frozen=True, slots=True)
class Claim:
    """One value, how far it is believed, and who says it.

    `source` is for people: `trunks.ST_abc`, `header X-Route`, `host *.pstn.twilio.com`.
    """

    value: str
    rank: Rank
    source: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What the directory says about the trunk of one call; None where nobody says anything.

    `refused` holds what lower-ranked sources said otherwise: (field, claim).
    """

    carrier: Claim | None = None
    route: Claim | None = None
    region: Claim | None = None
    refused: tuple[tuple[Field, Claim], ...] = ()

    def claims(self) -> dict[Field, Claim]:
        """The believed claims by field, unknown fields left out."""
        found = (("carrier", self.carrier), ("route", self.route), ("region", self.region))
        return {name: claim for name, claim in found if claim is not None}  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """A trunk as LiveKit's own trunk list has it (`SIPInboundTrunkInfo`, `SIPOutboundTrunkInfo`).

    `metadata` may be a JSON object with the keys `carrier`, `route` and `region`.
    """

    trunk_id: str
    name: str = ""
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Every carrier, route and region that the directory can name by itself.

    A metric may use each of them as a label: they are as many as somebody wrote down.
    """

    carriers: frozenset[str]
    routes: frozenset[str]
    regions: frozenset[str]


Trust = tuple[tuple[Field, str], ...]
"""Which header or attribute is believed on which field."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what it says about its trunk or host; None is left open.

    `headers` and `attributes` are None where the row says nothing on trust; an empty tuple
    trusts nothing.
    """

    source: str
    carrier: str | None = None
    route: str | None = None
    region: str | None = None
    headers: Trust | None = None
    attributes: Trust | None = None

    def values(self) -> Iterator[tuple[Field, str]]:
        """(field, value) of the fields that the row fills."""
        found = (("carrier", self.carrier), ("route", self.route), ("region", self.region))
        yield from ((name, value) for name, value in found if value is not None)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Tables:
    """A directory file, read and checked. The mappings are never changed."""

    default_country: str | None = None
    trunks: Mapping[str, Row] = field(default_factory=dict[str, Row])
    hosts: Mapping[str, Row] = field(default_factory=dict[str, Row])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    carriers: frozenset[str] = frozenset()
    headers: Trust = ()
    attributes: Trust = ()
