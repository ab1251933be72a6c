"""The `trunk.record` span: what was said about a call after it, in the call's own trace."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from trunktrace import conventions as c
from trunktrace.facts import Observation, Value
from trunktrace.windows import MediaWindow

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


def record_span(
    observation: Observation,
    *,
    trace_id: int,
    root_span_id: int,
    resource: Resource,
    match_method: str,
) -> ReadableSpan:
    """A span that says what a record says, as a child of the root call span.

    The same observation gives the same bytes each time: its span id is made of trace id, source,
    record id and completeness, its attributes are sorted, its times are the record's. So a second
    delivery is no second span, and a fuller record is a span of its own.

    `match_method` names the id by which the record was joined (`livekit.sip.call_id`, ...).

    Raises ValueError if the observation has no record id or no times: they make the bytes; or if
    a fact of it is no key of the vocabulary, or one that holds a number in clear.
    """
    if not observation.record_id:
        raise ValueError("observation.record_id is empty: name the record within its source")
    if observation.start is None or observation.end is None:
        raise ValueError("observation.start and .end are needed: the times that the record is of")
    flags = TraceFlags(TraceFlags.SAMPLED)
    span_id = record_span_id(observation, trace_id)
    ordered = sorted(observation.windows, key=lambda w: (w.start, w.end, w.leg, w.direction))
    return ReadableSpan(
        name=c.SPAN_RECORD,
        context=SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags),
        parent=SpanContext(trace_id, root_span_id, is_remote=True, trace_flags=flags),
        resource=resource,
        attributes=_attributes(observation, match_method),
        events=[_window_event(window) for window in ordered],
        kind=SpanKind.INTERNAL,
        start_time=_nanoseconds(observation.start),
        end_time=_nanoseconds(observation.end),
        instrumentation_scope=InstrumentationScope(c.SCOPE_NAME, schema_url=c.SCHEMA_URL),
    )


def _attributes(observation: Observation, match_method: str) -> dict[str, Value]:
    for key in observation.facts:
        if key not in c.ATTRIBUTES or c.ATTRIBUTES[key].privacy == "pii":
            raise ValueError(f"{key} is no key that a record may state")
    attributes: dict[str, Value] = {
        **observation.facts,
        c.TRUNKTRACE_SOURCE: observation.source,
        c.TRUNKTRACE_MATCH_METHOD: match_method,
        c.TRUNKTRACE_RECORD_COMPLETENESS: observation.completeness,
        c.TRUNKTRACE_LEG: observation.leg,
    }
    return dict(sorted(attributes.items()))


def record_span_id(observation: Observation, trace_id: int) -> int:
    """The span id of a record: 64 bits of SHA-256, never 0 (W3C Trace Context, 2.2.3)."""
    parts = (observation.source, observation.leg, observation.record_id, observation.completeness)
    # Lengths stand before the parts, so that no two different records read alike.
    text = "".join(f"{len(part)}:{part}" for part in (f"{trace_id:032x}", *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") or 1


def _window_event(window: MediaWindow) -> Event:
    attributes: dict[str, Value] = {
        c.TRUNKTRACE_LEG: window.leg,
        c.RTP_DIRECTION: window.direction,
        c.TRUNKTRACE_WINDOW_START_UNIX_MS: round(window.start * 1000),
        c.TRUNKTRACE_WINDOW_END_UNIX_MS: round(window.end * 1000),
    }
    for name, value in window.measures().items():
        key = c.media_key(window.leg, window.direction, name)
        if key is not None:
            attributes[key] = value
    if window.loss_ratio is not None:
        method = c.PSTN_LOSS_METHOD if window.leg == "pstn" else c.RTP_LOSS_METHOD
        attributes[method] = window.loss_method
    timestamp = _nanoseconds(window.end)
    return Event(c.EVENT_WINDOW, attributes=dict(sorted(attributes.items())), timestamp=timestamp)


def _nanoseconds(unix_s: float) -> int:
    # Through microseconds: a float of unix seconds holds no more, and its noise is no fact.
    return round(unix_s * 1e6) * 1000
