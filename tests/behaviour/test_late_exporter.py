"""`LateFactsExporter`: held until the call is settled, passed on in every case, in bounds."""

from __future__ import annotations

import contextvars

from opentelemetry.sdk.trace.export import (
    SpanExportResult,
)

import trunktrace

from .bench import SETTLING, Bench
from .kit import (
    CARRIER,
    FACT_ATTRIBUTES,
    FACTS,
    ROUTE,
    Pipeline,
    Scripted,
    wait_until,
)


def test_spans_wait_until_the_call_is_settled_and_a_grace_longer():
    """Nothing leaves before carrier, route, direction and code are known; then after the grace."""
    bench = Bench(grace_s=2.0)
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        assert bench.names() == []
        assert bench.late.held_spans == 1
        call.record(carrier="telnyx", route="primary")
        bench.later(3)
        assert bench.names() == []
        assert not call.settled
        call.record(status_code=200)
        assert call.settled
        bench.later(0)
        assert bench.names() == []
        bench.later(1)
        call.record(codec="pcmu")
        bench.later(1.01)
        assert bench.names() == ["early"]
        assert bench.late.held_spans == 0
    early = bench.attributes("early")
    assert (early[CARRIER], early[ROUTE], early["rtp.codec"]) == ("telnyx", "primary", "pcmu")
    assert "trunk.region" not in early
    bench.pipe.provider.shutdown()


def test_spans_of_a_settled_call_pass_without_waiting():
    """After the grace, what ends leaves with the export that brings it."""
    bench = Bench(grace_s=1.0)
    with bench.pipe.call(**SETTLING):
        bench.later(5)
        bench.tracer.start_span("work").end()
        bench.later(1.01)
        assert bench.names() == ["work"]
    bench.pipe.provider.shutdown()


def test_the_roots_end_releases_what_is_held():
    """An unsettled call's spans leave with its root, with what is known by then."""
    bench = Bench()
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        call.record(carrier="telnyx")
        assert bench.names() == []
    bench.late.release_due()
    assert sorted(bench.names()) == ["early", "sip.call"]
    assert bench.attributes("early")[CARRIER] == "telnyx"
    assert bench.late.held_spans == 0
    bench.pipe.provider.shutdown()


def test_force_flush_releases_and_flushes_the_inner_exporter():
    """Everything that is held leaves now; the inner exporter is flushed too."""
    bench = Bench()
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        call.record(carrier="telnyx")
        assert bench.late.force_flush(1000) is True
        assert bench.names() == ["early"]
        assert bench.attributes("early")[CARRIER] == "telnyx"
        assert bench.inner.flushes == 1
        bench.tracer.start_span("later").end()
        assert bench.names() == ["early"], "a flush ends no holding"
    bench.pipe.provider.shutdown()


def test_shutdown_releases_and_shuts_the_inner_exporter_down_once():
    """Nothing is lost at shutdown, and a second one is quiet."""
    bench = Bench()
    with bench.pipe.call(direction="inbound"):
        bench.tracer.start_span("early").end()
        bench.late.shutdown()
        assert bench.names() == ["early"]
        assert bench.inner.shutdowns == 1
        bench.late.shutdown()
        assert bench.inner.shutdowns == 1


def test_after_shutdown_nothing_is_held_for_ever():
    """A span exported after shutdown is answered (passed on or refused), never kept."""
    bench = Bench()
    bench.late.shutdown()
    with bench.pipe.call(direction="inbound"):
        bench.tracer.start_span("late").end()
        assert bench.late.held_spans == 0


def test_the_count_bound_releases_the_longest_held_call_first():
    """More than `max_spans` held: the oldest call's spans leave, the others stay."""
    bench = Bench(max_spans=5)
    scopes = []
    for name in ("old", "new"):
        context = contextvars.Context()
        scope = bench.pipe.call(direction="inbound")
        context.run(scope.__enter__)
        scopes.append((context, scope))
        for n in range(3):
            context.run(bench.tracer.start_span, f"{name}-{n}").end()
        bench.now += 1
    bench.late.release_due()
    assert sorted(bench.names()) == ["old-0", "old-1", "old-2"]
    assert bench.late.held_spans == 3
    for context, scope in scopes:
        context.run(scope.__exit__, None, None, None)
    bench.pipe.provider.shutdown()
    assert len(bench.names()) == len(set(bench.names())) + 1  # two spans are named sip.call


def test_one_call_alone_never_holds_more_than_the_bound():
    """A call of a thousand spans that never settles is held in bounds, and loses none."""
    bench = Bench(max_spans=10)
    with bench.pipe.call(direction="inbound"):
        for n in range(1000):
            bench.tracer.start_span(f"s{n}").end()
            assert bench.late.held_spans <= 10
    bench.pipe.provider.shutdown()
    assert sorted(bench.names()) == sorted([*(f"s{n}" for n in range(1000)), "sip.call"])


