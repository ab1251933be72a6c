"""HEPv3 with chunks in other order, other addresses, other codes, and reports that lie."""

from __future__ import annotations

import json
import random
import re

import pytest

from .hepkit import (
    CORRELATION,
    PAYLOAD,
    PROTO,
    apart,
    chunk,
    packed,
    payloads,
    put,
    report,
    six,
    together,
)
from .shelf import OUTCOMES, calls, measure, on, parsed, raw, read, reading, same, values, windows

HEP = "hep"
FILES = (
    [("asterisk", call, "hep.hex") for call in calls("asterisk")]
    + [("kamailio", call, "hep-sip.hex") for call in calls("kamailio")]
    + [
        ("rtpengine", c, "hep-rtcp.hex")
        for c in calls("rtpengine")
        if c[:2] in ("01", "02", "03", "07")
    ]
)


def name(place: tuple[str, str, str]) -> str:
    """A short test id."""
    return "-".join((place[0], place[1][:2]))


@pytest.mark.parametrize("place", FILES, ids=name)
def test_the_order_of_chunks_is_free(place):
    """Chunks shuffled, unknown and vendor chunks added, an auth key, a node name."""
    packets = apart(raw(*place))
    wanted = read(HEP, raw(*place))
    dice = random.Random(7)
    for _ in range(3):
        shuffled = [dice.sample(packet, len(packet)) for packet in packets]
        more = [
            [(0, 0x0E, b"secret"), *p, (0x10, 0x01, b"x"), (0, 0x13, b"node"), (0, 0x7F, b"")]
            for p in shuffled
        ]
        same(read(HEP, together(shuffled)), wanted)
        same(read(HEP, together(more)), wanted)


@pytest.mark.parametrize("place", FILES, ids=name)
def test_binary_and_hex_in_any_case_are_the_same(place):
    """Packets one after the other as bytes; upper-case hex; CRLF; blank lines."""
    data = raw(*place)
    wanted = read(HEP, data)
    same(read(HEP, b"".join(map(packed, apart(data)))), wanted)
    same(read(HEP, data.upper()), wanted)
    same(read(HEP, data.replace(b"\n", b"\r\n")), wanted)
    same(read(HEP, data.replace(b"\n", b"\n\n")), wanted)


@pytest.mark.parametrize("place", FILES, ids=name)
def test_ipv6_and_other_ports_change_no_fact(place):
    """Between IPv6 addresses and on other ports: the same but for hosts."""
    packets = [
        [
            (v, k, (15060).to_bytes(2, "big") if k in (7, 8) and d == b"\x13\xc4" else d)
            for v, k, d in packet
        ]
        for packet in map(six, apart(raw(*place)))
    ]
    found, wanted = read(HEP, together(packets)), read(HEP, raw(*place))
    for records in (found, wanted):
        for each in records:
            each["ids"].pop("host", None)
    same(found, wanted)


def without_correlation(packets):
    """No packet has a correlation id."""
    return [[c for c in packet if c[1] != CORRELATION] for packet in packets]


@pytest.mark.parametrize("place", [f for f in FILES if f[0] == "kamailio"], ids=name)
def test_sip_needs_no_correlation_id(place):
    """Only received requests have chunk 0x11: the Call-ID header is enough."""
    same(read(HEP, together(without_correlation(apart(raw(*place))))), read(HEP, raw(*place)))


@pytest.mark.parametrize("place", [f for f in FILES if f[0] != "rtpengine"], ids=name)
def test_packets_come_out_of_order(place):
    """HEP goes over UDP: packets shuffled, told by their own times."""
    packets = apart(raw(*place))
    dice = random.Random(11)
    for _ in range(3):
        same(read(HEP, together(dice.sample(packets, len(packets)))), read(HEP, raw(*place)))


@pytest.mark.parametrize("place", FILES, ids=name)
def test_a_packet_that_was_captured_twice_counts_once(place):
    """Two agents see the same packet: no fact changes."""
    packets = apart(raw(*place))
    twice = [each for packet in packets for each in (packet, packet)]
    found, wanted = read(HEP, together(twice)), read(HEP, raw(*place))
    for key in ("sip.response.status_code", "sip.attempt_count", "sip.call.duration_ms"):
        assert values(found, key) == values(wanted, key)
    assert {measure(w, "packet_count") for w in windows(found)} == {
        measure(w, "packet_count") for w in windows(wanted)
    }


