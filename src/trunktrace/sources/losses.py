"""Lost packets: what follows from counts and from percents, and how exact that is.

`counted`: one receiver counted what came and what did not, of the same packets. `derived`: two
counters were compared, or digits are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from trunktrace.windows import LossMethod

CUT_OF_REPORT: Final = 0.5
"""What cutting a whole percent off takes away on average: the parts of one that were there are as
often small as large."""
CUT_OF_MEAN: Final = 0.9
"""The same for a mean of such percents that was cut off again: 0.49 of a percent in each report
(RTCP's steps are 1/256), 0.42 in the mean of the half dozen reports of a short call."""


class Loss(NamedTuple):
    """Measures of a window, by name, and the method of its loss."""

    measures: dict[str, object]
    method: LossMethod

    @property
    def ratio(self) -> float | None:
        """The share of lost packets, 0 to 1; None where it is not known."""
        found = self.measures.get("loss_ratio")
        return found if isinstance(found, float) else None


def of_received(received: int, lost: int | None) -> Loss:
    """A receiver's own counts: lost of received and lost. No ratio without a packet."""
    ratio = None if lost is None else _share(lost, received + lost)
    measures: dict[str, object] = {"packet_count": received, "lost_count": lost}
    return Loss(measures | {"loss_ratio": ratio}, "counted")


def of_expected(expected: int, lost: int) -> Loss:
    """What RTCP says between two reports: lost of the sequence numbers that passed.

    `lost` is below 0 where packets came that were counted as lost before, or came twice, and is cut
    to what was expected.
    """
    held = min(max(0, lost), expected)
    return of_received(expected - held, held)


def of_sent(sent: int, lost: int) -> Loss:
    """Packets that one side sent and the other one missed.

    Derived: the last report comes before the end, and what was sent after it is counted too. No
    ratio where more were lost than sent.
    """
    return Loss({"lost_count": lost, "loss_ratio": _share(lost, sent)}, "derived")


def of_cut_percents(percents: Sequence[int]) -> Loss:
    """Whole percents of reports, one or several, each cut off; none is no loss known.

    0 is taken for none: half a percent would be invented in every clean call.
    """
    if not percents:
        return Loss({}, "derived")
    told = sum(percent + CUT_OF_REPORT if percent else 0.0 for percent in percents)
    return _of_percent(told / len(percents))


def of_cut_mean(percent: float) -> Loss:
    """A mean of percents: one that is whole was cut off twice, in the reports and by itself."""
    is_cut = percent > 0 and float(percent).is_integer()
    return _of_percent(percent + CUT_OF_MEAN if is_cut else float(percent))


def _of_percent(percent: float) -> Loss:
    return Loss({"loss_ratio": round(min(percent, 100.0) / 100.0, 6)}, "derived")


def _share(lost: int, packets: int) -> float | None:
    return lost / packets if packets > 0 and lost <= packets else None
