"""What more than one file of these tests is given."""

from __future__ import annotations

import logging

import pytest

from .kit import Pipeline


@pytest.fixture
def pipe() -> Pipeline:
    return Pipeline()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="trunktrace")
    return caplog
