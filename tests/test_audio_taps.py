"""The taps hear what the agent hears and says, and nothing of it is changed by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io

from trunktrace.clock import clock, replaced
from trunktrace.guard import guard, reraising
from trunktrace.livecall import LiveCall
from trunktrace.livekit import listening
from trunktrace.livekit.audio import MOST_QUEUED_BYTES, AudioTaps
from trunktrace.livekit.demo.agent import play
from trunktrace.livekit.demo.conversation import Conversation, Line, Turn
from trunktrace.livekit.patches import patches
from trunktrace.windows import MediaWindow

RATE = 24_000
CONVERSATION = Conversation("Hello!", (Turn(said="Yes.", heard="Yes", reply="Good."),))


def sine(seconds: float, level: float = 0.3, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.clip(level * 32767 * np.sin(2 * np.pi * 300 * t), -32767, 32767).astype(np.int16)


def frames(samples: np.ndarray, rate: int = RATE, size: int | None = None) -> list[rtc.AudioFrame]:
    size = size or rate // 50
    return [
        rtc.AudioFrame(bytearray(part.tobytes()), rate, 1, part.size)
        for part in np.split(samples, range(size, samples.size, size))
    ]


def bytes_of(given: list[rtc.AudioFrame]) -> bytes:
    return b"".join(frame.data.tobytes() for frame in given)


class Ear(io.AudioInput):
    """Hands out its frames as fast as they are taken, then none."""

    def __init__(self, given: list[rtc.AudioFrame]) -> None:
        super().__init__(label="test")
        self._left = list(given)
        self._emptied = asyncio.Event()

    async def __anext__(self) -> rtc.AudioFrame:
        if not self._left:
            # Whoever asks for one more has done with the last one.
            self._emptied.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return self._left.pop(0)

    async def emptied(self) -> None:
        await asyncio.wait_for(self._emptied.wait(), 10)


class Mouth(io.AudioOutput):
    """Keeps what it is to play, and says at once that it was played."""

    def __init__(self) -> None:
        super().__init__(label="test", capabilities=io.AudioOutputCapabilities(pause=False))
        self.played: list[rtc.AudioFrame] = []

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.played.append(frame)

    def flush(self) -> None:
        super().flush()
        if self.played:
            self.on_playback_finished(playback_position=1.0, interrupted=False)

    def clear_buffer(self) -> None:
        self.flush()


class Around(io.AudioOutput):
    """A pass-through like those that LiveKit lays around an output to record or to transcribe."""

    def __init__(self, inner: io.AudioOutput) -> None:
        super().__init__(
            label="around",
            capabilities=io.AudioOutputCapabilities(pause=False),
            next_in_chain=inner,
        )

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        assert self.next_in_chain is not None
        await self.next_in_chain.capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        assert self.next_in_chain is not None
        self.next_in_chain.flush()

    def clear_buffer(self) -> None:
        assert self.next_in_chain is not None
        self.next_in_chain.clear_buffer()


@pytest.fixture(autouse=True)
def _observed() -> Iterator[None]:
    patches.install("test")
    yield
    patches.undo("test")


@pytest.fixture
def call() -> LiveCall:
    made = LiveCall(trace_id=1, root_span_id=2)
    made.become_phone_call()
    return made


@pytest.fixture
def taps(call) -> Iterator[AudioTaps]:
    made = AudioTaps(call, lambda: "pcmu")
    yield made
    made.close()


def windows(call: LiveCall, direction: str) -> list[MediaWindow]:
    return [window for window in call.story().windows if window.direction == direction]


async def started(
    ear: io.AudioInput | None, mouth: io.AudioOutput | None, taps: AudioTaps
) -> AgentSession[Any]:
    session: AgentSession[Any] = AgentSession()
    session.input.audio, session.output.audio = ear, mouth
    taps.attach(session)
    await session.start(agent=Agent(instructions=""))
    return session


async def hear(taps: AudioTaps, samples: np.ndarray) -> None:
    ear = Ear(frames(samples))
    session = await started(ear, None, taps)
    await ear.emptied()
    taps.flush(clock.now_s())
    await session.aclose()


async def said(samples: np.ndarray) -> AsyncIterator[rtc.AudioFrame]:
    for frame in frames(samples):
        yield frame


# With the real AgentSession ----------------------------------------------------------------------


async def test_clipped_audio_gives_clipping_windows(call, taps):
    """What a session's input delivers is measured: a sine driven over full scale is clipped."""
    await hear(taps, sine(1.0, level=1.5))
    (window,) = windows(call, "in")
    assert (window.leg, window.source) == ("trunk", "agent-audio")
    assert window.clipping_ratio is not None
    assert 0.4 < window.clipping_ratio < 0.6
    assert window.level_dbfs is not None
    assert window.packet_count is None
    assert window.loss_ratio is None
    assert call.attributes["rtp.in.clipping_ratio"] == pytest.approx(window.clipping_ratio)


