"""Fixtures for every test: our guard raises, and no call outlives its test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from trunktrace.guard import guard, reraising
from trunktrace.registry import calls

if find_spec("hypothesis") is not None:  # beside the oldest livekit-agents it is not installed
    from hypothesis import settings

    # A busy machine is no fault of an example; the timeout of the whole test still holds. CI tries
    # the same examples each time, so that what passed once passes again; a developer new ones.
    settings.register_profile("trunktrace", deadline=None, derandomize="CI" in os.environ)
    settings.load_profile("trunktrace")


@pytest.fixture(autouse=True)
def _loud_guard() -> Iterator[None]:
    """What the guard would swallow in a call fails the test, so that nothing hides behind it."""
    guard.reset()
    with reraising():
        yield


@pytest.fixture(autouse=True)
def _no_call_left() -> Iterator[None]:
    """Each test starts and ends with no call open."""
    yield
    left = len(calls)
    calls.clear()
    assert left == 0, f"{left} calls were left open by this test"


@pytest.fixture(autouse=True)
def _no_settings_left() -> Iterator[None]:
    """What an agent of one test was configured with is not what another's untraced dial uses."""
    module = sys.modules.get("trunktrace.livekit.pickling")
    latest = None if module is None else module.registered.latest
    yield
    module = sys.modules.get("trunktrace.livekit.pickling")
    if module is not None:
        module.registered.latest = latest
