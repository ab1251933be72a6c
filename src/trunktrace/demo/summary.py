"""What the exported spans say, by carrier: pure functions of span records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from trunktrace import conventions as c
from trunktrace.demo.wire import SpanRecord

DEGRADED_LOSS_RATIO: Final = 0.03
"""Loss from which the demo paints a turn; speech is then plainly hard to understand."""

USER_TURN: Final = "user_turn"


@dataclass(slots=True)
class CarrierSummary:
    """The calls of one carrier. `turn_losses` are ratios, 0 to 1, of the turns that have one.

    `found` has the worst failure mode of each call that has any.
    """

    calls: int = 0
    spans: int = 0
    turns: int = 0
    codes: Counter[int] = field(default_factory=Counter[int])
    found: Counter[str] = field(default_factory=Counter[str])
    turn_losses: list[float] = field(default_factory=list[float])

    @property
    def failed(self) -> int:
        """Calls whose final code is not a success."""
        return sum(count for code, count in self.codes.items() if code >= 300)

    @property
    def degraded_turns(self) -> int:
        """Turns that lost more than `DEGRADED_LOSS_RATIO`."""
        return sum(loss > DEGRADED_LOSS_RATIO for loss in self.turn_losses)

    @property
    def mean_loss(self) -> float | None:
        """Mean loss of the turns, 0 to 1; None where no turn has one."""
        return sum(self.turn_losses) / len(self.turn_losses) if self.turn_losses else None


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over all exported spans; `trace_ids` in the order in which the calls started."""

    calls: int
    spans: int
    spans_with_carrier: int
    by_carrier: dict[str, CarrierSummary]
    trace_ids: list[str]
    roots: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The five fields of `trunktrace demo --json`."""
        return {
            "calls": self.calls,
            "spans": self.spans,
            "spans_with_carrier": self.spans_with_carrier,
            "by_carrier": {name: _plain(entry) for name, entry in self.by_carrier.items()},
            "trace_ids": self.trace_ids,
        }


def summarize(spans: Sequence[SpanRecord]) -> Summary:
    """Count calls (a root span each), spans and turns, and what was lost, by carrier."""
    roots = [span for span in spans if span["parent_id"] is None]
    by_carrier: dict[str, CarrierSummary] = {}
    for span in spans:
        carrier = carrier_of(span)
        if carrier is None:
            continue
        entry = by_carrier.setdefault(carrier, CarrierSummary())
        entry.spans += 1
        if span["name"] == USER_TURN:
            entry.turns += 1
            loss = span["attributes"].get(c.RTP_LOSS_RATIO)
            if isinstance(loss, float):
                entry.turn_losses.append(loss)
        if span["parent_id"] is None:
            entry.calls += 1
            code = span["attributes"].get(c.SIP_RESPONSE_STATUS_CODE)
            if isinstance(code, int):
                entry.codes[code] += 1
            mode = span["attributes"].get(c.TRUNKTRACE_FAILURE_MODE)
            if isinstance(mode, str):
                entry.found[mode] += 1
    return Summary(
        calls=len(roots),
        spans=len(spans),
        spans_with_carrier=sum(carrier_of(span) is not None for span in spans),
        by_carrier=dict(sorted(by_carrier.items())),
        trace_ids=list(dict.fromkeys(span["trace_id"] for span in roots)),
        roots=tuple(sorted({span["name"] for span in roots})),
    )


def carrier_of(span: SpanRecord) -> str | None:
    """The carrier that a span names."""
    carrier = span["attributes"].get(c.TRUNK_CARRIER)
    return carrier if isinstance(carrier, str) else None


def most_telling(spans: Sequence[SpanRecord]) -> list[SpanRecord]:
    """The spans of the call whose worst turn lost most; of the first call if none lost anything."""
    worst = max(
        (span for span in spans if span["name"] == USER_TURN),
        key=_loss,
        default=None,
    )
    chosen = worst or next(iter(spans), None)
    return [span for span in spans if chosen and span["trace_id"] == chosen["trace_id"]]


def _loss(span: SpanRecord) -> float:
    loss = span["attributes"].get(c.RTP_LOSS_RATIO)
    return loss if isinstance(loss, float) else 0.0


def _plain(entry: CarrierSummary) -> dict[str, object]:
    return {
        "calls": entry.calls,
        "failed": entry.failed,
        "spans": entry.spans,
        "turns": entry.turns,
        "degraded_turns": entry.degraded_turns,
        "mean_loss_ratio": entry.mean_loss,
        "codes": {str(code): count for code, count in sorted(entry.codes.items())},
    }
