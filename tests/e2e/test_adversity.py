"""What goes wrong around a call: its process is killed, Jaeger is away, or hangs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import checks
from .caller import SipCaller
from .calls import CONVERSATION, LOCAL, TELNYX, TWILIO, CallTruth, inbound
from .conftest import Measured, WorkerFactory
from .harness import CallResult, answer_call, collect, job_started, process_left
from .jaeger_api import JaegerApi, Trace, root
from .servers import HOST, JaegerServer, LiveKitServer
from .worker import Worker, WorkerOptions

PROVIDERS = ("environment", "user")
MOST_TO_RECOVER_S = 10.0
MOST_TO_LEAVE_S = 8.0
"""How long a job process may take to leave after its job: 5 s for its spans, and to end itself."""
MOST_TO_ANSWER_S = 4.0
"""A turn's answer takes about 0.7 s here; an export that blocked the loop would take 5 and more."""


@dataclass(frozen=True, slots=True)
class Killed:
    """A call whose process was killed in the middle, and the call after it."""

    truth: CallTruth
    spans: Trace
    since: Mapping[str, int]
    next_call: CallResult
    recovered_s: float
    """From the kill to the answer to the next call."""
    usual_s: float
    """What the first call took to be answered, on this machine as busy as it is."""


@pytest.fixture(scope="module")
def killed(workers: WorkerFactory) -> Mapping[str, Killed]:
    """With our exporters and with the processor alone, at the same time."""
    env = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
    running = workers.several(*(WorkerOptions(provider=one, env=env) for one in PROVIDERS))

    async def every() -> list[Killed]:
        return await asyncio.gather(*map(_kill, running))

    return dict(zip(PROVIDERS, asyncio.run(every()), strict=True))


async def _kill(worker: Worker) -> Killed:
    truth = inbound(TELNYX)
    worker.truths.append(truth)
    caller = SipCaller(worker.livekit, truth)
    await caller.join(dispatch=worker.agent_name)
    await caller.publish()
    await caller.answered()
    await caller.greeted()
    await caller.take(CONVERSATION[0])
    await job_started(worker, truth)
    assert truth.trace_id is not None
    spans = await asyncio.to_thread(
        JaegerApi(worker.jaeger.query).wait_for_trace,
        truth.trace_id,
        lambda spans: "llm_request" in checks.names(spans),
    )
    worker.kill_job(truth.room)
    killed_at = time.time()
    await caller.leave()
    following = await answer_call(worker, inbound(LOCAL), CONVERSATION[:1])
    assert following.answered is not None
    since = dict.fromkeys(checks.IDENTITY, 0)
    if worker.options.provider == "user":
        since = dict.fromkeys(checks.IDENTITY, checks.span_named(spans, "room_connect").end_ns)
    told = {key: worker.wait_for_note(event, room=truth.room)["t"] for key, event in _TOLD.items()}
    late = worker.options.provider == "environment"
    since |= {key: 0 if late else int(at * 1e9) for key, at in told.items()}
    next_call = await asyncio.to_thread(collect, worker, following)
    assert truth.answered is not None
    assert truth.asked is not None
    usual_s = truth.answered - truth.asked
    return Killed(truth, spans, since, next_call, following.answered - killed_at, usual_s)


