"""The attempts of a call: each once, with what every source knows of it.

Attempts are on two levels. LiveKit's are the INVITEs of our side; those of a PBX or proxy are what
became of one of them further on. They are never put in one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.legs import is_of_our_side
from trunktrace.diagnosis.runs import advances, path_of, runs_of
from trunktrace.facts import Observation
from trunktrace.timeline import Attempt

_NEAR_S: Final = 2.0
"""Two records of one attempt say that it began, or ended, this near to each other."""

_WAITED_IN_VAIN: Final = 408


def attempts_of(told: Iterable[Observation]) -> tuple[Attempt, ...]:
    """Each attempt once, in the order of their starts."""
    merged: list[tuple[set[str], Attempt]] = []
    for one in told:
        for attempt in one.attempts:
            at = next(
                (i for i, known in enumerate(merged) if _same(one.source, attempt, known)), -1
            )
            if at < 0:
                merged.append(({one.source}, attempt))
            else:
                sources, known = merged[at]
                merged[at] = (sources | {one.source}, _joined(known, attempt))
    return tuple(sorted((attempt for _, attempt in merged), key=_start))


def _start(attempt: Attempt) -> float:
    return attempt.start if attempt.start is not None else 0.0


def _same(source: str, one: Attempt, known: tuple[set[str], Attempt]) -> bool:
    sources, other = known
    if one.livekit_call_id and other.livekit_call_id:
        return one.livekit_call_id == other.livekit_call_id
    named_apart = bool(one.trunk_id and other.trunk_id and one.trunk_id != other.trunk_id)
    if source in sources or is_of_our_side(source):
        return not named_apart and _near(one.start, other.start)
    # Each system has its own name for a gateway, and its own number of them.
    if one.status_code and other.status_code and one.status_code != other.status_code:
        return False
    return _near(one.start, other.start) or _ended_alike(one, other)


def _near(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= _NEAR_S


def _ended_alike(one: Attempt, other: Attempt) -> bool:
    """Whether two systems tell of one end: some know when the INVITE was sent, some only that."""
    if one.status_code != other.status_code or not (one.over and other.over):
        return False
    if one.end is None or other.end is None:
        return one.start is None or other.start is None
    return _near(one.end, other.end)


def _joined(known: Attempt, more: Attempt) -> Attempt:
    """An attempt with what another source adds; a final code stands before any other end.

    But for the 408 of a proxy that waited in vain, beside one who saw that nothing came.
    """
    added = {
        item.name: getattr(more, item.name)
        for item in fields(Attempt)
        if getattr(known, item.name) is None
    }
    both = replace(
        known,
        **added,
        own_cancel=known.own_cancel or more.own_cancel,
        aside=known.aside or more.aside,
    )
    if both.failure == "no_response" and both.status_code == _WAITED_IN_VAIN:
        return replace(both, status_code=None, reason=None)
    return replace(both, failure=None) if both.status_code is not None else both


def facts_of(attempts: Sequence[Attempt]) -> dict[str, Value]:
    """How often the call was tried, and over which trunks, until it was answered."""
    runs = runs_of(attempts)
    if not runs:
        return {}
    run = next((run for run in runs if run[-1].answered), runs[-1])
    facts: dict[str, Value] = {c.SIP_ATTEMPT_COUNT: len(run)}
    if run[-1].status_code is not None:
        facts[c.SIP_RESPONSE_STATUS_CODE] = run[-1].status_code
    return facts | _failovers(run)


def failover_facts(attempts: Sequence[Attempt]) -> dict[str, Value]:
    """How often the call went on to another trunk, and its path; empty where it never did.

    Of the attempts to the number that was dialled last, up to its answer; without those beside the
    call. A count of 0 where it had gone on for another number before.
    """
    *former, run = runs_of(attempts) or ((),)
    facts = _failovers(run)
    if not facts and any(_failovers(one) for one in former):
        return {c.TRUNK_FAILOVER_COUNT: 0, c.TRUNK_FAILOVER_PATH: path_of(run)}
    return facts


def _failovers(run: Sequence[Attempt]) -> dict[str, Value]:
    count = sum(1 for _ in advances(run))
    return {c.TRUNK_FAILOVER_COUNT: count, c.TRUNK_FAILOVER_PATH: path_of(run)} if count else {}
