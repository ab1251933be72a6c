"""A tracer provider with an exporter in memory, as a user would set one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .traces import Traces


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    made = Traces()
    made.install(monkeypatch)
    yield made
    made.provider.shutdown()
