"""One captured call as values: what was true, what the room said and when, and every span."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent / "captures"
_NUMBER = re.compile(r"\+?1555\d{7}")

NAMES = tuple(sorted(path.name for path in _HERE.iterdir() if path.is_dir()))
INBOUND = tuple(name for name in NAMES if "inbound" in name)
OUTBOUND = tuple(name for name in NAMES if "outbound" in name)
FAILED = ("06-outbound-486", "08-outbound-no-answer")
ANSWERED = tuple(name for name in NAMES if name not in FAILED)

CLASSES = ("asr", "llm", "tool", "tts", "other")


@dataclass(frozen=True, slots=True)
class CapturedSpan:
    """A span as livekit-agents made it; times are unix nanoseconds."""

    span_id: str
    parent_id: str | None
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    events: tuple[tuple[int, str, Mapping[str, Any]], ...]

    @property
    def made_ns(self) -> int:
        """When the span was started in truth: a blocked loop can be told only afterwards."""
        return self.end_ns if self.name == "event_loop_blocked" else self.start_ns


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """One line of `participant.jsonl`."""

    at_ns: int
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dial:
    """One `create_sip_participant`: when it was called, and what came back when."""

    started_ns: int
    ended_ns: int
    trunk_id: str
    body: Mapping[str, Any]

    @property
    def sip_code(self) -> int | None:
        """200 for an answer, the failure's SIP code, or None where it has none."""
        return 200 if self.body["ok"] else self.body["sip_status_code"]


