"""The meter provider of the environment, and that what a call counted leaves its process."""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.sdk.metrics import MeterProvider

from trunktrace.export.meters import meter_provider_from_environment, metric_exporter_names

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
EXPORTER = "OTEL_METRICS_EXPORTER"
PREFERENCE = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
GRPC = "otlp_proto_grpc"
HTTP = "otlp_proto_http"
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


@pytest.fixture(autouse=True)
def _no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("OTEL_", "TRUNKTRACE_")):
            monkeypatch.delenv(name)


class Collector:
    """An OTLP/HTTP collector that keeps metrics by name; spans are taken and forgotten."""

    def __init__(self, answer: int = 200) -> None:
        self.metrics: dict[str, list[Metric]] = {}
        self.resources: list[dict[str, str]] = []
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/metrics" and answer == 200:
                    kept._keep(ExportMetricsServiceRequest.FromString(body))
                self.send_response(answer if self.path == "/v1/metrics" else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def _keep(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            values = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.resources.append(values)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics.setdefault(metric.name, []).append(metric)

    def total(self, name: str) -> int:
        """The sum of all deltas of a counter."""
        found = self.metrics.get(name, [])
        return sum(point.as_int for metric in found for point in metric.sum.data_points)


@pytest.fixture
def collector() -> Iterator[Collector]:
    yield from _serving(Collector())


@pytest.fixture
def refusing() -> Iterator[Collector]:
    """A backend that takes spans only, as Jaeger does."""
    yield from _serving(Collector(answer=404))


def _serving(opened: Collector) -> Iterator[Collector]:
    thread = threading.Thread(target=opened.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()
    thread.join()


@pytest.fixture
def made() -> Iterator[list[MeterProvider]]:
    """Providers of the test, shut down after it."""
    providers: list[MeterProvider] = []
    yield providers
    for provider in providers:
        provider.shutdown()


def provide(made: list[MeterProvider]) -> MeterProvider:
    provider = meter_provider_from_environment()
    assert provider is not None
    made.append(provider)
    return provider


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {EXPORTER: "none", ENDPOINT: "http://127.0.0.1:1"},
        {EXPORTER: " , "},
        {"OTEL_SDK_DISABLED": "true", ENDPOINT: "http://127.0.0.1:1"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"},
    ],
)
def test_without_a_wish_nothing_is_made(monkeypatch, variables):
    """No endpoint for metrics, no exporter, or the SDK switched off: there is no provider."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert meter_provider_from_environment() is None


@pytest.mark.parametrize(
    "variables, names",
    [
        ({}, ()),
        ({EXPORTER: "console"}, ("console",)),
        ({EXPORTER: "console,otlp", ENDPOINT: "http://c:4318"}, ("console", HTTP)),
        ({ENDPOINT: "http://c:4317"}, (GRPC,)),
        ({ENDPOINT: "http://c:4318"}, (HTTP,)),
        ({METRICS_ENDPOINT: "http://c:4317", ENDPOINT: "http://c:4318"}, (GRPC,)),
        ({ENDPOINT: "http://c:4318", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, (GRPC,)),
        ({"OTEL_TRACES_EXPORTER": "console"}, ()),
    ],
)
def test_exporters_follow_the_environment(monkeypatch, variables, names):
    """Names, endpoint and protocol as OpenTelemetry defines them, those of metrics first."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert metric_exporter_names() == names


@pytest.mark.parametrize(
    "preference, counter, histogram",
    [(None, DELTA, DELTA), ("cumulative", CUMULATIVE, CUMULATIVE), ("delta", DELTA, DELTA)],
)
def test_counters_leave_as_deltas(monkeypatch, made, collector, preference, counter, histogram):
    """Unless the environment says otherwise; what goes up and down is always a level."""
    monkeypatch.setenv(ENDPOINT, collector.endpoint)
    if preference is not None:
        monkeypatch.setenv(PREFERENCE, preference)
    provider = provide(made)
    meter = provider.get_meter("test")
    meter.create_counter("counted").add(1)
    meter.create_histogram("measured").record(1.0)
    meter.create_up_down_counter("level").add(1)
    assert provider.force_flush()
    assert collector.metrics["counted"][0].sum.aggregation_temporality == counter
    assert collector.metrics["measured"][0].histogram.aggregation_temporality == histogram
    assert collector.metrics["level"][0].sum.aggregation_temporality == CUMULATIVE


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_both_otlp_exporters_can_be_made(monkeypatch, made, protocol):
    """Each protocol's exporter is installed with trunktrace."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv(PROTOCOL, protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    provide(made)


def _instances(provider: MeterProvider) -> str:
    return str(provider._sdk_config.resource.attributes["service.instance.id"])


def test_each_process_is_an_instance(monkeypatch, made):
    """The id of the resource is one of its own, and keeps what the environment calls the place."""
    monkeypatch.setenv(EXPORTER, "console")
    assert len(_instances(provide(made))) >= 32
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7")
    assert _instances(provide(made)) == f"pod-7/{os.getpid()}"


def test_an_exporter_that_is_not_installed_is_left_out(monkeypatch, caplog):
    """One line names it; without another there is no provider."""
    monkeypatch.setenv(EXPORTER, "statsd_of_yesterday")
    with caplog.at_level(logging.WARNING, "trunktrace"):
        assert meter_provider_from_environment() is None
    (line,) = caplog.messages
    assert "'statsd_of_yesterday', which is not installed" in line


def test_a_backend_of_spans_is_named_once(monkeypatch, made, caplog, refusing):
    """Jaeger takes no metrics: one line of ours says what to do, and none of the SDK's."""
    monkeypatch.setenv(ENDPOINT, refusing.endpoint)
    provider = provide(made)
    counter = provider.get_meter("test").create_counter("counted")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            counter.add(1)
            provider.force_flush()
    (line,) = caplog.messages
    assert "takes no metrics" in line
    assert f"{EXPORTER}=none" in line


JOB = """
import multiprocessing, sys

def job(whose):
    import trunktrace
    from opentelemetry import metrics, trace
    from trunktrace.livekit import providers
    if whose == "user":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        metrics.set_meter_provider(MeterProvider([reader]))
    providers.ensure_provider()
    providers.ensure_provider()
    with trunktrace.start_call(direction="inbound", carrier="telnyx", status_code=200):
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    processes = [context.Process(target=job, args=(sys.argv[2],)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print([process.exitcode for process in processes])
"""


@pytest.mark.parametrize(
    "method, whose", [("forkserver", "environment"), ("spawn", "environment"), ("spawn", "user")]
)
def test_what_a_job_counted_leaves_it(collector, tmp_path: Path, method: str, whose: str):
    """Processes that are gone at once lose nothing, and send nothing twice."""
    program = tmp_path / "job.py"
    program.write_text(JOB)
    done = subprocess.run(
        [sys.executable, str(program), method, whose],
        env=_environment(collector.endpoint),
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.stdout.strip() == "[0, 0]", done.stderr
    assert _deltas(collector, "sip.invites") == 2
    assert "Traceback" not in done.stderr, done.stderr
    if whose == "environment":
        assert len({one["service.instance.id"] for one in collector.resources}) == 2


def _deltas(collector: Collector, name: str) -> int:
    """The sum of what was sent; a cumulative value that is repeated counts once a process."""
    found = collector.metrics.get(name, [])
    if any(one.sum.aggregation_temporality == CUMULATIVE for one in found):
        starts = {point.start_time_unix_nano for one in found for point in one.sum.data_points}
        return len(starts)
    return collector.total(name)


def test_exemplars_are_sent(monkeypatch, made, collector):
    """The exemplar of a sampled call arrives with its trace id and the root's span id."""
    program = """
import trunktrace
from opentelemetry import metrics
from trunktrace.livekit import providers
providers.ensure_provider()
with trunktrace.start_call(carrier="telnyx") as call:
    print(f"{call.trace_id:032x} {call.root_span_id:016x}")
metrics.get_meter_provider().force_flush()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=_environment(collector.endpoint),
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    (point,) = collector.metrics["sip.invites"][0].sum.data_points
    found = [f"{one.trace_id.hex()} {one.span_id.hex()}" for one in point.exemplars]
    assert found == [done.stdout.strip()]


def _environment(endpoint: str, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "TRUNKTRACE_")) and not name.upper().endswith("_PROXY")
    }
    return {**kept, ENDPOINT: endpoint, PROTOCOL: "http/protobuf", **more}
