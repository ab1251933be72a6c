"""One channel of Asterisk: what the events of the manager have said of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from trunktrace.facts import End
from trunktrace.sources.asterisk_names import ChannelName
from trunktrace.sources.asterisk_quality import Quality, quality_of
from trunktrace.sources.asterisk_rtcp import Rtcp
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT, Ends
from trunktrace.sources.values import milliseconds_between

OUTCOMES: Final = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "NO ANSWER": "no_answer",
    "CANCEL": "canceled",
    "CONGESTION": "congestion",
    "CHANUNAVAIL": "failed",
    "FAILED": "failed",
}
"""What a `DialStatus`, or the disposition of a CDR, means where no SIP code is told."""

CANCELED: Final = 487


@dataclass(slots=True)
class Leg:
    """A channel: its ids, its times (unix seconds), how it ended, what its media was like."""

    unique: str
    name: ChannelName
    linked: str | None = None
    created: float | None = None
    """From its id, in whole seconds."""
    first_state: int | None = None
    up: bool = False
    rang: bool = False
    hung_up: bool = False
    began_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    record_end: float | None = None
    dialed: bool = False
    dialed_by: str | None = None
    dial_status: str | None = None
    sip_code: int | None = None
    cause: int | None = None
    gave_up: bool = False
    peer_name: str | None = None
    call_id: str | None = None
    codec: str | None = None
    caller_number: str | None = None
    callee_number: str | None = None
    dtmf_count: int = 0
    pdd_ms: float | None = None
    talk_ms: float | None = None
    dialed_ms: float | None = None
    billed_ms: float | None = None
    persons: set[str] = field(default_factory=set[str])
    quality_pairs: dict[str, str] = field(default_factory=dict[str, str])
    copied_pairs: dict[str, str] = field(default_factory=dict[str, str])
    """What its peer's channel has of it (`...BRIDGED`)."""
    rtcp: Rtcp = field(default_factory=Rtcp)
    spans: list[tuple[Literal["hold", "recording"], float, float | None]] = field(
        default_factory=list[tuple[Literal["hold", "recording"], float, float | None]]
    )

    @property
    def end(self) -> End:
        """Whether this is the caller's leg or the callee's.

        The first channel of a call is the caller's, also where Asterisk dialled it itself for a
        call that it made. Any other that was dialled is a callee's.
        """
        if self.dialed_by is not None:
            return "callee"
        is_first = self.linked is None or self.linked == self.unique
        if self.dialed or self.first_state == 0:
            return "caller" if is_first and self.linked is not None else "callee"
        return "caller"

    def quality(self) -> Quality | None:
        """What Asterisk says of the media of the whole leg; None where it said nothing."""
        return quality_of(self.quality_pairs) or quality_of(self.copied_pairs)

    def lost(self) -> int | None:
        """What was lost before Asterisk on this leg; None where nobody says."""
        quality = self.quality()
        return self.rtcp.lost if quality is None else quality.lost

    def opened(self, kind: Literal["hold", "recording"], at: float | None) -> None:
        """Something that lasts began."""
        if at is not None and len(self.spans) < 1000:
            self.spans.append((kind, at, None))

    def closed(self, kind: Literal["hold", "recording"], at: float | None) -> None:
        """It ended."""
        for index in range(len(self.spans) - 1, -1, -1):
            known, start, end = self.spans[index]
            if known == kind and end is None:
                self.spans[index] = (kind, start, at if at is not None and at >= start else start)
                return


def draft_of(leg: Leg, ends: Ends, source: str) -> Draft:
    """The observation in the making, with all that the leg knows by itself but its media."""
    draft = Draft(source, record_id=leg.unique)
    draft.hide(*leg.persons, *leg.name.persons)
    draft.identify("channel_id", leg.unique)
    draft.identify("linked_id", leg.linked or leg.unique)
    draft.identify(ENDPOINT, leg.name.endpoint)
    draft.identify("host", leg.name.host)
    draft.place(ends, leg.end)
    draft.say(
        call_id=leg.call_id,
        codec=leg.codec,
        clock_rate_hz=leg.rtcp.clock_hz(),
        ptime_ms=leg.rtcp.ptime_ms(),
        caller_number=leg.caller_number,
        callee_number=leg.callee_number,
        dtmf_count=leg.dtmf_count or None,
    )
    draft.start = leg.began_at or leg.created
    draft.end = leg.ended_at or leg.record_end
    draft.complete = leg.hung_up or leg.record_end is not None
    _say_end(draft, leg)
    _say_times(draft, leg)
    return draft


def _say_end(draft: Draft, leg: Leg) -> None:
    """The final answer, or what the PBX says instead of one."""
    progress = True if leg.rang else None
    if leg.up:
        draft.answer(200, q850_cause=leg.cause)
        return
    draft.answer(leg.sip_code, q850_cause=leg.cause, progress=progress)
    if leg.sip_code not in (None, CANCELED):
        return
    # 487 answers a CANCEL: of Asterisk's own after its dial timeout, or of a caller who gave up.
    outcome = "canceled" if leg.gave_up else OUTCOMES.get(leg.dial_status or "")
    draft.say(outcome=outcome)


def _say_times(draft: Draft, leg: Leg) -> None:
    duration = milliseconds_between(leg.answered_at, leg.ended_at) or leg.talk_ms or leg.billed_ms
    draft.say(duration_ms=duration if leg.up else None)
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
    heard, told = ends.sent_by(leg.end), ends.sent_to(leg.end)
    start = leg.answered_at or leg.began_at or leg.created
    end = leg.ended_at or leg.record_end
    quality = leg.quality()
    if quality is not None and not quality.silent:
        measured = (
            (heard, quality.heard(answered=leg.up)),
            (told, quality.told(answered=leg.up, upstream=upstream)),
        )
        for direction, measures in measured:
            if start is not None and end is not None and end >= start:
                draft.saw(draft.leg, direction, start, end, measures, "derived")
            else:
                draft.total(draft.leg, direction, measures, "derived")
    began = leg.answered_at or (leg.created if leg.first_state is not None else None)
    for interval in leg.rtcp.intervals(ours=True, since=began):
        draft.saw(
            draft.leg, heard, interval.start, interval.end, interval.measures, interval.method
        )
    for interval in leg.rtcp.intervals(ours=False, since=began):
        measures = interval.measures
        if interval.lost and upstream != 0:
            # Gaps from the other leg are in it: only the whole call can be told apart.
            dropped = ("loss_ratio", "lost_count", "packet_count")
            measures = {name: value for name, value in measures.items() if name not in dropped}
        draft.saw(draft.leg, told, interval.start, interval.end, measures, interval.method)
