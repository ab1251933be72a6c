"""Trace context in SIP headers: what goes out with a request, and what comes in with one.

Out: X-Traceparent, and if asked for Session-ID and a small X-Baggage. In: whatever SIP elements
send, as a claim (`Remote`) that is fit for a span link, because callers can write headers.

    names            the headers, and the bounds
    ids, traceparent, b3, session_id, user_to_user, small_baggage    one format each
    carriers         headers out of dicts, pairs, participant attributes; and into them
    incoming         which header tells the trace
    outgoing         what is sent, and what it may cost
    remote           the trace of the far end
    far_end          what a call may take of it: a link, a Session-ID
    propagator       all of it as an OpenTelemetry propagator
"""

from __future__ import annotations

from trunktrace.propagation.far_end import FarEnd, far_end_of
from trunktrace.propagation.incoming import read_headers
from trunktrace.propagation.names import TRACEPARENT_ATTRIBUTE
from trunktrace.propagation.outgoing import write_headers
from trunktrace.propagation.propagator import SipPropagator, sip_attempt
from trunktrace.propagation.remote import Remote, remote_of

__all__ = [
    "TRACEPARENT_ATTRIBUTE",
    "FarEnd",
    "Remote",
    "SipPropagator",
    "far_end_of",
    "read_headers",
    "remote_of",
    "sip_attempt",
    "write_headers",
]
