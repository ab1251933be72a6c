"""SipPropagator, out: names, values, budgets, and silence outside of a SIP attempt."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import trunktrace
from trunktrace.errors import ConfigurationError
from trunktrace.propagation import sip_attempt

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def spanning(trace_id=TRACE, span_id=SPAN, flags=1, base=None):
    """A context with a span of these ids."""
    told = SpanContext(trace_id, span_id, False, TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(told), base)


def injected(propagator, base=None, carrier=None):
    headers = {} if carrier is None else carrier
    propagator.inject(headers, context=sip_attempt(spanning(base=base)))
    return headers


def line_bytes(headers, names):
    return sum(len(f"{k}: {v}\r\n".encode()) for k, v in headers.items() if k in names)


def test_it_is_a_propagator_under_the_name_sip():
    """The entry point `opentelemetry_propagator: sip` loads the public class."""
    (entry,) = entry_points(group="opentelemetry_propagator", name="sip")
    assert entry.load() is trunktrace.SipPropagator
    assert isinstance(trunktrace.SipPropagator(), TextMapPropagator)


def test_the_id_generator_is_an_entry_point():
    """The entry point `opentelemetry_id_generator: session_id` loads the public class."""
    (entry,) = entry_points(group="opentelemetry_id_generator", name="session_id")
    assert entry.load() is trunktrace.SessionIdGenerator


def test_by_default_one_header():
    """X-Traceparent with the ids of the span, and nothing else."""
    assert injected(trunktrace.SipPropagator()) == {"X-Traceparent": TRACEPARENT}


def test_the_flags_are_the_spans():
    """A span that is not sampled says so."""
    headers: dict[str, str] = {}
    trunktrace.SipPropagator().inject(headers, context=sip_attempt(spanning(flags=0)))
    assert headers["X-Traceparent"].endswith("-00")


def test_without_a_span_nothing_goes_out():
    """No valid span context, no header."""
    headers: dict[str, str] = {}
    trunktrace.SipPropagator(session_id=True).inject(headers, context=sip_attempt())
    trunktrace.SipPropagator().inject(headers, context=sip_attempt(spanning(0, 0)))
    assert headers == {}


def test_outside_of_an_attempt_it_writes_nothing():
    """HTTP requests are untouched, with every option on."""
    headers: dict[str, str] = {}
    propagator = trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier"])
    held = baggage.set_baggage("trunk.carrier", "telnyx", spanning())
    propagator.inject(headers, context=held)
    token = context.attach(held)
    propagator.inject(headers)
    context.detach(token)
    assert headers == {}


def test_in_a_composite_an_http_request_is_as_without_it():
    """tracecontext, baggage and sip together write what the first two write."""
    standard = [TraceContextTextMapPropagator(), W3CBaggagePropagator()]
    held = baggage.set_baggage("k", "v", spanning())
    plain: dict[str, str] = {}
    ours: dict[str, str] = {}
    CompositePropagator(standard).inject(plain, context=held)
    CompositePropagator([*standard, trunktrace.SipPropagator()]).inject(ours, context=held)
    assert ours == plain


def test_session_id_is_the_trace_id_with_a_nil_remote():
    """RFC 7989: 32 lower-case hex digits, and the remote parameter."""
    headers = injected(trunktrace.SipPropagator(session_id=True))
    assert headers["Session-ID"] == f"{TRACE:032x};remote={'0' * 32}"


def test_baggage_goes_out_only_for_allowed_keys():
    """What is not on the list stays at home, whatever stands in the OpenTelemetry baggage."""
    held = baggage.set_baggage("trunk.carrier", "telnyx")
    held = baggage.set_baggage("customer", "smith", held)
    headers = injected(trunktrace.SipPropagator(baggage=["trunk.carrier", "trunk.route"]), held)
    assert headers["X-Baggage"] == "trunk.carrier=telnyx"


def test_without_being_asked_no_baggage_goes_out():
    """X-Baggage is opt-in."""
    held = baggage.set_baggage("trunk.carrier", "telnyx")
    assert "X-Baggage" not in injected(trunktrace.SipPropagator(), held)


@pytest.mark.parametrize(
    "key",
    ["sip.caller.number", "sip.callee.number", "sip.caller.pii.number", "phone_number", "a b", ""],
)
def test_a_key_of_a_number_cannot_be_allowed(key: str):
    """Numbers never travel: the list itself refuses them, at construction."""
    with pytest.raises(ConfigurationError):
        trunktrace.SipPropagator(baggage=[key])


@pytest.mark.parametrize(
    "value", ["+15559990000", "15559990000", "555-999-0000", "sip:bob@example.com", "tel:5559990"]
)
def test_a_value_that_is_a_number_stays_at_home(value: str, caplog):
    """An allowed key does not make a number travel."""
    held = baggage.set_baggage("trunk.route", value)
    headers = injected(trunktrace.SipPropagator(baggage=["trunk.route"]), held)
    assert "X-Baggage" not in headers
    assert value not in caplog.text


def test_the_three_together_stay_below_the_budget():
    """At most 320 bytes of ours, 150 of them X-Traceparent's."""
    held = baggage.set_baggage("trunk.carrier", "telnyx")
    propagator = trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier"])
    headers = injected(propagator, held)
    assert list(headers) == ["X-Traceparent", "Session-ID", "X-Baggage"]
    assert line_bytes(headers, {"X-Traceparent"}) <= 150
    assert line_bytes(headers, set(headers)) <= 320


