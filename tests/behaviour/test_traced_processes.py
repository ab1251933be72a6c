"""The traced entrypoint in real child processes, and modules that must not start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from .fakejob import shows_the_right_order

AGENT = '''
    """An agent's module, as a user writes it."""

    import asyncio, json, multiprocessing, pickle, sys

    from livekit.agents import AgentServer

    import trunktrace

    server = AgentServer()


    @server.rtc_session()
    @trunktrace.traced_call
    async def entrypoint(ctx):
        """Mine."""
        if ctx.mode == "raise":
            raise KeyError("mine")
        if ctx.mode == "cancel":
            raise asyncio.CancelledError("stop")
        return ["entrypoint", ctx.mode, bool(trunktrace.current_call())]


    async def plain(ctx):
        return ["plain", ctx.mode, bool(trunktrace.current_call())]


    in_place = AgentServer()
    in_place.rtc_session(trunktrace.traced_call(plain))


    class Agent:
        @staticmethod
        @trunktrace.traced_call
        async def inside(ctx):
            return ["inside", ctx.mode, bool(trunktrace.current_call())]


    in_class = AgentServer()
    in_class.rtc_session(Agent.inside)


    class Context:
        def __init__(self, mode):
            from livekit import rtc

            self.mode, self.job, self.callbacks = mode, None, []
            self.room = rtc.EventEmitter()
            self.room.name = "room"
            self.room.isconnected = lambda: True
            self.room.remote_participants = {}
            self.room.local_participant = None

        def add_shutdown_callback(self, callback):
            self.callbacks.append(callback)


    async def job(function, ctx):
        try:
            return await function(ctx)
        finally:
            for callback in ctx.callbacks:
                await (callback("end") if callback.__code__.co_argcount else callback())


    def child(pipe, functions):
        from opentelemetry.sdk.trace import TracerProvider
        from trunktrace.registry import calls

        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(trunktrace.CallSpanProcessor())
        tracer = provider.get_tracer("t")
        said = {}
        for name, function in functions.items():
            with tracer.start_as_current_span("job_entrypoint"):
                said[name] = asyncio.run(job(function, Context("x")))
            said[name + ".left"] = len(calls)
        for wrong in ("raise", "cancel"):
            try:
                asyncio.run(job(functions["decorated"], Context(wrong)))
            except BaseException as error:
                said[wrong] = [type(error).__name__, list(map(str, error.args))]
        pipe.send(said)
        pipe.close()


    if __name__ == "__main__":
        functions = {
            "decorated": server._entrypoint_fnc,
            "in_place": in_place._entrypoint_fnc,
            "in_class": in_class._entrypoint_fnc,
        }
        said = {name: pickle.loads(pickle.dumps(f)).__qualname__ for name, f in functions.items()}
        for method in ("spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            here, there = context.Pipe()
            process = context.Process(target=child, args=(there, functions))
            process.start()
            there.close()
            said[method] = here.recv() if here.poll(60) else "silent"
            process.join(60)
            said[method + ".exit"] = process.exitcode
        print(json.dumps(said))
'''


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the children of a real agent module said, once for all tests here."""
    path = tmp_path_factory.mktemp("agent") / "agent.py"
    path.write_text(textwrap.dedent(AGENT))
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        cwd=path.parent,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("form", ["decorated", "in_place", "in_class"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_entrypoint_runs_traced_in_a_real_child_process(across, method, form):
    """What the server holds is pickled, arrives whole, and opens a call there."""
    said = across[method]
    name = {"decorated": "entrypoint", "in_place": "plain", "in_class": "inside"}[form]
    assert said[form] == [name, "x", True]
    assert said[f"{form}.left"] == 0
    assert across[f"{method}.exit"] == 0


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_exceptions_and_cancellation_pass_in_a_child_process(across, method):
    """The user's error as it was raised."""
    assert across[method]["raise"] == ["KeyError", ["mine"]]
    assert across[method]["cancel"][0] == "CancelledError"


def test_the_wrong_order_fails_before_any_process_starts(tmp_path: Path):
    """The module itself cannot be imported; the message shows what to write."""
    path = tmp_path / "agent.py"
    path.write_text(
        textwrap.dedent(
            """
            import trunktrace
            from livekit.agents import AgentServer, cli
            server = AgentServer()

            @trunktrace.traced_call
            @server.rtc_session()
            async def entrypoint(ctx): ...

            print("started")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert "ConfigurationError" in done.stderr
    shows_the_right_order(done.stderr)


def test_without_livekit_agents_the_message_is_clear():
    """No livekit-agents: `instrument()` says or raises what to install; `start_call` works."""
    code = """
        import logging, sys
        logging.basicConfig()

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.startswith(("livekit.agents", "livekit.api")):
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Missing())
        import trunktrace
        with trunktrace.start_call(direction="inbound") as call:
            call.record(carrier="telnyx")
        try:
            trunktrace.instrument()
        except ImportError as error:
            print(type(error).__name__, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "livekit-agents" in said
    assert "pip install" in said
