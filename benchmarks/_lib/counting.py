"""Instruction counts per span, by callgrind: the measure that a loaded machine cannot move.

The interpreter runs under `valgrind --tool=callgrind` with the instrumentation off; a shared object
of a dozen lines, compiled here against `valgrind/callgrind.h`, turns it on around each loop only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
SOURCE: Final = HERE / "callgrind.c"
_NAME = re.compile(r"^desc: Trigger: Client Request: (\S+)", re.MULTILINE)
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


class CountingUnavailable(RuntimeError):
    """valgrind, its header or a C compiler is not on this machine, or the run under it failed."""


def compiler() -> str | None:
    """The C compiler, or None."""
    return shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")


def why_not() -> str | None:
    """What is missing for instruction counts on this machine; None when nothing is."""
    if not shutil.which("valgrind"):
        return "valgrind is not on this machine (Debian, Ubuntu: apt-get install valgrind)"
    cc = compiler()
    if cc is None:
        return "no C compiler (cc) on this machine"
    probe = [cc, "-fsyntax-only", str(SOURCE)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "the header valgrind/callgrind.h is not on this machine"
    return None


def count(module: str = "_lib.counted_worker", *arguments: str) -> dict[str, int]:
    """Instructions of each loop that `module` runs, by scenario name, all threads together.

    Raises `CountingUnavailable` when valgrind is missing or the run fails.
    """
    reason = why_not()
    if reason:
        raise CountingUnavailable(reason)
    with tempfile.TemporaryDirectory(prefix="trunktrace-callgrind-") as folder:
        library = Path(folder) / "counting.so"
        cc = compiler() or "cc"
        subprocess.run([cc, "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/dump",
            f"--log-file={folder}/valgrind.log",
            sys.executable,
            "-P",
            "-m",
            module,
            *arguments,
        ]
        done = subprocess.run(command, env=worker_environment(library), check=False)
        if done.returncode:
            log = (Path(folder) / "valgrind.log").read_text(errors="replace")[-2000:]
            raise CountingUnavailable(f"the run under callgrind failed ({done.returncode})\n{log}")
        return read_dumps(Path(folder))


def worker_environment(library: Path | None = None) -> dict[str, str]:
    """A measured process: fixed hash seed, no `OTEL_*`, the benchmarks importable."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    keep |= {"PYTHONHASHSEED": "0", "PYTHONPATH": path}
    return keep | {"TRUNKTRACE_COUNTING": str(library)} if library else keep


def read_dumps(folder: Path) -> dict[str, int]:
    """Name and total of each dump that callgrind wrote into `folder`."""
    totals: dict[str, int] = {}
    for dump in folder.glob("dump.*"):
        text = dump.read_text(errors="replace")
        name, total = _NAME.search(text), _TOTAL.search(text)
        if name and total:
            totals[name.group(1)] = int(total.group(1))
    return totals
