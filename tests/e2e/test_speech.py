"""The caller's voice: two callers of one test may have to be given the same words at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from . import speech

CALLERS = 4
TIMES = 5


def test_callers_that_say_the_same_at_once_are_each_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is cached on a fresh clone: every caller makes the sentence, and none breaks."""
    monkeypatch.setattr(speech, "CACHE", tmp_path)
    together = Barrier(CALLERS)

    def say(text: str) -> bytes:
        together.wait()
        return bytes(speech.frame(text).data)

    with ThreadPoolExecutor(CALLERS) as callers:
        for number in range(TIMES):
            heard = list(callers.map(say, [f"Sentence {number}."] * CALLERS))
            # Not the same samples: espeak-ng's hiss is noise, made anew each time.
            assert len(set(map(len, heard))) == 1
            assert len(heard[0]) > speech.SAMPLE_RATE
    kept = sorted(path.suffix for path in (tmp_path / "speech").iterdir())
    assert kept == [".pcm"] * TIMES
