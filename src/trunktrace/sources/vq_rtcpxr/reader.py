"""Quality reports of phones and SBCs (RFC 6035), in whole SIP messages or as bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import End, Observation
from trunktrace.sip import codecs
from trunktrace.sip.uris import host_in_uri, parse_host
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.values import count, decimal, integer, iso_time, milliseconds_between
from trunktrace.sources.vq_rtcpxr.report import PUBLISHER, Report, Section, pairs, reports
from trunktrace.windows import Leg, MediaDirection

SOURCE: Final = "vq-rtcpxr"

_CALL_ID: Final = re.compile(r"(?!\(null\)$)[\x21-\x7e]{1,255}")
"""linphone writes `(null)` where it has none."""
_PARTY: Final = re.compile(r"sips?:[^\s<>;,]{1,256}", re.IGNORECASE)
_SSRC: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,8}|[0-9A-Fa-f]{1,10}")
_LONGEST_DELAY_MS: Final = 65_535
_MOST_MOS: Final = 4.5
"""No narrowband score is above it; linphone writes up to 4.8."""

_NO_DAY: Final = "1970-01-01"
_RANKS: Final = {"alert": 0, "interval": 1, "session": 2}


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each end that reported on a call, out of all its reports.

    `record_id` is the Call-ID and the reporter's SSRC; `partial` until its session report.
    """
    broken: list[Broken] = []
    good: list[Report] = []
    ignored = 0
    for report in reports(data):
        if report is None:
            ignored += 1
        elif isinstance(report, Broken):
            broken.append(report)
        elif (reason := why_broken(report)) is not None:
            broken.append(Broken(report.line, reason))
        else:
            good.append(report)
    return Parsed(observations(good, reading, SOURCE), tuple(broken), ignored)


def observations(told: Iterable[Report], reading: Reading, source: str) -> tuple[Observation, ...]:
    """What reports that have an id and times say, each reporter's of one call together."""
    grouped: dict[tuple[str | None, ...], list[Report]] = {}
    for report in told:
        local = report.names.get("LOCALID")
        key = (_call_id_of(report), _party(local) or local, _address(report, "LOCALADDR")[0])
        grouped.setdefault(key, []).append(report)
    return tuple(_observation(group, reading, source) for group in grouped.values())


def _call_id_of(report: Report) -> str | None:
    """The Call-ID, or the one in DialogID; None where neither can be read."""
    for text in (report.names.get("CALLID"), report.names.get("DIALOGID", "").partition(";")[0]):
        if text and _CALL_ID.fullmatch(text.strip()):
            return text.strip()
    return None


def why_broken(report: Report) -> str | None:
    """Why a report cannot be read; None where it can."""
    if _call_id_of(report) is None:
        return "no CallID that can be read"
    if report.local is None:
        return "no LocalMetrics"
    for section in (report.local, report.remote or {}):
        for key in ("START", "STOP"):
            text = section.get(key, "")
            if text not in ("", "0") and text[:10] != _NO_DAY and iso_time(text) is None:
                return f"Timestamps: {key} is no time"
    timed = "START" in report.local or "STOP" in report.local
    if not timed and not measures_of(report.local):
        return "no Timestamps, and nothing that was measured"
    return None


def _times(section: Section, zone: tzinfo = UTC) -> tuple[float | None, float | None]:
    """START and STOP; neither where they contradict each other, as in RFC 6035's own examples."""
    start, stop = _time(section.get("START"), zone), _time(section.get("STOP"), zone)
    if start is not None and stop is not None and stop < start:
        return None, None
    return start, stop


def _time(text: str | None, zone: tzinfo) -> float | None:
    return None if text is None or text[:10] == _NO_DAY else iso_time(text, zone)


def _was_never_filled(section: Section) -> bool:
    """Yealink writes a section of zeros, at no time, where the peer told nothing."""
    start = section.get("START", "")
    return start[:10] == _NO_DAY and start == section.get("STOP")


