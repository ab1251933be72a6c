"""What a LiveKit job's room says about the call, driven by hand; and jobs that go wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import trunktrace
from trunktrace.guard import reraising
from trunktrace.registry import calls

from .fakejob import (
    CALLER,
    DIRECTORY,
    INBOUND,
    OUTBOUND,
    OURS,
    REASON,
    STANDARD,
    Context,
    Job,
    Participant,
    Room,
    headers,
    settle,
    until,
)
from .kit import CARRIER, CODE, DIRECTION, REGION, ROUTE, Pipeline, Scripted, ours


def caller(**changes: Any) -> Participant:
    return Participant(f"sip_{CALLER}", INBOUND | changes)


def callee(**changes: Any) -> Participant:
    return Participant("callee-1", OUTBOUND | changes)


async def test_an_inbound_call_from_ringing_to_hangup():
    """Every fact of the room is on the root, in its time; children get the inherited ones."""
    job = Job()

    async def entry(ctx: Any) -> str:
        job.pipe.tracer.start_span("before").end()
        whole = job.pipe.tracer.start_span("whole")
        phone = ctx.room.join(caller())
        await settle()
        ringing = job.pipe.tracer.start_span("ringing")
        ringing.end()
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()
        ctx.room.press(phone, "7")
        ctx.room.press(phone, "3")
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        await settle()
        whole.end()
        return "result"

    assert await job.run(entry) == "result"
    assert ours(job.pipe.attributes("before")) == {}
    assert ours(job.pipe.attributes("ringing")) == {
        CARRIER: "telnyx", ROUTE: "us-east/primary", REGION: "us1", DIRECTION: "inbound",
    }
    full = {CARRIER: "telnyx", ROUTE: "us-east/primary", REGION: "us1", DIRECTION: "inbound",
            CODE: 200}
    assert ours(job.pipe.attributes("talking")) == full
    assert ours(job.pipe.attributes("whole")) == full
    root = job.root()
    assert {key: root[key] for key in full} == full
    assert root["trunk.id"] == "ST_in"
    assert root["livekit.sip.call_id"] == "SCL_aMwkECsiCx3N"
    assert root["sip.call_id"] == "3b6e87185fc0"
    assert root["sip.caller.number"] == "+1*******34"
    assert root["sip.caller.country"] == "US"
    assert root["sip.callee.country"] == "GB"
    assert root["sip.dtmf_count"] == 2
    assert root["sip.call.outcome"] == "answered"
    assert root["sip.call.duration_ms"] >= 0
    states = [event["sip.call.state"] for event in job.events("sip.state")]
    assert states == ["ringing", "active", "hangup"]
    assert len(calls) == 0


async def test_no_signalling_number_and_no_digit_leaves_the_process():
    """Numbers and DTMF digits stand in no key, value, event or name of any exported span."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        for digit in "918273":
            ctx.room.press(phone, digit)
        await settle()
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    text = "\n".join(span.to_json() for span in job.pipe.finished())
    for number in (CALLER, OURS):
        assert number not in text
        assert number.lstrip("+") not in text
        assert number[2:] not in text
    assert "192.0.2.7" not in text
    assert job.root()["sip.dtmf_count"] == 6


async def test_a_caller_who_is_there_before_the_entrypoint():
    """The participant is in the room when the wrapper starts: every span has the facts."""
    job = Job(Room(caller(**{"sip.callStatus": "active"})))

    async def entry(ctx: Any) -> None:
        await settle()
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    assert job.pipe.attributes("work")[CARRIER] == "telnyx"
    assert job.pipe.attributes("work")[CODE] == 200


async def test_a_caller_who_is_there_when_the_room_connects():
    """LiveKit announces no participant that is there already when the agent connects."""
    job = Job(Room(connected=False))

    async def entry(ctx: Any) -> None:
        phone = caller()
        ctx.room.connect(phone)
        await settle()
        job.pipe.tracer.start_span("work").end()
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()

    await job.run(entry)
    assert job.pipe.attributes("work")[CARRIER] == "telnyx"
    assert job.pipe.attributes("talking")[CODE] == 200


async def test_a_caller_who_is_first_seen_by_a_change():
    """Even without any event at the connect, the first change of the caller tells all."""
    job = Job(Room(connected=False))

    async def entry(ctx: Any) -> None:
        phone = caller()
        ctx.room.connected = True
        ctx.room.remote_participants[phone.identity] = phone
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()

    await job.run(entry)
    assert job.pipe.attributes("talking")[CARRIER] == "telnyx"
    assert job.pipe.attributes("talking")[CODE] == 200


