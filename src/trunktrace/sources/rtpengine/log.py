"""The log of rtpengine: `Final packet stats` of each call, as versions 3 to 13 write them.

Its lines have no year, unless the log writes one (ISO 8601, or unix seconds in brackets): then what
they say is of the whole call, at times that nobody knows. SSRCs are hexadecimal here, in versions
before 6 decimal: they only name what belongs together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.reading import Reading
from trunktrace.sources.rtpengine.call import Heard, MediaCall, Report, Side
from trunktrace.sources.shapes.lines import text_lines
from trunktrace.sources.shapes.syslog import is_log_line, time_of
from trunktrace.sources.shapes.wrapped import unwrapped

_LONGEST: Final = 2048
_CALL: Final = re.compile(
    r"""
      (?<!\w)\[                                    # not the `[7000]` of `rtpengine[7000]`
      (?: ID="(?P<quoted>[^\s"]{1,512}+)" (?:\ port="\d{1,5}")?    # 7.5 and 8
        | (?!core\])(?P<plain>[^\s\]]{1,512}+) (?:\ port\ \d{1,5})? )
      \]:?\ (?:\[\w{1,32}\]\ )? (?=---)             # before 5 without a colon
    """,
    re.VERBOSE,
)
_TAG: Final = re.compile(
    r"--- Tag '([^']{0,256})'(?: \(label '([^']{0,64})'\))?, created (\d{1,4}):(\d\d) ago"
)
_MEDIA: Final = re.compile(r"------ Media #(\d{1,3}) \((\w{1,32}) over \S{1,64}\) using (.{1,64})")
_PORT: Final = re.compile(
    r"--------- Port +\S{1,64} <> +(\S{0,64}?) *:(\d{1,5}) *(\(RTCP\))?"
    r"(?:, SSRC ([0-9a-fA-F]{1,10}))?, (?:in )?(\d{1,12}) p, "
    r"(?:\d{1,15} b, \d{1,12} e, (\d{1,12}) (ts|last_packet)\b)?"
)
_OLD_PORT: Final = re.compile(
    r"------ Media #(\d{1,3})(?: \((\w{1,32}) over \S{1,64}\))?, port +\S{1,64} <> +"
    r"(\S{0,64}?) *:(\d{1,5}) *(\(RTCP\))?, (\d{1,12}) p, "
)
"""Version 3: media and port on one line, no codec, no SSRC. Media #1 of a call is its audio."""
_SSRC: Final = re.compile(r"--- SSRC ([0-9a-fA-F]{1,10})\b")
_MOS: Final = re.compile(
    r"------ Average MOS (\d{1,2}\.\d{1,2}),.{0,128}?(?:\blost: ?(-?\d{1,12})|\)\s*$)"
)
"""Without `lost` before version 9."""
_BLOCK: Final = re.compile(r"-{3,9} (?:Tag|Media|Port|SSRC|Average)\b")
_UNIX: Final = re.compile(r"\[(\d{9,10}\.\d{1,9})\]")


@dataclass(slots=True)
class _Place:
    """Where in the statistics of its call a log is."""

    side: Side | None = None
    is_audio: bool = False
    ssrc: int | None = None


class StatisticsLog:
    """Takes the lines of a log; `calls` are those whose final statistics it had."""

    def __init__(self, reading: Reading) -> None:
        self.calls: dict[str, MediaCall] = {}
        self._zone = reading.zone
        self._now: dict[str, _Place] = {}

    def take(self, line: str) -> str | None:
        """Why the line cannot be read; empty if it was, None if it holds no statistics."""
        inner = unwrapped(line)
        text = inner[:_LONGEST]
        if not _BLOCK.search(text):
            return None if inner is not line or is_log_line(text) else "no line of a log"
        named = _CALL.search(text)
        if named is None:
            return "statistics without a Call-ID"
        call_id = named["quoted"] or named["plain"]
        call = self.calls.setdefault(call_id, MediaCall(call_id, has_statistics=True))
        place = self._now.setdefault(call_id, _Place())
        if not self._take(call, place, text[named.end() :], text[: named.start()]):
            return "a line of statistics that is not whole"
        call.record_count += 1
        return ""

    def _take(self, call: MediaCall, place: _Place, rest: str, before: str) -> bool:
        """Whether the rest of a line, behind the Call-ID, could be read."""
        if found := _TAG.match(rest):
            place.side, place.is_audio, place.ssrc = call.side(found[1]), False, None
            place.side.label = found[2]
            _take_times(call, found, self._written(before))
        elif found := _MEDIA.match(rest):
            _take_media(place, found)
        elif found := _PORT.match(rest):
            if place.side is not None and place.is_audio and not found[3]:
                _take_port(call, place.side, found, self._written(before))
        elif found := _OLD_PORT.match(rest):
            _take_old_port(place, found)
        elif found := _SSRC.match(rest):
            place.ssrc = int(found[1], 16)
        elif found := _MOS.match(rest):
            if place.ssrc is not None:  # else the log begins in the statistics
                call.heard[place.ssrc] = _heard(found)
        else:
            return False
        return True

    def _written(self, before: str) -> float | None:
        """Unix seconds at which a line was written, by what stands before its Call-ID."""
        found = _UNIX.search(before)
        return float(found[1]) if found else time_of(before, self._zone)


def _take_times(call: MediaCall, found: re.Match[str], written: float | None) -> None:
    call.span_s = max(call.span_s or 0.0, int(found[3]) * 60.0 + int(found[4]))
    if written is not None:
        call.ended = call.ended or written
        call.created = written - call.span_s


def _take_media(place: _Place, found: re.Match[str]) -> None:
    side = place.side
    place.is_audio = side is not None and found[2] == "audio" and side.packet_count is None
    if place.is_audio and side is not None and "/" in found[3]:
        side.codec = found[3].strip()


def _take_port(call: MediaCall, side: Side, found: re.Match[str], written: float | None) -> None:
    if side.packet_count is not None:
        return  # a further stream of the same media
    side.address = found[1] or None
    side.packet_count = int(found[5])
    side.ssrc = int(found[4] or "0", 16) or None
    if found[7] == "last_packet":
        side.last_packet = float(found[6]) or None
    elif found[7] == "ts" and written is not None and side.packet_count:
        # Seconds since its last packet: a call may be deleted half a minute after its end.
        side.last_packet = max(call.created or 0.0, written - int(found[6]))
        call.ended = max(one.last_packet or 0.0 for one in call.sides.values())


def _take_old_port(place: _Place, found: re.Match[str]) -> None:
    side = place.side
    is_audio = found[1] == "1" and found[2] in (None, "audio")
    if side is not None and is_audio and not found[5] and side.packet_count is None:
        side.address, side.packet_count = found[3] or None, int(found[6])


def _heard(found: re.Match[str]) -> Heard:
    mos, lost = float(found[1]), int(found[2] or "-1")
    return Heard(
        lost_count=lost if lost >= 0 else None,
        average=Report(at=None, mos=mos or None),
    )


def numbered_lines(data: bytes) -> Iterator[tuple[int, str | Broken]]:
    """The lines of a log that are not blank."""
    for number, line in text_lines(data):
        if isinstance(line, Broken) or line.strip():
            yield number, line
