"""What others write on spans leaves the process without the call's numbers."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from trunktrace import RedactingExporter, Redaction
from trunktrace.errors import ConfigurationError
from trunktrace.export import installed
from trunktrace.guard import guard, reraising
from trunktrace.redaction import MASKED, secrets_of

CAPTURED = Path(__file__).parent / "data" / "redaction" / "spans.jsonl"
CALLER = "+15557778888"
CALLEE = "+15559615770"
OTHERS = ("+15550002222", "+15559990000", "+15553334444", "+15559617990")
RESOURCE = Resource({"service.name": "voice-agent"})
CONTEXT = SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=TraceFlags(1))


@dataclass
class FakeCall:
    secrets: Collection[str]


@dataclass
class FakeMemory:
    """Knows one call, or none; `error` is raised when asked."""

    call: FakeCall | None = None
    error: Exception | None = None

    def find(self, span: ReadableSpan) -> FakeCall | None:
        if self.error is not None:
            raise self.error
        return self.call


@dataclass
class Kept(SpanExporter):
    """Keeps what it is given."""

    spans: list[ReadableSpan] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.done.append("shutdown")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.done.append(f"flush {timeout_millis}")
        return False


def exported(
    *spans: ReadableSpan, secrets: Collection[str] | None = None, **settings: Any
) -> list[ReadableSpan]:
    """What arrives behind a RedactingExporter."""
    kept = Kept()
    memory = FakeMemory(None if secrets is None else FakeCall(secrets))
    settings = {"redaction": Redaction(), "memory": memory, **settings}
    RedactingExporter(kept, **settings).export(spans)
    return kept.spans


def span_of(attributes: Mapping[str, Any] | None = None, **parts: Any) -> ReadableSpan:
    parts = {"name": "s", "context": CONTEXT, "resource": RESOURCE, **parts}
    return ReadableSpan(attributes=attributes, start_time=1, end_time=2, **parts)


def redacted(key: str, value: Any, *raws: str, **settings: Any) -> Any:
    """What becomes of one attribute in a call with these numbers; None if it is dropped."""
    secrets = secrets_of(*raws) if raws else None
    (span,) = exported(span_of({key: value}), secrets=secrets, **settings)
    return (span.attributes or {}).get(key)


# The real spans ----------------------------------------------------------------------------------


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return tuple(_value(item) for item in content.get("values", []))
    return int(content) if kind == "intValue" else content


def _values(items: list[dict[str, Any]]) -> BoundedAttributes:
    return BoundedAttributes(attributes={item["key"]: _value(item["value"]) for item in items})


def _spans_of(line: str) -> Iterator[ReadableSpan]:
    for scope in json.loads(line)["resourceSpans"][0]["scopeSpans"]:
        for span in scope["spans"]:
            yield span_of(
                _values(span.get("attributes", [])),
                name=span["name"],
                events=tuple(
                    Event(one["name"], _values(one.get("attributes", [])), int(one["timeUnixNano"]))
                    for one in span.get("events", [])
                ),
            )


@cache
def captured() -> tuple[ReadableSpan, ...]:
    """Spans of real calls, as livekit-agents 1.8.9 wrote them."""
    lines = CAPTURED.read_text(encoding="utf-8").splitlines()
    return tuple(span for line in lines for span in _spans_of(line))


def _bytes(spans: Sequence[ReadableSpan]) -> bytes:
    return encode_spans(spans).SerializeToString()


@pytest.mark.parametrize("known", [True, False])
def test_no_number_of_a_real_call_is_in_the_exported_bytes(known: bool) -> None:
    """Of every number in the captured calls nothing is exported, even while no call is known."""
    numbers = (CALLER, CALLEE, *OTHERS)
    before = _bytes(captured())
    assert all(number.encode() in before for number in numbers)
    after = _bytes(exported(*captured(), secrets=secrets_of(*numbers) if known else None))
    assert not [number for number in numbers if number[2:].encode() in after]
    assert b"127.0.0.1" not in after
    assert b"sip:caller@" not in after


def test_what_a_real_call_keeps() -> None:
    """Ids, names of rooms and all that was said stay; of 15 spans those without numbers as is."""
    before = {(span.name, dict(span.attributes or {}).get("lk.room_sid")) for span in captured()}
    spans = exported(*captured(), secrets=secrets_of(CALLER, CALLEE))
    assert {(span.name, dict(span.attributes or {}).get("lk.room_sid")) for span in spans} == before
    same = {old.name for old, new in zip(captured(), spans, strict=True) if old is new}
    assert same >= {"llm_node", "llm_request", "tts_request", "function_tool"}
    session = next(span for span in spans if span.name == "agent_session")
    assert (
        dict(session.attributes or {}).items()
        >= {
            "lk.pii.room_name": "01-inbound-clean-pcmu-0ae2-_+1*******88_rRj2ntqcLLFL",
            "lk.pii.sip.phoneNumber": "+1*******88",
            "lk.sip.trunkPhoneNumber": "+1*******70",
            "lk.sip.callIDFull": "3b6e87185fc0@carrier.invalid",
            "lk.sip.trunkID": "ST_MfeJJSo8vwRn",
            "lk.sip.callStatus": "ringing",
        }.items()
    )
    linked = next(event for event in session.events if event.name == "participant_linked")
    assert (linked.attributes or {})["lk.pii.participant_identity"] == "sip_+1*******88"


# Keys, by rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["lk.", "lk.pii.", "livekit.", ""])
@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("sip.phoneNumber", CALLER, "+1*******88"),
        ("sip.phoneNumber", "15557778888", MASKED),
        ("sip.phoneNumber", "1001", MASKED),
        ("sip.phoneNumber", "anonymous", "anonymous"),
        ("sip.trunkPhoneNumber", CALLER, "+1*******88"),
        ("sip.from", "jane", MASKED),
        ("sip.callIDFull", "3b6e@203.0.113.7", "3b6e"),
        ("sip.hostname", "203.0.113.7:5060", MASKED),
        ("sip.hostname", "us1.carrier.example", "us1.carrier.example"),
        ("sip.h.from", f'"Jane Doe" <sip:{CALLER}@c.example>', None),
        ("sip.h.p-asserted-identity", f"<sip:{CALLER}@c.example>", None),
        ("sip.h.x-carrier", "carrier-a", None),
        ("sip.h.user-agent", "carrier-a-SBC/3.1", "carrier-a-SBC/3.1"),
        ("participant_identity", f"sip_{CALLER}", "sip_+1*******88"),
        ("participant_identity", "sip_15557778888", f"sip_{MASKED}"),
        ("participant_identity", "sip_jane", f"sip_{MASKED}"),
        ("participant_identity", "sip_anonymous", "sip_anonymous"),
        ("participant_identity", "agent-AJ_WHUCKXMFbdx8", "agent-AJ_WHUCKXMFbdx8"),
        ("participant_identity", "phone-15557778888", f"phone-{MASKED}"),
        ("rpc.destination_identity", f"sip_{CALLER}", "sip_+1*******88"),
        ("rpc.caller_identity", f"sip_{CALLER}", "sip_+1*******88"),
        ("participant.name", f"Phone {CALLER}", "Phone +1*******88"),
        ("room_name", f"call-_{CALLER}_rRj2ntqcLLFL", "call-_+1*******88_rRj2ntqcLLFL"),
        ("room_name", "call-_15557778888_rRj2ntqcLLFL", f"call-_{MASKED}_rRj2ntqcLLFL"),
        ("room_name", "call-_1001_rRj2ntqcLLFL", f"call-_{MASKED}_rRj2ntqcLLFL"),
        ("room_name", "call-15557778888", f"call-{MASKED}"),
        ("room_name", "05-out-fff1-1795396157", "05-out-fff1-1795396157"),
        ("room_name", "call-20261123-101112", "call-20261123-101112"),
        ("room.name", f"call-{CALLER}", "call-+1*******88"),
    ],
)
def test_keys_are_known_by_rule(prefix: str, key: str, value: str, expected: str | None) -> None:
    """A key is known by its segments, under any prefix and with or without a `pii` segment."""
    assert redacted(prefix + key, value) == expected


def test_a_header_is_let_through_if_asked_for() -> None:
    """`headers` lets a SIP header through, whatever its case; numbers in it are masked."""
    allowed = {"headers": ["X-Carrier"]}
    assert redacted("lk.sip.h.x-carrier", "carrier-a", **allowed) == "carrier-a"
    assert redacted("lk.sip.h.x-carrier", f"for {CALLER}", **allowed) == "for +1*******88"
    assert redacted("lk.sip.h.x-route", "lcr-7", **allowed) is None


@pytest.mark.parametrize("headers", ["X-Carrier", ["From"], ["x-a", "P-Asserted-Identity"], [" "]])
def test_a_header_that_names_a_person_is_refused(headers: str | list[str]) -> None:
    """A header with a person in it, an empty name, or one text for a list raises."""
    with pytest.raises(ConfigurationError) as caught:
        RedactingExporter(Kept(), redaction=Redaction(), headers=headers, memory=FakeMemory())
    assert caught.value.field == "headers"


@pytest.mark.parametrize("key", ["lk.pii.rpc.response", "lk.pii.rpc.payload", "lk.rpc.response"])
def test_the_bodies_of_sip_rpcs_are_dropped(key: str) -> None:
    """LiveKit's answer to GetRemoteHeaders holds every header: it goes. Others stay."""
    body = json.dumps({"headers": {"From": '"Jane Doe" <sip:jane@c.example>'}})
    (span,) = exported(span_of({"rpc.method": "lk.sip.GetRemoteHeaders", key: body}))
    assert dict(span.attributes or {}) == {"rpc.method": "lk.sip.GetRemoteHeaders"}
    (span,) = exported(span_of({"rpc.method": "show_map", key: "{}"}))
    assert (span.attributes or {})[key] == "{}"


