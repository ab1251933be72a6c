"""An agent that needs no account: it answers the phone and says for how long you spoke.

The ears, the head and the voice are stand-ins in stand_ins.py; put your own plugins in their place.
"""

import math

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from stand_ins import EspeakTTS, LengthLLM, LengthSTT

import trunktrace

# On a laptop nobody asks for its health, and it takes the call however busy the machine is.
server = AgentServer(host="127.0.0.1", port=0, load_threshold=math.inf)


@server.rtc_session()
@trunktrace.traced_call
async def entrypoint(ctx: JobContext) -> None:
    """Hold one call."""
    session = AgentSession(
        stt=LengthSTT(),
        llm=LengthLLM(),
        tts=EspeakTTS(),
        turn_handling={"turn_detection": "vad", "interruption": {"mode": "vad"}},
    )
    await session.start(agent=Agent(instructions="Be brief."), room=ctx.room)
    await session.say("Hello. Say something, and I will tell you for how long you spoke.")


if __name__ == "__main__":
    cli.run_app(server)
