"""Rooms, participants and attributes that go wrong: the entrypoint goes on."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import trunktrace
from trunktrace.guard import reraising
from trunktrace.registry import calls

from .fakejob import (
    INBOUND,
    REASON,
    STANDARD,
    Context,
    Job,
    Participant,
    Room,
    caller,
    settle,
)
from .kit import CARRIER, CODE, ours


@pytest.mark.parametrize("reason", [*list(REASON.values()), None, 999, "nonsense"])
async def test_every_disconnect_reason_is_survived(reason):
    """Also ones never seen: the job ends well, and nobody is blamed on `client_initiated`."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        ctx.room.leave(phone, reason)
        await settle()

    await job.run(entry)
    root = job.root()
    assert root[CODE] == 200
    if reason == REASON.CLIENT_INITIATED:
        assert "sip.hangup.source" not in root


@pytest.mark.parametrize("status", ["exploded", "", "ACTIVE", "x" * 10_240, "a\x00b", "unknown"])
async def test_a_status_never_seen_is_no_fact(status, caplog):
    """No code, no such state in an event, one log line at most; the next status works."""
    caplog.set_level(logging.WARNING, logger="trunktrace")
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        await settle()
        ctx.room.status(phone, status)
        await settle()
        assert CODE not in trunktrace.current_call().attributes
        ctx.room.status(phone, "active")
        await settle()
        assert trunktrace.current_call().facts.status_code == 200

    await job.run(entry)
    states = [event["sip.call.state"] for event in job.events("sip.state")]
    assert states[:2] == ["ringing", "active"]
    lines = [line.getMessage() for line in caplog.records if "callStatus" in line.getMessage()]
    assert len(lines) == (1 if status else 0)
    assert all(len(line) < 500 and line.isprintable() for line in lines)


ABSURD = {
    "empty": dict.fromkeys(INBOUND, ""),
    "blank": dict.fromkeys(INBOUND, "   "),
    "10kB": dict.fromkeys(INBOUND, "9" * 10240),
    "control": dict.fromkeys(INBOUND, "a\x00\x1b[31mb\n"),
    "surrogate": dict.fromkeys(INBOUND, "�"),
    "none": dict.fromkeys(INBOUND),
    "numbers": dict.fromkeys(INBOUND, 5),
    "lists": {key: ["x"] for key in INBOUND},
    "odd-keys": {"": "x", "sip.": "y", "sip.h.": "z", "sip.h." + "x" * 10_000: "w", 5: "v"},
    "nothing": {},
    "no-dict": None,
    "text": "sip.callID=SCL_1",
}


@pytest.mark.parametrize("attributes", list(ABSURD.values()), ids=list(ABSURD))
async def test_absurd_attributes_are_survived(attributes):
    """The entrypoint runs to its end; no absurd value is on any span; the call is finished."""
    job = Job()

    async def entry(ctx: Any) -> str:
        phone = Participant("sip_odd", kind=caller().kind)
        phone.attributes = attributes
        ctx.room.join(phone)
        await settle()
        ctx.room.emit("participant_attributes_changed", attributes, phone)
        ctx.room.emit("participant_attributes_changed", {"sip.callStatus": None}, phone)
        await settle()
        job.pipe.tracer.start_span("work").end()
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        return "went on"

    with reraising(value=False):
        assert await job.run(entry) == "went on"
    for span in job.pipe.finished():
        for key, value in ours(span.attributes).items():
            if isinstance(value, str):
                assert 0 < len(value) <= 255, key
                assert value.isprintable(), key
            assert value not in ("", "   ", 5), key
    assert len(calls) == 0


