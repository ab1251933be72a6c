"""The span processor that puts a call's facts on its spans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from opentelemetry.context import Context, get_value
from opentelemetry.sdk.trace import SpanProcessor

from trunktrace import conventions as c
from trunktrace.errors import ConfigurationError
from trunktrace.guard import guard
from trunktrace.livecall import CALL_KEY, LiveCall
from trunktrace.registry import CallRegistry, calls
from trunktrace.turns import CALL_ROOT, ROLES

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

_DEFAULT_KEYS = frozenset(c.INHERITED_BY_DEFAULT)
_interned: dict[frozenset[str], frozenset[str]] = {_DEFAULT_KEYS: _DEFAULT_KEYS}


def inherited_keys(inherit: Iterable[str] | None) -> frozenset[str]:
    """The keys that children get; the default seven (and the loss method) for None.

    Raises ConfigurationError for a key that is not in the vocabulary, that is a list, or that may
    hold a number in clear.
    """
    if inherit is None:
        return _DEFAULT_KEYS
    if isinstance(inherit, str):
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


class CallSpanProcessor(SpanProcessor):
    """Every span of a call gets the call's facts: those known when it starts at its start, later
    ones while it is open.

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
        self._has_loss = c.RTP_LOSS_RATIO in self._keys
        self._registry = registry
        self._entry = registry.entries.get

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set what is known on the span, and remember it as open. Never raises."""
        try:
            context = span.get_span_context()
            call = self._entry(context.trace_id)
            if call.__class__ is not LiveCall:
                call = self._call_elsewhere(call, span, parent_context)
                if call is None:
                    return
            self._stamp(call, span, context.span_id)
        except Exception as error:
            guard.swallowed("processor.on_start", error)
            if guard.reraise:
                raise

    def _stamp(self, call: LiveCall, span: Span, span_id: int) -> None:
        views = call.spans.views
        view = views[0] if views and views[0].keys is self._keys else call.view(self._keys)
        # A second processor with the same keys on this provider finds its work done.
        if span_id in view.open:
            return
        role = ROLES[span.name]
        if role == CALL_ROOT:
            return
        view.open[span_id] = span
        snapshot = view.snapshot
        book = call.spans
        if role or book.turn_of:
            parent = span.parent
            turn = book.started(span, span_id, role, parent.span_id if parent else 0)
            if turn is not None and turn.loss is not None and self._has_loss:
                ratio, method = turn.loss
                snapshot = {**snapshot, c.RTP_LOSS_RATIO: ratio, c.RTP_LOSS_METHOD: method}
        if snapshot:
            span.set_attributes(snapshot)

    def _call_elsewhere(
        self, entry: object, span: Span, parent_context: Context | None
    ) -> LiveCall | None:
        """The call of a span whose trace id alone does not tell."""
        if entry is None:
            found = get_value(CALL_KEY, parent_context)
            if not isinstance(found, LiveCall) or found.finished:
                return None
            call = found
            trace_id = span.get_span_context().trace_id
            if trace_id not in call.spans.foreign_traces:
                call.spans.foreign_traces |= {trace_id}
                self._registry.adopt_trace(trace_id, call)
        else:
            shared = entry.call_of(span, parent_context)  # type: ignore[attr-defined]
            if shared is None or ROLES[span.name] == CALL_ROOT:
                return None
            call = shared
        if call.spans.members is None:
            call.spans.members = set()
        call.spans.members.add(span.get_span_context().span_id)
        return call

    def on_end(self, span: ReadableSpan) -> None:
        """Forget the span; forget the call when its root ends. Never raises."""
        try:
            context = span.context
            if context is None:
                return
            entry = self._entry(context.trace_id)
            if entry.__class__ is not LiveCall:
                if entry is None:
                    return
                entry = entry.call_with(context.span_id)  # type: ignore[union-attr]
                if entry is None:
                    return
            self._release(entry, span, context.span_id)  # type: ignore[arg-type]
        except Exception as error:
            guard.swallowed("processor.on_end", error)
            if guard.reraise:
                raise

    def _release(self, call: LiveCall, span: ReadableSpan, span_id: int) -> None:
        for view in call.spans.views:
            if view.keys is self._keys:
                view.open.pop(span_id, None)
        role = ROLES[span.name]
        if role:
            call.spans.ended(span, span_id, role)
        if span_id == call.root_span_id:
            if call.outlives_root:
                call.root_ended()
            else:
                self._registry.close(call)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: nothing is held here."""
        return True
