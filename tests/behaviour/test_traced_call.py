"""The decorator: what it keeps, what it refuses, what passes through it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest
from livekit.agents import AgentServer, JobContext

import trunktrace
from trunktrace.errors import ConfigurationError
from trunktrace.guard import reraising
from trunktrace.registry import calls

from .fakejob import DIRECTORY, INBOUND, Job, Participant, settle, shows_the_right_order
from .kit import CARRIER, Pipeline


async def victim(ctx: JobContext, *, greeting: str = "hello") -> str:
    """Says what it was given."""
    return f"{greeting} {ctx}"


def test_signature_name_docstring_and_type_are_kept():
    """Whoever looks at the decorated entrypoint sees the entrypoint."""
    traced = trunktrace.traced_call(victim)
    assert inspect.signature(traced) == inspect.signature(victim)
    assert traced.__name__ == "victim"
    assert traced.__qualname__ == victim.__qualname__
    assert traced.__doc__ == "Says what it was given."
    assert traced.__module__ == __name__
    assert traced.__wrapped__ is victim
    assert inspect.get_annotations(traced, eval_str=False) == inspect.get_annotations(victim)


def test_it_is_a_coroutine_function():
    """LiveKit and asyncio ask for it."""
    traced = trunktrace.traced_call(victim)
    assert inspect.iscoroutinefunction(traced)
    assert asyncio.iscoroutinefunction(traced)


def test_with_settings_it_is_a_decorator():
    """`@traced_call(directory=...)` and `@traced_call` keep the same things."""
    traced = trunktrace.traced_call(directory=DIRECTORY)(victim)
    assert inspect.signature(traced) == inspect.signature(victim)
    assert inspect.iscoroutinefunction(traced)
    assert traced.__name__ == "victim"


async def test_arguments_and_result_pass_through():
    """Positional and keyword arguments as they are, the very result."""
    with reraising(value=False):
        assert await trunktrace.traced_call(victim)("you", greeting="hi") == "hi you"
    assert len(calls) == 0


async def test_wrong_arguments_raise_as_without_the_decorator():
    """A TypeError of the user's own signature stays one."""
    with reraising(value=False), pytest.raises(TypeError):
        await trunktrace.traced_call(victim)("you", nonsense=1)
    assert len(calls) == 0


def _sync(ctx: JobContext) -> None: ...


async def _async_generator(ctx: JobContext) -> Any:
    yield ctx


class _Callable:
    def __call__(self, ctx: JobContext) -> None: ...


@pytest.mark.parametrize(
    "wrong",
    [_sync, _async_generator, _Callable, _Callable(), 5, "entrypoint", print],
    ids=["sync", "async-generator", "class", "callable", "number", "text", "builtin"],
)
def test_what_is_no_async_function_is_refused_at_decoration(wrong):
    """The error names what was given and what to write."""
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.traced_call(wrong)
    assert "async" in str(caught.value)


def test_the_wrong_order_raises_at_decoration_and_shows_the_right_one():
    """`@traced_call` above `@server.rtc_session()` would trace nothing: it is refused."""
    server = AgentServer()
    with pytest.raises(ConfigurationError) as caught:

        @trunktrace.traced_call
        @server.rtc_session()
        async def entrypoint(ctx: JobContext) -> None: ...

    shows_the_right_order(str(caught.value))


def test_the_wrong_order_with_settings_raises_too():
    """Also where decorators have arguments, and where they are plain calls."""
    server = AgentServer()
    with pytest.raises(ConfigurationError) as caught:

        @trunktrace.traced_call(directory=DIRECTORY)
        @server.rtc_session(agent_name="x")
        async def entrypoint(ctx: JobContext) -> None: ...

    shows_the_right_order(str(caught.value))

    async def other(ctx: JobContext) -> None: ...

    second = AgentServer()
    second.rtc_session(other)
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.traced_call(other)
    shows_the_right_order(str(caught.value))


def test_the_right_order_registers_the_traced_function():
    """What the server holds is ours, under the user's name."""
    server = AgentServer()

    @server.rtc_session()
    @trunktrace.traced_call
    async def entrypoint(ctx: JobContext) -> None: ...

    held = server._entrypoint_fnc
    assert held is not entrypoint.__wrapped__
    assert held.__name__ == "entrypoint"
    assert inspect.iscoroutinefunction(entrypoint)


