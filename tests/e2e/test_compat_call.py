"""A real worker beside a livekit-agents of another version answers a caller.

The worker runs on the Python that TRUNKTRACE_COMPAT_PYTHON names (by default that of the tests). CI
runs this twice: beside the newest livekit-agents and beside the oldest of tests/compat/oldest.txt.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .caller import SipCaller
from .calls import TELNYX, CallTruth, inbound
from .jaeger_api import JaegerApi, Trace, root
from .polling import until
from .servers import Child, JaegerServer, LiveKitServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PROGRAM = Path(__file__).resolve().parents[1] / "compat" / "agent_app.py"
PYTHON = os.environ.get("TRUNKTRACE_COMPAT_PYTHON", sys.executable)
AGENT = "compat"
DIRECTORY = f"""
[trunks.{TELNYX.trunk_id}]
carrier = "{TELNYX.name}"
route = "{TELNYX.route}"
region = "{TELNYX.region}"
"""


@pytest.fixture(scope="module")
def agent(
    livekit: LiveKitServer, jaeger: JaegerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Child]:
    """The agent of few words as a registered worker, traced to Jaeger from the environment."""
    folder = tmp_path_factory.mktemp("compat")
    (folder / "carriers.toml").write_text(DIRECTORY)
    log = folder / "agent.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": livekit.key,
        "LIVEKIT_API_SECRET": livekit.secret,
        "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": AGENT,
        "PYTHONUNBUFFERED": "1",
    }
    child = Child(AGENT, [PYTHON, str(PROGRAM), "start"], log, env=environment, cwd=folder)
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


def test_every_span_of_a_call_names_its_trunk(
    agent: Child, livekit: LiveKitServer, jaeger: JaegerServer
) -> None:
    """All spans of an answered call reach Jaeger in one trace, each with the call's five facts."""
    truth = inbound(TELNYX)
    asyncio.run(_call(livekit, truth))
    trace = _trace(jaeger)
    facts = {
        "trunk.carrier": TELNYX.name,
        "trunk.route": TELNYX.route,
        "trunk.region": TELNYX.region,
        "sip.call.direction": "inbound",
        "sip.response.status_code": 200,
    }
    lacking = {
        span.name: missing
        for span in trace
        if (missing := {key for key, value in facts.items() if span.attributes.get(key) != value})
    }
    assert not lacking
    assert root(trace).name == "job_entrypoint"
    assert "agent_speaking" in {span.name for span in trace}


async def _call(livekit: LiveKitServer, truth: CallTruth) -> None:
    caller = SipCaller(livekit, truth)
    try:
        await caller.join(dispatch=AGENT)
        await caller.publish()
        await caller.answered()
        await caller.greeted()
        await caller.hang_up()
    finally:
        await caller.leave()


def _trace(jaeger: JaegerServer) -> Trace:
    """The one trace, as soon as the session's last span is there and no parent is missing."""
    api = JaegerApi(jaeger.query)
    found = until(
        lambda: {
            trace_id: spans
            for trace_id, spans in api.find_traces(AGENT).items()
            if "agent_session" in {span.name for span in spans}
        },
        deadline_s=60.0,
        what="Jaeger has the call",
    )
    (trace_id,) = found
    return api.wait_for_trace(trace_id)
