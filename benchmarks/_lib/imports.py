"""Bar H: what `import trunktrace` costs, and what it must not load."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

from .counting import worker_environment

FORBIDDEN: Final = (
    "livekit",
    "opentelemetry.sdk",
    "wrapt",
    "asyncio",
    "numpy",
    "google.protobuf",
    "grpc",
    "requests",
    "pydantic",
)
"""None of these is in `sys.modules` after `import trunktrace` in a fresh interpreter."""

_SCRIPT: Final = """
import json, sys, time
before = set(sys.modules)
{statement}
cpu_ms = time.process_time() * 1e3
print(json.dumps([cpu_ms, sorted(set(sys.modules) - before)]))
"""


@dataclass(frozen=True, slots=True)
class Imports:
    """CPU milliseconds of the whole interpreter, best of `tries`; `forbidden` ought to be empty."""

    trunktrace_ms: float
    api_ms: float
    bare_ms: float
    modules: int
    forbidden: tuple[str, ...]

    @property
    def extra_ms(self) -> float:
        """What `import trunktrace` adds to `import opentelemetry.trace`."""
        return self.trunktrace_ms - self.api_ms


def measure(tries: int = 8) -> Imports:
    """Run fresh interpreters, in turn, `tries` times each."""
    statements = ("pass", "import opentelemetry.trace", "import trunktrace")
    best = dict.fromkeys(statements, float("inf"))
    modules: dict[str, set[str]] = {}
    for _ in range(tries):
        for statement in statements:
            cpu_ms, loaded = _run(statement)
            best[statement] = min(best[statement], cpu_ms)
            modules[statement] = loaded
    ours = modules["import trunktrace"]
    forbidden = tuple(name for name in FORBIDDEN if name in ours)
    bare_ms, api_ms, ours_ms = (best[statement] for statement in statements)
    return Imports(ours_ms, api_ms, bare_ms, len(ours), forbidden)


def _run(statement: str) -> tuple[float, set[str]]:
    command = [sys.executable, "-P", "-c", _SCRIPT.format(statement=statement)]
    done = subprocess.run(
        command, env=worker_environment(), check=True, capture_output=True, text=True
    )
    cpu_ms, loaded = json.loads(done.stdout)
    return cpu_ms, set(loaded)
