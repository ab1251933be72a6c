"""The trace in SIP headers in a LiveKit job: on each attempt, on BYE, and as a link of the root."""

from __future__ import annotations

import asyncio
import pickle
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import json_format
from livekit.protocol.sip import (
    CreateSIPInboundTrunkRequest,
    CreateSIPOutboundTrunkRequest,
    CreateSIPParticipantRequest,
)
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

import trunktrace
from trunktrace.errors import ConfigurationError
from trunktrace.guard import guard, reraising
from trunktrace.livekit.requests import place
from trunktrace.livekit.settings import Settings
from trunktrace.propagation import far_end_of

from .behaviour.fakejob import (
    CALLER,
    OURS,
    Context,
    Job,
    Participant,
    callee,
    caller,
    headers,
    settle,
    until,
)
from .behaviour.kit import Pipeline, remote_parent
from .inviting import NUMBER, asking, invite, invites, leg, request, run
from .twirp import SipApi

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
SESSION = "ab30317f1a784dc48ff824d0d3715d86"
ATTRIBUTE = "trunktrace.traceparent"
NIL = "0" * 32


def traceparent(span: ReadableSpan, flags: str = "01") -> str:
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{flags}"


async def sent(
    asked: CreateSIPParticipantRequest | None = None, *, job: Job | None = None, **settings: Any
) -> tuple[CreateSIPParticipantRequest, Job]:
    """The request as it reaches LiveKit's API, and the job that made it."""
    on_wire: list[CreateSIPParticipantRequest] = []

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, asked)
        arrived = await sip.next()
        on_wire.append(arrived.request)
        arrived.accept()
        await task

    job = await run(entry, job, **settings)
    return on_wire[0], job


def links(job: Job) -> list[tuple[str, str, dict[str, Any]]]:
    """Trace id, span id and attributes of each link of the root."""
    return [
        (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", dict(link.attributes))
        for link in job.pipe.named("job_entrypoint").links
    ]


async def with_caller(job: Job | None = None, settings: Any = None, **attributes: str) -> Job:
    """A job whose caller came with these attributes, and was answered."""
    job = Job() if job is None else job

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller(**attributes))
        ctx.room.status(phone, "active")
        await settle()

    await job.run(entry, **(settings or {}))
    return job


# Out ----------------------------------------------------------------------------------------------


async def test_the_request_carries_the_attempts_own_span():
    """X-Traceparent names the `sip.invite` span, and stands on the participant for the BYE."""
    arrived, job = await sent()
    own = traceparent(invite(job))
    assert dict(arrived.headers) == {"X-Traceparent": own}
    assert dict(arrived.participant_attributes) == {ATTRIBUTE: own}
    assert arrived.sip_call_to == NUMBER


async def test_the_users_request_is_not_changed():
    """What the agent's code holds is as it was: a template can be used again."""
    template = request()
    before = template.SerializeToString(deterministic=True)
    await sent(template)
    assert template.SerializeToString(deterministic=True) == before


async def test_each_attempt_has_its_own_headers():
    """The second request of one template names the second span."""
    template = request()
    on_wire: list[str] = []

    async def entry(ctx: Any, sip: SipApi) -> None:
        for _ in range(2):
            task = asking(sip, template)
            arrived = await sip.next()
            on_wire.append(arrived.request.headers["X-Traceparent"])
            arrived.refuse(503, "Service Unavailable")
            await asyncio.wait([task])
            assert task.exception() is not None

    job = await run(entry)
    assert on_wire == [traceparent(span) for span in invites(job)]
    assert len(set(on_wire)) == 2


async def test_dial_writes_them_too():
    """The attempts of `trunktrace.dial` carry their own span, and the template stays as it was."""
    template = CreateSIPParticipantRequest(headers={"X-Mine": "1"})
    on_wire: list[CreateSIPParticipantRequest] = []

    async def entry(ctx: Any, sip: SipApi) -> None:
        dialling = asyncio.create_task(
            trunktrace.dial(ctx, NUMBER, trunks=["ST_a"], request=template, api=sip.client)
        )
        arrived = await sip.next()
        on_wire.append(arrived.request)
        arrived.accept()
        await dialling

    job = await run(entry)
    own = traceparent(invite(job))
    assert dict(on_wire[0].headers) == {"X-Mine": "1", "X-Traceparent": own}
    assert dict(template.headers) == {"X-Mine": "1"}


