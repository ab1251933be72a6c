"""The bars A to H: how each is made of the measures, and where its gate stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from . import scenarios as s

Method = Literal["callgrind", "time"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. `gate` holds for instruction counts, `wide` for time; None is reported only."""

    letter: str
    meaning: str
    gate: float | None
    wide: float | None
    at_least: bool = False

    def limit(self, method: Method) -> float | None:
        """The gate under `method`."""
        return self.gate if method == "callgrind" else self.wide

    def missed(self, value: float, method: Method) -> bool:
        """Whether `value` does not reach the gate."""
        limit = self.limit(method)
        if limit is None:
            return False
        return value < limit if self.at_least else value > limit


BARS: Final = (
    Bar("A", "BaggageSpanProcessor's extra over ours, the same 12 facts", 2.0, 1.7, at_least=True),
    Bar("B", "ours over a bare set_attributes of the same 12 facts", 1.15, 1.35),
    Bar("C", "seven facts on a plain batch span, extra share of the span", 0.35, 0.50),
    Bar("D", "12 facts on a plain batch span, extra share of the span", 0.50, 0.65),
    Bar("E", "a span of no call, extra share of the span", 0.05, 0.12),
    Bar("F", "extra time with 10,000 active calls over that with one", 1.5, 1.5),
    Bar("G", "KB of memory for each active call", 2.5, 2.5),
    Bar("H", "CPU ms of import trunktrace over import opentelemetry.trace (aim: 10)", None, None),
)


def span_ratios(measured: Mapping[str, float]) -> dict[str, float]:
    """Bars A to E from the cost of a span in each scenario, instructions or nanoseconds."""
    plain = measured[s.PLAIN]
    extra = {name: cost - plain for name, cost in measured.items()}
    return {
        "A": extra[s.BAGGAGE] / extra[s.TWELVE_FACTS],
        "B": extra[s.TWELVE_FACTS] / extra[s.BARE],
        "C": extra[s.SEVEN_FACTS] / plain,
        "D": extra[s.TWELVE_FACTS] / plain,
        "E": extra[s.NO_CALL] / plain,
    }


def missed(values: Mapping[str, float], method: Method) -> list[Bar]:
    """The bars whose gate is not reached."""
    return [bar for bar in BARS if bar.missed(values[bar.letter], method)]
