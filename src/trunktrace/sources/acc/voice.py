"""What each end heard, out of the variables that Kamailio's module `rtpengine` fills at the end.

They have names of the operator's choice; these are the ones of `docs/how-to/kamailio.md`. `a` is
rtpengine's label `caller`, `b` its label `callee`. The MOS is divided by 10 already; the loss is a
whole percent, cut off twice (in each report, and in their mean); the round-trip time is in
microseconds, of both legs together but for the variables of one leg; the jitter is whole
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import End
from trunktrace.sources import losses
from trunktrace.sources.acc.record import AccRecord
from trunktrace.sources.rtpengine.call import ALGORITHM
from trunktrace.sources.shapes.values import decimal

_ENDS: Final[tuple[tuple[End, tuple[str, ...]], ...]] = (
    ("caller", ("_a", "_caller")),
    ("callee", ("_b", "_callee")),
)
_MOS: Final = ("mos_avg", "mos_average", "mos")
_LOSS: Final = ("loss_avg", "packetloss_avg", "mos_average_packetloss", "loss")
_JITTER: Final = ("jit_avg", "jitter_avg", "mos_average_jitter", "jitter")
_RTT: Final = (
    "rtt_leg_avg", "rtt_avg_leg", "roundtrip_leg_avg", "mos_average_roundtrip_leg", "rtt_leg",
    "rtt_avg", "roundtrip_avg", "mos_average_roundtrip", "rtt",
)  # fmt: skip
"""Those of one leg first (Kamailio 5.5: `mos_average_roundtrip_leg_A_pv`)."""


@dataclass(frozen=True, slots=True)
class VoiceOfEnd:
    """Measures of what an end heard."""

    end: End
    measures: dict[str, object]

    def told_of(self, end: End) -> dict[str, object]:
        """What of it is told of the leg of an end.

        The loss is of the whole way from the other end, and nobody knows where on it packets were
        lost: it is put on the caller's leg, as HEP's reader does; on both where there was none.
        """
        loss = self.measures["loss_ratio"]
        said = {"loss_ratio": loss} if loss == 0 or end == "caller" else {}
        return said if end != self.end else {**self.measures, "loss_ratio": said.get("loss_ratio")}


def voices_of(cdr: AccRecord | None) -> Iterator[VoiceOfEnd]:
    """What the CDR says of each end. 0 is what was not measured, but for a loss beside a MOS."""
    if cdr is None:
        return
    for end, suffixes in _ENDS:
        mos, loss, jitter, rtt = (
            _number(cdr, names, suffixes) for names in (_MOS, _LOSS, _JITTER, _RTT)
        )
        mos = mos if mos is not None and 1.0 <= mos <= 5.0 else None
        measures: dict[str, object] = {
            "mos": mos,
            "mos_algorithm": ALGORITHM if mos else None,
            "loss_ratio": losses.of_cut_mean(loss).ratio if loss or (loss == 0 and mos) else None,
            "jitter_ms": jitter or None,
            "rtt_ms": rtt / 1000.0 if rtt else None,
        }
        if any(value is not None for value in measures.values()):
            yield VoiceOfEnd(end, measures)


def _number(cdr: AccRecord, names: tuple[str, ...], suffixes: tuple[str, ...]) -> float | None:
    number = decimal(cdr.first(*(name + suffix for suffix in suffixes for name in names)))
    return number if number is not None and number >= 0 else None
