"""What a request for a SIP participant asks for."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final

from trunktrace.redaction import Redaction
from trunktrace.redaction.addresses import SQUEEZE, user_of

_INTERNATIONAL: Final = re.compile(r"(?:\+|00)?([0-9]{8,})")
"""Shorter ones are extensions and local numbers, of which nothing can be left out."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request for a SIP participant: whom to call, over which trunk, into which room.

    `identity` is the participant's, None where LiveKit makes it up. `waits` is whether the request
    returns with the answer. Numbers are in clear, in memory only.
    """

    callee: str = dataclasses.field(repr=False)
    caller: str = dataclasses.field(repr=False)
    trunk_id: str | None
    host: str | None
    identity: str | None
    room: str
    waits: bool

    @classmethod
    def read(cls, request: Any, trunk_id: str | None = None, trunk: Any = None) -> Request:
        """Read livekit-api's `CreateSIPParticipantRequest`.

        `trunk_id` and `trunk` (an outbound trunk's configuration) were given beside it, and stand
        above what is in it.
        """
        trunk = getattr(request, "trunk", None) if trunk is None else trunk
        return cls(
            callee=_text(request, "sip_call_to"),
            caller=_text(request, "sip_number"),
            trunk_id=trunk_id or _text(request, "sip_trunk_id") or None,
            host=_text(trunk, "hostname") or None,
            identity=_text(request, "participant_identity") or None,
            room=_text(request, "room_name"),
            waits=bool(getattr(request, "wait_until_answered", False)),
        )

    def callee_as(self, redaction: Redaction) -> str:
        """The callee in a form in which one number is always the same, with `+`, `00` or neither.

        Trunks differ in the form that they want.
        """
        number = redaction.number(self.callee)
        user = number.e164 if number is not None and number.e164 else user_of(self.callee)
        if user is None:
            return self.callee
        found = _INTERNATIONAL.fullmatch(user.translate(SQUEEZE))
        return found[1] if found else user


def _text(thing: object, name: str) -> str:
    found: object = getattr(thing, name, "")
    return found if isinstance(found, str) else ""
