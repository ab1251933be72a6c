"""Watches a job's room and tells the live call what LiveKit says about its SIP participants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import trace

from trunktrace import conventions as c
from trunktrace.clock import clock
from trunktrace.directory import Directory
from trunktrace.facts import CallFacts
from trunktrace.guard import guarded, warn_once
from trunktrace.livecall import LiveCall
from trunktrace.livekit import providers
from trunktrace.livekit.asked import Request
from trunktrace.livekit.attempts import MAY_GO_ON, Attempts
from trunktrace.livekit.choice import Choice
from trunktrace.livekit.invite import Invite
from trunktrace.livekit.marks import RoomMarks
from trunktrace.livekit.naming import Naming
from trunktrace.livekit.room_events import leg_event, leg_facts, reason_name, state_event
from trunktrace.livekit.settings import Settings
from trunktrace.livekit.trace_headers import TraceHeaders
from trunktrace.livekit.whose import CALL_ID, is_other
from trunktrace.registry import calls
from trunktrace.sip import participant as sip
from trunktrace.sip.legs import Leg, oldest_of
from trunktrace.sources.livekit.identity import identities_differ
from trunktrace.timeline import Attempt

SOURCE: Final = "livekit"
_ANSWERED: Final = 200


class RoomObserver:
    """What the room says, as facts of the call: one SIP participant is the call, others are legs.

    The call is the participant that the agent's session is linked to; before there is such a link,
    the first SIP participant of the room.
    """

    def __init__(
        self,
        room: Any,
        job: Any,
        call: LiveCall,
        settings: Settings,
        tracer: Callable[[], trace.Tracer] | None = None,
    ) -> None:
        self._room = room
        self._call = call
        self._settings = settings
        self._handlers: dict[str, Callable[..., None]] = {}
        self._legs: dict[str, Leg] = {}
        self._choice = Choice(call)
        self._attempts = 0
        self._marks = RoomMarks(room, call)
        # Called before the call is concluded: when the caller has gone, and at the room's end.
        self.at_hangup: Callable[[], None] = _nothing
        self.at_end: Callable[[], None] = _nothing
        is_call = self._choice.is_call
        self.headers = TraceHeaders(call, settings.sip_headers, is_call)
        self.naming = Naming(room, call, settings.directory, is_call, self.headers)
        self._dials = Attempts(
            call,
            tracer or providers.livekit_tracer,
            lambda: self.naming.directory,
            settings.redaction,
        )
        self._room_name = str(getattr(getattr(job, "room", None), "name", "") or "")
        created_ms = getattr(getattr(job, "room", None), "creation_time_ms", 0)
        is_number = isinstance(created_ms, int) and not isinstance(created_ms, bool)
        self._room_created_at = created_ms / 1000.0 if is_number and created_ms > 0 else None

    def start(self, *, legs_only: bool = False) -> None:
        """Subscribe to the room's events, and look at who is there already.

        `legs_only`: for the time of a dial, the room's own end concerns others.
        """
        self._handlers = {
            "participant_connected": self._on_participant,
            "participant_active": self._on_participant,
            "participant_attributes_changed": self._on_attributes,
            "participant_disconnected": self._on_disconnected,
        }
        if not legs_only:
            self._handlers |= {
                "sip_dtmf_received": self._on_dtmf,
                "connection_state_changed": self._on_connection,
                "disconnected": self._on_room_ended,
                "room_updated": self._on_room_updated,
            }
        for event, handler in self._handlers.items():
            self._room.on(event, handler)
        self.scan()

    def stop(self) -> None:
        """Listen no longer."""
        self.naming.cancel()
        self.headers.mark.cancel()
        for event, handler in self._handlers.items():
            self._room.off(event, handler)
        self._handlers = {}

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
        if self._choice.leg is not None:
            self.naming.of_leg(self._choice.leg)

    @guarded
    def linked(self, participant: Any) -> None:
        """The agent's session took `participant` as its caller."""
        self._call.linked_elsewhere = not sip.is_sip(participant)
        if self._call.linked_elsewhere:
            return
        self._choice.linked = participant.identity
        self._on_participant(participant)

    # Outbound attempts --------------------------------------------------------------------------

    @guarded
    def dial_started(
        self, request: Any, *, trunk_id: str | None = None, trunk: Any = None
    ) -> Invite:
        """An INVITE is about to be asked for; the attempt, to be given back with its end.

        Beside an answered call, or for another room, it is another leg and not the call.
        """
        asked = Request.read(request, trunk_id, trunk)
        self._call.add_secrets([text for text in (asked.callee, asked.caller) if text])
        elsewhere = not self._is_room(asked.room)
        aside = elsewhere or self._choice.is_taken()
        if not aside:
            self._turn_to(asked)
        invite = self._dials.started(
            asked, aside=aside, elsewhere=elsewhere, legs=self._legs.values()
        )
        if not aside:
            self._choice.latest = invite
        return invite

    def _turn_to(self, asked: Request) -> None:
        self._call.is_phone_call = True
        if self._attempts or self._choice.leg is not None:
            self._call.begin_attempt()
            self._choice.leg = None
        self._attempts += 1
        self._describe(asked)

    def _turn_back(self, invite: Invite) -> None:
        """Of attempts that were open at once, not the last one was answered: that is the call."""
        self._call.begin_attempt()
        self._choice.latest, self._choice.leg = invite, invite.leg
        self._describe(invite.asked)

    def _describe(self, asked: Request) -> None:
        facts: dict[str, object] = {
            "direction": "outbound",
            "trunk_id": asked.trunk_id,
            "callee_number": asked.callee or None,
            "caller_number": asked.caller or None,
            "attempt_count": self._attempts,
        }
        self._call.observe(facts, source=SOURCE)
        self.naming.of_trunk(asked.trunk_id, asked.host, {})

    @guarded
    def dial_returned(self, invite: Invite, answer: Any) -> None:
        """The request of an attempt came back: after the answer, if it waited for it."""
        self._dials.returned(invite, answer, self._legs.values())
        if not invite.waits or invite.attempt.aside:
            return
        if self._choice.was_missed(invite):
            self._turn_back(invite)
        if self._choice.is_dialing(invite):
            self._call.observe({"status_code": _ANSWERED, "outcome": "answered"}, source=SOURCE)
            self._marks.dial_answered(self._choice.leg)

    @guarded
    def dial_failed(self, invite: Invite, error: BaseException) -> None:
        """The request of an attempt raised; the exception may know the final SIP response."""
        self._dials.raised(invite, error, self._legs.values())
        attempt = invite.attempt
        # After a lost or given up request the participant may still be answered.
        if invite.leg is not None and attempt.failure not in MAY_GO_ON and not attempt.answered:
            invite.leg.failed = True
        if not self._choice.is_dialing(invite):
            return
        facts: dict[str, object] = {"status_code": attempt.status_code, "reason": attempt.reason}
        self._call.observe(facts, source=SOURCE)
        self.naming.finish()
        self._call.conclude(may_go_on=True)

    @guarded
    def dial_amended(self, invite: Invite, attempt: Attempt) -> None:
        """More is known of an attempt than when its span ended; the call takes it."""
        self._dials.amended(invite, attempt)

    @guarded
    def over(self) -> None:
        """Nothing more will be heard of attempts that are still open."""
        self._dials.over()

    @property
    def is_dialing(self) -> bool:
        """Whether an attempt is open."""
        return self._dials.is_open

    def transferring(self, request: Any) -> None:
        """A transfer is asked for: its target is a number of this call."""
        self._call.add_secrets([str(request.transfer_to or "")])

    @property
    def caller(self) -> str | None:
        """Identity of the participant that is the call; None while there is none."""
        return None if self._choice.leg is None else self._choice.leg.identity

    def other_leg(self, identity: str) -> CallFacts | None:
        """What is known of the participant of that name; None if it is the call, or may be."""
        mine, leg = self._choice.leg, self._legs.get(identity)
        if not identity or leg is mine or (mine is not None and identity == mine.identity):
            return None
        if leg is None:
            return CallFacts()
        return leg_facts(leg, self.naming.directory, self._settings.redaction)

    def _is_room(self, name: str) -> bool:
        own = getattr(self._room, "name", "") or self._room_name
        return not name or not isinstance(own, str) or not own or name == own

    # Room events --------------------------------------------------------------------------------

    @guarded
    def _on_participant(self, participant: Any) -> None:
        if not sip.is_sip(participant):
            return
        leg = self._legs.get(participant.identity)
        # Another may take an identity before anybody says that the former has left.
        call_id = participant.attributes.get(CALL_ID)
        if leg is None or leg.disconnected or is_other(leg, call_id):
            leg = Leg(participant.identity, str(participant.name or ""), clock.now_s())
            self._legs.pop(leg.identity, None)
            self._legs[leg.identity] = leg
            for former in oldest_of(self._legs.values()):
                if former is not self._choice.leg:
                    del self._legs[former.identity]
        leg.take(participant.attributes)
        invite = self._dials.seen(leg)
        self._choose(leg, invite)
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
        reason = reason_name(getattr(participant, "disconnect_reason", None))
        leg.leave(reason, clock.now_s())
        self._dials.left(leg)
        if leg is not self._choice.leg:
            if leg.failed:
                self._call.add_event(c.EVENT_SIP_STATE, state_event("hangup", reason))
            else:
                self._call.add_event(c.EVENT_SIP_LEG, leg_event(leg, "hangup", reason))
            return
        if leg.hangup_at is None:
            leg.hangup_at = clock.now_s()
        ended: dict[str, object] = leg.timings(self._room_created_at)
        if leg.active_at is not None:
            ended["hangup_source"] = sip.hangup_source_of(reason)
        self._call.observe(ended, source=SOURCE)
        self._marks.of_leg(leg, self._room_created_at)
        self._call.add_event(c.EVENT_SIP_STATE, state_event("hangup", reason))
        if not self._call.identified:
            self.naming.finish()
        self.at_hangup()
        self._call.conclude(may_go_on=leg.active_at is None and leg.direction == "outbound")

    @guarded
    def _on_dtmf(self, dtmf: Any) -> None:
        sender = getattr(getattr(dtmf, "participant", None), "identity", None)
        if self._choice.leg is not None and sender in (None, self._choice.leg.identity):
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
        self.headers.mark.cancel()
        self._call.outlives_root = False
        self._dials.over()
        self.at_end()
        self._call.conclude()
        root = self._call.root
        # An unsampled root reaches no processor; one that ended before the room (livekit-agents
        # before 1.8) has been seen already. Any other finishes the call when it ends, if a
        # processor of ours stands on its provider.
        if root is None or not root.is_recording() or self._call.view is None:
            calls.close(self._call)

    # What it means ------------------------------------------------------------------------------

    def _choose(self, leg: Leg, invite: Invite | None) -> None:
        if not self._choice.falls_on(leg, invite):
            return
        former = self._choice.leg
        if former is not None:
            if not former.is_over:
                self._note_leg(former)
            self._call.begin_attempt()
        self._choice.leg = leg
        self._call.is_phone_call = True

    def _tell(self, leg: Leg) -> None:
        self._call.add_secrets(sip.persons_in(leg.attributes, leg.identity, leg.name))
        state = leg.advance(clock.now_s())
        if state is None and leg.attributes.get(sip.CALL_STATUS, "") not in ("", leg.state):
            warn_once("sip.callStatus", "trunktrace does not know this sip.callStatus; left out")
        invite = self._dials.seen(leg)
        if invite is not None and leg.active_at is not None and not leg.disconnected:
            self._dials.answered(leg)
            if self._choice.was_missed(invite):
                self._turn_back(invite)
        self.headers.of_leg(leg)
        if leg is not self._choice.leg:
            if not leg.told and not leg.failed:
                self._note_leg(leg)
            return
        self._tell_call(leg, state)

    def _tell_call(self, leg: Leg, state: str | None) -> None:
        facts = sip.facts_of(leg.attributes)
        if leg.active_at is not None:
            facts |= {"status_code": _ANSWERED, "outcome": "answered"}
        facts |= leg.timings(self._room_created_at)
        self._call.observe(facts, source=SOURCE)
        self._marks.of_leg(leg, self._room_created_at)
        differs = identities_differ(leg.attributes, self._settings.redaction)
        if differs is not None:
            self._call.note_policy(identity_differs=differs)
        if state is not None and state != "hangup":
            self._call.add_event(c.EVENT_SIP_STATE, state_event(state))
        self.naming.of_leg(leg)

    def _note_leg(self, leg: Leg) -> None:
        leg.told = True
        facts = leg_facts(leg, self.naming.directory, self._settings.redaction)
        self._call.add_leg(facts, leg_event(leg, leg.state))


def _nothing() -> None:
    """At the end of a call that nobody listens to."""
