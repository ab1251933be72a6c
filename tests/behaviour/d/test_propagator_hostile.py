"""Trace context in SIP headers under attack: budgets to the byte, broken values, order, trust."""

from __future__ import annotations

import logging
import random
import re
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import trunktrace
from trunktrace.errors import ConfigurationError
from trunktrace.propagation import (
    Remote,
    SipPropagator,
    far_end_of,
    read_headers,
    remote_of,
    sip_attempt,
    write_headers,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
OTHER = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-{SPAN}-01"
UUID_TRACE = uuid.UUID("ab30317f-1a78-4dc4-8ff8-24d0d3715d86").int
NIL = "0" * 32
BUDGET = 320
ORDER = (
    ("X-Traceparent", "00-{}-00f067aa0ba902b7-01"),
    ("Traceparent", "00-{}-00f067aa0ba902b7-01"),
    ("X-Trace-ID", "{}"),
    ("b3", "{}-00f067aa0ba902b7-1"),
    ("Session-ID", "{};remote=00000000000000000000000000000000"),
    ("User-to-User", "{}"),
)


def span_context(trace_id: int = int(TRACE, 16), flags: int = 1) -> SpanContext:
    return SpanContext(trace_id, int(SPAN, 16), is_remote=False, trace_flags=TraceFlags(flags))


def under(context: SpanContext, base: Context | None = None) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(context), base or Context())


def on_the_wire(headers: dict[str, str]) -> int:
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())


def value_of(name: str, template: str, trace_id: str) -> str:
    if name == "User-to-User":
        return f"00-{trace_id}-{SPAN}-01".encode().hex() + ";encoding=hex"
    return template.format(trace_id)


def told(headers: Any) -> str | None:
    remote = read_headers(headers)
    return None if remote is None else f"{remote.trace_id:032x}"


# Out --------------------------------------------------------------------------------------------


def test_the_header_is_the_w3c_one_in_its_budget() -> None:
    """X-Traceparent has 55 characters and its line far less than 150 bytes."""
    headers = write_headers(span_context())
    assert headers == {"X-Traceparent": PARENT}
    assert on_the_wire(headers) == 72 <= 150


@given(st.integers(0, 300), st.booleans())
def test_never_over_320_bytes(length: int, session: bool) -> None:
    """X-Baggage goes out while all lines fit into 320 bytes, and not with one byte more."""
    wanted = {"trunk.carrier": "x" * length} if length else {}
    headers = write_headers(span_context(UUID_TRACE), session_id=session, baggage=wanted)
    least = write_headers(span_context(UUID_TRACE), session_id=session)
    assert on_the_wire(headers) <= BUDGET
    assert least.items() <= headers.items(), "X-Baggage gives way before the others"
    line = len("X-Baggage: trunk.carrier=\r\n") + length
    fits = on_the_wire(least) + line <= BUDGET
    # A value of ours has 255 characters at most.
    assert ("X-Baggage" in headers) == (0 < length <= 256 and fits)