SPOKEN = [
    "lk.pii.user_transcript", "lk.pii.user_input", "lk.pii.chat_ctx", "lk.pii.response.text",
    "lk.pii.function_tool.arguments", "lk.pii.something_new", "lk.user_transcript", "lk.chat_ctx",
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.call.arguments",
    "gen_ai.system_instructions", "gen_ai.prompt.variable.name",
]  # fmt: skip


@pytest.mark.parametrize("key", SPOKEN)
def test_of_what_was_said_only_the_calls_own_numbers_are_masked(key: str) -> None:
    """Transcripts and prompts are LiveKit's: another number that was spoken stays."""
    said = "my sister has +1 303 555 0199, or +13035550199, I have 555-777-8888"
    expected = f"my sister has +1 303 555 0199, or +13035550199, I have {MASKED}"
    assert redacted(key, said, CALLER) == expected
    assert redacted(key, said, CALLEE) == said


def test_the_content_events_of_genai_are_speech() -> None:
    """An event `gen_ai.user.message` has what was said under `content`."""
    event = Event("gen_ai.user.message", {"content": "I am +13035550199 not 5557778888"}, 5)
    (span,) = exported(span_of(events=[event]), secrets=secrets_of(CALLER))
    assert dict(span.events[0].attributes or {}) == {"content": f"I am +13035550199 not {MASKED}"}


