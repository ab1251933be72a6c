"""The other ways to run and configure a worker: one short call through each, all at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from . import checks
from .calls import CONVERSATION, LOCAL, TELNYX, TWILIO, CallTruth, inbound
from .conftest import WorkerFactory
from .harness import answer_call, collect, process_left
from .jaeger_api import JaegerApi, Trace, tree
from .polling import until
from .recorder import Recorder
from .worker import Worker, WorkerOptions

TRUSTING = f"""
[trunks.{LOCAL.trunk_id}]
region = "{LOCAL.region}"
trusted_headers = {{ carrier = "X-Carrier", route = "X-Route" }}
"""
WAYS = {
    "spawn": WorkerOptions(start="spawn", provider="environment"),
    "in place": WorkerOptions(form="in_place", provider="environment", directory=None),
    "instrument": WorkerOptions(form="instrument", provider="environment", directory=TRUSTING),
    "inside": WorkerOptions(provider="inside"),
    "unsampled": WorkerOptions(
        provider="environment",
        env={"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.0"},
    ),
}
CARRIERS = {
    "spawn": TWILIO,
    "in place": TELNYX,
    "instrument": LOCAL,
    "inside": TWILIO,
    "unsampled": TELNYX,
}

Placed = Mapping[str, tuple[Worker, CallTruth]]


@pytest.fixture(scope="session")
def placed(workers: WorkerFactory) -> Placed:
    """Greeting and one turn through each worker."""
    running = dict(zip(WAYS, workers.several(*WAYS.values()), strict=True))

    # Two at a time: five at once starve a machine of two cores until a call is not heard.
    free = asyncio.Semaphore(2)

    async def one(way: str, worker: Worker) -> CallTruth:
        async with free:
            return await answer_call(worker, inbound(CARRIERS[way]), CONVERSATION[:1])

    async def every() -> dict[str, CallTruth]:
        async with asyncio.TaskGroup() as group:
            tasks = {way: group.create_task(one(way, worker)) for way, worker in running.items()}
        return {way: task.result() for way, task in tasks.items()}

    return {way: (running[way], truth) for way, truth in asyncio.run(every()).items()}


@pytest.mark.parametrize("way", ["spawn", "in place", "instrument"])
def test_every_span_carries_every_fact(placed: Placed, way: str) -> None:
    """Spawned processes, a wrapped entrypoint in place, and instrument() do what the line does."""
    call = collect(*placed[way])
    facts = checks.facts_of(call.truth)
    if way == "in place":  # without a directory the host alone speaks
        facts |= {"trunk.region": "us"}
        del facts["trunk.route"]
    assert checks.lacking(call.spans, facts, dict.fromkeys(facts, 0)) == []
    assert call.ended_spans <= {span.span_id for span in call.spans}, tree(call.spans)
    assert {"user_turn", "llm_request", "tts_request"} <= set(checks.names(call.spans))
    for event in ("call_opened", "call_finished"):
        assert len(call.worker.notes(event, trace_id=call.truth.trace_id)) == 1


def test_without_a_directory_the_fix_is_told_once(placed: Placed) -> None:
    """One warning with the row to write; no span has a route that nobody knows."""
    call = collect(*placed["in place"])
    (warning,) = call.warnings
    assert "There is no directory" in warning
    assert f"[trunks.{TELNYX.trunk_id}]" in warning
    assert [span.name for span in call.spans if "trunk.route" in span.attributes] == []


def test_a_header_that_livekit_did_not_map_is_fetched(placed: Placed) -> None:
    """The directory trusts two headers on this trunk: those are asked of the bridge, once.

    With them, since it is asked anyway, those that may tell of the far end's trace; no others.
    """
    _, truth = placed["instrument"]
    (asked,) = [json.loads(request) for request in truth.header_requests]
    wanted = asked["include"]
    assert wanted[:2] == ["X-Carrier", "X-Route"]
    assert set(wanted[2:]) == {
        "X-Traceparent", "Traceparent", "X-Trace-ID", "X-Span-ID", "b3", "X-B3-TraceId",
        "X-B3-SpanId", "X-B3-Sampled", "Session-ID",
    }  # fmt: skip
    assert not [key for key in truth.attributes if key.startswith("sip.h.")]


def test_a_provider_set_in_the_entrypoint_is_told_of(placed: Placed) -> None:
    """One warning names the place where the provider belongs."""
    worker, truth = placed["inside"]
    lines = [line["message"] for line in worker.log_lines() if line.get("room") == truth.room]
    (warning,) = [line for line in lines if "set inside the entrypoint" in line]
    assert "server.setup_fnc" in warning


def test_a_provider_set_in_the_entrypoint_gets_the_facts(placed: Placed) -> None:
    """LiveKit's root is lost to it; what comes later carries the facts all the same.

    But for the job's end, which LiveKit makes a trace of its own that nothing ties to the call.
    """
    worker, truth = placed["inside"]
    process_left(worker, truth)
    every = _spans_of(worker)
    assert "job_entrypoint" not in checks.names(every)
    trace_id = checks.span_named(every, "agent_session").trace_id
    # LiveKit reports a stall after it, the last ones when the call is over.
    spans = [
        span for span in every if span.trace_id == trace_id and span.name != "event_loop_blocked"
    ]
    tops = {one.name for one in every if one.parent_id is None and one.trace_id != trace_id}
    assert tops - {"event_loop_blocked"} == {"job_shutdown"}
    facts = checks.facts_of(truth)
    told = {
        event: int(worker.wait_for_note(event, room=truth.room)["t"] * 1e9)
        for event in ("active", "codec")
    }
    since = dict.fromkeys(checks.IDENTITY, checks.span_named(spans, "room_connect").end_ns)
    since |= {checks.CODE: told["active"], checks.CODEC: told["codec"]}
    assert checks.lacking(spans, facts, since) == []
    assert {"user_turn", "llm_request", "tts_request"} <= set(checks.names(spans))


def test_an_unsampled_call_is_a_call(placed: Placed, recorder: Recorder) -> None:
    """Nothing is exported; the call is opened, knows its facts and is finished all the same."""
    worker, truth = placed["unsampled"]
    assert len(worker.notes("call_opened", trace_id=truth.trace_id)) == 1
    (finished,) = worker.notes("call_finished", trace_id=truth.trace_id)
    assert finished["is_phone_call"]
    known = {**checks.facts_of(truth), "trunk.id": TELNYX.trunk_id, "sip.dtmf_count": 1}
    assert known.items() <= finished["facts"].items()
    assert recorder.messages(worker.agent_name) == []
    assert worker.service not in JaegerApi(worker.jaeger.query).services()


def _spans_of(worker: Worker) -> Trace:
    """Every span that the worker sent, over all its traces, once the witness's count is there."""
    api = JaegerApi(worker.jaeger.query)
    wanted = {note["span_id"] for note in worker.notes("span")}

    def arrived() -> Trace | None:
        spans = [span for trace in api.find_traces(worker.service).values() for span in trace]
        return spans if wanted <= {span.span_id for span in spans} else None

    return until(arrived, deadline_s=60.0, what=f"all {len(wanted)} spans are in Jaeger")
