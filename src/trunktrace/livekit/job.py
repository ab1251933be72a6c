"""One job of a LiveKit worker as a call, opened where the entrypoint starts, sampled or not."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import create_key
from opentelemetry.trace import INVALID_SPAN_ID, INVALID_TRACE_ID

from trunktrace.call_baggage import ALLOWED_KEY, tool_baggage
from trunktrace.guard import guard, guarded, swallowing, warn_once
from trunktrace.livecall import CALL_KEY, LiveCall
from trunktrace.livekit import providers
from trunktrace.livekit.consult import Consults
from trunktrace.livekit.live import LiveMedia
from trunktrace.livekit.participant_mark import by_api
from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings
from trunktrace.livekit.trunks import learned
from trunktrace.metrics import call_metrics
from trunktrace.registry import calls
from trunktrace.start import open_call, tracer_of
from trunktrace.watch import watch

_JOB_KEY: Final = create_key("trunktrace-job")
# The value is weak too: it reaches the session by way of the job's context.
_by_session: Final[WeakKeyDictionary[Any, ref[RoomObserver]]] = WeakKeyDictionary()


class JobCall:
    """The call of one job: its live call, its room's observer, and the provider that it uses."""

    def __init__(self, ctx: Any, call: LiveCall, settings: Settings) -> None:
        self.ctx = ctx
        self.call = call
        # LiveKit may still have the provider that was everybody's when it was imported.
        self._livekits = providers.livekit_provider()
        self.provider = providers.maker_of(call.root) or self._livekits
        self.settings = settings
        self.observer = RoomObserver(
            ctx.room, getattr(ctx, "job", None), call, settings, self.tracer
        )
        self.media = LiveMedia(ctx.room, call, lambda: self.observer.caller)
        self.observer.at_hangup = self.media.hung_up
        self.observer.at_end = self._room_over
        self.consults = Consults(
            call, settings, self.tracer, lambda: self.observer.naming.directory
        )
        if settings.mark_participant:
            self.observer.headers.mark.write = by_api(ctx)
        if settings.must_record is not None:
            call.note_policy(must_record=settings.must_record)

    def at(self, room_name: str) -> tuple[RoomObserver, LiveCall]:
        """Who watches the room of that name, and the call in it; the job's own for any other."""
        with swallowing("job.at"):
            consult = self.consults.of_room(room_name)
            if consult is not None and self.ctx.room.name != room_name:
                return consult.observer, consult.call
        return self.observer, self.call

    def tracer(self) -> trace.Tracer:
        """Makes our own spans in this job's trace."""
        if providers.livekit_provider() not in (None, self.provider, self._livekits):
            self.check_provider()
        return tracer_of(self.provider or trace.get_tracer_provider())

    @guarded
    def connected(self) -> None:
        """The job's room is connected: who is in it already?"""
        if not _is_fake(self.ctx):
            self.call.outlives_root = True
        self.observer.scan()

    def _room_over(self) -> None:
        self.consults.over()
        self.media.stop()

    @guarded
    def check_provider(self) -> None:
        """Adopt a provider that the entrypoint has set, and say where it should be set."""
        providers.adopt_meters()
        provider = providers.livekit_provider()
        if provider is None and self.call.root is None:
            warn_once(
                "untraced",
                "trunktrace: there is no tracer provider, so nothing is traced. Set "
                "OTEL_EXPORTER_OTLP_ENDPOINT, or set a provider in server.setup_fnc (with "
                "WorkerOptions: prewarm_fnc).",
            )
        if provider is None or provider in (self.provider, self._livekits):
            return
        self.provider = provider
        providers.adopt(provider)
        warn_once(
            "provider",
            "The tracer provider was set inside the entrypoint: LiveKit's root span is lost to it "
            "and the trace splits. Set it where the process starts instead: "
            "server.setup_fnc (with WorkerOptions: prewarm_fnc) = a function that calls "
            "set_tracer_provider(...).",
        )

    @guarded
    def entrypoint_ended(self, error: BaseException | None) -> None:
        """Take what an exception knows; finish a call that no span will finish."""
        self.check_provider()
        connected = self._is_connected()
        if error is not None and not connected:
            self.call.conclude()
        root = self.call.root
        if root is not None and root.is_recording():
            if _is_fake(self.ctx) if connected else self.observer.is_dialing:
                self.ctx.add_shutdown_callback(self._last_look)
            return
        if connected:
            # A simulated job's room is a mock, which tells nobody that it has ended.
            self.ctx.add_shutdown_callback(self._over)
        else:
            self._close()

    def _is_connected(self) -> bool:
        # A room that is broken tells nothing any more: then nothing is left to wait for.
        try:
            return bool(self.ctx.room.isconnected())
        except Exception as error:
            guard.swallowed("job.room", error)
            return False

    async def _last_look(self, _: str) -> None:
        # A simulated job's room is a mock, which tells nobody that it has ended; nor does a room
        # that was never connected.
        self.observer.over()
        self.media.stop()
        self.call.conclude()

    async def _over(self, _: str) -> None:
        self._close()

    def _close(self) -> None:
        self.observer.over()
        self.media.stop()
        self.call.conclude()
        calls.close(self.call)


