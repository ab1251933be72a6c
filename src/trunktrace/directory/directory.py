"""`Directory`: which carrier, route and region a call came through, and who says so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from trunktrace.belief import Rank
from trunktrace.directory import builtin
from trunktrace.directory.model import (
    FIELDS,
    Claim,
    Field,
    Identity,
    Names,
    Row,
    Tables,
    TrunkRow,
    Trust,
)
from trunktrace.directory.reader import dotted, read_tables
from trunktrace.directory.text import carrier_name, heard, label
from trunktrace.errors import ConfigurationError, DirectoryError
from trunktrace.sip.headers import header_attribute
from trunktrace.sip.uris import HostPort, parse_host

FILE_NAME: Final = "carriers.toml"
VARIABLE: Final = "TRUNKTRACE_DIRECTORY"

Claims = Iterator[tuple[Field, Claim]]


@dataclass(frozen=True, slots=True)
class Directory:
    """The operator's table from trunk ids, SIP hosts and header values to carrier, route, region.

    It never changes and can be pickled. `path` is the file it was read from, None where there is
    only built-in knowledge. Make one with `find`, `load`, `parse` or `builtin`.
    """

    path: str | None = None
    _tables: Tables = field(default_factory=Tables, repr=False)
    _learned: Mapping[str, Row] = field(default_factory=dict[str, Row], repr=False)
    _trunk_names: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def builtin(cls) -> Directory:
        """The directory without a file: well-known carriers by SIP host and provider id."""
        return cls(None, Tables(aliases=dict(builtin.ALIASES)))

    @classmethod
    def parse(cls, text: str, *, name: str = FILE_NAME) -> Directory:
        """The directory that a TOML text describes; `name` stands for it in errors.

        Raises DirectoryError with line, field and fix.
        """
        return cls(name, read_tables(text, name))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Directory:
        """The directory in a TOML file (UTF-8).

        Raises DirectoryError with line, field and fix; also where the file cannot be read.
        """
        name = os.fspath(path)
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            fix = f"cannot be read ({error.strerror}); give the path of a TOML file"
            raise DirectoryError("path", name, fix, path=name) from None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            fix = "not UTF-8; save the file as UTF-8"
            raise DirectoryError("encoding", error.reason, fix, path=name, line=line) from None
        return cls.parse(text, name=name)

    @classmethod
    def find(cls) -> Directory:
        """The directory of this process.

        The file named by the environment variable TRUNKTRACE_DIRECTORY; else `carriers.toml` in
        the working directory; else `builtin()`. Raises ConfigurationError if the variable names a
        file that is not there, DirectoryError if a file is wrong.
        """
        if named := os.environ.get(VARIABLE):
            if not Path(named).exists():
                fix = f"no such file; name an existing {FILE_NAME}, or unset {VARIABLE}"
                raise ConfigurationError(VARIABLE, named, fix)
            return cls.load(named)
        here = Path.cwd() / FILE_NAME
        return cls.load(here) if here.exists() else cls.builtin()

    @property
    def default_country(self) -> str | None:
        """ISO 3166 alpha-2 country in which numbers without + are read; None if not given."""
        return self._tables.default_country

    @property
    def names(self) -> Names:
        """Every carrier, route and region that stands in the directory, built-in ones included."""
        tables = self._tables
        rows = [*tables.trunks.values(), *tables.hosts.values(), *self._learned.values()]
        rows += builtin.HOSTS.values()
        found: dict[Field, set[str]] = {name: set() for name in FIELDS}
        for row in rows:
            for name, value in row.values():
                found[name].add(value)
        carriers = tables.carriers | found["carrier"] | frozenset(tables.aliases.values())
        routes = found["route"] | frozenset(self._trunk_names.values())
        return Names(frozenset(carriers), frozenset(routes), frozenset(found["region"]))

    def identify(
        self, *, trunk_id: str | None, host: str | None, attributes: Mapping[str, str]
    ) -> Identity:
        """What is known of the trunk of a call; each field with its rank. It never raises.

        `host` is LiveKit's `sip.hostname`, with or without a port. `attributes` are those of the
        SIP participant; a header that was fetched stands among them as `sip.h.x-route`.
        """
        claims = [
            *self._of_trunk(trunk_id),
            *self._of_attributes(trunk_id, attributes),
            *self._of_headers(trunk_id, attributes),
        ]
        carrier = next((claim.value for name, claim in claims if name == "carrier"), None)
        claims += self._of_host(host, carrier)
        claims += _of_provider(attributes)
        claims += self._of_name(trunk_id)
        kept: dict[Field, Claim] = {}
        refused: list[tuple[Field, Claim]] = []
        for name, claim in claims:
            if name not in kept:
                kept[name] = claim
            elif kept[name].value != claim.value and claim.rank is not Rank.HINT:
                refused.append((name, claim))
        return Identity(kept.get("carrier"), kept.get("route"), kept.get("region"), tuple(refused))

    def headers_wanted(
        self, trunk_id: str | None, attributes: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Names of the headers to ask for (`lk.sip.GetRemoteHeaders`, `include`), often none.

        Those that are trusted for this trunk, on a field that neither its row nor a trusted
        attribute fills, and that are not among `attributes` yet.
        """
        filled = {name for name, _ in self._of_trunk(trunk_id)}
        filled |= {name for name, _ in self._of_attributes(trunk_id, attributes)}
        wanted = {
            header.lower(): header
            for name, header in self._trust(trunk_id)[1]
            if name not in filled and header_attribute(header) not in attributes
        }
        return tuple(wanted.values())

    def with_trunks(self, rows: Iterable[TrunkRow]) -> Directory:
        """This directory, completed by LiveKit's own trunk list.

        A trunk's `metadata`, if it is a JSON object, fills what the file's row leaves open, unless
        it names another carrier than the file does. Its `name` is used as the route, and only
        where nobody else names one. What cannot be used is left out; nothing raises.
        """
        learned: dict[str, Row] = {}
        names: dict[str, str] = {}
        for listed in rows:
            row = _row_of(listed, self._tables.aliases)
            written = self._tables.trunks.get(listed.trunk_id)
            agree = written is None or row.carrier in (None, written.carrier or row.carrier)
            if agree and any(row.values()):
                learned[listed.trunk_id] = row
            if (name := heard(listed.name)) is not None:
                names[listed.trunk_id] = name
        return replace(self, _learned=learned, _trunk_names=names)

    def missing_row(self, trunk_id: str | None) -> str | None:
        """What to tell the operator if no row names this trunk's carrier; None if one does."""
        if any(name == "carrier" for name, _ in self._of_trunk(trunk_id)):
            return None
        key = dotted(("trunks", heard(trunk_id) or "ST_..."))
        row = f'[{key}]\ncarrier = "..."\n# route = "us-east/primary"'
        if self.path is None:
            where = f"There is no directory: write {FILE_NAME} in the worker's working directory"
            where += f" (or name a file in {VARIABLE}) with:"
        else:
            where = f"Add to {self.path}:"
        return (
            "No row names the carrier of this call's trunk, so carrier, route and region are only "
            f"what its SIP host or a provider's id says. {where}\n{row}"
        )

    # Sources of claims, strongest first ----------------------------------------------------------

    def _of_trunk(self, trunk_id: str | None) -> Claims:
        filled: set[Field] = set()
        for rows in (self._tables.trunks, self._learned):
            row = rows.get(trunk_id) if trunk_id else None
            if row is None:
                continue
            for name, value in row.values():
                if name not in filled:
                    filled.add(name)
                    yield name, Claim(value, Rank.TRUNK_ROW, row.source)

    def _trust(self, trunk_id: str | None) -> tuple[Trust, Trust]:
        """(attributes, headers) that are trusted: the row's own table, else the defaults."""
        tables = self._tables
        row = tables.trunks.get(trunk_id) if trunk_id else None
        attributes = tables.attributes if row is None or row.attributes is None else row.attributes
        headers = tables.headers if row is None or row.headers is None else row.headers
        return attributes, headers

    def _of_attributes(self, trunk_id: str | None, attributes: Mapping[str, str]) -> Claims:
        for name, key in self._trust(trunk_id)[0]:
            if (value := self._heard(name, attributes.get(key))) is not None:
                yield name, Claim(value, Rank.TRUSTED_HEADER, f"attribute {key}")

    def _of_headers(self, trunk_id: str | None, attributes: Mapping[str, str]) -> Claims:
        for name, header in self._trust(trunk_id)[1]:
            if (value := self._heard(name, attributes.get(header_attribute(header)))) is not None:
                yield name, Claim(value, Rank.TRUSTED_HEADER, f"header {header}")

    def _of_host(self, host: str | None, carrier: str | None) -> Claims:
        """What the host says; `carrier` is the one that is believed already."""
        place = parse_host(host) if isinstance(host, str) else None
        if place is None:
            return
        for rows in (self._tables.hosts, builtin.HOSTS):
            row = _match(place, rows)
            if row is None:
                continue
            carrier = carrier or row.carrier
            agrees = row.carrier in (None, carrier)
            for name, value in row.values():
                # A host speaks for one carrier: its region is not another carrier's region.
                if agrees or name == "carrier":
                    yield name, Claim(value, Rank.SIP_HOST, row.source)

    def _of_name(self, trunk_id: str | None) -> Claims:
        if trunk_id and (name := self._trunk_names.get(trunk_id)):
            yield "route", Claim(name, Rank.HINT, "name of the trunk in LiveKit")

    def _heard(self, name: Field, value: object) -> str | None:
        text = heard(value)
        if text is None or name != "carrier":
            return text
        return carrier_name(text, self._tables.aliases)


