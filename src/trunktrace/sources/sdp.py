"""The few lines of an SDP that say something about a call's media (RFC 8866, RFC 3264)."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 16 * 1024
_PTIME: Final = re.compile(r"^a=ptime:\s*(\d{1,4})(?:\.\d+)?\s*$", re.MULTILINE)
_DIRECTION: Final = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", re.MULTILINE)
_NOWHERE: Final = re.compile(r"^c=IN IP4 0\.0\.0\.0\s*$", re.MULTILINE)


def ptime_ms(sdp: str) -> int | None:
    """The packet time that the audio section asks for; None where it names none."""
    found = _PTIME.search(_audio(sdp))
    return int(found[1]) if found else None


def is_hold(offer: str) -> bool:
    """Whether an offer puts the media on hold: one direction or none, or the address 0.0.0.0.

    RFC 3264, section 8.4; the address is the older way (RFC 2543).
    """
    text = offer[:_LONGEST]
    found = _DIRECTION.findall(_audio(text)) or _DIRECTION.findall(text)
    return (bool(found) and found[-1] != "sendrecv") or _NOWHERE.search(text) is not None


def _audio(sdp: str) -> str:
    """The audio section, or everything where there is no such section."""
    text = sdp[:_LONGEST].replace("\r", "")
    start = text.find("m=audio")
    if start < 0:
        return text
    end = text.find("\nm=", start)
    return text[start:end] if end >= 0 else text[start:]