# Every place of a span ---------------------------------------------------------------------------


def test_every_text_of_a_span_is_searched() -> None:
    """Name, status, keys, events, links and resource: the number is in none of them."""
    link = Link(CONTEXT, {"peer": CALLER})
    span = span_of(
        {f"to.{CALLER}": "x", "list": ("a", f"b {CALLER}")},
        name=f"call {CALLER}",
        kind=SpanKind.CLIENT,
        parent=CONTEXT,
        events=[Event(f"dial {CALLER}", {"exception.message": f"no answer {CALLER}"}, 5)],
        links=[link],
        status=Status(StatusCode.ERROR, f"busy: {CALLER}"),
        resource=Resource({"service.name": "a", "args": ("--to", CALLER)}, "https://schema"),
    )
    (new,) = exported(span, secrets=None)
    assert CALLER[2:].encode() not in _bytes([new])
    assert new.name == "call +1*******88"
    assert dict(new.attributes or {}) == {
        "to.+1*******88": "x",
        "list": ("a", "b +1*******88"),
    }
    assert new.status.description == "busy: +1*******88"
    assert new.status.status_code is StatusCode.ERROR
    assert new.events[0].name == "dial +1*******88"
    assert new.events[0].timestamp == 5
    assert dict(new.events[0].attributes or {}) == {"exception.message": "no answer +1*******88"}
    assert dict(new.links[0].attributes or {}) == {"peer": "+1*******88"}
    assert new.links[0].context == CONTEXT
    assert new.resource.attributes["args"] == ("--to", "+1*******88")
    assert new.resource.schema_url == "https://schema"
    assert (new.kind, new.parent, new.context) == (SpanKind.CLIENT, CONTEXT, CONTEXT)
    assert (new.start_time, new.end_time) == (1, 2)


