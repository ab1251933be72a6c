"""How files are cut into records (bodies, forms, lines, packets); text as numbers and times."""

from __future__ import annotations

import json
import math
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes import values
from trunktrace.sources.shapes.bodies import MAX_BODY_BYTES, bodies, forms
from trunktrace.sources.shapes.lines import MAX_LINE_BYTES, text_lines
from trunktrace.sources.shapes.packets import hex_packets, is_hex
from trunktrace.sources.table import SOURCES

OBJECTS = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4)


def _good(data: bytes) -> list[dict[str, Any]]:
    return [one for _, one in bodies(data) if not isinstance(one, Broken)]


def _bad(data: bytes) -> list[int]:
    return [one.line for _, one in bodies(data) if isinstance(one, Broken)]


@given(st.lists(OBJECTS, max_size=5), st.sampled_from([None, 1]), st.sampled_from(["\n", " ", ""]))
def test_bodies_one_after_the_other(told: list[Any], indent: int | None, between: str) -> None:
    """Bodies come out whole, pretty or on lines, with anything blank or nothing between them."""
    text = between.join(json.dumps(one, indent=indent) for one in told)
    assert _good(text.encode()) == told
    assert _good(json.dumps(told, indent=indent).encode()) == told


@pytest.mark.parametrize(
    "data, good, bad",
    [
        (b'{"a":1}\n{"b": \n{"c":2}\nxx\n{"d":3}', [{"a": 1}, {"c": 2}, {"d": 3}], [2, 4]),
        (b'{\n "a": 1,\n "b": [1,}\n}\n{\n"ok": 1}', [{"ok": 1}], [1]),
        (b'{"a": "\xff"}\n{"a":1}', [{"a": 1}], [1]),
        (b"12\n", [], [1]),
        (b'[{"a":1}, 3, {"b":2}]', [{"a": 1}, {"b": 2}], [1]),
        (b'[{"a":1}', [{"a": 1}], [1]),
        (b"", [], []),
        (b"\xef\xbb\xbf{}", [{}], []),
        (b'{"a": NaN}', [{"a": None}], []),
        (b'{"a": ' + b"9" * 5000 + b"}\n{}", [{}], [1]),
        (b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}\n{"b": 1}', [{"b": 1}], [1]),
        (b"[" * 5000 + b"\n{}", [{}], [2]),
    ],
)
def test_a_broken_body_is_told_and_the_next_one_is_read(
    data: bytes, good: list[Any], bad: list[int]
) -> None:
    """What is no body is broken at its line, and takes no other with it."""
    assert _good(data) == good
    assert _bad(data) == bad


@given(st.binary(max_size=300))
def test_any_bytes_are_bodies_or_broken(data: bytes) -> None:
    """Whatever is not blank gives at least one body or one broken one, and no exception."""
    found = list(bodies(data))
    empty_lists = data.decode("utf-8", "replace").strip(" \t\r\n\v\f,").startswith("[")
    assert found or not data.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n\v\f,") or empty_lists


def test_forms_and_json_in_one_file() -> None:
    """Each line is a form, or the JSON that a log made of one."""
    data = b"CallSid=CA1&To=%2B1555&Empty=\n\nCallSid=CA2&X=a%20b+c\r\n"
    assert [one for _, one in forms(data)] == [
        {"CallSid": "CA1", "To": "+1555", "Empty": ""},
        {"CallSid": "CA2", "X": "a b c"},
    ]
    assert [one for _, one in forms(b'{"a": "1"}')] == [{"a": "1"}]


def test_json_that_is_broken_takes_no_form_with_it() -> None:
    """A line of broken JSON among forms is broken alone, wherever it stands."""
    data = b'{"broken": \na=1\n{"b": "2"}\n{\n "c": 3\n}\nd=4\n{oops'
    found = list(forms(data))
    assert [line for line, _ in found] == [1, 2, 3, 4, 7, 8]
    assert [one for _, one in found[1:5]] == [{"a": "1"}, {"b": "2"}, {"c": 3}, {"d": "4"}]
    assert [one.line for _, one in found if isinstance(one, Broken)] == [1, 8]


@pytest.mark.parametrize(
    "line",
    [
        b"no form",
        b"a=%ff%fe",
        b"\xc3\xa4=1",
        b"a=1&&b",
        b"a=1" * 100_000,
        b"&".join([b"a=1"] * 2000),
    ],
)
def test_what_is_no_form_is_broken(line: bytes) -> None:
    """A line that is no form is broken, and the next one is read."""
    (first, broken), (second, good) = forms(line + b"\na=1")
    assert isinstance(broken, Broken)
    assert (first, second, good) == (1, 2, {"a": "1"})


