"""Which header tells the trace of the far end, header by header."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags

from trunktrace.propagation import Remote, far_end_of, read_headers

TRACE = "ab30317f1a784dc48ff824d0d3715d86"
SPAN = "00f067aa0ba902b7"
OTHER = "11111111111111111111111111111111"
PARENT = f"00-{TRACE}-{SPAN}-01"
NIL = "0" * 32


def _ids(remote: Remote | None) -> tuple[int, int | None, bool | None] | None:
    return None if remote is None else (remote.trace_id, remote.span_id, remote.sampled)


IDS = (int(TRACE, 16), int(SPAN, 16), True)


@pytest.mark.parametrize("name", ["X-Traceparent", "Traceparent"])
@pytest.mark.parametrize(
    "value, sampled",
    [
        (PARENT, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
        (f"  {PARENT}\t", True),
        (f"\r\n {PARENT}", True),
        (f"{PARENT}\r\n\t", True),
    ],
)
def test_traceparent(name: str, value: str, sampled: bool) -> None:
    """A traceparent is read, with its flag, of any version and also from a folded line."""
    assert read_headers({name: value}) == Remote(*IDS[:2], sampled, name, None, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{NIL}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{PARENT}-more",
        f"{PARENT}-",
        f"{PARENT}\n",
        f"cc-{TRACE}-{SPAN}-01more",
        f"cc-{TRACE}-{SPAN}-01-\x00",
        f"{PARENT}\r\nX-Evil: 1",
        f"{PARENT}\r\n X-Evil: 1",
        f"00-{TRACE[:16]}\r\n {TRACE[16:]}-{SPAN}-01",
        f"{PARENT}, {PARENT}",
        f'"{PARENT}"',
        f"00-{TRACE}-{SPAN}-01".replace("0", "\uff10"),
        f"00 -{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"0x-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-+{SPAN[1:]}-01",
        f"00-{TRACE[:-1]}_-{SPAN}-01",
    ],
)
def test_no_traceparent(value: str) -> None:
    """What W3C Trace Context calls invalid tells nothing; there is no second guess."""
    assert read_headers({"X-Traceparent": value}) is None


def test_repeated_and_the_same() -> None:
    """A header line that a proxy copied is read as one."""
    remote = read_headers([("X-Traceparent", PARENT), ("x-traceparent", f" {PARENT}")])
    assert _ids(remote) == IDS


@pytest.mark.parametrize("name", ["X-Traceparent", "Traceparent", "X-Trace-ID", "b3", "Session-ID"])
def test_repeated_and_different(name: str) -> None:
    """Two lines of one header that differ count as none; the next header is asked."""
    values = {
        "X-Trace-ID": (TRACE, OTHER),
        "b3": (f"{TRACE}-{SPAN}", f"{OTHER}-{SPAN}"),
        "Session-ID": (f"{TRACE};remote={NIL}", f"{OTHER};remote={NIL}"),
    }.get(name, (PARENT, PARENT.replace(TRACE, OTHER)))
    lines = [(name, value) for value in values]
    assert read_headers(lines) is None
    uui = PARENT.encode().hex()
    told = read_headers([*lines, ("User-to-User", f"{uui};encoding=hex")])
    assert told is not None
    assert told.header == "User-to-User"


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"X-Trace-ID": TRACE}, (IDS[0], None, None)),
        ({"X-Trace-ID": TRACE.upper()}, (IDS[0], None, None)),
        ({"X-Trace-ID": TRACE, "X-Span-ID": SPAN}, (IDS[0], IDS[1], None)),
        ({"X-Trace-ID": TRACE, "X-Span-ID": "0" * 16}, (IDS[0], None, None)),
        ({"X-Trace-ID": TRACE, "X-Span-ID": "no"}, (IDS[0], None, None)),
        ({"X-Trace-ID": TRACE, "X-Span-ID": [SPAN, "1" * 16]}, (IDS[0], None, None)),
        ({"X-Trace-ID": TRACE[:16]}, None),
        ({"X-Trace-ID": NIL}, None),
        ({"X-Trace-ID": TRACE + "0"}, None),
        ({"X-Trace-ID": "0x" + TRACE[2:]}, None),
        ({"X-Trace-ID": f"{TRACE[:8]}-{TRACE[8:]}"}, None),
        ({"X-Span-ID": SPAN}, None),
    ],
)
def test_x_trace_id(headers: Any, expected: Any) -> None:
    """32 digits of either case are a trace id; a span id beside it is read if it is one."""
    assert _ids(read_headers(headers)) == expected


SHORT = TRACE[16:]


@pytest.mark.parametrize(
    "value, expected",
    [
        (f"{TRACE}-{SPAN}", (IDS[0], IDS[1], None)),
        (f"{TRACE}-{SPAN}-1", IDS),
        (f"{TRACE}-{SPAN}-d", IDS),
        (f"{TRACE}-{SPAN}-0", (IDS[0], IDS[1], False)),
        (f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90", IDS),
        (f"{SHORT}-{SPAN}-1", (int(SHORT, 16), IDS[1], True)),
        (f"{TRACE.upper()}-{SPAN.upper()}-1", IDS),
        ("0", None),
        ("1", None),
        ("d", None),
        (TRACE, None),
        (f"{TRACE}-{SPAN}-x", None),
        (f"{TRACE}-{SPAN}-", None),
        (f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-1", None),
        (f"{NIL}-{SPAN}-1", None),
        (f"{TRACE}-{'0' * 16}-1", None),
        (f"{TRACE[:20]}-{SPAN}-1", None),
    ],
)
def test_b3(value: str, expected: Any) -> None:
    """The one header of B3 is read with 128 or 64 bits; a state alone names no trace."""
    assert _ids(read_headers({"b3": value})) == expected
    assert _ids(read_headers({"B3": value})) == expected


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN}, (IDS[0], IDS[1], None)),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, IDS),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "True"}, IDS),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "0"}, (*IDS[:2], False)),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Flags": "1"}, IDS),
        ({"X-B3-TraceId": SHORT, "X-B3-SpanId": SPAN}, (int(SHORT, 16), IDS[1], None)),
        ({"X-B3-TraceId": TRACE}, (IDS[0], None, None)),
        ({"X-B3-TraceId": NIL, "X-B3-SpanId": SPAN}, None),
        ({"X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, None),
    ],
)
def test_b3_in_several_headers(headers: dict[str, str], expected: Any) -> None:
    """The several headers of B3 are read together."""
    remote = read_headers(headers)
    assert _ids(remote) == expected
    assert remote is None or remote.header == "X-B3-TraceId"


@pytest.mark.parametrize(
    "value, trace_id, local, remote",
    [
        (f"{TRACE};remote={NIL}", TRACE, TRACE, None),
        (f"{TRACE};remote={OTHER}", TRACE, TRACE, OTHER),
        (f"{TRACE}", TRACE, TRACE, None),
        (f"{NIL};remote={OTHER}", OTHER, None, OTHER),
        (f"{TRACE} ; Remote = {OTHER} ;x=1", TRACE, TRACE, OTHER),
        (f"{TRACE.upper()};remote={NIL}", TRACE, TRACE, None),
        (f"{TRACE};remote=nonsense", TRACE, TRACE, None),
        (f"nonsense;remote={OTHER}", OTHER, None, OTHER),
    ],
)
def test_session_id(value: str, trace_id: str, local: str, remote: str) -> None:
    """Both halves of a Session-ID are told, and the sender's is the trace, if it is not nil."""
    told = read_headers({"Session-ID": value})
    assert told == Remote(int(trace_id, 16), None, None, "Session-ID", local, remote)
    assert told.span_context is None


