"""Which leg of a room is the call, and which of its attempts."""

from __future__ import annotations

from typing import Final

from trunktrace import conventions as c
from trunktrace.livecall import LiveCall
from trunktrace.livekit.invite import Invite
from trunktrace.sip.legs import Leg

_ANSWERED: Final = 200


class Choice:
    """One SIP participant is the call, others are legs.

    `leg` is the call's, None while there is none. `linked` is the identity that the agent's session
    takes as its caller: that leg is the call whenever it is there. `latest` is the attempt that is
    the call.
    """

    __slots__ = ("_call", "latest", "leg", "linked")

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        self.leg: Leg | None = None
        self.linked: str | None = None
        self.latest: Invite | None = None

    def is_call(self, leg: Leg) -> bool:
        """Whether `leg` is the call now."""
        return leg is self.leg

    def falls_on(self, leg: Leg, invite: Invite | None) -> bool:
        """Whether `leg` is the call from now on: it is linked, or there is none yet."""
        if leg is self.leg or leg.failed or (invite is not None and invite.attempt.aside):
            return False
        if leg.identity == self.linked:
            return True
        is_former = invite is not None and invite is not self.latest
        return not is_former and (self.leg is None or self.leg.is_over)

    def is_taken(self) -> bool:
        """Whether somebody is on the line: whom the agent dials then is another leg."""
        leg = self.leg
        if leg is not None and (leg.is_over or leg.direction == "inbound"):
            return not leg.is_over
        return (leg is not None and leg.active_at is not None) or self._is_answered()

    def was_missed(self, invite: Invite) -> bool:
        """Whether this attempt was answered, and another is taken for the call though nobody is on.

        Several may be open at once: the call is the one that is answered.
        """
        leg = self.leg
        if invite is self.latest or invite.attempt.aside or self.is_taken():
            return False
        is_linked = leg is not None and leg.identity == self.linked and not leg.is_over
        return not is_linked

    def is_dialing(self, invite: Invite) -> bool:
        """Whether the call is this attempt of ours, and nobody has answered it yet."""
        is_call = self.leg is None or self.leg is invite.leg
        return invite is self.latest and is_call and not self._is_answered()

    def _is_answered(self) -> bool:
        return self._call.attributes.get(c.SIP_RESPONSE_STATUS_CODE) == _ANSWERED
