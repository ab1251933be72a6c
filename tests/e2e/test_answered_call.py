"""A real worker answers a phone call, in the three ways to own the tracer provider.

user: the user's own, with the plain OTLP exporter: the span processor alone puts facts on spans.
wrapped: the user's own, with trunktrace's two exporters around. environment: made by trunktrace.
One call each, at the same time; every test looks at all three.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping

import pytest

from . import checks
from .calls import LOCAL, TELNYX, TWILIO, CallTruth, inbound
from .conftest import ENVIRONMENT, HASH_KEY, USER, Measured, WorkerFactory
from .harness import CallResult, answer_call, collect
from .jaeger_api import JaegerApi, Span, root, tree
from .worker import WorkerOptions

LOSSES: list[float | None] = [0.0, 0.062, 0.03]
LOSS_OUT = 0.01
CARRIERS = {"user": TELNYX, "wrapped": TWILIO, "environment": LOCAL}

Calls = Mapping[str, CallResult]


def _truth(provider: str) -> CallTruth:
    truth = inbound(CARRIERS[provider], {"sip.h.via": "SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bK1"})
    truth.job = {"losses": LOSSES, "loss_out": LOSS_OUT, "reads_headers": True}
    if provider == "environment":
        truth.sip_call_id = f"{truth.sip_call_id.partition('@')[0]}@192.0.2.7"
        truth.attributes["sip.callIDFull"] = truth.sip_call_id
    for header in ("From", "Contact", "P-Asserted-Identity", "To"):
        truth.attributes[f"sip.h.{header.lower()}"] = truth.headers[header]
    return truth


@pytest.fixture(scope="session")
def answered(workers: WorkerFactory) -> Calls:
    """Three whole calls, one for each way to own the provider."""
    wrapped = WorkerOptions(provider="wrapped", env=ENVIRONMENT.env)
    by_provider = {
        worker.options.provider: worker for worker in workers.several(USER, wrapped, ENVIRONMENT)
    }

    async def every() -> dict[str, CallTruth]:
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(answer_call(worker, _truth(name)))
                for name, worker in by_provider.items()
            }
        return {name: task.result() for name, task in tasks.items()}

    truths = asyncio.run(every())
    return {name: collect(by_provider[name], truth) for name, truth in truths.items()}


@pytest.fixture(params=list(CARRIERS))
def call(request: pytest.FixtureRequest, answered: Calls) -> CallResult:
    """Each of the three calls."""
    return answered[request.param]


@pytest.fixture(params=["wrapped", "environment"])
def late_call(request: pytest.FixtureRequest, answered: Calls) -> CallResult:
    """The two calls that leave through LateFactsExporter."""
    return answered[request.param]


@pytest.fixture
def top(call: CallResult) -> Span:
    """The root of each call."""
    return root(call.spans)


def test_the_call_is_found_by_its_carrier(call: CallResult) -> None:
    """Jaeger, asked for the carrier, answers with this call; asked for another, without it."""
    jaeger = JaegerApi(call.worker.jaeger.query)
    found = jaeger.find_traces(call.worker.service, {"trunk.carrier": call.truth.carrier.name})
    assert call.truth.trace_id in found
    others = {"trunk.carrier": "bandwidth"}
    assert call.truth.trace_id not in jaeger.find_traces(call.worker.service, others)


def test_every_span_reaches_jaeger(call: CallResult) -> None:
    """What ended in the job process is what Jaeger has, in one trace below one root."""
    assert root(call.spans).name == "job_entrypoint"
    assert len(call.ended_spans) > 50
    arrived = {span.span_id: span for span in call.spans}
    assert call.ended_spans <= arrived.keys(), tree(call.spans)
    # The witness counts from the entrypoint on; a stall of the event loop is a span before it.
    uncounted = [arrived[span_id] for span_id in arrived.keys() - call.ended_spans]
    assert [span.name for span in uncounted if span.end_ns > call.note("job")["t"] * 1e9] == []


def test_spans_carry_what_is_known_while_they_are_open(
    call: CallResult, measured: Measured
) -> None:
    """Carrier, route, region, direction, code and codec are on all that was open or came later."""
    facts, since = checks.facts_of(call.truth), checks.known_at(call)
    for line in checks.coverage(call):
        measured(f"{call.worker.options.provider}, {line.part}", line)
    assert checks.lacking(checks.during(call), facts, since) == []
    assert checks.contradicting(call.spans, facts) == []


@pytest.mark.parametrize("part", checks.PARTS)
def test_the_conversation_has_no_exception_but_the_greeting(call: CallResult, part: str) -> None:
    """Every ASR, LLM, tool and TTS span carries all facts, but for a greeting said before."""
    facts = checks.facts_of(call.truth)
    greeting = min(
        (span for span in call.spans if span.name == "agent_turn"), key=lambda span: span.start_ns
    )
    said_before = {span.span_id for span in checks.below(greeting, call.spans)}
    spans = [
        span
        for span in call.spans
        if checks.part_of(span, call.spans) == part and span.span_id not in said_before
    ]
    assert spans
    assert checks.lacking(spans, facts, dict.fromkeys(facts, 0)) == []


def test_late_facts_reach_every_span(late_call: CallResult) -> None:
    """With LateFactsExporter all spans carry all facts, those that ended before too."""
    facts = checks.facts_of(late_call.truth)
    assert checks.lacking(late_call.spans, facts, dict.fromkeys(facts, 0)) == []


def test_what_belongs_on_the_root_stays_there(call: CallResult) -> None:
    """No child carries more of ours than the inherited keys."""
    inherited = {*checks.IDENTITY, checks.CODE, checks.CODEC, checks.LOSS, "rtp.loss_method"}
    top = root(call.spans)
    assert [
        (span.name, extra)
        for span in call.spans
        if span is not top and (extra := checks.our_keys(span) - inherited)
    ] == []


def test_the_root_knows_the_ids(call: CallResult, top: Span) -> None:
    """Trunk, rule and call ids stand on the root; a Call-ID's IP address does not."""
    truth = call.truth
    assert top.attributes["trunk.id"] == truth.carrier.trunk_id
    assert top.attributes["livekit.sip.call_id"] == truth.livekit_call_id
    assert top.attributes["livekit.sip.rule_id"] == truth.carrier.rule_id
    call_id, _, host = truth.sip_call_id.partition("@")
    shown = call_id if host == "192.0.2.7" else truth.sip_call_id
    assert top.attributes["sip.call_id"] == shown
    provider = next(iter(truth.carrier.provider_attributes), None)
    expected = truth.attributes[provider] if provider else None
    assert top.attributes.get("sip.provider.call_id") == expected
    assert top.attributes["sip.transport"] == "tls"
    assert top.attributes["sip.call.outcome"] == "answered"
    assert {"livekit", "directory", "api"} <= set(top.attributes["trunktrace.sources"])


