"""`python -m trunktrace ...` as a user runs it: in this process (quick) or in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

NUMBER = re.compile(r"\+?1555\d{7}")
"""Every number of the captures and of the rig: none of them may be printed."""

REASON = re.compile(r"^(?P<file>.+):(?P<line>\d+): (?P<reason>\S.*)$")


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON: no NaN, no Infinity."""
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def reasons(self) -> list[re.Match[str]]:
        """Lines of standard error that name a place."""
        return [found for line in self.err.splitlines() if (found := REASON.match(line))]


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def _text(raw: io.BytesIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(raw, encoding="utf-8", newline="", write_through=True)


def run(*arguments: str | Path, stdin: bytes = b"") -> Ran:
    """Run the command line in this process, as `python -m trunktrace ARGUMENTS` would."""
    out, err = _text(io.BytesIO()), _text(io.BytesIO())
    argv = ["trunktrace", *map(str, arguments)]
    code: object = 0
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "stdin", _text(io.BytesIO(stdin))),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_module("trunktrace", run_name="__main__", alter_sys=False)
        except SystemExit as left:
            code = left.code or 0
    number = code if isinstance(code, int) else 1
    return Ran(number, _said(out), _said(err))


def _said(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


def run_apart(*arguments: str | Path, stdin: bytes = b"") -> Ran:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "trunktrace", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def parse(source: str, data: bytes | str, folder: Path, name: str = "material.jsonl") -> Ran:
    """`trunktrace parse SOURCE` of these bytes; nothing printed holds a number."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    file = folder / name
    file.write_bytes(raw)
    ran = run("parse", source, file)
    assert_no_number(ran)
    return ran


def diagnose(*paths: str | Path) -> dict[str, Any]:
    """`trunktrace diagnose PATHS --json`: the answer, of the shape that the contract names."""
    ran = run("diagnose", *paths, "--json")
    assert_no_number(ran)
    assert ran.code == 0, (ran.code, ran.out[-500:], ran.err[-2000:])
    answer = ran.json
    assert_shape(answer)
    return dict(answer)


def assert_no_number(ran: Ran, *more: str) -> None:
    """No planted number stands in what was printed."""
    for text in (ran.out, ran.err):
        found = NUMBER.search(text)
        assert found is None, (
            f"a number was printed: ...{text[max(0, found.start() - 80) : found.end()]}"
        )
        for other in more:
            assert other not in text, f"printed in clear: {other!r}"


FINDING_KEYS = {"mode", "evidence", "leg", "direction", "start", "end"}


def assert_shape(answer: Any) -> None:
    """The JSON of `diagnose` has the contract's keys with the contract's types."""
    assert isinstance(answer, dict)
    assert {"findings", "fault", "outcome", "facts"} <= set(answer), sorted(answer)
    assert isinstance(answer["findings"], list)
    for finding in answer["findings"]:
        assert set(finding) >= FINDING_KEYS, sorted(finding)
        assert finding["leg"] in (None, "agent", "trunk", "pstn"), finding
        assert finding["direction"] in (None, "in", "out"), finding
        assert finding["evidence"], "a finding without evidence"
        assert finding["evidence"] == sorted(set(finding["evidence"])), finding["evidence"]
        for rule in finding["evidence"]:
            assert re.fullmatch(r"[A-Z]{2,4}-\d+", rule), rule
        for edge in ("start", "end"):
            assert finding[edge] is None or 1e9 < finding[edge] < 1e10, finding
        if finding["start"] is not None and finding["end"] is not None:
            assert finding["start"] <= finding["end"], finding
    assert isinstance(answer["facts"], dict)


def modes(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    """(mode, direction) of each finding, sorted."""
    return sorted(((f["mode"], f["direction"]) for f in answer["findings"]), key=str)


def names(answer: dict[str, Any]) -> set[str]:
    """The modes that were found."""
    return {finding["mode"] for finding in answer["findings"]}


@contextlib.contextmanager
def quiet(*loggers: str) -> Any:
    """Within the block these loggers say errors only."""
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in loggers]
    for logger, _ in before:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def lines(*objects: Any) -> str:
    """Objects as JSON lines."""
    return "".join(json.dumps(each) + "\n" for each in objects)


def planted(texts: Iterable[str]) -> set[str]:
    """The digits of every number in these texts."""
    return {found.lstrip("+") for text in texts for found in NUMBER.findall(text)}
