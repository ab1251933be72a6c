"""The loops that are measured, side by side in one process.

A span here is the start and the end of one child span with ten attributes of its own, given at its
start, under a root span, `ParentBased(ALWAYS_ON)`, a BatchSpanProcessor and an exporter that throws
the spans away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from trunktrace.conventions import INHERITED_BY_DEFAULT

from . import calls
from .facts import OWN_ATTRIBUTES, SEVEN, TWELVE

SPANS: Final = 300
"""Spans of one measured loop: fewer than a batch, so the export thread sleeps meanwhile."""

PLAIN, NOOP, BARE, BAGGAGE = "plain", "noop", "bare_set_attributes", "baggage"
TWELVE_FACTS, SEVEN_FACTS = "twelve_facts", "seven_facts"
DEFAULT_IN_TURN, NO_CALL = "default_in_a_turn", "no_call"


class DiscardingExporter(SpanExporter):
    """Throws every span away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Say that all went well."""
        return SpanExportResult.SUCCESS


@dataclass(frozen=True, slots=True)
class Scenario:
    """One loop: `run(n)` makes n spans, `drain()` empties the queue outside of the measure."""

    name: str
    run: Callable[[int], None]
    drain: Callable[[], object]


def make_provider(*processors: SpanProcessor) -> tuple[TracerProvider, BatchSpanProcessor]:
    """A provider with `processors` and, behind them, a batch processor that does not wake."""
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    batch = BatchSpanProcessor(DiscardingExporter(), schedule_delay_millis=3_600_000)
    provider.add_span_processor(batch)
    return provider, batch


def open_root(provider: TracerProvider) -> tuple[trace.Tracer, trace.Span, Context]:
    """A tracer, a root span that stays open, and the context with it."""
    tracer = provider.get_tracer("benchmark")
    root = tracer.start_span("job_entrypoint", context=Context())
    return tracer, root, trace.set_span_in_context(root, Context())


def child_loop(tracer: trace.Tracer, context: Context) -> Callable[[int], None]:
    """The loop itself: n child spans, each ended at once."""

    def run(n: int) -> None:
        for _ in range(n):
            tracer.start_span("llm_request", context=context, attributes=OWN_ATTRIBUTES).end()

    return run


def _plain() -> Scenario:
    provider, batch = make_provider()
    tracer, _, context = open_root(provider)
    return Scenario(PLAIN, child_loop(tracer, context), batch.force_flush)


def _noop() -> Scenario:
    provider, batch = make_provider(SpanProcessor())
    tracer, _, context = open_root(provider)
    return Scenario(NOOP, child_loop(tracer, context), batch.force_flush)


def _bare() -> Scenario:
    provider, batch = make_provider()
    tracer, _, context = open_root(provider)

    def run(n: int) -> None:
        for _ in range(n):
            span = tracer.start_span("llm_request", context=context, attributes=OWN_ATTRIBUTES)
            span.set_attributes(TWELVE)
            span.end()

    return Scenario(BARE, run, batch.force_flush)


def _baggage() -> Scenario:
    provider, batch = make_provider(BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS))
    tracer, _, context = open_root(provider)
    for key, value in TWELVE.items():
        context = baggage.set_baggage(key, value, context)
    return Scenario(BAGGAGE, child_loop(tracer, context), batch.force_flush)


def _twelve() -> Scenario:
    provider, batch = make_provider(calls.processor(tuple(TWELVE)))
    tracer, root, context = open_root(provider)
    calls.record_twelve(calls.open_on(root))
    check(tracer, context, TWELVE)
    return Scenario(TWELVE_FACTS, child_loop(tracer, context), batch.force_flush)


def _seven() -> Scenario:
    provider, batch = make_provider(calls.processor(tuple(SEVEN)))
    tracer, root, context = open_root(provider)
    calls.record_twelve(calls.open_on(root))
    check(tracer, context, SEVEN)
    return Scenario(SEVEN_FACTS, child_loop(tracer, context), batch.force_flush)


def _turn() -> Scenario:
    provider, batch = make_provider(calls.processor())
    tracer, root, context = open_root(provider)
    call = calls.open_on(root)
    calls.record_default(call)
    turn = calls.turn_with_loss(call, tracer, context)
    check(tracer, turn, INHERITED_BY_DEFAULT)
    return Scenario(DEFAULT_IN_TURN, child_loop(tracer, turn), batch.force_flush)


def _no_call() -> Scenario:
    provider, batch = make_provider(calls.processor(tuple(TWELVE)))
    tracer, _, context = open_root(provider)
    check(tracer, context, ())
    return Scenario(NO_CALL, child_loop(tracer, context), batch.force_flush)


def check(tracer: trace.Tracer, context: Context, facts: Iterable[str]) -> None:
    """Exit unless a child span carries exactly the keys of `facts` beside its own."""
    span = tracer.start_span("llm_request", context=context, attributes=OWN_ATTRIBUTES)
    span.end()
    attributes = span.attributes if isinstance(span, ReadableSpan) else None
    keys = set(attributes or ()) - set(OWN_ATTRIBUTES)
    if keys != set(facts):
        raise SystemExit(f"a span carries {sorted(keys)}, not {sorted(facts)}: nothing to measure")


BUILDERS: Final[tuple[Callable[[], Scenario], ...]] = (
    _plain, _noop, _bare, _baggage, _twelve, _seven, _turn, _no_call,
)  # fmt: skip


def build() -> list[Scenario]:
    """All scenarios, each with its own provider; a call is open while the last one runs."""
    return [make() for make in BUILDERS]
