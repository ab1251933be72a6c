"""R and MOS of the trunk leg, where nobody else has scored it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.quality.score import score

_SCORE: Final = ("mos", "r_factor", "mos_algorithm")


def with_scores(facts: Mapping[str, Value]) -> dict[str, Value]:
    """The facts with R and MOS of the trunk leg (ITU-T G.107), where codec and loss are known.

    A score that a source states stays; one of ours is made anew, for by now more may be known.
    Where the codec has no published numbers there is none.
    """
    codec = facts.get(c.RTP_CODEC)
    scored = dict(facts)
    for direction in ("in", "out"):
        if c.MEDIA_KEYS["trunk", direction, "mos"] in facts and not _is_ours(facts, direction):
            continue
        loss = facts.get(c.MEDIA_KEYS["trunk", direction, "loss_ratio"])
        burst = facts.get(c.MEDIA_KEYS["trunk", direction, "burst_ratio"])
        found = score(
            codec if isinstance(codec, str) else None,
            float(loss) if isinstance(loss, int | float) else None,
            float(burst) if isinstance(burst, int | float) else None,
        )
        for name in _SCORE if _is_ours(facts, direction) else ():
            scored.pop(c.MEDIA_KEYS["trunk", direction, name], None)
        if found is not None:
            scored[c.MEDIA_KEYS["trunk", direction, "mos"]] = found.mos
            scored[c.MEDIA_KEYS["trunk", direction, "r_factor"]] = found.r_factor
            scored[c.MEDIA_KEYS["trunk", direction, "mos_algorithm"]] = c.MOS_ALGORITHM
    return scored


def _is_ours(facts: Mapping[str, Value], direction: str) -> bool:
    return facts.get(c.MEDIA_KEYS["trunk", direction, "mos_algorithm"]) == c.MOS_ALGORITHM
