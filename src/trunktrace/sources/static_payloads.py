"""Payload types of RTP that mean one codec everywhere (RFC 3551, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FIRST_DYNAMIC: Final = 96

CODECS: Final[Mapping[int, tuple[str, int]]] = MappingProxyType(
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
"""Codec and clock rate in Hz by payload type. G.722's clock runs at 8,000, though it samples at
16,000."""


def codec_of(payload_type: int | None) -> str | None:
    """The codec of a static payload type; None for any other."""
    found = CODECS.get(payload_type) if payload_type is not None else None
    return found[0] if found else None
