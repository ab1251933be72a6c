"""Which of our exporters stand in this process: for the warning that says what is missing."""

from __future__ import annotations

from typing import Final
from weakref import WeakSet

_standing: Final[WeakSet[object]] = WeakSet()


def note(exporter: object) -> None:
    """Remember that `exporter` was made, as long as it lives."""
    _standing.add(exporter)


def names() -> frozenset[str]:
    """Class names of our exporters that stand: `LateFactsExporter`, `RedactingExporter`."""
    return frozenset(type(exporter).__name__ for exporter in tuple(_standing))
