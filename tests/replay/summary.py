"""How many spans carry each fact: with the processor alone, and with LateFactsExporter.

`python -m tests.replay.summary` prints it for every captured call.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .capture import CLASSES, NAMES
from .expected import HOWS, INHERITED, How, final
from .player import Outcome, replay


@dataclass(frozen=True, slots=True)
class Share:
    """Of the spans of one class in one call: how many carry one fact."""

    spans: int
    alone: int
    late: int
    greeting: int
    """Spans of the greeting that ended before the fact was known."""
    other: int
    """Spans of anything else that ended before it was known."""

    def __add__(self, more: Share) -> Share:
        return Share(
            self.spans + more.spans,
            self.alone + more.alone,
            self.late + more.late,
            self.greeting + more.greeting,
            self.other + more.other,
        )


NOTHING = Share(0, 0, 0, 0, 0)


def share(outcome: Outcome, of_class: str, key: str) -> Share:
    """The count for one fact that the call knew in the end; NOTHING for one that it never knew."""
    if key not in final(outcome.known):
        return NOTHING
    capture, total = outcome.capture, NOTHING
    for span in capture.spans:
        if capture.class_of(span) != of_class:
            continue
        lacks = key not in outcome.alone.attributes(span)
        of_greeting = capture.is_of_greeting(span)
        total += Share(
            spans=1,
            alone=not lacks,
            late=key in outcome.late.attributes(span),
            greeting=lacks and of_greeting,
            other=lacks and not of_greeting,
        )
    return total


def shares(how: How, names: tuple[str, ...] = NAMES) -> dict[tuple[str, str], Share]:
    """(class, fact) to the count over several calls."""
    return {
        (of_class, key): sum((share(replay(n, how), of_class, key) for n in names), NOTHING)
        for of_class in CLASSES
        for key in INHERITED
    }


def lines(how: How) -> list[str]:
    """The counts for people: one line for each class of spans and fact."""
    titles = ("spans", "alone", "late", "greeting", "before")
    rows = [
        (key, of_class, count.spans, count.alone, count.late, count.greeting, count.other)
        for (of_class, key), count in shares(how).items()
        if count.spans
    ]
    return [
        f"directory by {how}: spans that carry the fact, of those of calls that knew it",
        *(
            f"  {key:25} {of_class:5}" + "".join(f"{number:>10}" for number in numbers)
            for key, of_class, *numbers in [("fact", "class", *titles), *rows]
        ),
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join(line for how in HOWS for line in lines(how)) + "\n")
