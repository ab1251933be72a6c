"""What left the process: spans as OTLP bytes, kept, and read back from those bytes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TypedDict

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

AttributeValue = str | bool | int | float | list[object] | None


class SpanRecord(TypedDict):
    """One span as plain values; ids are hex, times unix nanoseconds, no parent is None."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    error: bool
    attributes: Mapping[str, AttributeValue]


class KeepingExporter(SpanExporter):
    """Encodes spans as OTLP protobuf and keeps the bytes; hands the spans on to `onward` if given.

    What `onward` makes of them does not change what is kept; `refused` counts the spans that it
    did not take.
    """

    def __init__(self, onward: SpanExporter | None = None) -> None:
        self._onward = onward
        self._messages: list[bytes] = []
        self.refused = 0
        self._lock = threading.Lock()

    @property
    def messages(self) -> tuple[bytes, ...]:
        """The messages so far, each an `ExportTraceServiceRequest`."""
        with self._lock:
            return tuple(self._messages)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep the bytes of the spans; the result is that of the exporter behind."""
        message = encode_spans(spans).SerializeToString()
        with self._lock:
            self._messages.append(message)
        if self._onward is None:
            return SpanExportResult.SUCCESS
        result = self._onward.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self.refused += len(spans)
        return result

    def shutdown(self) -> None:
        """Shut down the exporter behind."""
        if self._onward is not None:
            self._onward.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter behind."""
        return self._onward is None or self._onward.force_flush(timeout_millis)


def decode(messages: Sequence[bytes]) -> list[SpanRecord]:
    """The spans in OTLP messages, in the order of their start."""
    spans = [
        _record(span)
        for message in messages
        for resource in ExportTraceServiceRequest.FromString(message).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return sorted(spans, key=lambda span: span["start_ns"])


def _record(span: Span) -> SpanRecord:
    return SpanRecord(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        error=span.status.code == Status.STATUS_CODE_ERROR,
        attributes={item.key: _value(item.value) for item in span.attributes},
    )


def _value(value: AnyValue) -> AttributeValue:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case _:
            return None
