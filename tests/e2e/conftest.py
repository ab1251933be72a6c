"""The servers once a session, workers once for each way to run them, their logs on failure."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import pytest

from . import build
from .calls import TELNYX, inbound
from .harness import CallResult, run_inbound
from .network import Network
from .recorder import Recorder
from .servers import JaegerServer, LiveKitServer
from .sip_calls import StartSipp
from .sip_elements import Kamailio, Sipp
from .worker import Worker, WorkerOptions

HASH_KEY = "a key of more than sixteen bytes"
USER = WorkerOptions(provider="user", idle=2)
"""The worker of most tests whose user owns the provider: the span processor alone."""
ENVIRONMENT = WorkerOptions(provider="environment", idle=2, env={"TRUNKTRACE_HASH_KEY": HASH_KEY})
"""The worker of most tests that go through trunktrace's two exporters."""

Measured = Callable[[str, object], None]
"""Takes the name of a number and the number."""

_HERE = Path(__file__).resolve().parent
_MEASURED = pytest.StashKey[dict[str, object]]()
_LOGS = pytest.StashKey[dict[str, Path]]()
_TAIL = 40


def _ended(*_: object) -> None:
    """Told to end (livekit does it to itself when its FFI panics): end in order.

    Otherwise the servers, the workers and the namespaces would outlive the run.
    """
    pytest.exit("told to end by SIGTERM", returncode=128 + signal.SIGTERM)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    # It looks at what all the others sent.
    items.sort(key=lambda item: item.path == _HERE / "test_no_number_leaves.py")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the servers before the first test: a cold build takes longer than a test may."""
    if session.config.option.collectonly:
        return
    if not any(_HERE in item.path.parents for item in session.items):
        return
    signal.signal(signal.SIGTERM, _ended)
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
            told = "\n".join(map(_short, lines[-_TAIL:]))
            report.sections.append((f"log of {name} ({log})", told))
    return report


def _short(line: str) -> str:
    """A JSON log line as who said what; any other line as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict):
        return line
    return " ".join(str(fields.get(name, "")) for name in ("level", "name", "message", "exc_info"))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what the tests measured: numbers that no assertion can hold exactly."""
    measured = config.stash.get(_MEASURED, {})
    if measured:
        terminalreporter.section("measured end to end")
    for name, value in measured.items():
        terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Measured:
    """What it is given is printed at the end of the run."""
    return pytestconfig.stash.setdefault(_MEASURED, {}).__setitem__


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
def network() -> Iterator[Network]:
    """A wire that loses packets when told to."""
    with Network() as wire:
        yield wire


@pytest.fixture(scope="session")
def far_livekit(
    network: Network, tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[LiveKitServer]:
    """A LiveKit server at the far end of the wire."""
    with LiveKitServer(tmp_path_factory.mktemp("far-livekit"), network) as server:
        logs[f"far {server.name}"] = server.log
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
def kamailios(
    tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[Mapping[str, Kamailio]]:
    """Border controllers: three that let ours through, one that strips them, a narrow one."""
    ways = {
        "open": (),
        "strips": ("STRIP_X",),
        "strips others": ("STRIP_OTHERS",),
        "names": ("NAME_CALLS",),
        "narrow": ("MAX_BYTES=1300",),
    }
    with ExitStack() as stack:
        running = {}
        for name, defines in ways.items():
            server = Kamailio(tmp_path_factory.mktemp("kamailio"), defines)
            logs[f"kamailio ({name})"] = server.log
            running[name] = stack.enter_context(server)
        yield running


@pytest.fixture
def start_sipp(tmp_path: Path, logs: dict[str, Path]) -> Iterator[StartSipp]:
    """Starts sipp with a scenario; it is ended with the test."""
    with ExitStack() as stack:

        def start(scenario: str, sbc: Kamailio, **keys: str) -> Sipp:
            sipp = Sipp(tmp_path, scenario, sbc.place, keys)
            stack.callback(sipp.stop)
            logs["sipp"], logs["sipp's errors"] = sipp.log, sipp.errors
            return sipp

        yield start
    for name in ("sipp", "sipp's errors"):
        logs.pop(name, None)


class WorkerFactory:
    """A worker for some options; the same one when asked for the same again."""

    def __init__(
        self, make: Callable[[WorkerOptions, LiveKitServer | None], Worker], stack: ExitStack
    ) -> None:
        self._make = make
        self._stack = stack
        self._running: dict[tuple[str, str | None], Worker] = {}

    def __call__(self, options: WorkerOptions, server: LiveKitServer | None = None) -> Worker:
        (worker,) = self.several(options, server=server)
        return worker

    def several(self, *options: WorkerOptions, server: LiveKitServer | None = None) -> list[Worker]:
        """One for each of the options; those that are new start at the same time.

        They work for the session's LiveKit server, or for `server`.
        """
        wanted = {(repr(one), server and server.url): one for one in options}
        new = {
            key: self._make(one, server) for key, one in wanted.items() if key not in self._running
        }
        for worker in new.values():
            self._stack.push(worker)
            worker.launch()
        for key, worker in new.items():
            self._running[key] = worker.__enter__()
        return [self._running[key] for key in wanted]

    @property
    def running(self) -> list[Worker]:
        """Every worker so far."""
        return list(self._running.values())


@pytest.fixture(scope="session")
def workers(
    tmp_path_factory: pytest.TempPathFactory,
    livekit: LiveKitServer,
    jaeger: JaegerServer,
    recorder: Recorder,
    logs: dict[str, Path],
) -> Iterator[WorkerFactory]:
    """Makes workers on the session's servers, and ends them all with the session."""

    def make(options: WorkerOptions, server: LiveKitServer | None) -> Worker:
        directory = tmp_path_factory.mktemp("worker")
        one = Worker(directory, server or livekit, jaeger, options, recorder)
        logs[one.agent_name] = one.log
        return one

    with ExitStack() as stack:
        factory = WorkerFactory(make, stack)
        yield factory
        for worker in factory.running:
            worker.child.ask_to_end()


@pytest.fixture(scope="session")
def plain_worker(workers: WorkerFactory) -> Worker:
    """A forkserver worker without trunktrace."""
    return workers(WorkerOptions(plain=True))


@pytest.fixture(scope="session")
def plain_call(plain_worker: Worker) -> CallResult:
    """One whole inbound call through that worker."""
    return run_inbound(plain_worker, inbound(TELNYX))
