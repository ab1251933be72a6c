"""Plays a captured call through the library: the same spans and room events at the same times."""

from __future__ import annotations

import asyncio
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import count
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
from trunktrace.guard import guard
from trunktrace.livecall import LiveCall
from trunktrace.registry import calls

from .capture import Capture, CapturedSpan, Dial, load
from .expected import (
    CARRIER,
    CODEC_DELAY_NS,
    INHERITED,
    UNKNOWN,
    How,
    Known,
    answered_ns,
    held,
    known_facts,
    rows,
)
from .stage import JobContext, Room, Twirp
from .timeline import Timeline

HASH_KEY = "a key of more than sixteen bytes"
TICK_NS = 250_000_000
"""How often the late-facts exporter looks by its own timer."""

TRUSTED_ATTRIBUTES = """[defaults.trusted_attributes]
carrier = "carrier.name"
route = "trunk.route"
region = "region"
"""
TRUSTED_HEADERS = """[defaults.trusted_headers]
carrier = "X-Carrier"
route = "X-Route"
"""

Attributes = Mapping[str, Any]


class Recorder(SpanExporter):
    """Keeps the spans by their captured id, ours apart, when each came, and the OTLP bytes."""

    def __init__(self, timeline: Timeline) -> None:
        self.spans: dict[str, ReadableSpan] = {}
        self.ours: dict[str, ReadableSpan] = {}
        """Spans that the library made itself, in the order in which they ended."""
        self.came_ns: dict[str, int] = {}
        self._timeline = timeline

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            key = f"{span.get_span_context().span_id:016x}"
            scope = span.instrumentation_scope
            assert scope is not None
            kept = self.ours if scope.name == "trunktrace" else self.spans
            assert key not in self.came_ns, "exported twice"
            kept[key] = span
            self.came_ns[key] = self._timeline.now_ns
        return SpanExportResult.SUCCESS

    @cached_property
    def data(self) -> bytes:
        """All of it as OTLP."""
        return encode_spans([*self.spans.values(), *self.ours.values()]).SerializeToString()

    def attributes(self, span: CapturedSpan) -> Attributes:
        """What the span had when it came here."""
        return self.spans[span.span_id].attributes or {}

    def shutdown(self) -> None:
        return None


class CapturedIds(IdGenerator):
    """Gives each captured span the id that it had, and any other span one of its own."""

    def __init__(self, trace_id: str) -> None:
        self.next_span = ""
        self._trace_id = int(trace_id, 16)
        self._own = count(1)

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        captured, self.next_span = self.next_span, ""
        return int(captured, 16) if captured else next(self._own)


@dataclass
class Outcome:
    """What came out of a replay."""

    capture: Capture
    known: tuple[Known, ...]
    alone: Recorder
    """With the processor alone, each span as it was when it ended."""
    redacted: Recorder
    """Through RedactingExporter, without LateFactsExporter."""
    late: Recorder
    """Through LateFactsExporter, then RedactingExporter."""
    strays: list[str]
    """Each time an open span held something else than its time allowed."""
    raised: list[BaseException]
    """What the dials raised, as the entrypoint saw it."""
    ended_by: BaseException | None
    """What the entrypoint raised, as livekit-agents saw it."""
    asked: list[tuple[str, tuple[str, ...]]]
    """(identity, headers) of each RPC."""
    call: LiveCall
    left_open: int
    """Calls that were open after the root had ended."""
    left_held: int
    """Spans that LateFactsExporter held after the root had ended."""
    swallowed: dict[str, int]
    """What the guard kept from the agent."""
    log: str

    @property
    def root(self) -> Attributes:
        """The root's attributes, with the processor alone."""
        return self.alone.attributes(self.capture.root)

    @property
    def invites(self) -> list[ReadableSpan]:
        """The spans of the attempts, in the order of their starts."""
        made = (span for span in self.alone.ours.values() if span.name == "sip.invite")
        return sorted(made, key=lambda span: span.start_time or 0)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The attributes of the root's events of that name."""
        root = self.alone.spans[self.capture.root.span_id]
        return [dict(event.attributes or {}) for event in root.events if event.name == name]


