"""Writes docs/reference/rules.md from the rules and the thresholds.

`--check` changes nothing and fails if the page is not what would be written.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from trunktrace import conventions as c
from trunktrace.diagnosis.rules import RULES, Rule

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "rules.md"

HEAD = """\
# Rules of the diagnosis

<!-- Made by scripts/gen_rules.py from the code of the rules. Do not edit. -->

What the rules are asked about, and who is blamed, is explained in
[Whose fault](../explanation/whose-fault.md); how to ask them, in
[Diagnose a call](../how-to/diagnose-a-call.md).

A finding has a mode, the ids of the rules that say so, a leg and a direction where it is about one,
and a time. There is at most one for each mode, leg and direction of a call. `in` is towards the
agent, `out` towards the caller.
"""

INTRO = {
    "call_setup_failure": "The call was never answered. Not told while a call goes on: after a "
    "refusal the next trunk may be tried. A call that we gave up ourselves is none.",
    "one_way_audio": "One direction is dead and the other is not. Never told of a call that was "
    "not answered, that is shorter than `one_way.shortest_call_s`, or while it is on hold; nor of "
    "a line that suppresses silence: one that paused and came back. Packets that stop and come "
    "back are a pause.",
    "failover_loop": "Attempts that go round, or on where no other trunk can help. A call that "
    "one trunk refused and the next one took is none. Attempts to one number are judged, up to "
    "its answer: another number is another call, and who is called in beside an answered call is "
    "none of it. The finding tells their path: `A:503>B:503>A`, without a code where the last one "
    "goes on. A 18x is progress, and no proof of ringing: going on after one is told, but not "
    "where a server's failure (5xx) came after it. What nobody saw is held against nobody. "
    "`dial()` is stricter: after any 18x it does not go on unless it is told to.",
    "media_degradation": "Each leg and direction by itself, each source by itself. Loss, jitter "
    "and concealment of the agent leg are never told as the trunk's.",
    "misrouting": "The call is not the one that it should be. Only what is known on both sides is "
    "compared.",
    "compliance": "Evidence for the operator; it never changes whose fault a call was.",
}


CODES = """\
What a final answer to an INVITE means, whose fault it is, and whether another trunk may be tried:
[SIP codes](sip-codes.md).
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for mode in c.FAILURE_MODES:
        parts += [f"## {mode}\n", INTRO[mode] + "\n", _rules(mode)]
    parts += ["## Thresholds\n", _thresholds(), "## Final codes\n", CODES]
    return "\n".join(parts).rstrip() + "\n"


def _rules(mode: str) -> str:
    rows = ["| rule | says that | direction | thresholds |", "|---|---|---|---|"]
    rows += [_row(rule) for rule in RULES if rule.mode == mode]
    return "\n".join(rows) + "\n"


def _row(rule: Rule) -> str:
    read = ", ".join(f"`{key}`" for key in rule.thresholds) or "-"
    return f"| `{rule.id}` | {rule.asks} | {rule.direction} | {read} |"


def _thresholds() -> str:
    text = files("trunktrace.diagnosis").joinpath("thresholds.toml").read_text("utf-8")
    return f"```toml\n{text}```\n"


def main() -> int:
    """Write the page, or say that it is old."""
    made = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == made:
        return 0
    print(f"{PAGE.name} is old: run python scripts/gen_rules.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
