"""Who is believed: rank by kind of fact, and the event that says when two sources disagree."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import Value


class Rank(IntEnum):
    """How far a source is believed; a lower rank never overrides a higher one.

    For identity the order is the design's: the operator's row for the trunk id, headers that the
    operator trusts for that trunk, the SIP host, a provider's id. What the user's own code records
    stands above all of them.
    """

    HINT = 10
    PROVIDER_ID = 20
    SIP_HOST = 30
    TRUSTED_HEADER = 40
    TRUNK_ROW = 50
    OBSERVED = 60
    USER = 70


Claim = tuple[Rank, str]
"""(how far it is believed, who said it)"""

_TOLERANCE: Final = {
    c.SIP_SETUP_MS: 500.0,
    c.SIP_PDD_MS: 500.0,
    c.SIP_RING_MS: 500.0,
    c.SIP_CALL_DURATION_MS: 1000.0,
}


def disagree(key: str, old: Value, new: Value) -> bool:
    """Whether two sources contradict each other on `key`, beyond what clocks explain."""
    if isinstance(old, str) or isinstance(new, str):
        return old != new
    return not math.isclose(old, new, abs_tol=_TOLERANCE.get(key, 1e-9))


def conflict_event(
    key: str, kept: tuple[Value, str], refused: tuple[Value, str]
) -> dict[str, Value]:
    """Attributes of a `trunktrace.fact_conflict` event; each pair is (value, source)."""
    return {
        c.CONFLICT_KEY: key,
        c.CONFLICT_KEPT: str(kept[0]),
        c.CONFLICT_KEPT_SOURCE: kept[1],
        c.CONFLICT_REFUSED: str(refused[0]),
        c.CONFLICT_REFUSED_SOURCE: refused[1],
    }
