"""SIP dialogs as a proxy traces them: challenges, failover, cancels, what is no call."""

from __future__ import annotations

import ipaddress

import pytest

from .hepkit import CORRELATION, MICROS, PAYLOAD, PROTO, SECONDS, Packet, together
from .shelf import on, parsed, read, reading, values

CALLER, PROXY, EAST, WEST = "192.0.2.101", "192.0.2.10", "192.0.2.111", "192.0.2.112"
SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def packet(at: float, source: str, target: str, text: str) -> Packet:
    """One SIP message on its way."""
    seconds, micros = int(at), int((at - int(at)) * 1e6)
    return [
        (0, 1, b"\x02"),
        (0, 2, b"\x11"),
        (0, 3, ipaddress.IPv4Address(source).packed),
        (0, 4, ipaddress.IPv4Address(target).packed),
        (0, 7, (5060).to_bytes(2, "big")),
        (0, 8, (5060).to_bytes(2, "big")),
        (0, SECONDS, seconds.to_bytes(4, "big")),
        (0, MICROS, micros.to_bytes(4, "big")),
        (0, PROTO, b"\x01"),
        (0, CORRELATION, b"call-1"),
        (0, PAYLOAD, text.encode()),
    ]


def message(
    first: str,
    cseq: str = "1 INVITE",
    *,
    branch: str = "a",
    tag: str = "t1",
    back: bool = False,
    body: str = "",
    more: str = "",
    call: str = "call-1",
) -> str:
    """A request or an answer; `back`: a request of the callee's end."""
    one, two = "<sip:+15555550199@192.0.2.101>;tag=f1", "<sip:+15555550101@192.0.2.10>"
    two += f";tag={tag}" if tag else ""
    if back:
        one, two = two, one
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{first}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
        f"From: {one}\r\nTo: {two}\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n{more}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


INVITE = "INVITE sip:+15555550101@192.0.2.10 SIP/2.0"
T = 1795396146.0


def invite(at: float, source: str, target: str, cseq: str = "1 INVITE", **more) -> Packet:
    """An INVITE with an offer."""
    return packet(
        T + at, source, target, message(INVITE, cseq, tag="", body=SDP, branch=target, **more)
    )


def answer(
    at: float, source: str, target: str, first: str, cseq: str = "1 INVITE", **more
) -> Packet:
    """An answer to it."""
    body = SDP if first.startswith("200") and "INVITE" in cseq else ""
    text = message(f"SIP/2.0 {first}", cseq, body=body, branch=source, **more)
    return packet(T + at, source, target, text)


def ended(at: float, cseq: str = "2 BYE") -> list[Packet]:
    """The caller hangs up."""
    bye = "BYE sip:+15555550101@192.0.2.111 SIP/2.0"
    return [
        packet(T + at, CALLER, PROXY, message(bye, cseq)),
        packet(T + at + 0.01, PROXY, EAST, message(bye, cseq)),
        answer(at + 0.02, EAST, PROXY, "200 OK", cseq),
        answer(at + 0.03, PROXY, CALLER, "200 OK", cseq),
    ]


def hep(*packets: Packet):
    """The records with the caller's end as the bridge."""
    return read("hep", together(list(packets)), reading("caller"))


def test_a_challenge_is_no_final_answer():
    """407, then with credentials 200: one call, 200, one attempt."""
    records = hep(
        invite(0, CALLER, PROXY),
        answer(0.1, PROXY, CALLER, "407 Proxy Authentication Required"),
        invite(0.2, CALLER, PROXY, "2 INVITE", more="Proxy-Authorization: Digest x\r\n"),
        invite(0.3, PROXY, EAST, "2 INVITE"),
        answer(1.0, EAST, PROXY, "180 Ringing", "2 INVITE"),
        answer(1.1, PROXY, CALLER, "180 Ringing", "2 INVITE"),
        answer(4.0, EAST, PROXY, "200 OK", "2 INVITE"),
        answer(4.1, PROXY, CALLER, "200 OK", "2 INVITE"),
        *ended(34.1, "3 BYE"),
    )
    assert values(records, "sip.response.status_code") == {200}
    assert values(records, "sip.attempt_count") <= {1}
    assert values(records, "sip.hangup.source") == {"caller"}
    (trunk,) = on(records, "trunk")
    assert trunk["facts"]["sip.call.duration_ms"] == pytest.approx(30_000, abs=100)
    assert trunk["facts"]["sip.pdd_ms"] == pytest.approx(1100, abs=210)
    assert trunk["facts"]["rtp.codec"] == "pcma"


