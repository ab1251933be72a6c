"""`SipPropagator` alone and in a composite list: SIP attempts are written to, HTTP is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Setter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import trunktrace
from trunktrace.guard import guard, reraising
from trunktrace.propagation import Remote, SipPropagator, remote_of, sip_attempt

UUID4 = 0xAB30317F1A784DC48FF824D0D3715D86
HERE = SpanContext(UUID4, 0xF067AA0BA902B7, is_remote=False, trace_flags=TraceFlags(1))
PARENT = f"00-{UUID4:032x}-00f067aa0ba902b7-01"
THERE = f"00-{7:032x}-{8:016x}-01"


def _within_span() -> Context:
    return trace.set_span_in_context(NonRecordingSpan(HERE), Context())


def _composite(*mine: SipPropagator) -> CompositePropagator:
    return CompositePropagator(
        [TraceContextTextMapPropagator(), W3CBaggagePropagator(), *(mine or [SipPropagator()])]
    )


def _current(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


class _Odd:
    def __str__(self) -> str:
        return "odd"


def test_public_name() -> None:
    """It is had from the package as well."""
    assert trunktrace.SipPropagator is SipPropagator


def test_attempt_is_written_to() -> None:
    """In the context of a SIP attempt the current span's ids go into the headers."""
    carrier: dict[str, str] = {}
    SipPropagator().inject(carrier, sip_attempt(_within_span()))
    assert carrier == {"X-Traceparent": PARENT}


def test_current_context_is_the_default() -> None:
    """Without a context both take the current one."""
    token = attach(_within_span())
    try:
        carrier: dict[str, str] = {}
        SipPropagator().inject(carrier)
        assert carrier == {}
        SipPropagator().inject(carrier, sip_attempt())
        assert carrier == {"X-Traceparent": PARENT}
    finally:
        detach(token)


def test_current_attempt() -> None:
    """A SIP stack that attaches the attempt's context need not pass it."""
    token = attach(sip_attempt(_within_span()))
    try:
        carrier: dict[str, str] = {}
        SipPropagator().inject(carrier)
        assert carrier == {"X-Traceparent": PARENT}
    finally:
        detach(token)


def test_http_is_not_touched() -> None:
    """In a composite list HTTP headers are what they would be without ours."""
    context = baggage.set_baggage("trunk.carrier", "telnyx", _within_span())
    with_ours: dict[str, str] = {}
    without: dict[str, str] = {}
    mine = SipPropagator(session_id=True, baggage=["trunk.carrier"])
    _composite(mine).inject(with_ours, context)
    CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]).inject(
        without, context
    )
    assert with_ours == without == {"traceparent": PARENT, "baggage": "trunk.carrier=telnyx"}


def test_nothing_without_a_span() -> None:
    """A SIP attempt outside of any trace carries no header."""
    carrier: dict[str, str] = {}
    SipPropagator(session_id=True).inject(carrier, sip_attempt(Context()))
    assert carrier == {}


def test_everything_that_can_be_asked_for() -> None:
    """Session-ID and the allow-listed baggage go out too; other baggage does not."""
    context = baggage.set_baggage("trunk.carrier", "telnyx", _within_span())
    context = baggage.set_baggage("user.id", "alice", context)
    context = baggage.set_baggage("attempt", 2, context)
    context = baggage.set_baggage("odd", _Odd(), context)
    propagator = SipPropagator(session_id=True, baggage=["attempt", "trunk.carrier", "odd", "none"])
    carrier: dict[str, str] = {}
    propagator.inject(carrier, sip_attempt(context))
    assert carrier == {
        "X-Traceparent": PARENT,
        "Session-ID": f"{UUID4:032x};remote={'0' * 32}",
        "X-Baggage": "attempt=2,trunk.carrier=telnyx",
    }
    assert set(carrier) == propagator.fields


@pytest.mark.parametrize(
    "asked, fields",
    [
        ({}, {"X-Traceparent"}),
        ({"session_id": True}, {"X-Traceparent", "Session-ID"}),
        ({"baggage": ["trunk.carrier"]}, {"X-Traceparent", "X-Baggage"}),
    ],
)
def test_fields(asked: Any, fields: set[str]) -> None:
    """`fields` names exactly the headers that can be written."""
    assert SipPropagator(**asked).fields == fields


@pytest.mark.parametrize(
    "carrier",
    [
        {"x-traceparent": "old"},
        {"X-TraceParent": "old", "x-traceparent": "older", "X-TRACEPARENT": "oldest"},
        {"X-Traceparent": "old"},
        [("x-traceparent", "old")],
        [["Via", "x"], ("x-traceparent", "old"), (b"X-Traceparent", b"older")],
    ],
)
def test_never_two_of_them(carrier: Any) -> None:
    """An X-Traceparent that is there, in any case, is replaced by the one of this attempt."""
    SipPropagator().inject(carrier, sip_attempt(_within_span()))
    lines = carrier.items() if isinstance(carrier, dict) else carrier
    values = [
        value
        for name, value in lines
        if (name.decode() if isinstance(name, bytes) else name).lower() == "x-traceparent"
    ]
    assert values == [PARENT]


@pytest.mark.parametrize("name", ["Session-ID", "session-id"])
@pytest.mark.parametrize("make", [dict, list])
def test_session_id_of_the_caller_stays(name: str, make: Any) -> None:
    """A Session-ID that whoever dials has set is not ours to change."""
    carrier = make([(name, "theirs")])
    SipPropagator(session_id=True).inject(carrier, sip_attempt(_within_span()))
    assert dict(carrier) == {name: "theirs", "X-Traceparent": PARENT}


