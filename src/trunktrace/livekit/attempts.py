"""The outbound attempts of one job's call: what LiveKit's API says of each, told to the call."""

from __future__ import annotations

import dataclasses

from trunktrace.clock import clock
from trunktrace.livecall import LiveCall
from trunktrace.livekit.failures import sip_answer
from trunktrace.redaction import scrub
from trunktrace.sip.dialling import failure_of
from trunktrace.sip.legs import Leg
from trunktrace.timeline import Attempt

_OK = 200


class Attempts:
    """One attempt at a time; each is told when it starts, and again with what became of it."""

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        self._open: Attempt | None = None

    def started(self, trunk_id: str | None) -> None:
        """An INVITE is about to be asked for."""
        self._open = Attempt(start=clock.now_s(), trunk_id=trunk_id)
        self._call.note_attempt(self._open)

    def answered(self, leg: Leg | None) -> None:
        """The attempt was answered; heard twice is told once."""
        self._close(status_code=_OK, progress=_progress(leg))

    def failed(self, error: BaseException, leg: Leg | None) -> None:
        """The request raised; the exception may know the final SIP answer."""
        code, reason = sip_answer(error)
        failure = None
        if code is None:
            said: object = getattr(error, "code", None)
            failure = failure_of(
                kind=type(error).__name__,
                code=said if isinstance(said, str) else None,
                text=str(getattr(error, "message", "") or error),
            )
        self._close(
            status_code=code,
            reason=None if reason is None else scrub(reason, self._call.secrets),
            failure=failure,
            progress=_progress(leg),
        )

    def _close(
        self,
        *,
        status_code: int | None,
        progress: bool | None,
        reason: str | None = None,
        failure: str | None = None,
    ) -> None:
        attempt, self._open = self._open, None
        if attempt is None:
            return
        known = self._call.facts
        self._call.note_attempt(
            dataclasses.replace(
                attempt,
                end=clock.now_s(),
                livekit_call_id=known.livekit_call_id,
                carrier=known.carrier,
                route=known.route,
                status_code=status_code,
                reason=reason,
                failure=failure,
                progress=progress,
            )
        )


def _progress(leg: Leg | None) -> bool | None:
    """Whether a 18x was seen; None where the participant was not seen at all."""
    return None if leg is None else leg.progress_at is not None
