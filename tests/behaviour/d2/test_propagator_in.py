"""SipPropagator, in: which header wins, every form, every carrier, and no hostile one."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import trunktrace
from trunktrace.propagation import remote_of, sip_attempt

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER, OTHER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"
NIL = "0" * 32


def parent(carrier, getter=None):
    """The span context that a trusting propagator takes from a carrier."""
    more = {"getter": getter} if getter is not None else {}
    held = trunktrace.SipPropagator(as_parent=True).extract(carrier, **more)
    return trace.get_current_span(held).get_span_context()


def ids(carrier, getter=None):
    found = parent(carrier, getter)
    return f"{found.trace_id:032x}", f"{found.span_id:016x}"


def nothing(carrier):
    return not parent(carrier).is_valid


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Traceparent": GOOD},
        {"Traceparent": GOOD},
        {"X-Trace-ID": TRACE, "X-Span-ID": SPAN},
        {"b3": f"{TRACE}-{SPAN}-1"},
        {"b3": f"{TRACE}-{SPAN}"},
        {"b3": f"{TRACE}-{SPAN}-d-{OTHER_SPAN}"},
        {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"},
        {"User-to-User": f"{GOOD.encode().hex()};encoding=hex"},
        {"User-to-User": f"{GOOD.encode().hex()};encoding=hex;purpose=x;content=y"},
        {"User-to-User": f"{GOOD.encode().hex().upper()};ENCODING=HEX"},
        {"User-to-User": f"04{GOOD.encode().hex()};encoding=hex"},
    ],
    ids=lambda headers: ",".join(headers) + " " + next(iter(headers.values()))[:8],
)
def test_each_form_with_a_span_id_is_a_parent(headers):
    """Trace and span id of every form."""
    assert ids(headers) == (TRACE, SPAN)


SIXTH = "-".join(("00", "6" * 32, "6" * 16, "01"))
ORDER = [
    {"X-Traceparent": f"00-{'1' * 32}-{'1' * 16}-01"},
    {"Traceparent": f"00-{'2' * 32}-{'2' * 16}-01"},
    {"X-Trace-ID": "3" * 32, "X-Span-ID": "3" * 16},
    {"b3": f"{'4' * 32}-{'4' * 16}-1"},
    {"Session-ID": f"{'5' * 32};remote={NIL}"},
    {"User-to-User": f"{SIXTH.encode().hex()};encoding=hex"},
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_order_of_the_issue(first: int):
    """X-Traceparent, Traceparent, X-Trace-ID, b3, Session-ID, User-to-User."""
    headers: dict[str, str] = {}
    for each in reversed(ORDER[first:]):  # the carrier's own order is of no account
        headers |= each
    found = remote_of(trunktrace.SipPropagator().extract(headers))
    assert found is not None
    assert found.header == next(iter(ORDER[first]))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "00",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD.replace("00-", "ff-", 1),
        f"00-{NIL}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0g",
        GOOD.replace("-", "_"),
        GOOD + "\x00",
        GOOD[:20] + "\r\n" + GOOD[20:],
        "00-" + "4" * 5000,
        GOOD + "," + f"00-{OTHER}-{OTHER_SPAN}-01",
    ],
    ids=range(14),
)
def test_a_broken_traceparent_is_passed_over_for_the_next_header(broken: str):
    """It is not repaired, and does not stop the search."""
    assert nothing({"X-Traceparent": broken})
    assert ids({"X-Traceparent": broken, "Traceparent": GOOD}) == (TRACE, SPAN)


def test_a_later_version_of_traceparent_is_read():
    """W3C: what a later version adds behind the flags is left out."""
    assert ids({"X-Traceparent": f"cc-{TRACE}-{SPAN}-01-more"}) == (TRACE, SPAN)


@pytest.mark.parametrize("name", ["x-traceparent", "X-TRACEPARENT", "X-traceParent"])
@pytest.mark.parametrize(
    "make",
    [
        lambda n, v: {n: v},
        lambda n, v: {n: [v]},
        lambda n, v: [(n, v)],
        lambda n, v: [("Via", "a"), (n, v), ("From", "b")],
        lambda n, v: {n.encode(): v.encode()},
        lambda n, v: [(n.encode(), v.encode())],
        lambda n, v: {f"sip.h.{n.lower()}": v},
        lambda n, v: {n: f"\r\n {v}"},
        lambda n, v: {n: f"  {v}\t"},
        lambda n, v: {n: [v, v]},
        lambda n, v: [(n, v), (n.lower(), v)],
    ],
    ids=[
        "dict",
        "dict of lists",
        "pairs",
        "among pairs",
        "bytes",
        "pairs of bytes",
        "attributes",
        "folded",
        "blanks",
        "repeated",
        "repeated pairs",
    ],
)
def test_each_carrier(name, make):
    """dict, pairs, participant attributes; any case; folded; repeated."""
    assert ids(make(name, GOOD)) == (TRACE, SPAN)


def test_the_attribute_that_trunktrace_maps_itself():
    """`headers_to_attributes` may put the header under trunktrace.traceparent."""
    assert ids({"sip.phoneNumber": "x", "trunktrace.traceparent": GOOD}) == (TRACE, SPAN)


def test_two_different_values_are_no_value():
    """Which of two is true nobody knows: the next header is asked."""
    two = [("X-Traceparent", GOOD), ("X-Traceparent", f"00-{OTHER}-{OTHER_SPAN}-01")]
    assert nothing(two)
    assert ids([*two, ("b3", f"{TRACE}-{SPAN}")]) == (TRACE, SPAN)


def test_an_own_getter_is_used():
    """extract honours the getter that it is given."""

    class Getter:
        def get(self, carrier, key):
            found = [line.split(": ", 1)[1] for line in carrier if line.startswith(f"{key}: ")]
            return found or None

        def keys(self, carrier):
            return [line.split(": ", 1)[0] for line in carrier]

    assert ids([f"X-Traceparent: {GOOD}"], Getter()) == (TRACE, SPAN)


def test_unless_told_nothing_becomes_a_parent():
    """By default what the far end says is kept for a link."""
    held = trunktrace.SipPropagator().extract({"X-Traceparent": GOOD})
    assert not trace.get_current_span(held).get_span_context().is_valid
    remote = remote_of(held)
    assert remote is not None
    assert remote.span_context is not None
    assert remote.span_context.trace_id == int(TRACE, 16)
    assert remote.span_context.is_remote


@pytest.mark.parametrize("as_parent", [True, False])
def test_a_valid_span_context_is_never_replaced(as_parent: bool):
    """In a composite list tracecontext's find stays."""
    composite = CompositePropagator(
        [TraceContextTextMapPropagator(), trunktrace.SipPropagator(as_parent=as_parent)]
    )
    carrier = {"traceparent": f"00-{OTHER}-{OTHER_SPAN}-01", "X-Traceparent": GOOD}
    found = trace.get_current_span(composite.extract(carrier)).get_span_context()
    assert f"{found.trace_id:032x}" == OTHER