def _observation(group: list[Report], reading: Reading, source: str) -> Observation:
    group = sorted(group, key=lambda one: (_times(one.local or {})[1] or 0.0, _RANKS[one.kind]))
    last = group[-1]
    draft = Draft(source)
    ends, end, is_there = _place(last, reading)
    draft.place(ends, end, states_direction=ends.by != "assumed")
    heard, told = ends.sent_to(end), ends.sent_by(end)
    if not is_there:
        heard, told = told, heard
    draft.say(call_id=_call_id_of(last))
    known = draft.known(c.SIP_CALL_ID) or "?"
    draft.record_id = f"{known}/{_address(last, 'LOCALADDR')[1] or 'unknown'}"
    draft.complete = any(one.kind == "session" for one in group)
    for report in group:
        _persons(draft, report)
        _take(draft, report, (ends.leg(end), heard, told), reading.zone)
    return draft.build()


def _take(
    draft: Draft,
    report: Report,
    place: tuple[Leg, MediaDirection, MediaDirection],
    zone: tzinfo,
) -> None:
    """State a report; `place` is its leg, what the reporter hears, and what it was told."""
    leg, heard, told = place
    local = report.local or {}
    start, stop = _times(local, zone)
    if start is not None:
        draft.start = start if draft.start is None else min(draft.start, start)
    if stop is not None:
        draft.end = stop if draft.end is None else max(draft.end, stop)
    draft.say(outcome="answered")
    if report.kind == "session":
        draft.say(duration_ms=milliseconds_between(start, stop))
    _codec(draft, local if "PD" in local or "PT" in local else report.remote or local)
    _heard(draft, local, leg, heard, (start, stop))
    if report.remote is not None:
        begin, end = _times(report.remote, zone)
        _heard(draft, report.remote, leg, told, (begin or start, end or stop))


def _heard(
    draft: Draft,
    section: Section,
    leg: Leg,
    direction: MediaDirection,
    times: tuple[float | None, float | None],
) -> None:
    measures = {} if _was_never_filled(section) else measures_of(section)
    start, stop = times
    if measures and start is not None and stop is not None and start <= stop:
        draft.saw(leg, direction, start, stop, measures, "derived")
    elif measures:
        draft.total(leg, direction, measures, "derived")


def measures_of(section: Section) -> dict[str, object]:
    """What a section says of the packets that were heard; unavailable values left out.

    Loss is NLR, percent of a whole call: no count. RTD 0 says nothing, IAJ 0 does. Scores: those of
    the conversation (CQ) before those of listening (LQ); a MOS above 4.5 is cut to it.
    """
    lost = _number(section, "NLR", 0.0, 100.0)
    told: dict[str, object] = {
        "loss_ratio": None if lost is None else round(lost / 100.0, 8),
        "jitter_ms": _number(section, "IAJ", 0.0, _LONGEST_DELAY_MS - 1),
        "rtt_ms": _number(section, "RTD", 0.0, _LONGEST_DELAY_MS - 1) or None,
    }
    mos = _number(section, "MOSCQ", 1.0, 5.0) or _number(section, "MOSLQ", 1.0, 5.0)
    told["mos"] = None if mos is None else min(mos, _MOST_MOS)
    told["r_factor"] = _number(section, "RCQ", 1.0, 126.0) or _number(section, "RLQ", 1.0, 126.0)
    if mos is not None or told["r_factor"] is not None:
        told["mos_algorithm"] = "vendor"
    return {name: value for name, value in told.items() if value is not None}


def _number(section: Section, key: str, low: float, high: float) -> float | None:
    value = decimal(section.get(key))
    return value if value is not None and low <= value <= high else None


