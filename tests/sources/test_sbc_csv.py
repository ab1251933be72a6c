"""CSV of an SBC: by names of our own, by a map of columns, and what is wrong with either."""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.golden import GOLDEN

from trunktrace.errors import ConfigurationError
from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.reading import Reading
from trunktrace.sources.sbc.reader import parse

HERE = GOLDEN / "sbc-csv"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CANONICAL = (HERE / "made-canonical.csv").read_bytes()


def _mapped(data: bytes, text: str, **told: Any) -> list[Observation]:
    parsed = parse(data, Reading(columns=tomllib.loads(text), **told))
    assert parsed.broken == ()
    return list(parsed.observations)


def _one(header: str, row: str) -> Observation:
    parsed = parse(f"{header}\n{row}\n".encode())
    assert parsed.broken == ()
    (only,) = parsed.observations
    return only


def test_names_of_our_own_need_no_map() -> None:
    """Known names are taken in any case and with blanks; unknown columns are passed over."""
    one = _one("Call-ID;SIP Code;Colour;PACKETS RECEIVED;packets_lost", "a@b;486;red;97;3")
    assert one.ids["call_id"] == "a@b"
    assert one.facts["sip.response.status_code"] == 486
    (window,) = one.untimed
    assert (window.leg, window.direction, window.loss_ratio) == ("trunk", "in", 0.03)
    assert window.loss_method == "counted"


@pytest.mark.parametrize(
    "reason, phrase, cause",
    [
        ("Q.850 ; cause = 34", None, 34), ("q.850;cause=17;text=busy", None, 17),
        ("SIP ;cause=486", None, None), ("SIP;cause=486,Q.850;cause=17", None, 17),
        ("Busy Here", "Busy Here", None), ("SIP trunk down", "SIP trunk down", None),
    ],
)  # fmt: skip
def test_a_reason_header_in_the_place_of_a_phrase(
    reason: str, phrase: str | None, cause: int | None
) -> None:
    """A header gives its Q.850 cause and is no phrase; what only begins like one is a phrase."""
    facts = _one("call_id|status_code|reason", f"a@b|486|{reason}").facts
    assert facts.get("sip.response.reason") == phrase
    assert facts.get("sip.reason.q850") == cause


def test_attribute_keys_are_names_too() -> None:
    """A column may be called by an attribute key, with leg and direction in it."""
    one = _one("sip.call_id,rtp.out.lost_count,pstn.in.loss_ratio", "a@b,4,0.02")
    assert {(w.leg, w.direction) for w in one.untimed} == {("trunk", "out"), ("pstn", "in")}


def test_times_give_durations_and_windows() -> None:
    """Set-up and talking time follow from the times; the window is that of the answered call."""
    one = parse(CANONICAL).observations[0]
    assert one.facts["sip.call.duration_ms"] == 60_000.0
    assert one.facts["sip.setup_ms"] == 4_500.0
    assert {(w.start, w.end) for w in one.windows} == {(1_795_438_805.5, 1_795_438_865.5)}


def test_times_without_a_zone_are_of_the_zone_that_is_told() -> None:
    """13:00 in Berlin is 12:00 UTC."""
    from zoneinfo import ZoneInfo

    data = b"call_id,answer_time\na@b,2026-11-23 13:00:00\n"
    (one,) = parse(data, Reading(zone=ZoneInfo("Europe/Berlin"))).observations
    assert one.start == 1_795_435_200.0


def test_whole_percents_are_derived() -> None:
    """A loss in whole percents is marked derived, one with decimals is not."""
    whole = _one("call_id,loss_percent", "a@b,3").untimed[0]
    exact = _one("call_id,loss_percent", "a@b,3.0").untimed[0]
    assert (whole.loss_ratio, whole.loss_method) == (0.03, "derived")
    assert (exact.loss_ratio, exact.loss_method) == (0.03, "counted")


def test_no_known_column_makes_every_row_broken() -> None:
    """The reason says what to do about it."""
    parsed = parse(b"a,b\n1,2\n3,4\n")
    assert parsed.observations == ()
    assert [one.line for one in parsed.broken] == [1, 2, 3]
    assert all("--columns" in one.reason for one in parsed.broken)


def test_a_quoted_cell_may_hold_line_ends() -> None:
    """Quoted line ends, doubled quotes and delimiters are of the cell; lines are counted on."""
    data = b'call_id,reason\n"a@b","Busy, ""here""\nand now"\nshort\n'
    parsed = parse(data)
    assert parsed.observations[0].facts["sip.response.reason"] == 'Busy, "here" and now'
    assert [one.line for one in parsed.broken] == [4]


