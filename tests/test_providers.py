"""Whose provider a job uses, and that nothing of it is lost, or waited for too long, at its end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace
from trunktrace.guard import reraising
from trunktrace.livekit import providers
from trunktrace.livekit.leaving import Leaving

LONGEST_S = 6.0
"""How long a backend may hold a process that wants to leave."""


class Counting(TracerProvider):
    """A provider that counts what is added to it."""

    added = 0

    def add_span_processor(self, span_processor):
        self.added += 1
        super().add_span_processor(span_processor)


@pytest.fixture
def provider() -> Iterator[Counting]:
    opened = Counting()
    yield opened
    opened.shutdown()


def test_a_provider_is_adopted_once(provider):
    """However many jobs a process runs, the provider gets one processor of ours."""
    for _ in range(3):
        providers.adopt(provider)
    assert provider.added == 1


def test_a_provider_that_has_our_processor_gets_no_second(provider):
    """Who added it by hand keeps that one."""
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    providers.adopt(provider)
    assert provider.added == 1


def test_no_provider_is_nothing_to_do():
    """There may be none."""
    providers.adopt(None)


def test_the_adopted_provider_puts_facts_on_spans(provider):
    """What is adopted carries the facts from then on."""
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    providers.adopt(provider)
    with trunktrace.start_call(tracer_provider=provider, carrier="telnyx"):
        provider.get_tracer("test").start_span("child").end()
    assert [one.attributes["trunk.carrier"] for one in memory.get_finished_spans()] == [
        "telnyx"
    ] * 2


def test_the_spans_of_a_call_leave_soon_after_its_end(provider):
    """A batch that would wait for a minute is sent when the call ends, and again for the next."""
    memory = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(memory, schedule_delay_millis=60_000))
    providers.adopt(provider)
    for calls in (1, 2):
        with trunktrace.start_call(tracer_provider=provider):
            provider.get_tracer("test").start_span("child").end()
        end = time.monotonic() + 5.0
        while len(memory.get_finished_spans()) < 2 * calls and time.monotonic() < end:
            time.sleep(0.005)
        assert len(memory.get_finished_spans()) == 2 * calls


def test_the_end_of_a_call_does_not_wait_for_the_backend(provider):
    """The flush has a thread of its own: an exporter that blocks does not hold the agent up."""
    free = threading.Event()

    class Blocking(InMemorySpanExporter):
        def export(self, spans):
            free.wait(10.0)
            return super().export(spans)

    blocking = Blocking()
    provider.add_span_processor(BatchSpanProcessor(blocking, schedule_delay_millis=60_000))
    providers.adopt(provider)
    with trunktrace.start_call(tracer_provider=provider):
        pass
    exported = blocking.get_finished_spans()
    free.set()
    assert exported == ()


def test_a_provider_is_shut_down_once_when_the_process_leaves(provider):
    """Called twice, by multiprocessing and by atexit, it shuts down once, in a bounded time."""
    memory = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(memory, schedule_delay_millis=60_000))
    leaving = Leaving()
    leaving.prepare(provider.shutdown)
    provider.get_tracer("test").start_span("last").end()
    assert not memory.get_finished_spans()
    leaving()
    leaving()
    assert [one.name for one in memory.get_finished_spans()] == ["last"]


def test_a_provider_that_fails_to_shut_down_stops_nobody(monkeypatch):
    """What its shutdown raises is counted, not raised out of the process' end."""
    provider = TracerProvider()
    monkeypatch.setattr(provider, "shutdown", lambda: 1 / 0)
    with reraising(value=False) as guard:
        leaving = Leaving()
        leaving.prepare(provider.shutdown)
        leaving()
        assert guard.counts["providers.leaving"] == 1


LEAVING = """
import multiprocessing, sys, time

def job(ended):
    import trunktrace
    from trunktrace.export.environment import provider_from_environment
    from trunktrace.livekit import providers
    provider = provider_from_environment()
    providers.adopt(provider)
    with trunktrace.start_call(tracer_provider=provider, carrier="telnyx"):
        for _ in range(10):
            provider.get_tracer("test").start_span("child").end()
    ended.send(time.time())

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    process = context.Process(target=job, args=(theirs,))
    process.start()
    ended = ours.recv()
    process.join()
    print(time.time() - ended, process.exitcode)
"""


