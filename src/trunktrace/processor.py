"""The span processor that puts a call's facts on its spans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, get_current, get_value
from opentelemetry.sdk.trace import SpanProcessor

from trunktrace import conventions as c
from trunktrace.errors import ConfigurationError
from trunktrace.guard import guard
from trunktrace.livecall import CALL_KEY, LiveCall
from trunktrace.metrics import call_metrics, health
from trunktrace.registry import CallRegistry, calls
from trunktrace.turns import CALL_ROOT, ROLES
from trunktrace.watch import watch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import SpanContext

    from trunktrace.facts import AttributeValues
    from trunktrace.spans import SpanBook

# SpanContext is a tuple (trace id, span id, ...); its named properties cost five times an index.
_TRACE_ID: Final = 0
_SPAN_ID: Final = 1

_DEFAULT_KEYS = frozenset(c.INHERITED_BY_DEFAULT)
_interned: dict[frozenset[str], frozenset[str]] = {_DEFAULT_KEYS: _DEFAULT_KEYS}


def inherited_keys(inherit: Iterable[str] | None) -> frozenset[str]:
    """The keys that children get; the default seven (and the loss method) for None.

    Raises ConfigurationError for a key that is not in the vocabulary, that is a list, or that may
    hold a number in clear.
    """
    if inherit is None:
        return _DEFAULT_KEYS
    if isinstance(inherit, str) or not isinstance(inherit, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("inherit", inherit, "give a list of attribute keys")
    keys = frozenset(inherit)
    for key in sorted(keys):
        attribute = c.ATTRIBUTES.get(key)
        if attribute is None or attribute.scope not in ("inherited", "root"):
            raise ConfigurationError("inherit", key, "use keys of the attribute reference")
        if attribute.privacy == "pii":
            raise ConfigurationError("inherit", key, "leave it out: pii keys are never inherited")
        if attribute.type == "string[]":
            raise ConfigurationError("inherit", key, "leave it out: lists are never inherited")
    if c.RTP_LOSS_RATIO in keys:
        keys |= {c.RTP_LOSS_METHOD}
    # One object a set: the hot path compares by identity.
    return _interned.setdefault(keys, keys)


def is_ours(span: ReadableSpan) -> bool:
    """Whether a span of that name is ours: a call's root or an attempt, which state their facts."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == c.SCOPE_NAME


class CallSpanProcessor(SpanProcessor):
    """Puts a call's facts on its spans: known ones at a span's start, later ones while it is open.

    Add it to a provider beside the batch processor, before or after; it exports nothing and
    replaces nothing. `inherit` is the set of attribute keys that children get (default: carrier,
    route, region, direction, final code, codec, and the loss of the span's part of the call); the
    root call span gets every fact. Spans of no call are left alone.

    Raises ConfigurationError for a key that cannot be inherited.
    """

    def __init__(
        self, inherit: Iterable[str] | None = None, *, registry: CallRegistry = calls
    ) -> None:
        self._keys = inherited_keys(inherit)
        health.install()
        watch.install()
        call_metrics.install()
        self._has_loss = c.RTP_LOSS_RATIO in self._keys
        self._registry = registry
        self._owner_of = registry.owned.get
        self._shared = registry.shared

    # on_start and on_end are the whole price of a span, so they are written out flat: each call of
    # a function or a property here costs every span of every call (benchmarks/overhead.py).

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set what is known on the span, and remember it as open. Never raises."""
        try:
            # A span that has started has a context.
            context: SpanContext = span.context  # pyright: ignore[reportAssignmentType]
            call = self._owner_of(context[_TRACE_ID])
            if call is None:
                call = self._call_elsewhere(span, parent_context)
                if call is None:
                    return
            view = call.view
            if view is None or view.keys is not self._keys:
                view = call.view_of(self._keys)
            role = ROLES[span.name]
            if role >= CALL_ROOT and is_ours(span):
                return
            span_id = context[_SPAN_ID]
            view.open[span_id] = span
            # Read after the span stands in `open`: see the invariants of LiveCall.
            snapshot = view.snapshot
            if role or call.spans.turn_of:
                snapshot = self._in_turn(call.spans, span, span_id, role, snapshot)
            if snapshot:
                span.set_attributes(snapshot)
        except Exception as error:
            guard.swallowed("processor.on_start", error)
            if guard.reraise:
                raise

    def on_end(self, span: ReadableSpan) -> None:
        """Forget the span; forget the call when its root ends. Never raises."""
        try:
            # A span that has started has a context.
            context: SpanContext = span.context  # pyright: ignore[reportAssignmentType]
            call = self._owner_of(context[_TRACE_ID])
            if call is None:
                if not self._shared:
                    return
                call = self._ended_elsewhere(context)
                if call is None:
                    return
            view = call.view
            if view is None or view.keys is not self._keys:
                view = call.view_of(self._keys)
            span_id = context[_SPAN_ID]
            view.open.pop(span_id, None)
            turn_of = call.spans.turn_of
            if turn_of and span_id in turn_of:
                call.spans.ended(span, span_id, ROLES[span.name])
            if span_id == call.root_span_id:
                self._root_ended(call)
        except Exception as error:
            guard.swallowed("processor.on_end", error)
            if guard.reraise:
                raise

    def _in_turn(
        self, book: SpanBook, span: Span, span_id: int, role: int, snapshot: AttributeValues
    ) -> AttributeValues:
        """The snapshot with the loss of the span's turn, where one is known."""
        parent = span.parent
        turn = book.started(span, span_id, role, parent.span_id if parent else 0)
        if turn is None or turn.loss is None or not self._has_loss:
            return snapshot
        ratio, method = turn.loss
        return {**snapshot, c.RTP_LOSS_RATIO: ratio, c.RTP_LOSS_METHOD: method}

    def _root_ended(self, call: LiveCall) -> None:
        if call.outlives_root:
            call.root_ended()
        else:
            self._registry.close(call)

    def _call_elsewhere(self, span: Span, parent_context: Context | None) -> LiveCall | None:
        """The call of a span whose trace id alone does not tell."""
        found: object = None
        if not self._shared:
            # The many spans of no call end here: no second look-up, no properties.
            context = get_current() if parent_context is None else parent_context
            found = context.get(CALL_KEY)
            if found is None:
                return None
        trace_id = span.get_span_context().trace_id
        shared = self._shared.get(trace_id)
        if shared is None:
            found = get_value(CALL_KEY, parent_context)
            if not isinstance(found, LiveCall) or found.finished:
                return None
            shared = self._registry.adopt_trace(trace_id, found)
            if shared is None:
                return found
        elif ROLES[span.name] == CALL_ROOT and is_ours(span):
            # A root that starts in the trace of another call is no span of that call.
            return None
        return shared.started(span, parent_context)

    def _ended_elsewhere(self, context: SpanContext) -> LiveCall | None:
        shared = self._shared.get(context.trace_id) if self._shared else None
        return None if shared is None else shared.of(context.span_id)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  # the SDK's
        """True: nothing is held here."""
        return True
