"""rtpengine: its answers, messages and log against the captured calls, and by their traps."""

from __future__ import annotations

import copy
import itertools
import json
import random
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.proxies import CALLS, LOSSY, legs, lossy, parse, record, total, totals, truth
from tests.sources.quick import lines_of_json

from trunktrace.facts import End, Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.output import as_json
from trunktrace.sources.reading import Reading
from trunktrace.sources.rtpengine.bencode import BencodeError, decoded

FILES = ("ng-delete.json", "ng-delete.bencode", "ng.jsonl", "rtpengine.log")
ENDS: tuple[End, End] = ("caller", "callee")
ODD: list[Any] = [None, -1, 0, 1e308, 10**30, "x", [], {}, [[]], True, 0.5]
every_file = pytest.mark.parametrize("name", FILES)


def _legs(call: str, name: str, reading: Reading | None = None) -> dict[End, Observation]:
    parsed = parse("rtpengine", record("rtpengine", call, name), reading)
    assert not parsed.broken
    return legs(parsed)


def _reply(call: str = "02-loss5-caller-to-proxy") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(record("rtpengine", call, "ng-delete.json"))
    return told


def _read(reply: dict[str, Any]) -> dict[End, Observation]:
    return legs(parse("rtpengine", json.dumps(reply).encode()))


def _streams(reply: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The RTP stream of each end, by its label."""
    return {
        tag["label"]: tag["medias"][0]["streams"][0]
        for tag in reply["tags"].values()
        if "label" in tag
    }


def _block(reply: dict[str, Any], end: str) -> dict[str, Any]:
    block: dict[str, Any] = reply["SSRC"][str(_streams(reply)[end]["SSRC"])]
    return block


def _lossy(
    packets: dict[str, int], lost: dict[str, int], percent: dict[str, int]
) -> dict[str, Any]:
    """An answer with these packets received of each end, and these losses heard by each end."""
    reply = _reply("01-clean")
    for end in ENDS:
        stream, block = _streams(reply)[end], _block(reply, end)
        stream["stats"]["packets"] = packets[end]
        stream["last packet"] = 1795396176
        block["cumulative loss"] = lost[end]
        for entry in block["MOS progression"]["entries"]:
            entry["packet loss"] = percent[end]
        block["MOS progression"]["entries"][-1]["reported at"] = 1795396176
    return reply


# The captured calls -----------------------------------------------------------------------------


@every_file
@pytest.mark.parametrize("call", LOSSY)
def test_loss_is_on_its_leg_and_direction(call: str, name: str) -> None:
    """What was dropped on a path is told there and nowhere else, in every file."""
    told = _legs(call, name)
    for end in ENDS:
        paths = truth(call)["legs"][end]
        for way, path in (("by", "in"), ("to", "out")):
            window = lossy(told[end], way)
            assert window.loss_ratio == pytest.approx(paths[path]["loss_ratio"], abs=5e-3)


@every_file
@pytest.mark.parametrize("call, end, way, lost", [(LOSSY[1], "caller", "by", 109),
                         (LOSSY[2], "caller", "to", 98)])  # fmt: skip
def test_the_count_is_as_it_was_counted(
    call: str, end: End, way: str, lost: int, name: str
) -> None:
    """`cumulative loss` is told as it stands."""
    assert lossy(_legs(call, name)[end], way).lost_count == lost


def test_a_count_that_stops_before_the_end() -> None:
    """It is told as it was counted; its ratio is of the packets until the last report."""
    window = total(_legs(LOSSY[2], "ng-delete.json")["caller"], "to")
    assert (window.lost_count, window.loss_method) == (98, "counted")
    assert window.packet_count is None
    assert window.loss_ratio == pytest.approx(98 / (1932 * 34.6 / 38.6), abs=1e-4)
    window = total(_legs(LOSSY[1], "ng-delete.json")["caller"], "by")
    assert (window.lost_count, window.packet_count) == (109, 1892)
    assert (window.loss_ratio, window.loss_method) == (109 / 2001, "counted")
    window = total(_legs(LOSSY[1], "rtpengine.log")["caller"], "by")
    assert (window.lost_count, window.loss_method) == (109, "counted")


@every_file
def test_one_way_audio(name: str) -> None:
    """Nothing received of an end is a count of 0, and no loss is made up; there is no MOS."""
    told = _legs("07-one-way-callee-silent", name)
    assert total(told["callee"], "by").packet_count == 0
    assert total(told["caller"], "to").packet_count == 0
    assert total(told["caller"], "by").packet_count == 1431
    assert total(told["callee"], "to").packet_count == 1431
    for one in told.values():
        assert all(w.loss_ratio is None and w.mos is None for w in (*one.windows, *one.untimed))


@every_file
@pytest.mark.parametrize("call", [name for name in CALLS if name[:2] in ("04", "05", "06")])
def test_a_call_that_nobody_answered(call: str, name: str) -> None:
    """It has the caller's leg alone, without packets: none could be expected."""
    told = _legs(call, name)
    assert list(told) == ["caller"]
    assert not told["caller"].windows
    assert not told["caller"].untimed
    assert "rtp.codec" not in told["caller"].facts


@every_file
@pytest.mark.parametrize("call", LOSSY)
def test_codec_and_ids(call: str, name: str) -> None:
    """The codec of each leg; the Call-ID where the record has it, the tags always."""
    facts = truth(call)
    for one in _legs(call, name).values():
        assert one.facts["rtp.codec"] == "pcmu"
        assert one.facts["rtp.clock_rate_hz"] == 8000
        assert {"from_tag", "to_tag"} <= one.ids.keys()
        assert one.ids.get("call_id") == (None if "delete" in name else facts["call_id"])
        assert one.ids.get("linked_id") == one.ids.get("call_id")


def test_what_the_messages_add() -> None:
    """The SDP gives packet time and the codec of an end that sent nothing, and its SIP host."""
    told = _legs("07-one-way-callee-silent", "ng.jsonl")
    assert told["callee"].facts["rtp.codec"] == "pcmu"
    assert told["callee"].facts["rtp.ptime_ms"] == 20
    assert told["callee"].ids["host"] == "192.0.2.111"
    assert "rtp.codec" not in _legs("07-one-way-callee-silent", "ng-delete.json")["callee"].facts


@pytest.mark.parametrize("call", CALLS)
def test_json_and_bencode_say_the_same(call: str) -> None:
    """The same answer in both ways of writing."""
    assert _legs(call, "ng-delete.json") == _legs(call, "ng-delete.bencode")


def test_an_error_is_ignored() -> None:
    """`Unknown call-id` is an answer that says nothing, not a broken one."""
    for name in ("ng-query-after-end.json", "ng-query-after-end.bencode"):
        parsed = parse("rtpengine", record("rtpengine", LOSSY[1], name))
        assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 1)


