"""The legs of FreeSWITCH's calls as observations: whose leg is which, and who hung up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.freeswitch.causes import OF_ITS_OWN, outcome_of
from trunktrace.sources.freeswitch.leg import OTHER_END, Leg, gateways_in
from trunktrace.sources.reading import Reading
from trunktrace.sources.values import milliseconds_between
from trunktrace.timeline import Attempt

_TICK_MS: Final = 20.5
"""FreeSWITCH's clock ticks every 20 ms: what is not longer may have been nothing."""

_HOSTS: Final = {"caller": "sip_from_host", "callee": "sip_to_host"}


def observations(source: str, legs: Iterable[Leg], reading: Reading) -> Iterator[Observation]:
    """An observation a leg, in the order of the legs."""
    told = list(legs)
    calls: dict[str, list[Leg]] = {}
    for leg in told:
        calls.setdefault(leg.linked_id, []).append(leg)
    ends = {linked_id: _ends(call, reading) for linked_id, call in calls.items()}
    for leg in told:
        yield _observed(source, leg, calls[leg.linked_id], ends[leg.linked_id])


def _ends(call: Sequence[Leg], reading: Reading) -> Ends:
    """What all legs of a call say together of its two ends."""
    names: dict[End, set[str]] = {"caller": set(), "callee": set()}
    for leg in call:
        names[leg.end] |= leg.near
        names[OTHER_END[leg.end]] |= leg.far | set(gateways_in(leg))
    return reading.bridge.ends(caller=names["caller"], callee=names["callee"])


def _observed(source: str, leg: Leg, call: Sequence[Leg], ends: Ends) -> Observation:
    draft = Draft(source, record_id=leg.uuid)
    draft.hide(*leg.persons)
    draft.place(ends, leg.end)
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
    if leg.is_answered and leg.over:
        draft.say(hangup_source=hung_up_by(leg, call))
    _media(draft, leg, ends)
    if ends.by == "configured" and draft.leg == "pstn" and leg.end == "callee":
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
    host = leg.said(_HOSTS[leg.end])
    if draft.leg == "pstn" and host is not None:
        draft.claim({"sip.hostname": host})


def _answer(draft: Draft, leg: Leg) -> None:
    if not leg.over and not leg.is_answered:
        return
    draft.answer(
        leg.final_code,
        reason=leg.reason,
        q850_cause=leg.q850_cause if leg.over else None,
        progress=leg.progress is not None,
    )
    if leg.final_code is None:
        draft.say(outcome=outcome_of(leg.said("hangup_cause")))


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


def hung_up_by(leg: Leg, call: Sequence[Leg]) -> str | None:
    """Who ended an answered leg: its end, the other one, or FreeSWITCH; None where nobody says.

    `recv_bye`: its own end. `send_bye`: the other end, if a BYE came there (its record says so, or
    what stands as the bridge's last end); FreeSWITCH itself, if the cause is one of its own, or if
    nobody else was there.
    """
    if leg.got_bye:
        return leg.end
    if leg.disposition != "send_bye":
        return None
    others = [one for one in call if one.end != leg.end and one.is_answered]
    received = [one for one in others if one.got_bye]
    if received:
        return received[0].end
    causes = {leg.said("hangup_cause"), leg.said("last_bridge_hangup_cause")}
    if causes & OF_ITS_OWN:
        return "platform"
    if others and all(one.disposition == "send_bye" for one in others):
        return "platform"
    if (
        leg.said("last_bridge_proto_specific_hangup_cause") == "sip:200"
        or leg.said("last_bridge_hangup_cause") == "NORMAL_CLEARING"
    ):
        return OTHER_END[leg.end]
    return None if _was_bridged(leg) else "platform"


def _was_bridged(leg: Leg) -> bool:
    names = ("last_bridge_to", "bridge_hangup_cause", "last_bridge_hangup_cause", "bridge_channel")
    return leg.end == "callee" or any(leg.said(name) for name in names)


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
