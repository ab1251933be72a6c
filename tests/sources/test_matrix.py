"""The matrix of the docs and what the readers say are one: no fact without its row."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from tests.sources.golden import CASES

from trunktrace.sources.table import SOURCES

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "sources"
INDEX = PAGES / "README.md"
LIVEKIT = frozenset(name for name in SOURCES if name.startswith("livekit-"))
OTHERS = sorted(set(SOURCES) - LIVEKIT)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@cache
def _sections() -> dict[str, str]:
    """The text under each heading that names a source; a heading may name several."""
    found: dict[str, str] = {}
    for page in PAGES.glob("*.md"):
        parts = _HEADING.split(page.read_text("utf-8"))
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            for name in re.findall(r"[a-z0-9-]+", heading):
                if name in SOURCES:
                    found[name] = found.get(name, "") + body
    return found


def _said(source: str) -> set[str]:
    """Keys of facts, ids and windows in the golden files of a source."""
    keys: set[str] = set()
    for case in CASES:
        if case.source != source:
            continue
        for one in json.loads(case.expected.read_text())["observations"]:
            keys |= one["facts"].keys() | one["ids"].keys()
            for window in one["windows"]:
                keys |= window["facts"].keys()
    return keys


def _covers(text: str, key: str) -> bool:
    """Whether the text has the key in backticks, also as `rtp.{in,out}.x` or `{rtp,pstn}.in.x`."""
    for told in re.findall(r"`([^`\n]+)`", text):
        pattern = re.escape(told)
        pattern = re.sub(
            r"\\\{([^}]*)\\\}",
            lambda found: "(?:" + "|".join(re.split(r",\s*", found[1].replace("\\", ""))) + ")",
            pattern,
        )
        if re.fullmatch(pattern, key):
            return True
    return False


@pytest.mark.parametrize("source", OTHERS)
def test_every_key_of_a_source_is_in_its_table(source: str) -> None:
    """What the golden files of a source say stands, key by key, in the section of that source."""
    section = _sections().get(source)
    assert section is not None, f"no heading `## {source}` in docs/reference/sources/"
    missing = {key for key in _said(source) if not _covers(section, key)}
    assert not missing


def test_the_index_names_every_source() -> None:
    """The overview has a row for each source that there is."""
    text = INDEX.read_text("utf-8")
    assert not {name for name in SOURCES if f"`{name}`" not in text}
