"""One row of an SBC's CSV as observations: of one leg, or of both where the map names both ends."""

from __future__ import annotations

import re
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import End, Observation
from trunktrace.sip.reason import parse_reasons
from trunktrace.sources import losses
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.reading import Reading
from trunktrace.sources.sbc.calls import Calls, Cell, own_names, spoken_of, told_end
from trunktrace.sources.sbc.columns import Column, ColumnMap
from trunktrace.sources.sbc.fields import (
    DURATIONS,
    IDS,
    MEDIA,
    PERSONS,
    SIDES,
    TIMES,
    time_of,
    value_of,
)
from trunktrace.sources.shapes.values import decimal, milliseconds_between
from trunktrace.timeline import MarkKind
from trunktrace.windows import Leg, LossMethod, MediaDirection

Place = tuple[Leg, MediaDirection, bool]
"""Leg, direction, and whether the SBC received what is counted there."""

_ENDS: Final[tuple[End, ...]] = ("caller", "callee")
_IDENTIFYING: Final = frozenset(
    {"call_id", "provider_call_id", "session_id", "linked_id", "channel_id", "record_id"}
)
_MARKS: Final[tuple[tuple[str, MarkKind], ...]] = (
    ("setup_time", "invite"),
    ("ringing_time", "ringing"),
    ("answer_time", "answered"),
    ("end_time", "hangup"),
)
_PROTOCOLS: Final = frozenset({"sip", "q.850", "q850"})
"""What a Reason header (RFC 3326) begins with, which AudioCodes writes in the place of a phrase."""
_NO_TIME: Final = "0.:-T Z"
"""Of which `0` and `0000-00-00 00:00:00` are made."""
_FRACTION: Final = re.compile(r":\d\d\.\d")
"""Of a time that is exact to less than a second."""
_ANSWERED: Final = 200
_BEYOND_SIP: Final = 700


class UnreadableError(ValueError):
    """A row cannot be read; why, without any value of it."""


def observed(row: list[Cell], told: ColumnMap, reading: Reading, calls: Calls) -> list[Observation]:
    """The legs of which a row speaks; none where it says nothing. Raises UnreadableError."""
    spoken = spoken_of(row)
    if not spoken:
        return []
    _identified(row, spoken)
    row_end = _row_end(spoken, told)
    placed = {column.end or row_end for column, _ in spoken}
    ends = _ends(spoken, row_end, reading, calls)
    wanted: list[End | None] = [one for one in _ENDS if one in placed] or [None]
    if row_end is not None:
        # What the row says of the other end names that end, and no more.
        wanted = [row_end]
    return [_leg(spoken, one, row_end, ends, told, reading) for one in wanted]


def _identified(row: list[Cell], spoken: list[Cell]) -> None:
    named = any(column.field in _IDENTIFYING for column, _ in row)
    if named and not any(column.field in _IDENTIFYING for column, _ in spoken):
        raise UnreadableError("a row without an id")


def _row_end(spoken: list[Cell], told: ColumnMap) -> End | None:
    """The end that the row is of, as one of its columns tells."""
    named = any(column.field == "end" for column in told.columns)
    found = told_end(spoken)
    if named and found is None:
        raise UnreadableError("a row that does not tell of which end it is")
    return found or told.end


def _ends(spoken: list[Cell], row_end: End | None, reading: Reading, calls: Calls) -> Ends:
    names = {end: calls.names(spoken, end) | own_names(spoken, end, row_end) for end in _ENDS}
    words = [text for column, text in spoken if column.field == "direction"]
    direction = value_of("direction", words[-1], None) if words else None
    sides: dict[object, End] = {"inbound": "callee", "outbound": "caller"}
    return reading.bridge.ends(
        caller=names["caller"], callee=names["callee"], told=sides.get(direction)
    )


def _leg(
    spoken: list[Cell],
    end: End | None,
    row_end: End | None,
    ends: Ends,
    told: ColumnMap,
    reading: Reading,
) -> Observation:
    draft = Draft("sbc-csv", leg=told.leg)
    mine = [
        (column, text)
        for column, text in spoken
        if (column.end or row_end) in (None, end) or column.field == PERSONS
    ]
    if end is not None:
        names = own_names(spoken, end, row_end)
        draft.place(ends, end, names=names, states_direction=ends.by != "assumed")
    times = _times(mine, reading)
    _tell_facts(draft, mine, end, answered="answer_time" in times)
    if end is not None and end == ends.far:
        hosts = [text for column, text in mine if column.field == "host"]
        draft.claim({"sip.hostname": hosts[0]} if hosts else {})
    _tell_times(draft, mine, times)
    _tell_media(draft, mine, end, ends, _between(draft, times))
    return draft.build()


def _tell_facts(draft: Draft, mine: list[Cell], end: End | None, *, answered: bool) -> None:
    facts: dict[str, object] = {}
    for column, text in mine:
        field = column.field
        if field in TIMES or field in MEDIA or field == "end":
            continue
        value = value_of(field, text, column.unit)
        if field in DURATIONS and not value:
            continue  # no call was set up, or rang, for no time at all: nobody measured
        if field == PERSONS:
            draft.hide(text)
        elif field == "record_id":
            draft.record_id = text
        elif field in IDS:
            draft.identify(field, text)
        elif field == "hangup_source":
            facts[field] = _who(value, end)
        elif value is not None:
            facts[field] = value
    _tell_end(draft, facts, answered=answered)
    draft.say(**facts)