def test_what_does_not_fit_is_dropped_baggage_first_with_a_warning(caplog):
    """Over the budget X-Baggage goes as a whole, and the ids stay."""
    caplog.set_level(logging.WARNING)
    held = baggage.set_baggage("trunk.route", "r" * 230)
    propagator = trunktrace.SipPropagator(session_id=True, baggage=["trunk.route"])
    headers = injected(propagator, held)
    assert list(headers) == ["X-Traceparent", "Session-ID"]
    assert any(record.levelno >= logging.WARNING for record in caplog.records)


@given(
    st.dictionaries(
        st.sampled_from(["trunk.carrier", "trunk.route", "trunk.region", "team"]),
        st.text(max_size=300),
    ),
    st.booleans(),
)
def test_no_budget_is_ever_exceeded_and_no_line_is_ever_broken(values, session):
    """Whatever the baggage holds: budgets, visible ASCII, no CR, LF or NUL."""
    held = context.Context()
    for key, value in values.items():
        held = baggage.set_baggage(key, value, held)
    keys = ["trunk.carrier", "trunk.route", "trunk.region", "team"]
    headers = injected(trunktrace.SipPropagator(session_id=session, baggage=keys), held)
    assert headers["X-Traceparent"] == TRACEPARENT
    assert ("Session-ID" in headers) == session
    assert line_bytes(headers, {"X-Traceparent"}) <= 150
    assert line_bytes(headers, set(headers)) <= 320
    for name, value in headers.items():
        assert re.fullmatch(r"[A-Za-z0-9-]+", name)
        assert re.fullmatch(r"[\x21-\x7e]+", value)
        assert re.search(r"\d{7}", value) is None or name != "X-Baggage"


def test_a_list_of_pairs_is_a_carrier_too():
    """SIP headers are often a list."""
    pairs: list[tuple[str, str]] = [("Via", "x")]
    trunktrace.SipPropagator(session_id=True).inject(pairs, sip_attempt(spanning()))
    assert pairs[0] == ("Via", "x")
    assert dict(pairs)["X-Traceparent"] == TRACEPARENT


@pytest.mark.parametrize("name", ["X-Traceparent", "x-traceparent", "X-TRACEPARENT"])
def test_one_x_traceparent_only(name: str):
    """What the carrier had under any case does not make two lines."""
    headers = injected(trunktrace.SipPropagator(), carrier={name: "old"})
    named = {k: v for k, v in headers.items() if k.lower() == "x-traceparent"}
    assert list(named.values()) == [TRACEPARENT]


