"""One call leg of the bridge's log: what each line adds, and the observation that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sip import sdp
from trunktrace.sip.codes import meaning_of, unanswered
from trunktrace.sip.dialling import failure_in, final_answer
from trunktrace.sip.reason import q850_cause
from trunktrace.sources.draft import Draft
from trunktrace.sources.livekit.sip_statistics import (
    MOST_SNAPSHOTS,
    Snapshot,
    snapshot_of,
    tell,
)
from trunktrace.sources.livekit.sip_words import (
    BY_CALLER_BEFORE_ANSWER,
    BYE_Q850,
    DIRECTIONS,
    FAILURES,
    REFUSED,
    hung_up_by,
)
from trunktrace.sources.shapes.jsonlines import Record, count_in, number_in, text_in
from trunktrace.timeline import Attempt

_ANSWERED: Final = 200
_TRANSPORTS: Final = frozenset({"udp", "tcp", "tls", "ws", "wss"})

_IDS: Final = {
    "sipCallID": "call_id",
    "sipTrunk": "trunk_id",
    "sipRule": "livekit_rule_id",
    "twilioCallSID": "provider_call_id",
    "telnyxCallLegID": "provider_call_id",
}
_PERSONS: Final = ("fromUser", "toUser", "reqUser", "participant", "participantName")


class BridgeCall:
    """What the bridge has said of one call leg. Times are unix seconds; None is not seen."""

    def __init__(self, source: str, call_id: str) -> None:
        self._draft = Draft(source, record_id=call_id)
        self._draft.say(livekit_call_id=call_id)
        self._seen: set[str] = set()
        self.closed_at: float | None = None
        self.is_reinvite = False
        self.direction: str | None = None
        self.first_at: float | None = None
        self.created_at: float | None = None
        self.invited_at: float | None = None
        self.accepted_at: float | None = None
        self.bye_at: float | None = None
        self.failed_at: float | None = None
        self.result: str | None = None
        self.reason: str | None = None
        self.code: int | None = None
        self.phrase: str | None = None
        self.failure: str | None = None
        self.error: str = ""
        self.q850: int | None = None
        self.timed_out_at: float | None = None
        self.millis: dict[str, float] = {}
        self.snapshots: list[Snapshot] = []
        self._held_since: float | None = None

    @property
    def says_something(self) -> bool:
        """Whether there was more than lines of no interest."""
        return self.direction is not None or self.closed_at is not None

    def take_common(self, record: Record) -> None:
        """What every line of a call carries, taken from the first that has it."""
        seen = self._seen
        for key, name in _IDS.items():
            if key not in seen and (value := text_in(record, key)) is not None:
                seen.add(key)
                self._draft.say(**{name: value})
        if "roomID" not in seen and (room := text_in(record, "roomID")) is not None:
            seen.add("roomID")
            self._draft.identify("room_id", room)
        if self.direction is None:
            direction = text_in(record, "direction") or DIRECTIONS.get(text_in(record, "msg") or "")
            if direction in ("inbound", "outbound"):
                self.direction = direction
                self._draft.say(direction=direction)
        if "transport" not in seen and text_in(record, "transport") in _TRANSPORTS:
            seen.add("transport")
            self._draft.say(transport=record["transport"])
        self._take_parties(record)

    def _take_parties(self, record: Record) -> None:
        for key in _PERSONS:
            if key not in self._seen and (person := text_in(record, key)) is not None:
                self._seen.add(key)
                self._draft.hide(person)
        for key, name in (("fromUser", "caller_number"), ("toUser", "callee_number")):
            if name not in self._seen and (user := text_in(record, key)) is not None:
                self._seen.add(name)
                self._draft.say(**{name: user})
        # Before the direction is known, nobody knows which of the two hosts is the far end's.
        host_key = {"inbound": "fromHost", "outbound": "toHost"}.get(self.direction or "", "")
        if "host" not in self._seen and (host := text_in(record, host_key)) is not None:
            self._seen.add("host")
            self._draft.claim({"sip.hostname": host})

    def offers_media(self, record: Record, at: float) -> bool:
        """Whether the line holds an offer or answer; a later offer may put the call on hold."""
        text = text_in(record, "sdp")
        if text is None:
            return False
        if "answer" in (text_in(record, "msg") or "").lower():
            self._draft.say(ptime_ms=sdp.ptime_ms(text))
        elif self.accepted_at is not None and at > self.accepted_at:
            self._hold(sdp.is_hold(text), at)
        return True

    def _hold(self, held: bool, at: float) -> None:
        if held and self._held_since is None:
            self._held_since = at
        elif not held and self._held_since is not None:
            self._draft.happened("hold", self._held_since, at)
            self._held_since = None

    # Lines that are known by their message --------------------------------------------------------

    def on_invite(self, _record: Record, at: float) -> None:
        """An INVITE came."""
        self.invited_at = self.invited_at or at

    def on_reinvite(self, _record: Record, _at: float) -> None:
        """An INVITE within a call came: if this id had none before, it stands for nothing else."""
        self.is_reinvite = self.accepted_at is None and not self.snapshots

    def on_creating(self, _record: Record, at: float) -> None:
        """The request for an outbound call came."""
        self.created_at = self.created_at or at

    def on_codecs(self, record: Record, _at: float) -> None:
        """What was negotiated with the carrier."""
        stated = text_in(record, "audio-codec") or ""
        name, _, rest = stated[:64].partition("/")
        rate = rest.partition("/")[0]
        self._draft.say(
            codec=name or None,
            clock_rate_hz=int(rate) if rate.isascii() and rate.isdigit() else None,
            payload_type=count_in(record, "audio-rtp"),
        )
        if isinstance(srtp := record.get("srtp"), str):
            self._draft.say(media_encryption="srtp" if srtp else "none")

    def on_accepted(self, _record: Record, at: float) -> None:
        """The 200 OK was sent, or had come."""
        self.accepted_at = self.accepted_at or at

    def on_subscribed(self, record: Record, at: float) -> None:
        """The bridge hears a track of the agent's side."""
        if record.get("kind") in ("audio", None):
            self._draft.happened("agent_track", at)

    def on_error(self, record: Record, at: float) -> None:
        """The INVITE failed."""
        self.failed_at = self.failed_at or at
        self.error = self.error or (text_in(record, "error") or "")[:1024]

    def on_bye(self, record: Record, at: float) -> None:
        """The far end hung up."""
        self.bye_at = self.bye_at or at
        kind = text_in(record, "reason-type") or ""
        cause = count_in(record, "reason-cause")
        raw = (text_in(record, "reason-raw") or text_in(record, "reason") or "")[:1024]
        if kind.lower() == "q.850" and cause is not None:
            self.q850 = cause
        elif (found := q850_cause(raw)) is not None:
            self.q850 = found

    def on_media_timeout(self, _record: Record, at: float) -> None:
        """No RTP came for too long."""
        self.timed_out_at = self.timed_out_at or at

    def on_closing(self, record: Record, at: float) -> None:
        """The bridge lets go of the call."""
        self.closed_at = self.closed_at or at
        self.reason = self.reason or text_in(record, "reason")
        self.result = self.result or text_in(record, "result")
        self.error = self.error or (text_in(record, "error") or "")[:1024]

    def on_timestamps(self, record: Record, _at: float) -> None:
        """Milliseconds between the messages of the call's setup."""
        for key in ("apiToInviteMs", "inviteToRingingMs", "inviteToAcceptMs"):
            if (value := number_in(record, key)) is not None and 0 <= value < 86_400_000:
                self.millis[key] = value

    def on_statistics(self, record: Record, at: float) -> None:
        """Running totals of the media."""
        snapshot = snapshot_of(record, at)
        if snapshot is None:
            return
        if len(self.snapshots) >= MOST_SNAPSHOTS:
            self.snapshots.pop()
        self.snapshots.append(snapshot)

    # What comes of it -----------------------------------------------------------------------------

    def observation(self) -> Observation:
        """The call leg as far as the log has told it; asked for once."""
        draft = self._draft
        draft.complete = self.closed_at is not None
        self._signalling()
        self._ending()
        answered = self.answered_at
        if answered is not None:
            tell(draft, answered, sorted(self.snapshots, key=lambda snapshot: snapshot.at))
        if self.direction == "outbound":
            draft.attempts.append(self._attempt())
        draft.start = self.invite_at or self.created_at
        draft.end = self.hangup_at
        return draft.build()

    @property
    def invite_at(self) -> float | None:
        """When the INVITE came or was sent."""
        if self.invited_at is not None or self.created_at is None:
            return self.invited_at
        waited = self.millis.get("apiToInviteMs")
        return None if waited is None else self.created_at + waited / 1000.0

    @property
    def answered_at(self) -> float | None:
        """When the 2xx came or was sent."""
        if self.accepted_at is None:
            return None
        took, invited = self.millis.get("inviteToAcceptMs"), self.invite_at
        if self.direction == "outbound" and took is not None and invited is not None:
            return min(self.accepted_at, invited + took / 1000.0)
        return self.accepted_at

    @property
    def hangup_at(self) -> float | None:
        """When the call ended: the far end's BYE, else when the bridge let go of it."""
        return self.bye_at or self.closed_at

    def _signalling(self) -> None:
        draft, millis = self._draft, self.millis
        ringing, accepting = millis.get("inviteToRingingMs"), millis.get("inviteToAcceptMs")
        draft.say(setup_ms=accepting)
        # To a caller the bridge itself says that it rings, within milliseconds: no phone does.
        if self.direction == "outbound":
            draft.say(pdd_ms=ringing)
            if ringing is not None and accepting is not None and accepting >= ringing:
                draft.say(ring_ms=accepting - ringing)
        invited = self.invite_at
        draft.happened("invite", invited)
        if invited is not None and ringing is not None:
            draft.happened("ringing", invited + ringing / 1000.0)
        draft.happened("answered", self.answered_at)
        if self.accepted_at is not None:
            draft.say(status_code=_ANSWERED, outcome="answered")
        elif self.direction == "outbound":
            self._why()
            self._say_failure()

    def _say_failure(self) -> None:
        if self.code is not None:
            row = meaning_of(self.code, reason=self.phrase, progress=self._progress)
        elif self.failure is not None:
            row = unanswered(self.failure, progress=self._progress)
        else:
            return
        self._draft.say(
            status_code=self.code,
            reason=self.phrase,
            outcome=row.outcome,
            outcome_detail=row.detail,
        )

    @property
    def _progress(self) -> bool | None:
        """Whether a 18x came; the bridge says so once it has written its timestamps."""
        return ("inviteToRingingMs" in self.millis) if self.millis else None

    def _why(self) -> None:
        """Why an outbound call was not answered: a final code, or what was instead of one."""
        if (answer := final_answer(self.error)) is not None:
            self.code, self.phrase = answer
            return
        self.failure = FAILURES.get(self.reason or "") or failure_in(self.error)
        if self.failure is None and (self.error or self.closed_at is not None):
            self.failure = "other"

    def _ending(self) -> None:
        draft, reason = self._draft, self.reason or ""
        answered, ended = self.answered_at, self.hangup_at
        if self._held_since is not None:
            draft.happened("hold", self._held_since, ended)
        if reason == "media-timeout" or self.timed_out_at is not None:
            draft.happened("media_timeout", self.timed_out_at or self.closed_at)
        draft.happened("hangup", ended)
        if self.q850 is None and (found := BYE_Q850.search(reason)):
            self.q850 = int(found[1])
        draft.say(q850_cause=self.q850, hangup_source=self._hung_up_by(reason))
        if answered is not None and ended is not None and ended >= answered:
            draft.say(duration_ms=(ended - answered) * 1000.0)
        if self.accepted_at is None and self.direction == "inbound":
            if reason in BY_CALLER_BEFORE_ANSWER:
                draft.say(outcome="canceled")
            elif self.invited_at is not None and reason in REFUSED:
                draft.say(outcome="failed", outcome_detail=REFUSED[reason])

    def _hung_up_by(self, reason: str) -> str | None:
        if self.accepted_at is None:
            cancelled = reason in BY_CALLER_BEFORE_ANSWER
            return "caller" if cancelled and self.direction == "inbound" else None
        return hung_up_by(reason, direction=self.direction, by_bye=self.bye_at is not None)

    def _attempt(self) -> Attempt:
        answered = self.accepted_at is not None
        trunk = self._draft.known(c.TRUNK_ID)
        return Attempt(
            start=self.created_at or self.invite_at,
            end=self.answered_at if answered else self.failed_at or self.closed_at,
            livekit_call_id=self._draft.record_id,
            trunk_id=trunk if isinstance(trunk, str) else None,
            status_code=_ANSWERED if answered else self.code,
            reason=self.phrase,
            failure=self.failure,
            progress=self._progress,
        )


