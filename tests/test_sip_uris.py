"""SIP URIs, hosts and header names: what is read out of them, and that nothing makes them raise."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.sip.headers import PARTY_HEADERS, header_attribute, is_header_name
from trunktrace.sip.uris import HostPort, host_in_uri, is_sip_uri, parse_host


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
    "uri, host",
    [
        ("sip:agent@Bridge.example", "bridge.example"),
        ("sip:agent@10.0.0.5:5060", "10.0.0.5"),
        ("SIPS:agent@[2001:DB8:0::5]:5061;transport=tls", "2001:db8::5"),
        ("sip:[2001:db8::5]", "2001:db8::5"),
        ("sip:bridge.example;transport=udp", "bridge.example"),
        ("sip:+15555550101;phone-context=x.example@gw.example;user=phone", "gw.example"),
        ('"A, B" <sip:a@gw.example:5070;lr>;tag=x@y', "gw.example"),
        ("sip:a@gw.example?Subject=x", "gw.example"),
        ("agent@bridge.example:5060", "bridge.example"),
        ("sip:a@b@gw.example", "gw.example"),
        ("+15555550101", None),
        ("15555550101", None),
        ("bridge.example", None),
        ("tel:+15555550101", None),
        ("client:alice@x.example", None),
        ("sip:", None),
        ("sip:a@", None),
        ("sip:a@[2001:db8::5", None),
        ("sip:a@" + "b" * 2000, None),
        ("", None),
        (None, None),
    ],
)
def test_the_host_in_a_uri(uri: object, host: str | None) -> None:
    """It is read without user, port and parameters; a number or a bare host is no URI."""
    assert host_in_uri(uri) == host


@pytest.mark.parametrize(
    "party, is_one",
    [
        ("sip:agent@bridge.example", True),
        ("SIPS:bridge.example", True),
        ('"A" <sip:bridge.example>', True),
        ("agent@[2001:db8::5]:5060", True),
        ("+15555550101", False),
        ("tel:+15555550101", False),
        ("client:alice@x.example", False),
        ("", False),
        (None, False),
    ],
)
def test_a_party_that_is_reached_by_sip(party: object, is_one: bool) -> None:
    """It has SIP's scheme, or is a user at a host without any; a telephone is none."""
    assert is_sip_uri(party) is is_one


@given(st.text())
def test_reading_a_uri_never_raises(text: str) -> None:
    """Whatever stands there, it has a host that can be read, or none."""
    host = host_in_uri(text)
    assert host is None or parse_host(host) is not None


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


@given(st.text(max_size=300))
def test_reading_never_raises(text: str) -> None:
    """No text makes the reader raise; what it finds reads back to itself."""
    place = parse_host(text)
    assert place is None or parse_host(str(place)) == place


LABEL = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)


@given(st.lists(LABEL, min_size=1, max_size=5), st.integers(1, 65535))
def test_names_read_back(labels: list[str], port: int) -> None:
    """A host name with a port is read back, in lower case."""
    host = ".".join(["h", *labels])
    assert parse_host(f"{host}:{port}") == HostPort(host.lower(), port)


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
