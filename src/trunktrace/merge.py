"""Who is believed, what belongs to one attempt only, and how a disagreement is told."""

from __future__ import annotations

import math
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Rank, Value

Claim = tuple[Rank, str]
"""(how far it is believed, who said it)"""

_TOLERANCE: Final = {
    c.SIP_SETUP_MS: 500.0,
    c.SIP_PDD_MS: 500.0,
    c.SIP_RING_MS: 500.0,
    c.SIP_CALL_DURATION_MS: 1000.0,
}


RESULT_KEYS: Final = frozenset(
    {
        c.SIP_RESPONSE_STATUS_CODE,
        c.SIP_RESPONSE_REASON,
        c.SIP_CALL_OUTCOME,
        c.SIP_CALL_OUTCOME_DETAIL,
        c.TRUNK_FAILOVER_COUNT,
        c.TRUNK_FAILOVER_PATH,
    }
)
"""What became of one attempt: gone with it, even if the agent's own code had recorded it."""

LEG_KEYS: Final = frozenset(
    {
        c.TRUNK_CARRIER,
        c.TRUNK_ROUTE,
        c.TRUNK_REGION,
        c.TRUNK_ID,
        c.SIP_RESPONSE_STATUS_CODE,
        c.SIP_RESPONSE_REASON,
        c.SIP_CALL_OUTCOME,
        c.SIP_CALL_OUTCOME_DETAIL,
        c.SIP_CALL_ID,
        c.SIP_SESSION_ID,
        c.TRUNKTRACE_LINK_TRACE_ID,
        c.SIP_PROVIDER_CALL_ID,
        c.LIVEKIT_SIP_CALL_ID,
        c.RTP_CODEC,
        c.RTP_PAYLOAD_TYPE,
        c.RTP_CLOCK_RATE_HZ,
        c.RTP_PTIME_MS,
        c.SIP_REASON_Q850,
        c.SIP_HANGUP_SOURCE,
        c.SIP_SETUP_MS,
        c.SIP_PDD_MS,
        c.SIP_RING_MS,
        c.SIP_CALL_DURATION_MS,
        c.SIP_TRANSPORT,
        c.SIP_MEDIA_ENCRYPTION,
        c.SIP_CALLER_NUMBER,
        c.SIP_CALLER_HASH,
        c.SIP_CALLER_COUNTRY,
        c.SIP_CALLEE_NUMBER,
        c.SIP_CALLEE_HASH,
        c.SIP_CALLEE_COUNTRY,
        c.TRUNK_FAILOVER_COUNT,
        c.TRUNK_FAILOVER_PATH,
    }
)
"""What belongs to one leg or attempt, and goes when the call turns to another."""


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
