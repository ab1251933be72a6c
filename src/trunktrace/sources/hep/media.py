"""What the RTCP of a trace says about the media of a call's legs.

An end reports what it hears from the PBX or media proxy, and that one what it hears from the end.
A media proxy that only relays writes no reports of its own: the end then names the SSRC of the
other end, and its count is of the whole way. Where on it packets were lost nobody knows; the count
is put on the caller's leg, marked as derived, and on both legs where nothing was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import End
from trunktrace.sources import losses
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.hep.rtcp import Link, Report, clock_hz, counts, middles
from trunktrace.sources.rtcp.flow import (
    DEFAULT_CLOCK_HZ,
    Block,
    Span,
    began,
    jitter_max_ms,
    spans,
    total,
    whole,
)
from trunktrace.windows import LossMethod, MediaDirection

_OTHER: Final[Mapping[End, End]] = {"caller": "callee", "callee": "caller"}
_OF_HEARING: Final = ("jitter_ms", "jitter_max_ms", "rtt_ms")


@dataclass(slots=True)
class MediaLeg:
    """One end of a call: where to say things, the RTCP of its leg, and when media began."""

    draft: Draft
    link: Link
    answered_at: float | None = None
    clock_hz: int | None = None


def say_media(legs: Mapping[End, MediaLeg], ends: Ends) -> None:
    """State windows and totals of every leg."""
    sent = {
        end: _spans(leg, _blocks(leg.link.from_element, frozenset())[0], leg.link.from_peer, {})
        for end, leg in legs.items()
    }
    for end, leg in legs.items():
        other = legs.get(_OTHER[end])
        relayed = other.link.peer_ssrcs() if other is not None else frozenset[int]()
        own, through = _blocks(leg.link.from_peer, relayed)
        to, by = ends.sent_to(end), ends.sent_by(end)
        heard = _spans(leg, own, leg.link.from_element, middles(leg.link.from_element))
        _say_heard(leg.draft, to, heard, sum(one.lost for one in sent.get(_OTHER[end], ())))
        _say(leg.draft, by, sent[end], "counted")
        if other is not None and through:
            senders = middles([*other.link.from_peer, *leg.link.from_element])
            told = _spans(leg, through, other.link.from_peer, senders)
            _say_through(leg, other, ends, end, told)
    for end, leg in legs.items():
        _say_sent(leg, legs.get(_OTHER[end]), ends.sent_by(end))


def _blocks(told: Sequence[Report], relayed: frozenset[int]) -> tuple[list[Block], list[Block]]:
    """Report blocks about the neighbour's streams, and about those of the other end."""
    own: list[Block] = []
    through: list[Block] = []
    for report in told:
        for block in report.blocks:
            (through if block.source_ssrc in relayed else own).append(block)
    return own, through


def _spans(
    leg: MediaLeg, blocks: list[Block], senders: Sequence[Report], known: Mapping[int, float]
) -> list[Span]:
    return spans(
        blocks,
        start=leg.answered_at,
        sent=counts(senders),
        sender_reports=known,
        clock_hz=leg.clock_hz or clock_hz(senders) or DEFAULT_CLOCK_HZ,
    )


def _measures(told: Sequence[Span]) -> list[tuple[float, float, dict[str, object]]]:
    """Windows of a direction: the whole call first, where it is long enough to be told so."""
    found = [(one.start, one.end, one.measures()) for one in told]
    whole = total(told)
    if whole is not None:
        measures = whole.measures() | {"jitter_max_ms": jitter_max_ms(told)}
        found.insert(0, (whole.start, whole.end, measures))
    return found


def _say(draft: Draft, direction: MediaDirection, told: Sequence[Span], method: LossMethod) -> None:
    for start, end, measures in _measures(told):
        # A share that the report itself rounded to 1/256 is no count.
        way: LossMethod = "derived" if measures.get("packet_count") is None else method
        draft.saw(draft.leg, direction, start, end, measures, way)


def _say_heard(
    draft: Draft, direction: MediaDirection, told: Sequence[Span], upstream: int
) -> None:
    """What an end heard from a PBX that lost `upstream` packets on the other leg.

    A bridge passes the gaps on, and the end counts them again. Where it counts fewer than half of
    them, the PBX numbers its packets anew. Between two reports nobody can tell them apart.
    """
    everything = whole(told)
    if everything is None or everything.expected is None or everything.lost * 2 < upstream:
        _say(draft, direction, told, "counted")
        return
    if not upstream or not everything.lost:
        _say(draft, direction, told, "counted")
        return
    lost = max(0, everything.lost - upstream)
    received = max(0, everything.expected - everything.lost)
    measures = everything.measures() | losses.of_received(received, lost).measures
    measures["jitter_max_ms"] = jitter_max_ms(told)
    draft.saw(draft.leg, direction, everything.start, everything.end, measures, "derived")
    for one in told:
        measures = {name: one.measures().get(name) for name in _OF_HEARING}
        draft.saw(draft.leg, direction, one.start, one.end, measures, "derived")


def _say_through(
    leg: MediaLeg, other: MediaLeg, ends: Ends, end: End, told: Sequence[Span]
) -> None:
    """What an end heard of the other end: loss on the caller's leg, jitter and delay on its own."""
    direction = ends.sent_to(end)
    callers = leg if end == "caller" else other
    is_clean = not any(one.lost > 0 for one in told)
    for start, stop, measures in _measures(told):
        loss = {name: value for name, value in measures.items() if name not in _OF_HEARING}
        own = {name: value for name, value in measures.items() if name in _OF_HEARING}
        method: LossMethod = "counted" if is_clean else "derived"
        for one in (leg, other):
            is_told = one is callers or is_clean
            said = (loss if is_told else {}) | (own if one is leg else {})
            one.draft.saw(one.draft.leg, direction, start, stop, said, method)


def _say_sent(leg: MediaLeg, other: MediaLeg | None, direction: MediaDirection) -> None:
    """What an end sent, where nobody has said what came of it."""
    drafts = [leg.draft] if other is None else [leg.draft, other.draft]
    place = (leg.draft.leg, direction)
    known = any(
        (one.leg, one.direction) == place and one.packet_count is not None
        for draft in drafts
        for one in draft.windows
    )
    sent = counts(leg.link.from_peer)
    if sent and not known:
        (first, early), (end, count) = sent[0], sent[-1]
        start = leg.answered_at
        if start is None:
            start = began(first, early, count - early, end - first)
        leg.draft.saw(*place, min(start, end), end, {"packet_count": count})
