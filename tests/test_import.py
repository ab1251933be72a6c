"""What `import trunktrace` loads, and which names it offers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import trunktrace

HEAVY = (
    "asyncio",
    "google.protobuf",
    "grpc",
    "livekit",
    "numpy",
    "opentelemetry.sdk",
    "phonenumbers",
    "pydantic",
    "requests",
    "rich",
    "typer",
    "wrapt",
)
"""What costs an agent's start-up, or every process that only wants the names."""

PUBLIC = [
    "Attempt",
    "CallFacts",
    "CallSpanProcessor",
    "DialFailed",
    "DialResult",
    "Directory",
    "LateFactsExporter",
    "RedactingExporter",
    "Redaction",
    "SessionIdGenerator",
    "SipPropagator",
    "Trunk",
    "__version__",
    "current_call",
    "dial",
    "instrument",
    "start_call",
    "traced_call",
    "uninstrument",
]


def _in_a_fresh_interpreter(code: str) -> object:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("code", ["import trunktrace", "import trunktrace; dir(trunktrace)"])
def test_import_is_light(code: str) -> None:
    """Importing the package, or listing its names, loads no heavy module."""
    loaded = _in_a_fresh_interpreter(
        f"{code}\nimport json, sys\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    assert loaded == []


def test_import_adds_only_itself() -> None:
    """Beside the OpenTelemetry API, the import loads only our own and the standard library."""
    added = _in_a_fresh_interpreter(
        "import sys, opentelemetry.trace\n"
        "before = set(sys.modules)\n"
        "import trunktrace, json\n"
        "roots = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(roots - sys.stdlib_module_names)))"
    )
    assert set(added) <= {"trunktrace", "opentelemetry"}  # type: ignore[call-overload]


def test_public_names_are_pinned() -> None:
    """`__all__` holds exactly the promised names, in order."""
    assert list(trunktrace.__all__) == PUBLIC
    assert sorted(trunktrace.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_resolves(name: str) -> None:
    """Each public name can be had from the package, and is listed by `dir`."""
    assert getattr(trunktrace, name) is not None
    assert name in dir(trunktrace)


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that does not exist fails as any module's would, and says which."""
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(trunktrace, name)


def test_version_is_the_distribution_s() -> None:
    """`__version__` is what the installed distribution says."""
    assert trunktrace.__version__ == version("trunktrace")