def test_what_gives_way_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Too much baggage: dropped whole, with a warning that does not repeat what was in it."""
    secret = "secretish" * 25
    for _ in range(3):
        headers = write_headers(
            span_context(UUID_TRACE), session_id=True, baggage={"trunk.route": secret}
        )
        assert set(headers) == {"X-Traceparent", "Session-ID"}
    warned = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "X-Baggage" in warned[0].getMessage()
    assert "secretish" not in caplog.text


HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from('\r\n\0\t ,;="\\%\x7f\x85\u2028é٣1@:+')), max_size=90
)


@given(HOSTILE, HOSTILE)
def test_nothing_but_visible_ascii_goes_out(one: str, other: str) -> None:
    """Whatever the baggage holds: token names, visible values, no line break, within the budget."""
    context = under(span_context(UUID_TRACE))
    context = baggage.set_baggage("trunk.carrier", one, context)
    context = baggage.set_baggage("trunk.route", other, context)
    context = baggage.set_baggage("other.key", "leak", context)
    carrier: dict[str, str] = {}
    SipPropagator(session_id=True, baggage=["trunk.carrier", "trunk.route"]).inject(
        carrier, sip_attempt(context)
    )
    assert on_the_wire(carrier) <= BUDGET
    for name, value in carrier.items():
        assert re.fullmatch(r"[A-Za-z0-9-]+", name)
        assert re.fullmatch(r"[\x21-\x7e]+", value)
    assert "leak" not in str(carrier)


NUMBERS = (
    "+15550100001", "15550100001", "5550100001", "(555) 010-0001", "555-010-0001", "555.010.0001",
    "555 010 0001", "tel:+1-555-010-0001", "sip:alice@host", "sip:5550100001@h",
    "sips:bob@h.example",
    "alice@example.com", "%2B15550100001", "0049 30 1234567", "030/1234567",
    "\u0660\u0663\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    "\uff15\uff15\uff15\uff10\uff11\uff10\uff10\uff10\uff10\uff11",
    "+1\u00a0555\u00a0010\u00a00001",
    "5\u200b5\u200b5\u200b0\u200b1\u200b0\u200b0\u200b0\u200b0\u200b1",
    "route-5550100001-x", "555_010_0001", "555,010,0001", "5 5 5 0 1 0 0 0 0 1",
    "%2B1%20555%200100001",
    "555*010*0001", "555|010|0001", "555:010:0001",
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_goes_out_as_baggage(number: str) -> None:
    """However it is written: a value with a number or an address of a person stays here."""
    headers = write_headers(span_context(), baggage={"trunk.route": number})
    assert "X-Baggage" not in headers


@pytest.mark.parametrize(
    "key",
    ["sip.caller.number", "sip.callee.pii.number", "sip.caller.hash", "phone", "user.phone_number",
     "sip.phoneNumber", "+15550100001", "from\r\nX-Evil", "", "a b", "ké", "x" * 65, "a=b", "a,b"],
)  # fmt: skip
def test_a_key_that_may_not_go_out_is_told_at_construction(key: str) -> None:
    """Numbers, and what is no key, are refused where they are configured."""
    with pytest.raises(ConfigurationError) as refused:
        SipPropagator(baggage=[key])
    assert refused.value.field


def test_a_session_id_is_what_rfc_7989_says() -> None:
    """32 lower-case digits and a remote of zeros, whatever made the trace id."""
    for trace_id in (UUID_TRACE, 1):
        headers = write_headers(span_context(trace_id), session_id=True)
        assert headers["Session-ID"] == f"{trace_id:032x};remote={NIL}"


def test_the_id_generator_makes_uuids_of_version_4() -> None:
    """Each trace id is a UUIDv4 whose other 122 bits change; span ids stay random."""
    generator = trunktrace.SessionIdGenerator()
    made = [generator.generate_trace_id() for _ in range(500)]
    assert len(set(made)) == 500
    assert all(uuid.UUID(int=one).version == 4 for one in made)
    ones = zeros = 0
    for one in made:
        ones, zeros = ones | one, zeros | ~one
    free = ((1 << 128) - 1) & ~(0xF << 76) & ~(0b11 << 62)
    assert ones & free == free
    assert zeros & free == free
    assert len({generator.generate_span_id() for _ in range(500)}) == 500


# In a composite list ----------------------------------------------------------------------------


def composite(*, as_parent: bool = False, first: bool = False) -> CompositePropagator:
    ours = SipPropagator(as_parent=as_parent, session_id=True, baggage=["trunk.carrier"])
    standard = [TraceContextTextMapPropagator(), W3CBaggagePropagator()]
    return CompositePropagator([ours, *standard] if first else [*standard, ours])


@pytest.mark.parametrize("first", [False, True])
def test_http_is_untouched(first: bool) -> None:
    """Outside a SIP attempt nothing of ours is written, wherever we stand in the list."""
    context = baggage.set_baggage("trunk.carrier", "telnyx", under(span_context(UUID_TRACE)))
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    composite(first=first).inject(ours, context)
    CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]).inject(
        theirs, context
    )
    assert ours == theirs


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("as_parent", [False, True])
def test_a_valid_span_context_is_never_replaced(as_parent: bool, first: bool) -> None:
    """What tracecontext finds, or what the context holds, stays the parent."""
    headers = {"traceparent": f"00-{OTHER}-{SPAN}-01", "X-Traceparent": PARENT}
    found = composite(as_parent=as_parent, first=first).extract(headers)
    assert f"{trace.get_current_span(found).get_span_context().trace_id:032x}" == OTHER
    local = under(span_context(int(OTHER, 16)))
    kept = SipPropagator(as_parent=as_parent).extract({"X-Traceparent": PARENT}, local)
    assert f"{trace.get_current_span(kept).get_span_context().trace_id:032x}" == OTHER
    remote = remote_of(kept)
    assert remote is not None
    assert f"{remote.trace_id:032x}" == TRACE


def test_without_as_parent_a_claim_is_only_kept() -> None:
    """No parent, no baggage; the claim is there for a link."""
    headers = {"X-Traceparent": PARENT, "X-Baggage": "trunk.carrier=evil"}
    found = SipPropagator(baggage=["trunk.carrier"]).extract(headers)
    assert not trace.get_current_span(found).get_span_context().is_valid
    assert not baggage.get_all(found)
    assert isinstance(remote_of(found), Remote)


def test_as_parent_gives_a_remote_parent() -> None:
    """A span below it continues the trace; a Session-ID alone has no span to be below of."""
    found = SipPropagator(as_parent=True).extract({"x-traceparent": PARENT})
    parent = trace.get_current_span(found).get_span_context()
    assert (parent.is_valid, parent.is_remote, f"{parent.span_id:016x}") == (True, True, SPAN)
    alone = SipPropagator(as_parent=True).extract({"Session-ID": f"{TRACE};remote={NIL}"})
    assert not trace.get_current_span(alone).get_span_context().is_valid


def test_the_entry_point_is_named_sip() -> None:
    """OTEL_PROPAGATORS finds it."""
    from importlib.metadata import entry_points

    (found,) = entry_points(group="opentelemetry_propagator", name="sip")
    assert found.load() is SipPropagator
    assert set(SipPropagator(session_id=True, baggage=["trunk.carrier"]).fields) >= {
        "X-Traceparent", "Session-ID", "X-Baggage",
    }  # fmt: skip
    assert propagate.get_global_textmap() is not None


# In: order and validity --------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(len(ORDER)))
def test_the_order_is_the_issues(at: int) -> None:
    """Of the headers from `at` on the first one wins, in whatever order they stand."""
    ids = {name: f"{index + 1:032x}"[:-4] + "ab1f" for index, (name, _) in enumerate(ORDER)}
    headers = [(name, value_of(name, text, ids[name])) for name, text in ORDER[at:]]
    random.Random(at).shuffle(headers)
    assert told(headers) == ids[ORDER[at][0]]


@pytest.mark.parametrize("at", range(len(ORDER) - 1))
def test_an_invalid_header_gives_way_to_the_next(at: int) -> None:
    """Broken, over-long or of zeros: as if it were not there."""
    name, (after, text) = ORDER[at][0], ORDER[at + 1]
    for broken in (
        "", "garbage", NIL, f"00-{NIL}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", "ff" + PARENT[2:],
        PARENT + "\r\nX-Evil: 1", PARENT + "\0", PARENT.upper(), PARENT + "-" + "x" * 2000,
        TRACE[:-1], TRACE + "\n", TRACE + "g", "é" * 32, "٣" * 32, "0x" + TRACE[2:], PARENT[:-1],
    ):  # fmt: skip
        headers = {name: broken, after: value_of(after, text, OTHER)}
        if name in ("X-Trace-ID", "Session-ID", "b3") and broken == PARENT.upper():
            continue
        assert told(headers) == OTHER, (name, broken)


@pytest.mark.parametrize(
    "carrier",
    [
        {"x-TRACEparent": PARENT},
        {"X-Traceparent": [PARENT]},
        {b"X-Traceparent": PARENT.encode()},
        [("X-TRACEPARENT", PARENT)],
        (("x-traceparent", PARENT),),
        [["X-Traceparent", PARENT]],
        [("X-Traceparent", PARENT), ("X-Traceparent", PARENT)],
        {"X-Traceparent": f"\r\n\t {PARENT}"},
        {"X-Traceparent": f" {PARENT}\t"},
        {"X-Traceparent ": PARENT},
        {"sip.h.x-traceparent": PARENT, "sip.callID": "SCL_1"},
        {"sip.h.X-Traceparent": PARENT},
        {"trunktrace.traceparent": PARENT},
        {"sip.h.traceparent": PARENT},
        {"sip.h.x-trace-id": TRACE},
        {"sip.h.session-id": f"{TRACE};remote={NIL}"},
        {"sip.h.user-to-user": f"{PARENT.encode().hex()};encoding=hex"},
        {"v": "SIP/2.0/UDP h", "i": "1@h", "f": "<sip:a@b>", "X-Traceparent": PARENT},
    ],
)
def test_the_same_trace_out_of_any_carrier(carrier: Any) -> None:
    """Dict, pairs, participant attributes, folded, repeated, beside compact forms."""
    assert told(carrier) == TRACE


@pytest.mark.parametrize("letter", list("abcdefijklmorstuvxy"))
def test_a_compact_form_of_another_header_is_not_ours(letter: str) -> None:
    """`x` is Session-Expires, `b` Referred-By, `u` Allow-Events: never a trace."""
    assert read_headers({letter: PARENT}) is None
    assert read_headers([(letter, f"{TRACE};remote={NIL}")]) is None


def test_repeated_and_different_is_nobodys() -> None:
    """Two traces under one name: neither is believed; the next header is."""
    headers = [
        ("X-Traceparent", PARENT),
        ("x-traceparent", f"00-{OTHER}-{SPAN}-01"),
        ("X-Trace-ID", "1" * 32),
    ]
    assert told(headers) == "1" * 32


@pytest.mark.parametrize(
    "value, trace_id, span_id, sampled",
    [
        (f"{TRACE}-{SPAN}", TRACE, SPAN, None),
        (f"{TRACE}-{SPAN}-0", TRACE, SPAN, False),
        (f"{TRACE}-{SPAN}-1", TRACE, SPAN, True),
        (f"{TRACE}-{SPAN}-d", TRACE, SPAN, True),
        (f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90", TRACE, SPAN, True),
        (f"a3ce929d0e0e4736-{SPAN}-1", f"{'0' * 16}a3ce929d0e0e4736", SPAN, True),
    ],
)
def test_b3(value: str, trace_id: str, span_id: str, sampled: bool | None) -> None:
    """Both lengths, every state, with and without a parent."""
    remote = read_headers({"b3": value})
    assert remote is not None
    assert (f"{remote.trace_id:032x}", f"{remote.span_id:016x}") == (trace_id, span_id)
    assert remote.sampled is sampled


@pytest.mark.parametrize(
    "value",
    ["0", "1", "d", "-", f"{TRACE}", f"{TRACE}-", f"{NIL}-{SPAN}-1", f"{TRACE}-{'0' * 16}-1",
     f"{TRACE}-{SPAN}-2", f"{TRACE}-{SPAN}-1-{SPAN}-x", f"{TRACE[:20]}-{SPAN}-1",
     f" {TRACE} - {SPAN}"],
)  # fmt: skip
def test_no_b3(value: str) -> None:
    """A state alone, zeros, wrong lengths and unknown states name no trace."""
    assert read_headers({"b3": value}) is None


@pytest.mark.parametrize(
    "value, local, remote",
    [
        (f"{TRACE};remote={NIL}", TRACE, None),
        (f"{TRACE};remote={OTHER}", TRACE, OTHER),
        (f"{NIL};remote={OTHER}", None, OTHER),
        (TRACE, TRACE, None),
        (f"{TRACE} ; Remote = {OTHER} ;x=1", TRACE, OTHER),
        (f"{TRACE};logme;remote={OTHER}", TRACE, OTHER),
    ],
)
def test_both_halves_of_a_session_id(value: str, local: str | None, remote: str | None) -> None:
    """The halves are told each for itself; the nil UUID is nobody's."""
    found = read_headers({"Session-ID": value})
    assert found is not None
    assert (found.session_id, found.session_id_remote) == (local, remote)
    assert f"{found.trace_id:032x}" == (local or remote)
    assert found.span_id is None
    assert found.span_context is None


