"""Every label of a metric is bounded, whatever a call or a user says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.guard import after_fork_in_child, warn_once

if TYPE_CHECKING:
    from trunktrace.directory.model import Names

MOST_VALUES: Final = 200
"""Distinct values of one label in a process; each one after them becomes `OTHER`."""

OTHER: Final = "other"


class Labels:
    """Lets `most` distinct values of each label through, and the directory's names always.

    What the directory names is as many as somebody wrote down, and does not use up the bound.
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._known: dict[str, frozenset[str]] = {}
        self._seen: dict[str, set[Value]] = {}
        self._lock = threading.Lock()
        after_fork_in_child(self, Labels._unlock)

    def know(self, names: Names) -> None:
        """Never turn these carriers, routes and regions into `OTHER`; adds to those before."""
        told = (
            (c.TRUNK_CARRIER, names.carriers | {c.UNKNOWN_CARRIER}),
            (c.TRUNK_ROUTE, names.routes),
            (c.TRUNK_REGION, names.regions),
        )
        with self._lock:
            for key, values in told:
                self._known[key] = self._known.get(key, frozenset()) | values

    def bounded(self, labels: Mapping[str, Value]) -> dict[str, Value]:
        """The same labels, with `OTHER` for what is beyond the bound."""
        with self._lock:
            return {key: self._bounded(key, value) for key, value in labels.items()}

    def _bounded(self, key: str, value: Value) -> Value:
        if value in self._known.get(key, ()):
            return value
        seen = self._seen.setdefault(key, set())
        if value in seen:
            return value
        if len(seen) >= self._most:
            warn_once(
                f"label:{key}",
                "trunktrace: over %d values of %s in the metrics of this process; further ones are "
                "counted as %r",
                self._most,
                key,
                OTHER,
            )
            return OTHER
        seen.add(value)
        return value

    def _unlock(self) -> None:
        self._lock = threading.Lock()
