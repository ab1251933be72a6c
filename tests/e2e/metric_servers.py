"""The collector of the example stack and a real Prometheus that scrapes it."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from . import build
from .servers import HOST, JaegerServer, _answers, _Server, free_tcp_ports

STACK = Path(__file__).resolve().parents[2] / "examples" / "stack"

Series = dict[str, str]
"""The labels of a time series."""


class CollectorServer(_Server):
    """The collector of examples/stack, from its own file; only addresses are put over it."""

    name = "otelcol"

    def __init__(self, directory: Path, jaeger: JaegerServer) -> None:
        self._jaeger = jaeger
        super().__init__(directory)

    @property
    def otlp_http(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to for http/protobuf."""
        return f"http://{HOST}:{self._ports[1]}"

    @property
    def scraped(self) -> list[str]:
        """Where Prometheus finds the counters, and what is open now."""
        return [f"{HOST}:{port}" for port in self._ports[4:]]

    def _choose_ports(self) -> None:
        self._ports = free_tcp_ports(6)

    def _argv(self) -> list[str]:
        return [str(build.binary(build.COLLECTOR)), "--config", str(STACK / "otel-collector.yaml")]

    def _env(self) -> dict[str, str]:
        names = (
            "OTLP_GRPC_ENDPOINT",
            "OTLP_HTTP_ENDPOINT",
            "STATION_1_ENDPOINT",
            "STATION_2_ENDPOINT",
            "PROMETHEUS_COUNTED_ENDPOINT",
            "PROMETHEUS_NOW_ENDPOINT",
        )
        places = {name: f"{HOST}:{port}" for name, port in zip(names, self._ports, strict=True)}
        spans = self._jaeger.otlp_grpc.removeprefix("http://")
        return {
            **super()._env(),
            **places,
            "JAEGER_ENDPOINT": spans,
            "TEMPO_ENDPOINT": spans,
            "OWN_METRICS": "none",  # their port is fixed
        }

    def _is_ready(self) -> bool:
        return all(_answers(f"http://{target}/metrics") for target in self.scraped)


class PrometheusServer(_Server):
    """Prometheus from the system's package, with the stack's scrape configuration."""

    name = "prometheus"

    def __init__(self, directory: Path, collector: CollectorServer) -> None:
        self._collector = collector
        super().__init__(directory)

    def _choose_ports(self) -> None:
        (self._port,) = free_tcp_ports(1)

    def _argv(self) -> list[str]:
        program = shutil.which("prometheus")
        assert program is not None, "no `prometheus` on the PATH: apt-get install prometheus"
        config: dict[str, Any] = yaml.safe_load((STACK / "prometheus.yaml").read_text())
        (scrape,) = config["scrape_configs"]
        scrape["static_configs"] = [{"targets": self._collector.scraped}]
        written = self._directory / "prometheus.yaml"
        written.write_text(yaml.safe_dump(config))
        return [
            program,
            f"--config.file={written}",
            f"--storage.tsdb.path={self._directory / 'tsdb'}",
            f"--web.listen-address={HOST}:{self._port}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ]

    def _env(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}

    def _is_ready(self) -> bool:
        return _answers(f"http://{HOST}:{self._port}/-/ready")

    def ask(self, query: str, *, at: float | None = None) -> list[tuple[Series, float, float]]:
        """Each series of an instant query: its labels, its value, and the time asked for."""
        given = {"query": query} if at is None else {"query": query, "time": str(at)}
        return [
            (one["metric"], float(one["value"][1]), float(one["value"][0]))
            for one in self._get("query", given)["result"]
        ]

    def number(self, query: str, *, at: float | None = None) -> float | None:
        """The one value of a query; None where it has none."""
        found = self.ask(query, at=at)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def exemplars(self, query: str, *, since: float, until: float) -> list[Series]:
        """The labels of each exemplar (`trace_id`, `span_id`)."""
        given = {"query": query, "start": str(since), "end": str(until)}
        found = self._get("query_exemplars", given)
        return [each["labels"] for series in found for each in series["exemplars"]]

    def _get(self, what: str, given: dict[str, str]) -> Any:
        url = f"http://{HOST}:{self._port}/api/v1/{what}?{urllib.parse.urlencode(given)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10.0) as answer:
            return json.load(answer)["data"]
