"""Taps on the audio that an agent already receives and sends, and what it says as windows.

Received is the caller's track as `rtc.AudioStream` hands it to the session's input, before LiveKit
levels it (its automatic gain control works in place and would hide clipping and level); where that
cannot be told, what the session gives to its activity. Sent is what reaches the session's audio
output. No track is subscribed twice, and no input or output is wrapped or replaced: `listening`
observes the methods that they all go through. Here frames are copied into a bounded queue, and
measured once a second, in `flush`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final
from weakref import ref

from trunktrace.clock import clock
from trunktrace.guard import guarded
from trunktrace.livecall import LiveCall
from trunktrace.livekit import listening
from trunktrace.media import LONGEST_WINDOW_S
from trunktrace.quality.flow import Arrivals, DeadAir, Interval
from trunktrace.quality.pcm import (
    OPUS_CLIPPING,
    AudioMeter,
    AudioWindow,
    Chunk,
    ClipRule,
    clip_rule,
)
from trunktrace.windows import MediaDirection, MediaWindow

SOURCE: Final = "agent-audio"
MOST_QUEUED_BYTES: Final = 8 << 20
"""Of one direction between two flushes: about three minutes of 24 kHz mono."""

_STREAM_GONE_S: Final = 1.0
"""A stream of the caller's track that has been quiet for this long makes room for another one."""

_ROOM_INPUT: Final = "livekit.agents.voice.room_io"
_LONGEST_CHAIN: Final = 8


class _Queue:
    """Chunks that were not measured yet; full means dropped and counted, never waiting."""

    __slots__ = ("_bytes", "_chunks", "dropped")

    def __init__(self) -> None:
        self._chunks: deque[Chunk | float] = deque()
        self._bytes = 0
        self.dropped = 0

    def put(self, at: float, frame: Any) -> None:
        data = frame.data.tobytes()
        if self._bytes + len(data) > MOST_QUEUED_BYTES:
            self.dropped += 1
            return
        self._bytes += len(data)
        self._chunks.append(Chunk(at, data, frame.sample_rate, frame.num_channels))

    def stopped(self, at: float) -> None:
        """What was put and starts at `at` or later will not be played."""
        self._chunks.append(at)

    def take(self) -> list[Chunk | float]:
        taken, self._chunks = self._chunks, deque()
        self._bytes = 0
        return list(taken)


