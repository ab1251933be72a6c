"""A call's trunk facts as W3C baggage on the requests of its function tools.

So a CRM's spans can say the carrier as well. Only keys that the operator allowed, only their values
at the time of the request, and only inside a function tool: requests to the speech and language
models of third parties carry nothing of ours.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, create_key, get_current, get_value
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from trunktrace import conventions as c
from trunktrace.errors import ConfigurationError
from trunktrace.guard import swallowing
from trunktrace.livecall import LiveCall
from trunktrace.propagation.small_baggage import is_clean, names_a_person
from trunktrace.redaction import MASKED
from trunktrace.start import current_call

if TYPE_CHECKING:
    from trunktrace.belief import Value

ALLOWED_KEY: Final = create_key("trunktrace-tool-baggage")
"""Context key under which a call's allowed keys travel: each agent of a process has its own."""

TOOL_SPAN: Final = "function_tool"
"""The span in which livekit-agents runs a function tool."""

_MOST_PARENTS: Final = 64
_HEADER: Final = "baggage"
_TRUNK: Final = c.TRUNK_CARRIER.partition(".")[0]


def baggage_keys(field: str, keys: object) -> tuple[str, ...]:
    """The keys that may travel, checked: single-valued facts of the trunk (`trunk.*`).

    Raises ConfigurationError naming `field` for any other key.
    """
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise ConfigurationError(field, keys, "give a list of attribute keys")
    told: list[str] = []
    for key in cast("Iterable[object]", keys):
        known = c.ATTRIBUTES.get(key) if isinstance(key, str) else None
        is_of_trunk = known is not None and known.key.partition(".")[0] == _TRUNK
        if known is None or not is_of_trunk or known.type == "string[]":
            shown = MASKED if names_a_person(str(key)) else key
            raise ConfigurationError(
                field, shown, "use keys of the trunk: trunk.carrier, trunk.route"
            )
        if known.privacy != "public":
            raise ConfigurationError(field, key, "leave it out: it says something of a person")
        told.append(known.key)
    return tuple(told)


class CallBaggagePropagator(TextMapPropagator):
    """Adds a call's allowed facts to the `baggage` header of requests that its tools make.

    `keys` are attribute keys such as `trunk.carrier`; a call whose agent was given
    `traced_call(tool_baggage=...)` has its own instead. Put it last in a list of propagators: what
    the context holds as baggage stays beside ours if `with_context` says that it is sent at all.
    Extracts nothing.

    A text that looks like a phone number or an address, as a route's name may, is left out.
    Raises ConfigurationError for a key that may not travel.
    """

    def __init__(self, keys: Iterable[str] = (), *, with_context: bool = True) -> None:
        self._keys = baggage_keys("keys", keys)
        self._with_context = with_context
        self._writer = W3CBaggagePropagator()

    def extract(
        self,
        carrier: CarrierT,  # noqa: ARG002  # the interface's
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # noqa: ARG002  # the interface's
    ) -> Context:
        """The context as it is."""
        return get_current() if context is None else context

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write `baggage` with the call's facts, inside a function tool of a call. Never raises."""
        with swallowing("call_baggage.inject"):
            context = get_current() if context is None else context
            facts = self._facts(context)
            if not facts:
                return
            base = context if self._with_context else Context()
            for key, value in facts.items():
                base = baggage.set_baggage(key, str(value), base)
            self._writer.inject(carrier, base, setter)

    @property
    def fields(self) -> set[str]:
        """The header that it writes."""
        return {_HEADER}

    def _facts(self, context: Context) -> Mapping[str, Value]:
        own = get_value(ALLOWED_KEY, context)
        keys = cast("tuple[str, ...]", own) if isinstance(own, tuple) else self._keys
        if not keys:
            return {}
        call = current_call()
        if not call or not _in_tool(call, trace.get_current_span(context)):
            return {}
        known = call.attributes
        return {key: known[key] for key in keys if key in known and _may_go(key, known[key])}


class ToolBaggage:
    """Puts one propagator of ours behind the process's own; undone by `uninstall`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: TextMapPropagator | None = None
        self._ours: TextMapPropagator | None = None

    def install(self) -> None:
        """Add the propagator to the global one, unless it is there already."""
        with self._lock:
            before = propagate.get_global_textmap()
            if before is self._ours:
                return
            ours = CallBaggagePropagator(with_context=_HEADER in before.fields)
            self._before, self._ours = before, CompositePropagator([before, ours])
            propagate.set_global_textmap(self._ours)

    def uninstall(self) -> None:
        """Put the global propagator back, unless somebody else has set another since."""
        with self._lock:
            if self._before is not None and propagate.get_global_textmap() is self._ours:
                propagate.set_global_textmap(self._before)
            self._before = self._ours = None


tool_baggage: Final = ToolBaggage()
"""The one of this process."""


def _may_go(key: str, value: Value) -> bool:
    """Whether a value names nobody: a route may be named after a number. An id may look like one.

    The call's own numbers are masked in every fact.
    """
    return not isinstance(value, str) or key == c.TRUNK_ID or is_clean(value)


def _in_tool(call: LiveCall, span: Any) -> bool:
    """Whether a span, or one that it stands in, is a function tool; by the call's open spans."""
    for _ in range(_MOST_PARENTS):
        if getattr(span, "name", None) == TOOL_SPAN:
            return True
        parent = getattr(span, "parent", None)
        if parent is None:
            return False
        views = call.spans.views
        span = next((one for view in views if (one := view.open.get(parent.span_id))), None)
    return False
