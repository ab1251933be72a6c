"""The process-wide table of calls: trace id to live call, bounded, cleared on fork."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

from opentelemetry.context import Context, get_value

from trunktrace.guard import after_fork_in_child, guard, swallowing, warn_once
from trunktrace.livecall import CALL_KEY, LiveCall

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MOST_CALLS: Final = 65_536
"""More open calls than this in one process are a leak; the oldest are forgotten and counted."""


class SharedTrace:
    """A trace that holds more than calls' own spans: two calls under one remote parent, say.

    Its spans are told apart by their parent, then by the context key; a span that shows neither
    belongs to no call.
    """

    __slots__ = ("calls",)

    def __init__(self, *calls: LiveCall) -> None:
        self.calls = calls

    def call_of(self, span: ReadableSpan, context: Context | None) -> LiveCall | None:
        """The call that a starting span of this trace belongs to."""
        if span.parent is not None:
            for call in self.calls:
                if call.spans.members and span.parent.span_id in call.spans.members:
                    return call
        found = get_value(CALL_KEY, context)
        return found if isinstance(found, LiveCall) and found in self.calls else None

    def call_with(self, span_id: int) -> LiveCall | None:
        """The call that a span of this trace was counted to when it started."""
        for call in self.calls:
            if call.spans.members and span_id in call.spans.members:
                return call
        return None


class CallListener(Protocol):
    """Told of every call of the process, sampled or not. Held weakly."""

    def call_opened(self, call: LiveCall) -> None:
        """`call` has been registered."""
        ...

    def call_finished(self, call: LiveCall) -> None:
        """`call` has ended; its facts and turns can still be read."""
        ...


class CallRegistry:
    """Calls by trace id. `opened`, `finished` and `evicted` count over the process' life.

    `owned` holds the calls whose trace is theirs alone, `shared` the traces that are not; a trace
    id stands in one of them at most.
    """

    def __init__(self, most_calls: int = MOST_CALLS) -> None:
        self.owned: dict[int, LiveCall] = {}
        self.shared: dict[int, SharedTrace] = {}
        self.opened = 0
        self.finished = 0
        self.evicted = 0
        self._most_calls = most_calls
        self._open: dict[LiveCall, None] = {}
        self._listeners: WeakSet[CallListener] = WeakSet()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, call: LiveCall, *, owns_trace: bool) -> None:
        """Register `call`. `owns_trace`: its root is the trace's root, so every span is its own."""
        with self._lock:
            shared = self.shared.get(call.trace_id)
            other = self.owned.pop(call.trace_id, None)
            call.owns_trace = owns_trace and shared is None and other is None
            if not call.trace_id:
                # No SDK, no trace: only the context can tell whose code runs.
                call.owns_trace = False
            elif call.owns_trace:
                self.owned[call.trace_id] = call
            else:
                former = shared.calls if shared is not None else (other,) if other else ()
                self._share(call, former)
            self._open[call] = None
            self.opened += 1
            excess = len(self._open) - self._most_calls
            evicted = list(islice(self._open, max(0, excess)))
        for oldest in evicted:
            self.close(oldest, evicted=True)
        self._tell("call_opened", call)

    def close(self, call: LiveCall, *, evicted: bool = False) -> None:
        """Finish `call` and forget it and its spans. Idempotent."""
        with self._lock:
            if call.finished:
                return
            call.finished = True
            self.finished += 1
            self.evicted += evicted
        if evicted:
            guard.evicted_calls += 1
            warn_once("evicted", "trunktrace forgot calls: more than %d open", self._most_calls)
        # Told before it is forgotten: an exporter that looks it up now finds it here or there.
        self._tell("call_finished", call)
        with self._lock:
            self._forget(call)
        for view in call.spans.views:
            view.open.clear()
        call.root = None

    def adopt_trace(self, trace_id: int, call: LiveCall) -> None:
        """Count another trace, started inside the call, to it; so that exporters can find it."""
        with self._lock:
            if not call.finished and trace_id not in self.owned:
                self.shared.setdefault(trace_id, SharedTrace(call))

    def subscribe(self, listener: CallListener) -> None:
        """Tell `listener` of every call that opens or finishes, as long as it lives."""
        self._listeners.add(listener)

    def clear(self) -> None:
        """Forget everything without telling anyone: a forked child has no calls yet."""
        self._lock = threading.Lock()
        for call in self._open:
            call.abandon()
        self.owned.clear()
        self.shared.clear()
        self._open.clear()

    def _share(self, call: LiveCall, former: tuple[LiveCall, ...]) -> None:
        for other in (*former, call):
            other.owns_trace = False
            if other.spans.members is None:
                other.spans.members = {other.root_span_id, *other.spans.open_ids()}
        self.shared[call.trace_id] = SharedTrace(*former, call)

    def _forget(self, call: LiveCall) -> None:
        self._open.pop(call, None)
        if self.owned.get(call.trace_id) is call:
            del self.owned[call.trace_id]
        for trace_id in (call.trace_id, *call.spans.foreign_traces):
            shared = self.shared.pop(trace_id, None)
            rest = tuple(other for other in shared.calls if other is not call) if shared else ()
            if rest:
                self.shared[trace_id] = SharedTrace(*rest)

    def _tell(self, what: str, call: LiveCall) -> None:
        for listener in tuple(self._listeners):
            with swallowing(f"listener.{what}"):
                getattr(listener, what)(call)


calls: Final = CallRegistry()
"""The calls of this process."""

after_fork_in_child(calls, CallRegistry.clear)


class CallMemory:
    """An exporter's bounded memory: the call of a span, also for a while after the call ended."""

    def __init__(
        self,
        *,
        most: int = 4096,
        kept_s: float = 120.0,
        registry: CallRegistry = calls,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._kept_s = kept_s
        self._registry = registry
        self._clock = clock
        self._recent: OrderedDict[int, list[tuple[float, LiveCall]]] = OrderedDict()
        self._lock = threading.Lock()
        registry.subscribe(self)
        after_fork_in_child(self, CallMemory.reset)

    def reset(self) -> None:
        """Forget everything: in a forked child."""
        self._lock = threading.Lock()
        self._recent.clear()

    def __len__(self) -> int:
        with self._lock:
            return sum(len(kept) for kept in self._recent.values())

    def call_opened(self, call: LiveCall) -> None:
        """Nothing to do: the registry holds open calls."""

    def call_finished(self, call: LiveCall) -> None:
        """Keep the call for the spans that are still on their way to the exporter."""
        now = self._clock()
        with self._lock:
            for trace_id in (call.trace_id, *call.spans.foreign_traces):
                self._recent.setdefault(trace_id, []).append((now, call))
                self._recent.move_to_end(trace_id)
            while self._recent and (len(self._recent) > self._most or self._oldest_expired(now)):
                self._recent.popitem(last=False)

    def _oldest_expired(self, now: float) -> bool:
        return next(iter(self._recent.values()))[-1][0] < now - self._kept_s

    def find(self, span: ReadableSpan) -> LiveCall | None:
        """The call that `span` belongs to; None if it belongs to none, or to one long gone."""
        if span.context is None:
            return None
        trace_id, span_id = span.context.trace_id, span.context.span_id
        if (owner := self._registry.owned.get(trace_id)) is not None:
            return owner
        shared = self._registry.shared.get(trace_id)
        if shared is not None and (call := shared.call_with(span_id)) is not None:
            return call
        with self._lock:
            kept = [call for _, call in self._recent.get(trace_id, ())]
        for call in kept:
            if call.owns_trace and call.trace_id == trace_id:
                return call
        return SharedTrace(*kept).call_with(span_id)