@pytest.mark.parametrize(
    "value, expected",
    [
        (15557778888, MASKED),
        (1795396163543073700, 1795396163543073700),
        (200, 200),
        (1.5, 1.5),
        (True, True),
        ((15557778888, 1), (MASKED, "1")),
        ((1, 2), (1, 2)),
    ],
)
def test_values_that_are_no_text(value: Any, expected: Any) -> None:
    """A known number is found as an integer and inside lists; other values stay."""
    assert redacted("any.key", value, CALLER) == expected


@pytest.mark.parametrize("value", [CALLER.encode(), {"a": {"b": CALLER, CALLER: (CALLER,)}}])
def test_bytes_and_maps_are_searched(value: Any) -> None:
    """No number gets out inside bytes and maps, which not every SDK allows as a value."""
    (span,) = exported(span_of({"any.key": value, "other": 1}))
    assert CALLER[2:] not in str(dict(span.attributes or {}))
    assert (span.attributes or {})["other"] == 1


def test_a_number_in_an_integer_under_a_number_key() -> None:
    """An integer under a key for a number is masked, known or not."""
    assert redacted("lk.sip.phoneNumber", 12025550134) == MASKED


def test_counts_of_what_the_sdk_dropped_are_kept() -> None:
    """A redacted span still tells how many attributes, events and links the SDK had dropped."""
    kept = Kept()
    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1, max_event_attributes=1)
    provider = TracerProvider(span_limits=limits, resource=RESOURCE, shutdown_on_exit=False)
    exporter = RedactingExporter(kept, redaction=Redaction(), memory=FakeMemory())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    links = [Link(CONTEXT), Link(CONTEXT, {"peer": CALLER})]
    with provider.get_tracer("t").start_as_current_span("s", links=links) as span:
        span.set_attributes({"a": 1, "to": CALLER})
        span.add_event("one")
        span.add_event("two", {"a": 1, "to": CALLER})
    (new,) = kept.spans
    assert dict(new.attributes or {}) == {"to": "+1*******88"}
    assert (new.dropped_attributes, new.dropped_events, new.dropped_links) == (1, 1, 1)
    assert new.events[0].dropped_attributes == 1


# What is passed on as it is ----------------------------------------------------------------------


