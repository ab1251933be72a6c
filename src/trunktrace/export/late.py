"""An exporter that waits for a call's facts, so that spans that ended early carry them too."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.types import AttributeValue

from trunktrace import conventions as c
from trunktrace.errors import ConfigurationError
from trunktrace.export import installed
from trunktrace.export.rebuild import rebuilt
from trunktrace.guard import after_fork_in_child, guard
from trunktrace.livecall import LiveCall
from trunktrace.merge import LEG_KEYS
from trunktrace.processor import inherited_keys, is_ours
from trunktrace.registry import CallMemory
from trunktrace.spans import LOSS_KEYS
from trunktrace.turns import OWN_FACTS, ROLES

Attributes = Mapping[str, AttributeValue]

_POLL_S: Final = 0.25
_DEFAULT_KEYS: Final = inherited_keys(None)


class _Held:
    """The spans of one call that wait, and since when."""

    __slots__ = ("call", "settled_at", "since", "spans")

    def __init__(self, call: LiveCall, now: float) -> None:
        self.call = call
        self.since = now
        self.settled_at: float | None = None
        self.spans: list[ReadableSpan] = []


class LateFactsExporter(SpanExporter):
    """Wraps an exporter so that spans which ended before a fact was known carry it too.

    A call's spans are held until the call is settled, get the facts that became known since they
    ended, and are passed on to `exporter`. A call is settled when its carrier and route, direction
    and final code are known or can no longer come; `grace_s` is how long its spans still wait then
    for what comes just behind: the codec, the loss of the last speech. Spans are also passed on
    when the call ends, after `max_hold_s` seconds, when more than `max_spans` are held in all (the
    longest held call first), on this exporter's own `force_flush`, and on `shutdown`. The
    provider's `force_flush` does not release them: the SDK's batch processor answers it by
    `export` alone. A timer of its own looks, since the SDK does not call an exporter while nothing
    ends. Spans of no call pass through at once, as the same objects.

    Raises ConfigurationError for bounds that are not positive.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        max_spans: int = 2048,
        max_hold_s: float = 30.0,
        grace_s: float = 1.0,
        memory: CallMemory | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_count("max_spans", max_spans)
        _check_seconds("max_hold_s", max_hold_s, zero=False)
        _check_seconds("grace_s", grace_s, zero=True)
        self._exporter = exporter
        self._max_spans = max_spans
        self._max_hold_s = max_hold_s
        self._grace_s = grace_s
        self._memory = memory if memory is not None else CallMemory()
        self._clock = clock
        self._held: dict[int, _Held] = {}
        self._lock = threading.Lock()
        self._export_lock = threading.Lock()
        self._wake = threading.Event()
        self._timer: threading.Thread | None = None
        self._closed = False
        installed.note(self)
        after_fork_in_child(self, LateFactsExporter._after_fork)

    @property
    def held_spans(self) -> int:
        """How many spans are waiting now."""
        with self._lock:
            return self._count()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass on what need not wait, hold the rest. The answer is that of the wrapped exporter."""
        ready: list[ReadableSpan] = []
        with self._lock:
            for span in spans:
                call = self._memory.find(span)
                if call is None:
                    ready.append(span)
                    continue
                held = self._held.setdefault(id(call), _Held(call, self._clock()))
                held.spans.append(span)
            due = self._take_due()
            waiting = bool(self._held) and not self._closed
        result = self._pass_on(ready, due)
        if waiting and not self._start_timer():
            self._release_all()
        return result

    def release_due(self) -> None:
        """Pass on what is due by now; the timer's step, and a test's."""
        with self._lock:
            due = self._take_due()
        if due:
            self._pass_on([], due)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Pass on everything that is held, with what is known by now."""
        self._release_all()
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Pass on everything that is held, then shut the wrapped exporter down, once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wake.set()
        try:
            self._release_all()
        finally:
            self._exporter.shutdown()

    def _release_all(self) -> None:
        with self._lock:
            due = list(self._held.values())
            self._held.clear()
        if due:
            self._pass_on([], due)

    def _take_due(self) -> list[_Held]:
        """Remove and return what need not wait any longer; the caller holds the lock."""
        now = self._clock()
        due = [held for held in self._held.values() if self._is_due(held, now)]
        for held in due:
            del self._held[id(held.call)]
        while self._count() > self._max_spans:
            oldest = next(iter(self._held.values()))
            due.append(self._held.pop(id(oldest.call)))
        return due

    def _is_due(self, held: _Held, now: float) -> bool:
        if self._closed or held.call.finished or now - held.since >= self._max_hold_s:
            return True
        if not held.call.settled:
            held.settled_at = None
            return False
        if held.settled_at is None:
            held.settled_at = now
        return now - held.settled_at >= self._grace_s

    def _count(self) -> int:
        return sum(len(held.spans) for held in self._held.values())

    def _pass_on(self, ready: list[ReadableSpan], due: list[_Held]) -> SpanExportResult:
        for held in due:
            ready.extend(_completed(span, held.call) for span in held.spans)
        if not ready:
            return SpanExportResult.SUCCESS
        # Two threads export: the batch processor's and our timer. The wrapped one expects one.
        with self._export_lock:
            return self._exporter.export(ready)

    def _start_timer(self) -> bool:
        """Whether the timer runs: a process that is going down may refuse a new thread."""
        with self._lock:
            if self._timer is not None and self._timer.is_alive():
                return True
            timer = threading.Thread(target=self._run, name="trunktrace-late-facts", daemon=True)
            try:
                timer.start()
            except RuntimeError:
                return False
            self._timer = timer
            return True

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(_POLL_S)
            try:
                self.release_due()
            except Exception as error:
                guard.swallowed("late_facts.timer", error)
            with self._lock:
                if not self._held:
                    self._timer = None
                    return

    def _after_fork(self) -> None:
        # A forked child has neither the timer nor a right to the parent's spans.
        self._lock = threading.Lock()
        self._export_lock = threading.Lock()
        self._wake = threading.Event()
        self._held.clear()
        self._timer = None


