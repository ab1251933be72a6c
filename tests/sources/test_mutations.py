"""Whatever a file holds, a reader gives what it could read, says what is broken, and is quick."""

from __future__ import annotations

import copy
import gc
import json
import math
import re
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.captured import FILES, NAMES, data

from trunktrace.sources.parsed import Parsed
from trunktrace.sources.shapes.jsonlines import MAX_LINE_BYTES
from trunktrace.sources.table import SOURCES, Source

SLOWEST = 3.0
"""No record takes longer than so many times the bare reading of the longest line of JSON, which is
some milliseconds. A line of spans holds many: it may take so long for each 32 KB."""

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 7, 0.5, -0.0, 1e308, 10**30, -(10**30), 2**63, math.inf, math.nan,
    "", " ", "0", "-1", "1e5", "\x00", "\ud800", "\u202e", "x" * 3000, "+15551234567", [], [[]], {},
    {"": None}, [None, 1, "a"], {"a": {"b": {"c": []}}}, 1795396157, 1795396157.5, "1795396157",
]  # fmt: skip

every_source = pytest.mark.parametrize(
    "source", [SOURCES[name] for name in FILES], ids=lambda s: s.name
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path] if path else []
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(cast("dict[Any, Any]", value).items())
    elif isinstance(value, list):
        inside = list(enumerate(cast("list[Any]", value)))
    for step, inner in inside:
        found += _paths(inner, (*path, step))
    return found


def _put(value: Any, path: tuple[Any, ...], odd: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = odd


def _check(source: Source, content: bytes) -> Parsed:
    parsed = source.parse(content)
    assert isinstance(parsed, Parsed)
    count = content.count(b"\n") + 1
    for broken in parsed.broken:
        assert 1 <= broken.line <= count
        assert broken.reason
        assert re.search(r"\d{7}", broken.reason) is None
    assert "5551234567" not in repr(parsed)
    return parsed


@every_source
@FUZZ
@given(draw=st.data())
def test_odd_values_anywhere(source: Source, draw: st.DataObject) -> None:
    """Any value of a real record replaced by an odd one gives a `Parsed` and no exception."""
    content = data(draw.draw(st.sampled_from(NAMES)), source.name)
    records = [json.loads(line) for line in content.splitlines()]
    for _ in range(draw.draw(st.integers(1, 4))):
        if not records:
            break
        record = records[draw.draw(st.integers(0, len(records) - 1))]
        paths = _paths(record)
        path = paths[draw.draw(st.integers(0, len(paths) - 1))]
        try:
            # A copy: the next change may go into it.
            _put(record, path, copy.deepcopy(draw.draw(st.sampled_from(ODD))))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    _check(source, "\n".join(map(json.dumps, records)).encode())


@every_source
@FUZZ
@given(draw=st.data())
def test_odd_bytes_anywhere(source: Source, draw: st.DataObject) -> None:
    """Bytes that were changed, cut, doubled or put in give a `Parsed` and no exception."""
    content = data(draw.draw(st.sampled_from(NAMES)), source.name)
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, max(0, len(content) - 1)))
        length = draw.draw(st.integers(0, 40))
        put = draw.draw(st.one_of(st.binary(max_size=8), st.just(content[at : at + length])))
        content = content[:at] + put + content[at + draw.draw(st.integers(0, 40)) :]
    _check(source, content)


@every_source
@FUZZ
@given(content=st.binary(max_size=400))
def test_any_bytes(source: Source, content: bytes) -> None:
    """Bytes of any kind give a `Parsed` and no exception."""
    _check(source, content)


@every_source
@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_anywhere_keeps_what_came_before(source: Source, name: str) -> None:
    """A file whose last line is cut off has that line broken, and no other."""
    content = data(name, source.name).rstrip(b"\n")
    cut = content[:-9]
    parsed = _check(source, cut)
    last = cut.count(b"\n") + 1
    assert [broken.line for broken in parsed.broken] == ([last] if content else [])


def _hostile() -> dict[str, bytes]:
    fill = MAX_LINE_BYTES - 64
    return {
        "deep": b"[" * fill,
        "deep enough": b"[" * 8000,
        "as many parts as may be": b'{"a": [' + b"[]," * 4_000 + b'"' + b"x" * 200_000 + b'"]}',
        "numbers": b'{"t": 1.5, "a": [' + b"1.5e3,  " * (fill // 8) + b"1]}",
        "deep objects": b'{"a":' * (fill // 5),
        "long text": b'{"event": "' + b"x" * fill + b'"}',
        "many lists": b'{"stats": [' + b"[]," * (fill // 3) + b"1]}",
        "many keys": b'{"t": 1,' + b",".join(b'"%d":1' % n for n in range(fill // 10)) + b"}",
        "too long": b'{"a": "' + b"x" * 17_000_000 + b'"}',
        "digits": b'{"t": ' + b"9" * fill + b"}",
    }


@every_source
@pytest.mark.parametrize("kind", list(_hostile()))
def test_no_record_is_slow(source: Source, kind: str) -> None:
    """The worst line takes no more than a few times what any line of its length takes."""
    line = _hostile()[kind]
    source.parse(b"{}")  # loads the reader
    plain = b"[" + b"1," * (MAX_LINE_BYTES // 2) + b"1]"
    bare = _least_s(lambda: json.loads(plain))
    many = source.name == "livekit-spans"
    most = SLOWEST * bare * (len(line) / 32_768 if many else 1)
    assert _least_s(lambda: _check(source, line)) < most


def _least_s(work: Callable[[], object]) -> float:
    """The least of five times, of this thread alone, so that a busy machine does not count.

    Without the garbage collector: what it looks through is what all tests before have left.
    """
    took: list[float] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            begun = time.thread_time()
            work()
            took.append(time.thread_time() - begun)
    finally:
        gc.enable()
    return min(took)
