"""What the tests ask of a trace: which spans had to carry a fact, and which did not.

The bounds come from the far end, from LiveKit's own spans and from the program's witness, never
from trunktrace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .calls import CallTruth
from .harness import CallResult
from .jaeger_api import Span, Trace

IDENTITY = ("trunk.carrier", "trunk.route", "trunk.region", "sip.call.direction")
CODE = "sip.response.status_code"
CODEC = "rtp.codec"
LOSS = "rtp.loss_ratio"
OUR_NAMESPACES = ("trunk.", "sip.", "rtp.", "webrtc.", "pstn.", "livekit.sip.", "trunktrace.")
_NEAR_S = 0.5
OWN_FACTS = frozenset({"sip.invite"})
"""Spans that say what is true of one attempt, whatever the call's facts are."""
PARTS = ("asr", "llm", "tool", "tts")


def facts_of(truth: CallTruth) -> dict[str, Any]:
    """The inherited facts that are true of an answered call."""
    return {
        "trunk.carrier": truth.carrier.name,
        "trunk.route": truth.carrier.route,
        "trunk.region": truth.carrier.region,
        "sip.call.direction": truth.direction,
        CODE: truth.status_code,
        CODEC: truth.carrier.codec,
    }


def known_at(call: CallResult) -> dict[str, int]:
    """When each fact of an answered call could be known in the agent's process, unix nanoseconds.

    Inbound the caller is in the room when the agent enters it; outbound the request says all about
    the trunk. 200 comes with `active`, and the codec when the agent's own code states it.
    """
    if call.truth.direction == "inbound":
        identity = span_named(call.spans, "room_connect").end_ns
    else:
        identity = _ns(call.note("dial", trunk_id=call.truth.carrier.trunk_id))
    active = _ns(call.note("active"))
    return dict.fromkeys(IDENTITY, identity) | {CODE: active, CODEC: _ns(call.note("codec"))}


def during(call: CallResult) -> Trace:
    """The spans without those that were only made when the call was over.

    LiveKit reports a stall of the event loop after it, back-dated: one at the very end is a span
    that starts when the root has ended and the call is gone. LateFactsExporter knows it still.
    """
    trace_id = call.truth.trace_id
    (finished,) = call.worker.notes("call_finished", trace_id=trace_id)
    after = {
        note["span_id"]
        for note in call.worker.notes("span", trace_id=trace_id, name="event_loop_blocked")
        if note["t"] > finished["t"]
    }
    return [span for span in call.spans if span.span_id not in after]


def stalled_s(call: CallResult, at: float) -> float:
    """Seconds that the job's event loop stood still around a time (unix), as LiveKit reports it.

    Two of its handlers of one event may see it so much apart. 0 on a machine that is not busy.
    """
    return sum(
        (span.end_ns - span.start_ns) / 1e9
        for span in call.spans
        if span.name == "event_loop_blocked"
        and span.start_ns / 1e9 - _NEAR_S < at < span.end_ns / 1e9 + _NEAR_S
    )


def lacking(
    spans: Iterable[Span], facts: Mapping[str, Any], since: Mapping[str, int]
) -> list[tuple[str, str, Any]]:
    """(span, key, value) for each fact that a span still open after `since[key]` does not carry."""
    return [
        (span.name, key, span.attributes.get(key))
        for span in spans
        if span.name not in OWN_FACTS
        for key, value in facts.items()
        if span.end_ns > since[key] and span.attributes.get(key) != value
    ]


def contradicting(spans: Iterable[Span], facts: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(span, key, value) for each span that carries another value than the true one."""
    return [
        (span.name, key, span.attributes[key])
        for span in spans
        if span.name not in OWN_FACTS
        for key, value in facts.items()
        if key in span.attributes and span.attributes[key] != value
    ]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many spans of one part of the agent carry all facts, and how many ended too early."""

    part: str
    spans: int
    complete: int
    too_early: int

    def __str__(self) -> str:
        return (
            f"{self.complete} of {self.spans} spans carry all six, {self.too_early} ended too early"
        )


def coverage(call: CallResult) -> list[Coverage]:
    """By part of the agent, and for all spans; too early is what ended before it could be known."""
    facts, since = facts_of(call.truth), known_at(call)
    found: list[Coverage] = []
    for part in (*PARTS, "all"):
        spans = [span for span in call.spans if part in ("all", part_of(span, call.spans))]
        carried = [span for span in spans if facts.items() <= span.attributes.items()]
        early = [span for span in spans if any(span.end_ns <= since[key] for key in facts)]
        found.append(Coverage(part, len(spans), len(carried), len(early)))
    return found


def part_of(span: Span, spans: Trace) -> str | None:
    """`asr` (user_turn and below), `llm`, `tool` or `tts`; None for the rest."""
    for one in (span, *ancestors(span, spans)):
        if one.name == "user_turn":
            return "asr"
        if one.name == "function_tool":
            return "tool"
        for prefix in ("llm", "tts"):
            if one.name.startswith(f"{prefix}_"):
                return prefix
    return None


def ancestors(span: Span, spans: Trace) -> list[Span]:
    """Parent, its parent, and so on."""
    by_id = {one.span_id: one for one in spans}
    found: list[Span] = []
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        found.append(span)
    return found


def below(top: Span, spans: Trace) -> Trace:
    """The span and all its descendants."""
    return [span for span in spans if span is top or top in ancestors(span, spans)]


def span_named(spans: Trace, name: str) -> Span:
    """The one span of that name."""
    (found,) = [span for span in spans if span.name == name]
    return found


def our_keys(span: Span) -> set[str]:
    """Keys of ours on a span, its events not counted."""
    return {key for key in span.attributes if key.startswith(OUR_NAMESPACES)}


def names(spans: Iterable[Span]) -> Counter[str]:
    """How often each name occurs."""
    return Counter(span.name for span in spans)


def _ns(note: Mapping[str, Any]) -> int:
    return int(note["t"] * 1e9)
