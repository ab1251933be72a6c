"""R and MOS out of what is measured on a call: codec, loss, bursts, delay."""

from __future__ import annotations

from typing import Final, NamedTuple

from trunktrace.quality.bounds import within
from trunktrace.quality.codecs import codec_named
from trunktrace.quality.emodel import Parameters, mos, transmission_rating

_BURST_RATIO_MAX: Final = 8.0
_DELAY_MS_MAX: Final = 2000.0


class Score(NamedTuple):
    """What people would say of a stretch of audio: `r_factor` 0 to 93.2, `mos` 1 to 4.5.

    `experimental` ones rest on numbers that ITU-T does not publish: see `is_experimental`.
    """

    r_factor: float
    mos: float
    experimental: bool = False


def r_factor(
    *, codec: str, loss_ratio: float, burst_ratio: float = 1.0, one_way_delay_ms: float = 0.0
) -> float:
    """The transmission rating R of one direction: 93.206 at best, below 0 with heavy loss.

    `codec` is a name as in `rtp.codec`, or one of `trunktrace.quality.CODECS`; `loss_ratio` 0 to 1,
    of packets lost or come too late; `burst_ratio` 1 (at random) to 8; `one_way_delay_ms` mouth to
    ear, 0 to 2000, without echo (Ta; T and Tr are 0). All else is at the defaults of the E-model.
    `mos()` turns R into a score. ITU-T G.107 (06/2015), G.113 Appendix I.

    Raises ValueError saying field and range, or naming the codecs.
    """
    known = codec_named(codec)
    return transmission_rating(
        Parameters(
            ie=known.ie,
            bpl=known.bpl,
            ppl=100 * within("loss_ratio", loss_ratio, 0.0, 1.0),
            burst_r=within("burst_ratio", burst_ratio, 1.0, _BURST_RATIO_MAX),
            ta=within("one_way_delay_ms", one_way_delay_ms, 0.0, _DELAY_MS_MAX),
        )
    )


def score(
    codec: str | None,
    loss_ratio: float | None,
    burst_ratio: float | None = 1.0,
    one_way_delay_ms: float | None = 0.0,
    *,
    experimental: bool = False,
) -> Score | None:
    """R and MOS of one direction of a leg, for the attributes of a call; never raises.

    None where codec or loss is unknown or cannot be, and for an experimental codec unless
    `experimental` is set: a score of ours on a span can be compared with every other one. Unknown
    bursts are random ones, an unknown delay is none; a burst ratio is taken into 1 to 8, the delay
    to at most 2000 ms. R is at least 0.
    """
    if codec is None or loss_ratio is None:
        return None
    try:
        known = codec_named(codec)
        if known.experimental and not experimental:
            return None
        r = r_factor(
            codec=codec,
            loss_ratio=loss_ratio,
            burst_ratio=min(max(1.0, burst_ratio or 1.0), _BURST_RATIO_MAX),
            one_way_delay_ms=min(one_way_delay_ms or 0.0, _DELAY_MS_MAX),
        )
    except (TypeError, ValueError):
        return None
    return Score(max(0.0, r), mos(r), known.experimental)