@pytest.mark.parametrize("name", ["X-Traceparent", "x-traceparent", "X-TRACEPARENT"])
async def test_a_header_of_the_users_own_stays(name):
    """Who sets the header himself, in any case of letters, keeps it; BYE says nothing else."""
    asked = request()
    asked.headers[name] = TRACEPARENT
    arrived, _ = await sent(asked)
    assert dict(arrived.headers) == {name: TRACEPARENT}
    assert not arrived.participant_attributes


async def test_an_attribute_of_the_users_own_stays():
    """A `trunktrace.traceparent` that the request has already is left as it is."""
    asked = request()
    asked.participant_attributes[ATTRIBUTE] = TRACEPARENT
    asked.participant_attributes["tier"] = "gold"
    arrived, job = await sent(asked)
    assert arrived.headers["X-Traceparent"] == traceparent(invite(job))
    assert dict(arrived.participant_attributes) == {ATTRIBUTE: TRACEPARENT, "tier": "gold"}


@pytest.mark.parametrize("way", ["setting", "environment", "environment over setting"])
async def test_they_can_be_switched_off(way, monkeypatch):
    """By the setting, or by whoever runs the agent: the request is the user's own."""
    settings: dict[str, Any] = {}
    if way == "setting":
        settings["sip_headers"] = False
    else:
        monkeypatch.setenv("TRUNKTRACE_SIP_HEADERS", "0")
    if way == "environment over setting":
        settings["sip_headers"] = trunktrace.SipPropagator(session_id=True)
    arrived, job = await sent(**settings)
    assert not arrived.headers
    assert not arrived.participant_attributes
    assert invite(job).attributes["trunk.id"] == "ST_a"


async def test_an_unsampled_call_says_that_it_is_not_sampled():
    """The far end learns the trace id and that nothing of it is kept: flags 00."""
    arrived, _ = await sent(job=Job(pipe=Pipeline(sampler=ALWAYS_OFF)))
    assert arrived.headers["X-Traceparent"].endswith("-00")
    assert arrived.participant_attributes[ATTRIBUTE] == arrived.headers["X-Traceparent"]


async def test_session_id_and_baggage_are_written_if_asked_for():
    """Session-ID is the trace id; X-Baggage has the allowed facts of the attempt, no others."""
    propagator = trunktrace.SipPropagator(
        session_id=True, baggage=["trunk.carrier", "trunk.route", "tenant"]
    )
    pipe = Pipeline()
    pipe.provider.id_generator = trunktrace.SessionIdGenerator()
    pipe.tracer = pipe.provider.get_tracer("with uuids")
    token = attach(baggage.set_baggage("tenant", "acme"))
    try:
        arrived, job = await sent(job=Job(pipe=pipe), sip_headers=propagator)
    finally:
        detach(token)
    own = f"{invite(job).context.trace_id:032x}"
    assert arrived.headers["Session-ID"] == f"{own};remote={NIL}"
    members = set(arrived.headers["X-Baggage"].split(","))
    assert members == {"trunk.carrier=twilio", "trunk.route=a/one", "tenant=acme"}
    assert sum(len(f"{name}: {value}\r\n") for name, value in arrived.headers.items()) <= 320


async def test_the_baggage_of_another_leg_is_of_its_own_trunk():
    """A colleague who is rung beside the caller gets nothing of the caller's trunk."""
    propagator = trunktrace.SipPropagator(
        baggage=["trunk.carrier", "trunk.region", "sip.call.direction"]
    )
    on_wire: list[str] = []

    async def entry(ctx: Any, sip: SipApi) -> None:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_a"}))
        ctx.room.status(phone, "active")
        task = asking(sip, request("ST_b", identity="colleague"))
        arrived = await sip.next()
        on_wire.append(arrived.request.headers["X-Baggage"])
        arrived.accept()
        await task

    await run(entry, sip_headers=propagator)
    assert on_wire == ["trunk.carrier=telnyx"]


