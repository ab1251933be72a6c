"""Any interleaving of calls, spans and facts: no span ever has another call's carrier."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from opentelemetry import context as otel_context
from opentelemetry import trace

from trunktrace.registry import calls

from .kit import CARRIER, ROUTE, Pipeline, remote_parent, under


@dataclass
class Open:
    """A call that the machine holds open, and what must stand on its spans."""

    name: str
    scope: Any
    context: contextvars.Context
    call: Any = None
    root: Any = None
    carrier: str | None = None
    route: str | None = None
    ended: bool = False
    spans: list[Any] = field(default_factory=list)


@dataclass
class Started:
    """A span with the call that it was started in, and what it must carry by its end."""

    span: Any
    of: Open | None
    must: dict[str, str] = field(default_factory=dict)
    ended: bool = False


class Interleavings(RuleBasedStateMachine):
    """Calls in traces of their own, under one remote parent, and inside one another."""

    opened = Bundle("opened")
    started = Bundle("started")

    def __init__(self) -> None:
        super().__init__()
        self.pipe = Pipeline()
        self.calls: list[Open] = []
        self.spans: list[Started] = []

    def _enter(self, context: contextvars.Context, parent: Any) -> Open:
        name = f"c{len(self.calls)}"
        scope = self.pipe.call(direction="inbound", parent=parent)
        one = Open(name, scope, context)
        one.call = context.run(scope.__enter__)
        one.root = context.run(trace.get_current_span)
        self.calls.append(one)
        return one

    @rule(target=opened)
    def start_call(self) -> Open:
        return self._enter(contextvars.Context(), None)

    @rule(target=opened)
    def start_call_in_the_shared_trace(self) -> Open:
        return self._enter(contextvars.Context(), remote_parent())

    @rule(target=opened, outer=opened)
    def start_call_inside(self, outer: Open) -> Any:
        if outer.ended:
            return multiple()
        return self._enter(outer.context.copy(), None)

    def _start(self, of: Open | None, start: Any) -> Started:
        one = Started(start(), of)
        if of is not None and not of.ended:
            one.must = self._known(of)
        self.spans.append(one)
        return one

    @staticmethod
    def _known(of: Open) -> dict[str, str]:
        known = {CARRIER: of.carrier, ROUTE: of.route}
        return {key: value for key, value in known.items() if value is not None}

    @rule(target=started, of=opened)
    def start_span(self, of: Open) -> Any:
        if of.ended:
            return multiple()
        return self._start(of, lambda: of.context.run(self.pipe.tracer.start_span, "work"))

    @rule(target=started, of=opened)
    def start_span_from_the_bare_root(self, of: Open) -> Any:
        if of.ended:
            return multiple()
        context = under(of.root)
        return self._start(of, lambda: self.pipe.tracer.start_span("work", context=context))

    @rule(target=started, above=started)
    def start_span_below(self, above: Started) -> Any:
        if above.ended or above.of is None or above.of.ended:
            return multiple()
        context = under(above.span)
        return self._start(above.of, lambda: self.pipe.tracer.start_span("work", context=context))

    @rule(target=started, of=opened, running=opened)
    def start_span_of_one_call_inside_another(self, of: Open, running: Open) -> Any:
        if of.ended:
            return multiple()
        context = of.context.run(otel_context.get_current)
        return self._start(
            of, lambda: running.context.run(self.pipe.tracer.start_span, "work", context=context)
        )

    @rule(target=started, shared=st.booleans())
    def start_span_of_no_call(self, shared: bool) -> Any:
        context = remote_parent() if shared else None
        start = self.pipe.tracer.start_span
        return self._start(None, lambda: contextvars.Context().run(start, "work", context=context))

    @rule(of=opened)
    def record_carrier(self, of: Open) -> None:
        of.call.record(carrier=of.name)
        self._recorded(of, CARRIER, of.name)

    @rule(of=opened)
    def record_route(self, of: Open) -> None:
        of.call.record(route=of.name)
        self._recorded(of, ROUTE, of.name)

    def _recorded(self, of: Open, key: str, value: str) -> None:
        if of.ended:
            return
        setattr(of, {CARRIER: "carrier", ROUTE: "route"}[key], value)
        for one in self.spans:
            if one.of is of and not one.ended:
                one.must[key] = value

    @rule(one=started)
    def end_span(self, one: Started) -> None:
        if one.ended:
            return
        one.span.end()
        one.ended = True

    @rule(of=opened, broken=st.booleans())
    def end_call(self, of: Open, broken: bool) -> None:
        if of.ended:
            return
        error = RuntimeError("the block failed") if broken else None
        kind = RuntimeError if broken else None
        of.context.run(of.scope.__exit__, kind, error, None)
        of.ended = True

    @invariant()
    def no_span_has_anothers_facts(self) -> None:
        for one in self.spans:
            allowed = (None,) if one.of is None else (None, one.of.name)
            assert one.span.attributes.get(CARRIER) in allowed
            assert one.span.attributes.get(ROUTE) in allowed

    @invariant()
    def every_span_has_what_was_known_while_it_was_open(self) -> None:
        for one in self.spans:
            for key, value in one.must.items():
                assert one.span.attributes.get(key) == value

    @invariant()
    def as_many_calls_are_open_as_were_opened(self) -> None:
        assert len(calls) == sum(not one.ended for one in self.calls)

    def teardown(self) -> None:
        for one in self.calls:
            if not one.ended:
                one.context.run(one.scope.__exit__, None, None, None)
                one.ended = True
        for one in self.spans:
            if not one.ended:
                one.span.end()
        try:
            self.no_span_has_anothers_facts()
            assert len(calls) == 0
            for root in (s for s in self.pipe.finished() if s.name == "sip.call"):
                assert root.attributes.get(CARRIER) in {"unknown", *(c.name for c in self.calls)}
        finally:
            calls.clear()


Interleavings.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestInterleavings(Interleavings.TestCase):
    """Hypothesis looks for an order of steps that mixes two calls."""
