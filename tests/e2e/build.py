"""Builds LiveKit server and Jaeger once, from the Go module manifests in servers/.

A build is cached in `.cache/e2e/` of the repository under the hash of its go.mod and go.sum.
Run as a program it builds both: `python tests/e2e/build.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "e2e"
GO_NEEDED = (1, 26)
_SAY_EVERY_S = 10.0


class BuildError(RuntimeError):
    """A server could not be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server program: its manifest folder and the Go package of its main."""

    name: str
    package: str

    @property
    def manifest(self) -> Path:
        return HERE / "servers" / self.name

    @property
    def key(self) -> str:
        """Hash of the manifest, 16 hex; a change of it is another build."""
        digest = hashlib.sha256()
        for file in ("go.mod", "go.sum"):
            digest.update((self.manifest / file).read_bytes())
        return digest.hexdigest()[:16]

    @property
    def binary(self) -> Path:
        return CACHE / f"{self.name}-{self.key}" / self.name


LIVEKIT = Server("livekit-server", "github.com/livekit/livekit-server/cmd/server")
JAEGER = Server("jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger")
SERVERS = (LIVEKIT, JAEGER)


def binary(server: Server) -> Path:
    """The path of the built program; builds it first when it is not cached.

    Raises BuildError without Go, with a Go that is too old, or when the build fails.
    """
    if server.binary.exists():
        return server.binary
    with _locked(server):
        if not server.binary.exists():
            _build(server)
    return server.binary


def _build(server: Server) -> None:
    _check_go(server)
    _say(f"building {server.name} (once; minutes on a small machine) ...")
    start = time.monotonic()
    unfinished = server.binary.with_suffix(".unfinished")
    with subprocess.Popen(
        # -v names each package on stderr: that is the progress.
        ["go", "build", "-v", "-trimpath", "-o", str(unfinished), server.package],
        cwd=server.manifest,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        last = _follow(server, process.stderr or ())
    if process.returncode != 0:
        raise BuildError(
            f"go build of {server.name} failed with exit code {process.returncode}:\n{last}"
        )
    unfinished.rename(server.binary)
    _say(f"built {server.name} in {time.monotonic() - start:.0f} s: {server.binary}")


def _follow(server: Server, lines: Iterable[str]) -> str:
    """Say now and then how far the build is; its last lines."""
    last: deque[str] = deque(maxlen=30)
    said = time.monotonic()
    for count, line in enumerate(lines, start=1):
        last.append(line)
        if time.monotonic() - said > _SAY_EVERY_S:
            said = time.monotonic()
            _say(f"building {server.name}: {count} packages so far, now {line.strip()}")
    return "".join(last)


def _check_go(server: Server) -> None:
    wanted = ".".join(map(str, GO_NEEDED))
    if shutil.which("go") is None:
        raise BuildError(
            f"Go {wanted} or later is needed: it builds {server.name} for the end-to-end tests, "
            "and no `go` is on the PATH. Install it from https://go.dev/dl/ and run again."
        )
    # Asked inside the module, so that an older Go that fetches its toolchain itself is accepted.
    asked = subprocess.run(
        ["go", "env", "GOVERSION"],
        cwd=server.manifest,
        capture_output=True,
        text=True,
        check=False,
    )
    found = asked.stdout.strip().removeprefix("go")
    if asked.returncode != 0 or _version(found) < GO_NEEDED:
        raise BuildError(
            f"Go {wanted} or later is needed: found {found or asked.stderr.strip()}. "
            "Install a newer one from https://go.dev/dl/ and run again."
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


@contextmanager
def _locked(server: Server) -> Iterator[None]:
    """Two test processes never build the same server at once."""
    server.binary.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(server.binary.parent / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _say(text: str) -> None:
    sys.stderr.write(f"[e2e] {text}\n")
    sys.stderr.flush()


def main() -> int:
    """Build every server; 1 and a message when one cannot be built."""
    try:
        for server in SERVERS:
            _say(f"{server.name}: {binary(server)}")
    except BuildError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
