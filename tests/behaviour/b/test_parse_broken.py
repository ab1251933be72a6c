"""`trunktrace parse` of material that is cut, mixed up, hostile or absurd."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import captured
from .console import assert_no_number, lines, parse, run, run_apart
from .test_parse_contract import assert_records

GOOD = captured.path("04", "livekit-sip").read_bytes()
SOURCE = "livekit-sip"
NUMBERS = ("+4915112345678", "0151 1234 5678")


def truth(tmp_path):
    """What the unharmed log says."""
    return parse(SOURCE, GOOD, tmp_path, "whole.jsonl").json


def dressed(line: str) -> bytes:
    """The good log with one more line in its middle."""
    rows = GOOD.splitlines(keepends=True)
    half = len(rows) // 2
    return b"".join([*rows[:half], line.encode("utf-8", "surrogatepass") + b"\n", *rows[half:]])


BROKEN = {
    "no json": "{this is not json",
    "half a record": '{"level": "info", "ts": 1795396490.1, "msg": "call stat',
    "a list": "[1, 2, 3]",
    "a number": "42",
    "a string": '"call statistics"',
    "null": "null",
    "two records in a line": '{"callID": "SCL_a"}{"callID": "SCL_b"}',
    "deep nesting": "[" * 100_000,
    "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "with a number": '{"fromUser": "+15557778888", "toUser": "+15551234567',
    "number and junk": "+15557778888 called +15551234567",
}


@pytest.mark.parametrize("what", BROKEN, ids=BROKEN)
def test_a_broken_line_is_named_and_the_good_ones_are_printed(what, tmp_path):
    """Exit 65, `FILE:LINE: reason` with the true line, no number in the reason, the rest stands."""
    raw = dressed(BROKEN[what])
    ran = parse(SOURCE, raw, tmp_path)
    assert ran.code == 65, ran.err[-500:]
    assert "Traceback" not in ran.err
    assert len(ran.reasons) == 1, ran.err[-500:]
    found = ran.reasons[0]
    assert found["file"].endswith("material.jsonl")
    assert int(found["line"]) == len(GOOD.splitlines()) // 2 + 1
    assert len(found["reason"]) < 300
    assert ran.json == truth(tmp_path)


def test_bytes_that_are_no_text_are_a_broken_line(tmp_path):
    """Latin-1, zero bytes and binary junk: named, the rest stands."""
    rows = GOOD.splitlines(keepends=True)
    junk = [b'{"msg": "caf\xe9"}\n', b"\x00\x01\x02\xff\xfe\n", bytes(range(128, 160)) + b"\n"]
    ran = parse(SOURCE, b"".join(rows[:5] + junk + rows[5:]), tmp_path)
    assert ran.code == 65
    assert [int(each["line"]) for each in ran.reasons] == [6, 7, 8]
    assert ran.json == truth(tmp_path)


def test_the_reason_is_one_line_without_control_characters(tmp_path):
    """A terminal escape in a record never reaches the terminal."""
    ran = parse(SOURCE, dressed('\x1b[31m\x9b31m{"a": \x07'), tmp_path)
    assert ran.code == 65
    assert not any(ord(c) < 32 and c != "\n" for c in ran.err), repr(ran.err)
    assert "\x9b" not in ran.err


def test_a_file_name_with_escapes_and_colons_is_printed_safely(tmp_path):
    """The reason still names file and line when the name is odd."""
    file = tmp_path / "odd:7: name [red].jsonl"
    file.write_bytes(b"{\n")
    ran = run("parse", SOURCE, file)
    assert ran.code == 65
    assert ran.err.strip().startswith(str(file) + ":1: "), ran.err


def test_standard_input_names_the_line_too():
    """A broken record of standard input has a place, exit 65, and the good ones."""
    ran = run_apart("parse", SOURCE, "-", stdin=b"junk\n" + GOOD)
    assert ran.code == 65
    assert len(ran.reasons) == 1
    assert int(ran.reasons[0]["line"]) == 1
    assert len(ran.json) == 1


@pytest.mark.parametrize("raw", [b"", b"\n\n\n", b"  \n\t\n", b"\xef\xbb\xbf", b"\r\n"])
def test_a_file_with_nothing_in_it_is_an_empty_list(raw, tmp_path):
    """Empty, blank lines, a byte order mark alone: exit 0 and `[]`."""
    for source in ("livekit-sip", "livekit-rtc"):
        ran = parse(source, raw, tmp_path)
        assert (ran.code, ran.json) == (0, []), (source, ran.err)


def test_windows_line_ends_a_byte_order_mark_and_no_last_newline_change_nothing(tmp_path):
    """CRLF, BOM and a missing end of line are how files arrive."""
    expected = truth(tmp_path)
    for raw in (
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.rstrip(b"\n"),
        b"\n\n" + GOOD.replace(b"\n", b"\n\n"),
        b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n").rstrip(),
    ):
        ran = parse(SOURCE, raw, tmp_path)
        assert (ran.code, ran.json) == (0, expected), ran.err


def test_unicode_line_separators_inside_a_record_do_not_cut_it(tmp_path):
    """U+2028, U+0085 and form feed in a value are part of the value."""
    row = {"ts": 1795396490.0, "msg": "hello\u2028world\u0085and\x0cmore", "level": "info"}
    raw = dressed(json.dumps(row, ensure_ascii=False).replace("\\f", "\\u000c"))
    ran = parse(SOURCE, raw, tmp_path)
    assert (ran.code, ran.json) == (0, truth(tmp_path)), ran.err


def test_other_lines_of_the_bridge_are_no_broken_records(tmp_path):
    """A bridge logs much that belongs to no call: start-up lines, messages yet unknown."""
    more = lines(
        {"level": "info", "ts": 1795396000.1, "logger": "sip", "msg": "sip signaling listening on"},
        {"level": "warn", "ts": 1795396000.2, "msg": "something new", "callID": "SCL_zzzzzzzzzzzz"},
        {"level": "info", "ts": 1795396000.2, "msg": "cpu", "load": 0.2},
        {},
    )
    ran = parse(SOURCE, more.encode() + GOOD, tmp_path)
    assert ran.code == 0, ran.err
    told = [r for r in ran.json if r["facts"].get("rtp.codec")]
    assert told == truth(tmp_path)


def test_a_log_cut_at_any_byte_never_breaks_the_parser(tmp_path):
    """A file that is still written ends anywhere: 0 or 65, never a traceback, shape kept."""
    chance = random.Random(4)
    for _ in range(25):
        ran = parse(SOURCE, GOOD[: chance.randrange(len(GOOD))], tmp_path)
        assert ran.code in (0, 65)
        assert len(ran.reasons) == (1 if ran.code == 65 else 0)
        assert_records(ran.json, SOURCE)


HOSTILE = [
    None, True, False, -1, 0, 1.5, 1e308, -1e308, 10**400, "", "12", "nan", [], {}, [1], {"a": 1},
    "\ud800", "x" * 100_000, float("nan"), float("inf"), 2**63, "+15557778888",
]  # fmt: skip
FIELDS = (
    "level", "ts", "msg", "callID", "sipCallID", "fromUser", "toUser", "fromHost", "direction",
    "transport", "sipTrunk", "sipRule", "room", "roomID", "participant", "stats", "audio-codec",
    "audio-rtp", "srtp", "status", "result", "reason", "reason-cause", "inviteToRingingMs",
    "inviteToAcceptMs", "sdp", "jitterBuf", "error", "durMin",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_any_type_never_breaks_the_parser(field, tmp_path):
    """Every value under every field: exit 0 or 65, strict JSON, vocabulary types, no number."""
    rows = [json.loads(line) for line in GOOD.decode().splitlines()]
    rows = [r for r in rows if field in r][:1] + [r for r in rows if r["msg"] != "create offer"]
    for value in HOSTILE[FIELDS.index(field) % 2 :: 2]:
        if field == "ts" and value == 1.5:
            continue  # a time long ago is a time
        changed = lines(*({**r, field: value} if field in r else r for r in rows))
        ran = parse(SOURCE, changed, tmp_path)
        assert ran.code in (0, 65), (field, value)
        assert "Traceback" not in ran.err, (field, value)
        assert_records(ran.json, SOURCE)


COUNTERS = (
    "packets", "audio_packets", "jitter_buffer_packets_lost", "jitter_buffer_packets_dropped",
    "packets_ignored", "audio_out_frames", "packets_input", "streams", "mux_gaps",
)  # fmt: skip


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: repr(v)[:12])
def test_a_counter_of_any_type_is_never_a_false_loss(counter, value, tmp_path):
    """A counter that cannot be true gives no loss, and no crash; never one outside 0..1."""
    rows = captured.port(**{counter: value})(captured.load("04", "livekit-sip"))
    ran = parse(SOURCE, lines(*rows), tmp_path)
    assert ran.code in (0, 65)
    assert_records(ran.json, SOURCE)
    if counter == "jitter_buffer_packets_lost" and value != 0:
        ratios = {w["facts"].get("rtp.in.loss_ratio") for r in ran.json for w in r["windows"]} - {
            None
        }
        honest = not isinstance(value, bool) and isinstance(value, int) and 0 <= value < 2**53
        assert honest or not ratios, ratios


def test_a_counter_that_is_gone_gives_no_loss(tmp_path):
    """Unknown is absent: without the jitter buffer's counter there is no loss ratio, not 0."""
    rows = captured.port(jitter_buffer_packets_lost=None)(captured.load("04", "livekit-sip"))
    ran = parse(SOURCE, lines(*rows), tmp_path)
    for record in ran.json:
        for window in record["windows"]:
            assert "rtp.in.loss_ratio" not in window["facts"], window


