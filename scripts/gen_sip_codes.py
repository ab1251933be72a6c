"""Writes docs/reference/sip-codes.md from the tables of `trunktrace.sip`.

`--check` changes nothing and fails if the page is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from trunktrace.sip.codes import CODES, TEXT_RULES, UNANSWERED, FinalCode
from trunktrace.sip.q850 import CAUSES, Dialect, cause_of
from trunktrace.sip.telnyx_codes import TELNYX_CODES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "sip-codes.md"

HEAD = """\
# SIP codes, reason phrases and Q.850 causes

<!-- Made by scripts/gen_sip_codes.py from the tables of trunktrace.sip. Do not edit. -->

What a final answer to an INVITE means. The outcome becomes `sip.call.outcome`, the detail
`sip.call.outcome_detail`, the fault `trunk.fault`. How evidence beyond the code decides is
explained in [Whose fault](../explanation/whose-fault.md).

In this order: the reason phrase, where it says more than the code; the code; the Q.850 cause, where
the code does not decide between two sides; a 18x before a 480, which makes it the callee's.
"""

CODES_HEAD = """\
## Final codes

No fault (`-`): two sides may have sent it, and nothing beside the code decides. `caller` is who
dialled: 484 and 485 are about the digits that were sent, 433 about a caller who hides. *Another
trunk*: whether one may be tried; never after progress (a 18x), for two phones must not ring. A code
without a row means what its class means, and nobody is blamed. The span of an attempt
(`sip.invite`) is an error for each code from 400, but for a 487 after our own CANCEL.
"""

UNANSWERED_HEAD = """\
## No final answer

An attempt that ended without one, by `failure` of the attempt. Our own ringing timeout is
`no_response` where the participant was seen and no 18x came; where nobody could see it, it counts
as one that rang. After a `client_error` nobody knows whether an INVITE was sent: going on is right
only once the participant is removed and gone.
"""

TEXTS_HEAD = """\
## Reason phrases

Read beside these codes (*any*: every code from 300), in this order; the first that fits decides.
What stands here is documented by a carrier, or is a common phrase. A phrase is read to 1,024
characters. Text of a Reason header and of `X-Twilio-Error` counts as part of it.
"""

TELNYX_HEAD = """\
## Telnyx's codes

Telnyx puts a code of its own at the end of the phrase (`403 Forbidden D36`), and into
`telnyx_error` of its webhooks. They are read before the phrases above. Only documented ones, and
only those of calls. Outcome `-`: that of the SIP code.
"""

Q850_HEAD = """\
## Q.850 causes

From the Reason header (RFC 3326), or from an element that has them natively. *SIP code*: RFC 3398
section 7.2.4.1, and where that is silent what Oracle and FreeSWITCH document. RFC 3398 makes a call
rejected (21) a 603 where the cause's location is the user: that is not told apart here.
"""

REVERSE_HEAD = """\
## SIP code to Q.850 cause

What an element makes of a final code, by its dialect: RFC 3398 section 8.2.6.1, FreeSWITCH
(mod_sofia), Oracle SBC. The two ways do not meet, and vendors differ: the native value is kept, and
another one is only ever derived. Every other failure: none, 31, 127.
"""


def page() -> str:
    """The whole page."""
    parts = [
        HEAD,
        CODES_HEAD,
        _table(("code", "meaning", "outcome", "detail", "fault", "another trunk"),
               (_code(str(row.code), row) for row in CODES.values())),
        UNANSWERED_HEAD,
        _table(("failure", "meaning", "outcome", "detail", "fault", "another trunk"),
               (_code(f"`{name}`", row) for name, row in UNANSWERED.items())),
        TEXTS_HEAD,
        _table(("phrase (regular expression)", "codes", "outcome", "detail", "fault"), _texts()),
        TELNYX_HEAD,
        _table(("code", "with", "meaning", "outcome", "detail", "fault"), _telnyx()),
        Q850_HEAD,
        _table(("cause", "name", "SIP code", "fault"), _causes()),
        REVERSE_HEAD,
        _table(("code", "RFC 3398", "FreeSWITCH", "Oracle"), _reverse()),
    ]  # fmt: skip
    return "\n".join(parts).rstrip() + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join('-' if one is None else str(one) for one in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _code(name: str, row: FinalCode) -> tuple[object, ...]:
    return (name, row.meaning, row.outcome, row.detail, row.fault, "yes" if row.goes_on else "no")


def _listed(codes: frozenset[int] | None) -> str:
    return ", ".join(map(str, sorted(codes))) if codes else "any"


def _texts() -> Iterable[tuple[object, ...]]:
    for rule in TEXT_RULES:
        pattern = rule.pattern.pattern.replace("|", "\\|")
        yield f"`{pattern}`", _listed(rule.codes), rule.outcome, rule.detail, rule.fault


def _telnyx() -> Iterable[tuple[object, ...]]:
    for row in TELNYX_CODES.values():
        yield row.name, _listed(row.codes), row.meaning, row.outcome, row.detail, row.fault


def _causes() -> Iterable[tuple[object, ...]]:
    for cause in CAUSES.values():
        yield cause.number, cause.text, cause.code, cause.fault


def _reverse() -> Iterable[tuple[object, ...]]:
    dialects: tuple[Dialect, ...] = ("rfc3398", "freeswitch", "oracle")
    others = tuple(cause_of(699, dialect) for dialect in dialects)
    for code in CODES:
        told = tuple(cause_of(code, dialect) for dialect in dialects)
        if told != others:
            yield code, *told


def main() -> int:
    """Write the page, or say that it is old."""
    made = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == made:
        return 0
    print(f"{PAGE.name} is old: run python scripts/gen_sip_codes.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