async def test_clean_audio_gives_none(call, taps):
    """A sine below full scale has a clipping ratio of 0 and no silence."""
    await hear(taps, sine(1.0, level=0.8))
    (window,) = windows(call, "in")
    assert window.clipping_ratio == 0.0
    assert window.silence_ratio == 0.0
    assert window.gap_count == 0


async def test_silence_gives_no_clipping_ratio(call, taps):
    """Where nobody spoke, the clipping ratio is unknown, not 0."""
    await hear(taps, sine(1.0, level=0.0))
    (window,) = windows(call, "in")
    assert window.silence_ratio == 1.0
    assert window.clipping_ratio is None
    assert "rtp.in.clipping_ratio" not in call.attributes


async def test_a_session_without_audio_tells_nothing(call, taps):
    """No input and no output: no window, and no dead air."""
    session = await started(None, None, taps)
    taps.flush(clock.now_s())
    await session.aclose()
    assert call.story().windows == ()
    assert taps.dead_air_s is None


async def test_speech_reaches_the_output_unaltered_and_is_measured_once(call, taps):
    """Behind a wrapper around the output each frame counts once, and none is changed."""
    speech = sine(1.0)
    mouth = Mouth()
    session = await started(None, Around(mouth), taps)
    begun = clock.now_s()
    await session.say("hello", audio=said(speech)).wait_for_playout()
    assert bytes_of(mouth.played)[: speech.nbytes] == speech.tobytes()
    await session.aclose()
    taps.flush(begun + 60.0)
    assert taps.sent is not None
    assert taps.sent.audio_s <= 1.0
    assert taps.sent.clipped_samples == 0


async def test_a_replaced_input_and_output_are_heard(call, taps):
    """The user may set another input and output while the session runs."""
    first, second = Ear(frames(sine(0.5))), Ear(frames(sine(0.5, level=2.0)))
    mouth = Mouth()
    session = await started(first, Mouth(), taps)
    await first.emptied()
    taps.flush(clock.now_s())
    assert windows(call, "in")[-1].clipping_ratio == 0.0
    session.input.audio, session.output.audio = second, mouth
    await second.emptied()
    await session.say("hello", audio=said(sine(0.4, level=1.5))).wait_for_playout()
    await session.aclose()
    taps.flush(clock.now_s())
    assert (windows(call, "in")[-1].clipping_ratio or 0.0) > 0.5
    assert mouth.played


async def test_a_played_call_goes_as_without_taps(call, taps, monkeypatch):
    """The demo's conversation, which lives by its audio, ends well; both directions are told."""
    begin = AgentSession.start

    def start(session: Any, *args: Any, **kwargs: Any) -> Any:
        taps.attach(session)
        return begin(session, *args, **kwargs)

    monkeypatch.setattr(AgentSession, "start", start)
    await play(CONVERSATION, Line(), lambda packets: None)
    taps.flush(clock.now_s())
    assert windows(call, "in")[-1].silence_ratio is not None
    assert windows(call, "in")[-1].clipping_ratio == 0.0
    assert taps.sent is not None
    assert taps.sent.audio_s > 0
    assert taps.dropped_frames == 0


