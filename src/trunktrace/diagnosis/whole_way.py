"""Loss of the whole way between both ends of a call, where a media proxy knows its place.

What an end reports to hear through a proxy that only relays says nothing of where packets were
lost; its reader puts them on the caller's leg. A proxy that counts what it receives of each end
knows better.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from trunktrace.windows import MediaDirection, MediaWindow

_PROXIES: Final = frozenset({"rtpengine"})
_HEARERS: Final = frozenset({"hep", "kamailio-acc", "kamailio-acc-json", "opensips-acc"})


def placed_by_proxy(windows: Iterable[MediaWindow]) -> list[MediaWindow]:
    """The windows, those of a whole way without their loss where a proxy told of both its legs."""
    told = list(windows)
    known = _directions(told)
    found = (_without_loss(one) if _is_whole_way(one, known) else one for one in told)
    return [one for one in found if one.measures()]


def is_of_whole_way(windows: Iterable[MediaWindow]) -> bool:
    """Whether all that is known of a loss is what an end heard: then nobody knows its place."""
    lossy = [one for one in windows if one.loss_ratio]
    return bool(lossy) and all(_is_heard(one) for one in lossy)


def _directions(told: Iterable[MediaWindow]) -> set[MediaDirection]:
    """Directions in which a proxy says of both legs what was lost there."""
    places = {
        (one.leg, one.direction)
        for one in told
        if one.source in _PROXIES and one.loss_ratio is not None
    }
    directions: tuple[MediaDirection, ...] = ("in", "out")
    return {way for way in directions if {("trunk", way), ("pstn", way)} <= places}


def _is_whole_way(window: MediaWindow, known: set[MediaDirection]) -> bool:
    return window.direction in known and window.loss_ratio is not None and _is_heard(window)


def _is_heard(window: MediaWindow) -> bool:
    return window.source in _HEARERS and window.loss_method == "derived"


def _without_loss(window: MediaWindow) -> MediaWindow:
    return replace(window, loss_ratio=None, lost_count=None, packet_count=None)