def test_a_quote_that_never_ends_breaks_its_line_only() -> None:
    """The rows after it are read."""
    data = b'call_id,sip_code\n"a@b,486\n' + b"c@d,503\n" * 40
    parsed = parse(data)
    assert [one.line for one in parsed.broken] == [2]
    assert len(parsed.observations) == 40


def test_two_stray_quotes_do_not_swallow_what_is_between() -> None:
    """Rows between two lines with a stray quote each are read."""
    data = b'call_id,sip_code\n"a@b,486\nc@d,503\ne@f,404\n"g@h,486\ni@j,480\n'
    parsed = parse(data)
    assert [one.ids["call_id"] for one in parsed.observations] == ["c@d", "e@f", "i@j"]
    assert [one.line for one in parsed.broken] == [2, 5]


def test_rows_with_the_wrong_number_of_columns_are_broken() -> None:
    """More cells or fewer than the header line: broken, with the line."""
    parsed = parse(b"call_id,sip_code\na@b\nc@d,200\ne@f,200,x\n")
    assert [one.line for one in parsed.broken] == [2, 4]
    assert [one.ids["call_id"] for one in parsed.observations] == ["c@d"]


@pytest.mark.parametrize("row", [",200", "a@b,200\x00,", "x" * 70_000 + ",200"])
def test_a_row_without_an_id_or_too_long_is_broken(row: str) -> None:
    """What cannot be matched to any call, or is absurd, is broken; the next row is read."""
    parsed = parse(f"call_id,sip_code\n{row}\nc@d,200\n".encode())
    assert [one.line for one in parsed.broken] == [2]
    assert [one.ids["call_id"] for one in parsed.observations] == ["c@d"]


def test_a_time_that_is_none_breaks_the_row() -> None:
    """A wrong form is not passed over in silence; an empty time is no time."""
    parsed = parse(b"call_id,answer_time\na@b,yesterday\nc@d,\n")
    assert [one.reason for one in parsed.broken] == [
        "answer_time is no time of the form that is expected"
    ]
    assert len(parsed.observations) == 1


UNITS = """
[columns]
id = "call_id"
a = {{ to = "duration_ms", unit = "{unit}" }}
"""


@pytest.mark.parametrize(
    "unit, milliseconds", [("ms", 30.0), ("s", 30_000.0), ("ds", 3_000.0), ("cs", 300.0),
                           ("us", 0.03)]
)  # fmt: skip
def test_units_of_time(unit: str, milliseconds: float) -> None:
    """Each unit is turned into milliseconds."""
    (one,) = _mapped(b"id,a\nx,30\n", UNITS.format(unit=unit))
    assert one.facts["sip.call.duration_ms"] == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "unit, mos", [("mos", "4.1"), ("mos_x10", "41"), ("mos_x100", "410")]
)  # fmt: skip
def test_units_of_scores(unit: str, mos: str) -> None:
    """Scores that are kept times 10 or 100 are brought back; they are the vendor's."""
    text = f'[columns]\nid = "call_id"\nm = {{to="mos", unit="{unit}", direction="out"}}'
    (one,) = _mapped(f"id,m\nx,{mos}\n".encode(), text)
    assert one.untimed[0].mos == pytest.approx(4.1)
    assert one.untimed[0].mos_algorithm == "vendor"


def test_positions_need_no_header_line() -> None:
    """Positions count from 1, and a row that is shorter than the last of them is broken."""
    told = tomllib.loads('[columns]\n1 = "call_id"\n3 = "status_code"')
    parsed = parse(b"a@b,x,486\nc@d,x\n", Reading(columns=told))
    assert [one.ids["call_id"] for one in parsed.observations] == ["a@b"]
    assert [one.line for one in parsed.broken] == [2]


def test_both_ends_of_a_row_are_two_legs() -> None:
    """Columns of the caller's and the callee's end give a leg each; what has no end is of both."""
    text = """
    [columns]
    in_id = { to = "call_id", end = "caller" }
    out_id = { to = "call_id", end = "callee" }
    realm = { to = "endpoint", end = "callee" }
    code = "status_code"
    rx = { to = "packet_count", end = "caller", flow = "received" }
    lost = { to = "lost_count", end = "caller", flow = "received" }
    """
    data = b"in_id,out_id,realm,code,rx,lost\na,b,livekit,200,95,5\n"
    inbound = {one.leg: one for one in _mapped(data, text)}
    assert inbound["pstn"].ids["call_id"] == "a"
    assert inbound["pstn"].untimed[0].direction == "in"
    assert inbound["trunk"].facts["sip.response.status_code"] == 200
    turned = {one.leg: one for one in _mapped(data, text, bridge=Bridge(end="caller"))}
    assert turned["trunk"].ids["call_id"] == "a"
    assert turned["trunk"].untimed[0].direction == "out"
    assert turned["pstn"].facts["trunk.id"] == "livekit"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_maps(example: Path) -> None:
    """Each map that the documentation ships can be read, and says nothing of an empty file."""
    told = tomllib.loads(example.read_text())
    assert parse(b"", Reading(columns=told)) == parse(b"")


