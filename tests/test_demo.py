"""`trunktrace demo`: the whole command, and the pictures that it draws."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from trunktrace.demo.picture import carrier_table, trace_tree
from trunktrace.demo.plans import PLANS
from trunktrace.demo.summary import most_telling, summarize
from trunktrace.demo.wire import SpanRecord

ANSWERED = [plan for plan in PLANS if plan.conversation is not None]


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m trunktrace ARGUMENTS`, in a process without OpenTelemetry settings."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-m", "trunktrace", *arguments],
        capture_output=True,
        text=True,
        env=plain | (env or {}),
        timeout=110,
    )


@cache
def counts(*arguments: str) -> dict[str, object]:
    done = run("demo", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["--jobs", "--no-jobs"])
def demo(request):
    return counts(request.param)


def test_every_exported_span_names_its_carrier(demo):
    """All spans of all calls carry the carrier, counted from the exported bytes."""
    assert set(demo) == {"calls", "spans", "spans_with_carrier", "by_carrier", "trace_ids"}
    assert demo["calls"] == len(PLANS) == len(set(demo["trace_ids"]))
    assert demo["spans"] > 25 * len(ANSWERED)
    assert demo["spans_with_carrier"] == demo["spans"]
    assert demo["spans"] == sum(entry["spans"] for entry in demo["by_carrier"].values())


def test_calls_turns_and_codes_stand_under_their_carrier(demo):
    """The three carriers have the calls that were planned over them, with their final codes."""
    for carrier, entry in demo["by_carrier"].items():
        plans = [plan for plan in PLANS if plan.trunk.carrier == carrier]
        codes = [str(plan.status_code) for plan in plans]
        assert entry["calls"] == len(plans)
        assert entry["codes"] == {code: codes.count(code) for code in codes}
        assert entry["turns"] == sum(
            len(plan.conversation.turns) for plan in plans if plan.conversation
        )
    assert set(demo["by_carrier"]) == {"telnyx", "twilio", "bargain"}


def test_only_the_bad_carrier_loses_packets(demo):
    """The turns of the bad carrier have their loss, those of the good ones have none."""
    bad = demo["by_carrier"]["bargain"]
    assert bad["mean_loss_ratio"] == pytest.approx(0.0625, abs=0.005)
    assert bad["degraded_turns"] == bad["turns"]
    assert bad["failed"] == 1
    good = [entry for name, entry in demo["by_carrier"].items() if name != "bargain"]
    assert [(entry["mean_loss_ratio"], entry["failed"]) for entry in good] == [(0.0, 0)] * 2


def test_it_says_which_root_it_has_and_draws_the_worst_call(tmp_path):
    """For a reader there are a tree, a table, and the origin of the root; the SVG is the tree."""
    done = run("demo", "--svg", str(tmp_path / "call.svg"))
    assert done.returncode == 0, done.stderr
    assert "Root of a call: job_entrypoint, LiveKit's own" in done.stdout
    for name in ("user_turn", "llm_node", "function_tool", "tts_node", "agent_speaking"):
        assert name in done.stdout
    assert "loss 6.2%" in done.stdout
    assert "503" in done.stdout
    assert "user_turn" in (tmp_path / "call.svg").read_text(encoding="utf-8")
    for number in {plan.caller for plan in PLANS} | {plan.callee for plan in PLANS}:
        assert number not in done.stdout


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP and keeps the bodies on its server."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.path, self.headers.get("Content-Encoding"), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.bodies, server.status = [], 200
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_with_an_endpoint_the_same_spans_go_there(collector):
    """OTEL_EXPORTER_OTLP_ENDPOINT gets every span that was counted, and no number in clear."""
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    done = run("demo", "--json", env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert done.returncode == 0, done.stderr
    assert {path for path, _, _ in collector.bodies} == {"/v1/traces", "/v1/metrics"}
    bodies = [body for path, _, body in collector.bodies if path == "/v1/traces"]
    sent = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(sent) == json.loads(done.stdout)["spans"]
    for plan in PLANS:
        assert not any(plan.caller.encode() in body for body in bodies)


def test_an_endpoint_that_refuses_is_told(collector):
    """When the endpoint takes nothing the counts are still printed, and the exit code is not 0."""
    collector.status = 400
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    done = run("demo", "--json", env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert done.returncode == 1
    assert "did not take" in done.stderr
    assert json.loads(done.stdout)["calls"] == len(PLANS)


@pytest.mark.parametrize(
    "state",
    [
        "import sys; sys.modules['livekit.agents'] = None",
        "import importlib.metadata as m; m.version = lambda name: '1.4.2'",
    ],
    ids=["missing", "too-old"],
)
def test_without_a_fitting_livekit_agents_it_says_what_to_install(state):
    """The missing or outdated extra is one clear message and exit code 69, not a traceback."""
    program = (
        f"{state}; import sys; sys.argv = ['trunktrace', 'demo'];"
        "from trunktrace.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 69
    assert "pip install 'trunktrace[demo]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_version_is_printed():
    """`--version` prints name and version."""
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("trunktrace 0.")


def span(name: str, span_id: str, parent_id: str | None, **more: object) -> SpanRecord:
    attributes = more.pop("attributes", {})
    start = int(span_id, 16) * 1_000_000
    return SpanRecord(
        trace_id=str(more.pop("trace_id", "aa")),
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        start_ns=start,
        end_ns=start + 5_000_000,
        error=bool(more.pop("error", False)),
        attributes=attributes,
    )


def drawn(picture) -> str:
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(picture)
    return console.export_text()


def test_a_tree_shows_parents_durations_and_facts():
    """Each span stands under its parent with its duration and what it inherited."""
    facts = {"trunk.carrier": "acme", "rtp.loss_ratio": 0.0625, "sip.response.status_code": 200}
    lines = drawn(
        trace_tree(
            [
                span("llm_node", "03", "02"),
                span("root", "01", None, attributes=facts),
                span("user_turn", "02", "01", error=True),
            ]
        )
    ).splitlines()
    assert lines[0].split() == ["root", "5", "ms", "loss", "6.2%", "acme", "200"]
    assert lines[1].startswith("└── user_turn ERROR 5 ms")
    assert lines[2].startswith("    └── llm_node")


def test_a_span_without_its_parent_is_not_lost():
    """A span whose parent was not exported stands at the top of the tree."""
    text = drawn(trace_tree([span("root", "01", None), span("orphan", "02", "99")]))
    assert "root" in text
    assert "orphan" in text


def test_the_worst_call_is_the_most_telling():
    """The call whose turn lost most is picked; no loss picks the first call; nothing is nothing."""
    calm = span("user_turn", "01", None, trace_id="aa")
    lossy = span("user_turn", "02", None, trace_id="bb", attributes={"rtp.loss_ratio": 0.1})
    assert most_telling([calm, lossy]) == [lossy]
    assert most_telling([calm]) == [calm]
    assert most_telling([]) == []


def test_spans_without_a_carrier_are_counted_as_such():
    """A span of no carrier is a span, but in no carrier's row."""
    summary = summarize(
        [
            span("root", "01", None),
            span("root", "02", None, trace_id="bb", attributes={"trunk.carrier": "acme"}),
        ]
    )
    assert (summary.calls, summary.spans, summary.spans_with_carrier) == (2, 2, 1)
    assert "acme" in drawn(carrier_table(summary))
    assert summary.trace_ids == ["aa", "bb"]
