"""The trace of a call in the headers of its SIP legs: ours goes out, the far end's is linked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.livekit.invite import Invite
from trunktrace.livekit.participant_mark import ParticipantMark
from trunktrace.propagation import (
    TRACEPARENT_ATTRIBUTE,
    SipPropagator,
    far_end_of,
    names,
    sip_attempt,
)
from trunktrace.sip.legs import Leg

ASKED: Final = (
    names.X_TRACEPARENT, names.TRACEPARENT, names.X_TRACE_ID, names.X_SPAN_ID, names.B3,
    names.X_B3_TRACE_ID, names.X_B3_SPAN_ID, names.X_B3_SAMPLED, names.SESSION_ID,
)  # fmt: skip
"""Not User-to-User: most of what stands in it is of other applications, and may name a person."""

_SOURCE: Final = "livekit"
_MOST_LINKS: Final = 32


class TraceHeaders:
    """Writes and reads the headers of one room's legs; without a propagator neither.

    `is_call` tells whether a leg is the call (still). `mark` writes on the caller's participant.
    """

    def __init__(
        self, call: LiveCall, propagator: SipPropagator | None, is_call: Callable[[Leg], bool]
    ) -> None:
        self._call = call
        self._propagator = propagator
        self._is_call = is_call
        self._linked: set[Leg] = set()
        self.mark = ParticipantMark(call)

    # Out ------------------------------------------------------------------------------------------

    def onto(self, request: Any, invite: Invite) -> Any:
        """A copy of a request that carries the attempt's trace; `request` where there is none.

        What the request says already stays. Never raises.
        """
        with swallowing("trace_headers.onto"):
            if self._propagator is not None and invite.span.get_span_context().is_valid:
                ours: dict[str, str] = {}
                context = self._context_of(invite, self._propagator.baggage)
                self._propagator.inject(ours, sip_attempt(context))
                return _copy_with(request, ours)
        return request

    def _context_of(self, invite: Invite, keys: tuple[str, ...]) -> Context:
        context = trace.set_span_in_context(invite.span)
        if not keys:
            return context
        facts = self._facts_of(invite)
        for key in facts.keys() & set(keys):
            context = baggage.set_baggage(key, facts[key], context)
        return context

    def _facts_of(self, invite: Invite) -> Mapping[str, Value]:
        """What is known of the attempt; of a leg beside the call no more than its own trunk."""
        attempt = invite.attempt
        own = {
            c.TRUNK_ID: attempt.trunk_id,
            c.TRUNK_CARRIER: attempt.carrier,
            c.TRUNK_ROUTE: attempt.route,
            c.TRUNK_REGION: attempt.region,
        }
        stated = {key: value for key, value in own.items() if value is not None}
        return stated if attempt.aside else {**self._call.attributes, **stated}

    # In -------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the headers that are worth asking for, where others are asked for anyway."""
        return () if self._propagator is None else ASKED

    @guarded
    def of_leg(self, leg: Leg) -> None:
        """Link the trace that the headers of a leg tell, once. Outbound they are of the 200 OK."""
        self.mark.of_leg(leg)
        if self._propagator is None or (leg.direction == "outbound" and leg.active_at is None):
            return
        own = self._call.trace_id
        found = far_end_of(
            _without(leg.attributes, f"{own:032x}"), own_trace_id=own, secrets=self._call.secrets
        )
        if found.link is not None:
            self._link(leg, found.link)
        if self._is_call(leg):
            if found.session_id is not None:
                self._call.observe({"session_id": found.session_id}, source=_SOURCE)
            if found.trace_id is not None:
                self._call.annotate({c.TRUNKTRACE_LINK_TRACE_ID: found.trace_id})

    def _link(self, leg: Leg, link: Link) -> None:
        root = self._call.root
        if leg in self._linked or len(self._linked) >= _MOST_LINKS:
            return
        self._linked.add(leg)
        if root is not None and root.is_recording():
            root.add_link(link.context, link.attributes)


def _without(attributes: Mapping[str, str], own_trace_id: str) -> Mapping[str, str]:
    """Attributes without a traceparent of our own: what we wrote for BYE, and an echo of it."""
    return {
        key: value
        for key, value in attributes.items()
        if own_trace_id not in value or not key.lower().endswith("traceparent")
    }


def _copy_with(request: Any, ours: Mapping[str, str]) -> Any:
    """A copy with those of our headers that the request does not have, whatever their case."""
    fields = getattr(getattr(request, "DESCRIPTOR", None), "fields_by_name", ())
    if "headers" not in fields:  # livekit-protocol before it had them, or no such request at all
        return request
    theirs = {name.lower() for name in request.headers}
    new = {name: value for name, value in ours.items() if name.lower() not in theirs}
    if not new:
        return request
    copy = type(request)()
    copy.CopyFrom(request)
    copy.headers.update(new)
    value = new.get(names.X_TRACEPARENT)
    # Not by setdefault(): in older protobuf it sets an empty text.
    if value is not None and _is_free(copy, fields):
        copy.participant_attributes[TRACEPARENT_ATTRIBUTE] = value
    return copy


def _is_free(request: Any, fields: Collection[str]) -> bool:
    has_attributes = "participant_attributes" in fields
    return has_attributes and TRACEPARENT_ATTRIBUTE not in request.participant_attributes
