"""Every call is counted, sampled or not; the table of calls is bounded."""

from __future__ import annotations

import contextvars
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

import trunktrace
from trunktrace.guard import guard, reraising
from trunktrace.registry import CallRegistry, calls

from .kit import (
    CARRIER,
    FACTS,
    Pipeline,
    UsersError,
    ours,
    remote_parent,
)


def test_at_ratio_a_tenth_every_call_is_opened_fed_and_finished():
    """Sampling decides about spans only: facts and life of each call are the same."""
    pipe = Pipeline(sampler=ParentBased(TraceIdRatioBased(0.1)), seed=7)
    opened, finished = calls.opened, calls.finished
    heard: list[tuple[str, bool]] = []

    class Listener:
        def call_opened(self, call: Any) -> None:
            heard.append(("opened", bool(call)))

        def call_finished(self, call: Any) -> None:
            heard.append(("finished", call.facts.carrier == "telnyx"))

    listener = Listener()
    calls.subscribe(listener)
    held = 0
    for _ in range(500):
        with pipe.call(direction="inbound") as call:
            with pipe.tracer.start_as_current_span("work"):
                trunktrace.current_call().record(**FACTS)
            held += call.facts.carrier == "telnyx"
        assert call.finished
    assert held == 500
    assert (calls.opened - opened, calls.finished - finished) == (500, 500)
    assert heard.count(("opened", True)) == 500
    assert heard.count(("finished", True)) == 500
    roots = [span for span in pipe.finished() if span.name == "sip.call"]
    works = [span for span in pipe.finished() if span.name == "work"]
    assert len(roots) == len(works)
    assert 30 <= len(roots) <= 70
    assert all(span.attributes[CARRIER] == "telnyx" for span in roots + works)


def test_unsampled_calls_are_told_apart_under_one_unsampled_remote_parent():
    """Not sampled and in one trace: `current_call()` is still each one's own."""
    pipe = Pipeline(sampler=ParentBased(ALWAYS_OFF))
    parent = remote_parent(sampled=False)
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = pipe.call(direction="inbound", carrier=name, parent=parent)
        scopes.append((context, scope, context.run(scope.__enter__)))
    for context, _, call in scopes:
        assert context.run(trunktrace.current_call) is call
    for context, scope, call in scopes:
        context.run(scope.__exit__, None, None, None)
        assert call.finished
    assert pipe.finished() == ()


def test_the_registry_is_bounded_and_counts_what_it_evicts():
    """The oldest call makes room; it is finished, counted and logged once, the others go on."""
    registry = CallRegistry(3)
    from trunktrace.livecall import LiveCall

    evicted_before = guard.evicted_calls
    made = [LiveCall(trace_id=n, root_span_id=n) for n in range(1, 6)]
    for call in made:
        registry.open(call, owns_trace=True)
    assert len(registry) == 3
    assert registry.evicted == 2
    assert guard.evicted_calls - evicted_before == 2
    assert [bool(call) for call in made] == [False, False, True, True, True]
    for call in made:
        registry.close(call)
        registry.close(call)
    assert len(registry) == 0
    assert registry.finished == 5


def test_an_evicted_call_harms_nobody():
    """Records on it and spans in its trace go on without facts and without errors."""
    registry_bound = CallRegistry(1)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor(registry=registry_bound))
    from trunktrace.livecall import LiveCall

    first, second = (LiveCall(trace_id=n, root_span_id=n) for n in (1, 2))
    registry_bound.open(first, owns_trace=True)
    registry_bound.open(second, owns_trace=True)
    first.record(carrier="late")
    tracer = provider.get_tracer("t")
    span = tracer.start_span("work", context=remote_parent(trace_id=1, span_id=1))
    span.end()
    assert ours(span.attributes) == {}
    registry_bound.close(second)


def test_a_listener_that_raises_touches_no_call():
    """Who listens to the registry cannot hurt the call; the other listeners are still told."""
    heard: list[str] = []

    class Bad:
        def call_opened(self, call: Any) -> None:
            raise UsersError("bad listener")

        def call_finished(self, call: Any) -> None:
            raise UsersError("bad listener")

    class Good:
        def call_opened(self, call: Any) -> None:
            heard.append("opened")

        def call_finished(self, call: Any) -> None:
            heard.append("finished")

    bad, good = Bad(), Good()
    calls.subscribe(bad)
    calls.subscribe(good)
    pipe = Pipeline()
    with reraising(value=False), pipe.call(**FACTS):
        pass
    assert heard == ["opened", "finished"]
    assert len(calls) == 0
