"""Loss that was there before: a PBX or proxy passes a stream on with its holes, on both legs.

It is told once, on the leg where it began: what goes in comes from beyond (`pstn`), what goes out
from the bridge (`trunk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunktrace.diagnosis.course import LONGEST_SHORT_S, Course, Place
from trunktrace.diagnosis.series import by_teller, combined
from trunktrace.windows import LOSS_METHODS, LossMethod, MediaDirection

UPSTREAM: Final[Mapping[Place, Place]] = {
    ("trunk", "in"): ("pstn", "in"),
    ("pstn", "out"): ("trunk", "out"),
}
"""Place, and the one from which its stream comes."""

_RELAYS: Final = frozenset({"asterisk", "hep", "kamailio", "opensips", "rtcp", "rtpengine"})
"""Systems that pass RTP on with its sequence numbers, or read the RTCP of such a one."""

TOLERANCE: Final[Mapping[LossMethod, float]] = {
    "counted": 0.005,  # the last RTCP report comes some seconds before the end
    "derived": 0.01,
    "estimated": 0.02,
}
"""So much more than upstream is still the same loss, by the worse of the two methods."""


def is_passed_on(course: Course, leg: str, direction: MediaDirection) -> bool:
    """Whether all the loss of a place was in its stream before it got there."""
    here = next((place for place in UPSTREAM if place == (leg, direction)), None)
    if here is None or not course.windows_of(*UPSTREAM[here]):
        return False
    mine, before = _losses(course, here), _losses(course, UPSTREAM[here])
    if not mine or not before:
        return False
    most = max(loss for loss, _ in before)
    tolerance = max(TOLERANCE[method] for _, method in (*mine, *before))
    return all(loss <= most + tolerance for loss, _ in mine)


def may_blame_beyond(course: Course, direction: str | None) -> bool:
    """Whether what was bad beyond the edge was bad there only.

    Towards the caller a relay hands on what came from the bridge, holes and all: where nobody knows
    how it came, nobody knows where it was lost.
    """
    if direction != "out":
        return True
    relayed = all(w.source.partition("-")[0] in _RELAYS for w in course.windows_of("pstn", "out"))
    return not relayed or bool(_losses(course, ("trunk", "out")))


def _losses(course: Course, place: Place) -> list[tuple[float, LossMethod]]:
    """The loss of the whole call at a place, by each of the most believed who know it."""
    found: dict[LossMethod, list[float]] = {}
    for (_, method), windows in by_teller(course.windows_of(*place)).items():
        known = [window for window in windows if window.loss_ratio is not None]
        long = [window for window in known if window.duration_s > LONGEST_SHORT_S]
        loss = combined(long or known, "loss_ratio").loss_ratio if known else None
        if loss is not None:
            found.setdefault(method, []).append(loss)
    for method in LOSS_METHODS:
        if method in found:
            return [(loss, method) for loss in found[method]]
    return []
