"""Calls inside calls, calls in one trace, and spans beside them: none is taken for another."""

from __future__ import annotations

import contextvars

from opentelemetry import context as otel_context
from opentelemetry import trace

import trunktrace

from .kit import CARRIER, LOSS, ROUTE, Pipeline, ours, remote_parent, under


def test_a_nested_call_has_its_own_facts():
    """A call inside a call: each span has the facts of the innermost, and the outer goes on."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="outer") as outer:
        before = pipe.tracer.start_span("outer-open")
        with pipe.call(direction="outbound", carrier="inner") as inner:
            pipe.tracer.start_span("in-inner").end()
            assert trunktrace.current_call() is inner
            outer.record(route="outer-route")
            inner.record(region="inner-region")
            pipe.tracer.start_span("in-inner-late").end()
        assert trunktrace.current_call() is outer
        pipe.tracer.start_span("in-outer").end()
        before.end()
    assert pipe.attributes("in-inner")[CARRIER] == "inner"
    late = pipe.attributes("in-inner-late")
    assert late[CARRIER] == "inner"
    assert late["trunk.region"] == "inner-region"
    assert ROUTE not in late
    assert pipe.attributes("in-outer")[CARRIER] == "outer"
    assert pipe.attributes("in-outer")[ROUTE] == "outer-route"
    opened = pipe.attributes("outer-open")
    assert (opened[CARRIER], opened[ROUTE]) == ("outer", "outer-route")
    assert "trunk.region" not in opened


def test_the_root_of_a_nested_call_has_none_of_the_outer_facts():
    """The inner `sip.call` span is of the inner call alone, though it is the outer's child."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="outer", region="outer-region") as outer:
        with pipe.call(direction="outbound", route="inner-route") as inner:
            outer.record(codec="pcma")
            inner.record(carrier="inner")
        outer.record(status_code=200)
    roots = {span.attributes[CARRIER]: span for span in pipe.finished()}
    assert set(roots) == {"outer", "inner"}
    inside = ours(roots["inner"].attributes)
    assert inside["sip.call.direction"] == "outbound"
    assert inside[ROUTE] == "inner-route"
    assert "trunk.region" not in inside
    assert "rtp.codec" not in inside
    assert ROUTE not in roots["outer"].attributes
    assert roots["outer"].attributes["rtp.codec"] == "pcma"


