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

from trunktrace.sources.kamailio_acc_voice import loss_of_percent
from trunktrace.sources.rtpengine_call import Heard, Side

LEAST_SLACK: Final = 15
"""Packets by which two ends differ without any loss: one starts and stops some 0.3 s later."""

_FEWEST_REPORTS: Final = 3
_NEGATIVE: Final = 1 << 23
"""From here on a count of 24 bits is a negative one (RFC 3550, section 6.4.1)."""

_BELOW, _ABOVE = 0.01, 0.024
"""A count is believed that lies so near to the mean of the percents (which are cut off)."""


@dataclass(frozen=True, slots=True)
class Way:
    """What was lost on the way from one end to the other.

    `lost` is what the hearing end counted as missing, `ratio` the share of it; `before` of them
    were lost on the way to rtpengine, `after` behind it, each with its share: all four None where
    the place is not known. `counted` is whether the end's count was believed and reaches to the
    end of the call.
    """

    received: int | None = None
    lost: int | None = None
    ratio: float | None = None
    counted: bool = False
    before: int | None = None
    after: int | None = None
    before_ratio: float | None = None
    after_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What one end reported of the packets of the other.

    `ratio` is of the packets received here where they were counted (`lost`), else of all.
    """

    received: int | None
    lost: int | None
    ratio: float | None
    counted: bool

    @property
    def missing(self) -> int | None:
        """Packets missing by the end of the call, as far as can be said."""
        if self.received is None or self.ratio is None:
            return None
        if self.counted:
            return self.lost
        # Of what was received here, a loss behind rtpengine takes this share.
        return round(self.ratio * self.received)


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
        return _Told(received, None, None, False)
    percents = [one.loss_percent for one in heard.reports if one.loss_percent is not None]
    lost = heard.lost_count
    if lost is not None and lost < _NEGATIVE:
        ratio = lost / (received * _reported_share(heard, sender, created))
        if not (doubtful or lost == 0) or _fits(ratio / (1.0 + ratio), percents):
            return _Told(received, lost, ratio, _reaches_the_end(heard, sender))
    if len(percents) >= _FEWEST_REPORTS:
        return _Told(received, None, _mean_ratio(percents), False)
    average = heard.average
    percent = average.loss_percent if average is not None else None
    if average is not None and percent is not None and (percent or average.mos):
        return _Told(received, None, loss_of_percent(float(percent)), False)
    return _Told(received, None, None, False)


def _fits(ratio: float, percents: list[int]) -> bool:
    """Whether a count agrees with the percents of the same reports."""
    if len(percents) < _FEWEST_REPORTS:
        return True
    mean = sum(percents) / len(percents) / 100.0
    return mean - _BELOW <= ratio <= mean + _ABOVE


def _mean_ratio(percents: list[int]) -> float:
    """The mean of whole percents; each that is not 0 lost half of one when it was cut off."""
    cut = sum(percent + 0.5 if percent else 0.0 for percent in percents)
    return round(cut / len(percents) / 100.0, 6)


def _reaches_the_end(heard: Heard, sender: Side) -> bool:
    last = _last_report(heard)
    return last is None or sender.last_packet is None or last >= sender.last_packet - 1.0


def _reported_share(heard: Heard, sender: Side, created: float | None) -> float:
    """The part of the packets that the last report has seen: it comes up to 5 s before the end."""
    last = _last_report(heard)
    if last is None or sender.last_packet is None or created is None:
        return 1.0
    length = sender.last_packet - created
    share = (last - created) / length if length > 0 else 1.0
    return share if 0.2 <= share < 1.0 else 1.0


def _last_report(heard: Heard) -> float | None:
    return heard.reports[-1].at if heard.reports else None


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
        return _part(fewer, forth.missing, slack), 0
    if forth.missing == 0:
        return 0, _part(-fewer, back.missing, slack)
    return _corner(fewer, forth.missing, back.missing, slack)


def _if_none(told: _Told) -> int | None:
    return 0 if told.missing == 0 else None


def _part(fewer: int, missing: int, slack: int) -> int | None:
    """The part of the missing packets that did not reach rtpengine either."""
    if not -slack <= fewer <= missing + slack:
        return None
    near = min(slack, missing // 2)
    if fewer <= near and fewer <= missing - fewer:
        return 0
    return missing if fewer >= missing - near else fewer


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
    lost = told.lost if told.lost is not None else told.missing
    if before is None or lost is None or told.received is None:
        return Way(told.received, told.lost, _share(told, behind=False), told.counted)
    before = min(before, lost)
    return Way(
        told.received,
        told.lost,
        _share(told, behind=False),
        told.counted,
        before,
        lost - before,
        _share_of(told, before, lost, behind=False),
        _share_of(told, lost - before, lost, behind=True),
    )


def _share(told: _Told, *, behind: bool) -> float | None:
    """The ratio of packets that were sent on this way; behind rtpengine those it had received."""
    if told.ratio is None or told.lost is None or behind:
        return None if told.ratio is None else min(1.0, told.ratio)
    return told.ratio / (1.0 + told.ratio)


def _share_of(told: _Told, part: int, lost: int, *, behind: bool) -> float | None:
    if part == 0 or told.received is None:
        return 0.0
    if part == lost and not told.counted:
        return _share(told, behind=behind)
    return min(1.0, part / (told.received + (0 if behind else part)))
