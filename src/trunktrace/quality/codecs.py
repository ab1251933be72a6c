"""Codecs: what each takes from R, and how well each bears lost packets.

Values are those of ITU-T G.113 (09/2024) Appendix I where it has them: Table I.1 (Ie without loss)
and Table I.4 (Bpl). They are provisional planning values, says the appendix, and were taken from
public reproductions of it, not from the Recommendation itself.

A row is experimental where ITU-T publishes one of its two numbers not, or not for this use. Where
only Bpl is missing it is 4.3: the default of G.107, a codec without concealment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_NO_CONCEALMENT: Final = 4.3


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec as the E-model sees it.

    `ie` is the equipment impairment factor, in points of R; `bpl` the packet-loss robustness
    factor, in percent: at that much random loss half of `95 - ie` is gone; `source` says where both
    are from. `experimental` codecs are comparable to others only roughly.
    """

    name: str
    ie: float
    bpl: float
    source: str
    experimental: bool = False


_TABLE: Final = (
    Codec("pcmu", 0, 25.1, "I.1; I.4 with the concealment of G.711 Appendix I, 10 ms packets"),
    Codec("pcma", 0, 25.1, "as pcmu: G.113 has one row for both laws"),
    Codec("pcmu-noplc", 0, 4.3, "I.1; I.4 without concealment, 10 ms packets"),
    Codec("pcma-noplc", 0, 4.3, "as pcmu-noplc"),
    Codec("g729", 10, 19.0, "I.1; Bpl of G.729A + VAD, I.4, 20 ms packets"),
    Codec("g729a", 10, 19.0, "I.1; Bpl of G.729A + VAD, I.4, 20 ms packets"),
    Codec("g729ab", 11, 19.0, "I.4, G.729A + VAD, 20 ms packets"),
    Codec("g723.1", 15, 16.1, "I.4, 6.3 kbit/s + VAD, 30 ms packets"),
    Codec("g723", 15, 16.1, "g723.1 by its IANA name"),
    Codec("gsm-efr", 5, 10.0, "I.4, 12.2 kbit/s, 20 ms packets"),
    Codec("amr", 5, 10.0, "none in G.113: gsm-efr, which is AMR's 12.2 kbit/s mode", True),
    Codec("gsm", 20, _NO_CONCEALMENT, "full rate, Ie recalled; no Bpl published", True),
    Codec("g726-40", 2, _NO_CONCEALMENT, "I.1; no Bpl published", True),
    Codec("g726-32", 7, _NO_CONCEALMENT, "I.1; no Bpl published", True),
    Codec("g726-24", 25, _NO_CONCEALMENT, "I.1; no Bpl published", True),
    Codec("g726-16", 50, _NO_CONCEALMENT, "I.1; no Bpl published", True),
    Codec("g728", 7, _NO_CONCEALMENT, "I.1, 16 kbit/s; no Bpl published", True),
    Codec("ilbc", 11, 32.0, "recalled from the literature: Ie 10 to 12, Bpl 32 to 34", True),
    Codec("g722", 13, 4.5, "Ie,wb of 64 kbit/s and Bpl 4 to 5, both recalled", True),
    Codec("amr-wb", 13, 4.3, "Ie,wb IV.1 (handset), Bpl,wb IV.4 (headset), 12.65 kbit/s", True),
    Codec("opus", 10.666, 9.79, "Opus_emodel.js, super-wideband VBR 40 kbit/s, random loss", True),
)

CODECS: Final[Mapping[str, Codec]] = MappingProxyType({codec.name: codec for codec in _TABLE})
"""All codecs, by name: `rtp.codec`, and names for what it leaves open."""


def codec_named(name: object) -> Codec:
    """The codec of that name, in upper or lower case.

    Raises ValueError listing the names, where there is none.
    """
    found = CODECS.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"codec must be one of {', '.join(sorted(CODECS))}")
    return found


def is_experimental(codec: str) -> bool:
    """Whether the ratings of this codec rest on numbers that ITU-T does not publish for it.

    Raises ValueError listing the names, where there is no such codec.
    """
    return codec_named(codec).experimental
