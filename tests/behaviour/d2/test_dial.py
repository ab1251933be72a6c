"""trunktrace.dial: on to another trunk where that is right, and never two phones."""

from __future__ import annotations

import asyncio
import pickle
from itertools import pairwise
from types import SimpleNamespace

import pytest
from aiohttp import ClientResponseError
from livekit.protocol.sip import CreateSIPParticipantRequest

import trunktrace
from trunktrace.errors import ConfigurationError

from .lk import (
    CALLEE,
    SERVER_ERROR,
    SIP_ERROR,
    LiveKit,
    Reply,
    answer,
    no_answer,
    no_bridge,
    refuse,
    until,
)
from .traces import Traces, attributes, everything, findings, in_clear, linked

AB = ["ST_a", "ST_b"]


async def dial(traces: Traces, livekit: LiveKit, trunks=AB, number=CALLEE, **settings):
    """The dial within a traced job: what it returned, or the DialFailed that it raised."""

    async def work(ctx):
        try:
            return await trunktrace.dial(
                ctx, number, trunks=trunks, **({"backoff_s": 0} | settings)
            )
        except trunktrace.DialFailed as failed:
            return failed

    return await traces.job(livekit, work)


async def test_the_first_trunk_answers_and_the_others_are_left_alone(traces: Traces):
    """One attempt, one request, nothing removed."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        result = await dial(traces, livekit, identity="callee")
        assert livekit.dialled == ["ST_a"]
        assert not any(line.startswith("remove") for line in livekit.log)
        assert livekit.created[0].wait_until_answered
        assert livekit.created[0].room_name == "room-1"
    assert isinstance(result, trunktrace.DialResult)
    assert result.participant.participant_identity == "callee"
    (attempt,) = result.attempts
    assert isinstance(attempt, trunktrace.Attempt)
    assert (attempt.trunk_id, attempt.status_code) == ("ST_a", 200)


async def test_503_then_200(traces: Traces):
    """The captured failover: two linked spans, own trunks, path and count on the root."""
    script = {"ST_a": [refuse(503, "Service Unavailable")], "ST_b": [answer()]}
    async with LiveKit(script) as livekit:
        result = await dial(traces, livekit)
    assert [a.status_code for a in result.attempts] == [503, 200]
    assert [a.carrier for a in result.attempts] == ["telnyx", "twilio"]
    first, second = traces.invites
    assert [attributes(s)["trunk.carrier"] for s in (first, second)] == ["telnyx", "twilio"]
    assert first.context is not None
    assert linked(first) == []
    assert linked(second) == [first.context.span_id]
    root = attributes(traces.root)
    assert root["trunk.failover.path"] == "telnyx:503>twilio:200"
    assert root["trunk.failover.count"] == 1
    assert root["trunk.carrier"] == "twilio"
    assert root["trunk.route"] == "west/second"
    assert root["sip.response.status_code"] == 200
    assert root["sip.attempt_count"] == 2
    assert "failover_loop" not in findings(traces.root)
    assert "call_setup_failure" not in findings(traces.root)


async def test_each_attempt_links_to_the_one_before(traces: Traces):
    """Three trunks: third to second, second to first."""
    script = {"ST_a": [refuse(503)], "ST_b": [refuse(500)], "ST_c": [answer()]}
    async with LiveKit(script) as livekit:
        result = await dial(traces, livekit, ["ST_a", "ST_b", "ST_c"])
    first, second, third = traces.invites
    assert linked(second) == [first.context.span_id]
    assert linked(third) == [second.context.span_id]
    assert len(result.attempts) == 3
    root = attributes(traces.root)
    assert root["trunk.failover.path"] == "telnyx:503>twilio:500>backup:200"
    assert root["trunk.failover.count"] == 2


async def test_all_trunks_fail_and_the_last_exception_is_chained(traces: Traces):
    """DialFailed has every attempt; its cause is the last original exception."""
    script = {"ST_a": [refuse(503)], "ST_b": [refuse(502, "Bad Gateway")]}
    async with LiveKit(script) as livekit:
        failed = await dial(traces, livekit)
    assert isinstance(failed, trunktrace.DialFailed)
    assert [a.status_code for a in failed.attempts] == [503, 502]
    assert isinstance(failed.__cause__, SIP_ERROR)
    assert failed.__cause__.metadata["sip_status_code"] == "502"
    assert in_clear(f"{failed} {failed!r} {failed.args}") == []
    assert attributes(traces.root)["trunk.failover.path"] == "telnyx:503>twilio:502"


async def test_a_dial_that_failed_can_be_pickled(traces: Traces):
    """Exceptions cross processes."""
    async with LiveKit({"ST_a": [refuse(486)]}) as livekit:
        failed = await dial(traces, livekit, ["ST_a"])
    again = pickle.loads(pickle.dumps(failed))
    assert [a.status_code for a in again.attempts] == [486]


async def test_a_ringing_timeout_of_ours_that_rang_stops(traces: Traces):
    """It rang: nobody took it up, and no other phone rings."""
    async with LiveKit({"ST_a": [no_answer()], "ST_b": [answer()]}) as livekit:
        failed = await dial(traces, livekit)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)
    assert failed.attempts[0].status_code is None


async def test_silence_goes_on_to_the_next_trunk(traces: Traces):
    """No answer at all to the INVITE is a transport error: the next trunk is tried."""
    async with LiveKit({"ST_a": [no_answer(rings=False)], "ST_b": [answer()]}) as livekit:
        result = await dial(traces, livekit)
    assert [a.status_code for a in result.attempts] == [None, 200]


async def test_no_bridge_is_no_reason_for_another_trunk(traces: Traces):
    """`unavailable` came from LiveKit, not from a carrier: the next trunk has no bridge either."""
    async with LiveKit({"ST_a": [no_bridge()], "ST_b": [answer()]}) as livekit:
        failed = await dial(traces, livekit)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)
    assert isinstance(failed.__cause__, SERVER_ERROR)


@pytest.mark.parametrize("code", ["invalid_argument", "permission_denied", "unauthenticated"])
async def test_a_wrong_request_is_no_reason_for_another_trunk(traces: Traces, code: str):
    """LiveKit refused our own request."""
    reply = Reply(None, joins=False, twirp=(code, 400, "no"))
    async with LiveKit({"ST_a": [reply], "ST_b": [answer()]}) as livekit:
        failed = await dial(traces, livekit)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)


@pytest.mark.parametrize("lingers", [0, 1, 3])
async def test_the_next_phone_rings_only_after_the_former_is_gone(traces: Traces, lingers: int):
    """The refused participant stays in the room for a while: removed, confirmed, then dialled."""
    slow = refuse(503, leaves=False, lingers=lingers)
    async with LiveKit({"ST_a": [slow], "ST_b": [answer()]}) as livekit:
        result = await dial(traces, livekit, identity="callee")
        log = livekit.log
    assert isinstance(result, trunktrace.DialResult)
    assert log.index("remove callee") < log.index("gone callee") < log.index("create ST_b")
    assert log.index("absent callee") < log.index("create ST_b")


async def test_a_participant_that_does_not_go_stops_the_dial(traces: Traces):
    """It cannot be confirmed gone: no second phone."""
    stuck = refuse(503, leaves=False, removable=False)
    async with LiveKit({"ST_a": [stuck], "ST_b": [answer()]}) as livekit:
        failed = await dial(traces, livekit, removal_timeout_s=0.3)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)


async def test_identities_are_asked_for_even_if_the_room_shows_nobody(traces: Traces):
    """After a refusal the server is asked, whatever the room says."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        await dial(traces, livekit)
        between = livekit.log[: livekit.log.index("create ST_b")]
    assert any(line.startswith(("absent", "remove")) for line in between)


