"""Trunk loss estimated by the agent: near the truth where there is loss, silent where unsure."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunktrace.media import MediaBook
from trunktrace.quality.estimate import TrunkLossEstimator, estimate_windows, whole_estimate
from trunktrace.quality.rtc import Sample
from trunktrace.windows import MediaWindow

from .captured import CLEAN, LOSSY, NEVER_ANSWERED, ONE_WAY, recorded, samples_of, truth_of
from .line import BEGIN, Line

WITHOUT_LAST = frozenset({"last_packet_at"})
WITHOUT_BUFFER = frozenset(
    {
        "total_samples",
        "inserted_samples",
        "concealed_samples",
        "silent_concealed_samples",
        "concealment_events",
    }
)
NOTICED = 0.05
"""No single window of a clean line may show as much."""


def whole(samples: list[Sample] | tuple[Sample, ...], **facts: object) -> float | None:
    found = whole_estimate(samples, **facts)
    return None if found is None else found.loss_ratio


def worst(windows: tuple[MediaWindow, ...]) -> float:
    return max((window.loss_ratio or 0.0 for window in windows), default=0.0)


# Real calls -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSY)
def test_a_real_lossy_call_is_estimated_within_a_point(name):
    """Captured calls: the whole-call estimate is within 1 point of the packets removed."""
    estimate = whole(samples_of(name))
    assert estimate == pytest.approx(truth_of(name), abs=0.01)
    windows = estimate_windows(samples_of(name))
    assert all(abs((w.loss_ratio or 0) - truth_of(name)) < 0.06 for w in windows)


@pytest.mark.parametrize("name", CLEAN)
def test_a_real_clean_call_is_estimated_as_clean(name):
    """Captured calls without loss: at most 0.5 % on the whole and in every window."""
    windows = estimate_windows(samples_of(name))
    assert windows
    assert worst(windows) <= 0.005
    estimate = whole(samples_of(name))
    assert estimate is not None
    assert estimate <= 0.005


@pytest.mark.parametrize("name", [ONE_WAY, *NEVER_ANSWERED])
def test_a_call_without_media_has_no_estimate(name):
    """Total loss is one-way audio's business; an unanswered call has nothing to lose."""
    assert estimate_windows(samples_of(name)) == ()
    assert whole(samples_of(name)) is None


RANDOM = ("random-3", "random-5", "random-10", "random-20", "random-30")
PAUSES = ("pauses-550ms", "pauses-700ms", "pauses-900ms", "pauses-2s", "hold-10s")


@pytest.mark.parametrize("name", [*RANDOM, "burst-50-for-3s", "clean-0", "clean-1"])
def test_loss_through_a_real_jitter_buffer_is_estimated_within_a_point(name):
    """Packets withheld as the bridge does, statistics of a real server, looks a second apart."""
    samples, truth = recorded(name)
    assert whole(samples) == pytest.approx(truth, abs=0.01 if truth else 0.005)
    if not truth:
        assert worst(estimate_windows(samples)) <= 0.005


@pytest.mark.parametrize("name", RANDOM[:3])
@pytest.mark.parametrize("every", [2, 4])
def test_looks_seconds_apart_are_enough_for_random_loss(name, every):
    """2 or 4 s between looks, as in files: within a point up to 10 %."""
    samples, truth = recorded(name)
    assert whole(samples[::every]) == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("name", PAUSES)
@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_real_pauses_are_never_loss(name, every, first):
    """Nothing sent for 0.55 to 10 s, whatever the looks see of it: clean or no estimate."""
    samples = recorded(name)[0][first::every]
    assert worst(estimate_windows(samples)) <= 0.005
    assert (whole(samples) or 0.0) <= 0.005


@pytest.mark.parametrize("name", PAUSES)
def test_real_pauses_are_never_loss_while_the_call_goes_on(name):
    """What is told live is told for good: no window of a paused call is degraded."""
    estimator = TrunkLossEstimator()
    told = tuple(window for sample in recorded(name)[0] for window in estimator.add(sample))
    assert worst(told) < NOTICED


def test_an_estimate_says_what_it_is():
    """Trunk leg, towards the agent, estimated, by the agent, about 5 s long, and no counts."""
    windows = estimate_windows(Line(seconds=30, lost=lambda _: 0.05).samples())
    for w in windows:
        assert (w.leg, w.direction, w.source) == ("trunk", "in", "agent")
        assert w.loss_method == "estimated"
        assert (w.packet_count, w.lost_count) == (None, None)
        assert 2 <= w.duration_s <= 6
    assert all(one.end <= after.start for one, after in itertools.pairwise(windows))


