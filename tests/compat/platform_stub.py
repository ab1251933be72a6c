"""The part of a LiveKit server that a worker talks to: registration, jobs, and SIP requests.

It speaks the agents protocol (livekit-protocol) over a real websocket, so that any version of
livekit-agents runs against it as it is. There is no media: a job's room cannot be connected.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web
from livekit.protocol.agent import (
    AvailabilityRequest,
    Job,
    JobAssignment,
    JobStatus,
    JobType,
    RegisterWorkerResponse,
    ServerMessage,
    WorkerMessage,
)
from livekit.protocol.models import Room

from .waiting import until

KEY = "compat-key"
SECRET = "compat-secret-that-is-long-enough-for-hs256"
BUSY = {
    "code": "resource_exhausted",
    "msg": "twirp error unknown: INVITE failed: sip status: 486: Busy Here",
    "meta": {"sip_status": "Busy Here", "sip_status_code": "486"},
}
"""What livekit-sip answers for an attempt that the callee refused."""

_ENDED = (JobStatus.JS_SUCCESS, JobStatus.JS_FAILED)
_numbers = itertools.count(1)

T = TypeVar("T")


class PlatformStub:
    """A context manager; it runs in a thread of its own and serves one worker at a time."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._states: dict[str, int] = {}
        self._worker: web.WebSocketResponse | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        app = web.Application()
        app.router.add_get("/agent", self._serve_worker)
        app.router.add_post("/twirp/livekit.SIP/CreateSIPParticipant", self._refuse_dial)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)

    @property
    def url(self) -> str:
        """What LIVEKIT_URL is set to."""
        return f"ws://127.0.0.1:{self._runner.addresses[0][1]}"

    @property
    def has_worker(self) -> bool:
        """Whether a worker is registered now."""
        return self._worker is not None

    def dispatch(self, scenario: str, **settings: object) -> str:
        """Give the worker a job with this metadata; the job's id."""
        number = next(_numbers)
        job = Job(
            id=f"AJ_compat{number}",
            type=JobType.JT_ROOM,
            room=Room(sid=f"RM_compat{number}", name=f"room-{number}"),
            metadata=json.dumps({"scenario": scenario, **settings}),
        )
        self._jobs[job.id] = job
        self._call(self._send(ServerMessage(availability=AvailabilityRequest(job=job))))
        return job.id

    def wait(self, *job_ids: str) -> None:
        """Wait until the worker has said of each job that it is over."""
        until(
            lambda: all(self._states.get(one) in _ENDED for one in job_ids),
            f"the end of {len(job_ids)} job(s), first {job_ids[0]}",
            deadline_s=60.0,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20.0)

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def _send(self, message: ServerMessage) -> None:
        assert self._worker is not None, "no worker is registered"
        await self._worker.send_bytes(message.SerializeToString())

    async def _serve_worker(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            said = WorkerMessage.FromString(message.data)
            which = said.WhichOneof("message")
            if which == "register":
                self._worker = socket
                await self._send(ServerMessage(register=RegisterWorkerResponse(worker_id="AW_1")))
            elif which == "availability":
                job = self._jobs[said.availability.job_id]
                await self._send(ServerMessage(assignment=JobAssignment(job=job, token="none")))
            elif which == "update_job":
                self._states[said.update_job.job_id] = said.update_job.status
        self._worker = None
        return socket

    @staticmethod
    async def _refuse_dial(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(BUSY, status=429)
