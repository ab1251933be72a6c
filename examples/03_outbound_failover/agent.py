"""An agent that calls somebody, over a second trunk where the first one is down.

    pip install -r requirements.txt
    export LIVEKIT_URL=... LIVEKIT_API_KEY=... LIVEKIT_API_SECRET=...
    export OPENAI_API_KEY=... DEEPGRAM_API_KEY=... OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
    python agent.py start
    lk dispatch create --new-room --agent-name reminder --metadata +15550100001

Write your own trunks' ids here and into carriers.toml. Without an account: `python main.py`.
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.agents.voice import room_io
from livekit.plugins import deepgram, openai

import trunktrace

TRUNKS = [
    trunktrace.Trunk("ST_a1b2c3d4e5f6", ringing_timeout_s=20),
    trunktrace.Trunk("ST_f6e5d4c3b2a1", number="+15550100000"),
]

server = AgentServer()


@server.rtc_session(agent_name="reminder")
@trunktrace.traced_call
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    try:
        await trunktrace.dial(ctx, ctx.job.metadata, trunks=TRUNKS, identity="callee")
    except trunktrace.DialFailed as failed:
        print("not reached:", failed)
        ctx.shutdown("not reached")
        return
    session = AgentSession(
        stt=deepgram.STT(model="nova-3"),
        llm=openai.LLM(model="gpt-4.1-mini"),
        tts=openai.TTS(voice="ash"),
    )
    await session.start(
        agent=Agent(instructions="Remind the callee of the appointment tomorrow at ten."),
        room=ctx.room,
        room_options=room_io.RoomOptions(participant_identity="callee"),
    )


if __name__ == "__main__":
    cli.run_app(server)