class Broken:
    """A listener in which everything goes wrong."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


async def test_a_failing_listener_does_not_touch_the_call():
    """Whatever a listener raises is swallowed and counted; the conversation goes on."""
    broken: Any = Broken()
    listening.add(broken)
    try:
        with reraising(value=False):
            await play(CONVERSATION, Line(), lambda packets: None)
            assert guard.counts["listening.frame_pushed"] > 0
            assert guard.counts["listening.frame_captured"] > 0
    finally:
        listening.remove(broken)


async def test_a_failing_meter_is_swallowed(call, taps, monkeypatch):
    """A flush that fails is counted, and the next one works."""
    session = await started(Ear(frames(sine(0.2))), None, taps)
    with reraising(value=False), monkeypatch.context() as broken:
        broken.setattr("trunktrace.livekit.audio.AudioMeter.cut", lambda *_: 1 / 0)
        taps.flush(clock.now_s())
        assert guard.counts["trunktrace.livekit.audio.AudioTaps.flush"] == 1
    taps.flush(clock.now_s())
    await session.aclose()


def test_undone_patches_leave_livekits_methods():
    """After undo the observed classes have the methods that they had."""
    # A decorated module of another test may hold them too.
    held = patches.users
    for user in held:
        patches.undo(user)
    assert not hasattr(io.AudioOutput.__dict__["capture_frame"], "__wrapped__")
    assert not hasattr(rtc.AudioStream.__dict__["__anext__"], "__wrapped__")
    for user in held:
        patches.install(user)
    assert hasattr(io.AudioOutput.__dict__["capture_frame"], "__wrapped__")
    assert hasattr(rtc.AudioStream.__dict__["__anext__"], "__wrapped__")


async def test_a_stream_that_ends_or_fails_does_so_for_its_reader(world):
    """The end of a stream and its errors pass through as they are."""

    class Stream:
        def __init__(self, ends: list[BaseException]) -> None:
            self._ends = ends

        def __aiter__(self) -> Stream:
            return self

        def __anext__(self) -> Any:
            return listening.stream_read(self._read, self, (), {})

        async def _read(self) -> Any:
            raise self._ends.pop()

    assert [event async for event in Stream([StopAsyncIteration()])] == []
    with pytest.raises(ConnectionError):
        await anext(Stream([ConnectionError()]))


# By what a listener is shown ---------------------------------------------------------------------


class World:
    """A session whose caller plays track TR_caller, and a clock that only the test moves."""

    def __init__(self, taps: AudioTaps) -> None:
        self.now = 1_000.0
        self.taps = taps
        self.output = object()
        linked = SimpleNamespace(track_publications={"TR_caller": object()})
        self.session = Bag(
            room_io=SimpleNamespace(linked_participant=linked),
            output=SimpleNamespace(audio=self.output),
            input=SimpleNamespace(audio=None),
        )
        taps.attach(self.session)

    def second(self, stream: Any, samples: np.ndarray) -> None:
        """A second of audio from a stream, 10 ms at a time, and a flush at its end."""
        for frame in frames(samples, size=RATE // 100):
            self.now += 0.01
            self.taps.stream_frame(stream, frame)
        self.taps.flush(self.now)

    def stream(self, track: str = "TR_caller") -> Any:
        made = Bag()
        listening.stream_opened(lambda **_: None, made, (), {"track": SimpleNamespace(sid=track)})
        return made


class Bag(SimpleNamespace):
    """Attributes of a thing that can be held weakly and as a key."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@pytest.fixture
def world(taps) -> Iterator[World]:
    made = World(taps)
    with replaced(lambda: round(made.now * 1e9)):
        yield made


