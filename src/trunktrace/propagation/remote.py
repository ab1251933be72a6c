"""The trace of the far end, as its SIP headers told it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import SpanContext, TraceFlags

_KEPT: Final = create_key("trunktrace-remote")


@dataclass(frozen=True, slots=True)
class Remote:
    """The trace that another SIP element says the call belongs to.

    Whoever placed the call can write these headers: it is a claim, fit for a span link.
    `trace_id` is 1 to 2**128 - 1. `span_id` and `sampled` are None where the header does not say
    them. `header` is the name of the header that told it. `session_id` is the half of a Session-ID
    (RFC 7989) that its sender gave, `session_id_remote` the other half: 32 lower-case hexadecimal
    digits, None if there was no Session-ID or that half is nil. They are given also where another
    header told the trace.
    """

    trace_id: int
    span_id: int | None
    sampled: bool | None
    header: str
    session_id: str | None
    session_id_remote: str | None

    @property
    def span_context(self) -> SpanContext | None:
        """What a link or a parent is made of; None without a span id.

        A trace whose header says nothing of sampling counts as sampled: a parent that is not
        sampled would take the whole call out of the traces.
        """
        if self.span_id is None:
            return None
        flags = TraceFlags.DEFAULT if self.sampled is False else TraceFlags.SAMPLED
        return SpanContext(
            self.trace_id, self.span_id, is_remote=True, trace_flags=TraceFlags(flags)
        )


def keep(remote: Remote, context: Context) -> Context:
    """A context from which `remote_of` gives `remote`."""
    return set_value(_KEPT, remote, context)


def remote_of(context: Context | None = None) -> Remote | None:
    """What `SipPropagator.extract` found in the headers; None if it found nothing.

    `context` is what `extract` returned; None means the current context.
    """
    found = get_value(_KEPT, context)
    return found if isinstance(found, Remote) else None
