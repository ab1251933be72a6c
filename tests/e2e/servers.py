"""Starts and stops the real servers on free ports of 127.0.0.1, with their logs kept."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from . import build
from .network import Network
from .polling import until

HOST = "127.0.0.1"
_START_S = 60.0
_STOP_S = 10.0
_TRIES = 3


class ProcessEnded(RuntimeError):
    """A program of ours ended before it was ready; the message holds the end of its log."""


class Child:
    """One child process with its output in a file; stopped by its own process id."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._asked = False
        self._output: IO[bytes] = log.open("ab")
        self._process = subprocess.Popen(
            argv,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=None if env is None else dict(env),
            cwd=cwd,
            # A group of its own, so that what it leaves behind can be ended with it.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def check(self) -> None:
        """Raise ProcessEnded when the process is gone."""
        if not self.running:
            code = self._process.returncode
            raise ProcessEnded(f"{self.name} ended with code {code}\n{self.tail()}")

    def tail(self, lines: int = 60) -> str:
        """The last lines of the log."""
        text = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(text[-lines:])

    def ask_to_end(self) -> None:
        """Ask it to end, without waiting; so several can end at once. Twice is once."""
        if not self._asked:
            self._asked = True
            self._process.terminate()

    def stop(self, deadline_s: float = _STOP_S) -> int:
        """Ask it to end, kill it (and what it left) after the deadline; its exit code."""
        self.ask_to_end()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return self._closed()

    def kill(self) -> int:
        """End it at once, without a chance to clean up; its exit code."""
        self._process.kill()
        self._process.wait()
        return self._closed()

    def _closed(self) -> int:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._output.close()
        return self._process.returncode


class _Server(ABC):
    """A server as a context manager: ready when entered, ended when left."""

    name = "server"
    stop_s = _STOP_S

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._child: Child | None = None
        self._choose_ports()

    @property
    def log(self) -> Path:
        return self._directory / f"{self.name}.log"

    @abstractmethod
    def _choose_ports(self) -> None: ...

    @abstractmethod
    def _argv(self) -> list[str]: ...

    @abstractmethod
    def _is_ready(self) -> bool: ...

    def _env(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        """Start it and wait until it answers; on the same ports when started again."""
        for attempt in range(1, _TRIES + 1):
            try:
                self._start_once()
                return
            except ProcessEnded as error:
                taken = "address already in use" in str(error).lower()
                if not taken or attempt == _TRIES:
                    raise
                # Somebody took a port between our choice and the bind.
                self._choose_ports()

    def _start_once(self) -> None:
        child = Child(self.name, self._argv(), self.log, env=self._env())
        try:
            until(
                self._is_ready,
                deadline_s=_START_S,
                what=f"{self.name} answers",
                alive=child.check,
            )
        except BaseException:
            child.stop()
            raise
        self._child = child

    def stop(self) -> None:
        """End it; nothing happens when it does not run."""
        if self._child is not None:
            self._child.stop(self.stop_s)
            self._child = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class LiveKitServer(_Server):
    """A single LiveKit server without redis (so without SIP), on loopback or behind `network`."""

    name = "livekit-server"
    # Asked to end it lingers for ten seconds and more; it has nothing that we would lose.
    stop_s = 0.5
    key = "e2e-key"
    secret = "e2e-secret-that-is-long-enough-for-hs256"

    def __init__(self, directory: Path, network: Network | None = None) -> None:
        self._network = network
        self._host = HOST if network is None else network.server_address
        super().__init__(directory)

    @property
    def url(self) -> str:
        """What LIVEKIT_URL is set to."""
        return f"ws://{self._host}:{self._port}"

    def _choose_ports(self) -> None:
        (self._port,) = free_tcp_ports(1)
        self._udp_port = free_udp_port()

    def _argv(self) -> list[str]:
        config = self._directory / "livekit.yaml"
        config.write_text(
            _LIVEKIT_YAML.format(
                host=self._host,
                interface="lo" if self._network is None else self._network.server_interface,
                port=self._port,
                udp=self._udp_port,
                key=self.key,
                secret=self.secret,
            ),
            "utf-8",
        )
        argv = [str(build.binary(build.LIVEKIT)), "--config", str(config), "--node-ip", self._host]
        return argv if self._network is None else self._network.within(argv)

    def _is_ready(self) -> bool:
        return _answers(f"http://{self._host}:{self._port}/")


class JaegerServer(_Server):
    """Jaeger with memory storage: OTLP in (HTTP and gRPC), the query API out, on loopback."""

    name = "jaeger"

    @property
    def otlp_http(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to for http/protobuf."""
        return f"http://{HOST}:{self._otlp_http}"

    @property
    def otlp_grpc(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to for grpc."""
        return f"http://{HOST}:{self._otlp_grpc}"

    @property
    def query(self) -> str:
        """Base address of the query API."""
        return f"http://{HOST}:{self._query_http}"

    def _choose_ports(self) -> None:
        (
            self._otlp_http,
            self._otlp_grpc,
            self._query_http,
            self._query_grpc,
            self._health,
        ) = free_tcp_ports(5)

    def _argv(self) -> list[str]:
        config = self._directory / "jaeger.yaml"
        config.write_text(
            _JAEGER_YAML.format(
                host=HOST,
                otlp_http=self._otlp_http,
                otlp_grpc=self._otlp_grpc,
                query_http=self._query_http,
                query_grpc=self._query_grpc,
                health=self._health,
            ),
            "utf-8",
        )
        return [str(build.binary(build.JAEGER)), "--config", str(config)]

    def _env(self) -> dict[str, str]:
        # It traces itself to localhost:4317, and waits for that at its end, unless told not to.
        return {**os.environ, "OTEL_TRACES_SAMPLER": "always_off"}

    def _is_ready(self) -> bool:
        return _answers(f"http://{HOST}:{self._health}/status")


def free_tcp_ports(count: int) -> list[int]:
    """Distinct ports of 127.0.0.1 that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def free_udp_port() -> int:
    """A UDP port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        # Without proxies: a proxy of the environment knows nothing of our loopback ports.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1.0):
            return True
    except (urllib.error.URLError, OSError):
        return False


# tcp_port 0: its listener would bind every address. departure_timeout: the room, and with it the
# job, ends this long after the caller left (20 s by default; a test has no use for the wait).
_LIVEKIT_YAML = """\
port: {port}
bind_addresses: ["{host}"]
rtc:
  tcp_port: 0
  udp_port: {udp}
  use_external_ip: false
  enable_loopback_candidate: true
  interfaces:
    includes: [{interface}]
room:
  auto_create: true
  empty_timeout: 30
  departure_timeout: 1
keys:
  {key}: {secret}
logging:
  level: info
"""

_JAEGER_YAML = """\
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
extensions:
  healthcheckv2:
    use_v2: true
    http:
      endpoint: {host}:{health}
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 100000
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: {host}:{query_http}
    grpc:
      endpoint: {host}:{query_grpc}
receivers:
  otlp:
    protocols:
      http:
        endpoint: {host}:{otlp_http}
      grpc:
        endpoint: {host}:{otlp_grpc}
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"""
