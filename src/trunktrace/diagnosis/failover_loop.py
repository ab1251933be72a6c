"""Failover loop: attempts that go round, or on where no other trunk can help (`FOL-*`).

A call that was refused by one trunk and answered by the next is no loop: it recovered.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.diagnosis.course import Course, course_of
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.runs import Way, path_of, runs_of, way_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.sip.codes import LOOP_CODES
from trunktrace.sip.failover import decide
from trunktrace.timeline import Attempt

MODE: Final = "failover_loop"
OURS: Final = frozenset({"FOL-1", "FOL-2", "FOL-4", "FOL-5"})
"""Rules that our own choice of the next trunk broke."""

_TRANSIENT: Final = frozenset({491})
"""Not an end of the call: the same INVITE is sent again (RFC 3261, 14.1)."""

_SERVER: Final = 5
"""First digit of a server's own failure."""

_NO_ANSWER: Final = frozenset({None, "no_bridge", "other", "unanswered"})
"""Ends after which nobody is known to have said no."""


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The finding of a failover loop, if there is one."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The finding, with whose fault it is: where to go on to is the operator's to say."""
    del course
    if story.facts.get(c.SIP_CALL_DIRECTION) == "inbound":
        return ()  # whom the agent dials from it (a transfer) is another call
    tried = [attempt for attempt in story.attempts if attempt.status_code not in _TRANSIENT]
    judged = (_judged(run, thresholds) for run in runs_of(tried))
    return tuple(one for one in judged if one is not None)[:1]


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
    """Whether going on after this attempt was right, as far as it is known.

    By `sip.failover.decide`, but nobody is blamed for what nobody saw. Progress that is not known
    counts as none. A 18x is no proof of ringing (183), so what a server's failure (5xx) ended after
    it is not held against who went on. Nor is an end that is not known, or a request that no bridge
    took: nobody said no. An attempt that our side gave up is judged as one that rang for too long.
    """
    if attempt.status_code is None and attempt.failure in _NO_ANSWER:
        return not attempt.progress
    failed_beyond = attempt.status_code is not None and attempt.status_code // 100 == _SERVER
    judged = replace(attempt, progress=bool(attempt.progress) and not failed_beyond)
    if attempt.own_cancel or attempt.failure == "canceled":
        judged = replace(judged, own_cancel=False, status_code=None, failure="timeout")
    return decide(judged).goes_on


def _goes_round(tried: Sequence[Attempt]) -> bool:
    seen: list[Way] = []
    for attempt in tried:
        key = way_of(attempt)
        if key is None:
            continue
        if key in seen and seen[-1] != key:
            return True
        seen.append(key)
    return False


def _repeats(tried: Sequence[Attempt]) -> bool:
    """Whether the same way was tried twice in a row and did not work the second time either."""
    for former, latter in itertools.pairwise(tried):
        key = way_of(former)
        if key is not None and key == way_of(latter) and latter.over and not latter.answered:
            return True
    return False
