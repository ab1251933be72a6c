"""Golden files: what each source says of a record stands beside it, and is compared in full.

`golden/SOURCE/NAME.EXT` is the record, `golden/SOURCE/NAME.EXT.expected.json` what is read from it
(or, for a captured record, `golden/SOURCE/NAME.link` with its path under `captures/`). Names say
what a record is: `made-*` is made from documented fields, `broken-*` holds what cannot be read.
`python -m tests.sources.golden` writes what is expected anew; read the difference before you keep
it.
"""

from __future__ import annotations

import json

import pytest
from tests.sources.golden import CASES, Case, said

from trunktrace.sources.table import SOURCES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_record_says(case: Case) -> None:
    """Each record gives exactly the observations, broken records and ignored ones beside it."""
    assert said(case) == json.loads(case.expected.read_text())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_number_of_a_person_is_said(case: Case) -> None:
    """What is expected holds no run of digits that could be somebody's number."""
    assert not case.persons_in(case.expected.read_text())


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"livekit-sip", "livekit-webhook",
                         "livekit-participant", "livekit-rtc", "livekit-spans"}))  # fmt: skip
def test_each_source_has_good_and_broken_records(source: str) -> None:
    """Every source beside LiveKit's has golden files, and at least one with a broken record."""
    mine = [case for case in CASES if case.source == source]
    assert any(not case.name.startswith("broken-") for case in mine)
    assert any(json.loads(case.expected.read_text())["broken"] for case in mine)