async def test_a_lost_request_does_not_go_on_before_the_participant_is_gone(traces: Traces):
    """A raw client error: nobody knows what became of the INVITE, and its participant rings."""
    lost = Reply(drop=True, rings=False)
    async with LiveKit({"ST_a": [lost], "ST_b": [answer()]}) as livekit:
        result = await dial(traces, livekit, identity="callee")
        log = livekit.log
    if isinstance(result, trunktrace.DialResult):
        assert log.index("gone callee") < log.index("create ST_b")
    else:
        assert livekit.dialled == ["ST_a"]


async def test_a_lost_request_of_a_phone_that_rang_stops(traces: Traces):
    """Progress is progress, also where the API's answer was lost."""
    lost = Reply(drop=True, rings=True)
    async with LiveKit({"ST_a": [lost], "ST_b": [answer()]}) as livekit:
        failed = await dial(traces, livekit, identity="callee")
        assert livekit.dialled == ["ST_a"]
        assert "callee" not in livekit.room.remote_participants
    assert isinstance(failed, trunktrace.DialFailed)


async def test_each_trunk_has_its_own_ringing_timeout(traces: Traces):
    """`Trunk(..., ringing_timeout_s=)` goes into that trunk's request, and its number too."""
    trunks = [
        trunktrace.Trunk("ST_a", ringing_timeout_s=7),
        trunktrace.Trunk("ST_b", number="+15550003333", ringing_timeout_s=11),
    ]
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        await dial(traces, livekit, trunks)
        first, second = livekit.created
    assert first.ringing_timeout.seconds == 7
    assert second.ringing_timeout.seconds == 11
    assert second.sip_number == "+15550003333"
    assert in_clear(everything(traces.spans), "+15550003333") == []


