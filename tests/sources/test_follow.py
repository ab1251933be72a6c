"""Following the bridge's log: calls as they close, through rotation, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.sources.captured import data

from trunktrace.facts import Observation
from trunktrace.sources.livekit.follow import Lines, follow
from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.jsonlines import MAX_LINE_BYTES

FIRST = data("01-inbound-clean-pcmu", "livekit-sip")
SECOND = data("09-inbound-one-way", "livekit-sip")


def _ids(told: list[Observation | Broken]) -> list[str]:
    return [one.record_id if isinstance(one, Observation) else one.reason for one in told]


def _steps(*steps: Callable[[], object]) -> Callable[[float], bool]:
    """A wait in which things happen, one at a time; it says no when there are none left."""
    left = iter(steps)

    def wait(seconds: float) -> bool:
        assert seconds > 0
        for step in left:
            step()
            return True
        return False

    return wait


def _append(path: Path, content: bytes) -> Callable[[], object]:
    def step() -> None:
        with path.open("ab") as file:
            file.write(content)

    return step


def _nothing() -> None:
    pass


def test_calls_come_while_the_log_grows(tmp_path: Path) -> None:
    """A call that arrives in pieces is told once, when it is over, and the next one too."""
    log = tmp_path / "sip.log"
    log.write_bytes(FIRST[:5000])
    wait = _steps(_append(log, FIRST[5000:]), _append(log, SECOND))
    assert _ids(list(follow(log, wait=wait))) == ["SCL_aMwkECsiCx3N", "SCL_x3x4h8LAxUSC"]


def test_a_call_is_told_when_the_log_falls_silent(tmp_path: Path) -> None:
    """No other line comes: after two seconds of silence the closed call is told."""
    log = tmp_path / "sip.log"
    log.write_bytes(FIRST)
    waits: list[int] = []

    def wait(_: float) -> bool:
        waits.append(0)
        assert len(waits) < 20
        return True

    told = follow(log, wait=wait)
    assert isinstance(next(told), Observation)
    assert len(waits) >= 3


def test_a_rotated_log_is_read_on(tmp_path: Path) -> None:
    """The file is moved away and a new one stands in its place: nothing is lost or told twice."""
    log = tmp_path / "sip.log"
    log.write_bytes(FIRST)

    def rotate() -> None:
        _append(log, b'{"cut off')()
        log.rename(tmp_path / "sip.log.1")

    wait = _steps(rotate, _nothing, lambda: log.write_bytes(SECOND), _nothing)
    told = list(follow(log, wait=wait))
    assert [one for one in _ids(told) if one.startswith("SCL")] == [
        "SCL_aMwkECsiCx3N",
        "SCL_x3x4h8LAxUSC",
    ]
    assert [type(one) for one in told].count(Broken) == 1


def test_an_emptied_log_is_read_from_its_new_beginning(tmp_path: Path) -> None:
    """copytruncate: the same file, shorter than what was read."""
    log = tmp_path / "sip.log"
    log.write_bytes(FIRST)
    wait = _steps(
        lambda: os.truncate(log, 0), _append(log, SECOND[:900]), _append(log, SECOND[900:])
    )
    assert _ids(list(follow(log, wait=wait))) == ["SCL_aMwkECsiCx3N", "SCL_x3x4h8LAxUSC"]


def test_open_calls_come_as_partial_when_the_following_ends(tmp_path: Path) -> None:
    """What still goes on at the end is told as far as it is known."""
    log = tmp_path / "sip.log"
    log.write_bytes(b"".join(FIRST.splitlines(keepends=True)[:10]))
    (one,) = follow(log, wait=_steps())
    assert isinstance(one, Observation)
    assert one.completeness == "partial"


def test_a_log_that_is_not_there_raises(tmp_path: Path) -> None:
    """There is nothing to follow: the error says so at once."""
    with pytest.raises(FileNotFoundError):
        next(follow(tmp_path / "none.log", wait=_steps()))


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    """Of a line that goes on and on no more than what may be is kept."""

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 65536

    cut = Lines()
    for piece in pieces():
        assert list(cut.feed(piece)) == []
    ((number, line),) = list(cut.feed(b"\n"))
    assert (number, len(line)) == (1, MAX_LINE_BYTES + 1)