def test_the_inner_call_may_outlive_nothing_of_the_outer():
    """An inner call that ends leaves the outer call and its open spans alone."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="outer") as outer:
        with pipe.call(direction="outbound", carrier="inner"):
            pass
        assert outer
        assert not outer.finished
        outer.record(route="still-here")
    outer_root = next(s for s in pipe.finished() if s.attributes[CARRIER] == "outer")
    assert outer_root.attributes[ROUTE] == "still-here"


def test_a_sibling_in_the_same_remote_trace_is_of_no_call():
    """A span under the same remote parent, started outside of the call, gets none of its facts."""
    pipe = Pipeline()
    parent = remote_parent()
    before = pipe.tracer.start_span("before", context=parent)
    with pipe.call(direction="inbound", carrier="telnyx", parent=parent) as call:
        during = contextvars.Context().run(lambda: pipe.tracer.start_span("during", context=parent))
        call.record(route="late")
        pipe.tracer.start_span("child").end()
    after = pipe.tracer.start_span("after", context=parent)
    for span in (before, during, after):
        span.end()
    for name in ("before", "during", "after"):
        assert ours(pipe.attributes(name)) == {}, name
    assert pipe.attributes("child")[CARRIER] == "telnyx"


def test_spans_around_a_call_in_a_local_trace_are_of_no_call():
    """A call inside the application's own span: what surrounds the call is not the call's."""
    pipe = Pipeline()
    with pipe.tracer.start_as_current_span("request") as request:
        pipe.tracer.start_span("before").end()
        with pipe.call(direction="inbound", carrier="telnyx") as call:
            elsewhere = contextvars.Context().run(
                lambda: pipe.tracer.start_span("elsewhere", context=under(request))
            )
            call.record(route="late")
            pipe.tracer.start_span("child").end()
            elsewhere.end()
        pipe.tracer.start_span("after").end()
    for name in ("request", "before", "elsewhere", "after"):
        assert ours(pipe.attributes(name)) == {}, name
    child = pipe.attributes("child")
    assert (child[CARRIER], child[ROUTE]) == ("telnyx", "late")


def test_a_deep_descendant_in_a_shared_trace_is_found_by_its_open_parents():
    """Two calls in one trace: a bare parent context three levels down is enough."""
    pipe = Pipeline()
    parent = remote_parent()
    spans = []
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = pipe.call(direction="inbound", carrier=name, parent=parent)
        context.run(scope.__enter__)
        scopes.append((context, scope))
        above = context.run(pipe.tracer.start_span, f"{name}-1")
        for level in (2, 3, 4):
            below = pipe.tracer.start_span(f"{name}-{level}", context=under(above))
            spans.append(below)
            above = below
    for span in reversed(spans):
        span.end()
    for context, scope in scopes:
        context.run(scope.__exit__, None, None, None)
    for name in ("a", "b"):
        for level in (2, 3, 4):
            assert pipe.attributes(f"{name}-{level}")[CARRIER] == name


def test_a_bare_child_of_an_ended_span_in_a_shared_trace_is_never_anothers():
    """Two calls in one trace: a span under a parent that has ended has its call's facts or none."""
    pipe = Pipeline()
    parent = remote_parent()
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = pipe.call(direction="inbound", carrier=name, parent=parent)
        context.run(scope.__enter__)
        ended = context.run(pipe.tracer.start_span, f"{name}-ended")
        ended.end()
        scopes.append((context, scope, name, ended))
    for _, _, name, ended in scopes:
        pipe.tracer.start_span(f"{name}-late", context=under(ended)).end()
    for context, scope, _, _ in scopes:
        context.run(scope.__exit__, None, None, None)
    for name in ("a", "b"):
        assert pipe.attributes(f"{name}-late").get(CARRIER) in (None, name)


def test_a_bare_child_of_an_ended_span_has_the_facts_of_its_call():
    """One call in its own trace: also a span under a parent that has ended is of the call."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="telnyx"):
        ended = pipe.tracer.start_span("ended")
        ended.end()
        pipe.tracer.start_span("late", context=under(ended)).end()
    assert pipe.attributes("late")[CARRIER] == "telnyx"


def test_the_context_of_another_call_wins_over_the_code_that_runs():
    """Inside call A, a span started in B's context is B's."""
    pipe = Pipeline()
    outside = contextvars.Context()
    scope = pipe.call(direction="inbound", carrier="b")
    outside.run(scope.__enter__)
    context_of_b = outside.run(otel_context.get_current)
    root_of_b = outside.run(trace.get_current_span)
    with pipe.call(direction="inbound", carrier="a"):
        pipe.tracer.start_span("full", context=context_of_b).end()
        pipe.tracer.start_span("bare", context=under(root_of_b)).end()
        pipe.tracer.start_span("own").end()
    outside.run(scope.__exit__, None, None, None)
    assert pipe.attributes("full")[CARRIER] == "b"
    assert pipe.attributes("bare")[CARRIER] == "b"
    assert pipe.attributes("own")[CARRIER] == "a"


def test_a_new_trace_inside_a_call_belongs_to_the_call_while_its_context_says_so():
    """A root span of another trace, started with the call's context key, is the call's."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="telnyx") as call:
        context = trace.set_span_in_context(trace.INVALID_SPAN)
        with pipe.tracer.start_as_current_span("other-trace", context=context) as span:
            assert span.get_span_context().trace_id != call.trace_id
            call.record(route="late")
            pipe.tracer.start_span("below-it").end()
    for name in ("other-trace", "below-it"):
        attributes = pipe.attributes(name)
        assert (attributes.get(CARRIER), attributes.get(ROUTE)) == ("telnyx", "late"), name


