"""A crowd of overlapping calls, each span of which is checked as it ends."""

from __future__ import annotations

import contextvars
import random
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import trunktrace
from trunktrace import conventions as names

OWNER: Final = "benchmark.call"
SPAN_NAMES: Final = ("user_turn", "agent_turn", "llm_request", "tts_request", "function_tool")
DEEPEST: Final = 6
SHARED_TRACE: Final = 0.1
LAST_SPAN: Final = 0.005
NEW_FACTS: Final = 0.02
Tell = Callable[[int, int], None]


@dataclass
class Count:
    """What was seen.

    `foreign`: spans with another call's facts; `missing`: without their own; `with_loss`: with the
    loss of their turn, which only some have.
    """

    spans: int = 0
    calls: int = 0
    overlapping: int = 0
    foreign: int = 0
    missing: int = 0
    with_loss: int = 0

    def as_dict(self) -> dict[str, int]:
        """As JSON has it."""
        return asdict(self)


def facts_of(number: int) -> dict[str, str]:
    """Attributes that only the call of this number has."""
    return {
        names.TRUNK_CARRIER: f"carrier-{number}",
        names.TRUNK_ROUTE: f"route-{number}",
        names.TRUNK_REGION: f"region-{number}",
    }


def loss_of(number: int) -> float:
    """A loss that only the call of this number has."""
    return (number + 1) / 2**24


class Checker(SpanProcessor):
    """Compares every span that ends with the call whose number it was given."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        """Count the span, and what is wrong with it."""
        found = span.attributes or {}
        owner = found.get(OWNER)
        if not isinstance(owner, int):
            return
        expected: dict[str, object] = {**facts_of(owner), names.RTP_LOSS_RATIO: loss_of(owner)}
        foreign = any(key in found and found[key] != value for key, value in expected.items())
        codec = found.get(names.RTP_CODEC, f"codec-{owner}-")
        foreign = foreign or not str(codec).startswith(f"codec-{owner}-")
        with self._lock:
            self._count.spans += 1
            self._count.foreign += foreign
            self._count.with_loss += names.RTP_LOSS_RATIO in found
            self._count.missing += any(key not in found for key in facts_of(owner))


class Caller:
    """One call: its scope, its context, its open spans."""

    def __init__(self, number: int, provider: TracerProvider, parent: Context) -> None:
        self.number = number
        self.context = contextvars.copy_context()
        carrier, route, region = facts_of(number).values()
        self._scope = trunktrace.start_call(
            tracer_provider=provider, parent=parent, carrier=carrier, route=route, region=region
        )
        self.call = self.context.run(self._scope.__enter__)
        self.root = self.context.run(trace.get_current_span)
        self.open: list[trace.Span] = []
        self._tracer = provider.get_tracer("benchmark")
        self._changes = 0

    def start(self, rng: random.Random) -> None:
        """Start a span below the root or below an open span, in one of two ways."""
        parent = rng.choice([self.root, *self.open])
        context = None
        if parent is not self.root or rng.random() < 0.5:
            context = trace.set_span_in_context(parent, Context())
        span = self.context.run(
            self._tracer.start_span,
            rng.choice(SPAN_NAMES),
            context=context,
            attributes={OWNER: self.number},
        )
        self.open.append(span)

    def end_one(self, rng: random.Random) -> None:
        """End an open span, whichever."""
        self.open.pop(rng.randrange(len(self.open))).end()

    def learn(self) -> None:
        """Push facts to the open spans; called from any thread."""
        self._changes += 1
        now = time.time()
        self.call.record(codec=f"codec-{self.number}-{self._changes}")
        self.call.record_media(
            leg="trunk", direction="in", loss_ratio=loss_of(self.number), start=now - 1, end=now
        )

    def hang_up(self) -> None:
        """End what is open, the root last."""
        for span in self.open:
            span.end()
        self.open.clear()
        self.context.run(self._scope.__exit__, None, None, None)


class Crowd:
    """All calls that are open now, by thread, and the numbers of the next ones."""

    def __init__(self, provider: TracerProvider, calls: int, threads: int) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._next = 0
        shares = [calls // threads + (place < calls % threads) for place in range(threads)]
        rng = random.Random(0)
        self._remote = remote_parent(0)
        self.groups = [[self.new(rng) for _ in range(share)] for share in shares]

    @property
    def calls_opened(self) -> int:
        """How many calls there have been."""
        return self._next

    def new(self, rng: random.Random) -> Caller:
        """The next call, sometimes under a remote parent that another call has, too."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            if number % 16 == 0:
                self._remote = remote_parent(number)
        shared = rng.random() < SHARED_TRACE
        return Caller(number, self._provider, self._remote if shared else Context())

    def drive(self, place: int, spans: int, seed: int, tell: Callable[[], None]) -> None:
        """Start `spans` spans in the calls of one thread, and end them."""
        rng = random.Random(f"{seed}/{place}")
        mine, others = self.groups[place], self.groups[(place + 1) % len(self.groups)]
        started = 0
        while started < spans:
            at = rng.randrange(len(mine))
            caller = mine[at]
            if len(caller.open) < DEEPEST and rng.random() < 0.55:
                caller.start(rng)
                started += 1
                tell()
                if rng.random() < LAST_SPAN:
                    caller.hang_up()
                    mine[at] = self.new(rng)
            elif caller.open:
                caller.end_one(rng)
            if rng.random() < NEW_FACTS:
                rng.choice(others).learn()


def remote_parent(number: int) -> Context:
    """A context with a sampled parent in another process, another for each number."""
    rng = random.Random(number)
    ids = rng.getrandbits(128) | 1, rng.getrandbits(64) | 1
    context = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


@contextmanager
def eager_switching() -> Generator[None, None, None]:
    """Let threads interrupt each other far more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Progress:
    """Tells about every twentieth part that is done."""

    def __init__(self, of: int, tell: Tell) -> None:
        self._of = of
        self._tell = tell
        self._done = 0
        self._lock = threading.Lock()

    def one_more(self) -> None:
        """Another span was started, in whichever thread."""
        with self._lock:
            self._done += 1
            if self._done % max(1, self._of // 20) == 0:
                self._tell(self._done, self._of)


def run(*, spans: int, calls: int, threads: int, seed: int, tell: Tell) -> Count:
    """Make `spans` spans in `calls` calls at a time; how many were wrong."""
    count = Count(overlapping=calls)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(Checker(count))
    threads = max(1, min(threads, calls, spans))
    crowd, progress = Crowd(provider, calls, threads), Progress(spans, tell)

    def work(place: int) -> None:
        share = spans // threads + (place < spans % threads)
        crowd.drive(place, share, seed, progress.one_more)

    with eager_switching(), ThreadPoolExecutor(threads) as pool:
        # `list` raises what a thread raised.
        list(pool.map(work, range(threads)))
    for group in crowd.groups:
        for caller in group:
            caller.hang_up()
    provider.shutdown()
    count.calls = crowd.calls_opened
    return count
