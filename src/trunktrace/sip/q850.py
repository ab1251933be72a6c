"""Causes of ITU-T Q.850 that come in a Reason header (RFC 3326), and the SIP codes they stand for.

The mapping is lossy and each vendor has its own: keep the native value, derive the other. Codes as
in RFC 3398 section 7.2.4.1 and 8.2.6.1, with what Oracle and FreeSWITCH document where the RFC is
silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: its number, its name, and the SIP code it maps to.

    `code` is None where the cause ends an answered call (16), or where none of the sources gives it
    a code. `fault` is
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
    Cause(4, "send special information tone", None),
    Cause(5, "misdialled trunk prefix", None),
    Cause(6, "channel unacceptable", None),
    Cause(7, "call awarded, being delivered in an established channel", None),
    Cause(8, "preemption", None),
    Cause(14, "ported number", None),
    Cause(16, "normal call clearing", None),
    Cause(17, "user busy", 486, "callee"),
    Cause(18, "no user responding", 408, "callee"),
    Cause(19, "no answer from user", 480, "callee"),
    Cause(20, "subscriber absent", 480, "callee"),
    Cause(21, "call rejected", 403),
    Cause(22, "number changed", 410, "callee"),
    Cause(23, "redirection to new destination", 410, "callee"),
    Cause(24, "call rejected due to feature at the destination", None),
    Cause(25, "exchange routing error", 483, "carrier"),
    Cause(26, "non-selected user clearing", 404),
    Cause(27, "destination out of order", 502, "carrier"),
    Cause(28, "invalid number format", 484),
    Cause(29, "facility rejected", 501),
    Cause(30, "response to status enquiry", None),
    Cause(31, "normal, unspecified", 480),
    Cause(34, "no circuit available", 503, "carrier"),
    Cause(38, "network out of order", 503, "carrier"),
    Cause(41, "temporary failure", 503, "carrier"),
    Cause(42, "switching equipment congestion", 503, "carrier"),
    Cause(43, "access information discarded", None),
    Cause(44, "requested circuit not available", 503, "carrier"),
    Cause(46, "precedence call blocked", None),
    Cause(47, "resource unavailable", 503, "carrier"),
    Cause(49, "quality of service not available", None),
    Cause(50, "requested facility not subscribed", 403, "operator"),
    Cause(52, "outgoing calls barred", 403, "operator"),
    Cause(53, "outgoing calls barred within the group", None),
    Cause(54, "incoming calls barred", 403),
    Cause(55, "incoming calls barred within the group", 403),
    Cause(57, "bearer capability not authorized", 403, "operator"),
    Cause(58, "bearer capability not available", 503, "carrier"),
    Cause(62, "inconsistency in access information and subscriber class", None),
    Cause(63, "service or option not available", None),
    Cause(65, "bearer capability not implemented", 488),
    Cause(66, "channel type not implemented", None),
    Cause(69, "requested facility not implemented", None),
    Cause(70, "only restricted digital information", 488),
    Cause(79, "service not implemented", 501),
    Cause(81, "invalid call reference", None),
    Cause(82, "identified channel does not exist", None),
    Cause(86, "call having the requested call identity has been cleared", None),
    Cause(87, "user not member of the group", 403),
    Cause(88, "incompatible destination", 503),
    Cause(90, "group does not exist", None),
    Cause(91, "invalid transit network selection", None),
    Cause(95, "invalid message, unspecified", None),
    Cause(96, "mandatory information element missing", None),
    Cause(97, "message type non-existent", None),
    Cause(98, "message not compatible with call state", None),
    Cause(99, "information element non-existent", None),
    Cause(100, "invalid information element contents", None),
    Cause(101, "message not compatible with call state", None),
    Cause(102, "recovery on timer expiry", 504, "carrier"),
    Cause(103, "parameter non-existent, passed on", None),
    Cause(110, "message with unrecognized parameter discarded", None),
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

Dialect = Literal["rfc3398", "freeswitch", "oracle"]
"""Whose mapping from SIP codes to causes is meant."""

# fmt: off
_FROM_SIP: Final[dict[Dialect, dict[int, int]]] = {
    # Section 8.2.6.1; 488 and 606 go by the Warning header there.
    "rfc3398": {
        400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22,
        413: 127, 414: 127, 415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41,
        482: 25, 483: 25, 484: 28, 485: 1, 486: 17, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102,
        505: 127, 513: 127, 600: 17, 603: 21, 604: 1,
    },
    # mod_sofia; 487 and 607 are causes of its own beyond Q.850.
    "freeswitch": {
        200: 16, 400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 407: 21, 408: 102, 410: 22, 480: 18,
        481: 41, 482: 25, 483: 25, 484: 28, 485: 3, 486: 17, 488: 88, 500: 41, 502: 38, 503: 41,
        504: 102, 600: 17, 603: 21, 604: 3, 606: 88, 608: 21,
    },
    # "Interworking SIP Response to ISUP Cause Values".
    "oracle": {
        400: 111, 403: 79, 404: 1, 408: 102, 410: 22, 414: 111, 416: 111, 417: 79, 420: 111,
        421: 111, 422: 31, 433: 24, 480: 20, 483: 25, 484: 28, 485: 1, 486: 17, 488: 50, 501: 79,
        502: 27, 503: 41, 504: 102, 513: 95, 600: 17, 603: 21, 604: 2, 606: 88,
    },
}
# fmt: on
_OTHERS: Final[dict[Dialect, int]] = {"freeswitch": 31, "oracle": 127}
"""What a dialect makes of every other failure."""

_BEYOND: Final[dict[Dialect, frozenset[int]]] = {"freeswitch": frozenset({487, 607})}


def sip_code(cause: int) -> int | None:
    """The SIP code that a cause stands for; None where it has none, or is not known.

    Where a cause's location is the user, a call rejected (21) is 603; here it is 403.
    """
    found = CAUSES.get(cause)
    return None if found is None else found.code


def cause_of(code: int, dialect: Dialect = "rfc3398") -> int | None:
    """The cause that an element of this dialect makes of a final SIP code.

    It is derived: each vendor maps otherwise, and two ways do not meet (480 becomes 18 or 20, and
    18 becomes 408). None where the dialect has none, and for what is no failure.
    """
    found = _FROM_SIP[dialect].get(code)
    if found is not None or not 300 <= code <= 699 or code in _BEYOND.get(dialect, frozenset()):
        return found
    return _OTHERS.get(dialect)


def text(cause: int) -> str | None:
    """The name of a cause in words; None where it is not known."""
    found = CAUSES.get(cause)
    return None if found is None else found.text
