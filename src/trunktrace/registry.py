"""The process-wide table of calls: trace id to live call, bounded, cleared on fork."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.context import Context, get_value

from trunktrace.guard import after_fork_in_child, guard, swallowing, warn_once
from trunktrace.livecall import CALL_KEY, LiveCall

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MOST_MEMBERS: Final = 65_536
"""Spans of one shared trace that are told apart by their parent; of more the oldest is dropped."""

MOST_FOREIGN_TRACES: Final = 256
"""Traces begun inside one call that exporters can find too; spans of more are stamped only."""

MOST_CALLS: Final = 65_536
"""More open calls than this in one process are a leak; the oldest are forgotten and counted."""


class SharedTrace:
    """A trace that holds more than one call's own spans: two calls under one remote parent, say.

    Its spans are told apart by their parent, then by the context key. A span that shows neither is
    its `owner`'s: the call whose root is the trace's own root. Where there is no such call, it is
    nobody's. `members` remembers whose each span was, also after the span has ended.
    """

    __slots__ = ("calls", "members", "owner")

    def __init__(self, owner: LiveCall | None = None) -> None:
        self.calls: tuple[LiveCall, ...] = ()
        self.members: dict[int, LiveCall] = {}
        self.owner = owner

    def add(self, call: LiveCall) -> None:
        """Count another call, its root and its open spans to this trace."""
        self.calls = (*self.calls, call)
        self.members[call.root_span_id] = call
        self.members.update(dict.fromkeys(call.spans.open_ids(), call))

    def started(self, span: ReadableSpan, context: Context | None) -> LiveCall | None:
        """The call that a starting span of this trace belongs to; None once that has ended."""
        call = None if span.parent is None else self.members.get(span.parent.span_id)
        if call is None or call.finished:
            found = get_value(CALL_KEY, context)
            if isinstance(found, LiveCall) and found in self.calls:
                call = found
            elif call is None and self.owner in self.calls:
                call = self.owner
        if call is None:
            return None
        if span.context is not None:
            if len(self.members) >= MOST_MEMBERS:
                with suppress(RuntimeError, StopIteration):  # another thread was quicker
                    self.members.pop(next(iter(self.members)), None)
            self.members[span.context.span_id] = call
        return None if call.finished else call

    def of(self, span_id: int) -> LiveCall | None:
        """The call that a span of this trace belongs to, open or ended; the owner's if unseen."""
        return self.members.get(span_id, self.owner)


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
        # Ordered: metrics are recorded before what was asked to flush them is told.
        self._listeners: WeakKeyDictionary[CallListener, None] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, call: LiveCall, *, owns_trace: bool) -> None:
        """Register `call`. `owns_trace`: its root is the trace's root, so every span is its own."""
        with self._lock:
            shared = self.shared.get(call.trace_id)
            other = self.owned.get(call.trace_id)
            call.owns_trace = owns_trace and shared is None and other is None
            if not call.trace_id:
                # No SDK, no trace: only the context can tell whose code runs.
                call.owns_trace = False
            elif call.owns_trace:
                self.owned[call.trace_id] = call
            else:
                self._share(call, other)
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

    def adopt_trace(self, trace_id: int, call: LiveCall) -> SharedTrace | None:
        """Count another trace, begun inside the call, to it; so that exporters can find it.

        None where too many were begun in this call, or where the trace is a call's own.
        """
        with self._lock:
            too_many = len(call.spans.foreign_traces) >= MOST_FOREIGN_TRACES
            if call.finished or too_many or trace_id in self.owned:
                return None
            shared = self.shared.setdefault(trace_id, SharedTrace())
            if call not in shared.calls:
                shared.calls = (*shared.calls, call)
            call.spans.foreign_traces |= {trace_id}
            return shared

    def subscribe(self, listener: CallListener) -> None:
        """Tell `listener` of every call, as long as it lives; in the order of subscription."""
        with self._lock:
            self._listeners[listener] = None

    def clear(self) -> None:
        """Forget everything without telling anyone: a forked child has no calls yet."""
        self._lock = threading.Lock()
        for call in self._open:
            call.abandon()
        self.owned.clear()
        self.shared.clear()
        self._open.clear()

    def _share(self, call: LiveCall, owner: LiveCall | None) -> None:
        shared = self.shared.get(call.trace_id) or SharedTrace(owner)
        for each in (owner, call):
            if each is not None:
                each.owns_trace = False
                shared.add(each)
        # In this order: who looks without the lock finds the trace in one of the two.
        self.shared[call.trace_id] = shared
        self.owned.pop(call.trace_id, None)

    def _forget(self, call: LiveCall) -> None:
        self._open.pop(call, None)
        if self.owned.get(call.trace_id) is call:
            del self.owned[call.trace_id]
        for trace_id in (call.trace_id, *call.spans.foreign_traces):
            shared = self.shared.get(trace_id)
            if shared is not None:
                shared.calls = tuple(other for other in shared.calls if other is not call)
                if not shared.calls:
                    del self.shared[trace_id]

    def _tell(self, what: str, call: LiveCall) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
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
        self._ended: OrderedDict[LiveCall, float] = OrderedDict()
        self._owned: dict[int, LiveCall] = {}
        self._shared: dict[int, tuple[SharedTrace, int]] = {}
        self._lock = threading.Lock()
        registry.subscribe(self)
        after_fork_in_child(self, CallMemory.reset)

    def reset(self) -> None:
        """Forget everything: in a forked child."""
        self._lock = threading.Lock()
        self._ended.clear()
        self._owned.clear()
        self._shared.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._ended)

    def call_opened(self, call: LiveCall) -> None:
        """Nothing to do: the registry holds open calls."""

    def call_finished(self, call: LiveCall) -> None:
        """Keep the call for the spans that are still on their way to the exporter."""
        with self._lock:
            self._ended[call] = self._clock()
            if call.owns_trace:
                self._owned[call.trace_id] = call
            for trace_id in (call.trace_id, *call.spans.foreign_traces):
                shared = self._registry.shared.get(trace_id)
                if shared is not None:
                    _, calls_in_it = self._shared.get(trace_id, (shared, 0))
                    self._shared[trace_id] = (shared, calls_in_it + 1)
            self._forget_old()

    def _forget_old(self) -> None:
        oldest_kept = self._clock() - self._kept_s
        while self._ended:
            call, ended = next(iter(self._ended.items()))
            if ended >= oldest_kept and len(self._ended) <= self._most:
                return
            del self._ended[call]
            if self._owned.get(call.trace_id) is call:
                del self._owned[call.trace_id]
            for trace_id in (call.trace_id, *call.spans.foreign_traces):
                if trace_id in self._shared:
                    self._forget_share(trace_id)

    def _forget_share(self, trace_id: int) -> None:
        # A shared trace goes with the last ended call that was in it.
        shared, calls_in_it = self._shared.pop(trace_id)
        if calls_in_it > 1:
            self._shared[trace_id] = (shared, calls_in_it - 1)

    def find(self, span: ReadableSpan) -> LiveCall | None:
        """The call that `span` belongs to; None if it belongs to none, or to one long gone."""
        if span.context is None:
            return None
        trace_id, span_id = span.context.trace_id, span.context.span_id
        if (owner := self._registry.owned.get(trace_id)) is not None:
            return owner
        shared = self._registry.shared.get(trace_id)
        if shared is not None and (call := shared.of(span_id)) is not None:
            return call
        with self._lock:
            self._forget_old()
            if (owner := self._owned.get(trace_id)) is not None:
                return owner
            kept = self._shared.get(trace_id)
        return None if kept is None else kept[0].of(span_id)
