"""What the estimate of trunk loss makes of packets that are late when nothing can follow them."""

from __future__ import annotations

import dataclasses

import pytest

from trunktrace.quality.estimate import estimate_windows, whole_estimate
from trunktrace.quality.rtc import Sample
from trunktrace.sources.livekit.rtc import read

from .captured import RECORDED
from .line import BEGIN, Line

LATE_S = 0.15
"""Less than a pause: seven packets."""


def worst(samples: list[Sample] | tuple[Sample, ...]) -> float:
    """The largest loss that any window or the whole says; 0 where they say none."""
    whole = whole_estimate(samples)
    told = [*estimate_windows(samples), *([] if whole is None else [whole])]
    return max((window.loss_ratio or 0.0 for window in told), default=0.0)


def late(start: float, end: float) -> Line:
    """A clean line of 40 s whose packets are late from `start` to `end`."""
    return Line(seconds=40, delay=lambda at: LATE_S if start <= at < end else 0.0)


def test_packets_that_are_late_at_the_hang_up_are_not_lost() -> None:
    """Recorded: a starved caller hung up with 8 packets under way, and no look could see them.

    Nothing was lost anywhere in that call, and its loss seemed to be 1.1 %, in the last 5 s 5.2 %.
    """
    samples, broken = read((RECORDED / "hung-up-late.jsonl").read_bytes())
    assert not broken
    assert whole_estimate(samples) is not None
    assert worst(samples) == 0.0


def test_no_hang_up_makes_loss_of_a_late_packet() -> None:
    """The recorded call, and one that hangs up after each of its looks: none seems to lose any."""
    samples, _ = read((RECORDED / "hung-up-late.jsonl").read_bytes())
    assert [worst(samples[:end]) for end in range(len(samples) + 1)] == [0.0] * (len(samples) + 1)


@pytest.mark.parametrize("second", range(10, 20))
def test_a_late_second_before_the_last_look_is_not_loss(second: int) -> None:
    """Whatever the last look sees of packets that are late: what has not come may still come."""
    samples = late(second + 0.5, second + 1.6).samples()
    assert [one.t - BEGIN > second for one in samples[second : second + 2]] == [True, True]
    for end in range(second, second + 4):
        assert worst(samples[:end]) == 0.0


@pytest.mark.parametrize("second", range(10, 20))
def test_a_late_second_before_a_pause_is_not_loss(second: int) -> None:
    """What came late in the step before a pause, which is left out, was not lost before it."""
    line = late(second + 0.5, second + 1.6)
    line.silent = ((second + 2.4, second + 6.0),)
    assert worst(line.samples()) == 0.0


def test_a_late_second_before_another_stream_is_not_loss() -> None:
    """The last step of a stream that another one replaces has nothing after it either."""
    samples = late(20.5, 22.0).samples()[:22]
    there = samples[-1].inbound
    assert there is not None
    moved = dataclasses.replace(there, ssrc=2, packets_received=1)
    after = [dataclasses.replace(samples[-1], t=samples[-1].t + 1.0, inbound=moved)]
    assert worst([*samples, *after]) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_loss_in_the_last_seconds_is_still_loss(seed: int) -> None:
    """10 % from second 25 to the end at 40: the whole knows it, less only the last second's."""
    line = Line(seconds=40, lost=lambda at: 0.1 if at >= 25 else 0.0, seed=seed)
    whole = whole_estimate(line.samples())
    assert whole is not None
    assert whole.loss_ratio == pytest.approx(line.truth, abs=0.01)
    assert worst(line.samples()) > 0.05
