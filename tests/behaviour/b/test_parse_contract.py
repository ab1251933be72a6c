"""`trunktrace parse`: the shape of what it prints, for each source and captured call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trunktrace import conventions

from . import captured
from .console import assert_no_number, parse, run, run_apart

EVERY = [(name, kind) for name in captured.NAMES for kind in captured.FILES]


def assert_typed(key: str, value: Any) -> None:
    """The key is of the vocabulary, and the value of the type that stands there."""
    assert key in conventions.ATTRIBUTES, key
    kind = conventions.ATTRIBUTES[key].type
    assert value not in ("", None, "unknown"), (key, value)
    if kind == "int":
        assert type(value) is int, (key, value)
    elif kind == "double":
        assert type(value) in (int, float), (key, value)
    elif kind == "string":
        assert type(value) is str, (key, value)
        assert len(value) <= 255, key
    elif kind == "string[]":
        assert isinstance(value, list), (key, value)
        assert all(type(each) is str for each in value), (key, value)
    if key.endswith("_ratio") and "burst" not in key:
        assert 0 <= value <= 1, (key, value)
    assert ".pii." not in key, f"{key} is printed without being asked for"


def assert_window(window: dict[str, Any]) -> None:
    """A window has leg, direction, two unix seconds, source, and facts of that leg alone."""
    assert set(window) == {"leg", "direction", "start", "end", "source", "facts"}
    assert window["leg"] in ("agent", "trunk", "pstn")
    assert window["direction"] in ("in", "out")
    for edge in ("start", "end"):
        assert type(window[edge]) is float, (edge, window[edge])
        assert 1e9 < window[edge] < 1e10
    assert window["start"] <= window["end"]
    assert window["facts"], "a window that says nothing"
    prefix = {"agent": "webrtc.", "trunk": "rtp.", "pstn": "pstn."}[window["leg"]]
    for key, value in window["facts"].items():
        assert_typed(key, value)
        assert key.startswith(prefix), (window["leg"], key)
        for direction in ("in", "out"):
            if key.startswith(f"{prefix}{direction}."):
                assert direction == window["direction"], key


def assert_records(records: Any, source: str) -> None:
    """The whole answer has the shape of the contract."""
    assert isinstance(records, list)
    for record in records:
        assert set(record) == {"source", "leg", "ids", "facts", "windows"}, sorted(record)
        assert record["source"] == source
        assert record["leg"] in ("agent", "trunk", "pstn")
        assert all(type(each) is str and each for each in record["ids"].values()), record["ids"]
        for key, value in record["facts"].items():
            assert_typed(key, value)
        for window in record["windows"]:
            assert_window(window)


@pytest.mark.parametrize("name,kind", EVERY, ids=str)
def test_each_captured_file_is_parsed_into_the_contracts_shape(name, kind, tmp_path):
    """Exit 0, nothing broken, vocabulary keys with their types, no number."""
    source = captured.SOURCES[kind]
    ran = parse(source, captured.path(name, kind).read_bytes(), tmp_path)
    assert ran.code == 0, ran.err
    assert ran.reasons == []
    assert_records(ran.json, source)


@pytest.mark.parametrize("name", captured.NAMES)
def test_the_bridges_log_tells_codec_code_and_counted_loss_as_they_were(name, tmp_path):
    """The answered leg's facts are the truth that was set up; a leg that failed has no media."""
    truth = captured.facts(name)
    ran = parse("livekit-sip", captured.path(name, "livekit-sip").read_bytes(), tmp_path)
    records = ran.json
    assert len(records) == len(truth["livekit_call_ids"])
    assert {r["facts"]["livekit.sip.call_id"] for r in records} == set(truth["livekit_call_ids"])
    last = records[-1]["facts"]
    assert last["sip.call.direction"] == truth["direction"]
    assert last.get("sip.response.status_code") == truth["sip_final_code"]
    negotiated = truth["codec"]["negotiated"]
    assert last.get("rtp.codec") == (negotiated and negotiated.lower())
    towards = [
        w["facts"] for w in records[-1]["windows"] if (w["leg"], w["direction"]) == ("trunk", "in")
    ]
    loss = truth["loss"]["carrier_to_bridge"]
    if not truth["answered"]:
        assert towards == []
        return
    ratios = [w["rtp.in.loss_ratio"] for w in towards if "rtp.in.loss_ratio" in w]
    if loss["pct"] == 100.0:
        assert ratios == [], "a bridge that received nothing has counted no loss"
        return
    longest = max(
        (w for w in records[-1]["windows"] if (w["leg"], w["direction"]) == ("trunk", "in")),
        key=lambda w: w["end"] - w["start"],
    )["facts"]
    assert longest["rtp.in.lost_count"] == loss["removed"]
    assert longest["rtp.in.loss_ratio"] == pytest.approx(loss["pct"] / 100, abs=0.0003)
    assert longest["rtp.loss_method"] == "counted"


