"""The agent of the played calls, on the real AgentSession, and the caller who talks to it."""

# pyright: reportUnknownMemberType=false
# (livekit-agents leaves the type arguments of its own signatures open)

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import Agent, AgentSession, AgentStateChangedEvent, function_tool

from trunktrace.livekit.demo.conversation import Conversation, Line
from trunktrace.livekit.demo.llm import TOOL, ScriptedLLM
from trunktrace.livekit.demo.phone import Ear, Mouth, Observer
from trunktrace.livekit.demo.stt import ScriptedSTT
from trunktrace.livekit.demo.tts import ToneTTS
from trunktrace.livekit.demo.vad import LoudnessVAD

_PACKETS_A_TURN = 32
_PATIENCE = 20.0


async def play(conversation: Conversation, line: Line, observe: Observer) -> None:
    """Hold the conversation through a real AgentSession, in real time, and end the session.

    `observe` is told of the packets of every stretch of speech, either way, as it ends. Must run
    where `AgentSession.start` may run: in a job, or in any running loop. Raises TimeoutError if
    the agent does not answer a turn within 20 s.
    """
    session = _session(conversation)
    mouth, ear = Mouth(line, observe), Ear(line, observe)
    session.input.audio, session.output.audio = mouth, ear
    answered = _answers(session)
    await session.start(agent=_Clerk())
    try:
        await session.say(conversation.greeting).wait_for_playout()
        for number in range(len(conversation.turns)):
            await mouth.say(number, _PACKETS_A_TURN)
            # The answer needs the silence that only now begins, so it cannot have ended yet.
            answered.clear()
            await asyncio.wait_for(answered.wait(), _PATIENCE)
    finally:
        await session.aclose()


def _session(conversation: Conversation) -> AgentSession[Any]:
    return AgentSession(
        stt=ScriptedSTT(conversation.turns),
        vad=LoudnessVAD(),
        llm=ScriptedLLM(conversation.turns),
        tts=ToneTTS(),
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"mode": "fixed", "min_delay": 0.05, "max_delay": 0.2},
            # the adaptive mode asks a model in the cloud
            "interruption": {"mode": "vad", "resume_false_interruption": False},
            "preemptive_generation": {"enabled": False},
        },
        tts_text_transforms=None,
        user_away_timeout=None,
        aec_warmup_duration=None,
        session_close_transcript_timeout=0.0,
    )


def _answers(session: AgentSession[Any]) -> asyncio.Event:
    """An event that is set whenever the agent has finished speaking."""
    answered = asyncio.Event()

    def state_changed(event: AgentStateChangedEvent) -> None:
        if event.old_state == "speaking" and event.new_state == "listening":
            answered.set()

    session.on("agent_state_changed", state_changed)
    return answered


class _Clerk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You book appointments for a dentist. Be brief.")

    @function_tool(name=TOOL)
    async def find_appointment(self, day: str) -> str:
        """Find a free appointment on that day."""
        await asyncio.sleep(0.05)
        return f"{day}: 10:30 is free"