async def test_an_entrypoint_that_returns_early_leaves_the_call_open():
    """The usual entrypoint returns once the session runs; facts go on until the job's root ends."""
    job = Job()
    root = job.pipe.tracer.start_span("job_entrypoint")
    from opentelemetry import trace

    from .kit import under

    async def entry(ctx: Any) -> None:
        await settle()

    with trace.use_span(root, end_on_exit=False):
        await trunktrace.traced_call(directory=DIRECTORY)(entry)(job.ctx)
    phone = job.room.join(caller())
    job.room.status(phone, "active")
    await settle()
    job.pipe.tracer.start_span("later", context=under(root)).end()
    assert job.pipe.attributes("later")[CODE] == 200
    job.room.status(phone, "hangup")
    job.room.leave(phone, REASON.CLIENT_INITIATED)
    await settle()
    root.end()
    assert len(calls) == 0
    assert job.root()[CARRIER] == "telnyx"


async def test_an_outbound_call_that_is_answered():
    """No rule id: outbound; the number is the callee's; Call-ID comes with the answer."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(callee())
        await settle()
        dialing = dict(job.pipe.tracer.start_span("x").attributes)
        assert dialing[DIRECTION] == "outbound"
        assert CODE not in dialing
        ctx.room.status(phone, "ringing")
        ctx.room.change(phone, sip__callIDFull="lqKjiYoS15k3", sip__callTag="8ff77794")
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("talking").end()
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    root = job.root()
    assert root[DIRECTION] == "outbound"
    assert root[CODE] == 200
    assert root[CARRIER] == "twilio"
    assert root["sip.call_id"] == "lqKjiYoS15k3"
    assert root["sip.callee.country"] == "US"
    assert root["sip.caller.country"] == "GB"
    assert root["sip.setup_ms"] >= 0
    assert job.pipe.attributes("talking")[CODE] == 200


@pytest.mark.parametrize(
    "reason", [REASON.CLIENT_INITIATED, REASON.USER_REJECTED, REASON.USER_UNAVAILABLE]
)
async def test_an_outbound_call_that_never_was_active_was_not_answered(reason):
    """The 503 trap: CLIENT_INITIATED before `active` is no answer, and no reason is a code."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(callee())
        ctx.room.status(phone, "ringing")
        await settle()
        ctx.room.leave(phone, reason)
        await settle()

    await job.run(entry)
    root = job.root()
    assert CODE not in root
    assert root.get("sip.call.outcome") != "answered"
    assert "sip.call.duration_ms" not in root
    assert "sip.setup_ms" not in root
    assert "trunk.fault" not in root
    assert root[CARRIER] == "twilio"


@pytest.mark.parametrize("reason", list(REASON.values()) + [None, 999, "nonsense"])
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
    assert len([line for line in caplog.records if line.name == "trunktrace"]) <= 1


