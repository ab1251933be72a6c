"""Which part of the call a span belongs to, and what was lost in it.

The rule of `rtp.loss_ratio` (conventions): a span of a turn speaks about the caller's speech that
the turn answers, `tts_*` and `agent_speaking` about their own time towards the caller, every other
span about its own time towards the agent.
"""

from __future__ import annotations

from typing import Final

from trunktrace.media import Interval, Loss

KEPT_TURNS: Final = 16

MOST_MEMBERS: Final = 4096
"""Spans of one turn that are told to be its own; a turn with more of them is a loop."""

USER_TURN: Final = 1
USER_SPEAKING: Final = 2
AGENT_TURN: Final = 3
TO_CALLER: Final = 4
CALL_ROOT: Final = 5
OWN_FACTS: Final = 6
"""A span of ours that states its own facts: an attempt keeps its trunk when the call goes on, and
a transfer's final code is not the call's."""


class Roles(dict[str, int]):
    """Span name to its part in the rule, 0 for none; remembers the names that it has seen."""

    _MOST_NAMES = 4096

    def __missing__(self, name: str) -> int:
        role = TO_CALLER if name.startswith("tts_") else 0
        if len(self) < self._MOST_NAMES:
            self[name] = role
        return role


ROLES: Final = Roles(
    {
        "user_turn": USER_TURN,
        "user_speaking": USER_SPEAKING,
        "agent_turn": AGENT_TURN,
        "agent_speaking": TO_CALLER,
        "sip.call": CALL_ROOT,
        "sip.invite": OWN_FACTS,
        "sip.refer": OWN_FACTS,
    }
)
"""Span names of livekit-agents that have a part in the rule, and our own root."""


class Turn:
    """The caller's speech and the spans that deal with it. A turn without speech has no loss.

    Speech is what the `user_speaking` spans cover, so that a pause within the turn is none; the
    `user_turn` span's own time where there are none.
    """

    __slots__ = ("answered", "end_ns", "loss", "members", "spoken", "start_ns")

    def __init__(self, start_ns: int | None) -> None:
        self.start_ns = start_ns
        self.end_ns: int | None = None
        self.spoken: dict[int, tuple[int, int | None]] = {}
        self.answered = False
        self.loss: Loss | None = None
        self.members: list[int] = []

    def heard_between(self, start: float, end: float) -> bool:
        """Whether the caller may have spoken in this turn between two times (unix seconds)."""
        if self.start_ns is None or self.start_ns / 1e9 > end:
            return False
        return self.end_ns is None or self.end_ns / 1e9 >= start

    def speech(self, now_ns: int) -> tuple[Interval, ...]:
        """When the caller spoke; speech that still goes on ends now."""
        if self.start_ns is None:
            return ()
        spoken = self.spoken.values() if self.spoken else ((self.start_ns, self.end_ns),)
        return tuple(
            (start / 1e9, max(start, now_ns if end is None else end) / 1e9) for start, end in spoken
        )
