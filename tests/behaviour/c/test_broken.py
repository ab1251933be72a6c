"""Damage: each broken record is named with its line, the good ones are still printed, nothing
raises, nothing is dropped in silence and no number comes out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from behaviour.b.console import Ran, run
from trunktrace.sources.output import as_json
from trunktrace.sources.table import SOURCES

from .shelf import HOME, NUMBER, assert_shape, parsed, raw

FILES = [
    ("asterisk-ami", "asterisk/02-busy-486/ami.txt"),
    ("asterisk-cdr", "asterisk/02-busy-486/Master.csv"),
    ("asterisk-ari", "asterisk/01-clean/ari-channels-live.json"),
    ("asterisk-ari", "asterisk/01-clean/ari-rtp_statistics-live-caller.json"),
    ("freeswitch-cdr", "freeswitch/02-loss5-caller-in/a-leg.cdr.json"),
    ("freeswitch-esl", "freeswitch/03-busy-486/esl-json.txt"),
    ("freeswitch-esl", "freeswitch/03-busy-486/esl-plain.txt"),
    ("kamailio-acc", "kamailio/05-unavailable-503/kamailio.log"),
    ("kamailio-acc-json", "kamailio/05-unavailable-503/json_acc.log"),
    ("hep", "kamailio/05-unavailable-503/hep-sip.hex"),
    ("hep", "rtpengine/07-one-way-callee-silent/hep-rtcp.hex"),
    ("rtpengine", "rtpengine/02-loss5-caller-to-proxy/ng-delete.json"),
    ("rtpengine", "rtpengine/02-loss5-caller-to-proxy/ng-delete.bencode"),
    ("rtpengine", "rtpengine/02-loss5-caller-to-proxy/ng.jsonl"),
    ("rtpengine", "rtpengine/02-loss5-caller-to-proxy/rtpengine.log"),
    ("vq-rtcpxr", "vq-rtcpxr/snom821-callterm.txt"),
    ("vq-rtcpxr", "vq-rtcpxr/linphone-clean/07-caller-VQSessionReport.publish.txt"),
    ("twilio-status", "twilio/status-busy-486.form"),
    ("twilio-summary", "twilio/call-summary-carrier-inbound.json"),
    ("telnyx", "telnyx/hangup-487-originator-cancel.json"),
    ("plivo", "plivo/hangup-completed.form"),
    ("plivo", "plivo/vobiz-inbound-hangup.json"),
    ("vonage", "vonage/event-completed.json"),
    ("signalwire", "signalwire/status-completed-58s.form"),
]
IDS = [f"{source}-{Path(name).name}" for source, name in FILES]
EACH = pytest.mark.parametrize("source,name", FILES, ids=IDS)


def total(data: bytes, source: str):
    """What a reader makes of anything: it does not raise, keeps the shape, says no number."""
    found = SOURCES[source].parse(data)
    records = [as_json(each) for each in found.observations]
    assert_shape(records, source)
    said = repr(found)
    leak = NUMBER.search(said)
    assert leak is None, said[max(0, leak.start() - 80) : leak.end()]
    for each in found.broken:
        assert each.line >= 1
        assert each.reason
        assert "\n" not in each.reason
    return found


def command(source: str, data: bytes, folder: Path) -> Ran:
    """`trunktrace parse SOURCE FILE`; no number in what is printed."""
    file = folder / "records"
    file.write_bytes(data)
    ran = run("parse", source, file)
    for text in (ran.out, ran.err):
        leak = NUMBER.search(text)
        assert leak is None, text[max(0, leak.start() - 80) : leak.end()]
    assert "Traceback" not in ran.err
    return ran


@pytest.mark.parametrize("source", list(SOURCES))
@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\r\n\r\n", b"  \n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"]
)
def test_nothing_is_nothing(source, data, tmp_path):
    """An empty file and one of blank lines: exit 0 and an empty list."""
    ran = command(source, data, tmp_path)
    assert (ran.code, ran.json, ran.err) == (0, [], "")


@pytest.mark.parametrize("source", [name for name in SOURCES if not name.startswith("livekit")])
@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\xfe\x80garbage +15555550199\n",
        b"{broken +15555550199\n",
        b"[1,2\n",
        b"null\n",
        b"7\n",
        b'"x"\n',
        b"[]x\n",
        b"HEP3\xff\xff\x00",
        b"d3:abc",
        b"\xc3\x28\n",
        b"a" * 100,
        b"VQSessionReport: CallTerm\n",
        b"Event: \n\n",
        b"{" * 300,
        b"[" * 100_000,
        b"4845503300ff\n",
        b"ssrc=;lp=x\n",
        b'"a","b"\n',
        b"\x00" * 5000,
    ],
    ids=lambda d: repr(d[:16]),
)
def test_what_is_no_record_is_said_so(source, data):
    """Never an exception; not an observation; told as broken or counted as ignored."""
    found = total(data, source)
    assert found.observations == ()
    assert len(found.broken) + found.ignored >= 1, "dropped in silence"


@EACH
def test_a_file_cut_anywhere_is_survived(source, name):
    """Cut at each of many places: no exception; what stands is of the whole file's calls."""
    data = (HOME / name).read_bytes()
    whole = total(data, source)
    ids = {o.ids.get("call_id") for o in whole.observations}
    for cut in range(0, len(data), max(1, len(data) // 60)):
        found = total(data[:cut], source)
        if cut:
            said = len(found.observations) + len(found.broken) + found.ignored
            assert said >= 1 or not data[:cut].strip(), cut
        for each in found.observations:
            is_form = name.endswith(".form")  # nothing tells that its last value was cut
            if not is_form and each.ids.get("call_id", next(iter(ids))) not in ids:
                assert found.broken, f"a cut id is taken for an id at {cut}: {dict(each.ids)}"


LINES = {"asterisk-cdr", "kamailio-acc", "kamailio-acc-json"}


@pytest.mark.parametrize(
    "source,name",
    [
        f
        for f in FILES
        if f[0]
        in {"asterisk-cdr", "kamailio-acc-json", "hep", "twilio-status", "plivo", "signalwire"}
        or f[1].endswith("ng.jsonl")
    ],
)
@pytest.mark.parametrize("at", ["first", "middle", "last"])
def test_a_garbage_line_among_good_ones_is_named(source, name, at, tmp_path):
    """Exit 65, FILE:LINE: reason, and the good records as without it."""
    rows = (HOME / name).read_bytes().rstrip(b"\n").split(b"\n")
    if name.endswith(".json"):
        rows = [json.dumps(json.loads(b"\n".join(rows))).encode()]
    garbage = {
        "asterisk-cdr": b'"+15555550199","x"',
        "hep": b"48455033zz+15555550199",
        "kamailio-acc-json": b'Nov 23 01:22:52 sbc1 json_acc[318]: {"time": 1, +15555550199',
    }.get(source, b'{"From": "+15555550199", broken')
    place = {"first": 0, "middle": len(rows) // 2, "last": len(rows)}[at]
    wanted = command(source, b"\n".join(rows) + b"\n", tmp_path)
    assert wanted.code == 0, wanted.err
    ran = command(source, b"\n".join([*rows[:place], garbage, *rows[place:]]) + b"\n", tmp_path)
    assert ran.code == 65, ran.err
    assert [int(each["line"]) for each in ran.reasons] == [place + 1], ran.err
    assert ran.reasons[0]["file"].endswith("records")
    assert ran.json == wanted.json


@pytest.mark.parametrize(
    "line",
    [
        b"ACC: transaction answered: timestamp=x;method=INVITE",
        b"ACC: transaction answered: method=INVITE;code=486;reason=x",
        b"ACC: call missed: timestamp=1795396972;method=INVITE;from_tag=a",
    ],
)
def test_an_accounting_line_without_its_call_is_broken(line):
    """An essential field is missing: not ignored, not an observation of nothing."""
    data = b"Nov 23 01:22:52 sbc1 kamailio[318]: NOTICE: acc [acc.c:261]: acc_log_request(): "
    found = total(data + line + b"\n", "kamailio-acc")
    assert [each.line for each in found.broken] == [1]
    assert found.observations == ()


def test_an_ami_event_without_sense_is_named_and_the_rest_stands(tmp_path):
    """A line that is no `Key: value` inside an event, at its line."""
    data = raw("asterisk", "02-busy-486", "ami.txt")
    events = data.split(b"\r\n\r\n")
    at = next(i for i, e in enumerate(events) if e.startswith(b"Event: DialBegin"))
    wanted = command("asterisk-ami", data, tmp_path)
    bad = b"Event: Hangup\r\n+15555550199 garbage\r\nCause 17"
    mixed = b"\r\n\r\n".join([*events[:at], bad, *events[at:]])
    ran = command("asterisk-ami", mixed, tmp_path)
    assert ran.code == 65, ran.err
    assert ran.json == wanted.json
    line = mixed[: mixed.index(b"+15555550199 garbage")].count(b"\n") + 1
    assert [int(each["line"]) for each in ran.reasons] in ([line - 1], [line]), ran.err


@pytest.mark.parametrize("wrong", [0, 5, 0xFFFF, 40])
def test_a_hep_packet_with_a_wrong_length_is_broken_alone(wrong):
    """As hex lines each packet stands alone."""
    rows = raw("kamailio", "05-unavailable-503", "hep-sip.hex").split()
    whole = parsed("hep", b"\n".join(rows))
    bad = rows[0][:8] + b"%04x" % wrong + rows[0][12:]
    found = total(b"\n".join([*rows, bad]), "hep")
    assert [each.line for each in found.broken] == [len(rows) + 1]
    assert found.observations == whole.observations


def test_a_chunk_that_goes_beyond_its_packet_is_broken():
    """The length of a chunk says more than there is."""
    row = raw("kamailio", "05-unavailable-503", "hep-sip.hex").split()[0]
    for wrong in (b"ffff", b"0000", b"0003"):
        bad = row[:12] + row[12:20] + wrong + row[24:]
        found = total(bad + b"\n", "hep")
        assert len(found.broken) == 1, wrong
        assert found.observations == ()


@pytest.mark.parametrize(
    "bad",
    [
        b"d3:fooi1",
        b"d3:foo99999999999:x",
        b"di1e3:fooe",
        b"d3:foo-1:xe",
        b"d3:fooi--1ee",
        b"d" * 5000,
        b"l" * 5000,
        b"d3:fooi" + b"9" * 5000 + b"ee",
        b"d3:foo01:xe",
    ],
    ids=lambda d: repr(d[:20]),
)
def test_bencode_that_is_none_is_broken(bad):
    """Truncated, absurd lengths, keys that are no strings, deep nesting, endless numbers."""
    found = total(bad, "rtpengine")
    assert found.observations == ()
    assert len(found.broken) + found.ignored >= 1


def test_frames_of_wrong_length_do_not_eat_the_next(tmp_path):
    """ESL: a frame whose Content-Length lies is broken; a later frame is found again."""
    data = raw("freeswitch", "03-busy-486", "esl-json.txt")
    head = b"Content-Length: 50\nContent-Type: text/event-json\n\n"
    ran = command("freeswitch-esl", data + head + b'{"Event-Name":"CHANNEL_CREATE"', tmp_path)
    assert ran.code == 65
    assert ran.json == command("freeswitch-esl", data, tmp_path).json


@EACH
def test_bytes_that_are_no_text_are_survived(source, name):
    """Non-UTF-8 in values, NUL bytes, lone surrogates: no exception."""
    data = (HOME / name).read_bytes()
    for old, new in (
        (b"0199", b"01\xff9"),
        (b"sip", b"s\x00p"),
        (b"e", b"\xc3\x28"),
        (b"1", b"\xed\xa0\x80"),
    ):
        total(data.replace(old, new), source)


@EACH
@pytest.mark.parametrize(
    "filler",
    [b"a", b"1", b" ", b";", b"=", b'"', b"[", b"{", b"0", b"d1:", b"+", b"\\", b":", b"&"],
)
def test_a_line_of_a_megabyte_is_one_record_and_quick(source, name, filler):
    """No reader takes a second over it, and one line is not a million broken records."""
    data = (HOME / name).read_bytes()
    long = filler * (1_000_000 // len(filler))
    for text in (long, data + b"\n" + long + b"\n", data.replace(b"0199", long, 1)):
        began = time.process_time()
        found = SOURCES[source].parse(text)
        assert time.process_time() - began < 1.0
        assert len(found.broken) + found.ignored < 1000, "one line, so many records"


@EACH
def test_each_value_may_be_of_any_type(source, name):
    """JSON records with a value of another type at each place: no exception, the shape kept."""
    data = (HOME / name).read_bytes()
    try:
        document = json.loads(data)
    except ValueError:
        pytest.importorskip("json")
        return
    hostile: list[Any] = [
        None,
        True,
        -1,
        1e308,
        10**400,
        "",
        "12",
        [],
        {},
        [None],
        "\ud800",
        float("nan"),
        "+15555550199",
        "9" * 400,
        -(10**30),
        "1e999",
    ]

    def places(value, at=()):
        items = value.items() if isinstance(value, dict) else enumerate(value[:2])
        for key, inner in items:
            yield (*at, key)
            if isinstance(inner, dict | list) and len(at) < 6:
                yield from places(inner, (*at, key))

    for count, place in enumerate(places(document)):
        copy = json.loads(data)
        inner = copy
        for step in place[:-1]:
            inner = inner[step]
        for value in (hostile[count % len(hostile)], hostile[(count * 7 + 3) % len(hostile)]):
            inner[place[-1]] = value
            total(json.dumps(copy).encode("utf-8", "surrogatepass"), source)


@EACH
def test_a_reason_names_a_line_of_the_file(source, name, tmp_path):
    """Garbage in every second line: each reason has a line that is there, and no value."""
    rows = (HOME / name).read_bytes().split(b"\n")
    mixed = b"\n".join(x for row in rows for x in (row, b"\x80+15555550199 {garbage"))
    ran = command(source, mixed, tmp_path)
    assert ran.code in (0, 65)
    for each in ran.reasons:
        assert 1 <= int(each["line"]) <= mixed.count(b"\n") + 1
        assert "garbage" not in each["reason"]
    if ran.code == 65:
        assert len(ran.reasons) == len(ran.err.strip().splitlines())


@EACH
def test_a_file_of_another_system_says_nothing_of_a_call(source, name):
    """The wrong file for a source: no exception, no observation with a code, a loss or a codec."""
    data = (HOME / name).read_bytes()
    family = source.split("-")[0]
    for other in SOURCES:
        if other.split("-")[0] in (family, "livekit", "kamailio", "opensips", "hep", "rtcp", "vq"):
            continue
        if {family, other} <= {
            "twilio",
            "signalwire",
            "plivo",
            "telnyx",
            "twilio-status",
            "telnyx-texml",
        }:
            continue
        found = total(data, other)
        for each in found.observations:
            assert "sip.response.status_code" not in each.facts, (other, dict(each.facts))
