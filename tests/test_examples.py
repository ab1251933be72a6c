"""The examples are what they say: short, valid, and those that need no server run."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from trunktrace import Directory

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = sorted(EXAMPLES.rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


@pytest.mark.parametrize("program", PROGRAMS, ids=_name)
def test_example_compiles(program: Path) -> None:
    """Every example is valid Python."""
    compile(program.read_text("utf-8"), str(program), "exec")


def test_one_line_is_one_line() -> None:
    """The agent that one would deploy is under 60 lines and names trunktrace twice."""
    text = (EXAMPLES / "01_one_line" / "agent.py").read_text("utf-8")
    uses = [line for line in text.splitlines() if "trunktrace" in line]
    assert len(text.splitlines()) < 60
    assert uses == ["import trunktrace", "@trunktrace.traced_call"]


@pytest.mark.parametrize(
    "name", ["01_one_line", "03_outbound_failover", "04_what_the_caller_heard"]
)
def test_an_agent_has_what_it_imports(name: str) -> None:
    """Each plugin that the agent imports is in its requirements."""
    folder = EXAMPLES / name
    tree = ast.parse((folder / "agent.py").read_text("utf-8"))
    plugins = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "livekit.plugins"
        for alias in node.names
    }
    required = (folder / "requirements.txt").read_text("utf-8")
    assert plugins
    assert all(f"livekit-plugins-{plugin}" in required for plugin in plugins)


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("carriers.toml")), ids=_name)
def test_directory_of_an_example_is_right(file: Path) -> None:
    """trunktrace reads each carriers.toml of the examples without a complaint."""
    Directory.load(file)


def test_plain_opentelemetry_prints_the_facts_on_every_span() -> None:
    """The program runs; both children and the root carry the facts, and no number is in clear."""
    program = EXAMPLES / "02_plain_opentelemetry" / "main.py"
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    spans = list(_objects(done.stdout))
    assert [span["name"] for span in spans] == ["recognise", "answer", "sip.call"]
    for span in spans:
        attributes = span["attributes"]
        assert attributes["trunk.carrier"] == "telnyx"
        assert attributes["trunk.route"] == "us-east"
        assert attributes["rtp.codec"] == "pcmu"
        assert attributes["sip.response.status_code"] == 200
    assert "5550100001" not in done.stdout


def test_outbound_failover_goes_on_only_where_it_should() -> None:
    """The program runs; a 503 goes on, a busy callee and a phone that has rung do not."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "03_outbound_failover" / "main.py")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = [line.strip() for line in done.stdout.splitlines()]
    assert said.count("answered, attempt 2") == 1
    assert "trunk.failover.path = telnyx:503>twilio:200" in said
    assert "trunk.failover.path = telnyx:500>twilio:503>backup:404" in said
    assert sum(line.startswith("not reached: telnyx:486: 486: Busy Here") for line in said) == 1
    assert sum(line.startswith("not reached: telnyx:503: 503 after progress") for line in said) == 1
    assert sum(line.startswith("sip.invite") and "after span" in line for line in said) == 3
    assert "5550100001" not in done.stdout + done.stderr


def test_what_the_caller_heard_prints_finding_verdict_and_score() -> None:
    """The program runs; the bad stretch is one finding, blamed on the path, with a MOS of ours."""
    program = EXAMPLES / "04_what_the_caller_heard" / "main.py"
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("event trunktrace.failure:") for line in lines) == 1
    said = dict(line.split(" = ", 1) for line in lines if " = " in line)
    assert said["trunktrace.failure.mode"] == "media_degradation"
    assert said["trunk.fault"] == "network"
    assert said["rtp.in.mos_algorithm"] == "g107-2015"
    assert float(said["rtp.in.loss_ratio"]) == pytest.approx(97 / 3000)


def _objects(text: str):
    """The JSON objects that stand one after the other in `text`."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        found, at = decoder.raw_decode(text, at)
        yield found
        while at < len(text) and text[at].isspace():
            at += 1


def test_what_the_trunk_said_prints_each_leg() -> None:
    """The program runs; the loss stands on the agent's side of the proxy, once, and counted."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "05_what_the_trunk_said" / "main.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "kamailio-acc trunk trunk.carrier=acme, sip.response.status_code=200" in done.stdout
    assert done.stdout.count("out  5.45% lost (counted)") == 1
    assert "5555501" not in done.stdout
