"""A call whose agent asks a colleague in a second room: one trace, two calls, two carriers."""

from __future__ import annotations

import asyncio
import json

import pytest

from . import checks
from .bridge import ANSWERED, BUSY, Bridge, Outcome
from .caller import SipCaller
from .calls import CONVERSATION, TELNYX, TWILIO, CallTruth, inbound, outbound
from .conftest import ENVIRONMENT, WorkerFactory
from .consultation import room_of
from .harness import CallResult, collect, job_ended
from .jaeger_api import root
from .polling import until_async
from .worker import Worker


async def consulting(worker: Worker, outcome: Outcome) -> CallTruth:
    """The caller comes by one carrier, the colleague is dialled by the other."""
    truth, colleague = inbound(TELNYX), outbound(TWILIO)
    colleague.room = room_of(truth.room)
    worker.truths.append(truth)
    async with Bridge(worker.livekit) as bridge:
        answered = bridge.expect(colleague, {TWILIO.trunk_id: outcome})
        numbers = {"number": colleague.caller_number, "to": colleague.callee_number}
        asked = {"bridge": bridge.url, "trunk_id": TWILIO.trunk_id, **numbers}
        caller = SipCaller(worker.livekit, truth)
        try:
            metadata = json.dumps({"consults": asked})
            await caller.join(dispatch=worker.agent_name, metadata=metadata)
            await caller.publish()
            await caller.answered()
            if outcome.error is None:
                async with asyncio.timeout(60):
                    leg = await answered
                try:
                    await leg.take(CONVERSATION[0])
                    await leg.hang_up()
                finally:
                    await leg.leave()
            await until_async(
                lambda: worker.notes("consulted", room=truth.room),
                deadline_s=60,
                what="the colleague was consulted",
            )
            await caller.take(CONVERSATION[0])
            await caller.hang_up()
        finally:
            await caller.leave()
        await job_ended(worker, truth)
    return truth


@pytest.fixture(scope="module", params=["answered", "busy"])
def call(request: pytest.FixtureRequest, workers: WorkerFactory) -> CallResult:
    """The colleague picks up, or is busy."""
    worker = workers(ENVIRONMENT)
    outcome = ANSWERED if request.param == "answered" else BUSY
    return collect(worker, asyncio.run(consulting(worker, outcome)))


def test_each_rooms_spans_have_their_own_legs_carrier(call: CallResult) -> None:
    """Below our `sip.call` the colleague's carrier, everywhere else the caller's."""
    consult = checks.span_named(call.spans, "sip.call")
    theirs = [consult, *checks.below(consult, call.spans)]
    inside = {span.span_id for span in theirs}
    assert {"agent_session", "sip.invite"} <= {span.name for span in theirs}
    for span in call.spans:
        is_theirs = span.span_id in inside
        wanted = TWILIO.name if is_theirs else TELNYX.name
        assert span.attributes.get("trunk.carrier") == wanted, span.name
        direction = "outbound" if is_theirs else "inbound"
        assert span.attributes.get("sip.call.direction") == direction, span.name


def test_the_callers_call_is_what_it_is_without_the_colleague(call: CallResult) -> None:
    """Answered, by its own trunk, with no attempt of its own."""
    top = root(call.spans)
    assert top.name == "job_entrypoint"
    assert top.attributes["trunk.id"] == TELNYX.trunk_id
    assert (top.attributes[checks.CODE], top.attributes["sip.call.outcome"]) == (200, "answered")
    assert "sip.attempt_count" not in top.attributes


def test_the_consultation_says_what_became_of_it(call: CallResult) -> None:
    """Answered, or busy; by the colleague's trunk, and by one attempt."""
    consult = checks.span_named(call.spans, "sip.call")
    invite = checks.span_named(call.spans, "sip.invite")
    busy = bool(call.notes("nobody_to_consult"))
    expected = (486, "busy") if busy else (200, "answered")
    for span in (consult, invite):
        assert span.attributes["trunk.id"] == TWILIO.trunk_id
        assert (span.attributes[checks.CODE], span.attributes["sip.call.outcome"]) == expected
    assert consult.attributes["sip.attempt_count"] == 1
    turns = [span for span in checks.below(consult, call.spans) if span.name == "user_turn"]
    assert len(turns) == (0 if busy else 1)
