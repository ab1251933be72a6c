"""The `trunk.record` span: what came after the call, as the same bytes each time."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from trunktrace.facts import CallFacts, MediaWindow, Observation
from trunktrace.record import record_span

from .kit import run_python

TRACE, ROOT = 0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0, 0xFEED_FACE_CAFE_BEEF
START, END = 1_790_000_000.25, 1_790_000_060.5

WINDOW = MediaWindow(
    leg="trunk",
    direction="in",
    start=START,
    end=END,
    source="twilio.insights",
    loss_ratio=0.0625,
    packet_count=3000,
    lost_count=200,
    jitter_ms=7.5,
)
FACTS = CallFacts(carrier="twilio", direction="inbound", status_code=200, codec="pcmu").attributes()
RECORD = Observation(
    source="twilio.insights",
    record_id="CA1",
    start=START,
    end=END,
    facts=FACTS,
    ids={"provider_call_id": "CA1"},
    windows=(WINDOW,),
)


def make(observation: Observation = RECORD, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "trace_id": TRACE,
        "root_span_id": ROOT,
        "resource": Resource({"service.name": "agent"}),
        "match_method": "sip.provider.call_id",
    }
    return record_span(observation, **(settings | changes))


def encoded(span: Any) -> bytes:
    return encode_spans([span]).SerializeToString()


def test_it_is_an_internal_child_of_the_root_call_span():
    """Same trace, parent the root, the record's own times, a kind and name of the vocabulary."""
    span = make()
    assert span.name == "trunk.record"
    assert span.kind is SpanKind.INTERNAL
    assert span.context.trace_id == TRACE
    assert span.context.trace_flags.sampled
    assert span.parent.span_id == ROOT
    assert span.parent.trace_id == TRACE
    assert span.context.span_id not in (0, ROOT)
    assert span.start_time == 1_790_000_000_250_000_000
    assert span.end_time == 1_790_000_060_500_000_000
    assert span.instrumentation_scope.name == "trunktrace"


def test_it_says_who_wrote_it_how_it_was_joined_and_how_complete_it_is():
    """Source, match method, completeness and facts as attributes; its window as an event."""
    span = make()
    attributes = dict(span.attributes)
    assert attributes["trunktrace.source"] == "twilio.insights"
    assert attributes["trunktrace.match.method"] == "sip.provider.call_id"
    assert attributes["trunktrace.record.completeness"] == "complete"
    assert attributes["trunk.carrier"] == "twilio"
    assert attributes["sip.response.status_code"] == 200
    (window,) = span.events
    assert window.attributes["rtp.in.loss_ratio"] == 0.0625
    assert window.attributes["rtp.in.packet_count"] == 3000
    assert window.attributes["rtp.in.jitter_ms"] == 7.5


def test_a_second_delivery_is_the_same_bytes():
    """Made twice, also from facts in another order: equal when encoded for OTLP."""
    shuffled = list(RECORD.facts.items())
    random.Random(3).shuffle(shuffled)
    again = replace(RECORD, facts=dict(shuffled), ids=dict(reversed(list(RECORD.ids.items()))))
    assert encoded(make()) == encoded(make())
    assert encoded(make(again)) == encoded(make())


def test_the_bytes_are_the_same_in_another_process():
    """No hash seed, no id generator, no clock of the process goes into them."""
    code = """
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.resources import Resource
        from trunktrace.facts import CallFacts, MediaWindow, Observation
        from trunktrace.record import record_span
        facts = CallFacts(carrier="twilio", direction="inbound", status_code=200).attributes()
        window = MediaWindow(leg="trunk", direction="in", start=1.5, end=9.5, loss_ratio=0.5)
        one = Observation(source="s", record_id="r", start=1.5, end=9.5, facts=facts,
                          windows=(window,))
        span = record_span(one, trace_id=1, root_span_id=2, resource=Resource({"a": "b"}),
                           match_method="m")
        print(encode_spans([span]).SerializeToString().hex())
    """
    assert run_python(code, PYTHONHASHSEED="1") == run_python(code, PYTHONHASHSEED="2")