def refused(code: int, text: bytes = b"Other"):
    """The busy call with another final answer of the gateway, passed on by the proxy."""

    def change(payload: bytes) -> bytes:
        payload = payload.replace(b"SIP/2.0 486 Busy Here", b"SIP/2.0 %d %s" % (code, text))
        return re.sub(rb"\r\nReason: [^\r]*", b"", payload)

    return together(payloads(apart(raw("kamailio", "04-busy-486", "hep-sip.hex")), change))


@pytest.mark.parametrize("code", OUTCOMES)
def test_a_refusal_has_its_code_and_outcome_on_both_legs(code):
    """The proxy hands the gateway's answer on; without a Reason header there is no cause."""
    records = read(HEP, refused(code), reading("caller"))
    for leg in ("trunk", "pstn"):
        assert values(on(records, leg), "sip.response.status_code") == {code}
        assert values(on(records, leg), "sip.call.outcome") == {OUTCOMES[code]}
    assert values(records, "sip.reason.q850") == set()


@pytest.mark.parametrize("cause", [1, 16, 17, 21, 34, 127])
def test_the_reason_header_has_the_cause(cause):
    """Q.850 beside SIP, in any order, quoted or not."""
    for header in (
        b"Reason: Q.850;cause=%d",
        b'Reason: SIP;cause=486;text="Busy", Q.850;cause=%d;text="x"',
        b'reason: q.850 ; cause=%d ; text="a;cause=99"',
    ):
        data = together(
            payloads(
                apart(raw("kamailio", "04-busy-486", "hep-sip.hex")),
                lambda p, h=header: re.sub(rb"Reason: [^\r]*", h % cause, p),
            )
        )
        assert values(read(HEP, data), "sip.reason.q850") == {cause}


def test_the_wire_shows_that_nobody_answered():
    """06: the gateway sent nothing; a 408 of the proxy is the caller's leg alone."""
    data = raw("kamailio", "06-timeout-408", "hep-sip.hex")
    records = read(HEP, data, reading("caller"))
    assert values(on(records, "trunk"), "sip.response.status_code") == {408}
    assert values(on(records, "pstn"), "sip.response.status_code") == set()
    assert values(on(records, "pstn"), "sip.call.outcome") <= {"timeout"}


def test_a_callee_that_hangs_up_is_told():
    """The BYE goes from the gateway to the proxy and on to the caller."""

    def turned(packet):
        payload = chunk(packet, PAYLOAD)
        is_bye = payload.startswith(b"BYE") or b"CSeq: 22569 BYE" in payload
        if not is_bye:
            return packet
        by = {b"\xc0\0\x02\x65": b"\xc0\0\x02\x6f", b"\xc0\0\x02\x6f": b"\xc0\0\x02\x65"}
        found = [(v, k, by.get(d, d) if k in (3, 4) else d) for v, k, d in packet]
        text = payload.replace(b"From:", b"X:").replace(b"To:", b"From:").replace(b"X:", b"To:")
        return [(v, k, text if k == PAYLOAD else d) for v, k, d in found]

    packets = [turned(each) for each in apart(raw("kamailio", "01-clean", "hep-sip.hex"))]
    records = read(HEP, together(packets))
    assert values(records, "sip.hangup.source") == {"callee"}


def test_calls_of_all_captures_in_one_file_are_told_apart():
    """A collector writes everything into one file."""
    many = [f for f in FILES if f[0] != "rtpengine"]
    streams = [apart(raw(*place)) for place in many]
    dealt = []
    while any(streams):
        dealt += [stream.pop(0) for stream in streams if stream]
    same(read(HEP, together(dealt)), [r for place in many for r in read(HEP, raw(*place))])


def rtcp(**block) -> bytes:
    """One receiver report as JSON."""
    found = {
        "source_ssrc": 11,
        "fraction_lost": 0,
        "packets_lost": 0,
        "highest_seq_no": 29662,
        "ia_jitter": 8,
        "lsr": 0,
        "dlsr": 0,
    } | block
    return json.dumps(
        {
            "sender_information": {
                "ntp_timestamp_sec": 3719322562,
                "ntp_timestamp_usec": 1,
                "rtp_timestamp": 36,
                "packets": 4017,
                "octets": 642720,
            },
            "ssrc": 22,
            "type": 200,
            "report_count": 1,
            "report_blocks": [found],
        }
    ).encode()


def reports(*blocks: dict) -> bytes:
    """Reports 5 s apart of one end."""
    return together(
        [
            report("192.0.2.101", "192.0.2.20", 1795396146 + 5 * at, rtcp(**block))
            for at, block in enumerate(blocks)
        ]
    )


