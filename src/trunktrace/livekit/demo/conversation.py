"""What is said in a played call, and the packets that carried it: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PACKET_MS = 20
"""Length of one packet, as on a telephone line."""

SAMPLE_RATE = 16_000
"""Samples a second, mono, in both directions of a played call."""

SAMPLES_PER_PACKET = SAMPLE_RATE * PACKET_MS // 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: the caller's words, what the recogniser makes of them, and the agent's answer.

    `looks_up` is the argument with which the model calls the agent's one tool before it answers;
    None is an answer without a tool.
    """

    said: str
    heard: str
    reply: str
    looks_up: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole call: the agent greets, then the turns follow in order, then the caller hangs up."""

    greeting: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """The telephone line: every how many packets one is lost, by direction; None loses nothing."""

    lose_in_every: int | None = None
    lose_out_every: int | None = None


@dataclass(frozen=True, slots=True)
class Packets:
    """A count of packets between two times (unix seconds).

    `direction` is `in` towards the agent, `out` towards the caller.
    """

    direction: Literal["in", "out"]
    sent: int
    lost: int
    start: float
    end: float

    @property
    def loss_ratio(self) -> float:
        """Lost of sent, 0 to 1."""
        return self.lost / self.sent if self.sent else 0.0


class PacketLoss:
    """Decides which packets of one direction are lost, evenly, through the whole call."""

    def __init__(self, every: int | None) -> None:
        self._every = every
        self._count = 0

    def next_is_lost(self) -> bool:
        """Count one packet; True when the line loses it."""
        self._count += 1
        return self._every is not None and self._count % self._every == 0
