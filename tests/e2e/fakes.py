"""VAD, STT, turn detector, LLM and TTS for the worker's sessions: no network, no models.

The VAD works on the real audio; the STT says the script's sentences in the order in which
speech ends; the LLM finds its answer in the script; the TTS makes tones.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import llm, stt, tts, utils, vad
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)

from . import speech
from .calls import Turn

_LOUD = 400.0
_SPEECH_S = 0.1
_SILENCE_S = 0.35
_THINKING_S = 0.05
_TTS_RATE = 24_000
_TTS_S_PER_CHARACTER = 0.03


class EnergyVAD(vad.VAD):
    """Speech is what is loud: starts after 0.1 s of it, ends after 0.35 s without."""

    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.05))

    def stream(self) -> vad.VADStream:
        return _EnergyStream(self)


class _EnergyStream(vad.VADStream):
    async def _main_task(self) -> None:
        self._reset()
        self._samples = 0
        async for frame in self._input_ch:
            if isinstance(frame, rtc.AudioFrame):
                self._hear(frame)
            else:
                self._reset()

    def _reset(self) -> None:
        self._frames: list[rtc.AudioFrame] = []
        self._speaking = False
        self._speech = self._silence = 0.0

    def _hear(self, frame: rtc.AudioFrame) -> None:
        samples = np.frombuffer(frame.data, dtype=np.int16).astype(np.float64)
        loud = samples.size > 0 and float(np.sqrt(np.mean(samples**2))) > _LOUD
        self._samples += frame.samples_per_channel
        self._silence = 0.0 if loud else self._silence + frame.duration
        if loud or self._speaking:
            self._speech += frame.duration
            self._frames.append(frame)
        else:
            self._speech, self._frames = 0.0, []
        if not self._speaking and self._speech >= _SPEECH_S:
            self._speaking = True
            self._send(vad.VADEventType.START_OF_SPEECH)
        self._send(vad.VADEventType.INFERENCE_DONE, probability=float(loud), frames=[frame])
        if self._speaking and self._silence >= _SILENCE_S:
            self._speaking = False
            self._send(vad.VADEventType.END_OF_SPEECH)
            self._reset()

    def _send(
        self,
        kind: vad.VADEventType,
        *,
        probability: float = 0.0,
        frames: Sequence[rtc.AudioFrame] | None = None,
    ) -> None:
        self._event_ch.send_nowait(
            vad.VADEvent(
                type=kind,
                samples_index=self._samples,
                timestamp=time.time(),
                speech_duration=self._speech - self._silence if self._speaking else self._speech,
                silence_duration=self._silence,
                frames=list(self._frames if frames is None else frames),
                probability=probability,
                speaking=self._speaking,
                raw_accumulated_silence=self._silence,
                raw_accumulated_speech=self._speech if not self._silence else 0.0,
            )
        )


class ScriptSTT(stt.STT[Any]):
    """What was spoken is the next sentence of the script; after the last: nothing.

    On a busy machine speech may arrive with a hole that the VAD takes for its end: a piece that is
    shorter than half of the sentence says nothing yet, and the sentence comes with the rest of it.
    """

    def __init__(self, script: Sequence[Turn]) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._sentences = [turn.says for turn in script]
        self._heard_s = 0.0

    @property
    def model(self) -> str:
        return "script-stt"

    @property
    def provider(self) -> str:
        return "e2e"

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        text = ""
        self._heard_s += rtc.combine_audio_frames(buffer).duration
        if self._sentences and self._heard_s > speech.frame(self._sentences[0]).duration / 2:
            text, self._heard_s = self._sentences.pop(0), 0.0
        data = stt.SpeechData(language="en", text=text, confidence=0.9)  # type: ignore[arg-type]
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])


class SureTurnDetector:
    """A turn detector that is always sure; with it LiveKit makes `eou_detection` spans."""

    model = "sure"
    provider = "e2e"

    async def unlikely_threshold(self, language: object) -> float | None:
        return 0.5

    async def supports_language(self, language: object) -> bool:
        return True

    async def predict_end_of_turn(
        self,
        chat_ctx: llm.ChatContext,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  the protocol's own signature
    ) -> float:
        return 0.99


class ScriptLLM(llm.LLM[Any]):
    """Answers what the script answers; asks for the tool first where the script says so."""

    def __init__(self, script: Sequence[Turn]) -> None:
        super().__init__()
        self.script = {turn.says: turn for turn in script}

    @property
    def model(self) -> str:
        return "script-llm"

    @property
    def provider(self) -> str:
        return "e2e"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        return _ScriptStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _ScriptStream(llm.LLMStream):
    async def _run(self) -> None:
        await asyncio.sleep(_THINKING_S)  # a model thinks; nothing waits for this
        reply = utils.shortuuid("reply_")
        said, looked_up = self._last()
        assert isinstance(self._llm, ScriptLLM)
        turn = self._llm.script.get(said)
        if turn is not None and turn.order is not None and not looked_up:
            call = llm.FunctionToolCall(
                name="look_up_order",
                arguments=json.dumps({"order": turn.order}),
                call_id=utils.shortuuid("call_"),
            )
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        else:
            answer = turn.answer if turn is not None else "Pardon?"
            delta = llm.ChoiceDelta(role="assistant", content=answer)
        self._event_ch.send_nowait(llm.ChatChunk(id=reply, delta=delta))
        usage = llm.CompletionUsage(completion_tokens=9, prompt_tokens=40, total_tokens=49)
        self._event_ch.send_nowait(llm.ChatChunk(id=reply, usage=usage))

    def _last(self) -> tuple[str, bool]:
        """The caller's last words, and whether a tool has answered since."""
        looked_up = False
        for item in reversed(self._chat_ctx.items):
            if item.type == "function_call_output":
                looked_up = True
            elif item.type == "message" and item.role == "user":
                return item.text_content or "", looked_up
        return "", looked_up


class ToneTTS(tts.TTS[Any]):
    """A tone of 30 ms for each character."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=_TTS_RATE,
            num_channels=1,
        )

    @property
    def model(self) -> str:
        return "tone-tts"

    @property
    def provider(self) -> str:
        return "e2e"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _ToneStream(tts=self, input_text=text, conn_options=conn_options)


class _ToneStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"),
            sample_rate=_TTS_RATE,
            num_channels=1,
            mime_type="audio/pcm",
        )
        length = int(_TTS_RATE * _TTS_S_PER_CHARACTER * max(10, len(self.input_text)))
        wave = 8000 * np.sin(2 * np.pi * 300 * np.arange(length) / _TTS_RATE)
        output_emitter.push(wave.astype(np.int16).tobytes())
        output_emitter.flush()
