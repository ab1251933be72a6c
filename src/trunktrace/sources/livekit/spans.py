"""Spans of livekit-agents (OTLP/JSON): who spoke when, and what the root call span states.

A line is one `TracesData` as a file exporter writes it, with one span or many. A trace is a call.
What speech models said and did is no fact of a trunk and is left out, errors included. The
attributes of the SIP participant stand on one span, copied once when the agent was linked to it: so
its `callStatus` is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from trunktrace import conventions as c
from trunktrace.belief import Value, believable_text
from trunktrace.facts import FactFields, Observation, checked, key_of
from trunktrace.sip import participant as sip
from trunktrace.sources.draft import MOST_MARKS, Draft
from trunktrace.sources.livekit.leg import claims_of, is_sip_kind
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.shapes.jsonlines import Record, list_in, object_in, records, text_in
from trunktrace.windows import Leg, LossMethod, MediaDirection

NAME: Final = "livekit-spans"

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_PARTS: Final = MAX_LINE_BYTES // 8
"""A line may hold all spans of a call."""

OVERLAP_S: Final = 1.0
"""The caller's speech must last to this short a time before the agent falls silent."""

_ROOTS: Final = frozenset({"job_entrypoint", "sip.call"})
_SIP: Final = "lk.sip."
_PHONE: Final = "lk.pii.sip.phoneNumber"
_PARTIES: Final = ("caller_number", "callee_number", "caller_hash", "callee_hash")
_COUNTRIES: Final = ("caller_country", "callee_country")

Values = dict[str, Value]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Span:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: float
    end: float
    attributes: Values
    events: list[object]


@dataclass(slots=True)
class _Trace:
    draft: Draft
    says_something: bool = False
    seen: set[str] = field(default_factory=set[str])
    sip_attributes: dict[str, str] = field(default_factory=dict[str, str])
    facts: Values = field(default_factory=dict[str, Value])
    spoken: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    heard: list[Interval] = field(default_factory=list[Interval])
    turns: dict[str, Values] = field(default_factory=dict[str, Values])
    hangup_at: float | None = None


def parse(data: bytes) -> Parsed:
    """One observation for each trace, in the order of their first spans."""
    traces: dict[str, _Trace] = {}
    broken: list[Broken] = []
    ignored = 0
    for number, record in records(data, max_line_bytes=MAX_LINE_BYTES, max_parts=MAX_PARTS):
        if isinstance(record, Broken):
            broken.append(record)
            continue
        reasons: set[str] = set()
        spans = list(_spans_of(record, reasons))
        broken += [Broken(number, reason) for reason in sorted(reasons)]
        ignored += not spans and not reasons
        for span in spans:
            trace = traces.get(span.trace_id)
            if trace is None:
                trace = traces[span.trace_id] = _Trace(
                    Draft(NAME, leg="agent", record_id=span.trace_id)
                )
            is_new = span.span_id not in trace.seen
            trace.seen.add(span.span_id)
            ignored += not (is_new and _take(trace, span))
    told = [_observation(trace) for trace in traces.values() if trace.says_something]
    return Parsed(tuple(told), tuple(broken), ignored)


def _spans_of(record: Record, reasons: set[str]) -> Iterator[_Span]:
    if not isinstance(record.get("resourceSpans"), list):
        reasons.add("no list under `resourceSpans`")
        return
    for resource in _objects(record, "resourceSpans"):
        for scope in _objects(resource, "scopeSpans"):
            for item in _objects(scope, "spans"):
                span = _span(item)
                if span is None:
                    reasons.add("a span without trace, id, name or times")
                else:
                    yield span


def _span(item: Record) -> _Span | None:
    trace_id, span_id, name = (text_in(item, key) for key in ("traceId", "spanId", "name"))
    start, end = _time(item, "startTimeUnixNano"), _time(item, "endTimeUnixNano")
    if trace_id is None or span_id is None or name is None or start is None or end is None:
        return None
    if end < start:
        return None
    return _Span(
        trace_id=trace_id[:64],
        span_id=span_id,
        parent_id=text_in(item, "parentSpanId") or "",
        name=name,
        start=start,
        end=end,
        attributes=_attributes(item),
        events=list_in(item, "events"),
    )


