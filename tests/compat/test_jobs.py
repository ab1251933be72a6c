"""Jobs of a real worker, given by our server and seen in our collector."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from livekit import agents

from .fleet import Fleet
from .platform_stub import PlatformStub
from .sink import Received
from .waiting import until

CARRIER = "trunk.carrier"
CODE = "sip.response.status_code"
DIRECTION = "sip.call.direction"
STEPS = 20
STEP_NAMES = {f"step {number}" for number in range(STEPS)}
ANSWERED = {"job_entrypoint", "ringing", *STEP_NAMES}
NEWEST_WAY = "server" if hasattr(agents, "AgentServer") else "options"
FIX = "set inside the entrypoint"


@pytest.fixture(scope="module")
def platform() -> Iterator[PlatformStub]:
    with PlatformStub() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compat")


@pytest.fixture(scope="class")
def forkserver(folder, platform) -> Iterator[Fleet]:
    """The decorator, registered the newest way, with a provider of the user's."""
    settings = {"COMPAT_REGISTER": NEWEST_WAY}
    with Fleet(folder / "forkserver", platform, settings) as fleet:
        # Given at once: each job is a process that imports the agent, and there are two cores.
        for scenario in ("answered", "raising", "busy", "cancelled", "late_provider"):
            fleet.give(scenario, steps=STEPS)
        yield fleet


@pytest.fixture(scope="class")
def spawn(folder, platform) -> Iterator[Fleet]:
    """Wrapped where it is registered, in spawn processes, with a provider of the environment's."""
    settings = {
        "COMPAT_EXECUTOR": "spawn",
        "COMPAT_FORM": "in_place",
        "COMPAT_PROVIDER": "environment",
    }
    with Fleet(folder / "spawn", platform, settings) as fleet:
        for scenario in ("answered", "busy"):
            fleet.give(scenario, steps=STEPS)
        yield fleet


@pytest.fixture
def threads(folder, platform) -> Iterator[Fleet]:
    """`instrument()` and no decorator, all jobs in one process, one trace in ten sampled."""
    settings = {
        "COMPAT_EXECUTOR": "thread",
        "COMPAT_FORM": "instrument",
        "COMPAT_PROVIDER": "sampling",
    }
    with Fleet(folder / "threads", platform, settings) as fleet:
        yield fleet


@pytest.fixture
def untraced(folder, platform) -> Iterator[Fleet]:
    """Nobody makes a provider before the entrypoint does."""
    settings = {"COMPAT_EXECUTOR": "thread", "COMPAT_PROVIDER": "none"}
    with Fleet(folder / "untraced", platform, settings) as fleet:
        yield fleet


