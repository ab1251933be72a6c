"""A million broken records for every parser: nothing is raised, none is slow, none is dropped.

    python benchmarks/fuzz_parsers.py [--records N] [--source NAME ...] [--seed N] [--jobs N]
                                      [--start N] [--save FOLDER]

The golden records of each source (`tests/sources/golden`; those of LiveKit's sources are captured
calls) are changed with a seed, so that every
run sees the same records: `--start` goes on where another run stopped, `--seed` and `--start N
--records 1` bring a record back. Of each parse:

- no exception comes out;
- it takes no more than 10 ms for each record in it; what takes longer is measured three times more,
  by the time of the thread alone, and counts if the least of them is too long;
- it drops no record in silence, as far as that can be told from outside (`mutation.Broken.spoken`);
- no number of a person in the original stands in what it says, nor in why it is broken.

Exit code 1 if there is a finding; the input of each is saved as `SOURCE-SEED-NUMBER.bin`.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.sources.captured import FILES  # noqa: E402
from tests.sources.golden import CASES  # noqa: E402
from tests.sources.mutation import Broken, Mutator  # noqa: E402

from trunktrace.sources.parsed import Parsed  # noqa: E402
from trunktrace.sources.table import SOURCES, Source  # noqa: E402

SLOWEST_S: Final = 0.010
MEASURED_AGAIN: Final = 3
FEW: Final = 0.01
LONGEST_BYTES: Final = 256 * 1024
PIECE: Final = 2_000
KEPT_OF_A_KIND: Final = 3


@dataclass
class Finding:
    """Something that may not be."""

    source: str
    seed: int
    number: int
    kind: str
    what: str
    data: bytes = b""


@dataclass
class Outcome:
    """What came of the records of one source."""

    source: str
    records: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    said: Counter[str] = field(default_factory=Counter[str])
    findings: list[Finding] = field(default_factory=list[Finding])

    def add(self, other: Outcome) -> None:
        """The records of another piece of the same source."""
        self.records += other.records
        self.seconds += other.seconds
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.said += other.said
        self.findings += other.findings


def run(name: str, seed: int, start: int, records: int) -> Outcome:
    """One piece of the records of a source."""
    source, outcome = SOURCES[name], Outcome(name)
    mutator = Mutator(name, seed)
    source.parse(b"")  # loads the reader
    for number in range(start, start + records):
        record = mutator.record(number)
        for kind, what in _judged(source, record, outcome):
            outcome.findings.append(Finding(name, seed, number, kind, what, record.data))
    outcome.records = records
    return outcome


def _judged(source: Source, record: Broken, outcome: Outcome) -> Iterator[tuple[str, str]]:
    begun = time.perf_counter()
    try:
        parsed = source.parse(record.data, record.reading)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        yield "raised", f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
        return
    took = time.perf_counter() - begun
    outcome.seconds += took
    each = _each(took, record, parsed)
    if each > SLOWEST_S:
        each = _each(_again(source, record), record, parsed)
        if each > SLOWEST_S:
            yield "slow", f"{each * 1e3:.1f} ms a record, {len(record.data)} bytes"
    outcome.slowest_s = max(outcome.slowest_s, each)
    outcome.said += _counted(parsed)
    if not record.spoken(parsed):
        yield "silent", f"a record of {len(record.data)} bytes was dropped, or told twice"
    if record.in_clear(parsed):
        yield "number", f"a number of {record.origin} stands in clear"


def _each(took: float, record: Broken, parsed: Parsed) -> float:
    """Seconds of one record.

    A change can make thousands of broken ones out of one: those that came to it count little, lest
    a slow one hides behind them. What is longer than any reader takes is more than one.
    """
    told = len(parsed.observations) + len(parsed.broken) + parsed.ignored
    parts = max(record.parts, -(-len(record.data) // LONGEST_BYTES))
    return took / (parts + FEW * max(0, told - parts))


def _again(source: Source, record: Broken) -> float:
    least = float("inf")
    for _ in range(MEASURED_AGAIN):
        begun = time.thread_time()
        source.parse(record.data, record.reading)
        least = min(least, time.thread_time() - begun)
    return least


def _counted(parsed: Parsed) -> Counter[str]:
    return Counter(
        observations=len(parsed.observations), broken=len(parsed.broken), ignored=parsed.ignored
    )


def run_all(names: list[str], seed: int, start: int, records: int, jobs: int) -> dict[str, Outcome]:
    """All records of these sources, in pieces; progress goes to stderr."""
    outcomes = {name: Outcome(name) for name in names}
    pieces = [
        (name, seed, at, min(PIECE, start + records - at))
        for at in range(start, start + records, PIECE)
        for name in names
    ]
    begun = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run, *piece): piece for piece in pieces}
        for done, future in enumerate(as_completed(waiting), start=1):
            outcomes[waiting[future][0]].add(future.result())
            if done % max(1, len(pieces) // 50) == 0 or done == len(pieces):
                found = sum(len(one.findings) for one in outcomes.values())
                sys.stderr.write(
                    f"  {done} of {len(pieces)} pieces, {time.monotonic() - begun:.0f} s, "
                    f"{found} findings\n"
                )
    return outcomes


def _told(outcomes: dict[str, Outcome], save: Path) -> int:
    print(f"{'source':<20}{'records':>9}{'seconds':>9}{'us each':>9}{'worst ms':>10}  said")
    for one in outcomes.values():
        said = ", ".join(f"{count} {name}" for name, count in sorted(one.said.items()))
        each = one.seconds / max(1, one.records) * 1e6
        print(
            f"{one.source:<20}{one.records:>9}{one.seconds:>9.1f}{each:>9.0f}"
            f"{one.slowest_s * 1e3:>10.2f}  {said}"
        )
    findings = [found for one in outcomes.values() for found in one.findings]
    for found in _first_of_each(findings):
        save.mkdir(parents=True, exist_ok=True)
        file = save / f"{found.source}-{found.seed}-{found.number}.bin"
        file.write_bytes(found.data)
        print(f"{found.source}: {found.kind}: {found.what} ({file})")
    print(f"{len(findings)} findings")
    return 1 if findings else 0


def _first_of_each(findings: list[Finding]) -> Iterator[Finding]:
    seen: Counter[tuple[str, str, str]] = Counter()
    for found in findings:
        kind = (found.source, found.kind, found.what if found.kind == "raised" else "")
        seen[kind] += 1
        if seen[kind] <= KEPT_OF_A_KIND:
            yield found


def main() -> int:
    """What the options ask for."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--records", type=int, default=1_000_000, help="records of each source")
    options.add_argument("--source", action="append", choices=sorted(SOURCES))
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--start", type=int, default=0, help="number of the first record")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--save", type=Path, default=Path("fuzz-findings"))
    given = options.parse_args()
    golden = {case.source for case in CASES} | set(FILES)
    names = given.source or [name for name in SOURCES if name in golden]
    left_out = [name for name in SOURCES if name not in golden]
    if left_out and not given.source:
        sys.stderr.write(f"without golden records: {', '.join(left_out)}\n")
    return _told(run_all(names, given.seed, given.start, given.records, given.jobs), given.save)


if __name__ == "__main__":
    sys.exit(main())
