"""The tracer provider that is made from the standard `OTEL_*` environment."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

import trunktrace
from trunktrace.export import environment
from trunktrace.export.environment import exporter_names, provider_from_environment

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
TRACES_PROTOCOL = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
EXPORTER = "OTEL_TRACES_EXPORTER"
GRPC = "otlp_proto_grpc"
HTTP = "otlp_proto_http"


@pytest.fixture(autouse=True)
def _no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("OTEL_", "TRUNKTRACE_")):
            monkeypatch.delenv(name)


@pytest.fixture
def made(monkeypatch) -> Iterator[list[TracerProvider]]:
    """Providers of the test, shut down after it."""
    providers: list[TracerProvider] = []
    yield providers
    for provider in providers:
        provider.shutdown()


class Collector:
    """An OTLP/HTTP collector; `spans` is what it was sent."""

    def __init__(self) -> None:
        self.spans: list[dict[str, object]] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for span in (one for scope in resource.scope_spans for one in scope.spans):
                        values = {one.key: one.value.string_value for one in span.attributes}
                        spans.append({"name": span.name, **values})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    opened = Collector()
    thread = threading.Thread(target=opened.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {EXPORTER: ""},
        {EXPORTER: " , "},
        {EXPORTER: "none"},
        {EXPORTER: "none", ENDPOINT: "http://127.0.0.1:1"},
        {ENDPOINT: "  "},
        {"OTEL_SDK_DISABLED": "true", ENDPOINT: "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": " TRUE ", EXPORTER: "console"},
    ],
)
def test_without_a_wish_nothing_is_made(monkeypatch, variables):
    """No endpoint, no exporter, or the SDK switched off: there is no provider."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert provider_from_environment() is None


@pytest.mark.parametrize(
    "variables, names",
    [
        ({}, ()),
        ({EXPORTER: "console"}, ("console",)),
        ({EXPORTER: "console, otlp", ENDPOINT: "http://c:4318"}, ("console", HTTP)),
        ({EXPORTER: "otlp"}, (HTTP,)),
        ({EXPORTER: "none,console"}, ("console",)),
        ({EXPORTER: GRPC, ENDPOINT: "http://c:4318"}, (GRPC,)),
        ({ENDPOINT: "http://c:4317"}, (GRPC,)),
        ({ENDPOINT: "c:4317"}, (GRPC,)),
        ({ENDPOINT: "http://c:4318"}, (HTTP,)),
        ({ENDPOINT: "https://otlp.example.com"}, (HTTP,)),
        ({ENDPOINT: "http://c:no-port"}, (HTTP,)),
        ({TRACES_ENDPOINT: "http://c:4317", ENDPOINT: "http://c:4318"}, (GRPC,)),
        ({ENDPOINT: "http://c:4318", PROTOCOL: "grpc"}, (GRPC,)),
        ({ENDPOINT: "http://c:4317", PROTOCOL: "http/protobuf"}, (HTTP,)),
        ({ENDPOINT: "http://c:1", PROTOCOL: "grpc", TRACES_PROTOCOL: "http/protobuf"}, (HTTP,)),
    ],
)
def test_exporters_follow_the_environment(monkeypatch, variables, names):
    """Names, endpoint and protocol as OpenTelemetry defines them; port 4317 means gRPC."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert exporter_names() == names


def test_both_otlp_exporters_can_be_made(monkeypatch, made):
    """Each protocol's exporter is installed with trunktrace."""
    for protocol in ("grpc", "http/protobuf"):
        monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
        monkeypatch.setenv(PROTOCOL, protocol)
        provider = provider_from_environment()
        assert provider is not None
        made.append(provider)


def test_spans_leave_completed_and_redacted(monkeypatch, collector):
    """A span that ended before a fact carries it, and a number in another's attribute is hidden."""
    monkeypatch.setenv(ENDPOINT, collector.endpoint)
    provider = provider_from_environment()
    assert provider is not None
    tracer = provider.get_tracer("test")
    with trunktrace.start_call(tracer_provider=provider, caller_number="+15557778888") as call:
        tracer.start_span("early", attributes={"lk.user": "sip_+15557778888"}).end()
        call.record(carrier="telnyx")
    provider.shutdown()
    assert sorted(str(one["name"]) for one in collector.spans) == ["early", "sip.call"]
    assert {one["trunk.carrier"] for one in collector.spans} == {"telnyx"}
    assert "5557778888" not in json.dumps(collector.spans)


def test_the_sdk_reads_its_own_variables(monkeypatch, made):
    """Sampler, resource and the like are not ours to read."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "phone agent")
    provider = provider_from_environment()
    assert provider is not None
    made.append(provider)
    assert provider.resource.attributes["service.name"] == "phone agent"
    assert not provider.get_tracer("test").start_span("unsampled").is_recording()


def test_an_exporter_that_is_not_installed_is_left_out(monkeypatch, made, caplog):
    """The others are made; one line names the one that is missing."""
    monkeypatch.setenv(EXPORTER, "zipkin_of_yesterday,otlp")
    with caplog.at_level(logging.WARNING, "trunktrace"):
        for _ in range(2):
            provider = provider_from_environment()
            assert provider is not None
            made.append(provider)
    (line,) = caplog.messages
    assert "'zipkin_of_yesterday', which is not installed" in line


def test_an_exporter_that_cannot_be_made_is_left_out(monkeypatch, caplog):
    """An exporter that raises when it is made costs a line of the log, not the process."""

    class Broken:
        def load(self):
            raise RuntimeError("no certificate")

    monkeypatch.setattr(environment, "entry_points", lambda **_: [Broken()])
    monkeypatch.setenv(EXPORTER, "broken")
    with caplog.at_level(logging.WARNING, "trunktrace"):
        assert provider_from_environment() is None
    (line,) = caplog.messages
    assert "'broken'" in line
    assert "RuntimeError: no certificate" in line


def test_the_console_is_an_exporter_too():
    """`OTEL_TRACES_EXPORTER=console` prints each span with the call's facts."""
    program = """
import trunktrace
from trunktrace.export.environment import provider_from_environment
provider = provider_from_environment()
with trunktrace.start_call(tracer_provider=provider, carrier="telnyx"):
    provider.get_tracer("test").start_span("child").end()
provider.shutdown()
"""
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, EXPORTER: "console"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.count('"trunk.carrier": "telnyx"') == 2


def test_the_environment_names_who_makes_trace_ids(monkeypatch, made) -> None:
    """`OTEL_PYTHON_ID_GENERATOR=session_id`: each trace id is a UUID of version 4 as well."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", "session_id")
    provider = provider_from_environment()
    assert provider is not None
    made.append(provider)
    assert isinstance(provider.id_generator, trunktrace.SessionIdGenerator)


def test_an_unknown_maker_of_trace_ids_is_told_and_left_out(monkeypatch, made, caplog) -> None:
    """A generator that is not installed costs no trace."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", "nobodys")
    provider = provider_from_environment()
    assert provider is not None
    made.append(provider)
    assert "nobodys" in caplog.text
