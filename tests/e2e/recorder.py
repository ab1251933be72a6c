"""Stands between the workers and Jaeger, keeps every OTLP request, and hands it on.

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

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .servers import HOST, JaegerServer

_PATH = "/v1/traces"


class Recorder:
    """An OTLP/HTTP endpoint for each worker, in front of one Jaeger; a context manager."""

    def __init__(self, jaeger: JaegerServer) -> None:
        self._jaeger = jaeger
        self._messages: dict[str, list[bytes]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="otlp-recorder")

    def endpoint(self, worker: str) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to for this worker."""
        return f"http://{HOST}:{self._server.server_address[1]}/{worker}"

    def messages(self, worker: str) -> list[bytes]:
        """The bodies that the worker has sent, uncompressed."""
        with self._lock:
            return list(self._messages[worker])

    def requests(self, worker: str) -> list[ExportTraceServiceRequest]:
        """The same, read."""
        return [ExportTraceServiceRequest.FromString(body) for body in self.messages(worker)]

    def take(self, worker: str, body: bytes) -> int:
        """Keep a body and hand it on; the status that Jaeger answered."""
        with self._lock:
            self._messages[worker].append(body)
        request = urllib.request.Request(
            self._jaeger.otlp_http + _PATH,
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
        worker = self.path.removesuffix(_PATH).strip("/")
        status = self.server.recorder.take(worker, body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: each request is kept anyway."""
