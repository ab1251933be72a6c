"""One call leg of Telnyx, as its webhooks tell it together.

Telnyx stands between the bridge and the telephone network, and each leg has one party at its other
end. Which of our legs it is follows from who that party is:

- `incoming`: somebody calls a number of ours. The party is the caller, the leg is `pstn`; only of
  one who comes by SIP this is an assumption.
- `outgoing`, and the calling party came by SIP: it is the leg of a SIP connection, from the bridge
  to Telnyx. The party is the caller, the leg is `trunk`, the call outbound.
- `outgoing` to a SIP URI: Telnyx calls the bridge. The leg is `trunk`.
- `outgoing` otherwise: Telnyx calls a telephone. The leg is `pstn`, the call outbound.

A hang-up alone has no `direction`. Then the party is taken to be a telephone (`pstn`), or, if the
calling party came by SIP, the bridge (`trunk`): what Telnyx receives on a leg goes the same way
whoever called. The direction of the call is not told then, but where the calling party is said to
have come from the telephone network: it called us.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sip.codes import meaning_of
from trunktrace.sip.uris import host_in_uri, is_sip_uri
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.jsonlines import Record, object_in
from trunktrace.sources.shapes.values import count, milliseconds_between
from trunktrace.sources.telnyx.words import ENDED_ANSWERED, OUTCOMES
from trunktrace.windows import MediaDirection

_MOST_RECORDINGS: Final = 100
_MOST_PERSONS: Final = 16


@dataclass(slots=True, kw_only=True)
class TelnyxLeg:
    """What is known of one leg; None is unknown. Times are unix seconds."""

    source: str
    leg_id: str
    session_id: str | None = None
    connection_id: str | None = None
    direction: str | None = None
    party_type: str | None = None
    caller: str | None = None
    callee: str | None = None
    caller_uri: str | None = None
    callee_uri: str | None = None
    persons: set[str] = field(default_factory=set[str])
    start: float | None = None
    initiated: bool = False
    bridged: bool = False
    answered: bool = False
    answered_at: float | None = None
    over: bool = False
    end: float | None = None
    duration_ms: float | None = None
    code: int | None = None
    cause: int | None = None
    word: str | None = None
    outcome: str | None = None
    reason: str | None = None
    hangup_source: str | None = None
    facts: dict[str, object] = field(default_factory=dict[str, object])
    quality: Record = field(default_factory=dict[str, object])
    dtmf: set[str] = field(default_factory=set[str])
    recordings: dict[float, float | None] = field(default_factory=dict[float, float | None])

    def add_person(self, name: str | None) -> None:
        """A caller's name: it may be a number, and stands nowhere."""
        if name is not None and len(self.persons) < _MOST_PERSONS:
            self.persons.add(name)

    def observation(self, reading: Reading) -> Observation:
        """The leg by our names."""
        draft = Draft(self.source, record_id=self.leg_id)
        draft.complete = self.over
        draft.start, draft.end = self.start, self.end
        self._say_who(draft)
        self._place(draft, reading)
        self._say_when(draft)
        self._say_how_it_ended(draft)
        draft.say(**self.facts)
        self._count_packets(draft)
        return draft.build()

    def _say_who(self, draft: Draft) -> None:
        draft.say(
            provider_call_id=self.leg_id,
            trunk_id=self.connection_id,
            caller_number=self.caller,
            callee_number=self.callee,
            dtmf_count=len(self.dtmf) or None,
        )
        draft.identify("linked_id", self.session_id)
        draft.claim({"sip.telnyx.callLegID": self.leg_id})
        draft.hide(self.caller_uri, self.callee_uri, *self.persons)

    def _say_when(self, draft: Draft) -> None:
        if self.initiated or self._how_it_ended_is_known:
            # Who tells of the beginning and the end would have told of an answer between them: a
            # hang-up alone would not.
            draft.happened("invite", self.start)
        draft.happened("answered", self.answered_at)
        if self.over:
            draft.happened("hangup", self.end)
        for start, end in list(self.recordings.items())[:_MOST_RECORDINGS]:
            draft.happened("recording", start, end if end is None or end >= start else None)
        draft.say(setup_ms=milliseconds_between(self.start, self.answered_at))
        if self.over:
            lasted = milliseconds_between(self.answered_at, self.end)
            draft.say(duration_ms=self.duration_ms if lasted is None else lasted)

    def _say_how_it_ended(self, draft: Draft) -> None:
        draft.say(hangup_source=self.hangup_source, q850_cause=self.cause)
        code = self.code
        if self._is_up:
            # What the hang-up then says of a code (503 beside `normal_clearing`) is no answer to
            # the INVITE.
            draft.answer(200)
            return
        if code is None:
            said = OUTCOMES.get(self.word or "", self.outcome)
            draft.say(outcome=said, reason=self.reason if said else None)
            return
        if self.word in ENDED_ANSWERED:
            # The code and the word contradict each other: the code is told, no outcome is.
            draft.say(status_code=code, reason=self.reason)
            return
        draft.answer(code, reason=self.reason, q850_cause=self.cause)
        if self.word == "timeout" and meaning_of(code, reason=self.reason).outcome == "canceled":
            draft.say(outcome="no_answer")

    def _place(self, draft: Draft, reading: Reading) -> None:
        """Say which leg this is, and what that says of the call."""
        end = self._party()
        known = reading.bridge.ends(
            caller=self._names("caller", end), callee=self._names("callee", end)
        )
        if known.by == "configured" and end is not None:
            draft.place(known, end)
            return
        if self.direction == "incoming" and self.party_type == "sip":
            # Of a customer of Telnyx, or of the bridge: others may know.
            draft.place(Ends("callee", "assumed"), "caller")
            return
        to_bridge = end == "callee" and is_sip_uri(self.callee)
        named = end is None and _is_named(self.connection_id, reading)
        draft.leg = "trunk" if self.party_type == "sip" or to_bridge or named else "pstn"
        if known.by == "configured":
            draft.say(direction=known.direction)
        elif end is not None and not to_bridge:
            draft.say(direction="outbound" if self.direction == "outgoing" else "inbound")

    def _party(self) -> End | None:
        """The end of the call to which this leg leads; None where that is not told."""
        if self.direction == "outgoing":
            from_sip = self.party_type == "sip" and not is_sip_uri(self.callee)
            return "caller" if from_sip else "callee"
        return "caller" if self.direction == "incoming" or self.party_type == "pstn" else None

    def _names(self, end: End, party: End | None) -> list[str | None]:
        """By what a configuration may name an end: hosts, and the connection of this leg."""
        number, uri = (
            (self.caller, self.caller_uri) if end == "caller" else (self.callee, self.callee_uri)
        )
        return [host_in_uri(number), host_in_uri(uri), self.connection_id if end == party else None]

    def _count_packets(self, draft: Draft) -> None:
        """What Telnyx received and sent on this leg.

        A 0 of an unanswered call says nothing, and neither does a 0 beside no skipped read, or of
        packets sent: FreeSWITCH writes it where it did not count. A skipped read found no packet,
        which is not loss; the variance is no jitter, and the MOS no MOS.
        """
        inbound = object_in(self.quality, "inbound")
        received, skipped = (
            count(inbound.get("packet_count")),
            count(inbound.get("skip_packet_count")),
        )
        if received == 0 and not (self._is_up and skipped):
            received = None
        sent = count(object_in(self.quality, "outbound").get("packet_count")) or None
        towards: tuple[MediaDirection, MediaDirection] = (
            ("out", "in") if draft.leg == "trunk" else ("in", "out")
        )
        for direction, packets in zip(towards, (received, sent), strict=True):
            measures = {"packet_count": packets}
            if self.answered_at is not None and self.end is not None:
                draft.saw(draft.leg, direction, self.answered_at, self.end, measures)
            else:
                draft.total(draft.leg, direction, measures)

    @property
    def _how_it_ended_is_known(self) -> bool:
        """Whether it is told that the call was answered, or why it was not."""
        said = OUTCOMES.get(self.word or "", self.outcome)
        return self._is_up or self.code is not None or said is not None

    @property
    def _is_up(self) -> bool:
        """Whether the call is known to have been answered.

        Legs are bridged for early media too: that is a proof once the hang-up does not say that
        nobody took the call.
        """
        talked = self.bridged and self.over and self.word not in OUTCOMES
        return self.answered or talked or (self.code or 699) < 300 or self.word == "time_limit"


def _is_named(name: str | None, reading: Reading) -> bool:
    return name is not None and name.lower() in {one.lower() for one in reading.bridge.names}


def legs_by_control_id(pairs: list[tuple[str | None, str | None]]) -> dict[str, str]:
    """The leg id of each (leg id, control id) pair's control id, where there is but one."""
    found: dict[str, str | None] = {}
    for leg_id, control_id in pairs:
        if leg_id and control_id:
            known = found.setdefault(control_id, leg_id)
            if known != leg_id:
                found[control_id] = None
    return {key: value for key, value in found.items() if value}