@pytest.mark.parametrize("value", [NIL, f"{NIL};remote={NIL}", "", ";remote=", f"{TRACE[:-1]}x"])
def test_no_session_id(value: str) -> None:
    """Two nil halves, or none, are no trace."""
    assert read_headers({"Session-ID": value}) is None


HEX = PARENT.encode().hex()


@pytest.mark.parametrize(
    "value",
    [HEX, f"{HEX};encoding=hex", f"{HEX.upper()};encoding=hex", f"00{HEX};encoding=hex",
     f"04{HEX};encoding=hex;purpose=isdn-uui;content=isdn-uui", f'{HEX};encoding="hex"',
     f"{HEX};Encoding=HEX", f"abcd;encoding=hex, {HEX};encoding=hex",
     f"{HEX} ;purpose=x;encoding=hex"],
)  # fmt: skip
def test_user_to_user(value: str) -> None:
    """Hexadecimal, of either case, with or without a protocol octet, among other values."""
    assert told({"User-to-User": value}) == TRACE


@pytest.mark.parametrize(
    "value", [PARENT, f"{HEX};encoding=ascii", HEX[:-1], f"zz{HEX}", "00" * 300, f"{HEX}ff"]
)
def test_no_user_to_user(value: str) -> None:
    """Another encoding, a broken length, and what is no traceparent tell nothing."""
    assert read_headers({"User-to-User": value}) is None


