"""Call setup failure: the call was never answered, and not because we gave it up (`CSF-*`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.diagnosis.course import Course, course_of
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.judged import Judged, findings_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.sip.codes import FinalCode, meaning_of, unanswered
from trunktrace.timeline import Attempt

MODE: Final = "call_setup_failure"

_RULE_OF: Final = {
    "timeout": "CSF-2",
    "no_response": "CSF-3",
    "transport": "CSF-3",
    "dns": "CSF-3",
    "auth": "CSF-1",
    "other": "CSF-7",
    "sdp": "CSF-4",
    "no_bridge": "CSF-5",
}

_CANCELED: Final = 487


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call that was not answered ended: what it means, and under which rule it is told.

    `rule` is None where it is no failure: we gave the call up ourselves.
    """

    meaning: FinalCode
    rule: str | None
    detail: str


def find(story: Story, thresholds: Thresholds) -> tuple[Finding, ...]:
    """The finding of a call that could not be set up, if it is one."""
    return findings_of(judge(story, course_of(story), thresholds))


def judge(story: Story, course: Course, thresholds: Thresholds) -> tuple[Judged, ...]:
    """The finding, with whose fault it is."""
    del thresholds  # no threshold: a call was answered or it was not
    ending = ending_of(story, course)
    if ending is None or ending.rule is None:
        return ()
    last = _last(story)
    start = (last.start if last else None) or _invited(story)
    end = (last.end if last else None) or course.ended_at
    finding = Finding(
        mode=MODE, evidence=(ending.rule,), start=start, end=end, detail=ending.detail
    )
    return (Judged(finding, ending.meaning.fault),)


def ending_of(story: Story, course: Course) -> Ending | None:
    """How the call ended unanswered; None where it was answered, or may still be.

    While a call goes on that is never known: after a refusal the next trunk may be tried.
    """
    if course.answered or story.now is not None:
        # While the job goes on a next attempt may follow, and be answered.
        return None
    last = _last(story)
    code = last.status_code if last else story.facts.get(c.SIP_RESPONSE_STATUS_CODE)
    if last is None or last.failure is None:
        beyond = _refused_beyond(story, last)
        if beyond is not None:
            return beyond
    if isinstance(code, int) and code >= 300:
        return _refused(story, last, code)
    if last is not None and last.failure is not None:
        return _failed(last, last.failure)
    return _unexplained(story, course)


def _last(story: Story) -> Attempt | None:
    return story.attempts[-1] if story.attempts else None


def _invited(story: Story) -> float | None:
    return min((m.start for m in story.marks if m.kind in ("invite", "ringing")), default=None)


def _refused_beyond(story: Story, last: Attempt | None) -> Ending | None:
    """By what came from beyond the PBX, where it says no; a 487 there is only our own CANCEL."""
    far = story.far_answer
    if far is None or far.code < 300 or far.code == _CANCELED:
        return None
    meaning = meaning_of(
        far.code,
        reason=far.reason,
        q850_cause=far.q850_cause,
        progress=_progress(story, last),
    )
    name = f"{far.code} {meaning.meaning}".strip()
    handed_on = story.facts.get(c.SIP_RESPONSE_STATUS_CODE)
    if isinstance(handed_on, int) and handed_on != far.code:
        name = f"the far side answered {name}, and {handed_on} was handed on"
    return Ending(meaning, "CSF-1", name)


def _refused(story: Story, last: Attempt | None, code: int) -> Ending:
    told = story.facts.get(c.SIP_RESPONSE_REASON)
    reason = last.reason if last else None
    if reason is None and isinstance(told, str):
        reason = told
    cause = story.facts.get(c.SIP_REASON_Q850)
    meaning = meaning_of(
        code,
        reason=reason,
        q850_cause=cause if isinstance(cause, int) else None,
        progress=_progress(story, last),
    )
    if meaning.fault == "carrier" and story.facts.get(c.SIP_CALL_DIRECTION) == "inbound":
        meaning = replace(meaning, fault=_answerer(story))
    name = f"{code} {meaning.meaning}".strip()
    if meaning.outcome == "canceled" and _was_ours(story):
        return Ending(meaning, None, name)
    return Ending(meaning, "CSF-6" if meaning.outcome == "canceled" else "CSF-1", name)


def _answerer(story: Story) -> str | None:
    """Whose answer an inbound call got: the bridge's.

    None where nobody of our side is heard: that it came in may be an assumption then.
    """
    ours = any(source == "api" or source.startswith("livekit") for source in story.sources)
    return "platform" if ours else None


def _failed(last: Attempt, failure: str) -> Ending:
    meaning = unanswered(failure, progress=last.progress)
    rule = None if failure == "canceled" else _RULE_OF.get(failure, "CSF-7")
    if meaning.outcome == "timeout":
        rule = "CSF-3"
    return Ending(meaning, rule, meaning.meaning)


def _unexplained(story: Story, course: Course) -> Ending | None:
    """It is over, it was not answered, and there is no code: what the facts say, if anything."""
    outcome = story.facts.get(c.SIP_CALL_OUTCOME)
    if outcome == "answered" or (course.answered is None and outcome is None):
        return None
    detail = story.facts.get(c.SIP_CALL_OUTCOME_DETAIL)
    word = outcome if isinstance(outcome, str) else None
    meaning = FinalCode(
        0,
        "ended without an answer",
        word,
        detail if isinstance(detail, str) else None,
        _FAULT_OF_OUTCOME.get(word or ""),
    )
    if word == "canceled":
        return Ending(meaning, None if _was_ours(story) else "CSF-6", "gave up before an answer")
    return Ending(meaning, "CSF-2" if word == "no_answer" else "CSF-7", meaning.meaning)


_FAULT_OF_OUTCOME: Final = {"busy": "callee", "no_answer": "callee"}
"""What an outcome alone says; others need their code."""


def _was_ours(story: Story) -> bool:
    """Whether our side gave the call up: the caller of an inbound call is not ours."""
    source = story.facts.get(c.SIP_HANGUP_SOURCE)
    if source is not None:
        return source in ("agent", "platform")
    return story.facts.get(c.SIP_CALL_DIRECTION) == "outbound"


def _progress(story: Story, last: Attempt | None) -> bool | None:
    if last is not None and last.progress is not None:
        return last.progress
    return True if any(mark.kind == "ringing" for mark in story.marks) else None
