"""Each final code of the table: outcome, fault, another trunk or not, status of the span."""

from __future__ import annotations

import pytest
from opentelemetry.trace import SpanKind, StatusCode

import trunktrace

from .lk import CALLEE, LiveKit, answer, refuse
from .traces import Traces, attributes

TABLE: dict[int, tuple[str | None, str | None, str | None, bool]] = {
    # code: outcome, detail, fault, whether another trunk is tried; None where nothing may stand
    300: ("redirected", None, "carrier", False),
    301: ("redirected", None, "carrier", False),
    302: ("redirected", None, "carrier", False),
    305: ("redirected", None, "carrier", False),
    380: ("redirected", None, "carrier", False),
    400: ("failed", None, "platform", False),
    401: ("failed", "auth", "operator", False),
    402: ("failed", "billing", "operator", False),
    403: ("rejected", None, "operator", False),
    404: ("invalid_number", None, None, False),
    405: ("failed", None, "platform", False),
    406: ("failed", None, "platform", False),
    407: ("failed", "auth", "operator", False),
    408: ("timeout", None, None, True),
    410: ("invalid_number", None, "callee", False),
    413: ("failed", None, "platform", False),
    414: ("failed", None, "platform", False),
    415: ("failed", "media", None, False),
    416: ("failed", None, "platform", False),
    420: ("failed", None, "platform", False),
    421: ("failed", None, "platform", False),
    422: ("failed", None, "platform", False),
    423: ("failed", None, "platform", False),
    428: ("blocked", "identity", None, False),
    433: ("rejected", None, "caller", False),
    436: ("blocked", "identity", None, False),
    437: ("blocked", "identity", None, False),
    438: ("blocked", "identity", None, False),
    480: ("no_answer", None, None, True),
    481: ("failed", None, "platform", False),
    482: ("loop", None, None, False),
    483: ("loop", None, None, False),
    484: ("invalid_number", None, "caller", False),
    485: ("invalid_number", None, "caller", False),
    486: ("busy", None, "callee", False),
    488: ("failed", "media", None, False),
    491: (None, None, "platform", False),
    493: ("failed", None, "platform", False),
    494: ("failed", None, "platform", False),
    500: ("failed", None, "carrier", True),
    501: ("failed", None, "carrier", True),
    502: ("failed", None, "carrier", True),
    503: ("congestion", None, "carrier", True),
    504: ("timeout", None, "carrier", True),
    505: ("failed", None, None, False),
    513: ("failed", None, None, False),
    580: ("failed", None, None, True),
    600: ("busy", None, "callee", False),
    603: ("rejected", None, None, False),
    604: ("invalid_number", None, "callee", False),
    606: ("failed", "media", None, False),
    607: ("blocked", "unwanted", "callee", False),
    608: ("blocked", "analytics", "intermediary", False),
}