# The measured table, simulated ------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.005, 0.01, 0.03, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_random_loss_is_estimated_within_a_point(loss, seed):
    """0.5 to 20 % random loss in a minute: within 1 point on the whole."""
    line = Line(lost=lambda _: loss, seed=seed)
    assert whole(line.samples()) == pytest.approx(line.truth, abs=0.01)


@pytest.mark.parametrize("without", [frozenset[str](), WITHOUT_LAST, WITHOUT_BUFFER])
@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_needs_not_every_field(without, seed):
    """A LiveKit that tells nothing of the jitter buffer, or of the last packet: a point."""
    line = Line(lost=lambda _: 0.05, seed=seed, without=without)
    assert whole(line.samples()) == pytest.approx(line.truth, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_is_seen_on_the_whole_call(seed):
    """Half of the packets lost for 3 s of 20: in the windows of those seconds and no others."""
    line = Line(seconds=20, lost=lambda at: 0.5 if 8 <= at < 11 else 0.0, seed=seed)
    samples = line.samples()
    assert whole(samples) == pytest.approx(line.truth, abs=0.035)
    for window in estimate_windows(samples):
        if window.end < BEGIN + 8 or window.start > BEGIN + 11:
            assert window.loss_ratio == 0.0
    assert worst(estimate_windows(samples)) > 0.1


def test_a_bad_half_minute_marks_its_windows_and_no_others():
    """Loss that begins and ends: windows outside of it are 0."""
    line = Line(seconds=90, lost=lambda at: 0.1 if 30 <= at < 60 else 0.0)
    for window in estimate_windows(line.samples()):
        inside = window.start > BEGIN + 30 and window.end < BEGIN + 60
        outside = window.end < BEGIN + 30 or window.start > BEGIN + 60
        if inside:
            assert 0.02 < (window.loss_ratio or 0) < 0.2
        elif outside:
            assert window.loss_ratio == 0.0


def test_loss_on_the_agent_leg_is_not_the_trunks():
    """What was lost between LiveKit and the agent is subtracted."""
    clean = Line(agent_loss=0.05)
    assert whole(clean.samples()) == 0.0
    both = Line(agent_loss=0.05, lost=lambda _: 0.05)
    assert whole(both.samples()) == pytest.approx(both.truth, abs=0.01)


# Clean lines ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    seconds=st.floats(8, 90),
    poll_jitter_s=st.floats(0, 0.3),
    jitter_s=st.floats(0.0005, 0.03),
    every_s=st.sampled_from([1.0, 1.0, 2.0, 4.0]),
    first_poll_s=st.floats(0.05, 4),
    agent_loss=st.sampled_from([0.0, 0.0, 0.01, 0.05]),
    without=st.sampled_from([frozenset[str](), WITHOUT_LAST]),
)
def test_a_clean_line_is_never_blamed(**how):
    """Late looks, network jitter, loss of the agent leg: at most 0.5 %, and no window degraded."""
    samples = Line(**how).samples()
    assert (whole(samples) or 0.0) <= 0.005
    assert worst(estimate_windows(samples)) < NOTICED


@pytest.mark.parametrize("length", [0.15, 0.5, 1.0, 2.5])
def test_a_starved_bridge_that_catches_up_loses_nothing(length):
    """Packets held back and then sent at once are late, not lost."""

    def delay(at: float) -> float:
        return max(0.0, 30 + length - at) if 30 <= at < 30 + length else 0.0

    samples = Line(delay=delay).samples()
    assert whole(samples) == 0.0
    assert worst(estimate_windows(samples)) == 0.0


def test_a_delay_that_grows_and_falls_is_not_loss_on_the_whole():
    """Half a second of queue, filled over 10 s and emptied again: nothing is left on the whole."""

    def delay(at: float) -> float:
        return min(0.4, max(0.0, (at - 20) * 0.04)) if at < 30 else max(0.0, 0.4 - (at - 30) * 0.4)

    samples = Line(delay=delay).samples()
    assert (whole(samples) or 0.0) <= 0.005
    assert worst(estimate_windows(samples)) < NOTICED


def test_a_senders_clock_that_is_off_is_nothing():
    """0.1 % slow is far worse than any real one, and stays within the noise."""
    samples = Line(drift=0.001, seconds=120).samples()
    assert (whole(samples) or 0.0) <= 0.005


