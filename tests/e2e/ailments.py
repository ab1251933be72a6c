"""Phone calls that suffer, each from one thing, over a wire that loses what it is told to lose."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from .caller import SipCaller
from .calls import CONVERSATION, CallTruth
from .harness import job_ended
from .network import Loss, Network, port_of
from .polling import until_async
from .worker import Worker

LOSS = 0.1
"""What the lossy calls lose: one packet of ten, far above what an ear or a machine takes."""
CLIPPING_GAIN = 40.0
STORY = (
    "I have called you three times, and every time somebody told me something else about it.",
    "First it was in the warehouse, then it was on the van, and then nobody had heard of a van.",
    "My neighbour was at home the whole day, the dog was in the garden, and not one car stopped.",
    "So please look again, and tell me where it is, when it comes, and who will bring it to me.",
    "I have to go to work at nine, and the parcel has to be with my sister before the weekend.",
)
"""What a caller says who is not in a hurry: about half a minute."""
_LONG_GREETING = "Good day, this is Acme orders. " * 25
_GREETING_S = 24.0
_ALONE_S = 12.0
_HELD_S = 6.0
_MUTED_S = 12.0
_PAUSE_S = 2.5
_AFTERWARDS_S = 3.0
_AGENT_S = 60.0


@dataclass(slots=True)
class Call:
    """One call: what is true of it, who answers, and what the wire did to it."""

    truth: CallTruth
    worker: Worker
    wire: Network
    losses: list[Loss] = field(default_factory=list)
    lossless_s: float = 0.0
    """From the answer until the wire began to lose, at worst: what came before came whole."""

    @asynccontextmanager
    async def on_the_phone(self, *, hears: bool = True) -> AsyncIterator[SipCaller]:
        """The caller in the room from its INVITE to its BYE; the job has ended when left."""
        self.worker.truths.append(self.truth)
        caller = SipCaller(self.worker.livekit, self.truth)
        job = json.dumps({**self.truth.job, "tells_port": True})
        try:
            await caller.join(dispatch=self.worker.agent_name, metadata=job, hears=hears)
            yield caller
            await caller.hang_up()
        finally:
            await caller.leave()
        await job_ended(self.worker, self.truth)

    async def caller_loses(self, caller: SipCaller, ratio: float | None) -> None:
        """Lose what the caller sends, on its way to the server."""
        await self._lose(await port_of(caller.room), "server", ratio)

    async def agent_loses(self, towards: Literal["server", "client"]) -> None:
        """Lose what the agent sends, or what it should receive."""
        await self._lose(await self.agent_port(), towards, LOSS)

    async def _lose(
        self, port: int, towards: Literal["server", "client"], ratio: float | None
    ) -> None:
        # In a thread: the event loop carries the other calls.
        self.losses.append(await asyncio.to_thread(self.wire.lose, port, towards, ratio))
        if self.truth.answered is not None:
            self.lossless_s = time.time() - self.truth.answered

    async def agent_port(self) -> int:
        """The port of the agent's media, as its program tells it when its session has begun."""
        notes = await until_async(
            lambda: self.worker.notes("port", room=self.truth.room),
            deadline_s=_AGENT_S,
            what=f"{self.truth.room}: the job tells its port",
        )
        return int(notes[0]["port"])


Course = Callable[[Call], Awaitable[None]]


async def clean(call: Call) -> None:
    """Nothing is wrong."""
    async with call.on_the_phone() as caller:
        await caller.publish()
        await caller.answered()
        await talks(call, caller)
        await stays(_AFTERWARDS_S)


async def lost_before_the_server(call: Call) -> None:
    """Packets are lost between the caller and the server."""
    async with call.on_the_phone() as caller:
        await caller.publish()
        await caller.answered()
        await call.caller_loses(caller, LOSS)
        await talks(call, caller)
        await tells(caller)


async def lost_behind_the_server(call: Call) -> None:
    """Packets are lost between the server and the agent."""
    async with call.on_the_phone() as caller:
        await caller.publish()
        await caller.answered()
        await call.agent_loses("client")
        await talks(call, caller)
        await tells(caller)


async def lost_from_the_agent(call: Call) -> None:
    """Packets are lost between the agent and the server, while the agent talks at length."""
    call.truth.job = {"greeting": _LONG_GREETING}
    async with call.on_the_phone() as caller:
        await caller.publish()
        await caller.answered()
        await call.agent_loses("server")
        await stays(_GREETING_S)


async def nothing_arrives(call: Call) -> None:
    """The caller's track is there, and not one packet of it: RTP never came to the bridge."""
    async with call.on_the_phone() as caller:
        await call.caller_loses(caller, None)
        await caller.publish()
        await caller.answered()
        await call.agent_port()
        await stays(_ALONE_S)


async def nothing_is_published(call: Call) -> None:
    """The caller never has a track."""
    async with call.on_the_phone() as caller:
        await caller.up()
        await call.agent_port()
        await stays(_ALONE_S)


async def nothing_is_heard(call: Call) -> None:
    """The caller talks, and nobody ever subscribes to the agent's track."""
    async with call.on_the_phone(hears=False) as caller:
        await caller.publish()
        await caller.answered()
        await tells(caller)


async def clipped(call: Call) -> None:
    """The caller's audio is far too loud: its peaks are cut off."""
    async with call.on_the_phone() as caller:
        caller.gain = CLIPPING_GAIN
        await caller.publish()
        await caller.answered()
        await talks(call, caller)
        await tells(caller)


async def held(call: Call) -> None:
    """In the middle no packet comes for a while, as when the phone holds the call."""
    async with call.on_the_phone() as caller:
        await caller.publish()
        await caller.answered()
        await talks(call, caller)
        await call.caller_loses(caller, None)
        await stays(_HELD_S)
        await asyncio.to_thread(call.losses[0].stop)
        await tells(caller)


async def muted(call: Call) -> None:
    """In the middle the caller is muted for longer, and the room is told."""
    async with call.on_the_phone() as caller:
        await caller.publish()
        await caller.answered()
        await talks(call, caller)
        caller.mute(True)
        await stays(_MUTED_S)
        caller.mute(False)
        await tells(caller)


async def talks(call: Call, caller: SipCaller) -> None:
    """The greeting, and the caller's turns, each with a pause in which the agent may answer.

    What the agent says is not waited for: lost packets tear a sentence into two, and on a busy
    machine a greeting is over before our side is ready to hear it.
    """
    await call.agent_port()
    await stays(_PAUSE_S)
    for turn in CONVERSATION:
        await caller.say(turn.says)
        await stays(_PAUSE_S)


async def tells(caller: SipCaller) -> None:
    """The caller tells the whole story, whoever listens."""
    for sentence in STORY:
        await caller.say(sentence)


async def stays(seconds: float) -> None:
    """The caller stays on the phone; here it is the time that matters, not an event."""
    await asyncio.sleep(seconds)
