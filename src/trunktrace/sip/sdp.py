"""The audio of a session description (RFC 8866): codec, packet time, address, hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trunktrace.sip import codecs

_LONGEST: Final = 16 * 1024
_MEDIA: Final = re.compile(r"m=audio (\d{1,5})(?:/\d{1,3})? (\S{1,64})((?: \d{1,3}){1,64})")
_MAP: Final = re.compile(r"a=rtpmap:(\d{1,3}) ([A-Za-z0-9._+-]{1,32})/(\d{1,7})")
_HOST: Final = re.compile(r"c=IN IP[46] ([0-9A-Za-z.:_-]{1,253})")
_RTCP: Final = re.compile(r"a=rtcp:(\d{1,5})")
_PTIME: Final = re.compile(r"a=ptime:\s*(\d{1,4})(?:\.\d+)?\s*")
_DIRECTION: Final = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)\s*")
_NOWHERE: Final = re.compile(r"c=IN IP4 0\.0\.0\.0\s*")
_COMFORT_NOISE: Final = 13


@dataclass(frozen=True, slots=True)
class Audio:
    """What one side offers or answers for audio; None is not said.

    Codec, payload type and clock rate are those of its first format that carries voice. `port` 0
    refuses the audio. `has_keys` is whether it offers keys of SRTP (RFC 4568), which a profile
    without encryption may do as well.
    """

    codec: str | None
    payload_type: int | None
    clock_rate_hz: int | None
    ptime_ms: int | None
    is_encrypted: bool
    has_keys: bool
    host: str | None
    port: int
    rtcp_port: int


def audio_in(sdp: str | None) -> Audio | None:
    """The first audio section of a description; None where there is none."""
    session, section = _sections(sdp or "")
    media = _MEDIA.match(section[0]) if section else None
    if media is None:
        return None
    named = {int(m[1]): (m[2].lower(), int(m[3])) for m in map(_MAP.match, section) if m}
    payload_type, codec, clock = _voice([int(one) for one in media[3].split()], named)
    # The section's own address stands above the session's.
    hosts = [m[1] for m in map(_HOST.match, [*section, *session]) if m]
    rtcp = next((int(m[1]) for m in map(_RTCP.match, section) if m), None)
    port = int(media[1])
    return Audio(
        codec=codec,
        payload_type=payload_type,
        clock_rate_hz=clock,
        ptime_ms=_ptime(section),
        is_encrypted="SAVP" in media[2].upper(),
        has_keys=any(line.startswith("a=crypto:") for line in section),
        host=hosts[0].lower() if hosts else None,
        port=port,
        rtcp_port=rtcp if rtcp is not None else port + 1,
    )


def ptime_ms(sdp: str) -> int | None:
    """The packet time that the audio section asks for; None where it names none."""
    session, section = _sections(sdp)
    return _ptime(section or session)


def is_hold(offer: str) -> bool:
    """Whether an offer puts the media on hold: one direction or none, or the address 0.0.0.0.

    RFC 3264, section 8.4; the address is the older way (RFC 2543).
    """
    lines = _lines(offer)
    _, section = _sections(offer)
    found = _directions(section) or _directions(lines)
    return (bool(found) and found[-1] != "sendrecv") or any(map(_NOWHERE.fullmatch, lines))


def _lines(sdp: str) -> list[str]:
    return sdp[:_LONGEST].replace("\r", "").split("\n")


def _sections(sdp: str) -> tuple[list[str], list[str]]:
    """The lines before the first audio section, and its own; these are none where it is missing."""
    lines = _lines(sdp)
    start = next((at for at, line in enumerate(lines) if line.startswith("m=audio ")), None)
    if start is None:
        return lines, []
    end = next((at for at, line in enumerate(lines) if at > start and line[:2] == "m="), len(lines))
    return lines[:start], lines[start:end]


def _ptime(lines: list[str]) -> int | None:
    return next((int(m[1]) for m in map(_PTIME.fullmatch, lines) if m), None)


def _directions(lines: list[str]) -> list[str]:
    return [m[1] for m in map(_DIRECTION.fullmatch, lines) if m]


def _voice(
    offered: list[int], named: dict[int, tuple[str, int]]
) -> tuple[int | None, str | None, int | None]:
    for payload_type in offered:
        told = named.get(payload_type) or codecs.STATIC.get(payload_type)
        if told is None and payload_type != _COMFORT_NOISE:
            return payload_type, None, None
        if told is not None and codecs.named(told[0]) is not None:
            return payload_type, codecs.named(told[0]), told[1]
    return None, None, None