def _of_provider(attributes: Mapping[str, str]) -> Claims:
    named: set[str] = set()
    for key, carrier in builtin.PROVIDER_IDS.items():
        if carrier not in named and label(attributes.get(key)) is not None:
            named.add(carrier)
            yield "carrier", Claim(carrier, Rank.PROVIDER_ID, key)


def _match(place: HostPort, rows: Mapping[str, Row]) -> Row | None:
    """The most specific row for a host: with its port, by its name, by its longest suffix."""
    for exact in (str(place), str(HostPort(place.host))):
        if exact in rows:
            return rows[exact]
    labels = place.host.split(".")
    for start in range(1, len(labels)):
        if (row := rows.get("*." + ".".join(labels[start:]))) is not None:
            return row
    return None


def _row_of(listed: TrunkRow, aliases: Mapping[str, str]) -> Row:
    told = {name: heard(value) for name, value in _object(listed.metadata).items()}
    carrier = told.get("carrier")
    return Row(
        f"metadata of {listed.trunk_id} in LiveKit",
        carrier=carrier_name(carrier, aliases) if carrier else None,
        route=told.get("route"),
        region=told.get("region"),
    )


def _object(text: str) -> dict[str, Any]:
    """A JSON object, empty where the text is none."""
    try:
        found: Any = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
