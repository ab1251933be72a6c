"""A phone agent that says what only it knows: whose call it should be, and what came of it.

Findings, the verdict and all metrics of trunk and conversation need nothing of this: one line does.
"""

from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    RunContext,
    cli,
    function_tool,
)
from livekit.plugins import deepgram, openai

import trunktrace

server = AgentServer()


class Receptionist(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You answer the phone of a dentist. Be brief.")

    @function_tool
    async def look_up(self, context: RunContext, name: str) -> str:
        """Find the customer of that name."""
        customer = {"phone": "+12025550123", "country": "US"}
        # A caller who is not the customer is evidence for a misrouted or a spoofed call.
        trunktrace.current_call().expect(caller=customer["phone"], country=customer["country"])
        return f"{name} is a customer since 2019"

    @function_tool
    async def book(self, context: RunContext, day: str) -> str:
        """Book an appointment on that day."""
        trunktrace.current_call().record_task("completed")
        return f"booked for {day}, 10:30"


@server.rtc_session()
@trunktrace.traced_call(must_record=True)  # a recording that is late or missing is a finding
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession(
        stt=deepgram.STT(model="nova-3"),
        llm=openai.LLM(model="gpt-4.1-mini"),
        tts=openai.TTS(voice="ash"),
    )
    await session.start(agent=Receptionist(), room=ctx.room, record=True)


if __name__ == "__main__":
    cli.run_app(server)