def test_the_answer_to_delete_replaces_the_one_to_query() -> None:
    """Of two answers about one call the last one counts."""
    query = record("rtpengine", "01-clean", "ng-query-live.json")
    both = query + b"\n" + record("rtpengine", "01-clean", "ng-delete.json")
    for data, packets in ((query, 1679), (both, 1683)):
        told = totals(legs(parse("rtpengine", data))["caller"], "by")
        assert told[0].packet_count == packets


def test_answers_with_their_cookie() -> None:
    """As they came over UDP, in either way of writing."""
    for name in ("ng-delete.json", "ng-delete.bencode"):
        data = record("rtpengine", LOSSY[1], name)
        told = parse(
            "rtpengine", b"0_1_9 " + b" ".join(data.split(b"\n") if "json" in name else [data])
        )
        assert told == parse("rtpengine", data)


def test_later_versions_of_the_log() -> None:
    """They count what goes out beside what comes in."""
    log = record("rtpengine", LOSSY[1], "rtpengine.log").decode()
    later = log.replace(", 1892 p,", ", in 1892 p,").replace(" 0 ts", " 0 ts, out 7 p, 9 b, 0 e")
    assert parse("rtpengine", later.encode()) == parse("rtpengine", log.encode())


# Whose leg --------------------------------------------------------------------------------------


def test_nothing_says_where_the_bridge_is() -> None:
    """Without a name the callee's end is assumed, and no direction of the call is stated."""
    for one in _legs("01-clean", "ng.jsonl").values():
        assert (one.bridge_end, one.bridge_end_by) == ("callee", "assumed")
        assert "sip.call.direction" not in one.facts


