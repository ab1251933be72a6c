"""A tracer provider from the standard `OTEL_*` environment, with our exporters in it."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from trunktrace.export.late import LateFactsExporter
from trunktrace.export.redacting import RedactingExporter
from trunktrace.guard import warn_once
from trunktrace.processor import CallSpanProcessor
from trunktrace.redaction import Redaction

_GRPC_PORT: Final = 4317
_EXPORTERS: Final = "opentelemetry_traces_exporter"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def provider_from_environment(redaction: Redaction | None = None) -> TracerProvider | None:
    """A provider as the environment asks for; None where it asks for none.

    It is asked for by `OTEL_TRACES_EXPORTER` (names of installed exporters, `none` for none) or by
    an OTLP endpoint. Without either nothing is made: an exporter to a collector that nobody runs
    would only fill the log. `OTEL_SDK_DISABLED`, sampler, resource and batch settings are the
    SDK's. The OTLP protocol is the environment's, else gRPC for port 4317 and HTTP for any other.

    `redaction` goes to the `RedactingExporter`; None reads it from the environment.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporters = [found for name in exporter_names() if (found := _exporter(name)) is not None]
    if not exporters:
        return None
    provider = TracerProvider()
    for exporter in exporters:
        wrapped = LateFactsExporter(RedactingExporter(exporter, redaction=redaction))
        provider.add_span_processor(BatchSpanProcessor(wrapped))
    # Behind the batches: what it starts when a root ends must find the root there.
    provider.add_span_processor(CallSpanProcessor())
    return provider


def otlp_endpoint() -> str | None:
    """Where the environment sends spans by OTLP; None if it names no endpoint."""
    return _first(_ENDPOINTS) or None


def otlp_exporter() -> SpanExporter | None:
    """The OTLP exporter for the environment's endpoint and protocol; None without an endpoint."""
    return _exporter(_otlp_name()) if otlp_endpoint() else None


def exporter_names() -> tuple[str, ...]:
    """Entry point names of the span exporters that the environment asks for."""
    asked = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not asked:
        asked = "otlp" if otlp_endpoint() else "none"
    names = (name.strip() for name in asked.split(","))
    return tuple(_otlp_name() if n == "otlp" else n for n in names if n and n != "none")


def _otlp_name() -> str:
    protocol = _first(_PROTOCOLS)
    if not protocol:
        protocol = "grpc" if _port(_first(_ENDPOINTS)) == _GRPC_PORT else "http/protobuf"
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None  # the exporter says what is wrong with it


def preload() -> None:
    """Import what `provider_from_environment` will need: gRPC alone takes 0.2 s."""
    for name in exporter_names():
        for found in entry_points(group=_EXPORTERS, name=name):
            found.load()


def _exporter(name: str) -> SpanExporter | None:
    for found in entry_points(group=_EXPORTERS, name=name):
        try:
            exporter: SpanExporter = found.load()()
        except Exception as error:
            warn_once(
                f"exporter:{name}",
                "trunktrace: the exporter %r of OTEL_TRACES_EXPORTER cannot be made (%s: %s); left "
                "out",
                name,
                type(error).__name__,
                error,
            )
            return None
        return exporter
    warn_once(
        f"exporter:{name}",
        "trunktrace: OTEL_TRACES_EXPORTER asks for %r, which is not installed; left out",
        name,
    )
    return None


def _first(names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")
