"""A forked child has no calls, and does not wait for threads that it does not have."""

from __future__ import annotations

import json

from .kit import (
    CARRIER,
    run_python,
)

FORK = """
    import json, os, sys
    import trunktrace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from trunktrace.registry import calls

    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("t")
    said = {}
    with trunktrace.start_call(
        tracer_provider=provider, direction="inbound", carrier="parent"
    ) as call:
        open_span = tracer.start_span("open")
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                memory.clear()
                said["calls"] = len(calls)
                said["current"] = bool(trunktrace.current_call())
                call.record(route="from-the-child")
                inside = tracer.start_span("inherited-context")
                said["inherited"] = dict(inside.attributes)
                inside.end()
                with trunktrace.start_call(
                    tracer_provider=provider, direction="inbound", carrier="child"
                ):
                    tracer.start_span("childs").end()
                said["childs"] = [
                    dict(s.attributes) for s in memory.get_finished_spans() if s.name == "childs"
                ]
                said["left"] = len(calls)
                code = 0
            except BaseException as error:
                said["error"] = repr(error)
            os.write(write, json.dumps(said).encode())
            os._exit(code)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = json.loads(pipe.read())
        os.waitpid(pid, 0)
        said["parent_calls"] = len(calls)
        call.record(region="us1")
        open_span.end()
    said["open"] = dict(memory.get_finished_spans()[0].attributes)
    print(json.dumps(said))
"""


def test_a_forked_child_has_no_calls():
    """The child starts empty and can make calls of its own; the parent goes on untouched."""
    said = json.loads(run_python(FORK))
    assert "error" not in said
    assert said["calls"] == 0
    assert said["current"] is False
    assert said["inherited"].get(CARRIER) is None
    assert [each[CARRIER] for each in said["childs"]] == ["child"]
    assert said["left"] == 0
    assert said["parent_calls"] == 1
    assert said["open"][CARRIER] == "parent"
    assert said["open"]["trunk.region"] == "us1"
    assert "trunk.route" not in said["open"]


def test_a_fork_while_another_thread_writes_does_not_deadlock_the_child():
    """The writer's lock may be held at the moment of the fork; the child works all the same."""
    said = run_python(
        """
        import os, threading
        import trunktrace
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider(shutdown_on_exit=False)
        stop = threading.Event()
        with trunktrace.start_call(tracer_provider=provider, direction="inbound") as call:
            def write():
                n = 0
                while not stop.is_set():
                    n += 1
                    call.record(route=f"r{n}")
            threads = [threading.Thread(target=write) for _ in range(2)]
            for thread in threads:
                thread.start()
            codes = []
            while len(codes) < 20 and not any(codes):
                pid = os.fork()
                if pid == 0:
                    import signal
                    signal.alarm(5)
                    with trunktrace.start_call(
                        tracer_provider=provider, direction="inbound", carrier="c"
                    ) as own:
                        own.record(route="x")
                        trunktrace.current_call().record(region="y")
                    call.record(route="from-the-child")
                    os._exit(0)
                codes.append(os.waitpid(pid, 0)[1])
            stop.set()
            for thread in threads:
                thread.join()
        print(codes.count(0), len(codes))
        """,
        PYTHONWARNINGS="ignore",
    )
    assert said.split() == ["20", "20"]
