"""The facts beside a diagnosis: who hung up, how long it took, and what our own spans say."""

from __future__ import annotations

import json

import pytest

from behaviour.kit import FACTS, Pipeline, fake_time

from . import captured
from .console import diagnose, modes, parse
from .rig import Line
from .rig_inbound import SETUP, Inbound
from .rig_outbound import Outbound, Try
from .variants import LOSS


@pytest.mark.parametrize(
    "call,who",
    [
        (Inbound(Line(talk=30), ended="caller"), "caller"),
        (Inbound(Line(talk=30), ended="agent"), "agent"),
        (Inbound(Line(talk=30, silent=((0.0, 30.0),)), ended="media-timeout"), "platform"),
        (Outbound([Try("a")], Line(talk=30)), "callee"),
        (Outbound([Try("a")], Line(talk=30), ended="agent"), "agent"),
    ],
    ids=["caller", "agent", "platform", "callee", "agent outbound"],
)
def test_who_hung_up_and_how_long_it_took(call, who, tmp_path):
    """sip.hangup.source, duration and setup are those that happened."""
    for kinds in ((), ("livekit-sip",)):
        told = diagnose(call.write(tmp_path / str(len(kinds)), *kinds))["facts"]
        assert told.get("sip.hangup.source") in (who, None if kinds and who == "agent" else who)
        assert told["sip.call.duration_ms"] == pytest.approx(30_000, abs=120)
        setup = SETUP * 1000 if isinstance(call, Inbound) else 930
        assert told["sip.setup_ms"] == pytest.approx(setup, abs=60)


@pytest.mark.parametrize("number", captured.NAMES)
def test_facts_agree_with_the_label(number, tmp_path):
    """Setup and talk time of the captured calls, and who hung up."""
    truth = captured.facts(number)
    told = diagnose(captured.material(number, tmp_path / "c"))["facts"]
    if truth.get("talk_s"):
        assert told["sip.call.duration_ms"] == pytest.approx(truth["talk_s"] * 1000, rel=0.12)
        ours = "caller" if truth["direction"] == "inbound" else "callee"
        assert told["sip.hangup.source"] == {"carrier": ours, "agent": "agent"}[truth["hung_up_by"]]
    if truth.get("setup_s"):
        assert told["sip.setup_ms"] == pytest.approx(truth["setup_s"] * 1000, abs=60)
    attempts = truth.get("attempts", [])
    if attempts:
        assert told["sip.attempt_count"] == len(attempts)
        assert told.get("trunk.failover.count", 0) == len(attempts) - 1
        assert told["trunk.id"] == attempts[-1]["trunk"]


def merged(records):
    """All spans as a collector's file exporter writes them: many in a line, other types."""
    spans = [r["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for r in records]
    for span in spans:
        span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
    first = records[0]
    first["resourceSpans"][0]["scopeSpans"][0]["spans"] = spans
    return [first]


@pytest.mark.parametrize("number", ["01", "03", "07"])
def test_spans_in_one_batch_say_what_single_lines_say(number, tmp_path):
    """One TracesData with all spans is the same material."""
    one = parse("livekit-spans", captured.path(number, "spans").read_bytes(), tmp_path).json
    other = captured.dump(merged(captured.load(number, "spans")))
    assert parse("livekit-spans", other, tmp_path).json == one
    assert one, "spans tell of a call"


def otlp(pipe: Pipeline) -> str:
    """What a pipeline exported, as OTLP/JSON lines."""

    def value(v):
        if isinstance(v, bool):
            return {"boolValue": v}
        if isinstance(v, int):
            return {"intValue": str(v)}
        if isinstance(v, float):
            return {"doubleValue": v}
        if isinstance(v, tuple | list):
            return {"arrayValue": {"values": [value(each) for each in v]}}
        return {"stringValue": str(v)}

    def attributes(found):
        return [{"key": key, "value": value(v)} for key, v in (found or {}).items()]

    text = ""
    for span in pipe.finished():
        one = {
            "traceId": format(span.context.trace_id, "032x"),
            "spanId": format(span.context.span_id, "016x"),
            "parentSpanId": format(span.parent.span_id, "016x") if span.parent else "",
            "name": span.name, "kind": 2, "startTimeUnixNano": str(span.start_time),
            "endTimeUnixNano": str(span.end_time), "attributes": attributes(span.attributes),
            "events": [
                {
                    "name": e.name, "timeUnixNano": str(e.timestamp),
                    "attributes": attributes(e.attributes),
                }
                for e in span.events
            ],
            "status": {},
        }  # fmt: skip
        scope = {"scope": {"name": "trunktrace"}, "spans": [one]}
        text += json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [scope]}]}) + "\n"
    return text


@pytest.mark.parametrize("ratio", [0.0, 0.08])
def test_the_spans_of_a_live_call_tell_what_the_call_found(ratio, tmp_path):
    """The root span of a call that trunktrace watched, read back: finding, fault, facts."""
    pipe = Pipeline()
    with fake_time() as time_, pipe.call(**FACTS, caller_number="+15553216549") as call:
        for start in range(0, 60, 5):
            time_.now = start + 5
            call.record_media(
                leg="trunk", direction="in", loss_ratio=ratio,
                packet_count=round(250 * (1 - ratio)),
                lost_count=round(250 * ratio), start=time_.unix(start), end=time_.unix(start + 5),
            )  # fmt: skip
    file = tmp_path / "spans.jsonl"
    file.write_text(otlp(pipe))
    answer = diagnose(file)
    assert modes(answer) == ([LOSS] if ratio else [])
    assert answer["fault"] == ("network" if ratio else "none")
    assert answer["facts"]["rtp.in.loss_ratio"] == pytest.approx(ratio)
    assert answer["facts"]["trunk.carrier"] == "telnyx"
    assert answer["outcome"] == "answered"


def test_a_spans_file_with_a_stranger_in_it_is_still_one_call(tmp_path):
    """Spans of another service and trace in the same file change nothing."""
    records = captured.load("04", "spans")
    stranger = json.loads(json.dumps(records[0]))
    span = stranger["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span.update(traceId="ab" * 16, spanId="cd" * 8, parentSpanId="", name="GET /health")
    folder = captured.material("04", tmp_path / "c", spans=lambda r: [stranger, *r, stranger])
    answer = diagnose(folder)
    assert modes(answer) == [LOSS]
    assert answer["facts"]["rtp.in.lost_count"] == 49
