"""What LiveKit does around a session, observed where it happens: transfers, AMD, the recorder.

Each function stands for a method of LiveKit's (`patches` puts it there) and never changes what that
does, returns or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from trunktrace.clock import clock
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.livekit.job import JobCall, current_job, note_session
from trunktrace.livekit.session import SOURCE, observe_session, observer_of
from trunktrace.timeline import Mark
from trunktrace.voice.transfers import transferred_to

_WARM_TRANSFER: Final = "WarmTransferTask"


@guarded
def session_starts(session: Any, job: JobCall, room: Any) -> None:
    """Listen to a session that talks to the caller: its events, its audio, whom it is linked to.

    One that is started in another room does not: a warm transfer talks to the colleague there.
    """
    if hasattr(room, "isconnected") and room is not job.ctx.room:
        return
    note_session(session, job.observer)
    observe_session(session, job.call, job.settings.correction_rule)
    job.media.listen(session)


@contextmanager
def transfer(job: JobCall, request: Any) -> Generator[None, None, None]:
    """A SIP REFER: it has succeeded where the request returns, and failed where it raises."""
    started, to = clock.now_s(), transferred_to(str(getattr(request, "transfer_to", "")))
    try:
        yield
    except Exception:
        _mark_transfer(job.call, started, f"{to}:failed")
        raise
    _mark_transfer(job.call, started, f"{to}:ok")


def task_completes(wrapped: Callable[..., Any], task: Any, args: Any, kwargs: Any) -> Any:
    """`AgentTask.complete`: LiveKit's warm transfer says by it what became of the transfer."""
    answer = wrapped(*args, **kwargs)
    with swallowing("conversation.task"):
        if any(cls.__name__ == _WARM_TRANSFER for cls in type(task).__mro__):
            result = args[0] if args else kwargs.get("result")
            job = current_job()
            if job is not None:
                failed = isinstance(result, BaseException)
                value = "human:failed" if failed else "human:ok"
                _mark_transfer(job.call, clock.now_s(), value)
    return answer


def amd_made(wrapped: Callable[..., Any], detector: Any, args: Any, kwargs: Any) -> Any:
    """`AMD(session)`: be told of its result."""
    answer = wrapped(*args, **kwargs)
    with swallowing("conversation.amd"):
        session = args[0] if args else kwargs.get("session")

        def predicted(prediction: Any) -> None:
            # Looked up when it comes: a detector may be made before its session has started.
            observer = observer_of(session)
            if observer is not None:
                observer.answered_by(prediction)

        detector.on("amd_prediction", predicted)
    return answer


async def recorder_starts(
    wrapped: Callable[..., Any], recorder: Any, args: Any, kwargs: Any
) -> Any:
    """`RecorderIO.start`: the session's own recorder runs from now."""
    answer = await wrapped(*args, **kwargs)
    _mark_recording(recorder, None)
    return answer


async def recorder_ends(wrapped: Callable[..., Any], recorder: Any, args: Any, kwargs: Any) -> Any:
    """`RecorderIO.aclose`: its recording ends here."""
    _mark_recording(recorder, clock.now_s())
    return await wrapped(*args, **kwargs)


@guarded
def _mark_recording(recorder: Any, ended: float | None) -> None:
    observer = observer_of(getattr(recorder, "_session", None))
    if observer is None or (ended is not None and not getattr(recorder, "recording", True)):
        return
    observer.recording(getattr(recorder, "recording_started_at", None), ended)


@guarded
def _mark_transfer(call: LiveCall, started: float, value: str) -> None:
    if not call.finished:
        call.mark(
            Mark(kind="transfer", start=started, end=clock.now_s(), value=value, source=SOURCE)
        )