def test_the_windows_of_two_statistics_lines_are_not_counted_twice(tmp_path):
    """Lost packets of the windows that do not overlap add up to the call's."""
    ran = parse("livekit-sip", captured.path("03", "livekit-sip").read_bytes(), tmp_path)
    windows = [w for w in ran.json[0]["windows"] if (w["leg"], w["direction"]) == ("trunk", "in")]
    whole = max(windows, key=lambda w: w["end"] - w["start"])
    parts = [w for w in windows if w is not whole]
    assert parts, "two statistics lines give at least two windows"
    assert sum(w["facts"]["rtp.in.lost_count"] for w in parts) == 325
    assert whole["facts"]["rtp.in.lost_count"] == 325


def test_the_default_486_of_an_inbound_hangup_is_no_code(tmp_path):
    """Trap 6: the closing line of a normal call says 486; the answer was 200."""
    for name in ("01", "02", "03", "04", "09", "10"):
        ran = parse("livekit-sip", captured.path(name, "livekit-sip").read_bytes(), tmp_path)
        facts = ran.json[0]["facts"]
        assert facts["sip.response.status_code"] == 200, name
        assert facts["sip.call.outcome"] == "answered", name


def test_the_list_names_every_source(tmp_path):
    """`--list` prints one source a line, each of which `parse` takes."""
    ran = run("parse", "--list")
    assert ran.code == 0
    listed = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
    assert listed[0] == "livekit-sip" or "livekit-sip" in listed
    assert len(listed) == len(set(listed))
    for source in listed:
        assert parse(source, b"", tmp_path).json == [], source


def test_a_source_that_is_not_there_is_named_with_those_that_are(tmp_path):
    """An unknown source is a wrong command line: no traceback, not exit 0 or 65."""
    file = tmp_path / "x"
    file.write_text("{}\n")
    ran = run_apart("parse", "no-such-source", file)
    assert ran.code not in (0, 1, 65)
    assert "Traceback" not in ran.err
    assert "livekit-sip" in ran.err
    assert ran.out.strip() == ""


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_said_so(what, tmp_path):
    """No traceback, not exit 0 and not the code of a broken record."""
    target = tmp_path if what == "folder" else tmp_path / "none.jsonl"
    ran = run_apart("parse", "livekit-sip", target)
    assert ran.code not in (0, 65)
    assert "Traceback" not in ran.err
    assert ran.err.strip()


def test_standard_input_gives_what_the_file_gives():
    """`-` reads standard input; a process of its own prints the same."""
    raw = captured.path("04", "livekit-sip").read_bytes()
    piped = run_apart("parse", "livekit-sip", "-", stdin=raw)
    assert piped.code == 0, piped.err
    assert piped.err == ""
    assert_no_number(piped)
    assert piped.json == run("parse", "livekit-sip", captured.path("04", "livekit-sip")).json


def test_the_ids_match_the_facts(tmp_path):
    """What joins records is in `ids`, without a number in it."""
    ran = parse("livekit-sip", captured.path("07", "livekit-sip").read_bytes(), tmp_path)
    for record in ran.json:
        assert record["facts"]["livekit.sip.call_id"] in record["ids"].values()
        assert record["facts"]["sip.call_id"] in record["ids"].values()


@pytest.mark.parametrize("name", captured.NAMES)
def test_windows_of_the_agent_leg_never_speak_of_the_trunk(name, tmp_path):
    """RTC statistics alone give webrtc facts; an estimate of the trunk is marked as one."""
    ran = parse("livekit-rtc", captured.path(name, "rtc_stats").read_bytes(), tmp_path)
    for record in ran.json:
        for window in record["windows"]:
            if window["leg"] == "trunk":
                assert window["facts"].get("rtp.loss_method") == "estimated", window
                assert window["direction"] == "in", window


def test_output_is_json_that_any_reader_takes():
    """No NaN, no byte order mark, ends with a newline or nothing after the list."""
    ran = run("parse", "livekit-sip", captured.path("01", "livekit-sip"))
    assert ran.out.lstrip().startswith("[")
    json.loads(ran.out)
    assert Path(captured.path("01", "livekit-sip")).exists()
