"""SIP URIs, hosts and header names: what is read out of them, and that nothing makes them raise."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.sip.headers import PARTY_HEADERS, header_attribute, is_header_name
from trunktrace.sip.uris import HostPort, SipUri, parse_host, parse_uri


@pytest.mark.parametrize(
    "text, expected",
    [
        ("sbc1.example.net", HostPort("sbc1.example.net")),
        ("SBC1.Example.NET.", HostPort("sbc1.example.net")),
        ("my_trunk.pstn.twilio.com", HostPort("my_trunk.pstn.twilio.com")),
        ("127.0.0.1:5090", HostPort("127.0.0.1", 5090)),
        (" sip.telnyx.com:5060 ", HostPort("sip.telnyx.com", 5060)),
        ("2001:DB8::1", HostPort("2001:db8::1")),
        ("[2001:db8::1]", HostPort("2001:db8::1")),
        ("[2001:db8:0::1]:5061", HostPort("2001:db8::1", 5061)),
        ("localhost", HostPort("localhost")),
    ],
)
def test_host_and_port(text: str, expected: HostPort) -> None:
    """A host is read with or without a port, as name, IPv4 or IPv6, in one canonical form."""
    assert parse_host(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":5060",
        "host:",
        "host:0",
        "host:65536",
        "host:abc",
        "host:٥٠٦٠",
        "host:5060:1",
        "[127.0.0.1]:5060",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "[2001:db8::1]:",
        "a..b",
        "-a.example",
        "a b",
        "exa\x00mple",
        "a@b",
        "ä.example",
        "a" * 254,
        "x" * 10_000,
    ],
)
def test_no_host(text: str) -> None:
    """What is neither a host nor a host with a port is None."""
    assert parse_host(text) is None


@pytest.mark.parametrize(
    "place, is_ip, text",
    [
        (HostPort("203.0.113.7"), True, "203.0.113.7"),
        (HostPort("2001:db8::1", 5070), True, "[2001:db8::1]:5070"),
        (HostPort("example.net", 5060), False, "example.net:5060"),
    ],
)
def test_host_says_what_it_is(place: HostPort, is_ip: bool, text: str) -> None:
    """A host knows whether it is an address, and is written so that it reads back."""
    assert place.is_ip is is_ip
    assert str(place) == text
    assert parse_host(text) == place


@pytest.mark.parametrize(
    "text, expected",
    [
        ("sip:+15557778888@127.0.0.1", SipUri("sip", "+15557778888", "127.0.0.1")),
        ("sips:alice@example.net:5061", SipUri("sips", "alice", "example.net", 5061)),
        ("SIP:alice@Example.NET", SipUri("sip", "alice", "example.net")),
        ("sip:example.net", SipUri("sip", None, "example.net")),
        ("sip:@example.net", SipUri("sip", None, "example.net")),
        ("sip:a:secret@example.net", SipUri("sip", "a", "example.net")),
        ("sip:%2B1555@example.net;transport=udp", SipUri("sip", "+1555", "example.net")),
        ("sip:1;phone-context=x@h.example?To=a", SipUri("sip", "1;phone-context=x", "h.example")),
        ("sip:a@[2001:db8::1]:5070;lr", SipUri("sip", "a", "2001:db8::1", 5070)),
        ("tel:+1-555-777;phone-context=x", SipUri("tel", "+1-555-777", None)),
        (
            '"Caller" <sip:+15557778888@127.0.0.1>;tag=b91d582d',
            SipUri("sip", "+15557778888", "127.0.0.1"),
        ),
        ('"A <sip:x@y> \\" B" <sip:real@host.example>', SipUri("sip", "real", "host.example")),
        ("Bob <sip:bob@host.example;transport=tcp>", SipUri("sip", "bob", "host.example")),
        ("sip:bob@host.example;tag=1", SipUri("sip", "bob", "host.example")),
    ],
)
def test_uri(text: str, expected: SipUri) -> None:
    """User, host and port are read out of a URI and out of a header value around it."""
    assert parse_uri(text) == expected


@pytest.mark.parametrize(
    "text", ["", "example.net", "http://example.net", "sip:", "tel:", "sip:a@ b", "sip:a@host:x"]
)
def test_no_uri(text: str) -> None:
    """What is no SIP or tel URI, or has no host that can be read, is None."""
    assert parse_uri(text) is None


def test_endless_uri() -> None:
    """A text longer than any URI is not read at all."""
    assert parse_uri("sip:a@b.example;x=" + "y" * 3000) is None


@given(st.text(max_size=300))
def test_reading_never_raises(text: str) -> None:
    """No text makes the readers raise; what they find reads back to itself."""
    place = parse_host(text)
    assert place is None or parse_host(str(place)) == place
    parse_uri(text)
    parse_uri(f"<sip:{text}>")


LABEL = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)


@given(st.lists(LABEL, min_size=1, max_size=5), st.integers(1, 65535))
def test_names_read_back(labels: list[str], port: int) -> None:
    """A host name with a port is found again whatever stands around it."""
    host = ".".join(["h", *labels])
    uri = parse_uri(f'"x" <sip:user@{host}:{port};transport=tls>;tag=1')
    assert uri == SipUri("sip", "user", host.lower(), port)


@pytest.mark.parametrize("name", ["X-Carrier", "x_route", "P-Asserted-Identity", "!%'*+.`~"])
def test_header_names(name: str) -> None:
    """A token is a header name."""
    assert is_header_name(name)


@pytest.mark.parametrize("name", ["", "X Carrier", "X-Carrier:", "X-Carrier\r\n", "ä", "x" * 129])
def test_no_header_names(name: str) -> None:
    """What is no token, or endless, is no header name."""
    assert not is_header_name(name)


def test_headers_become_livekit_attributes() -> None:
    """A header has the attribute name that LiveKit gives it, whatever its case."""
    assert header_attribute("X-Route") == header_attribute("x-route") == "sip.h.x-route"


def test_party_headers_are_lower_case() -> None:
    """The list of headers that name people can be asked with a lower-cased name."""
    assert {"from", "to", "contact", "p-asserted-identity", "diversion"} <= PARTY_HEADERS
    assert all(name == name.lower() for name in PARTY_HEADERS)