def test_the_callers_stream_is_heard_and_no_other(call, world):
    """Streams of other tracks, and a second stream of the caller's, are left out."""
    callers, again, others = world.stream(), world.stream(), world.stream("TR_other")
    for frame in frames(sine(1.0, level=2.0)):
        world.taps.stream_frame(others, frame)
    world.taps.stream_frame(callers, frames(sine(0.02))[0])
    for frame in frames(sine(1.0, level=2.0)):
        world.taps.stream_frame(again, frame)
        world.taps.pushed_frame(world.session, frame)
    world.second(callers, sine(1.0))
    (window,) = windows(call, "in")
    assert window.clipping_ratio == 0.0
    assert world.taps.received.audio_s == pytest.approx(1.02)


def test_when_the_callers_stream_ends_another_is_heard(call, world):
    """The caller's track is published again: the new stream is taken, and that is no hole."""
    world.second(world.stream(), sine(1.0))
    world.now += 5.0
    again = world.stream()
    for _ in range(3):
        world.second(again, sine(1.0, level=2.0))
    found = windows(call, "in")
    assert (found[-1].clipping_ratio or 0.0) > 0.5
    assert sum(window.gap_count or 0 for window in found) == 0


def test_where_the_stream_is_unknown_the_sessions_frames_are_heard(call, world):
    """An older LiveKit, a custom input: what the session got is measured."""
    world.session.room_io = None
    for frame in frames(sine(1.0)):
        world.now += 0.02
        world.taps.pushed_frame(world.session, frame)
    world.taps.flush(world.now)
    assert windows(call, "in")[0].silence_ratio == 0.0


def test_a_custom_input_clips_where_its_codec_does(call, world):
    """A value above the largest of mu-law is clipped behind mu-law and is none behind A-law."""
    flat = np.full(RATE, 32_200, np.int16)
    codec: list[str | None] = ["pcmu"]
    taps = AudioTaps(call, lambda: codec[0])
    taps.attach(world.session)
    ratios: list[float | None] = []
    for name in ("pcmu", "pcma", None):
        codec[0] = name
        for frame in frames(flat):
            world.now += 0.02
            taps.pushed_frame(world.session, frame)
        taps.flush(world.now)
        ratios.append(windows(call, "in")[-1].clipping_ratio)
    taps.close()
    assert ratios == [1.0, 0.0, 0.0]


def test_frames_are_measured_as_they_came(call, world):
    """LiveKit levels frames in place after they were read; what it does then is not measured."""
    stream = world.stream()
    for frame in frames(sine(1.0, level=2.0)):
        world.now += 0.02
        world.taps.stream_frame(stream, frame)
        np.frombuffer(frame.data, np.int16)[:] //= 8
    world.taps.flush(world.now)
    assert (windows(call, "in")[0].clipping_ratio or 0.0) > 0.5


def test_the_calls_clipping_ratio_is_of_all_that_was_voiced(call, world):
    """One bad second in ten of which three are voiced: a third of its ratio on the root."""
    stream = world.stream()
    world.second(stream, sine(1.0, level=1.5))
    bad = windows(call, "in")[0].clipping_ratio
    for level in (0.3, 0.3, *[0.0] * 7):
        world.second(stream, sine(1.0, level=level))
    totals = world.taps.received
    assert totals.silence_ratio == pytest.approx(0.68, abs=0.001)
    assert call.attributes["rtp.in.silence_ratio"] == pytest.approx(0.68, abs=0.001)
    assert call.attributes["rtp.in.clipping_ratio"] == pytest.approx(totals.clipping_ratio)
    assert call.attributes["rtp.in.clipping_ratio"] == pytest.approx(bad / 3.2, rel=0.01)