def test_the_context_that_is_given_is_kept():
    """A running span of the process is not replaced either."""
    running = SpanContext(int(OTHER, 16), int(OTHER_SPAN, 16), False, TraceFlags(1))
    held = trace.set_span_in_context(NonRecordingSpan(running))
    got = trunktrace.SipPropagator(as_parent=True).extract({"X-Traceparent": GOOD}, held)
    assert trace.get_current_span(got).get_span_context() == running


def test_http_requests_without_our_headers_are_as_before():
    """An HTTP server's requests go through the composite unchanged."""
    plain = TraceContextTextMapPropagator()
    composite = CompositePropagator([plain, trunktrace.SipPropagator(as_parent=True)])
    for carrier in ({}, {"host": "example.com"}, {"traceparent": GOOD}):
        ours = trace.get_current_span(composite.extract(carrier)).get_span_context()
        theirs = trace.get_current_span(plain.extract(carrier)).get_span_context()
        assert ours == theirs


@pytest.mark.parametrize(
    "value, local, remote",
    [
        (f"{TRACE};remote={NIL}", TRACE, NIL),
        (f"{TRACE};remote={OTHER}", TRACE, OTHER),
        (f"{TRACE.upper()};remote={OTHER.upper()}", TRACE, OTHER),
        (f"{TRACE} ; remote = {OTHER}", TRACE, OTHER),
        (f"{TRACE};x=1;remote={OTHER}", TRACE, OTHER),
        (f"{TRACE};REMOTE={OTHER};logme", TRACE, OTHER),
        (f"{TRACE}\r\n ;remote={OTHER}", TRACE, OTHER),
        (TRACE, TRACE, None),
    ],
)
def test_session_id_both_halves(value, local, remote):
    """RFC 7989, and the older form without `remote`."""
    found = remote_of(trunktrace.SipPropagator().extract({"Session-ID": value}))
    assert found is not None
    assert found.session_id == local
    assert (found.session_id_remote or NIL) == (remote or NIL)
    assert f"{found.trace_id:032x}" == local if isinstance(found.trace_id, int) else True


