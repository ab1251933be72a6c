"""A colleague is asked in a room of their own, as LiveKit's WarmTransferTask does it.

They are not moved to the caller: that is for LiveKit Cloud alone. They hang up instead.
"""

from __future__ import annotations

import asyncio
from typing import TypedDict

from livekit import api, rtc
from livekit.agents import Agent, AgentSession, JobContext
from livekit.agents.voice import room_io

from .notes import note

IDENTITY = "human-agent-sip"


class Asked(TypedDict):
    """Whom to ask: through which bridge and trunk, from and to which number."""

    bridge: str
    trunk_id: str
    number: str
    to: str


def room_of(caller_room: str) -> str:
    """The room in which the colleague of that room's caller is asked."""
    return f"{caller_room}-human-agent"


async def consult(ctx: JobContext, asked: Asked, session: AgentSession[None], agent: Agent) -> None:
    """Start a session in the second room, dial the colleague there, and wait until they leave."""
    room, name = rtc.Room(), room_of(ctx.room.name)
    grants = api.VideoGrants(room_join=True, room=name, can_update_own_metadata=True)
    identity = ctx.room.local_participant.identity
    token = api.AccessToken().with_identity(identity).with_kind("agent").with_grants(grants)
    left = asyncio.Event()
    room.on("participant_disconnected", lambda _: left.set())
    await room.connect(ctx._info.url, token.to_jwt())
    try:
        options = room_io.RoomOptions(participant_identity=IDENTITY)
        await session.start(agent=agent, room=room, room_options=options, record=False)
        async with api.LiveKitAPI(asked["bridge"]) as livekit:
            await livekit.sip.create_sip_participant(
                api.CreateSIPParticipantRequest(
                    sip_trunk_id=asked["trunk_id"],
                    sip_call_to=asked["to"],
                    sip_number=asked["number"],
                    room_name=name,
                    participant_identity=IDENTITY,
                    wait_until_answered=True,
                )
            )
        await left.wait()
    except api.ServerError:
        note("nobody_to_consult", room=ctx.room.name)
    finally:
        await session.aclose()
        await room.disconnect()
        note("consulted", room=ctx.room.name)
