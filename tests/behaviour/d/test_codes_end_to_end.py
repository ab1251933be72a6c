"""Every final code through livekit-api's own client: span, root, decision. From the issue's words.

`us` is `operator`, but for the codes that the issue gives to `platform`; callee data is `callee`;
analytics is `intermediary`; two sides are nobody.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from tests.behaviour.fakejob import Job
from tests.inviting import NUMBER, REFUSED, asking, invite, invites, leg, request, run, said
from tests.twirp import SipApi

from trunktrace import Attempt
from trunktrace.sip.codes import CODES
from trunktrace.sip.failover import decide

GOES_ON = {408, 480, 500, 501, 502, 503, 504, 580}
PLATFORM = {400, 405, 406, 413, 414, 416, 420, 421, 422, 423, 481, 491, 493, 494}
OPERATOR = {401, 402, 403, 407}
CALLEE = {410, 486, 600, 607}
CARRIER = {300, 301, 302, 305, 380, 500, 501, 502, 503, 504}
NOBODY = {404, 408, 415, 428, 436, 437, 438, 480, 482, 483, 488, 505, 513, 580, 603, 606}
OUTCOME = {
    **dict.fromkeys((300, 301, 302, 305, 380), "redirected"),
    **dict.fromkeys((404, 410, 484, 485, 604), "invalid_number"),
    **dict.fromkeys((408, 504), "timeout"),
    **dict.fromkeys((428, 436, 437, 438, 607, 608), "blocked"),
    **dict.fromkeys((486, 600), "busy"),
    **dict.fromkeys((482, 483), "loop"),
    **dict.fromkeys((403, 433, 603), "rejected"),
    480: "no_answer", 487: "canceled", 503: "congestion",
}  # fmt: skip
# One code of each kind end to end; the others by the table that the same code reads.
SAMPLES = (302, 400, 403, 404, 408, 480, 481, 486, 487, 488, 491, 500, 503, 504, 513, 580, 600, 603,
           607, 608)  # fmt: skip


def fault_of(code: int) -> str | None:
    for codes, fault in (
        (PLATFORM, "platform"), (OPERATOR, "operator"), (CALLEE, "callee"), (CARRIER, "carrier"),
    ):  # fmt: skip
        if code in codes:
            return fault
    return {608: "intermediary", 604: "callee"}.get(code)


@pytest.mark.parametrize("code", sorted(CODES))
def test_going_on_is_the_issues_list_and_nothing_else(code: int) -> None:
    """408, 480, 500-504 and 580 without progress; with it none, unless told to."""
    attempt = Attempt(start=1.0, end=2.0, trunk_id="ST_a", status_code=code, progress=False)
    rang = Attempt(start=1.0, end=2.0, trunk_id="ST_a", status_code=code, progress=True)
    assert decide(attempt).goes_on == (code in GOES_ON)
    assert not decide(rang).goes_on
    assert decide(rang, after_progress=True).goes_on == (code in GOES_ON)


@pytest.mark.parametrize("code", sorted(set(CODES) - {200, 202, 433, 484, 485, 487}))
def test_the_fault_is_the_side_by_the_issues_words(code: int) -> None:
    """As the issue translates `side`; two sides are nobody's fault."""
    assert CODES[code].fault == fault_of(code)
    assert (code in NOBODY) == (CODES[code].fault is None)
    if code != 491:
        assert CODES[code].outcome == OUTCOME.get(code, "failed")


@pytest.mark.parametrize("code", SAMPLES)
async def test_a_final_code_on_span_and_root(code: int) -> None:
    """CLIENT span: code, reason, outcome, fault, ERROR from 400 on; the exception is the API's."""
    seen: dict[str, Any] = {}

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        one = ctx.room.join(leg())
        asked.refuse(code, "No")
        with pytest.raises(REFUSED) as refused:
            await task
        seen["error"] = refused.value
        ctx.room.leave(one, None)

    job = await run(entry)
    span, told = invite(job), said(invite(job))
    assert span.kind is SpanKind.CLIENT
    assert told["sip.response.status_code"] == code
    assert told["sip.response.reason"] == "No"
    assert (told["trunk.id"], told["trunk.carrier"], told["trunk.route"], told["trunk.region"]) == (
        "ST_a", "twilio", "a/one", "us1",
    )  # fmt: skip
    assert told.get("trunk.fault") == (fault_of(code) if code != 487 else told.get("trunk.fault"))
    if code not in (487, 491):
        assert told["sip.call.outcome"] == OUTCOME.get(code, "failed")
    is_error = code >= 400
    assert (span.status.status_code is StatusCode.ERROR) == is_error
    assert told.get("error.type") == (str(code) if is_error else None)
    assert job.root()["sip.response.status_code"] == code
    assert NUMBER not in span.to_json()
    assert NUMBER[1:] not in span.to_json()
    assert not span.events, "an exception event repeats what may hold a number"


HTTP_408 = ("canceled", "twirp error canceled: sip request timed out", 408)
HTTP_503 = ("unavailable", "twirp error unavailable: cpu exhausted", 503)


