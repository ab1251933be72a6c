"""What a call may take from the headers of its far end: a link, and a Session-ID."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from opentelemetry.trace import Link, format_span_id, format_trace_id

from trunktrace import conventions as c
from trunktrace.propagation.incoming import HeaderCarrier, read_headers
from trunktrace.propagation.names import SESSION_ID
from trunktrace.propagation.remote import Remote
from trunktrace.redaction import scrub


@dataclass(frozen=True, slots=True)
class FarEnd:
    """What the headers of the far end tell, fit for a span; each is None where they do not.

    `link` names the header in its attributes. `trace_id` is that of a header without a span id, of
    which no link can be made. `session_id` is the half of a Session-ID that the far end gave. Ids
    are 32 lower-case hexadecimal digits.
    """

    link: Link | None = None
    trace_id: str | None = None
    session_id: str | None = None


def far_end_of(
    carrier: HeaderCarrier, *, own_trace_id: int = 0, secrets: Collection[str] = ()
) -> FarEnd:
    """What a carrier tells (see `read_headers`) of a trace that is not `own_trace_id`.

    Whoever calls can write a phone number where an id should be: an id that holds one of `secrets`
    is left out.
    """
    remote = read_headers(carrier)
    if remote is None:
        return FarEnd()
    session = remote.session_id
    session_id = session if session and _is_clean(session, secrets) else None
    if remote.trace_id == own_trace_id or remote.header == SESSION_ID:
        # The Session-ID of somebody who does no tracing is no trace either.
        return FarEnd(session_id=session_id)
    trace_id, context = format_trace_id(remote.trace_id), remote.span_context
    if not _is_clean(trace_id, secrets):
        return FarEnd(session_id=session_id)
    if context is None:
        return FarEnd(trace_id=trace_id, session_id=session_id)
    if not _is_clean(format_span_id(context.span_id), secrets):
        return FarEnd(session_id=session_id)
    return FarEnd(link=_link(remote), session_id=session_id)


def _link(remote: Remote) -> Link | None:
    context = remote.span_context
    return None if context is None else Link(context, {c.TRUNKTRACE_LINK_HEADER: remote.header})


def _is_clean(digits: str, secrets: Collection[str]) -> bool:
    return scrub(digits, secrets) == digits
