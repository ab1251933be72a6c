"""Calls outside LiveKit: `start_call(...)`, and `current_call()` for everybody."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanKind, StatusCode

from trunktrace import conventions as c
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.errors import ConfigurationError
from trunktrace.facts import FactFields
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import CALL_KEY, NO_CALL, LiveCall
from trunktrace.metrics import call_metrics
from trunktrace.processor import CallSpanProcessor
from trunktrace.propagation import FarEnd, far_end_of
from trunktrace.redaction import Redaction, secrets_of
from trunktrace.registry import calls
from trunktrace.watch import watch

if TYPE_CHECKING:
    from typing import Unpack

    from opentelemetry.context import Context

    from trunktrace.propagation.incoming import HeaderCarrier

_with_processor: Final[WeakSet[TracerProvider]] = WeakSet()
_install_lock: Final = threading.Lock()


def current_call() -> LiveCall:
    """The call that the running code belongs to.

    Found by the context in which the code runs, else by the current span's trace. Outside of any
    call the answer is False in a boolean sense and its methods do nothing.
    """
    found = otel_context.get_value(CALL_KEY)
    if isinstance(found, LiveCall) and not found.finished:
        return found
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return NO_CALL
    call = calls.owned.get(context.trace_id)
    shared = calls.shared.get(context.trace_id)
    if call is None and shared is not None:
        call = shared.of(context.span_id)
    return NO_CALL if call is None else call


@guarded
def ensure_processor(provider: object) -> None:
    """Add a `CallSpanProcessor` to an SDK provider, once; leave any other provider alone."""
    if not isinstance(provider, TracerProvider):
        return
    with _install_lock:
        if provider in _with_processor:
            return
        _with_processor.add(provider)
        if not _already_there(provider):
            provider.add_span_processor(CallSpanProcessor())


def _already_there(provider: TracerProvider) -> bool:
    # No public way tells a provider's processors. Where this name is gone a second processor is
    # added, which does the same once more: dearer, and nothing else.
    multi = getattr(provider, "_active_span_processor", None)
    present = getattr(multi, "_span_processors", ())
    return any(isinstance(processor, CallSpanProcessor) for processor in present)


def tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    """Makes spans of our own scope with this provider."""
    return provider.get_tracer(c.SCOPE_NAME, schema_url=c.SCHEMA_URL)


def start_call(
    *,
    tracer_provider: trace.TracerProvider | None = None,
    parent: Context | None = None,
    redaction: Redaction | None = None,
    sip_headers: HeaderCarrier | None = None,
    as_parent: bool = False,
    **facts: Unpack[FactFields],
) -> CallScope:
    """A call around a block of code that is not a LiveKit job.

    `with start_call(direction="inbound") as call:`, or `async with`. The block runs in a `sip.call`
    span (SERVER if inbound, else CLIENT), which is the root call span; every span below it gets the
    call's facts, and `call.record(...)` adds to them. Facts that are known can be given here.

    `tracer_provider` is the global one by default; a `CallSpanProcessor` is added to it if it has
    none. `parent` is an OpenTelemetry context for a parent from elsewhere. `redaction` is read from
    the environment by default. `sip_headers` are those of the INVITE (a dict, or pairs): the trace
    that they tell is linked, and a Session-ID becomes a fact. With `as_parent` that trace is the
    parent; only for trunks whose far end is yours, since whoever calls writes the headers. An
    exception of the block passes through unchanged; the span is then ERROR with the exception's
    class as `error.type`, without its text, which may hold a number.

    Raises ConfigurationError if both `parent` and `as_parent` are given, if the environment's
    `TRUNKTRACE_HASH_KEY` is not usable, or if `TRUNKTRACE_THRESHOLDS` names a wrong file.
    """
    Thresholds.find()
    provider = tracer_provider or trace.get_tracer_provider()
    if parent is not None and as_parent:
        raise ConfigurationError("as_parent", as_parent, "leave out as_parent, or parent")
    far_end = FarEnd() if sip_headers is None else far_end_of(sip_headers, secrets=_numbers(facts))
    if as_parent and far_end.link is not None:
        parent = trace.set_span_in_context(NonRecordingSpan(far_end.link.context))
        far_end = dataclasses.replace(far_end, link=None)
    redaction = redaction or Redaction.from_environment()
    return CallScope(provider, parent, redaction, facts, far_end)


def _numbers(facts: FactFields) -> frozenset[str]:
    given = (facts.get("caller_number"), facts.get("callee_number"))
    return secrets_of(*(number for number in given if isinstance(number, str)))


class CallScope(AbstractContextManager[LiveCall]):
    """The block of one call; made by `start_call`, entered once."""

    def __init__(
        self,
        provider: trace.TracerProvider,
        parent: Context | None,
        redaction: Redaction,
        facts: FactFields,
        far_end: FarEnd,
    ) -> None:
        self._provider = provider
        self._parent = parent
        self._redaction = redaction
        self._facts = facts
        self._far_end = far_end
        self._call: LiveCall | None = None
        self._token: object | None = None

    def __enter__(self) -> LiveCall:
        if self._call is not None:
            raise RuntimeError("a call is entered once: use start_call() for each call")
        ensure_processor(self._provider)
        tracer = tracer_of(self._provider)
        inbound = self._facts.get("direction") == "inbound"
        parent = self._parent if self._parent is not None else otel_context.get_current()
        kind = SpanKind.SERVER if inbound else SpanKind.CLIENT
        link, session_id = self._far_end.link, self._far_end.session_id
        links = [] if link is None else [link]
        span = tracer.start_span(c.SPAN_CALL, context=parent, kind=kind, links=links)
        parent_span = trace.get_current_span(parent).get_span_context()
        self._call = call = open_call(
            span, owns_trace=not parent_span.is_valid, redaction=self._redaction
        )
        call.tracer_provider = self._provider
        call.is_phone_call = True
        call.observe({"session_id": session_id}, source="sip")
        if self._far_end.trace_id is not None:
            call.annotate({c.TRUNKTRACE_LINK_TRACE_ID: self._far_end.trace_id})
        call.record(**self._facts)
        within = otel_context.set_value(CALL_KEY, call, trace.set_span_in_context(span, parent))
        self._token = otel_context.attach(within)
        return call

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        call = self._call
        if call is None:
            return
        with swallowing("start_call.exit"):
            if self._token is not None:
                otel_context.detach(self._token)  # type: ignore[arg-type]
        with swallowing("start_call.finish"):
            _end(call, error)

    async def __aenter__(self) -> LiveCall:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


def open_call(span: trace.Span, *, owns_trace: bool, redaction: Redaction | None) -> LiveCall:
    """Register a call whose root call span is `span`, sampled or not."""
    watch.install()
    call_metrics.install()
    context = span.get_span_context()
    call = LiveCall(
        trace_id=context.trace_id, root_span_id=context.span_id, root=span, redaction=redaction
    )
    calls.open(call, owns_trace=owns_trace)
    return call


def _end(call: LiveCall, error: BaseException | None) -> None:
    call.conclude()
    root = call.root
    try:
        if root is not None:
            if isinstance(error, Exception):
                root.set_attribute(c.ERROR_TYPE, type(error).__qualname__)
                root.set_status(StatusCode.ERROR)
            root.end()
    finally:
        # An unsampled root reaches no processor, so nothing else would finish the call.
        calls.close(call)
