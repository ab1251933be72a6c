"""The captured calls: their files, what was true of them, and copies with changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[2] / "replay" / "captures"
NAMES = tuple(sorted(path.name for path in HOME.iterdir() if path.is_dir()))
FILES = ("livekit-sip", "webhooks", "participant", "rtc_stats", "spans")
SOURCES = {
    "livekit-sip": "livekit-sip",
    "webhooks": "livekit-webhook",
    "participant": "livekit-participant",
    "rtc_stats": "livekit-rtc",
    "spans": "livekit-spans",
}

Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def full(number: str) -> str:
    """The folder's name that begins with this number."""
    found = [name for name in NAMES if name.startswith(number)]
    assert len(found) == 1, found
    return found[0]


def path(name: str, kind: str) -> Path:
    """One file of a captured call; the call may be named by its number."""
    return HOME / full(name) / f"{kind}.jsonl"


@cache
def facts(name: str) -> dict[str, Any]:
    """What was true of the call: never given to the program under test."""
    return dict(json.loads((HOME / full(name) / "facts.json").read_text()))


def load(name: str, kind: str) -> list[dict[str, Any]]:
    """The records of one file."""
    return [json.loads(line) for line in path(name, kind).read_text().splitlines() if line.strip()]


def dump(records: list[dict[str, Any]]) -> str:
    """Records as JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def material(name: str, into: Path, kinds: tuple[str, ...] = FILES, **changes: Change) -> Path:
    """A copy of some of a call's files; `changes` by kind (`-` written `_`) rewrite records."""
    into.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        change = changes.get(kind.replace("-", "_"))
        target = into / f"{kind}.jsonl"
        if change is None:
            shutil.copyfile(path(name, kind), target)
        else:
            target.write_text(dump(change(load(name, kind))))
    return into


def on(message: str, **fields: Any) -> Change:
    """Change fields of the bridge's lines with this message."""

    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**r, **fields} if r.get("msg") == message else r for r in records]

    return change


def port(**counters: Any) -> Change:
    """Change counters of the bridge's port in every statistics line; None takes one out."""

    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for record in records:
            if record.get("msg") != "call statistics":
                continue
            found = record["stats"]["port"]
            for key, value in counters.items():
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = value
        return records

    return change