async def test_a_value_that_looks_like_a_number_never_goes_out():
    """A fact or an entry of the context that holds a number is left out of X-Baggage."""
    propagator = trunktrace.SipPropagator(baggage=["trunk.route", "who", "sip.hangup.source"])
    token = attach(baggage.set_baggage("who", f"for {CALLER}"))
    job = Job()
    on_wire: list[CreateSIPParticipantRequest] = []

    async def entry(ctx: Any, sip: SipApi) -> None:
        trunktrace.current_call().record(route="gw 415-555-0134")
        task = asking(sip, request("ST_nobody"))
        arrived = await sip.next()
        on_wire.append(arrived.request)
        arrived.accept()
        await task

    try:
        await run(entry, job, sip_headers=propagator)
    finally:
        detach(token)
    assert set(on_wire[0].headers) == {"X-Traceparent"}


class _Old:
    """A request of a livekit-protocol that knows no headers, or of somebody else's making."""

    sip_call_to = NUMBER
    sip_trunk_id = "ST_a"
    room_name = "call-room"
    wait_until_answered = True
    DESCRIPTOR = SimpleNamespace(fields_by_name={"sip_call_to": None})


@pytest.mark.parametrize("asked", [_Old(), SimpleNamespace(headers={}), object(), None])
async def test_a_request_that_can_hold_none_is_left_alone(asked):
    """A request without the fields is sent as the same object."""
    got: list[Any] = []

    async def send(request_: Any) -> Any:
        got.append(request_)
        return SimpleNamespace()

    async def entry(ctx: Any, _: SipApi) -> None:
        from trunktrace.livekit.job import current_job

        job = current_job()
        assert job is not None
        await place(job.observer, asked, send)

    with reraising(value=False):
        await run(entry)
    assert len(got) == 1
    assert got[0] is asked


async def test_a_request_without_attributes_gets_the_headers_alone():
    """Each field is used only where the message has it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="old.proto", package="old", syntax="proto3")
    message = file.message_type.add(name="Request")
    entry_type = message.nested_type.add(name="HeadersEntry")
    entry_type.options.map_entry = True
    for number, name in ((1, "key"), (2, "value")):
        entry_type.field.add(name=name, number=number, type=9, label=1)
    message.field.add(
        name="headers", number=1, type=11, label=3, type_name=".old.Request.HeadersEntry"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("old.Request"))()
    got: list[Any] = []

    async def send(request_: Any) -> Any:
        got.append(request_)
        return SimpleNamespace()

    async def entry(ctx: Any, _: SipApi) -> None:
        from trunktrace.livekit.job import current_job

        job = current_job()
        assert job is not None
        await place(job.observer, made, send)

    await run(entry)
    assert list(got[0].headers) == ["X-Traceparent"]
    assert not made.headers


async def test_a_propagator_that_fails_fails_no_dial():
    """What goes wrong while headers are made stays with us: the request goes as it is."""

    class Failing(trunktrace.SipPropagator):
        def inject(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("no")

    settings = Settings(sip_headers=Failing())
    job = Job()
    got: list[Any] = []

    async def send(request_: Any) -> Any:
        got.append(request_)
        return SimpleNamespace()

    async def entry(ctx: Any) -> None:
        from trunktrace.livekit.room import RoomObserver

        call = trunktrace.current_call()
        observer = RoomObserver(ctx.room, None, call, settings, lambda: job.pipe.tracer)
        await place(observer, asked, send)

    asked = request()
    with reraising(value=False):
        await job.run(entry, directory=settings.directory)
    assert got[0] is asked
    assert guard.counts["trace_headers.onto"] == 1


async def test_without_a_provider_nothing_is_written():
    """Where nothing is traced there is no trace to tell."""
    from opentelemetry.trace import NoOpTracer

    from trunktrace.livecall import LiveCall
    from trunktrace.livekit.room import RoomObserver

    room = Job().room
    call = LiveCall(trace_id=1, root_span_id=0)
    observer = RoomObserver(room, None, call, Settings(), NoOpTracer)
    got: list[Any] = []

    async def send(request_: Any) -> Any:
        got.append(request_)
        return SimpleNamespace()

    asked = request()
    await place(observer, asked, send)
    assert got[0] is asked


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    ["yes", 1, ["X-Traceparent"], object(), trunktrace.SipPropagator],
    ids=repr,
)
def test_a_wrong_setting_is_refused_at_once(wrong):
    """`traced_call` names the field; a worker never starts with it."""
    with pytest.raises(ConfigurationError, match="sip_headers"):
        trunktrace.traced_call(sip_headers=wrong)


def test_a_parent_is_refused_in_a_job():
    """LiveKit's root has begun before the headers are known: the setting would do nothing."""
    with pytest.raises(ConfigurationError, match="as_parent"):
        trunktrace.traced_call(sip_headers=trunktrace.SipPropagator(as_parent=True))