@dataclass
class Job:
    """One replayed job: a provider with three pipelines, a room, and the user's entrypoint."""

    capture: Capture
    directory: trunktrace.Directory
    known: tuple[Known, ...]
    raises: BaseException | None = None
    """What the entrypoint raises where the captured one returned."""
    raises_dial: bool = False
    """Whether it lets the last dial's exception through."""
    at_hangup: Callable[[LiveCall], None] = lambda _: None
    """What its own code records when the call is hung up."""

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.capture.root.start_ns)
        self.room = Room(self.capture, self.timeline)
        self.ids = CapturedIds(self.capture.trace_id)
        self.provider = TracerProvider(
            resource=Resource(dict(self.capture.resource)),
            id_generator=self.ids,
            shutdown_on_exit=False,
        )
        self.alone, self.redacted, self.late = (Recorder(self.timeline) for _ in range(3))
        self.holding = trunktrace.LateFactsExporter(
            trunktrace.RedactingExporter(self.late), clock=lambda: self.timeline.now_ns / 1e9
        )
        redacting = trunktrace.RedactingExporter(self.redacted)
        self.provider.add_span_processor(trunktrace.CallSpanProcessor())
        for exporter in (self.alone, redacting, self.holding):
            self.provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer("livekit-agents")
        self.open: dict[str, tuple[CapturedSpan, Any]] = {}
        self.contexts: dict[str, trace.Context] = {}
        self.strays: list[str] = []
        self.raised: list[BaseException] = []
        self.ended_by: BaseException | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.call: LiveCall | None = None

    # The user's code ----------------------------------------------------------------------------

    def entrypoint(self) -> Callable[[JobContext], Any]:
        """What a user would have deployed, decorated."""
        redaction = trunktrace.Redaction(hash_key=HASH_KEY)

        @trunktrace.traced_call(directory=self.directory, redaction=redaction)
        async def entrypoint(ctx: JobContext) -> str:
            self.call = trunktrace.current_call()
            for code in (self._record_codec, self._at_hangup):
                self.tasks.add(asyncio.create_task(code()))
            for dial in self.capture.dials:
                await self.timeline.until(dial.started_ns)
                await self._dial(dial, last=dial is self.capture.dials[-1])
            await self.timeline.until(self.capture.returned_ns)
            if self.raises is not None:
                raise self.raises
            return ctx.room.name

        return entrypoint

    async def _dial(self, dial: Dial, *, last: bool) -> None:
        request = CreateSIPParticipantRequest(
            sip_trunk_id=dial.trunk_id,
            sip_call_to=self.capture.called,
            room_name=self.room.name,
            participant_identity=self.capture.dialled_as(dial),
            wait_until_answered=True,
        )
        try:
            await self.sip.create_sip_participant(request)
        except ServerError as error:
            self.raised.append(error)
            if last and self.raises_dial:
                raise

    async def _record_codec(self) -> None:
        if (answered := answered_ns(self.capture)) is None:
            return
        await self.timeline.until(answered + CODEC_DELAY_NS)
        codec = self.capture.facts["codec"]["negotiated"]
        trunktrace.current_call().record(codec=codec)

    async def _at_hangup(self) -> None:
        if (hung_up := self.capture.status_at("hangup")) is not None:
            await self.timeline.until(hung_up)
            self.at_hangup(trunktrace.current_call())

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
            assert await job == self.room.name
        except Exception as error:
            self.ended_by = error

    def _schedule(self) -> None:
        timeline = self.timeline
        for event in self.capture.events:
            if (happens := self.room.replayed(event)) is not None:
                timeline.at(event.at_ns, happens)
        timeline.at(self.capture.connected_ns, self.room.connect)
        for span in self.capture.spans:
            if span.parent_id is not None:
                timeline.at(span.made_ns, lambda span=span: self._start(span))
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
        root, now_ns = self.capture.root, self.timeline.now_ns
        for span, started in self.open.values():
            found = inherited(started.attributes)
            if span is root and found.get(CARRIER) == UNKNOWN:
                del found[CARRIER]
            wanted = held(self.known, span.start_ns, now_ns)
            if found != wanted:
                at_s = (now_ns - root.start_ns) / 1e9
                self.strays.append(f"{span.name} at {at_s:.4f} s: {found}, not {wanted}")


def inherited(attributes: Attributes) -> dict[str, Any]:
    """Those attributes that children inherit."""
    return {key: value for key, value in attributes.items() if key in INHERITED}


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
    return play(Job(capture, directory_of(capture, how), known_facts(capture, how)))


def play(job: Job) -> Outcome:
    """Run a job from its first span to its last."""
    before = telemetry.tracer._tracer_provider
    counted, dropped = Counter(guard.counts), guard.dropped_facts
    telemetry.set_tracer_provider(job.provider)
    try:
        with replaced(job.timeline.read), _logged() as log:
            asyncio.run(job.play())
    finally:
        telemetry.tracer.set_provider(before)
    left_open, left_held = len(calls), job.holding.held_spans
    job.provider.shutdown()
    assert job.call is not None
    assert guard.dropped_facts == dropped
    return Outcome(
        capture=job.capture,
        known=job.known,
        alone=job.alone,
        redacted=job.redacted,
        late=job.late,
        strays=job.strays,
        raised=job.raised,
        ended_by=job.ended_by,
        asked=job.room.local_participant.asked,
        call=job.call,
        left_open=left_open,
        left_held=left_held,
        swallowed=dict(guard.counts - counted),
        log=log.getvalue(),
    )


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """Everything that anyone logs within the block, as text."""
    text, logger = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
