"""Whether another trunk may be tried after an attempt, and what the attempt's span says.

Pure; the one table is `sip/codes.py`. The rule: going on is legitimate after a transport error,
after no answer at all, and after a final code that says "not here, not now" (408, 480, 500 to 504,
580), and only without progress: a callee whose phone has rung would be called twice. RFC 3261,
8.1.3.1 and 21.5.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunktrace.sip.codes import FinalCode, meaning_of, unanswered
from trunktrace.timeline import Attempt

_FIRST_ERROR: Final = 400
_TERMINATED: Final = 487
_ERROR_TYPE_OF: Final = {"no_response": "timeout"}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether another trunk may be tried (`goes_on`), and why or why not, in words for a person."""

    goes_on: bool
    why: str


def ending_of_attempt(attempt: Attempt) -> FinalCode | None:
    """What the end of an attempt means: outcome, detail, fault; None while it goes on."""
    if attempt.status_code is not None:
        return meaning_of(attempt.status_code, reason=attempt.reason, progress=attempt.progress)
    if attempt.failure is not None:
        return unanswered(attempt.failure, progress=attempt.progress)
    return None


def decide(attempt: Attempt, *, after_progress: bool = False) -> Decision:
    """Whether another trunk may be tried after this attempt.

    `after_progress` allows it where a 18x had come, too, and after our own ringing timeout.
    Progress that nobody could see (None) counts as none after a final answer, for a refusal has
    ended any ringing, and where nothing was sent or nothing came back (`transport`, `dns`,
    `no_response`). It counts as progress after our own ringing timeout (`timeout`). After
    `client_error` nobody knows whether an INVITE is still out: the answer holds only once the
    participant is seen to be gone.
    """
    ending = ending_of_attempt(attempt)
    if ending is None:
        return Decision(False, "the attempt has not ended")
    name = attempt_result(attempt)
    if attempt.answered:
        return Decision(False, f"{name}: answered")
    if attempt.own_cancel or name == "canceled":
        return Decision(False, f"{name}: our side gave the call up")
    if not ending.goes_on and not (after_progress and name == "timeout"):
        return Decision(
            False, f"{name}: {ending.meaning or 'this end'} is no case for another trunk"
        )
    if attempt.progress and not after_progress:
        return Decision(False, f"{name} after progress (18x): the callee's phone may have rung")
    if name == "client_error":
        return Decision(True, f"{name}: another trunk may be tried once the participant is gone")
    return Decision(True, f"{name}: another trunk may be tried")


def attempt_result(attempt: Attempt) -> str:
    """The end of an attempt in one word: `503`, `timeout`; `open` while it goes on."""
    if attempt.status_code is not None:
        return str(attempt.status_code)
    return attempt.failure or "open"


def is_error(attempt: Attempt) -> bool:
    """Whether the attempt's CLIENT span is ERROR.

    For each final code from 400, but a 487 after our own CANCEL, and for each end without a final
    answer, but our own CANCEL.
    """
    if attempt.status_code is None:
        return attempt.failure not in (None, "canceled")
    if attempt.status_code == _TERMINATED and attempt.own_cancel:
        return False
    return attempt.status_code >= _FIRST_ERROR


def error_type(attempt: Attempt) -> str | None:
    """`error.type` of the attempt's span: the code, or a word where there is none; else None.

    `other` and `client_error` are left to the caller, who has the exception.
    """
    if not is_error(attempt):
        return None
    if attempt.status_code is not None:
        return str(attempt.status_code)
    return _ERROR_TYPE_OF.get(attempt.failure or "", attempt.failure)
