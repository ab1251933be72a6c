"""The caller's handset: the mouth is the agent's audio input, the ear its audio output."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from livekit import rtc
from livekit.agents.voice import io

from trunktrace.livekit.demo.audio import packet
from trunktrace.livekit.demo.conversation import (
    PACKET_MS,
    SAMPLE_RATE,
    Line,
    PacketLoss,
    Packets,
)

Observer = Callable[[Packets], None]
"""Told of the packets of each stretch of speech when the stretch is over."""

_PACKET = PACKET_MS / 1000


class Mouth(io.AudioInput):
    """Sends a packet every 20 ms: the words that are to be said, else silence."""

    def __init__(self, line: Line, observe: Observer) -> None:
        super().__init__(label="played caller")
        self._loss = PacketLoss(line.lose_in_every)
        self._observe = observe
        self._words: asyncio.Queue[int] = asyncio.Queue()
        self._lost = 0
        self._next: float | None = None

    async def say(self, turn: int, packets: int) -> None:
        """Speak for that many packets, and tell the observer how many of them were lost."""
        start, self._lost = time.time(), 0
        for _ in range(packets):
            self._words.put_nowait(turn)
        await self._words.join()
        self._observe(Packets("in", packets, self._lost, start, time.time()))

    async def __anext__(self) -> rtc.AudioFrame:
        while True:
            await self._wait_for_the_next_packet()
            turn = None if self._words.empty() else self._words.get_nowait()
            lost = self._loss.next_is_lost()
            if turn is not None:
                self._words.task_done()
                self._lost += lost
            if not lost:
                return packet(turn)

    async def _wait_for_the_next_packet(self) -> None:
        now = time.monotonic()
        due = now if self._next is None else self._next
        self._next = max(due, now - _PACKET) + _PACKET
        await asyncio.sleep(max(0.0, due - now))


class Ear(io.AudioOutput):
    """Plays what the agent says in real time, into nothing."""

    def __init__(self, line: Line, observe: Observer) -> None:
        super().__init__(
            label="played ear",
            capabilities=io.AudioOutputCapabilities(pause=False),
            sample_rate=SAMPLE_RATE,
        )
        self._loss = PacketLoss(line.lose_out_every)
        self._observe = observe
        self._started: float | None = None
        self._pushed = 0.0
        self._end: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._started is None:
            self._started = time.time()
            self.on_playback_started(created_at=self._started)
        self._pushed += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._started is not None and self._end is None:
            left = self._started + self._pushed - time.time()
            loop = asyncio.get_running_loop()
            self._end = loop.call_later(max(0.0, left), self._finish, False)

    def clear_buffer(self) -> None:
        if self._started is not None:
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        if self._started is None:
            return
        if self._end is not None:
            self._end.cancel()
        now = time.time()
        start, played = self._started, min(self._pushed, now - self._started)
        self._started, self._pushed, self._end = None, 0.0, None
        sent = round(played / _PACKET)
        lost = sum(self._loss.next_is_lost() for _ in range(sent))
        self._observe(Packets("out", sent, lost, start, now))
        self.on_playback_finished(playback_position=played, interrupted=interrupted)
