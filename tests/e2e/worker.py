"""Starts and stops the worker's program as a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import notes
from .calls import CallTruth, directory_toml
from .polling import until
from .recorder import Recorder
from .servers import Child, JaegerServer, LiveKitServer

TESTS = Path(__file__).resolve().parents[1]
_REGISTERED_S = 60.0
_STOP_S = 15.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How the worker runs; see agent_app.py for what each means."""

    plain: bool = False
    form: str = "decorator"
    executor: str = "process"
    start: str = "forkserver"
    provider: str = "user"
    idle: int = 1
    directory: str | None = field(default_factory=directory_toml)
    """The operator's carriers.toml; None when there is none."""
    env: Mapping[str, str] = field(default_factory=dict)
    """More environment variables."""

    @property
    def redacts(self) -> bool:
        """Whether what leaves goes through a RedactingExporter."""
        return not self.plain and self.provider in ("environment", "wrapped")


class Worker:
    """A registered worker as a context manager; it drains and ends when left."""

    def __init__(
        self,
        directory: Path,
        livekit: LiveKitServer,
        jaeger: JaegerServer,
        options: WorkerOptions | None = None,
        recorder: Recorder | None = None,
        endpoint: str | None = None,
    ) -> None:
        self.options = options or WorkerOptions()
        self.livekit = livekit
        self.jaeger = jaeger
        self.recorder = recorder
        self._given_endpoint = endpoint
        self.truths: list[CallTruth] = []
        """Every call that this worker was given."""
        # Unique, so that a job never reaches the worker of another test.
        self.agent_name = f"e2e-{secrets.token_hex(4)}"
        self.service = self.agent_name
        directory.mkdir(parents=True, exist_ok=True)
        self._carriers = directory / f"{self.agent_name}.carriers.toml"
        self.log = directory / f"{self.agent_name}.log"
        self.notes_file = directory / f"{self.agent_name}.notes.jsonl"
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process; AssertionError when it was not started."""
        assert self._child is not None, "the worker was not started"
        return self._child

    def notes(self, event: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """What the program has told so far."""
        return notes.read(self.notes_file, event, **fields)

    def wait_for_note(self, event: str, *, deadline_s: float = 60.0, **fields: Any) -> Any:
        """The first such note, as soon as it is there."""
        return until(
            lambda: self.notes(event, **fields),
            deadline_s=deadline_s,
            what=f"worker notes {event} {fields}",
        )[0]

    def kill_job(self, room: str) -> int:
        """Kill the process of the job in `room` at once; its process id.

        AssertionError with threads: the job has no process of its own.
        """
        pid = int(self.wait_for_note("job", room=room)["pid"])
        assert pid != self.child.pid, "a job in a thread cannot be killed alone"
        os.kill(pid, signal.SIGKILL)
        return pid

    def log_lines(self, logger: str = "trunktrace") -> list[dict[str, Any]]:
        """What a logger of the program wrote (livekit-agents writes its log as JSON lines)."""
        text = self.log.read_text("utf-8", "replace")
        written = text[: text.rfind("\n") + 1]
        lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
        return [line for line in lines if str(line.get("name", "")).partition(".")[0] == logger]

    def launch(self) -> None:
        """Start the program; `__enter__` then waits for it. Several can so start at once."""
        if self._child is not None:
            return
        if self.options.directory is not None:
            self._carriers.write_text(self.options.directory, "utf-8")
        self._child = Child(
            self.agent_name,
            [sys.executable, "-m", "e2e.agent_app", "start"],
            self.log,
            env=self._env(),
            cwd=TESTS,
        )

    def __enter__(self) -> Self:
        self.launch()
        try:
            until(
                lambda: self.notes("registered"),
                deadline_s=_REGISTERED_S,
                what="the worker registers",
                alive=self.child.check,
            )
        except BaseException:
            self.child.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.stop(_STOP_S)

    @property
    def _endpoint(self) -> str:
        if self._given_endpoint is not None:
            return self._given_endpoint
        if self.recorder is None:
            return self.jaeger.otlp_http
        return self.recorder.endpoint(self.agent_name)

    def _env(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            # A proxy would be asked for our loopback ports; OTEL_* of the machine is not ours.
            if name.lower() not in _PROXIES and not name.startswith(("OTEL_", "TRUNKTRACE_"))
        }
        paths = [str(TESTS), str(TESTS.parent / "src"), kept.get("PYTHONPATH", "")]
        ours = {
            **kept,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONUNBUFFERED": "1",
            "LIVEKIT_URL": self.livekit.url,
            "LIVEKIT_API_KEY": self.livekit.key,
            "LIVEKIT_API_SECRET": self.livekit.secret,
            "LIVEKIT_AGENT_NAME": self.agent_name,
            # The models of LiveKit's own VAD and turn detector: 250 MB that no call here uses.
            "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
            "TRUNKTRACE_E2E_ENDPOINT": self._endpoint,
            "OTEL_SERVICE_NAME": self.service,
            "TRUNKTRACE_E2E_PLAIN": "1" if self.options.plain else "0",
            "TRUNKTRACE_E2E_FORM": self.options.form,
            "TRUNKTRACE_E2E_EXECUTOR": self.options.executor,
            "TRUNKTRACE_E2E_START": self.options.start,
            "TRUNKTRACE_E2E_PROVIDER": self.options.provider,
            "TRUNKTRACE_E2E_IDLE": str(self.options.idle),
            notes.VARIABLE: str(self.notes_file),
        }
        if self.options.provider == "environment":
            ours["OTEL_EXPORTER_OTLP_ENDPOINT"] = self._endpoint
        if self.options.directory is not None:
            ours["TRUNKTRACE_DIRECTORY"] = str(self._carriers)
        return {**ours, **self.options.env}