@pytest.mark.parametrize("lost", [0xFFFFFF, 0xFFFFF0, -1])
def test_a_negative_count_is_no_loss(lost):
    """packets_lost is 24 bits with a sign: 0xffffff is -1."""
    data = reports(
        {"packets_lost": lost, "highest_seq_no": 1000},
        {"packets_lost": lost, "highest_seq_no": 1250},
        {"packets_lost": lost, "highest_seq_no": 1500},
    )
    for window in windows(read(HEP, data, reading("callee"))):
        assert (measure(window, "loss_ratio") or 0) <= 0.01, window
        assert (measure(window, "lost_count") or 0) <= 1, window


def test_fraction_lost_is_of_256():
    """13 of 256 is 5 %, not 13 %."""
    data = reports(
        {"packets_lost": 0, "highest_seq_no": 1000},
        {"fraction_lost": 13, "packets_lost": 13, "highest_seq_no": 1256},
        {"fraction_lost": 13, "packets_lost": 26, "highest_seq_no": 1512},
    )
    found = [measure(w, "loss_ratio") for w in windows(read(HEP, data)) if measure(w, "loss_ratio")]
    assert found
    assert all(abs(each - 0.0508) <= 0.02 for each in found), found
    counts = {measure(w, "lost_count") for w in windows(read(HEP, data))} - {None, 0}
    assert counts <= {13, 26}, counts


def test_jitter_is_in_timestamp_units_and_an_absurd_one_is_left_out():
    """ia_jitter 80 at 8 kHz is 10 ms; 63125527 of a first report is nothing."""
    data = reports(
        {"ia_jitter": 63125527, "highest_seq_no": 1000},
        {"ia_jitter": 80, "highest_seq_no": 1250},
        {"ia_jitter": 80, "highest_seq_no": 1500},
    )
    told = {measure(w, "jitter_ms") for w in windows(read(HEP, data))} - {None}
    assert told == {10.0}, told


@pytest.mark.parametrize("proto", [0x64, 0x35, 0x26, 0x22, 0x02])
def test_payloads_of_other_kinds_are_counted_and_not_broken(proto):
    """Logs, DNS and statistics of other tools say nothing here."""
    packets = apart(raw("kamailio", "01-clean", "hep-sip.hex"))
    other = put(put(packets[0], PROTO, bytes([proto])), PAYLOAD, b"some text +15555550199")
    found = parsed(HEP, together([*packets, other]))
    assert found.ignored == 1
    assert not found.broken
    assert len(found.observations) == 2


def test_a_quality_report_inside_hep_is_read():
    """Payload protocol 35: a vq-rtcpxr body."""
    body = raw("vq-rtcpxr", "snom821-callterm.txt")
    packet = put(
        put(apart(raw("kamailio", "01-clean", "hep-sip.hex"))[0], PROTO, b"\x23"), PAYLOAD, body
    )
    records = read(HEP, together([packet]))
    assert values(records, "rtp.codec") == {"pcma"}


@pytest.mark.parametrize("number", [b"+4930901820", b"447911123456"])
def test_no_number_of_any_country_is_printed(number):
    """URIs, contacts, SDES names, SDP."""
    for place in FILES[:1] + FILES[3:4] + FILES[-1:]:
        packets = payloads(apart(raw(*place)), lambda p: p.replace(b"+15555550199", number))
        found = parsed(HEP, together(packets))
        assert number.lstrip(b"+").decode() not in repr(found)
        assert found.observations


@pytest.mark.parametrize(
    "codec,payload,told",
    [(b"PCMA/8000", 8, "pcma"), (b"G722/8000", 9, "g722"), (b"opus/48000/2", 96, "opus")],
)
def test_the_codec_is_the_one_of_the_answer(codec, payload, told):
    """Not the first that was offered."""

    def change(text: bytes) -> bytes:
        if text.startswith(b"SIP/2.0 200") and b"m=audio" in text:
            text = re.sub(rb"(m=audio \d+ RTP/AVP) [\d ]+", rb"\1 %d 101" % payload, text)
            text = re.sub(rb"a=rtpmap:\d+ PCM[UA]/8000\r\n", b"", text)
            text = text.replace(
                b"a=rtpmap:101", b"a=rtpmap:%d %s\r\na=rtpmap:101" % (payload, codec)
            )
            size = len(text.split(b"\r\n\r\n", 1)[1])
            text = re.sub(rb"Content-Length: +\d+", b"Content-Length: %d" % size, text)
        return text

    packets = payloads(apart(raw("kamailio", "01-clean", "hep-sip.hex")), change)
    assert values(read(HEP, together(packets)), "rtp.codec") == {told}
