"""Outbound calls and their attempts; livekit-api raises its own SipCallError into the entrypoint.

Each of the six calls is placed twice: through trunktrace's exporters, and with the span processor
alone; six at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from . import checks
from .bridge import ANSWERED, BUSY, NO_ANSWER, UNAVAILABLE, Outcome
from .calls import CONVERSATION, LOCAL, TELNYX, TWILIO, CallTruth, Carrier, outbound
from .conftest import ENVIRONMENT, USER, WorkerFactory
from .harness import CallResult, collect, place_call
from .jaeger_api import JaegerApi, Span, root, tree

PLANS: Mapping[str, tuple[Carrier, Mapping[str, Outcome]]] = {
    "486": (TELNYX, {TELNYX.trunk_id: BUSY}),
    "503": (LOCAL, {LOCAL.trunk_id: UNAVAILABLE}),
    "503 then 200": (LOCAL, {LOCAL.trunk_id: UNAVAILABLE, TWILIO.trunk_id: ANSWERED}),
    "no answer": (TWILIO, {TWILIO.trunk_id: NO_ANSWER}),
    "not waiting": (TELNYX, {TELNYX.trunk_id: BUSY}),
    "not waiting, answered": (TWILIO, {TWILIO.trunk_id: ANSWERED}),
}
PROVIDERS = ("environment", "user")

Calls = Mapping[tuple[str, str], CallResult]


@pytest.fixture(scope="session")
def placed(workers: WorkerFactory) -> Calls:
    """Every plan with every provider."""
    by_provider = {"environment": workers(ENVIRONMENT), "user": workers(USER)}

    async def every(provider: str) -> dict[tuple[str, str], CallTruth]:
        async with asyncio.TaskGroup() as group:
            tasks = {
                (provider, plan): group.create_task(
                    place_call(
                        by_provider[provider], _truth(plan, carrier), outcomes, CONVERSATION[:1]
                    )
                )
                for plan, (carrier, outcomes) in PLANS.items()
            }
        return {key: task.result() for key, task in tasks.items()}

    truths = {key: truth for one in PROVIDERS for key, truth in asyncio.run(every(one)).items()}
    return {key: collect(by_provider[key[0]], truth) for key, truth in truths.items()}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    """With our exporters, and with the processor alone."""
    return str(request.param)


@pytest.mark.parametrize("plan", PLANS)
def test_every_span_reaches_jaeger(placed: Calls, provider: str, plan: str) -> None:
    """What ended in the job process is what Jaeger has, the root among it."""
    call = placed[provider, plan]
    assert len(call.ended_spans) >= 6
    assert call.ended_spans <= {span.span_id for span in call.spans}, tree(call.spans)
    assert root(call.spans).name == "job_entrypoint"


@pytest.mark.parametrize(
    "plan, code, reason", [("486", 486, "Busy Here"), ("503", 503, "Service Unavailable")]
)
def test_the_failure_is_found_by_carrier_and_code(
    placed: Calls, provider: str, plan: str, code: int, reason: str
) -> None:
    """Jaeger finds the call by its carrier and its final code, which only the exception knew."""
    call = placed[provider, plan]
    wanted = {"trunk.carrier": call.truth.carrier.name, checks.CODE: str(code)}
    found = JaegerApi(call.worker.jaeger.query).find_traces(call.worker.service, wanted)
    assert call.truth.trace_id in found
    # A span of the failover's first attempt, which ended before the second, tells of the 503 too.
    others = {placed[provider, other].truth.trace_id for other in PLANS if "200" not in other}
    assert found.keys() & others == {call.truth.trace_id}
    top = root(call.spans)
    assert top.attributes[checks.CODE] == code
    assert top.attributes["sip.response.reason"] == reason
    assert top.attributes["sip.attempt_count"] == 1


@pytest.mark.parametrize("plan", ["486", "503", "no answer"])
def test_the_users_exception_is_the_traces(placed: Calls, provider: str, plan: str) -> None:
    """The entrypoint's own exception passes through: LiveKit's root span records it."""
    (raised,) = [
        one for one in root(placed[provider, plan].spans).events if one.name == "exception"
    ]
    wanted = "ServerError" if plan == "no answer" else "SipCallError"
    assert raised.attributes["exception.type"].endswith(wanted)


@pytest.mark.parametrize("plan", ["486", "503", "no answer"])
def test_open_and_later_spans_carry_the_facts(placed: Calls, provider: str, plan: str) -> None:
    """Trunk and direction from the dial on, the code from the failure on."""
    call = placed[provider, plan]
    facts = _facts(call)
    dialed, failed = (_ns(call, event) for event in ("dial", "dial_failed"))
    since = {key: failed if key == checks.CODE else dialed for key in facts}
    assert checks.lacking(checks.during(call), facts, since) == []
    assert checks.contradicting(call.spans, facts) == []


@pytest.mark.parametrize("plan", ["486", "503", "no answer"])
def test_late_facts_reach_every_span(placed: Calls, plan: str) -> None:
    """With LateFactsExporter also the spans before the dial carry trunk and code."""
    call = placed["environment", plan]
    facts = _facts(call)
    assert checks.lacking(call.spans, facts, dict.fromkeys(facts, 0)) == []


def test_no_answer_has_no_code(placed: Calls, provider: str) -> None:
    """Nobody answered, so no span has a final code: the API's 408 is not SIP's."""
    call = placed[provider, "no answer"]
    assert [span.name for span in call.spans if checks.CODE in span.attributes] == []
    top = root(call.spans)
    assert "sip.response.reason" not in top.attributes
    assert _reasons(top) <= {"user_unavailable"}


def test_a_503_leaves_like_a_hangup_and_is_none(placed: Calls, provider: str) -> None:
    """LiveKit says CLIENT_INITIATED; the trace says 503 and what that means, not who hung up."""
    top = root(placed[provider, "503"].spans)
    assert _reasons(top) <= {"client_initiated"}
    assert "sip.hangup.source" not in top.attributes
    assert top.attributes["sip.call.outcome"] == "congestion"
    assert top.attributes["trunktrace.failure.mode"] == "call_setup_failure"


def test_a_failover_ends_at_the_second_trunk(placed: Calls, provider: str) -> None:
    """503, then 200 elsewhere: the call is the second trunk's, and answered."""
    call = placed[provider, "503 then 200"]
    assert call.truth.attempts == [f"{LOCAL.trunk_id}:503", f"{TWILIO.trunk_id}:200"]
    top = root(call.spans)
    assert top.attributes["trunk.carrier"] == TWILIO.name
    assert top.attributes["trunk.id"] == TWILIO.trunk_id
    assert top.attributes[checks.CODE] == 200
    assert top.attributes["sip.attempt_count"] == 2
    assert top.attributes["sip.call.outcome"] == "answered"
    if provider == "environment":
        # An attribute cannot be taken off an open span: the processor alone leaves the 503's.
        assert "sip.response.reason" not in top.attributes


