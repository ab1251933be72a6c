"""Who counted what: which windows say that packets came, and which only that they were sent."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from trunktrace.diagnosis.course import Course, Place
from trunktrace.windows import Leg, MediaDirection, MediaWindow

BRIDGES: Final = frozenset({"livekit-sip"})
"""Sources that stand between the legs. Towards the caller they count on the trunk leg what they
sent, and on the agent leg what they received."""

_OVERHEARD: Final = frozenset({"hep", "rtcp-xr"})
"""Sources that read the RTCP of others: packets without a loss are those that a sender says it
sent, and whether any of them arrived they do not say."""

FAR_LEGS: Final[tuple[Leg, ...]] = ("trunk", "pstn")
_BOTH: Final[tuple[MediaDirection, ...]] = ("in", "out")
_PLACES: Final[tuple[Place, ...]] = tuple(itertools.product(FAR_LEGS, _BOTH))


def without_bystanders(course: Course) -> Course:
    """The course without those who saw no packet either way, while the bridge had some.

    Media that go past a PBX (direct media) are none that it missed.
    """
    if {w.source for place in _PLACES for w in course.windows_of(*place)} <= BRIDGES:
        return course
    seen: dict[str, set[MediaDirection]] = {}
    flowing: set[str] = set()
    for leg, direction in _PLACES:
        for window in counted(course.windows_of(leg, direction)):
            seen.setdefault(window.source, set()).add(direction)
            if window.packet_count:
                flowing.add(window.source)
    past = {name for name, both in seen.items() if len(both) == 2 and name not in flowing}
    past -= BRIDGES
    if not past or not flowing & BRIDGES:
        return course
    kept = {
        place: tuple(w for w in windows if w.source not in past)
        for place, windows in course.windows.items()
    }
    return replace(course, windows=kept)


def counted(windows: Iterable[MediaWindow]) -> list[MediaWindow]:
    """The windows in which somebody counted packets, whatever is known of those that are missing.

    What a sender says that it sent is no count of what arrived.
    """
    return [
        w
        for w in windows
        if w.packet_count is not None
        and w.loss_method != "estimated"
        and not (w.source in _OVERHEARD and w.loss_ratio is None and w.packet_count)
    ]


def received(windows: Iterable[MediaWindow]) -> list[MediaWindow]:
    """What arrives on the trunk: by the bridge's count where there is one, else by any."""
    told = counted(windows)
    return [w for w in told if w.source in BRIDGES] or told


def is_lost_on_the_way(course: Course) -> bool:
    """Whether somebody says that packets were sent where another received none at all."""
    for place in _PLACES:
        told = course.windows_of(*place)
        got = counted(w for w in told if w.source not in _OVERHEARD)
        sent = any(w.packet_count for w in told if w.source in _OVERHEARD)
        if sent and got and not any(window.packet_count for window in got):
            return True
    return False
