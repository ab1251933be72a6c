"""What 16 bit audio itself says: clipping, silence, level, dead air, and holes in its arrival.

Nothing here looks at single samples in Python: numpy measures blocks of 20 ms. Who imports this
module loads numpy, so only `trunktrace.livekit` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]
"""(start, end) in unix seconds."""
Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FULL_SCALE: Final = 32768.0
BLOCK_S: Final = 0.02

SPEECH_STARTS_DBFS: Final = -45.0
"""A block at least this loud is speech. Active speech on telephone lines is about -26 dB below
overload (ITU-T G.169, P.56), a quiet talker -40, the noise of a line -50 and less."""

SPEECH_ENDS_DBFS: Final = -50.0
"""Speech goes on as long as blocks are at least this loud: the hysteresis of 5 dB."""

HANGOVER_S: Final = 0.2
"""Speech lasts this much longer: pauses between syllables belong to it (ITU-T P.56, 200 ms)."""

DIGITAL_SILENCE: Final = 8
"""The largest sample of digital silence: mu-law 0xFF and 0x7F decode to 0, A-law 0xD5 and 0x55 to
8 and -8."""

_MU_LAW_TOP: Final = 32124
_A_LAW_TOP: Final = 32256
_LINEAR_TOP: Final = math.ceil(32767 * 0.999)
_OPUS_TOP: Final = math.ceil(FULL_SCALE * 0.9)
_TELEPHONE_RATE: Final = 8000


@dataclass(frozen=True, slots=True)
class ClipRule:
    """Which samples are clipped: at least `level`, either sign, in runs of a least length.

    The run is two samples of the audio itself, or, with `source_rate`, as long as two samples at
    that rate (Hz) are: 1 + rate / source_rate samples.
    """

    level: int
    source_rate: int | None = None

    def shortest_run(self, sample_rate: int) -> int:
        """Consecutive samples that make a clipped run at `sample_rate`; at least 2."""
        if self.source_rate is None:
            return 2
        return max(2, 1 + sample_rate // self.source_rate)


OPUS_CLIPPING: Final = ClipRule(_OPUS_TOP, _TELEPHONE_RATE)
"""For telephone audio that came through Opus (what a LiveKit agent hears).

