"""A million hostile header lines: nothing is raised, nothing is invented, none is slow.

    python benchmarks/fuzz_headers.py [--count N] [--seed N] [--start N] [--jobs N] [--no-times]

The carriers are made with a seed (`tests/propagation/hostile.py`: valid values that were changed,
random bytes, Unicode, carriers that fail while they are read), so that every run sees the same:
`--seed` and `--start N --count 1` bring number N back. Each goes through `read_headers` and through
`SipPropagator.extract` twice, for a link and as a parent. Of each:

- no exception comes out, and none of ours was swallowed on the way; a carrier's own may be;
- what comes out is valid, and every id of it stands in a header;
- what became a parent goes out again as clean headers within the budget, and is read back the same;
- it takes no more than 10 ms; what takes longer is measured three times more, by the time of the
  thread alone, and counts if the least of them is too long.

Then time is shown to grow with the length of a value and with the number of lines no faster than
they do, up to the bounds (1,024 characters, 256 lines), and not at all beyond them.

Exit code 1 if there is a finding.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.propagation.hostile import Case, case, judged  # noqa: E402

from trunktrace.guard import guard  # noqa: E402
from trunktrace.propagation import read_headers  # noqa: E402

SLOWEST_S: Final = 0.010
MEASURED_AGAIN: Final = 3
PIECE: Final = 2_000
NOT_OURS: Final = {"propagation.carrier"}
ROUNDS: Final = 7
SLACK: Final = 2.0


@dataclass
class Outcome:
    """What came of a piece of the cases."""

    cases: int = 0
    lines: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    told: Counter[str] = field(default_factory=Counter[str])
    swallowed: Counter[str] = field(default_factory=Counter[str])
    findings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def add(self, other: Outcome) -> None:
        """What came of another piece."""
        self.cases += other.cases
        self.lines += other.lines
        self.seconds += other.seconds
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.told += other.told
        self.swallowed += other.swallowed
        self.findings += other.findings


def run(seed: int, start: int, cases: int) -> Outcome:
    """One piece of the cases."""
    logging.disable(logging.WARNING)
    guard.reset()
    outcome = Outcome(cases=cases)
    for number in range(start, start + cases):
        one = case(seed, number)
        outcome.lines += one.lines
        outcome.findings += [(number, what) for what in _judged(one)]
        outcome.findings += [(number, what) for what in _timed(one, outcome)]
    outcome.swallowed += guard.counts
    outcome.findings += [
        (start, f"swallowed in {place}") for place in guard.counts if place not in NOT_OURS
    ]
    return outcome


def _judged(one: Case) -> list[str]:
    try:
        return list(judged(one))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return [f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"]


def _timed(one: Case, outcome: Outcome) -> list[str]:
    carrier = one.make()
    begun = time.perf_counter()
    remote = read_headers(carrier)
    took = time.perf_counter() - begun
    outcome.seconds += took
    outcome.told[remote.header if remote else "nothing"] += 1
    if took > SLOWEST_S:
        took = _least(lambda: read_headers(one.make()), MEASURED_AGAIN)
    outcome.slowest_s = max(outcome.slowest_s, took)
    return [f"{SLOW} {took * 1e3:.1f} ms"] if took > SLOWEST_S else []


def _least(function: Callable[[], Any], rounds: int) -> float:
    least = float("inf")
    for _ in range(rounds):
        begun = time.thread_time()
        function()
        least = min(least, time.thread_time() - begun)
    return least


SLOW: Final = "slow:"
VALUES: Final[dict[str, Callable[[int], str]]] = {
    "semicolons": lambda size: ";" * size,
    "commas": lambda size: "," * size,
    "open quotes": lambda size: '"\\' * (size // 2),
    "folds": lambda size: "\r\n " * (size // 3),
    "blanks": lambda size: "a" + " \t" * (size // 2 - 1) + "b",
    "hexadecimal": lambda size: "30" * (size // 2),
    "remotes": lambda size: ";remote=" * (size // 8),
    "dashes": lambda size: "-" * size,
    "later version": lambda size: f"cc-{1:032x}-{1:016x}-01-".ljust(size, "\r"),
    "percents": lambda size: "a=%25%," * (size // 7),
}
NAMES: Final = ("X-Traceparent", "b3", "Session-ID", "User-to-User", "X-Baggage")


def scaling() -> list[tuple[str, float, float, float]]:
    """(what, 1/8 of the bound, the bound, 8 times the bound) in microseconds, least of rounds."""
    found: list[tuple[str, float, float, float]] = []
    for what, value in VALUES.items():
        made = [{name: value(size) for name in NAMES} for size in (128, 1024, 8192)]
        found.append((f"value: {what}", *_three(made)))
    pair = ("User-to-User", f"00-{0:032x}-{1:016x}-01".encode().hex() + ";encoding=hex")
    found.append(("lines", *_three([[pair] * size for size in (32, 256, 2048)])))
    return found


def _three(carriers: list[Any]) -> tuple[float, float, float]:
    times = [_least(lambda c=c: [read_headers(c) for _ in range(50)], ROUNDS) for c in carriers]  # type: ignore[misc]
    few, many, beyond = (each / 50 * 1e6 for each in times)
    return few, many, beyond


def run_all(seed: int, start: int, lines: int, jobs: int) -> Outcome:
    """Pieces of cases until they have so many header lines; progress goes to stderr."""
    outcome, begun, at = Outcome(), time.monotonic(), start
    piece = min(PIECE, lines)
    with ProcessPoolExecutor(jobs) as pool:
        while outcome.lines < lines:
            pieces = [pool.submit(run, seed, at + n * piece, piece) for n in range(jobs * 8)]
            if lines <= PIECE:
                pieces = pieces[:1]
            at += len(pieces) * piece
            for done in as_completed(pieces):
                outcome.add(done.result())
            sys.stderr.write(
                f"  {outcome.lines} lines, {time.monotonic() - begun:.0f} s, "
                f"{len(outcome.findings)} findings\n"
            )
    return outcome


def _told(outcome: Outcome, table: list[tuple[str, float, float, float]], *, timed: bool) -> int:
    each = outcome.seconds / max(1, outcome.cases) * 1e6
    print(
        f"{outcome.lines} header lines in {outcome.cases} carriers, {each:.1f} us a carrier, "
        f"worst {outcome.slowest_s * 1e3:.2f} ms"
    )
    print("told by: " + ", ".join(f"{name} {count}" for name, count in outcome.told.most_common()))
    print("carriers that failed: " + (", ".join(map(str, outcome.swallowed.items())) or "none"))
    print(f"{'microseconds':<24}{'1/8':>9}{'bound':>9}{'8 times':>9}")
    bent = 0
    for what, few, many, beyond in table:
        linear = many <= 8 * few * SLACK and beyond <= many * SLACK
        bent += not linear
        print(f"{what:<24}{few:>9.1f}{many:>9.1f}{beyond:>9.1f}{'' if linear else '  too long'}")
    for number, what in outcome.findings[:20]:
        print(f"case {number}: {what}")
    slow = sum(what.startswith(SLOW) for _, what in outcome.findings) + bent
    wrong = len(outcome.findings) + bent - slow
    print(f"{wrong} findings, {slow} by the clock{'' if timed else ' (not judged)'}")
    return 1 if wrong or (timed and slow) else 0


def main() -> int:
    """What the options ask for."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--count", type=int, default=1_000_000, help="header lines")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--start", type=int, default=0, help="number of the first case")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument(
        "--no-times", action="store_true", help="show times, but do not fail by them (a busy CI)"
    )
    given = options.parse_args()
    outcome = run_all(given.seed, given.start, given.count, given.jobs)
    return _told(outcome, scaling(), timed=not given.no_times)


if __name__ == "__main__":
    sys.exit(main())
