"""Call Metrics of Twilio's Voice Insights: a sample each 10 s of each stream of each edge.

`interval` counts the 10 s before the sample's time. Media gateways also write samples with
`cumulative` alone, running totals: then two samples that follow each other give the counts between
them, and the last one those of the whole. Jitter is only in the running totals. Samples of Twilio's
own WebRTC client (`sdk_edge`, `client_edge`) are ignored.
Source: Twilio's page "Call Metrics".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.jsonlines import Record, object_in, text_in
from trunktrace.sources.shapes.values import count, iso_time
from trunktrace.sources.twilio.words import (
    CARRIER,
    EDGES,
    STREAMS,
    Told,
    codec_in,
    measured,
    region_in,
    sid_of,
    taken,
    told_in,
)
from trunktrace.windows import Leg, MediaDirection

NAME: Final = "twilio-metrics"

_SAMPLED_S: Final = 10.0
"""A sample holds the metrics of so many seconds before its time."""

_EVENTS: Final = "com.twilio.voice.insights.call-metrics.gateway"
_WAYS: Final = frozenset({"inbound", "outbound"})


@dataclass(slots=True)
class _Call:
    """One leg of a call: its samples by time, one for each, and where they were taken."""

    streams: dict[MediaDirection, dict[float, Record]] = field(
        default_factory=dict["MediaDirection", "dict[float, Record]"]
    )


def parse(data: bytes, _reading: Reading = AS_IT_IS) -> Parsed:
    """An observation for each leg of each call, in the order in which they are first told of."""
    legs: dict[tuple[str, Leg], _Call] = {}
    broken, ignored = taken(told_in(data, "metrics"), lambda told: _take(legs, told))
    observations = [_observation(sid, leg, call) for (sid, leg), call in legs.items()]
    return Parsed(tuple(observations), broken, ignored)


def _take(legs: dict[tuple[str, Leg], _Call], told: Told) -> str | None:
    """Why a sample could not be read; empty if it was, None if it is of no leg of ours."""
    if told.kind and told.kind != _EVENTS:
        return None
    sample = told.record
    call_sid, at = sid_of(sample.get("call_sid")), iso_time(sample.get("timestamp"))
    edge, way = text_in(sample, "edge"), text_in(sample, "direction")
    if call_sid is None:
        return "no SID under `call_sid`"
    if at is None:
        return "no time under `timestamp`"
    if edge is None or way is None:
        return "no `edge` or no `direction`"
    leg, measured = EDGES.get(edge), object_in(sample, edge)
    if leg is None or way not in _WAYS:
        return None
    if not measured:
        return "nothing under the name of its edge"
    call = legs.setdefault((call_sid, leg), _Call())
    call.streams.setdefault(STREAMS[leg, way], {})[at] = measured
    return ""


def _observation(call_sid: str, leg: Leg, call: _Call) -> Observation:
    draft = Draft(NAME, leg=leg, record_id=call_sid)
    draft.say(carrier=CARRIER, provider_call_id=call_sid)
    draft.identify("linked_id", call_sid)
    for direction in ("out", "in"):
        samples = sorted(call.streams.get(direction, {}).items())
        for _, sample in samples:
            draft.say(**_said_once(sample))
        for start, end, stream in _windows(samples):
            draft.saw(leg, direction, start, end, *measured(stream))
        if len(totals := _totals(samples)) == 1 and not object_in(samples[-1][1], "interval"):
            # A running total that stands alone does not say when it began to run.
            draft.total(leg, direction, *measured(totals[0][1]))
    if draft.windows:
        draft.start = min(window.start for window in draft.windows)
        draft.end = max(window.end for window in draft.windows)
    return draft.build()


def _said_once(sample: Record) -> dict[str, object]:
    """Codec and region, which stand beside the counts or among them."""
    own, metadata = codec_in(sample), object_in(sample, "metadata")
    if own["codec"] is None:
        own = codec_in(object_in(sample, "interval"))
    return {
        **(own if own["codec"] is not None else {}),
        "region": region_in(metadata, "region", "edge_location"),
    }


Window = tuple[float, float, Record]
Sample = tuple[float, Record]


def _windows(samples: list[Sample]) -> Iterator[Window]:
    """What the samples of one stream say of each 10 s, and of all of it together."""
    last: float | None = None
    for at, sample in samples:
        interval = object_in(sample, "interval")
        if interval:
            start = at - _SAMPLED_S
            start = max(start, last) if last is not None else start
            yield start, at, interval
        last = at
    yield from _between(samples)
    totals = _totals(samples)
    if len(totals) > 1:
        end, total = totals[-1]
        yield totals[0][0] - _SAMPLED_S, end, total


def _totals(samples: list[Sample]) -> list[Sample]:
    told = [(at, object_in(sample, "cumulative")) for at, sample in samples]
    return [(at, total) for at, total in told if total]


def _between(samples: list[Sample]) -> Iterator[Window]:
    """The counts between two running totals, where the second has nothing of its own interval."""
    for (start, before), (end, after) in pairwise(samples):
        if not object_in(after, "interval"):
            grown = _grown(object_in(before, "cumulative"), object_in(after, "cumulative"))
            if grown is not None:
                yield start, end, grown


def _grown(before: Record, after: Record) -> Record | None:
    """By how much the counts grew; None where one is missing, or ran backwards."""
    grown: Record = {}
    for key in ("packets_received", "packets_sent", "packets_lost"):
        old, new = count(before.get(key)), count(after.get(key))
        if old is not None and new is not None:
            if new < old:
                return None
            grown[key] = new - old
    return grown or None