def _codec(draft: Draft, section: Section) -> None:
    payload_type = integer(section.get("PT"))
    static = codecs.of_type(payload_type)
    draft.say(codec=static)
    # linphone writes PT=1 PD=opus: the name is right.
    draft.say(codec=section.get("PD"))
    named = draft.known(c.RTP_CODEC)
    is_right = named is not None and named == static
    if payload_type is not None and named and (payload_type >= codecs.FIRST_DYNAMIC or is_right):
        draft.say(payload_type=payload_type)
    # SR is how often sound is sampled.
    clock = codecs.STATIC[payload_type][1] if payload_type is not None and is_right else None
    codec = named if isinstance(named, str) else None
    draft.say(clock_rate_hz=clock or codecs.clock_hz(codec, count(section.get("SR"))))
    per_second = count(section.get("PPS"))
    if per_second and 1000 % per_second == 0:
        draft.say(ptime_ms=1000 // per_second)


def _place(report: Report, reading: Reading) -> tuple[Ends, End, bool]:
    """The ends of the call, the end of the reported leg, and whether the reporter stands there.

    It does not where its peer is the bridge: then the leg is the bridge's, and the reporter is the
    one that hears what the bridge sends.
    """
    here, there = _address(report, "LOCALADDR")[0], _address(report, "REMOTEADDR")[0]
    local = [here, host_in_uri(report.names.get("LOCALID"))]
    remote = [there, host_in_uri(report.names.get("REMOTEID"))]
    end = _reporter(report, here, there)
    caller, callee = (local, remote) if end == "caller" else (remote, local)
    ends = reading.bridge.ends(caller=caller, callee=callee)
    known = {name.lower() for name in reading.bridge.names}
    if there is not None and there.lower() in known and not (here and here.lower() in known):
        return ends, ends.bridge, False
    return ends, end, True


def _reporter(report: Report, here: str | None, there: str | None) -> End:
    """The end of the reporter: who began the call by OrigID, else by the host in the Call-ID.

    Before OrigID there was (Poly's default still is) FromID and ToID: then who sent the PUBLISH.
    Where nothing says it, the callee: the end that faces the bridge where nothing else is known.
    """
    origin = _party(report.names.get("ORIGID"))
    if origin is not None:
        if origin == _party(report.names.get("LOCALID")):
            return "caller"
        if origin == _party(report.names.get("REMOTEID")):
            return "callee"
    sender = _party(report.names.get(PUBLISHER))
    if sender is not None:
        if sender == _party(report.names.get("FROMID")):
            return "caller"
        if sender == _party(report.names.get("TOID")):
            return "callee"
    host = (_call_id_of(report) or "").partition("@")[2]
    return "caller" if host and host == here and host != there else "callee"


def _party(text: str | None) -> str | None:
    found = _PARTY.search(text[:1024]) if text else None
    return found[0].lower() if found else None


def _address(report: Report, name: str) -> tuple[str | None, str | None]:
    """Host, and SSRC as eight hexadecimal digits, of LocalAddr or RemoteAddr."""
    told = dict(pairs(report.names.get(name, "")))
    found = parse_host(told.get("IP", ""))
    return (found.host if found else None), _ssrc(told.get("SSRC", ""))


def _ssrc(text: str) -> str | None:
    """Written decimal, hexadecimal with `0x`, or without."""
    if not _SSRC.fullmatch(text):
        return None
    value = int(text) if text.isdigit() else int(text, 16)
    return f"{value:08x}" if 0 < value < 2**32 else None


def _persons(draft: Draft, report: Report) -> None:
    names = report.names
    for name in ("LOCALID", "REMOTEID", "ORIGID", "TOID", "FROMID", PUBLISHER):
        draft.hide(names.get(name), _party(names.get(name)))
    caller = names.get("ORIGID") or names.get("FROMID")
    ids = (names.get("LOCALID"), names.get("REMOTEID"))
    callee = next((one for one in ids if one and _party(one) != _party(caller)), None)
    draft.say(caller_number=caller, callee_number=names.get("TOID") or (callee if caller else None))