def test_a_bridge_without_jitter_buffer_counts_no_loss(tmp_path):
    """With `jitterBuf: false` the counter stays 0 whatever was lost: that is no count of 0."""
    rows = captured.port(jitter_buffer_packets_lost=0)(captured.load("04", "livekit-sip"))
    rows = [{**r, "jitterBuf": False} if "jitterBuf" in r else r for r in rows]
    ran = parse(SOURCE, lines(*rows), tmp_path)
    for record in ran.json:
        for window in record["windows"]:
            assert window["facts"].get("rtp.in.loss_ratio") != 0, window


def test_two_calls_in_one_log_are_kept_apart(tmp_path):
    """Lines of five calls, mixed by time: each record is what its own log gives."""
    names = ("02", "03", "04", "09", "07")
    rows = [row for name in names for row in captured.load(name, SOURCE)]
    mixed = parse(SOURCE, lines(*sorted(rows, key=lambda r: r["ts"])), tmp_path).json
    alone = [
        record
        for name in names
        for record in parse(SOURCE, captured.path(name, SOURCE).read_bytes(), tmp_path).json
    ]

    def key(record):
        return record["facts"]["livekit.sip.call_id"]

    assert sorted(mixed, key=key) == sorted(alone, key=key)


def test_the_order_and_repetition_of_lines_change_no_count(tmp_path):
    """A log shipper delivers twice and out of order: the same codec, code and loss."""
    rows = captured.load("03", SOURCE)
    expected = parse(SOURCE, lines(*rows), tmp_path).json[0]
    for seed in range(4):
        other = rows * 2 if seed % 2 else list(rows)
        random.Random(seed).shuffle(other)
        got = parse(SOURCE, lines(*other), tmp_path).json
        assert len(got) == 1
        assert got[0]["facts"] == expected["facts"], seed

        def told(record):
            return sorted(
                (w["leg"], w["direction"], w["start"], w["end"], sorted(w["facts"].items()))
                for w in record["windows"]
            )

        assert told(got[0]) == told(expected), seed


