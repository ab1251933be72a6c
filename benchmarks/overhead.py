"""What trunktrace costs, as ratios in one run: bars A to H.

    python benchmarks/overhead.py [--json] [--gate] [--method callgrind|time|auto]

See benchmarks/README.md for what the letters mean. Exits 1 if a call or a span is left in memory
or a forbidden module is imported; with `--gate`, also if a bar is missed; 2 if the method that was
asked for is not possible here.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from typing import cast

from _lib import counting, imports, memory, timing
from _lib.bars import BARS, Bar, Method, missed, span_ratios
from _lib.scenarios import PLAIN, SPANS, build


@dataclass
class Result:
    """The bars by letter, the detail behind them, and what must not be."""

    method: Method
    values: dict[str, float] = field(default_factory=dict[str, float])
    details: dict[str, object] = field(default_factory=dict[str, object])
    violations: list[str] = field(default_factory=list[str])


def say(text: str) -> None:
    """Progress goes to stderr, so that stdout stays JSON."""
    print(text, file=sys.stderr, flush=True)


def chosen_method(asked: str) -> Method:
    """`asked`, or for `auto` instruction counts where they are possible."""
    reason = counting.why_not()
    if asked == "callgrind" and reason:
        say(f"--method callgrind: {reason}")
        raise SystemExit(2)
    if asked == "auto" and reason:
        say(f"by time, with wider gates: {reason}")
    return "time" if asked == "time" or reason else "callgrind"


def measure_spans(result: Result) -> None:
    """Bars A to E."""
    say(f"spans, by {result.method}")
    if result.method == "callgrind":
        cost = {name: count / SPANS for name, count in counting.count().items()}
        unit = "instructions"
    else:
        cost, unit = timing.least_times(build()), "nanoseconds"
    plain = cost[PLAIN]
    result.values |= span_ratios(cost)
    result.details["span_unit"] = unit
    result.details["span"] = {name: round(value) for name, value in cost.items()}
    result.details["extra_share"] = {n: round(v / plain - 1, 3) for n, v in cost.items()}


def measure_many_calls(result: Result) -> None:
    """Bar F, by time in any case: instructions do not show what a cache miss costs."""
    say("10,000 calls against one, by time")
    result.values["F"], least = timing.call_count_ratio()
    result.details["F_nanoseconds"] = {name: round(value) for name, value in least.items()}


def measure_memory(result: Result) -> None:
    """Bar G, and that nothing is left."""
    say("memory of 10,000 calls")
    weighed = memory.measure()
    result.values["G"] = weighed.kb
    result.details["G_memory"] = asdict(weighed)
    if weighed.calls_left or weighed.spans_left:
        left = f"{weighed.calls_left} calls and {weighed.spans_left} spans"
        result.violations.append(f"G: {left} left in memory after all roots had ended")


def measure_imports(result: Result) -> None:
    """Bar H, and that nothing heavy is loaded."""
    say("import time")
    found = imports.measure()
    result.values["H"] = found.extra_ms
    result.details["H_imports"] = asdict(found)
    if found.forbidden:
        result.violations.append(f"H: import trunktrace loads {', '.join(found.forbidden)}")


def measure(method: Method) -> Result:
    """All bars; what was measured by time and missed its gate gets a second try."""
    result = Result(method)
    for step in (measure_spans, measure_many_calls, measure_memory, measure_imports):
        step(result)
    again = {bar.letter for bar in missed(result.values, method)}
    if method == "time" and (again_spans := again & set("ABCDE")):
        say(f"second try: {sorted(again_spans)} missed")
        measure_spans(result)
    if "F" in again:
        say("second try: F missed")
        measure_many_calls(result)
    return result


def as_json(result: Result) -> str:
    """One object: A to H, the method, and the details under a key of their own."""
    values = {bar.letter: round(result.values[bar.letter], 3) for bar in BARS}
    details = result.details | {"violations": result.violations}
    return json.dumps({**values, "method": result.method, "details": details}, indent=2)


def as_text(result: Result) -> str:
    """A line for each bar."""
    return "\n".join(_line(bar, result) for bar in BARS)


def _line(bar: Bar, result: Result) -> str:
    value, limit = result.values[bar.letter], bar.limit(result.method)
    sign = ">=" if bar.at_least else "<="
    gate = "reported" if limit is None else f"{sign} {limit:g}"
    verdict = "MISSED" if bar.missed(value, result.method) else ""
    return f"{bar.letter}  {value:8.3f}  {gate:>9}  {verdict:6}  {bar.meaning}"


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="What trunktrace costs, as ratios: bars A to H.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--gate", action="store_true", help="exit 1 if a bar is missed")
    parser.add_argument("--method", choices=("auto", "callgrind", "time"), default="auto")
    asked = parser.parse_args()
    result = measure(chosen_method(cast(str, asked.method)))
    print(as_json(result) if asked.json else as_text(result))
    for violation in result.violations:
        say(violation)
    low = missed(result.values, result.method) if asked.gate else []
    for bar in low:
        say(f"missed {bar.letter}: {result.values[bar.letter]:.3f}; {bar.meaning}")
    return 1 if low or result.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
