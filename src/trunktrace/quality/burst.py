"""The burst ratio: whether packets were lost at random or together.

It is the mean length of the observed bursts over the mean length of bursts if as many packets were
lost at random (ITU-T G.107 clause 7.5). A burst here is a run of consecutive lost packets.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def loss_runs(received: Iterable[bool]) -> list[int]:
    """The lengths of the runs of lost packets, in order, out of one flag a packet that was due."""
    return [sum(1 for _ in run) for arrived, run in groupby(received, key=bool) if not arrived]


def burst_ratio(*, lost: int, bursts: int, expected: int) -> float | None:
    """The burst ratio, at least 1: `(lost / bursts) * (1 - lost / expected)`.

    `lost` packets of the `expected` ones went missing, in `bursts` runs. None where nothing was
    lost: then there is no burst to measure. Where everything was lost it is 1.

    Raises ValueError where the counts cannot be: whole, `0 <= bursts <= lost <= expected`, and
    bursts where there is loss.
    """
    counts = (lost, bursts, expected)
    if any(type(count) is not int for count in counts) or not 0 <= bursts <= lost <= expected:
        raise ValueError("lost, bursts and expected must be whole, 0 <= bursts <= lost <= expected")
    if (lost > 0) != (bursts > 0):
        raise ValueError("bursts must be at least 1 where packets were lost, and 0 where none was")
    if not lost:
        return None
    return max(1.0, lost / bursts * (1 - lost / expected))


def burst_ratio_of_runs(runs: Iterable[int], *, expected: int) -> float | None:
    """The burst ratio out of the lengths of the runs of lost packets, among `expected` packets.

    None where there was no run. Raises ValueError as `burst_ratio` does, or for a run of no packet.
    """
    lengths = list(runs)
    if any(type(length) is not int or length < 1 for length in lengths):
        raise ValueError("each run must be a whole number of packets, 1 or more")
    return burst_ratio(lost=sum(lengths), bursts=len(lengths), expected=expected)
