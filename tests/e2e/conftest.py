"""The servers once a session, workers once for each way to run them, their logs on failure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import pytest

from . import build
from .calls import TELNYX, inbound
from .harness import CallResult, run_inbound
from .recorder import Recorder
from .servers import JaegerServer, LiveKitServer
from .worker import Worker, WorkerOptions

WorkerFactory = Callable[[WorkerOptions], Worker]

_HERE = Path(__file__).resolve().parent
_LOGS = pytest.StashKey[dict[str, Path]]()
_TAIL = 40


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the servers before the first test: a cold build takes longer than a test may."""
    if session.config.option.collectonly:
        return
    if not any(_HERE in item.path.parents for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    shown = capture.global_and_fixture_disabled() if capture is not None else nullcontext()
    # Without Go (say) each test that needs a server says so; the other tests still run.
    with shown, suppress(build.BuildError):
        for server in build.SERVERS:
            build.binary(server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for name, log in item.config.stash.get(_LOGS, {}).items():
            lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
            report.sections.append((f"log of {name} ({log})", "\n".join(lines[-_TAIL:])))
    return report


@pytest.fixture(scope="session")
def logs(pytestconfig: pytest.Config) -> dict[str, Path]:
    """Log files whose end is shown with a failed test, by name."""
    return pytestconfig.stash.setdefault(_LOGS, {})


@pytest.fixture(scope="session")
def livekit(
    tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[LiveKitServer]:
    """A LiveKit server."""
    with LiveKitServer(tmp_path_factory.mktemp("livekit")) as server:
        logs[server.name] = server.log
        yield server


@pytest.fixture(scope="session")
def jaeger(
    tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[JaegerServer]:
    """A Jaeger."""
    with JaegerServer(tmp_path_factory.mktemp("jaeger")) as server:
        logs[server.name] = server.log
        yield server


@pytest.fixture(scope="session")
def recorder(jaeger: JaegerServer) -> Iterator[Recorder]:
    """Keeps what the workers send to Jaeger."""
    with Recorder(jaeger) as one:
        yield one


@pytest.fixture(scope="session")
def workers(
    tmp_path_factory: pytest.TempPathFactory,
    livekit: LiveKitServer,
    jaeger: JaegerServer,
    recorder: Recorder,
    logs: dict[str, Path],
) -> Iterator[WorkerFactory]:
    """A worker for some options; the same one when asked for the same again."""
    running: dict[str, Worker] = {}
    with ExitStack() as stack:

        def worker(options: WorkerOptions) -> Worker:
            key = repr(options)
            if key not in running:
                directory = tmp_path_factory.mktemp("worker")
                one = Worker(directory, livekit, jaeger, options, recorder)
                logs[one.agent_name] = one.log
                running[key] = stack.enter_context(one)
            return running[key]

        yield worker


@pytest.fixture(scope="session")
def plain_worker(workers: WorkerFactory) -> Worker:
    """A forkserver worker without trunktrace."""
    return workers(WorkerOptions(plain=True))


@pytest.fixture(scope="session")
def plain_call(plain_worker: Worker) -> CallResult:
    """One whole inbound call through that worker."""
    return run_inbound(plain_worker, inbound(TELNYX))