Handler = Callable[[BridgeCall, Record, float], None]

HANDLERS: Final[dict[str, Handler]] = {
    "processing invite": BridgeCall.on_invite,
    "accepting reinvite": BridgeCall.on_reinvite,
    "Creating SIP participant": BridgeCall.on_creating,
    "using codecs": BridgeCall.on_codecs,
    "Accepting the call": BridgeCall.on_accepted,
    "Outbound SIP call established": BridgeCall.on_accepted,
    "track subscribed": BridgeCall.on_subscribed,
    "SIP invite failed": BridgeCall.on_error,
    "SIP call failed": BridgeCall.on_error,
    "BYE from remote": BridgeCall.on_bye,
    "BYE": BridgeCall.on_bye,
    "triggering media timeout": BridgeCall.on_media_timeout,
    "Closing inbound call": BridgeCall.on_closing,
    "Closing inbound call with error": BridgeCall.on_closing,
    "Inbound call closed": BridgeCall.on_closing,
    "Closing outbound call": BridgeCall.on_closing,
    "Closing outbound call with error": BridgeCall.on_closing,
    "SIP call ended": BridgeCall.on_closing,
    "signaling timestamps": BridgeCall.on_timestamps,
    "call statistics": BridgeCall.on_statistics,
}
"""The messages that say something of a call, by their text."""
