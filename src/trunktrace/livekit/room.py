"""Watches a job's room and tells the live call what LiveKit says about its SIP participants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trunktrace import conventions as c
from trunktrace.clock import clock
from trunktrace.directory import Directory
from trunktrace.facts import CallFacts, Value, checked
from trunktrace.guard import guarded, warn_once
from trunktrace.livecall import LiveCall
from trunktrace.livekit.attempts import Attempts
from trunktrace.livekit.failures import sip_answer
from trunktrace.livekit.marks import RoomMarks
from trunktrace.livekit.naming import Naming
from trunktrace.livekit.settings import Settings
from trunktrace.redaction import scrub
from trunktrace.registry import calls
from trunktrace.sip import participant as sip
from trunktrace.sip.legs import Leg
from trunktrace.sources.livekit.identity import identities_differ

SOURCE: Final = "livekit"
_ANSWERED: Final = 200
_IDENTITY_FIELDS: Final = ("carrier", "route", "region")


class RoomObserver:
    """What the room says, as facts of the call: one SIP participant is the call, others are legs.

    The call is the participant that the agent's session is linked to; before there is such a link,
    the first SIP participant of the room.
    """

    def __init__(self, room: Any, job: Any, call: LiveCall, settings: Settings) -> None:
        self._room = room
        self._call = call
        self._settings = settings
        self._legs: dict[str, Leg] = {}
        self._primary: Leg | None = None
        self._linked: str | None = None
        self._attempts = 0
        self._dialed_at: float | None = None
        self._marks = RoomMarks(room, call)
        self._dials = Attempts(call)
        # Called before the call is concluded: when the caller has gone, and at the room's end.
        self.at_hangup: Callable[[], None] = _nothing
        self.at_end: Callable[[], None] = _nothing
        self.naming = Naming(room, call, settings.directory, lambda leg: leg is self._primary)
        created_ms = getattr(getattr(job, "room", None), "creation_time_ms", 0)
        is_number = isinstance(created_ms, int) and not isinstance(created_ms, bool)
        self._room_created_at = created_ms / 1000.0 if is_number and created_ms > 0 else None

    def start(self) -> None:
        """Subscribe to the room's events, and look at who is there already."""
        handlers: dict[str, Callable[..., None]] = {
            "participant_connected": self._on_participant,
            "participant_active": self._on_participant,
            "participant_attributes_changed": self._on_attributes,
            "participant_disconnected": self._on_disconnected,
            "sip_dtmf_received": self._on_dtmf,
            "connection_state_changed": self._on_connection,
            "disconnected": self._on_room_ended,
            "room_updated": self._on_room_updated,
        }
        for event, handler in handlers.items():
            self._room.on(event, handler)
        self.scan()

    @guarded
    def scan(self) -> None:
        """Take up participants that were there before we listened."""
        self._marks.look_for_recording()
        present: Mapping[str, Any] = self._room.remote_participants
        for participant in list(present.values()):
            self._on_participant(participant)

    @guarded
    def use_directory(self, directory: Directory) -> None:
        """Name carrier, route and region from this directory from now on; for an awaited task."""
        self.naming.arrived(directory)
        if self._primary is not None:
            self.naming.of_leg(self._primary)

    @guarded
    def linked(self, participant: Any) -> None:
        """The agent's session took `participant` as its caller."""
        self._call.linked_elsewhere = not sip.is_sip(participant)
        if self._call.linked_elsewhere:
            return
        self._linked = participant.identity
        self._on_participant(participant)

    # Outbound attempts --------------------------------------------------------------------------

    @guarded
    def dial_started(self, request: Any) -> int:
        """An INVITE is about to be asked for; its number, to be given back with what becomes of it.

        0 beside an answered call: it is another leg then, not the call.
        """
        if self._primary is not None and not self._primary.is_over:
            return 0
        self._call.is_phone_call = True
        if self._attempts or self._primary is not None:
            self._call.begin_attempt()
            self._primary = None
        self._attempts += 1
        self._dialed_at = clock.now_s()
        theirs, ours = str(request.sip_call_to or ""), str(request.sip_number or "")
        self._call.add_secrets([text for text in (theirs, ours) if text])
        trunk_id = str(request.sip_trunk_id or "")
        facts: dict[str, object] = {
            "direction": "outbound",
            "trunk_id": trunk_id or None,
            "callee_number": theirs or None,
            "caller_number": ours or None,
            "attempt_count": self._attempts,
        }
        self._call.observe(facts, source=SOURCE)
        host = str(getattr(getattr(request, "trunk", None), "hostname", "") or "")
        self.naming.of_trunk(trunk_id or None, host or None, {})
        self._dials.started(trunk_id or None)
        return self._attempts

    @guarded
    def dial_answered(self, attempt: int | None) -> None:
        """The request of an attempt came back after the answer (it waited for it)."""
        if self._is_dialing(attempt):
            self._call.observe({"status_code": _ANSWERED, "outcome": "answered"}, source=SOURCE)
            self._marks.dial_answered(self._primary)
            self._dials.answered(self._primary)

    @guarded
    def dial_failed(self, error: BaseException, attempt: int | None) -> None:
        """The request of an attempt raised; the exception may know the final SIP response."""
        if not self._is_dialing(attempt):
            return
        code, reason = sip_answer(error)
        facts: dict[str, object] = {"status_code": code}
        if reason is not None:
            facts["reason"] = scrub(reason, self._call.secrets)
        self._call.observe(facts, source=SOURCE)
        self._dials.failed(error, self._primary)
        if self._primary is not None:
            self._primary.failed = True
        self.naming.finish()
        self._call.conclude(may_go_on=True)

    def transferring(self, request: Any) -> None:
        """A transfer is asked for: its target is a number of this call."""
        self._call.add_secrets([str(request.transfer_to or "")])

    @property
    def caller(self) -> str | None:
        """Identity of the participant that is the call; None while there is none."""
        return None if self._primary is None else self._primary.identity

    @property
    def last_attempt(self) -> int:
        """Number of the last attempt that was the call; 0 before the first."""
        return self._attempts

    def _is_dialing(self, attempt: int | None) -> bool:
        """Whether the call is this attempt of ours, and nobody has answered it yet."""
        if not attempt or attempt != self._attempts:
            return False
        if self._call.attributes.get(c.SIP_RESPONSE_STATUS_CODE) == _ANSWERED:
            return False
        return self._primary is None or self._primary.direction == "outbound"

    # Room events --------------------------------------------------------------------------------

    @guarded
    def _on_participant(self, participant: Any) -> None:
        if not sip.is_sip(participant):
            return
        leg = self._legs.get(participant.identity)
        if leg is None or leg.disconnected:
            leg = Leg(participant.identity, str(participant.name or ""), clock.now_s())
            self._legs[participant.identity] = leg
        leg.take(participant.attributes)
        self._choose(leg)
        self._tell(leg)

    @guarded
    def _on_attributes(self, changed: Mapping[str, str], participant: Any) -> None:
        if not sip.is_sip(participant):
            return
        if participant.identity not in self._legs:
            self._on_participant(participant)
        leg = self._legs[participant.identity]
        leg.take(changed)
        self._tell(leg)

    @guarded
    def _on_disconnected(self, participant: Any) -> None:
        leg = self._legs.get(getattr(participant, "identity", ""))
        if leg is None or leg.disconnected:
            return
        leg.take(participant.attributes)
        self._tell(leg)
        leg.disconnected = True
        reason = _reason_name(getattr(participant, "disconnect_reason", None))
        if leg is not self._primary:
            if leg.failed:
                self._call.add_event(c.EVENT_SIP_STATE, _state_event("hangup", reason))
            else:
                self._call.add_event(c.EVENT_SIP_LEG, self._leg_event(leg, "hangup", reason))
            return
        if leg.hangup_at is None:
            leg.hangup_at = clock.now_s()
        ended: dict[str, object] = leg.timings(self._room_created_at)
        if leg.active_at is not None:
            ended["hangup_source"] = sip.hangup_source_of(reason)
        self._call.observe(ended, source=SOURCE)
        self._marks.of_leg(leg, self._room_created_at)
        self._call.add_event(c.EVENT_SIP_STATE, _state_event("hangup", reason))
        if not self._call.identified:
            self.naming.finish()
        self.at_hangup()
        self._call.conclude(may_go_on=leg.active_at is None and leg.direction == "outbound")

    @guarded
    def _on_dtmf(self, dtmf: Any) -> None:
        sender = getattr(getattr(dtmf, "participant", None), "identity", None)
        if self._primary is not None and sender in (None, self._primary.identity):
            count = (self._call.facts.dtmf_count or 0) + 1
            self._call.observe({"dtmf_count": count}, source=SOURCE)

    @guarded
    def _on_room_updated(self, *_: object) -> None:
        self._marks.look_for_recording()

    @guarded
    def _on_connection(self, *_: object) -> None:
        # The room's own "disconnected" may come after the job's end, and then nobody hears it.
        if self._room.isconnected():
            self.scan()
        else:
            self._on_room_ended()

    @guarded
    def _on_room_ended(self, *_: object) -> None:
        self.naming.cancel()
        self._call.outlives_root = False
        self.at_end()
        self._call.conclude()
        root = self._call.root
        # An unsampled root reaches no processor; one that ended before the room (livekit-agents
        # before 1.8) has been seen already. Any other finishes the call when it ends, if a
        # processor of ours stands on its provider.
        if root is None or not root.is_recording() or self._call.view is None:
            calls.close(self._call)

    # What it means ------------------------------------------------------------------------------

    def _choose(self, leg: Leg) -> None:
        """Make `leg` the call if it is the linked one, or if there is none yet."""
        primary = self._primary
        if leg is primary or leg.failed:
            return
        if leg.identity != self._linked and primary is not None and not primary.is_over:
            return
        if primary is not None:
            if not primary.is_over:
                self._note_leg(primary)
            self._call.begin_attempt()
        if leg.direction == "outbound" and self._dialed_at is not None:
            leg.invited_at = self._dialed_at
        self._primary = leg
        self._call.is_phone_call = True

    def _tell(self, leg: Leg) -> None:
        self._call.add_secrets(sip.persons_in(leg.attributes, leg.identity, leg.name))
        state = leg.advance(clock.now_s())
        if state is None and leg.attributes.get(sip.CALL_STATUS, "") not in ("", leg.state):
            warn_once("sip.callStatus", "trunktrace does not know this sip.callStatus; left out")
        if leg is not self._primary:
            if not leg.told and not leg.failed:
                self._note_leg(leg)
            return
        self._tell_call(leg, state)

    def _tell_call(self, leg: Leg, state: str | None) -> None:
        facts = sip.facts_of(leg.attributes)
        if leg.active_at is not None:
            facts |= {"status_code": _ANSWERED, "outcome": "answered"}
            self._dials.answered(leg)
        facts |= leg.timings(self._room_created_at)
        self._call.observe(facts, source=SOURCE)
        self._marks.of_leg(leg, self._room_created_at)
        differs = identities_differ(leg.attributes, self._settings.redaction)
        if differs is not None:
            self._call.note_policy(identity_differs=differs)
        if state is not None and state != "hangup":
            self._call.add_event(c.EVENT_SIP_STATE, _state_event(state))
        self.naming.of_leg(leg)

    def _note_leg(self, leg: Leg) -> None:
        leg.told = True
        redaction = self._settings.redaction
        facts: dict[str, Any] = {
            name: value
            for name, value in sip.facts_of(leg.attributes).items()
            if name in ("direction", "trunk_id", "livekit_call_id", "livekit_rule_id")
        }
        identity = self.naming.directory.identify(
            trunk_id=leg.attributes.get(sip.TRUNK_ID),
            host=leg.attributes.get(sip.HOSTNAME),
            attributes=leg.attributes,
        )
        for name in _IDENTITY_FIELDS:
            if (claim := getattr(identity, name)) is not None:
                facts[name] = claim.value
        for role, number in (("caller", "caller_number"), ("callee", "callee_number")):
            raw = sip.facts_of(leg.attributes).get(number)
            shown = redaction.number(raw) if isinstance(raw, str) else None
            if shown is not None:
                facts[f"{role}_number"] = shown.masked
        self._call.add_leg(CallFacts(**facts), self._leg_event(leg, leg.state, None))

    def _leg_event(self, leg: Leg, state: str | None, reason: str | None) -> dict[str, Value]:
        stated = sip.facts_of(leg.attributes)
        event: dict[str, Value] = {c.SIP_CALL_DIRECTION: leg.direction}
        for name in ("trunk_id", "livekit_call_id"):
            believed = checked(name, stated.get(name))
            if believed is not None:
                event[believed[0]] = believed[1]
        if state is not None:
            event[c.SIP_CALL_STATE] = state
        if reason is not None:
            event[c.LIVEKIT_DISCONNECT_REASON] = reason.lower()
        return event


def _nothing() -> None:
    """At the end of a call that nobody listens to."""


def _state_event(state: str, reason: str | None = None) -> dict[str, Value]:
    event: dict[str, Value] = {c.SIP_CALL_STATE: state}
    if reason is not None:
        event[c.LIVEKIT_DISCONNECT_REASON] = reason.lower()
    return event


def _reason_name(reason: object) -> str:
    """Name of a DisconnectReason, given as its number or already as its name."""
    if isinstance(reason, str):
        return reason
    from livekit.rtc import DisconnectReason

    try:
        return str(DisconnectReason.Name(reason))  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return "UNKNOWN_REASON"
