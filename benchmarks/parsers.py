"""How many records each parser reads in a second.

    python benchmarks/parsers.py [--json] [--seconds N]

The golden and captured records of each source are read as they are, file by file, for so many
seconds; the best of three rounds counts. The unit that machines can be compared by is what
`json.loads` does in the same run with bytes of the same number: `over json` is how many times as
long a byte takes as a byte of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.sources.captured import FILES, NAMES, data  # noqa: E402
from tests.sources.golden import CASES  # noqa: E402

from trunktrace.sources.reading import Reading  # noqa: E402
from trunktrace.sources.table import SOURCES  # noqa: E402

ROUNDS: Final = 3
JSON_LINE: Final = (
    b'{"t": 1795396158.345, "event": "track_subscribed", "identity": "callee-1", "n": [1, 2.5, 3]}'
)


@dataclass
class Rate:
    """What one source does in a second, on this machine, in this run."""

    source: str
    files: int
    records: int
    bytes: int
    records_a_second: float
    mb_a_second: float
    over_json: float


def rates(seconds: float) -> list[Rate]:
    """Each source that has records, in the order of the table."""
    bare = _json_bytes_a_second(seconds)
    found: list[Rate] = []
    for name, source in SOURCES.items():
        inputs = _inputs(name)
        if not inputs:
            continue
        records = sum(_records_in(name, *one) for one in inputs)
        size = sum(len(content) for content, _ in inputs)

        def work(
            parse: Callable[..., object] = source.parse,
            inputs: list[tuple[bytes, Reading]] = inputs,
        ) -> None:
            for content, reading in inputs:
                parse(content, reading)

        each = _seconds_of(work, seconds)
        found.append(
            Rate(
                name,
                len(inputs),
                records,
                size,
                round(records / each, 1),
                round(size / each / 1e6, 3),
                round(bare / (size / each), 1),
            )
        )
        sys.stderr.write(f"  {name}\n")
    return found


def _inputs(name: str) -> list[tuple[bytes, Reading]]:
    golden = [(case.data, case.reading) for case in CASES if case.source == name]
    if golden or name not in FILES:
        return golden
    return [(data(call, name), Reading()) for call in NAMES]


def _records_in(name: str, content: bytes, reading: Reading) -> int:
    """Lines, or blocks of lines, or packets: what a reader counts as a record.

    A stream gives one observation for many records, so that they are counted in the file.
    """
    blocks = [one for one in content.replace(b"\r\n", b"\n").split(b"\n\n") if one.strip()]
    if len(blocks) > 1 and not content.lstrip().startswith((b"{", b"[")):
        return len(blocks)
    parsed = SOURCES[name].parse(content, reading)
    told = len(parsed.observations) + len(parsed.broken) + parsed.ignored
    if content.lstrip()[:1] in (b"{", b"["):
        first = content.lstrip().split(b"\n", 1)[0]
        if not first.rstrip().endswith(b"}"):
            return max(1, told)
    return max(1, sum(1 for line in content.splitlines() if line.strip()))


def _seconds_of(work: Callable[[], None], seconds: float) -> float:
    """Seconds of one turn: the best of some rounds."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        turns, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < seconds / ROUNDS:
            work()
            turns += 1
        best = min(best, took / max(1, turns))
    return best


def _json_bytes_a_second(seconds: float) -> float:
    lines = [JSON_LINE] * 200

    def work() -> None:
        for line in lines:
            json.loads(line)

    return len(JSON_LINE) * len(lines) / _seconds_of(work, seconds)


def main() -> int:
    """A table, or JSON."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--json", action="store_true")
    options.add_argument("--seconds", type=float, default=1.0, help="for each source")
    given = options.parse_args()
    found = rates(given.seconds)
    if given.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return 0
    print(f"{'source':<20}{'files':>6}{'records':>9}{'records/s':>12}{'MB/s':>8}{'over json':>11}")
    for one in found:
        print(
            f"{one.source:<20}{one.files:>6}{one.records:>9}{one.records_a_second:>12.0f}"
            f"{one.mb_a_second:>8.2f}{one.over_json:>11.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
