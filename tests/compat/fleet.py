"""Starts and stops the worker's program as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from .platform_stub import KEY, SECRET, PlatformStub
from .sink import Received, Sink
from .waiting import until

Spans = dict[str, Received]

APP = Path(__file__).with_name("jobs_app.py")
_STOP_S = 20.0


BUSY_MACHINE: Final = "event_loop_blocked"


class Fleet:
    """A registered worker as a context manager; what it has written is in `log`."""

    def __init__(
        self,
        folder: Path,
        platform: PlatformStub,
        settings: Mapping[str, str],
        *,
        launcher: tuple[str, ...] = (sys.executable,),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.platform = platform
        self.sink = Sink()
        self._jobs: dict[str, str] = {}
        self._log = folder / "worker.log"
        self._notes = folder / "notes.jsonl"
        self._folder = folder
        self._argv = [*launcher, str(APP), "start"]
        self._env = {**_kept(), **self._told(), **settings}
        if settings.get("COMPAT_PROVIDER") == "environment":
            self._env["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.sink.endpoint
            self._env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"

    @property
    def log(self) -> str:
        """Everything that the worker and its jobs have written."""
        return self._log.read_text("utf-8", "replace")

    def notes(self) -> list[dict[str, Any]]:
        """What the jobs have noted."""
        if not self._notes.exists():
            return []
        return [json.loads(line) for line in self._notes.read_text("utf-8").splitlines()]

    def give(self, scenario: str, **settings: object) -> str:
        """Give the worker a job and go on; the job's id."""
        job = self._jobs[scenario] = self.platform.dispatch(scenario, **settings)
        return job

    def spans_of(self, scenario: str, names: Collection[str] = ("job_entrypoint",)) -> Spans:
        """The spans of the scenario's last job by name, once it is over and `names` are there."""
        job = self._jobs[scenario]
        self.platform.wait(job)
        until(
            lambda: {one.name for one in self.sink.of_job(job)} >= set(names),
            f"spans of {scenario}",
        )
        # LiveKit tells of a busy machine by spans of its own; they may end before a fact is known.
        return {one.name: one for one in self.sink.of_job(job) if one.name != BUSY_MACHINE}

    def __enter__(self) -> Self:
        self.sink.__enter__()
        # In a folder of its own: a carriers.toml elsewhere is none of its business.
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(
            lambda: self.platform.has_worker,
            "the worker registers",
            deadline_s=60.0,
            alive=self._check,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            # What it may have left behind is in its group.
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.sink.__exit__(None, None, None)
        until(lambda: not self.platform.has_worker, "the worker is gone")
        assert "trunktrace failed in" not in self.log, self.log

    def _check(self) -> None:
        assert self._process.poll() is None, f"the worker ended:\n{self.log}"

    def _told(self) -> dict[str, str]:
        return {
            "PYTHONUNBUFFERED": "1",
            "LIVEKIT_URL": self.platform.url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            # The models of LiveKit's own VAD and turn detector: 250 MB that no job here uses.
            "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
            "COMPAT_NOTES": str(self._notes),
            "COMPAT_SINK": self.sink.endpoint,
        }


def _kept() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        # A proxy would be asked for our loopback ports; OTEL_* of the machine is not ours.
        if not name.upper().endswith("_PROXY") and not name.startswith(("OTEL_", "TRUNKTRACE_"))
    }
