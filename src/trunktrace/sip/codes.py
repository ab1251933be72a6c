"""The one table of final answers to an INVITE: outcome, whose fault, whether going on is right.

The fault of a code is None where two sides may have sent it: then the reason phrase, or who sent
it, decides (`meaning_of`), or nobody is blamed. Sources: RFC 3261 section 21 and the RFC that
stands in each row's meaning; carriers' documented reason phrases stand in `texts` and
`telnyx_codes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trunktrace.sip import q850
from trunktrace.sip.texts import TEXT_RULES, TextRule, told_by

__all__ = [
    "CODES",
    "LOOP_CODES",
    "TEXT_RULES",
    "UNANSWERED",
    "FinalCode",
    "TextRule",
    "meaning_of",
    "unanswered",
]


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


UNANSWERED: Final[dict[str, FinalCode]] = {
    "timeout": FinalCode(0, "our own ringing timeout", "no_answer", fault="callee"),
    # RFC 3261, 8.1.3.1: a UAC that gets no answer treats it as a 408.
    "no_response": FinalCode(
        0, "no answer at all to the INVITE", "timeout", fault="network", goes_on=True
    ),
    "transport": FinalCode(0, "transport error", "failed", "transport", "network", goes_on=True),
    "dns": FinalCode(0, "the trunk's host has no address", "failed", "dns", goes_on=True),
    "sdp": FinalCode(0, "no media could be agreed", "failed", "media"),
    "auth": FinalCode(0, "the challenge could not be answered", "failed", "auth", "operator"),
    "no_bridge": FinalCode(0, "no bridge took the request", "failed", "no_bridge", "platform"),
    "canceled": FinalCode(0, "our own CANCEL", "canceled"),
    # Whether an INVITE was sent is not known: going on needs the participant to be gone for sure.
    "client_error": FinalCode(0, "the API request failed", "failed", "api", goes_on=True),
    "unanswered": FinalCode(0, "not answered, and nobody says why", "failed"),
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

    `reason` is the reason phrase, what the carrier wrote beside the code, or both and the text of a
    Reason header (`reason.words`); it is read to 1,024 characters. `q850_cause` is from
    the Reason header (RFC 3326, RFC 6432). `progress` is whether a 18x came before: a 480
    after it is the callee's phone that nobody took.
    A code without a row means what its class means, and nobody's fault is known.
    """
    row = CODES.get(code) or _of_class(code)
    if code < 300:
        return row
    if reason and (told := _told(row, reason)) is not None:
        return told
    if row.fault is None and q850_cause is not None:
        row = replace(row, fault=q850.FAULTS.get(q850_cause))
    if row.fault is None and code == 480 and progress:
        return replace(row, fault="callee")
    return row


def _told(row: FinalCode, reason: str) -> FinalCode | None:
    rule = told_by(row.code, reason)
    if rule is None:
        return None
    return replace(
        row,
        fault=rule.fault,
        detail=rule.detail or row.detail,
        outcome=rule.outcome or row.outcome,
    )


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
