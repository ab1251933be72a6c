"""LiveKit's RTC statistics from a file: the agent leg, and what it says about the trunk's loss.

A line is what one `room.get_rtc_stats()` gave: `{"t": unix seconds, "publisher": [...],
"subscriber": [...]}`, each entry an object with its `kind` and the names of LiveKit's protobuf.
"""

from __future__ import annotations

from trunktrace.facts import Observation
from trunktrace.quality.deltas import SOURCE, agent_windows
from trunktrace.quality.estimate import estimate_windows
from trunktrace.quality.rtc import Sample, sample_of
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.shapes.jsonlines import (
    Record,
    list_in,
    object_in,
    records,
    text_in,
    time_in,
)
from trunktrace.sources.shapes.ordered import Key, in_file_order, in_order

__all__ = ["SOURCE", "parse", "read"]


def parse(data: bytes) -> Parsed:
    """Windows of the agent leg, and estimated ones of the trunk leg towards the agent.

    When the call was answered, held and hung up is not in these statistics. Who knows makes the
    windows again from `read`: with `agent_windows` and `estimate_windows`.
    """
    samples, broken, repeated = _read(data)
    windows = (*agent_windows(samples), *estimate_windows(samples))
    if not windows:
        return Parsed(broken=broken, ignored=len(samples) + repeated)
    seen = Observation(
        source=SOURCE,
        leg="agent",
        start=min(window.start for window in windows),
        end=max(window.end for window in windows),
        windows=windows,
    )
    return Parsed(observations=(seen,), broken=broken, ignored=repeated)


def read(data: bytes) -> tuple[tuple[Sample, ...], tuple[Broken, ...]]:
    """The samples of a file, in the order of their times, and the lines that hold none."""
    return _read(data)[:2]


def _read(data: bytes) -> tuple[tuple[Sample, ...], tuple[Broken, ...], int]:
    """As `read`, and how many lines are there twice."""
    samples: list[Sample] = []
    broken: list[Broken] = []
    ordered, repeated = in_order(records(data), broken, _key_of)
    for number, record in ordered:
        found = _sample(record, number)
        if isinstance(found, Broken):
            broken.append(found)
        else:
            samples.append(found)
    return tuple(samples), in_file_order(broken), repeated


def _key_of(record: Record) -> Key | None:
    at = time_in(record, "t")
    return None if at is None else (at, 0)


def _sample(record: Record, number: int) -> Sample | Broken:
    at = time_in(record, "t")
    if at is None:
        return Broken(number, "t is no time in unix seconds")
    if not isinstance(record.get("publisher", []), list) or not isinstance(
        record.get("subscriber", []), list
    ):
        return Broken(number, "publisher or subscriber is no list")
    if "publisher" not in record and "subscriber" not in record:
        return Broken(number, "there is neither publisher nor subscriber")
    kinds: list[tuple[str, Record]] = []
    for key in ("publisher", "subscriber"):
        for entry in list_in(record, key):
            stats = object_in({"": entry}, "")
            kinds.append((text_in(stats, "kind") or "", stats))
    return sample_of(kinds, at=at)