def test_a_finished_calls_context_gives_no_facts_to_the_next_call():
    """A stored context of call 1, used while call 2 runs: nothing of call 2, nothing new of 1."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="first") as first:
        stored = otel_context.get_current()
        bare = under(trace.get_current_span())
    with pipe.call(direction="inbound", carrier="second") as second:
        late = [
            pipe.tracer.start_span("late-full", context=stored),
            pipe.tracer.start_span("late-bare", context=bare),
        ]
        first.record(route="first-late")
        second.record(route="second-route")
        for span in late:
            span.end()
    for name in ("late-full", "late-bare"):
        attributes = ours(pipe.attributes(name))
        assert attributes.get(CARRIER) in (None, "first"), name
        assert attributes.get(ROUTE) is None, name


def test_a_trace_id_that_comes_again_starts_clean():
    """Two calls, one after the other, under one remote parent: the second has its own facts."""
    pipe = Pipeline()
    parent = remote_parent()
    with pipe.call(direction="inbound", carrier="first", codec="pcmu", parent=parent):
        pipe.tracer.start_span("one").end()
    with pipe.call(direction="inbound", carrier="second", parent=parent):
        pipe.tracer.start_span("two").end()
    assert pipe.attributes("two")[CARRIER] == "second"
    assert "rtp.codec" not in pipe.attributes("two")


def test_late_spans_of_two_calls_in_one_trace_are_held_apart():
    """With `LateFactsExporter`, spans of two calls under one remote parent get their own facts."""
    pipe = Pipeline(wrap=trunktrace.LateFactsExporter)
    parent = remote_parent()
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = pipe.call(direction="inbound", parent=parent)
        call = context.run(scope.__enter__)
        context.run(pipe.tracer.start_span, f"early-{name}").end()
        scopes.append((context, scope, call, name))
    stranger = pipe.tracer.start_span("stranger", context=parent)
    stranger.end()
    for _, _, call, name in scopes:
        call.record(carrier=name)
    for context, scope, _, _ in scopes:
        context.run(scope.__exit__, None, None, None)
    pipe.provider.force_flush()
    assert pipe.attributes("early-a")[CARRIER] == "a"
    assert pipe.attributes("early-b")[CARRIER] == "b"
    assert ours(pipe.attributes("stranger")) == {}
    pipe.provider.shutdown()


def test_media_of_one_call_is_never_on_another():
    """Loss of call A is on A's spans and on none of B's, also in one shared trace."""
    pipe = Pipeline()
    parent = remote_parent()
    scopes = []
    for name in ("a", "b"):
        context = contextvars.Context()
        scope = pipe.call(direction="inbound", parent=parent)
        call = context.run(scope.__enter__)
        span = context.run(pipe.tracer.start_span, f"work-{name}")
        scopes.append((context, scope, call, span))
    import time

    now = time.time()
    scopes[0][2].record_media(
        leg="trunk", direction="in", loss_ratio=0.5, start=now - 1, end=now + 1
    )
    for context, scope, _, span in scopes:
        span.end()
        context.run(scope.__exit__, None, None, None)
    assert pipe.attributes("work-a")[LOSS] == 0.5
    assert LOSS not in pipe.attributes("work-b")
    roots = [span for span in pipe.finished() if span.name == "sip.call"]
    assert sorted(LOSS in root.attributes for root in roots) == [False, True]


def test_a_call_keeps_its_trace_when_another_opens_in_it():
    """Two calls, one the root of the trace: what shows no other call is the root's, as before."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", carrier="telnyx"):
        before = pipe.tracer.start_span("before")
        before.end()
        with pipe.call(direction="outbound", carrier="twilio"):
            pipe.tracer.start_span("below what ended", context=under(before)).end()
            pipe.tracer.start_span("inner").end()
        pipe.tracer.start_span("later below what ended", context=under(before)).end()
    for name in ("below what ended", "later below what ended"):
        assert pipe.attributes(name)[CARRIER] == "telnyx"
    assert pipe.attributes("inner")[CARRIER] == "twilio"
