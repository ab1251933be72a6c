"""The RTPAUDIOQOS string of Asterisk: what it says of the two directions of one leg.

`CHANNEL(rtcp,all)` and the variable `RTPAUDIOQOS` hold the same string. Its names, as
`res_rtp_asterisk.c` has filled them since 1.8:

- `lp`, `rxcount`: lost and received, counted by Asterisk; `lp` stops at the last RTCP interval.
- `rlp`, `txcount`: lost as the peer's receiver reports say, and sent.
- `txjitter`, `txmes` are Asterisk's own, `rxjitter`, `rxmes` the peer's: the two names are swapped.
- `rtt` 0 is unknown, and 65535.99 a negative value that wrapped.

In the strings beside it (`RTPAUDIOQOSJITTER`, `...RTT`, `...MES`) `rx` is Asterisk's own. ARI's
`RTPstat` has the same swap in its plain names, and none in `local_` and `remote_`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunktrace.sources import losses
from trunktrace.sources.shapes.values import count, decimal

MAX_CHARACTERS: Final = 4096
"""A longer string is none of Asterisk's."""

LONGEST_ROUND_TRIP_S: Final = 10.0
"""A longer one is a negative value that wrapped at 2^16 s."""

LEAST_MES: Final = 20.0
"""The floor of the MES; at it the score says nothing."""
MOST_MES: Final = 90.0
MES_PER_MOS: Final = 20.0

_NAMES: Final = frozenset(
    {
        *("ssrc", "themssrc", "lp", "rlp", "rxcount", "txcount", "rxjitter", "txjitter", "rtt"),
        *("rxmes", "txmes", "avgrtt", "avgrxjitter", "maxrxjitter", "avgtxjitter", "maxtxjitter"),
        "avgrxmes",
    }
)
_NEVER_LAST: Final = frozenset({"lp", "rlp", "rxcount", "txcount"})
"""`rtt` has stood behind them in every release: `txcount=16` at the end was 1689."""

_BETWEEN: Final = re.compile(r"[;\s]+")
_AROUND: Final = "\"'()<>[],"
_NEGATIVE: Final = 2**31
_LONGEST_JITTER_S: Final = 60.0
_SLACK_PACKETS: Final = 10
_SLACK: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What Asterisk counted on one leg, and what its peer reported.

    Times are milliseconds; None is unknown. `peer_lost` is None where no receiver report came.
    `mes` is Asterisk's own Media Experience Score, above its floor of 20.
    """

    received: int
    sent: int
    lost: int | None = None
    peer_lost: int | None = None
    jitter_ms: float | None = None
    jitter_max_ms: float | None = None
    peer_jitter_ms: float | None = None
    peer_jitter_max_ms: float | None = None
    rtt_ms: float | None = None
    mes: float | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing was sent and nothing came: the leg had no media that Asterisk saw."""
        return self.received == 0 and self.sent == 0

    def heard(self, *, answered: bool = True) -> dict[str, object]:
        """The measures of what that end sends and Asterisk receives; its loss is `derived`.

        Nothing that came on an answered leg is a count of 0, without a loss: nobody knows how much
        was sent. `mos` is MES / 20: the MES is the E-model's score of Asterisk's own reading.
        """
        if self.received == 0:
            return {"packet_count": 0} if answered and self.sent else {}
        return losses.of_received(self.received, self.lost).measures | {
            "jitter_ms": self.jitter_ms,
            "jitter_max_ms": self.jitter_max_ms,
            "rtt_ms": self.rtt_ms,
            "mos": None if self.mes is None else round(self.mes / MES_PER_MOS, 4),
            "mos_algorithm": None if self.mes is None else "mes",
        }

    def told(self, *, answered: bool = True, upstream: int | None = None) -> dict[str, object]:
        """The measures of what Asterisk sends to that end; its loss is `derived`.

        `upstream` is how many packets were lost before Asterisk on the other leg, None where
        nobody knows: the gaps pass a bridge, and the peer counts them again.
        """
        if self.sent == 0:
            return {"packet_count": 0} if answered and self.received else {}
        lost = self._lost_after(upstream)
        return {
            "packet_count": self.sent if lost is None else self.sent - lost,
            **({} if lost is None else losses.of_sent(self.sent, lost).measures),
            "jitter_ms": self.peer_jitter_ms,
            "jitter_max_ms": self.peer_jitter_max_ms,
            "rtt_ms": None if self.received else self.rtt_ms,
        }

    def _lost_after(self, upstream: int | None) -> int | None:
        """What the peer lost of what Asterisk sent; None where that cannot be told apart."""
        lost = self.peer_lost
        if lost is None or lost > self.sent:
            return None
        if upstream is None:
            return self._lost_if_alone(lost)
        # Fewer than half of the gaps at the peer: this bridge numbers its packets anew.
        return lost if lost < upstream / 2 else lost - upstream if lost > upstream else 0

    def _lost_if_alone(self, lost: int) -> int | None:
        """What the counts of one leg tell: packets that were lost before Asterisk it never sent."""
        slack = max(_SLACK * lost, _SLACK_PACKETS)
        deficit = self.received + (self.lost or 0) - self.sent
        if lost == 0 or abs(deficit) <= slack:
            return lost
        return 0 if abs(deficit - lost) <= slack else None


