"""The calls of the demo: three carriers, one of them bad. All names and numbers are invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from trunktrace.livekit.demo.conversation import Conversation, Line, Turn


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier's trunk as the operator's directory would name it, and what its line is like."""

    carrier: str
    route: str
    region: str
    trunk_id: str
    codec: str
    line: Line


@dataclass(frozen=True, slots=True)
class Plan:
    """One call: over which trunk, between whom, and what happens.

    `conversation` is None where the call is never answered; `status_code` and `reason` are then
    the final answer to the INVITE.
    """

    name: str
    trunk: Trunk
    direction: Literal["inbound", "outbound"]
    caller: str
    callee: str
    conversation: Conversation | None
    status_code: int = 200
    reason: str = "OK"
    setup_ms: float = 430.0

    @property
    def stretches(self) -> int:
        """How many stretches of speech the call has: the greeting, then two a turn."""
        return 0 if self.conversation is None else 1 + 2 * len(self.conversation.turns)


_GOOD: Final = Line()
_BAD: Final = Line(lose_in_every=16, lose_out_every=20)

TELNYX: Final = Trunk("telnyx", "primary", "us1", "ST_demo_telnyx", "pcmu", _GOOD)
TWILIO: Final = Trunk("twilio", "primary", "us2", "ST_demo_twilio", "g722", _GOOD)
BARGAIN: Final = Trunk("bargain", "overflow", "us3", "ST_demo_bargain", "pcmu", _BAD)

_GREETING: Final = "Hello, the dentist, how can I help?"
_BOOKED: Final = Turn("Yes please", "Yes please", "It is booked. Goodbye!")

_CLEAR: Final = Conversation(
    _GREETING,
    (
        Turn(
            said="I need an appointment on Tuesday",
            heard="I need an appointment on Tuesday",
            looks_up="Tuesday",
            reply="Tuesday half past ten is free, shall I?",
        ),
        _BOOKED,
    ),
)
_MISHEARD: Final = Conversation(
    _GREETING,
    (
        Turn(
            said="I need an appointment on Tuesday",
            heard="I need a point men Tues",
            reply="Sorry, could you say that again?",
        ),
        Turn(
            said="No, an appointment, on Tuesday",
            heard="No, an appointment on Tuesday",
            looks_up="Tuesday",
            reply="Tuesday half past ten is free, shall I?",
        ),
        _BOOKED,
    ),
)
_REMINDER: Final = Conversation(
    "Hello, the dentist, about your appointment.",
    (Turn("I will be there", "I will be there", "Thank you, goodbye!"),),
)

_OURS: Final = "+12025550100"


def _inbound(name: str, trunk: Trunk, caller: str, conversation: Conversation) -> Plan:
    return Plan(name, trunk, "inbound", caller, _OURS, conversation)


PLANS: Final = (
    _inbound("demo-1", TELNYX, "+12025550111", _CLEAR),
    _inbound("demo-2", TWILIO, "+12025550122", _CLEAR),
    _inbound("demo-3", BARGAIN, "+12025550133", _MISHEARD),
    _inbound("demo-4", TELNYX, "+12025550144", _CLEAR),
    Plan("demo-5", TWILIO, "outbound", _OURS, "+12025550155", _REMINDER, setup_ms=1900.0),
    _inbound("demo-6", BARGAIN, "+12025550166", _MISHEARD),
    Plan("demo-7", TELNYX, "outbound", _OURS, "+12025550177", _REMINDER, setup_ms=1700.0),
    Plan(
        "demo-8",
        BARGAIN,
        "outbound",
        _OURS,
        "+12025550188",
        None,
        status_code=503,
        reason="Service Unavailable",
    ),
)
"""The demo's calls. A job knows its call by the name of its room."""