def test_the_maps_of_the_how_to_are_maps() -> None:
    """Each map that the page on SBC records shows can be read."""
    page = (EXAMPLES.parent / "how-to" / "sbc-records.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert parse(b"", Reading(columns=tomllib.loads(block))) == parse(b"")


def test_a_leg_of_audiocodes_says_who_hung_up() -> None:
    """TrmSd is of the leg: its far end on the incoming leg is the caller."""
    told = tomllib.loads((EXAMPLES / "audiocodes-signalling.toml").read_text())
    data = (HERE / "made-audiocodes-signalling.csv").read_bytes()
    first, second, busy = parse(data, Reading(columns=told)).observations
    assert first.facts["sip.hangup.source"] == "caller"
    assert "sip.hangup.source" not in second.facts
    assert (busy.facts["sip.response.status_code"], busy.facts["sip.hangup.source"]) == (
        486,
        "callee",
    )
    assert first.facts["sip.reason.q850"] == 16


@pytest.mark.parametrize(
    "text, field, value",
    [
        ('[columns]\nx = "packets"', "columns.x.to", "packets"),
        ('[columns]\nx = "lost_count"', "columns.x", "lost_count"),
        ('[columns]\nx = { to = "mos", direction = "up" }', "columns.x.direction", "up"),
        ('[columns]\nx = { to = "call_id", unit = "ms" }', "columns.x.unit", "ms"),
        ('[columns]\nx = { to = "setup_ms", unit = "hours" }', "columns.x.unit", "hours"),
        ('[columns]\nx = { to = "end_time", form = "whenever" }', "columns.x.form", "whenever"),
        ('[columns]\nx = { to = "end_time", form = "%Q" }', "columns.x.form", "%Q"),
        ('[columns]\nx = { to = "call_id", form = "iso" }', "columns.x.form", "iso"),
        ('[columns]\nx = { too = "call_id" }', "columns.x", "too"),
        ('[columns]\nx = { to = "direction", values = { I = "in" } }', "columns.x.values", "in"),
        ("[columns]\nx = 7", "columns.x", 7),
        ('[columns]\n0 = "call_id"', "columns.0", 0),
        ('delimiter = "||"\n[columns]\nx = "call_id"', "columns.delimiter", "||"),
        ('colour = "red"\n[columns]\nx = "call_id"', "columns", "colour"),
        ('end = "left"\n[columns]\nx = "call_id"', "columns.end", "left"),
        ("width = 3", "columns.columns", None),
        ("[columns]", "columns", 0),
    ],
)
def test_a_wrong_map_names_what_is_wrong(text: str, field: str, value: object) -> None:
    """ConfigurationError with field, value and fix, whatever the file holds."""
    with pytest.raises(ConfigurationError) as caught:
        parse(b"a,b\n1,2\n", Reading(columns=tomllib.loads(text)))
    assert (caught.value.field, caught.value.value) == (field, value)
    assert caught.value.fix


def test_a_map_for_another_file_is_told() -> None:
    """None of the names in the header line: broken, and so is every row."""
    told = tomllib.loads('[columns]\nSIPCallId = "call_id"')
    parsed = parse(b"a,b\n1,2\n", Reading(columns=told))
    assert [one.line for one in parsed.broken] == [1, 2]


def test_no_number_stands_in_clear() -> None:
    """Numbers in columns that name parties are masked, and hidden in every other text."""
    text = """
    [columns]
    id = "call_id"
    who = "person"
    why = "reason"
    from = "caller_number"
    """
    row = "15551230001-x@b,15551230001,call from 15551230001 failed,+15551230001"
    (one,) = _mapped(f"id,who,why,from\n{row}\n".encode(), text)
    assert "5551230001" not in repr(one)


def test_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    """CRLF, LF and a BOM give the same."""
    assert parse(b"\xef\xbb\xbf" + CANONICAL.replace(b"\n", b"\r\n")).observations == (
        parse(CANONICAL).observations
    )


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), mapped=st.booleans())
def test_parsing_is_total(seed: int, mapped: bool) -> None:
    """Whatever bytes change, rows are observations, broken or ignored, and nothing is raised."""
    chance = random.Random(seed)
    name = "made-audiocodes-signalling.csv" if mapped else "made-canonical.csv"
    data = bytearray((HERE / name).read_bytes())
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    told = tomllib.loads((EXAMPLES / "audiocodes-signalling.toml").read_text()) if mapped else {}
    parsed = parse(bytes(data), Reading(columns=told))
    assert parsed.observations or parsed.broken or parsed.ignored
    assert all(1 <= one.line <= data.count(b"\n") + 1 and one.reason for one in parsed.broken)


