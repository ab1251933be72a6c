"""A simulated phone line as the agent's RTC statistics show it: what the carrier sent, lost, held.

The bridge sends one packet for each 20 ms of audio that it got; the jitter buffer fills what is
missing by stretching (80 %) and by concealing, and a long hole with silence.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from trunktrace.quality.rtc import Inbound, Sample

BEGIN = 1_800_000_000.0
PACKET_S = 0.02
RATE = 48_000


@dataclass
class Line:
    """One call. `lost(second)` is the chance of a packet to be lost, `delay(second)` in seconds."""

    seconds: float = 60.0
    seed: int = 0
    lost: Callable[[float], float] = lambda _: 0.0
    delay: Callable[[float], float] = lambda _: 0.0
    silent: tuple[tuple[float, float], ...] = ()
    packet_s: float = PACKET_S
    jitter_s: float = 0.001
    drift: float = 0.0
    agent_loss: float = 0.0
    every_s: float = 1.0
    poll_jitter_s: float = 0.004
    first_poll_s: float = 0.7
    fills: bool = True
    """Whether the jitter buffer had anything to fill: not if packets were never to come."""
    reset_at: float | None = None
    without: frozenset[str] = frozenset()
    """Fields that this version of LiveKit does not tell."""
    sent: int = field(default=0, init=False)
    removed: int = field(default=0, init=False)

    @property
    def truth(self) -> float:
        """Share of the packets put out that the trunk lost; known after `samples`."""
        return self.removed / self.sent

    def samples(self) -> list[Sample]:
        """What the agent saw, look by look."""
        chance = random.Random(self.seed)
        arrivals, agent_losses, holes = self._arrivals(chance)
        return list(self._looks(chance, arrivals, agent_losses, holes))

    def _arrivals(
        self, chance: random.Random
    ) -> tuple[list[float], list[float], list[tuple[float, float]]]:
        arrivals: list[float] = []
        agent_losses: list[float] = []
        holes: list[tuple[float, float]] = []
        last = 0.0
        at = 0.0
        while at < self.seconds:
            quiet = next((end for start, end in self.silent if start <= at < end), None)
            if quiet is not None:
                holes.append((at, quiet - at))
                at = last = quiet
                continue
            self.sent += 1
            if chance.random() < self.lost(at):
                self.removed += 1
            elif chance.random() < self.agent_loss:
                agent_losses.append(at)
            else:
                arrivals.append(at + self.delay(at) + chance.expovariate(1 / self.jitter_s))
                if at - last > 1.5 * self.packet_s:
                    holes.append((at, at - last - self.packet_s))
                last = at
            at += self.packet_s * (1 + self.drift)
        return sorted(arrivals), agent_losses, holes

    def _looks(
        self,
        chance: random.Random,
        arrivals: list[float],
        agent_losses: list[float],
        holes: list[tuple[float, float]],
    ) -> Iterator[Sample]:
        looks = 0
        while (due := self.first_poll_s + looks * self.every_s) < self.seconds:
            looks += 1
            at = due + chance.uniform(0, self.poll_jitter_s)
            got = bisect_right(arrivals, at)
            if not got:
                yield Sample(t=BEGIN + at)
                continue
            base, ssrc = 0, 1
            if self.reset_at is not None and at >= self.reset_at:
                base, ssrc = bisect_right(arrivals, self.reset_at), 2
            filled = [min(length, at - start) for start, length in holes if start <= at]
            filled = filled if self.fills else []
            short = sum(length for length in filled if length < 0.3)
            long = sum(length for length in filled if length >= 0.3)
            values = {
                "packets_lost": bisect_right(agent_losses, at),
                "jitter_s": self.jitter_s,
                "last_packet_at": BEGIN + arrivals[got - 1],
                "total_samples": int((at + 1) * RATE),
                "inserted_samples": int(short * 0.8 * RATE),
                "concealed_samples": int((short * 0.2 + long) * RATE),
                "silent_concealed_samples": int(long * 0.8 * RATE),
                "concealment_events": len(filled),
            }
            known = {name: value for name, value in values.items() if name not in self.without}
            yield Sample(
                t=BEGIN + at,
                inbound=Inbound(ssrc=ssrc, track_id="t", packets_received=got - base, **known),
            )