def pairs_of(text: str) -> dict[str, str]:
    """The pairs of a string that matter, whatever stands before them; empty for none."""
    if len(text) > MAX_CHARACTERS:
        return {}
    pairs: dict[str, str] = {}
    for part in _BETWEEN.split(text):
        told, _, value = part.strip(_AROUND).rpartition("=")
        name = told.rpartition("=")[2].strip(_AROUND).lower()
        if name in _NAMES:
            pairs[name] = value
    return pairs


def string_of(text: str) -> dict[str, str] | None:
    """The pairs of a quality string; None where it is none, or may be cut within a count."""
    pairs = pairs_of(text)
    whole = bool(pairs) and next(reversed(pairs)) not in _NEVER_LAST
    return pairs if whole and quality_of(pairs) is not None else None


def quality_of(pairs: Mapping[str, str]) -> Quality | None:
    """What a string says, with the pairs of its siblings if they are there.

    None where a packet count is missing or garbage: then it is no such string.
    """
    received, sent = count(pairs.get("rxcount")), count(pairs.get("txcount"))
    if received is None or sent is None:
        return None
    return Quality(
        received=received,
        sent=sent,
        lost=lost_packets(pairs.get("lp")),
        peer_lost=lost_packets(pairs.get("rlp")) if _is_reported(pairs) else None,
        jitter_ms=jitter_ms(pairs.get("avgrxjitter")) or jitter_ms(pairs.get("txjitter")),
        jitter_max_ms=jitter_ms(pairs.get("maxrxjitter")),
        peer_jitter_ms=jitter_ms(pairs.get("avgtxjitter")) or jitter_ms(pairs.get("rxjitter")),
        peer_jitter_max_ms=jitter_ms(pairs.get("maxtxjitter")),
        rtt_ms=round_trip_ms(pairs.get("avgrtt")) or round_trip_ms(pairs.get("rtt")),
        mes=sane_mes(pairs.get("avgrxmes")) or sane_mes(pairs.get("txmes")),
    )


def _is_reported(pairs: Mapping[str, str]) -> bool:
    """Whether the peer ever sent a receiver report: then one of its measures is not 0."""
    return any((decimal(pairs.get(name)) or 0.0) > 0.0 for name in ("rxjitter", "rtt", "rlp"))


def lost_packets(value: object) -> int | None:
    """Lost packets; more that came than were expected is an unsigned number near 2^32: none."""
    lost = count(value)
    return 0 if lost is not None and lost >= _NEGATIVE else lost


def jitter_ms(value: object) -> float | None:
    """Milliseconds out of seconds; 0 is unknown."""
    seconds = decimal(value)
    if seconds is None or not 0.0 < seconds < _LONGEST_JITTER_S:
        return None
    return round(seconds * 1000.0, 4)


def round_trip_ms(value: object) -> float | None:
    """Milliseconds out of seconds; 0 is unknown, and over 10 s is no round trip."""
    seconds = decimal(value)
    if seconds is None or not 0.0 < seconds < LONGEST_ROUND_TRIP_S:
        return None
    return round(seconds * 1000.0, 4)


def sane_mes(value: object) -> float | None:
    """A Media Experience Score above its floor of 20; 0 is unknown."""
    score = decimal(value)
    return score if score is not None and LEAST_MES < score <= MOST_MES else None