def test_spans_after_a_failover_carry_the_second_trunk(placed: Calls, provider: str) -> None:
    """No span that was open after the second dial names the first trunk or its 503."""
    call = placed[provider, "503 then 200"]
    facts, since = checks.facts_of(call.truth), checks.known_at(call)
    assert checks.lacking(checks.during(call), facts, since) == []
    later = [span for span in call.spans if span.end_ns > since["trunk.carrier"]]
    assert checks.contradicting(later, facts) == []
    assert {"user_turn", "llm_request", "tts_request"} <= {span.name for span in later}


def test_an_outbound_call_has_its_times(placed: Calls, provider: str) -> None:
    """Setup and post-dial delay are measured from the request of the attempt that was answered."""
    call = placed[provider, "503 then 200"]
    top = root(call.spans)
    # By what the agent's process saw: a busy machine is some 100 ms behind the far end.
    dialed, active = call.note("dial", trunk_id=TWILIO.trunk_id)["t"], call.note("active")["t"]
    apart = 100 + 1000 * (checks.stalled_s(call, dialed) + checks.stalled_s(call, active))
    assert top.attributes["sip.setup_ms"] == pytest.approx((active - dialed) * 1000, abs=apart)
    assert 0 < top.attributes["sip.pdd_ms"] <= top.attributes["sip.setup_ms"]


