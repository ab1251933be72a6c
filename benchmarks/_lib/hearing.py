"""One call as the agent hears it, second by second, with and without trunktrace listening."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from livekit import rtc
from livekit.rtc._proto.stats_pb2 import RtcStats
from opentelemetry.sdk.trace import TracerProvider

from trunktrace.clock import clock, replaced
from trunktrace.livekit import listening
from trunktrace.livekit.audio import AudioTaps
from trunktrace.livekit.media import MediaPoller

from . import calls

RATE: Final = 24_000
FRAME_IN_S: Final = 0.05
FRAME_OUT_S: Final = 0.02
"""What livekit-agents 1.8 hands to a session and gets from a voice, by default."""


class Bag(SimpleNamespace):
    """A thing that can be held weakly and as a key."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def speech(level: float) -> rtc.AudioFrame:
    """A second of noise as loud as speech; from `level` 1 up part of it is clipped."""
    noise = np.random.default_rng(7).normal(0.0, level * 0.25, RATE)
    samples = np.round(np.clip(noise, -1.0, 1.0) * 32767).astype(np.int16)
    return rtc.AudioFrame(bytearray(samples.tobytes()), RATE, 1, RATE)


def cut(second: rtc.AudioFrame, length_s: float) -> list[rtc.AudioFrame]:
    """The second as frames of that length."""
    size = round(RATE * length_s)
    data = second.data.tobytes()
    parts = (data[at : at + 2 * size] for at in range(0, len(data), 2 * size))
    return [rtc.AudioFrame(bytearray(part), RATE, 1, size) for part in parts]


class Heard:
    """A call that lasts: each `second` is one of it, with the parts that were asked for."""

    def __init__(self, *, audio: bool, poller: bool, level: float = 1.0) -> None:
        self.now = 1_800_000_000.0
        self._incoming, self._outgoing = cut(speech(level), FRAME_IN_S), cut(speech(1), FRAME_OUT_S)
        self._told: deque[list[bytes]] = deque()
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("benchmark")
        self._root = tracer.start_span("job_entrypoint")
        self._call = calls.open_on(self._root)
        self._call.is_phone_call = True
        self._taps = AudioTaps(self._call, lambda: "pcmu") if audio else None
        room = SimpleNamespace(
            isconnected=lambda: True,
            remote_participants={"sip": self._caller()},
            get_rtc_stats=self._stats,
        )
        ticks = () if self._taps is None else (self._taps.flush,)
        self._poller = MediaPoller(room, self._call, caller=lambda: "sip", on_tick=ticks)
        self._asks = poller
        self._attach()

    def _caller(self) -> Any:
        track = SimpleNamespace(sid="TR_caller")
        publication = SimpleNamespace(kind=1, track=track)
        return SimpleNamespace(identity="sip", track_publications={"TR_caller": publication})

    def _attach(self) -> None:
        self._output, self._stream = object(), Bag()
        self._session = Bag(
            room_io=SimpleNamespace(linked_participant=self._caller()),
            output=SimpleNamespace(audio=self._output),
        )
        self._activity = SimpleNamespace(session=self._session)
        track = SimpleNamespace(sid="TR_caller")
        listening.stream_opened(lambda **_: None, self._stream, (), {"track": track})

    async def _stats(self) -> Any:
        # LiveKit's library hands over bytes; to read them is part of a look.
        found = [RtcStats.FromString(data) for data in self._told.popleft()]
        return SimpleNamespace(publisher_stats=found, subscriber_stats=[])

    async def second(self) -> None:
        """Everything that LiveKit does by way of the observed methods in one second, and a tick."""
        for frame in self._incoming:
            self.now += FRAME_IN_S
            event = SimpleNamespace(frame=frame)

            async def read(event: Any = event) -> Any:
                return event

            await listening.stream_read(read, self._stream, (), {})
            listening.frame_pushed(lambda _: None, self._activity, (frame,), {})
        for frame in self._outgoing:
            listening.frame_captured(lambda _: None, self._output, (frame,), {})
        if self._asks:
            await self._poller.tick()
        elif self._taps is not None:
            self._taps.flush(self.now)

    async def run(self, seconds: int) -> float:
        """CPU seconds of this thread for each second of the call."""
        self._told.extend(
            [one.SerializeToString() for one in statistics(look, self.now + look)]
            for look in range(1, seconds + 2)
        )
        with replaced(lambda: round(self.now * 1e9)):
            if self._taps is not None:
                self._taps.attach(self._session)
            try:
                await self.second()
                start = time.thread_time()
                for _ in range(seconds):
                    await self.second()
                return (time.thread_time() - start) / seconds
            finally:
                if self._taps is not None:
                    self._taps.close()

    def end(self) -> int:
        """End the call; how many windows it had been told."""
        told = len(self._call.story().windows)
        self._root.end()
        return told

    async def flush_cost(self, seconds: int, *, in_thread: bool) -> float:
        """CPU seconds of the process that measuring alone takes, in the loop or in a thread."""
        spent = 0.0
        assert self._taps is not None
        with replaced(lambda: round(self.now * 1e9)):
            self._taps.attach(self._session)
            for _ in range(seconds):
                for frame in self._incoming:
                    self.now += FRAME_IN_S
                    self._taps.stream_frame(self._stream, frame)
                for frame in self._outgoing:
                    self._taps.captured_frame(self._output, frame)
                start = time.process_time()
                if in_thread:
                    await asyncio.to_thread(self._taps.flush, clock.now_s())
                else:
                    self._taps.flush(clock.now_s())
                spent += time.process_time() - start
            self._taps.close()
        return spent / seconds


