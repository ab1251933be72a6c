"""What goes out: which headers, how many bytes, and what never."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from trunktrace.errors import ConfigurationError
from trunktrace.propagation import SipPropagator, read_headers, write_headers
from trunktrace.propagation.outgoing import line_bytes, within

UUID4 = 0xAB30317F1A784DC48FF824D0D3715D86
HERE = SpanContext(UUID4, 0xF067AA0BA902B7, is_remote=False, trace_flags=TraceFlags(1))
NIL = "0" * 32
ROOM = 320 - 72 - 86
"""Bytes that X-Traceparent and Session-ID leave for the line of X-Baggage."""


def _bytes(headers: dict[str, str]) -> int:
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())


def test_traceparent() -> None:
    """One header of 72 bytes says the trace, the span and whether it is sampled."""
    headers = write_headers(HERE)
    assert headers == {"X-Traceparent": "00-ab30317f1a784dc48ff824d0d3715d86-00f067aa0ba902b7-01"}
    assert _bytes(headers) == 72


@pytest.mark.parametrize("flags, sent", [(0, "00"), (1, "01"), (3, "03"), (0xFF, "03"), (2, "02")])
def test_flags(flags: int, sent: str) -> None:
    """Flags that version 00 does not know are sent as zero."""
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(flags))
    assert write_headers(context)["X-Traceparent"].endswith(f"-{sent}")


def test_nothing_to_say() -> None:
    """Without a valid span context nothing goes out, and no Session-ID is made up."""
    assert write_headers(INVALID_SPAN_CONTEXT, session_id=True) == {}


def test_session_id() -> None:
    """A trace id that is a UUIDv4 goes out as our half; the other is nil, as in a first request."""
    headers = write_headers(HERE, session_id=True)
    assert headers["Session-ID"] == f"ab30317f1a784dc48ff824d0d3715d86;remote={NIL}"
    assert _bytes(headers) == 72 + 86


@pytest.mark.parametrize(
    "trace_id",
    [
        0xAB30317F1A785DC48FF824D0D3715D86,  # version 5
        0xAB30317F1A780DC48FF824D0D3715D86,  # no version
        0xAB30317F1A784DC47FF824D0D3715D86,  # another variant
        0xAB30317F1A784DC4CFF824D0D3715D86,
        1,
    ],
)
def test_a_session_id_that_is_no_uuid(trace_id: int, caplog: pytest.LogCaptureFixture) -> None:
    """A trace id that is no UUIDv4 goes out all the same; one warning names the generator."""
    context = SpanContext(trace_id, 1, is_remote=False)
    for _ in range(3):
        headers = write_headers(context, session_id=True)
        assert headers["Session-ID"] == f"{trace_id:032x};remote={NIL}"
    assert [("SessionIdGenerator" in each.message) for each in caplog.records] == [True]


def test_baggage() -> None:
    """Values go out in the order of the keys, percent-encoded as W3C Baggage has it."""
    baggage = {"trunk.carrier": "telnyx", "trunk.route": "us-east/primary; a,b \u00e9"}
    header = write_headers(HERE, baggage=baggage)["X-Baggage"]
    assert header == "trunk.carrier=telnyx,trunk.route=us-east/primary%3B%20a%2Cb%20%C3%A9"
    read = W3CBaggagePropagator().extract({"baggage": header}, Context())
    assert get_all(read) == baggage


@pytest.mark.parametrize(
    "value",
    [
        "+15555550100",
        "15555550100",
        "5555550",
        "555-0100 12",
        "+1 (555) 555-0100",
        "call 555.555.0100 now",
        "\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
        "\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
        "\u2075\u2075\u2075\u2075\u2075\u2075\u2075",
        "alice\uff20example.com",
        "%2B15555550100",
        "%35%35%35%35%35%35%30",
        "sip:alice@example.com",
        "SIPS:alice@example.com",
        "alice@example.com",
        "alice%40example.com",
        "tel:911",
        "sip:911",
        "a\r\nX-Evil: 1",
        "a\x00b",
        "a\u2028b",
        "\ud800",
        "",
        "x" * 257,
    ],
)
def test_values_that_never_go_out(value: str, caplog: pytest.LogCaptureFixture) -> None:
    """What may be a person's number or address is dropped; the warning does not repeat it."""
    for _ in range(3):
        headers = write_headers(HERE, baggage={"trunk.carrier": "telnyx", "trunk.route": value})
        assert headers["X-Baggage"] == "trunk.carrier=telnyx"
    (warning,) = caplog.records
    assert "trunk.route" in warning.message
    assert not value or value not in warning.message