def current_job() -> JobCall | None:
    """The job call of the running code, if there is one."""
    found = otel_context.get_value(_JOB_KEY)
    return found if isinstance(found, JobCall) else None


def observer_of_session(session: Any) -> RoomObserver | None:
    """The observer of the job in which an `AgentSession` was started, while its room lives."""
    found = _by_session.get(session)
    return None if found is None else found()


def note_session(session: Any, observer: RoomObserver) -> None:
    """Remember in which job an `AgentSession` was started."""
    _by_session[session] = ref(observer)


async def run_entrypoint(
    entrypoint: Callable[..., Awaitable[Any]],
    settings: Settings,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run the user's entrypoint as a call. Its result, exceptions and cancellation pass through."""
    token = None
    job: JobCall | None = None
    with swallowing("job.open"):
        job = open_job(args[0] if args else next(iter(kwargs.values()), None), settings)
        if job is not None:
            token = otel_context.attach(context_of(job))
            job.observer.start()
            job.media.start()
            learned(job.ctx, settings, job.observer)
    error: BaseException | None = None
    try:
        return await entrypoint(*args, **kwargs)
    except BaseException as raised:
        error = raised
        raise
    finally:
        if job is not None:
            job.entrypoint_ended(error)
        if token is not None:
            with swallowing("job.detach"):
                otel_context.detach(token)


def context_of(job: JobCall) -> otel_context.Context:
    """The current context with this job's call in it."""
    context = otel_context.set_value(_JOB_KEY, job, otel_context.set_value(CALL_KEY, job.call))
    if not job.settings.tool_baggage:
        return context
    with swallowing("job.tool_baggage"):  # asks the propagators that somebody else has set
        tool_baggage.install()
    return otel_context.set_value(ALLOWED_KEY, job.settings.tool_baggage, context)


def open_job(ctx: Any, settings: Settings) -> JobCall | None:
    """Open the call of a job; None where it is open already, or where nothing is traced."""
    if not hasattr(ctx, "room"):
        warn_once("ctx", "trunktrace: the entrypoint's first argument is no JobContext; not traced")
        return None
    span = trace.get_current_span()
    context = span.get_span_context()
    running = current_job()
    if running is not None and context.trace_id in (running.call.trace_id, INVALID_TRACE_ID):
        return None
    providers.adopt(providers.livekit_provider())
    providers.adopt(providers.maker_of(span))
    watch.install()
    call_metrics.install()
    call_metrics.know(settings.directory.names)
    if not context.is_valid:
        return JobCall(ctx, _without_root(settings), settings)
    owns_trace = getattr(span, "parent", None) is None
    call = open_call(span, owns_trace=owns_trace, redaction=settings.redaction)
    return JobCall(ctx, call, settings)


def _without_root(settings: Settings) -> LiveCall:
    # There is no provider yet. If the entrypoint sets one, spans find this call by their context.
    trace_id = secrets.randbits(128)
    call = LiveCall(trace_id=trace_id, root_span_id=INVALID_SPAN_ID, redaction=settings.redaction)
    calls.open(call, owns_trace=True)
    return call


def _is_fake(ctx: Any) -> bool:
    is_fake_job = getattr(ctx, "is_fake_job", None)
    return bool(is_fake_job()) if callable(is_fake_job) else False
