"""Causes of ITU-T Q.850 that come in a Reason header (RFC 3326), and the SIP codes they stand for.

The mapping is lossy and each vendor has its own: keep the native value, derive the other. Codes as
in RFC 3398 section 7.2.4.1 and 8.2.6.1, with what Oracle and FreeSWITCH document where the RFC is
silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: its number, its name, and the SIP code it maps to.

    `code` is None where the cause ends an answered call (16) or has no code of its own. `fault` is
    one of `conventions.FAULTS`, None where the cause does not decide.
    """

    number: int
    text: str
    code: int | None
    fault: str | None = None


# fmt: off
_ROWS: Final = (
    Cause(1, "unallocated number", 404, "callee"),
    Cause(2, "no route to transit network", 404, "carrier"),
    Cause(3, "no route to destination", 404, "carrier"),
    Cause(16, "normal call clearing", None),
    Cause(17, "user busy", 486, "callee"),
    Cause(18, "no user responding", 408, "callee"),
    Cause(19, "no answer from user", 480, "callee"),
    Cause(20, "subscriber absent", 480, "callee"),
    Cause(21, "call rejected", 403),
    Cause(22, "number changed", 410, "callee"),
    Cause(23, "redirection to new destination", 410, "callee"),
    Cause(25, "exchange routing error", 483, "carrier"),
    Cause(26, "non-selected user clearing", 404),
    Cause(27, "destination out of order", 502, "carrier"),
    Cause(28, "invalid number format", 484),
    Cause(29, "facility rejected", 501),
    Cause(31, "normal, unspecified", 480),
    Cause(34, "no circuit available", 503, "carrier"),
    Cause(38, "network out of order", 503, "carrier"),
    Cause(41, "temporary failure", 503, "carrier"),
    Cause(42, "switching equipment congestion", 503, "carrier"),
    Cause(44, "requested circuit not available", 503, "carrier"),
    Cause(47, "resource unavailable", 503, "carrier"),
    Cause(50, "requested facility not subscribed", 403, "operator"),
    Cause(52, "outgoing calls barred", 403, "operator"),
    Cause(54, "incoming calls barred", 403),
    Cause(55, "incoming calls barred within the group", 403),
    Cause(57, "bearer capability not authorized", 403, "operator"),
    Cause(58, "bearer capability not available", 503, "carrier"),
    Cause(65, "bearer capability not implemented", 488),
    Cause(70, "only restricted digital information", 488),
    Cause(79, "service not implemented", 501),
    Cause(87, "user not member of the group", 403),
    Cause(88, "incompatible destination", 503),
    Cause(102, "recovery on timer expiry", 504, "carrier"),
    Cause(111, "protocol error", 500),
    Cause(127, "interworking, unspecified", 500),
)
# fmt: on

CAUSES: Final[dict[int, Cause]] = {row.number: row for row in _ROWS}
"""Every cause that has a row, by its number."""

FAULTS: Final[dict[int, str]] = {
    number: cause.fault for number, cause in CAUSES.items() if cause.fault is not None
}
"""Whose fault a cause says that a failure is, where it says so."""

NORMAL: Final = frozenset({16})
"""Causes with which an answered call ends as it should."""


def sip_code(cause: int) -> int | None:
    """The SIP code that a cause stands for; None where it has none, or is not known."""
    found = CAUSES.get(cause)
    return None if found is None else found.code


def text(cause: int) -> str | None:
    """The name of a cause in words; None where it is not known."""
    found = CAUSES.get(cause)
    return None if found is None else found.text
