"""Trace ids that a SIP Session-ID can hold, with the real SDK."""

from __future__ import annotations

import uuid

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

import trunktrace
from trunktrace.propagation import write_headers


def test_every_trace_id_is_a_uuid() -> None:
    """Each id is another UUID of version 4, and span ids are what the SDK makes."""
    made = trunktrace.SessionIdGenerator()
    ids = [uuid.UUID(int=made.generate_trace_id()) for _ in range(1000)]
    assert {(each.version, each.variant) for each in ids} == {(4, uuid.RFC_4122)}
    assert len(set(ids)) == 1000
    assert 0 < made.generate_span_id() < 2**64


def test_all_other_bits_are_random() -> None:
    """122 bits are both 0 and 1 in some id: the last 62, where samplers look, among them."""
    made = trunktrace.SessionIdGenerator()
    ones, zeros = 0, 0
    for _ in range(1000):
        trace_id = made.generate_trace_id()
        ones |= trace_id
        zeros |= ~trace_id & (2**128 - 1)
    assert (ones & zeros).bit_count() == 122
    assert ones & zeros & (2**62 - 1) == 2**62 - 1


def test_with_the_sdk() -> None:
    """A provider made with it gives spans whose trace can go out as a Session-ID."""
    provider = TracerProvider(id_generator=trunktrace.SessionIdGenerator(), shutdown_on_exit=False)
    for _ in range(100):
        with provider.get_tracer("test").start_as_current_span("call") as span:
            context = span.get_span_context()
        headers = write_headers(context, session_id=True)
        assert headers["Session-ID"].startswith(f"{context.trace_id:032x};remote=")
    provider.shutdown()


def test_says_that_it_is_random() -> None:
    """It says of its ids what the SDK's own generator says, where the SDK asks at all."""
    ours, theirs = trunktrace.SessionIdGenerator(), RandomIdGenerator()
    asked = "is_trace_id_random"
    assert hasattr(ours, asked) == hasattr(theirs, asked)
    if hasattr(theirs, asked):
        assert ours.is_trace_id_random() is theirs.is_trace_id_random()
