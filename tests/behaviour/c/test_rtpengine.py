"""rtpengine's replies with other counts, shapes and encodings."""

from __future__ import annotations

import copy
import json

import pytest

from .shelf import calls, measure, parsed, raw, read, reading, same, truth, values, windows

CALLS = calls("rtpengine")
ANSWERED = [call for call in CALLS if truth("rtpengine", call)["answered"]]
FILES = ("ng-delete.json", "ng-delete.bencode", "ng.jsonl", "rtpengine.log")
SOURCE = "rtpengine"


def reply(call: str) -> dict:
    """The captured reply to delete."""
    return dict(json.loads(raw("rtpengine", call, "ng-delete.json")))


def bencoded(value: object) -> bytes:
    """Bencode of a JSON value."""
    if isinstance(value, dict):
        parts = (bencoded(k) + bencoded(v) for k, v in value.items())
        return b"d" + b"".join(parts) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencoded, value)) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    text = str(value).encode()
    return b"%d:%s" % (len(text), text)


@pytest.mark.parametrize("end", ["caller", "callee"])
@pytest.mark.parametrize("call", CALLS)
def test_bencode_json_and_the_wire_say_the_same_media(call, end):
    """The same reply in three encodings: the same windows."""

    def seen(data):
        return sorted(
            json.dumps(w, sort_keys=True) for w in windows(read(SOURCE, data, reading(end)))
        )

    one = seen(raw("rtpengine", call, "ng-delete.json"))
    assert one == seen(raw("rtpengine", call, "ng-delete.bencode"))
    assert one == seen(bencoded(reply(call)))
    assert one == seen(json.dumps(reply(call)))
    assert one == seen("0_7464_7 " + json.dumps(reply(call)))
    assert one == seen(b"0_7464_7 " + bencoded(reply(call)))


def owner(document: dict, label: str) -> str:
    """The SSRC of an end."""
    for tag in document["tags"].values():
        if tag["label"] == label:
            return str(tag["medias"][0]["streams"][0]["SSRC"])
    raise AssertionError(label)


@pytest.mark.parametrize("lost", [0, 1, 40, 500])
@pytest.mark.parametrize("who,far", [("callee", "caller"), ("caller", "callee")])
def test_the_loss_stands_where_the_packets_went_missing(lost, who, far):
    """A loss that an SSRC's owner reports: before the proxy if the packets did not arrive there,
    behind it if they did; counted exactly."""
    document = reply("01-clean")
    block = document["SSRC"][owner(document, who)]
    block["cumulative loss"] = lost
    percent = 100 * lost // 1680
    for name in ("average MOS", "lowest MOS", "highest MOS"):
        block[name] |= {"packet loss": percent}
    for entry in block["MOS progression"]["entries"]:
        entry |= {"packet loss": percent}
    before = copy.deepcopy(document)
    for tag in before["tags"].values():
        if tag["label"] == far:
            stats = tag["medias"][0]["streams"][0]["stats"]
            stats |= {"packets": stats["packets"] - lost, "bytes": stats["bytes"] - 172 * lost}
    legs = {"caller": "pstn", "callee": "trunk"}
    into = {"caller": "in", "callee": "out"}
    for shape, place in (
        (before, (legs[far], into[far])),
        (document, (legs[who], into[far])),
    ):
        records = read(SOURCE, json.dumps(shape), reading("callee"))
        for leg in ("trunk", "pstn"):
            for direction in ("in", "out"):
                told = {measure(w, "lost_count") for w in windows(records, leg, direction)} - {None}
                if (leg, direction) == place and lost > 1:
                    assert lost in told, (place, told)
                elif lost > 1:
                    assert told <= {0}, (leg, direction, told, place)


def test_scaled_integers_have_their_units():
    """MOS by ten, round trip in microseconds, jitter in ms, loss in whole percent."""
    document = reply("02-loss5-caller-to-proxy")
    for block in document["SSRC"].values():
        for name in ("average MOS", "lowest MOS", "highest MOS"):
            block[name] |= {
                "MOS": 37,
                "round-trip time": 91000,
                "round-trip time leg": 45000,
                "jitter": 23,
            }
        block.pop("MOS progression")
    found = windows(read(SOURCE, json.dumps(document), reading("callee")))
    assert {measure(w, "mos") for w in found} - {None} == {3.7}
    assert {measure(w, "rtt_ms") for w in found} - {None} <= {91.0, 45.0}
    assert {measure(w, "rtt_ms") for w in found} - {None}
    assert {measure(w, "jitter_ms") for w in found} - {None} == {23.0}
    assert {measure(w, "mos_algorithm") for w in found} - {None} == {"rtpengine"}


def test_zeros_that_mean_missing_are_missing():
    """MOS 0 and round trip 0 are unknown."""
    document = reply("01-clean")
    for block in document["SSRC"].values():
        for name in ("average MOS", "lowest MOS", "highest MOS"):
            block[name] |= {"MOS": 0, "round-trip time": 0, "round-trip time leg": 0}
        for entry in block["MOS progression"]["entries"]:
            entry |= {"MOS": 0, "round-trip time": 0, "round-trip time leg": 0}
    for window in windows(read(SOURCE, json.dumps(document), reading("callee"))):
        assert measure(window, "mos") is None
        assert measure(window, "rtt_ms") is None


