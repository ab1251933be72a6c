"""The headers that go out, and what they may cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from opentelemetry.trace import SpanContext

from trunktrace.guard import warn_once
from trunktrace.propagation.names import (
    BUDGET_BYTES,
    SESSION_ID,
    TRACEPARENT_BUDGET_BYTES,
    X_BAGGAGE,
    X_TRACEPARENT,
)
from trunktrace.propagation.session_id import format_session_id, is_uuid4
from trunktrace.propagation.small_baggage import format_baggage
from trunktrace.propagation.traceparent import format_traceparent

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_AROUND: Final = len(": \r\n")


def write_headers(
    span_context: SpanContext,
    *,
    session_id: bool = False,
    baggage: Mapping[str, str] = _NOTHING,
) -> dict[str, str]:
    """The headers that tell a SIP element our trace, by name; empty if there is nothing to tell.

    `X-Traceparent` if the span context is valid. With `session_id`, `Session-ID` (RFC 7989) with
    the trace id as our half, a UUID where `trunktrace.SessionIdGenerator` made it. `X-Baggage`
    with the values of `baggage`, in their order, without any that may name a person. A line of
    X-Traceparent has at most 150 bytes, all lines 320: X-Baggage is dropped first, then Session-ID,
    with a warning. Values are visible ASCII characters only.
    """
    headers: dict[str, str] = {}
    if span_context.is_valid:
        headers[X_TRACEPARENT] = format_traceparent(span_context)
        if session_id:
            headers[SESSION_ID] = format_session_id(span_context.trace_id)
            _check_uuid(span_context.trace_id)
    if value := format_baggage(baggage):
        headers[X_BAGGAGE] = value
    return within(BUDGET_BYTES, headers)


def _check_uuid(trace_id: int) -> None:
    # SBCs take the 32 digits as they are; a strict one may make a Session-ID of its own instead.
    if not is_uuid4(trace_id):
        warn_once(
            "propagation.session_id",
            "trunktrace sends a Session-ID that is no UUID as RFC 7989 asks: the trace id is none. "
            "Make your tracer provider with id_generator=trunktrace.SessionIdGenerator().",
        )


def within(budget: int, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that fit into so many bytes: X-Baggage gives way first, then Session-ID."""
    left = {
        name: value
        for name, value in headers.items()
        if _VISIBLE.fullmatch(value)
        and (name != X_TRACEPARENT or line_bytes(name, value) <= TRACEPARENT_BUDGET_BYTES)
    }
    for name in (X_BAGGAGE, SESSION_ID):
        if name in left and sum(line_bytes(*line) for line in left.items()) > budget:
            del left[name]
            warn_once(
                f"propagation.budget:{name}",
                "trunktrace drops the header %s: all its headers may have %d bytes. Allow fewer "
                "baggage keys, or shorter values.",
                name,
                budget,
            )
    return left


def line_bytes(name: str, value: str) -> int:
    """What a header line takes: name, colon, blank, value, CRLF."""
    return len(name) + len(value) + _AROUND