ABSURD = {
    "empty": {key: "" for key in INBOUND},
    "blank": {key: "   " for key in INBOUND},
    "10kB": {key: "9" * 10_240 for key in INBOUND},
    "control": {key: "a\x00\x1b[31mb\n" for key in INBOUND},
    "surrogate": {key: "\ud800" for key in INBOUND},
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


async def test_hidden_numbers_are_absent():
    """`hide_phone_number`: no number, no host; the rest stands."""
    hidden = {
        key: value for key, value in INBOUND.items()
        if key not in ("sip.phoneNumber", "sip.trunkPhoneNumber", "sip.hostname")
    }
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(Participant("sip_hidden", hidden))
        await settle()

    await job.run(entry)
    root = job.root()
    assert root[CARRIER] == "telnyx"
    assert not any(key.startswith(("sip.caller.", "sip.callee.")) for key in root)


async def test_an_anonymous_caller_is_absent():
    """`anonymous` is no number."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller(**{"sip.phoneNumber": "anonymous"}))
        await settle()

    await job.run(entry)
    assert "sip.caller.number" not in job.root()
    assert job.root()["sip.callee.country"] == "GB"


async def test_a_job_without_sip_is_left_alone():
    """A browser's job: no key of ours on any span, no event, no `unknown`."""
    job = Job()

    async def entry(ctx: Any) -> None:
        user = ctx.room.join(
            Participant("user-1", {"lk.agent.state": "x", "sip.callID": "SCL_fake",
                                   "sip.callStatus": "active", "sip.trunkID": "ST_in"},
                        kind=STANDARD)
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


async def test_several_sip_participants_the_call_is_the_first():
    """A transfer target joins: the call stays the caller's, the other is recorded as a leg."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        other = ctx.room.join(callee())
        ctx.room.status(other, "ringing")
        await settle()
        job.pipe.tracer.start_span("with-both").end()
        ctx.room.status(other, "active")
        ctx.room.press(other, "5")
        ctx.room.status(other, "hangup")
        ctx.room.leave(other, REASON.CLIENT_INITIATED)
        await settle()
        assert trunktrace.current_call()
        job.pipe.tracer.start_span("after-other").end()
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    for name in ("with-both", "after-other", "job_entrypoint"):
        attributes = job.pipe.attributes(name)
        assert attributes[CARRIER] == "telnyx", name
        assert attributes[DIRECTION] == "inbound", name
        assert attributes[CODE] == 200, name
    root = job.root()
    assert root["trunk.id"] == "ST_in"
    assert root["livekit.sip.call_id"] == INBOUND["sip.callID"]
    assert root["sip.caller.country"] == "US"
    assert "sip.dtmf_count" not in root
    assert len(job.events("sip.leg")) >= 1
    assert any(event.get("trunk.id") == "ST_out" for event in job.events("sip.leg"))
    states = [event["sip.call.state"] for event in job.events("sip.state")]
    assert states == ["ringing", "active", "hangup"]
    text = "\n".join(span.to_json() for span in job.pipe.finished())
    assert CALLER not in text


async def test_a_second_sip_participant_that_was_there_first_to_ring_does_not_take_over():
    """Two are in the room at the start: one of them is the call, all spans agree on it."""
    job = Job(Room(caller(), callee()))

    async def entry(ctx: Any) -> None:
        await settle()
        job.pipe.tracer.start_span("a").end()
        for phone in ctx.room.remote_participants.values():
            ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("b").end()

    await job.run(entry)
    assert {job.pipe.attributes(n)[CARRIER] for n in ("a", "b", "job_entrypoint")} == {"telnyx"}
    assert job.root()["livekit.sip.call_id"] == INBOUND["sip.callID"]


async def test_provider_ids_and_status_come_from_the_attributes():
    """Twilio's CallSid is the provider's call id, and names the carrier where no row does."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(
            caller(**{"sip.trunkID": "ST_nobody", "sip.twilio.callSid": "CA0123456789",
                      "sip.twilio.accountSid": "AC1"})
        )
        await settle()

    await job.run(entry)
    assert job.root()["sip.provider.call_id"] == "CA0123456789"
    assert job.root()[CARRIER] == "twilio"


async def test_a_header_of_the_invite_never_overrides_the_trunks_row():
    """Whoever calls may send `X-Carrier`: the operator's table stands."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller(**{"sip.h.x-carrier": "evil", "carrier.name": "evil",
                                "sip.twilio.callSid": "CA0123456789"}))
        await settle()

    await job.run(entry)
    assert job.root()[CARRIER] == "telnyx"
    assert "evil" not in job.pipe.named("job_entrypoint").to_json()


async def test_an_unnamed_carrier_is_unknown_on_the_root_at_its_end_only():
    """Nobody can name it: `unknown` on the root, on no child, and not before the end."""
    job = Job()

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller(**{"sip.trunkID": "ST_nobody"}))
        await settle()
        assert CARRIER not in trunktrace.current_call().attributes
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    assert job.root()[CARRIER] == "unknown"
    assert CARRIER not in job.pipe.attributes("work")
    assert CARRIER not in job.pipe.attributes("job_shutdown")


async def test_a_header_that_the_directory_needs_is_fetched():
    """A trusted header that is not among the attributes is asked for, by name, and believed."""
    job = Job()
    job.room.local_participant.answer = headers(X_Carrier="acme", X_Route="lcr-7", X_Evil="no")

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: trunktrace.current_call().facts.carrier is not None)
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    work = job.pipe.attributes("work")
    assert (work[CARRIER], work[ROUTE]) == ("acme", "lcr-7")
    (asked,) = job.room.local_participant.asked
    assert asked["method"] == "lk.sip.GetRemoteHeaders"
    assert asked["destination_identity"] == f"sip_{CALLER}"
    wanted = [name.lower() for name in json.loads(asked["payload"])["include"]]
    assert sorted(wanted) == ["x-carrier", "x-route"]


async def test_no_header_is_fetched_where_the_row_says_all():
    """No RPC for a trunk whose row is complete."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()

    await job.run(entry)
    assert job.room.local_participant.asked == []


BAD_ANSWERS = {
    "raises": None,
    "empty": "",
    "no-json": "<html>",
    "list": "[]",
    "null": "null",
    "no-headers": "{}",
    "headers-list": '{"headers": ["X-Carrier"]}',
    "headers-null": '{"headers": null}',
    "value-number": '{"headers": {"X-Carrier": 5}}',
    "value-null": '{"headers": {"X-Carrier": null}}',
    "value-10kB": json.dumps({"headers": {"X-Carrier": "x" * 10_240}}),
    "value-control": json.dumps({"headers": {"X-Carrier": "a\x00b"}}),
    "deep": "[" * 100_000,
    "no-text": 5,
}


@pytest.mark.parametrize("answer", list(BAD_ANSWERS.values()), ids=list(BAD_ANSWERS))
async def test_a_bad_answer_about_headers_is_survived(answer):
    """An RPC that fails or answers nonsense: the call goes on without the fact."""
    job = Job()
    if answer is not None:

        async def say() -> Any:
            return answer

        job.room.local_participant.answer = say

    async def entry(ctx: Any) -> str:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: len(job.room.local_participant.asked) > 0)
        await settle()
        assert trunktrace.current_call().facts.status_code == 200
        return "went on"

    with reraising(value=False):
        assert await job.run(entry) == "went on"
    assert job.root()[CARRIER] == "unknown"
    assert len(calls) == 0


