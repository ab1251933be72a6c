"""The end of a job's room, told in one of the ways in which LiveKit tells it."""

from __future__ import annotations

from typing import Any

import pytest

from trunktrace.livekit.job import current_job
from trunktrace.registry import calls

from .fakejob import Job, Room, caller


class Quiet(Room):
    """A room whose `disconnected` event is never heard: the job is over before its turn."""

    def disconnect(self) -> None:
        self.connected = False
        self.emit("connection_state_changed", self.connection_state)


@pytest.mark.parametrize("kind", [Room, Quiet])
async def test_the_call_ends_with_the_jobs_root(kind: type[Room]) -> None:
    """Whichever event tells that the room is left: when the root ends, so does the call."""
    finished = calls.finished
    job = Job(kind(caller()))

    async def entry(_: Any) -> None:
        found = current_job()
        assert found is not None
        found.connected()  # as LiveKit's own `connect` says it

    await job.run(entry)
    assert calls.finished == finished + 1
    assert len(calls) == 0
