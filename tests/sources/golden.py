"""The golden files: where they are, and what their sources say of them."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from trunktrace.sources.ends import Bridge
from trunktrace.sources.output import as_json
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
CAPTURES = HERE / "captures"
EXPECTED = ".expected.json"


@dataclass(frozen=True)
class Case:
    """One golden record of a source."""

    source: str
    path: Path

    def __str__(self) -> str:
        return f"{self.source}/{self.path.name}"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def expected(self) -> Path:
        return self.path.with_name(self.path.name + EXPECTED)

    @cached_property
    def data(self) -> bytes:
        if self.path.suffix == ".link":
            return (CAPTURES / self.path.read_text().strip()).read_bytes()
        return self.path.read_bytes()

    @cached_property
    def reading(self) -> Reading:
        """As `NAME.EXT.reading.toml` says (bridge, bridge_end, zone, columns), or as it is."""
        told = self.path.with_name(self.path.name + ".reading.toml")
        if not told.exists():
            return Reading()
        given = tomllib.loads(told.read_text())
        return Reading(
            bridge=Bridge(frozenset(given.get("bridge", ())), given.get("bridge_end")),
            zone=ZoneInfo(given.get("zone", "UTC")),
            columns=given.get("columns", {}),
        )

    def persons_in(self, text: str) -> list[str]:
        """Numbers with a `+` in the record that stand in the text, with or without it."""
        told = self.data.decode("utf-8", "replace")
        numbers = set(re.findall(r"(?:\+|%2B)(\d{10,15})", told))
        return sorted(number for number in numbers if number in text)


def _cases() -> tuple[Case, ...]:
    files = sorted(GOLDEN.glob("*/*"))
    records = [f for f in files if not f.name.endswith((EXPECTED, ".reading.toml"))]
    return tuple(Case(file.parent.name, file) for file in records)


CASES = _cases()


def said(case: Case) -> dict[str, Any]:
    """What the source says of the record, as JSON."""
    parsed = SOURCES[case.source].parse(case.data, case.reading)
    told = {
        "observations": [
            {
                **as_json(one),
                "record_id": one.record_id,
                "completeness": one.completeness,
                "start": one.start,
                "end": one.end,
                "marks": [
                    [mark.kind, mark.start, mark.end, mark.value] for mark in one.marks
                ],
                "attempts": [
                    [a.start, a.carrier, a.route, a.trunk_id, a.status_code, a.reason, a.failure,
                     a.progress] for a in one.attempts
                ],
                "claims": dict(one.claims),
                "bridge_end": [one.bridge_end, one.bridge_end_by],
            }
            for one in parsed.observations
        ],
        "broken": [[one.line, one.reason] for one in parsed.broken],
        "ignored": parsed.ignored,
    }  # fmt: skip
    again: dict[str, Any] = json.loads(json.dumps(told))
    return again


def main() -> None:
    """Write what is expected of every golden record anew."""
    for case in CASES:
        text = json.dumps(said(case), indent=1) + "\n"
        if not case.expected.exists() or case.expected.read_text() != text:
            case.expected.write_text(text)
            sys.stdout.write(f"wrote {case}\n")


if __name__ == "__main__":
    main()
