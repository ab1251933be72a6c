"""Real speech: espeak-ng says a text once, and the samples are cached beside the servers."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from livekit import rtc

from .build import CACHE

SAMPLE_RATE = 16_000
_BLOCK = SAMPLE_RATE // 100 * 2
_LARGEST = 32_767


class NoSpeech(RuntimeError):
    """espeak-ng is not installed; the message says how to get it."""


def frame(text: str, gain: float = 1.0) -> rtc.AudioFrame:
    """`text` as one mono frame of 16 kHz, filled up with silence to whole 10 ms.

    With a `gain` the samples are clipped where they do not fit, as a bad gateway would do it.
    """
    samples = _samples(text)
    if gain != 1.0:
        louder = np.frombuffer(samples, dtype=np.int16).astype(np.float64) * gain
        samples = louder.clip(-_LARGEST, _LARGEST).astype(np.int16).tobytes()
    padded = samples + bytes(-len(samples) % _BLOCK)
    return rtc.AudioFrame(padded, SAMPLE_RATE, 1, len(padded) // 2)


def _samples(text: str) -> bytes:
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    cached = CACHE / "speech" / f"{key}.pcm"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        # Callers that say the same at the same time must not meet: each has a folder of its own.
        with tempfile.TemporaryDirectory(dir=cached.parent) as own:
            unfinished = Path(own) / cached.name
            unfinished.write_bytes(_say(text, Path(own)))
            unfinished.replace(cached)
    return cached.read_bytes()


def _say(text: str, folder: Path) -> bytes:
    program = shutil.which("espeak-ng")
    if program is None:
        raise NoSpeech(
            "espeak-ng is needed: it speaks for the caller of the end-to-end tests. "
            "Install it (Debian, Ubuntu: apt-get install espeak-ng) and run again."
        )
    spoken = folder / "spoken.wav"
    subprocess.run([program, "-s", "190", "-w", str(spoken), text], check=True)
    with wave.open(str(spoken), "rb") as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    resampler = rtc.AudioResampler(rate, SAMPLE_RATE)
    resampled = [*resampler.push(bytearray(samples)), *resampler.flush()]
    return b"".join(bytes(one.data.cast("b")) for one in resampled)
