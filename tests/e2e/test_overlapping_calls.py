"""Six calls at once on three carriers: in threads of one process, and in processes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from . import checks
from .calls import CARRIERS, inbound
from .conftest import ENVIRONMENT, WorkerFactory
from .harness import CallResult, run_inbound_together
from .jaeger_api import JaegerApi, root, tree
from .worker import WorkerOptions

CALLS = 6
THREADS = WorkerOptions(
    executor="thread",
    provider="environment",
    idle=CALLS,
    # Nothing ends with a call here that would flush at once what others still batch.
    env={"OTEL_BSP_SCHEDULE_DELAY": "300"},
)


@pytest.fixture(scope="session", params=[THREADS, ENVIRONMENT], ids=["threads", "processes"])
def together(request: pytest.FixtureRequest, workers: WorkerFactory) -> list[CallResult]:
    """Six overlapping calls, two for each carrier, each with its own losses."""
    truths = [inbound(CARRIERS[number % len(CARRIERS)]) for number in range(CALLS)]
    for number, truth in enumerate(truths):
        truth.job = {"losses": [0.01 * number + 0.001 * turn for turn in range(3)]}
    return run_inbound_together(workers(request.param), truths)


def test_the_calls_overlap(together: list[CallResult]) -> None:
    """All six were up at the same time, and in one process where that was asked for."""
    answered = [call.truth.answered or 0 for call in together]
    hung_up = [call.truth.hung_up or 0 for call in together]
    assert max(answered) < min(hung_up)
    processes = {call.truth.job_pid for call in together}
    in_threads = together[0].worker.options.executor == "thread"
    assert len(processes) == (1 if in_threads else CALLS)


def test_no_span_has_another_calls_facts(together: list[CallResult]) -> None:
    """Whatever a span carries is true of its own call, the losses too."""
    for call in together:
        facts = checks.facts_of(call.truth)
        assert checks.contradicting(call.spans, facts) == []
        own = {round(note["ratio"], 6) for note in call.notes("loss")}
        turns = [span for span in call.spans if checks.part_of(span, call.spans) == "asr"]
        carried = {
            round(one.attributes[checks.LOSS], 6) for one in turns if _has_loss(one.attributes)
        }
        assert carried <= own
        assert carried, tree(call.spans)


def test_every_span_has_its_calls_facts(together: list[CallResult]) -> None:
    """All spans of all six carry all facts of their call."""
    for call in together:
        facts = checks.facts_of(call.truth)
        assert checks.lacking(call.spans, facts, dict.fromkeys(facts, 0)) == []


def test_every_span_reaches_jaeger(together: list[CallResult]) -> None:
    """What ended is what Jaeger has, call by call, each in a trace of its own."""
    assert len({call.truth.trace_id for call in together}) == CALLS
    for call in together:
        assert len(call.ended_spans) > 50
        assert call.ended_spans <= {span.span_id for span in call.spans}, tree(call.spans)


def test_each_root_has_its_own_ids(together: list[CallResult]) -> None:
    """Call ids, numbers and digits are those of the root's own call."""
    for call in together:
        top = root(call.spans)
        assert top.attributes["livekit.sip.call_id"] == call.truth.livekit_call_id
        assert top.attributes["sip.call_id"] == call.truth.sip_call_id
        assert top.attributes["sip.caller.number"].endswith(call.truth.caller_number[-2:])
        assert top.attributes["sip.dtmf_count"] == 1


def test_each_is_found_by_its_carrier(together: list[CallResult]) -> None:
    """Asked for a carrier, Jaeger answers with its two calls and none of the other four."""
    worker = together[0].worker
    every = {call.truth.trace_id for call in together}
    for carrier in CARRIERS:
        own = {call.truth.trace_id for call in together if call.truth.carrier is carrier}
        found = JaegerApi(worker.jaeger.query).find_traces(
            worker.service, {"trunk.carrier": carrier.name}
        )
        assert found.keys() & every == own


def test_no_call_is_left_open(together: list[CallResult]) -> None:
    """Each call was opened once and finished once."""
    for call in together:
        for event in ("call_opened", "call_finished"):
            assert len(call.worker.notes(event, trace_id=call.truth.trace_id)) == 1


def _has_loss(attributes: Mapping[str, object]) -> bool:
    return checks.LOSS in attributes
