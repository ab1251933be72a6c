"""What a live call remembers for the rules: marks, attempts, windows, and what was expected."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from trunktrace.diagnosis.flows import Flows
from trunktrace.diagnosis.story import Expectation, Story
from trunktrace.facts import AttributeValues
from trunktrace.timeline import Attempt, Mark
from trunktrace.windows import MediaWindow, same_window

MOST_MARKS: Final = 20_000
"""Marks of one call that are kept, the newest: five hours of a busy conversation."""

MOST_WINDOWS: Final = 8_192
"""Windows of one leg and direction that are kept, the newest: over two hours of one a second."""

MOST_ATTEMPTS: Final = 64
REMEMBERED_AGAIN: Final = 64
"""What is told a second time is looked for among so many of the newest."""

LIVE_S: Final = 300.0
"""While a call goes on the rules look back so far: a look costs some milliseconds in any call."""


class Evidence:
    """Bounded; written under the call's lock, read as a frozen `Story`."""

    __slots__ = (
        "_attempts",
        "_flows",
        "_marks",
        "_windows",
        "expected",
        "identity_differs",
        "must_record",
        "told",
    )

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self._attempts: tuple[Attempt, ...] = ()
        self._windows: dict[tuple[str, str], deque[MediaWindow]] = {}
        self._flows = Flows()
        self.expected: Expectation | None = None
        self.identity_differs: bool | None = None
        self.must_record: bool | None = None
        # What has been told of as an event already.
        self.told: set[tuple[str | None, ...]] = set()

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks so far, in the order in which they were told."""
        return tuple(self._marks)

    def add_mark(self, mark: Mark) -> None:
        """Remember a mark; told again, with the end that has come, it replaces what it was."""
        for at in _latest(self._marks):
            old = self._marks[at]
            if (old.kind, old.start, old.source) != (mark.kind, mark.start, mark.source):
                continue
            if old.value == mark.value or old.end != mark.end:
                self._marks[at] = mark
                return
        self._marks.append(mark)

    def add_window(self, window: MediaWindow) -> None:
        """Remember a window of any leg; told again, it replaces what it was."""
        self._flows.add(window)
        place = (window.leg, window.direction)
        kept = self._windows.setdefault(place, deque(maxlen=MOST_WINDOWS))
        for at in _latest(kept):
            if same_window(kept[at], window):
                kept[at] = window
                return
        kept.append(window)

    def put_attempt(self, attempt: Attempt) -> None:
        """Remember an attempt, in the order of their starts; told again, it replaces what it was.

        One of the same start, party and trunk is the same, and so is one whose trunk was not known
        yet. Of more than `MOST_ATTEMPTS` the latest are kept.
        """
        others = list(self._attempts)
        at = _place_of(attempt, others)
        if at is not None:
            del others[at]
        others.append(attempt)
        self._attempts = tuple(sorted(others, key=_order)[-MOST_ATTEMPTS:])

    def story(
        self,
        facts: AttributeValues,
        sources: frozenset[str],
        now: float | None,
        *,
        caller_matches: bool | None,
    ) -> Story:
        """Everything so far as one value; `now` is None once the call is over.

        While it goes on, windows that ended more than `LIVE_S` ago are left out, and of them only
        is told whether packets flowed.
        """
        since = None if now is None else now - LIVE_S
        expected = self.expected
        if expected is not None:
            expected = dataclasses.replace(expected, caller_matches=caller_matches)
        return Story(
            facts=facts,
            windows=tuple(self._windows_since(since)),
            marks=tuple(sorted(self._marks, key=attrgetter("start"))),
            attempts=tuple(one for one in self._attempts if not one.aside),
            asides=tuple(one for one in self._attempts if one.aside),
            sources=sources,
            expected=expected,
            must_record=self.must_record,
            identity_differs=self.identity_differs,
            now=now,
            windows_since=since,
            flows={} if since is None else self._flows.told(),
        )

    def _windows_since(self, since: float | None) -> Iterator[MediaWindow]:
        for kept in self._windows.values():
            yield from kept if since is None else _newest(kept, since)


def _place_of(attempt: Attempt, known: Sequence[Attempt]) -> int | None:
    """Where an attempt stands already: by its trunk, else as one whose trunk was not known."""
    alike = [
        at
        for at, one in enumerate(known)
        if (one.start, one.party, one.aside) == (attempt.start, attempt.party, attempt.aside)
    ]
    exact = (at for at in alike if known[at].trunk_id == attempt.trunk_id)
    unnamed = (at for at in alike if None in (known[at].trunk_id, attempt.trunk_id))
    return next(exact, next(unnamed, None))


def _order(attempt: Attempt) -> tuple[float, int, str]:
    start = float("-inf") if attempt.start is None else attempt.start
    return start, attempt.party or 0, attempt.trunk_id or ""


def _newest(kept: deque[MediaWindow], since: float) -> Iterator[MediaWindow]:
    """The windows that end at `since` or later, in order, without a look at all of a long call."""
    found: list[MediaWindow] = []
    older = 0
    for window in reversed(kept):
        if window.end >= since:
            found.append(window)
            older = 0
        elif (older := older + 1) >= REMEMBERED_AGAIN:
            # They come about in the order of their time: a few may be told late, not so many.
            break
    return reversed(found)


def _latest(kept: Sequence[object]) -> range:
    """Places of the newest few, the newest first: what is told again is told soon."""
    return range(len(kept) - 1, max(-1, len(kept) - 1 - REMEMBERED_AGAIN), -1)
