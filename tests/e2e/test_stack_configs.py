"""The example stack's files, run: its Jaeger, its LiveKit server, and its agent with a caller."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from livekit import api

from .build import JAEGER, LIVEKIT, binary
from .caller import SipCaller
from .calls import LOCAL, CallTruth, Turn, inbound
from .jaeger_api import JaegerApi, Trace, root
from .polling import until
from .servers import HOST, Child, JaegerServer, LiveKitServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

STACK = Path(__file__).resolve().parents[2] / "examples" / "stack"
LIVEKIT_CONFIG: dict[str, Any] = yaml.safe_load((STACK / "livekit.yaml").read_text())
((KEY, SECRET),) = LIVEKIT_CONFIG["keys"].items()
AGENT = "stack-agent"


class StackJaeger(JaegerServer):
    """Jaeger from the stack's own file, its ports given by the environment."""

    def _argv(self) -> list[str]:
        return [str(binary(JAEGER)), "--config", str(STACK / "jaeger.yaml")]

    def _env(self) -> dict[str, str]:
        return {
            **super()._env(),
            "JAEGER_HOST": HOST,
            "JAEGER_OTLP_HTTP_PORT": str(self._otlp_http),
            "JAEGER_OTLP_GRPC_PORT": str(self._otlp_grpc),
            "JAEGER_QUERY_PORT": str(self._query_http),
            "JAEGER_QUERY_GRPC_PORT": str(self._query_grpc),
            "JAEGER_HEALTH_PORT": str(self._health),
        }


class StackLiveKit(LiveKitServer):
    """LiveKit server from the stack's own file; only addresses and ports are put over it."""

    key, secret = KEY, SECRET

    def _argv(self) -> list[str]:
        rtc = {
            "tcp_port": 0,
            "udp_port": self._udp_port,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
        }
        config = LIVEKIT_CONFIG | {"port": self._port, "rtc": LIVEKIT_CONFIG["rtc"] | rtc}
        body = yaml.safe_dump(config)
        return [str(binary(LIVEKIT)), "--config-body", body, "--bind", HOST, "--node-ip", HOST]


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JaegerServer]:
    """A running Jaeger, configured by examples/stack/jaeger.yaml."""
    with StackJaeger(tmp_path_factory.mktemp("stack-jaeger")) as server:
        yield server


@pytest.fixture(scope="module")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A running LiveKit server, configured by examples/stack/livekit.yaml."""
    with StackLiveKit(tmp_path_factory.mktemp("stack-livekit")) as server:
        yield server


@pytest.fixture(scope="module")
def agent(
    jaeger: JaegerServer, livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Child]:
    """The stack's agent.py as its container starts it."""
    log = tmp_path_factory.mktemp("stack-agent") / "agent.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
        "LIVEKIT_AGENT_NAME": AGENT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": AGENT,
        "PYTHONUNBUFFERED": "1",
    }
    child = Child(AGENT, [sys.executable, "agent.py", "start"], log, env=environment, cwd=STACK)
    try:
        until(
            lambda: "registered worker" in log.read_text("utf-8", "replace"),
            deadline_s=60.0,
            what="the agent registers",
            alive=child.check,
        )
        yield child
    finally:
        child.stop()


async def test_server_knows_the_stack_s_key(livekit: LiveKitServer) -> None:
    """The server of livekit.yaml answers to the key that the compose file gives to the others."""
    async with api.LiveKitAPI(livekit.url, KEY, SECRET) as client:
        room = await client.room.create_room(api.CreateRoomRequest(name="stack"))
        listed = await client.room.list_rooms(api.ListRoomsRequest())
    assert room.departure_timeout == LIVEKIT_CONFIG["room"]["departure_timeout"]
    assert "stack" in [each.name for each in listed.rooms]


def test_call_to_the_agent_is_found_by_carrier(
    agent: Child, livekit: LiveKitServer, jaeger: JaegerServer
) -> None:
    """A caller talks to the agent; the trace is found by the carrier of the dispatch rule."""
    truth = inbound(LOCAL, {"carrier.name": "softphone", "carrier.route": "laptop/loopback"})
    asyncio.run(_call(livekit, truth))
    trace = _trace_by_carrier(jaeger, "softphone")
    named = {span.name for span in trace if span.attributes.get("trunk.carrier") == "softphone"}
    assert {"job_entrypoint", "user_turn", "llm_node", "tts_node"} <= named
    assert root(trace).attributes["trunk.route"] == "laptop/loopback"


async def _call(livekit: LiveKitServer, truth: CallTruth) -> None:
    caller = SipCaller(livekit, truth)
    try:
        await caller.join(dispatch=AGENT)
        await caller.publish()
        await caller.answered()
        await caller.greeted()
        await caller.take(Turn("I would like to know for how long I am speaking.", answer="any"))
        await caller.hang_up()
    finally:
        await caller.leave()


def _trace_by_carrier(jaeger: JaegerServer, carrier: str) -> Trace:
    found = until(
        lambda: JaegerApi(jaeger.query).find_traces(AGENT, {"trunk.carrier": carrier}),
        deadline_s=60.0,
        what=f"Jaeger has a trace of {carrier}",
    )
    (trace_id,) = found
    return JaegerApi(jaeger.query).wait_for_trace(trace_id)
