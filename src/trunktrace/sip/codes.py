"""The one table of final answers to an INVITE: outcome, whose fault, whether going on is right.

The fault of a code is None where two sides may have sent it: then the reason phrase, or who sent
it, decides (`meaning_of`), or nobody is blamed. Sources: RFC 3261 section 21 and the RFC that
stands in each row's meaning; carriers' documented reason phrases stand in `TEXT_RULES`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from trunktrace.sip import q850


@dataclass(frozen=True, slots=True)
class FinalCode:
    """What a final answer means.

    `outcome` is one of `conventions.OUTCOMES`, None where the code ends no call (491: the same
    INVITE is sent again). `detail` says more where the code does. `fault` is one of
    `conventions.FAULTS`, None where the code alone does not decide between two sides. `goes_on` is
    whether another trunk may be tried: True is "if there was no progress (18x) before", so that two
    phones never ring.
    """

    code: int
    meaning: str
    outcome: str | None
    detail: str | None = None
    fault: str | None = None
    goes_on: bool = False


# fmt: off
# One line a code: the table is read as a table.
_ROWS: Final = (
    FinalCode(200, "OK", "answered", fault="none"),
    FinalCode(202, "Accepted", "answered", fault="none"),
    FinalCode(300, "Multiple Choices", "redirected", fault="carrier"),
    FinalCode(301, "Moved Permanently", "redirected", fault="carrier"),
    FinalCode(302, "Moved Temporarily", "redirected", fault="carrier"),
    FinalCode(305, "Use Proxy", "redirected", fault="carrier"),
    FinalCode(380, "Alternative Service", "redirected", fault="carrier"),
    FinalCode(400, "Bad Request", "failed", fault="platform"),
    FinalCode(401, "Unauthorized", "failed", "auth", "operator"),
    FinalCode(402, "Payment Required", "failed", "billing", "operator"),
    FinalCode(403, "Forbidden", "rejected", fault="operator"),
    FinalCode(404, "Not Found", "invalid_number"),
    FinalCode(405, "Method Not Allowed", "failed", fault="platform"),
    FinalCode(406, "Not Acceptable", "failed", fault="platform"),
    FinalCode(407, "Proxy Authentication Required", "failed", "auth", "operator"),
    FinalCode(408, "Request Timeout", "timeout", goes_on=True),
    FinalCode(410, "Gone", "invalid_number", fault="callee"),
    FinalCode(413, "Request Entity Too Large", "failed", fault="platform"),
    FinalCode(414, "Request-URI Too Long", "failed", fault="platform"),
    FinalCode(415, "Unsupported Media Type", "failed", "media"),
    FinalCode(416, "Unsupported URI Scheme", "failed", fault="platform"),
    FinalCode(420, "Bad Extension", "failed", fault="platform"),
    FinalCode(421, "Extension Required", "failed", fault="platform"),
    FinalCode(422, "Session Interval Too Small (RFC 4028)", "failed", fault="platform"),
    FinalCode(423, "Interval Too Brief", "failed", fault="platform"),
    FinalCode(428, "Use Identity Header (RFC 8224)", "blocked", "identity"),
    FinalCode(433, "Anonymity Disallowed (RFC 5079)", "rejected", fault="caller"),
    FinalCode(436, "Bad Identity Info (RFC 8224)", "blocked", "identity"),
    FinalCode(437, "Unsupported Credential (RFC 8224)", "blocked", "identity"),
    FinalCode(438, "Invalid Identity Header (RFC 8224)", "blocked", "identity"),
    FinalCode(480, "Temporarily Unavailable", "no_answer", goes_on=True),
    FinalCode(481, "Call/Transaction Does Not Exist", "failed", fault="platform"),
    FinalCode(482, "Loop Detected", "loop"),
    FinalCode(483, "Too Many Hops", "loop"),
    FinalCode(484, "Address Incomplete", "invalid_number", fault="caller"),
    FinalCode(485, "Ambiguous", "invalid_number", fault="caller"),
    FinalCode(486, "Busy Here", "busy", fault="callee"),
    FinalCode(487, "Request Terminated", "canceled", fault="caller"),
    FinalCode(488, "Not Acceptable Here", "failed", "media"),
    FinalCode(491, "Request Pending", None, fault="platform"),
    FinalCode(493, "Undecipherable", "failed", fault="platform"),
    FinalCode(494, "Security Agreement Required (RFC 3329)", "failed", fault="platform"),
    FinalCode(500, "Server Internal Error", "failed", fault="carrier", goes_on=True),
    FinalCode(501, "Not Implemented", "failed", fault="carrier", goes_on=True),
    FinalCode(502, "Bad Gateway", "failed", fault="carrier", goes_on=True),
    FinalCode(503, "Service Unavailable", "congestion", fault="carrier", goes_on=True),
    FinalCode(504, "Server Time-out", "timeout", fault="carrier", goes_on=True),
    FinalCode(505, "Version Not Supported", "failed"),
    FinalCode(513, "Message Too Large", "failed"),
    FinalCode(580, "Precondition Failure (RFC 3312)", "failed", goes_on=True),
    FinalCode(600, "Busy Everywhere", "busy", fault="callee"),
    FinalCode(603, "Decline", "rejected"),
    FinalCode(604, "Does Not Exist Anywhere", "invalid_number", fault="callee"),
    FinalCode(606, "Not Acceptable", "failed", "media"),
    FinalCode(607, "Unwanted (RFC 8197)", "blocked", "unwanted", "callee"),
    FinalCode(608, "Rejected (RFC 8688)", "blocked", "analytics", "intermediary"),
)
# fmt: on

CODES: Final[dict[int, FinalCode]] = {row.code: row for row in _ROWS}
"""Every code that has a row of its own, in the order of their numbers."""

LOOP_CODES: Final = frozenset({482, 483})

_OUTCOME_OF_CLASS: Final = {2: "answered", 3: "redirected", 6: "rejected"}


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
    # Twilio: "CPS limit exceeded", "Concurrent call limit exceeded".
    _rule(
        r"\bcps\b.{0,20}\b(limit|exceed)|calls?[ -]per[ -]second",
        fault="operator",
        detail="our_limit",
        outcome="congestion",
    ),
    _rule(
        r"\b(concurrent|channel|simultaneous|session|port)s?\b.{0,20}\blimit"
        r"|\b(call|channel)s? limit\b",
        fault="operator",
        detail="our_limit",
        outcome="congestion",
    ),
    # Telnyx: D1, D2, D3 and D22 are the account's channel limits.
    _rule(
        r"\bD(1|2|3|22)\b",
        403,
        486,
        503,
        fault="operator",
        detail="our_limit",
        outcome="congestion",
    ),
    # Telnyx: D18 connection inactive, D19 billing, D38 no outbound profile; D35, D36 caller ID.
    _rule(r"\bD19\b", fault="operator", detail="billing", outcome="failed"),
    _rule(r"\bD(18|38)\b", fault="operator", detail="configuration", outcome="failed"),
    _rule(r"\bD(35|36)\b", fault="operator", detail="caller_id", outcome="rejected"),
    _rule(r"\bD40\b", 404, fault="carrier", detail="no_route"),
    # ATIS-1000099 "603+": an analytics block by a carrier on the way; X-Twilio-Error 32203.
    _rule(
        r"network[ -]blocked|\b603\+",
        603,
        fault="intermediary",
        detail="analytics",
        outcome="blocked",
    ),
    _rule(r"\b32203\b", fault="intermediary", detail="carrier_blocked", outcome="blocked"),
    _rule(r"declin|reject|refus", 603, fault="callee"),
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
        r"congest|all (circuits|channels) busy|no circuit",
        480,
        fault="carrier",
        detail="congestion",
        outcome="congestion",
    ),
    _rule(
        r"not registered|subscriber absent|no answer|no user responding", 408, 480, fault="callee"
    ),
)
"""Read in order; the first that fits decides."""

UNANSWERED: Final[dict[str, FinalCode]] = {
    "timeout": FinalCode(0, "our own ringing timeout", "no_answer", fault="callee"),
    "no_response": FinalCode(0, "no answer at all to the INVITE", "timeout", fault="network"),
    "transport": FinalCode(0, "transport error", "failed", "transport", "network", goes_on=True),
    "dns": FinalCode(0, "the trunk's host has no address", "failed", "dns", goes_on=True),
    "sdp": FinalCode(0, "no media could be agreed", "failed", "media"),
    "auth": FinalCode(0, "the challenge could not be answered", "failed", "auth", "operator"),
    "no_bridge": FinalCode(0, "no bridge took the request", "failed", "no_bridge", "platform"),
    "canceled": FinalCode(0, "our own CANCEL", "canceled"),
}
"""What it means that an attempt ended without a final answer, by `Attempt.failure`."""


def meaning_of(
    code: int,
    *,
    reason: str | None = None,
    q850_cause: int | None = None,
    progress: bool | None = None,
) -> FinalCode:
    """The row of a final answer, made more exact by what came with it.

    `reason` is the reason phrase, or what the carrier wrote beside the code. `q850_cause` is from
    the Reason header (RFC 3326, RFC 6432). `progress` is whether a 18x came before: a 480
    after it is the callee's phone that nobody took.
    A code without a row means what its class means, and nobody's fault is known.
    """
    row = CODES.get(code) or _of_class(code)
    if code < 300:
        return row
    if reason and (told := _told(row, reason, TEXT_RULES)) is not None:
        return told
    if row.fault is None and q850_cause is not None:
        row = replace(row, fault=q850.FAULTS.get(q850_cause))
    if row.fault is None and code == 480 and progress:
        return replace(row, fault="callee")
    return row


def _told(row: FinalCode, reason: str, rules: Iterable[TextRule]) -> FinalCode | None:
    for rule in rules:
        if (rule.codes is None or row.code in rule.codes) and rule.pattern.search(reason):
            return replace(
                row,
                fault=rule.fault,
                detail=rule.detail or row.detail,
                outcome=rule.outcome or row.outcome,
            )
    return None


def _of_class(code: int) -> FinalCode:
    return FinalCode(code, "", _OUTCOME_OF_CLASS.get(code // 100, "failed"))


def unanswered(failure: str, *, progress: bool | None = None) -> FinalCode:
    """What an end without a final answer means; `failure` as in `Attempt.failure`.

    Our own ringing timeout without any 18x before it is no callee that did not answer: nothing
    rang, as far as anybody heard. A word that is not known is a failure of nobody.
    """
    if failure == "timeout" and progress is False:
        return UNANSWERED["no_response"]
    return UNANSWERED.get(failure) or FinalCode(0, failure, "failed")