ENDS: Mapping[str, list[tuple[Carrier, int | None, str, str | None]]] = {
    # carrier, final code, status of the span, error.type
    "486": [(TELNYX, 486, "error", "486")],
    "503": [(LOCAL, 503, "error", "503")],
    "503 then 200": [(LOCAL, 503, "error", "503"), (TWILIO, 200, "unset", None)],
    "no answer": [(TWILIO, None, "error", "timeout")],
    "not waiting": [(TELNYX, None, "error", "unanswered")],
    "not waiting, answered": [(TWILIO, 200, "unset", None)],
}


@pytest.mark.parametrize("plan", PLANS)
def test_each_attempt_is_a_span_of_its_own(placed: Calls, provider: str, plan: str) -> None:
    """In Jaeger: a CLIENT span with the trunk and the end of this attempt, linked to the former."""
    call = placed[provider, plan]
    spans = _invites(call)
    found = [
        (
            span.attributes["trunk.carrier"],
            span.attributes["trunk.id"],
            span.attributes.get(checks.CODE),
            span.status,
            span.attributes.get("error.type"),
        )
        for span in spans
    ]
    assert found == [
        (carrier.name, carrier.trunk_id, code, status, error)
        for carrier, code, status, error in ENDS[plan]
    ]
    assert {span.kind for span in spans} == {"client"}
    assert {span.parent_id for span in spans} == {root(call.spans).span_id}
    links = [[link.span_id for link in span.links] for span in spans]
    assert links == [[] if at == 0 else [spans[at - 1].span_id] for at in range(len(spans))]
    # Each of them rang. The API may tell of the end before the room tells of that; the ringing time
    # of "no answer" is none here.
    progress = [span.attributes.get("sip.attempt.progress") for span in spans]
    assert False not in progress or plan == "no answer"
    for span in spans:
        rang = span.attributes.get("sip.attempt.progress", False)
        assert ("sip.pdd_ms" in span.attributes) is rang
        for number in call.truth.signalling_numbers:
            assert number.lstrip("+") not in str(span.attributes)


def test_what_nobody_can_know_is_named(placed: Calls, provider: str) -> None:
    """Without waiting the far end's 486 is lost: the span says so, and why the leg left."""
    (span,) = _invites(placed[provider, "not waiting"])
    assert checks.CODE in span.attributes["trunktrace.unobservable"]
    assert span.attributes["livekit.disconnect_reason"] == "user_rejected"
    assert "trunk.fault" not in span.attributes


def test_the_root_tells_the_path_of_a_failover(placed: Calls, provider: str) -> None:
    """The agent's own loop over two trunks is recognised as a failover."""
    top = root(placed[provider, "503 then 200"].spans)
    assert top.attributes["trunk.failover.count"] == 1
    assert top.attributes["trunk.failover.path"] == f"{LOCAL.name}:503>{TWILIO.name}:200"
    assert "trunk.failover.path" not in root(placed[provider, "486"].spans).attributes


def _truth(plan: str, carrier: Carrier) -> CallTruth:
    truth = outbound(carrier)
    truth.job = {"waits_for_answer": not plan.startswith("not waiting")}
    return truth


def _invites(call: CallResult) -> list[Span]:
    spans = [span for span in call.spans if span.name == "sip.invite"]
    return sorted(spans, key=lambda span: span.attributes["sip.attempt.number"])


def _facts(call: CallResult) -> dict[str, Any]:
    """What is true of a call that nobody answered."""
    facts = checks.facts_of(call.truth)
    del facts[checks.CODEC]
    return {key: value for key, value in facts.items() if value is not None}


def _ns(call: CallResult, event: str) -> int:
    (note,) = call.notes(event)
    return int(note["t"] * 1e9)


def _reasons(top: Span) -> set[str]:
    """Why the callee's leg left, in LiveKit's words; empty if the agent left before it."""
    return {
        event.attributes["livekit.disconnect_reason"]
        for event in top.events
        if event.name == "sip.state" and event.attributes["sip.call.state"] == "hangup"
    }
