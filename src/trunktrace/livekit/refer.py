"""A SIP REFER as a CLIENT span of the call, `sip.refer`: to whom, and what became of it.

The call goes on when a transfer is refused, so nothing of it touches the call's own facts: code,
outcome and fault stand on the span alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.clock import clock
from trunktrace.facts import CallFacts
from trunktrace.guard import guarded
from trunktrace.livecall import LiveCall
from trunktrace.livekit.failures import failure_of_error, sip_answer
from trunktrace.livekit.requests import below
from trunktrace.merge import RESULT_KEYS
from trunktrace.redaction import RedactedNumber, Redaction, scrub
from trunktrace.sip.codes import FinalCode, meaning_of, unanswered
from trunktrace.timeline import Mark
from trunktrace.voice.transfers import transferred_to

SOURCE: Final = "livekit"
OTHER: Final = "_OTHER"

_FIRST_FAILURE: Final = 300
_OWN: Final = RESULT_KEYS | {c.TRUNK_FAULT, c.RTP_LOSS_RATIO, c.RTP_LOSS_METHOD}
"""Facts of the call that the span does not take over: it has its own, or none."""

_OF_THE_LEG: Final = (
    c.TRUNK_ID,
    c.SIP_CALLER_NUMBER,
    c.SIP_CALLER_HASH,
    c.SIP_CALLEE_NUMBER,
    c.SIP_CALLEE_HASH,
)
"""Facts of the call that no other span of it has: whom it transfers, and over which trunk."""

_UNBLAMED: Final = frozenset({405, 481, 491, 501, 603})
"""Answers to the REFER itself as well, which in the table of INVITEs are somebody's fault: here
they may say that the far end takes no REFER, or not now."""

_SUCCESSFUL: Final = "STS_TRANSFER_SUCCESSFUL"
_UNSAID: Final = frozenset({None, "STS_TRANSFER_ONGOING", "STR_UNSPECIFIED"})
_FAILURES: Final = {"STR_RINGING_TIMEOUT": "timeout", "STR_CANCELED": "canceled"}
"""LiveKit's SIPTransferReason, as in `Attempt.failure`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a transfer. `done` is None where nobody says: our side has given it up.

    `code` and `reason` are the final NOTIFY's or the REFER's own answer. `failure` is as in
    `Attempt.failure`, `told` LiveKit's SIPTransferReason; each None where it is not said.
    """

    done: bool | None
    code: int | None = None
    reason: str | None = None
    failure: str | None = None
    told: str | None = None


async def transfer(
    call: LiveCall,
    tracer: Callable[[], Tracer],
    redaction: Redaction,
    request: Any,
    send: Callable[[], Awaitable[Any]],
    other: CallFacts | None = None,
) -> Any:
    """Send the request, and say what becomes of it; its answer and exceptions pass unchanged.

    `other` is what is known of the participant that is transferred where that is another leg of
    the room: then it is no transfer of the call. None where it is the call's own.
    """
    refer = _started(call, tracer, redaction, request, other)
    if refer is None:
        return await send()
    try:
        with below(refer.span):
            answer = await send()
    except BaseException as error:
        refer.end(ending_of_error(error), type(error).__qualname__)
        raise
    refer.end(ending_of_answer(answer))
    return answer


@guarded
def _started(
    call: LiveCall,
    tracer: Callable[[], Tracer],
    redaction: Redaction,
    request: Any,
    other: CallFacts | None,
) -> _Refer:
    target = str(getattr(request, "transfer_to", "") or "")
    return _Refer(call, tracer(), redaction.number(target), transferred_to(target), other)


class _Refer:
    """A transfer from the request on; ended once."""

    def __init__(
        self,
        call: LiveCall,
        tracer: Tracer,
        target: RedactedNumber | None,
        to: str,
        other: CallFacts | None,
    ) -> None:
        self._call = call
        self._other = other
        self._start_ns = clock.now_ns()
        self._to = to
        self.span: Span = tracer.start_span(
            c.SPAN_REFER, kind=SpanKind.CLIENT, start_time=self._start_ns
        )
        if self.span.is_recording():
            self.span.set_attributes({**self._facts(), c.VOICE_AGENT_TRANSFER_TO: to})
            if target is not None:
                self.span.set_attribute(c.SIP_REFER_TARGET, target.masked)

    @guarded
    def end(self, ending: Ending, raised: str | None = None) -> None:
        """`raised` is the class of what the request raised, None where it returned."""
        end_ns = clock.now_ns()
        try:
            self._mark(ending, end_ns)
            if self.span.is_recording():
                self._tell(ending, raised, end_ns)
        finally:
            self.span.end(end_time=end_ns)

    def _tell(self, ending: Ending, raised: str | None, end_ns: int) -> None:
        span = self.span
        span.set_attributes({**self._facts(), **_stated(ending, self._call)})
        views = self._call.spans.views
        if self._other is None and views and c.RTP_LOSS_RATIO in views[0].keys:
            own = span.get_span_context().span_id
            loss = self._call.loss_of(c.SPAN_REFER, own, self._start_ns, end_ns)
            span.set_attributes(dict(loss))
        if ending.done is False:
            span.set_status(StatusCode.ERROR)
            span.set_attribute(c.ERROR_TYPE, _error_type(ending, raised))

    def _facts(self) -> dict[str, Value]:
        return _facts_of(self._call) if self._other is None else _facts_beside(self._other)

    def _mark(self, ending: Ending, end_ns: int) -> None:
        if ending.done is not None and self._other is None:
            result = "ok" if ending.done else "failed"
            mark_transfer(self._call, f"{self._to}:{result}", self._start_ns / 1e9, end_ns / 1e9)


@guarded
def mark_transfer(call: LiveCall, value: str, start: float, end: float) -> None:
    """A transfer of the call and what became of it: `human:ok`. Times are unix seconds."""
    if not call.finished:
        call.mark(Mark(kind="transfer", start=start, end=end, value=value, source=SOURCE))


# What LiveKit says ----------------------------------------------------------------------------


def ending_of_error(error: BaseException) -> Ending:
    """What an exception of the request says. A cancelled one says nothing of the transfer."""
    if not isinstance(error, Exception):
        return Ending(None, failure="canceled")
    code, reason = sip_answer(error)
    told = _transfer_reason(error)
    if code is not None:
        return Ending(False, code=code, reason=reason, told=told)
    failure = _FAILURES.get(told or "") or failure_of_error(error)
    return Ending(False, reason=reason, failure=failure, told=told)


def ending_of_answer(answer: Any) -> Ending:
    """What the answer of a request that did not raise says.

    A server that states a status has completed the transfer only if it says so (livekit-api,
    `transfer_sip_participant`). Older ones state nothing: they answer when the final NOTIFY has
    come, and raise where the transfer has failed.
    """
    status, told = _enum(answer, "status"), _enum(answer, "reason")
    final = getattr(answer, "sip_status", None)
    code = int(getattr(final, "code", 0) or 0) or None
    reason = _text(getattr(final, "status", None))
    states = bool(getattr(answer, "transfer_id", "")) or not {status, told} <= _UNSAID
    if code is not None and code >= _FIRST_FAILURE:
        return Ending(False, code=code, reason=reason, told=told)
    if status == _SUCCESSFUL or not states:
        return Ending(True, code=code, reason=reason, told=told)
    return Ending(False, reason=reason, failure=_FAILURES.get(told or "", "other"), told=told)


def _transfer_reason(error: BaseException) -> str | None:
    metadata: object = getattr(error, "metadata", None)
    if not isinstance(metadata, Mapping):
        return None
    return _text(cast("Mapping[str, object]", metadata).get("sip_transfer_reason"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _enum(message: Any, field: str) -> str | None:
    """The name of an enum field of a protobuf message; None where it has no such field."""
    descriptor = getattr(getattr(message, "DESCRIPTOR", None), "fields_by_name", {}).get(field)
    kind = getattr(descriptor, "enum_type", None)
    if kind is None:
        return None
    named = kind.values_by_number.get(getattr(message, field))
    return None if named is None else str(named.name)


# What the span says ---------------------------------------------------------------------------


def _facts_of(call: LiveCall) -> dict[str, Value]:
    """What any span of the call inherits but its answer and its loss; its trunk id and numbers."""
    views = call.spans.views
    inherited: Mapping[str, Value] = views[0].snapshot if views else {}
    known = call.attributes
    facts = {key: value for key, value in inherited.items() if key not in _OWN}
    return facts | {key: known[key] for key in _OF_THE_LEG if key in known}


def _facts_beside(leg: CallFacts) -> dict[str, Value]:
    return {key: value for key, value in leg.attributes().items() if key not in _OWN}


def _stated(ending: Ending, call: LiveCall) -> dict[str, Value]:
    meaning = _meaning(ending)
    reason = None if ending.reason is None else scrub(ending.reason, call.secrets)
    result = {None: None, True: "completed", False: "failed"}[ending.done]
    told = None if ending.told in _UNSAID else str(ending.told).removeprefix("STR_").lower()
    stated: dict[str, Value | None] = {
        c.VOICE_AGENT_TRANSFER_RESULT: result,
        c.SIP_RESPONSE_STATUS_CODE: ending.code,
        c.SIP_RESPONSE_REASON: reason,
        c.LIVEKIT_TRANSFER_REASON: told,
        c.SIP_CALL_OUTCOME: meaning.outcome,
        c.SIP_CALL_OUTCOME_DETAIL: meaning.detail,
        c.TRUNK_FAULT: None if ending.code in _UNBLAMED else meaning.fault,
    }
    return {key: value for key, value in stated.items() if value is not None}


def _meaning(ending: Ending) -> FinalCode:
    nothing = FinalCode(0, "", None)
    if ending.done or (ending.code is None and ending.failure in (None, "other")):
        return nothing
    if ending.code is not None:
        return meaning_of(ending.code, reason=ending.reason)
    if ending.failure == "timeout" and ending.told is None:
        # The API did not answer in time: nobody says that a phone rang.
        return nothing
    return unanswered(str(ending.failure))


def _error_type(ending: Ending, raised: str | None) -> str:
    if ending.code is not None:
        return str(ending.code)
    if ending.failure in (None, "other", "client_error"):
        return raised or OTHER
    return "timeout" if ending.failure == "no_response" else str(ending.failure)