def test_lines_keep_their_numbers() -> None:
    """Lines come with their numbers, without ends and byte order mark; blank ones count."""
    data = b"\xef\xbb\xbfone\r\n\n\xff\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nlast"
    told = list(text_lines(data))
    assert told[:2] == [(1, "one"), (2, "")]
    assert told[4] == (5, "last")
    assert [one.line for _, one in told[2:4] if isinstance(one, Broken)] == [3, 4]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_packets_in_hexadecimal(packets: list[bytes]) -> None:
    """A packet a line, digits together or apart, in any case; remarks and blank lines are none."""
    lines = [packet.hex(" ").upper().encode() for packet in packets]
    data = b"# made\n" + b"\n\n".join(lines)
    assert [one for _, one in hex_packets(data)] == packets
    assert is_hex(b"\n".join(lines)) == bool(packets)


@pytest.mark.parametrize("line", [b"abc", b"zz", b"00" * 70_000, b"0" * 300_000])
def test_what_is_no_packet_is_broken(line: bytes) -> None:
    """Odd digits, other characters and more than a packet can hold are broken."""
    (_, broken), (_, good) = hex_packets(line + b"\n00ff")
    assert isinstance(broken, Broken)
    assert good == b"\x00\xff"


@pytest.mark.parametrize(
    "value, expected",
    [
        ("12", 12),
        (" -3 ", -3),
        (7, 7),
        (7.0, 7),
        (7.5, None),
        ("7.0", None),
        ("", None),
        (True, None),
        ("٣", None),
        ("1_0", None),
        ("9" * 40, None),
        (None, None),
        (10**30, None),
        (math.inf, None),
    ],
)
def test_whole_numbers(value: object, expected: int | None) -> None:
    """Only decimal digits make a whole number."""
    assert values.integer(value) == expected


@pytest.mark.parametrize(
    "value, expected",
    [
        ("1.5", 1.5),
        ("-0.25", -0.25),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("000.001500", 0.0015),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("0x10", None),
        ("1_0", None),
        (True, None),
        ("", None),
    ],
)
def test_decimal_numbers(value: object, expected: float | None) -> None:
    """Only what is written as a finite number is one."""
    assert values.decimal(value) == expected


def test_times_of_several_fashions() -> None:
    """The same moment in each fashion is the same unix time; without an offset the zone counts."""
    moment = 1795396417.0
    assert values.unix_time("1795396417") == moment
    assert values.unix_time(1795396417000000, per_second=1e6) == moment
    assert values.iso_time("2026-11-23T01:13:37Z") == moment
    assert values.iso_time("2026-11-23 02:13:37", timezone(timedelta(hours=1))) == moment
    assert values.http_time("Mon, 23 Nov 2026 01:13:37 +0000") == moment
    assert values.strptime("23/11/2026 01:13:37", "%d/%m/%Y %H:%M:%S", UTC) == moment
    for told in ("", "0", None, "yesterday", "2026-13-01T00:00:00Z", "9" * 80, -5, math.nan):
        assert values.unix_time(told) is None
        assert values.iso_time(told) is None
        assert values.http_time(told) is None


@given(st.text(max_size=70) | st.floats() | st.integers() | st.none() | st.booleans())
def test_values_never_raise(value: object) -> None:
    """Whatever a field holds, it is a value or it is none."""
    assert values.count(value) is None or values.count(value) >= 0  # type: ignore[operator]
    for read in (values.integer, values.decimal, values.iso_time, values.http_time, values.text):
        read(value)
    values.unix_time(value)
    values.strptime(value, "%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    "source, key",
    [
        ("twilio-events", "events"),
        ("twilio-metrics", "metrics"),
        ("twilio-summary", "call_summaries"),
    ],
)
def test_an_empty_page_is_ignored_and_not_lost(source: str, key: str) -> None:
    """A page of the API without a record says nothing, and is counted."""
    told = SOURCES[source].parse(json.dumps({"meta": {}, key: []}).encode())
    assert (told.observations, told.broken, told.ignored) == ((), (), 1)


def test_a_line_that_is_there_twice_is_counted() -> None:
    """What a shipper delivers again is told once, and the repetition is ignored."""
    line = b'{"t": 1795396182.4, "publisher": [], "subscriber": []}\n'
    assert SOURCES["livekit-rtc"].parse(line * 3).ignored == 3