def test_the_root_knows_the_times(call: CallResult, top: Span) -> None:
    """Setup lasts from the room's making to the answer, the call from there to the hang-up."""
    # By what the agent's process saw: a busy machine is some 100 ms behind the far end.
    (gone,) = call.worker.notes("participant_gone", pid=call.truth.job_pid)
    active = call.note("active")["t"]
    assert call.truth.asked is not None
    assert 0 < top.attributes["sip.setup_ms"] < (active - call.truth.asked) * 1000
    duration = (gone["t"] - active) * 1000
    apart = 100 + 1000 * (checks.stalled_s(call, active) + checks.stalled_s(call, gone["t"]))
    assert top.attributes["sip.call.duration_ms"] == pytest.approx(duration, abs=apart)


def test_digits_are_counted_and_not_told(call: CallResult, top: Span) -> None:
    """The root has the number of DTMF digits."""
    assert top.attributes["sip.dtmf_count"] == len(call.truth.dtmf) == 1


def test_numbers_are_masked(call: CallResult, top: Span) -> None:
    """Caller and callee are country code and two digits, with their country."""
    for role, number in zip(("caller", "callee"), call.truth.signalling_numbers, strict=True):
        assert top.attributes[f"sip.{role}.number"] == f"+1*******{number[-2:]}"
        assert top.attributes[f"sip.{role}.country"] == "US"
        assert f"sip.{role}.pii.number" not in top.attributes