@pytest.mark.parametrize(
    "other",
    [
        replace(RECORD, completeness="partial"),
        replace(RECORD, record_id="CA2"),
        replace(RECORD, source="telnyx.cdr"),
    ],
    ids=["completeness", "record_id", "source"],
)
def test_another_record_is_another_span(other):
    """Source, record id and completeness each make another span id."""
    assert make(other).context.span_id != make().context.span_id


def test_another_trace_is_another_span():
    """One record joined to two traces gives two ids."""
    assert make(trace_id=7).context.span_id != make().context.span_id


def test_the_same_record_with_other_facts_keeps_its_id():
    """The id is of the record, not of what it says: a correction overwrites."""
    corrected = replace(RECORD, facts=dict(FACTS) | {"rtp.codec": "g722"})
    assert make(corrected).context.span_id == make().context.span_id
    assert encoded(make(corrected)) != encoded(make())


def test_parts_of_the_id_cannot_run_into_each_other():
    """source "ab" with record "c" is not source "a" with record "bc"."""
    one = make(replace(RECORD, source="ab", record_id="c"))
    two = make(replace(RECORD, source="a", record_id="bc"))
    assert one.context.span_id != two.context.span_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"record_id": ""},
        {"start": None},
        {"end": None},
        {"start": None, "end": None, "windows": ()},
    ],
    ids=["no-id", "no-start", "no-end", "no-times"],
)
def test_a_record_without_id_or_times_cannot_be_a_span(wrong):
    """They make the bytes: without them it raises, and says which is missing."""
    with pytest.raises(ValueError, match=r"id|time|start|end"):
        make(replace(RECORD, **wrong))


def test_every_window_is_on_the_span_with_leg_direction_and_times():
    """Several windows of legs and directions are told apart, each with its time."""
    windows = (
        WINDOW,
        replace(WINDOW, direction="out", loss_ratio=0.5),
        MediaWindow(leg="pstn", direction="in", start=START, end=START + 10, loss_ratio=0.25),
        MediaWindow(leg="agent", direction="out", start=START, end=START + 5, jitter_ms=3.0),
    )
    span = make(replace(RECORD, windows=windows))
    said = {
        (event.attributes["trunktrace.leg"], event.attributes["rtp.direction"]): event.attributes
        for event in span.events
    }
    assert set(said) == {("trunk", "in"), ("trunk", "out"), ("pstn", "in"), ("agent", "out")}
    assert said["trunk", "in"]["rtp.in.loss_ratio"] == 0.0625
    assert said["trunk", "out"]["rtp.out.loss_ratio"] == 0.5
    assert said["pstn", "in"]["pstn.in.loss_ratio"] == 0.25
    assert said["agent", "out"]["webrtc.out.jitter_ms"] == 3.0
    assert "rtp.in.loss_ratio" not in said["pstn", "in"]
    for event in span.events:
        assert event.attributes["trunktrace.window.start_unix_ms"] == 1_790_000_000_250
        assert span.start_time <= event.timestamp <= span.end_time


def test_the_order_of_windows_does_not_change_the_bytes():
    """A source that lists the same windows in another order delivers the same record."""
    other = replace(WINDOW, direction="out", loss_ratio=0.5)
    one, two = replace(RECORD, windows=(WINDOW, other)), replace(RECORD, windows=(other, WINDOW))
    assert encoded(make(one)) == encoded(make(two))


def test_no_id_in_the_record_reaches_the_span_in_clear_but_by_vocabulary():
    """What it was matched by is named by key only; every attribute is of our vocabulary."""
    from trunktrace import conventions

    span = make(replace(RECORD, ids={"caller": "+14155550134"}))
    assert "4155550134" not in span.to_json()
    assert set(span.attributes) <= set(conventions.ATTRIBUTES)


def test_the_span_can_be_exported_beside_others():
    """It has all that exporters and `to_json` read."""
    span = make()
    assert span.to_json()
    assert span.links == ()
    assert span.status.is_unset
    assert span.resource.attributes["service.name"] == "agent"
    assert encoded(span)