# Never raises ------------------------------------------------------------------------------------

PIECES = (
    "X-Traceparent", "traceparent", "b3", "Session-ID", "User-to-User", "X-Trace-ID",
    "X-B3-TraceId", PARENT, TRACE, SPAN, NIL, HEX, ";remote=", ";encoding=hex", "-", ",",
    '"', "\\", "\r\n ",
    "\r\n", "\0", "é", "٣", "\ud800", "sip.h.", ":", "=", " ", "01", "ff", "x" * 1100,
)  # fmt: skip


def test_hostile_lines() -> None:
    """Seeded: nothing raises, and what comes out is a valid trace id of the line."""
    rng = random.Random(20261123)
    for _ in range(4_000):
        carrier: list[Any] = []
        for _ in range(5):
            name = "".join(rng.choices(PIECES, k=rng.randint(0, 2)))
            value: Any = "".join(rng.choices(PIECES, k=rng.randint(0, 4)))
            value = rng.choice([value, value, value, value.encode("utf-8", "replace"), None, 7])
            carrier.append((rng.choice([name, rng.choice(PIECES[:7])]), value))
        chosen: Any = rng.choice([carrier, dict(carrier)])
        remote = read_headers(chosen)
        if remote is not None:
            assert 0 < remote.trace_id < 1 << 128
            assert remote.span_id is None or 0 < remote.span_id < 1 << 64