def test_numbers_are_hashed_with_the_operators_key(call: CallResult, top: Span) -> None:
    """The hash is the operator's HMAC of the number; without a key there is none."""
    key_id = hashlib.sha256(HASH_KEY.encode()).hexdigest()[:8]
    for role, number in zip(("caller", "callee"), call.truth.signalling_numbers, strict=True):
        digest = hmac.new(HASH_KEY.encode(), number.encode(), hashlib.sha256).hexdigest()[:16]
        keyed = "TRUNKTRACE_HASH_KEY" in call.worker.options.env
        expected = f"{key_id}:{digest}" if keyed else None
        assert top.attributes.get(f"sip.{role}.hash") == expected


def test_the_root_tells_the_states(call: CallResult, top: Span) -> None:
    """Ringing (if it was seen), active, hangup; LiveKit's reason for the end is not judged."""
    states = [event for event in top.events if event.name == "sip.state"]
    told = [event.attributes["sip.call.state"] for event in states]
    # A slow process may see the caller for the first time when the call is up.
    assert told in (["ringing", "active", "hangup"], ["active", "hangup"])
    assert states[-1].attributes["livekit.disconnect_reason"] == "client_initiated"
    # Both parties hang up like that in LiveKit's eyes.
    assert "sip.hangup.source" not in top.attributes
    active = call.note("active")["t"]
    apart = 0.1 + checks.stalled_s(call, active)
    assert states[-2].time_ns / 1e9 == pytest.approx(active, abs=apart)


def test_a_turns_spans_carry_the_loss_of_its_speech(call: CallResult) -> None:
    """What was lost of the caller's words is on the turn that heard them and the one that answers.

    A span that ended before the loss was counted has none, but with LateFactsExporter.
    """
    late = call.worker.options.provider != "user"
    counted = call.notes("loss", direction="in")
    heard = [span for span in call.spans if span.name == "user_turn"]
    spoken = [span for span in call.spans if span.name == "agent_turn"]
    assert len(counted) == len(heard) == len(spoken) - 1 == len(LOSSES)
    for note, user_turn, agent_turn in zip(counted, heard, spoken[1:], strict=True):
        turn = [*checks.below(user_turn, call.spans), *checks.below(agent_turn, call.spans)]
        inward = [span for span in turn if not _speaks_to_the_caller(span)]
        since = 0 if late else int(note["t"] * 1e9)
        assert checks.lacking(inward, {checks.LOSS: note["ratio"]}, {checks.LOSS: since}) == []
        assert checks.contradicting(inward, {checks.LOSS: note["ratio"]}) == []
    greeting = checks.below(spoken[0], call.spans)
    outward = [span for span in call.spans if _speaks_to_the_caller(span)]
    assert not [span for span in greeting if span not in outward and checks.LOSS in span.attributes]
    assert checks.contradicting(outward, {checks.LOSS: LOSS_OUT}) == []
    if late:
        speaking = [span for span in outward if span.name == "agent_speaking"]
        assert checks.lacking(speaking, {checks.LOSS: LOSS_OUT}, {checks.LOSS: 0}) == []


def _speaks_to_the_caller(span: Span) -> bool:
    return span.name == "agent_speaking" or span.name.startswith("tts_")


def test_the_root_has_the_worse_direction(top: Span) -> None:
    """The whole call's loss in both directions, and the worse of them."""
    inward, outward = top.attributes["rtp.in.loss_ratio"], top.attributes["rtp.out.loss_ratio"]
    assert outward == pytest.approx(LOSS_OUT)
    assert 0.02 < inward < 0.05
    assert top.attributes[checks.LOSS] == inward
    assert top.attributes["rtp.loss_method"] == "counted"


def test_the_call_is_opened_and_finished_once(call: CallResult) -> None:
    """The process ends with no call open, and its facts are those of the root."""
    trace_id = call.truth.trace_id
    assert len(call.worker.notes("call_opened", trace_id=trace_id)) == 1
    (finished,) = call.worker.notes("call_finished", trace_id=trace_id)
    assert finished["is_phone_call"]
    assert finished["facts"].items() <= root(call.spans).attributes.items()


def test_only_a_plain_exporter_is_warned_of(answered: Calls) -> None:
    """The one who exports without redaction is told how to add it; nobody else hears anything."""
    assert answered["wrapped"].warnings == []
    assert answered["environment"].warnings == []
    (warning,) = answered["user"].warnings
    assert "LateFactsExporter(RedactingExporter(exporter))" in warning
