"""Rooms as they should not be, or seldom are: one worker, all at the same time.

Two phones in a room, absurd attributes, none at all, a browser, and nobody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import pytest
from livekit import api

from . import checks
from .caller import DEADLINE_S, SipCaller
from .calls import CONVERSATION, TELNYX, TWILIO, CallTruth, inbound
from .conftest import ENVIRONMENT, WorkerFactory
from .harness import CallResult, agent_in, answer_call, collect, converse, dispatch, job_ended
from .jaeger_api import root, tree
from .polling import until_async
from .worker import Worker

ABSURD = {
    "sip.callIDFull": "x" * 10_000,
    "sip.hostname": "\x1b[31msip\x00.telnyx.com\r\nX: y",
    "sip.callStatus": "teleporting",
    "sip.callID": "",
    "sip.telnyx.callLegID": "\x07" * 300,
    "sip.phoneNumber": "9" * 10_000,
    "sip.trunkPhoneNumber": "\u202e\U0001f4de not a number",
    "sip.h.via": "SIP/9.9/" + "Z" * 10_000,
}


async def _conference(worker: Worker) -> CallTruth:
    """A second phone comes into the conversation of the first, and goes."""
    truth, other = inbound(TWILIO), inbound(TELNYX)
    other.room = truth.room
    worker.truths += [truth, other]
    first, second = SipCaller(worker.livekit, truth), SipCaller(worker.livekit, other)
    try:
        await first.join(dispatch=worker.agent_name)
        await first.publish()
        await first.answered()
        await converse(first, CONVERSATION[:1])
        await second.join()
        await second.publish()
        await second.status("active")
        await first.take(CONVERSATION[1])
        await second.hang_up()
        await first.hang_up()
    finally:
        await second.leave()
        await first.leave()
    await job_ended(worker, truth)
    return truth


async def _linked_later(worker: Worker) -> CallTruth:
    """Another phone is there first; the session takes the one that it was told to take."""
    truth, other = inbound(TWILIO), inbound(TELNYX)
    other.room = truth.room
    worker.truths += [truth, other]
    first, second = SipCaller(worker.livekit, other), SipCaller(worker.livekit, truth)
    try:
        metadata = json.dumps({"link": truth.identity})
        await first.join(dispatch=worker.agent_name, metadata=metadata)
        await first.publish()
        await agent_in(worker, truth)
        await second.join()
        await second.publish()
        await second.answered()
        await converse(second, CONVERSATION[:1])
        await second.hang_up()
        await first.hang_up()
    finally:
        await first.leave()
        await second.leave()
    await job_ended(worker, truth)
    return truth


async def _absurd(worker: Worker) -> CallTruth:
    """Absurd from the start; and its status once more where the agent listens for sure.

    On a busy machine the agent's first look may come after the answer has replaced it.
    """
    truth = inbound(TELNYX, ABSURD)
    worker.truths.append(truth)
    caller = SipCaller(worker.livekit, truth)
    try:
        await caller.join(dispatch=worker.agent_name, metadata=json.dumps(truth.job))
        await caller.publish()
        await caller.answered()
        await converse(caller, CONVERSATION[:1])
        await caller.status(ABSURD["sip.callStatus"])
        await until_async(
            lambda: any(
                "sip.callStatus" in str(line["message"])
                for line in worker.log_lines()
                if line.get("room") == truth.room
            ),
            deadline_s=DEADLINE_S,
            what="the worker tells of an unknown sip.callStatus",
        )
        await caller.hang_up()
    finally:
        await caller.leave()
    await job_ended(worker, truth)
    return truth


async def _bare(worker: Worker) -> CallTruth:
    """A phone of which LiveKit says nothing but that it is one."""
    truth = inbound(TELNYX)
    truth.attributes = {}
    return await answer_call(worker, truth, CONVERSATION[:1])


async def _browser(worker: Worker) -> CallTruth:
    """An ordinary WebRTC participant has the conversation."""
    truth = inbound(TELNYX)
    worker.truths.append(truth)
    caller = SipCaller(worker.livekit, truth)
    try:
        await caller.join(
            dispatch=worker.agent_name, identity="visitor", attributes={}, kind="standard"
        )
        await caller.publish()
        await caller.subscribed()
        await converse(caller, CONVERSATION[:1])
    finally:
        await caller.leave()
    await job_ended(worker, truth)
    return truth


async def _nobody(worker: Worker) -> CallTruth:
    """The agent is sent into a room where nobody ever comes; at last the room is deleted."""
    truth = inbound(TELNYX)
    worker.truths.append(truth)
    await dispatch(worker, truth, {})
    await agent_in(worker, truth)
    server = worker.livekit
    async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=truth.room))
    await job_ended(worker, truth)
    return truth


ROOMS: Mapping[str, Callable[[Worker], Awaitable[CallTruth]]] = {
    "conference": _conference,
    "linked later": _linked_later,
    "absurd": _absurd,
    "bare": _bare,
    "browser": _browser,
    "nobody": _nobody,
}


@pytest.fixture(scope="session")
def rooms(workers: WorkerFactory) -> Mapping[str, CallResult]:
    """Every room, at the same time."""
    worker = workers(ENVIRONMENT)

    async def every() -> dict[str, CallTruth]:
        truths = await asyncio.gather(*(room(worker) for room in ROOMS.values()))
        return dict(zip(ROOMS, truths, strict=True))

    return {name: collect(worker, truth) for name, truth in asyncio.run(every()).items()}


@pytest.mark.parametrize("room", ROOMS)
def test_every_span_reaches_jaeger(rooms: Mapping[str, CallResult], room: str) -> None:
    """Whatever the room was like, its trace is complete and its call was finished."""
    call = rooms[room]
    assert call.ended_spans <= {span.span_id for span in call.spans}, tree(call.spans)
    assert len(call.worker.notes("call_finished", trace_id=call.truth.trace_id)) == 1


def test_a_second_phone_is_a_leg(rooms: Mapping[str, CallResult]) -> None:
    """The call stays the linked phone's on every span; the other is told of on the root."""
    call = rooms["conference"]
    facts = checks.facts_of(call.truth)
    assert checks.lacking(call.spans, facts, dict.fromkeys(facts, 0)) == []
    legs = [event for event in root(call.spans).events if event.name == "sip.leg"]
    assert {leg.attributes["trunk.id"] for leg in legs} == {TELNYX.trunk_id}
    assert legs[-1].attributes["livekit.disconnect_reason"] == "client_initiated"
    assert root(call.spans).attributes["livekit.sip.call_id"] == call.truth.livekit_call_id


