"""The harness itself, without trunktrace: whatever else fails here is not the library's fault."""

from __future__ import annotations

from collections import Counter

import pytest

from .bridge import ANSWERED, BUSY, UNAVAILABLE, Outcome
from .calls import CONVERSATION, LOCAL, TELNYX, TWILIO, outbound
from .harness import CallResult, run_outbound
from .jaeger_api import JaegerApi, root, tree
from .worker import Worker


def test_the_caller_has_a_conversation(plain_call: CallResult) -> None:
    """The caller hears the greeting and an answer to each of its sentences, then hangs up."""
    truth = plain_call.truth
    assert truth.greeting_heard is not None
    assert truth.hung_up is not None
    assert [turn.says for turn in truth.turns] == [turn.says for turn in CONVERSATION]
    for turn in truth.turns:
        assert turn.answered is not None
        assert turn.answered > turn.ended


def test_the_agent_understood_what_was_said(plain_call: CallResult) -> None:
    """Each sentence is one user turn of the trace, in its order."""
    heard = [
        span.attributes["lk.pii.user_transcript"]
        for span in plain_call.spans
        if span.name == "user_turn"
    ]
    assert heard == [turn.says for turn in CONVERSATION]


def test_the_agent_used_its_tool(plain_call: CallResult, plain_worker: Worker) -> None:
    """The second sentence makes the agent look the order up."""
    tools = [span for span in plain_call.spans if span.name == "function_tool"]
    assert [span.attributes["gen_ai.tool.name"] for span in tools] == ["look_up_order"]
    assert plain_worker.notes("tool", pid=plain_call.truth.job_pid)[0]["order"] == "4242"


def test_the_caller_barged_in(plain_call: CallResult) -> None:
    """The third sentence interrupts the second answer, and only that one."""
    interrupted = [
        span.attributes["lk.interrupted"] for span in plain_call.spans if span.name == "agent_turn"
    ]
    assert interrupted == [False, False, True, False]  # greeting and three answers


def test_every_span_of_the_call_arrives(plain_call: CallResult) -> None:
    """One trace with one root, every parent there, and every kind of span of a phone call."""
    assert root(plain_call.spans).name == "job_entrypoint"
    counts = Counter(span.name for span in plain_call.spans)
    expected = {
        "agent_session": 1,
        "user_turn": 3,
        "user_speaking": 3,
        "agent_turn": 4,
        "agent_speaking": 4,
        "llm_node": 4,
        "llm_request": 4,
        "function_tool": 1,
        "tts_node": 4,
        "tts_request": 4,
        "job_shutdown": 1,
        "shutdown_callback": 1,
        "room_disconnect": 1,
        "session_end_upload": 1,
    }
    found = {name: counts[name] for name in expected}
    assert found == expected, tree(plain_call.spans)


def test_the_bridge_attributes_are_seen_by_the_agent(plain_call: CallResult) -> None:
    """The agent's own span has the attributes that the leg joined with."""
    session = next(span for span in plain_call.spans if span.name == "agent_session")
    for key in ("sip.callID", "sip.trunkID", "sip.ruleID", "sip.callIDFull", "sip.hostname"):
        assert session.attributes[f"lk.{key}"] == plain_call.truth.attributes[key]


def test_jaeger_is_asked_by_attribute(plain_call: CallResult, plain_worker: Worker) -> None:
    """A search by attribute finds the call, and nothing by a carrier that nobody wrote."""
    jaeger = JaegerApi(plain_worker.jaeger.query)
    trunk = {"lk.sip.trunkID": plain_call.truth.carrier.trunk_id}
    assert plain_call.truth.trace_id in jaeger.find_traces(plain_worker.service, trunk)
    assert jaeger.find_traces(plain_worker.service, {"trunk.carrier": "telnyx"}) == {}


@pytest.mark.parametrize(
    "outcomes, code",
    [
        ({TELNYX.trunk_id: BUSY}, 486),
        ({TELNYX.trunk_id: BUSY, LOCAL.trunk_id: UNAVAILABLE}, 503),
    ],
    ids=["486", "486, then 503"],
)
def test_a_failed_dial_raises_the_real_exception(
    plain_worker: Worker, outcomes: dict[str, Outcome], code: int
) -> None:
    """livekit-api's own SipCallError ends the entrypoint; the trace has no session."""
    call = run_outbound(plain_worker, outbound(TELNYX), outcomes)
    assert call.truth.status_code == code
    top = root(call.spans)
    (raised,) = [event for event in top.events if event.name == "exception"]
    assert raised.attributes["exception.type"].endswith("SipCallError")
    assert str(code) in raised.attributes["exception.message"]
    assert {span.name for span in call.spans} == {
        "job_entrypoint",
        "room_connect",
        "job_shutdown",
        "session_end_upload",
        "room_disconnect",
        "shutdown_callback",
    }


def test_a_failed_attempt_leaves_as_the_bridge_does(plain_worker: Worker) -> None:
    """Busy, then answered elsewhere: the first leg is gone as USER_REJECTED, the second talks."""
    truth = outbound(TELNYX)
    outcomes = {TELNYX.trunk_id: BUSY, TWILIO.trunk_id: ANSWERED}
    call = run_outbound(plain_worker, truth, outcomes)
    assert truth.attempts == [f"{TELNYX.trunk_id}:486", f"{TWILIO.trunk_id}:200"]
    gone = plain_worker.notes("participant_gone", pid=truth.job_pid)
    assert [(one["identity"], one["reason"]) for one in gone] == [
        ("callee-1", "USER_REJECTED"),
        ("callee-2", "CLIENT_INITIATED"),
    ]
    assert len([span for span in call.spans if span.name == "user_turn"]) == len(CONVERSATION)
