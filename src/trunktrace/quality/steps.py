"""A step of the estimate of trunk loss: what came between two looks, and whether to use it.

The reasons why a step is left out are gathered here; how steps add up is in `estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunktrace.quality.rtc import Inbound, Sample

PACKETS_PER_S: Final = 50.0
"""livekit-sip sends one Opus packet of 20 ms for each 20 ms of audio that it received."""

PAUSE_S: Final = 0.2
"""No packet for so long is a pause, not loss: at 20 % random loss it happens once in 10 million."""

LEAST_SHARE: Final = 0.6
"""Fewer packets than this share of 50/s are a pause, unless they are so for seconds."""

LEAST_BURST_SHARE: Final = 0.25
HOLE_PACKETS: Final = 5.0
"""With fewer packets missing, what the jitter buffer bridges is of its own making."""

LONG_CONCEALMENT_S: Final = 0.3
LONG_SILENCE_S: Final = 0.2
CLOCK_TOLERANCE_S: Final = 0.15
USUAL_RATES: Final = (8_000.0, 16_000.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0)
LONGEST_CLEAR_S: Final = 1.5
"""A pause that counts shows in a step no longer than this by its rate or at one of its ends; in a
longer one only the jitter buffer shows it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What came between two samples, in packets of 20 ms.

    `expected` is 50/s over the time in which packets could come, `missing` how many of them did not
    and were not lost on the agent leg (below zero: more came). `filled` is how much audio the
    jitter buffer had to make up or stretch, None unknown. `jitter_s` is the agent leg's, of which
    the trunk's loss is a part. `doubtful` is a short pause or heavy loss: what stands beside it
    tells. `unusable` says that there was a pause, that one could not have been seen, or that the
    clocks do not agree.
    """

    start: float
    end: float
    expected: float
    missing: float
    filled: float | None
    jitter_s: float
    doubtful: bool
    unusable: bool
    unexplained: bool = False
    """Few packets came, and at neither end was there a pause: it may be loss or a pause."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end - self.start


def step_of(
    old: Sample, now: Sample, *, samples_per_s: float | None = None
) -> tuple[Step, float | None] | None:
    """The step between two samples, and how many audio samples a second the jitter buffer played.

    None where they do not continue each other: another track, counters that went back, one time.
    """
    a, b = old.inbound, now.inbound
    if a is None or b is None or (a.ssrc, a.track_id) != (b.ssrc, b.track_id):
        return None
    received, length = b.packets_received - a.packets_received, now.t - old.t
    if received < 0 or length <= 0:
        return None
    span = _span(a, b, length)
    expected = PACKETS_PER_S * span
    came = received + (b.packets_lost - a.packets_lost)
    rate = _played(a, b, length)
    missing = expected - came
    filled = _filled(a, b, rate)
    paused = received == 0 or max(_age(old), _age(now)) >= PAUSE_S
    few = came < LEAST_SHARE * expected
    hole = few or (missing > HOLE_PACKETS and _long_hole(a, b, rate))
    is_exact = a.last_packet_at is not None and b.last_packet_at is not None
    is_clear = is_exact and length <= LONGEST_CLEAR_S and came >= LEAST_BURST_SHARE * expected
    jumped = _clock_jumped(length, rate, samples_per_s)
    blind = filled is None and length > LONGEST_CLEAR_S
    step = Step(
        start=old.t,
        end=now.t,
        expected=expected,
        missing=missing,
        filled=filled,
        jitter_s=b.jitter_s or 0.0,
        doubtful=hole and is_clear,
        unusable=paused or blind or (hole and not is_clear) or jumped,
        unexplained=few and not paused and not jumped,
    )
    return step, rate


def first_packet_at(sample: Sample) -> float | None:
    """When the first packet of the track must have come, by the rate; None if none has."""
    inbound = sample.inbound
    if inbound is None or inbound.packets_received <= 0:
        return None
    last = inbound.last_packet_at
    known = last is not None and 0 <= sample.t - last < 60
    came = inbound.packets_received + max(0, inbound.packets_lost)
    return (last if known and last is not None else sample.t) - came / PACKETS_PER_S


def usual_rate(samples_per_s: float | None) -> float | None:
    """The sampling rate that is meant; None where it is none, as in a track's first moments."""
    if samples_per_s is None:
        return None
    near = min(USUAL_RATES, key=lambda rate: abs(rate - samples_per_s))
    return near if abs(near - samples_per_s) <= 0.03 * near else None


def _span(a: Inbound, b: Inbound, length: float) -> float:
    """Seconds from last packet to last packet: exact, where the time between looks is ragged."""
    if a.last_packet_at is None or b.last_packet_at is None:
        return length
    span = b.last_packet_at - a.last_packet_at
    return span if span > 0 and abs(span - length) < max(0.5, PAUSE_S * 2) else length


def _age(sample: Sample) -> float:
    last = None if sample.inbound is None else sample.inbound.last_packet_at
    return 0.0 if last is None else sample.t - last


def _played(a: Inbound, b: Inbound, length: float) -> float | None:
    if a.total_samples is None or b.total_samples is None:
        return None
    played = b.total_samples - a.total_samples
    return played / length if played > 0 else None


def _clock_jumped(length: float, rate: float | None, usual: float | None) -> bool:
    """Whether the audio played does not fit the time passed: a set clock, a starved worker."""
    if rate is None or usual is None:
        return False
    return abs(length * rate / usual - length) > CLOCK_TOLERANCE_S + 0.02 * length


def _grown(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(0, b - a)


def _long_hole(a: Inbound, b: Inbound, rate: float | None) -> bool:
    """Whether the jitter buffer bridged a hole that is longer than light loss makes."""
    concealed = _grown(a.concealed_samples, b.concealed_samples)
    silent = _grown(a.silent_concealed_samples, b.silent_concealed_samples)
    events = _grown(a.concealment_events, b.concealment_events)
    if rate is None or concealed is None or events is None:
        return False
    each = max(1, events) * rate
    return concealed / each >= LONG_CONCEALMENT_S or (silent or 0) / each >= LONG_SILENCE_S


def _filled(a: Inbound, b: Inbound, rate: float | None) -> float | None:
    inserted = _grown(a.inserted_samples, b.inserted_samples)
    concealed = _grown(a.concealed_samples, b.concealed_samples)
    if rate is None or inserted is None or concealed is None:
        return None
    return (inserted + concealed) / rate * PACKETS_PER_S
