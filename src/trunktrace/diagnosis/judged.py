"""A finding with what the verdict needs to know beside it."""

from __future__ import annotations

from dataclasses import dataclass

from trunktrace.diagnosis.findings import Finding


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding, whose fault it is (None where the evidence does not reach), and how bad.

    `state` is one of `conventions.MEDIA_STATES` for findings about media, else None.
    """

    finding: Finding
    fault: str | None = None
    state: str | None = None


def findings_of(judged: tuple[Judged, ...]) -> tuple[Finding, ...]:
    """The findings alone."""
    return tuple(one.finding for one in judged)