# What a span adds to its trace: each says whether it adds anything --------------------------------


def _take(trace: _Trace, span: _Span) -> bool:
    is_root = not span.parent_id or span.name in _ROOTS
    took = _take_ids(trace, span) if is_root or span.name == "agent_session" else False
    if is_root:
        took = _take_root(trace, span) or took
    if span.name == "agent_session":
        took = _take_session(trace, span) or took
    took = _take_speech(trace, span) or took
    trace.says_something |= took
    return took


def _take_ids(trace: _Trace, span: _Span) -> bool:
    draft, attributes = trace.draft, span.attributes
    room, job = attributes.get("lk.room_sid"), attributes.get("lk.job_id")
    draft.identify("room_id", room if isinstance(room, str) else None)
    draft.identify("job_id", job if isinstance(job, str) else None)
    return bool(room or job)


def _take_root(trace: _Trace, span: _Span) -> bool:
    """The root's times, and the facts that trunktrace wrote on it while the call went on."""
    trace.draft.start, trace.draft.end = span.start, span.end
    for name in FactFields.__optional_keys__:
        key = key_of(name)
        if key is None or key not in span.attributes or name in _PARTIES:
            continue
        believed = checked(name, span.attributes[key])
        if believed is not None:
            trace.facts[believed[0]] = believed[1]
    for name in (*_PARTIES, *_COUNTRIES):
        key = key_of(name)
        text = believable_text(span.attributes.get(key)) if key is not None else None
        # A number that is not masked is none of ours.
        if key is not None and text is not None and ("number" not in name or "*" in text):
            trace.facts[key] = text
    return _take_media(trace, span) or bool(trace.facts)


def _take_media(trace: _Trace, span: _Span) -> bool:
    """What trunktrace wrote of the media of the whole call, as one window of each place."""
    places: dict[tuple[Leg, MediaDirection], Values] = {}
    for (leg, direction, measure), key in c.MEDIA_KEYS.items():
        if key in span.attributes:
            place = cast("tuple[Leg, MediaDirection]", (leg, direction))
            places.setdefault(place, {})[measure] = span.attributes[key]
    estimated = span.attributes.get(c.RTP_LOSS_METHOD) == "estimated"
    for (leg, direction), measures in places.items():
        # The agent estimates one thing: the trunk's loss towards it.
        is_estimate = estimated and (leg, direction) == ("trunk", "in")
        method: LossMethod = "estimated" if is_estimate else "counted"
        trace.draft.saw(leg, direction, span.start, span.end, measures, method)
    return bool(places)


def _take_session(trace: _Trace, span: _Span) -> bool:
    for key, value in span.attributes.items():
        if isinstance(value, str) and key.startswith(_SIP):
            trace.sip_attributes["sip." + key.removeprefix(_SIP)] = value
    phone = span.attributes.get(_PHONE)
    if isinstance(phone, str):
        trace.sip_attributes[sip.PHONE_NUMBER] = phone
    for event in _events(span, "participant_disconnected"):
        if is_sip_kind(_attributes(event).get("lk.participant_kind")):
            trace.hangup_at = _time(event, "timeUnixNano") or trace.hangup_at
    return bool(trace.sip_attributes) or bool(span.events)


def _take_speech(trace: _Trace, span: _Span) -> bool:
    draft = trace.draft
    if span.name == "agent_speaking":
        if len(trace.spoken) < MOST_MARKS:
            trace.spoken.append((span.parent_id, span.start, span.end))
    elif span.name == "user_speaking":
        if len(trace.heard) < MOST_MARKS:
            trace.heard.append((span.start, span.end))
    elif span.name == "user_turn":
        draft.happened("user_turn", span.start, span.end)
    elif span.name == "agent_turn":
        if len(trace.turns) < MOST_MARKS:
            trace.turns[span.span_id] = span.attributes
    elif span.name == "wait_for_audio_track":
        for event in _events(span, "track_subscribed"):
            draft.happened("caller_track", _time(event, "timeUnixNano"))
    elif span.name == "amd":
        category = span.attributes.get("lk.amd.category")
        label = category.partition("-")[0] if isinstance(category, str) else None
        draft.say(answered_by=label)
    else:
        return False
    return True


