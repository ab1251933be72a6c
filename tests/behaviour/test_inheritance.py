"""What a span can know: the table of facts by the time at which they become known."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Status, StatusCode

import trunktrace

from .kit import (
    CARRIER,
    CODE,
    CODEC,
    DIRECTION,
    FACT_ATTRIBUTES,
    FACTS,
    INHERITED,
    LOSS,
    METHOD,
    ROUTE,
    Pipeline,
    inherited,
    ours,
    under,
)


def test_a_fact_known_before_a_span_starts_stands_on_it():
    """Facts given at the call's start are on every child, and on the root."""
    pipe = Pipeline()
    with pipe.call(**FACTS), pipe.tracer.start_as_current_span("child"):
        pass
    assert inherited(pipe.attributes("child")) == FACT_ATTRIBUTES
    assert inherited(pipe.attributes("sip.call")) == FACT_ATTRIBUTES


def test_a_fact_is_readable_on_the_span_at_its_start():
    """A sampler apart, whoever reads the span right after its start finds the facts."""
    pipe = Pipeline()
    with pipe.call(**FACTS):
        span = pipe.tracer.start_span("child")
        assert inherited(span.attributes) == FACT_ATTRIBUTES
        span.end()


def test_a_fact_known_while_spans_are_open_reaches_all_of_them():
    """Each open span, however deep and however it was parented, gets the late fact."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        outer = pipe.tracer.start_span("outer")
        inner = pipe.tracer.start_span("inner", context=under(outer))
        deepest = pipe.tracer.start_span("deepest", context=under(inner))
        call.record(**FACTS)
        for span in (deepest, inner, outer):
            span.end()
    for name in ("outer", "inner", "deepest", "sip.call"):
        assert inherited(pipe.attributes(name)) == FACT_ATTRIBUTES, name


def test_a_span_that_ended_before_the_fact_does_not_have_it():
    """The processor alone cannot change what has ended."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        pipe.tracer.start_span("early").end()
        call.record(carrier="telnyx")
        pipe.tracer.start_span("later").end()
    assert inherited(pipe.attributes("early")) == {DIRECTION: "inbound"}
    assert pipe.attributes("later")[CARRIER] == "telnyx"


def test_a_span_that_ended_before_the_fact_has_it_where_the_export_is_held():
    """With `LateFactsExporter` the ended span carries what became known later."""
    pipe = Pipeline(wrap=trunktrace.LateFactsExporter)
    with pipe.call(direction="inbound") as call:
        pipe.tracer.start_span("early", attributes={"own": 1}).end()
        call.record(**FACTS)
    pipe.provider.force_flush()
    assert inherited(pipe.attributes("early")) == FACT_ATTRIBUTES
    assert pipe.attributes("early")["own"] == 1
    pipe.provider.shutdown()


def test_a_span_is_exported_unchanged_but_for_the_late_facts():
    """Identity, times, parent, events, links, status, resource and scope stay as they were."""
    pipe = Pipeline(wrap=trunktrace.LateFactsExporter)
    seen = []
    with pipe.call(direction="inbound") as call:
        span = pipe.tracer.start_span("early", attributes={"own": (1, 2)})
        span.add_event("happened", {"k": "v"}, timestamp=5)
        span.set_status(Status(StatusCode.ERROR, "why"))
        span.end()
        seen.append(span)
        call.record(carrier="telnyx")
    pipe.provider.force_flush()
    before, after = seen[0], pipe.named("early")
    for field in (
        "name",
        "context",
        "parent",
        "start_time",
        "end_time",
        "kind",
        "links",
        "resource",
        "instrumentation_scope",
    ):
        assert getattr(after, field) == getattr(before, field), field
    assert after.status.status_code is StatusCode.ERROR
    assert after.status.description == "why"
    assert [(e.name, dict(e.attributes), e.timestamp) for e in after.events] == [
        ("happened", {"k": "v"}, 5)
    ]
    assert after.attributes["own"] == (1, 2)
    pipe.provider.shutdown()


def test_a_fact_that_ends_the_call_stands_on_the_root_in_any_case():
    """What comes last, after every child ended, is still on the root call span."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        pipe.tracer.start_span("child").end()
        call.record(hangup_source="caller", duration_ms=1234.5)
    root = pipe.attributes("sip.call")
    assert root["sip.hangup.source"] == "caller"
    assert root["sip.call.duration_ms"] == 1234.5


def test_root_only_facts_stay_on_the_root():
    """No child carries a key that the vocabulary gives to the root alone."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        open_child = pipe.tracer.start_span("open")
        call.record(
            trunk_id="ST_1",
            call_id="abc",
            transport="udp",
            caller_number="+15551234567",
            setup_ms=10.0,
            dtmf_count=1,
            outcome="answered",
        )
        pipe.tracer.start_span("after").end()
        open_child.end()
    assert set(ours(pipe.attributes("open"))) == set(INHERITED)
    assert set(ours(pipe.attributes("after"))) == set(INHERITED)
    root = pipe.attributes("sip.call")
    assert root["trunk.id"] == "ST_1"
    assert root["sip.transport"] == "udp"