@pytest.fixture
def silent() -> Iterator[str]:
    """A backend that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def away() -> str:
    """A backend that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_process_leaves_in_time_whatever_the_backend_does(silent, away, tmp_path):
    """A job process is gone a few seconds after its work, though its spans cannot be sent."""
    program = tmp_path / "leaving.py"
    program.write_text(LEAVING)
    cases = [
        ("forkserver", silent, "http/protobuf"),
        ("spawn", silent, "http/protobuf"),
        ("forkserver", silent, "grpc"),
        ("forkserver", away, "http/protobuf"),
    ]
    running = [
        subprocess.Popen(
            [sys.executable, str(program), method],
            env=_environment(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for method, url, protocol in cases
    ]
    for case, one in zip(cases, running, strict=True):
        printed, errors = one.communicate(timeout=60)
        took, code = printed.split()
        assert code == "0", errors
        assert float(took) < LONGEST_S, case


JUDGED = """
import json, logging, sys
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger().addHandler(handler)
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from livekit.agents import telemetry
import trunktrace
from trunktrace.guard import reraising
from trunktrace.livekit import providers
answer = {}
"""


def _judged(body: str, **variables: str) -> dict[str, object]:
    """What a program in a process of its own says, with the lines that it logged."""
    program = JUDGED + body + "\nprint(json.dumps({**answer, 'log': lines}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    source = str(Path(trunktrace.__file__).parents[1])
    return {**kept, "PYTHONPATH": source, **variables}


def test_missing_exporters_are_told_once():
    """A pipeline of the user's without ours: one line that names them and shows the fix."""
    said = _judged(
        """
for _ in range(2):
    providers.adopt(TracerProvider())
"""
    )
    (line,) = said["log"]
    assert "LateFactsExporter and RedactingExporter are not in your export pipeline" in line
    assert "BatchSpanProcessor(LateFactsExporter(RedactingExporter(exporter)))" in line


def test_one_missing_exporter_is_told_alone():
    """Who has one of the two is told of the other."""
    said = _judged(
        """
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
kept = trunktrace.RedactingExporter(ConsoleSpanExporter())
providers.adopt(TracerProvider())
"""
    )
    (line,) = said["log"]
    assert "LateFactsExporter is not in your export pipeline" in line


ENDPOINT = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}


def test_the_environments_provider_is_made_where_there_is_none():
    """One for the whole process, which LiveKit traces with, and nothing is missing in it."""
    said = _judged(
        """
providers.ensure_provider()
made = providers.livekit_provider()
providers.ensure_provider()
answer["same"] = made is not None and made is providers.livekit_provider()
answer["global"] = made is trace.get_tracer_provider()
answer["recording"] = telemetry.tracer.start_span("span").is_recording()
""",
        **ENDPOINT,
    )
    assert said == {"same": True, "global": True, "recording": True, "log": []}


def test_the_users_provider_is_not_replaced():
    """Set for LiveKit alone or for all: it stays, whatever the environment asks for."""
    said = _judged(
        """
own, everybodys = TracerProvider(), TracerProvider()
trace.set_tracer_provider(everybodys)
providers.ensure_provider()
answer["everybodys"] = providers.livekit_provider() is everybodys
telemetry.set_tracer_provider(own)
providers.ensure_provider()
answer["own"] = providers.livekit_provider() is own
""",
        **ENDPOINT,
    )
    assert (said["everybodys"], said["own"]) == (True, True)


def test_a_provider_that_is_not_the_sdks_is_left_alone():
    """Another vendor's provider cannot be replaced, and nobody tries."""
    said = _judged(
        """
theirs = trace.NoOpTracerProvider()
trace.set_tracer_provider(theirs)
providers.ensure_provider()
answer["theirs"] = trace.get_tracer_provider() is theirs
answer["ours"] = providers.livekit_provider() is not None
""",
        **ENDPOINT,
    )
    assert said == {"theirs": True, "ours": False, "log": []}
