"""A voice activity detector that calls loud packets speech."""

from __future__ import annotations

import time

from livekit import rtc
from livekit.agents import vad

from trunktrace.livekit.demo.audio import is_loud

_SILENCE_THAT_ENDS_SPEECH = 0.08


class LoudnessVAD(vad.VAD):
    """Hears speech in every packet that is not silent; needs no model."""

    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.02))

    @property
    def model(self) -> str:
        return "loudness"

    @property
    def provider(self) -> str:
        return "trunktrace-demo"

    def stream(self) -> vad.VADStream:
        return _LoudnessStream(self)


class _LoudnessStream(vad.VADStream):
    def __init__(self, detector: vad.VAD) -> None:
        super().__init__(detector)
        self._speaking = False
        self._speech = 0.0
        self._silence = 0.0
        self._samples = 0

    async def _main_task(self) -> None:
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._hear(item)
            else:
                self._speaking = False
                self._speech = self._silence = 0.0

    def _hear(self, frame: rtc.AudioFrame) -> None:
        self._samples += frame.samples_per_channel
        if is_loud(frame):
            self._speech += frame.duration
            self._silence = 0.0
            if not self._speaking:
                self._speaking = True
                self._send(vad.VADEventType.START_OF_SPEECH, frame)
        else:
            self._silence += frame.duration
        self._send(vad.VADEventType.INFERENCE_DONE, frame)
        if self._speaking and self._silence >= _SILENCE_THAT_ENDS_SPEECH:
            self._speaking = False
            self._send(vad.VADEventType.END_OF_SPEECH, frame)
            self._speech = 0.0

    def _send(self, kind: vad.VADEventType, frame: rtc.AudioFrame) -> None:
        self._event_ch.send_nowait(
            vad.VADEvent(
                type=kind,
                samples_index=self._samples,
                timestamp=time.time(),
                speech_duration=self._speech,
                silence_duration=self._silence,
                frames=[frame],
                probability=1.0 if self._speaking else 0.0,
                speaking=self._speaking,
                raw_accumulated_speech=self._speech if self._silence == 0 else 0.0,
                raw_accumulated_silence=self._silence,
            )
        )
