"""Reads spans back from Jaeger.

Spans are read by its API v3, in OTLP JSON: the older /api/traces cuts times to microseconds, turns
lists into strings and shows a link to the parent in place of the parent. A search goes by
/api/traces all the same: over HTTP this version's v3 ignores the attributes that one asks for, and
answers with every trace.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .polling import until

TRACE_DEADLINE_S = 60.0
"""Nothing is asserted of how long a trace takes to arrive: a busy machine is no failure."""

_STATUS = {0: "unset", 1: "ok", 2: "error"}
_KINDS = {0: "unspecified", 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True, slots=True)
class Event:
    """A span event; `time_ns` is unix nanoseconds. A span's events stand in order of time."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """A span link; ids are lower-case hex."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A span as Jaeger stored it; times are unix nanoseconds, `parent_id` None on a root."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    status: str
    status_message: str
    scope: str
    resource: Mapping[str, Any]


Trace = list[Span]


class JaegerApi:
    """A client of one Jaeger's query API."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def services(self) -> list[str]:
        """Every service that sent a span."""
        return list(json.loads(self._get("/api/v3/services") or "{}").get("services", []))

    def find_traces(
        self,
        service: str,
        tags: Mapping[str, str] | None = None,
        *,
        limit: int = 1000,
    ) -> dict[str, Trace]:
        """Traces of `service` with a span that has all `tags`, by trace id.

        Values are compared as text, also those of numbers (`{"sip.response.status_code": "503"}`).
        """
        asked = {"service": service, "limit": str(limit), "lookback": "24h"}
        if tags:
            asked["tags"] = json.dumps(dict(tags))
        text = self._get("/api/traces?" + urllib.parse.urlencode(asked))
        ids = [str(one["traceID"]) for one in json.loads(text).get("data") or []]
        return {trace_id: self.get_trace(trace_id) for trace_id in ids}

    def get_trace(self, trace_id: str) -> Trace:
        """Every span of one trace by start time; empty when Jaeger has none of it."""
        return _in_order(_spans(self.raw_trace(trace_id)))

    def raw_trace(self, trace_id: str) -> str:
        """One trace as the text Jaeger answered, to search for what must not be in it."""
        return self._get(f"/api/v3/traces/{trace_id}")

    def wait_for_trace(
        self,
        trace_id: str,
        condition: Callable[[Trace], bool] | None = None,
        *,
        deadline_s: float = TRACE_DEADLINE_S,
    ) -> Trace:
        """The trace as soon as `condition` holds (by default: it is `complete`)."""
        holds = condition or complete

        def ready() -> Trace | None:
            spans = self.get_trace(trace_id)
            return spans if spans and holds(spans) else None

        try:
            return until(ready, deadline_s=deadline_s, what=f"trace {trace_id}")
        except AssertionError as error:
            names = sorted(span.name for span in self.get_trace(trace_id))
            raise AssertionError(f"{error}; Jaeger has {len(names)} spans of it: {names}") from None

    def _get(self, path: str) -> str:
        try:
            with self._open(self._base + path, timeout=10.0) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return ""
            raise


def complete(spans: Trace) -> bool:
    """The root has arrived, and the parent of every other span."""
    ids = {span.span_id for span in spans}
    orphans = [span for span in spans if span.parent_id is not None and span.parent_id not in ids]
    return not orphans and any(span.parent_id is None for span in spans)


def root(spans: Trace) -> Span:
    """The one span without a parent; AssertionError when there is none or more than one."""
    found = [span for span in spans if span.parent_id is None]
    assert len(found) == 1, f"{len(found)} roots: {[span.name for span in found]}"
    return found[0]


def tree(spans: Trace) -> str:
    """The trace as indented text with seconds since its start, for messages."""
    children: dict[str | None, Trace] = defaultdict(list)
    ids = {span.span_id for span in spans}
    for span in _in_order(spans):
        children[span.parent_id if span.parent_id in ids else None].append(span)
    zero = min((span.start_ns for span in spans), default=0)

    def lines(parent: str | None, depth: int) -> Iterable[str]:
        for span in children[parent]:
            start, end = (span.start_ns - zero) / 1e9, (span.end_ns - zero) / 1e9
            yield f"{'  ' * depth}{span.name} {start:.3f}..{end:.3f}"
            yield from lines(span.span_id, depth + 1)

    return "\n".join(lines(None, 0))


def _in_order(spans: Iterable[Span]) -> Trace:
    return sorted(spans, key=lambda span: (span.start_ns, span.end_ns))


def _spans(text: str) -> Trace:
    if not text.strip():
        return []
    resources = json.loads(text).get("result", {}).get("resourceSpans", [])
    return [
        _span(span, scoped.get("scope", {}).get("name", ""), _attributes(one.get("resource", {})))
        for one in resources
        for scoped in one.get("scopeSpans", [])
        for span in scoped.get("spans", [])
    ]


def _span(raw: Mapping[str, Any], scope: str, resource: Mapping[str, Any]) -> Span:
    status = raw.get("status", {})
    return Span(
        name=raw["name"],
        trace_id=raw["traceId"],
        span_id=raw["spanId"],
        parent_id=raw.get("parentSpanId") or None,
        kind=_KINDS[raw.get("kind", 0)],
        start_ns=int(raw["startTimeUnixNano"]),
        end_ns=int(raw["endTimeUnixNano"]),
        attributes=_attributes(raw),
        events=tuple(sorted(map(_event, raw.get("events", [])), key=lambda one: one.time_ns)),
        links=tuple(
            Link(one["traceId"], one["spanId"], _attributes(one)) for one in raw.get("links", [])
        ),
        status=_STATUS[status.get("code", 0)],
        status_message=status.get("message", ""),
        scope=scope,
        resource=resource,
    )


def _event(raw: Mapping[str, Any]) -> Event:
    return Event(raw["name"], int(raw["timeUnixNano"]), _attributes(raw))


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    # Jaeger adds warnings of its own to spans that are read before their parent has arrived.
    return {
        one["key"]: _value(one.get("value", {}))
        for one in holder.get("attributes", [])
        if not one["key"].startswith("@jaeger@")
    }


def _value(raw: Mapping[str, Any]) -> Any:
    if "intValue" in raw:
        return int(raw["intValue"])
    if "arrayValue" in raw:
        return [_value(one) for one in raw["arrayValue"].get("values", [])]
    if "kvlistValue" in raw:
        return {one["key"]: _value(one["value"]) for one in raw["kvlistValue"].get("values", [])}
    for kind in ("stringValue", "doubleValue", "boolValue", "bytesValue"):
        if kind in raw:
            return raw[kind]
    return None
