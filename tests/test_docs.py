"""The documentation: its Python runs, its links lead somewhere, its reference is up to date."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from trunktrace import conventions

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


@dataclass(frozen=True)
class Block:
    """One fenced block of code: its language, the words after it, and where it starts."""

    language: str
    words: tuple[str, ...]
    line: int
    code: str


def _blocks(page: Path) -> Iterator[Block]:
    fence = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    text = page.read_text("utf-8")
    for found in fence.finditer(text):
        line = text.count("\n", 0, found.start()) + 2
        yield Block(found[1], tuple(found[2].split()), line, found[3])


def _python(page: Path) -> list[Block]:
    return [block for block in _blocks(page) if block.language == "python"]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=_name)
pages_with_python = pytest.mark.parametrize(
    "page", [page for page in PAGES if _python(page)], ids=_name
)


@pages_with_python
def test_python_of_a_page_compiles(page: Path) -> None:
    """Every Python block is valid, also those that only run where a server is."""
    for block in _python(page):
        assert set(block.words) <= {"no-run"}, f"{_name(page)}:{block.line}: {block.words}"
        ast.parse(block.code, filename=f"{_name(page)}:{block.line}")


@pages_with_python
def test_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run in order, as one program, in a process of their own."""
    blocks = [block for block in _python(page) if "no-run" not in block.words]
    program = tmp_path / "page.py"
    program.write_text("\n".join(f"# line {block.line}\n{block.code}" for block in blocks))
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=_environment(),
    )
    assert done.returncode == 0, f"{_name(page)}:\n{done.stderr}"


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "TRUNKTRACE_", "LIVEKIT_"))
    }


@every_page
def test_toml_of_a_page_is_valid(page: Path) -> None:
    """Every TOML block can be read; trunktrace itself reads each that is a directory."""
    for block in _blocks(page):
        if block.language == "toml":
            tomllib.loads(block.code)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file of the repository, and a heading of it if it names one."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (heading and heading not in _headings(file)):
            broken.append(target)
    assert not broken


def _without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def _headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_reference_is_up_to_date() -> None:
    """The attribute reference is what the generator makes of the vocabulary now."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "gen_reference.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    [
        value
        for constant, value in vars(conventions).items()
        if constant.startswith(("EVENT_", "SPAN_"))
    ],
)
def test_each_span_and_event_is_explained(name: str) -> None:
    """The page on spans and events has every name of the vocabulary."""
    assert f"| `{name}` |" in (ROOT / "docs/reference/spans-and-events.md").read_text("utf-8")


def test_attributes_of_the_pages_exist() -> None:
    """A page names no attribute key of ours that the vocabulary does not have."""
    known = conventions.ATTRIBUTES.keys() | {
        value for value in vars(conventions).values() if isinstance(value, str)
    }
    wrong = {
        f"{_name(page)}: {key}"
        for page in PAGES
        for key in re.findall(r"`((?:trunk|rtp|webrtc|pstn)\.[a-z0-9_.]+)`", page.read_text())
        if key not in known
    }
    assert not wrong


def test_log_lines_of_the_troubleshooting_page_exist() -> None:
    """Each log line that the page quotes stands in the code; `...` stands for a value."""
    written = {
        node.value
        for module in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    page = (ROOT / "docs/how-to/troubleshooting.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \|", page.partition("## What the log says")[2], re.MULTILINE)
    quoted = [line for row in rows for line in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) > 10
    unknown = [
        line
        for line in quoted
        if not any(all(part in text for part in line.split(" ... ")) for text in written)
    ]
    assert not unknown