def test_another_function_of_the_same_name_is_no_wrong_order():
    """A server of before that holds some `entrypoint` of its own is not taken for this one."""
    server = AgentServer()

    async def entrypoint(ctx: JobContext) -> None: ...

    server.rtc_session(entrypoint)

    async def entrypoint(ctx: JobContext) -> None: ...

    assert trunktrace.traced_call(entrypoint).__wrapped__ is entrypoint


async def test_two_decorations_open_one_call():
    """Decorated twice, or decorated and instrumented: one call, each fact once."""
    job = Job()
    opened, finished = calls.opened, calls.finished

    async def entry(ctx: Any) -> str:
        ctx.room.join(Participant("sip_1", dict(INBOUND)))
        await settle()
        job.pipe.tracer.start_span("work").end()
        return "ok"

    once = trunktrace.traced_call(directory=DIRECTORY)(entry)
    assert await job.run_traced(trunktrace.traced_call(directory=DIRECTORY)(once)) == "ok"
    assert (calls.opened - opened, calls.finished - finished) == (1, 1)
    assert job.pipe.attributes("work")[CARRIER] == "telnyx"
    states = [event["sip.call.state"] for event in job.events("sip.state")]
    assert states == ["ringing"]
    assert len(calls) == 0


class _Mine(Exception):
    pass


@pytest.mark.parametrize("error", [_Mine("x"), SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_exceptions_pass_as_the_same_object(error):
    """No wrapping, no note, no changed cause; also for what is no `Exception`."""

    async def entry(ctx: Any) -> None:
        raise error

    caught = None
    traced = trunktrace.traced_call(entry)
    with reraising(value=False):
        try:
            await traced(object())
        except BaseException as out:
            caught = out
    assert caught is error
    assert error.__cause__ is None
    assert getattr(error, "__notes__", []) == []
    assert len(calls) == 0


async def test_cancellation_passes_and_can_be_caught_by_the_user():
    """A user who catches CancelledError and returns is not cancelled by us."""
    entered = asyncio.Event()

    async def entry(ctx: Any) -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            return f"cleaned up after {error}"
        raise AssertionError

    with reraising(value=False):
        task = asyncio.create_task(trunktrace.traced_call(entry)(object()))
        await entered.wait()
        task.cancel("bye")
        assert await task == "cleaned up after bye"
    assert len(calls) == 0


def test_it_runs_on_the_loop_of_any_thread():
    """The THREAD executor: jobs on loops of their own threads, no call left, no facts mixed."""
    pipe = Pipeline()
    errors: list[BaseException] = []
    trunks = {"ST_in": "telnyx", "ST_out": "twilio"}

    def thread(trunk: str) -> None:
        async def main() -> None:
            for _ in range(5):
                job = Job(pipe=pipe)

                async def entry(ctx: Any, job: Job = job) -> None:
                    ctx.room.join(Participant("sip_1", INBOUND | {"sip.trunkID": trunk}))
                    await settle()
                    pipe.tracer.start_span("work", attributes={"of": trunk}).end()

                await job.run(entry)

        try:
            asyncio.run(main())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=thread, args=(trunk,)) for trunk in [*trunks, *trunks]]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []
    works = [span for span in pipe.finished() if span.name == "work"]
    assert len(works) == 20
    assert all(span.attributes[CARRIER] == trunks[span.attributes["of"]] for span in works)
    assert len(calls) == 0


def test_bad_settings_are_refused_at_decoration():
    """A directory or redaction that is none raises where it is given."""
    for settings in ({"directory": "carriers.toml"}, {"redaction": "mask"}, {"learn_trunks": "no"}):
        with pytest.raises(ConfigurationError):
            trunktrace.traced_call(**settings)(victim)


def test_a_wrong_directory_file_is_refused_at_decoration(monkeypatch, tmp_path):
    """TRUNKTRACE_DIRECTORY names a file that is not there, or is wrong: loud, before any call."""
    monkeypatch.setenv("TRUNKTRACE_DIRECTORY", str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigurationError, match="TRUNKTRACE_DIRECTORY"):
        trunktrace.traced_call(victim)
    wrong = tmp_path / "carriers.toml"
    wrong.write_text("[trunks.ST_1]\ncarier = 'telnyx'\n")
    monkeypatch.setenv("TRUNKTRACE_DIRECTORY", str(wrong))
    with pytest.raises(ConfigurationError, match="carier"):
        trunktrace.traced_call(victim)
