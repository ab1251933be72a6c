"""Whatever trunks do, `dial` keeps its rules: two phones never ring, and nobody is dropped."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

import trunktrace
from trunktrace import DialFailed
from trunktrace.livekit import pauses
from trunktrace.sip.failover import decide

from .behaviour.fakejob import Context, Room
from .fake_livekit_api import FakeLiveKitApi, Play, Turning

waits = st.sampled_from([0.0, 0.1, 0.9, 2.9, 3.1, 20.0])
plays = st.builds(
    Play,
    code=st.sampled_from([200, 200, 404, 408, 480, 486, 500, 503, 580, 603]),
    error=st.sampled_from(
        [None, None, ("canceled", "sip request timed out"), ("unavailable", "cpu exhausted")]
    ),
    rings=st.booleans(),
    lost=st.booleans(),
    joins_after=st.none() | waits,
    active_after=st.none() | waits,
    leaves=st.booleans(),
    lingers=st.none() | waits,
)


class _Ctx(Context):
    server: FakeLiveKitApi

    @property
    def api(self) -> object:
        return self.server.client


@settings(max_examples=60)
@given(st.lists(plays, min_size=1, max_size=4), st.booleans())
def test_two_phones_never_ring(planned: list[Play], after_progress: bool) -> None:
    """One participant at most; each advance is one that the rule allows; the answered one stays."""
    asyncio.run(_dial(planned, after_progress))


async def _dial(planned: list[Play], after_progress: bool) -> None:
    trunks = [f"ST_{index}" for index in range(len(planned))]
    time = Turning()
    async with FakeLiveKitApi(Room(), dict(zip(trunks, planned, strict=True)), time) as server:
        ctx = _Ctx(server.room)
        ctx.server = server
        failed: DialFailed | None = None
        with pauses.replaced(time):
            try:
                result = await trunktrace.dial(
                    ctx, "+15550100001", trunks=trunks, after_progress=after_progress
                )
                attempts = result.attempts
                (there,) = server.there.values()
                assert there.attributes["sip.callStatus"] == "active"
                assert attempts[-1].answered
            except DialFailed as error:
                failed, attempts = error, error.attempts
    assert server.dialled == trunks[: len(attempts)]
    assert server.doubles == 0
    for attempt in attempts[:-1]:
        assert decide(attempt, after_progress=after_progress).goes_on
    # Who answered between two looks, while LiveKit was putting them out already, is no call.
    assert failed is None or not attempts[-1].answered or not server.there
