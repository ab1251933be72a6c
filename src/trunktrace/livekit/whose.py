"""Which attempt a SIP participant of the room is of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trunktrace.livekit.invite import Invite
from trunktrace.redaction.addresses import user_of
from trunktrace.sip import participant as sip
from trunktrace.sip.legs import Leg

CALL_ID: Final = "sip.callID"


def invite_of(leg: Leg, waiting: Iterable[Invite], late: Iterable[Invite] = ()) -> Invite | None:
    """The attempt that asked for this participant; None where that is not certain.

    LiveKit's call id decides where both have it: the response to the request names it. Before, the
    identity does, and where LiveKit makes that up, trunk and number, if they fit one attempt only.
    `late` are attempts whose request was given up: their participants may come all the same.
    """
    call_id = leg.attributes.get(CALL_ID)
    found: list[Invite] = []
    for invite in (*waiting, *late):
        if invite.leg is not None or leg in invite.former:
            continue
        told = invite.attempt.livekit_call_id
        if call_id and told:
            if call_id == told:
                return invite
        elif not invite.elsewhere and _may_be(invite, leg):
            found.append(invite)
    for is_better in (_is_named, _is_called, _is_open):
        if len(found) > 1:
            found = [one for one in found if is_better(one, leg)] or found
    return found[0] if len(found) == 1 else None


def is_other(leg: Leg, call_id: str | None) -> bool:
    """Whether LiveKit's call id shows that a participant is not the one that it was taken for."""
    known = leg.attributes.get(CALL_ID)
    return bool(call_id and known and call_id != known)


def _may_be(invite: Invite, leg: Leg) -> bool:
    identity, trunk_id = invite.identity, leg.attributes.get(sip.TRUNK_ID)
    if identity is not None and identity != leg.identity:
        return False
    return not trunk_id or invite.attempt.trunk_id in (None, trunk_id)


def _is_named(invite: Invite, leg: Leg) -> bool:
    """Whether the request named the participant, and not LiveKit."""
    return invite.identity == leg.identity


def _is_called(invite: Invite, leg: Leg) -> bool:
    """Whether the participant is called by the number that was asked for."""
    number = leg.attributes.get(sip.PHONE_NUMBER)
    return bool(number) and user_of(number) == user_of(invite.asked.callee)


def _is_open(invite: Invite, leg: Leg) -> bool:
    """Whether a named participant is awaited: the same identity may have been given up before."""
    return invite.identity is None or (invite.identity == leg.identity and not invite.is_over)
