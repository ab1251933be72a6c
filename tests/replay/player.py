"""Plays a captured call through the library: the same spans and room events at the same times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from livekit.agents import telemetry
from livekit.api import ServerError
from livekit.api.sip_service import SipService
from livekit.protocol.sip import CreateSIPParticipantRequest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind

import trunktrace
from trunktrace.clock import replaced
from trunktrace.registry import calls

from .capture import Capture, CapturedSpan, load
from .expected import CODEC_DELAY_NS, INHERITED, How, answered_ns, held, known_facts, rows
from .stage import JobContext, Room, Twirp
from .timeline import Timeline

HASH_KEY = "a key of more than sixteen bytes"
TICK_NS = 250_000_000
"""How often the late-facts exporter looks by its own timer."""

TRUSTED_ATTRIBUTES = """
[defaults.trusted_attributes]
carrier = "carrier.name"
route = "trunk.route"
region = "region"
"""
TRUSTED_HEADERS = """
[defaults.trusted_headers]
carrier = "X-Carrier"
route = "X-Route"
"""

Attributes = Mapping[str, Any]


@dataclass
class Outcome:
    """What came out of a replay; spans are found by their captured id."""

    capture: Capture
    alone: dict[str, ReadableSpan]
    """With the processor alone, as each span was when it ended."""
    late: dict[str, ReadableSpan]
    """Through LateFactsExporter and RedactingExporter, as they left."""
    late_bytes: bytes
    redacted_bytes: bytes
    """Through RedactingExporter without LateFactsExporter, as OTLP."""
    strays: list[str]
    """Each time an open span held something else than its time allowed."""
    raised: list[BaseException]
    """What the dials raised, as the entrypoint saw it."""
    asked: list[tuple[str, tuple[str, ...]]]
    open_calls: int
    """Calls that were still open after the root had ended."""

    @property
    def root(self) -> Attributes:
        """The root's attributes, with the processor alone."""
        return self.alone[self.capture.root.span_id].attributes or {}


class Recorder(SpanExporter):
    """Keeps the spans, and the OTLP bytes that they become."""

    def __init__(self) -> None:
        self.spans: dict[str, ReadableSpan] = {}
        self.data = b""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.data += encode_spans(spans).SerializeToString()
        for span in spans:
            key = f"{span.get_span_context().span_id:016x}"
            assert key not in self.spans, "exported twice"
            self.spans[key] = span
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        return None


class CapturedIds(IdGenerator):
    """Gives each span the id that it had."""

    def __init__(self, trace_id: str) -> None:
        self.next_span = ""
        self._trace_id = int(trace_id, 16)

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        return int(self.next_span, 16)


