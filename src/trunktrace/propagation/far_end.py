"""What a call may take from the headers of its far end: a link, and a Session-ID."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from opentelemetry.trace import Link, format_span_id, format_trace_id

from trunktrace import conventions as c
from trunktrace.propagation.incoming import HeaderCarrier, read_all
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

    The link is of the first header of which one can be made: not of a Session-ID, nor of our own
    trace that comes back. Whoever calls can write a phone number where an id should be: an id that
    holds one of `secrets` is left out.
    """
    told = read_all(carrier) or ()
    session = told[0].session_id if told else None
    session_id = session if session and _is_clean(session, secrets) else None
    # The Session-ID of somebody who does no tracing is no trace either.
    traces = [
        one
        for one in told
        if one.header != SESSION_ID
        and one.trace_id != own_trace_id
        and _is_clean(format_trace_id(one.trace_id), secrets)
        and (one.span_id is None or _is_clean(format_span_id(one.span_id), secrets))
    ]
    link = next((link for one in traces if (link := _link(one))), None)
    if link is not None or not traces:
        return FarEnd(link=link, session_id=session_id)
    return FarEnd(trace_id=format_trace_id(traces[0].trace_id), session_id=session_id)


def _link(remote: Remote) -> Link | None:
    context = remote.span_context
    return None if context is None else Link(context, {c.TRUNKTRACE_LINK_HEADER: remote.header})


def _is_clean(digits: str, secrets: Collection[str]) -> bool:
    return scrub(digits, secrets) == digits