async def test_http_408_is_not_sip_408() -> None:
    """Our own ringing timeout: no code, no_answer, the callee, ERROR with `timeout`."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        one = ctx.room.join(leg())
        ctx.room.status(one, "ringing")
        asked.fail(*HTTP_408)
        with pytest.raises(Exception, match="timed out"):
            await task
        ctx.room.leave(one, None)

    job = await run(entry)
    span, told, root = invite(job), said(invite(job)), job.root()
    assert "sip.response.status_code" not in told
    assert (told["sip.call.outcome"], told["trunk.fault"]) == ("no_answer", "callee")
    assert (span.status.status_code, told["error.type"]) == (StatusCode.ERROR, "timeout")
    assert "sip.response.status_code" not in root
    assert (root["sip.call.outcome"], root["trunk.fault"]) == ("no_answer", "callee")


async def test_http_408_without_any_participant_is_no_answer_too() -> None:
    """Nobody was seen in the room: still our own ringing timeout."""

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        (await sip.next()).fail(*HTTP_408)
        with pytest.raises(Exception, match="timed out"):
            await task

    told = said(invite(await run(entry)))
    assert "sip.response.status_code" not in told
    assert (told["sip.call.outcome"], told["trunk.fault"]) == ("no_answer", "callee")
    assert told["error.type"] == "timeout"


async def test_http_503_unavailable_is_not_sip_503() -> None:
    """No bridge: no code, no congestion, no carrier's fault; and nothing to go on from."""

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        (await sip.next()).fail(*HTTP_503)
        with pytest.raises(Exception, match="cpu exhausted"):
            await task

    job = await run(entry)
    span, told = invite(job), said(invite(job))
    assert "sip.response.status_code" not in told
    assert told["trunk.fault"] == "platform"
    assert told["sip.call.outcome"] == "failed"
    assert (span.status.status_code, told["error.type"]) == (StatusCode.ERROR, "no_bridge")
    assert not decide(Attempt(start=1.0, end=2.0, failure="no_bridge", progress=False)).goes_on
    assert "sip.response.status_code" not in job.root()


@pytest.mark.parametrize("told_as", ["408", "0", "", "abc", "-1", "99999", "7e2", "4O8", "200"])
async def test_a_wrong_code_in_the_metadata_is_no_code(told_as: str) -> None:
    """The metadata is words of others: only 300 to 699 is a refusal; the dial's error passes."""

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        meta = {"sip_status_code": told_as, "sip_status": "x"}
        (await sip.next()).fail("internal", "something", 500, meta)
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever livekit-api makes of it
            await task

    told = said(invite(await run(entry)))
    assert told.get("sip.response.status_code") == (408 if told_as == "408" else None)


@pytest.mark.parametrize("gone", [True, False])
async def test_487_after_our_own_cancel_is_no_error(gone: bool) -> None:
    """We removed who rang, and the 487 is the answer to our CANCEL; else a 487 is an error."""
    from tests.behaviour.fakejob import REASON

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        one = ctx.room.join(leg())
        ctx.room.status(one, "ringing")
        if gone:
            ctx.room.leave(one, REASON.PARTICIPANT_REMOVED)
        asked.refuse(487, "Request Terminated")
        with pytest.raises(REFUSED):
            await task

    span = invite(await run(entry))
    assert (span.status.status_code is StatusCode.ERROR) == (not gone)
    assert ("error.type" in said(span)) == (not gone)


async def test_a_raw_client_error_passes_by_identity() -> None:
    """aiohttp's own exception; no code, and `error.type` says its class."""
    raised: list[BaseException] = []

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip)
        (await sip.next()).break_off()
        try:
            await task
        except aiohttp.ClientError as error:
            raised.append(error)
            raise

    job = Job()
    with pytest.raises(aiohttp.ClientError) as out:
        await run(entry, job)
    assert out.value is raised[0]
    span, told = invite(job), said(invite(job))
    assert "sip.response.status_code" not in told
    assert span.status.status_code is StatusCode.ERROR
    assert told["error.type"] == type(raised[0]).__name__


async def test_without_wait_the_end_is_the_participants() -> None:
    """No wait: answered by the `active` participant, times from its events, span ended then."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(waits=False))
        asked = await sip.next()
        asked.accept()
        await task
        assert not invites(job)
        one = ctx.room.join(leg())
        ctx.room.status(one, "ringing")
        ctx.room.status(one, "active")
        assert len(invites(job)) == 1

    job = Job()
    await run(entry, job)
    told = said(invite(job))
    assert told["sip.response.status_code"] == 200
    assert told["sip.call.outcome"] == "answered"
    assert told["trunk.fault"] == "none"
    assert {"sip.setup_ms", "sip.pdd_ms", "sip.ring_ms"} <= told.keys()


async def test_without_wait_nothing_is_invented() -> None:
    """No wait, and it leaves: neither code nor fault nor reason; the span says what is untold."""
    from tests.behaviour.fakejob import REASON

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(waits=False))
        (await sip.next()).accept()
        await task
        one = ctx.room.join(leg())
        ctx.room.status(one, "ringing")
        ctx.room.leave(one, REASON.CLIENT_INITIATED)

    told = said(invite(await run(entry)))
    for key in ("sip.response.status_code", "sip.response.reason", "trunk.fault"):
        assert key not in told
        assert key in told["trunktrace.unobservable"]


async def test_two_no_wait_dials_over_two_trunks_end_each_by_its_own() -> None:
    """Interleaved: each span keeps its own trunk, carrier and end."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        for trunk, identity, call in (("ST_a", "one", "SCL_1"), ("ST_b", "two", "SCL_2")):
            to = NUMBER if trunk == "ST_a" else "+14155550199"
            task = asking(sip, request(trunk, waits=False, identity=identity, to=to))
            (await sip.next()).accept(call, identity)
            await task
        two = ctx.room.join(leg("two", "ST_b", "SCL_2"))
        one = ctx.room.join(leg("one", "ST_a", "SCL_1"))
        ctx.room.status(one, "ringing")
        ctx.room.status(two, "active")
        ctx.room.leave(one, None)
        await asyncio.sleep(0)

    first, second = map(said, invites(await run(entry)))
    assert (first["trunk.carrier"], second["trunk.carrier"]) == ("twilio", "telnyx")
    assert "sip.response.status_code" not in first
    assert second["sip.response.status_code"] == 200