def test_the_age_bound_releases_what_waited_long_enough():
    """After `max_hold_s` a span leaves though the call is not settled."""
    bench = Bench(max_hold_s=30.0)
    with bench.pipe.call(direction="inbound"):
        bench.tracer.start_span("early").end()
        bench.later(29.9)
        assert bench.names() == []
        bench.later(0.2)
        assert bench.names() == ["early"]
    bench.pipe.provider.shutdown()


def test_the_age_bound_needs_no_export_to_come():
    """Its own timer: with nothing else exported, the span leaves all the same."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    pipe = Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner, max_hold_s=0.05))
    with pipe.call(direction="inbound"):
        pipe.tracer.start_span("early").end()
        wait_until(lambda: [span.name for span in inner.spans] == ["early"], 5)
    pipe.provider.shutdown()


def test_settlement_needs_no_export_to_come():
    """Its own timer again: settled plus grace is enough, long before the age bound."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    pipe = Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner, grace_s=0.05))
    with pipe.call(direction="inbound") as call:
        pipe.tracer.start_span("early").end()
        call.record(**SETTLING)
        wait_until(lambda: [span.name for span in inner.spans] == ["early"], 5)
    pipe.provider.shutdown()
    assert inner.spans[0].attributes[CARRIER] == "telnyx"


def test_spans_of_no_call_pass_at_once_as_the_same_objects():
    """What is none of ours is neither held nor copied."""
    bench = Bench()
    with bench.pipe.call(direction="inbound"):
        held = bench.tracer.start_span("held")
        held.end()
        plain = Pipeline(seed=5)
        contextvars.Context().run(plain.tracer.start_span, "plain").end()
        done = list(plain.finished())
        assert bench.late.export(done) is SpanExportResult.SUCCESS
        assert bench.inner.spans == done
        assert bench.inner.spans[0] is done[0]
    bench.pipe.provider.shutdown()


def test_spans_that_lack_nothing_pass_as_the_same_objects():
    """A span that already has every fact is not rebuilt."""
    bench = Bench(grace_s=0.5)
    with bench.pipe.call(**FACTS):
        span = bench.tracer.start_span("full")
        span.end()
        bench.late.force_flush()
    out = bench.inner.spans[0]
    assert dict(out.attributes) == dict(span.attributes)
    bench.pipe.provider.shutdown()


def test_the_answer_is_that_of_the_inner_exporter():
    """FAILURE of what passes is told to the SDK."""
    bench = Bench(lambda spans: SpanExportResult.FAILURE)
    plain = Pipeline(seed=5)
    plain.tracer.start_span("plain").end()
    assert bench.late.export(plain.finished()) is SpanExportResult.FAILURE
    bench.pipe.provider.shutdown()


def test_an_empty_export_does_no_harm():
    """No spans, no failure."""
    bench = Bench()
    assert bench.late.export(()) is SpanExportResult.SUCCESS
    bench.pipe.provider.shutdown()


def test_an_unnamed_carrier_settles_with_the_call():
    """A call whose carrier never comes is not held beyond its end."""
    bench = Bench(max_hold_s=1000.0)
    with bench.pipe.call(direction="inbound", status_code=200):
        bench.tracer.start_span("work").end()
    bench.late.release_due()
    assert sorted(bench.names()) == ["sip.call", "work"]
    assert CARRIER not in bench.attributes("work")
    bench.pipe.provider.shutdown()


def test_a_value_that_stood_on_an_ended_span_is_kept():
    """What was true of the span's own time is not rewritten by what came later."""
    bench = Bench()
    with bench.pipe.call(direction="outbound", status_code=503, route="first") as call:
        bench.tracer.start_span("during").end()
        call.record(carrier="telnyx", status_code=200, route="second")
    bench.late.force_flush()
    during = bench.attributes("during")
    assert (during["sip.response.status_code"], during[ROUTE]) == (503, "first")
    assert during[CARRIER] == "telnyx"
    bench.pipe.provider.shutdown()


def test_root_only_facts_are_not_added_to_held_children():
    """A held child gets the inherited keys only, as an open one does."""
    bench = Bench()
    with bench.pipe.call(direction="inbound") as call:
        bench.tracer.start_span("early").end()
        call.record(**FACTS, trunk_id="ST_1", caller_number="+14155550134", transport="udp")
    bench.late.force_flush()
    assert set(bench.attributes("early")) == set(FACT_ATTRIBUTES)
    bench.pipe.provider.shutdown()


def test_held_children_get_the_set_that_their_processor_inherits():
    """`CallSpanProcessor(inherit=...)` also rules what is added late."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    pipe = Pipeline(
        inherit={CARRIER, "sip.transport"},
        wrap=lambda memory: trunktrace.LateFactsExporter(inner),
    )
    with pipe.call(direction="inbound") as call:
        pipe.tracer.start_span("early").end()
        call.record(**FACTS, transport="udp")
    pipe.provider.force_flush()
    early = next(span for span in inner.spans if span.name == "early")
    assert dict(early.attributes) == {CARRIER: "telnyx", "sip.transport": "udp"}
    pipe.provider.shutdown()
