"""Reads a directory file. Whatever is wrong in it is said with line, field and fix."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from trunktrace.directory import builtin
from trunktrace.directory.lines import line_of
from trunktrace.directory.model import FIELDS, Field, Row, Tables, Trust
from trunktrace.directory.text import alias_key, carrier_name, label, slug
from trunktrace.errors import DirectoryError
from trunktrace.sip.headers import PARTY_HEADERS, is_header_name
from trunktrace.sip.uris import parse_host

Keys = tuple[str, ...]

_TOP: Final = ("default_country", "trunks", "hosts", "carriers", "defaults")
_TRUST: Final = ("trusted_headers", "trusted_attributes")
_TRUNK: Final = (*FIELDS, *_TRUST)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_POSITION: Final = re.compile(r"\(at line (\d+), column \d+\)$")


def read_tables(text: str, name: str) -> Tables:
    """The tables of a directory file.

    `name` stands in errors. Raises DirectoryError with line, field and fix.
    """
    text = text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, name, str(error)) from None
    return _Reader(text, name, document).tables()


def dotted(path: Keys) -> str:
    """A key as one would write it in TOML: `hosts."sbc.example.net".carrier`."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else f'"{key}"' for key in path)


def _syntax_error(text: str, name: str, message: str) -> DirectoryError:
    lines = text.split("\n")
    position = _POSITION.search(message)
    line = int(position[1]) if position else len(lines)
    shown = lines[line - 1].strip()[:80] if line <= len(lines) else ""
    fix = f"not valid TOML: {message}"
    if shown.startswith("["):
        fix += '; a name with . or * in it is quoted: [hosts."*.example.net"]'
    return DirectoryError("TOML", shown, fix, path=name, line=line)


