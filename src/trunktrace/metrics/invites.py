"""What a call adds for its INVITEs: each by its own trunk and answer, and each failover."""

from __future__ import annotations

from collections.abc import Iterator

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.runs import advances, runs_of
from trunktrace.metrics.ended import EndedCall, Facts, Point, call_labels
from trunktrace.sip.codes import meaning_of
from trunktrace.sip.failover import ending_of_attempt
from trunktrace.timeline import Attempt


def invites(call: EndedCall) -> Iterator[Point]:
    """One for each INVITE.

    An attempt of ours counts by what is known of itself: its trunk, its answer. The call's own
    attempt, its last one, counts by the call's facts, and by its own where they say nothing. An
    INVITE that is no attempt of ours counts by the facts of its leg, if anything is known of it.
    """
    own, strangers = _paired(call)
    for facts in strangers:
        if facts or facts is call.facts:
            yield Point(c.SIP_INVITES, 1, _invite_labels(facts))
    for attempt in (*call.story.attempts, *call.story.asides):
        facts = _attempt_facts(attempt)
        if attempt is own:
            facts.update(call.facts)
        yield Point(c.SIP_INVITES, 1, _invite_labels(facts))


def failovers(call: EndedCall) -> Iterator[Point]:
    """One for each time that the call to one number went on to another trunk, by who was left."""
    own, _ = _paired(call)
    for run in runs_of(call.story.attempts):
        for left, taken in advances(run):
            labels = call_labels(_attempt_facts(left))
            if left.status_code is not None:
                labels[c.SIP_RESPONSE_STATUS_CODE] = left.status_code
            carrier = call.facts.get(c.TRUNK_CARRIER) if taken is own else None
            to = carrier or taken.carrier or c.UNKNOWN_CARRIER
            yield Point(c.TRUNK_FAILOVERS, 1, labels | {c.TRUNK_FAILOVER_TO_CARRIER: to})


def _paired(call: EndedCall) -> tuple[Attempt | None, tuple[Facts, ...]]:
    """The attempt that the call's facts are of, if one is; and facts of legs that are no attempt.

    By LiveKit's id of the call, else by the trunk; the latest first.
    """
    unclaimed = list(call.story.attempts)
    strangers: list[Facts] = []
    own: Attempt | None = None
    for facts in reversed((*call.former, call.facts)):
        found = next((one for one in reversed(unclaimed) if _is_of(one, facts)), None)
        if found is None:
            strangers.insert(0, facts)
            continue
        unclaimed = [one for one in unclaimed if one is not found]
        own = found if facts is call.facts else own
    return own, tuple(strangers)


def _is_of(attempt: Attempt, facts: Facts) -> bool:
    """Whether these may be the facts of that attempt's leg."""
    if facts.get(c.SIP_CALL_DIRECTION) == "inbound":
        return False
    leg_id = facts.get(c.LIVEKIT_SIP_CALL_ID)
    if leg_id is not None and attempt.livekit_call_id is not None:
        return leg_id == attempt.livekit_call_id
    trunk_id = facts.get(c.TRUNK_ID)
    return trunk_id is None or attempt.trunk_id in (None, trunk_id)


def _attempt_facts(attempt: Attempt) -> dict[str, Value]:
    ending = ending_of_attempt(attempt)
    told: dict[str, Value | None] = {
        c.TRUNK_CARRIER: attempt.carrier,
        c.TRUNK_ROUTE: attempt.route,
        c.TRUNK_REGION: attempt.region,
        c.SIP_CALL_DIRECTION: "outbound",
        c.SIP_RESPONSE_STATUS_CODE: attempt.status_code,
        c.SIP_CALL_OUTCOME: None if ending is None else ending.outcome,
    }
    return {key: value for key, value in told.items() if value is not None}


def _invite_labels(facts: Facts) -> dict[str, Value]:
    labels = call_labels(facts)
    code, reason = facts.get(c.SIP_RESPONSE_STATUS_CODE), facts.get(c.SIP_RESPONSE_REASON)
    outcome = facts.get(c.SIP_CALL_OUTCOME)
    if outcome is None and isinstance(code, int):
        # No verdict is asked for of a leg that was left.
        outcome = meaning_of(code, reason=reason if isinstance(reason, str) else None).outcome
    told = {c.SIP_RESPONSE_STATUS_CODE: code, c.SIP_CALL_OUTCOME: outcome}
    return labels | {key: value for key, value in told.items() if value is not None}