def test_counters_that_start_anew_are_survived():
    """A new SSRC in mid-call: clean stays clean, and lossy lossy."""
    assert whole(Line(reset_at=30).samples()) == 0.0
    line = Line(reset_at=30, lost=lambda _: 0.05)
    assert whole(line.samples()) == pytest.approx(line.truth, abs=0.01)


# False friends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("every_s", [1.0, 2.0, 4.0])
def test_hold_is_not_loss(every_s):
    """No packets for 20 s, nobody says that it is hold: no window there, clean before and after."""
    samples = Line(silent=((20, 40),), every_s=every_s).samples()
    windows = estimate_windows(samples)
    assert worst(windows) == 0.0
    assert all(w.end <= BEGIN + 20.1 or w.start >= BEGIN + 39.9 for w in windows)
    assert whole(samples) == 0.0


def test_loss_around_a_hold_is_still_estimated():
    """The held time counts neither way."""
    line = Line(seconds=90, silent=((20, 40),), lost=lambda _: 0.05)
    assert whole(line.samples()) == pytest.approx(line.truth, abs=0.01)


def test_time_that_is_known_as_hold_is_left_out():
    """Music on hold may come at any rate: windows touch no told hold."""
    samples = Line(lost=lambda at: 0.3 if 20 <= at < 40 else 0.0).samples()
    holds = [(BEGIN + 20, BEGIN + 40)]
    windows = estimate_windows(samples, holds=holds)
    assert worst(windows) == 0.0
    assert all(w.end <= BEGIN + 20 or w.start >= BEGIN + 40 for w in windows)
    assert whole(samples, holds=holds) == 0.0


@pytest.mark.parametrize("length", [0.6, 0.8, 1.2, 2.0, 3.0])
@pytest.mark.parametrize("every_s", [1.0, 4.0])
def test_silence_suppression_is_not_loss(length, every_s):
    """Pauses without RTP throughout the call: no window is degraded, whole call none or clean."""
    pauses = tuple((start, start + length) for start in range(5, 58, 7))
    samples = Line(silent=pauses, every_s=every_s).samples()
    assert worst(estimate_windows(samples)) < NOTICED
    assert (whole(samples) or 0.0) <= 0.005


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    pauses=st.lists(st.tuples(st.floats(3, 55), st.floats(0.6, 6)), max_size=6),
    every_s=st.sampled_from([1.0, 2.0, 4.0]),
    poll_jitter_s=st.floats(0, 0.3),
)
def test_pauses_anywhere_never_look_like_loss(seed, pauses, every_s, poll_jitter_s):
    """Any pauses of 0.6 s and more on a clean line: no window is degraded."""
    silent = tuple((start, start + length) for start, length in sorted(pauses))
    line = Line(seed=seed, silent=silent, every_s=every_s, poll_jitter_s=poll_jitter_s)
    samples = line.samples()
    assert worst(estimate_windows(samples)) < NOTICED
    assert (whole(samples) or 0.0) <= 0.005


@pytest.mark.parametrize("packet_s", [0.01, 0.03, 0.04, 0.06])
@pytest.mark.parametrize("without", [frozenset[str](), WITHOUT_BUFFER])
def test_a_bridge_with_another_packet_time_gets_no_estimate(packet_s, without):
    """100, 33, 25 and 17 packets a second are rates, not loss."""
    samples = Line(packet_s=packet_s, fills=False, without=without).samples()
    assert estimate_windows(samples) == ()
    assert whole(samples) is None


def test_a_bridge_that_sends_less_in_silence_gets_no_estimate():
    """DTX: one packet in 400 ms while nobody speaks, and nothing to conceal."""

    def sent_less(at: float) -> float:
        return 0.95 if at % 4 > 2 else 0.0

    samples = Line(lost=sent_less, fills=False).samples()
    assert worst(estimate_windows(samples)) == 0.0
    assert (whole(samples) or 0.0) == 0.0


def test_a_deficit_that_the_jitter_buffer_never_saw_is_no_loss():
    """45 packets a second with nothing to fill: the bridge sends so; no estimate."""
    samples = Line(lost=lambda _: 0.1, fills=False).samples()
    assert worst(estimate_windows(samples)) < NOTICED
    assert whole(samples) is None


@pytest.mark.parametrize("without", [frozenset[str](), WITHOUT_LAST])
def test_the_first_two_seconds_and_the_hang_up_are_left_out(without):
    """Holes while media begins, and the part of a second after the last packet, are no loss."""
    ragged = Line(
        seconds=30, lost=lambda at: 0.5 if at < 2 else 0.0, silent=((29.55, 30),), without=without
    )
    samples = ragged.samples()
    assert whole(samples) == 0.0
    assert min(w.start for w in estimate_windows(samples)) >= BEGIN + 2


