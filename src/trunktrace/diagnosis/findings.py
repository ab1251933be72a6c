"""What the rules answer: findings with their evidence, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from trunktrace.windows import Leg, MediaDirection


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One failure mode that was detected, with the rules that say so and the time it is about.

    `mode` is one of `conventions.FAILURE_MODES`; `evidence` holds rule ids (`OWA-1`, `MED-2`),
    sorted. `leg` and `direction` are None where the finding is about neither (a busy callee).
    `start` and `end` are unix seconds; `end` is None while it goes on, both are None where no
    source gave a time. `detail` says in words what was seen, without any number of a person.
    """

    mode: str
    evidence: tuple[str, ...]
    leg: Leg | None = None
    direction: MediaDirection | None = None
    start: float | None = None
    end: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings about one call, the worst first, and whose fault it was.

    `fault` is one of `conventions.FAULTS`; None where the evidence does not reach. `outcome` is one
    of `conventions.OUTCOMES`, with `outcome_detail` beside it where the final code says more.
    `media_state` is one of `conventions.MEDIA_STATES`; None where nobody watched the media.
    """

    findings: tuple[Finding, ...] = ()
    fault: str | None = None
    outcome: str | None = None
    outcome_detail: str | None = None
    media_state: str | None = None
