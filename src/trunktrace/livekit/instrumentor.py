"""`instrument()` and `uninstrument()`: the same as the decorator, without one."""

from __future__ import annotations

from typing import Unpack

from opentelemetry.sdk.trace import TracerProvider

from trunktrace.call_baggage import tool_baggage
from trunktrace.livekit import providers
from trunktrace.livekit.patches import patches
from trunktrace.livekit.pickling import registered
from trunktrace.livekit.settings import SettingFields, Settings


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    **settings: Unpack[SettingFields],
) -> None:
    """Trace every entrypoint that a LiveKit server of this process is given from now on.

    Call it at the top level of the agent's module, before `@server.rtc_session()`: job processes
    import that module and so call it too. `tracer_provider` is the provider that livekit-agents
    will trace with, if it is not the global one; the other settings are those of `traced_call`.
    Calling it twice changes the settings only.

    Raises ConfigurationError for a wrong setting.
    """
    chosen = Settings.load(**settings)
    chosen.redaction.prepare()
    registered.instrumented = registered.latest = chosen
    if tracer_provider is not None:
        providers.adopt(tracer_provider)
    patches.install("instrument")


def uninstrument() -> None:
    """Put every patched method back; calls that are open go on to their end.

    Where `@traced_call` is in use too, its own patches stay.
    """
    registered.instrumented = None
    tool_baggage.uninstall()
    patches.undo("instrument")
