"""FreeSWITCH's media statistics of one leg: what of them can be believed, and what it means.

Packets are counted. Loss is not: `skip_packet_count` counts reads that found nothing, and is 2 on
a clean call as on one that lost 92 packets. It follows from the mean interval between packets, on
a constant stream: 1 - ptime / `mean_interval`. What is lost is a gap in the sequence numbers, and
each missing one counts in `flaw_total`: that is the most that can have been lost. Where the
interval says more by over a point, the sender paused (hold, silence): the loss is then unknown,
unless the flaws allow a point at most. Nothing is derived where comfort noise came.

There is no jitter: the two variances are of the interval, in ms squared, and noise of the call's
first moments. `mos` is computed from flaws alone, without codec and delay; it is stated under its
own algorithm, `freeswitch`. `quality_percentage` is no R factor, `jitter_burst_rate` no burst
ratio of G.107, `rtcp_packet_count` the packet count of the last sender report: none is stated.
Source: switch_rtp.c (check_jitter, do_mos), and the captured calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from trunktrace.sources.shapes.jsonlines import Record, object_in
from trunktrace.sources.shapes.values import count, decimal

ALGORITHM: Final = "freeswitch"
"""`mos_algorithm` of FreeSWITCH's and SignalWire's scores."""

FEWEST_PACKETS: Final = 100
"""Below (2 s of 20 ms), the mean interval and the score say nothing."""

_A_POINT: Final = 0.01
_NOISE: Final = 0.99
"""A mean this near below the packet time is the clock's: no packet came more than once."""

Side = Literal["inbound", "outbound"]
SIDES: Final[tuple[Side, ...]] = ("inbound", "outbound")
"""What FreeSWITCH received on a leg, and what it sent."""

_PREFIXES: Final[dict[Side, str]] = {"inbound": "rtp_audio_in_", "outbound": "rtp_audio_out_"}


@dataclass(frozen=True, slots=True)
class Statistics:
    """Numbers of `callStats.audio`, or where it has none, of the `rtp_audio_*` variables."""

    variables: Mapping[str, str]
    audio: Record = field(default_factory=dict[str, object])

    def number(self, side: Side, name: str) -> object:
        """The number of that name as it is written; None where it is not."""
        told = object_in(self.audio, side).get(name)
        return self.variables.get(_PREFIXES[side] + name) if told is None else told

    def received(self, ptime_ms: int | None) -> dict[str, object]:
        """Measures of what FreeSWITCH received on the leg; its loss is derived."""
        packets = count(self.number("inbound", "packet_count"))
        if packets is None:
            return {}
        told: dict[str, object] = {
            "packet_count": packets,
            "discarded_count": count(self.number("inbound", "flush_packet_count")),
        }
        if packets >= FEWEST_PACKETS:
            told["loss_ratio"] = self._loss(packets, ptime_ms)
            told |= score(self.number("inbound", "mos"))
        return told

    def sent(self) -> dict[str, object]:
        """Measures of what FreeSWITCH sent on the leg: how many packets, nobody says who heard."""
        return {"packet_count": count(self.number("outbound", "packet_count"))}

    def _loss(self, packets: int, ptime_ms: int | None) -> float | None:
        if ptime_ms is None or count(self.number("inbound", "cng_packet_count")) != 0:
            return None
        mean = decimal(self.number("inbound", "mean_interval"))
        flaws = count(self.number("inbound", "flaw_total"))
        if mean is None or mean <= 0:
            return None
        if flaws == 0:
            return 0.0
        loss = 1.0 - ptime_ms / mean
        if loss < 0:
            return 0.0 if mean >= _NOISE * ptime_ms else None
        most = 1.0 if flaws is None else flaws / (packets + flaws)
        known = loss <= most + _A_POINT or most <= _A_POINT
        return round(min(loss, most), 6) if known else None


def score(mos: object) -> dict[str, object]:
    """FreeSWITCH's MOS under its own algorithm; empty where it is none."""
    told = decimal(mos)
    if told is None or not 1.0 <= told <= 5.0:
        return {}
    return {"mos": told, "mos_algorithm": ALGORITHM}
