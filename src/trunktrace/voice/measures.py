"""The voice agent's numbers of one call, from its marks: the same live and from files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace import conventions as c
from trunktrace.timeline import Mark, MarkKind, recording_delay_ms

ANSWER_LAG_S: Final = 0.5
"""How much later than the 2xx the agent may hear of it: LiveKit says `active` by an attribute that
travels over the server, and the bridge answers as soon as the agent's track is subscribed, so that
a greeting often starts some milliseconds before. Speech that began earlier was spoken while it
rang."""

_RESULTS: Final = {"ok": "completed", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer: `to` is `human` or `other`, `result` is `completed` or `failed`."""

    to: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceMeasures:
    """What the conversation was like; durations in seconds, unless the name says otherwise.

    `time_to_first_audio_s` is from the answer to the first agent audio after it, 0 where that was
    flowing already; None where no answer or no agent audio is known. `response_times_s` has one
    entry for each answer of the agent whose question's end is known.
    `recording_start_delay_ms` is from the answer to the first recorded audio, 0 where it ran
    before; None where no recording or no answer is known. The counts are 0 where nothing happened.
    """

    time_to_first_audio_s: float | None = None
    response_times_s: tuple[float, ...] = ()
    user_turns: int = 0
    agent_turns: int = 0
    barge_ins: int = 0
    corrections: int = 0
    transfers: tuple[Transfer, ...] = ()
    tasks: tuple[str, ...] = ()
    recording_start_delay_ms: float | None = None


def measures_of(marks: Iterable[Mark], facts: Mapping[str, object] | None = None) -> VoiceMeasures:
    """The measures of a call by its marks, in any order; `facts` are by attribute key.

    Never raises for marks of `MARK_KINDS`; a value that cannot be read is left out.
    """
    ordered = sorted(marks, key=lambda mark: mark.start)
    answered = _first_start(ordered, "answered")
    return VoiceMeasures(
        time_to_first_audio_s=_time_to_first_audio(ordered, answered),
        response_times_s=tuple(_response_times(ordered)),
        user_turns=_count(ordered, "user_turn"),
        agent_turns=_count(ordered, "agent_turn"),
        barge_ins=_count(ordered, "barge_in"),
        corrections=_count(ordered, "correction"),
        transfers=tuple(_transfers(ordered)),
        tasks=tuple(mark.value for mark in ordered if mark.kind == "task"),
        recording_start_delay_ms=_recording_delay(ordered, facts or {}),
    )


def _of_kind(marks: Sequence[Mark], *kinds: MarkKind) -> list[Mark]:
    return [mark for mark in marks if mark.kind in kinds]


def _count(marks: Sequence[Mark], kind: MarkKind) -> int:
    return len(_of_kind(marks, kind))


def _first_start(marks: Sequence[Mark], kind: MarkKind) -> float | None:
    return next((mark.start for mark in marks if mark.kind == kind), None)


def _time_to_first_audio(marks: Sequence[Mark], answered: float | None) -> float | None:
    if answered is None:
        return None
    for mark in _of_kind(marks, "agent_speaking"):
        if mark.start >= answered:
            return mark.start - answered
        went_on = mark.end is None or mark.end > answered
        if went_on and answered - mark.start <= ANSWER_LAG_S:
            return 0.0
    return None


def _response_times(marks: Sequence[Mark]) -> Iterable[float]:
    for mark in _of_kind(marks, "agent_turn"):
        try:
            value = float(mark.value)
        except ValueError:
            continue
        if math.isfinite(value) and value >= 0:
            yield value


def _transfers(marks: Sequence[Mark]) -> Iterable[Transfer]:
    for mark in _of_kind(marks, "transfer"):
        to, _, result = mark.value.partition(":")
        if to in ("human", "other") and result in _RESULTS:
            yield Transfer(to, _RESULTS[result])


def _recording_delay(marks: Sequence[Mark], facts: Mapping[str, object]) -> float | None:
    delay = recording_delay_ms(marks)
    if delay is not None:
        return delay
    stated = facts.get(c.TRUNKTRACE_RECORDING_START_DELAY_MS)
    return float(stated) if isinstance(stated, (int, float)) else None
