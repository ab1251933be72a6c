"""How a traced entrypoint travels to a job process, and what the server is given to hold.

LiveKit sends the entrypoint to forkserver and spawn processes by its qualified name. A decorated
entrypoint is found there under its name. One that was wrapped in place
(`server.rtc_session(traced_call(entry))`) is not: the name still means the bare function. So the
server is given an object that says how to rebuild what it holds.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakSet

from trunktrace.errors import ConfigurationError
from trunktrace.livekit.job import JobCall, context_of, current_job, open_job, run_entrypoint
from trunktrace.livekit.settings import Settings

RIGHT_ORDER: Final = """write it so, with @trunktrace.traced_call next to the function:

    @server.rtc_session()
    @trunktrace.traced_call
    async def entrypoint(ctx): ...
"""

MARK: Final = "__trunktrace_settings__"

Entrypoint = Callable[..., Awaitable[Any]]


class Registered:
    """What this process was told: bare functions that a server holds already, and settings.

    `instrumented` are the settings of `instrument()`, None without it; `latest` those that were
    given last, by it or by a decorator. `rebuild` is what a job process makes an entrypoint with
    that it cannot find by its name; the floor above sets it, since it patches LiveKit as well.
    """

    def __init__(self) -> None:
        self.bare: WeakSet[Any] = WeakSet()
        self.instrumented: Settings | None = None
        self.latest: Settings | None = None
        self.rebuild: Callable[[Entrypoint, Settings], PicklableEntrypoint] | None = None


registered: Final = Registered()


def traced(entrypoint: Entrypoint, settings: Settings) -> Entrypoint:
    """An async function around `entrypoint` that runs it as a call; keeps name and signature."""

    @functools.wraps(entrypoint)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await run_entrypoint(entrypoint, settings, args, kwargs)

    setattr(run, MARK, settings)
    return run


def is_traced(function: object) -> bool:
    """Whether `function` came out of `traced` already."""
    return hasattr(function, MARK)


class PicklableEntrypoint:
    """A traced entrypoint as a server holds it: called like it, and rebuilt in a job process."""

    def __init__(self, function: Entrypoint) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Run the traced entrypoint."""
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        bare = self._function.__wrapped__  # type: ignore[attr-defined]
        if _found_by_name(self._function) is self._function:
            return PicklableEntrypoint, (self._function,)
        if _found_by_name(bare) is bare:
            return registered.rebuild, (bare, getattr(self._function, MARK))
        raise ConfigurationError(
            "entrypoint",
            getattr(bare, "__qualname__", bare),
            "define it with `async def` at the top of a module: a job process finds it by its "
            "name. " + RIGHT_ORDER,
        )


def _found_by_name(function: Any) -> Any:
    found: Any = sys.modules.get(getattr(function, "__module__", ""))
    for part in getattr(function, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found


def observe_rtc_session(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    """`AgentServer.rtc_session`, given the form of a traced entrypoint that travels."""
    given = args[0] if args else kwargs.pop("func", None)
    if given is not None:
        wrapped(_held_form(given), *args[1:], **kwargs)
        return given
    register = wrapped(*args, **kwargs)

    def registering(function: Any) -> Any:
        register(_held_form(function))
        return function

    return registering


def observe_worker(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    """`Worker(WorkerOptions(...))` of livekit-agents before 1.3, given the same form."""
    options = args[0] if args else kwargs["opts"]
    options.entrypoint_fnc = _held_form(options.entrypoint_fnc)
    return wrapped(*args, **kwargs)


def _held_form(function: Any) -> Any:
    if isinstance(function, PicklableEntrypoint):
        return function
    if is_traced(function):
        return PicklableEntrypoint(function)
    if registered.instrumented is not None:
        return PicklableEntrypoint(traced(function, registered.instrumented))
    try:
        registered.bare.add(function)
    except TypeError:
        pass
    return function


def late_job() -> JobCall | None:
    """The running job call; opened now where `instrument()` came after the registration."""
    job = current_job()
    if job is not None or registered.instrumented is None:
        return job
    from livekit.agents import get_job_context
    from opentelemetry import context as otel_context

    try:
        ctx = get_job_context()
    except RuntimeError:
        return None
    job = open_job(ctx, registered.instrumented)
    if job is not None:
        otel_context.attach(context_of(job))
        job.observer.start()
    return job