async def test_the_dials_own_timeout_holds_for_every_trunk(traces: Traces):
    """`ringing_timeout_s` of the dial is that of each trunk without its own."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        await dial(traces, livekit, ringing_timeout_s=9)
        assert [request.ringing_timeout.seconds for request in livekit.created] == [9, 9]


@pytest.mark.parametrize("where", ["meta", "attributes"])
async def test_retry_after_is_told_where_a_source_states_it(traces: Traces, where: str):
    """Retry-After of the 503 stands on its span; the pause is no longer than the dial allows."""
    stated = {"meta": {"meta": {"retry_after": "120"}}} | {
        "attributes": {"attributes": {"sip.h.retry-after": "120"}}
    }
    script = {"ST_a": [refuse(503, **stated[where])], "ST_b": [answer()]}
    async with LiveKit(script) as livekit:
        result = await dial(traces, livekit, longest_pause_s=0.01)
    assert [a.status_code for a in result.attempts] == [503, 200]
    assert attributes(traces.invites[0])["sip.retry_after_ms"] == 120_000


async def test_the_headers_of_a_template_go_out_with_every_attempt(traces: Traces):
    """A template is copied: its headers, metadata and features are on each request."""
    template = CreateSIPParticipantRequest(
        headers={"X-Team": "orders"}, play_dialtone=True, participant_metadata="m"
    )
    before = template.SerializeToString(deterministic=True)
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        await dial(traces, livekit, request=template)
        assert template.SerializeToString(deterministic=True) == before
        for request in livekit.created:
            assert dict(request.headers)["X-Team"] == "orders"
            assert request.play_dialtone
            assert request.participant_metadata == "m"


async def test_a_made_up_identity_is_no_number(traces: Traces):
    """Without `identity` the participant's name does not say whom we call."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        result = await dial(traces, livekit)
        assert in_clear(livekit.created[0].participant_identity) == []
    assert result.participant.participant_identity


@pytest.mark.parametrize(
    "trunks",
    [[], ["ST_a", "ST_a"], ["ST_a", trunktrace.Trunk("ST_a")], [""]],
    ids=["none", "twice", "twice as Trunk", "empty"],
)
async def test_wrong_trunks_are_a_configuration_error(traces: Traces, trunks):
    """Loud before anything is dialled, and it names the field and the fix."""
    async with LiveKit() as livekit:

        async def work(ctx):
            with pytest.raises(ConfigurationError) as raised:
                await trunktrace.dial(ctx, CALLEE, trunks=trunks)
            return raised.value

        error = await traces.job(livekit, work)
        assert livekit.created == []
    assert "trunk" in str(error)
    assert in_clear(str(error)) == []


@pytest.mark.parametrize("number", ["", "   "])
async def test_no_number_is_a_configuration_error(traces: Traces, number: str):
    """Nothing to dial is a mistake of the program."""
    async with LiveKit() as livekit:

        async def work(ctx):
            with pytest.raises(ConfigurationError):
                await trunktrace.dial(ctx, number, trunks=["ST_a"])

        await traces.job(livekit, work)
        assert livekit.created == []


async def test_a_dial_without_a_traced_job_works_the_same():
    """The failover needs no tracing."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        result = await trunktrace.dial(livekit.ctx, CALLEE, trunks=AB, backoff_s=0)
        livekit.room.disconnect()
    assert [a.status_code for a in result.attempts] == [503, 200]


async def test_a_dial_within_start_call_is_an_attempt_of_that_call(traces: Traces):
    """Outside LiveKit's tracing the attempts stand below sip.call."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        with trunktrace.start_call(direction="outbound"):
            await trunktrace.dial(livekit.ctx, CALLEE, trunks=AB, backoff_s=0)
        livekit.room.disconnect()
    call = traces.one("sip.call")
    assert [s.parent.span_id for s in traces.invites] == [call.context.span_id] * 2
    assert attributes(call)["sip.attempt_count"] == 2


