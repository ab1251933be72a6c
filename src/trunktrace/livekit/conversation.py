"""What LiveKit does around a session, observed where it happens: transfers, AMD, the recorder.

Each function stands for a method of LiveKit's (`patches` puts it there) and never changes what that
does, returns or raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trunktrace.clock import clock
from trunktrace.facts import CallFacts
from trunktrace.guard import guarded, swallowing
from trunktrace.livekit import refer
from trunktrace.livekit.consult import Consult, within
from trunktrace.livekit.job import JobCall, current_job, note_session
from trunktrace.livekit.session import observe_session, observer_of

_WARM_TRANSFER: Final = "WarmTransferTask"


@guarded
def session_starts(session: Any, job: JobCall, room: Any) -> Consult | None:
    """Listen to a session: its events, whom it is linked to, and the caller's audio.

    One that is started in another room talks to somebody else, as in a warm transfer: it belongs
    to the call in that room, which is the answer; None for the caller's own session.
    """
    if hasattr(room, "isconnected") and room is not job.ctx.room:
        consult = job.consults.in_room(room)
        note_session(session, consult.observer)
        observe_session(session, consult.call, job.settings.correction_rule)
        return consult
    note_session(session, job.observer)
    observe_session(session, job.call, job.settings.correction_rule)
    job.media.listen(session)
    return None


async def transfer_asked(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    """`SipService.transfer_sip_participant`: a SIP REFER of a leg of the room that it names.

    Only where that leg is the call is it a transfer of the call.
    """
    job = current_job()
    request = args[0] if args else kwargs.get("transfer")
    if job is None or request is None:
        return await wrapped(*args, **kwargs)
    observer, call = job.at(getattr(request, "room_name", ""))
    other: CallFacts | None = None
    with swallowing("conversation.transfer"):
        observer.transferring(request)
        other = observer.other_leg(getattr(request, "participant_identity", ""))

    async def send() -> Any:
        return await wrapped(*args, **kwargs)

    with within(call):
        return await refer.transfer(call, job.tracer, job.settings.redaction, request, send, other)


async def participant_moves(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    """`RoomService.move_participant`: a colleague who is moved to the caller has not hung up."""
    consult = None
    with swallowing("conversation.move"):
        job, request = current_job(), args[0] if args else kwargs.get("move")
        consult = None if job is None else job.consults.of_room(getattr(request, "room", ""))
        if consult is not None:
            consult.call.is_moved = consult.is_caller(getattr(request, "identity", ""))
    try:
        return await wrapped(*args, **kwargs)
    except BaseException:
        if consult is not None:
            consult.call.is_moved = False
        raise


def task_completes(wrapped: Callable[..., Any], task: Any, args: Any, kwargs: Any) -> Any:
    """`AgentTask.complete`: LiveKit's warm transfer says by it what became of the transfer."""
    answer = wrapped(*args, **kwargs)
    with swallowing("conversation.task"):
        if any(cls.__name__ == _WARM_TRANSFER for cls in type(task).__mro__):
            result = args[0] if args else kwargs.get("result")
            job = current_job()
            if job is not None:
                failed = isinstance(result, BaseException)
                now = clock.now_s()
                refer.mark_transfer(job.call, "human:failed" if failed else "human:ok", now, now)
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
