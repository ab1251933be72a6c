"""The legs of FreeSWITCH's calls as observations: whose leg is which, and who hung up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sip.codes import meaning_of
from trunktrace.sip.reason import words
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.freeswitch.causes import HANDED_OVER, OF_ITS_OWN, outcome_of
from trunktrace.sources.freeswitch.leg import OTHER_END, Leg, gateways_in
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.values import milliseconds_between
from trunktrace.timeline import Attempt

_AT_ONCE_S: Final = 2.0
"""FreeSWITCH hands a BYE on at once: a leg that ended later, or sooner, did not end by it."""

_DECLINE: Final = 603
_TICK_MS: Final = 20.5
"""FreeSWITCH's clock ticks every 20 ms: what is not longer may have been nothing."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What all legs of a call say together.

    `left` are the ends that said goodbye, and when: by a BYE, or by a CANCEL before the answer.
    `dismissed` are those with answered legs all of which FreeSWITCH said goodbye to. `named` are
    the ends that have a leg which the bridge's own names name.
    """

    ends: Ends
    left: tuple[tuple[End, float | None], ...]
    dismissed: frozenset[End]
    named: frozenset[End]

    def has_left(self, end: End, at: float | None) -> bool:
        """Whether that end said goodbye at that time, as far as times are known."""
        return any(
            one == end and (at is None or when is None or abs(at - when) <= _AT_ONCE_S)
            for one, when in self.left
        )


def observations(source: str, legs: Iterable[Leg], reading: Reading) -> Iterator[Observation]:
    """An observation a leg, in the order of the legs."""
    told = list(legs)
    grouped: dict[str, list[Leg]] = {}
    for leg in told:
        grouped.setdefault(leg.linked_id, []).append(leg)
    for leg in told:
        if not leg.came_in and leg.linked_id == leg.uuid:
            leg.is_first = len(grouped[leg.uuid]) > 1 or leg.said("originated_legs") is not None
    calls = {linked_id: _call(legs, reading) for linked_id, legs in grouped.items()}
    for leg in told:
        yield _observed(source, leg, calls[leg.linked_id])


def _call(legs: Sequence[Leg], reading: Reading) -> _Call:
    ends = _ends(legs, reading)
    answered = [leg for leg in legs if leg.is_answered]
    kept = {leg.end for leg in answered if leg.disposition != "send_bye"}
    return _Call(
        ends=ends,
        left=tuple((leg.end, leg.hung_up) for leg in legs if leg.got_bye or leg.was_canceled),
        dismissed=frozenset(leg.end for leg in answered if leg.end not in kept),
        named=frozenset(leg.end for leg in legs if not ends.is_aside(leg.end, leg.near)),
    )


def _ends(call: Sequence[Leg], reading: Reading) -> Ends:
    """What all legs of a call say together of its two ends."""
    names: dict[End, set[str]] = {"caller": set(), "callee": set()}
    for leg in call:
        names[leg.end] |= leg.near
        names[OTHER_END[leg.end]] |= leg.far | set(gateways_in(leg))
    return reading.bridge.ends(caller=names["caller"], callee=names["callee"])


def _observed(source: str, leg: Leg, call: _Call) -> Observation:
    ends = call.ends
    draft = Draft(source, record_id=leg.uuid)
    draft.hide(*leg.persons)
    # Where only a dial string named the bridge, no leg is known to be somebody else's.
    draft.place(ends, leg.end, names=leg.near if leg.end in call.named else ())
    draft.start, draft.end, draft.complete = leg.created, leg.hung_up, leg.complete
    draft.identify("channel_id", leg.uuid)
    draft.identify("linked_id", leg.linked_id)
    draft.identify("endpoint", leg.gateway)
    draft.identify("host", leg.said("sip_network_ip"))
    draft.say(
        call_id=leg.said("sip_call_id"),
        caller_number=leg.caller,
        callee_number=leg.callee,
        transport=leg.transport,
    )
    _name(draft, leg, ends)
    _answer(draft, leg)
    _times(draft, leg)
    draft.say(hangup_source=_hung_up_by(leg, call) if leg.over else None)
    _media(draft, leg, ends)
    if ends.by == "configured" and leg.end == ends.far == "callee":
        draft.attempts.append(_attempt(leg))
    return draft.build()


def _name(draft: Draft, leg: Leg, ends: Ends) -> None:
    """Carrier and route, by the variables of those names, on the leg that they are about.

    An exported variable is about the legs that were made with it. The leg that exported it has it
    as well, but may lead elsewhere, unless it is known to face the carrier.
    """
    faces_carrier = ends.by == "configured" and draft.leg == "pstn"
    for field, name in (("carrier", "carrier"), ("route", "trunk")):
        if leg.end == "callee" or faces_carrier or not leg.is_exported(name):
            draft.say(**{field: leg.said(name)})
    if draft.leg == "pstn" and leg.host is not None:
        draft.claim({"sip.hostname": leg.host})


def _answer(draft: Draft, leg: Leg) -> None:
    if not leg.over and not leg.is_answered:
        return
    code, header = leg.final_code, leg.said("sip_reason")
    cause = leg.q850_cause if leg.over else None
    progress = leg.progress is not None
    draft.answer(code, reason=leg.reason, q850_cause=cause, progress=progress)
    if code is None:
        draft.say(outcome=outcome_of(leg.said("hangup_cause")))
    elif code == _DECLINE and header is not None:
        # A block by analytics (603+) may say so in the Reason header alone.
        told = words(leg.reason, header)
        row = meaning_of(code, reason=told, q850_cause=cause, progress=progress)
        draft.say(outcome=row.outcome, outcome_detail=row.detail)


def _times(draft: Draft, leg: Leg) -> None:
    draft.happened("invite", leg.created)
    draft.happened("ringing", leg.progress)
    draft.happened("answered", leg.answered)
    draft.happened("hangup", leg.hung_up)
    for kind, start, end in leg.marks:
        draft.happened(kind, start, end)
    draft.say(
        setup_ms=_beyond_a_tick(leg.created, leg.answered),
        pdd_ms=_beyond_a_tick(leg.created, leg.progress),
        ring_ms=_beyond_a_tick(leg.progress, leg.answered),
        duration_ms=milliseconds_between(leg.answered, leg.hung_up),
        dtmf_count=leg.dtmf_count,
    )


def _beyond_a_tick(start: float | None, end: float | None) -> float | None:
    told = milliseconds_between(start, end)
    return told if told is not None and told > _TICK_MS else None


def _hung_up_by(leg: Leg, call: _Call) -> str | None:
    """Which end left first, by a BYE or a CANCEL; None where nobody says, or where neither did.

    `recv_bye`, `recv_cancel`: its own end. `send_bye`, and a CANCEL that was handed on: the other
    end, if one came from there at that time (the record of its leg says so, or what stands as the
    bridge's last end). FreeSWITCH itself ends calls too, by a cause of its own or after an
    announcement; and it says goodbye to the leg that handed the call over.
    """
    other = OTHER_END[leg.end]
    if leg.got_bye or leg.was_canceled:
        return leg.end
    if not leg.is_answered:
        handed_on = leg.said("hangup_cause") == "ORIGINATOR_CANCEL"
        return other if handed_on and call.has_left(other, leg.hung_up) else None
    if leg.disposition != "send_bye" or leg.said("hangup_cause") in HANDED_OVER:
        return None
    if call.has_left(other, leg.hung_up):
        return other
    causes = {leg.said("hangup_cause"), leg.said("last_bridge_hangup_cause")}
    if causes & OF_ITS_OWN or other in call.dismissed or call.has_left(other, None):
        return None
    ended = leg.said("last_bridge_proto_specific_hangup_cause") == "sip:200"
    return other if ended or leg.said("last_bridge_hangup_cause") == "NORMAL_CLEARING" else None


def _media(draft: Draft, leg: Leg, ends: Ends) -> None:
    draft.say(
        codec=leg.codec,
        clock_rate_hz=leg.clock_rate_hz,
        payload_type=leg.payload_type,
        ptime_ms=leg.ptime_ms if leg.codec else None,
        media_encryption=leg.media_encryption,
    )
    if not leg.had_media:
        return
    received, sent = leg.statistics.received(leg.ptime_ms), leg.statistics.sent()
    start = leg.answered or leg.progress or leg.created
    if start is not None and leg.hung_up is not None:
        draft.saw(draft.leg, ends.sent_by(leg.end), start, leg.hung_up, received, "derived")
        draft.saw(draft.leg, ends.sent_to(leg.end), start, leg.hung_up, sent)
    else:
        draft.total(draft.leg, ends.sent_by(leg.end), received, "derived")
        draft.total(draft.leg, ends.sent_to(leg.end), sent)
    for one in leg.intervals:
        direction = ends.sent_by(leg.end) if one.of_ours else ends.sent_to(leg.end)
        draft.saw(draft.leg, direction, one.start, one.end, one.measures)


def _attempt(leg: Leg) -> Attempt:
    code = leg.final_code if leg.over or leg.is_answered else None
    canceled = leg.over and code is None and leg.disposition == "send_cancel"
    return Attempt(
        start=leg.created,
        end=leg.answered or leg.hung_up,
        trunk_id=leg.gateway,
        carrier=leg.said("carrier"),
        route=leg.said("trunk"),
        status_code=code,
        reason=leg.reason,
        failure="canceled" if canceled else None,
        progress=leg.progress is not None,
    )
