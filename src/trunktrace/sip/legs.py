"""One SIP participant of a room: what it has said so far, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trunktrace.sip.participant import direction_of, state_of

MOST_LATE_S = 5.0
"""An inbound participant that joins later than this after the room was made did not make it, so
the room's creation says nothing about its INVITE."""

_MOST_GONE: Final = 64
"""A job may dial on and on: so many of those that have left are remembered."""


class Leg:
    """A SIP leg of the room. Times are unix seconds; None is not seen."""

    __slots__ = (
        "active_at",
        "attributes",
        "dialing_at",
        "disconnected",
        "failed",
        "first_seen_at",
        "hangup_at",
        "headers_asked",
        "identity",
        "invited_at",
        "left_at",
        "left_because",
        "marked",
        "name",
        "progress_at",
        "state",
        "told",
        "trace_asked",
    )

    def __init__(self, identity: str, name: str, now_s: float) -> None:
        self.identity = identity
        self.name = name
        self.attributes: dict[str, str] = {}
        self.first_seen_at = now_s
        self.invited_at: float | None = None
        self.dialing_at: float | None = None
        self.progress_at: float | None = None
        self.active_at: float | None = None
        self.hangup_at: float | None = None
        self.state: str | None = None
        self.disconnected = False
        # Name of LiveKit's DisconnectReason, once it has left.
        self.left_because: str | None = None
        self.left_at: float | None = None
        # Its INVITE has failed. The exception says so before the room says that it has left.
        self.failed = False
        self.headers_asked = False
        # Our trace is being written on it, or has been.
        self.trace_asked = False
        self.told = False
        # The marks that the call has of it.
        self.marked: set[str] = set()

    @property
    def direction(self) -> str:
        """`inbound` or `outbound`."""
        return direction_of(self.attributes)

    @property
    def is_over(self) -> bool:
        """Whether the leg has left, or is about to."""
        return self.disconnected or self.failed

    def leave(self, reason: str, now_s: float) -> None:
        """The participant has left the room; `reason` is the name of a DisconnectReason."""
        self.disconnected = True
        self.left_because = reason
        self.left_at = now_s

    def take(self, attributes: Mapping[str, object]) -> None:
        """Add attributes; what is not text is left out."""
        self.attributes.update(
            {key: value for key, value in attributes.items() if isinstance(value, str)}
        )

    def advance(self, now_s: float) -> str | None:
        """The new state if it changed, with its time noted; None if it did not."""
        state = state_of(self.attributes)
        if state is None or state == self.state:
            return None
        # An answered call does not ring again: attributes can be written by any key holder.
        if self.active_at is not None and state in ("dialing", "ringing"):
            return None
        if state == "dialing" and self.dialing_at is None:
            self.dialing_at = now_s
        elif state == "ringing" and self.progress_at is None:
            self.progress_at = now_s
        elif state == "active" and self.active_at is None:
            self.active_at = now_s
        elif state == "hangup" and self.hangup_at is None:
            self.hangup_at = now_s
        self.state = state
        return state

    def invited(self, room_created_at: float | None) -> float | None:
        """When the INVITE was sent or came, as far as the agent's side can tell."""
        if self.invited_at is not None:
            return self.invited_at
        if self.direction == "outbound":
            # The bridge joins the room just before it sends the INVITE, some 25 ms as measured.
            return self.dialing_at
        if room_created_at is None or not 0 <= self.first_seen_at - room_created_at < MOST_LATE_S:
            return None
        return room_created_at

    def timings(self, room_created_at: float | None) -> dict[str, object]:
        """Setup, post-dial delay, ringing and duration in milliseconds, those that are known."""
        invited = self.invited(room_created_at)
        outbound = self.direction == "outbound"
        spans = {
            "setup_ms": (invited, self.active_at),
            "pdd_ms": (invited, self.progress_at) if outbound else (None, None),
            "ring_ms": (self.progress_at, self.active_at) if outbound else (None, None),
            "duration_ms": (self.active_at, self.hangup_at),
        }
        return {
            name: (end - start) * 1000.0
            for name, (start, end) in spans.items()
            if start is not None and end is not None and end >= start
        }


def oldest_of(legs: Iterable[Leg]) -> Sequence[Leg]:
    """Those of the legs, in their order, that have left so many legs ago that nobody asks again."""
    return [leg for leg in legs if leg.disconnected][:-_MOST_GONE]
