"""What the estimate of trunk loss makes of an agent leg that is disturbed itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from trunktrace.quality.estimate import DISTURBED_JITTER_S, estimate_windows, whole_estimate
from trunktrace.quality.rtc import Outbound, Sample
from trunktrace.sources.livekit.rtc import read

from .captured import RECORDED
from .line import BEGIN, Line

QUIET_S = 0.0016
"""The largest that any captured call had."""
STARVED_S = 0.03


def reported(
    line: Line, jitter_s: Callable[[float], float | None], *, age_s: float | None = None
) -> list[Sample]:
    """What the agent saw, with the server's report of the agent's own stream; None: no report.

    `age_s` is how old the report is at each look, None not known.
    """
    found: list[Sample] = []
    for sample in line.samples():
        jitter = jitter_s(sample.t - BEGIN)
        at = None if age_s is None else sample.t - age_s
        sent = Outbound(ssrc=9, packets_sent=1, jitter_s=jitter, reported_at=at)
        found.append(dataclasses.replace(sample, outbound=sent))
    return found


@pytest.mark.parametrize("jitter", [None, 0.0, QUIET_S, DISTURBED_JITTER_S])
def test_loss_is_estimated_while_the_agents_own_stream_is_even(jitter: float | None) -> None:
    """Trunk loss cannot make the agent's own packets uneven, so it is no less believed."""
    line = Line(lost=lambda _: 0.05, seed=3)
    samples = reported(line, lambda _: jitter)
    whole = whole_estimate(samples)
    assert whole is not None
    assert whole.loss_ratio == pytest.approx(line.truth, abs=0.01)
    assert len(estimate_windows(samples)) >= 10


def test_a_starved_worker_gets_no_estimate() -> None:
    """The agent's own packets came unevenly all the time: what is missing may be its own doing."""
    samples = reported(Line(lost=lambda _: 0.05, seed=3), lambda _: STARVED_S)
    assert whole_estimate(samples) is None
    assert estimate_windows(samples) == ()


def test_a_disturbance_costs_the_windows_around_it_and_no_others() -> None:
    """Six bad seconds of a minute: the other windows are told, and the whole call is."""
    line = Line(lost=lambda _: 0.05, seed=3)
    samples = reported(line, lambda second: STARVED_S if 30 <= second < 36 else QUIET_S)
    windows = estimate_windows(samples)
    assert 7 <= len(windows) <= 9
    assert not any(one.start < BEGIN + 36 and one.end > BEGIN + 30 for one in windows)
    whole = whole_estimate(samples)
    assert whole is not None
    assert whole.loss_ratio == pytest.approx(line.truth, abs=0.01)


def test_an_old_report_says_nothing_about_now() -> None:
    """The server reports each second: what it said long ago disturbs no window."""
    line = Line(lost=lambda _: 0.05, seed=3)
    assert whole_estimate(reported(line, lambda _: STARVED_S, age_s=1.3)) is None
    whole = whole_estimate(reported(line, lambda _: STARVED_S, age_s=30.0))
    assert whole is not None
    assert whole.loss_ratio == pytest.approx(line.truth, abs=0.01)


def test_a_real_starved_machine_gets_no_estimate() -> None:
    """Recorded: nothing was lost before the server, and none seems to be, report or no report."""
    samples, broken = read((RECORDED / "starved.jsonl").read_bytes())
    assert not broken
    blind = [dataclasses.replace(sample, outbound=None) for sample in samples]
    for seen in (samples, blind):
        assert whole_estimate(seen) is None
        assert estimate_windows(seen) == ()
