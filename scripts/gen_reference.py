"""Writes docs/reference/attributes.md from src/trunktrace/conventions.py.

Run it after a change of the vocabulary. With --check it writes nothing and exits 1 if the page is
not what it would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from trunktrace import conventions as c

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "attributes.md"

INTRODUCTION = f"""\
# Attributes and metrics

<!-- Made by scripts/gen_reference.py from src/trunktrace/conventions.py. Do not edit. -->

Every key of trunktrace, with its type, unit and privacy class. Schema URL `{c.SCHEMA_URL}`,
experimental: names may still change, and each change stands in the changelog under *Renamed keys*.

`sip.*` says what any SIP element could say. `trunk.*` is the commercial and routing identity of
the trunk. Media is named by leg: `rtp.*` is the trunk leg (carrier to bridge), `webrtc.*` the agent
leg (bridge to LiveKit to agent), `pstn.*` what lies beyond the carrier's edge. `in` is towards the
agent, `out` towards the caller, on every leg.

**An absent key means unknown.** No key is ever 0, empty or `unknown` because nobody knew, with one
exception: a call over SIP whose carrier nobody could name ends with `trunk.carrier = unknown` on
its root span. String values are cut at {c.MAX_STRING_CHARACTERS} characters. Ratios are 0 to 1.

Privacy classes: `public` names no person; `masked` is a number with all but country code and the
last two digits hidden; `pseudonym` is a keyed hash, there only with a key; `pii` is in clear, there
only if you ask for it. What each fact's time allows is told in
[What a span can know](../explanation/what-a-span-can-know.md).
"""

METRICS = f"""\
{", ".join(f"`{key}`" for key in c.CALL_LABELS)}
stand on every metric of a call, as far as they are known; a call that ended without a carrier that
anybody could name has `{c.UNKNOWN_CARRIER}`, as its root span has. The three counters
`trunktrace.*` but `{c.FAILURES}` are of the process, without these labels. The 201st distinct
value of a label in a process becomes `other`; names of the trunk directory never do. How they
reach Prometheus: [Metrics](../how-to/metrics.md)."""

SECTIONS: tuple[tuple[c.Scope, str, str], ...] = (
    (
        "inherited",
        "On every span of the call",
        """On the root call span and on every span below it, by default.
`CallSpanProcessor(inherit=...)` takes another choice; `pii` keys are never inherited.""",
    ),
    ("root", "On the root call span only", "LiveKit's `job_entrypoint`, or our own `sip.call`."),
    ("event", "On events", "Which event has which: [Spans and events](spans-and-events.md)."),
    ("span", "On spans of our own", "[Spans and events](spans-and-events.md) has the spans."),
)


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_sections(), _metrics()])


def _sections() -> Iterable[str]:
    for scope, title, text in SECTIONS:
        rows = [
            (f"`{one.key}`", one.type, one.unit or "", one.privacy, one.brief, one.source)
            for one in c.ATTRIBUTES.values()
            if one.scope == scope
        ]
        columns = ("key", "type", "unit", "privacy", "meaning", "from")
        yield f"## {title}\n\n{text}\n\n{_table(columns, rows)}"


def _metrics() -> str:
    rows = [
        (
            f"`{one.name}`",
            one.instrument.replace("updown", "up-down ").replace("_", " "),
            one.unit,
            ", ".join(f"`{key}`" for key in one.attributes),
            one.brief,
        )
        for one in c.METRICS
    ]
    columns = ("metric", "instrument", "unit", "further labels", "what it answers")
    bounds = [
        (f"`{one.name}`", one.unit, " ".join(f"{bound:g}" for bound in one.bounds))
        for one in c.METRICS
        if one.bounds
    ]
    labels = [
        (f"`{one.key}`", one.type, one.brief)
        for one in c.ATTRIBUTES.values()
        if one.scope == "metric"
    ]
    return "\n".join(
        (
            f"## Metrics\n\nMeter `{c.SCOPE_NAME}`. {METRICS}\n",
            _table(columns, rows),
            "### Bucket bounds\n",
            _table(("histogram", "unit", "bounds"), bounds),
            "### Labels of metrics only\n",
            _table(("key", "type", "meaning"), labels),
        )
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    cells = (" | ".join(cell.replace("|", r"\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)


def main(arguments: list[str]) -> int:
    """Write the page, or check it; the exit code."""
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text("utf-8") == page():
            return 0
        print(f"{PAGE.name} is out of date: run scripts/gen_reference.py", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