@pytest.mark.parametrize(
    "value", ["telnyx", "us-east/primary", "503", "911", "v1.2.3", "us1:a", "\u00e9", "0.034"]
)
def test_values_that_go_out(value: str) -> None:
    """Names, codes and small numbers are sent."""
    assert "X-Baggage" in write_headers(HERE, baggage={"trunk.route": value})


@pytest.mark.parametrize(
    "key",
    [
        "sip.caller.number",
        "sip.callee.number",
        "sip.caller.hash",
        "sip.callee.pii.number",
        "my.pii.name",
        "PII",
        "sip.phoneNumber",
        "customer_phone",
        "+15555550100",
        "tenant.15555550100",
        "a b",
        "a=b",
        "a,b",
        "a\r\nX-Evil",
        "a:b",
        "",
        "x" * 65,
        7,
        None,
    ],
)
def test_keys_that_are_refused(key: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A key that may hold a number, or that is none, is an error where it is configured."""
    with pytest.raises(ConfigurationError, match="baggage") as refused:
        SipPropagator(baggage=["trunk.carrier", key])
    assert "15555550100" not in str(refused.value)
    assert "X-Baggage" not in write_headers(HERE, baggage={key: "x"})
    assert len(caplog.records) == 1


@pytest.mark.parametrize("keys", ["trunk.carrier", b"x", 7, None])
def test_no_list_of_keys(keys: Any) -> None:
    """A single string is not taken for a list of letters."""
    with pytest.raises(ConfigurationError, match="list of keys"):
        SipPropagator(baggage=keys)


@pytest.mark.parametrize("size, fits", [(ROOM, True), (ROOM + 1, False)])
def test_budget(size: int, fits: bool, caplog: pytest.LogCaptureFixture) -> None:
    """All lines may have 320 bytes; with one more X-Baggage is left out, and a warning says so."""
    value = "x" * (size - len("X-Baggage: k=\r\n"))
    headers = write_headers(HERE, session_id=True, baggage={"k": value})
    assert ("X-Baggage" in headers) is fits
    assert _bytes(headers) == (320 if fits else 158)
    assert len(caplog.records) == (0 if fits else 1)


@pytest.mark.parametrize(
    "budget, left",
    [
        (320, ["X-Traceparent", "Session-ID", "X-Baggage"]),
        (158, ["X-Traceparent", "Session-ID"]),
        (157, ["X-Traceparent"]),
        (10, ["X-Traceparent"]),
    ],
)
def test_order_of_dropping(budget: int, left: list[str]) -> None:
    """X-Baggage gives way first, then Session-ID, and X-Traceparent never."""
    headers = write_headers(HERE, session_id=True, baggage={"trunk.carrier": "telnyx"})
    assert list(within(budget, headers)) == left


@pytest.mark.parametrize("size, fits", [(150, True), (151, False)])
def test_budget_of_the_traceparent(size: int, fits: bool) -> None:
    """The line of X-Traceparent may have 150 bytes."""
    value = "x" * (size - len("X-Traceparent: \r\n"))
    assert line_bytes("X-Traceparent", value) == size
    assert bool(within(320, {"X-Traceparent": value})) is fits


@pytest.mark.parametrize("value", ["a b", " a", "a ", "a\r\nb", "a\x00", "\u00e9", "", "a\x7f"])
def test_last_look(value: str) -> None:
    """What is no visible ASCII does not go out, whoever made it."""
    assert within(320, {"X-Traceparent": value, "X-Baggage": value}) == {}


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.booleans(),
    st.dictionaries(st.text(max_size=20), st.text(max_size=300), max_size=6),
)
def test_round_trip(
    trace_id: int, span_id: int, flags: int, session_id: bool, baggage: dict[str, str]
) -> None:
    """Whatever is asked for, clean headers within the budget go out and say the same trace."""
    context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags))
    headers = write_headers(context, session_id=session_id, baggage=baggage)
    assert _bytes(headers) <= 320
    assert all(re.fullmatch(r"[\x21-\x7e]+", value) for value in headers.values())
    told = read_headers(headers)
    assert told is not None
    assert (told.trace_id, told.span_id, told.sampled) == (trace_id, span_id, bool(flags & 1))
    assert told.session_id in {None, f"{trace_id:032x}"}
