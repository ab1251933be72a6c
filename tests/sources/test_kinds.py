"""Files told apart by what they hold: which source is whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES, CASES, Case

from trunktrace.sources.kinds import kind_of, kinds_of
from trunktrace.sources.table import SOURCES

AMBIGUOUS = {
    "sbc-csv/broken-nothing-known.csv": "no column has a name that is known: it may be any CSV",
}
"""Golden records that cannot be told to be of their source, and why."""

KEYS = [
    *("data", "payload", "metrics", "events", "type", "event", "event_type", "method", "name"),
    *("CallSid", "call_sid", "callid", "uuid", "room", "t", "timestamp", "status", "sip_code"),
    *("tags", "SSRC"),
]

CONFIGURATION = sorted(
    path.relative_to(CAPTURES).as_posix() for path in CAPTURES.glob("*/config/*")
)
NOTES = sorted(
    path.relative_to(CAPTURES).as_posix()
    for pattern in ("*/ends-rtcpsummary.txt", "**/*facts.json")
    for path in CAPTURES.glob(f"*/{pattern}")
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_golden_record_is_told_to_be_of_its_source(case: Case) -> None:
    """By its content alone; what cannot be told stands in AMBIGUOUS with the reason."""
    told = kind_of(case.data)
    if case.reading.columns:
        assert told in (None, "sbc-csv"), "a map says what it is, and nothing else does"
    elif str(case) in AMBIGUOUS:
        assert told != case.source, "it can be told now: take it out of the list"
    else:
        assert told == case.source


@pytest.mark.parametrize("name", [*CONFIGURATION, *NOTES])
def test_what_is_no_record_is_of_no_source(name: str) -> None:
    """Configurations, truths, and what the far ends wrote down."""
    assert kind_of((CAPTURES / name).read_bytes()) is None


@pytest.mark.parametrize("case", [c for c in CASES if b"\n" in c.data[:-1]], ids=str)
def test_line_ends_do_not_matter(case: Case) -> None:
    """CRLF and LF: the same source; a packet in binary has no lines."""
    if b"\0" in case.data:
        return
    bare = case.data.replace(b"\r\n", b"\n")
    assert kind_of(bare.replace(b"\n", b"\r\n")) == kind_of(bare)


@pytest.mark.parametrize("case", [c for c in CASES if c.data[:1] in b"{["], ids=str)
def test_a_byte_order_mark_does_not_matter(case: Case) -> None:
    """Some editors put one before the text."""
    assert kind_of(b"\xef\xbb\xbf" + case.data) == kind_of(case.data)


@given(st.binary(max_size=2000))
def test_it_never_raises(data: bytes) -> None:
    """Whatever a file holds: a source that exists, or None."""
    assert kind_of(data) in {None, *SOURCES}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_json_of_any_shape_is_told_or_is_not(value: object) -> None:
    """Known keys with values of a wrong type raise nothing."""
    assert kind_of(json.dumps(value).encode()) in {None, *SOURCES}


def test_an_empty_file_is_of_no_source(tmp_path: Path) -> None:
    """Nor are blanks."""
    assert kind_of(b"") is None
    assert kind_of(b" \r\n\n") is None


def test_a_long_line_takes_no_time() -> None:
    """What looks like a form, hexadecimal digits or a CSV of a mebibyte is looked at once."""
    import time

    for data in (b"a=b&" * 262_144, b"0a" * 524_288, b'"a",' * 262_144, b"{" * 1_048_576,
                 b"ssrc=1;" * 150_000, b'"' * 1_048_576, b"a" * 1_048_576):  # fmt: skip
        began = time.process_time()
        kind_of(data)
        assert time.process_time() - began < 1.0


def test_a_syslog_of_several_programs_is_of_several_sources() -> None:
    """Kamailio, its acc_json and rtpengine on one host, after an hour of other programs' lines."""
    call = "05-unavailable-503"
    noise = b"Nov 23 01:00:00 sbc1 CRON[1]: (root) CMD (true)\n" * 5000
    logs = b"".join(
        (CAPTURES / file).read_bytes()
        for file in (
            f"kamailio/{call}/kamailio.log",
            f"kamailio/{call}/json_acc.log",
            f"rtpengine/{call}/rtpengine.log",
        )
    )
    assert sorted(kinds_of(noise + logs)) == ["kamailio-acc", "kamailio-acc-json", "rtpengine"]
    assert set(kinds_of(logs)) == {"kamailio-acc", "kamailio-acc-json", "rtpengine"}
    assert kinds_of(noise) == ()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_of_one_source_is_of_no_other(case: Case) -> None:
    """But for logs, a file is of one source."""
    kind = kind_of(case.data)
    assert kinds_of(case.data) == (() if kind is None else (kind,))


@pytest.mark.parametrize("key", ["log", "message", "MESSAGE", "msg", "line"])
@pytest.mark.parametrize("case", [c for c in CASES if c.name in (
    "broken-lines.log", "loopback-default.link", "loopback-stderr-log.link", "made-syslog.log",
    "made-older-versions.log")], ids=str)  # fmt: skip
def test_a_log_in_json_is_of_the_source_of_its_lines(case: Case, key: str) -> None:
    """A container's or a journal's log: what `parse` reads is known to `diagnose`, too."""
    other = json.dumps({key: "INFO: started", "stream": "stderr"}) + "\n"
    lines = case.data.decode("utf-8", "replace").splitlines()
    wrapped = "".join(json.dumps({key: line, "stream": "stderr"}) + "\n" for line in lines)
    assert case.source in kinds_of((other * 40 + wrapped).encode())
    for text in ("Event: started", "talks to rtpengine: ok", "d3:abc"):
        assert kinds_of(json.dumps({key: text, "stream": "stderr"}).encode()) == ()