@pytest.mark.parametrize("host", ["192.0.2.101", "192.0.2.111"])
def test_the_bridge_by_its_address(host: str) -> None:
    """The address of an end's media or signalling names the bridge."""
    reading = Reading(bridge=Bridge(frozenset({host})))
    told = _legs(LOSSY[1], "ng-delete.json", reading)
    is_caller = host.endswith("101")
    assert told["caller"].leg == ("trunk" if is_caller else "pstn")
    assert told["caller"].facts["sip.call.direction"] == "outbound" if is_caller else "inbound"
    assert total(told["caller"], "by").lost_count == 109


def test_without_labels_the_first_tag_is_the_caller() -> None:
    """Labels are the operator's; without them the tag that offered stands first."""
    reply = _reply()
    for tag in reply["tags"].values():
        del tag["label"]
    assert total(_read(reply)["caller"], "by").lost_count == 109


def test_labels_count_more_than_order() -> None:
    """With labels the order of the tags says nothing."""
    reply = _reply()
    reply["tags"] = dict(reversed(reply["tags"].items()))
    assert _read(reply) == _read(_reply())


def test_a_forked_call() -> None:
    """Of several callees the one that sent most is the callee."""
    reply = _reply()
    fork = copy.deepcopy(list(reply["tags"].values())[1])
    fork["tag"] = "other"
    fork["medias"][0]["streams"][0]["stats"]["packets"] = 3
    reply["tags"] = {"other": fork, **reply["tags"]}
    assert _read(reply)["callee"].ids["to_tag"] == "0d3a824540790a02"


# Where packets were lost ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packets, lost, before",
    [
        # (caller, callee) received; lost as heard by (caller, callee); lost before rtpengine
        ((1500, 1500), (0, 0), (0, 0)),
        ((1425, 1500), (0, 75), (75, 0)),
        ((1500, 1500), (0, 75), (0, 0)),
        ((1500, 1500), (75, 0), (0, 0)),
        ((1500, 1425), (75, 0), (0, 75)),
        ((1460, 1500), (0, 100), (40, 0)),
        ((1425, 1500), (80, 75), (75, 0)),
        ((1425, 1380), (120, 75), (75, 120)),
        ((1508, 1500), (0, 75), (0, 0)),
    ],
)
def test_where_it_was_lost(
    packets: tuple[int, int], lost: tuple[int, int], before: tuple[int, int]
) -> None:
    """The counts of rtpengine itself tell which side of it lost what an end misses."""
    percent = [int(100 * n / 1500) for n in lost]
    reply = _lossy(
        dict(zip(ENDS, packets, strict=True)),
        dict(zip(ENDS, lost, strict=True)),
        dict(zip(ENDS, percent, strict=True)),
    )
    told = _read(reply)
    assert [total(told[end], "by").lost_count for end in ENDS] == list(before)
    behind = [lost[0] - before[1], lost[1] - before[0]]
    assert [total(told[end], "to").lost_count for end in ENDS] == behind


