"""`instrument()` and `uninstrument()`: the same as the decorator, without one."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider

from trunktrace.directory import Directory
from trunktrace.livekit import providers
from trunktrace.livekit.patches import patches
from trunktrace.livekit.pickling import registered
from trunktrace.livekit.settings import Settings
from trunktrace.redaction import Redaction


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    directory: Directory | None = None,
    redaction: Redaction | None = None,
    learn_trunks: bool = False,
) -> None:
    """Trace every entrypoint that a LiveKit server of this process is given from now on.

    Call it at the top level of the agent's module, before `@server.rtc_session()`: job processes
    import that module and so call it too. `tracer_provider` is the provider that livekit-agents
    will trace with, if it is not the global one. Calling it twice changes the settings only.

    Raises ConfigurationError for a wrong setting.
    """
    settings = Settings.load(directory, redaction, learn_trunks=learn_trunks)
    settings.redaction.prepare()
    registered.instrumented = registered.latest = settings
    if tracer_provider is not None:
        providers.adopt(tracer_provider)
    patches.install("instrument")


def uninstrument() -> None:
    """Put every patched method back; calls that are open go on to their end.

    Where `@traced_call` is in use too, its own patches stay.
    """
    registered.instrumented = None
    patches.undo("instrument")
