"""`instrument()` and `uninstrument()`: all of it on, all of it off."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from livekit.agents import AgentServer

import trunktrace
from trunktrace.livekit.patches import patches
from trunktrace.registry import calls

from .fakejob import DIRECTORY, INBOUND, Job, Participant, settle
from .kit import CARRIER


def _patched() -> dict[tuple[str, str], Any]:
    """Every attribute of every class and module of livekit that is loaded."""
    found: dict[tuple[str, str], Any] = {}
    for name, module in list(sys.modules.items()):
        if not name.startswith("livekit.") or module is None or "protocol" in name:
            continue
        for key, value in list(vars(module).items()):
            found[name, key] = value
            if inspect.isclass(value) and value.__module__.startswith("livekit."):
                for attribute, inner in list(vars(value).items()):
                    found[f"{value.__module__}.{value.__qualname__}", attribute] = inner
    return found


def _differences(before: dict[Any, Any], after: dict[Any, Any]) -> list[Any]:
    return sorted(key for key in before if after.get(key) is not before[key])


@pytest.fixture
def uninstrumented() -> Iterator[None]:
    import livekit.agents.ipc.job_proc_lazy_main
    import livekit.api  # noqa: F401

    # Other tests of this process decorate, and their patches stay: here they are taken off.
    trunktrace.uninstrument()
    patches.undo("decorator")
    yield
    trunktrace.uninstrument()
    patches.undo("decorator")
    patches.install("decorator")


@pytest.mark.usefixtures("uninstrumented")
def test_uninstrument_restores_every_method():
    """After it, each method of livekit is the very object of before; while on, some are not."""
    before = _patched()
    trunktrace.instrument()
    assert _differences(before, _patched()) != []
    trunktrace.uninstrument()
    assert _differences(before, _patched()) == []


@pytest.mark.usefixtures("uninstrumented")
def test_instrument_and_uninstrument_are_idempotent():
    """Twice on is once on; one off takes all of it away; off again is quiet."""
    before = _patched()
    trunktrace.instrument()
    once = _patched()
    trunktrace.instrument(directory=DIRECTORY)
    trunktrace.instrument()
    assert _differences(once, _patched()) == []
    trunktrace.uninstrument()
    assert _differences(before, _patched()) == []
    trunktrace.uninstrument()
    assert _differences(before, _patched()) == []


@pytest.mark.usefixtures("uninstrumented")
def test_instrument_after_someone_elses_patch_takes_only_ours_away():
    """A patch of another library that lies over ours is still there, and still works."""
    from livekit.api import sip_service

    trunktrace.instrument()
    target = sip_service.SipService
    ours_ = target.create_sip_participant

    async def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await ours_(self, *args, **kwargs)

    target.create_sip_participant = theirs
    try:
        trunktrace.uninstrument()
        assert target.create_sip_participant is theirs
    finally:
        target.create_sip_participant = getattr(ours_, "__wrapped__", ours_)


@pytest.mark.usefixtures("uninstrumented")
async def test_instrument_traces_an_entrypoint_without_a_decorator():
    """A server that is given a plain entrypoint from now on runs it traced."""
    trunktrace.instrument(directory=DIRECTORY)
    server = AgentServer()
    job = Job()

    @server.rtc_session()
    async def entry(ctx: Any) -> str:
        ctx.room.join(Participant("sip_1", dict(INBOUND)))
        await settle()
        job.pipe.tracer.start_span("work").end()
        return "ok"

    assert await job.run_traced(server._entrypoint_fnc) == "ok"
    assert job.pipe.attributes("work")[CARRIER] == "telnyx"
    assert len(calls) == 0


@pytest.mark.usefixtures("uninstrumented")
async def test_instrument_and_the_decorator_together_open_one_call():
    """Both at once do no double work."""
    trunktrace.instrument(directory=DIRECTORY)
    server = AgentServer()
    job = Job()
    opened = calls.opened

    @server.rtc_session()
    @trunktrace.traced_call(directory=DIRECTORY)
    async def entry(ctx: Any) -> None:
        ctx.room.join(Participant("sip_1", dict(INBOUND)))
        await settle()

    await job.run_traced(server._entrypoint_fnc)
    assert calls.opened - opened == 1
    assert [event["sip.call.state"] for event in job.events("sip.state")] == ["ringing"]


@pytest.mark.usefixtures("uninstrumented")
def test_after_uninstrument_a_server_is_given_the_users_function():
    """What is registered afterwards is not ours."""
    trunktrace.instrument()
    trunktrace.uninstrument()
    server = AgentServer()

    async def entry(ctx: Any) -> None: ...

    server.rtc_session(entry)
    assert server._entrypoint_fnc is entry


@pytest.mark.usefixtures("uninstrumented")
def test_the_users_exception_of_a_dial_passes_unchanged_through_our_patch():
    """A patched `create_sip_participant` raises livekit's own error, the same object."""
    from livekit.api import sip_service

    error = RuntimeError("livekit's own")
    original = sip_service.SipService.create_sip_participant

    async def failing(self: Any, *args: Any, **kwargs: Any) -> None:
        raise error

    sip_service.SipService.create_sip_participant = failing
    try:
        trunktrace.instrument()
        service = object.__new__(sip_service.SipService)
        with pytest.raises(RuntimeError) as caught:
            asyncio.run(service.create_sip_participant(object()))
        assert caught.value is error
    finally:
        trunktrace.uninstrument()
        sip_service.SipService.create_sip_participant = original