The codec bends a flat top, so that its samples are no longer exactly at full scale; at 0.9 of it
(-0.9 dB) for as long as two samples of an 8 kHz line they still are, and peaks of speech that was
never clipped are not. Measured with three synthetic voices through mu-law, libopus at 32 kbit/s and
16, 24 and 48 kHz: speech with peaks of -1 dBFS reads at most 0.001 %; where 0.3 to 0.9 % of the
line's samples are clipped it reads 0.2 to 0.7 %, and where 3 to 5 % are, 1.6 to 2.7 %. So it finds
clipping and understates it; it overstates none above 0.2 %.
"""


def clip_rule(codec: str | None) -> ClipRule:
    """The rule for audio decoded from `codec` with no other codec after it.

    `pcmu` clips at 32124 and `pcma` at 32256, the largest value of each (ITU-T G.711); anything
    else, and None, is taken as linear: 0.999 of 32767. Runs of two samples and more count.
    """
    return ClipRule({"pcmu": _MU_LAW_TOP, "pcma": _A_LAW_TOP}.get(codec or "", _LINEAR_TOP))


class Chunk(NamedTuple):
    """A piece of 16 bit native-endian audio, interleaved; `at` is the time of its first sample."""

    at: float
    data: bytes | bytearray | memoryview
    sample_rate: int
    channels: int = 1

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return memoryview(self.data).nbytes / (2 * self.channels * self.sample_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioWindow:
    """What the audio between `start` and `end` (unix seconds) says, or of all of it together.

    `audio_s` is how much audio there was, `voiced_s` how much of it was speech (or anything else as
    loud), `spoken` when. A sample is one of one channel; where several channels clip at once that
    is one.
    """

    start: float
    end: float
    audio_s: float = 0.0
    voiced_s: float = 0.0
    voiced_samples: int = 0
    clipped_samples: int = 0
    voiced_energy_s: float = 0.0
    digitally_silent_s: float = 0.0
    spoken: tuple[Interval, ...] = ()

    @property
    def clipping_ratio(self) -> float | None:
        """Clipped samples per voiced sample, 0..1; None where nothing is voiced."""
        if not self.voiced_samples:
            return None
        return min(1.0, self.clipped_samples / self.voiced_samples)

    @property
    def silence_ratio(self) -> float | None:
        """Share of the audio that is silent, 0..1; None where there is no audio."""
        return max(0.0, 1.0 - self.voiced_s / self.audio_s) if self.audio_s > 0 else None

    @property
    def level_dbfs(self) -> float | None:
        """Level of the voiced audio in dB; 0 is a full-scale square wave, so a sine is -3 at most.

        None where nothing is voiced.
        """
        if self.voiced_energy_s <= 0 or self.voiced_s <= 0:
            return None
        return 10 * math.log10(self.voiced_energy_s / self.voiced_s)

    @property
    def is_digital_silence(self) -> bool:
        """Whether there is audio and all of it is codes of silence: not even noise was sent."""
        return self.audio_s > 0 and self.digitally_silent_s >= self.audio_s - BLOCK_S / 2

    def with_more(self, other: AudioWindow) -> AudioWindow:
        """Both together; the times of speech are not kept."""
        return AudioWindow(
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            audio_s=self.audio_s + other.audio_s,
            voiced_s=self.voiced_s + other.voiced_s,
            voiced_samples=self.voiced_samples + other.voiced_samples,
            clipped_samples=self.clipped_samples + other.clipped_samples,
            voiced_energy_s=self.voiced_energy_s + other.voiced_energy_s,
            digitally_silent_s=self.digitally_silent_s + other.digitally_silent_s,
        )


class _Blocks(NamedTuple):
    """Measures of blocks of 20 ms, a row each."""

    at: Floats
    seconds: Floats
    samples: Counts
    power: Floats
    voiced: Flags
    clipped: Counts
    dead: Flags

    def picked(self, chosen: Flags) -> _Blocks:
        columns: Any = tuple(column[chosen] for column in self)
        return _Blocks(*columns)

    def window(self, start: float, end: float) -> AudioWindow:
        spoken_s = self.seconds[self.voiced]
        return AudioWindow(
            start=start,
            end=end,
            audio_s=float(self.seconds.sum()),
            voiced_s=float(spoken_s.sum()),
            voiced_samples=int(self.samples[self.voiced].sum()),
            clipped_samples=int(self.clipped.sum()),
            voiced_energy_s=float(spoken_s @ self.power[self.voiced]),
            digitally_silent_s=float(self.seconds[self.dead].sum()),
            spoken=_stretches(self.at[self.voiced], spoken_s),
        )


def _stretches(starts: Floats, seconds: Floats) -> tuple[Interval, ...]:
    """Blocks side by side as intervals; half a block more or less between two is none."""
    if not starts.size:
        return ()
    ends = starts + seconds
    new = np.flatnonzero(starts[1:] - ends[:-1] > BLOCK_S / 2)
    firsts = starts[np.concatenate(([0], new + 1))]
    lasts = ends[np.concatenate((new, [starts.size - 1]))]
    return tuple(zip(firsts.tolist(), lasts.tolist(), strict=True))


class AudioMeter:
    """Measures one direction: `feed` it audio in its order, `cut` a window off when one is due.

    How the audio is split into chunks changes nothing but the times of blocks. At most 20 ms are
    held back until the rest of their block comes. Any sample rate from 100 Hz and any number of
    channels, also changing ones.
    """

    def __init__(self, rule: ClipRule = OPUS_CLIPPING) -> None:
        self.rule = rule
        self._format = (0, 0)
        self._rest: Samples = np.zeros(0, np.int16)
        self._run = 0
        self._hangover = 0
        self._pending: list[_Blocks] = []
        self._cut_at: float | None = None
        self._totals: AudioWindow | None = None

    @property
    def totals(self) -> AudioWindow | None:
        """Everything that was cut so far as one window; None before the first."""
        return self._totals

    def feed(self, chunks: Iterable[Chunk]) -> None:
        """Measure chunks, in the order of their audio.

        Raises ValueError for a rate below 100 Hz, less than one channel, or data that are not
        whole samples of all channels; what came before that chunk is kept.
        """
        for (rate, channels), same in groupby(chunks, lambda chunk: chunk[2:4]):
            if rate < 2 / BLOCK_S or channels < 1:
                raise ValueError(f"a rate of {rate} Hz or {channels} channels is no audio")
            if (rate, channels) != self._format:
                self._format = (rate, channels)
                self._rest, self._run = np.zeros(0, np.int16), 0
            self._feed_same(list(same), rate, channels)

    def cut(self, until: float = math.inf) -> AudioWindow:
        """The window from the last cut to `until`: all audio fed so far that starts before it."""
        due = self._taken(until)
        if due is None:
            start = self._cut_at
            end = until if math.isfinite(until) else start or 0.0
            window = AudioWindow(start=end if start is None else min(start, end), end=end)
            if start is None:
                return window
        else:
            end = until if math.isfinite(until) else float((due.at + due.seconds).max())
            start = float(due.at.min()) if self._cut_at is None else self._cut_at
            window = due.window(min(start, end), end)
        self._cut_at = end
        self._totals = window if self._totals is None else self._totals.with_more(window)
        return window

    def drop_from(self, at: float) -> None:
        """Forget audio that starts at `at` or later and was not cut yet: it was never played."""
        kept = self._taken(at)
        self._pending = [] if kept is None else [kept]
        self._rest, self._run, self._hangover = np.zeros(0, np.int16), 0, 0

    def _taken(self, until: float) -> _Blocks | None:
        """The blocks that start before `until`, if there are any; they are no longer pending."""
        pending = _joined(self._pending)
        self._pending = []
        if pending is None or pending.at.max() < until:
            return pending
        due = pending.at < until
        self._pending = [pending.picked(~due)]
        return pending.picked(due) if due.any() else None

    def _feed_same(self, chunks: Sequence[Chunk], rate: int, channels: int) -> None:
        arrays = [_samples(chunk, channels) for chunk in chunks]
        counts = np.array([array.size // channels for array in arrays])
        held = self._rest.size // channels
        joined: Samples = np.concatenate([self._rest, *arrays])
        size = round(rate * BLOCK_S)
        whole = joined.size // (size * channels)
        self._rest = joined[whole * size * channels :].copy()
        if not whole:
            return
        frames = joined[: whole * size * channels].reshape(-1, channels)
        starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        offsets = np.arange(whole) * size - held
        chunk_of = np.maximum(np.searchsorted(starts, offsets, side="right") - 1, 0)
        at = np.array([chunk.at for chunk in chunks])
        blocks = frames.reshape(whole, size * channels)
        power = _power(blocks)
        high, low = blocks.max(axis=1), blocks.min(axis=1)
        self._pending.append(
            _Blocks(
                at=at[chunk_of] + (offsets - starts[chunk_of]) / rate,
                seconds=np.full(whole, size / rate),
                samples=np.full(whole, size),
                power=power,
                voiced=self._voiced(power),
                clipped=self._clipped(frames, whole, rate, int(high.max()), int(low.min())),
                dead=(high <= DIGITAL_SILENCE) & (low >= -DIGITAL_SILENCE),
            )
        )

    def _voiced(self, power: Floats) -> Flags:
        """Which blocks are speech, by level with hysteresis and hangover."""
        voiced: list[bool] = []
        left = self._hangover
        longest = round(HANGOVER_S / BLOCK_S)
        starts, goes_on = 10 ** (SPEECH_STARTS_DBFS / 10), 10 ** (SPEECH_ENDS_DBFS / 10)
        for value in power.tolist():
            if value >= (goes_on if left else starts):
                left = longest + 1
            voiced.append(left > 0)
            left = max(0, left - 1)
        self._hangover = left
        return np.array(voiced, np.bool_)

    def _clipped(self, frames: Samples, whole: int, rate: int, high: int, low: int) -> Counts:
        """Clipped samples of each block; a run goes on over the borders of blocks and chunks."""
        level, shortest = self.rule.level, self.rule.shortest_run(rate)
        if high < level and low > -level:
            self._run = 0
            return np.zeros(whole, np.int64)
        beyond: Flags = (frames >= level) | (frames <= -level)
        loud: Flags = np.logical_or.reduce(beyond, axis=1)
        edges = np.diff(loud.astype(np.int8), prepend=0, append=0)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        lengths = ends - starts
        before = self._run if loud[0] else 0
        lengths[0] += before
        self._run = int(lengths[-1]) if loud[-1] else 0
        counts = np.zeros(loud.size + 1, np.int64)
        long = lengths >= shortest
        counts[starts[long]] += 1
        counts[ends[long]] -= 1
        clipped: Counts = np.cumsum(counts[:-1]).reshape(whole, -1).sum(axis=1)
        if before and long[0] and before < shortest:
            # The part before the border was too short to count by itself.
            clipped[0] += before
        return clipped


def _joined(pending: Sequence[_Blocks]) -> _Blocks | None:
    if len(pending) < 2:
        return pending[0] if pending else None
    columns: Iterable[Any] = zip(*pending, strict=True)
    return _Blocks(*(np.concatenate(column) for column in columns))


def _samples(chunk: Chunk, channels: int) -> Samples:
    data = memoryview(chunk.data)
    if data.nbytes % (2 * channels):
        raise ValueError(f"{data.nbytes} bytes are not whole samples of {channels} channels")
    return np.frombuffer(data, np.int16)


def _power(blocks: Samples) -> Floats:
    """Mean square of each block, 1 for full scale."""
    scaled = blocks.astype(np.float32)
    energy: Floats = np.einsum("ij,ij->i", scaled, scaled).astype(np.float64)
    mean: Floats = energy / (blocks.shape[1] * FULL_SCALE**2)
    return mean
