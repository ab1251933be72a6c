"""RTCP packets of a call: report blocks of RFC 3550 and VoIP metrics of RFC 3611.

They name no call and no address: only SSRCs, and a name of the sender (CNAME). So one observation
is what SSRCs said to each other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.rtcp.flow import (
    DEFAULT_CLOCK_HZ,
    Span,
    clock_of,
    jitter_max_ms,
    spans,
    total,
    whole,
)
from trunktrace.sources.rtcp.packet import Compound, VoipMetrics, compounds
from trunktrace.windows import LossMethod, MediaDirection

SOURCE: Final = "rtcp-xr"

_MOST_MOS: Final = 4.5
_LONGEST_DELAY_MS: Final = 65_535
_UNTIMED_STEP_S: Final = 3600.0
"""Between reports without a time: none of them is refused for the number of its packets."""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation of the trunk leg for each group of SSRCs that reported on each other.

    What the bridge's SSRC hears goes in, what the other one hears out. The bridge's is the one
    whose CNAME has a host of `reading.bridge`, else the one that reported first. Who alone reports
    is not the bridge: LiveKit's sends no RTCP. Packets that hold no report (only BYE, only sender
    information without a receiver) are ignored.
    """
    broken: list[Broken] = []
    good: list[Compound] = []
    ignored = 0
    for one in compounds(data):
        if isinstance(one, Broken):
            broken.append(one)
        elif one.blocks or one.metrics or one.sent:
            good.append(one)
        else:
            ignored += 1
    groups = _groups(good)
    found = [_observation(group, reading) for group in groups]
    return Parsed(tuple(found), tuple(broken), ignored)


def _groups(told: list[Compound]) -> list[list[Compound]]:
    """Packets whose SSRCs are connected by a report, in the order of the file."""
    leader: dict[int, int] = {}

    def find(ssrc: int) -> int:
        while (above := leader.setdefault(ssrc, ssrc)) != ssrc:
            leader[ssrc] = leader[above]
            ssrc = above
        return ssrc

    for one in told:
        heard = {block.source_ssrc for block in one.blocks}
        for source in heard | {metrics.source_ssrc for metrics in one.metrics}:
            leader[find(source)] = find(one.ssrc)
    groups: dict[int, list[Compound]] = {}
    for one in told:
        groups.setdefault(find(one.ssrc), []).append(one)
    return list(groups.values())


def _observation(group: list[Compound], reading: Reading) -> Observation:
    draft = Draft(SOURCE, leg="trunk")
    ours = _bridge(group, reading)
    draft.record_id = f"{ours:08x}"
    times = [one.time for one in group if one.time is not None]
    if times:
        draft.start, draft.end = min(times), max(times)
    by_ssrc: dict[int, list[Compound]] = {}
    for one in group:
        by_ssrc.setdefault(one.ssrc, []).append(one)
        draft.hide(one.cname)
    heard: set[MediaDirection] = set()
    for ssrc, mine in by_ssrc.items():
        direction: MediaDirection = "in" if ssrc == ours else "out"
        if _say_heard(draft, direction, mine, by_ssrc):
            heard.add(direction)
    for ssrc, mine in by_ssrc.items():
        # What it sent, where nobody told what of it was received.
        direction = "out" if ssrc == ours else "in"
        sent = [one.sent for one in mine if one.sent]
        if sent and direction not in heard:
            _say(draft, direction, draft.start, draft.end, {"packet_count": sent[-1]}, "counted")
    return draft.build()


def _bridge(group: list[Compound], reading: Reading) -> int:
    names = {name.lower() for name in reading.bridge.names}
    for one in group:
        host = (one.cname or "").rpartition("@")[2].lower()
        if host and host in names:
            return one.ssrc
    reporters = [one for one in group if one.blocks or one.metrics]
    if not reporters:
        return group[0].ssrc
    first = reporters[0]
    if any(one.ssrc != first.ssrc for one in reporters):
        return first.ssrc
    return first.blocks[0].source_ssrc if first.blocks else first.metrics[0].source_ssrc


def _say_heard(
    draft: Draft,
    direction: MediaDirection,
    mine: list[Compound],
    by_ssrc: dict[int, list[Compound]],
) -> bool:
    """What one SSRC reported; False where it has heard nobody."""
    reports = [one for one in mine if one.blocks]
    timed = all(one.time is not None for one in reports)
    blocks = [
        replace(block, time=one.time if timed and one.time is not None else at * _UNTIMED_STEP_S)
        for at, one in enumerate(reports, start=1)
        for block in one.blocks
    ]
    sources = {block.source_ssrc for block in blocks}
    sent = sorted(
        (one.time, one.sent)
        for source in sources
        for one in by_ssrc.get(source, ())
        if one.time is not None and one.sent is not None
    )
    ticks = sorted(
        (one.time, one.timestamp)
        for source in sources
        for one in by_ssrc.get(source, ())
        if one.time is not None and one.timestamp is not None
    )
    clock_hz = clock_of(ticks) or DEFAULT_CLOCK_HZ
    told = spans(blocks, sent=sent if timed else (), clock_hz=clock_hz)
    everything = total(told) if timed else whole(told)
    if everything is not None:
        measures = everything.measures() | {"jitter_max_ms": jitter_max_ms(told)}
        start, end = (everything.start, everything.end) if timed else (None, None)
        _say(draft, direction, start, end, measures, "counted")
    for one in told if timed else ():
        _say(draft, direction, one.start, one.end, one.measures(), _method(one))
    said = _say_metrics(draft, direction, mine, is_counted=bool(told))
    return bool(told) or said


def _method(span: Span) -> LossMethod:
    return "counted" if span.expected is not None else "derived"


def _say_metrics(
    draft: Draft, direction: MediaDirection, mine: list[Compound], *, is_counted: bool
) -> bool:
    """The last VoIP metrics of an SSRC: they speak of all that it has heard so far."""
    reports = [one for one in mine if one.metrics]
    if not reports:
        return False
    measures = measures_of(reports[-1].metrics[-1])
    if is_counted:
        measures.pop("loss_ratio", None)
    times = [one.time for one in mine if one.time is not None]
    last = reports[-1].time
    start = times[0] if times and last is not None else None
    _say(draft, direction, start, last, measures, "derived")
    return bool(measures)


def measures_of(told: VoipMetrics) -> dict[str, object]:
    """Measures of a VoIP metrics block, unavailable ones left out (RFC 3611, section 4.7).

    A round trip of 0 was not measured; MOS of the conversation stands before that of listening, and
    is cut at 4.5.
    """
    scores = [one for one in (told.mos_cq, told.mos_lq) if 10 <= one <= 50]
    rating = told.r_factor if 0 < told.r_factor <= 120 else None
    measures: dict[str, object] = {
        "loss_ratio": told.loss_rate / 256.0,
        "rtt_ms": float(told.round_trip_ms) if 0 < told.round_trip_ms < _LONGEST_DELAY_MS else None,
        "mos": min(scores[0] / 10.0, _MOST_MOS) if scores else None,
        "r_factor": float(rating) if rating is not None else None,
        "mos_algorithm": "vendor" if scores or rating is not None else None,
    }
    return {name: value for name, value in measures.items() if value is not None}


def _say(
    draft: Draft,
    direction: MediaDirection,
    start: float | None,
    end: float | None,
    measures: dict[str, object],
    method: LossMethod,
) -> None:
    if start is not None and end is not None and start <= end:
        draft.saw(draft.leg, direction, start, end, measures, method)
    else:
        draft.total(draft.leg, direction, measures, method)