def test_times_in_every_form() -> None:
    """Seconds and milliseconds since 1970, ISO 8601, Cisco's fashion, and forms of strptime."""
    forms = {
        "epoch": "1795438805",
        "epoch_ms": "1795438805000",
        "iso": "2026-11-23T13:00:05Z",
        "gateway": "13:00:05.000 UTC Mon Nov 23 2026",
        "%d.%m.%Y %H:%M:%S": "23.11.2026 13:00:05",
        "any": "Mon, 23 Nov 2026 13:00:05 +0000",
    }
    for form, told in forms.items():
        text = f'[columns]\nid = "call_id"\nt = {{ to = "answer_time", form = "{form}" }}'
        (one,) = _mapped(f'id,t\na@b,"{told}"\n'.encode(), text)
        assert one.start == 1_795_438_805.0, form


def test_who_hung_up_as_a_leg_tells_it() -> None:
    """`other_end` of the caller's leg is the callee; without an end nobody knows."""
    text = """
    [columns]
    id = "call_id"
    by = { to = "hangup_source", values = { far = "this_end", us = "other_end" } }
    """
    row = b"id,by\na@b,us\n"
    (one,) = _mapped(row, 'end = "caller"\n' + text)
    assert one.facts["sip.hangup.source"] == "callee"
    (nobody,) = _mapped(row, text)
    assert "sip.hangup.source" not in nobody.facts


def test_a_window_without_one_of_its_times() -> None:
    """The duration stands in for a missing answer or end."""
    header = b"call_id,answer_time,end_time,duration_s,packets_received\n"
    for row in (b"a@b,1795438805,,60,5\n", b"a@b,,1795438865,60,5\n"):
        (one,) = parse(header + row).observations
        assert [(w.start, w.end) for w in one.windows] == [(1_795_438_805.0, 1_795_438_865.0)]


def test_losses_reported_of_what_was_sent_are_derived() -> None:
    """Lost of sent packets is a ratio of two tellers; sent packets alone are a count."""
    header = "call_id,pstn_out_packets_sent,pstn_out_packets_lost"
    (window,) = _one(header, "a@b,200,3").untimed
    assert (window.loss_ratio, window.loss_method, window.packet_count) == (0.015, "derived", None)
    (sent,) = _one(header, "a@b,200,").untimed
    assert (sent.loss_ratio, sent.packet_count) == (None, 200)


def test_a_record_id_of_its_own() -> None:
    """The SBC's id of a record names it."""
    assert _one("record_id,sip_code", "r-1,200").record_id == "r-1"


@pytest.mark.parametrize("none", ["0", "0000-00-00 00:00:00", "0.0", ""])
@pytest.mark.parametrize("code", ["", "486"])
def test_a_time_of_zeros_is_no_answer(none: str, code: str) -> None:
    """What SBCs write for no time does not answer a call."""
    one = _one(
        "call_id,status_code,setup_time,answer_time,end_time",
        f"a-1,{code},2026-11-23T00:00:00Z,{none},2026-11-23T00:00:30Z",
    )
    assert one.facts.get("sip.response.status_code") == (int(code) if code else None)
    assert one.facts.get("sip.call.outcome") == ("busy" if code else None)
    assert {mark.kind for mark in one.marks} == {"invite", "hangup"}