async def test_an_answer_that_never_comes_holds_nobody():
    """The RPC hangs: entrypoint, shutdown and loop end all the same, no task is left."""
    job = Job()
    gone: list[str] = []

    async def never() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            gone.append("cancelled")
        raise AssertionError

    job.room.local_participant.answer = never

    async def entry(ctx: Any) -> str:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: len(job.room.local_participant.asked) > 0)
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        return "went on"

    async with asyncio.timeout(5):
        assert await job.run(entry) == "went on"
    await until(lambda: gone == ["cancelled"])
    assert asyncio.all_tasks() == {asyncio.current_task()}


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


async def test_an_unsampled_job_is_opened_fed_and_finished():
    """No span is recorded; the call holds its facts and ends with the job."""
    job = Job(pipe=Pipeline(sampler=ALWAYS_OFF))
    opened, finished = calls.opened, calls.finished
    seen: list[Any] = []

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        seen.append(trunktrace.current_call().facts)
        ctx.room.status(phone, "hangup")
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)

    await job.run(entry)
    assert (seen[0].carrier, seen[0].status_code) == ("telnyx", 200)
    assert (calls.opened - opened, calls.finished - finished) == (1, 1)
    assert job.pipe.finished() == ()
    assert len(calls) == 0


async def test_jobs_in_one_process_never_mix():
    """Six overlapping jobs on three trunks, as in a THREAD worker: each has its own facts."""
    pipe = Pipeline()
    trunks = {"ST_in": "telnyx", "ST_out": "twilio", "ST_nobody": None}

    async def one(trunk: str) -> None:
        job = Job(pipe=pipe)

        async def entry(ctx: Any) -> None:
            phone = ctx.room.join(caller(**{"sip.trunkID": trunk}))
            for n in range(5):
                with pipe.tracer.start_as_current_span("work", attributes={"of": trunk}):
                    await asyncio.sleep(0)
                if n == 2:
                    ctx.room.status(phone, "active")
            await asyncio.to_thread(lambda: None)
            pipe.tracer.start_span("work", attributes={"of": trunk}).end()

        await job.run(entry)

    await asyncio.gather(*(one(trunk) for trunk in trunks for _ in range(2)))
    works = [span for span in pipe.finished() if span.name == "work"]
    assert len(works) == 36
    assert all(s.attributes.get(CARRIER) == trunks[s.attributes["of"]] for s in works)
    assert len(calls) == 0


async def test_with_the_late_exporter_every_span_of_the_job_has_the_facts():
    """Spans that ended before the caller joined leave with what became known."""
    inner = Scripted(lambda spans: SpanExportResult.SUCCESS)
    job = Job(pipe=Pipeline(wrap=lambda memory: trunktrace.LateFactsExporter(inner)))

    async def entry(ctx: Any) -> None:
        job.pipe.tracer.start_span("room_connect").end()
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        await settle()
        job.pipe.tracer.start_span("work").end()

    await job.run(entry)
    job.pipe.provider.shutdown()
    assert {span.name for span in inner.spans} == {
        "room_connect", "work", "job_shutdown", "job_entrypoint",
    }
    for span in inner.spans:
        assert span.attributes[CARRIER] == "telnyx", span.name
        assert span.attributes[CODE] == 200, span.name


async def test_the_users_exception_passes_and_the_call_is_finished():
    """An entrypoint that raises: the same object comes out; facts so far are on the root."""
    job = Job()
    error = RuntimeError("mine")

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        await settle()
        raise error

    with pytest.raises(RuntimeError) as caught:
        await job.run(entry)
    assert caught.value is error
    assert getattr(error, "__notes__", []) == []
    assert job.root()[CARRIER] == "telnyx"
    assert len(calls) == 0


async def test_cancellation_passes_and_the_call_is_finished():
    """A cancelled entrypoint is cancelled; with the root's end the call is over."""
    job = Job()
    started = asyncio.Event()
    cancelled: list[bool] = []

    async def entry(ctx: Any) -> None:
        ctx.room.join(caller())
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = asyncio.create_task(job.run(entry))
    await started.wait()
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert cancelled == [True]
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