async def test_one_absurd_attribute_does_not_cost_the_others():
    """A 10 kB trunk number beside good ids: the ids are there."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller(**{"sip.trunkPhoneNumber": "9" * 10_240, "sip.hostname": "\x00"}))
        await settle()

    await job.run(entry)
    root = job.root()
    assert root[CARRIER] == "telnyx"
    assert root["sip.caller.country"] == "US"
    assert "sip.callee.number" not in root


async def test_a_job_without_sip_is_left_alone():
    """A browser's job: no key of ours on any span, no event, no `unknown`."""
    job = Job()

    async def entry(ctx: Any) -> None:
        user = ctx.room.join(
            Participant(
                "user-1",
                {
                    "lk.agent.state": "x",
                    "sip.callID": "SCL_fake",
                    "sip.callStatus": "active",
                    "sip.trunkID": "ST_in",
                },
                kind=STANDARD,
            )
        )
        await settle()
        with job.pipe.tracer.start_as_current_span("work"):
            ctx.room.change(user, sip__callStatus="hangup")
            await settle()
        ctx.room.leave(user, REASON.CLIENT_INITIATED)

    await job.run(entry)
    for span in job.pipe.finished():
        assert ours(span.attributes) == {}, span.name
        assert [e.name for e in span.events if e.name.startswith(("sip", "trunk"))] == []
    assert len(calls) == 0


async def test_a_participant_that_never_comes_leaves_nothing():
    """An empty room until the end: no key of ours, the call is finished."""
    job = Job()

    async def entry(ctx: Any) -> str:
        await settle()
        return "done"

    assert await job.run(entry) == "done"
    assert ours(job.root()) == {}
    assert len(calls) == 0


class Dying:
    """A room of which one thing raises."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._room = Room(caller())

    def __getattr__(self, name: str) -> Any:
        if name == self._what:
            raise RuntimeError("the room died")
        return getattr(self._room, name)


@pytest.mark.parametrize(
    "what",
    ["on", "isconnected", "remote_participants", "local_participant", "name", "connection_state"],
)
async def test_a_room_that_raises_does_not_reach_the_entrypoint(what):
    """Whatever of the room dies, the entrypoint runs, and nothing is left."""
    job = Job(Dying(what))

    async def entry(ctx: Any) -> str:
        await settle()
        job.pipe.tracer.start_span("work").end()
        return "went on"

    with reraising(value=False):
        assert await job.run(entry) == "went on"
    assert len(calls) == 0


@pytest.mark.parametrize("ctx", [None, 5, "ctx", object()], ids=["none", "int", "str", "object"])
async def test_a_context_that_is_none_does_not_reach_the_entrypoint(ctx):
    """Whatever the entrypoint is given, it is given it, and its result comes back."""
    job = Job(ctx=ctx if ctx is not None else object())

    async def entry(given: Any) -> Any:
        return given

    with reraising(value=False):
        assert await job.run(entry) is job.ctx
    assert len(calls) == 0


async def test_a_participant_whose_properties_raise_is_survived():
    """Half-dead participants (their handle is gone) cost their own facts only."""

    class Broken(Participant):
        @property
        def attributes(self) -> Any:
            raise RuntimeError("handle is gone")

        @attributes.setter
        def attributes(self, value: Any) -> None:
            pass

    job = Job()

    async def entry(ctx: Any) -> str:
        broken = Broken("sip_broken")
        ctx.room.join(broken)
        ctx.room.emit("participant_attributes_changed", {"sip.callStatus": "active"}, broken)
        ctx.room.leave(broken, REASON.CLIENT_INITIATED)
        await settle()
        return "went on"

    with reraising(value=False):
        assert await job.run(entry) == "went on"
    assert len(calls) == 0


async def test_events_after_the_jobs_end_are_ignored():
    """A room that still speaks after the root ended reaches no span and opens nothing."""
    job = Job()
    phone = caller()

    async def entry(ctx: Any) -> None:
        ctx.room.join(phone)
        await settle()

    await job.run(entry)
    before = job.root()
    job.room.status(phone, "active")
    job.room.press(phone, "1")
    job.room.leave(phone, REASON.CLIENT_INITIATED)
    await settle()
    assert job.root() == before
    assert len(calls) == 0


async def test_a_room_context_with_nothing_but_the_room_works():
    """A context that offers room and job alone is enough for the facts."""

    class Bare:
        def __init__(self, room: Any) -> None:
            self.room = room
            self.job = Context(room).job

    room = Room()
    job = Job(room, ctx=Bare(room))

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()

    with reraising(value=False):
        await job.run(entry)
    assert job.root()[CARRIER] == "telnyx"
    assert job.root()[CODE] == 200
    assert len(calls) == 0
