"""What is held leaves: soon after each call's end, and before the process is gone."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing import util
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from trunktrace.guard import guard, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.metrics import call_metrics, health
from trunktrace.registry import calls

FLUSH_S: Final = 5.0
"""How long the end of a job may wait for its spans and metrics to leave."""

IDLE_S: Final = 1.0
"""How long the flushing thread waits for another call before it goes."""


class Leaving:
    """Finishes providers when it is called, all at once, and waits `FLUSH_S` for them at most.

    A backend that is away holds nobody up. The threads stand ready from the start, because a
    process that leaves can start none (Python 3.12 and later).
    """

    def __init__(self) -> None:
        self._due = threading.Event()
        self._threads: list[threading.Thread] = []
        self._registered = False

    def add(self, finish: Callable[[], object]) -> bool:
        """Have `finish` called when a job process leaves; False in any other process."""
        if multiprocessing.parent_process() is None:
            return False
        self.prepare(finish)
        if not self._registered:
            self._registered = True
            # Job processes leave by os._exit. Before Python 3.13 no atexit handler runs then, but
            # multiprocessing's finalizers do. Since then handlers run too.
            util.Finalize(None, self, exitpriority=100)
            atexit.register(self)
        return True

    def prepare(self, finish: Callable[[], object]) -> None:
        """Have `finish` called when this is called."""
        thread = threading.Thread(
            target=self._run, args=(finish,), name="trunktrace-leaving", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def __call__(self) -> None:
        """Have everything finished, once."""
        if self._due.is_set():
            return
        self._due.set()
        latest = time.monotonic() + FLUSH_S
        for thread in self._threads:
            thread.join(max(0.0, latest - time.monotonic()))

    def forget(self) -> None:
        """In a forked child: what the parent finishes is none of ours."""
        self._due = threading.Event()
        self._threads = []
        self._registered = False

    def _run(self, finish: Callable[[], object]) -> None:
        self._due.wait()
        with swallowing("providers.leaving"):
            finish()


leaving: Final = Leaving()
"""The leaving of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leaving.forget)


class Flushable(Protocol):
    """A tracer or meter provider of the SDK."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is held."""
        ...


class Flusher:
    """Flushes the providers after a call has ended, on a thread of its own."""

    def __init__(self) -> None:
        # Each with a lock: a provider that is shut down loses what is just being flushed.
        self._providers: WeakKeyDictionary[Flushable, threading.Lock] = WeakKeyDictionary()
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, provider: Flushable) -> None:
        """Flush `provider` too from now on."""
        with self._lock:
            self._providers.setdefault(provider, threading.Lock())
        # It is told first of a call's end, so that what it records is there to be flushed.
        call_metrics.install()
        health.install()
        calls.subscribe(self)

    def finish(self, provider: Flushable, finish: Callable[[], object]) -> None:
        """Call `finish`, which ends `provider`, when no flush of it is under way any more."""
        with self._providers.get(provider) or nullcontext():
            finish()

    def call_opened(self, call: LiveCall) -> None:
        """Nothing to do yet."""

    def call_finished(self, call: LiveCall) -> None:  # noqa: ARG002  # the listener's signature
        """Have the spans and metrics of the call sent soon, without waiting for it."""
        with self._lock:
            self._due.set()
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, name="trunktrace-flush", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._is_due():
            for provider, flushing in tuple(self._providers.items()):
                try:
                    with flushing:
                        provider.force_flush(int(FLUSH_S * 1000))
                except Exception as error:
                    guard.swallowed("providers.flush", error)

    def _is_due(self) -> bool:
        """Wait for the next call that ends; False when the thread may go."""
        self._due.wait(IDLE_S)
        with self._lock:
            if not self._due.is_set():
                self._thread = None
                return False
            self._due.clear()
            return True


flusher: Final = Flusher()
"""The flusher of this process."""