async def test_a_cancelled_dial_lets_no_phone_ring_on(traces: Traces):
    """CancelledError at once; the ringing participant is removed."""
    hold = asyncio.Event()
    async with LiveKit({"ST_a": [answer(gate=hold.wait)]}) as livekit:

        async def work(ctx):
            task = asyncio.create_task(trunktrace.dial(ctx, CALLEE, trunks=AB, identity="callee"))
            await until(lambda: "callee" in livekit.room.remote_participants)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: "remove callee" in livekit.log)
            hold.set()
            await until(lambda: "absent callee" in livekit.log)

        await traces.job(livekit, work)
        assert livekit.dialled == ["ST_a"]


async def test_no_attempt_of_a_dial_says_a_number(traces: Traces):
    """Nothing exported and nothing returned has a number in clear, but what the user asks."""
    script = {"ST_a": [refuse(503, f"no route to {CALLEE}")], "ST_b": [refuse(486)]}
    async with LiveKit(script) as livekit:
        failed = await dial(traces, livekit)
    assert in_clear(everything(traces.spans)) == []
    assert in_clear(repr(failed.attempts)) == []


async def test_each_request_is_in_the_trace_once(traces: Traces):
    """A dial makes no second span for what livekit-api's class is asked."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        await dial(traces, livekit)
        assert len(livekit.created) == 2
    assert len(traces.invites) == 2


async def test_another_client_may_be_given(traces: Traces):
    """A job whose ctx has no api of the right project hands its own client."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        ctx = livekit.ctx
        ours, ctx.api = ctx.api, None
        result = await dial(traces, livekit, ["ST_a"], api=ours)
    assert isinstance(result, trunktrace.DialResult)


async def test_who_has_answered_is_the_call_whatever_the_api_said(traces: Traces):
    """The request was lost after the answer: nobody hangs up, and no other phone rings."""
    late = Reply(drop=True, rings=True, answers=True)
    async with LiveKit({"ST_a": [late], "ST_b": [answer()]}) as livekit:
        result = await dial(traces, livekit, identity="callee")
        assert livekit.dialled == ["ST_a"]
        assert "remove callee" not in livekit.log
    assert isinstance(result, trunktrace.DialResult)
    assert result.participant.participant_identity == "callee"


async def test_an_identity_that_is_in_the_room_is_not_put_out(traces: Traces):
    """LiveKit would remove who has that identity: the dial refuses before it asks."""
    async with LiveKit() as livekit:
        livekit.room.join("callee", {"sip.callStatus": "active", "sip.trunkID": "ST_a"})

        async def work(ctx):
            with pytest.raises((ConfigurationError, trunktrace.DialFailed)):
                await trunktrace.dial(ctx, CALLEE, trunks=AB, identity="callee")

        await traces.job(livekit, work)
        assert livekit.created == []
        assert not any(line.startswith("remove") for line in livekit.log)


@pytest.mark.parametrize(
    "setting",
    [
        {"backoff_s": -1},
        {"ringing_timeout_s": 0},
        {"ringing_timeout_s": -5},
        {"removal_timeout_s": 0},
        {"backoff_s": float("nan")},
    ],
    ids=str,
)
async def test_a_wrong_time_is_a_configuration_error(traces: Traces, setting):
    """It names the field."""
    async with LiveKit() as livekit:

        async def work(ctx):
            with pytest.raises(ConfigurationError, match=next(iter(setting))):
                await trunktrace.dial(ctx, CALLEE, trunks=AB, **setting)

        await traces.job(livekit, work)
        assert livekit.created == []


async def test_a_template_of_another_room_is_a_configuration_error(traces: Traces):
    """A dial is into the job's room."""
    async with LiveKit() as livekit:

        async def work(ctx):
            template = CreateSIPParticipantRequest(room_name="elsewhere")
            with pytest.raises(ConfigurationError):
                await trunktrace.dial(ctx, CALLEE, trunks=AB, request=template)

        await traces.job(livekit, work)
        assert livekit.created == []