@dataclass(frozen=True)
class Capture:
    """One call of the captures."""

    name: str
    facts: Mapping[str, Any]
    events: tuple[RoomEvent, ...]
    spans: tuple[CapturedSpan, ...]
    room_created_ms: int
    trace_id: str
    resource: Mapping[str, Any]
    text: str
    """Both files in which people's numbers stand, as they are."""

    @property
    def inbound(self) -> bool:
        return self.facts["direction"] == "inbound"

    @cached_property
    def root(self) -> CapturedSpan:
        return next(span for span in self.spans if span.parent_id is None)

    @cached_property
    def connected_ns(self) -> int:
        """When the job's room was connected: nobody can look into it before."""
        return next(span.end_ns for span in self.spans if span.name == "room_connect") + 1

    @cached_property
    def returned_ns(self) -> int:
        """When the entrypoint returned."""
        return next(at for at, name, _ in self.root.events if name == "entrypoint_returned")

    @cached_property
    def dials(self) -> tuple[Dial, ...]:
        return tuple(
            Dial(
                event.at_ns - _ns(event.body["took_s"]),
                event.at_ns,
                event.body["trunk"],
                event.body,
            )
            for event in self.events
            if event.name == "create_sip_participant"
        )

    def dialled_as(self, dial: Dial) -> str:
        """The identity that the dial asked for its callee; invented where nobody joined."""
        joined = (event.body for event in self.events if event.name == "participant_connected")
        asked = (
            body["participant"]["identity"]
            for body in joined
            if body["participant"]["attributes"]["sip.trunkID"] == dial.trunk_id
        )
        return next(asked, "callee")

    @cached_property
    def called(self) -> str:
        """The number that was dialled."""
        joined = (event.body["participant"] for event in self.events if "participant" in event.body)
        return next(person["attributes"]["sip.phoneNumber"] for person in joined)

    @cached_property
    def present_at_connect(self) -> tuple[Mapping[str, Any], ...]:
        """Participants that were in the room before the agent: their joining was not seen."""
        joined = {
            event.body["participant"]["identity"]
            for event in self.events
            if event.name == "participant_connected"
        }
        waited = (event for event in self.events if event.name == "wait_for_participant")
        found = (event.body["participant"] for event in waited)
        return tuple(person for person in found if person["identity"] not in joined)

    def changes(self, key: str) -> list[tuple[int, str]]:
        """(when, to what) an attribute of a SIP participant changed during the call."""
        return [
            (event.at_ns, event.body["changed"][key])
            for event in self.events
            if event.name == "participant_attributes_changed" and key in event.body["changed"]
        ]

    def status_at(self, status: str) -> int | None:
        """When `sip.callStatus` first became `status`."""
        return next((at for at, new in self.changes("sip.callStatus") if new == status), None)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """What `lk.sip.GetRemoteHeaders` answered; empty where it was never asked."""
        return next((dict(e.body["response"]["headers"]) for e in self._rpcs), {})

    @cached_property
    def header_delay_ns(self) -> int:
        """How long that answer took."""
        return next((round(event.body["took_ms"] * 1e6) for event in self._rpcs), 0)

    @property
    def _rpcs(self) -> list[RoomEvent]:
        return [event for event in self.events if event.name == "rpc_GetRemoteHeaders"]

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Every phone number of the call, without plus and country code."""
        return frozenset(found.lstrip("+")[1:] for found in _NUMBER.findall(self.text))

    @cached_property
    def _by_id(self) -> Mapping[str, CapturedSpan]:
        return {span.span_id: span for span in self.spans}

    def lineage(self, span: CapturedSpan) -> list[CapturedSpan]:
        """The span and everything above it, the root last."""
        line = [span]
        while line[-1].parent_id is not None:
            line.append(self._by_id[line[-1].parent_id])
        return line

    def class_of(self, span: CapturedSpan) -> str:
        """`asr` (user_turn and below), `llm`, `tool`, `tts`, or `other`."""
        if any(above.name == "user_turn" for above in self.lineage(span)):
            return "asr"
        if span.name.startswith("llm_"):
            return "llm"
        if span.name.startswith("tts_"):
            return "tts"
        return "tool" if span.name == "function_tool" else "other"

    def is_of_greeting(self, span: CapturedSpan) -> bool:
        """Whether the span belongs to what the agent said before the caller had said anything."""
        first = min((s.start_ns for s in self.spans if s.name == "user_turn"), default=0)
        turns = [above for above in self.lineage(span) if above.name == "agent_turn"]
        return bool(turns) and turns[0].start_ns < first


@cache
def load(name: str) -> Capture:
    """The captured call of that folder."""
    folder = _HERE / name
    facts, room = (folder / "facts.json").read_text(), (folder / "participant.jsonl").read_text()
    wrapped = [json.loads(line) for line in (folder / "spans.jsonl").read_text().splitlines()]
    resource = wrapped[0]["resourceSpans"][0]["resource"]
    raw = [
        span
        for line in wrapped
        for group in line["resourceSpans"]
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]
    lines = [json.loads(line) for line in room.splitlines()]
    return Capture(
        name=name,
        facts=json.loads(facts),
        events=tuple(RoomEvent(_ns(line["t"]), line["event"], line) for line in lines),
        spans=tuple(_parents_first([_span(span) for span in raw])),
        room_created_ms=json.loads((_HERE / "rooms.json").read_text())[name],
        trace_id=raw[0]["traceId"],
        resource=_attributes(resource["attributes"]),
        text=facts + room,
    )


def _parents_first(spans: list[CapturedSpan]) -> list[CapturedSpan]:
    """In the order in which they were made; some start in the very nanosecond of their parent."""
    parent_of = {span.span_id: span.parent_id for span in spans}

    def depth(span_id: str | None) -> int:
        return 0 if span_id is None else 1 + depth(parent_of[span_id])

    return sorted(spans, key=lambda span: (span.made_ns, depth(span.span_id)))


def _ns(seconds: float) -> int:
    # The files have four decimals; a float of unix seconds has noise below them.
    return round(seconds * 10_000) * 100_000


def _span(raw: Mapping[str, Any]) -> CapturedSpan:
    return CapturedSpan(
        span_id=raw["spanId"],
        parent_id=raw.get("parentSpanId") or None,
        name=raw["name"],
        kind=raw["kind"],
        start_ns=int(raw["startTimeUnixNano"]),
        end_ns=int(raw["endTimeUnixNano"]),
        attributes=_attributes(raw.get("attributes", [])),
        events=tuple(
            (int(event["timeUnixNano"]), event["name"], _attributes(event.get("attributes", [])))
            for event in raw.get("events", [])
        ),
    )


def _attributes(raw: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {item["key"]: _value(item["value"]) for item in raw}


def _value(raw: Mapping[str, Any]) -> Any:
    (kind, value), *_ = raw.items()
    if kind == "arrayValue":
        return [_value(item) for item in value.get("values", [])]
    return int(value) if kind == "intValue" else value