@pytest.mark.parametrize(
    "packets, lost",
    [((700, 1500), (0, 75)), ((1500, 1500), (75, 75)), ((1500, 900), (0, 75))],
)
def test_where_nobody_can_know(packets: tuple[int, int], lost: tuple[int, int]) -> None:
    """An end that is silent at times, or losses that cancel out: told of the caller's leg.

    It is derived, and nothing is then said of the other leg's loss.
    """
    percent = {"caller": 100 * lost[0] // packets[1], "callee": 100 * lost[1] // packets[0]}
    told = _read(_lossy(dict(zip(ENDS, packets, strict=True)),
                        dict(zip(ENDS, lost, strict=True)), percent))  # fmt: skip
    window = total(told["caller"], "by")
    assert (window.lost_count, window.packet_count) == (75, packets[0])
    assert window.loss_method == "derived"
    assert total(told["callee"], "to").loss_ratio is None
    assert total(told["callee"], "to").lost_count is None


def test_a_count_that_the_reports_contradict() -> None:
    """With loss on both ways the count was seen wrong: then the mean of the percents is told."""
    reply = _lossy({"caller": 1425, "callee": 1500}, {"caller": 136, "callee": 75},
                   {"caller": 2, "callee": 4})  # fmt: skip
    window = total(_read(reply)["caller"], "to")
    assert window.lost_count is None
    assert window.loss_method == "derived"
    assert window.loss_ratio == pytest.approx(0.025, abs=1e-3)


def test_a_count_of_bursts() -> None:
    """With loss on one way alone the count is believed: percents are samples, and miss bursts."""
    reply = _lossy({"caller": 1500, "callee": 1500}, {"caller": 300, "callee": 0},
                   {"caller": 1, "callee": 0})  # fmt: skip
    window = total(_read(reply)["caller"], "to")
    assert (window.lost_count, window.loss_ratio) == (300, 0.2)


def test_a_negative_count_is_unknown() -> None:
    """24 bits that leaked their sign are no loss of 16 million packets."""
    reply = _lossy({"caller": 1500, "callee": 1500}, {"caller": 0xFFFFFF, "callee": 0},
                   {"caller": 0, "callee": 0})  # fmt: skip
    assert total(_read(reply)["caller"], "to").loss_ratio == 0.0
    assert total(_read(reply)["caller"], "to").lost_count is None


# Reports ----------------------------------------------------------------------------------------


def test_reports_are_windows() -> None:
    """Each report says what its own seconds were like; MOS 0 is unknown, its loss is not."""
    told = _legs(LOSSY[1], "ng-delete.json")
    short = [w for w in told["callee"].windows if w.duration_s <= 10]
    assert len(short) == 7
    assert short[0].mos is None
    assert [w.mos for w in short[1:]] == [4.1, 4.1, 4.0, 3.9, 4.2, 3.8]
    assert {w.mos_algorithm for w in short[1:]} == {"rtpengine"}
    assert [(a.end, b.start) for a, b in itertools.pairwise(short) if a.end != b.start] == []
    assert short[-1].rtt_ms == 0.35
    assert all(w.loss_ratio is None for w in short)
    lost = [w for w in told["caller"].windows if w.loss_ratio and w.duration_s <= 10]
    assert [w.loss_ratio for w in lost] == [0.055, 0.045, 0.045, 0.055, 0.065, 0.035, 0.075]
    assert {w.loss_method for w in lost} == {"derived"}
    assert {w.leg for w in lost} == {told["caller"].leg}


def test_a_report_after_a_long_gap() -> None:
    """It does not speak for the time in which none came."""
    reply = _reply()
    entries = _block(reply, "callee")["MOS progression"]["entries"]
    del entries[1:5]
    told = [w for w in _read(reply)["callee"].windows if w.duration_s <= 12]
    assert [w.duration_s for w in told][1:] == [5.0, 5.0]


def test_scaled_values() -> None:
    """MOS is divided by ten, microseconds by a thousand; 0 of either is unknown."""
    reply = _reply()
    average = _block(reply, "caller")["average MOS"]
    average |= {"MOS": 37, "round-trip time": 90_000, "round-trip time leg": 61_500, "jitter": 12}
    window = total(_read(reply)["caller"], "to")
    assert (window.mos, window.rtt_ms, window.jitter_ms) == (3.7, 61.5, 12.0)
    average |= {"MOS": 0, "round-trip time": 0, "round-trip time leg": 0, "jitter": 0}
    window = total(_read(reply)["caller"], "to")
    assert (window.mos, window.rtt_ms, window.jitter_ms) == (None, None, None)


def test_media_that_nobody_sent_after_an_answer() -> None:
    """An answered call without a packet says 0 of both ends."""
    reply = _reply("07-one-way-callee-silent")
    for stream in _streams(reply).values():
        stream["stats"]["packets"] = 0
        stream.pop("SSRC", None)
    told = _read(reply)
    assert {total(told[end], "by").packet_count for end in ENDS} == {0}


def test_the_callee_hangs_up() -> None:
    """A `delete` with the callee's From tag came with its BYE; one with the caller's may be a
    failure's as well."""
    lines = [json.loads(line) for line in record("rtpengine", LOSSY[1], "ng.jsonl").splitlines()]
    assert all("sip.hangup.source" not in one.facts for one in _legs(LOSSY[1], "ng.jsonl").values())
    for line in lines:
        if "6:delete" in line["raw"]:
            line["raw"] = line["raw"].replace("ab28a000ebd7a49b", "0d3a824540790a02")
    told = legs(parse("rtpengine", "\n".join(map(json.dumps, lines)).encode()))
    assert {one.facts["sip.hangup.source"] for one in told.values()} == {"callee"}


def test_a_log_with_the_year() -> None:
    """ISO times give the windows their times: the end, and the length of the call before it."""
    text = record("rtpengine", LOSSY[1], "rtpengine.log").decode()
    log = text.replace("Nov 23 ", "2026-11-23T").replace(" sbc1", ".25+00:00 sbc1")
    told = legs(parse("rtpengine", log.encode()))
    assert told["caller"].end == 1795396293.25
    assert told["caller"].start == 1795396253.25
    assert total(told["caller"], "by").lost_count == 109


@pytest.mark.parametrize("lost", [110, 500, 900])
@pytest.mark.parametrize("last", [5, 2])
def test_a_count_that_stops_early_is_wholly_before(lost: int, last: int) -> None:
    """What rtpengine misses of an end, and the other end counted, was lost before rtpengine."""
    reply = _lossy({"caller": 1500 - lost, "callee": 1500}, {"caller": 0, "callee": lost},
                   {"caller": 0, "callee": 100 * lost // 1500})  # fmt: skip
    block = _block(reply, "callee")
    block["MOS progression"]["entries"] = block["MOS progression"]["entries"][:last]
    told = _read(reply)
    window = total(told["caller"], "by")
    assert (window.lost_count, window.loss_method) == (lost, "counted")
    assert total(told["callee"], "to").lost_count == 0


def test_a_part_that_nobody_counted() -> None:
    """Lost partly before rtpengine and partly behind it: each part is derived."""
    reply = _lossy({"caller": 1400, "callee": 1500}, {"caller": 0, "callee": 200},
                   {"caller": 0, "callee": 13})  # fmt: skip
    told = _read(reply)
    parts = total(told["caller"], "by"), total(told["callee"], "to")
    assert [one.lost_count for one in parts] == [100, 100]
    assert {one.loss_method for one in parts} == {"derived"}


@pytest.mark.parametrize(
    "record",
    [
        b'{"command": "offer", "call-id": "c1"}',
        b'{"dir": "request", "raw": "1_1 d7:command6:delete7:call-id2:c1e"}',
        b'{"result": "ok", "tags": {"<a>": {}}}',
        b"Nov 23 01:12:19 sbc1 rtpengine[7000]: INFO: [c1]: [core] --- SSRC f8fff938",
        b"Nov 23 01:12:19 sbc1 rtpengine[7000]: INFO: [c1]: [core] ------ Average MOS 4.4, lost:0",
    ],
)
def test_a_record_of_a_call_without_ends_is_ignored(record: bytes) -> None:
    """What was read and says nothing of a leg is counted, not dropped."""
    found = parse("rtpengine", record)
    assert (found.observations, found.broken, found.ignored) == ((), (), 1)


# Records that are broken ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"i5e",
        b"d3:SSR",
        b"d6:resulti5",
        b"d6:result9999999:oke",
        b"d6:result2:ok",
        b"li1ee",
        b"garbage",
        b'{"result": "ok", "tags": ',
        b'{"hello": 1}',
        b'{"t": 1.5, "dir": "reply"}',
        b'{"t": 1.5, "dir": "reply", "raw": "1_1 d3:"}',
        b'{"t": 1.5, "dir": "request", "raw": "1_1 d7:command5:offere"}',
        b"Nov 23 01:00:00 h rtpengine[1]: INFO: [c1]: [core] --------- Port garbage",
        b"Nov 23 01:00:00 h rtpengine[1]: INFO: --- Tag 'x', created 0:40 ago for branch ''",
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_read(data: bytes) -> None:
    """It is one broken record, whatever stands around it."""
    parsed = parse("rtpengine", data)
    assert len(parsed.broken) == 1
    assert not parsed.observations


def test_a_broken_message_does_not_take_the_next_one() -> None:
    """After a message that is cut off, one on a line of its own is read."""
    good = record("rtpengine", LOSSY[1], "ng-delete.bencode")
    parsed = parse("rtpengine", good[:700] + b"\n0_1_2 " + good)
    assert [one.line for one in parsed.broken] == [1]
    assert total(legs(parsed)["caller"], "by").lost_count == 109


def test_messages_one_after_the_other() -> None:
    """Several answers in one file, with nothing or a line end between them."""
    for between in (b"", b"\n", b"\r\n\r\n"):
        files = [record("rtpengine", call, "ng-delete.bencode") for call in LOSSY]
        parsed = parse("rtpengine", between.join(files))
        assert len(parsed.observations) == 6
        assert not parsed.broken


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.integers(-(2**62), 2**62) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_bencode_is_read_as_it_was_written(value: Any) -> None:
    """Whatever is written comes back, and where it ends."""
    data = _bencoded(value)
    assert decoded(data + b"rest") == (value, len(data))


def _bencoded(value: Any) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(_bencoded, value)) + b"e"
    members = cast("dict[str, Any]", value).items()
    return b"d" + b"".join(_bencoded(k) + _bencoded(v) for k, v in members) + b"e"


@pytest.mark.parametrize(
    "data",
    [
        b"l" * 5000,
        b"d1:a" * 5000,
        b"l" + b"i1e" * 50_000 + b"e",
        b"i" + b"9" * 5000 + b"e",
        b"9" * 5000 + b":",
        b"",
        b"i-e",
        b"ie",
        b"-1:",
    ],
)
def test_bounds_of_bencode(data: bytes) -> None:
    """Depth, parts, digits and lengths are bounded."""
    with pytest.raises(BencodeError):
        decoded(data)


@settings(max_examples=100, deadline=None)
@given(draw=st.data())
def test_whatever_bytes(draw: st.DataObject) -> None:
    """Changed bytes give a `Parsed` that can be printed, with no number of the SDP in clear."""
    name = draw.draw(st.sampled_from(FILES))
    content = record("rtpengine", draw.draw(st.sampled_from(CALLS)), name)
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(st.integers(0, len(content)))
        cut = draw.draw(st.integers(0, 30))
        content = content[:at] + draw.draw(st.binary(max_size=6)) + content[at + cut :]
    parsed = parse("rtpengine", content)
    assert all(1 <= one.line <= content.count(b"\n") + 1 for one in parsed.broken)
    told = json.dumps([as_json(one) for one in parsed.observations])
    assert "5555550199" not in told


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), name=st.sampled_from(["ng-delete.json", "ng.jsonl"]))
def test_odd_values_anywhere(seed: int, name: str) -> None:
    """A value of an answer that is another is left out, or the answer is; nothing is raised."""
    chance = random.Random(seed)
    reply = _reply()
    places: list[tuple[dict[str, Any], str]] = []
    inside: list[Any] = [reply]
    for one in inside:
        members: list[Any] = list(one.values()) if isinstance(one, dict) else one
        inside += [member for member in members if isinstance(member, dict | list)]
        if isinstance(one, dict):
            places += [(one, key) for key in cast("dict[str, Any]", one)]
    place, key = chance.choice(places)
    place[key] = chance.choice(ODD)
    parsed = parse("rtpengine", json.dumps(reply).encode())
    assert len(parsed.observations) + len(parsed.broken) + parsed.ignored >= 1


