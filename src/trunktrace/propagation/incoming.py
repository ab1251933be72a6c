"""Which header tells the trace: the first valid one, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from opentelemetry.trace import format_trace_id

from trunktrace.guard import guarded
from trunktrace.propagation import names
from trunktrace.propagation.b3 import parse_b3, parse_b3_fields
from trunktrace.propagation.carriers import Lines, lines_of
from trunktrace.propagation.ids import Ids, hex_id
from trunktrace.propagation.remote import Remote
from trunktrace.propagation.session_id import SessionId, parse_session_id
from trunktrace.propagation.traceparent import parse_traceparent
from trunktrace.propagation.user_to_user import parse_user_to_user

HeaderCarrier = Mapping[str, str | list[str]] | Sequence[tuple[str, str]]
"""Headers, or the attributes of a LiveKit SIP participant."""


@guarded
def read_headers(carrier: HeaderCarrier) -> Remote | None:
    """The trace that the headers of a SIP message tell; None if they tell none.

    `carrier` is a dict of headers (a value may be a list), a list of pairs, or the attributes of a
    LiveKit SIP participant (`sip.h.x-traceparent`, `trunktrace.traceparent`). Names are compared
    without case. Looked at, in this order: X-Traceparent, Traceparent, X-Trace-ID (with X-Span-ID),
    b3, X-B3-TraceId, Session-ID, User-to-User; the first valid one wins. A header that is there
    twice with different values counts as invalid. Values over 1024 characters, and what comes after
    256 header lines, are not looked at. Never raises.
    """
    return read_lines(lines_of(carrier))


def read_lines(lines: Lines) -> Remote | None:
    """What header lines tell, as `read_headers`."""
    return next(_each(lines), None) if lines else None


@guarded
def read_all(carrier: HeaderCarrier) -> tuple[Remote, ...] | None:
    """What each header tells that `read_headers` looks at, in its order. Never raises."""
    lines = lines_of(carrier)
    return tuple(_each(lines)) if lines else ()


def _each(lines: Lines) -> Iterator[Remote]:
    session = _session(lines)
    for header, told in _READERS.items():
        if ids := told(lines):
            yield _remote(header, ids, session)


def _remote(header: str, ids: Ids, session: SessionId | None) -> Remote:
    return Remote(
        ids.trace_id,
        ids.span_id,
        ids.sampled,
        header,
        _digits(session.local) if session else None,
        _digits(session.remote) if session else None,
    )


def _digits(half: int | None) -> str | None:
    return None if half is None else format_trace_id(half)


def _one(lines: Lines, name: str) -> str | None:
    """The value of a header; None if it is absent, or there with different values.

    W3C Trace Context: a traceparent that is there twice is invalid. Proxies that copy a header
    line are the exception that costs nothing.
    """
    values = set(lines.get(name.lower(), ()))
    return values.pop() if len(values) == 1 else None


def _x_traceparent(lines: Lines) -> Ids | None:
    # The attribute stands for the header where LiveKit was told to map it. Where both are there,
    # the attribute may be our own: it is what goes on BYE.
    header = names.X_TRACEPARENT
    name = header if header.lower() in lines else names.TRACEPARENT_ATTRIBUTE
    return _traceparent(lines, name)


def _traceparent(lines: Lines, name: str = names.TRACEPARENT) -> Ids | None:
    value = _one(lines, name)
    return None if value is None else parse_traceparent(value)


def _x_trace_id(lines: Lines) -> Ids | None:
    trace_id = hex_id(_one(lines, names.X_TRACE_ID), 32)
    return None if trace_id is None else Ids(trace_id, hex_id(_one(lines, names.X_SPAN_ID), 16))


def _b3(lines: Lines) -> Ids | None:
    value = _one(lines, names.B3)
    return None if value is None else parse_b3(value)


def _x_b3(lines: Lines) -> Ids | None:
    return parse_b3_fields(
        _one(lines, names.X_B3_TRACE_ID),
        _one(lines, names.X_B3_SPAN_ID),
        _one(lines, names.X_B3_SAMPLED),
        _one(lines, names.X_B3_FLAGS),
    )


def _session(lines: Lines) -> SessionId | None:
    value = _one(lines, names.SESSION_ID)
    return None if value is None else parse_session_id(value)


def _session_as_trace(lines: Lines) -> Ids | None:
    """The half of whoever sent the headers; the other where that one is nil."""
    session = _session(lines)
    trace_id = None if session is None else session.local or session.remote
    return None if trace_id is None else Ids(trace_id)


def _user_to_user(lines: Lines) -> Ids | None:
    return parse_user_to_user(lines.get(names.USER_TO_USER.lower(), ()))


_READERS: Final = {
    names.X_TRACEPARENT: _x_traceparent,
    names.TRACEPARENT: _traceparent,
    names.X_TRACE_ID: _x_trace_id,
    names.B3: _b3,
    names.X_B3_TRACE_ID: _x_b3,
    names.SESSION_ID: _session_as_trace,
    names.USER_TO_USER: _user_to_user,
}
"""Header -> who reads it, in the order in which they are asked."""
