"""Loss out of counts and percents: each way gives the measures and says how exact they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.sources import losses


def test_of_received_and_lost() -> None:
    """A receiver's own counts are counted: lost of all that should have come."""
    told, method = losses.of_received(900, 100)
    assert told == {"packet_count": 900, "lost_count": 100, "loss_ratio": 0.1}
    assert method == "counted"


@pytest.mark.parametrize("received, lost", [(0, 0), (500, None)])
def test_no_ratio_without_packets_or_count(received: int, lost: int | None) -> None:
    """Nothing that came and nothing that was lost is no loss of 0."""
    assert losses.of_received(received, lost).ratio is None


def test_of_sent_and_lost() -> None:
    """What the other side missed of what was sent: the sent packets hold the lost ones already."""
    told, method = losses.of_sent(1000, 100)
    assert told == {"lost_count": 100, "loss_ratio": 0.1}
    assert method == "derived"
    assert losses.of_sent(10, 11).ratio is None


@pytest.mark.parametrize(
    "expected, lost, count, ratio", [(100, -3, 0, 0.0), (100, 120, 100, 1.0), (0, 0, 0, None)]
)
def test_of_expected(expected: int, lost: int, count: int, ratio: float | None) -> None:
    """A difference below 0 is no loss, and no more are lost than were expected."""
    told, method = losses.of_expected(expected, lost)
    assert (told["lost_count"], told["loss_ratio"], method) == (count, ratio, "counted")
    assert told["packet_count"] == expected - count


@pytest.mark.parametrize(
    "percents, ratio",
    [([], None), ([0], 0.0), ([4], 0.045), ([4, 0], 0.0225), ([100], 1.0)],
)
def test_of_percents_that_were_cut_off(percents: list[int], ratio: float | None) -> None:
    """Half a percent is added to each that is not 0."""
    found = losses.of_cut_percents(percents)
    assert (found.ratio, found.method) == (ratio, "derived")


@pytest.mark.parametrize("percent, ratio", [(0, 0.0), (4, 0.049), (4.2, 0.042), (100.0, 1.0)])
def test_of_a_mean_that_was_cut_off(percent: float, ratio: float) -> None:
    """A whole mean was cut off twice; one with a fraction was not, and 0 says none."""
    found = losses.of_cut_mean(percent)
    assert (found.ratio, found.method) == (ratio, "derived")


@given(
    st.lists(st.integers(0, 2559), min_size=1, max_size=8).map(lambda them: [n / 10 for n in them])
)
def test_what_was_cut_off_is_put_back_on_average(shares: list[float]) -> None:
    """Whatever was lost, what the cut percents say is within half a percent of it, or less than 1.

    A loss below one percent is told as none.
    """
    true = [min(100.0, share / 2.56) for share in shares]
    told = losses.of_cut_percents([int(one) for one in true]).ratio
    assert told is not None
    assert abs(told * 100.0 - sum(true) / len(true)) < 1.0
