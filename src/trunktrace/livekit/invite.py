"""One outbound INVITE as a CLIENT span, `sip.invite`: its own trunk, what became of it, and when.

It states its own facts: an attempt that failed keeps its carrier when the call goes on to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.facts import checked
from trunktrace.guard import guarded
from trunktrace.livekit.asked import Request
from trunktrace.sip.codes import FinalCode
from trunktrace.sip.failover import ending_of_attempt, error_type, is_error
from trunktrace.sip.legs import Leg
from trunktrace.timeline import Attempt

_OPEN: Final = FinalCode(0, "open", None)
_NOBODY: Final[frozenset[Leg]] = frozenset()
_UNTOLD: Final = (c.SIP_RESPONSE_STATUS_CODE, c.SIP_RESPONSE_REASON, c.TRUNK_FAULT)
"""What LiveKit tells nobody where the request did not wait for the answer."""


class Invite:
    """An outbound INVITE from the request on; ended once.

    `attempt` is what is known of it now. `asked` is its request. `identity` is the participant's,
    None where LiveKit makes it up and has not said it yet. `leg` is the participant, once it has
    been seen; it is none of `former`, who were there before. `elsewhere`: nobody watches its room.
    """

    __slots__ = ("asked", "attempt", "elsewhere", "former", "identity", "leg", "number", "span")

    def __init__(
        self,
        attempt: Attempt,
        span: Span,
        *,
        number: int,
        asked: Request,
        former: frozenset[Leg] = _NOBODY,
        elsewhere: bool = False,
    ) -> None:
        self.attempt = attempt
        self.span = span
        self.number = number
        self.asked = asked
        self.former = former
        self.elsewhere = elsewhere
        self.identity = asked.identity
        self.leg: Leg | None = None

    @property
    def waits(self) -> bool:
        """Whether the request returns with the answer."""
        return self.asked.waits

    @property
    def is_over(self) -> bool:
        """Whether its end was told."""
        return self.attempt.end is not None

    @guarded
    def end(
        self,
        attempt: Attempt,
        error: BaseException | None = None,
        more: Mapping[str, Value] | None = None,
    ) -> None:
        """Say on the span what became of the attempt, and end it; `attempt` stands from now on.

        `error` is what its request raised; `more` are attributes that were not known before.
        """
        self.attempt = attempt
        span = self.span
        if not span.is_recording():
            return
        try:
            stated = _identity(attempt) | _ending(attempt) | self._times() | dict(more or {})
            span.set_attributes(stated)
            if error is None and attempt.status_code is None:
                span.set_attribute(c.TRUNKTRACE_UNOBSERVABLE, list(self._untold()))
            if is_error(attempt):
                span.set_status(StatusCode.ERROR)
                span.set_attribute(c.ERROR_TYPE, _error_type(attempt, error))
        finally:
            span.end(end_time=None if attempt.end is None else int(attempt.end * 1e9))

    def _untold(self) -> Sequence[str]:
        """What nobody can say of an attempt that ended without an answer to its request."""
        seen = self.leg
        times = {
            c.SIP_PDD_MS: seen is None,
            c.SIP_RING_MS: seen is None,
            c.SIP_SETUP_MS: seen is None,
        }
        return (*_UNTOLD, *(key for key, is_untold in times.items() if is_untold))

    def _times(self) -> dict[str, Value]:
        began, ended, leg = self.attempt.start, self.attempt.end, self.leg
        progress = None if leg is None else leg.progress_at
        answered = ended if self.attempt.answered and self._is_answer_timed() else None
        spans = {
            c.SIP_SETUP_MS: (began, answered),
            c.SIP_PDD_MS: (began, progress),
            c.SIP_RING_MS: (progress, answered),
        }
        return {
            key: (end - start) * 1000.0
            for key, (start, end) in spans.items()
            if start is not None and end is not None and end >= start
        }

    def _is_answer_timed(self) -> bool:
        """Whether the moment of the answer is known: a participant may be active when first seen.

        Then it was answered before.
        """
        if self.waits or self.leg is None:
            return self.waits
        return self.leg.dialing_at is not None or self.leg.progress_at is not None


def start_span(
    tracer: Tracer,
    attempt: Attempt,
    *,
    number: int,
    parties: Mapping[str, Value],
    after: SpanContext | None,
) -> Span:
    """The span of an attempt that is about to be sent, below the current one.

    `parties` are the masked numbers; `after` is the span of the attempt before, which it links to.
    """
    return tracer.start_span(
        c.SPAN_INVITE,
        kind=SpanKind.CLIENT,
        links=[Link(after)] if after is not None and after.is_valid else [],
        start_time=None if attempt.start is None else int(attempt.start * 1e9),
        attributes={
            c.SIP_CALL_DIRECTION: "outbound",
            c.SIP_ATTEMPT_NUMBER: number,
            **_identity(attempt),
            **parties,
        },
    )


def _identity(attempt: Attempt) -> dict[str, Value]:
    stated = {
        name: getattr(attempt, name)
        for name in ("trunk_id", "carrier", "route", "region", "livekit_call_id")
    }
    believed = (checked(name, value) for name, value in stated.items())
    return dict(pair for pair in believed if pair is not None)


def _ending(attempt: Attempt) -> dict[str, Value]:
    meaning = ending_of_attempt(attempt) or _OPEN
    retry = attempt.retry_after_s
    stated: dict[str, Value | None] = {
        c.SIP_RESPONSE_STATUS_CODE: attempt.status_code,
        c.SIP_RESPONSE_REASON: attempt.reason,
        c.SIP_ATTEMPT_PROGRESS: attempt.progress,
        c.SIP_RETRY_AFTER_MS: None if retry is None else retry * 1000.0,
        c.SIP_CALL_OUTCOME: meaning.outcome,
        c.SIP_CALL_OUTCOME_DETAIL: meaning.detail,
        c.TRUNK_FAULT: meaning.fault,
    }
    return {key: value for key, value in stated.items() if value is not None}


def _error_type(attempt: Attempt, error: BaseException | None) -> str:
    named = error_type(attempt)
    if named in (None, "other", "client_error"):
        return "_OTHER" if error is None else type(error).__qualname__
    return named