def test_a_challenge_that_is_never_answered_is_the_end():
    """407 and nothing more: failed with 407."""
    records = hep(
        invite(0, CALLER, PROXY), answer(0.1, PROXY, CALLER, "407 Proxy Authentication Required")
    )
    assert values(records, "sip.response.status_code") == {407}
    assert values(records, "sip.call.outcome") == {"failed"}


def test_a_proxys_failover_has_both_answers():
    """503 of gw-east, 200 of gw-west: the caller's leg has 200, the far side both."""
    data = together(
        [
            invite(0, CALLER, PROXY),
            invite(0.1, PROXY, EAST),
            answer(0.6, EAST, PROXY, "503 Service Unavailable", tag="e"),
            invite(0.7, PROXY, WEST),
            answer(1.6, WEST, PROXY, "180 Ringing", tag="w"),
            answer(1.7, PROXY, CALLER, "180 Ringing", tag="w"),
            answer(3.6, WEST, PROXY, "200 OK", tag="w"),
            answer(3.7, PROXY, CALLER, "200 OK", tag="w"),
        ]
    )
    found = parsed("hep", data, reading("caller"))
    records = read("hep", data, reading("caller"))
    assert values(on(records, "trunk"), "sip.response.status_code") == {200}
    far = values(on(records, "pstn"), "sip.response.status_code")
    tried = {a.status_code for o in found.observations for a in o.attempts}
    assert {200, 503} <= far | tried
    assert 503 not in values(on(records, "trunk"), "sip.response.status_code")


def test_a_caller_that_gives_up_is_canceled():
    """CANCEL while it rings: 487, canceled, never answered."""
    cancel = "CANCEL sip:+15555550101@192.0.2.10 SIP/2.0"
    records = hep(
        invite(0, CALLER, PROXY),
        invite(0.1, PROXY, EAST),
        answer(1.0, EAST, PROXY, "180 Ringing"),
        answer(1.1, PROXY, CALLER, "180 Ringing"),
        packet(T + 9, CALLER, PROXY, message(cancel, "1 CANCEL", tag="")),
        answer(9.01, PROXY, CALLER, "200 canceling", "1 CANCEL"),
        packet(T + 9.02, PROXY, EAST, message(cancel, "1 CANCEL", tag="")),
        answer(9.03, EAST, PROXY, "200 OK", "1 CANCEL"),
        answer(9.04, EAST, PROXY, "487 Request Terminated"),
        answer(9.05, PROXY, CALLER, "487 Request Terminated"),
    )
    assert values(records, "sip.response.status_code") == {487}
    assert values(records, "sip.call.outcome") == {"canceled"}
    assert values(records, "sip.call.duration_ms") == set()
    assert values(records, "sip.hangup.source") <= {"caller"}


def test_a_reinvite_is_no_second_call():
    """A hold and a refresh inside the dialog, one of them refused with 491 and 488."""
    call = [
        invite(0, CALLER, PROXY),
        invite(0.1, PROXY, EAST),
        answer(1.0, EAST, PROXY, "200 OK"),
        answer(1.1, PROXY, CALLER, "200 OK"),
    ]
    again = [
        packet(T + 10, CALLER, PROXY, message(INVITE, "2 INVITE", body=SDP)),
        answer(10.1, PROXY, CALLER, "491 Request Pending", "2 INVITE"),
        packet(T + 12, CALLER, PROXY, message(INVITE, "3 INVITE", body=SDP)),
        answer(12.1, PROXY, CALLER, "488 Not Acceptable Here", "3 INVITE"),
    ]
    records = hep(*call, *again, *ended(31.1, "4 BYE"))
    assert values(records, "sip.response.status_code") == {200}
    assert values(records, "sip.call.outcome") == {"answered"}
    assert values(records, "sip.hangup.source") == {"caller"}
    found = values(on(records, "trunk"), "sip.call.duration_ms")
    assert all(each == pytest.approx(30_000, abs=150) for each in found)
    assert found