def test_a_nil_half_gives_the_other_one():
    """The originator's half where the sender has none yet."""
    found = remote_of(trunktrace.SipPropagator().extract({"Session-ID": f"{NIL};remote={TRACE}"}))
    assert found is not None
    assert found.session_id_remote == TRACE


@pytest.mark.parametrize(
    "value",
    [
        NIL,
        f"{NIL};remote={NIL}",
        TRACE[:-1],
        TRACE + "0",
        "",
        ";remote=",
        f"{TRACE[:-1]}g",
        "x" * 9999,
    ],
)
def test_a_session_id_that_is_none(value):
    """Nil halves and wrong lengths tell nothing."""
    found = remote_of(trunktrace.SipPropagator().extract({"Session-ID": value}))
    assert found is None


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "1",
        f"{NIL}-{SPAN}-1",
        f"{TRACE}-{'0' * 16}-1",
        f"{TRACE}-{SPAN}-9",
        f"{TRACE[:-1]}-{SPAN}",
        f"{TRACE}-{SPAN}-1-{SPAN}-1",
        "-",
    ],
)
def test_a_b3_that_names_no_trace(value):
    """A state alone and broken ids."""
    assert nothing({"b3": value})


def test_a_b3_of_64_bits():
    """Half a trace id is padded on the left."""
    assert ids({"b3": f"{SPAN}-{OTHER_SPAN}-0"}) == (SPAN.rjust(32, "0"), OTHER_SPAN)


@pytest.mark.parametrize("state, sampled", [("0", 0), ("1", 1), ("d", 1)])
def test_the_sampling_of_b3(state, sampled):
    """0 is no, 1 and d are yes."""
    assert parent({"b3": f"{TRACE}-{SPAN}-{state}"}).trace_flags == sampled


@pytest.mark.parametrize(
    "value",
    ["zz;encoding=hex", "303", ";encoding=hex", GOOD, "00" * 600, f"{GOOD.encode().hex()[:-2]}"],
)
def test_a_user_to_user_of_another_application(value):
    """What is no traceparent in hexadecimal is somebody else's."""
    assert nothing({"User-to-User": value})


def test_user_to_user_among_several():
    """Ours stands beside another application's, in one line or in two."""
    mine, other = f"{GOOD.encode().hex()};encoding=hex", "00aabbccdd;encoding=hex;purpose=isdn-uui"
    assert ids({"User-to-User": f"{other}, {mine}"}) == (TRACE, SPAN)
    assert ids([("User-to-User", other), ("User-to-User", mine)]) == (TRACE, SPAN)


@given(
    st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.sampled_from([0, 1]), st.booleans()
)
def test_what_goes_out_comes_in(trace_id, span_id, flags, session):
    """Out and in again: the same ids and the same flag."""
    told = SpanContext(trace_id, span_id, False, TraceFlags(flags))
    headers: dict[str, str] = {}
    held = sip_attempt(trace.set_span_in_context(NonRecordingSpan(told)))
    trunktrace.SipPropagator(session_id=session).inject(headers, context=held)
    found = parent(headers)
    assert (found.trace_id, found.span_id, found.trace_flags) == (trace_id, span_id, flags)


NAMES = ["X-Traceparent", "Traceparent", "X-Trace-ID", "X-Span-ID", "b3", "Session-ID"]
NAMES += ["User-to-User", "X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled", "X-Baggage"]
NAMES += ["sip.h.x-traceparent", "trunktrace.traceparent"]
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=20))
values = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="0123456789abcdef-;=remot\r\n\x00 ", max_size=120),
    st.binary(max_size=60),
    st.none(),
    st.integers(),
    st.just(GOOD),
    st.lists(st.text(max_size=60), max_size=3),
)


