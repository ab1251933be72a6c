"""What a far end, a bridge or an API may say at the end of an attempt that nobody expects."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .lk import SERVER_ERROR, LiveKit, Reply, refuse
from .traces import Traces, attributes, everything


async def failed(traces: Traces, reply: Reply):
    """The span of an attempt that ends so."""
    async with LiveKit({"ST_a": [reply]}) as livekit:

        async def work(ctx):
            with pytest.raises(SERVER_ERROR):
                await ctx.api.sip.create_sip_participant(livekit.request())

        await traces.job(livekit, work)
    return traces.one("sip.invite")


@pytest.mark.parametrize(
    "code", ["", "abc", "0", "-1", "99999", "486.0", "1e2", "200", "100", " 486x"]
)
async def test_a_code_that_is_none_is_absent(traces: Traces, code: str):
    """The metadata says a code that no failed INVITE can have: no code, and still an error."""
    reply = Reply(None, twirp=("unknown", 500, "odd"), meta={"sip_status_code": code})
    told = attributes(await failed(traces, reply))
    assert "sip.response.status_code" not in told
    assert told["error.type"]
    assert told.get("sip.call.outcome") != "answered"


@pytest.mark.parametrize(
    "reason",
    [
        "cannot reach +15559990000",
        "cannot reach 15559990000@192.0.2.1",
        "cannot reach (555) 999-0000",
        "cannot reach +1 555 999 0000",
        "cannot reach 555.999.0000",
        "sip:+15559990000@example.com not found",
        "0015559990000 unallocated",
        "caller 5550002222 blocked",
    ],
)
async def test_a_number_in_the_reason_is_hidden(traces: Traces, reason: str):
    """In any common writing, the callee's and the caller's."""
    await failed(traces, refuse(404, reason))
    told = re.sub(r"[\s().+-]", "", everything(traces.spans))
    assert "5559990000" not in told
    assert "5550002222" not in told


async def test_a_reason_of_another_kind_stays(traces: Traces):
    """What names nobody is said as it is."""
    span = await failed(traces, refuse(503, "Service Unavailable (node 7)"))
    assert attributes(span)["sip.response.reason"] == "Service Unavailable (node 7)"


@settings(max_examples=40)
@given(
    st.integers(300, 699),
    st.text(max_size=400),
    st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=3),
)
def test_any_reason_and_metadata(code: int, reason: str, more: dict[str, str]):
    """The exception passes, the code stands, the reason is short, and nothing breaks."""
    more = {key: value for key, value in more.items() if not key.startswith("sip_")}
    with pytest.MonkeyPatch.context() as patch:
        traces = Traces()
        traces.install(patch)
        span = asyncio.run(failed(traces, refuse(code, reason, meta=more)))
        traces.provider.shutdown()
    told = attributes(span)
    assert told["sip.response.status_code"] == code
    assert len(told.get("sip.response.reason", "")) <= 255
    assert told.get("sip.response.reason") != ""
    assert (told.get("error.type") == str(code)) == (code >= 400)