@pytest.mark.parametrize("said", ["no", "off", "2"])
def test_a_wrong_environment_is_refused(said, monkeypatch):
    """The variable is named, also where the code has a setting."""
    monkeypatch.setenv("TRUNKTRACE_SIP_HEADERS", said)
    with pytest.raises(ConfigurationError, match="TRUNKTRACE_SIP_HEADERS"):
        trunktrace.traced_call(sip_headers=trunktrace.SipPropagator())


@pytest.mark.parametrize("mark", ["yes", 1])
def test_a_wrong_mark_is_refused(mark):
    """`mark_participant` is True or False."""
    with pytest.raises(ConfigurationError, match="mark_participant"):
        trunktrace.traced_call(mark_participant=mark)


def test_the_settings_travel_to_a_job_process():
    """Pickled and back they write the same headers."""
    given = Settings.load(
        sip_headers=trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier"]),
        mark_participant=True,
    )
    found = pickle.loads(pickle.dumps(given))
    assert found.mark_participant
    assert found.sip_headers.fields == {"X-Traceparent", "Session-ID", "X-Baggage"}
    assert found.sip_headers.baggage == ("trunk.carrier",)
    assert pickle.loads(pickle.dumps(Settings.load(sip_headers=False))).sip_headers is None


def test_a_propagator_that_cannot_travel_is_refused():
    """A class of a function's own is not found in a job process: told where it is given."""

    class Mine(trunktrace.SipPropagator):
        pass

    with pytest.raises(ConfigurationError, match="sip_headers"):
        trunktrace.traced_call(sip_headers=Mine())


# In -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value, header",
    [
        ("sip.h.x-traceparent", TRACEPARENT, "X-Traceparent"),
        (ATTRIBUTE, TRACEPARENT, "X-Traceparent"),
        ("sip.h.traceparent", TRACEPARENT, "Traceparent"),
        ("sip.h.b3", f"{TRACE}-{SPAN}-1", "b3"),
        ("sip.h.user-to-user", f"00{TRACEPARENT.encode().hex()};encoding=hex", "User-to-User"),
    ],
)
async def test_the_callers_trace_is_linked(name, value, header):
    """The root has one link to what the header tells, with its name; and a trace of its own."""
    job = await with_caller(**{name: value})
    assert links(job) == [(TRACE, SPAN, {"trunktrace.link.header": header})]
    root = job.pipe.named("job_entrypoint")
    assert root.parent is None
    assert f"{root.context.trace_id:032x}" != TRACE


async def test_a_trace_without_a_span_is_named_on_the_root():
    """`X-Trace-ID` alone makes no link: the root says the trace id instead."""
    job = await with_caller(**{"sip.h.x-trace-id": TRACE.upper()})
    assert links(job) == []
    assert job.root()["trunktrace.link.trace_id"] == TRACE


async def test_a_session_id_is_a_fact_and_no_link():
    """Session-ID becomes `sip.session_id`, the half of the far end; it is nobody's trace."""
    job = await with_caller(**{"sip.h.session-id": f"{SESSION.upper()};remote={NIL}"})
    assert links(job) == []
    assert job.root()["sip.session_id"] == SESSION
    assert "trunktrace.link.trace_id" not in job.root()


async def test_a_leg_is_linked_once():
    """Whatever its attributes say later, a leg has one link; another leg has its own."""
    job = Job()
    other = TRACEPARENT.replace(SPAN, "a" * 16)

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller(**{ATTRIBUTE: TRACEPARENT}))
        ctx.room.status(phone, "active")
        ctx.room.change(phone, **{ATTRIBUTE: other})
        ctx.room.join(Participant("second", caller(**{ATTRIBUTE: other}).attributes))
        await settle()

    await job.run(entry)
    assert [(trace_id, span_id) for trace_id, span_id, _ in links(job)] == [
        (TRACE, SPAN),
        (TRACE, "a" * 16),
    ]


async def test_switched_off_nothing_is_linked():
    """`sip_headers=False` reads none either."""
    job = await with_caller(settings={"sip_headers": False}, **{ATTRIBUTE: TRACEPARENT})
    assert links(job) == []


