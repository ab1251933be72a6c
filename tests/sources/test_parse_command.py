"""`trunktrace parse`: its contract, as a program beside the bridge would use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.sources.captured import CAPTURES, FILES, NAMES, data

from trunktrace import conventions as c
from trunktrace.errors import ConfigurationError
from trunktrace.sources.table import SOURCES, source_named


def _run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "trunktrace", "parse", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def _file(name: str, source: str = "livekit-sip") -> str:
    return str(CAPTURES / name / FILES[source])


def test_it_prints_the_list_of_the_contract() -> None:
    """Source, leg, ids, facts by attribute key, and windows with their times."""
    done = _run("livekit-sip", _file("03-inbound-loss10"))
    assert (done.returncode, done.stderr) == (0, b"")
    (one,) = json.loads(done.stdout)
    assert set(one) == {"source", "leg", "ids", "facts", "windows"}
    assert (one["source"], one["leg"]) == ("livekit-sip", "trunk")
    assert one["ids"]["livekit_call_id"] == "SCL_Tzh36LY73fz2"
    assert one["facts"][c.RTP_CODEC] == "pcmu"
    window = one["windows"][-3]
    assert set(window) == {"leg", "direction", "start", "end", "source", "facts"}
    assert (window["leg"], window["direction"], window["source"]) == ("trunk", "in", "livekit-sip")
    assert window["end"] - window["start"] == pytest.approx(67.98, abs=0.1)
    assert window["facts"] == {
        "rtp.in.packet_count": 3075,
        "rtp.in.lost_count": 325,
        "rtp.in.loss_ratio": 325 / 3400,
        "rtp.loss_method": "counted",
    }


@pytest.mark.parametrize("source", list(FILES))
def test_every_fact_has_an_attribute_key(source: str) -> None:
    """Facts of observations and windows stand under keys of the vocabulary, and nowhere else."""
    done = _run(source, "-", stdin=b"".join(data(name, source) for name in NAMES))
    assert (done.returncode, done.stderr) == (0, b"")
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert told
    for one in told:
        assert one["facts"].keys() <= c.ATTRIBUTES.keys()
        for window in one["windows"]:
            assert window["facts"]
            assert window["facts"].keys() <= c.ATTRIBUTES.keys()
            assert isinstance(window["start"], float)
    assert b"1555" not in done.stdout


def test_the_names_of_sources_are_listed() -> None:
    """`--list` names each source and the file that it takes."""
    done = _run("--list")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.decode().splitlines()]
    assert names == list(SOURCES)


def test_a_broken_record_is_told_and_the_good_ones_are_printed(tmp_path: Path) -> None:
    """Exit 65, `FILE:LINE: reason` for each broken record, and the call all the same."""
    file = tmp_path / "bridge.log"
    good = data("01-inbound-clean-pcmu", "livekit-sip").splitlines(keepends=True)
    file.write_bytes(b"".join([*good[:3], b"level=info +15551234567\n", *good[3:], b"\xff\n"]))
    done = _run("livekit-sip", str(file))
    assert done.returncode == 65
    assert done.stderr.decode().splitlines() == [
        f"{file}:4: not JSON at character 0",
        f"{file}:{len(good) + 2}: not UTF-8 at byte 0",
    ]
    assert len(json.loads(done.stdout)) == 1


def test_standard_input_is_read_where_the_file_is_a_dash() -> None:
    """A broken record of standard input is named by the dash."""
    done = _run("livekit-sip", "-", stdin=b"{\n")
    assert (done.returncode, json.loads(done.stdout)) == (65, [])
    assert done.stderr.startswith(b"-:1: not JSON")


def test_an_empty_file_is_an_empty_list() -> None:
    """Nothing in, nothing out, exit 0."""
    done = _run("livekit-webhook", "-")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_an_unknown_source_names_the_close_match_and_all() -> None:
    """Exit 64, the name that was meant, and the list."""
    done = _run("livekit-spi", "x")
    assert (done.returncode, done.stdout) == (64, b"")
    assert b"Did you mean livekit-sip?" in done.stderr
    assert all(name.encode() in done.stderr for name in SOURCES)


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    """Exit 66 and the file that the source takes; a folder is no file either."""
    for path in (tmp_path / "none.jsonl", tmp_path):
        done = _run("livekit-sip", str(path))
        assert (done.returncode, done.stdout) == (66, b"")
        assert b"Give the path of the bridge's log" in done.stderr


def test_nothing_given_is_a_usage_error() -> None:
    """Without source or file there is a line that says what to write."""
    done = _run("livekit-sip")
    assert done.returncode == 64
    assert b"trunktrace parse SOURCE FILE" in done.stderr


def test_only_the_bridges_log_is_followed() -> None:
    """`--follow` of another source is refused before anything is read."""
    done = _run("livekit-webhook", "--follow", "-")
    assert done.returncode == 64
    assert b"--follow is for livekit-sip" in done.stderr


def test_following_standard_input_prints_a_line_a_call() -> None:
    """With --follow each call is one line of JSON; a broken line is told when it is read."""
    stream = b"".join(data(name, "livekit-sip") for name in NAMES) + b"broken\n"
    done = _run("livekit-sip", "--follow", "-", stdin=stream)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == 11
    assert all(one["source"] == "livekit-sip" for one in told)
    assert done.returncode == 65
    assert done.stderr.endswith(b": not JSON at character 0\n")


def test_a_source_by_its_name() -> None:
    """An unknown name raises our error, with the close match."""
    assert source_named("livekit-sip").brief
    with pytest.raises(ConfigurationError, match="did you mean livekit-rtc"):
        source_named("livekit-rtp")
