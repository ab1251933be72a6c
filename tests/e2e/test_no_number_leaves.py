"""After all other tests: nothing that left in any of their calls holds a number of the call.

Searched are the bytes that each worker sent by OTLP (spans and metrics), the same bytes read (a
number may stand there as an integer), and what Jaeger answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from .calls import LOCAL, CallTruth, inbound
from .conftest import ENVIRONMENT, USER, Measured, WorkerFactory
from .harness import run_inbound
from .jaeger_api import JaegerApi
from .recorder import Recorder
from .worker import Worker


@pytest.fixture(scope="module")
def every_worker(workers: WorkerFactory) -> list[Worker]:
    """All workers of this session; one call at least through each of two pipelines."""
    for options in (ENVIRONMENT, USER):
        worker = workers(options)
        if not worker.truths:
            run_inbound(worker, inbound(LOCAL))
    return workers.running


@pytest.fixture(scope="module")
def redacting(every_worker: list[Worker]) -> list[Worker]:
    """Those whose spans leave through a RedactingExporter."""
    return [worker for worker in every_worker if worker.options.redacts and worker.truths]


def test_no_number_is_in_the_bytes_that_left(
    redacting: list[Worker], recorder: Recorder, measured: Measured
) -> None:
    """No OTLP request holds a caller's or callee's number, in any spelling."""
    found: list[bytes] = []
    size = calls = 0
    for worker in redacting:
        pattern = _numbers_of(worker.truths)
        calls += len(worker.truths)
        name = worker.agent_name
        bodies = recorder.messages(name) + recorder.metric_messages(name)
        requests = [*recorder.requests(name), *recorder.metric_requests(name)]
        for body, request in zip(bodies, requests, strict=True):
            size += len(body)
            found += _around(pattern, body) + _around(pattern, str(request).encode())
    assert found == []
    measured("searched for numbers", f"{size} bytes of OTLP of {calls} calls")


def test_no_number_is_in_jaeger(redacting: list[Worker]) -> None:
    """Nor does Jaeger have one in any trace of these workers."""
    found: list[bytes] = []
    for worker in redacting:
        pattern = _numbers_of(worker.truths)
        api = JaegerApi(worker.jaeger.query)
        for trace_id in api.find_traces(worker.service):
            found += _around(pattern, api.raw_trace(trace_id).encode())
    assert found == []


def test_the_search_finds_what_a_plain_exporter_sends(
    every_worker: list[Worker], recorder: Recorder
) -> None:
    """Without RedactingExporter LiveKit's own attributes hold the numbers: the search sees them."""
    (plain,) = [worker for worker in every_worker if worker.options == USER]
    pattern = _numbers_of(plain.truths)
    sent = b"".join(recorder.messages(plain.agent_name))
    found = {_digits(one) for one in pattern.findall(sent)}
    assert found >= {_digits(truth.remote.encode()) for truth in plain.truths}


def test_no_number_is_in_our_log(every_worker: list[Worker]) -> None:
    """No log line of trunktrace holds a number, whoever exports."""
    for worker in every_worker:
        pattern = _numbers_of(worker.truths)
        for line in worker.log_lines():
            told = " ".join(str(line.get(name, "")) for name in ("message", "exc_info"))
            assert not pattern.search(told.encode()), told


def test_nothing_of_ours_failed(every_worker: list[Worker]) -> None:
    """The guard had nothing to swallow in any call of the session."""
    failed = [
        line["message"]
        for worker in every_worker
        for line in worker.log_lines()
        if "trunktrace failed" in line["message"]
    ]
    assert failed == []


def _numbers_of(truths: Iterable[CallTruth]) -> re.Pattern[bytes]:
    """The national part of every number, with or without something between its groups."""
    groups = {
        (number[-10:-7], number[-7:-4], number[-4:])
        for truth in truths
        for number in truth.signalling_numbers
    }
    between = r"(?:[^0-9A-Za-z]|%[0-9A-F]{2}){0,2}"
    pattern = "|".join(between.join(group) for group in sorted(groups))
    return re.compile(pattern.encode() if groups else rb"(?!)")


def _around(pattern: re.Pattern[bytes], text: bytes) -> list[bytes]:
    """Each find with what stands around it."""
    return [text[max(0, found.start() - 60) : found.end() + 20] for found in pattern.finditer(text)]


def _digits(text: bytes) -> bytes:
    return re.sub(rb"[^0-9]", b"", text)[-10:]