_TOLD = {checks.CODE: "active", checks.CODEC: "codec"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_killed_process_had_exported_carries_its_facts(
    killed: Mapping[str, Killed], provider: str
) -> None:
    """The root never came, but its children are found by carrier and say all that they could."""
    call = killed[provider]
    assert "job_entrypoint" not in checks.names(call.spans)
    assert {"llm_request", "tts_request", "user_turn"} <= set(checks.names(call.spans))
    facts = checks.facts_of(call.truth)
    assert checks.lacking(call.spans, facts, call.since) == []
    assert checks.contradicting(call.spans, facts) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_worker_takes_the_next_call(killed: Mapping[str, Killed], provider: str) -> None:
    """The call after the kill is answered soon, complete, and another call."""
    call = killed[provider].next_call
    assert killed[provider].recovered_s < max(MOST_TO_RECOVER_S, 3 * killed[provider].usual_s)
    facts = checks.facts_of(call.truth)
    assert facts.items() <= root(call.spans).attributes.items()
    assert call.ended_spans <= {span.span_id for span in call.spans}
    assert call.truth.job_pid != killed[provider].truth.job_pid


@dataclass(frozen=True, slots=True)
class Outage:
    """Calls before, during and after an outage; how long the job's process stayed after each."""

    before: CallResult
    during: CallTruth
    after: CallResult
    left_s: Mapping[str, float]


@pytest.fixture(scope="module")
def outage(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Outage:
    """A call as usual, one with Jaeger stopped, and one when it has come back."""
    directory = tmp_path_factory.mktemp("outage")
    options = WorkerOptions(provider="environment")
    with JaegerServer(directory) as own, Worker(directory, livekit, own, options) as worker:
        logs[worker.agent_name] = worker.log
        left_s: dict[str, float] = {}
        before = collect(worker, _call(worker, left_s, "before"))
        own.stop()
        during = _call(worker, left_s, "during")
        own.start()
        after = collect(worker, _call(worker, left_s, "after"))
        return Outage(before, during, after, left_s)


def _call(worker: Worker, left_s: dict[str, float], name: str) -> CallTruth:
    conversation = CONVERSATION if name == "during" else CONVERSATION[:1]
    truth = asyncio.run(answer_call(worker, inbound(TWILIO), conversation))
    left_s[name] = _seconds_to_leave(worker, truth)
    return truth


def test_a_call_does_not_notice_that_jaeger_is_away(outage: Outage, measured: Measured) -> None:
    """Every turn is answered, as fast as ever, and the process leaves in time."""
    usual, slowest = (_slowest_answer(one) for one in (outage.before.truth, outage.during))
    measured("slowest answer of a turn, Jaeger away", f"{slowest:.2f} s; with it {usual:.2f} s")
    for name, seconds in outage.left_s.items():
        measured(f"process left, {name} the outage", f"{seconds:.2f} s after its job")
    assert len(outage.during.turns) == len(CONVERSATION)
    # Besides what either takes on this machine anyway: it may be busy.
    assert slowest < usual + MOST_TO_ANSWER_S
    assert outage.left_s["during"] < outage.left_s["before"] + MOST_TO_LEAVE_S


def test_calls_are_complete_again_when_jaeger_is_back(outage: Outage) -> None:
    """The next call's spans all arrive, with all facts."""
    call = outage.after
    facts = checks.facts_of(call.truth)
    assert call.ended_spans <= {span.span_id for span in call.spans}
    assert checks.lacking(call.spans, facts, dict.fromkeys(facts, 0)) == []


def test_a_call_does_not_wait_for_a_backend_that_hangs(
    livekit: LiveKitServer,
    jaeger: JaegerServer,
    tmp_path: Path,
    logs: dict[str, Path],
    measured: Measured,
) -> None:
    """Whoever accepts the spans' connection and never answers holds nobody up."""
    options = WorkerOptions(provider="environment", env={"OTEL_BSP_SCHEDULE_DELAY": "200"})
    with socket.create_server((HOST, 0)) as silent:
        address = f"http://{HOST}:{silent.getsockname()[1]}"
        with Worker(tmp_path, livekit, jaeger, options, endpoint=address) as worker:
            logs[worker.agent_name] = worker.log
            truth = asyncio.run(answer_call(worker, inbound(TWILIO), CONVERSATION[:1]))
            left_s = _seconds_to_leave(worker, truth)
    measured("process left, backend hangs", f"{left_s:.2f} s after its job")
    assert _slowest_answer(truth) < MOST_TO_ANSWER_S
    assert left_s < MOST_TO_LEAVE_S


def _slowest_answer(truth: CallTruth) -> float:
    """Seconds from the caller's last word to the agent's first, at worst."""
    assert all(turn.answered is not None for turn in truth.turns)
    return max((turn.answered or 0) - turn.ended for turn in truth.turns)


def _seconds_to_leave(worker: Worker, truth: CallTruth) -> float:
    """From the end of the job to the end of its process."""
    ended = worker.wait_for_note("ended", room=truth.room)["t"]
    process_left(worker, truth)
    return float(time.time() - ended)
