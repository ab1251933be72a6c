"""`@traced_call`: one line on a LiveKit entrypoint."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, Unpack, overload

from trunktrace.errors import ConfigurationError
from trunktrace.livekit.patches import patches
from trunktrace.livekit.pickling import RIGHT_ORDER, is_traced, registered, traced
from trunktrace.livekit.settings import SettingFields, Settings

Entrypoint = TypeVar("Entrypoint", bound=Callable[..., Awaitable[Any]])

# Decorators are evaluated from the top and applied from the bottom: only what watches the
# registration before it happens can tell that the order is wrong.
patches.install("decorator")


@overload
def traced_call(entrypoint: Entrypoint, /) -> Entrypoint: ...


@overload
def traced_call(
    **settings: Unpack[SettingFields],
) -> Callable[[Entrypoint], Entrypoint]: ...


def traced_call(
    entrypoint: Callable[..., Awaitable[Any]] | None = None,
    /,
    **settings: Unpack[SettingFields],
) -> Any:
    """Every span of the job says which trunk the call came through.

    ```python
    @server.rtc_session()
    @trunktrace.traced_call
    async def entrypoint(ctx): ...
    ```

    The entrypoint runs as it is: its result, exceptions and cancellation pass through. A job
    without a SIP participant is left alone. The settings are explained at `SettingFields`.

    Raises ConfigurationError if the entrypoint is no async function, if `@server.rtc_session()`
    stands below this line instead of above it, or if a setting is wrong.
    """
    if entrypoint is not None:
        _check(entrypoint)
    chosen = Settings.load(**settings)
    chosen.redaction.prepare()
    registered.latest = chosen
    patches.install("decorator")

    def decorate(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        _check(function)
        return function if is_traced(function) else traced(function, chosen)

    return decorate if entrypoint is None else decorate(entrypoint)


def _check(function: object) -> None:
    call = getattr(function, "__call__", None)  # noqa: B004  # the method itself is looked at
    if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)):
        raise ConfigurationError(
            "entrypoint", function, "decorate the `async def` that takes the JobContext"
        )
    if registered.instrumented is None and function in registered.bare:
        raise ConfigurationError(
            "@trunktrace.traced_call",
            getattr(function, "__qualname__", function),
            "it stands above @server.rtc_session(), so the server holds the function without it; "
            + RIGHT_ORDER,
        )