@pytest.mark.parametrize("code", TABLE)
async def test_each_code_decides_outcome_fault_and_whether_to_go_on(traces: Traces, code: int):
    """One row of the table, by a dial over two trunks whose first answers so at once."""
    outcome, detail, fault, goes_on = TABLE[code]
    async with LiveKit({"ST_a": [refuse(code)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            try:
                return await trunktrace.dial(ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)
            except trunktrace.DialFailed as failed:
                return failed

        result = await traces.job(livekit, work)
        assert livekit.dialled == (["ST_a", "ST_b"] if goes_on else ["ST_a"])
    assert isinstance(result, trunktrace.DialResult if goes_on else trunktrace.DialFailed)
    first = traces.invites[0]
    told = attributes(first)
    assert first.kind is SpanKind.CLIENT
    assert told["sip.response.status_code"] == code
    assert told.get("sip.call.outcome") == outcome
    if detail is not None:
        assert told.get("sip.call.outcome_detail") == detail
    assert told.get("trunk.fault") == fault
    # The rule of the OTel HTTP convention: a client span is an error from 400 on.
    assert (first.status.status_code is StatusCode.ERROR) == (code >= 400)
    assert told.get("error.type") == (str(code) if code >= 400 else None) or code < 400


async def test_487_without_a_cancel_of_ours_is_an_error(traces: Traces):
    """A 487 that nobody here asked for: canceled, an error, and no case for another trunk."""
    async with LiveKit({"ST_a": [refuse(487, "Request Terminated")]}) as livekit:

        async def work(ctx):
            with pytest.raises(trunktrace.DialFailed):
                await trunktrace.dial(ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)

        await traces.job(livekit, work)
        assert livekit.dialled == ["ST_a"]
    told = attributes(traces.invites[0])
    assert told["sip.call.outcome"] == "canceled"
    assert told["error.type"] == "487"


@pytest.mark.parametrize(
    "code, reason, expected",
    [
        (603, "Network Blocked", ("blocked", "intermediary")),
        (503, "CPS limit exceeded", ("congestion", "operator")),
        (503, "concurrent call limit exceeded", ("congestion", "operator")),
        (603, "Decline", ("rejected", None)),
        (503, "Service Unavailable", ("congestion", "carrier")),
        (480, "Temporarily Unavailable", ("no_answer", None)),
    ],
)
async def test_the_reason_text_decides_between_two_sides(traces, code, reason, expected):
    """Where two sides may have sent a code, the phrase says which."""
    async with LiveKit({"ST_a": [refuse(code, reason)]}) as livekit:

        async def work(ctx):
            with pytest.raises(trunktrace.DialFailed):
                await trunktrace.dial(ctx, CALLEE, trunks=["ST_a"])

        await traces.job(livekit, work)
    told = attributes(traces.invites[0])
    assert (told["sip.call.outcome"], told.get("trunk.fault")) == expected
    assert told["sip.response.reason"] == reason


@pytest.mark.parametrize("code", [408, 480, 500, 501, 502, 503, 504, 580])
async def test_no_code_goes_on_after_progress(traces: Traces, code: int):
    """After a 18x the phone may have rung: no code at all takes the call to another trunk."""
    async with LiveKit({"ST_a": [refuse(code, rings=True)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            with pytest.raises(trunktrace.DialFailed) as failed:
                await trunktrace.dial(ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)
            return failed.value

        failed = await traces.job(livekit, work)
        assert livekit.dialled == ["ST_a"]
    assert len(failed.attempts) == 1
    assert failed.attempts[0].status_code == code


@pytest.mark.parametrize("code", [480, 503])
async def test_after_progress_it_goes_on_if_it_is_told_to(traces: Traces, code: int):
    """`after_progress=True` is the word that lets it advance after a ringing status."""
    async with LiveKit({"ST_a": [refuse(code, rings=True)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            trunks = ["ST_a", "ST_b"]
            return await trunktrace.dial(
                ctx, CALLEE, trunks=trunks, backoff_s=0, after_progress=True
            )

        result = await traces.job(livekit, work)
    assert [attempt.status_code for attempt in result.attempts] == [code, 200]


async def test_after_progress_does_not_make_other_codes_legitimate(traces: Traces):
    """A busy callee stays busy, whatever the dial was told of progress."""
    async with LiveKit({"ST_a": [refuse(486, rings=True)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            with pytest.raises(trunktrace.DialFailed):
                await trunktrace.dial(
                    ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0, after_progress=True
                )

        await traces.job(livekit, work)
        assert livekit.dialled == ["ST_a"]


@pytest.mark.parametrize("code", [299, 499, 555, 699])
async def test_a_code_nobody_knows_blames_nobody_and_stops(traces: Traces, code: int):
    """An unknown code keeps its number, and no other trunk is rung for it."""
    async with LiveKit({"ST_a": [refuse(code)], "ST_b": [answer()]}) as livekit:

        async def work(ctx):
            with pytest.raises(trunktrace.DialFailed):
                await trunktrace.dial(ctx, CALLEE, trunks=["ST_a", "ST_b"], backoff_s=0)

        await traces.job(livekit, work)
        assert livekit.dialled == ["ST_a"]
    assert "trunk.fault" not in attributes(traces.invites[0])