def test_a_span_with_nothing_to_redact_is_the_same_object() -> None:
    """No copy is made of a span that holds no number, in a call and outside of one."""
    span = span_of(
        {
            "sip.caller.number": "+1*******88",
            "sip.call_id": "3b6e@carrier.invalid",
            "sip.hash": "k1:0123456789abcdef",
            "lk.pii.room_name": "support",
            "lk.pii.participant_identity": "agent-AJ_x",
            "lk.sip.hostname": "us1.carrier.example",
            "gen_ai.input.messages": "I am +13035550199",
            "when": "2026-11-23T01:09:23.540863+00:00",
            "n": 1795396163543073700,
            "list": ("a", "b"),
            "ratio": 0.5,
        },
        events=[Event("e", {"a": "b"}, 5)],
        links=[Link(CONTEXT, {"a": "b"})],
    )
    assert exported(span)[0] is span
    assert exported(span, secrets=secrets_of(CALLER))[0] is span
    empty = span_of()
    assert exported(empty)[0] is empty


def test_revealing_keeps_what_is_marked_and_what_was_said() -> None:
    """With numbers in clear asked for, `pii` keys and speech are untouched, all else is masked."""
    attributes = {
        "lk.pii.sip.phoneNumber": CALLER,
        "lk.pii.participant_identity": f"sip_{CALLER}",
        "sip.caller.pii.number": CALLER,
        "gen_ai.input.messages": f"I am {CALLER}",
        "lk.sip.trunkPhoneNumber": CALLEE,
        "lk.rpc.destination_identity": f"sip_{CALLER}",
        "lk.sip.h.from": f"<sip:{CALLER}@c.example>",
        "note": f"call {CALLER}",
    }
    (span,) = exported(
        span_of(attributes),
        secrets=secrets_of(CALLER, CALLEE),
        redaction=Redaction(reveal_numbers=True),
    )
    assert dict(span.attributes or {}) == {
        **dict(list(attributes.items())[:4]),
        "lk.sip.trunkPhoneNumber": "+1*******70",
        "lk.rpc.destination_identity": "sip_+1*******88",
        "note": "call +1*******88",
    }


def test_the_redaction_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Redaction given, TRUNKTRACE_REVEAL_NUMBERS decides."""
    monkeypatch.setenv("TRUNKTRACE_REVEAL_NUMBERS", "1")
    assert redacted("lk.pii.sip.phoneNumber", CALLER, redaction=None) == CALLER
    monkeypatch.setenv("TRUNKTRACE_REVEAL_NUMBERS", "0")
    assert redacted("lk.pii.sip.phoneNumber", CALLER, redaction=None) == "+1*******88"


def test_numbers_learned_later_are_found_in_later_spans() -> None:
    """The call's secrets are asked for at each export: what became known in between counts."""
    kept, memory = Kept(), FakeMemory(FakeCall(frozenset()))
    exporter = RedactingExporter(kept, redaction=Redaction(), memory=memory)
    span = span_of({"note": "5557778888"})
    exporter.export([span])
    memory.call = FakeCall(secrets_of(CALLER))
    exporter.export([span])
    assert [(one.attributes or {})["note"] for one in kept.spans] == ["5557778888", MASKED]


def test_the_default_memory_knows_the_open_calls() -> None:
    """Without a memory given, the process's own calls are asked: here there is none."""
    kept = Kept()
    span = span_of({"lk.sip.phoneNumber": CALLER})
    RedactingExporter(kept, redaction=Redaction()).export([span])
    assert (kept.spans[0].attributes or {})["lk.sip.phoneNumber"] == "+1*******88"


# When something goes wrong -----------------------------------------------------------------------


