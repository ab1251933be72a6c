"""What LiveKit's room and webhooks say of a SIP participant: the facts, claims and times of a leg.

The attributes of a SIP participant come in a record of any kind, whole or as changes; `SeenLeg`
gathers them and makes one observation of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunktrace.facts import Attempt, Observation
from trunktrace.redaction import Redaction
from trunktrace.sip import participant as sip
from trunktrace.sip.codes import meaning_of, unanswered
from trunktrace.sip.headers import PARTY_HEADERS
from trunktrace.sip.legs import Leg
from trunktrace.sources.draft import Draft
from trunktrace.sources.livekit.identity import identities_differ

MOST_CLAIMS: Final = 256
_ANSWERED: Final = 200
_REDACTION: Final = Redaction()
_KINDS: Final = frozenset({"PARTICIPANT_KIND_SIP", "SIP", "sip", sip.KIND_SIP})
_NO_CLAIM: Final = frozenset({sip.PHONE_NUMBER, sip.TRUNK_PHONE_NUMBER, sip.CALL_STATUS})
_REASONS: Final = (
    "UNKNOWN_REASON",
    "CLIENT_INITIATED",
    "DUPLICATE_IDENTITY",
    "SERVER_SHUTDOWN",
    "PARTICIPANT_REMOVED",
    "ROOM_DELETED",
    "STATE_MISMATCH",
    "JOIN_FAILURE",
    "MIGRATION",
    "SIGNAL_CLOSE",
    "ROOM_CLOSED",
    "USER_UNAVAILABLE",
    "USER_REJECTED",
    "SIP_TRUNK_FAILURE",
    "CONNECTION_TIMEOUT",
    "MEDIA_FAILURE",
    "AGENT_ERROR",
)
"""`livekit.DisconnectReason` by number (livekit_models.proto)."""

_PUBLIC_HEADER: Final = sip.HEADER_PREFIX + "x-"


def is_sip_kind(kind: object) -> bool:
    """Whether a participant's kind, as its number or its name, is that of a phone leg."""
    return isinstance(kind, str | int) and kind in _KINDS


def reason_of(reason: object) -> str | None:
    """The name of a participant's DisconnectReason, told by its name or its number."""
    if isinstance(reason, int) and not isinstance(reason, bool):
        return _REASONS[reason] if 0 <= reason < len(_REASONS) else None
    return reason if isinstance(reason, str) and reason else None


def texts_of(attributes: Mapping[str, object]) -> dict[str, str]:
    """The attributes that are text, which all of LiveKit's are."""
    return {key: value for key, value in attributes.items() if isinstance(value, str)}


def claims_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """What a directory may name the carrier by: not persons, and of headers only `X-` ones."""
    found: dict[str, str] = {}
    for key, value in attributes.items():
        if key in _NO_CLAIM or key.startswith("lk.") or len(found) >= MOST_CLAIMS:
            continue
        header = key.startswith(sip.HEADER_PREFIX)
        if header and (not key.startswith(_PUBLIC_HEADER) or _names_persons(key)):
            continue
        found[key] = value
    return found


def _names_persons(key: str) -> bool:
    return key.removeprefix(_PUBLIC_HEADER) in PARTY_HEADERS


class SeenLeg:
    """One SIP participant, from when it came until it left. Times are unix seconds.

    `exact` is whether the source tells times to the millisecond: else there are no marks.
    """

    def __init__(
        self, source: str, identity: str, name: str, seen_at: float, *, exact: bool = True
    ) -> None:
        self._exact = exact
        self.leg = Leg(identity, name, seen_at)
        self.draft = Draft(source, record_id="")
        self.attempt: Attempt | None = None
        self.last_at = seen_at
        self.reason: str | None = None
        self.digits = 0
        self.answered: bool | None = None

    @property
    def is_over(self) -> bool:
        """Whether the participant has left."""
        return self.leg.disconnected

    def take(self, attributes: Mapping[str, object], at: float | None) -> None:
        """Attributes of the participant, all or some; `at` is None where the time is not exact."""
        self.leg.take(attributes)
        if at is not None:
            self.leg.advance(at)
            self.last_at = max(self.last_at, at)

    def left(self, reason: str | None, at: float) -> None:
        """The participant left the room."""
        self.leg.disconnected = True
        self.leg.hangup_at = self.leg.hangup_at or at
        self.last_at = max(self.last_at, at)
        self.reason = reason

    def observation(self, room_created_at: float | None = None) -> Observation:
        """What was said of the leg; asked for once."""
        draft, leg = self.draft, self.leg
        attributes = leg.attributes
        if self.attempt is not None and leg.direction == "outbound":
            leg.invited_at = self.attempt.start
        draft.hide(*sip.persons_in(attributes, leg.identity, leg.name))
        draft.say(**sip.facts_of(attributes))
        draft.say(**leg.timings(room_created_at))
        draft.claim(claims_of(attributes))
        draft.identity_differs = identities_differ(attributes, _REDACTION)
        draft.record_id = attributes.get("sip.callID", "")
        draft.complete = self.is_over or leg.hangup_at is not None
        draft.start = leg.invited(room_created_at) or leg.first_seen_at
        draft.end = leg.hangup_at
        if self._exact:
            self._marks(room_created_at)
        self._result()
        if self.attempt is not None:
            draft.attempts.append(self.attempt)
        return draft.build()

    def _marks(self, room_created_at: float | None) -> None:
        draft, leg = self.draft, self.leg
        draft.happened("invite", leg.invited(room_created_at))
        draft.happened("ringing", leg.progress_at if leg.direction == "outbound" else None)
        draft.happened("answered", leg.active_at)
        draft.happened("hangup", leg.hangup_at)

    def _result(self) -> None:
        draft, leg, attempt = self.draft, self.leg, self.attempt
        answered = leg.active_at is not None or self.answered
        answered = answered or (attempt is not None and attempt.answered)
        if self.digits:
            draft.say(dtmf_count=self.digits)
        if answered:
            draft.say(status_code=_ANSWERED, outcome="answered")
            draft.say(hangup_source=sip.hangup_source_of(self.reason or ""))
        elif attempt is not None and attempt.status_code is not None:
            row = meaning_of(attempt.status_code, reason=attempt.reason, progress=attempt.progress)
            draft.say(
                status_code=attempt.status_code,
                reason=attempt.reason,
                outcome=row.outcome,
                outcome_detail=row.detail,
            )
        elif attempt is not None and attempt.failure is not None:
            row = unanswered(attempt.failure, progress=attempt.progress)
            draft.say(outcome=row.outcome, outcome_detail=row.detail)
