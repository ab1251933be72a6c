"""A tracer provider from the standard `OTEL_*` environment, with our exporters in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from trunktrace.export.late import LateFactsExporter
from trunktrace.export.redacting import RedactingExporter
from trunktrace.guard import warn_once
from trunktrace.processor import CallSpanProcessor
from trunktrace.redaction import Redaction

Made = TypeVar("Made")

_GRPC_PORT: Final = 4317
_ID_GENERATOR: Final = "OTEL_PYTHON_ID_GENERATOR"
_EXPORTERS: Final = "opentelemetry_traces_exporter"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def provider_from_environment(redaction: Redaction | None = None) -> TracerProvider | None:
    """A provider as the environment asks for; None where it asks for none.

    It is asked for by `OTEL_TRACES_EXPORTER` (names of installed exporters, `none` for none) or by
    an OTLP endpoint. Without either nothing is made: an exporter to a collector that nobody runs
    would only fill the log. `OTEL_PYTHON_ID_GENERATOR` names who makes the trace ids
    (`session_id` is `SessionIdGenerator`). `OTEL_SDK_DISABLED`, sampler, resource and batch
    settings are the SDK's. The OTLP protocol is the environment's, else gRPC for port 4317 and HTTP
    for any other.

    `redaction` goes to the `RedactingExporter`; None reads it from the environment.
    """
    if sdk_disabled():
        return None
    exporters = [found for name in exporter_names() if (found := _exporter(name)) is not None]
    if not exporters:
        return None
    provider = TracerProvider(id_generator=_id_generator())
    for exporter in exporters:
        wrapped = LateFactsExporter(RedactingExporter(exporter, redaction=redaction))
        provider.add_span_processor(BatchSpanProcessor(wrapped))
    # Behind the batches: what it starts when a root ends must find the root there.
    provider.add_span_processor(CallSpanProcessor())
    return provider


def _id_generator() -> IdGenerator | None:
    name = os.environ.get(_ID_GENERATOR, "").strip()
    if not name:
        return None
    return made(name, "opentelemetry_id_generator", _ID_GENERATOR, _new_generator)


def _new_generator(kind: Any) -> IdGenerator:
    generator: IdGenerator = kind()
    return generator


def otlp_endpoint() -> str | None:
    """Where the environment sends spans by OTLP; None if it names no endpoint."""
    return first_set(_ENDPOINTS) or None


def sdk_disabled() -> bool:
    """Whether the environment switches OpenTelemetry off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def otlp_exporter() -> SpanExporter | None:
    """The OTLP exporter for the environment's endpoint and protocol; None without an endpoint."""
    return _exporter(otlp_name(_ENDPOINTS, _PROTOCOLS)) if otlp_endpoint() else None


def exporter_names() -> tuple[str, ...]:
    """Entry point names of the span exporters that the environment asks for."""
    return names_asked_for("OTEL_TRACES_EXPORTER", _ENDPOINTS, _PROTOCOLS)


def names_asked_for(
    variable: str, endpoints: tuple[str, ...], protocols: tuple[str, ...]
) -> tuple[str, ...]:
    """Names in `variable`; OTLP where it is not set and there is an endpoint."""
    asked = os.environ.get(variable, "").strip()
    if not asked:
        asked = "otlp" if first_set(endpoints) else "none"
    otlp = otlp_name(endpoints, protocols)
    names = (name.strip() for name in asked.split(","))
    return tuple(otlp if n == "otlp" else n for n in names if n and n != "none")


def otlp_name(endpoints: tuple[str, ...], protocols: tuple[str, ...]) -> str:
    """Entry point name of the OTLP exporter; the first variable that is set decides."""
    protocol = first_set(protocols)
    if not protocol:
        protocol = "grpc" if _port(first_set(endpoints)) == _GRPC_PORT else "http/protobuf"
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None  # the exporter says what is wrong with it


def preload() -> None:
    """Import what `provider_from_environment` will need: gRPC alone takes 0.2 s."""
    load_all(_EXPORTERS, exporter_names())


def load_all(group: str, names: tuple[str, ...]) -> None:
    """Import the installed exporters of these names."""
    for name in names:
        for found in entry_points(group=group, name=name):
            found.load()


def _exporter(name: str) -> SpanExporter | None:
    return made(name, _EXPORTERS, "OTEL_TRACES_EXPORTER", _new)


def _new(kind: Any) -> SpanExporter:
    exporter: SpanExporter = kind()
    return exporter


def made(name: str, group: str, variable: str, make: Callable[[Any], Made]) -> Made | None:
    """What `make` makes of what is installed under that name; None, told once, if it cannot."""
    for found in entry_points(group=group, name=name):
        try:
            return make(found.load())
        except Exception as error:
            warn_once(
                f"{group}:{name}",
                "trunktrace: %r of %s cannot be made (%s: %s); left out",
                name,
                variable,
                type(error).__name__,
                error,
            )
            return None
    warn_once(
        f"{group}:{name}",
        "trunktrace: %s asks for %r, which is not installed; left out",
        variable,
        name,
    )
    return None


def first_set(names: tuple[str, ...]) -> str:
    """The value of the first of these variables that is set; empty if none is."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")
