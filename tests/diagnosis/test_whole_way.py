"""A loss of the whole way between both ends, beside a media proxy that knows where it was."""

from __future__ import annotations

import pytest

from trunktrace.diagnosis.whole_way import placed_by_proxy
from trunktrace.windows import Leg, LossMethod, MediaDirection, MediaWindow


def window(
    source: str,
    leg: Leg,
    direction: MediaDirection = "in",
    *,
    loss: float | None = 0.1,
    method: LossMethod = "derived",
    jitter: float | None = None,
) -> MediaWindow:
    return MediaWindow(
        leg=leg,
        direction=direction,
        start=100.0,
        end=140.0,
        source=source,
        loss_ratio=loss,
        loss_method=method,
        lost_count=None if loss is None else round(loss * 2000),
        jitter_ms=jitter,
    )


BOTH_LEGS = [window("rtpengine", "trunk", loss=0.05), window("rtpengine", "pstn", loss=0.05)]


@pytest.mark.parametrize("source", ["hep", "kamailio-acc", "kamailio-acc-json", "opensips-acc"])
def test_who_heard_the_whole_way_gives_way_to_the_proxy(source: str) -> None:
    """Its loss is left out, what it heard besides stays."""
    told = placed_by_proxy([*BOTH_LEGS, window(source, "pstn", jitter=2.0)])
    assert told[:2] == BOTH_LEGS
    (left,) = told[2:]
    assert (left.loss_ratio, left.lost_count, left.jitter_ms) == (None, None, 2.0)
    assert placed_by_proxy([*BOTH_LEGS, window(source, "pstn")]) == BOTH_LEGS


@pytest.mark.parametrize(
    "windows",
    [
        [BOTH_LEGS[0], window("hep", "pstn")],
        [*BOTH_LEGS, window("hep", "pstn", "out")],
        [*BOTH_LEGS, window("hep", "pstn", method="counted")],
        [*BOTH_LEGS, window("asterisk-ami", "pstn")],
        [window("rtpengine", "trunk", loss=None, jitter=1.0), BOTH_LEGS[1], window("hep", "pstn")],
    ],
)
def test_where_the_proxy_does_not_know_nothing_is_left_out(windows: list[MediaWindow]) -> None:
    """It knows one leg only, or another direction; what was counted on a leg stays as well."""
    assert placed_by_proxy(windows) == windows
