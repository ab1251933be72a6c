"""The decorator on an entrypoint that runs here, in a room that says what the test has it say."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import warnings
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import agents, rtc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace
from trunktrace.errors import ConfigurationError
from trunktrace.livekit.pickling import PicklableEntrypoint
from trunktrace.registry import calls

ATTRIBUTES = {
    "sip.callStatus": "active",
    "sip.hostname": "acme.pstn.twilio.com",
    "sip.phoneNumber": "+15557778888",
    "sip.ruleID": "SDR_1",
    "sip.trunkID": "ST_1",
}


class Job:
    """A job as the entrypoint gets it, in a real room that is not connected, with its root span."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(trunktrace.CallSpanProcessor())
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = self.provider.get_tracer("compat")
        self.room = rtc.Room()
        self.ctx: Any = SimpleNamespace(room=self.room, job=None)

    async def run(self, entrypoint: Any) -> Any:
        with self.tracer.start_as_current_span("job_entrypoint"):
            return await entrypoint(self.ctx)

    def ring(self) -> None:
        caller: Any = SimpleNamespace(
            identity="sip_+15557778888", name="", kind=3, attributes=dict(ATTRIBUTES)
        )
        self.room.emit("participant_connected", caller)

    def span(self, name: str) -> None:
        with self.tracer.start_as_current_span(name):
            pass

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Attributes of the finished spans by span name."""
        return {one.name: dict(one.attributes or {}) for one in self.memory.get_finished_spans()}


@pytest.fixture
async def job() -> AsyncIterator[Job]:
    opened = Job()
    yield opened
    opened.provider.shutdown()


@trunktrace.traced_call
async def decorated(ctx: Any, *, greeting: str = "hello") -> str:
    """Greets."""
    return f"{greeting} from {ctx}"


async def bare(ctx: Any) -> None:
    """Found in this module by its name."""


async def test_the_entrypoint_stays_what_it_was():
    """Name, documentation, signature and result are those of the function."""
    assert inspect.iscoroutinefunction(decorated)
    assert (decorated.__name__, decorated.__doc__) == ("decorated", "Greets.")
    assert list(inspect.signature(decorated).parameters) == ["ctx", "greeting"]
    assert trunktrace.traced_call(decorated) is decorated


async def test_a_call_puts_its_facts_on_root_and_children(job):
    """What the room says of its SIP participant is on the root and on each later span."""

    @trunktrace.traced_call(redaction=trunktrace.Redaction())
    async def entrypoint(ctx):
        job.span("before")
        job.ring()
        job.span("after")
        trunktrace.current_call().record(codec="pcma")
        return "result"

    assert await job.run(entrypoint) == "result"
    assert "trunk.carrier" not in job.facts["before"]
    assert job.facts["after"]["trunk.carrier"] == "twilio"
    assert job.facts["job_entrypoint"]["rtp.codec"] == "pcma"
    assert job.facts["job_entrypoint"]["sip.response.status_code"] == 200
    assert len(calls) == 0


async def test_a_job_without_sip_is_left_alone(job):
    """No attribute and no event on any span of a job that nobody phoned."""

    @trunktrace.traced_call
    async def entrypoint(ctx):
        listener: Any = SimpleNamespace(identity="web", name="", kind=0, attributes={})
        job.room.emit("participant_connected", listener)
        job.span("child")

    await job.run(entrypoint)
    assert job.facts == {"child": {}, "job_entrypoint": {}}


@pytest.mark.parametrize("error", [LookupError("a bug"), KeyboardInterrupt(), SystemExit(3)])
async def test_an_exception_passes_as_the_same_object(job, error):
    """What the entrypoint raises is what the caller sees; the call is finished."""

    @trunktrace.traced_call
    async def entrypoint(ctx):
        job.ring()
        raise error

    with pytest.raises(type(error)) as caught:
        await job.run(entrypoint)
    assert caught.value is error
    assert len(calls) == 0


async def test_cancellation_passes(job):
    """A cancelled entrypoint is cancelled, and the call is finished."""
    waiting = asyncio.Event()

    @trunktrace.traced_call
    async def entrypoint(ctx):
        job.ring()
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(job.run(entrypoint))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert len(calls) == 0


async def test_an_argument_that_is_no_job_is_passed_on(caplog):
    """Without a room nothing is traced, the entrypoint runs, and the log says so once."""
    with caplog.at_level(logging.WARNING, "trunktrace"):
        assert await decorated("somewhere") == "hello from somewhere"
        assert await decorated("here", greeting="hi") == "hi from here"
    assert [one.message.count("is no JobContext") for one in caplog.records] == [1]


@pytest.mark.parametrize("wrong", [lambda ctx: None, "entrypoint", print])
def test_what_is_no_async_function_is_refused(wrong):
    """The decorator says at once that it wants the `async def`."""
    with pytest.raises(ConfigurationError, match="async def"):
        trunktrace.traced_call(wrong)


async def test_the_wrong_order_is_refused_before_any_process_starts():
    """A function that a server holds already cannot be traced; the message shows the order."""

    async def entrypoint(ctx):
        pass

    hold(entrypoint)
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.traced_call(entrypoint)
    written = str(caught.value)
    assert written.index("@server.rtc_session()") < written.index("@trunktrace.traced_call\n")


def test_a_function_inside_a_function_cannot_travel():
    """A job process finds an entrypoint by its name; one without such a name is refused."""

    async def entrypoint(ctx):
        pass

    with pytest.raises(ConfigurationError, match="top of a module"):
        pickle.dumps(PicklableEntrypoint(trunktrace.traced_call(entrypoint)))


@pytest.mark.parametrize("form", [decorated, trunktrace.traced_call(bare)])
def test_what_a_server_holds_travels(form):
    """Decorated at the top of a module or wrapped in place: it is rebuilt as the same."""
    held = PicklableEntrypoint(form)
    again = pickle.loads(pickle.dumps(held))
    assert again.__name__ == form.__name__
    assert again.__wrapped__.__wrapped__ is form.__wrapped__


def hold(entrypoint: Any) -> None:
    """Give the entrypoint to a worker, the newest way there is."""
    if hasattr(agents, "AgentServer"):
        agents.AgentServer().rtc_session()(entrypoint)
        return
    options = agents.WorkerOptions(
        entrypoint_fnc=entrypoint, ws_url="ws://127.0.0.1:1", api_key="key", api_secret="secret"
    )
    with warnings.catch_warnings():
        # Of its own: it gives a newer aiohttp its loop.
        warnings.simplefilter("ignore", DeprecationWarning)
        agents.Worker(options, register=False)
