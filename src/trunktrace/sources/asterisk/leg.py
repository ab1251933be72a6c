"""One channel of Asterisk: what the events of the manager have said of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from trunktrace.facts import End
from trunktrace.sources.asterisk.names import ChannelName
from trunktrace.sources.asterisk.quality import Quality, quality_of
from trunktrace.sources.asterisk.rtcp import Rtcp
from trunktrace.sources.shapes.values import milliseconds_between

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

Lasting = Literal["hold", "recording"]
"""Kinds of marks that begin and end."""

_ROUNDED_MS: Final = 1500.0
_MOST_PERSONS: Final = 100
_MOST_SPANS: Final = 1000


@dataclass(slots=True)
class Leg:
    """A channel: its ids, its times (unix seconds), how it ended, what its media was like."""

    unique: str
    name: ChannelName
    has_id: bool = True
    """False where a record names the channel alone; `unique` is then made of the caller's."""
    linked: str | None = None
    created: float | None = None
    """From its id, in whole seconds."""
    first_state: int | None = None
    was_down: bool = False
    """Whether a state before the answer was seen: else nobody knows when it was answered."""
    up: bool = False
    rang: bool = False
    hung_up: bool = False
    began_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    record_answer: float | None = None
    """As the first `Cdr` event has it, in whole seconds."""
    record_end: float | None = None
    dialed: bool = False
    dialed_by: str | None = None
    dial_status: str | None = None
    sip_code: int | None = None
    cause: int | None = None
    gave_up: bool = False
    is_dropped: bool = False
    """Whether Asterisk let go of it before it was answered."""
    peer_name: str | None = None
    dialing: list[str] = field(default_factory=list[str])
    """Ids of the channels that it had dialled."""
    call_id: str | None = None
    codec: str | None = None
    own_number: str | None = None
    other_number: str | None = None
    dialed_number: str | None = None
    dtmf_count: int = 0
    pdd_ms: float | None = None
    talk_ms: float | None = None
    dialed_ms: float | None = None
    billed_ms: float | None = None
    """Talk time in whole seconds."""
    persons: set[str] = field(default_factory=set[str])
    quality_pairs: dict[str, str] = field(default_factory=dict[str, str])
    copied_pairs: dict[str, str] = field(default_factory=dict[str, str])
    """What its peer's channel has of it (`...BRIDGED`)."""
    rtcp: Rtcp = field(default_factory=Rtcp)
    spans: list[tuple[Lasting, float, float | None]] = field(
        default_factory=list[tuple[Lasting, float, float | None]]
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
        # Of a call that was under way already only this is known.
        was_seen_to_begin = self.first_state is not None or bool(self.dialing)
        return "caller" if is_first or was_seen_to_begin else "callee"

    @property
    def code(self) -> int | None:
        """The SIP code of the final answer that was no 200.

        Of a channel that Asterisk canceled `TechCause` is no answer of anybody's, but what it makes
        of its own cause (500 of 127).
        """
        is_canceled = self.dialed and (self.is_dropped or self.dial_status == "CANCEL")
        return None if is_canceled and self.sip_code != CANCELED else self.sip_code

    def quality(self) -> Quality | None:
        """What Asterisk says of the media of the whole leg; None where it said nothing."""
        return quality_of(self.quality_pairs) or quality_of(self.copied_pairs)

    def lost(self) -> int | None:
        """What was lost before Asterisk on this leg; None where nobody says."""
        quality = self.quality()
        return self.rtcp.lost if quality is None else quality.lost

    def know(self, *persons: str | None) -> None:
        """Numbers and names of persons that an event of the leg holds: they are hidden."""
        if len(self.persons) < _MOST_PERSONS:
            self.persons.update(person for person in persons if person)

    def had_dialed(self, other: Leg) -> None:
        """This channel had another one dialled: two legs of one call."""
        if other.dialed_by != self.unique:
            self.dialing.append(other.unique)
        other.dialed_by = self.unique
        self.linked = self.linked or self.unique
        other.linked = other.linked or self.linked

    def answered(self, at: float | None) -> None:
        """The 2xx was sent or came."""
        self.up = True
        self.answered_at = self.answered_at or at

    def progressed(self, at: float | None) -> None:
        """A 18x came."""
        self.rang = True
        self.ringing_at = self.ringing_at or at

    def duration_ms(self) -> float | None:
        """From the answer to the end; None where it was not answered, or nobody says."""
        if not self.up:
            return None
        timed = milliseconds_between(self.answered_at, self.ended_at)
        if timed is not None or self.talk_ms is None:
            return self.billed_ms if timed is None else timed
        # A caller who was answered before anybody was dialled talked longer than `Dial` did.
        longer = self.billed_ms is not None and self.billed_ms - self.talk_ms > _ROUNDED_MS
        return self.billed_ms if longer else self.talk_ms

    def opened(self, kind: Lasting, at: float | None) -> None:
        """Something that lasts began."""
        if at is not None and len(self.spans) < _MOST_SPANS:
            self.spans.append((kind, at, None))

    def closed(self, kind: Lasting, at: float | None) -> None:
        """It ended."""
        for index in range(len(self.spans) - 1, -1, -1):
            known, start, end = self.spans[index]
            if known == kind and end is None:
                self.spans[index] = (kind, start, at if at is not None and at >= start else start)
                return
