"""Trace context in SIP headers, as an OpenTelemetry propagator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opentelemetry import baggage as otel_baggage
from opentelemetry.context import Context, create_key, get_current, get_value, set_value
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context

from trunktrace.guard import swallowing
from trunktrace.propagation.carriers import Lines, lines_by_getter, put
from trunktrace.propagation.incoming import read_lines
from trunktrace.propagation.names import SESSION_ID, X_BAGGAGE, X_TRACEPARENT
from trunktrace.propagation.outgoing import write_headers
from trunktrace.propagation.remote import Remote, keep
from trunktrace.propagation.small_baggage import allowed_keys, parse_baggage

_IN_ATTEMPT: Final = create_key("trunktrace-sip-attempt")


def sip_attempt(context: Context | None = None) -> Context:
    """A context in which `SipPropagator.inject` writes: its carrier is a SIP request's headers.

    Made of `context`, or of the current one if that is None. Pass it to `inject`, and do not attach
    it: HTTP requests made in it would get the headers too.
    """
    return set_value(_IN_ATTEMPT, True, context)


class SipPropagator(TextMapPropagator):
    """Writes our trace into the headers of a SIP request, and reads the far end's out of them.

    As an entry point it is named `sip`: `OTEL_PROPAGATORS=tracecontext,baggage,sip`. Beside others
    it changes no HTTP request, and never replaces a span context that another one found.

    `as_parent`: what `extract` finds becomes the parent of the next span, if it has a span id; only
    for trunks whose far end is yours, because anybody who can call can write the headers. Else it
    is kept for a link (`remote_of`). `session_id`: `inject` writes Session-ID too (RFC 7989).
    `baggage`: keys of the OpenTelemetry baggage that go into X-Baggage, and with `as_parent` also
    come out of it. Raises ConfigurationError for a key that may hold a phone number.
    """

    def __init__(
        self,
        *,
        as_parent: bool = False,
        session_id: bool = False,
        baggage: Iterable[str] = (),
    ) -> None:
        self._as_parent = as_parent
        self._session_id = session_id
        self._keys = allowed_keys("baggage", baggage)

    @property
    def as_parent(self) -> bool:
        """Whether what `extract` finds becomes the parent of the next span."""
        return self._as_parent

    @property
    def baggage(self) -> tuple[str, ...]:
        """Keys of the OpenTelemetry baggage that may go into X-Baggage."""
        return self._keys

    @property
    def fields(self) -> set[str]:
        """Names of the headers that `inject` may write."""
        found = {X_TRACEPARENT}
        if self._session_id:
            found.add(SESSION_ID)
        if self._keys:
            found.add(X_BAGGAGE)
        return found

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write our headers into `carrier`, if `context` is one of `sip_attempt`; never raises.

        An X-Traceparent that is there is replaced; a Session-ID or X-Baggage is left as it is.
        A list of pairs needs no setter.
        """
        with swallowing("propagation.inject"):
            context = get_current() if context is None else context
            if get_value(_IN_ATTEMPT, context) is not True:
                return
            headers = write_headers(
                get_current_span(context).get_span_context(),
                session_id=self._session_id,
                baggage=self._baggage_of(context),
            )
            for name, value in headers.items():
                put(carrier, name, value, setter, replace=name == X_TRACEPARENT)

    def _baggage_of(self, context: Context) -> dict[str, str]:
        if not self._keys:
            return {}
        held = otel_baggage.get_all(context)
        return {
            key: str(held[key])
            for key in self._keys
            if isinstance(held.get(key), (str, int, float))
        }

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """`context` with what the headers tell, for `remote_of`; never raises.

        Which headers, and in which order: see `read_headers`. With `as_parent` it is the current
        span as well, unless `context` has a valid one already. `context` is an empty one if None.
        """
        found = Context() if context is None else context
        with swallowing("propagation.extract"):
            lines = lines_by_getter(carrier, getter)
            if lines and (remote := read_lines(lines)) is not None:
                found = keep(remote, found)
                if self._as_parent:
                    found = self._believed(lines, remote, found)
        return found

    def _believed(self, lines: Lines, remote: Remote, context: Context) -> Context:
        told = lines.get(X_BAGGAGE.lower(), ())
        for key, value in parse_baggage(",".join(told), self._keys).items():
            if otel_baggage.get_baggage(key, context) is None:
                context = otel_baggage.set_baggage(key, value, context)
        parent = remote.span_context
        if parent is None or get_current_span(context).get_span_context().is_valid:
            return context
        return set_span_in_context(NonRecordingSpan(parent), context)