@pytest.mark.parametrize(
    "value",
    [
        f"{NIL};remote={NIL}",
        NIL,
        "",
        ";remote=",
        "ab30317f-1a78-4dc4-8ff8-24d0d3715d86;remote=" + NIL,
        f"{TRACE};remote={OTHER};remote={NIL}",
        f"{TRACE},{OTHER}",
    ],
)
def test_no_session_id(value: str) -> None:
    """The nil UUID is nobody, and two remotes are one too many."""
    assert read_headers({"Session-ID": value}) is None


def test_session_id_beside_another_header() -> None:
    """The halves are told as well where the trace stands in another header."""
    told = read_headers({"X-Traceparent": PARENT, "Session-ID": f"{OTHER};remote={TRACE}"})
    assert told == Remote(*IDS, "X-Traceparent", OTHER, TRACE)


HEX = PARENT.encode().hex()


@pytest.mark.parametrize(
    "value",
    [
        f"{HEX};encoding=hex",
        f"{HEX.upper()};encoding=hex",
        f"{HEX};ENCODING=HEX",
        HEX,
        f"04{HEX};encoding=hex",
        f"00{HEX};encoding=hex",
        f"{HEX};purpose=trace;content=traceparent;encoding=hex",
        f"56a390f3d2b7310023a2;encoding=hex;purpose=foo, {HEX};encoding=hex",
        f'"a,b;c";encoding=hex,{HEX};encoding="hex"',
        f'"{HEX}";encoding=hex',
        f"{HEX} ; encoding = hex",
        f"{HEX};encoding=hex, {HEX};encoding=hex",
    ],
)
def test_user_to_user(value: str) -> None:
    """A traceparent in hexadecimal digits is found among the values, with and without an octet."""
    assert read_headers({"User-to-User": value}) == Remote(*IDS, "User-to-User", None, None)


