"""Reports of RFC 6035 (`application/vq-rtcpxr`) as vendors write them: found, and taken apart.

Lines are `Name: KEY=value KEY=value`. Seen beside that: `CallID=`, a key on a line of its own, no
blank between two keys (`JBM=20JBX=240`), a blank before a value (`IP= 192.0.2.9`), sections before
the Call-ID, LF for CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from trunktrace.sources.parsed import Broken

Kind = Literal["session", "interval", "alert"]
Section = dict[str, str]
"""Values by key in upper case, of all lines of a section; the first of a key counts."""

MAX_REPORT_BYTES: Final = 16 * 1024
MAX_LINES: Final = 256

_BOM: Final = b"\xef\xbb\xbf"
_FIRST: Final = re.compile(rb"[ \t]*VQ(Session|Interval|Alert)Report(?![A-Za-z0-9])", re.IGNORECASE)
_MESSAGE: Final = re.compile(rb"SIP/2\.0 \d{3}|[A-Z]{3,16} \S{1,1024} SIP/2\.0\s*$")
_FROM: Final = re.compile(rb"(?:From|f)[ \t]{0,8}:(.{0,1024})", re.IGNORECASE)
_ABOUT_QUALITY: Final = re.compile(rb"vq-rtcpxr", re.IGNORECASE)
_LINE: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,39})[ \t]{0,8}([:=])(.*)")
# A number may run into the next key (`JBM=20JBX=240`), and Poly sets an address off (`IP= 192...`).
_PAIR: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9]{0,19}+)=(?:[ \t]{1,4}(?![A-Za-z][A-Za-z0-9]{0,19}=))?"
    r'("[^"]{0,200}"|-?\d{1,12}(?:\.\d{1,12})?(?=[A-Za-z]{2,12}=)|\S*)'
)

NAMES: Final = frozenset(
    {"CALLID", "LOCALID", "REMOTEID", "ORIGID", "TOID", "FROMID", "LOCALADDR", "REMOTEADDR",
     "DIALOGID"}
)  # fmt: skip
"""Lines that belong to the report, and not to a section."""

PUBLISHER: Final = "PUBLISHER"
"""Under which `Report.names` has the From header of the SIP message around the report."""

MEASURES: Final = frozenset(
    {"TIMESTAMPS", "SESSIONDESC", "JITTERBUFFER", "PACKETLOSS", "BURSTGAPLOSS", "DELAY", "SIGNAL",
     "QUALITYEST"}
)  # fmt: skip
"""Lines of a section; lines of vendors (`x-SIPmetrics`, `LinphoneExt`) have keys of their own."""


@dataclass(slots=True)
class Report:
    """One report: its lines by name in upper case, and its two sections.

    `local` is what the reporter hears, `remote` what its peer told it to hear; None where the
    report has no such section.
    """

    line: int
    kind: Kind
    names: dict[str, str] = field(default_factory=dict[str, str])
    local: Section | None = None
    remote: Section | None = None


def reports(data: bytes) -> Iterator[Report | Broken | None]:
    """Each report of a file; None for a SIP message that is about something else.

    Bodies may stand alone or in SIP messages (PUBLISH, NOTIFY), one or many in a file.
    """
    for line, chunk in _records(data.removeprefix(_BOM)):
        if not any(_FIRST.match(one) for one in chunk):
            yield _no_report(line, chunk)
            continue
        first = next(at for at, one in enumerate(chunk) if _FIRST.match(one))
        if first and not _MESSAGE.match(chunk[0]):
            yield Broken(line, "lines before the first report that belong to none")
        report = _report(line + first, chunk[first:])
        if isinstance(report, Report) and _MESSAGE.match(chunk[0]):
            _take_sender(report, chunk[1:first])
        yield report


def _records(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Lines by report, each with the SIP message before it, and the number of the first."""
    begin, chunk, told = 1, list[bytes](), False
    for number, line in enumerate(data.split(b"\n"), start=1):
        is_first, is_message = _FIRST.match(line[:64]), _MESSAGE.match(line[:2048])
        if (is_first and told) or is_message:
            if any(one.strip() for one in chunk):
                yield begin, chunk
            begin, chunk, told = number, [], False
        told = told or is_first is not None
        if chunk or line.strip():
            begin = begin if chunk else number
            chunk.append(line)
    if chunk:
        yield begin, chunk


def _no_report(line: int, chunk: list[bytes]) -> Broken | None:
    if not _MESSAGE.match(chunk[0]):
        return Broken(line, "no VQSessionReport, VQIntervalReport or VQAlertReport begins here")
    head = b"\n".join(chunk[:MAX_LINES])[:MAX_REPORT_BYTES]
    if _ABOUT_QUALITY.search(head) and not chunk[0].startswith((b"SIP/2.0", b"SUBSCRIBE")):
        return Broken(line, "a message about vq-rtcpxr without a report")
    return None


def _take_sender(report: Report, headers: list[bytes]) -> None:
    found = (_FROM.match(one[:MAX_REPORT_BYTES]) for one in headers[:MAX_LINES])
    sender = next((one[1] for one in found if one is not None), None)
    if sender is not None:
        report.names[PUBLISHER] = sender.decode("utf-8", "replace").strip()


def _report(line: int, chunk: list[bytes]) -> Report | Broken:
    body = b"\n".join(chunk)
    if len(body) > MAX_REPORT_BYTES or len(chunk) > MAX_LINES:
        return Broken(
            line, f"the report is longer than {MAX_REPORT_BYTES // 1024} KiB or {MAX_LINES} lines"
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return Broken(line, "the report is not UTF-8")
    found = _FIRST.match(chunk[0])
    word = found[1].decode().lower() if found else "session"
    kind: Kind = "interval" if word == "interval" else "alert" if word == "alert" else "session"
    report = Report(line, kind)
    _take(report, text.split("\n")[1:])
    return report


def _take(report: Report, lines: list[str]) -> None:
    # Some write the section's lines before any `LocalMetrics:`; they are the reporter's.
    section: Section | None = None
    for line in lines:
        told = _LINE.match(line.strip())
        name = told[1].upper() if told else ""
        if told is None:
            continue
        if name in ("LOCALMETRICS", "METRICS"):
            section = report.local = {} if report.local is None else report.local
        elif name == "REMOTEMETRICS":
            section = report.remote = {} if report.remote is None else report.remote
        elif name in NAMES:
            report.names.setdefault(name, told[3].strip())
        elif name in MEASURES or told[2] == "=":
            if section is None:
                section = report.local = {}
            _pairs(section, told[3] if told[2] == ":" else line)


def _pairs(section: Section, text: str) -> None:
    for key, value in pairs(text):
        section.setdefault(key, value)


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """KEY=value of a line, keys in upper case, quotes taken off."""
    for found in _PAIR.finditer(text):
        yield found[1].upper(), found[2].strip('"')
