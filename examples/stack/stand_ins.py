"""Ears that hear only how long somebody spoke, a head that repeats it, and espeak-ng as a voice."""

import asyncio
import io
import wave

from livekit.agents import APIConnectOptions, llm, stt, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

RATE = 22_050  # what espeak-ng writes


class LengthSTT(stt.STT):
    """Recognises the length of what was said."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))

    async def _recognize_impl(self, buffer, *, language=None, conn_options) -> stt.SpeechEvent:
        seconds = utils.merge_frames(buffer).duration
        heard = stt.SpeechData(language="en", text=f"{seconds:.1f} seconds of speech")
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[heard])


class LengthLLM(llm.LLM):
    """Says back what was heard."""

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return _LengthStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _LengthStream(llm.LLMStream):
    async def _run(self) -> None:
        heard = [item.text_content for item in self._chat_ctx.messages() if item.role == "user"]
        answer = f"I heard {heard[-1]}." if heard else "I heard nothing."
        delta = llm.ChoiceDelta(role="assistant", content=answer)
        self._event_ch.send_nowait(llm.ChatChunk(id=utils.shortuuid(), delta=delta))


class EspeakTTS(tts.TTS):
    """Speaks with espeak-ng."""

    def __init__(self) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=RATE, num_channels=1)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _EspeakStream(tts=self, input_text=text, conn_options=conn_options)


class _EspeakStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        espeak = await asyncio.create_subprocess_exec(
            "espeak-ng", "--stdout", self.input_text, stdout=asyncio.subprocess.PIPE
        )
        spoken, _ = await espeak.communicate()
        with wave.open(io.BytesIO(spoken)) as file:
            output_emitter.push(file.readframes(file.getnframes()))
        output_emitter.flush()