async def test_an_outbound_call_is_not_linked_to_itself():
    """What we wrote on the participant, and an echo of it in the 200, are no remote."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        arrived = await sip.next()
        ours = arrived.request.participant_attributes[ATTRIBUTE]
        phone = ctx.room.join(leg(**{ATTRIBUTE: ours}))
        echo = {"sip.h.x-traceparent": ours, "sip.h.b3": f"{ours[3:35]}-{SPAN}-1"}
        ctx.room.change(phone, **{"sip.callStatus": "active"}, **echo)
        arrived.accept()
        await task

    job = await run(entry)
    assert links(job) == []


async def test_the_answer_of_an_outbound_call_is_linked():
    """Headers of the 200 count, beside our own attribute; what came before them does not."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        arrived = await sip.next()
        ours = arrived.request.participant_attributes[ATTRIBUTE]
        phone = ctx.room.join(leg(**{ATTRIBUTE: ours}))
        ctx.room.change(phone, **{"sip.callStatus": "ringing", "sip.h.b3": f"{TRACE}-{'b' * 16}"})
        changed = {"sip.callStatus": "active", "sip.h.b3": f"{TRACE}-{SPAN}-1"}
        ctx.room.change(phone, **changed, **{"sip.h.session-id": f"{SESSION};remote={TRACE}"})
        arrived.accept()
        await task

    job = await run(entry)
    assert links(job) == [(TRACE, SPAN, {"trunktrace.link.header": "b3"})]
    assert job.root()["sip.session_id"] == SESSION


async def test_who_dialled_elsewhere_is_linked():
    """A participant that another process of ours dialled carries that process's span."""
    job = Job()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(callee(**{ATTRIBUTE: TRACEPARENT}))
        ctx.room.status(phone, "active")
        await settle()

    await job.run(entry)
    assert [link[:2] for link in links(job)] == [(TRACE, SPAN)]


async def test_headers_are_asked_for_only_beside_others():
    """Where the directory asks for headers anyway ours come with them, in one question."""
    job = Job()
    job.room.local_participant.answer = headers(
        X_Carrier="acme", X_Traceparent=TRACEPARENT, Session_ID=f"{SESSION};remote={NIL}"
    )

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller(**{"sip.trunkID": "ST_headers"}))
        ctx.room.status(phone, "active")
        await until(lambda: trunktrace.current_call().facts.carrier is not None)

    await job.run(entry)
    assert len(job.room.local_participant.asked) == 1
    assert [link[:2] for link in links(job)] == [(TRACE, SPAN)]
    assert job.root()["sip.session_id"] == SESSION
    other = await with_caller()
    assert other.room.local_participant.asked == []


async def test_an_unsampled_call_takes_no_link():
    """Nothing is recorded, and nothing fails."""
    job = await with_caller(Job(pipe=Pipeline(sampler=ALWAYS_OFF)), **{ATTRIBUTE: TRACEPARENT})
    assert job.pipe.finished() == ()


DIGITS = CALLER.removeprefix("+")
HOSTILE = {
    "no hex": "00-zz-zz-01",
    "upper case": TRACEPARENT.upper(),
    "zeros": f"00-{NIL}-{SPAN}-01",
    "no span": f"00-{TRACE}-{'0' * 16}-01",
    "version ff": TRACEPARENT.replace("00-", "ff-", 1),
    "line break": f"{TRACEPARENT}\r\nX-Evil: 1",
    "NUL": f"{TRACEPARENT}\x00",
    "long": TRACEPARENT + "-" + "a" * 100_000,
    "empty": "",
    "number as trace": f"00-{DIGITS:0>32}-{SPAN}-01",
    "number as span": f"00-{TRACE}-{DIGITS:0>16}-01",
    "called number as trace": f"00-{OURS.removeprefix('+'):0>32}-{SPAN}-01",
}


@pytest.mark.parametrize("value", list(HOSTILE.values()), ids=list(HOSTILE))
@pytest.mark.parametrize("name", ["sip.h.x-traceparent", ATTRIBUTE])
async def test_what_is_no_trace_is_no_link(name, value):
    """An invalid header, and one that holds a number of the call, link nothing and stop nothing."""
    job = await with_caller(**{name: value})
    assert links(job) == []
    told = "".join(span.to_json() for span in job.pipe.finished())
    assert DIGITS not in told
    assert OURS.removeprefix("+") not in told