def _tell_end(draft: Draft, facts: dict[str, object], *, answered: bool) -> None:
    """The final answer, with the cause of a Reason header where the phrase is one."""
    code, reason, cause = (
        facts.pop(name, None) for name in ("status_code", "reason", "q850_cause")
    )
    header = parse_reasons(reason) if isinstance(reason, str) else ()
    if header and header[0].protocol.lower() in _PROTOCOLS:
        causes = (value.q850_cause for value in header)
        cause = cause or next((one for one in causes if one), None)
        reason = None
    if code is None and answered:
        code = _ANSWERED
    known = isinstance(code, int) and _ANSWERED <= code < _BEYOND_SIP
    draft.answer(
        code if known and isinstance(code, int) else None,
        reason=reason if isinstance(reason, str) else None,
        q850_cause=cause if isinstance(cause, int) else None,
    )


def _who(word: object, end: End | None) -> object:
    """Who hung up, where the SBC says so by the leg: its own end, or the other one."""
    if word not in SIDES:
        return word
    if end is None:
        return None
    return end if word == SIDES[0] else _ENDS[end == "caller"]


def _times(mine: list[Cell], reading: Reading) -> dict[str, float]:
    """The times that the row tells. Raises UnreadableError."""
    times: dict[str, float] = {}
    latest: float | None = None
    for name, _ in _MARKS:
        for column, text in mine:
            if column.field != name or not text.strip(_NO_TIME):
                continue
            at = time_of(text, column.form, reading.zone, after=latest)
            if at is None:
                raise UnreadableError(f"{name} is no time of the form that is expected")
            times[name] = at
        latest = times.get(name, latest)
    if _was_never_answered(mine, times):
        del times["answer_time"]
    return times


def _was_never_answered(mine: list[Cell], times: dict[str, float]) -> bool:
    """Cisco's gateways write the end for the answer, to the millisecond, when nobody answered."""
    if "answer_time" not in times or times["answer_time"] != times.get("end_time"):
        return False
    told = {column.field: text for column, text in mine}
    if not _FRACTION.search(told["answer_time"]) or told.get("status_code", "").startswith("2"):
        return False
    return not decimal(told.get("duration_ms"))


def _tell_times(draft: Draft, mine: list[Cell], times: dict[str, float]) -> None:
    for name, kind in _MARKS:
        draft.happened(kind, times.get(name))
    draft.start = times.get("setup_time") or times.get("answer_time")
    draft.end = times.get("end_time")
    said = {column.field for column, _ in mine if column.field in DURATIONS}
    spans = {
        "duration_ms": ("answer_time", "end_time"),
        "setup_ms": ("setup_time", "answer_time"),
        "pdd_ms": ("setup_time", "ringing_time"),
        "ring_ms": ("ringing_time", "answer_time"),
    }
    for name, (first, last) in spans.items():
        if name not in said:
            draft.say(**{name: milliseconds_between(times.get(first), times.get(last))})


def _between(draft: Draft, times: dict[str, float]) -> tuple[float, float] | None:
    """Between when the media ran, as far as the row tells."""
    start, end = times.get("answer_time"), times.get("end_time")
    if start is None and end is None:
        return None
    told = draft.known(c.SIP_CALL_DURATION_MS)
    if isinstance(told, int | float):
        talked = told / 1000.0
        start = end - talked if start is None and end is not None else start
        end = start + talked if end is None and start is not None else end
    start = start if start is not None else times.get("setup_time")
    return None if start is None or end is None or end < start else (start, end)


def _tell_media(
    draft: Draft,
    mine: list[Cell],
    end: End | None,
    ends: Ends,
    between: tuple[float, float] | None,
) -> None:
    places: dict[Place, dict[str, object]] = {}
    methods: dict[Place, LossMethod] = {}
    for column, text in mine:
        if column.field not in MEDIA:
            continue
        value = value_of(column.field, text, column.unit)
        if value is None:
            continue
        place = _place(column, draft, end, ends)
        places.setdefault(place, {})[column.field] = value
        if column.method is not None:
            methods[place] = column.method
        elif column.field == "loss_ratio" and column.unit == "percent" and "." not in text:
            methods[place] = "derived"
    for place, measures in places.items():
        method = _complete(measures, received=place[2]) or methods.get(place, "counted")
        method = methods.get(place, method)
        if between is None:
            draft.total(place[0], place[1], measures, method)
        else:
            draft.saw(place[0], place[1], *between, measures, method)


def _place(column: Column, draft: Draft, end: End | None, ends: Ends) -> Place:
    if column.direction is not None or end is None:
        return column.leg or draft.leg, column.direction or "in", column.flow != "sent"
    side = column.end or end
    sent = column.flow == "sent"
    return ends.leg(side), (ends.sent_to(side) if sent else ends.sent_by(side)), not sent


def _complete(measures: dict[str, object], *, received: bool) -> LossMethod | None:
    """What follows from the counts: the loss, and that a score is the vendor's."""
    method: LossMethod | None = None
    lost, count = measures.get("lost_count"), measures.get("packet_count")
    sent = measures.pop("sent_count", None)
    if "loss_ratio" not in measures and isinstance(lost, int):
        if isinstance(count, int) and received and count + lost > 0:
            measures |= losses.of_received(count, lost).measures
        elif isinstance(sent, int) and 0 < sent >= lost:
            told, method = losses.of_sent(sent, lost)
            measures |= told
    if count is None and lost is None and isinstance(sent, int):
        measures["packet_count"] = sent
    if "mos" in measures or "r_factor" in measures:
        measures["mos_algorithm"] = "vendor"
    return method