async def test_nothing_of_a_dial_is_logged_with_its_number(traces: Traces, caplog):
    """Every line of every logger of ours."""
    caplog.set_level("DEBUG", logger="trunktrace")
    stuck = refuse(503, f"no {CALLEE}", leaves=False, removable=False)
    async with LiveKit({"ST_a": [stuck]}) as livekit:
        await dial(traces, livekit, removal_timeout_s=0.1, identity="callee")
    assert in_clear(caplog.text) == []


async def test_the_number_goes_to_livekit_as_it_was_given(traces: Traces):
    """Masking is for what is exported."""
    async with LiveKit({"ST_a": [answer()]}) as livekit:
        await dial(traces, livekit)
        assert livekit.created[0].sip_call_to == CALLEE


async def test_the_path_and_the_reason_of_a_failure_are_told(traces: Traces):
    """`DialFailed.path` is the root's path; its text names the codes."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [refuse(486, "Busy Here")]}) as livekit:
        failed = await dial(traces, livekit)
    assert failed.path == attributes(traces.root)["trunk.failover.path"] == "telnyx:503>twilio:486"
    assert "486" in str(failed)


async def test_a_server_that_only_lists_participants_confirms_as_well(traces: Traces):
    """Without GetParticipant the list of the room says who is gone."""
    slow = refuse(503, leaves=False)
    script = {"ST_a": [slow], "ST_b": [answer()]}
    async with LiveKit(script, without=frozenset({"GetParticipant"})) as livekit:
        result = await dial(traces, livekit, identity="callee")
        log = livekit.log
    assert isinstance(result, trunktrace.DialResult)
    assert log.index("gone callee") < log.index("create ST_b")
    assert "list" in log[: log.index("create ST_b")]


async def test_a_server_that_cannot_tell_is_not_believed(traces: Traces):
    """Neither GetParticipant nor ListParticipants: nobody confirms, and no second phone rings."""
    script = {"ST_a": [refuse(503)], "ST_b": [answer()]}
    neither = frozenset({"GetParticipant", "ListParticipants"})
    async with LiveKit(script, without=neither) as livekit:
        failed = await dial(traces, livekit, removal_timeout_s=0.3)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)


async def test_a_room_without_isconnected_is_dialled_into(traces: Traces):
    """Somebody's own room, which does not say whether it is connected."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        room = livekit.room
        plain = SimpleNamespace(
            name=room.name, remote_participants=room.remote_participants, on=room.on, off=room.off
        )
        ctx = SimpleNamespace(room=plain, api=livekit.api)
        result = await trunktrace.dial(ctx, CALLEE, trunks=AB, backoff_s=0)
    assert [a.status_code for a in result.attempts] == [503, 200]


async def test_a_room_that_is_not_connected_is_a_configuration_error(traces: Traces):
    """Without the room nobody sees whether the phone rings."""
    async with LiveKit() as livekit:
        livekit.room.connected = False
        with pytest.raises(ConfigurationError, match="connect"):
            await trunktrace.dial(livekit.ctx, CALLEE, trunks=AB)
        assert livekit.created == []