async def test_hostile_headers_raise_nothing_and_show_no_number():
    """Random headers with the caller's number in every place: only valid links, no number."""
    chance = random.Random(6)
    names = ["x-traceparent", "traceparent", "x-trace-id", "x-span-id", "b3", "x-b3-traceid"]
    names += ["x-b3-spanid", "session-id", "user-to-user", "x-baggage"]
    pieces = [CALLER, DIGITS, TRACE, SPAN, "-", ";remote=", "00", "01", "\r\n", "\x00", "é", "%2B"]
    pieces += [
        f"{DIGITS:0>32}",
        f"{DIGITS:f<32}",
        f"{DIGITS:0>16}",
        "f" * 2000,
        CALLER.encode().hex(),
    ]
    for _ in range(150):
        hostile = {
            f"sip.h.{name}": "".join(chance.choices(pieces, k=chance.randint(1, 5)))
            for name in chance.sample(names, k=chance.randint(1, 6))
        }
        job = await with_caller(**hostile)
        told = "".join(span.to_json() for span in job.pipe.finished())
        assert DIGITS not in told
        assert "4155550134" not in told
        assert all(link.context.is_valid for link in job.pipe.named("job_entrypoint").links)
        job.pipe.provider.shutdown()


# On the caller's participant ----------------------------------------------------------------------


class _Marking(Context):
    """A job's context with a room service that remembers, and answers as told."""

    def __init__(self, room: Any, answer: Any = None) -> None:
        super().__init__(room)
        self.asked: list[Any] = []
        self.answer = answer

    @property
    def api(self) -> Any:
        return SimpleNamespace(room=self)

    async def update_participant(self, asked: Any) -> None:
        self.asked.append(asked)
        if self.answer is not None:
            await self.answer()


def marked() -> tuple[Job, _Marking]:
    job = Job()
    job.ctx = ctx = _Marking(job.room)
    return job, ctx


async def test_the_callers_participant_is_marked_if_asked_for():
    """The root's traceparent is written on it once, by the API; attributes of others stay."""
    job, ctx = marked()
    await with_caller(job, {"mark_participant": True})
    (asked,) = ctx.asked
    root = job.pipe.named("job_entrypoint")
    assert (asked.room, asked.identity) == ("call-room", f"sip_{CALLER}")
    assert dict(asked.attributes) == {ATTRIBUTE: traceparent(root)}
    assert not asked.name
    assert not asked.metadata


async def test_nobody_is_marked_unasked():
    """Without the setting there is no request."""
    job, ctx = marked()
    await with_caller(job)
    assert ctx.asked == []


async def test_our_mark_is_no_remote():
    """The attribute comes back as a change of the participant: it links nothing."""
    job, ctx = marked()

    async def entry(ctx_: Any) -> None:
        phone = ctx_.room.join(caller())
        await until(lambda: len(ctx.asked) == 1)
        ctx_.room.change(phone, **dict(ctx.asked[0].attributes))
        await settle()

    await job.run(entry, mark_participant=True)
    assert links(job) == []
    assert len(ctx.asked) == 1


async def test_an_outbound_participant_is_not_marked():
    """It carries its attempt's span already."""
    job, ctx = marked()

    async def entry(ctx_: Any) -> None:
        phone = ctx_.room.join(callee())
        ctx_.room.status(phone, "active")
        await settle()

    await job.run(entry, mark_participant=True)
    assert ctx.asked == []


async def test_an_api_that_fails_or_hangs_holds_nobody():
    """A missing grant is told once in the log; what hangs is given up with the room."""

    async def refuse() -> None:
        raise PermissionError(f"no grant for {CALLER}")

    async def hang() -> None:
        await asyncio.Event().wait()

    for answer in (refuse, hang):
        job, ctx = marked()
        ctx.answer = answer
        await with_caller(job, {"mark_participant": True})
        assert len(ctx.asked) == 1
        assert job.root()["trunk.carrier"] == "telnyx"
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}


async def test_a_context_without_api_is_survived(caplog):
    """`ctx.api` that raises is told once, without what it said."""
    await with_caller(settings={"mark_participant": True})
    told = [line.getMessage() for line in caplog.records if "participant" in line.getMessage()]
    assert len(told) == 1
    assert "RuntimeError" in told[0]


