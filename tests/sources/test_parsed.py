"""What every reader gives, and the strict way to take it."""

from __future__ import annotations

import pytest

from trunktrace.errors import ParseError
from trunktrace.facts import Observation
from trunktrace.sources.parsed import Broken, Parsed

LEG = Observation(source="telnyx")


def test_observations_where_nothing_is_broken() -> None:
    """Records that are ignored are no reason to raise."""
    assert Parsed((LEG, LEG), ignored=3).or_raise() == (LEG, LEG)
    assert Parsed().or_raise() == ()


def test_the_first_broken_record_is_raised() -> None:
    """With its line and why, whatever was read of the others."""
    parsed = Parsed((LEG,), (Broken(4, "no time"), Broken(7, "no id")))
    with pytest.raises(ParseError, match="no time") as raised:
        parsed.or_raise()
    assert raised.value.line == 4
