"""What the room says about time: when the call was sent, rang, was answered, recorded and ended."""

from __future__ import annotations

from typing import Any, Final

from trunktrace.clock import clock
from trunktrace.livecall import LiveCall
from trunktrace.sip.legs import Leg
from trunktrace.timeline import Mark, MarkKind

SOURCE: Final = "livekit"


class RoomMarks:
    """Tells the marks of the leg that is the call, each once, and of the room's recording.

    `answered` is the moment at which the agent learned of it: LiveKit says so by an attribute of
    the participant, which was seen 2 ms before the dial request came back.
    """

    def __init__(self, room: Any, call: LiveCall) -> None:
        self._room = room
        self._call = call
        self._recording_since: float | None = None

    def of_leg(self, leg: Leg, room_created_at: float | None) -> None:
        """What is known of the leg by now and was not told."""
        times: dict[MarkKind, float | None] = {
            "invite": leg.invited(room_created_at),
            "ringing": leg.progress_at,
            "answered": leg.active_at,
            "hangup": leg.hangup_at,
        }
        for kind, at in times.items():
            if at is not None:
                self._tell_once(leg, kind, at)

    def dial_answered(self, leg: Leg | None) -> None:
        """The dial request came back after the answer, and the room has not said so yet."""
        if leg is not None:
            self._tell_once(leg, "answered", clock.now_s())
        else:
            self._tell(Mark(kind="answered", start=clock.now_s(), source=SOURCE))

    def look_for_recording(self) -> None:
        """Whether something records the room now (LiveKit egress): told when that changes."""
        # A simulated job's room is a mock: everything that it has is true in a boolean sense.
        is_recording = getattr(self._room, "is_recording", None) is True
        now = clock.now_s()
        if is_recording and self._recording_since is None:
            self._recording_since = now
            self._tell(Mark(kind="recording", start=now, source=SOURCE))
        elif not is_recording and self._recording_since is not None:
            since, self._recording_since = self._recording_since, None
            self._tell(Mark(kind="recording", start=since, end=now, source=SOURCE))

    def _tell_once(self, leg: Leg, kind: MarkKind, at: float) -> None:
        if kind not in leg.marked:
            leg.marked.add(kind)
            self._tell(Mark(kind=kind, start=at, source=SOURCE))

    def _tell(self, mark: Mark) -> None:
        if not self._call.finished:
            self._call.mark(mark)
