"""Failover loop: attempts that go round, or on where no other trunk can help (`FOL-*`).

A call that was refused by one trunk and answered by the next is no loop: it recovered.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from trunktrace import conventions as c
from trunktrace.diagnosis.course import Course, course_of
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.sip.codes import LOOP_CODES, meaning_of
from trunktrace.timeline import Attempt

MODE: Final = "failover_loop"
OURS: Final = frozenset({"FOL-1", "FOL-2", "FOL-4", "FOL-5"})
"""Rules that our own choice of the next trunk broke."""

_TRANSIENT: Final = frozenset({491})
"""Not an end of the call: the same INVITE is sent again (RFC 3261, 14.1)."""


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The finding of a failover loop, if there is one."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The finding, with whose fault it is: where to go on to is the operator's to say."""
    del course
    if story.facts.get(c.SIP_CALL_DIRECTION) == "inbound":
        return ()  # whom the agent dials from it (a transfer) is another call
    tried = [attempt for attempt in story.attempts if attempt.status_code not in _TRANSIENT]
    return tuple(
        judged for run in _runs(tried) if run and (judged := _judged(run, thresholds)) is not None
    )[:1]


def _runs(tried: Iterable[Attempt]) -> list[list[Attempt]]:
    """Attempts apart at each answer: what is dialled after it is another call to somebody."""
    runs: list[list[Attempt]] = [[]]
    for attempt in tried:
        runs[-1].append(attempt)
        if attempt.answered:
            runs.append([])
    return runs


def _judged(tried: Sequence[Attempt], thresholds: Thresholds) -> Judged | None:
    evidence = {
        rule
        for rule, holds in (
            ("FOL-1", _goes_round(tried)),
            ("FOL-2", len(tried) > thresholds.failover.most_attempts),
            ("FOL-3", any(attempt.status_code in LOOP_CODES for attempt in tried)),
            ("FOL-4", any(not goes_on(attempt) for attempt in tried[:-1])),
            ("FOL-5", _repeats(tried)),
        )
        if holds
    }
    if not evidence:
        return None
    finding = Finding(
        mode=MODE,
        evidence=tuple(sorted(evidence)),
        start=tried[0].start,
        end=tried[-1].end or tried[-1].start,
        detail=path_of(tried),
    )
    return Judged(finding, "operator" if evidence & OURS else None)


def goes_on(attempt: Attempt) -> bool:
    """Whether another trunk may be tried after this attempt.

    By the answer of `sip/codes.py`; where there was none, nobody said no.
    """
    if attempt.status_code is None:
        return True
    return meaning_of(attempt.status_code, reason=attempt.reason).goes_on


def path_of(attempts: Sequence[Attempt]) -> str:
    """The attempts in words: `telnyx:503>twilio:200`, by carrier, route or trunk id."""
    return ">".join(f"{_name(attempt)}:{_result(attempt)}" for attempt in attempts)


def _name(attempt: Attempt) -> str:
    return attempt.carrier or attempt.route or attempt.trunk_id or "trunk"


def _result(attempt: Attempt) -> str:
    if attempt.status_code is not None:
        return str(attempt.status_code)
    return attempt.failure or "open"


def _key(attempt: Attempt) -> tuple[str | None, str | None] | None:
    """By what two attempts are one way: carrier and route, else the trunk."""
    if attempt.route is not None or (attempt.carrier is not None and attempt.trunk_id is None):
        return attempt.carrier, attempt.route
    return None if attempt.trunk_id is None else (attempt.trunk_id, None)


def _goes_round(tried: Sequence[Attempt]) -> bool:
    seen: list[tuple[str | None, str | None]] = []
    for attempt in tried:
        key = _key(attempt)
        if key is None:
            continue
        if key in seen and seen[-1] != key:
            return True
        seen.append(key)
    return False


def _repeats(tried: Sequence[Attempt]) -> bool:
    """Whether the same way was tried twice in a row and did not work the second time either."""
    for former, latter in itertools.pairwise(tried):
        key = _key(former)
        if key is not None and key == _key(latter) and latter.over and not latter.answered:
            return True
    return False