async def test_a_client_of_the_users_own_making_is_dialled_by(traces: Traces):
    """Whatever has `sip` and `room` like livekit-api: the attempts are traced all the same."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:
        real = livekit.api

        class Sip:
            async def create_sip_participant(self, create, *, timeout=None):  # noqa: ASYNC109
                return await real.sip.create_sip_participant(create, timeout=timeout)

        own = SimpleNamespace(sip=Sip(), room=real.room)
        result = await dial(traces, livekit, api=own)
    assert [a.status_code for a in result.attempts] == [503, 200]
    assert len(traces.invites) == 2


async def test_two_dials_of_one_identity_ring_one_phone(traces: Traces):
    """While one dial runs, another of its identity is refused: LiveKit would put the first out."""
    hold = asyncio.Event()
    async with LiveKit({"ST_a": [answer(gate=hold.wait)]}) as livekit:

        async def work(ctx):
            first = asyncio.create_task(trunktrace.dial(ctx, CALLEE, trunks=AB, identity="callee"))
            await until(lambda: "callee" in livekit.room.remote_participants)
            with pytest.raises((ConfigurationError, trunktrace.DialFailed)):
                await trunktrace.dial(ctx, CALLEE, trunks=["ST_b"], identity="callee")
            hold.set()
            return await first

        result = await traces.job(livekit, work)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(result, trunktrace.DialResult)


async def test_a_lost_request_and_an_api_that_is_down_ring_no_second_phone(traces: Traces):
    """Nobody can confirm that the first participant is gone."""
    script = {"ST_a": [Reply(drop=True, joins=False)], "ST_b": [answer()]}
    down = frozenset({"GetParticipant", "ListParticipants", "RemoveParticipant"})
    async with LiveKit(script, without=down) as livekit:
        failed = await dial(traces, livekit, removal_timeout_s=0.1)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)
    assert not isinstance(failed.__cause__, SERVER_ERROR)


async def test_spans_of_the_call_say_the_trunk_of_their_time(traces: Traces):
    """Before the failover the first trunk's, after it the second's."""
    script = {"ST_a": [refuse(503)], "ST_b": [answer()]}
    async with LiveKit(script) as livekit:

        async def work(ctx):
            await trunktrace.dial(ctx, CALLEE, trunks=AB, backoff_s=0)
            with traces.tracer.start_as_current_span("llm_node"):
                pass

        await traces.job(livekit, work)
    told = attributes(traces.one("llm_node"))
    assert told["trunk.carrier"] == "twilio"
    assert told["trunk.route"] == "west/second"
    assert told["sip.response.status_code"] == 200
    assert told["sip.call.direction"] == "outbound"


async def test_a_sip_user_is_as_private_as_a_number(traces: Traces):
    """A callee that is an address: neither user nor number leaves."""
    async with LiveKit({"ST_a": [refuse(404, "no alice.smith here")]}) as livekit:
        failed = await dial(traces, livekit, number="sip:alice.smith@pbx.example.com")
        assert livekit.created[0].sip_call_to == "sip:alice.smith@pbx.example.com"
    assert "alice" not in everything(traces.spans)
    assert "alice" not in f"{failed} {failed.attempts!r}"


@pytest.mark.parametrize("status", [404, 502])
async def test_a_page_instead_of_an_answer_is_no_confirmation(traces: Traces, status: int):
    """A proxy's error page is aiohttp's error in older clients: no second phone, and DialFailed."""
    async with LiveKit({"ST_a": [refuse(503)], "ST_b": [answer()]}) as livekit:

        class Broken:
            def __getattr__(self, name):
                async def fails(_):
                    asked = SimpleNamespace(real_url="http://192.0.2.1", history=())
                    raise ClientResponseError(asked, (), status=status)

                return fails

        own = SimpleNamespace(sip=livekit.api.sip, room=Broken())
        failed = await dial(traces, livekit, api=own, removal_timeout_s=0.1)
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)
    assert isinstance(failed.__cause__, SIP_ERROR)


async def test_who_answers_while_being_put_out_rings_no_other_phone(traces: Traces):
    """Answered and gone between two looks: no call, no second phone, and it is said why."""
    late = Reply(drop=True, picks_up=True)
    async with LiveKit({"ST_a": [late], "ST_b": [answer()]}) as livekit:
        failed = await dial(traces, livekit, identity="callee")
        assert livekit.dialled == ["ST_a"]
    assert isinstance(failed, trunktrace.DialFailed)
    assert failed.attempts[-1].answered
    assert "answered" in failed.why
    assert "put out" in failed.why


async def test_many_calls_at_once_do_not_mix(traces: Traces):
    """Twenty jobs in one process: each trace has its own attempts, path and codes."""
    codes = [503, 500, 480, 486]

    async def call(number: int) -> None:
        code = codes[number % len(codes)]
        async with LiveKit({"ST_a": [refuse(code)], "ST_b": [answer()]}) as livekit:
            await dial(traces, livekit, number=f"+155599910{number:02d}")

    await asyncio.gather(*(call(number) for number in range(20)))
    roots = traces.named("job_entrypoint")
    assert len({root.context.trace_id for root in roots}) == 20
    told: list[str] = []
    for root in roots:
        mine = [s for s in traces.invites if s.context.trace_id == root.context.trace_id]
        reached = [str(attributes(s)["sip.response.status_code"]) for s in mine]
        assert attributes(root)["sip.attempt_count"] == len(mine)
        assert attributes(root)["sip.response.status_code"] == int(reached[-1])
        for first, second in pairwise(mine):
            assert linked(second) == [first.context.span_id]
        told.append(">".join(reached))
    assert sorted(told) == sorted(["503>200", "500>200", "480>200", "486"] * 5)