@pytest.fixture
def automatic(folder, platform) -> Iterator[Fleet]:
    """`opentelemetry-instrument python agent.py start`: the program knows nothing of us."""
    settings = {
        "COMPAT_FORM": "bare",
        "COMPAT_PROVIDER": "environment",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    launcher = (str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable)
    with Fleet(folder / "automatic", platform, settings, launcher=launcher) as fleet:
        yield fleet


class TestForkserver:
    """The default of Linux, and the plain BatchSpanProcessor that a user makes in setup."""

    def test_every_span_of_an_answered_call_arrives_with_its_facts(self, forkserver):
        """All spans arrive, root included, though the process leaves by os._exit at once."""
        spans = forkserver.spans_of("answered", ANSWERED)
        assert {one.attributes.get(CARRIER) for one in spans.values()} == {"twilio"}
        assert {spans[name].attributes.get(CODE) for name in STEP_NAMES} == {200}
        root = spans["job_entrypoint"]
        assert not root.parent_id
        assert root.attributes["sip.call.outcome"] == "answered"
        assert root.attributes["trunk.region"] == "eu-west"

    def test_an_exception_of_the_entrypoint_is_livekits_to_report(self, forkserver):
        """The agent's own bug reaches LiveKit as it was, and the trace has the call's facts."""
        spans = forkserver.spans_of("raising", {"before", "job_entrypoint"})
        assert spans["job_entrypoint"].is_error
        assert "exception" in spans["job_entrypoint"].events
        assert spans["job_entrypoint"].attributes[CARRIER] == "twilio"
        assert spans["before"].attributes[CARRIER] == "twilio"
        assert "LookupError: a bug of the agent" in forkserver.log

    def test_a_refused_dial_leaves_its_code(self, forkserver):
        """The entrypoint ends with livekit-api's own error, and its SIP code is on the root."""
        root = forkserver.spans_of("busy")["job_entrypoint"]
        assert root.attributes[CODE] == 486
        assert root.attributes["sip.response.reason"] == "Busy Here"
        assert root.attributes[DIRECTION] == "outbound"
        assert root.attributes["trunk.id"] == "ST_2"

    def test_a_cancelled_entrypoint_loses_nothing(self, forkserver):
        """Cancellation passes through, and the spans so far arrive."""
        spans = forkserver.spans_of("cancelled", {"before", "job_entrypoint"})
        assert not spans["job_entrypoint"].is_error
        assert spans["before"].attributes[CARRIER] == "twilio"

    def test_a_provider_set_in_the_entrypoint_is_adopted_and_told(self, forkserver):
        """Spans of the new provider carry the facts; one warning says where it should be set."""
        names = {*STEP_NAMES, "agent_session", "job_entrypoint"}
        spans = forkserver.spans_of("late_provider", names)
        assert {one.attributes.get(CARRIER) for one in spans.values()} == {"twilio"}
        assert forkserver.log.count(FIX) == 1
        assert "server.setup_fnc" in forkserver.log


class TestSpawn:
    """A provider that is made by us, from the environment, before the job's first span."""

    def test_late_facts_reach_spans_that_had_ended(self, spawn):
        """Every span has every fact: also the one that ended before the call was answered."""
        for one in spawn.spans_of("answered", ANSWERED).values():
            assert facts_of(one) == ("twilio", "inbound", 200, "eu-west", "pcmu"), one

    def test_a_refused_dial_loses_nothing(self, spawn):
        """The root of a call that failed at once arrives, with the code."""
        assert spawn.spans_of("busy")["job_entrypoint"].attributes[CODE] == 486
        assert "LateFactsExporter" not in spawn.log, "nothing is missing, so nobody is warned"

    def test_each_call_is_counted(self, spawn):
        """The metrics of processes that are gone at once arrive, each call once."""
        for scenario in ("answered", "busy"):
            spawn.spans_of(scenario)
        until(lambda: spawn.sink.counted["sip.invites"] == 2, "two invites")
        assert spawn.sink.counted["rtp.calls"] == 1


def test_calls_are_held_sampled_or_not(threads):
    """Of 40 quick calls in one process all are opened, fed and finished, and four are exported."""
    jobs = [threads.give("quick", number=number) for number in range(40)]
    threads.platform.wait(*jobs)
    threads.platform.wait(threads.give("count"))
    *notes, counted = threads.notes()
    assert counted == {"opened": 41, "finished": 40, "open": 1, "evicted": 0}
    carriers = {note["job"]: note["carrier"] for note in notes}
    assert carriers == {job: f"carrier-{number}" for number, job in enumerate(jobs)}
    until(lambda: len(_whole(threads, jobs)) == 4, "four whole traces")
    for job, spans in _whole(threads, jobs).items():
        assert {one.attributes.get(CARRIER) for one in spans} == {carriers[job]}


def test_a_first_provider_set_in_the_entrypoint_is_adopted_and_told(untraced):
    """There is no root then, but the spans after it carry the facts, and one warning says why."""
    job = untraced.give("late_provider", steps=STEPS)
    until(lambda: len(_named(untraced, "step ")) == STEPS, "the steps")
    steps = _named(untraced, "step ")
    assert {one.attributes["job"] for one in steps} == {job}
    assert {one.attributes.get(CARRIER) for one in steps} == {"twilio"}
    assert {one.attributes.get(CARRIER) for one in _named(untraced, "agent_session")} == {"twilio"}
    assert untraced.log.count(FIX) == 1


def test_opentelemetry_instrument_needs_no_code(automatic):
    """The entry point loads, patches, and every span of a job has the facts."""
    automatic.give("answered", steps=STEPS)
    spans = automatic.spans_of("answered", ANSWERED)
    assert {one.attributes.get(CARRIER) for one in spans.values()} == {"twilio"}


def facts_of(span: Received) -> tuple[object, ...]:
    keys = (CARRIER, DIRECTION, CODE, "trunk.region", "rtp.codec")
    return tuple(span.attributes.get(key) for key in keys)


def _whole(fleet: Fleet, jobs: list[str]) -> dict[str, list[Received]]:
    found = {job: fleet.sink.of_job(job) for job in jobs}
    return {
        job: spans
        for job, spans in found.items()
        if {one.name for one in spans} >= {"one", "two", "job_entrypoint"}
    }


def _named(fleet: Fleet, prefix: str) -> list[Received]:
    return [one for one in fleet.sink.spans if one.name.startswith(prefix)]
