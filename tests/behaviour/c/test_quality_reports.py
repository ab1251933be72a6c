"""RFC 6035 reports as vendors write them, and RFC 3611 blocks."""

from __future__ import annotations

import re
import struct

import pytest

from .shelf import HOME, measure, on, parsed, raw, read, reading, same, sample, values, windows

VQ = "vq-rtcpxr"
SAMPLES = (
    "audiocodes-session-doc",
    "g722-phone-callterm",
    "polycom-interval",
    "polycom-session",
    "snom821-callterm",
)
LINPHONE = sorted(path.name for path in (HOME / VQ / "linphone-clean").glob("*.txt"))


def body(name: str) -> bytes:
    """A captured report."""
    return raw(VQ, f"{name}.txt")


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_says_codec_loss_jitter_and_duration_as_they_were(name):
    """The truth of each public message."""
    facts = sample(VQ, name)
    records = read(VQ, body(name))
    codec = facts["codec"].split("/")[0].split(" ")[0].lower()
    assert values(records, "rtp.codec") == {codec}
    assert values(records, "sip.response.status_code") == set()
    assert values(records, "sip.hangup.source") == set()
    assert values(records, "sip.call.direction") == set()
    told = [measure(w, "loss_ratio") for w in windows(records)]
    assert 0.0 in told
    assert set(told) <= {0.0, None}
    for window in windows(records):
        assert measure(window, "jitter_ms") in (None, 0.0), window
        assert measure(window, "rtt_ms") in (None, 3.0), "RTD=0 is missing"
        if facts["duration_s"]:
            assert window["start"] is not None
            assert window["end"] - window["start"] == facts["duration_s"]
    spans = values(records, "sip.call.duration_ms")
    assert spans <= {(facts["duration_s"] or 0) * 1000.0}


@pytest.mark.parametrize("file", LINPHONE)
def test_linphone_claims_no_loss_and_no_impossible_score(file):
    """No PacketLoss line: nothing is known of loss; 4.8 is cut; the message around does nothing."""
    records = read(VQ, raw(VQ, "linphone-clean", file))
    assert records
    assert values(records, "rtp.codec") == {"pcmu"}
    for window in windows(records):
        assert measure(window, "loss_ratio") is None
        assert measure(window, "jitter_ms") is None
        mos = measure(window, "mos")
        assert mos is None or 1 <= mos <= 4.5
        rtt = measure(window, "rtt_ms")
        assert rtt is None or 0 < rtt < 100
    if "publish" in file:
        same(records, read(VQ, raw(VQ, "linphone-clean", file.replace("publish", "body"))))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(lambda d: d.replace(b"\r\n", b"\n"), id="lf"),
        pytest.param(lambda d: b"\xef\xbb\xbf" + d, id="bom"),
        pytest.param(lambda d: d.rstrip() + b"\n\n\n", id="blanks"),
        pytest.param(
            lambda d: re.sub(rb"^(\w[\w-]*): ?(?=\S)", rb"\1:   ", d, flags=re.MULTILINE),
            id="space",
        ),
        pytest.param(
            lambda d: re.sub(
                rb"^(JitterBuffer|PacketLoss|Delay|QualityEst|SessionDesc):",
                lambda m: m[0].upper(),
                d,
                flags=re.MULTILINE,
            ),
            id="case",
        ),
        pytest.param(lambda d: d.rstrip() + b"\nx-Vendor:A=1 B=2\nVPN=0\n", id="vendor-lines"),
    ],
)
def test_how_a_report_is_written_changes_nothing(name, change):
    """Line ends, case, spaces after the colon, lines of vendors, lines without a colon."""
    same(read(VQ, change(body(name))), read(VQ, body(name)))


@pytest.mark.parametrize(
    "percent,ratio", [(b"5.2", 0.052), (b"0.4", 0.004), (b"100.0", 1.0), (b"12", 0.12)]
)
def test_network_loss_is_in_percent(percent, ratio):
    """NLR; JDR is thrown away by the jitter buffer and is no network loss."""
    data = body("snom821-callterm").replace(b"NLR=0.0 JDR=0.0", b"NLR=%s JDR=7.0" % percent)
    told = {measure(w, "loss_ratio") for w in windows(read(VQ, data))} - {None}
    assert {round(each, 6) for each in told} == {ratio}


@pytest.mark.parametrize("absurd", [b"-1", b"101", b"255", b"nan", b""])
def test_a_loss_that_cannot_be_is_left_out(absurd):
    """Beyond 0 to 100 percent: unknown."""
    data = body("snom821-callterm").replace(b"NLR=0.0", b"NLR=" + absurd)
    found = parsed(VQ, data)
    for each in found.observations:
        for window in (*each.windows, *each.untimed):
            assert window.loss_ratio is None


def test_what_is_unavailable_is_missing():
    """127 is unavailable for R and scores; 0 delay and 65535 ms gaps say nothing."""
    data = body("polycom-session").replace(
        b"RLQ=94 RCQ=82 MOSLQ=3.8 MOSCQ=3.4", b"RLQ=127 RCQ=127 MOSLQ=12.7 MOSCQ=127"
    )
    data = data.replace(b"RTD=3", b"RTD=65535")
    for window in windows(read(VQ, data)):
        for name in ("mos", "r_factor", "rtt_ms"):
            assert measure(window, name) is None, (name, window)


