"""What a dial is asked to do: checked before anything is dialled, and turned into requests."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from trunktrace.errors import ConfigurationError
from trunktrace.livekit.dialled import SHORTEST_RINGING_S, Trunk, check_seconds, is_text, shown

RINGING_S: Final = 30.0
"""How long a phone rings where nobody says how long; LiveKit's own default."""

_MARGIN_S: Final = 5.0
_NS: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The waits of a dial, in seconds; each finite, 0 or more, `removal_timeout_s` above 0.

    Raises ConfigurationError if one of them is wrong.
    """

    backoff_s: float = 1.0
    longest_pause_s: float = 10.0
    removal_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        check_seconds("backoff_s", self.backoff_s, least=0.0)
        check_seconds("longest_pause_s", self.longest_pause_s, least=0.0)
        check_seconds("removal_timeout_s", self.removal_timeout_s, least=0.1)

    def pause_s(self, retry_after_s: float | None) -> float:
        """How long to wait before the next attempt."""
        if retry_after_s is None:
            return self.backoff_s
        return min(retry_after_s, self.longest_pause_s)


@dataclass(frozen=True, slots=True)
class Callee:
    """Whom to call, under which identity and name in the room, and how long the phone may ring.

    None is what the template says, else a default. Raises ConfigurationError without a number.
    """

    number: str = field(repr=False)
    identity: str | None = None
    name: str | None = None
    ringing_timeout_s: float | None = None

    def __post_init__(self) -> None:
        if not is_text(self.number):
            raise ConfigurationError("number", "", "give the number to call, such as +15550100001")


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to call, as whom, and over which trunks in turn."""

    number: str = field(repr=False)
    room: str
    identity: str
    name: str | None
    trunks: tuple[Trunk, ...]
    ringing_timeout_s: float
    template: Any = field(repr=False)

    @classmethod
    def make(
        cls, room: Any, callee: Callee, trunks: Iterable[str | Trunk], template: Any = None
    ) -> Plan:
        """Check everything that is given. Raises ConfigurationError naming the field and the fix.

        An identity that nobody gives is made up, and is without the number: LiveKit's own has it.
        """
        check_template(template, room.name, callee.number)
        said = str(getattr(template, "participant_identity", "") or "")
        return cls(
            number=callee.number,
            room=room.name,
            identity=callee.identity or said or f"callee-{secrets.token_hex(4)}",
            name=callee.name,
            trunks=trunks_of(trunks),
            ringing_timeout_s=_ringing_s(callee.ringing_timeout_s, template),
            template=template,
        )

    def check_free(self, room: Any) -> None:
        """Raise ConfigurationError if somebody is in the room under that identity already."""
        own = getattr(getattr(room, "local_participant", None), "identity", None)
        if self.identity in (*room.remote_participants, own):
            # LiveKit would put out whoever is there, and so would we when the attempt fails.
            raise ConfigurationError(
                "identity", shown(self.identity), "is in the room already: give another one"
            )

    def ringing_s(self, trunk: Trunk) -> float:
        """How long the phone may ring over this trunk."""
        own = trunk.ringing_timeout_s
        return self.ringing_timeout_s if own is None else own

    def request_timeout_s(self, trunk: Trunk) -> float:
        """How long the request may take: an older livekit-api would give up while it rings."""
        return self.ringing_s(trunk) + _MARGIN_S

    def request(self, trunk: Trunk) -> Any:
        """The request for an attempt over this trunk; the template is copied, never changed."""
        from livekit.protocol.sip import CreateSIPParticipantRequest

        made = CreateSIPParticipantRequest()
        if self.template is not None:
            made.CopyFrom(self.template)
        made.sip_trunk_id = trunk.id
        made.sip_call_to = self.number
        made.room_name = self.room
        made.participant_identity = self.identity
        made.wait_until_answered = True
        made.ringing_timeout.FromNanoseconds(round(self.ringing_s(trunk) * _NS))
        if trunk.number is not None:
            made.sip_number = trunk.number
        if self.name is not None:
            made.participant_name = self.name
        return made


def trunks_of(given: Iterable[str | Trunk]) -> tuple[Trunk, ...]:
    """The trunks in the order in which they are tried; each once."""
    if isinstance(given, str | Trunk):
        raise ConfigurationError("trunks", shown(given), "give a list, the first choice first")
    trunks = tuple(one if isinstance(one, Trunk) else Trunk(one) for one in given)
    if not trunks:
        raise ConfigurationError("trunks", [], "give at least one trunk")
    ids = [one.id for one in trunks]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise ConfigurationError(
            "trunks", twice, "is there twice: that would be a failover loop (FOL-1); give it once"
        )
    return trunks


def check_template(template: Any, room: str, number: str) -> None:
    """Raise ConfigurationError where a request's template contradicts the dial."""
    if template is None:
        return
    if not hasattr(template, "sip_call_to"):
        kind = type(template).__name__
        raise ConfigurationError("request", kind, "give livekit-api's CreateSIPParticipantRequest")
    if template.sip_trunk_id or template.trunk.hostname:
        raise ConfigurationError(
            "request.sip_trunk_id", shown(template.sip_trunk_id), "is said by trunks: leave it out"
        )
    if template.room_name and template.room_name != room:
        raise ConfigurationError(
            "request.room_name", shown(template.room_name), "is another room than ctx.room"
        )
    if template.sip_call_to and template.sip_call_to != number:
        raise ConfigurationError(
            "request.sip_call_to", "*******", "is another number than the one to dial"
        )


def _ringing_s(given: float | None, template: Any) -> float:
    seconds = RINGING_S if given is None else given
    if given is None and template is not None and template.HasField("ringing_timeout"):
        seconds = template.ringing_timeout.ToNanoseconds() / _NS
    check_seconds("ringing_timeout_s", seconds, least=SHORTEST_RINGING_S)
    return seconds
