"""Rules that look at a place only where a window of it may be bad: what they find is the same."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunktrace.diagnosis.series import combined, may_reach, samples_of
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.media import MediaBook
from trunktrace.windows import MediaWindow

RULES = Thresholds.default().windows
MEASURES = ("loss_ratio", "jitter_ms", "rtt_ms", "concealment_ratio", "clipping_ratio")
SEEDS = st.integers(0, 2**32)


def some_windows(seed: int) -> list[MediaWindow]:
    chance = random.Random(seed)
    direction = chance.choice(("in", "out"))

    def ratio() -> float | None:
        return chance.choice([None, 0.0, 0.03, chance.random(), chance.random() / 20])

    def count() -> int | None:
        return chance.choice([None, 0, 50, chance.randrange(200)])

    at, found = 0.0, list[MediaWindow]()
    for _ in range(chance.randint(1, 30)):
        start = at + chance.choice([0.0, 0.0, 0.0, 3.0])
        at = start + chance.choice([1.0, 1.0, 0.98, 2.0, 5.0, 30.0])
        known = {name: ratio() for name in MEASURES}
        found.append(
            MediaWindow(
                leg="agent",
                direction=direction,
                start=start,
                end=at,
                packet_count=count(),
                lost_count=count(),
                **known,
            )
        )
    return found


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, limit=st.sampled_from([0.0, 0.01, 0.03, 0.5]), measure=st.sampled_from(MEASURES))
def test_no_sample_reaches_a_limit_that_no_window_may_reach(seed, limit, measure):
    """However windows are put together, no mean is above the largest of them."""
    known = [window for window in some_windows(seed) if getattr(window, measure) is not None]
    if known and not may_reach(known, measure, limit):
        found = [*samples_of(known, RULES), combined(known)]
        assert all((getattr(sample, measure) or 0.0) < limit for sample in found)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, measure=st.sampled_from(MEASURES))
def test_a_sample_of_one_measure_says_of_it_what_a_sample_of_all_says(seed, measure):
    """The counts and the measure are the same, and the others are not asked for."""
    windows = some_windows(seed)
    for one, every in zip(
        samples_of(windows, RULES, measure), samples_of(windows, RULES), strict=True
    ):
        for name in ("start", "end", "is_long", "packet_count", "lost_count", measure):
            assert getattr(one, name) == getattr(every, name)
        assert all(getattr(one, name) is None for name in MEASURES if name != measure)


@pytest.mark.parametrize("lost", [5, 6])
def test_loss_by_the_counts_is_seen_where_the_ratio_says_less(lost):
    """The counts are what a sample is judged by: they are looked at too."""
    window = MediaWindow(
        leg="trunk",
        direction="in",
        start=0.0,
        end=5.0,
        packet_count=100 - lost,
        lost_count=lost,
        loss_ratio=0.0,
    )
    assert may_reach([window], "loss_ratio", 0.06) is (lost == 6)


def test_what_the_agent_lost_is_a_share_of_what_it_sent():
    """As the root says it: of 100 packets sent, of which 10 were lost, a tenth was lost."""
    lossy = MediaWindow(
        leg="agent",
        direction="out",
        start=0.0,
        end=2.0,
        packet_count=100,
        lost_count=10,
        loss_ratio=0.1,
    )
    clean = replace(lossy, start=2.0, end=5.0, packet_count=150, lost_count=0, loss_ratio=0.0)
    book = MediaBook()
    for window in (lossy, clean):
        book.add(window)
    assert combined([lossy]).loss_ratio == pytest.approx(0.1)
    assert combined([lossy, clean]).loss_ratio == pytest.approx(0.04)
    assert book.root_values("agent", "out")["webrtc.out.loss_ratio"] == pytest.approx(0.04)
    assert may_reach([lossy], "loss_ratio", 0.1)