def test_a_fact_that_changes_reaches_open_spans_and_leaves_ended_ones():
    """A code that is corrected is corrected where a span is still open."""
    pipe = Pipeline()
    with pipe.call(direction="outbound", status_code=503) as call:
        pipe.tracer.start_span("during_503").end()
        still_open = pipe.tracer.start_span("still_open")
        call.record(status_code=200)
        still_open.end()
    assert pipe.attributes("during_503")[CODE] == 503
    assert pipe.attributes("still_open")[CODE] == 200
    assert pipe.attributes("sip.call")[CODE] == 200


def test_the_inherited_set_is_the_seven_and_the_method():
    """`inherit=None` means exactly the keys of the vocabulary's first table."""
    from trunktrace import conventions

    assert set(conventions.INHERITED_BY_DEFAULT) == {*INHERITED, LOSS, METHOD}


def test_inherit_takes_another_set():
    """`CallSpanProcessor(inherit=...)` gives children these keys and no others."""
    pipe = Pipeline(inherit={"sip.transport", "trunk.carrier"})
    with pipe.call(**FACTS, transport="tls") as call:
        open_child = pipe.tracer.start_span("open")
        call.record(transport="udp")
        open_child.end()
    assert ours(pipe.attributes("open")) == {CARRIER: "telnyx", "sip.transport": "udp"}
    assert inherited(pipe.attributes("sip.call")) == FACT_ATTRIBUTES


def test_two_processors_with_other_sets_each_serve_their_provider():
    """Two providers may inherit different keys of one call."""
    one, two = Pipeline(inherit={ROUTE}), Pipeline(inherit={CODEC}, seed=2)
    with one.call(**FACTS):
        one.tracer.start_span("a").end()
        two.tracer.start_span("b").end()
    assert ours(one.attributes("a")) == {ROUTE: FACTS["route"]}
    assert ours(two.attributes("b")) == {CODEC: "pcmu"}


def test_an_unsampled_call_holds_its_facts_and_makes_no_span():
    """Sampled out: opened, fed, readable, finished; nothing exported."""
    pipe = Pipeline(sampler=ALWAYS_OFF)
    with pipe.call(**FACTS) as call:
        with pipe.tracer.start_as_current_span("child"):
            assert trunktrace.current_call() is call
            trunktrace.current_call().record(hangup_source="agent")
        assert call
        assert inherited(call.attributes) == FACT_ATTRIBUTES
        assert call.facts.hangup_source == "agent"
    assert call.finished
    assert not call
    assert pipe.finished() == ()


def test_the_unknown_carrier_is_said_once_on_the_root_at_its_end():
    """A call over SIP that nobody could name ends with `unknown` on its root, never before."""
    pipe = Pipeline(wrap=trunktrace.LateFactsExporter)
    with pipe.call(direction="inbound") as call:
        child = pipe.tracer.start_span("child")
        assert CARRIER not in call.attributes
        child.end()
        pipe.tracer.start_span("open_at_end_of_root")
    pipe.provider.force_flush()
    assert pipe.attributes("sip.call")[CARRIER] == "unknown"
    assert CARRIER not in pipe.attributes("child")
    pipe.provider.shutdown()


def test_facts_are_readable_by_field_and_by_key():
    """`call.facts` and `call.attributes` say the same; what is not known is None or absent."""
    pipe = Pipeline()
    with pipe.call(**FACTS) as call:
        assert call.facts.carrier == "telnyx"
        assert call.facts.hangup_source is None
        assert "sip.hangup.source" not in call.attributes
        assert inherited(call.facts.attributes()) == FACT_ATTRIBUTES


@pytest.mark.parametrize(
    "given, stands",
    [("PCMU", "pcmu"), ("pcma", "pcma"), ("G722", "g722"), ("AMR-WB", "amr-wb")],
)
def test_a_codec_is_written_in_lower_case(given, stands):
    """`rtp.codec` is the lower-case IANA subtype."""
    pipe = Pipeline()
    with pipe.call(codec=given):
        pass
    assert pipe.attributes("sip.call")[CODEC] == stands


def test_numbers_are_masked_and_stand_nowhere_in_clear():
    """A number that is recorded is on the root masked, with its country, in no span in clear."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", caller_number="+14155550134") as call:
        child = pipe.tracer.start_span("child")
        call.record(callee_number="sip:+442079460018@carrier.invalid;user=phone")
        child.end()
    root = pipe.attributes("sip.call")
    assert root["sip.caller.number"] == "+1*******34"
    assert root["sip.caller.country"] == "US"
    assert root["sip.callee.country"] == "GB"
    assert root["sip.callee.number"].startswith("+44")
    assert root["sip.callee.number"].endswith("18")
    text = "\n".join(span.to_json() for span in pipe.finished())
    assert "4155550134" not in text
    assert "2079460018" not in text


def test_the_root_is_server_inbound_and_client_outbound():
    """The kind of `sip.call` follows the direction."""
    pipe = Pipeline()
    with pipe.call(direction="inbound"):
        pass
    assert pipe.named("sip.call").kind.name == "SERVER"
    pipe.memory.clear()
    with pipe.call(direction="outbound"):
        pass
    assert pipe.named("sip.call").kind.name == "CLIENT"