def test_own_setter() -> None:
    """A carrier with a setter of its own is written to by that."""

    class Own(Setter[Any]):
        def set(self, carrier: Any, key: str, value: str) -> None:
            carrier.headers.append(f"{key}: {value}")

    class Request:
        headers: list[str] = []  # noqa: RUF012  # made once, in this test only

    SipPropagator().inject(Request(), sip_attempt(_within_span()), Own())
    assert Request.headers == [f"X-Traceparent: {PARENT}"]


@pytest.mark.parametrize("carrier", [None, 7, "text", (), object()])
def test_carrier_that_cannot_be_written_to(carrier: Any) -> None:
    """What refuses a header costs a line in the log, not the call."""
    with reraising(value=False):
        SipPropagator().inject(carrier, sip_attempt(_within_span()))
    assert guard.counts == {"propagation.inject": 1}


def test_kept_for_a_link() -> None:
    """What a caller claims is kept beside the context and is nobody's parent."""
    context = SipPropagator().extract({"X-Traceparent": THERE}, Context())
    assert remote_of(context) == Remote(7, 8, True, "X-Traceparent", None, None)
    assert not _current(context).is_valid


def test_nothing_found() -> None:
    """Headers that tell nothing leave the context as it is, and remote_of says None."""
    context = _within_span()
    assert SipPropagator(as_parent=True).extract({"Via": "x"}, context) is context
    assert remote_of(context) is None
    assert remote_of() is None


def test_as_parent() -> None:
    """Where the far end is trusted, its span is the remote parent of the next one."""
    context = SipPropagator(as_parent=True).extract({"X-Traceparent": THERE})
    assert _current(context) == SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
    assert _current(context).is_remote
    assert remote_of(context) is not None


@pytest.mark.parametrize("header", ["X-Trace-ID", "Session-ID"])
def test_no_parent_without_a_span_id(header: str) -> None:
    """A trace id alone is kept, and is no parent."""
    context = SipPropagator(as_parent=True).extract({header: f"{UUID4:032x}"})
    found = remote_of(context)
    assert found is not None
    assert found.trace_id == UUID4
    assert not _current(context).is_valid


@pytest.mark.parametrize("as_parent", [True, False])
def test_valid_context_is_never_replaced(as_parent: bool) -> None:
    """Beside others in a composite list, what they found stays the parent."""
    carrier = {"traceparent": PARENT, "X-Traceparent": THERE}
    context = _composite(SipPropagator(as_parent=as_parent)).extract(carrier, Context())
    assert _current(context).trace_id == UUID4
    found = remote_of(context)
    assert found is not None
    assert found.trace_id == 7


def test_baggage_of_a_trusted_far_end() -> None:
    """With as_parent the allow-listed keys come in, and replace none that is there."""
    propagator = SipPropagator(as_parent=True, baggage=["trunk.carrier", "trunk.route", "tenant"])
    carrier = {
        "X-Traceparent": THERE,
        "X-Baggage": "trunk.carrier=bad , trunk.route = us%20east;p=1,tenant=%2B15555550100,user=x"
        ",trunk.route=later,trunk.route",
    }
    context = baggage.set_baggage("trunk.carrier", "telnyx", Context())
    context = propagator.extract(carrier, context)
    assert baggage.get_all(context) == {"trunk.carrier": "telnyx", "trunk.route": "us east"}


def test_baggage_of_a_stranger() -> None:
    """Without as_parent baggage is a caller's claim and is not read."""
    propagator = SipPropagator(baggage=["trunk.carrier"])
    carrier = {"X-Traceparent": THERE, "X-Baggage": "trunk.carrier=telnyx"}
    assert baggage.get_all(propagator.extract(carrier, Context())) == {}


def test_there_and_back() -> None:
    """What one trunktrace sends, another reads as its parent, with the baggage."""
    ours = SipPropagator(as_parent=True, session_id=True, baggage=["trunk.route"])
    carrier: list[tuple[str, str]] = []
    context = baggage.set_baggage("trunk.route", "us east/1,2;3", _within_span())
    ours.inject(carrier, sip_attempt(context))
    theirs = ours.extract(carrier, Context())
    assert (_current(theirs).trace_id, _current(theirs).span_id) == (HERE.trace_id, HERE.span_id)
    assert baggage.get_all(theirs) == {"trunk.route": "us east/1,2;3"}
    found = remote_of(theirs)
    assert found is not None
    assert (found.session_id, found.session_id_remote) == (f"{UUID4:032x}", None)


PROGRAM = """
import json, sys
from opentelemetry import propagate, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext
loaded = [name for name in ("opentelemetry.sdk", "livekit", "phonenumbers") if name in sys.modules]
from trunktrace.propagation import remote_of, sip_attempt
context = trace.set_span_in_context(NonRecordingSpan(SpanContext(1, 2, is_remote=False)))
http, sip = {}, {}
propagate.inject(http, context)
propagate.inject(sip, sip_attempt(context))
told = remote_of(propagate.extract({"X-Trace-ID": "a" * 32}))
print(json.dumps([sorted(http), sorted(sip), told.header, loaded]))
"""


def test_entry_point() -> None:
    """`OTEL_PROPAGATORS` finds it under the name `sip`; that loads nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OTEL_PROPAGATORS": "tracecontext,baggage,sip"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    http, sip, header, loaded = json.loads(done.stdout)
    assert http == ["traceparent"]
    assert sip == ["X-Traceparent", "traceparent"]
    assert (header, loaded) == ("X-Trace-ID", [])
