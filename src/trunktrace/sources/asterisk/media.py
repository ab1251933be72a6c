"""The windows of one leg of Asterisk, out of what it counted."""

from __future__ import annotations

from trunktrace.facts import End
from trunktrace.sources.asterisk.quality import Quality
from trunktrace.sources.asterisk.rtcp import Rtcp
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.windows import MediaDirection

Times = tuple[float, float]
"""(start, end) in unix seconds."""

_OF_LOSS = ("loss_ratio", "lost_count", "packet_count")


def say_quality(
    draft: Draft,
    quality: Quality,
    end: End,
    ends: Ends,
    answered: bool,
    upstream: int | None,
    times: Times | None,
) -> None:
    """Both directions of the leg of an end, over the whole call; `upstream` as `Quality.told`."""
    if quality.silent:
        return
    both: tuple[tuple[MediaDirection, dict[str, object]], ...] = (
        (ends.sent_by(end), quality.heard(answered=answered)),
        (ends.sent_to(end), quality.told(answered=answered, upstream=upstream)),
    )
    for direction, measures in both:
        if times is not None and times[0] <= times[1]:
            draft.saw(draft.leg, direction, *times, measures, "derived")
        else:
            draft.total(draft.leg, direction, measures, "derived")


def say_intervals(
    draft: Draft, rtcp: Rtcp, end: End, ends: Ends, since: float | None, upstream: int | None
) -> None:
    """Both directions of the leg of an end, between two reports each."""
    for interval in rtcp.intervals(ours=True, since=since):
        draft.saw(draft.leg, ends.sent_by(end), interval.start, interval.end, interval.measures)
    for interval in rtcp.intervals(ours=False, since=since):
        measures = interval.measures
        if interval.lost and upstream != 0:
            # Gaps from the other leg are in it: only the whole call can be told apart.
            measures = {name: value for name, value in measures.items() if name not in _OF_LOSS}
        draft.saw(draft.leg, ends.sent_to(end), interval.start, interval.end, measures)
