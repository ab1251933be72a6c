"""Stands between the workers and Jaeger, keeps every OTLP request, and hands on the spans.

What a worker sent is what its user's backend would get: the tests search these bytes for what must
not be in them.
"""

from __future__ import annotations

import gzip
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .servers import HOST, JaegerServer

_TRACES = "/v1/traces"
_METRICS = "/v1/metrics"


class Recorder:
    """An OTLP/HTTP endpoint for each worker, in front of one Jaeger; a context manager."""

    def __init__(self, jaeger: JaegerServer) -> None:
        self._jaeger = jaeger
        self._messages: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="otlp-recorder")

    def endpoint(self, worker: str) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to for this worker."""
        return f"http://{HOST}:{self._server.server_address[1]}/{worker}"

    def messages(self, worker: str) -> list[bytes]:
        """The bodies with spans that the worker has sent, uncompressed."""
        with self._lock:
            return list(self._messages[worker, _TRACES])

    def requests(self, worker: str) -> list[ExportTraceServiceRequest]:
        """The same, read."""
        return [ExportTraceServiceRequest.FromString(body) for body in self.messages(worker)]

    def metric_messages(self, worker: str) -> list[bytes]:
        """The bodies with metrics that the worker has sent, uncompressed."""
        with self._lock:
            return list(self._messages[worker, _METRICS])

    def metric_requests(self, worker: str) -> list[ExportMetricsServiceRequest]:
        """The same, read."""
        bodies = self.metric_messages(worker)
        return [ExportMetricsServiceRequest.FromString(body) for body in bodies]

    def take(self, worker: str, path: str, body: bytes) -> int:
        """Keep a body; the status that Jaeger answered, to which only spans are handed on."""
        with self._lock:
            self._messages[worker, path].append(body)
        if path != _TRACES:
            return 200
        request = urllib.request.Request(
            self._jaeger.otlp_http + _TRACES,
            data=body,
            headers={"Content-Type": "application/x-protobuf"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10.0) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 503

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        worker, _, path = self.path.strip("/").partition("/")
        status = self.server.recorder.take(worker, f"/{path}", body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: each request is kept anyway."""