def test_nothing_before_the_answer_counts():
    """Ringing media may have holes: the estimate begins 2 s after the answer."""
    samples = Line(lost=lambda at: 0.3 if at < 20 else 0.0).samples()
    assert whole(samples, answered=BEGIN + 20) == 0.0
    windows = estimate_windows(samples, answered=BEGIN + 20, ended=BEGIN + 50)
    assert min(w.start for w in windows) >= BEGIN + 22
    assert max(w.end for w in windows) <= BEGIN + 50


def test_a_few_seconds_are_too_few():
    """Less than 5 s of use: no estimate of the whole."""
    assert whole(Line(seconds=7, lost=lambda _: 0.1).samples()) is None


def test_a_clock_that_was_set_costs_only_the_step():
    """The statistics' clock jumps by 3 s, the audio does not: no loss is made of it."""
    samples = Line().samples()
    moved = [
        s
        if s.t < BEGIN + 30 or s.inbound is None
        else dataclasses.replace(
            s,
            t=s.t + 3,
            inbound=dataclasses.replace(
                s.inbound, last_packet_at=(s.inbound.last_packet_at or 0) + 3
            ),
        )
        for s in samples
    ]
    assert whole(moved) == 0.0
    assert worst(estimate_windows(moved)) == 0.0


# Live, and on the root --------------------------------------------------------------------------


def test_live_windows_come_within_three_looks_of_their_end():
    """A turn's loss must be known soon: no window waits longer than 3 s."""
    estimator = TrunkLossEstimator()
    late: list[float] = []
    for sample in Line(lost=lambda _: 0.05).samples():
        late.extend(sample.t - window.end for window in estimator.add(sample))
    assert len(late) >= 9
    assert max(late) < 3.1


def test_live_and_afterwards_are_the_same():
    """Facts known from the start give the same windows one by one as all at once."""
    samples = Line(lost=lambda _: 0.05).samples()
    estimator = TrunkLossEstimator()
    estimator.answered(BEGIN + 5)
    estimator.hold(BEGIN + 20)
    estimator.hold(BEGIN + 20, BEGIN + 30)
    live = [window for sample in samples for window in estimator.add(sample)]
    live.extend(estimator.flush())
    holds = [(BEGIN + 20, BEGIN + 30)]
    assert tuple(live) == estimate_windows(samples, answered=BEGIN + 5, holds=holds)
    assert estimator.whole() == whole_estimate(samples, answered=BEGIN + 5, holds=holds)


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("seconds", [14, 60])
def test_the_root_says_what_the_whole_estimate_says(loss, seconds):
    """The mean of the windows on the root is the estimate of the whole, within rounding."""
    samples = Line(lost=lambda _: loss, seconds=seconds).samples()
    book = MediaBook()
    for window in estimate_windows(samples):
        book.add(window)
    estimate = whole(samples)
    assert book.root_values("trunk", "in")["rtp.in.loss_ratio"] == pytest.approx(
        estimate, abs=0.0015
    )


def test_the_loss_of_counted_windows_is_by_packets():
    """Windows that say of how many packets they speak: all lost over all lost and received."""
    book = MediaBook()
    windows = [
        MediaWindow(
            leg="trunk",
            direction="in",
            start=BEGIN + start,
            end=BEGIN + start + 5,
            packet_count=received,
            lost_count=lost,
            loss_ratio=lost / (lost + received),
        )
        for start, received, lost in ((0, 10, 10), (5, 490, 10))
    ]
    for window in windows:
        book.add(window)
    assert book.root_values("trunk", "in")["rtp.in.loss_ratio"] == pytest.approx(20 / 520)
    assert book.is_counted(windows[0])
    assert not book.is_counted(dataclasses.replace(windows[0], direction="out"))


@pytest.mark.parametrize("seed", range(5))
def test_bursts_that_may_be_pauses_are_no_clean_line(seed):
    """60 % lost for 2 s of each 20, looks 2 s apart: near the truth or unsure, and never 0."""
    line = Line(
        lost=lambda at: 0.6 if at % 20 > 18 else 0.0, every_s=2.0, first_poll_s=2, seed=seed
    )
    found = whole(line.samples())
    assert found is None or found == pytest.approx(line.truth, abs=0.02)
