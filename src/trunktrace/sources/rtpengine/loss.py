"""Where the packets were lost that an end reported as missing.

rtpengine keeps the gaps in the sequence numbers: what was lost on the way to it is missing for the
other end as well. An end's report therefore tells the loss of both ways together. What rtpengine
itself received tells them apart: both ends send for about as long, so where it got fewer packets
from one end than from the other, they were lost before it. Where the counts do not fit that (one
end sends nothing while it is silent), the place is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunktrace.sources import losses
from trunktrace.sources.rtpengine.call import Heard, Side

LEAST_SLACK: Final = 15
"""Packets by which two ends differ without any loss: one starts and stops some 0.3 s later."""

_FEWEST_REPORTS: Final = 3
_SHORTEST_SHARE: Final = 0.2
_NEGATIVE: Final = 1 << 23
"""From here on a count of 24 bits is a negative one (RFC 3550, section 6.4.1)."""

_BELOW, _ABOVE = 0.01, 0.024
"""A count is believed that lies so near to the mean of the percents (which are cut off)."""


@dataclass(frozen=True, slots=True)
class Way:
    """What was lost on the way from one end to the other.

    `lost` is what the hearing end counted as missing, `ratio` the share of it; `before` of them
    were lost on the way to rtpengine, `after` behind it, each with its share: all four None where
    the place is not known. `counted` is whether the end's count was believed and was lost in one
    place: a part of it nobody has counted. `is_whole` is whether it reaches to the end of the call.
    """

    received: int | None = None
    lost: int | None = None
    ratio: float | None = None
    counted: bool = False
    is_whole: bool = False
    before: int | None = None
    after: int | None = None
    before_ratio: float | None = None
    after_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What one end reported of the packets of the other.

    `ratio` is of all packets where `lost` was not believed. `share` is the part of the packets that
    the count has seen, `is_whole` whether these are known to be all.
    """

    received: int | None
    lost: int | None = None
    ratio: float | None = None
    share: float = 1.0
    is_whole: bool = False

    @property
    def missing(self) -> int | None:
        """Packets missing by the end of the call, as far as can be said."""
        if self.lost is not None:
            return round(self.lost / self.share)
        if self.received is None or self.ratio is None:
            return None
        return round(self.ratio * self.received)

    def share_of(self, part: int, *, behind: bool) -> float:
        """The share of a part of the lost packets, on the way to rtpengine or behind it."""
        if part == 0 or self.received is None:
            return 0.0
        if self.lost is None and self.ratio is not None and part == self.missing:
            return self.ratio
        here = self.received * self.share
        return min(1.0, part / (here if behind else here + part))


def ways(
    caller: Side,
    callee: Side,
    heard_by_caller: Heard | None,
    heard_by_callee: Heard | None,
    created: float | None,
) -> tuple[Way, Way]:
    """The way from the caller to the callee, and the way back."""
    both = bool(_count(heard_by_caller) and _count(heard_by_callee))
    forth = _told(caller, heard_by_callee, created, doubtful=both)
    back = _told(callee, heard_by_caller, created, doubtful=both)
    before_forth, before_back = _before(forth, back)
    return _way(forth, before_forth), _way(back, before_back)


def _count(heard: Heard | None) -> int | None:
    return heard.lost_count if heard is not None else None


def _told(sender: Side, heard: Heard | None, created: float | None, *, doubtful: bool) -> _Told:
    """The loss of one way: as it was counted; from the percents where the count cannot be right.

    It was seen wrong with loss on both ways: then it is `doubtful`, and held against the percents.
    """
    received = sender.packet_count
    if heard is None or not received:
        return _Told(received)
    percents = [one.loss_percent for one in heard.reports if one.loss_percent is not None]
    lost = heard.lost_count
    if lost is not None and lost < _NEGATIVE:
        share, is_whole = _reach(heard, sender, created)
        ratio = lost / (received * share + lost)
        if not (doubtful or lost == 0) or _fits(ratio, percents):
            return _Told(received, lost, share=share, is_whole=is_whole)
    if len(percents) >= _FEWEST_REPORTS:
        return _Told(received, ratio=losses.of_cut_percents(percents).ratio)
    average = heard.average
    percent = average.loss_percent if average is not None else None
    if average is not None and percent is not None and (percent or average.mos):
        return _Told(received, ratio=losses.of_cut_mean(percent).ratio)
    return _Told(received)


