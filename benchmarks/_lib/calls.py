"""The only place of the overhead benchmark that drives trunktrace."""

from __future__ import annotations

import time
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor

from trunktrace.livecall import LiveCall
from trunktrace.processor import CallSpanProcessor
from trunktrace.registry import CallRegistry, calls

from .facts import DEFAULT_SIX, FIELDS

LOSS: Final = 0.031


def new_registry() -> CallRegistry:
    """A registry beside the process-wide one: how one call alone would find it."""
    return CallRegistry()


def processor(
    inherit: tuple[str, ...] | None = None, registry: CallRegistry = calls
) -> SpanProcessor:
    """The processor under test; `inherit` as in `CallSpanProcessor`."""
    return CallSpanProcessor(inherit=inherit, registry=registry)


def open_on(root: trace.Span, registry: CallRegistry = calls) -> LiveCall:
    """Make `root` the root call span of a call that lasts until `root` ends."""
    context = root.get_span_context()
    call = LiveCall(trace_id=context.trace_id, root_span_id=context.span_id, root=root)
    registry.open(call, owns_trace=True)
    return call


def record_twelve(call: LiveCall) -> None:
    """Record the twelve facts."""
    call.record(**FIELDS)  # type: ignore[arg-type]  # the values fit their fields


def record_default(call: LiveCall) -> None:
    """Record the default facts that do not depend on the span: all but the loss."""
    call.record(**{field: FIELDS[field] for field in DEFAULT_SIX})  # type: ignore[arg-type]


def turn_with_loss(call: LiveCall, tracer: trace.Tracer, context: Context) -> Context:
    """The context of a turn whose loss is known: the spans started in it carry that loss.

    The turn is opened here with the caller's speech in it, and a window of the trunk leg is
    recorded over it.
    """
    now = time.time()
    start_ns = int((now - 2.0) * 1e9)
    turn = tracer.start_span("user_turn", context=context, start_time=start_ns)
    inside = trace.set_span_in_context(turn, context)
    speech = tracer.start_span("user_speaking", context=inside, start_time=start_ns)
    speech.end(int((now - 0.5) * 1e9))
    call.record_media(leg="trunk", direction="in", loss_ratio=LOSS, start=now - 2.0, end=now - 0.5)
    return inside


def open_calls() -> int:
    """How many calls the process-wide registry holds now."""
    return len(calls)
