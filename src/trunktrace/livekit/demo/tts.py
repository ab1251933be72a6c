"""A voice that says every word as a short tone, faster than the tone lasts."""

from __future__ import annotations

import asyncio

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts

from trunktrace.livekit.demo.audio import tone
from trunktrace.livekit.demo.conversation import SAMPLE_RATE

_SECONDS_A_WORD = 0.06
_LEVEL = 400
_FIRST_AUDIO_AFTER = 0.02


class ToneTTS(tts.TTS[str]):
    """Speaks any text; needs no model."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
        )

    @property
    def model(self) -> str:
        return "tones"

    @property
    def provider(self) -> str:
        return "trunktrace-demo"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return _ToneStream(tts=self, conn_options=conn_options)


class _ToneStream(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="tones",
            sample_rate=SAMPLE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=20,
            stream=True,
        )
        output_emitter.start_segment(segment_id="tones")
        text = "".join([item async for item in self._input_ch if isinstance(item, str)])
        self._mark_started()
        await asyncio.sleep(_FIRST_AUDIO_AFTER)
        samples = int(SAMPLE_RATE * _SECONDS_A_WORD) * len(text.split())
        output_emitter.push(bytes(tone(_LEVEL, samples).data))
        output_emitter.end_segment()
