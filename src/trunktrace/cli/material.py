"""What a call left behind: files told apart by what they hold, and the calls in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from trunktrace import conventions as c
from trunktrace.cli.directions import of_one_direction
from trunktrace.cli.grouping import grouped, others_left_out
from trunktrace.diagnosis.assemble import story_of
from trunktrace.diagnosis.course import course_of
from trunktrace.diagnosis.story import Story
from trunktrace.directory import Directory
from trunktrace.facts import Observation
from trunktrace.quality.deltas import agent_windows
from trunktrace.quality.estimate import estimate_windows
from trunktrace.quality.rtc import Sample
from trunktrace.sources import kinds
from trunktrace.sources.livekit import rtc as livekit_rtc
from trunktrace.sources.parsed import Broken
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.table import SOURCES

_RTC: Final = "livekit-rtc"
_KIND_OF_NAME: Final = (
    ("rtc", _RTC),
    ("webhook", "livekit-webhook"),
    ("participant", "livekit-participant"),
    ("span", "livekit-spans"),
    ("trace", "livekit-spans"),
    ("sip", "livekit-sip"),
)

_NO_RECORDS: Final = frozenset(
    {".md", ".rst", ".conf", ".cfg", ".toml", ".yaml", ".yml", ".ini", ".py", ".sh"}
)
"""Names of notes and configurations, which may quote records."""


@dataclass(slots=True)
class Material:
    """Everything that was read: by file what it says, and what could not be read.

    `broken` holds (file, record). `passed_over` are files of which nobody knows what they are.
    `left_out` is how many calls of a bridge's log are of other rooms than the rest of the material.
    """

    observations: list[tuple[Path, Observation]] = field(
        default_factory=list[tuple[Path, Observation]]
    )
    looks: list[tuple[Path, tuple[Sample, ...]]] = field(
        default_factory=list[tuple[Path, tuple[Sample, ...]]]
    )
    broken: list[tuple[Path, Broken]] = field(default_factory=list[tuple[Path, Broken]])
    passed_over: list[Path] = field(default_factory=list[Path])
    read: list[Path] = field(default_factory=list[Path])
    left_out: int = 0


def gather(paths: Iterable[Path], reading: Reading = AS_IT_IS) -> Material:
    """Read files, and the files of folders (`facts.json` and `*.facts.json` are left out).

    `reading` is what the records of PBXs and SBCs do not say themselves. Raises OSError where a
    path cannot be read.
    """
    material = Material()
    for path in paths:
        files = sorted(_files_of(path)) if path.is_dir() else [path]
        for file in files:
            _take(material, file, file.read_bytes(), reading, given=not path.is_dir())
    return material


def _files_of(folder: Path) -> Iterator[Path]:
    for file in folder.iterdir():
        name = file.name.lower()
        if not file.is_file() or name.startswith("."):
            continue
        if name != "facts.json" and not name.endswith(".facts.json"):
            yield file


def _take(material: Material, file: Path, data: bytes, reading: Reading, *, given: bool) -> None:
    told = kinds_of(file.name, data)
    if not told and reading.columns and file.suffix.lower() == ".csv":
        told = ("sbc-csv",)
    if not told:
        if data.strip() or given:
            material.passed_over.append(file)
        return
    material.read.append(file)
    if told == (_RTC,):
        samples, broken = livekit_rtc.read(data)
        material.looks.append((file, samples))
        material.broken += [(file, one) for one in broken]
        return
    for kind in told:
        parsed = SOURCES[kind].parse(data, reading)
        material.observations += [(file, one) for one in parsed.observations]
        material.broken += [(file, one) for one in parsed.broken]


def kinds_of(name: str, data: bytes) -> tuple[str, ...]:
    """The sources that a file is of: by its content, else by its name; empty if nobody knows."""
    lowered = name.lower()
    if lowered.startswith("readme") or Path(lowered).suffix in _NO_RECORDS:
        return ()
    told = kinds.kinds_of(data)
    if told or not lowered.endswith((".jsonl", ".json", ".log", ".ndjson")):
        return told
    return next(((kind,) for part, kind in _KIND_OF_NAME if part in lowered), ())


def stories_of(material: Material, directory: Directory) -> list[Story]:
    """The story of each call in the material, in the order in which they began."""
    calls = grouped(material.observations, material.looks)
    kept = others_left_out(calls)
    material.left_out = len(calls) - len(kept)
    return [_story(call.told, call.samples, directory) for call in kept]


def _story(told: Sequence[Observation], samples: Sequence[Sample], directory: Directory) -> Story:
    named = _named(of_one_direction(told), directory)
    if not samples:
        return story_of(named)
    story = story_of(named)
    course = course_of(story)
    since = min((m.start for m in story.marks if m.kind == "caller_track"), default=None)
    subscribed = None if since is None else (since, course.ended_at)
    windows = (
        *agent_windows(samples, subscribed=subscribed),
        *estimate_windows(
            samples,
            answered=course.answered_at,
            ended=course.ended_at,
            holds=[(start, end) for start, end in course.holds],
        ),
    )
    if not windows:
        return story
    seen = Observation(source=_RTC, leg="agent", windows=windows)
    return story_of([*named, seen])


def _named(told: Sequence[Observation], directory: Directory) -> list[Observation]:
    """The observations with what the directory says of carrier, route and region."""
    legs: dict[str | None, dict[str, str]] = {}
    trunks: dict[str | None, str] = {}
    for one in told:
        leg = one.ids.get("livekit_call_id")
        legs.setdefault(leg, {}).update(one.claims)
        trunk = one.facts.get(c.TRUNK_ID)
        if isinstance(trunk, str):
            trunks[leg] = trunk
    names = {leg: _names(directory, trunks.get(leg), legs[leg]) for leg in legs}
    return [_with_names(one, names) for one in told]


def _names(directory: Directory, trunk: str | None, claims: dict[str, str]) -> dict[str, str]:
    identity = directory.identify(
        trunk_id=trunk, host=claims.get("sip.hostname"), attributes=claims
    )
    return {name: claim.value for name, claim in identity.claims().items()}


_KEYS: Final = {"carrier": c.TRUNK_CARRIER, "route": c.TRUNK_ROUTE, "region": c.TRUNK_REGION}


def _with_names(one: Observation, names: dict[str | None, dict[str, str]]) -> Observation:
    own = names.get(one.ids.get("livekit_call_id"), {})
    facts = {_KEYS[name]: value for name, value in own.items()}
    attempts = tuple(
        replace(
            attempt,
            carrier=attempt.carrier or names.get(attempt.livekit_call_id, {}).get("carrier"),
            route=attempt.route or names.get(attempt.livekit_call_id, {}).get("route"),
        )
        for attempt in one.attempts
    )
    return replace(one, facts={**facts, **one.facts}, attempts=attempts)
