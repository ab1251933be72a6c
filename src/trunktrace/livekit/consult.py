"""The call in a second room of a job: a colleague who is consulted before a warm transfer.

LiveKit's `WarmTransferTask` starts a session of its own in a room of its own, dials the colleague
there, and moves them to the caller. That is a call beside the caller's, in the same trace: its
root is a `sip.call` span of ours, and the spans of its session carry the colleague's trunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer

from trunktrace import conventions as c
from trunktrace.belief import Rank
from trunktrace.directory import Directory
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import CALL_KEY, LiveCall
from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings
from trunktrace.registry import calls
from trunktrace.sip.failover import error_type, is_error

PATIENCE_S: Final = 5.0
"""How long an ended call waits for its session's spans to end, so that they are still its own."""

_POLL_S: Final = 0.02


class ConsultCall(LiveCall):
    """A call beside another: what may not leave in clear of the one may not of the other."""

    __slots__ = ("beside", "is_moved")

    def __init__(self, span: Span, beside: LiveCall, settings: Settings) -> None:
        context = span.get_span_context()
        super().__init__(
            trace_id=context.trace_id,
            root_span_id=context.span_id,
            root=span,
            redaction=settings.redaction,
        )
        self.beside = beside
        # Who leaves the room goes on elsewhere: nobody has hung up.
        self.is_moved = False
        # The colleague is told what the caller said, and the caller's agent whom it dials.
        self.secrets = beside.secrets

    def observe(
        self, facts: Mapping[str, object], *, source: str, rank: Rank = Rank.OBSERVED
    ) -> None:
        """Take what `source` says; but not that somebody hung up on whom we have moved."""
        if self.is_moved:
            facts = {name: value for name, value in facts.items() if name != "hangup_source"}
        super().observe(facts, source=source, rank=rank)

    def add_secrets(self, raws: Iterable[str]) -> None:
        """Remember signalling values that exporters must not let out, of both calls' spans."""
        told = tuple(raws)
        super().add_secrets(told)
        self.beside.add_secrets(told)


