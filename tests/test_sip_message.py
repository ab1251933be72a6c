"""SIP messages as traces hold them: what is read, what is refused, and how quickly."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunktrace.errors import ParseError
from trunktrace.sip.message import MAX_HEADER_LINES, read_message

INVITE = (
    "INVITE sip:+15555550101@gw_east.example SIP/2.0\r\n"
    "Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKa;rport\r\n"
    'From: "A, B" <sip:+15555550199@gw_east.example;user=phone>;tag=from1\r\n'
    "To: <sip:+15555550101@192.0.2.10>\r\n"
    "Call-ID: call-1@192.0.2.1\r\n"
    "CSeq: 17 INVITE\r\n"
    "X-Route: primary\r\n"
    "X-Secret: +15555550177\r\n"
    "P-Asserted-Identity: <sip:+15555550199@192.0.2.1>\r\n"
    "User-Agent: phone/1.0\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 5\r\n"
    "\r\n"
    "v=0\r\n"
)


def read(text: str) -> object:
    """The message in a text."""
    return read_message(text.encode())


def test_a_request() -> None:
    """Method, dialog, parties, transport and the headers that name a route."""
    message = read_message(INVITE.encode())
    assert (message.method, message.status, message.is_request) == ("INVITE", None, True)
    assert (message.call_id, message.cseq, message.cseq_method) == (
        "call-1@192.0.2.1",
        17,
        "INVITE",
    )
    assert (message.sender.user, message.sender.tag) == ("+15555550199", "from1")
    assert (message.receiver.user, message.receiver.tag) == ("+15555550101", None)
    assert (message.transport, message.branch) == ("tls", "z9hG4bKa")
    assert dict(message.said.passed) == {"x-route": "primary"}
    assert dict(message.said.identities) == {"p-asserted-identity": "<sip:+15555550199@192.0.2.1>"}
    assert message.said.agent == "phone/1.0"
    assert message.sdp == "v=0\r\n"


def test_a_response() -> None:
    """Code, phrase, cause and when to try again."""
    message = read_message(
        b"SIP/2.0 503 Service Unavailable\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\nServer: gw\r\n"
        b'Reason: SIP;cause=503;text="a, b", Q.850;text="x;cause=9";cause=34\r\n'
        b"Retry-After: 30\r\n\r\n"
    )
    assert (message.status, message.reason, message.is_request) == (
        503,
        "Service Unavailable",
        False,
    )
    assert (message.said.q850_cause, message.said.retry_after_s) == (34, 30)


@pytest.mark.parametrize(
    "old, new",
    [
        ("\r\n", "\n"), ("From:", "f :"), ("Call-ID:", "i:"), ("To:", "t:"), ("Via:", "v:"),
        ("Content-Type", "c"), ("Content-Length: 5\r\n", ""),
        ("Via: SIP/2.0/TLS ", "Via: SIP/2.0/TLS\r\n "),
        ("sip:+15555550101@gw_east.example SIP", "tel:+15555550101;phone-context=x SIP"),
        ('"A, B"', "Müller"), ("INVITE sip", "\r\n\r\nINVITE sip"), ("Call-ID", "CALL-ID"),
    ],
)  # fmt: skip
def test_what_real_traces_hold(old: str, new: str) -> None:
    """Compact names, folded lines, LF, odd hosts and names: the same message."""
    assert old in INVITE
    told = read_message(INVITE.replace(old, new, -1 if old == "\r\n" else 1).encode())
    plain = read_message(INVITE.encode())
    assert (told.call_id, told.cseq, told.sender.tag) == (plain.call_id, 17, "from1")
    assert (told.sender.user, told.receiver.user) == (plain.sender.user, plain.receiver.user)
    assert (told.transport, told.branch) == ("tls", "z9hG4bKa")
    assert told.sdp is not None


def test_a_response_without_a_phrase() -> None:
    """The phrase may be empty, or missing with its blank."""
    for first in ("SIP/2.0 200 \r\n", "SIP/2.0 200\r\n"):
        message = read_message(f"{first}Call-ID: a\r\nCSeq: 1 BYE\r\n\r\n".encode())
        assert (message.status, message.reason, message.cseq_method) == (200, None, "BYE")


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("Call-ID: call-1@192.0.2.1\r\n", "", "without a Call-ID"),
        ("CSeq: 17 INVITE\r\n", "", "without a CSeq"),
        ("CSeq: 17 INVITE", "CSeq: 17 BYE", "another method"),
        ("SIP/2.0\r\nVia", "HTTP/1.1\r\nVia", "neither"),
        ("Content-Length: 5", "Content-Length: 500", "shorter"),
        ("X-Route: primary", "X-Route primary", "colon"),
        ("\r\n\r\nv=0\r\n", "", "cut short"),
        ("X-Route", "X: y\r\n" * MAX_HEADER_LINES + "X-Route", "header lines"),
    ],
)
def test_what_is_refused(old: str, new: str, reason: str) -> None:
    """What is no whole message is a ParseError that quotes nothing of it."""
    with pytest.raises(ParseError) as caught:
        read(INVITE.replace(old, new))
    assert reason in str(caught.value)
    assert "5555" not in str(caught.value)


@pytest.mark.parametrize(
    "hostile",
    [
        "INVITE sip:" + "a" * 60_000 + " SIP/2.0\r\n\r\n",
        INVITE.replace("X-Route: primary", "".join(f"X-{n}: y\r\n" for n in range(180)) + "X: y"),
        INVITE.replace("primary", "a\r\n " * 7000 + "b"),
        INVITE.replace("X-Route: primary", "Reason: " + "Q.850;cause" * 2500),
        INVITE.replace('"A, B"', '"' * 30_000),
        INVITE.replace("from1", ";tag" * 7000),
        "\r\n" * 30_000,
    ],
)
def test_hostile_messages_are_quick(hostile: str) -> None:
    """No message takes longer than 10 ms (three tries: another process may be in the way)."""
    spent: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        try:
            message = read_message(hostile.encode())
            assert message.said.q850_cause is None
        except ParseError:
            pass
        spent.append(time.perf_counter() - began)
    assert min(spent) < 0.01


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(deadline=None)
def test_nothing_but_parse_error(data: bytes, at: int) -> None:
    """Whatever the bytes are, they are read or refused."""
    text = INVITE.encode()
    for one in (data, text[:at] + data + text[at:], text[:at] + data):
        try:
            message = read_message(one)
        except ParseError:
            continue
        assert message.call_id
