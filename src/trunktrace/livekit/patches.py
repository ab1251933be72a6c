"""The methods of LiveKit that we observe, and nothing else; wrapt, so that they can be undone.

Observed are public methods, and one private one where nothing public tells (which participant a
session takes as its caller); a name that a version does not have is left out.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import wrapt

from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.export import environment, meters
from trunktrace.guard import swallowing, warn_once
from trunktrace.livekit import conversation, listening, pickling, providers, requests
from trunktrace.livekit.consult import within
from trunktrace.livekit.identities import identities
from trunktrace.livekit.job import current_job, observer_of_session
from trunktrace.livekit.settings import Settings
from trunktrace.voice import corrections

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


def _job_context_init(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    # A job's context is made after the user's setup_fnc and before the job's first span.
    result = wrapped(*args, **kwargs)
    settings = pickling.registered.latest
    providers.ensure_provider(None if settings is None else settings.redaction)
    return result


async def _job_context_connect(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    result = await wrapped(*args, **kwargs)
    job = current_job()
    if job is not None:
        job.connected()
    return result


def _session_start(wrapped: Callable[..., Any], session: Any, args: Any, kwargs: Any) -> Any:
    with swallowing("patches.session_start"):
        job = pickling.late_job()
        if job is not None:
            job.check_provider()
            consult = conversation.session_starts(session, job, kwargs.get("room"))
            if consult is not None:
                return consult.run(session, wrapped, args, kwargs)
    return wrapped(*args, **kwargs)


def _session_linked(wrapped: Callable[..., Any], session: Any, args: Any, kwargs: Any) -> Any:
    with swallowing("patches.session_linked"):
        observer = observer_of_session(session)
        if observer is not None and args:
            observer.linked(args[0])
    return wrapped(*args, **kwargs)


async def _create_sip_participant(
    wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any
) -> Any:
    job = current_job()
    request = args[0] if args else kwargs.get("create")
    with swallowing("patches.asked_for"):
        identities.asked_for(request)
    if job is None or request is None or requests.is_observed():
        return await wrapped(*args, **kwargs)

    async def send(asked: Any) -> Any:
        if args:
            return await wrapped(asked, *args[1:], **kwargs)
        return await wrapped(**{**kwargs, "create": asked})

    observer, call = job.at(getattr(request, "room_name", ""))
    with within(call):
        answer, _ = await requests.place(
            observer,
            request,
            send,
            trunk_id=kwargs.get("trunk_id") or None,
            trunk=kwargs.get("outbound_trunk_config"),
        )
    return answer


_OBSERVED: Final[tuple[tuple[str, str, Wrapper], ...]] = (
    ("livekit.agents", "JobContext.__init__", _job_context_init),
    ("livekit.agents", "JobContext.connect", _job_context_connect),
    ("livekit.agents", "AgentServer.rtc_session", pickling.observe_rtc_session),
    ("livekit.agents", "Worker.__init__", pickling.observe_worker),
    ("livekit.agents", "AgentSession.start", _session_start),
    ("livekit.agents", "AgentSession._on_room_io_participant_linked", _session_linked),
    ("livekit.agents", "AgentTask.complete", conversation.task_completes),
    ("livekit.agents", "AMD.__init__", conversation.amd_made),
    ("livekit.agents.voice.recorder_io", "RecorderIO.start", conversation.recorder_starts),
    ("livekit.agents.voice.recorder_io", "RecorderIO.aclose", conversation.recorder_ends),
    ("livekit.api.sip_service", "SipService.create_sip_participant", _create_sip_participant),
    ("livekit.api.sip_service", "SipService.transfer_sip_participant", conversation.transfer_asked),
    ("livekit.api.room_service", "RoomService.move_participant", conversation.participant_moves),
    *listening.OBSERVED,
)
"""(module, class.method, wrapper); a class is patched where it is defined or re-exported."""


class Patches:
    """Installed once a process; `undo` puts every method back."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any, Any]] = []
        self._lock = threading.RLock()
        self._waiting = False
        self._users: set[str] = set()

    @property
    def users(self) -> frozenset[str]:
        """Who needs the methods observed now."""
        return frozenset(self._users)

    def install(self, user: str) -> None:
        """Patch for `user` now if livekit-agents is loaded, else as soon as it is."""
        with self._lock:
            self._users.add(user)
            if self._undo:
                return
            if not _is_installed():
                warn_once(
                    "livekit-agents",
                    "trunktrace: livekit-agents is not installed, so there is no job to trace. "
                    "pip install livekit-agents; or use trunktrace.start_call without LiveKit.",
                )
            if "livekit.agents" in sys.modules and _is_ready(sys.modules["livekit.agents"]):
                self._patch_all()
            elif not self._waiting:
                self._waiting = True
                wrapt.register_post_import_hook(lambda _: self._loaded(), "livekit.agents")

    def _loaded(self) -> None:
        with self._lock:
            if self._waiting and not self._undo:
                self._patch_all()
            self._waiting = False

    def _patch_all(self) -> None:
        if multiprocessing.parent_process() is not None:
            # A job process has time now; when its job comes, somebody is on the phone.
            with swallowing("patches.preload"):
                environment.preload()
                meters.preload()
                corrections.prepare()
                import_module("trunktrace.livekit.audio")
                import_module("trunktrace.livekit.dial")
                Thresholds.find()
        for module, path, wrapper in _OBSERVED:
            with swallowing(f"patches.{path}"):
                self._patch(module, path, wrapper)

    def _patch(self, module: str, path: str, wrapper: Wrapper) -> None:
        class_name, method = path.split(".")
        if find_spec(module) is None:
            return
        owner = getattr(import_module(module), class_name, None)
        original = None if owner is None else owner.__dict__.get(method)
        if original is None:
            return
        ours = wrapt.FunctionWrapper(original, wrapper)
        setattr(owner, method, ours)
        self._undo.append((owner, method, original, ours))

    def undo(self, user: str) -> None:
        """Put every method back as it was, unless another user still needs them."""
        with self._lock:
            self._users.discard(user)
            if self._users:
                return
            self._waiting = False
            while self._undo:
                owner, method, original, ours = self._undo.pop()
                # What somebody else laid over ours stays; ours below it does nothing then.
                if owner.__dict__.get(method) is ours:
                    setattr(owner, method, original)


def _is_installed() -> bool:
    try:
        return find_spec("livekit.agents") is not None
    except ModuleNotFoundError:
        return False


def _is_ready(module: Any) -> bool:
    # While the package is being imported its names come one by one.
    return hasattr(module, "AgentSession") and hasattr(module, "JobContext")


patches: Final = Patches()


def rebuilt(bare: pickling.Entrypoint, settings: Settings) -> pickling.PicklableEntrypoint:
    """In a job process: the entrypoint that was wrapped in place, and LiveKit observed.

    With `opentelemetry-instrument` nothing else in that process may have called for us.
    """
    settings.redaction.prepare()
    pickling.registered.latest = settings
    patches.install("decorator")
    return pickling.PicklableEntrypoint(pickling.traced(bare, settings))


pickling.registered.rebuild = rebuilt