@pytest.mark.parametrize(
    "written,codec",
    [
        (b"PT=9 PD=G722/8000", "g722"),
        (b"PT=0", "pcmu"),
        (b"PT=1 PD=opus SR=48000", "opus"),
        (b"PT=8 PD=pcma SR=8000", "pcma"),
        (b"PT=18 PD=G729", "g729"),
    ],
)
def test_the_codecs_name_wins_over_its_number(written, codec):
    """PD where there is one; else the static payload type."""
    data = body("snom821-callterm").replace(b"PT=8 PD=PCMA SR=8000", written)
    assert values(read(VQ, data), "rtp.codec") == {codec}


def test_a_shoretel_report_is_read():
    """LF after the first line, SSRC hex without 0x, PD=G722/8000, keys of its own."""
    text = (
        b"VQSessionReport: CallTerm\nCallID:abc@192.0.2.9\r\nLocalMetrics:\r\n"
        b"Timestamps:START=2026-11-23T01:00:00Z STOP=2026-11-23T01:01:00Z\r\n"
        b"SessionDesc:PT=9 PD=G722/8000 FD=20 WNLR=1 S=2 R=3 L=4\r\n"
        b"LocalAddr:IP=192.0.2.9 PORT=10 SSRC=554840f\r\nRemoteAddr:IP=192.0.2.10:5004 SSRC=1\r\n"
        b"PacketLoss:NLR=2.5 JDR=0.0\r\nDelay:RTD=44 IAJ=6 WRTD=90 WIAJ=30\r\nVPN=0\r\n"
        b"InviteTS:1\r\nQualityEst:MOSLQ=4.1 MOSCQ=4.0\r\n"
    )
    records = read(VQ, text)
    assert values(records, "rtp.codec") == {"g722"}
    found = windows(records)
    assert {measure(w, "loss_ratio") for w in found} - {None} == {0.025}
    assert {measure(w, "rtt_ms") for w in found} - {None} == {44.0}
    assert {measure(w, "jitter_ms") for w in found} - {None} == {6.0}


def test_the_remote_metrics_are_of_the_other_direction():
    """What the far phone heard is not what this one heard."""
    text = body("audiocodes-session-doc").rstrip()
    text = text.replace(b"PacketLoss: NLR=0.00", b"PacketLoss: NLR=9.00", 1)
    assert text.rstrip().endswith(b"PacketLoss: NLR=0.00 JDR=0.00")
    by = {}
    for window in windows(read(VQ, text + b"\n")):
        ratio = measure(window, "loss_ratio")
        if ratio is not None:
            by.setdefault(window["direction"], set()).add(round(ratio, 6))
    assert sorted(map(sorted, by.values())) == [[0.0], [0.09]], by


def test_a_session_report_is_more_than_the_intervals_before_it():
    """Reports of one call in one file: all told, nothing added up."""
    data = b"\n\n".join(
        raw(VQ, "linphone-clean", name) for name in LINPHONE if name.endswith("body.txt")
    )
    found = parsed(VQ, data)
    assert not found.broken
    assert found.observations


@pytest.mark.parametrize("end", ["caller", "callee"])
def test_both_phones_of_a_call_are_not_one(end):
    """What the caller's phone heard and what the callee's heard go in opposite directions."""
    one = read(VQ, raw(VQ, "linphone-clean", "07-caller-VQSessionReport.body.txt"), reading(end))
    two = read(VQ, raw(VQ, "linphone-clean", "08-callee-VQSessionReport.body.txt"), reading(end))
    assert values(one, "sip.call_id") == values(two, "sip.call_id")
    assert on(one, "agent") == on(two, "agent") == []


def xr(loss=13, discard=0, rtt=60, jitter=0, mos_lq=41, mos_cq=40, r=90, level=-20) -> bytes:
    """An RTCP XR packet with one VoIP metrics block."""
    block = struct.pack(
        ">BBHIBBBBHHHHbbBBBBBBBBHHH",
        7,
        0,
        8,
        0x11223344,
        loss,
        discard,
        10,
        0,
        120,
        3000,
        rtt,
        20,
        level,
        -60,
        127,
        16,
        r,
        127,
        mos_lq,
        mos_cq,
        0b11110000,
        0,
        40,
        60,
        240,
    )
    return struct.pack(">BBHI", 0x80, 207, (8 + len(block)) // 4 - 1, 0x55667788) + block


def test_a_voip_metrics_block_has_its_units():
    """loss of 256, delays in ms, scores by ten."""
    found = windows(read("rtcp-xr", xr().hex() + "\n"))
    losses = {measure(w, "loss_ratio") for w in found} - {None}
    assert {round(each, 3) for each in losses} == {0.051}
    assert {measure(w, "rtt_ms") for w in found} - {None} == {60.0}
    assert {measure(w, "mos") for w in found} - {None} <= {4.1, 4.0}
    assert {measure(w, "mos") for w in found} - {None}
    assert {measure(w, "r_factor") for w in found} - {None} == {90.0}


def test_unavailable_and_zero_in_a_block_are_missing():
    """127 for R and scores, 0 round trip."""
    found = windows(read("rtcp-xr", xr(mos_lq=127, mos_cq=127, r=127, rtt=0).hex() + "\n"))
    for window in found:
        for name in ("mos", "r_factor", "rtt_ms"):
            assert measure(window, name) is None


def test_blocks_are_read_binary_and_as_hex():
    """The same packet in both forms, and among other packets."""
    same(read("rtcp-xr", xr()), read("rtcp-xr", xr().hex().upper() + "\r\n"))