class Unreadable(tuple[str, ...]):
    """A value that raises when it is looked at."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        raise ValueError(CALLER)


@pytest.mark.parametrize("broken", ["value", "memory"])
def test_a_span_that_cannot_be_redacted_goes_out_without_texts(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rather than in clear, it is exported with its place, times and numbers only, and counted."""
    span = span_of(
        {
            "sip.response.status_code": 200,
            "rtp.loss_ratio": 0.5,
            "trunk.carrier": "telnyx",
            "note": "x",
            **({"bad": Unreadable((CALLER,))} if broken == "value" else {}),
        },
        name=f"call {CALLER}",
        events=[Event(f"e {CALLER}", {}, 5)],
        links=[Link(CONTEXT, {"a": CALLER})],
        status=Status(StatusCode.ERROR, f"busy {CALLER}"),
        resource=Resource({"service.name": "a", "args": CALLER}),
    )
    error = ValueError(CALLER) if broken == "memory" else None
    with reraising(value=False), caplog.at_level(logging.WARNING):
        new, after = exported(span, span_of({"a": "b"}), memory=FakeMemory(error=error))[:2]
    assert CALLER[2:].encode() not in _bytes([new])
    assert CALLER[2:] not in caplog.text
    assert guard.counts["RedactingExporter"] == (1 if broken == "value" else 2)
    assert new.name == "redacted"
    assert dict(new.attributes or {}) == {"sip.response.status_code": 200, "rtp.loss_ratio": 0.5}
    assert new.status.status_code is StatusCode.ERROR
    assert dict(new.resource.attributes) == {"service.name": "a"}
    assert (new.context, new.start_time, new.end_time) == (CONTEXT, 1, 2)
    assert after.context == CONTEXT


def test_a_span_of_which_nothing_can_be_read_is_dropped_and_counted() -> None:
    """If even the copy without texts fails, the span is dropped; the others are exported."""

    class Broken(ReadableSpan):
        @property
        def attributes(self) -> Any:
            raise ValueError("broken")

    with reraising(value=False):
        spans = exported(Broken("s"), span_of({"a": "b"}))
    assert [span.name for span in spans] == ["s"]
    assert sum(guard.counts.values()) == 2


def test_an_exporter_that_raises_is_a_failed_export() -> None:
    """What the wrapped exporter raises ends here as FAILURE, counted."""

    class Raising(Kept):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise OSError("no network")

    exporter = RedactingExporter(Raising(), redaction=Redaction(), memory=FakeMemory())
    with reraising(value=False):
        assert exporter.export([span_of()]) is SpanExportResult.FAILURE
    assert guard.counts["the exporter Raising"] == 1


def test_a_standing_exporter_is_known() -> None:
    """The warning that says what is missing from a pipeline knows that this one is not."""
    exporter = RedactingExporter(Kept(), redaction=Redaction(), memory=FakeMemory())
    assert type(exporter).__name__ in installed.names()


def test_flush_and_shutdown_are_the_wrapped_exporters() -> None:
    """Result, flush with its timeout, and shutdown are those of the wrapped exporter."""
    kept = Kept()
    exporter = RedactingExporter(kept, redaction=Redaction(), memory=FakeMemory())
    assert exporter.export([]) is SpanExportResult.SUCCESS
    assert exporter.force_flush(5) is False
    exporter.shutdown()
    assert kept.done == ["flush 5", "shutdown"]


KEYS = st.sampled_from(
    [
        "lk.sip.phoneNumber", "lk.sip.callIDFull", "lk.sip.hostname", "lk.sip.new", "lk.room_name",
        "lk.pii.participant_identity", "lk.rpc.response", "lk.pii.chat_ctx", "sip.h.from",
        "gen_ai.input.messages", "exception.message", "x",
    ]
)  # fmt: skip
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Nd", "Cs"]), max_size=20)


@settings(deadline=None)
@given(KEYS, st.integers(10**9, 10**15 - 1), TEXTS, TEXTS, st.sampled_from(["", "+", "sip:+"]))
def test_a_known_number_survives_under_no_key(
    key: str, number: int, before: str, after: str, sign: str
) -> None:
    """Whatever the key and whatever stands around it, the call's number does not get out."""
    text = f"{before}{sign}{number}{after}"
    (span,) = exported(span_of({key: text}), secrets=secrets_of(f"+{number}"))
    digits = "".join(char for char in str(dict(span.attributes or {})) if char.isdecimal())
    assert str(number)[3:] not in digits