@pytest.mark.parametrize("kind", ["inbound", "outbound"])
def test_the_trunks_of_the_page_are_what_livekit_takes(kind):
    """The JSON of the how-to page is a request for a trunk, and maps our attribute for BYE."""
    page = (Path(__file__).parents[1] / "docs/how-to/trace-context.md").read_text("utf-8")
    block = page.partition(f"`lk sip {kind} create`")[2].split("```")[1].removeprefix("json")
    asked = {
        "inbound": CreateSIPInboundTrunkRequest,
        "outbound": CreateSIPOutboundTrunkRequest,
    }[kind]()
    json_format.Parse(block, asked)
    assert dict(asked.trunk.attributes_to_headers) == {ATTRIBUTE: "X-Traceparent"}
    assert asked.trunk.include_headers


# Outside of LiveKit -------------------------------------------------------------------------------

INVITE = {"X-Traceparent": TRACEPARENT, "Session-ID": f"{SESSION};remote={NIL}"}


def test_a_call_by_hand_is_linked():
    """`start_call(sip_headers=...)`: a link and a fact; the trace is its own."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", sip_headers=INVITE) as call:
        assert call.facts.session_id == SESSION
    span = pipe.named("sip.call")
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != TRACE
    (link,) = span.links
    assert (link.context.span_id, dict(link.attributes)) == (
        int(SPAN, 16),
        {"trunktrace.link.header": "X-Traceparent"},
    )
    assert "sip" in span.attributes["trunktrace.sources"]


def test_a_call_by_hand_may_go_on_with_the_trace():
    """With `as_parent` the far end's span is the parent, and there is no link."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", sip_headers=list(INVITE.items()), as_parent=True):
        pipe.tracer.start_span("work").end()
    span = pipe.named("sip.call")
    assert span.kind is SpanKind.SERVER
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert span.parent.is_remote
    assert span.links == ()
    assert pipe.attributes("work")["sip.call.direction"] == "inbound"


def test_a_parent_and_as_parent_exclude_each_other():
    """Two parents are a mistake, told at once; a parent and headers are a parent and a link."""
    pipe = Pipeline()
    with pytest.raises(ConfigurationError, match="as_parent"):
        pipe.call(sip_headers=INVITE, parent=remote_parent(), as_parent=True)
    with pipe.call(sip_headers=INVITE, parent=remote_parent()):
        pass
    span = pipe.named("sip.call")
    assert span.parent is not None
    assert span.parent.trace_id == 0xABC
    assert len(span.links) == 1


@pytest.mark.parametrize("as_parent", [True, False])
@pytest.mark.parametrize("value", [None, {}, [], {"X-Traceparent": "no"}, 3, ["x"], "text"])
def test_headers_that_tell_nothing_change_nothing(value, as_parent):
    """Without a valid header it is a call as any other."""
    pipe = Pipeline()
    with pipe.call(direction="inbound", sip_headers=value, as_parent=as_parent):
        pass
    span = pipe.named("sip.call")
    assert span.parent is None
    assert span.links == ()


@pytest.mark.parametrize("as_parent", [True, False])
def test_a_number_in_an_id_is_not_taken_over(as_parent):
    """A caller who writes his number where an id should be gets neither link nor child."""
    pipe = Pipeline()
    number = {
        "X-Traceparent": f"00-{DIGITS:0>32}-{SPAN}-01",
        "Session-ID": f"{DIGITS:0>32};remote={NIL}",
    }
    with pipe.call(
        direction="inbound", caller_number=CALLER, sip_headers=number, as_parent=as_parent
    ):
        pass
    assert DIGITS not in pipe.named("sip.call").to_json()


def test_what_the_user_says_stands_above_the_header():
    """A `session_id` that is given as a fact is the fact."""
    pipe = Pipeline()
    with pipe.call(sip_headers=INVITE, session_id="f" * 32):
        pass
    assert pipe.attributes("sip.call")["sip.session_id"] == "f" * 32


def test_a_trace_of_ones_own_is_no_far_end():
    """What names the call's own trace gives no link, and a Session-ID all the same."""
    found = far_end_of(INVITE, own_trace_id=int(TRACE, 16))
    assert found.link is None
    assert found.trace_id is None
    assert found.session_id == SESSION
