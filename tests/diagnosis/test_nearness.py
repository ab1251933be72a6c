"""Which calls of several systems are one, where no id says so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from trunktrace.cli.grouping import grouped
from trunktrace.facts import Observation

from .stories import T0, mark

HOME = Path("call")


def call(
    source: str, number: int = 1, start: float | None = 0.0, length: float = 60.0, **facts: Any
):
    """What a system says of a call of its own number."""
    return (
        HOME / source,
        Observation(
            source=source,
            ids={"linked_id": f"{source}-of-{number:08}"},
            start=None if start is None else T0 + start,
            end=None if start is None else T0 + start + length,
            facts={f"sip.{key}": value for key, value in facts.items()},
        ),
    )


def sizes(*told: tuple[Path, Observation]) -> list[int]:
    """How many observations each call has."""
    return sorted(len(group.told) for group in grouped(told, []))


@pytest.mark.parametrize("start", [0.0, 59.0, -61.5, None])
def test_two_systems_at_one_time_tell_of_one_call(start):
    """Overlapping, within the slack, or without a time."""
    assert sizes(call("asterisk-ami"), call("twilio-summary", start=start)) == [2]


@pytest.mark.parametrize("start", [70.0, -70.0, 3600.0])
def test_another_time_is_another_call(start):
    """No overlap."""
    assert sizes(call("asterisk-ami"), call("twilio-summary", start=start)) == [1, 1]


def test_two_of_one_system_are_two():
    """Whatever their times and numbers."""
    assert sizes(call("asterisk-ami", 1), call("asterisk-cdr", 2)) == [1, 1]
    assert sizes(call("hep", 1, start=None), call("hep", 2, start=None)) == [1, 1]


def test_two_candidates_are_none():
    """One call of Twilio's, two of the PBX's at the same time: three."""
    both = (call("asterisk-ami", 1), call("asterisk-ami", 2), call("twilio-summary"))
    assert sizes(*both) == [1, 1, 1]


@pytest.mark.parametrize(
    "one,other,size",
    [
        ({"caller.number": "+1*******99"}, {"caller.number": "********99"}, [2]),
        ({"caller.number": "+1*******99"}, {"caller.number": "+1*******98"}, [1, 1]),
        ({"caller.country": "US"}, {"caller.country": "DE"}, [1, 1]),
        ({"caller.country": "US"}, {"callee.country": "DE"}, [2]),
        ({"callee.number": "+1*******01"}, {"callee.number": "+1*******02"}, [1, 1]),
        ({"caller.number": "*********"}, {"caller.number": "+1*******98"}, [2]),
    ],
)
def test_numbers_may_not_contradict(one, other, size):
    """Country and what is not masked of a number; who withholds it contradicts nobody."""
    assert sizes(call("asterisk-ami", **one), call("twilio-summary", **other)) == size


def test_the_right_one_of_two_is_taken_by_its_number():
    """Two calls at once, told apart by the caller."""
    pbx = [call("asterisk-ami", at, **{"caller.number": f"+1*******{at:02}"}) for at in (11, 12)]
    carrier = call("twilio-summary", **{"caller.number": "+1*******12"})
    groups = grouped([*pbx, carrier], [])
    assert sorted(len(group.told) for group in groups) == [1, 2]
    joined = next(group for group in groups if len(group.told) == 2)
    assert {one.facts["sip.caller.number"] for one in joined.told} == {"+1*******12"}


def test_three_systems_tell_of_one_call():
    """Each with each."""
    assert sizes(call("asterisk-ami"), call("twilio-summary"), call("hep")) == [3]


def test_other_folders_are_other_calls():
    """By closeness only what lies together is joined."""
    path, one = call("asterisk-ami")
    assert sizes(("elsewhere" / path, one), call("twilio-summary")) == [1, 1]


def test_an_id_under_another_name_is_the_same_id():
    """One system's call id is another's linked id, however they are written."""
    one = Observation(source="radius", ids={"call_id": "A72192864869@carrier.invalid"})
    other = Observation(source="hep", ids={"linked_id": "a72192864869@carrier.invalid"})
    assert sizes((HOME / "a", one), (Path("b/c"), other)) == [2]


def test_a_short_id_is_nobody_elses():
    """Two systems count from 1."""
    one = Observation(source="radius", ids={"call_id": "17"}, start=T0, end=T0 + 1)
    other = Observation(source="hep", ids={"linked_id": "17"}, start=T0 + 90, end=T0 + 91)
    assert sizes((HOME / "a", one), (HOME / "b", other)) == [1, 1]


def test_a_session_id_that_is_not_known_yet_is_none():
    """RFC 7989: the nil identifier stands for a side that has not answered."""
    told = [
        Observation(
            source=source,
            ids={"session_id": "0" * 32, "call_id": f"{source}@carrier.invalid"},
            start=T0 + at,
            end=T0 + at + 1,
        )
        for source, at in (("hep", 0), ("radius", 90))
    ]
    assert sizes(*((HOME / one.source, one) for one in told)) == [1, 1]


def test_marks_and_windows_say_when_it_was():
    """A record without begin and end."""
    path, one = call("asterisk-ami", start=None)
    late = Observation(source=one.source, ids=one.ids, marks=(mark("answered", 4000),))
    assert sizes((path, late), call("twilio-summary")) == [1, 1]


def test_a_day_of_calls_is_joined_in_no_time():
    """Five thousand calls, one after the other, of two systems each."""
    told = [
        call(source, at, start=20.0 * at, length=15.0)
        for source in ("asterisk-cdr", "twilio-summary")
        for at in range(5000)
    ]
    began = time.process_time()
    assert set(sizes(*told)) == {2}
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "unique_id, folders, expected",
    [
        ("1795396417.2", ("east", "west"), [1, 1]),
        ("1795396417.2", ("east", "east"), [2]),
        ("pbx1-1795396417.2", ("east", "west"), [2]),
    ],
)
def test_a_second_and_a_counter_is_no_name_among_machines(unique_id, folders, expected):
    """Two PBXs give one id to two calls; in one folder, or with a system's name, it is one call."""
    told = [
        (
            Path(folder) / f"{source}.txt",
            Observation(source=source, ids={"linked_id": unique_id}, start=T0, end=T0 + 60),
        )
        for folder, source in zip(folders, ("asterisk-ami", "asterisk-cdr"), strict=True)
    ]
    assert sizes(*told) == expected