def test_the_linked_phone_is_the_call(rooms: Mapping[str, CallResult]) -> None:
    """Another phone was there first; from the link on every span is the linked one's."""
    call = rooms["linked later"]
    facts = checks.facts_of(call.truth)
    top = root(call.spans)
    assert checks.contradicting([top], facts) == []
    assert top.attributes["livekit.sip.call_id"] == call.truth.livekit_call_id
    linked = next(
        event.time_ns
        for event in checks.span_named(call.spans, "agent_session").events
        if event.name == "participant_linked"
    )
    # The codec is recorded once a call here, and was by the first phone's: it is not asked about.
    later = [span for span in call.spans if span.end_ns > linked + 5_000_000]
    assert checks.contradicting(later, facts) == []
    assert {"user_turn", "llm_request", "tts_request"} <= set(checks.names(later))
    legs = [event for event in top.events if event.name == "sip.leg"]
    assert TELNYX.trunk_id in {leg.attributes.get("trunk.id") for leg in legs}


def test_absurd_attributes_are_absent(rooms: Mapping[str, CallResult]) -> None:
    """The call goes on with what can be true; no absurd value is on a span."""
    call = rooms["absurd"]
    assert [turn.answered is not None for turn in call.truth.turns] == [True]
    facts = checks.facts_of(call.truth)
    assert checks.lacking(call.spans, facts, dict.fromkeys(facts, 0)) == []
    top = root(call.spans)
    for key in ("sip.call_id", "livekit.sip.call_id", "sip.provider.call_id", "sip.transport"):
        assert key not in top.attributes
    ours = [
        value
        for span in call.spans
        for key, value in span.attributes.items()
        if key in checks.our_keys(span) and isinstance(value, str)
    ]
    assert max(map(len, ours)) <= 255
    assert all(value.isprintable() for value in ours)
    assert "9" * 20 not in call.raw


def test_absurd_attributes_are_told_of_once(rooms: Mapping[str, CallResult]) -> None:
    """One log line for each kind of nonsense, none with the nonsense in it."""
    told = rooms["absurd"].warnings
    assert len(told) == len(set(told)) > 0
    assert any("sip.callStatus" in line for line in told)
    assert all(len(line) < 500 and "9999999" not in line for line in told)


def test_an_unknown_carrier_is_named_so_at_the_end_only(rooms: Mapping[str, CallResult]) -> None:
    """Nobody knows the carrier: the root says unknown, no other span says anything."""
    call = rooms["bare"]
    assert root(call.spans).attributes["trunk.carrier"] == "unknown"
    assert [span.name for span in call.spans if span.attributes.get("trunk.carrier")] == [
        "job_entrypoint"
    ]
    assert root(call.spans).attributes[checks.CODE] == 200


@pytest.mark.parametrize("room", ["browser", "nobody"])
def test_a_job_without_a_phone_is_left_alone(rooms: Mapping[str, CallResult], room: str) -> None:
    """No key and no event of ours stands on any of its spans, and nothing was logged."""
    call = rooms[room]
    assert {key for span in call.spans for key in checks.our_keys(span)} == set()
    events = {event.name for span in call.spans for event in span.events}
    assert not {name for name in events if name.startswith(checks.OUR_NAMESPACES)}
    assert call.warnings == []
    assert "agent_session" in checks.names(call.spans)