@dataclass(frozen=True, slots=True)
class _Reader:
    text: str
    name: str
    document: dict[str, Any]

    def fail(self, path: Keys, value: object, fix: str) -> NoReturn:
        line = line_of(self.text, path)
        raise DirectoryError(dotted(path), value, fix, path=self.name, line=line)

    def tables(self) -> Tables:
        self.only((), self.document, _TOP)
        aliases = self.aliases()
        defaults = self.table(("defaults",))
        self.only(("defaults",), defaults, _TRUST)
        trunks = {key: self.trunk(key, aliases) for key in self.table(("trunks",))}
        hosts: dict[str, Row] = {}
        for key in self.table(("hosts",)):
            pattern = self.pattern(key)
            if pattern in hosts:
                self.fail(("hosts", key), key, "the same host stands here twice; keep one")
            hosts[pattern] = self.host(key, aliases)
        return Tables(
            default_country=self.country(),
            trunks=trunks,
            hosts=hosts,
            aliases=aliases,
            carriers=frozenset(self.table(("carriers",))),
            headers=self.trusted_headers(("defaults",)) or (),
            attributes=self.trusted_attributes(("defaults",)) or (),
        )

    # Shapes --------------------------------------------------------------------------------------

    def value(self, path: Keys) -> Any:
        node: Any = self.document
        for key in path:
            node = cast("dict[str, Any]", node).get(key) if isinstance(node, dict) else None
        return node

    def table(self, path: Keys) -> dict[str, Any]:
        """The table at `path`; empty where there is none."""
        found = self.value(path)
        if found is None:
            return {}
        if not isinstance(found, dict):
            self.fail(path, found, f"write a table, [{dotted(path)}], or leave it out")
        return cast("dict[str, Any]", found)

    def only(self, path: Keys, table: Mapping[str, Any], known: Collection[str]) -> None:
        for key in table:
            if key in known:
                continue
            fix = f"unknown key; known here: {', '.join(known)}"
            if path[:1] == ("hosts",) and key in _TRUST:
                fix = "anyone can write a From host, so it trusts nothing; move this to a trunk"
            elif path[:1] == ("hosts",) and isinstance(table[key], dict):
                fix = 'a host with dots in it is quoted: [hosts."sbc1.example.net"]'
            elif near := difflib.get_close_matches(key, known, n=1):
                fix = f"unknown key; did you mean {near[0]!r}?"
            elif key in _TOP:
                fix = f"{key!r} belongs at the top of the file, before the first [table]"
            self.fail((*path, key), table[key], fix)

    def text_at(self, path: Keys, example: str) -> str | None:
        found = self.value(path)
        if found is None:
            return None
        shaped = label(found)
        if shaped is None:
            self.fail(path, found, f'write 1 to 255 printable characters: {path[-1]} = "{example}"')
        return shaped

    # Parts of the file ---------------------------------------------------------------------------

    def country(self) -> str | None:
        found = self.text_at(("default_country",), "US")
        if found is not None and found not in _countries():
            fix = "write an ISO 3166 alpha-2 code in capitals, like US, DE or IN"
            if found.upper() in _countries():
                fix = f'write it in capitals: default_country = "{found.upper()}"'
            self.fail(("default_country",), found, fix)
        return found

    def aliases(self) -> dict[str, str]:
        aliases = dict(builtin.ALIASES)
        owners: dict[str, str] = {}
        tables = self.table(("carriers",))
        for carrier in tables:
            path = ("carriers", carrier)
            if carrier != slug(carrier):
                fix = f"write it as {slug(carrier) or 'a name'!r}: lower case a-z, 0-9, . _ and -"
                self.fail(path, carrier, fix)
            self.only(path, self.table(path), ("aliases",))
            for alias in self.strings((*path, "aliases")):
                key = alias_key(alias)
                owner = key if key in tables else owners.setdefault(key, carrier)
                if owner != carrier:
                    fix = f"{alias!r} already means {owner!r}; a name can mean one carrier only"
                    self.fail((*path, "aliases"), alias, fix)
        return aliases | owners

    def strings(self, path: Keys) -> list[str]:
        found = self.value(path)
        if found is None:
            return []
        items = cast("list[object]", found) if isinstance(found, list) else [None]
        shaped = [text for item in items if (text := label(item)) is not None]
        if len(shaped) != len(items):
            self.fail(path, items, f'write a list of names: {path[-1]} = ["Telnyx LLC"]')
        return shaped

    def pattern(self, key: str) -> str:
        """The host of a row in the one form in which hosts are compared."""
        wildcard = key.startswith("*.")
        place = parse_host(key.removeprefix("*."))
        if place is None or (wildcard and (place.is_ip or place.port is not None)):
            fix = (
                'write a host ("sbc.example.net", "203.0.113.7", "[2001:db8::1]:5070") '
                'or a suffix ("*.example.net")'
            )
            self.fail(("hosts", key), key, fix)
        return f"*.{place}" if wildcard else str(place)

    def host(self, key: str, aliases: Mapping[str, str]) -> Row:
        return self.row(("hosts", key), f"host {key}", FIELDS, aliases)

    def trunk(self, key: str, aliases: Mapping[str, str]) -> Row:
        path = ("trunks", key)
        if label(key) != key:
            self.fail(path, key, "write the trunk's id, like ST_a1b2c3d4e5f6")
        return self.row(path, dotted(path), _TRUNK, aliases)

    def row(
        self, path: Keys, source: str, known: Collection[str], aliases: Mapping[str, str]
    ) -> Row:
        table = self.table(path)
        self.only(path, table, known)
        if not table:
            self.fail(path, table, 'empty; give at least carrier = "..."')
        return Row(
            source,
            carrier=self.carrier((*path, "carrier"), aliases),
            route=self.text_at((*path, "route"), "us-east/primary"),
            region=self.text_at((*path, "region"), "us1"),
            headers=self.trusted_headers(path),
            attributes=self.trusted_attributes(path),
        )

    def carrier(self, path: Keys, aliases: Mapping[str, str]) -> str | None:
        found = self.text_at(path, "telnyx")
        if found is None:
            return None
        name = carrier_name(found, aliases)
        if name is None:
            fix = "write the carrier's name with a-z, 0-9, . _ and -; leave it out if not known"
            self.fail(path, found, fix)
        return name

    def trusted_headers(self, row: Keys) -> Trust | None:
        path = (*row, "trusted_headers")
        for field, header in (trust := self.trust(path, "X-Carrier")) or ():
            if not is_header_name(header):
                self.fail((*path, field), header, "this is no SIP header name; like X-Carrier")
            if header.lower() in PARTY_HEADERS:
                fix = "this header names a person of the call; let your SBC set one, like X-Carrier"
                self.fail((*path, field), header, fix)
        return trust

    def trusted_attributes(self, row: Keys) -> Trust | None:
        path = (*row, "trusted_attributes")
        for field, attribute in (trust := self.trust(path, "carrier.name")) or ():
            if attribute.startswith("sip.h."):
                fix = f"that is a header: write it under trusted_headers, {field} = ..."
                self.fail((*path, field), attribute, fix)
            if attribute.startswith(("sip.", "lk.")):
                fix = "LiveKit's own attributes hold numbers and ids; name one that you set"
                self.fail((*path, field), attribute, fix)
        return trust

    def trust(self, path: Keys, example: str) -> Trust | None:
        if self.value(path) is None:
            return None
        table = self.table(path)
        self.only(path, table, FIELDS)
        found: dict[Field, str | None]
        found = {field: self.text_at((*path, field), example) for field in FIELDS}
        return tuple((field, named) for field, named in found.items() if named is not None)


def _countries() -> Collection[str]:
    # Imported here: it is needed only where a file names a country.
    from phonenumbers import SUPPORTED_REGIONS

    return SUPPORTED_REGIONS
