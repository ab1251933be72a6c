"""The captured records of other systems, what was true of their calls, and how they are read."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from behaviour.b.test_parse_contract import assert_typed
from trunktrace.sources.ends import Bridge
from trunktrace.sources.output import as_json
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

HOME = Path(__file__).parents[2] / "sources" / "captures"
End = Literal["caller", "callee"]
Record = dict[str, Any]

NUMBER = re.compile(
    r"(?:\+|%2B)?(?:1?5555550\d{3}|15555555555|15555555556|05555550186|442079460000|447700900000)"
)
"""Every telephone number of the captures; a masked one (`+1*******99`) is none."""


def calls(system: str) -> list[str]:
    """The captured calls of a system, by folder name."""
    return sorted(path.parent.name for path in (HOME / system).glob("*/facts.json"))


def raw(*parts: str) -> bytes:
    """The bytes of one captured file."""
    return HOME.joinpath(*parts).read_bytes()


@cache
def truth(system: str, call: str) -> dict[str, Any]:
    """What was true of a call; never given to the program under test."""
    return dict(json.loads((HOME / system / call / "facts.json").read_text()))


@cache
def sample(system: str, name: str) -> dict[str, Any]:
    """What is true of a carrier's sample."""
    return dict(json.loads((HOME / system / f"{name}.facts.json").read_text()))


def reading(
    end: End | None = None, names: tuple[str, ...] = (), zone: str = "UTC", **columns: Any
) -> Reading:
    """How records are to be read."""
    return Reading(bridge=Bridge(frozenset(names), end), zone=ZoneInfo(zone), columns=columns or {})


def parsed(source: str, data: bytes | str, told: Reading | None = None) -> Parsed:
    """What a reader makes of these bytes; nothing it says holds a number in clear."""
    given = data.encode() if isinstance(data, str) else data
    found = SOURCES[source].parse(given, told or Reading())
    said = json.dumps([as_json(each) for each in found.observations])
    said += repr(found)
    leak = NUMBER.search(said)
    assert leak is None, f"a number in clear: ...{said[max(0, leak.start() - 60) : leak.end()]}"
    return found


def read(source: str, data: bytes | str, told: Reading | None = None) -> list[Record]:
    """The records as `parse` prints them; nothing broken, each of the contract's shape."""
    found = parsed(source, data, told)
    assert not found.broken, found.broken
    records = [as_json(each) for each in found.observations]
    assert_shape(records, source)
    return records


def assert_shape(records: list[Record], source: str) -> None:
    """Vocabulary keys of the right type; each window has facts of its leg and direction alone."""
    json.loads(json.dumps(records), parse_constant=_refuse)
    for record in records:
        assert set(record) == {"source", "leg", "ids", "facts", "windows"}
        assert record["source"] == source
        assert record["leg"] in ("agent", "trunk", "pstn")
        assert all(type(each) is str and each for each in record["ids"].values()), record["ids"]
        for key, value in record["facts"].items():
            assert_typed(key, value)
        for window in record["windows"]:
            assert_window(window)


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def assert_window(window: Record) -> None:
    """Leg, direction, two unix seconds in order or none, and what can be believed."""
    assert set(window) == {"leg", "direction", "start", "end", "source", "facts"}
    assert window["facts"]
    start, end = window["start"], window["end"]
    assert (start is None) == (end is None)
    if start is not None:
        assert 1e9 < start <= end < 1e10, (start, end)
    prefix = {"agent": "webrtc.", "trunk": "rtp.", "pstn": "pstn."}[window["leg"]]
    for key, value in window["facts"].items():
        assert_typed(key, value)
        assert key.startswith(prefix), (window["leg"], key)
        other = "out" if window["direction"] == "in" else "in"
        assert not key.startswith(f"{prefix}{other}."), (window["direction"], key)
        if key.endswith(".mos"):
            assert 1 <= value <= 4.5, (key, value)
        if key.endswith("rtt_ms"):
            assert 0 < value < 10_000, (key, value)
        if key.endswith("jitter_ms"):
            assert value < 10_000, (key, value)


def measure(window: Record, name: str) -> Any:
    """One measure of a window by its short name; None where it says nothing of it."""
    for key, value in window["facts"].items():
        parts = key.split(".", 1)[1]
        if parts in (name, f"{window['direction']}.{name}"):
            return value
    return None


def windows(records: list[Record], leg: str | None = None, direction: str | None = None):
    """The windows of all records, of one leg and direction where asked."""
    return [
        window
        for record in records
        for window in record["windows"]
        if leg in (None, window["leg"]) and direction in (None, window["direction"])
    ]


def is_whole(window: Record, seconds: float) -> bool:
    """Whether a window is of (nearly) the whole call."""
    if window["start"] is None:
        return True
    return (window["end"] - window["start"]) > 0.6 * seconds


def values(records: list[Record], key: str) -> set[Any]:
    """Every value that stands under a key of facts."""
    return {record["facts"][key] for record in records if key in record["facts"]}


def on(records: list[Record], leg: str) -> list[Record]:
    """The records of one leg."""
    return [record for record in records if record["leg"] == leg]


def losses(records: list[Record], leg: str, direction: str) -> list[tuple[float, str | None]]:
    """(ratio, method) of every window of that place."""
    return [
        (measure(each, "loss_ratio"), measure(each, "loss_method"))
        for each in windows(records, leg, direction)
        if measure(each, "loss_ratio") is not None
    ]


def same(one: list[Record], other: list[Record]) -> None:
    """The same records in any order."""

    def ordered(records: list[Record]) -> list[str]:
        return sorted(json.dumps(each, sort_keys=True) for each in records)

    assert ordered(one) == ordered(other)


OUTCOMES = {
    404: "invalid_number",
    480: "no_answer",
    484: "invalid_number",
    486: "busy",
    487: "canceled",
    488: "failed",
    500: "failed",
    503: "congestion",
    504: "timeout",
    600: "busy",
    603: "rejected",
    604: "invalid_number",
    608: "blocked",
}
"""Final codes and what becomes of the call, by telephony.md B.1."""