@pytest.mark.parametrize(
    "value",
    [
        f"{HEX};encoding=base64",
        f"{HEX};encoding=",
        f"{HEX};encoding=hex;encoding=x",
        f"0404{HEX};encoding=hex",
        f"{HEX}0;encoding=hex",
        f"{HEX}00;encoding=hex",
        f"{HEX[:-2]};encoding=hex",
        PARENT,
        "",
        ",;,;",
        '"',
        f"{HEX}, {PARENT.replace(TRACE, OTHER).encode().hex()}",
        f"{'00,' * 200}{HEX}",
    ],
)
def test_no_user_to_user(value: str) -> None:
    """Other encodings, broken digits, two traces and very many values are refused."""
    assert read_headers({"User-to-User": value}) is None


def test_user_to_user_of_several_applications() -> None:
    """The values of several header lines are looked through as those of one."""
    lines = [("User-to-User", "56a390f3;encoding=hex"), ("user-to-user", f"{HEX};encoding=hex")]
    assert _ids(read_headers(lines)) == IDS


ALL = {
    "X-Traceparent": f"00-{1:032x}-{1:016x}-01",
    "Traceparent": f"00-{2:032x}-{1:016x}-01",
    "X-Trace-ID": f"{3:032x}",
    "b3": f"{4:032x}-{1:016x}-1",
    "X-B3-TraceId": f"{5:032x}",
    "Session-ID": f"{6:032x};remote={NIL}",
    "User-to-User": f"00-{7:032x}-{1:016x}-01".encode().hex() + ";encoding=hex",
}


@pytest.mark.parametrize("number, name", list(enumerate(ALL, start=1)))
def test_order(number: int, name: str) -> None:
    """The first valid header in the order wins, wherever it stands; an invalid one is passed."""
    names = list(ALL)
    broken = dict.fromkeys(names[: number - 1], "nonsense")
    left = {each: ALL[each] for each in reversed(names[number - 1 :])}
    told = read_headers({**left, **broken})
    assert told is not None
    assert (told.header, told.trace_id) == (name, number)


def test_length() -> None:
    """A value of 1024 characters is looked at, a longer one is not."""
    value = f"cc-{TRACE}-{SPAN}-01-"
    assert _ids(read_headers({"X-Traceparent": value.ljust(1024, "x")})) == IDS
    assert read_headers({"X-Traceparent": value.ljust(1025, "x")}) is None
    assert _ids(read_headers({"X-Traceparent": value.ljust(1024, "x").encode()})) == IDS
    assert read_headers({"X-Traceparent": value.ljust(1025, "x").encode()}) is None


@pytest.mark.parametrize(
    "sampled, flags",
    [(True, TraceFlags.SAMPLED), (False, TraceFlags.DEFAULT), (None, TraceFlags.SAMPLED)],
)
def test_span_context(sampled: bool | None, flags: int) -> None:
    """What a link is made of is remote; what says nothing of sampling counts as sampled."""
    found = Remote(1, 2, sampled, "b3", None, None).span_context
    assert found == SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(flags))


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from(["X-Traceparent", "Traceparent", "User-to-User", "b3"]),
)
def test_every_id_is_read(trace_id: int, span_id: int, sampled: bool, name: str) -> None:
    """Any valid ids come out of a header as they were put in."""
    parent = f"00-{trace_id:032x}-{span_id:016x}-{sampled:02x}"
    value = {
        "User-to-User": f"04{parent.encode().hex()};encoding=hex",
        "b3": f"{trace_id:032x}-{span_id:016x}-{sampled:d}",
    }.get(name, parent)
    assert read_headers({name: value}) == Remote(trace_id, span_id, sampled, name, None, None)


@given(st.text(), st.sampled_from(list(ALL)))
def test_any_text(value: str, name: str) -> None:
    """Any text at all is read without an error, and an id that comes out is a valid one."""
    remote = read_headers({name: value})
    assert remote is None or 0 < remote.trace_id < 2**128


@pytest.mark.parametrize(
    "before",
    [
        {"Session-ID": f"{OTHER};remote={NIL}"},
        {"X-Trace-ID": OTHER},
        {"X-Traceparent": f"00-{OTHER}-{SPAN}-01"},
    ],
)
def test_the_link_is_of_the_first_header_that_can_be_linked(before: dict[str, str]) -> None:
    """A Session-ID, a trace id alone, and our own trace that came back, stand in nobody's way."""
    told = bytes(PARENT, "ascii").hex()
    found = far_end_of(
        {**before, "User-to-User": f"{told};encoding=hex"}, own_trace_id=int(OTHER, 16)
    )
    assert found.link is not None
    assert found.link.context.trace_id == int(TRACE, 16)
    assert dict(found.link.attributes or {}) == {"trunktrace.link.header": "User-to-User"}
    assert found.trace_id is None
    assert found.session_id == (OTHER if "Session-ID" in before else None)


def test_a_trace_id_alone_is_told_where_nothing_can_be_linked() -> None:
    """The first one that is not ours."""
    found = far_end_of({"X-Trace-ID": TRACE, "Session-ID": OTHER}, own_trace_id=int(OTHER, 16))
    assert (found.link, found.trace_id, found.session_id) == (None, TRACE, OTHER)
