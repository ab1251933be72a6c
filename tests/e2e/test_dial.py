"""`trunktrace.dial` in a real job and a real room: what it dials, and what Jaeger then has."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping

import pytest
from livekit import api

from .bridge import ANSWERED, BUSY, UNAVAILABLE, Bridge, Outcome
from .calls import CONVERSATION, LOCAL, TELNYX, TWILIO, CallTruth, outbound
from .conftest import ENVIRONMENT, WorkerFactory
from .harness import CallResult, collect, converse, dispatch, job_ended
from .jaeger_api import Span, root
from .polling import until_async
from .worker import Worker

SILENT_503 = dataclasses.replace(UNAVAILABLE, rings=False)
PLANS: Mapping[str, Mapping[str, Outcome]] = {
    "503 then 200": {LOCAL.trunk_id: SILENT_503, TWILIO.trunk_id: ANSWERED},
    "486 stops": {TELNYX.trunk_id: BUSY, TWILIO.trunk_id: ANSWERED},
    "ringing, then 503 stops": {LOCAL.trunk_id: UNAVAILABLE, TWILIO.trunk_id: ANSWERED},
}
_ROOM_STAYS_S = 20
_DIAL_S = 60.0

Calls = Mapping[str, CallResult]


@pytest.fixture(scope="session")
def dialled(workers: WorkerFactory) -> Calls:
    """Every plan, at the same time."""
    worker = workers(ENVIRONMENT)

    async def every() -> dict[str, CallTruth]:
        async with asyncio.TaskGroup() as group:
            tasks = {plan: group.create_task(_dial(worker, plan)) for plan in PLANS}
        return {plan: task.result() for plan, task in tasks.items()}

    truths = asyncio.run(every())
    return {plan: collect(worker, truth) for plan, truth in truths.items()}


async def _dial(worker: Worker, plan: str) -> CallTruth:
    truth = outbound(LOCAL)
    worker.truths.append(truth)
    outcomes = PLANS[plan]
    server = worker.livekit
    async with (
        Bridge(server) as bridge,
        api.LiveKitAPI(server.url, server.key, server.secret) as own,
    ):
        # Between two attempts the agent is alone: as long as a real server leaves it the room.
        await own.room.create_room(
            api.CreateRoomRequest(name=truth.room, departure_timeout=_ROOM_STAYS_S)
        )
        answered = bridge.expect(truth, outcomes)
        numbers = {"from": truth.caller_number, "to": truth.callee_number}
        attempts = [{"trunk_id": trunk_id, **numbers} for trunk_id in outcomes]
        await dispatch(worker, truth, {"bridge": bridge.url, "attempts": attempts, "dials": True})
        (said,) = await until_async(
            lambda: worker.notes("dialled", room=truth.room),
            deadline_s=_DIAL_S,
            what=f"{plan}: the dial is over",
        )
        if said["answered"]:
            # The request returns just before the leg is active.
            async with asyncio.timeout(_DIAL_S):
                leg = await answered
            try:
                await converse(leg, CONVERSATION[:1])
                await leg.hang_up()
            finally:
                await leg.leave()
        await own.room.delete_room(api.DeleteRoomRequest(room=truth.room))
        await job_ended(worker, truth)
    return truth


def _invites(call: CallResult) -> list[Span]:
    found = [span for span in call.spans if span.name == "sip.invite"]
    return sorted(found, key=lambda span: span.start_ns)


def test_a_503_is_answered_over_the_second_trunk(dialled: Calls) -> None:
    """The agent talks to the callee over the second trunk; the root has the path."""
    call = dialled["503 then 200"]
    assert call.truth.attempts == [f"{LOCAL.trunk_id}:503", f"{TWILIO.trunk_id}:200"]
    assert call.note("dialled")["codes"] == [503, 200]
    top = root(call.spans)
    assert top.attributes["trunk.failover.path"] == "carrier-a:503>twilio:200"
    assert top.attributes["trunk.failover.count"] == 1
    assert top.attributes["trunk.carrier"] == "twilio"
    assert top.attributes["sip.call.outcome"] == "answered"


def test_attempts_are_linked_spans(dialled: Calls) -> None:
    """Jaeger has both attempts, each with its own trunk and end; the second links to the first."""
    first, second = _invites(dialled["503 then 200"])
    told = [(one.attributes["trunk.id"], one.attributes["sip.response.status_code"]) for one in
            (first, second)]  # fmt: skip
    assert told == [(LOCAL.trunk_id, 503), (TWILIO.trunk_id, 200)]
    assert first.end_ns <= second.start_ns
    # The API is quicker than the room, which may still tell of a 18x when the attempt ends.
    assert not first.attributes.get("sip.attempt.progress", False)
    assert [link.span_id for link in second.links] == [first.span_id]


@pytest.mark.parametrize(
    "plan, path, why",
    [
        ("486 stops", "telnyx:486", "486: Busy Here is no case for another trunk"),
        ("ringing, then 503 stops", "carrier-a:503", "after progress"),
    ],
)
def test_it_stops_where_it_should(dialled: Calls, plan: str, path: str, why: str) -> None:
    """A busy callee, and a phone that has rung, are not called over another trunk."""
    call = dialled[plan]
    assert len(call.truth.attempts) == 1
    said = call.note("dialled")
    assert said["path"] == path
    assert why in said["why"]
    (invite,) = _invites(call)
    assert invite.links == ()
    assert "trunk.failover.path" not in root(call.spans).attributes
    (raised,) = [one for one in root(call.spans).events if one.name == "exception"]
    assert raised.attributes["exception.type"].endswith("DialFailed")


def test_no_number_in_what_reached_jaeger(dialled: Calls) -> None:
    """Neither number of any dial, with or without its plus sign."""
    for call in dialled.values():
        for number in call.truth.signalling_numbers:
            assert number.strip("+") not in call.raw