def _fits(ratio: float, percents: list[int]) -> bool:
    """Whether a count agrees with the percents of the same reports."""
    if len(percents) < _FEWEST_REPORTS:
        return True
    mean = sum(percents) / len(percents) / 100.0
    return mean - _BELOW <= ratio <= mean + _ABOVE


def _reach(heard: Heard, sender: Side, created: float | None) -> tuple[float, bool]:
    """The part of the packets that the last report has seen, and whether it is known to be all.

    That report comes up to 5 s before the end.
    """
    last = heard.reports[-1].at if heard.reports else None
    if last is None or sender.last_packet is None or created is None:
        return 1.0, False
    length = sender.last_packet - created
    share = (last - created) / length if length > 0 else 1.0
    if last >= sender.last_packet - 1.0:
        return 1.0, True
    return (share if share >= _SHORTEST_SHARE else 1.0), False


def _before(forth: _Told, back: _Told) -> tuple[int | None, int | None]:
    """How many packets of each way were lost before rtpengine; None where nobody can know."""
    if forth.missing == 0 and back.missing == 0:
        return 0, 0
    if forth.missing is None or back.missing is None:
        return _if_none(forth), _if_none(back)
    if forth.received is None or back.received is None:
        return None, None
    fewer = back.received - forth.received
    slack = max(LEAST_SLACK, max(forth.missing, back.missing) // 4)
    if back.missing == 0:
        return _part(fewer, forth, slack), 0
    if forth.missing == 0:
        return 0, _part(-fewer, back, slack)
    return _corner(fewer, forth.missing, back.missing, slack)


def _if_none(told: _Told) -> int | None:
    return 0 if told.missing == 0 else None


def _part(fewer: int, told: _Told, slack: int) -> int | None:
    """The part of the missing packets that did not reach rtpengine either.

    More than were counted are missing only if as many were lost after the last report as before it.
    """
    missing = told.missing or 0
    if not -slack <= fewer <= missing + slack:
        return None
    near = min(slack, missing // 2)
    if fewer <= near and fewer <= missing - fewer:
        return 0
    least = missing if told.lost is None else min(missing, told.lost)
    return missing if fewer >= least - near else fewer


def _corner(fewer: int, forth: int, back: int, slack: int) -> tuple[int | None, int | None]:
    """Both ways lost something: each wholly before or wholly behind, where only one answer fits."""
    answers = sorted(
        (abs(fewer - (lost_forth - lost_back)), lost_forth, lost_back)
        for lost_forth in (0, forth)
        for lost_back in (0, back)
    )
    best, second = answers[0], answers[1]
    if best[0] > slack or second[0] - best[0] <= slack:
        return None, None
    return best[1], best[2]


def _way(told: _Told, before: int | None) -> Way:
    missing = told.missing
    if before is None or missing is None:
        ratio = told.ratio if told.lost is None else told.share_of(told.lost, behind=False)
        return Way(told.received, told.lost, ratio, is_whole=told.is_whole)
    lost = missing if told.lost is None else told.lost
    if before == missing:
        before = lost
    elif told.lost is not None:
        before = min(lost, round(before * told.share))
    return Way(
        told.received,
        told.lost,
        told.share_of(lost, behind=False),
        told.lost is not None and before in (0, lost),
        told.is_whole,
        before,
        lost - before,
        told.share_of(before, behind=False),
        told.share_of(lost - before, behind=True),
    )
