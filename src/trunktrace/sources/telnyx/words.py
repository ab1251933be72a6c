"""Telnyx's words for the end of a call, and what `sip_hangup_cause` holds besides SIP codes.

Sources: Telnyx's callback pages `call-hangup` and `texml-call-completed`, the Dial command's
`timeout_secs` and `time_limit_secs`.
"""

from __future__ import annotations

from typing import Final

from trunktrace.sources.shapes.jsonlines import Record, text_in
from trunktrace.sources.shapes.values import integer

ENDED_ANSWERED: Final = frozenset({"normal_clearing", "time_limit"})
"""Words of a call that was up. `normal_clearing` is also said when an application hangs up before
the answer, so it proves nothing; it does contradict a refusal."""

OUTCOMES: Final = {
    "call_rejected": "rejected",
    "originator_cancel": "canceled",
    "timeout": "no_answer",
    "user_busy": "busy",
    "not_found": "invalid_number",
    "no_answer": "no_answer",
}
"""What an unanswered call came to, where there is no code. `timeout` is the ringing time of the
Dial command that ran out; `unspecified` says nothing."""

_SOURCES: Final = frozenset({"caller", "callee"})
_MOST_REASON_CHARACTERS: Final = 255


def code_and_cause(value: object) -> tuple[int | None, int | None]:
    """(SIP code, Q.850 cause) of a `sip_hangup_cause`: "603" is a code, "16" is a cause.

    Both are None for `unspecified` and for what is neither.
    """
    number = integer(value)
    if number is None:
        return None, None
    if 200 <= number <= 699:
        return number, None
    return None, number if 1 <= number <= 127 else None


def hangup_source(value: object) -> str | None:
    """`caller` or `callee`; None for `unknown`."""
    word = value.lower() if isinstance(value, str) else None
    return word if word in _SOURCES else None


def error_text(value: object) -> str | None:
    """The text of a `telnyx_error`, which is null, a text, or an object with a code (`D35`)."""
    if isinstance(value, str):
        return value.strip()[:_MOST_REASON_CHARACTERS] or None
    if not isinstance(value, dict):
        return None
    error: Record = value  # pyright: ignore[reportUnknownVariableType] - JSON has text for keys
    said = ""
    for key in ("detail", "title", "message", "error_code", "code"):
        word = text_in(error, key)
        if word is not None and word not in said:
            said = f"{said} {word}".lstrip()[:_MOST_REASON_CHARACTERS]
    return said or None


def answered_by(value: object) -> str | None:
    """`human` or `machine` of a detection's result (`human_business`, `machine_end_beep`, ...)."""
    word = value.lower().partition("_")[0] if isinstance(value, str) else ""
    return {"human": "human", "machine": "machine", "fax": "machine"}.get(word)


def attestation(level: object, validated: object) -> str | None:
    """STIR's level A, B or C; None where the validation failed: then it is nobody's word."""
    if validated is False or (isinstance(validated, str) and validated.lower() == "false"):
        return None
    return level.upper() if isinstance(level, str) and level.upper() in {"A", "B", "C"} else None
