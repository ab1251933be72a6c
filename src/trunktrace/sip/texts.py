"""Reason phrases that say more than their code: whose limit, whose block, which mistake.

Read in order, the first that fits decides; Telnyx's own codes come first (`telnyx_codes`). Patterns
hold no unbounded repetition, and a phrase is read to 1,024 characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trunktrace.sip.telnyx_codes import TelnyxCode, telnyx_code

MAX_CHARACTERS: Final = 1024


@dataclass(frozen=True, slots=True)
class TextRule:
    """A reason phrase that says more than its code: what it then means instead.

    `codes` are the codes that it is read beside, None for every code from 300. `detail` and `fault`
    replace those of the row; `outcome` does where it is given.
    """

    pattern: re.Pattern[str]
    codes: frozenset[int] | None
    fault: str | None
    detail: str | None = None
    outcome: str | None = None


def _rule(
    pattern: str,
    *codes: int,
    fault: str | None,
    detail: str | None = None,
    outcome: str | None = None,
) -> TextRule:
    found = frozenset(codes) or None
    return TextRule(re.compile(pattern, re.IGNORECASE), found, fault, detail, outcome)


TEXT_RULES: Final = (
    # Our own limits. Twilio: "Trunk CPS limit exceeded" (32001, 32012, 32013), "Concurrent call
    # limit exceeded" (10004).
    _rule(
        r"\bcps\b.{0,20}\b(limit|exceed)|calls?[ -]per[ -]second|\b(32001|32012|32013|10004)\b",
        fault="operator",
        detail="our_limit",
        outcome="congestion",
    ),
    _rule(
        r"\b(concurrent|concurrency|channel|simultaneous|session|port)s?\b.{0,20}\blimit"
        r"|\b(call|channel)s? limit\b",
        fault="operator",
        detail="our_limit",
        outcome="congestion",
    ),
    # An analytics block by a carrier on the way: "603+" (ATIS-1000099), whose Reason header has the
    # text "v=analytics1;url=...".
    _rule(
        r"network[ -]blocked|\b603\+|\bv=analytics",
        603,
        fault="intermediary",
        detail="analytics",
        outcome="blocked",
    ),
    # Twilio's X-Twilio-Error: 32203 blocked (fraud, regulation), 32017 by a carrier for its caller.
    _rule(r"\b32203\b", fault="intermediary", detail="carrier_blocked", outcome="blocked"),
    _rule(r"\b32017\b", fault="intermediary", detail="analytics", outcome="blocked"),
    _rule(
        r"\b(analytics|spam|robo-?calls?|scam)\b",
        403,
        603,
        607,
        fault="intermediary",
        detail="analytics",
        outcome="blocked",
    ),
    # "Decline" alone is the code's own name, whoever sent it: it decides nothing.
    _rule(r"declined|decline by|reject|refus", 603, fault="callee"),
    _rule(
        r"insufficient (funds|balance|credit)|out of credit|payment",
        402,
        403,
        503,
        fault="operator",
        detail="billing",
        outcome="failed",
    ),
    _rule(r"caller[ -]?id|\bcli\b|from (number|header)", 403, fault="operator", detail="caller_id"),
    _rule(
        r"\bgeo|international permission|country", 403, fault="operator", detail="geo_permission"
    ),
    _rule(
        r"unallocated|unassigned|not in service|disconnected number",
        404,
        fault="callee",
        detail="unallocated",
    ),
    _rule(r"no route", 404, fault="carrier", detail="no_route"),
    _rule(
        r"congest|all (circuits|channels) (are )?busy|no circuit",
        480,
        486,
        500,
        503,
        fault="carrier",
        detail="congestion",
        outcome="congestion",
    ),
    _rule(
        r"not registered|subscriber absent|no answer|no user responding", 408, 480, fault="callee"
    ),
)
"""Read in order; the first that fits decides."""


def told_by(code: int, text: str) -> TextRule | TelnyxCode | None:
    """What decides in a reason phrase beside a final code; None where nothing does."""
    read = text[:MAX_CHARACTERS]
    return telnyx_code(code, read) or next(
        (
            rule
            for rule in TEXT_RULES
            if (rule.codes is None or code in rule.codes) and rule.pattern.search(read)
        ),
        None,
    )