def _check_seconds(field: str, value: object, *, zero: bool) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (0 < number < math.inf or (zero and number == 0)):
        least = "0 or more" if zero else "more than 0"
        raise ConfigurationError(field, value, f"give a finite number of seconds, {least}")


def _check_count(field: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(field, value, "give a whole number, at least 1")


def _completed(span: ReadableSpan, call: LiveCall) -> ReadableSpan:
    """`span` with the facts that became known after it ended; the same object if none did."""
    try:
        if ROLES[span.name] == OWN_FACTS and is_ours(span):
            return span
        present = span.attributes or {}
        if _is_root(span, call):
            known: Attributes = call.attributes
            wanted = {**_without_withdrawn(present, known), **_absent(known, present)}
        else:
            known = _known_of(present, call)
            wanted = {**_without_withdrawn(present, known), **_inherited(span, call, known)}
        return span if wanted == present else rebuilt(span, attributes=wanted)
    except Exception as error:
        guard.swallowed("late_facts.complete", error)
        return span


def _is_root(span: ReadableSpan, call: LiveCall) -> bool:
    context = span.context
    if context is None:
        return False
    at_top = span.parent is None and context.trace_id == call.trace_id
    return at_top or bool(context.span_id == call.root_span_id)


def _absent(facts: Attributes, present: Attributes) -> Attributes:
    return {key: value for key, value in facts.items() if key not in present}


def _without_withdrawn(present: Attributes, known: Attributes) -> Attributes:
    """A span's attributes without what only an attempt had said that it does not speak of.

    An attribute cannot be taken off an open span, so until now it stood there.
    """
    return {
        key: value
        for key, value in present.items()
        if key not in LEG_KEYS or key in known or value == c.UNKNOWN_CARRIER
    }


def _known_of(present: Attributes, call: LiveCall) -> Attributes:
    """What was known of the attempt that a span speaks of: never carrier of one, code of another.

    A span that says nothing of any attempt yet, or was open over two, speaks of the call as it
    came to be.
    """
    said = {key: value for key, value in present.items() if key in LEG_KEYS}
    if said:
        for known in (call.attributes, *reversed(call.former)):
            if all(known.get(key) == value for key, value in said.items()):
                return known
    return call.attributes


def _inherited(span: ReadableSpan, call: LiveCall, known: Attributes) -> Attributes:
    """What a child lacks of the inherited facts, and its loss by all that is known now."""
    views = call.spans.views
    keys = views[0].keys if views else _DEFAULT_KEYS
    present = span.attributes or {}
    facts = {k: v for k, v in known.items() if k in keys and k not in LOSS_KEYS}
    missing = dict(_absent(facts, present))
    if span.context is not None and c.RTP_LOSS_RATIO in keys:
        start_ns, end_ns = span.start_time or 0, span.end_time or 0
        missing |= call.loss_of(span.name, span.context.span_id, start_ns, end_ns)
    return missing
