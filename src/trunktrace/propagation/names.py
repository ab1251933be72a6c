"""The headers that carry a trace: names, places where they stand, and bounds."""

from __future__ import annotations

from typing import Final

from trunktrace import conventions

X_TRACEPARENT: Final = "X-Traceparent"
TRACEPARENT: Final = "Traceparent"
X_TRACE_ID: Final = "X-Trace-ID"
X_SPAN_ID: Final = "X-Span-ID"
B3: Final = "b3"
X_B3_TRACE_ID: Final = "X-B3-TraceId"
X_B3_SPAN_ID: Final = "X-B3-SpanId"
X_B3_SAMPLED: Final = "X-B3-Sampled"
X_B3_FLAGS: Final = "X-B3-Flags"
SESSION_ID: Final = "Session-ID"
USER_TO_USER: Final = "User-to-User"
X_BAGGAGE: Final = "X-Baggage"

TRACEPARENT_ATTRIBUTE: Final = conventions.TRACEPARENT_ATTRIBUTE
"""The attribute of a LiveKit SIP participant that holds a traceparent.

Inbound, a trunk's `headers_to_attributes = {"X-Traceparent": "trunktrace.traceparent"}` fills it;
`attributes_to_headers` the other way round puts it on BYE.
"""

# None of these has a compact form. The list at IANA (SIP parameters, header fields) gives `x` to
# Session-Expires, `u` to Allow-Events, `b` to Referred-By and `t` to To: a single letter is never
# one of ours.
_CANONICAL: Final = (
    X_TRACEPARENT, TRACEPARENT, TRACEPARENT_ATTRIBUTE, X_TRACE_ID, X_SPAN_ID, B3, X_B3_TRACE_ID,
    X_B3_SPAN_ID, X_B3_SAMPLED, X_B3_FLAGS, SESSION_ID, USER_TO_USER, X_BAGGAGE,
)  # fmt: skip

READ: Final = frozenset(name.lower() for name in _CANONICAL)
"""Names that are looked at, lower case."""

SPELLINGS: Final = (*_CANONICAL, *sorted(READ))
"""What a getter is asked for that cannot list its names and may heed their case."""

MAX_LINES: Final = 256
"""Header lines of one carrier that are looked at; what comes after them is not."""

MAX_VALUE_CHARACTERS: Final = 1024
"""A longer value is not looked at: many SIP parsers take no longer line either."""

TRACEPARENT_BUDGET_BYTES: Final = 150
"""Most that the line of X-Traceparent may take: name, colon, blank, value, CRLF."""

BUDGET_BYTES: Final = 320
"""Most that all our lines may take. An INVITE over 1300 bytes may no longer go over UDP (RFC 3261
section 18.1.1), and with its SDP it has 900 to 1200 without us."""