def test_a_trace_that_stops_knows_no_end():
    """INVITE and 180: nothing final, no outcome, nobody hung up."""
    records = hep(
        invite(0, CALLER, PROXY), invite(0.1, PROXY, EAST), answer(1.0, EAST, PROXY, "180 Ringing")
    )
    for key in ("sip.response.status_code", "sip.call.outcome", "sip.hangup.source"):
        assert values(records, key) == set(), key


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "MESSAGE"])
def test_what_is_no_call_is_counted_and_told_by_nobody(method):
    """Registrations and pings have answers, and are no calls."""
    rows = [
        packet(T, CALLER, PROXY, message(f"{method} sip:192.0.2.10 SIP/2.0", f"1 {method}")),
        answer(0.1, PROXY, CALLER, "403 Forbidden", f"1 {method}"),
    ]
    found = parsed("hep", together(rows))
    assert found.observations == ()
    assert found.ignored == 2
    assert not found.broken


def test_a_retransmission_is_not_counted_again():
    """UDP: each INVITE and its 503 three times, one attempt."""
    three = [
        each
        for n in range(3)
        for each in (
            invite(0.5 * n, CALLER, PROXY),
            invite(0.5 * n + 0.1, PROXY, EAST),
            answer(1.5 + 0.5 * n, EAST, PROXY, "503 Service Unavailable"),
            answer(1.6 + 0.5 * n, PROXY, CALLER, "503 Service Unavailable"),
        )
    ]
    records = hep(*sorted(three, key=lambda p: [d for _, k, d in p if k in (SECONDS, MICROS)]))
    assert values(records, "sip.response.status_code") == {503}
    assert values(records, "sip.attempt_count") <= {1}
    assert len(records) == 2


@pytest.mark.parametrize(
    "text,outcome",
    [
        ("603 Network Blocked", "blocked"),
        ("603 Decline", "rejected"),
        ("607 Unwanted", "blocked"),
        ("403 Forbidden", "rejected"),
        ("480 Temporarily Unavailable", "no_answer"),
    ],
)
def test_the_phrase_tells_a_block_from_a_decline(text, outcome):
    """603+ of an analytics engine is no human's no."""
    records = hep(
        invite(0, CALLER, PROXY),
        invite(0.1, PROXY, EAST),
        answer(1.0, EAST, PROXY, "180 Ringing"),
        answer(2.0, EAST, PROXY, text),
        answer(2.1, PROXY, CALLER, text),
    )
    assert values(records, "sip.call.outcome") == {outcome}


def test_compact_headers_and_folded_lines_are_headers():
    """`i`, `f`, `t`, `c`, `l`: the same call."""
    rows = [
        invite(0, CALLER, PROXY),
        invite(0.1, PROXY, EAST),
        answer(1.0, EAST, PROXY, "486 Busy Here", more="Reason: Q.850;cause=17\r\n"),
        answer(1.1, PROXY, CALLER, "486 Busy Here", more="Reason: Q.850;cause=17\r\n"),
    ]
    short = {
        b"Call-ID:": b"i:",
        b"From:": b"f:",
        b"To:": b"t:",
        b"Content-Length:": b"l:",
        b"Content-Type:": b"c:",
        b"Via:": b"v:",
    }
    changed = []
    for row in rows:
        found = []
        for vendor, kind, data in row:
            text = data
            if kind == PAYLOAD:
                for long, brief in short.items():
                    text = text.replace(long, brief)
            found.append((vendor, kind, text))
        changed.append(found)
    one, two = hep(*rows), hep(*changed)
    for key in ("sip.response.status_code", "sip.reason.q850", "sip.call_id", "sip.call.outcome"):
        assert values(one, key) == values(two, key) != set(), key