# What comes of a trace ----------------------------------------------------------------------------


def _observation(trace: _Trace) -> Observation:
    draft = trace.draft
    attributes = trace.sip_attributes
    if attributes.get(sip.TRUNK_ID) or attributes.get("sip.callID"):
        draft.hide(*sip.persons_in(attributes))
        draft.say(**sip.facts_of(attributes))
        draft.claim(claims_of(attributes))
    draft.happened("hangup", trace.hangup_at)
    draft.end = trace.hangup_at or draft.end
    for start, end in trace.heard:
        draft.happened("user_speaking", start, end)
    _tell_turns(draft, trace)
    draft.state(trace.facts)
    return draft.build()


def _tell_turns(draft: Draft, trace: _Trace) -> None:
    """Speech of the agent, and of each turn its first: the moment at which the caller heard it."""
    spoken = sorted(trace.spoken, key=lambda item: item[1])
    turns: dict[str, Interval] = {}
    for parent, start, end in spoken:
        draft.happened("agent_speaking", start, end)
        if (turn := trace.turns.get(parent)) is None:
            continue
        if parent not in turns:
            draft.happened("agent_turn", start, value=_response_time(turn))
        turns[parent] = (turns.get(parent, (start, end))[0], end)
    for parent, (start, end) in turns.items():
        if trace.turns[parent].get("lk.interrupted") is True and (at := _cut(trace, start, end)):
            draft.happened("barge_in", at, end)


def _cut(trace: _Trace, start: float, end: float) -> float | None:
    """When the caller cut in on speech of the agent that was interrupted.

    None where nobody spoke: a hang-up, and the agent's own code, interrupt as well.
    """
    for begun, ended in sorted(trace.heard, reverse=True):
        if begun <= end and ended >= max(start, end - OVERLAP_S):
            return max(begun, start)
    return None


def _response_time(turn: Mapping[str, Value]) -> str:
    latency = turn.get("lk.e2e_latency")
    if isinstance(latency, bool) or not isinstance(latency, int | float):
        return ""
    return f"{latency:.3f}" if 0 <= latency < 86_400 else ""


# OTLP's JSON --------------------------------------------------------------------------------------


def _objects(record: Record, key: str) -> Iterator[Record]:
    for item in list_in(record, key):
        if isinstance(item, dict):
            yield object_in({"": item}, "")


def _events(span: _Span, name: str) -> Iterator[Record]:
    for event in _objects({"events": span.events}, "events"):
        if event.get("name") == name:
            yield event


def _attributes(item: Record) -> Values:
    found: Values = {}
    for entry in _objects(item, "attributes"):
        key, value = text_in(entry, "key"), _value(object_in(entry, "value"))
        if key is not None and value is not None:
            found[key] = value
    return found


def _value(value: Record) -> Value | None:
    """A scalar of OTLP's JSON, which writes whole numbers as text."""
    for kind in ("stringValue", "boolValue", "doubleValue"):
        if isinstance(scalar := value.get(kind), str | bool | float):
            return scalar
    number = value.get("intValue", value.get("doubleValue"))
    if isinstance(number, str) and number.lstrip("-").isdecimal() and len(number) <= 20:
        return int(number)
    return number if isinstance(number, int) else None


def _time(item: Record, key: str) -> float | None:
    nanos = item.get(key)
    if isinstance(nanos, str) and nanos.isascii() and nanos.isdigit() and len(nanos) <= 20:
        nanos = int(nanos)
    if isinstance(nanos, bool) or not isinstance(nanos, int):
        return None
    return nanos / 1e9 if 0 < nanos < 1e20 else None
