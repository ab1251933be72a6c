"""`trunktrace parse livekit-sip FILE --follow`: a log that grows, is cut, and is rotated."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import captured
from .console import NUMBER

SECONDS = 20.0
PROGRAM = """
import signal
from trunktrace.cli import main
# A test run in the background ignores SIGINT, and so would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


class Follower:
    """The command beside a growing file."""

    def __init__(self, source: Path | str, stdin: int | None = None) -> None:
        self.out = Path(f"{source}.out") if isinstance(source, Path) else Path(source)
        argument = str(source) if isinstance(source, Path) else "-"
        self._errors = Path(f"{self.out}.err")
        command = ["-c", PROGRAM, "parse", "livekit-sip", argument, "--follow"]
        with self.out.open("wb") as out, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-u", *command], stdout=out, stderr=errors, stdin=stdin
            )

    def lines(self, count: int) -> list[dict]:
        """Wait until `count` lines were printed."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            text = self.out.read_text()
            found = text[: text.rfind("\n") + 1].splitlines()  # the last may be half written
            if len(found) >= count:
                return [json.loads(line) for line in found]
            assert self.process.poll() is None or len(found) >= count, self.errors()
            time.sleep(0.02)
        raise AssertionError(f"{len(found)} of {count} lines; {self.errors()}")

    def errors(self) -> str:
        return self._errors.read_text()

    def stop(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(SECONDS)


@pytest.fixture
def follow():
    """Followers that do not outlive their test."""
    made: list[Follower] = []

    def start(*arguments, **more):
        made.append(Follower(*arguments, **more))
        return made[-1]

    yield start
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(SECONDS)


def rows(number: str) -> list[str]:
    return [json.dumps(row) + "\n" for row in captured.load(number, "livekit-sip")]


def whole(number: str, tmp_path: Path) -> dict:
    from .console import parse

    return parse("livekit-sip", captured.path(number, "livekit-sip").read_bytes(), tmp_path).json[0]


def test_a_call_is_printed_when_it_is_over_and_not_before(follow, tmp_path):
    """Lines come one by one, one of them in two pieces; the call is what the whole file says."""
    log = tmp_path / "sip.log"
    log.write_text("")
    following = follow(log)
    given = rows("04")
    with log.open("a") as file:
        for row in given[:-4]:
            file.write(row[:40])
            file.flush()
            file.write(row[40:])
            file.flush()
        assert following.out.read_text() == ""
        file.writelines(given[-4:])
    [record] = following.lines(1)
    expected = whole("04", tmp_path)
    assert record["facts"] == expected["facts"]
    assert record["source"] == "livekit-sip"
    assert {k: record[k] for k in ("leg", "ids")} == {k: expected[k] for k in ("leg", "ids")}
    following.stop()
    assert NUMBER.search(following.out.read_text() + following.errors()) is None


def test_a_rotated_and_a_cut_log_go_on(follow, tmp_path):
    """The log is renamed away and begun anew, then cut to nothing: later calls still come."""
    log = tmp_path / "sip.log"
    log.write_text("".join(rows("02")))
    following = follow(log)
    with log.open("a") as file:
        file.writelines(rows("05"))
    following.lines(1)
    log.rename(tmp_path / "sip.log.1")
    log.write_text("".join(rows("04")))
    before = len(following.lines(1))
    following.lines(max(2, before))
    log.write_text("")
    with log.open("a") as file:
        file.writelines(rows("03"))
    end = time.monotonic() + SECONDS
    seen: set[str] = set()
    while "SCL_Tzh36LY73fz2" not in seen and time.monotonic() < end:
        seen = {
            json.loads(t)["facts"]["livekit.sip.call_id"]
            for t in following.out.read_text().splitlines()
        }
        time.sleep(0.02)
    assert {"SCL_Tzh36LY73fz2", "SCL_bA5XcRS9SZJi"} <= seen, seen


def test_a_broken_line_is_said_and_the_follower_goes_on(follow, tmp_path):
    """Junk in between: named on standard error without a number, the next call comes."""
    log = tmp_path / "sip.log"
    log.write_text("")
    following = follow(log)
    with log.open("a") as file:
        file.write('{"fromUser": "+15557778888\n\x00\x01\n[]\n')
        file.writelines(rows("04"))
    following.lines(1)
    assert "sip.log" in following.errors()
    assert NUMBER.search(following.errors()) is None
    assert "Traceback" not in following.errors()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to_without_a_traceback(follow, tmp_path, how):
    """A service manager stops it: quickly, quietly."""
    log = tmp_path / "sip.log"
    log.write_text("".join(rows("04")))
    following = follow(log)
    with log.open("a") as file:
        file.writelines(rows("02"))
    following.lines(1)
    following.stop(how)
    assert "Traceback" not in following.errors()


def test_standard_input_is_followed_until_it_ends(follow, tmp_path):
    """`journalctl | trunktrace parse livekit-sip - --follow`: all calls, then exit 0."""
    following = follow(str(tmp_path / "piped.out"), stdin=subprocess.PIPE)
    assert following.process.stdin is not None
    following.process.stdin.write("".join(rows("04") + rows("07")).encode())
    following.process.stdin.close()
    assert following.process.wait(SECONDS) == 0, following.errors()
    found = [json.loads(line) for line in following.out.read_text().splitlines()]
    ids = {each["facts"]["livekit.sip.call_id"] for each in found}
    assert ids == {"SCL_bA5XcRS9SZJi", "SCL_V9L24nn99iBV", "SCL_pDXALYnDPLo3"}


def test_only_the_bridges_log_is_followed(tmp_path):
    """Another source with --follow is a wrong command line, said so."""
    done = subprocess.run(
        [sys.executable, "-m", "trunktrace", "parse", "livekit-webhook", "-", "--follow"],
        input=b"", capture_output=True, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode not in (0, 1)
    assert b"Traceback" not in done.stderr
