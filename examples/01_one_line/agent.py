"""A phone agent, traced by one line. Answers calls that LiveKit's SIP bridge sends to it.

    pip install -r requirements.txt
    export LIVEKIT_URL=... LIVEKIT_API_KEY=... LIVEKIT_API_SECRET=...
    export OPENAI_API_KEY=... DEEPGRAM_API_KEY=... OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
    python agent.py start

carriers.toml, beside this file, says which trunk is which carrier.
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
        super().__init__(
            instructions="You answer the phone of a dentist. Be brief, and offer appointments."
        )

    async def on_enter(self) -> None:
        await self.session.generate_reply(instructions="Greet the caller.")

    @function_tool
    async def free_appointments(self, context: RunContext, day: str) -> str:
        """List the free appointments of a day."""
        return f"{day}: 10:30 and 15:00"


@server.rtc_session()
@trunktrace.traced_call
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession(
        stt=deepgram.STT(model="nova-3"),
        llm=openai.LLM(model="gpt-4.1-mini"),
        tts=openai.TTS(voice="ash"),
    )
    await session.start(agent=Receptionist(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