def test_line_ends_do_not_matter() -> None:
    """CRLF in a log says the same."""
    log = record("rtpengine", LOSSY[1], "rtpengine.log")
    crlf = log.replace(b"\n", b"\r\n")
    assert parse("rtpengine", crlf) == parse("rtpengine", log)


def test_no_record_takes_long() -> None:
    """The worst records of the longest length take some milliseconds."""
    prefix = b"Nov 23 01:00:00 h rtpengine[1]: INFO: [c1]: [core] "
    many = b"d4:tagsd" + b"".join(b"5:%05dde" % n for n in range(4000)) + b"e6:result2:oke"
    worst = [
        b"d" + b"l" * 250_000,
        b"d1:al" + b"i1e" * 8000 + b"ee",
        many,
        prefix + b"---" * 80_000,
        prefix + b"--------- Port " + b" " * 250_000,
        b"[" * 250_000,
        b'{"raw": "' + b"x" * 250_000 + b'"}',
    ]
    parse("rtpengine", record("rtpengine", LOSSY[1], "ng-delete.json"))
    for data in worst:
        assert lines_of_json(partial(parse, "rtpengine", data)) < 6, data[:80]


def test_totals_stand_once() -> None:
    """Each leg has one window of the whole call for each direction."""
    for one in _legs(LOSSY[1], "ng.jsonl").values():
        assert len(totals(one, "by")) == len(totals(one, "to")) == 1