def test_other_numbers_in_the_log_are_printed_nowhere(tmp_path):
    """Numbers of other shapes in users, hosts, rooms, errors and broken lines stay inside."""
    for number in NUMBERS:
        rows = captured.load("07", SOURCE)
        for row in rows:
            for field in ("fromUser", "toUser", "reqUser", "room", "participant", "error"):
                if field in row:
                    row[field] = f"{row[field]} {number}" if field == "error" else number
        raw = lines(*rows) + '{"fromUser": "' + number + "\n"
        ran = parse(SOURCE, raw, tmp_path)
        assert ran.code == 65
        assert_no_number(ran, number, number.replace(" ", ""))


def test_the_wrong_source_for_a_file_never_invents_a_call(tmp_path):
    """Each file given to each other source: no traceback, no loss, no number."""
    for kind, right in captured.SOURCES.items():
        for source in captured.SOURCES.values():
            if source == right:
                continue
            ran = parse(source, captured.path("04", kind).read_bytes(), tmp_path)
            assert ran.code in (0, 65), (kind, source)
            for record in ran.json:
                assert record["windows"] == [], (kind, source)
                assert "rtp.codec" not in record["facts"], (kind, source)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_flip_of_bytes_is_survived(data, tmp_path):
    """A log with random bytes changed: 0 or 65, strict JSON of the shape, no traceback."""
    raw = bytearray(GOOD)
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=8)):
        raw[place] = data.draw(st.integers(0, 255))
    file = tmp_path / "flipped"
    file.write_bytes(raw)
    ran = run("parse", SOURCE, file)
    assert ran.code in (0, 65)
    assert "Traceback" not in ran.err
    assert_records(ran.json, SOURCE)
