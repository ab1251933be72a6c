"""Telnyx's own codes, which stand at the end of its reason phrases (`403 Forbidden D36`).

Only what is documented, and only for calls: codes of REGISTER are left out. Sources: Telnyx's
support article "Telnyx SIP Response Codes" (May 2026) and its page "SIP Response Codes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TelnyxCode:
    """What one code of Telnyx's means beside the SIP codes with which it comes.

    `outcome`, `detail` and `fault` are what is then meant instead of what the SIP code says alone;
    None leaves outcome and detail as they are, and blames nobody.
    """

    name: str
    codes: frozenset[int]
    meaning: str
    outcome: str | None = None
    detail: str | None = None
    fault: str | None = None


def _code(
    name: str,
    codes: int | tuple[int, ...],
    meaning: str,
    outcome: str | None = None,
    detail: str | None = None,
    fault: str | None = None,
) -> TelnyxCode:
    found = frozenset({codes} if isinstance(codes, int) else codes)
    return TelnyxCode(name, found, meaning, outcome, detail, fault)


_LIMIT: Final = ("congestion", "our_limit", "operator")
_CONFIGURATION: Final = ("failed", "configuration", "operator")
_ACCOUNT: Final = ("failed", "account", "operator")
_AUTH: Final = ("failed", "auth", "operator")
_CALLER_ID: Final = ("rejected", "caller_id", "operator")
_NUMBER: Final = ("invalid_number", "unallocated", "callee")
_COUNTRY: Final = ("rejected", "geo_permission", "operator")
_MALFORMED: Final = ("failed", "malformed", "platform")
_MEDIA: Final = ("failed", "media", "operator")
_SCREENED: Final = ("rejected", "screening", "operator")
_BLOCKED: Final = ("blocked", "carrier_blocked", "intermediary")
_ANALYTICS: Final = ("blocked", "analytics", "intermediary")
_NO_ROUTE: Final = (None, "no_route", "carrier")

# fmt: off
# One line a code: the table is read as a table.
_ROWS: Final = (
    _code("B3", 488, "the connection wants SRTP, the INVITE has none", *_MEDIA),
    _code("D1", (403, 486, 503), "concurrent calls of the account", *_LIMIT),
    _code("D2", (403, 486, 503), "concurrent calls of the outbound profile", *_LIMIT),
    _code("D3", (403, 486, 503), "concurrent calls of the connection", *_LIMIT),
    _code("D4", (403, 486), "concurrent inbound calls of the connection", *_LIMIT),
    _code("D5", (403, 486), "channels of the numbers (legacy billing)", *_LIMIT),
    _code("D7", 403, "the connection has no outbound profile", *_CONFIGURATION),
    _code("D8", (403, 404), "no valid caller ID for an emergency call", *_CALLER_ID),
    _code("D9", 403, "rate of calls to one international destination", *_LIMIT),
    _code("D10", 403, "forbidden: a reserved header, or the account's limit", *_CONFIGURATION),
    _code("D11", (403, 404), "the destination number is invalid", *_NUMBER),
    _code("D12", 403, "the destination is not in the service plan", *_COUNTRY),
    _code("D13", 403, "the destination's country is not allowed", *_COUNTRY),
    _code("D14", (403, 404), "the dialled number is invalid", *_NUMBER),
    _code("D15", 403, "the outbound profile is disabled", *_CONFIGURATION),
    _code("D16", 403, "the connection is disabled", *_CONFIGURATION),
    _code("D17", 403, "the account is disabled", *_ACCOUNT),
    _code("D18", 404, "the connection is not active", *_CONFIGURATION),
    _code("D19", 404, "the account is blocked by billing", "failed", "billing", "operator"),
    _code("D21", 480, "the number leads to no destination", *_CONFIGURATION),
    _code("D22", (403, 486, 503), "channels of number, profile or connection", *_LIMIT),
    _code("D24", 403, "dearer than the profile allows", *_CONFIGURATION),
    _code("D25", 403, "no account with this address and user", *_AUTH),
    _code("D26", 403, "no connection with this address or user", *_AUTH),
    _code("D29", 403, "invalid X-Telnyx-Token or address", *_AUTH),
    _code("D30", 403, "SIP URI calling is not allowed", *_CONFIGURATION),
    _code("D31", 403, "settings of the SIP subdomain", *_CONFIGURATION),
    _code("D34", 403, "caller ID from outside the EEA", *_CALLER_ID),
    _code("D35", 403, "invalid caller ID", *_CALLER_ID),
    _code("D36", 403, "caller ID of somebody else", *_CALLER_ID),
    _code("D37", 403, "no emergency calls by Call Control", *_CONFIGURATION),
    _code("D38", 403, "the connection has no outbound profile", *_CONFIGURATION),
    _code("D39", 403, "daily spending limit", "failed", "billing", "operator"),
    _code("D40", 404, "no route to the destination", *_NO_ROUTE),
    _code("D41", 403, "prefix blocked against fraud", *_BLOCKED),
    _code("D42", 405, "REFER is not allowed", *_CONFIGURATION),
    _code("D44", 403, "invalid connection id", *_CONFIGURATION),
    _code("D46", 403, "caller ID on the do-not-originate list", *_CALLER_ID),
    _code("D48", 480, "no address in the number's routing", *_CONFIGURATION),
    _code("D49", 403, "caller ID that does not exist", *_CALLER_ID),
    _code("D50", 404, "destination that does not exist", *_NUMBER),
    _code("D51", 403, "caller ID that is not verified", *_CALLER_ID),
    _code("D52", (403, 603), "our own screening of inbound calls", *_SCREENED),
    _code("D53", 403, "caller and callee are one number", "loop", None, "operator"),
    _code("D54", 403, "caller ID restricted for its reputation", *_ANALYTICS),
    _code("D56", (403, 486), "channels of the account", *_LIMIT),
    _code("D57", 403, "HD voice is off for the number", *_MEDIA),
    _code("D58", 403, "restricted destination", *_BLOCKED),
    _code("D59", 404, "short number of another country", "invalid_number", None, "caller"),
    _code("D60", 403, "the account may call verified numbers only", *_ACCOUNT),
    _code("D61", (403, 486), "the account may not take this call", *_ACCOUNT),
    _code("D63", (403, 404), "the caller ID is not ported yet", *_CALLER_ID),
    _code("D64", (403, 404), "the caller ID is not ready", *_CALLER_ID),
    _code("D65", 486, "the number is not ready", *_CONFIGURATION),
    _code("P05", 503, "calls per second", *_LIMIT),
    _code("P06", 513, "message over 6144 bytes", *_MALFORMED),
    _code("P14", 403, "request URI over 512 bytes", *_MALFORMED),
    _code("P18", 403, "no destination in the request", *_MALFORMED),
    _code("P51", 403, "Contact over 512 bytes", *_MALFORMED),
    _code("P83", 483, "too many hops", "loop"),
    _code("P93", 403, "a method that is not supported", *_MALFORMED),
    _code("PE1", 503, "no route found", *_NO_ROUTE),
    _code("PE2", 503, "no route found", *_NO_ROUTE),
    _code("PE3", 503, "no route found", *_NO_ROUTE),
    _code("PE4", 503, "no route found", *_NO_ROUTE),
    _code("PE5", 503, "no route found", *_NO_ROUTE),
    _code("PE6", 503, "no route found", *_NO_ROUTE),
    _code("R14", 403, "no user name", *_AUTH),
    _code("R16", 403, "user name with invalid characters", *_AUTH),
    _code("R17", 403, "user name too short", *_AUTH),
    _code("R18", 403, "user name that is not that of From and To", *_AUTH),
    _code("RG1", 480, "our connection is not registered", "failed", "not_registered", "operator"),
    _code("TM1", 403, "no rates for the destination", "failed", "no_route", "carrier"),
    _code("TV1", 503, "several carriers beyond Telnyx failed", None, None, "carrier"),
)
# fmt: on

TELNYX_CODES: Final[dict[str, TelnyxCode]] = {row.name: row for row in _ROWS}
"""Every code that is documented for calls, by its name."""

_NAME: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[DPR][0-9]{1,2}|B3|PE[1-6]|RG1|T[MV]1)(?![A-Za-z0-9])"
)


def telnyx_code(code: int, text: str) -> TelnyxCode | None:
    """The code of Telnyx's in a reason phrase; None where there is none for this SIP code."""
    rows = (TELNYX_CODES.get(name) for name in _NAME.findall(text))
    return next((row for row in rows if row is not None and code in row.codes), None)
