"""The sound of a played call: a packet's loudness says which turn of the script it belongs to.

So the recogniser needs no model and still hears through the audio path: a packet that the line
lost is one it never hears.
"""

from __future__ import annotations

from array import array

from livekit import rtc

from trunktrace.livekit.demo.conversation import SAMPLE_RATE, SAMPLES_PER_PACKET

_STEP = 500
"""Loudness of turn 0; each later turn is louder by as much, so 60 turns fit 16 bit."""


def packet(turn: int | None) -> rtc.AudioFrame:
    """One packet of the caller's speech in that turn, or of silence for None."""
    level = 0 if turn is None else _STEP * (turn + 1)
    return tone(level, SAMPLES_PER_PACKET)


def tone(level: int, samples: int) -> rtc.AudioFrame:
    """A frame of that many equal samples of a 16 bit level."""
    data = array("h", [level]) * samples
    return rtc.AudioFrame(data.tobytes(), SAMPLE_RATE, 1, samples)


def is_loud(frame: rtc.AudioFrame) -> bool:
    """Whether the caller speaks in this frame."""
    return turn_of(frame) is not None


def turn_of(frame: rtc.AudioFrame) -> int | None:
    """The turn whose speech the frame holds; None for silence."""
    level = frame.data[0]
    return level // _STEP - 1 if level >= _STEP else None
