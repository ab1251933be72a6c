"""The outbound attempts of one room: each as a span, and told to the call.

An attempt is known by its request and, once it has joined, by its participant: the request knows
the final answer if it waited for it, the participant when it rang, and that it has left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, Tracer

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.clock import clock
from trunktrace.diagnosis.attempts import failover_facts
from trunktrace.directory import Directory
from trunktrace.facts import checked
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.livekit.asked import Request
from trunktrace.livekit.failures import failure_of_error, sip_answer
from trunktrace.livekit.invite import Invite, start_span
from trunktrace.livekit.whose import CALL_ID, invite_of, is_other
from trunktrace.redaction import Redaction, scrub
from trunktrace.sip import participant as sip
from trunktrace.sip.legs import Leg, oldest_of
from trunktrace.sip.retry_after import retry_after_in
from trunktrace.timeline import Attempt

MAY_GO_ON: Final = frozenset({"client_error", "canceled"})
"""Failures after which the participant may still come, and be answered."""

_OK: Final = 200
_TERMINATED: Final = 487
_MOST_OPEN: Final = 64
_MOST_PARTIES: Final = 256
_INSTANT_S: Final = 1e-6
_OURS: Final = frozenset(
    {"PARTICIPANT_REMOVED", "ROOM_DELETED", "ROOM_CLOSED", "DUPLICATE_IDENTITY"}
)
"""Reasons for which a participant leaves that our side gave."""


class Attempts:
    """Follows the attempts of one call; several may be open at once. Its caller is guarded.

    Each attempt ends once: by its answer, its exception, its participant, or the room's end.
    """

    def __init__(
        self,
        call: LiveCall,
        tracer: Callable[[], Tracer],
        directory: Callable[[], Directory],
        redaction: Redaction,
    ) -> None:
        self._call = call
        self._tracer = tracer
        self._directory = directory
        self._redaction = redaction
        self._open: list[Invite] = []
        # Requests that our side gave up: their participants may come all the same.
        self._late: list[Invite] = []
        self._by_leg: dict[Leg, Invite] = {}
        # Numbers in clear, in memory only: which attempts are to one of them.
        self._parties: dict[str, int] = {}
        self._party_count = 0
        self._before: dict[int, SpanContext] = {}
        self._count = 0
        self._started_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether an attempt has not ended."""
        return bool(self._open)

    # The request --------------------------------------------------------------------------------

    def started(
        self, asked: Request, *, aside: bool, elsewhere: bool = False, legs: Iterable[Leg] = ()
    ) -> Invite:
        """An INVITE is about to be asked for.

        `aside`: beside an answered call. `elsewhere`: for a room that nobody watches here. `legs`
        are those that were in the room before: none of them is its participant.
        """
        self._count += 1
        # Two attempts of one moment are two: what is remembered of them goes by their start.
        start = max(clock.now_s(), self._started_at + _INSTANT_S)
        self._started_at = start
        named = self._named(asked.trunk_id, asked.host, {})
        party = self._party(asked)
        attempt = Attempt(start=start, trunk_id=asked.trunk_id, party=party, aside=aside, **named)
        span = self._span(asked, attempt) or INVALID_SPAN
        self._before[party] = span.get_span_context()
        invite = Invite(
            attempt,
            span,
            number=self._count,
            asked=asked,
            former=frozenset(legs),
            elsewhere=elsewhere,
        )
        self._open.append(invite)
        while len(self._open) > _MOST_OPEN:
            self._end(self._open[0])
        self._call.note_attempt(attempt)
        return invite

    def returned(self, invite: Invite, answer: Any, legs: Iterable[Leg]) -> None:
        """The request came back: with the answer if it waited for it, else with who will join."""
        call_id = str(getattr(answer, "sip_call_id", "") or "") or None
        if not invite.is_over:
            invite.identity = (
                str(getattr(answer, "participant_identity", "") or "") or invite.identity
            )
            if call_id is not None:
                invite.attempt = dataclasses.replace(invite.attempt, livekit_call_id=call_id)
            if invite.leg is not None and is_other(invite.leg, call_id):
                self._unlink(invite)
        self._look_at(legs)
        if invite.waits:
            self._end(invite, status_code=_OK)

    def raised(self, invite: Invite, error: BaseException, legs: Iterable[Leg] = ()) -> None:
        """The request raised; the exception may know the final SIP answer."""
        told: dict[str, Any] = {"failure": "other"}
        with swallowing("attempts.raised"):
            told = self._told_by(error, invite.leg)
        self._end(invite, error, **told)
        self._look_at(legs)

    # Its participant ----------------------------------------------------------------------------

    def seen(self, leg: Leg) -> Invite | None:
        """A SIP participant is in the room: whose attempt it is, if it is one of ours."""
        known = self._by_leg.get(leg)
        if known is not None or leg.direction != "outbound":
            return known
        found = invite_of(leg, self._open, self._late)
        if found is not None:
            self._late = [one for one in self._late if one is not found]
            self._by_leg[leg] = found
            for former in oldest_of(one for one, of in self._by_leg.items() if of.is_over):
                del self._by_leg[former]
            found.leg = leg
            leg.invited_at = found.attempt.start
        return found

    def answered(self, leg: Leg) -> None:
        """The participant is active: a 2xx came."""
        invite = self._by_leg.get(leg)
        if invite is not None:
            self._end(invite, at=leg.active_at, status_code=_OK)

    def left(self, leg: Leg) -> None:
        """The participant has gone. Where the request waits, its exception says why."""
        invite = self._by_leg.get(leg)
        if invite is None or invite.is_over:
            return
        if leg.left_because is not None:
            with swallowing("attempts.left"):
                invite.span.set_attribute(c.LIVEKIT_DISCONNECT_REASON, leg.left_because.lower())
        if invite.waits:
            return
        ours = leg.left_because in _OURS
        self._end(
            invite, at=leg.left_at, failure="canceled" if ours else "unanswered", own_cancel=ours
        )

    def over(self) -> None:
        """The room has ended: what became of an attempt that is still open is not known."""
        for invite in tuple(self._open):
            self._end(invite)

    # ----------------------------------------------------------------------------------------------

    def _told_by(self, error: BaseException, leg: Leg | None) -> dict[str, Any]:
        code, reason = sip_answer(error)
        removed = leg is not None and leg.left_because in _OURS
        failure = None
        if code is None:
            failure = "canceled" if removed else failure_of_error(error)
            if failure == "timeout" and _progress(leg, waited=True) is False:
                # Nothing rang, as far as anybody heard: no callee who did not answer.
                failure = "no_response"
        metadata: object = getattr(error, "metadata", None)
        return {
            "status_code": code,
            "reason": self._reason(reason),
            "failure": failure,
            "own_cancel": failure == "canceled" or (removed and code == _TERMINATED),
            "retry_after_s": retry_after_in(metadata, {} if leg is None else leg.attributes),
        }

    def _look_at(self, legs: Iterable[Leg]) -> None:
        """Whose participants these are, now that more is known of the attempts."""
        for leg in legs:
            if self.seen(leg) is None:
                continue
            if leg.active_at is not None:
                self.answered(leg)
            elif leg.disconnected:
                self.left(leg)

    def _unlink(self, invite: Invite) -> None:
        leg, invite.leg = invite.leg, None
        if leg is not None:
            self._by_leg.pop(leg, None)
            leg.invited_at = None

    def _end(
        self,
        invite: Invite,
        error: BaseException | None = None,
        *,
        at: float | None = None,
        **told: Any,
    ) -> None:
        if invite.is_over:
            return
        self._open = [one for one in self._open if one is not invite]
        leg, known = invite.leg, invite.attempt
        attributes: Mapping[str, str] = {} if leg is None else leg.attributes
        trunk_id = known.trunk_id or attributes.get(sip.TRUNK_ID) or None
        host = attributes.get(sip.HOSTNAME) or invite.asked.host
        named = self._named(trunk_id, host, attributes)
        attempt = dataclasses.replace(
            known,
            end=max(clock.now_s() if at is None else at, known.start or 0.0),
            trunk_id=trunk_id,
            livekit_call_id=attributes.get(CALL_ID) or known.livekit_call_id,
            progress=_progress(leg, waited=told.get("failure") == "no_response"),
            **{name: value for name, value in named.items() if value is not None},
            **told,
        )
        invite.end(attempt, error, self._later_known(invite))
        if leg is None and attempt.failure in MAY_GO_ON:
            self._late = [*self._late, invite][-_MOST_OPEN:]
        else:
            invite.former = frozenset()
        self.amended(invite, attempt)

    def amended(self, invite: Invite, attempt: Attempt) -> None:
        """Tell the call what is known of an attempt that has ended; it may be more than before."""
        invite.attempt = attempt
        self._call.note_attempt(attempt)
        if not attempt.aside:
            self._call.annotate(failover_facts(self._call.story().attempts))

    def _named(
        self, trunk_id: str | None, host: str | None, attributes: Mapping[str, str]
    ) -> dict[str, Any]:
        named: dict[str, Any] = {}
        with swallowing("attempts.directory"):
            found = self._directory().identify(trunk_id=trunk_id, host=host, attributes=attributes)
            for name in ("carrier", "route", "region"):
                claim = getattr(found, name)
                named[name] = None if claim is None else claim.value
        return named

    def _party(self, asked: Request) -> int:
        """Which number this is: 1 is the first that was dialled."""
        callee = asked.callee
        with swallowing("attempts.party"):
            callee = asked.callee_as(self._redaction)
        if callee not in self._parties:
            self._parties[callee] = self._party_count = self._party_count + 1
        while len(self._parties) > _MOST_PARTIES:
            self._before.pop(self._parties.pop(next(iter(self._parties))), None)
        return self._parties[callee]

    @guarded
    def _span(self, asked: Request, attempt: Attempt) -> Span:
        parties: dict[str, Value] = {}
        with swallowing("attempts.parties"):
            parties = self._masked(callee=asked.callee, caller=asked.caller)
        return start_span(
            self._tracer(),
            attempt,
            number=self._count,
            parties=parties,
            after=self._before.get(attempt.party or 0),
        )

    def _later_known(self, invite: Invite) -> dict[str, Value]:
        """The caller's number, which the trunk knows where the request names none."""
        leg, known = invite.leg, dict[str, Value]()
        if leg is not None and not invite.asked.caller:
            with swallowing("attempts.caller"):
                known = self._masked(caller=leg.attributes.get(sip.TRUNK_PHONE_NUMBER, ""))
        return known

    def _masked(self, *, caller: str = "", callee: str = "") -> dict[str, Value]:
        parties: dict[str, Value] = {}
        if callee:
            parties |= self._redaction.party("callee", callee)
        if caller:
            parties |= self._redaction.party("caller", caller)
        return parties

    def _reason(self, reason: str | None) -> str | None:
        believed, said = checked("reason", reason), None
        if believed is not None:
            with swallowing("attempts.reason"):
                said = scrub(str(believed[1]), self._call.secrets)
        return said


def _progress(leg: Leg | None, *, waited: bool = False) -> bool | None:
    """Whether a 18x was seen; None where nobody was there to see one, or it may still be told.

    The API is quicker than the room: only what the room says after it, or that our side `waited`
    for the whole ringing time, proves that there was none.
    """
    if leg is None:
        return None
    if leg.progress_at is not None:
        return True
    is_told = waited or leg.disconnected or leg.active_at is not None
    return False if is_told and leg.dialing_at is not None else None