@pytest.mark.parametrize(
    "answer, end, more, answered",
    [
        ("13:21:31.420 UTC Mon Nov 23 2026", "13:21:31.420 UTC Mon Nov 23 2026", ",", False),
        ("13:21:31.420 UTC Mon Nov 23 2026", "13:21:31.421 UTC Mon Nov 23 2026", ",", True),
        ("13:21:31.420 UTC Mon Nov 23 2026", "13:21:31.420 UTC Mon Nov 23 2026", ",1", True),
        ("13:21:31.420 UTC Mon Nov 23 2026", "13:21:31.420 UTC Mon Nov 23 2026", "200,", True),
        ("2026-11-23 13:21:31", "2026-11-23 13:21:31", ",", True),
    ],
)
def test_an_answer_at_the_end_is_none(answer: str, end: str, more: str, answered: bool) -> None:
    """Cisco writes the end for the answer, to the millisecond; a whole second may be a call's."""
    header = "call_id,answer_time,end_time,status_code,duration_s"
    facts = _one(header, f"a@b,{answer},{end},{more}").facts
    assert facts.get("sip.response.status_code") == (200 if answered else None)


def test_minus_one_without_its_sign_is_missing() -> None:
    """4294967295 packets, or that jitter, were never measured."""
    one = _one("call_id,packets_received,packets_lost,jitter,mos", "a@b,4294967295,0,4294967295,4")
    assert one.untimed[0].measures() == {"lost_count": 0, "mos": 4.0, "mos_algorithm": "vendor"}


def test_legs_of_a_cisco_gateways_file() -> None:
    """`answer` is the caller's leg; a leg that nobody answered has a cause and no code."""
    told = tomllib.loads((EXAMPLES / "cisco-gateway-file.toml").read_text())
    data = (HERE / "made-cisco-gateway-file.csv").read_bytes()
    parsed = parse(data, Reading(columns=told))
    assert (parsed.broken, parsed.ignored) == ((), 1)
    first, second, nobody = parsed.observations
    assert (first.leg, second.leg) == ("pstn", "trunk")
    assert first.facts["sip.call.duration_ms"] == 4_320.0
    assert first.facts["sip.reason.q850"] == 16
    assert second.facts["sip.pdd_ms"] == 400.0
    assert nobody.facts["sip.reason.q850"] == 19
    assert "sip.response.status_code" not in nobody.facts
    assert "555555" not in repr(parsed)


def test_titles_of_newer_audiocodes_releases() -> None:
    """`Intrv` for PacketInterval, and -1 without its sign for what was not measured."""
    told = tomllib.loads((EXAMPLES / "audiocodes-media.toml").read_text())
    data = (HERE / "made-audiocodes-media-titles.csv").read_bytes()
    first, second = parse(data, Reading(columns=told)).observations
    assert first.ids["linked_id"] == "c62532:22:998"
    assert first.facts["rtp.ptime_ms"] == 20
    heard = next(w for w in first.untimed if w.direction == "in")
    assert (heard.packet_count, heard.lost_count, heard.jitter_ms) == (397, 3, 0.5)
    assert "rtp.ptime_ms" not in second.facts
    assert "rtp.codec" not in second.facts
    assert all(window.packet_count is None for window in second.untimed)
    assert all(window.jitter_ms is None for window in second.untimed)


@pytest.mark.parametrize("before", ["", "14:35:51.053 192.0.2.80 local1.info [S=3] "])
def test_rows_are_selected_by_a_title(before: str) -> None:
    """The column that says what a row is may be named: whatever stands before it in a syslog."""
    told = tomllib.loads((EXAMPLES / "audiocodes-signalling.toml").read_text())
    bar = "|" if before else ""
    lines = [
        "SBCReportType |EPTyp |SIPCallId |SessionId |Orig |Duration",
        "CALL_START |SBC |a@b |s:1 |RMT |0",
        "CALL_END |SBC |a@b |s:1 |RMT |30",
        "MediaReportType |SIPCallId |SessionId |MediaType |Coder",
        "MEDIA_END |a@b |s:1 |AUDIO |g711Alaw64k",
    ]
    data = "".join(f"{before}{bar}{line}\n" for line in lines).encode()
    parsed = parse(data, Reading(columns=told))
    (one,) = parsed.observations
    assert (one.leg, one.facts["sip.call.duration_ms"]) == ("pstn", 30_000.0)
    assert (parsed.broken, parsed.ignored) == ((), 4)


def test_a_title_that_selects_rows_and_that_no_header_line_has() -> None:
    """It is told once: else a misspelt title would pass over the whole file in silence."""
    told = {"rows": {"column": "ReportTipe", "values": ["END"]},
            "columns": {"Call-ID": "call_id"}}  # fmt: skip
    data = b"ReportType,Call-ID\nEND,a@b\nEND,c@d\n"
    parsed = parse(data, Reading(columns=told))
    assert [one.line for one in parsed.broken] == [1]
    assert "rows" in parsed.broken[0].reason
    assert (parsed.observations, parsed.ignored) == ((), 2)
