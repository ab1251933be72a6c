"""rtpengine: answers to `query` and `delete`, its control messages, and its log.

One observation for each end. What rtpengine received of an end is counted by itself; what an end
heard is told by its RTCP, under the SSRC that it sends with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.rtpengine.call import MediaCall
from trunktrace.sources.rtpengine.legs import observations_of
from trunktrace.sources.rtpengine.log import StatisticsLog, numbered_lines
from trunktrace.sources.rtpengine.ng import Dialogue, is_bencoded, messages, take_line
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record
from trunktrace.sources.shapes.wrapped import is_wrapped

_BOM: Final = b"\xef\xbb\xbf"
_JSON: Final = re.compile(rb"\s*(?:\{|\[\s*(?:[\[{\]]|\Z))")
"""Not the `[1795396180.609211] INFO: ` of a log on stderr."""
_WITH_COOKIES: Final = re.compile(rb"[^\s{\[]{1,128} \{")
_COOKIES: Final = re.compile(rb"^[ \t]*[^\s{\[]{1,128} (?=\{)", re.MULTILINE)


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The calls of a file: JSON (answers, or messages under `raw`), bencode, or a log."""
    content = data.removeprefix(_BOM)
    if _WITH_COOKIES.match(content.lstrip()):
        content = _COOKIES.sub(b"", content)
    if _JSON.match(content) and not is_wrapped(content):
        return _of_messages(bodies(content), reading)
    if is_bencoded(content):
        return _of_messages(messages(content), reading)
    return _of_log(content, reading)


def _of_messages(numbered: Iterable[tuple[int, Record | Broken]], reading: Reading) -> Parsed:
    dialogue = Dialogue()
    broken: list[Broken] = []
    ignored = 0
    for number, told in numbered:
        if isinstance(told, Broken):
            broken.append(told)
            continue
        reason = take_line(dialogue, told, number) if "raw" in told else dialogue.take(told)
        if reason is None:
            ignored += 1
        elif reason:
            broken.append(Broken(number, reason))
    return _parsed(dialogue.all(), broken, ignored, reading)


def _of_log(data: bytes, reading: Reading) -> Parsed:
    log = StatisticsLog(reading)
    broken: list[Broken] = []
    ignored = 0
    for number, line in numbered_lines(data):
        if isinstance(line, Broken):
            broken.append(line)
            continue
        reason = log.take(line)
        if reason is None:
            ignored += 1
        elif reason:
            broken.append(Broken(number, reason))
    return _parsed(log.calls.values(), broken, ignored, reading)


def _parsed(
    calls: Iterable[MediaCall], broken: list[Broken], ignored: int, reading: Reading
) -> Parsed:
    told: list[Observation] = []
    for call in calls:
        found = list(observations_of(call, reading))
        ignored += 0 if found else call.record_count
        told += found
    return Parsed(tuple(told), tuple(sorted(broken, key=lambda one: one.line)), ignored)