@settings(max_examples=60)
@given(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=8), st.binary(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
    )
)
def test_any_object_is_a_carrier_that_tells_nothing(carrier: Any) -> None:
    """No error, whatever is given; and nothing is found where nothing is."""
    assert read_headers(carrier) is None
    assert remote_of(SipPropagator(as_parent=True).extract(carrier)) is None


class Evil(dict[str, str]):
    """A carrier that fails as it is read and written."""

    def items(self) -> Any:
        raise RuntimeError("no")

    keys = __iter__ = items
    __getitem__: Any = items

    def __setitem__(self, key: str, value: str) -> None:
        raise RuntimeError("no")


def test_a_failing_carrier_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In and out: the agent goes on."""
    from trunktrace.guard import guard

    monkeypatch.setattr(guard, "reraise", False)
    evil: Any = Evil()
    assert remote_of(SipPropagator().extract(evil)) is None
    SipPropagator(session_id=True).inject(evil, sip_attempt(under(span_context(UUID_TRACE))))
    SipPropagator().inject(None, sip_attempt(under(span_context())))
    assert read_headers(evil) is None


@pytest.mark.parametrize("kind", [dict, list])
def test_injected_once_into_either_carrier(kind: Any) -> None:
    """What stands there already is replaced, in whatever case; the rest is left alone."""
    old = [("x-tRaCeParent", f"00-{OTHER}-{SPAN}-00"), ("X-Route", "primary")]
    carrier: Any = kind(old)
    SipPropagator().inject(carrier, sip_attempt(under(span_context())))
    pairs = list(carrier.items()) if isinstance(carrier, dict) else carrier
    assert [value for name, value in pairs if name.lower() == "x-traceparent"] == [PARENT]
    assert ("X-Route", "primary") in pairs


def test_round_trip_of_every_header_we_write() -> None:
    """What goes out comes in again, as parent and with its baggage."""
    propagator = SipPropagator(as_parent=True, session_id=True, baggage=["trunk.carrier"])
    context = baggage.set_baggage("trunk.carrier", "tél, x;y=z", under(span_context(UUID_TRACE)))
    carrier: dict[str, str] = {}
    propagator.inject(carrier, sip_attempt(context))
    found = propagator.extract(carrier)
    assert trace.get_current_span(found).get_span_context().trace_id == UUID_TRACE
    assert baggage.get_baggage("trunk.carrier", found) == "tél, x;y=z"
    remote = remote_of(found)
    assert remote is not None
    assert remote.session_id == f"{UUID_TRACE:032x}"


# In a call ---------------------------------------------------------------------------------------


def test_start_call_links_and_does_not_follow(pipe: Any) -> None:
    """What the INVITE claims is linked; the call keeps its own trace."""
    with pipe.call(direction="inbound", sip_headers=[("X-Traceparent", PARENT)]):
        pass
    root = pipe.named("sip.call")
    assert root.parent is None
    assert [f"{link.context.trace_id:032x}" for link in root.links] == [TRACE]


def test_start_call_follows_if_told_to(pipe: Any) -> None:
    """`as_parent=True`: the same trace, below the claimed span, no link to it as well."""
    with pipe.call(direction="inbound", sip_headers={"Traceparent": PARENT}, as_parent=True):
        pass
    root = pipe.named("sip.call")
    assert f"{root.context.trace_id:032x}" == TRACE
    assert f"{root.parent.span_id:016x}" == SPAN
    assert not root.links


@pytest.mark.parametrize(
    "value",
    [f"00-{'5550100001'.rjust(32, '0')}-{SPAN}-01", f"00-{TRACE}-{'5550100001'.rjust(16, '0')}-01"],
)
def test_an_id_that_is_the_callers_number_is_no_link(pipe: Any, value: str) -> None:
    """Whoever calls can write his number as an id: it stands nowhere."""
    headers = {"X-Traceparent": value, "Session-ID": "5550100001".rjust(32, "0")}
    with pipe.call(direction="inbound", caller_number="+15550100001", sip_headers=headers):
        pass
    assert "5550100001" not in pipe.named("sip.call").to_json()
    assert far_end_of(headers, secrets=("5550100001",)).link is None
