"""The story of a call out of what each source says about it.

Facts are merged by how far each source is believed. Legs are kept apart: of several attempts or
participants, one is the call (the inbound leg; else the attempt that was answered; else the last
one), and of the others only the attempt counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.failover_loop import path_of
from trunktrace.diagnosis.story import Story
from trunktrace.facts import Observation
from trunktrace.media import MediaBook
from trunktrace.timeline import Attempt, Mark, MarkKind
from trunktrace.windows import MediaWindow

_BELIEVED: Final = ("api", "livekit-sip")
_HEARSAY: Final = ("livekit", "livekit-participant", "livekit-webhook", "livekit-spans")
"""First who saw the signalling itself, then carriers and SBCs, then who was told by LiveKit, and
last what was written down once."""

OF_A_LEG: Final[frozenset[MarkKind]] = frozenset(
    {"invite", "ringing", "answered", "hangup", "media_timeout", "caller_track", "hold"}
)

_OURS: Final = frozenset(
    {
        c.TRUNK_FAULT,
        c.TRUNKTRACE_MEDIA_STATE,
        c.TRUNKTRACE_FAILURE_MODE,
        c.TRUNKTRACE_FAILURE_EVIDENCE,
        c.RTP_LOSS_RATIO,
        c.RTP_LOSS_METHOD,
    }
)
"""What a diagnosis makes: a record that repeats one is no evidence for the next."""

_NEAR_S: Final = 2.0
"""Two records of one attempt say that it began this near to each other."""


def story_of(observations: Iterable[Observation]) -> Story:
    """Everything that sources say about one call that is over, as one value.

    The observations must be of one call: of one room, with all attempts to reach one party. Facts
    are those of the leg that is the call, with the media totals of its windows; marks and windows
    of other legs are left out.
    """
    told = sorted(observations, key=_rank)
    attempts = _attempts(told)
    main = _main_leg(told, attempts)
    ours = [one for one in told if _is_of(one, main)]
    if any(one.facts.get(c.SIP_CALL_DIRECTION) == "inbound" for one in ours):
        attempts = ()  # whom the agent dials from an inbound call is not its caller
    windows = tuple(sorted(_windows(ours), key=lambda window: (window.start, window.end)))
    differs = [one.identity_differs for one in ours if one.identity_differs is not None]
    return Story(
        facts={**_totals(windows), **_of_attempts(attempts), **_facts(ours)},
        windows=windows,
        marks=tuple(sorted(_marks(told, main), key=lambda mark: mark.start)),
        attempts=attempts,
        sources=frozenset(o.source for o in told) | frozenset(w.source for w in windows),
        identity_differs=any(differs) if differs else None,
    )


def _rank(observation: Observation) -> int:
    source = observation.source
    if source in _BELIEVED:
        return _BELIEVED.index(source)
    if source in _HEARSAY:
        return len(_BELIEVED) + 1 + _HEARSAY.index(source)
    return len(_BELIEVED)


def _leg_id(observation: Observation) -> str | None:
    return observation.ids.get("livekit_call_id")


def _main_leg(told: Sequence[Observation], attempts: Sequence[Attempt]) -> str | None:
    """The id of the leg that is the call; None where no source names any."""
    named = sorted(
        (one for one in told if _leg_id(one) is not None),
        key=lambda one: one.start if one.start is not None else float("inf"),
    )
    for one in named:
        if one.facts.get(c.SIP_CALL_DIRECTION) == "inbound":
            return _leg_id(one)
    answered = [attempt.livekit_call_id for attempt in attempts if attempt.answered]
    dialled = [attempt.livekit_call_id for attempt in attempts if attempt.livekit_call_id]
    if answered and answered[0] is not None:
        return answered[0]
    if dialled:
        return dialled[-1]
    return _leg_id(named[0]) if named else None


def _is_of(observation: Observation, main: str | None) -> bool:
    leg = _leg_id(observation)
    return leg is None or main is None or leg == main


def _facts(ours: Sequence[Observation]) -> dict[str, Value]:
    """The first word on each key; `ours` come with the most believed first."""
    merged: dict[str, Value] = {}
    for one in ours:
        for key, value in one.facts.items():
            if key not in _OURS:
                merged.setdefault(key, value)
    return merged


def _windows(ours: Iterable[Observation]) -> Iterator[MediaWindow]:
    seen: set[MediaWindow] = set()
    for one in ours:
        for window in one.windows:
            if window not in seen:
                seen.add(window)
                yield window


def _marks(told: Iterable[Observation], main: str | None) -> Iterator[Mark]:
    seen: set[Mark] = set()
    for one in told:
        for mark in one.marks:
            if mark.kind in OF_A_LEG and not _is_of(one, main):
                continue
            if mark not in seen:
                seen.add(mark)
                yield mark


def _attempts(told: Iterable[Observation]) -> tuple[Attempt, ...]:
    """Each attempt once, with what every source knows of it, in the order of their starts."""
    merged: list[Attempt] = []
    for one in told:
        for attempt in one.attempts:
            at = next((i for i, other in enumerate(merged) if _same(attempt, other)), None)
            if at is None:
                merged.append(attempt)
            else:
                merged[at] = _joined(merged[at], attempt)
    return tuple(sorted(merged, key=lambda one: one.start if one.start is not None else 0.0))


def _same(one: Attempt, other: Attempt) -> bool:
    if one.livekit_call_id and other.livekit_call_id:
        return one.livekit_call_id == other.livekit_call_id
    if one.trunk_id and other.trunk_id and one.trunk_id != other.trunk_id:
        return False
    if one.start is None or other.start is None:
        return False
    return abs(one.start - other.start) <= _NEAR_S


def _joined(known: Attempt, more: Attempt) -> Attempt:
    """An attempt with what another source adds; a final code stands before any other end."""
    added = {
        item.name: getattr(more, item.name)
        for item in fields(Attempt)
        if getattr(known, item.name) is None
    }
    both = replace(known, **added)
    return replace(both, failure=None) if both.status_code is not None else both


def _of_attempts(attempts: Sequence[Attempt]) -> dict[str, Value]:
    """How often the call was tried, and over which trunks, until it was answered."""
    run: list[Attempt] = []
    for attempt in attempts:
        run.append(attempt)
        if attempt.answered:
            break
    if not run:
        return {}
    facts: dict[str, Value] = {c.SIP_ATTEMPT_COUNT: len(run)}
    if run[-1].status_code is not None:
        facts[c.SIP_RESPONSE_STATUS_CODE] = run[-1].status_code
    if len(run) > 1:
        facts |= {c.TRUNK_FAILOVER_COUNT: len(run) - 1, c.TRUNK_FAILOVER_PATH: path_of(run)}
    return facts


def _totals(windows: Iterable[MediaWindow]) -> dict[str, Value]:
    """The media attributes of the root, over the whole call."""
    book = MediaBook()
    places: dict[tuple[str, str], None] = {}
    for window in windows:
        book.add(window)
        places[window.leg, window.direction] = None
    facts: dict[str, Value] = {}
    for leg, direction in places:
        facts |= book.root_values(leg, direction)
    return facts