class AudioTaps:
    """The audio of one call's session, both ways, as windows of the trunk leg's content.

    `codec_of` names the trunk's codec once it is known; it says where a custom audio input that
    hands out decoded G.711 clips (behind LiveKit's own input there is always Opus). `flush` is to
    be called once a second.

    Windows have `leg="trunk"` and `source="agent-audio"` and only what the audio itself says:
    `clipping_ratio` (absent where nothing was voiced), `silence_ratio`, `level_dbfs`, and for what
    was received `gap_count`.
    """

    def __init__(self, call: LiveCall, codec_of: Callable[[], str | None]) -> None:
        self._call = call
        self._codec_of = codec_of
        self._session: Callable[[], Any] = _nothing
        self._stream: Callable[[], Any] = _nothing
        self._stream_heard_at = 0.0
        self._received, self._sent = _Queue(), _Queue()
        self._meter_in, self._meter_out = AudioMeter(), AudioMeter(clip_rule(None))
        self._arrivals = Arrivals()
        self._dead_air = DeadAir()
        self._played_until = 0.0
        self._since: float | None = None

    @property
    def dead_air_s(self) -> float | None:
        """Longest stretch in seconds in which nobody spoke; None before there was any audio.

        Since the answer, where that was told.
        """
        return self._dead_air.longest_s

    @property
    def dropped_frames(self) -> int:
        """Frames that were not measured because the queue was full."""
        return self._received.dropped + self._sent.dropped

    @property
    def received(self) -> AudioWindow | None:
        """All that was received so far, as one window; None before there was any."""
        return self._meter_in.totals

    @property
    def sent(self) -> AudioWindow | None:
        """All that was sent so far, as one window; None before there was any."""
        return self._meter_out.totals

    def attach(self, session: Any) -> None:
        """Listen to this `AgentSession` from now on, and to no other; it is held weakly."""
        self._session = ref(session)
        listening.add(self)

    def answered(self, at: float) -> None:
        """The call was answered at `at` (unix seconds): dead air counts from there."""
        self._dead_air.restart(at)

    def close(self) -> None:
        """Stop listening and forget what was not measured. Twice is once."""
        listening.remove(self)
        self._session = self._stream = _nothing
        self._received.take()
        self._sent.take()

    # On the audio path: copy and return -----------------------------------------------------------

    def stream_frame(self, stream: Any, frame: Any) -> None:
        """A frame was read from an `AudioStream`; taken if that plays the session's caller."""
        now = clock.now_s()
        if self._stream() is not stream and not self._chooses(stream, now):
            return
        self._stream_heard_at = now
        self._take(now, frame)

    def pushed_frame(self, session: Any, frame: Any) -> None:
        """The session got a frame; taken where its stream could not be listened to."""
        now = clock.now_s()
        if session is self._session() and now - self._stream_heard_at > _STREAM_GONE_S:
            self._take(now, frame)

    def captured_frame(self, output: Any, frame: Any) -> None:
        """An output got a frame to play; taken if it is the head of the session's outputs."""
        if not self._plays(output):
            return
        # Speech is handed over faster than it is played: each frame starts where the last ends.
        at = max(clock.now_s(), self._played_until)
        self._played_until = at + frame.duration
        self._put(self._sent, at, frame)

    def playback_finished(self, output: Any) -> None:
        """An output has played what it got, or was told to drop the rest of it."""
        if self._plays(output):
            self._played_until = clock.now_s()
            self._sent.stopped(self._played_until)

    def _take(self, now: float, frame: Any) -> None:
        duration = frame.duration
        self._put(self._received, now - duration, frame)
        self._arrivals.take(now, duration)

    def _put(self, queue: _Queue, at: float, frame: Any) -> None:
        if self._call.finished:
            # Nobody flushes any more, and nobody has closed these taps.
            self.close()
        else:
            queue.put(at, frame)

    def _chooses(self, stream: Any, now: float) -> bool:
        track = listening.track_of(stream)
        if track is None or not _is_callers(self._session(), track):
            return False
        if self._stream() is not None and now - self._stream_heard_at <= _STREAM_GONE_S:
            return False
        self._stream = ref(stream)
        self._arrivals.restart()
        return True

    def _plays(self, output: Any) -> bool:
        session = self._session()
        return session is not None and session.output.audio is output

    # Off the audio path ---------------------------------------------------------------------------

    @guarded
    def flush(self, now_s: float) -> None:
        """Measure what came since the last flush, and tell the call; `now_s` is unix seconds."""
        self._meter_in.rule = self._rule()
        _feed(self._meter_in, self._received.take())
        _feed(self._meter_out, self._sent.take())
        heard, said = self._meter_in.cut(now_s), self._meter_out.cut(now_s)
        gaps = self._arrivals.cut()
        self._tell("in", heard, (heard.start, now_s), heard.silence_ratio, gaps)
        if self._since is None and not (heard.audio_s or said.audio_s):
            return
        start = min(heard.start, said.start) if self._since is None else self._since
        self._since = now_s
        # Nothing is sent while the agent is silent: there the time itself is what is silent.
        length = now_s - start
        silence = max(0.0, 1.0 - said.voiced_s / length) if length > 0 else None
        self._tell("out", said, (start, now_s), silence, None)
        self._dead_air.note(start, now_s, (*heard.spoken, *said.spoken))

    def _tell(
        self,
        direction: MediaDirection,
        audio: AudioWindow,
        times: Interval,
        silence: float | None,
        gaps: int | None,
    ) -> None:
        if silence is None or self._call.linked_elsewhere or not self._call.is_phone_call:
            # In a browser nobody hears a trunk.
            return
        if not 0 < times[1] - times[0] <= LONGEST_WINDOW_S:
            # The loop stood still: no window of a part of the call is that long.
            return
        self._call.observe_media(
            MediaWindow(
                leg="trunk",
                direction=direction,
                start=times[0],
                end=times[1],
                source=SOURCE,
                clipping_ratio=audio.clipping_ratio,
                silence_ratio=silence,
                level_dbfs=audio.level_dbfs,
                gap_count=gaps,
            )
        )

    def _rule(self) -> ClipRule:
        if self._stream() is not None:
            return OPUS_CLIPPING
        source = getattr(getattr(self._session(), "input", None), "audio", None)
        for _ in range(_LONGEST_CHAIN):
            if type(source).__module__.startswith(_ROOM_INPUT):
                return OPUS_CLIPPING
            source = getattr(source, "source", None)
        return clip_rule(self._codec_of())


def _nothing() -> None:
    return None


def _feed(meter: AudioMeter, taken: list[Chunk | float]) -> None:
    chunks: list[Chunk] = []
    for item in taken:
        if isinstance(item, Chunk):
            chunks.append(item)
        else:
            meter.feed(chunks)
            meter.drop_from(item)
            chunks = []
    meter.feed(chunks)


def _is_callers(session: Any, track: str) -> bool:
    """Whether the session's room input is linked to the participant who published the track."""
    try:
        linked = session.room_io.linked_participant
    except (AttributeError, RuntimeError):
        # Before livekit-agents 1.4 it is not public; a session may have no room.
        return False
    return linked is not None and track in linked.track_publications
