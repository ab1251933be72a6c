"""What is told of one channel of Asterisk: its observation in the making, and its media."""

from __future__ import annotations

from trunktrace.sources.asterisk.leg import CANCELED, OUTCOMES, Leg
from trunktrace.sources.asterisk.media import say_intervals, say_quality
from trunktrace.sources.asterisk.names import numbers_in
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT, Ends
from trunktrace.sources.shapes.values import milliseconds_between


def draft_of(leg: Leg, ends: Ends, source: str) -> Draft:
    """The observation in the making, with all that the leg knows by itself but its media."""
    draft = Draft(source, record_id=leg.unique)
    draft.hide(*leg.persons, *leg.name.persons, *numbers_in(leg.unique, leg.linked))
    draft.identify("channel_id", leg.unique if leg.has_id else None)
    draft.identify("linked_id", leg.linked or leg.unique)
    draft.identify(ENDPOINT, leg.name.endpoint)
    draft.identify("host", leg.name.host)
    # Whom the PBX called by itself may be the agent or somebody far away.
    is_placed = bool(leg.name.text) and not (leg.dialed and leg.end == "caller")
    draft.place(ends, leg.end, names=leg.name.names, states_direction=is_placed)
    draft.say(
        call_id=leg.call_id,
        codec=leg.codec,
        clock_rate_hz=leg.rtcp.clock_hz(),
        ptime_ms=leg.rtcp.ptime_ms(),
        caller_number=leg.own_number if leg.end == "caller" else leg.other_number,
        callee_number=leg.dialed_number or _own_callee_number(leg),
        dtmf_count=leg.dtmf_count or None,
    )
    draft.start = leg.began_at or leg.created
    draft.end = leg.ended_at or leg.record_end
    draft.complete = leg.hung_up or leg.record_end is not None
    _say_end(draft, leg)
    _say_times(draft, leg)
    return draft


def _own_callee_number(leg: Leg) -> str | None:
    """The number of a channel that was dialled; one that was originated may have its caller's."""
    is_own = leg.end == "callee" and leg.own_number != leg.other_number
    return leg.own_number if is_own else None


def _say_end(draft: Draft, leg: Leg) -> None:
    """The final answer, or what the PBX says instead of one."""
    progress = True if leg.rang else None
    if leg.up:
        draft.answer(200, q850_cause=leg.cause)
        return
    draft.answer(leg.code, q850_cause=leg.cause, progress=progress)
    if leg.code not in (None, CANCELED):
        return
    # 487 answers a CANCEL: of Asterisk's own after its dial timeout, or of a caller who gave up.
    outcome = "canceled" if leg.gave_up else OUTCOMES.get(leg.dial_status or "")
    draft.say(outcome=outcome)


def _say_times(draft: Draft, leg: Leg) -> None:
    draft.say(duration_ms=leg.duration_ms())
    setup = milliseconds_between(leg.began_at, leg.answered_at)
    if setup is None and leg.up and leg.dialed_ms is not None and leg.talk_ms is not None:
        setup = leg.dialed_ms - leg.talk_ms
    pdd = milliseconds_between(leg.began_at, leg.ringing_at)
    pdd = leg.pdd_ms if pdd is None else pdd
    if setup is not None and setup >= 0.0:
        draft.say(setup_ms=setup)
        if pdd is not None and 0.0 <= pdd <= setup:
            draft.say(ring_ms=setup - pdd)
    draft.say(pdd_ms=pdd)
    draft.happened("invite", leg.began_at)
    draft.happened("ringing", leg.ringing_at)
    draft.happened("answered", leg.answered_at)
    draft.happened("hangup", leg.ended_at)
    for kind, start, end in leg.spans:
        draft.happened(kind, start, end)


def say_media(draft: Draft, leg: Leg, ends: Ends, upstream: int | None) -> None:
    """The windows of a leg; `upstream` is what the other leg lost, None where nobody knows."""
    start = leg.answered_at or leg.began_at or leg.created
    end = leg.ended_at or leg.record_end
    quality = leg.quality()
    if quality is not None:
        times = None if start is None or end is None else (start, end)
        say_quality(draft, quality, leg.end, ends, leg.up, upstream, times)
    began = leg.answered_at or (leg.created if leg.first_state is not None else None)
    say_intervals(draft, leg.rtcp, leg.end, ends, began, upstream)
