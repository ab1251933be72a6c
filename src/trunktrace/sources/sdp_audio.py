"""The audio section of a session description: codec, packet time, where it is to be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trunktrace.sources.sdp import ptime_ms
from trunktrace.sip.codecs import STATIC

_LONGEST: Final = 16 * 1024
_MEDIA: Final = re.compile(r"m=audio (\d{1,5})(?:/\d{1,3})? (\S{1,64})((?: \d{1,3}){1,64})")
_MAP: Final = re.compile(r"a=rtpmap:(\d{1,3}) ([A-Za-z0-9._-]{1,32})/(\d{1,7})")
_HOST: Final = re.compile(r"c=IN IP[46] ([0-9A-Za-z.:_-]{1,253})")
_RTCP: Final = re.compile(r"a=rtcp:(\d{1,5})")
_NO_VOICE: Final = frozenset({"telephone-event", "cn", "red", "rtx"})
_COMFORT_NOISE: Final = 13


@dataclass(frozen=True, slots=True)
class Audio:
    """What one side offers or answers for audio; None is not said.

    Codec, payload type and clock rate are those of its first format that carries voice. `port` 0
    refuses the audio.
    """

    codec: str | None
    payload_type: int | None
    clock_rate_hz: int | None
    ptime_ms: int | None
    is_encrypted: bool
    host: str | None
    port: int
    rtcp_port: int


def audio_in(sdp: str | None) -> Audio | None:
    """The first audio section of a description (RFC 8866); None where there is none."""
    lines = (sdp or "")[:_LONGEST].replace("\r", "").split("\n")
    start = next((at for at, line in enumerate(lines) if line.startswith("m=audio ")), None)
    if start is None:
        return None
    media = _MEDIA.match(lines[start])
    if media is None:
        return None
    end = next((at for at, line in enumerate(lines) if at > start and line[:2] == "m="), len(lines))
    section = lines[start:end]
    named = {int(m[1]): (m[2].lower(), int(m[3])) for m in map(_MAP.match, section) if m}
    payload_type, codec, clock = _voice([int(one) for one in media[3].split()], named)
    # The section's own address stands above the session's.
    hosts = [m[1] for m in map(_HOST.match, [*section, *lines[:start]]) if m]
    rtcp = next((int(m[1]) for m in map(_RTCP.match, section) if m), None)
    port = int(media[1])
    return Audio(
        codec=codec,
        payload_type=payload_type,
        clock_rate_hz=clock,
        ptime_ms=ptime_ms("\n".join(section)),
        is_encrypted="SAVP" in media[2].upper(),
        host=hosts[0].lower() if hosts else None,
        port=port,
        rtcp_port=rtcp if rtcp is not None else port + 1,
    )


def _voice(
    offered: list[int], named: dict[int, tuple[str, int]]
) -> tuple[int | None, str | None, int | None]:
    for payload_type in offered:
        codec, clock = named.get(payload_type) or STATIC.get(payload_type) or (None, None)
        if codec not in _NO_VOICE and payload_type != _COMFORT_NOISE:
            return payload_type, codec, clock
    return None, None, None
