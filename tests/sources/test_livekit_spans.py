"""Spans of livekit-agents: who spoke when, and what the root states."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sources.captured import ANSWERED, NAMES, data, lines, truth

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sources.livekit import spans as livekit_spans
from trunktrace.sources.parsed import Parsed

T = 1_795_000_000


def _parsed(name: str) -> Parsed:
    return livekit_spans.parse(data(name, "livekit-spans"))


def _count(one: Observation, kind: str) -> int:
    return sum(mark.kind == kind for mark in one.marks)


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_one_call(name: str) -> None:
    """No line is broken; one observation with the ids of room and job."""
    parsed = _parsed(name)
    assert parsed.broken == ()
    (one,) = parsed.observations
    assert one.ids["room_id"].startswith("RM_")
    assert one.ids["job_id"].startswith("AJ_")


@pytest.mark.parametrize("name", ANSWERED)
def test_speech_and_turns_are_marks(name: str) -> None:
    """A greeting and two answers, two turns of the caller, and the response times of the two."""
    (one,) = _parsed(name).observations
    assert one.ids["livekit_call_id"] == truth(name)["livekit_call_ids"][-1]
    counts = {kind: _count(one, kind) for kind in ("agent_speaking", "agent_turn", "user_turn")}
    assert counts == {"agent_speaking": 3, "agent_turn": 3, "user_turn": 2}
    times = [mark.value for mark in one.marks if mark.kind == "agent_turn"]
    assert times[0] == ""
    assert all(0.3 < float(value) < 3.0 for value in times[1:])
    assert (_count(one, "caller_track"), _count(one, "hangup")) == (1, 1)


def test_a_hang_up_is_no_barge_in() -> None:
    """Speech that the caller's hang-up cut off was interrupted by nobody's words."""
    (one,) = _parsed("07-outbound-503-failover").observations
    assert _count(one, "barge_in") == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_number_leaves_a_trace(name: str) -> None:
    """No number of a captured call stands anywhere in what is read; spans hold several."""
    assert "1555" not in repr(_parsed(name))


# Traces of our own -------------------------------------------------------------------------------


def _span(name: str, start: float, end: float, **fields: Any) -> dict[str, Any]:
    attributes = [{"key": k, "value": v} for k, v in fields.pop("attributes", {}).items()]
    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": f"{name}-{start}",
        "parentSpanId": "root",
        "name": name,
        "startTimeUnixNano": str(int((T + start) * 1e9)),
        "endTimeUnixNano": str(int((T + end) * 1e9)),
        "attributes": attributes,
        **fields,
    }


def _traces(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}


def test_a_caller_who_speaks_over_the_agent_barges_in() -> None:
    """An interrupted turn with the caller's speech at its end is a barge-in, where he began."""
    turn = _span("agent_turn", 0, 6, attributes={"lk.interrupted": {"boolValue": True}})
    spoken = _span("agent_speaking", 1, 5, parentSpanId=turn["spanId"])
    heard = _span("user_speaking", 4, 7)
    (one,) = livekit_spans.parse(lines(_traces(spoken, heard, turn))).observations
    found = [(m.start - T, (m.end or 0) - T) for m in one.marks if m.kind == "barge_in"]
    assert found == [(4.0, 5.0)]


def test_the_root_states_what_trunktrace_wrote_on_it() -> None:
    """Facts on the root are taken by key, masked numbers too; a number in clear is not."""
    stated = {
        c.TRUNK_CARRIER: {"stringValue": "twilio"},
        c.SIP_RESPONSE_STATUS_CODE: {"intValue": "486"},
        c.SIP_SETUP_MS: {"doubleValue": 12.5},
        c.SIP_CALLER_NUMBER: {"stringValue": "+1*******67"},
        c.SIP_CALLEE_NUMBER: {"stringValue": "+15551234567"},
        c.SIP_CALL_DIRECTION: {"stringValue": "sideways"},
    }
    root = _span("job_entrypoint", 0, 9, attributes=stated, parentSpanId="")
    (one,) = livekit_spans.parse(lines(_traces(root))).observations
    assert one.facts == {
        c.TRUNK_CARRIER: "twilio",
        c.SIP_RESPONSE_STATUS_CODE: 486,
        c.SIP_SETUP_MS: 12.5,
        c.SIP_CALLER_NUMBER: "+1*******67",
    }


def test_answered_by_comes_from_livekits_detection() -> None:
    """LiveKit's answering-machine detection is a span with a category."""
    machine = _span("amd", 1, 3, attributes={"lk.amd.category": {"stringValue": "machine-vm"}})
    (one,) = livekit_spans.parse(lines(_traces(machine))).observations
    assert one.facts == {c.SIP_ANSWERED_BY: "machine"}


def test_a_failing_model_is_no_fact_of_the_trunk() -> None:
    """Spans of speech models, with errors or without, are passed over."""
    failing = _span("llm_request", 0, 30, status={"code": 2, "message": "timeout"})
    assert livekit_spans.parse(lines(_traces(failing))) == Parsed(ignored=1)


def test_many_calls_in_one_file_stay_apart() -> None:
    """A file of a collector holds the traces of many calls."""
    two = data("01-inbound-clean-pcmu", "livekit-spans") + data(
        "09-inbound-one-way", "livekit-spans"
    )
    assert len(livekit_spans.parse(two).observations) == 2


@pytest.mark.parametrize(
    "record, reason",
    [
        ({"spans": []}, "no list under `resourceSpans`"),
        (_traces({"name": "agent_speaking"}), "a span without trace, id, name or times"),
        (_traces(_span("x", 5, 1)), "a span without trace, id, name or times"),
    ],
)
def test_a_broken_line_is_named(record: dict[str, Any], reason: str) -> None:
    """A line without spans, or with a span that is none, is told; others stay."""
    good = data("01-inbound-clean-pcmu", "livekit-spans")
    parsed = livekit_spans.parse(lines(record) + good)
    assert [(broken.line, broken.reason) for broken in parsed.broken] == [(1, reason)]
    assert parsed.observations == livekit_spans.parse(good).observations
