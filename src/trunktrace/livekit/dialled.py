"""What goes into a dial over several trunks, and what comes out: trunks, result, failure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from trunktrace.diagnosis.runs import path_of
from trunktrace.errors import ConfigurationError, TrunktraceError
from trunktrace.timeline import Attempt

if TYPE_CHECKING:
    from livekit.protocol.sip import SIPParticipantInfo

SHORTEST_RINGING_S: Final = 1.0
_PREFIX: Final = "ST_"
_MOST_DIGITS: Final = 5
_MASKED: Final = "*******"


@dataclass(frozen=True, slots=True)
class Trunk:
    """An outbound trunk, and what is special about a call over it.

    `id` is LiveKit's (`ST_...`). `ringing_timeout_s`: how long the callee's phone may ring over
    this trunk, in seconds, 1 or more; None is what the dial says. `number` is the caller's number
    to show (`sip_number`); None is what the trunk or the request's template says.

    Raises ConfigurationError if one of them is wrong.
    """

    id: str
    ringing_timeout_s: float | None = None
    number: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _is_trunk_id(self.id):
            raise ConfigurationError(
                "trunk", shown(self.id), f"give LiveKit's id of an outbound trunk ({_PREFIX}...)"
            )
        if self.ringing_timeout_s is not None:
            check_seconds("ringing_timeout_s", self.ringing_timeout_s, least=SHORTEST_RINGING_S)
        if self.number is not None and not is_text(self.number):
            raise ConfigurationError(
                "number", "", f"give the number to show over {self.id}, or leave it out"
            )


@dataclass(frozen=True, slots=True)
class DialResult:
    """Who answered, and what it took.

    `participant` is livekit-api's `SIPParticipantInfo`. `attempts` are all that were made, in
    order; the last one is answered.
    """

    participant: SIPParticipantInfo
    attempts: tuple[Attempt, ...]


class DialFailed(TrunktraceError):
    """Nobody answered, or it was not safe to go on; raised from the last attempt's own exception.

    `attempts` are all that were made, in order; none, and no cause, where the phone of a cancelled
    dial of this identity could not be confirmed gone. `path` is what became of each:
    `ST_a:503>ST_b:486` (the carrier in place of the trunk's id where it is known). `why` says why
    it did not go on. No number stands in any of them.
    """

    def __init__(self, attempts: Iterable[Attempt], why: str = "") -> None:
        self.attempts = tuple(attempts)
        self.why = why
        super().__init__(": ".join(part for part in (self.path or "no attempt", why) if part))

    @property
    def path(self) -> str:
        """Trunk and result of each attempt, in order."""
        return path_of(self.attempts)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.attempts, self.why)


def check_seconds(name: str, value: object, *, least: float) -> None:
    """Raise ConfigurationError unless `value` is a finite number of seconds from `least` on."""
    if not _is_number(value) or not least <= value < math.inf:
        raise ConfigurationError(name, shown(value), f"give a number of seconds, {least:g} or more")


def is_text(value: object) -> bool:
    """Whether a value is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def shown(value: object) -> object:
    """A wrong value as an error may show it: never a phone number."""
    text = str(value)
    return _MASKED if sum(map(str.isdigit, text)) >= _MOST_DIGITS else value


def _is_trunk_id(value: object) -> bool:
    is_id = isinstance(value, str) and value.startswith(_PREFIX) and value.isprintable()
    return is_id and value != _PREFIX


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