@given(st.one_of(st.dictionaries(names, values), st.lists(st.tuples(names, values), max_size=6)))
def test_extraction_never_raises(carrier):
    """Whatever a carrier holds; what comes of it is nothing, or valid."""
    held = trunktrace.SipPropagator(as_parent=True, baggage=["trunk.carrier"]).extract(carrier)
    found = trace.get_current_span(held).get_span_context()
    assert found == trace.INVALID_SPAN_CONTEXT or (found.is_valid and found.is_remote)
    remote = remote_of(held)
    if remote is not None:
        assert len(remote.session_id or "") in (0, 32)


@pytest.mark.parametrize("carrier", [None, 0, "X-Traceparent", [1, 2], [("a",)], [None], object()])
def test_no_carrier_of_any_kind_raises(carrier):
    """Not even one that is none."""
    held = trunktrace.SipPropagator().extract(carrier)
    assert remote_of(held) is None


def test_many_hostile_headers():
    """Seeded mutations of good headers: none raises, none gives an id that is none."""
    rng = random.Random(20261123)
    forms = [next(iter(each.values())) for each in ORDER] + [GOOD]
    forms.append(f"{GOOD.encode().hex()};encoding=hex")
    noise = string.printable + "\x00\x7f\xff\u2028"
    propagator = trunktrace.SipPropagator(as_parent=True)
    for _ in range(20_000):
        value = list(rng.choice(forms))
        for _ in range(rng.randint(0, 3)):
            place = rng.randrange(len(value))
            value[place : place + rng.randint(0, 2)] = rng.choices(noise, k=rng.randint(0, 2))
            if not value:
                value = ["0"]
        carrier = {rng.choice(NAMES): "".join(value) * rng.choice([1, 1, 1, 40])}
        found = trace.get_current_span(propagator.extract(carrier)).get_span_context()
        assert found.is_valid or found == trace.INVALID_SPAN_CONTEXT


@pytest.mark.parametrize("length", [1025, 10_000, 1_000_000])
def test_an_over_long_value_does_not_come_in(length: int):
    """However it begins."""
    assert nothing({"X-Traceparent": f"cc-{TRACE}-{SPAN}-01-".ljust(length, "a")})


def test_baggage_comes_in_only_trusted_and_only_allowed():
    """X-Baggage of the far end is read with as_parent and for listed keys alone."""
    from opentelemetry import baggage

    headers = {"X-Traceparent": GOOD, "X-Baggage": "trunk.carrier=telnyx,evil=1"}
    trusting = trunktrace.SipPropagator(as_parent=True, baggage=["trunk.carrier"])
    assert dict(baggage.get_all(trusting.extract(headers))) == {"trunk.carrier": "telnyx"}
    wary = trunktrace.SipPropagator(baggage=["trunk.carrier"])
    assert dict(baggage.get_all(wary.extract(headers))) == {}


def test_the_headers_of_a_livekit_request_are_a_carrier():
    """A protobuf map."""
    from livekit.protocol.sip import CreateSIPParticipantRequest

    request = CreateSIPParticipantRequest(headers={"x-TRACEPARENT": GOOD})
    assert ids(request.headers) == (TRACE, SPAN)


def test_multidicts_and_http_messages_are_carriers():
    """Case-insensitive multidicts, and the messages of the standard library's e-mail package."""
    from email.message import Message

    from multidict import CIMultiDict

    message = Message()
    message["X-Traceparent"] = GOOD
    assert ids(CIMultiDict({"X-Traceparent": GOOD})) == (TRACE, SPAN)
    assert ids(message) == (TRACE, SPAN)


def test_equal_values_joined_by_a_comma_are_one():
    """RFC 3261 7.3.1 lets an element join repeated lines; the two say the same."""
    assert ids([("X-Traceparent", GOOD), ("X-Traceparent", f" {GOOD}")]) == (TRACE, SPAN)


def test_a_parent_without_a_span_id_is_none():
    """A trace id alone is kept, and is no parent."""
    for headers in ({"X-Trace-ID": TRACE}, {"Session-ID": f"{TRACE};remote={NIL}"}):
        assert nothing(headers)
        assert remote_of(trunktrace.SipPropagator(as_parent=True).extract(headers)) is not None
