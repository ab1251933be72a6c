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


def test_compose_file_is_valid() -> None:
    """The file follows the Compose specification's schema."""
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [sys.executable, *command, str(STACK / "compose.yaml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_is_there() -> None:
    """A call needs LiveKit, its bridge, their bus, an agent; a trace a collector and a backend."""
    assert SERVICES.keys() == {
        "agent",
        "collector",
        "jaeger",
        "livekit",
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
    """Each exporter of the collector names a service, and the pipeline uses each exporter."""
    config = yaml.safe_load((STACK / "otel-collector.yaml").read_text())
    hosts = {exporter["endpoint"].partition(":")[0] for exporter in config["exporters"].values()}
    assert hosts <= SERVICES.keys()
    assert set(config["service"]["pipelines"]["traces"]["exporters"]) == config["exporters"].keys()


def test_directory_believes_what_the_setup_writes() -> None:
    """The attributes of the dispatch rule are the ones that carriers.toml trusts."""
    trusted = tomllib.loads((STACK / "carriers.toml").read_text())["defaults"]
    written = (STACK / "setup_trunk.py").read_text()
    assert all(f'"{name}"' in written for name in trusted["trusted_attributes"].values())
