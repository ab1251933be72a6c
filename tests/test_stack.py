"""The example stack: a valid compose file whose parts fit together. (e2e runs its servers.)"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

STACK = Path(__file__).parents[1] / "examples" / "stack"
COMPOSE: dict[str, Any] = yaml.safe_load((STACK / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLLECTOR: dict[str, Any] = yaml.safe_load((STACK / "otel-collector.yaml").read_text())
PIPELINES: dict[str, dict[str, Any]] = COLLECTOR["service"]["pipelines"]
PROMETHEUS: dict[str, Any] = yaml.safe_load((STACK / "prometheus.yaml").read_text())


def test_compose_file_is_valid() -> None:
    """The file follows the Compose specification's schema."""
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [sys.executable, *command, str(STACK / "compose.yaml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_is_there() -> None:
    """A call needs LiveKit, its bridge, their bus, an agent; the rest takes what it tells."""
    assert SERVICES.keys() == {
        "agent",
        "collector",
        "jaeger",
        "livekit",
        "prometheus",
        "setup",
        "sip",
        "tempo",
        "valkey",
    }


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_loopback_only(service: str) -> None:
    """Nothing of the stack can be reached from another machine."""
    ports = SERVICES[service].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", [name for name in SERVICES if "image" in SERVICES[name]])
def test_images_are_pinned(service: str) -> None:
    """Each image names a version, so that the stack of tomorrow is the stack of today."""
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", SERVICES[service]["image"])


@pytest.mark.parametrize("service", SERVICES)
def test_mounted_files_exist(service: str) -> None:
    """Every configuration file that a service mounts is in the folder."""
    mounts = [mount.split(":")[0] for mount in SERVICES[service].get("volumes", [])]
    missing = [name for name in mounts if name.startswith("./") and not (STACK / name).is_file()]
    assert not missing


def test_one_key_everywhere() -> None:
    """Server, bridge, agent and setup use the same LiveKit key and secret."""
    (pair,) = yaml.safe_load((STACK / "livekit.yaml").read_text())["keys"].items()
    used = {
        (environment["LIVEKIT_API_KEY"], environment["LIVEKIT_API_SECRET"])
        for service in SERVICES.values()
        if "LIVEKIT_API_KEY" in (environment := service.get("environment", {}))
    }
    assert used == {pair}


def test_bridge_publishes_all_its_media_ports() -> None:
    """The bridge's RTP range is the range that is published: a port outside is one-way audio."""
    media = yaml.safe_load((STACK / "sip.yaml").read_text())["rtp_port"]
    assert f"127.0.0.1:{media}:{media}/udp" in SERVICES["sip"]["ports"]


def test_collector_sends_to_services_of_the_stack() -> None:
    """Each exporter names a service, the collector itself or where it listens, and is used."""
    exporters: dict[str, dict[str, Any]] = COLLECTOR["exporters"]
    hosts = {_default(exporter["endpoint"]).partition(":")[0] for exporter in exporters.values()}
    assert hosts <= SERVICES.keys() | {"127.0.0.1", "0.0.0.0"}
    used = {name for each in PIPELINES.values() for name in each["exporters"]}
    assert used == exporters.keys() | COLLECTOR["connectors"].keys()


def test_prometheus_scrapes_what_the_collector_offers() -> None:
    """Its targets are the ports of the collector's two Prometheus exporters, and no other."""
    offered = {
        _default(exporter["endpoint"]).rpartition(":")[2]
        for name, exporter in COLLECTOR["exporters"].items()
        if name.startswith("prometheus")
    }
    (scrape,) = PROMETHEUS["scrape_configs"]
    (static,) = scrape["static_configs"]
    assert {f"collector:{port}" for port in offered} == set(static["targets"])


def test_values_are_held_longer_than_a_scrape_takes() -> None:
    """A zero is scraped before its value comes: the quicker station holds for over an interval."""
    first, second = (
        _seconds(_default(COLLECTOR["exporters"][name]["sending_queue"]["batch"]["flush_timeout"]))
        for name in ("otlp_grpc/station_1", "otlp_grpc/station_2")
    )
    # What the first sends must find the second empty, or it would leave with what is there.
    assert first > second + 1 > _seconds(PROMETHEUS["global"]["scrape_interval"]) + 1


def _default(value: str) -> str:
    """What `${env:NAME:-default}` stands for where the environment has no NAME."""
    found = re.fullmatch(r"\$\{env:[A-Z0-9_]+:-(.*)\}", value)
    return value if found is None else found[1]


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_directory_believes_what_the_setup_writes() -> None:
    """The attributes of the dispatch rule are the ones that carriers.toml trusts."""
    trusted = tomllib.loads((STACK / "carriers.toml").read_text())["defaults"]
    written = (STACK / "setup_trunk.py").read_text()
    assert all(f'"{name}"' in written for name in trusted["trusted_attributes"].values())