def test_an_own_setter_is_used():
    """inject honours the setter that it is given."""

    class Setter:
        def set(self, carrier, key, value):
            carrier.append(f"{key}: {value}")

    lines: list[str] = []
    trunktrace.SipPropagator().inject(lines, sip_attempt(spanning()), Setter())
    assert lines == [f"X-Traceparent: {TRACEPARENT}"]


def test_its_fields_name_what_it_writes():
    """The `fields` of a propagator, for carriers that are cleared before."""
    everything = trunktrace.SipPropagator(session_id=True, baggage=["trunk.carrier"]).fields
    assert {name.lower() for name in everything} >= {"x-traceparent", "session-id", "x-baggage"}
    assert "X-Traceparent" in trunktrace.SipPropagator().fields


def test_ids_are_uuids_of_version_4_and_stay_random():
    """A trace id that is also a valid Session-ID UUID: nibbles 13 and 17, and no repetition."""
    generator = trunktrace.SessionIdGenerator()
    ids = {generator.generate_trace_id() for _ in range(2000)}
    assert len(ids) == 2000
    for each in ids:
        text = f"{each:032x}"
        assert text[12] == "4"
        assert text[16] in "89ab"
    spans = {generator.generate_span_id() for _ in range(2000)}
    assert len(spans) == 2000
    assert 0 not in spans


def test_ids_of_the_generator_cause_no_warning(caplog):
    """A Session-ID made of a UUID is one; any other trace id is told about, once."""
    caplog.set_level(logging.WARNING)
    generator = trunktrace.SessionIdGenerator()
    headers: dict[str, str] = {}
    held = sip_attempt(spanning(generator.generate_trace_id()))
    trunktrace.SipPropagator(session_id=True).inject(headers, context=held)
    assert "Session-ID" in headers
    assert caplog.records == []


def test_the_headers_of_a_livekit_request_are_a_carrier():
    """A protobuf map, as `CreateSIPParticipantRequest.headers` is one."""
    from livekit.protocol.sip import CreateSIPParticipantRequest

    request = CreateSIPParticipantRequest(headers={"X-Team": "orders"})
    trunktrace.SipPropagator(session_id=True).inject(request.headers, sip_attempt(spanning()))
    assert request.headers["X-Traceparent"] == TRACEPARENT
    assert request.headers["X-Team"] == "orders"
    assert "Session-ID" in request.headers


def test_a_case_insensitive_multidict_is_a_carrier():
    """What aiohttp and other stacks use for headers."""
    from multidict import CIMultiDict

    headers: CIMultiDict[str] = CIMultiDict({"x-traceparent": "old"})
    trunktrace.SipPropagator().inject(headers, sip_attempt(spanning()))
    assert headers.getall("X-Traceparent") == [TRACEPARENT]


def test_named_in_the_environment_it_stands_in_the_composite():
    """OTEL_PROPAGATORS=tracecontext,baggage,sip, in a process of its own."""
    program = (
        "from opentelemetry import propagate, trace\n"
        "from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags\n"
        "from trunktrace.propagation import sip_attempt\n"
        "span = NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(1)))\n"
        "held = trace.set_span_in_context(span)\n"
        "http, sip = {}, {}\n"
        "propagate.inject(http, held)\n"
        "propagate.inject(sip, sip_attempt(held))\n"
        "print(sorted(http), sorted(sip))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"OTEL_PROPAGATORS": "tracecontext,baggage,sip"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['traceparent'] ['X-Traceparent', 'traceparent']"


def test_a_provider_with_the_generator_makes_uuid_traces():
    """Given to a TracerProvider, as the environment's entry point is."""
    provider = TracerProvider(id_generator=trunktrace.SessionIdGenerator())
    with provider.get_tracer("t").start_as_current_span("root") as span:
        made = UUID(f"{span.get_span_context().trace_id:032x}")
    assert made.version == 4
    assert made.variant == RFC_4122
    provider.shutdown()
