"""The legs of a call as rtpengine saw them: observations out of a `MediaCall`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trunktrace.belief import believable_text
from trunktrace.conventions import SIP_CALL_ID
from trunktrace.facts import End, Observation
from trunktrace.sip.sdp import audio_in
from trunktrace.sip.uris import parse_host
from trunktrace.sources import losses
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.reading import Reading
from trunktrace.sources.rtpengine.call import ALGORITHM, MediaCall, Report, Side
from trunktrace.sources.rtpengine.loss import Way, ways
from trunktrace.windows import LossMethod, MediaDirection

NAME: Final = "rtpengine"

_REPORT_S: Final = 5.0
_LONGEST_GAP_S: Final = 10.0
"""RTCP comes every 5 s or so: a report after a longer gap says only what its own time was like."""

_OTHER: Final[dict[End, End]] = {"caller": "callee", "callee": "caller"}


def observations_of(call: MediaCall, reading: Reading) -> Iterator[Observation]:
    """One observation for each end that was there."""
    sides: dict[End, Side] = {end: one for end, one in call.ends().items() if one.was_there}
    if not sides or not (call.has_statistics or call.call_id):
        return
    ends = reading.bridge.ends(
        caller=_names(sides.get("caller")), callee=_names(sides.get("callee"))
    )
    drafts: dict[End, Draft] = {end: _draft(call, sides, end, ends) for end in sides}
    if "callee" in sides and "caller" in sides and call.has_statistics:
        _Media(call, sides, ends, drafts).say()
    yield from (drafts[end].build() for end in drafts)


def _names(side: Side | None) -> tuple[str | None, ...]:
    return () if side is None else (side.address, side.signalled_from, side.label)


def _draft(call: MediaCall, sides: Mapping[End, Side], end: End, ends: Ends) -> Draft:
    side = sides[end]
    known = believable_text(call.call_id) or ""
    first = next(iter(sides.values()))
    draft = Draft(NAME, record_id=known or believable_text(first.tag) or "")
    draft.place(ends, end, states_direction=ends.by != "assumed")
    draft.say(call_id=call.call_id)
    said = draft.known(SIP_CALL_ID)
    draft.identify("linked_id", said if isinstance(said, str) else None)
    for name, other in (("from_tag", sides.get("caller")), ("to_tag", sides.get("callee"))):
        draft.identify(name, believable_text(other.tag) if other is not None else None)
    host = parse_host(side.signalled_from) if side.signalled_from else None
    if host is not None:
        draft.identify("host", host.host)
        if ends.far == end:
            draft.claim({"sip.hostname": host.host})
    if "callee" in sides:
        _say_codec(draft, side, answered=end == "callee")
        if call.deleted_by and call.deleted_by == sides["callee"].tag:
            draft.say(hangup_source="callee")
    draft.start, draft.end, draft.complete = call.created, call.ended, call.is_over
    if draft.start is not None and draft.end is not None:
        draft.end = max(draft.start, draft.end)  # whole seconds, after one with a fraction
    return draft


def _say_codec(draft: Draft, side: Side, *, answered: bool) -> None:
    """The codec that was used, else the first one of an answer; the packet time of the SDP."""
    audio = audio_in(side.sdp)
    if audio is not None:
        draft.say(ptime_ms=audio.ptime_ms)
        if answered and not side.codec:
            draft.say(codec=audio.codec, clock_rate_hz=audio.clock_rate_hz)
    name, _, rate = (side.codec or "").partition("/")
    draft.say(codec=name or None)
    if rate.isascii() and rate.isdigit() and len(rate) < 7:
        draft.say(clock_rate_hz=int(rate))


_Measures = dict[str, object]
_NOTHING: Final[_Measures] = {}


class _Media:
    """Both directions of one call."""

    def __init__(
        self, call: MediaCall, sides: dict[End, Side], ends: Ends, drafts: dict[End, Draft]
    ) -> None:
        self._call = call
        self._sides = sides
        self._ends = ends
        self._drafts = drafts

    def say(self) -> None:
        """What each end sent and heard; nothing of a call that nobody answered."""
        caller, callee = self._sides["caller"], self._sides["callee"]
        heard = {end: self._call.heard_by(side) for end, side in self._sides.items()}
        if not callee.tag and not (caller.packet_count or callee.packet_count):
            return
        forth, back = ways(caller, callee, heard["caller"], heard["callee"], self._call.created)
        self._way("caller", forth)
        self._way("callee", back)

    def _way(self, sender: End, way: Way) -> None:
        """What one end sent, and what the other one heard of it."""
        listener = _OTHER[sender]
        last = self._sides[sender].last_packet if way.received else None
        told = self._call.heard_by(self._sides[listener])
        quality = (
            _quality(told.average) if told is not None and told.average is not None else _NOTHING
        )
        at_sender, at_listener = _measures_at_sender(way), _measures_at_listener(way)
        if way.before is None and sender == "caller":
            at_sender |= _loss_of(way)
        elif way.before is None:
            at_listener |= _loss_of(way)
        places: tuple[tuple[End, MediaDirection, _Measures], ...] = (
            (sender, self._ends.sent_by(sender), at_sender),
            (listener, self._ends.sent_to(listener), at_listener | quality),
        )
        method: LossMethod = "counted" if way.counted else "derived"
        for end, direction, measures in places:
            self._say(end, direction, measures, method, last)
        self._reports(sender, way)

    def _say(
        self,
        end: End,
        direction: MediaDirection,
        measures: dict[str, object],
        method: LossMethod,
        last: float | None,
    ) -> None:
        draft = self._drafts[end]
        start, stop = self._call.created, last or self._call.ended
        if start is not None and stop is not None and stop >= start:
            draft.saw(draft.leg, direction, start, stop, measures, method)
        else:
            draft.total(draft.leg, direction, measures, method)

    def _reports(self, sender: End, way: Way) -> None:
        """Each report of the listening end: what it heard on its leg, the loss where it happened.

        A report whose loss came partly before rtpengine and partly behind it is told without.
        """
        listener = _OTHER[sender]
        told = self._call.heard_by(self._sides[listener])
        here, there = self._drafts[listener], self._drafts[sender]
        before = self._call.created
        for report in told.reports if told is not None else ():
            if report.at is None:
                continue
            start = _began(before, report.at)
            before = report.at
            quality = _quality(report)
            percents = () if report.loss_percent is None else (report.loss_percent,)
            loss = losses.of_cut_percents(percents).ratio
            to, by = self._ends.sent_to(listener), self._ends.sent_by(sender)
            is_unplaced = way.before is None and sender == "caller"
            if (way.before or is_unplaced) and loss:
                here.saw(here.leg, to, start, report.at, quality, "derived")
                if not way.after:
                    there.saw(there.leg, by, start, report.at, {"loss_ratio": loss}, "derived")
            else:
                measures = {**quality, "loss_ratio": loss}
                here.saw(here.leg, to, start, report.at, measures, "derived")


def _measures_at_sender(way: Way) -> _Measures:
    """What came of an end, and what was lost of it before rtpengine."""
    lost = way.before if way.lost is not None else None
    return {"packet_count": way.received, "lost_count": lost, "loss_ratio": way.before_ratio}


def _measures_at_listener(way: Way) -> _Measures:
    """What went to an end, and what of it was lost behind rtpengine.

    Where the end counted to the last packet, the packets are those that it got.
    """
    if way.before is None:
        return {"packet_count": way.received if way.ratio is None else None}
    arrived = way.received
    if way.after and arrived is not None:
        arrived = max(0, arrived - way.after) if way.is_whole else None
    lost = way.after if way.lost is not None else None
    return {"packet_count": arrived, "lost_count": lost, "loss_ratio": way.after_ratio}


def _loss_of(way: Way) -> _Measures:
    """A loss of which nobody knows the place: it is told of the caller's leg."""
    return {"lost_count": way.lost, "loss_ratio": way.ratio}


def _began(before: float | None, at: float) -> float:
    """When the time began that a report is about: at the one before it, if that is near."""
    near = before is not None and 0 < at - before <= _LONGEST_GAP_S
    return before if near and before is not None else at - _REPORT_S


def _quality(report: Report) -> dict[str, object]:
    return {
        "mos": report.mos,
        "mos_algorithm": ALGORITHM if report.mos else None,
        "jitter_ms": report.jitter_ms,
        "rtt_ms": report.rtt_ms,
    }