def test_speech_counts_when_it_is_played_not_when_it_is_handed_over(call, world):
    """Ten seconds of speech come at once and are interrupted after three: three are told."""
    for frame in frames(sine(10.0)):
        world.taps.captured_frame(world.output, frame)
    for _ in range(3):
        world.now += 1.0
        world.taps.flush(world.now)
    world.taps.playback_finished(world.output)
    for _ in range(3):
        world.now += 1.0
        world.taps.flush(world.now)
    assert [round(w.silence_ratio, 2) for w in windows(call, "out")] == [0.0] * 3 + [1.0] * 3
    assert world.taps.sent.audio_s == pytest.approx(3.0, abs=0.03)
    assert world.taps.dead_air_s == pytest.approx(3.0, abs=0.03)


def test_an_interruption_before_the_first_flush_counts_too(call, world):
    """What was handed over and dropped within one second is not told as spoken."""
    for frame in frames(sine(10.0)):
        world.taps.captured_frame(world.output, frame)
    world.now += 0.5
    world.taps.playback_finished(world.output)
    world.now += 0.5
    world.taps.flush(world.now)
    assert windows(call, "out")[0].silence_ratio == pytest.approx(0.5, abs=0.03)


def test_an_agent_that_is_silent_has_windows_of_silence(call, world):
    """From the call's first audio on, whichever way, the agent's silence is told by the second."""
    stream = world.stream()
    for _ in range(3):
        world.second(stream, sine(1.0))
    found = windows(call, "out")
    assert [window.silence_ratio for window in found] == [1.0] * 3
    assert [round(window.duration_s, 6) for window in found] == [1.0] * 3
    assert [window.clipping_ratio for window in found] == [None] * 3
    assert world.taps.sent is None


def test_other_outputs_are_not_the_agents_speech(call, world):
    """A frame for another output, such as an inner one of the chain, is left out."""
    world.taps.captured_frame(object(), frames(sine(1.0))[0])
    world.now += 1.0
    world.taps.flush(world.now)
    assert windows(call, "out") == []


def test_a_full_queue_drops_and_counts(world):
    """Audio that nobody measures takes no more memory than the bound."""
    stream = world.stream()
    frame = frames(sine(1.0), size=RATE)[0]
    fitting = MOST_QUEUED_BYTES // frame.data.nbytes
    for _ in range(fitting + 7):
        world.taps.stream_frame(stream, frame)
    assert world.taps.dropped_frames == 7


def test_somebody_who_is_not_on_the_phone_has_no_trunk(call, world):
    """Where the session is linked to a browser, its audio says nothing about a trunk."""
    call.linked_elsewhere = True
    world.second(world.stream(), sine(1.0))
    assert call.story().windows == ()


def test_a_job_without_a_phone_has_no_trunk(call, world):
    """Where nobody has seen a SIP participant, no key of ours comes from the sound."""
    call.is_phone_call = False
    world.second(world.stream(), sine(1.0))
    assert call.story().windows == ()
    assert not call.attributes


def test_after_close_nothing_is_heard(call, world):
    """Closed taps take no frame and tell no window."""
    stream = world.stream()
    world.taps.close()
    world.second(stream, sine(1.0))
    world.taps.close()
    assert call.story().windows == ()


def test_taps_of_a_call_that_is_over_close_themselves(call, world):
    """Where nobody closed them, the first frame after the call's end does."""
    stream = world.stream()
    world.second(stream, sine(1.0))
    call.finished = True
    for frame in frames(sine(1.0)):
        world.taps.stream_frame(stream, frame)
        world.taps.captured_frame(world.output, frame)
    call.finished = False
    world.second(stream, sine(1.0))
    assert len(windows(call, "in")) == 1


def test_a_session_that_is_gone_is_not_held(call, taps):
    """Taps hold their session weakly, and do nothing once it is gone."""
    taps.attach(Bag())
    taps.stream_frame(Bag(), frames(sine(0.1))[0])
    taps.captured_frame(object(), frames(sine(0.1))[0])
    taps.flush(clock.now_s())
    assert call.story().windows == ()
