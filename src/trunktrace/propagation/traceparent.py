"""`traceparent` of W3C Trace Context: `00-<trace id>-<span id>-<flags>`.

Strict, as the recommendation asks: lower case only, no id of zeros, never version ff. Of a later
version the first four fields are read.
"""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from trunktrace.propagation.ids import Ids

_TRACEPARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-[\x20-\x7e]*)?"
)
_SAMPLED: Final = 0x01
_KNOWN_FLAGS: Final = 0x03
"""Sampled, and level 2's "the trace id is random"; version 00 sends all others as zero."""


def parse_traceparent(text: str) -> Ids | None:
    """The ids and the sampled flag; None for what is no valid traceparent."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace_id, span_id = int(found["trace"], 16), int(found["span"], 16)
    if not (trace_id and span_id):
        return None
    return Ids(trace_id, span_id, bool(int(found["flags"], 16) & _SAMPLED))


def format_traceparent(span_context: SpanContext) -> str:
    """The 55 characters of a valid span context, version 00."""
    flags = span_context.trace_flags & _KNOWN_FLAGS
    trace_id, span_id = span_context.trace_id, span_context.span_id
    return f"00-{format_trace_id(trace_id)}-{format_span_id(span_id)}-{flags:02x}"
