"""The captured calls of the proxy and of its media proxy, and what is read of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from trunktrace.facts import End, Observation
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES
from trunktrace.windows import MediaWindow

CAPTURES = Path(__file__).parent / "captures"
CALLS = tuple(sorted(path.name for path in (CAPTURES / "kamailio").glob("0*")))
ANSWERED = tuple(name for name in CALLS if name[:2] in ("01", "02", "03", "07"))
FAILED = tuple(name for name in CALLS if name not in ANSWERED)
LOSSY = tuple(name for name in CALLS if name[:2] in ("01", "02", "03"))


def record(system: str, call: str, name: str) -> bytes:
    """A captured file."""
    return (CAPTURES / system / call / name).read_bytes()


@cache
def truth(call: str) -> dict[str, Any]:
    """What was set up, and what was counted beside it."""
    facts: dict[str, Any] = json.loads((CAPTURES / "kamailio" / call / "facts.json").read_text())
    return facts


def parse(source: str, data: bytes, reading: Reading | None = None) -> Parsed:
    """What a source reads."""
    return SOURCES[source].parse(data, reading or Reading())


def legs(parsed: Parsed) -> dict[End, Observation]:
    """The observations of one call by the end that they stand at."""
    found: dict[End, Observation] = {}
    for one in parsed.observations:
        assert one.bridge_end is not None
        far: End = "caller" if one.bridge_end == "callee" else "callee"
        end = one.bridge_end if one.leg == "trunk" else far
        assert end not in found
        found[end] = one
    return found


def totals(one: Observation, way: str) -> list[MediaWindow]:
    """Windows over the whole call of what goes from an end (`by`) or to it (`to`), at its leg."""
    away = "out" if one.leg == "trunk" else "in"
    towards = "in" if one.leg == "trunk" else "out"
    direction = away if way == "by" else towards
    longest = [w for w in (*one.windows, *one.untimed) if w.direction == direction]
    assert all(window.leg == one.leg for window in longest)
    return [w for w in longest if w.start == 0 or w.duration_s > 15]


def total(one: Observation, way: str) -> MediaWindow:
    """The only one of them."""
    (window,) = totals(one, way)
    return window


def lossy(one: Observation, way: str) -> MediaWindow:
    """The only one of them that says a loss."""
    (window,) = (window for window in totals(one, way) if window.loss_ratio is not None)
    return window
