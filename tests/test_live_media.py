"""What runs beside a job's call, from its start to its end, whoever ends it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from livekit import rtc

from trunktrace.clock import clock, replaced
from trunktrace.livecall import LiveCall
from trunktrace.livekit import listening
from trunktrace.livekit.live import LiveMedia
from trunktrace.timeline import Mark

BEGIN = 1_790_000_000.0
RATE = 8_000


class Bag(SimpleNamespace):
    """Attributes of a thing that can be held weakly and as a key."""

    __hash__ = object.__hash__


class Scene:
    """A call whose session hears one stream, second by second."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.call = LiveCall(trace_id=1, root_span_id=1)
        self.call.become_phone_call()
        room = SimpleNamespace(
            on=lambda *_: None,
            remote_participants={},
            local_participant=SimpleNamespace(track_publications={}),
        )
        self.media = LiveMedia(room, self.call, lambda: None)
        linked = SimpleNamespace(track_publications={"TR_1": object()})
        self.session = Bag(
            room_io=SimpleNamespace(linked_participant=linked),
            output=SimpleNamespace(audio=None),
            input=SimpleNamespace(audio=None),
        )
        self.stream = Bag()
        listening.stream_opened(
            lambda **_: None, self.stream, (), {"track": SimpleNamespace(sid="TR_1")}
        )
        self.media.listen(self.session)

    def hear(self, seconds: int, level: float = 0.0) -> None:
        """So much of a tone or, at level 0, of silence."""
        tone = level * 32767 * np.sin(2 * np.pi * 300 * np.arange(RATE // 10) / RATE)
        data = tone.astype(np.int16).tobytes()
        for _ in range(seconds):
            for _ in range(10):
                self.now += 0.1
                for listener in listening._listeners.now:
                    frame = rtc.AudioFrame(bytearray(data), RATE, 1, RATE // 10)
                    listener.stream_frame(self.stream, frame)
            self.media._on_tick(self.now)

    def answer(self) -> None:
        self.call.mark(Mark(kind="answered", start=clock.now_s(), source="livekit"))


@pytest.mark.parametrize("end", ["hung_up", "stop"])
def test_dead_air_is_of_the_talk_whoever_ends_it(end: str):
    """Twenty seconds of ringing are none; six seconds between two sentences are."""
    scene = Scene()
    with replaced(lambda: round(scene.now * 1e9)):
        scene.hear(20)
        scene.answer()
        scene.hear(3, 0.5)
        scene.hear(6)
        scene.hear(2, 0.5)
        getattr(scene.media, end)()
        told: Any = scene.call.attributes["trunktrace.dead_air_ms"]
        assert told == pytest.approx(6000, abs=600)
        scene.hear(20)
        scene.media.stop()
        assert scene.call.attributes["trunktrace.dead_air_ms"] == told


def test_a_call_that_was_not_answered_has_no_dead_air():
    """It rang, and that was all."""
    scene = Scene()
    with replaced(lambda: round(scene.now * 1e9)):
        scene.hear(20)
        scene.media.hung_up()
        scene.media.stop()
    assert "trunktrace.dead_air_ms" not in scene.call.attributes