class Consult:
    """A second room's call, from its first session on; it ends once.

    With the room; or when its sessions are closed and nobody is on the phone there any more: the
    colleague has hung up, was never reached, or has been moved to the caller. `forget` is called
    at its end.
    """

    def __init__(
        self,
        room: Any,
        call: ConsultCall,
        observer: RoomObserver,
        forget: Callable[[Consult], None],
    ) -> None:
        self.room = room
        self.call = call
        self.observer = observer
        self._forget = forget
        self._sessions = 0
        self._ending: asyncio.Task[None] | None = None
        observer.at_hangup = self._look
        observer.at_end = self._room_over

    async def run(
        self, session: Any, start: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Start a session as part of this call; what it returns and raises passes unchanged."""
        before = otel_context.get_value(CALL_KEY)
        token = otel_context.attach(self.context())
        self._session_starts(session)
        try:
            answer = await start(*args, **kwargs)
        except BaseException:
            with swallowing("consult.start"):
                otel_context.detach(token)
                self._not_started()
            raise
        # LiveKit leaves the session's span current in the task that has started it; where it does
        # not (livekit-agents 1.2), our root would stay so. What that task does next, once the
        # session is closed, is about the caller again.
        with swallowing("consult.started"):
            if trace.get_current_span() is self.call.root:
                otel_context.detach(token)
            else:
                otel_context.attach(otel_context.set_value(CALL_KEY, before))
        return answer

    def context(self) -> otel_context.Context:
        """The current context, in this call and below its root."""
        return in_call(self.call)

    def is_caller(self, identity: str) -> bool:
        """Whether the participant of this name is who is on the phone here."""
        return identity == self.observer.caller

    @guarded
    def end(self) -> None:
        """The call is over: say what became of it, and forget it. Idempotent."""
        self._forget(self)
        with swallowing("consult.stop"):
            self.observer.over()
            self.observer.stop()
        ending, self._ending = self._ending, None
        if ending is not None and not ending.done():
            ending.cancel()
        if self.call.finished:
            return
        self.call.conclude()
        root = self.call.root
        if root is not None:
            _tell_failure(root, self.call)
            root.end()
        # A root that is not recorded reaches no processor, so nothing else would finish the call.
        calls.close(self.call)

    # ----------------------------------------------------------------------------------------------

    @guarded
    def _session_starts(self, session: Any) -> None:
        self._sessions += 1
        session.once("close", self._session_over)

    @guarded
    def _session_over(self, *_: object) -> None:
        self._sessions = max(0, self._sessions - 1)
        self._look()

    def _not_started(self) -> None:
        # LiveKit leaves the spans of such a session open for ever: none is waited for.
        self._sessions = max(0, self._sessions - 1)
        if self._is_deserted():
            self.end()

    def _look(self) -> None:
        if self._is_deserted():
            self._end_soon()

    def _is_deserted(self) -> bool:
        nobody_is_there = self.call.concluded or not self.call.is_phone_call
        return nobody_is_there and not self._sessions

    def _room_over(self) -> None:
        self._end_soon()

    def _end_soon(self) -> None:
        if self._ending is None and not self.call.finished:
            self._ending = asyncio.get_running_loop().create_task(self._end_after_its_spans())

    async def _end_after_its_spans(self) -> None:
        # LiveKit says that a session is closed before its last spans have started.
        loop = asyncio.get_running_loop()
        latest = loop.time() + PATIENCE_S
        await asyncio.sleep(_POLL_S)
        while self.call.spans.open_ids() and loop.time() < latest:  # noqa: ASYNC110  # no event
            await asyncio.sleep(_POLL_S)
        self._ending = None
        self.end()


class Consults:
    """The calls in other rooms of one job; told by the registry when the job's own call ends."""

    def __init__(
        self,
        call: LiveCall,
        settings: Settings,
        tracer: Callable[[], Tracer],
        directory: Callable[[], Directory],
    ) -> None:
        self._call = call
        self._settings = settings
        self._tracer = tracer
        self._directory = directory
        self._open: tuple[Consult, ...] = ()

    def of_room(self, name: str) -> Consult | None:
        """The call in the room of that name, while it lasts."""
        return next((one for one in self._open if getattr(one.room, "name", None) == name), None)

    def in_room(self, room: Any) -> Consult:
        """The call in this room; opened now if there is none."""
        known = next((one for one in self._open if one.room is room), None)
        return self._opened(room) if known is None else known

    def over(self) -> None:
        """The job is over, and every call in it."""
        for one in self._open:
            one.end()

    def call_opened(self, call: LiveCall) -> None:
        """Nothing to do."""

    def call_finished(self, call: LiveCall) -> None:
        """With the caller's call the job is over."""
        if call is self._call:
            self.over()

    def _opened(self, room: Any) -> Consult:
        span = self._start_span()
        call = ConsultCall(span, self._call, self._settings)
        calls.subscribe(self)
        calls.open(call, owns_trace=False)
        token = otel_context.attach(in_call(call))
        try:
            observer = RoomObserver(room, None, call, self._settings, self._tracer)
            consult = Consult(room, call, observer, self._forget)
            self._open = (*self._open, consult)
            observer.use_directory(self._directory())
            observer.start()
        finally:
            otel_context.detach(token)
        return consult

    def _start_span(self) -> Span:
        """The call's root: below what consults the colleague, and linked to the caller's root."""
        caller = self._call.root
        context = otel_context.get_current()
        links: list[Link] = []
        if caller is not None and caller.get_span_context().is_valid:
            links.append(Link(caller.get_span_context()))
            if not trace.get_current_span().get_span_context().is_valid:
                context = trace.set_span_in_context(caller)
        return self._tracer().start_span(
            c.SPAN_CALL, context=context, kind=SpanKind.CLIENT, links=links
        )

    def _forget(self, consult: Consult) -> None:
        self._open = tuple(one for one in self._open if one is not consult)


def in_call(call: LiveCall) -> otel_context.Context:
    """The current context, in `call` and below its root."""
    context = otel_context.set_value(CALL_KEY, call)
    return context if call.root is None else trace.set_span_in_context(call.root, context)


@contextmanager
def within(call: LiveCall) -> Generator[None, None, None]:
    """Spans that start in this block belong to `call`, also where other code asks for them.

    Where they do anyway nothing changes: they stay below the current span.
    """
    token = None
    with swallowing("consult.within"):
        here = trace.get_current_span().get_span_context()
        shared = calls.shared.get(here.trace_id)
        if shared is not None and shared.of(here.span_id) not in (None, call):
            token = otel_context.attach(in_call(call))
    try:
        yield
    finally:
        if token is not None:
            with swallowing("consult.within"):
                otel_context.detach(token)


def _tell_failure(root: Span, call: LiveCall) -> None:
    attempts = call.story().attempts
    if attempts and is_error(attempts[-1]) and root.is_recording():
        root.set_status(StatusCode.ERROR)
        root.set_attribute(c.ERROR_TYPE, error_type(attempts[-1]) or "_OTHER")