@dataclass
class Job:
    """One replayed job: a provider with three pipelines, a room, and the user's entrypoint."""

    capture: Capture
    directory: trunktrace.Directory
    stray: Callable[[CapturedSpan, dict[str, Any], int], str | None]
    raise_last: bool = False
    strays: list[str] = field(default_factory=list)
    raised: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.capture.root.start_ns)
        self.room = Room(self.capture, self.timeline)
        self.ids = CapturedIds(self.capture.trace_id)
        self.provider = TracerProvider(
            resource=Resource(dict(self.capture.resource)),
            id_generator=self.ids,
            shutdown_on_exit=False,
        )
        self.alone, self.redacted, self.late = Recorder(), Recorder(), Recorder()
        self.holding = trunktrace.LateFactsExporter(
            trunktrace.RedactingExporter(self.late), clock=lambda: self.timeline.now_ns / 1e9
        )
        redacting = trunktrace.RedactingExporter(self.redacted)
        self.provider.add_span_processor(trunktrace.CallSpanProcessor())
        for exporter in (self.alone, redacting, self.holding):
            self.provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer("livekit-agents")
        self.open: dict[str, tuple[CapturedSpan, Any]] = {}
        self.contexts: dict[str, Any] = {}

    # The user's code ----------------------------------------------------------------------------

    def entrypoint(self) -> Callable[[JobContext], Any]:
        """What a user would have deployed, decorated."""
        redaction = trunktrace.Redaction(hash_key=HASH_KEY)

        @trunktrace.traced_call(directory=self.directory, redaction=redaction)
        async def entrypoint(ctx: JobContext) -> str:
            codec = asyncio.create_task(self._record_codec())
            for dial in self.capture.dials:
                await self.timeline.until(dial.started_ns)
                await self._dial(dial.trunk_id, last=dial is self.capture.dials[-1])
            await self.timeline.until(self.capture.returned_ns)
            ctx.keep = codec  # type: ignore[attr-defined]
            return "done"

        return entrypoint

    async def _dial(self, trunk_id: str, *, last: bool) -> None:
        person = next(
            event.body["participant"]["attributes"]
            for event in self.capture.events
            if event.name == "participant_connected"
            and event.body["participant"]["attributes"]["sip.trunkID"] == trunk_id
        )
        request = CreateSIPParticipantRequest(
            sip_trunk_id=trunk_id,
            sip_call_to=person["sip.phoneNumber"],
            room_name=self.room.name,
            participant_identity="callee",
            wait_until_answered=True,
        )
        try:
            await self.sip.create_sip_participant(request)
        except ServerError as error:
            self.raised.append(error)
            if last and self.raise_last:
                raise

    async def _record_codec(self) -> None:
        if (answered := answered_ns(self.capture)) is None:
            return
        await self.timeline.until(answered + CODEC_DELAY_NS)
        codec = self.capture.facts["codec"]["negotiated"]
        trunktrace.current_call().record(codec=codec)

    # The replay ---------------------------------------------------------------------------------

    async def play(self) -> None:
        """Start the root as livekit-agents does, run the entrypoint in it, and let time pass."""
        session: Any = Twirp(self.capture.dials, self.timeline)
        self.sip = SipService(session, "http://livekit.invalid", "key", "secret" * 6)
        root = self.capture.root
        self._schedule()
        self._start(root)
        with trace.use_span(self.open[root.span_id][1], end_on_exit=False):
            job = asyncio.create_task(self.entrypoint()(JobContext(self.capture, self.room)))
        await self.timeline.play(self._look)
        assert not self.open
        try:
            assert await job == "done"
        except ServerError as error:
            assert self.raise_last
            assert error is self.raised[-1]

    def _schedule(self) -> None:
        timeline = self.timeline
        for event in self.capture.events:
            timeline.at(event.at_ns, lambda event=event: self.room.replay(event))
        timeline.at(self.capture.connected_ns, self.room.connect)
        for span in self.capture.spans:
            if span.parent_id is not None:
                timeline.at(span.start_ns, lambda span=span: self._start(span))
            timeline.at(span.end_ns, lambda span=span: self._end(span))
        tick = self.capture.root.start_ns
        while (tick := tick + TICK_NS) < self.capture.root.end_ns:
            timeline.at(tick, self.holding.release_due)

    def _start(self, span: CapturedSpan) -> None:
        self.ids.next_span = span.span_id
        parent = self.contexts[span.parent_id] if span.parent_id else trace.Context()
        started = self.tracer.start_span(
            span.name,
            context=parent,
            kind=SpanKind(span.kind - 1),
            attributes=dict(span.attributes),
            start_time=span.start_ns,
        )
        self.contexts[span.span_id] = trace.set_span_in_context(started, trace.Context())
        self.open[span.span_id] = span, started

    def _end(self, span: CapturedSpan) -> None:
        _, started = self.open.pop(span.span_id)
        for at_ns, name, attributes in span.events:
            started.add_event(name, dict(attributes), at_ns)
        started.end(span.end_ns)

    def _look(self) -> None:
        for span, started in self.open.values():
            if (wrong := self.stray(span, dict(started.attributes), self.timeline.now_ns)) is not None:
                self.strays.append(wrong)


def directory_of(capture: Capture, how: How) -> trunktrace.Directory:
    """The operator's directory for one way of knowing the carrier."""
    if how == "attributes":
        return trunktrace.Directory.parse(TRUSTED_ATTRIBUTES)
    if how == "headers":
        return trunktrace.Directory.parse(TRUSTED_HEADERS)
    return trunktrace.Directory.parse(toml_of(rows(capture)))


def toml_of(table: Mapping[str, Mapping[str, str]]) -> str:
    """Rows of trunk ids as a directory file."""
    return "".join(
        f"[trunks.{trunk_id}]\n" + "".join(f'{name} = "{value}"\n' for name, value in row.items())
        for trunk_id, row in table.items()
    )


@cache
def replay(name: str, how: How) -> Outcome:
    """The captured call of that name, played with a directory of that kind; once a process."""
    capture = load(name)
    known = known_facts(capture, how)

    def stray(span: CapturedSpan, attributes: dict[str, Any], now_ns: int) -> str | None:
        found = {key: value for key, value in attributes.items() if key in INHERITED}
        wanted = held(known, span.start_ns, now_ns)
        if found == wanted:
            return None
        return f"{span.name} at {(now_ns - capture.root.start_ns) / 1e9:.3f} s: {found} not {wanted}"

    return play(Job(capture, directory_of(capture, how), stray))


def play(job: Job) -> Outcome:
    """Run a job to its end."""
    before = telemetry.tracer._tracer_provider
    telemetry.set_tracer_provider(job.provider)
    try:
        with replaced(job.timeline.read):
            asyncio.run(job.play())
    finally:
        telemetry.tracer.set_provider(before)
    open_calls = len(calls)
    job.provider.force_flush()
    job.provider.shutdown()
    return Outcome(
        capture=job.capture,
        alone=job.alone.spans,
        late=job.late.spans,
        late_bytes=job.late.data,
        redacted_bytes=job.redacted.data,
        strays=job.strays,
        raised=job.raised,
        asked=job.room.local_participant.asked,
        open_calls=open_calls,
    )
