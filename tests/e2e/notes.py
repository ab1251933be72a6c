"""What the worker's program tells its test: JSON lines in a file, across processes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

VARIABLE = "TRUNKTRACE_E2E_NOTES"


def note(event: str, **fields: Any) -> None:
    """Append one line; nothing when no test listens."""
    path = os.environ.get(VARIABLE)
    if path is None:
        return
    line = json.dumps({"event": event, "t": time.time(), "pid": os.getpid(), **fields}) + "\n"
    # One write of one line in append mode: several processes share the file.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(path: Path, event: str | None = None, **fields: Any) -> list[dict[str, Any]]:
    """The notes so far, those of `event` with these `fields` only."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    # What is being written now is read the next time.
    every = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [
        one
        for one in every
        if (event is None or one["event"] == event)
        and all(one.get(name) == value for name, value in fields.items())
    ]
