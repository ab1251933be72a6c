"""The log of rtpengine: `Final packet stats` of each call.

Its lines have no year, unless the log writes one: then what they say is of the whole call, at times
that nobody knows. SSRCs are hexadecimal here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trunktrace.sources.parsed import Broken
from trunktrace.sources.reading import Reading
from trunktrace.sources.rtpengine.call import Heard, MediaCall, Report, Side
from trunktrace.sources.shapes.lines import text_lines
from trunktrace.sources.shapes.syslog import is_log_line, time_of

_LONGEST: Final = 2048
_CALL: Final = re.compile(r"\[([^\s\]]{1,512})(?: port \d{1,5})?\]: (?:\[\w{1,32}\] )?(?=---)")
_TAG: Final = re.compile(
    r"--- Tag '([^']{0,256})'(?: \(label '([^']{0,64})'\))?, created (\d{1,4}):(\d\d) ago"
)
_MEDIA: Final = re.compile(r"------ Media #(\d{1,3}) \((\w{1,32}) over \S{1,64}\) using (.{1,64})")
_PORT: Final = re.compile(
    r"--------- Port +\S{1,64} <> +(\S{0,64}?) *:(\d{1,5}) *(\(RTCP\))?"
    r", SSRC ([0-9a-fA-F]{1,8}), (?:in )?(\d{1,12}) p, "
)
_SSRC: Final = re.compile(r"--- SSRC ([0-9a-fA-F]{1,8})\b")
_MOS: Final = re.compile(r"------ Average MOS (\d{1,2}\.\d{1,2}),.{0,128}\blost: ?(-?\d{1,12})")
_BLOCK: Final = re.compile(r"-{3,9} (?:Tag|Media|Port|SSRC|Average)\b")


class StatisticsLog:
    """Takes the lines of a log; `calls` are those whose final statistics it had."""

    def __init__(self, reading: Reading) -> None:
        self.calls: dict[str, MediaCall] = {}
        self._zone = reading.zone
        self._now: dict[str, tuple[Side | None, bool, int | None]] = {}

    def take(self, line: str) -> str | None:
        """Why the line cannot be read; empty if it was, None if it holds no statistics."""
        text = line[:_LONGEST]
        if not _BLOCK.search(text):
            return None if is_log_line(text) else "no line of a log"
        named = _CALL.search(text)
        if named is None:
            return "statistics without a Call-ID"
        call = self.calls.setdefault(named[1], MediaCall(named[1], has_statistics=True))
        rest = text[named.end() :]
        side, is_audio, ssrc = self._now.get(named[1], (None, False, None))
        call.record_count += 1
        if found := _TAG.match(rest):
            side, is_audio, ssrc = self._side(call, found, text), False, None
        elif found := _MEDIA.match(rest):
            is_audio = side is not None and found[2] == "audio" and side.packet_count is None
            if is_audio and side is not None and "/" in found[3]:
                side.codec = found[3].strip()
        elif found := _PORT.match(rest):
            if side is not None and is_audio and not found[3]:
                _take_port(side, found)
        elif found := _SSRC.match(rest):
            ssrc = int(found[1], 16)
        elif found := _MOS.match(rest):
            if ssrc is not None:  # else the log begins in the statistics
                call.heard[ssrc] = _heard(found)
        else:
            call.record_count -= 1
            return "a line of statistics that is not whole"
        self._now[named[1]] = (side, is_audio, ssrc)
        return ""

    def _side(self, call: MediaCall, found: re.Match[str], text: str) -> Side:
        side = call.side(found[1])
        side.label = found[2]
        call.span_s = max(call.span_s or 0.0, int(found[3]) * 60.0 + int(found[4]))
        written = time_of(text, self._zone)
        if written is not None:
            call.ended = written
            call.created = written - call.span_s
        return side


def _take_port(side: Side, found: re.Match[str]) -> None:
    if side.packet_count is not None:
        return  # a further stream of the same media
    side.address = found[1] or None
    side.packet_count = int(found[5])
    side.ssrc = int(found[4], 16) or None


def _heard(found: re.Match[str]) -> Heard:
    mos, lost = float(found[1]), int(found[2])
    return Heard(
        lost_count=lost if lost >= 0 else None,
        average=Report(at=None, mos=mos or None),
    )


def numbered_lines(data: bytes) -> Iterator[tuple[int, str | Broken]]:
    """The lines of a log that are not blank."""
    for number, line in text_lines(data):
        if isinstance(line, Broken) or line.strip():
            yield number, line
