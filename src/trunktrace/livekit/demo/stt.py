"""A speech recogniser that reads the script by the loudness of what it hears."""

# pyright: reportUnknownMemberType=false
# (livekit-agents leaves the type arguments of its own signatures open)

from __future__ import annotations

from collections.abc import Sequence

from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, NotGivenOr, stt
from livekit.agents.language import LanguageCode
from livekit.agents.types import NOT_GIVEN
from livekit.agents.utils import AudioBuffer

from trunktrace.livekit.demo.audio import turn_of
from trunktrace.livekit.demo.conversation import PACKET_MS, Turn

_SILENT_PACKETS_THAT_END_A_SENTENCE = 2


class ScriptedSTT(stt.STT[str]):
    """Recognises the turn that is being spoken, and gives what the script says was heard."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=False, offline_recognize=False
            )
        )
        self.turns = tuple(turns)

    @property
    def model(self) -> str:
        return "scripted-ears"

    @property
    def provider(self) -> str:
        return "trunktrace-demo"

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        raise NotImplementedError("ScriptedSTT streams only")

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _ScriptedStream(self, conn_options)


class _ScriptedStream(stt.RecognizeStream):
    def __init__(self, recogniser: ScriptedSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=recogniser, conn_options=conn_options)
        self._turns = recogniser.turns

    async def _run(self) -> None:
        turn: int | None = None
        silent = 0
        async for item in self._input_ch:
            if not isinstance(item, rtc.AudioFrame):
                continue
            heard = turn_of(item)
            if heard is not None:
                turn, silent = heard, 0
                continue
            silent += 1
            if turn is not None and silent == _SILENT_PACKETS_THAT_END_A_SENTENCE:
                self._recognised(turn)
                turn = None

    def _recognised(self, turn: int) -> None:
        words = self._turns[turn].heard
        request = f"heard-{turn}"
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                type=stt.SpeechEventType.FINAL_TRANSCRIPT,
                request_id=request,
                alternatives=[
                    stt.SpeechData(language=LanguageCode("en"), text=words, confidence=0.9)
                ],
            )
        )
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                type=stt.SpeechEventType.RECOGNITION_USAGE,
                request_id=request,
                recognition_usage=stt.RecognitionUsage(audio_duration=PACKET_MS / 1000),
            )
        )
