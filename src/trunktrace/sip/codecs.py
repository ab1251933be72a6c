"""Codecs of a call: their names, static payload types and RTP clocks.

A codec is named by its IANA subtype in lower case, as in `rtp.codec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trunktrace import belief

FIRST_DYNAMIC: Final = 96

STATIC: Final[Mapping[int, tuple[str, int]]] = MappingProxyType(
    {
        0: ("pcmu", 8000),
        3: ("gsm", 8000),
        4: ("g723", 8000),
        5: ("dvi4", 8000),
        6: ("dvi4", 16000),
        7: ("lpc", 8000),
        8: ("pcma", 8000),
        9: ("g722", 8000),
        10: ("l16", 44100),
        11: ("l16", 44100),
        12: ("qcelp", 8000),
        15: ("g728", 8000),
        16: ("dvi4", 11025),
        17: ("dvi4", 22050),
        18: ("g729", 8000),
    }
)
"""Codec and clock rate in Hz by payload type (RFC 3551, section 6)."""

_CLOCKS_HZ: Final = {
    "pcmu": 8000, "pcma": 8000, "gsm": 8000, "gsm-efr": 8000, "g722": 8000, "g723": 8000,
    "g726-16": 8000, "g726-24": 8000, "g726-32": 8000, "g726-40": 8000, "g728": 8000, "g729": 8000,
    "ilbc": 8000, "lpc": 8000, "qcelp": 8000, "amr": 8000, "amr-wb": 16000, "opus": 48000,
    "l16": None, "dvi4": None, "silk": None, "speex": None,
}  # fmt: skip
"""The codecs that are known, with the one clock that each runs at; None where there are several."""

_NOT_AS_SAMPLED: Final = frozenset({"g722", "opus"})
"""G.722 samples at 16,000 Hz (RFC 3551, section 4.5.2), Opus at several rates (RFC 7587)."""

_ALIASES: Final = {
    "ulaw": "pcmu", "mulaw": "pcmu", "g711": None, "g711u": "pcmu", "g711mu": "pcmu",
    "g711ulaw": "pcmu", "g711mulaw": "pcmu", "g711ulaw64k": "pcmu",
    "alaw": "pcma", "g711a": "pcma", "g711alaw": "pcma", "g711alaw64k": "pcma",
    "g72264": "g722", "g72264k": "g722",
    "g7231": "g723", "g7231a": "g723",
    "g726r16": "g726-16", "g726r24": "g726-24", "g726r32": "g726-32", "g726r40": "g726-40",
    "g729a": "g729", "g729b": "g729", "g729ab": "g729", "g729r8": "g729", "g729br8": "g729",
    "amrwb": "amr-wb",
}  # fmt: skip
"""What PBXs and SBCs write, without points, hyphens and spaces. `G.711` leaves the law open."""

_SILENT: Final = frozenset({"none", "unknown", "n/a", "na", "null"})
_SEPARATORS: Final = str.maketrans("", "", ". _-")
_LONGEST: Final = 64
_COMMON_CLOCKS_HZ: Final = (8000, 16000, 24000, 32000, 48000)
_CLOCK_TOLERANCE: Final = 0.02


def named(text: object) -> str | None:
    """The name of a voice codec as any system writes it: `PCMU/8000`, `g.711u`, `ulaw`, `G729a`.

    A name that is not known is told as it stands, in lower case. None for what is none: telephone
    events, comfort noise, FreeSWITCH's `PROXY`, `unknown`.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    plain = text.strip().lower()
    subtype = plain.removeprefix("audio/").partition("/")[0]
    if plain in _SILENT or subtype in _SILENT:
        return None
    if subtype in _CLOCKS_HZ:
        return subtype
    squeezed = subtype.translate(_SEPARATORS)
    if squeezed in _ALIASES:
        return _ALIASES[squeezed]
    return squeezed if squeezed in _CLOCKS_HZ else belief.codec(subtype)


def known(text: object) -> str | None:
    """As `named`; None for every name that is not in the table."""
    name = named(text)
    return name if name in _CLOCKS_HZ else None


def of_type(payload_type: int | None) -> str | None:
    """The codec of a static payload type; None for any other."""
    found = STATIC.get(payload_type) if payload_type is not None else None
    return found[0] if found else None


def clock_hz(codec: str | None, sampled_hz: int | None) -> int | None:
    """The RTP clock in Hz of a codec that a record says is sampled at a rate.

    The same, but for G.722 and Opus, which have one clock whatever they are sampled at. None where
    the codec or the rate is not known.
    """
    name = named(codec)
    if name is None:
        return None
    return _CLOCKS_HZ[name] if name in _NOT_AS_SAMPLED else sampled_hz or None


def clock_near(ticks_per_second: float) -> int | None:
    """The RTP clock of voice that ticks about so often (2 %); None where none does."""
    near = min(_COMMON_CLOCKS_HZ, key=lambda hz: abs(ticks_per_second - hz))
    return near if abs(ticks_per_second - near) <= _CLOCK_TOLERANCE * near else None
