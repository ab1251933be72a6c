"""No span ever carries another call's facts: a count over many overlapping calls.

    python benchmarks/isolation.py [--spans 1000000] [--calls 1000] [--seed 1] [--json]

Threads drive their share of the calls span by span in random order: nested spans, spans from the
call's own context and from a bare `Context()`, facts pushed to open spans by another thread, calls
that end and are replaced, and calls that share one trace under one remote parent. Every span that
ends is checked against the call that it was made for. Exits 1 if a span carries another call's
facts, or lacks the facts that were known when it started.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys

from _lib.crowd import Count, run


def say(done: int, of: int) -> None:
    """Progress goes to stderr, so that stdout stays JSON."""
    print(f"  {done:,} of {of:,} spans", file=sys.stderr, flush=True)


def as_text(count: Count) -> str:
    """The count in two lines."""
    return (
        f"{count.spans:,} spans of {count.calls:,} calls, {count.overlapping:,} at a time\n"
        f"{count.foreign:,} with another call's facts, {count.missing:,} without their own"
    )


def main() -> int:
    """Run the crowd, print the count, judge."""
    parser = argparse.ArgumentParser(description="Count spans that carry another call's facts.")
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=1_000, help="calls that overlap at any time")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    # A fact may be pushed to a span in the moment in which it ends: the SDK then logs a warning.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    count = run(
        spans=asked.spans, calls=asked.calls, threads=asked.threads, seed=asked.seed, tell=say
    )
    print(json.dumps(count.as_dict()) if asked.json else as_text(count))
    return 1 if count.foreign or count.missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
