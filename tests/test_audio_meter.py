"""What numpy reads from audio is what was put into it, however it is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunktrace.quality.flow import HOLE_S, Arrivals, DeadAir
from trunktrace.quality.pcm import (
    DIGITAL_SILENCE,
    OPUS_CLIPPING,
    AudioMeter,
    AudioWindow,
    Chunk,
    ClipRule,
    clip_rule,
)

RATE = 8000
LINEAR = clip_rule(None)


def tone(level: float, seconds: float, rate: int = RATE, hertz: float = 313.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.round(level * 32767 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.zeros(round(seconds * rate), np.int16)


def chunk(samples: np.ndarray, *, at: float = 0.0, rate: int = RATE, channels: int = 1) -> Chunk:
    return Chunk(at, samples.tobytes(), rate, channels)


def measured(samples: np.ndarray, rule: ClipRule = LINEAR, rate: int = RATE) -> AudioWindow:
    meter = AudioMeter(rule)
    meter.feed([chunk(samples, rate=rate)])
    return meter.cut()


def with_runs(runs: list[int], level: int = 32767, gap: int = 5) -> np.ndarray:
    """Speech-like audio with as many clipped runs of these lengths, 0.5 s and more of it."""
    audio = tone(0.3, 2.0)
    at = 100
    for length in runs:
        audio[at : at + length] = level
        at += length + gap
    return audio


@pytest.mark.parametrize(
    "codec, level", [("pcmu", 32124), ("pcma", 32256), ("g722", 32735), (None, 32735)]
)
def test_clipping_begins_at_the_codecs_largest_value(codec, level):
    """Two samples at the largest value of the codec are clipped, two just below are not."""
    rule = clip_rule(codec)
    assert measured(with_runs([2, 3], level), rule).clipped_samples == 5
    assert measured(with_runs([2, 3], -level), rule).clipped_samples == 5
    assert measured(with_runs([2, 3], level - 1), rule).clipped_samples == 0


def test_a_single_peak_is_not_clipping():
    """One full-scale sample is a peak; runs of two and more are clipping."""
    assert measured(with_runs([1, 1, 1])).clipped_samples == 0
    assert measured(with_runs([1, 2, 1, 7])).clipped_samples == 9


def test_the_lowest_sample_counts_as_well():
    """-32768, whose absolute value is no 16 bit number, is clipped like 32767."""
    assert measured(with_runs([4], -32768)).clipped_samples == 4


@pytest.mark.parametrize("rate, shortest", [(8000, 2), (16000, 3), (24000, 4), (48000, 7)])
def test_behind_opus_a_run_is_as_long_as_two_samples_of_the_line(rate, shortest):
    """The run that counts is the same time at every sample rate of the agent."""
    assert OPUS_CLIPPING.shortest_run(rate) == shortest
    audio = tone(0.3, 1.0, rate)
    audio[200 : 200 + shortest] = 30_000
    assert measured(audio, OPUS_CLIPPING, rate).clipped_samples == shortest
    audio[200] = 0
    assert measured(audio, OPUS_CLIPPING, rate).clipped_samples == 0


def test_the_clipping_ratio_is_of_voiced_samples():
    """Silence around speech changes the silence ratio, not the clipping ratio."""
    speech = with_runs([10] * 20)
    alone, padded = measured(speech), measured(np.concatenate([speech, silence(8.0)]))
    assert alone.clipping_ratio == pytest.approx(200 / 16_000)
    # 200 ms of hangover after speech are voiced.
    assert padded.clipping_ratio == pytest.approx(200 / 17_600)
    assert padded.silence_ratio == pytest.approx(7.8 / 10.0)


def test_where_nothing_is_voiced_there_is_no_clipping_ratio_and_no_level():
    """Unknown is absent, not 0."""
    window = measured(silence(1.0))
    assert window.silence_ratio == 1.0
    assert window.clipping_ratio is None
    assert window.level_dbfs is None


def test_where_there_is_no_audio_nothing_is_known():
    """A window without audio has no ratios at all."""
    window = AudioMeter().cut()
    assert window.silence_ratio is None
    assert window.clipping_ratio is None
    assert not window.is_digital_silence
    assert AudioMeter().totals is None


@pytest.mark.parametrize("dbfs", [-3.0, -12.0, -26.0, -40.0])
def test_the_level_of_a_sine_is_its_power(dbfs):
    """A sine whose peak is x dB below full scale has a level of x - 3 dB."""
    window = measured(tone(10 ** (dbfs / 20), 2.0, hertz=500.0))
    assert window.level_dbfs == pytest.approx(dbfs - 3.01, abs=0.05)


def test_silence_between_words_is_counted_without_its_hangover():
    """Half speech, half pauses of a second: each pause is 0.2 s shorter by the hangover."""
    audio = np.concatenate([part for _ in range(5) for part in (tone(0.3, 1.0), silence(1.0))])
    window = measured(audio)
    assert window.silence_ratio == pytest.approx(0.4)
    assert [round(end - start, 3) for start, end in window.spoken] == [1.2] * 5


def test_speech_that_fades_is_speech_until_it_is_5_db_below_where_it_began():
    """Hysteresis: -47 dBFS alone is silence, after louder speech it still is speech."""
    faint = tone(10 ** (-44 / 20), 2.0)
    assert measured(faint).silence_ratio == 1.0
    assert measured(np.concatenate([tone(0.3, 1.0), faint])).silence_ratio == 0.0


def test_codes_of_silence_are_told_from_the_noise_of_a_line():
    """Constant codes of mu-law and A-law silence are flagged; line noise is silence too, not so."""
    a_law = np.full(RATE, DIGITAL_SILENCE, np.int16)
    assert measured(silence(1.0)).is_digital_silence
    assert measured(a_law).is_digital_silence
    assert measured(-a_law).is_digital_silence
    noise = np.random.default_rng(1).normal(0, 30, RATE).astype(np.int16)
    assert measured(noise).silence_ratio == 1.0
    assert not measured(noise).is_digital_silence


def test_any_channel_that_clips_counts_once():
    """In stereo, clipping of either channel counts, of both at once too, per sample in time."""
    left, right = tone(0.3, 1.0), tone(0.3, 1.0)
    left[100:104] = 32767
    right[102:106] = -32768
    meter = AudioMeter(LINEAR)
    meter.feed([chunk(np.stack([left, right], axis=1).reshape(-1), channels=2)])
    window = meter.cut()
    assert window.clipped_samples == 6
    assert window.voiced_samples == RATE
    assert window.audio_s == pytest.approx(1.0)


AUDIO = np.concatenate([with_runs([1, 2, 3, 9, 200, 1, 40]), silence(0.7), tone(1.2, 0.8)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, AUDIO.size - 1), max_size=40), st.integers(0, 40))
def test_how_audio_is_split_changes_nothing(borders, flushed_at):
    """Totals are the same for every split into chunks, feeds and windows."""
    whole = measured(AUDIO)
    meter = AudioMeter(LINEAR)
    pieces = np.split(AUDIO, sorted(borders))
    at = 0.0
    for number, piece in enumerate(pieces):
        meter.feed([chunk(piece, at=at)])
        at += piece.size / RATE
        if number == flushed_at:
            meter.cut(at)
    meter.cut()
    totals = meter.totals
    assert totals is not None
    assert totals.clipped_samples == whole.clipped_samples
    assert totals.voiced_samples == whole.voiced_samples
    assert totals.audio_s == pytest.approx(whole.audio_s)
    assert totals.level_dbfs == pytest.approx(whole.level_dbfs)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=6000), st.sampled_from([8000, 11_025, 16_000, 48_000]), st.integers(1, 3))
def test_any_bytes_give_ratios_or_none(data, rate, channels):
    """Whatever the audio is, ratios are within 0 and 1 and the level is at most full scale."""
    whole = data[: len(data) // (2 * channels) * 2 * channels]
    meter = AudioMeter()
    meter.feed([Chunk(0.0, whole, rate, channels)])
    window = meter.cut()
    for ratio in (window.clipping_ratio, window.silence_ratio):
        assert ratio is None or 0.0 <= ratio <= 1.0
    assert window.level_dbfs is None or window.level_dbfs <= 0.01
    assert window.audio_s <= len(whole) / (2 * channels * rate) + 1e-9


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(b).cast("h")])
def test_every_kind_of_buffer_is_read(kind):
    """bytes, bytearray, and views of bytes or of samples are the same audio."""
    meter = AudioMeter(LINEAR)
    meter.feed([Chunk(0.0, kind(with_runs([5]).tobytes()), RATE)])
    assert meter.cut().clipped_samples == 5


@pytest.mark.parametrize(
    "wrong",
    [
        Chunk(0.0, b"\0", RATE),
        Chunk(0.0, b"\0\0" * 3, RATE, 2),
        Chunk(0.0, b"\0\0", 0),
        Chunk(0.0, b"\0\0", RATE, 0),
    ],
)
def test_what_is_no_audio_is_refused(wrong):
    """Half samples, no rate and no channels raise ValueError; the meter goes on after it."""
    meter = AudioMeter(LINEAR)
    with pytest.raises(ValueError, match=r"no audio|whole samples"):
        meter.feed([wrong])
    meter.feed([chunk(tone(0.3, 1.0))])
    assert meter.cut().audio_s == pytest.approx(1.0)


def test_another_sample_rate_begins_anew():
    """A change of format drops less than a block and no more."""
    meter = AudioMeter(LINEAR)
    meter.feed([chunk(tone(0.3, 1.01)), chunk(tone(0.3, 1.0, 24_000), at=1.01, rate=24_000)])
    window = meter.cut()
    assert window.audio_s == pytest.approx(2.0)
    assert window.silence_ratio == 0.0


def test_a_window_holds_what_begins_before_its_end():
    """Audio of later times waits for the next window; windows lie side by side."""
    meter = AudioMeter(LINEAR)
    meter.feed([chunk(tone(0.3, 3.0), at=100.0)])
    first, second, rest = meter.cut(101.0), meter.cut(102.0), meter.cut(103.0)
    assert (first.start, first.end, second.start, rest.end) == (100.0, 101.0, 101.0, 103.0)
    assert [round(w.audio_s, 6) for w in (first, second, rest)] == [1.0, 1.0, 1.0]


def test_speech_that_was_not_played_is_forgotten():
    """After an interruption only what was played before it counts."""
    meter = AudioMeter(LINEAR)
    meter.feed([chunk(tone(0.3, 3.0), at=100.0)])
    meter.drop_from(101.0)
    window = meter.cut(105.0)
    assert window.audio_s == pytest.approx(1.0)
    assert window.spoken == ((100.0, pytest.approx(101.0)),)


def test_chunks_with_a_hole_between_them_keep_their_times():
    """Speech is told at the times of its chunks, not as if they followed each other."""
    meter = AudioMeter(LINEAR)
    meter.feed([chunk(tone(0.3, 1.0), at=10.0), chunk(tone(0.3, 1.0), at=15.0)])
    assert meter.cut().spoken == (
        (10.0, pytest.approx(11.0)),
        (15.0, pytest.approx(16.0)),
    )


# Arrival -----------------------------------------------------------------------------------------


def gaps_of(arrivals: list[float], duration: float = 0.01) -> list[int | None]:
    """Holes found by a cut each second, when frames of `duration` come at these times."""
    found = Arrivals()
    cuts: list[int | None] = []
    due = math.floor(arrivals[0]) + 1.0
    for at in arrivals:
        while at >= due:
            cuts.append(found.cut())
            due += 1.0
        found.take(at, duration)
    cuts.append(found.cut())
    return cuts


def paced(seconds: float, start: float = 0.0) -> list[float]:
    return [start + n * 0.01 for n in range(round(seconds * 100))]


def test_a_constant_pace_has_no_holes():
    """Frames of 10 ms every 10 ms: no hole in any second."""
    assert sum(count or 0 for count in gaps_of(paced(20.0))) == 0


def test_a_stall_that_a_burst_makes_up_is_no_hole():
    """The loop stood still for 0.9 s and then got all frames at once."""
    arrivals = [4.3 if 3.4 < at < 4.3 else at for at in paced(10.0)]
    assert sum(count or 0 for count in gaps_of(arrivals)) == 0


def test_audio_that_never_came_is_a_hole():
    """Two holes of 0.3 s, a few seconds apart, are two; the missing time is told too."""
    arrivals = [at for at in paced(12.0) if not (3.2 < at < 3.5 or 7.2 < at < 7.5)]
    assert sum(count or 0 for count in gaps_of(arrivals)) == 2
    found = Arrivals()
    for second in range(12):
        for at in arrivals:
            if second <= at < second + 1:
                found.take(at, 0.01)
        found.cut()
    assert found.missing_s == pytest.approx(0.6, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, HOLE_S * 0.9), min_size=400, max_size=400))
def test_jitter_of_arrival_is_no_hole(delays):
    """Frames late by less than a hole, each by another time, are no hole."""
    arrivals = sorted(at + late for at, late in zip(paced(4.0), delays, strict=True))
    assert sum(count or 0 for count in gaps_of(arrivals)) == 0


def test_a_second_without_frames_says_nothing():
    """Where nothing came there is no count, neither 0 nor 1."""
    found = Arrivals()
    assert found.cut() is None
    found.take(1.0, 0.01)
    assert found.cut() == 0
    found.restart()
    assert found.cut() is None


# Dead air ----------------------------------------------------------------------------------------


def test_dead_air_is_where_neither_side_speaks():
    """Speech of either side ends it; the longest stretch is told, the current one included."""
    air = DeadAir()
    assert air.longest_s is None
    air.note(0.0, 10.0, [(1.0, 2.0), (1.5, 4.0)])
    assert (air.longest_s, air.current_s) == (6.0, 6.0)
    air.note(10.0, 20.0, [(12.0, 13.0), (19.0, 20.0)])
    assert (air.longest_s, air.current_s) == (8.0, 0.0)


def test_dead_air_at_the_start_counts():
    """From the first audio on, nobody speaking is dead air."""
    air = DeadAir()
    air.note(5.0, 6.0, [])
    air.note(6.0, 9.0, [(8.0, 9.0)])
    assert air.longest_s == 3.0


def test_dead_air_before_a_restart_is_forgotten():
    """While it rings nobody is expected to speak; who spoke at the answer was not silent since."""
    air = DeadAir()
    air.restart(1.0)
    assert air.longest_s is None
    air.note(0.0, 30.0, [])
    air.restart(29.0)
    air.note(30.0, 31.0, [])
    assert air.longest_s == 2.0
    air.note(31.0, 40.0, [(31.0, 40.0)])
    air.restart(39.0)
    assert air.longest_s == 0.0


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 20)).map(lambda p: (p[0], p[0] + p[1])),
        max_size=20,
    )
)
def test_dead_air_is_the_longest_hole_of_all_speech_together(intervals):
    """However many intervals overlap, the longest stretch is that of their union."""
    air = DeadAir()
    air.note(0.0, 120.0, intervals)
    covered, longest = 0.0, 0.0
    for start, end in sorted(intervals):
        longest = max(longest, start - covered)
        covered = max(covered, end)
    assert air.longest_s == pytest.approx(max(longest, 120.0 - covered))