@pytest.mark.parametrize("file", ["ng-query-after-end.json", "ng-query-after-end.bencode"])
def test_an_unknown_call_is_no_call(file):
    """`Unknown call-id` says nothing of a call, and is not dropped in silence."""
    found = parsed(SOURCE, raw("rtpengine", "02-loss5-caller-to-proxy", file))
    assert found.observations == ()
    assert found.ignored + len(found.broken) == 1


@pytest.mark.parametrize("call", ["04-busy-486", "05-unavailable-503", "06-timeout-408"])
@pytest.mark.parametrize("file", FILES)
def test_a_call_that_nobody_answered_has_no_media(file, call):
    """Ports were open, nothing came: no windows, no codec, no one-way audio."""
    records = read(SOURCE, raw("rtpengine", call, file))
    assert windows(records) == []
    assert values(records, "rtp.codec") == set()


def test_logs_of_several_calls_are_told_apart():
    """Lines of all calls dealt like cards."""
    streams = [raw("rtpengine", call, "rtpengine.log").splitlines(True) for call in CALLS]
    alone = [r for c in CALLS for r in read(SOURCE, raw("rtpengine", c, "rtpengine.log"))]
    dealt = []
    while any(streams):
        dealt += [stream.pop(0) for stream in streams if stream]
    same(read(SOURCE, b"".join(dealt)), alone)


def test_wire_logs_of_several_calls_are_told_apart():
    """ng.jsonl of all calls one after the other, and dealt."""
    alone = [r for c in CALLS for r in read(SOURCE, raw("rtpengine", c, "ng.jsonl"))]
    same(read(SOURCE, b"".join(raw("rtpengine", c, "ng.jsonl") for c in CALLS)), alone)
    streams = [raw("rtpengine", call, "ng.jsonl").splitlines(True) for call in CALLS]
    dealt = []
    while any(streams):
        dealt += [stream.pop(0) for stream in streams if stream]
    same(read(SOURCE, b"".join(dealt)), alone)


@pytest.mark.parametrize("call", ANSWERED)
def test_a_live_query_and_the_end_do_not_contradict(call):
    """Query and delete in one file: loss is not added up."""
    try:
        live = raw("rtpengine", call, "ng-query-live.json")
    except FileNotFoundError:
        live = raw("rtpengine", call, "ng-delete.json")
    both = read(SOURCE, live.strip() + b"\n" + json.dumps(reply(call)).encode(), reading("callee"))
    facts = truth("rtpengine", call)
    for window in windows(both):
        packets = measure(window, "packet_count")
        assert packets is None or packets <= facts["duration_s"] * 50 + 100


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("call", ANSWERED)
def test_how_a_file_arrived_changes_nothing(file, call):
    """CRLF, a mark, trailing blanks."""
    data = raw("rtpengine", call, file)
    wanted = read(SOURCE, data)
    if "bencode" not in file:
        same(read(SOURCE, data.replace(b"\n", b"\r\n")), wanted)
        same(read(SOURCE, b"\xef\xbb\xbf" + data), wanted)
    same(read(SOURCE, data + b"\n\n"), wanted)


def test_other_codecs_and_addresses_are_read():
    """PCMA, G722, opus; IPv6 endpoints."""
    for codec, told in (("PCMA/8000", "pcma"), ("G722/8000", "g722"), ("opus/48000/2", "opus")):
        text = json.dumps(reply("01-clean")).replace("PCMU/8000", codec)
        text = text.replace("192.0.2.101", "2001:db8::101").replace("IPv4", "IPv6")
        records = read(SOURCE, text, reading("callee"))
        assert values(records, "rtp.codec") == {told}
        assert {each["leg"] for each in records} == {"pstn", "trunk"}


def test_an_older_version_is_read():
    """`in dialogue with` instead of subscriptions; packets and bytes in each SSRC block."""
    document = reply("02-loss5-caller-to-proxy")
    tags = list(document["tags"])
    for tag, other in zip(tags, tags[::-1], strict=True):
        document["tags"][tag].pop("subscriptions")
        document["tags"][tag].pop("subscribers")
        document["tags"][tag]["in dialogue with"] = other
    for block in document["SSRC"].values():
        block |= {"packets": 1900, "bytes": 1900 * 172}
    same_windows = [
        json.dumps(w, sort_keys=True)
        for w in windows(read(SOURCE, json.dumps(document), reading("callee")))
    ]
    wanted = windows(
        read(
            SOURCE,
            raw("rtpengine", "02-loss5-caller-to-proxy", "ng-delete.json"),
            reading("callee"),
        )
    )
    assert sorted(same_windows) == sorted(json.dumps(w, sort_keys=True) for w in wanted)