def gain_control_cost(seconds: int) -> float:
    """CPU seconds of this thread that LiveKit's own gain control takes for a second of audio."""
    module = rtc.AudioProcessingModule(auto_gain_control=True)
    given = cut(speech(1.0), 0.01)
    start = time.thread_time()
    for _ in range(seconds):
        for frame in given:
            module.process_stream(frame)
    return (time.thread_time() - start) / seconds


def statistics(look: int, now: float) -> list[RtcStats]:
    """What a room with a caller and an agent tells at its n-th look: nine entries."""
    inbound, outbound, remote = RtcStats(), RtcStats(), RtcStats()
    for entry, ssrc in ((inbound.inbound_rtp, 11), (outbound.outbound_rtp, 12)):
        entry.rtc.id, entry.rtc.timestamp = f"T{ssrc}", int(now * 1e6)
        entry.stream.ssrc, entry.stream.kind = ssrc, "audio"
    received = inbound.inbound_rtp
    received.received.packets_received, received.received.jitter = 50 * look, 0.001
    received.inbound.last_packet_received_timestamp = now * 1e3
    received.inbound.total_samples_received = 48_000 * look
    received.inbound.jitter_buffer_emitted_count = 48_000 * look
    received.inbound.inserted_samples_for_deceleration = 160 * look
    outbound.outbound_rtp.sent.packets_sent = 50 * look
    answer = remote.remote_inbound_rtp
    answer.rtc.timestamp, answer.stream.ssrc = int(now * 1e6), 12
    answer.remote_inbound.round_trip_time = 0.02
    others = [RtcStats() for _ in range(6)]
    for number, entry in enumerate(others):
        entry.codec.rtc.id, entry.codec.codec.mime_type = f"C{number}", "audio/opus"
    pair = others[0].candidate_pair
    pair.candidate_pair.nominated, pair.candidate_pair.current_round_trip_time = True, 0.02
    return [_filled(one) for one in (inbound, outbound, remote, *others)]


def _filled(message: Any) -> Any:
    """The message with every required field of every part that it has; LiveKit sends them all."""
    for field in message.DESCRIPTOR.fields:
        inner = field.message_type
        if inner is not None and not field.is_repeated and not inner.GetOptions().map_entry:
            if field.is_required or message.HasField(field.name):
                _filled(getattr(message, field.name)).SetInParent()
        elif field.is_required and not message.HasField(field.name):
            setattr(message, field.name, getattr(message, field.name))
    return message
