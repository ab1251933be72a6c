"""What a diagnosis says, as the attributes of the root call span."""

from __future__ import annotations

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.course import course_of
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.diagnosis.scores import with_scores
from trunktrace.diagnosis.story import Story
from trunktrace.timeline import recording_delay_ms

RootValue = Value | list[str]


def root_facts(story: Story, diagnosis: Diagnosis) -> dict[str, RootValue]:
    """Everything known about the call and what it amounts to, keyed as on the root call span.

    `trunktrace.failure.evidence` and `trunktrace.sources` are lists; unknown keys are absent.
    """
    facts: dict[str, RootValue] = {**with_scores(story.facts), **verdict_facts(diagnosis)}
    delay = recording_delay_ms(story.marks, course_of(story).answered_at)
    if delay is not None:
        facts[c.TRUNKTRACE_RECORDING_START_DELAY_MS] = delay
    if story.sources:
        facts[c.TRUNKTRACE_SOURCES] = sorted(story.sources)
    return dict(sorted(facts.items()))


def verdict_facts(diagnosis: Diagnosis) -> dict[str, RootValue]:
    """Fault, outcome, media state, and the worst failure mode with the evidence for it."""
    said: dict[str, RootValue | None] = {
        c.TRUNK_FAULT: diagnosis.fault,
        c.SIP_CALL_OUTCOME: diagnosis.outcome,
        c.SIP_CALL_OUTCOME_DETAIL: diagnosis.outcome_detail,
        c.TRUNKTRACE_MEDIA_STATE: diagnosis.media_state,
    }
    facts = {key: value for key, value in said.items() if value is not None}
    if diagnosis.findings:
        worst = diagnosis.findings[0].mode
        rules = {r for f in diagnosis.findings if f.mode == worst for r in f.evidence}
        facts[c.TRUNKTRACE_FAILURE_MODE] = worst
        facts[c.TRUNKTRACE_FAILURE_EVIDENCE] = sorted(rules)
    return facts
