"""The words of the bridge's log: its reasons, and the messages that only one direction has.

As in livekit/sip from 2024 to September 2026 (`inbound.go`, `outbound.go`, `client.go`).
"""

from __future__ import annotations

import re
from typing import Final

BYE_Q850: Final = re.compile(r"bye-q\.850-(\d{1,3})", re.IGNORECASE)
BY_CALLER_BEFORE_ANSWER: Final = frozenset({"cancelled", "canceled"})

_BY_AGENT: Final = frozenset({"removed", "agent-error", "rpc"})
"""Reasons of the closing line. `removed`: the room was deleted or the participant removed, `rpc`: a
participant of the room asked for the end."""

_BY_PLATFORM: Final = frozenset({
    "media-timeout", "room-failed", "room-disconnected", "server-shutdown", "shutdown",
    "connection-timeout", "migration", "media-failure", "media-failed", "participant-failed",
})  # fmt: skip

FAILURES: Final = {
    "no-answer": "timeout",
    "request-timeout": "timeout",
    "cancelled": "canceled",
    "canceled": "canceled",
    "dns-resolution": "dns",
    "sdp-error": "sdp",
    "no-common-codec": "sdp",
    "encryption-required": "sdp",
    "auth-failed": "auth",
    "auth-required": "auth",
    "transaction-timeout": "transport",
    "transport-error": "transport",
}
"""Where no final answer came: what the reason says of it. What errors say comes after them."""

REFUSED: Final[dict[str, str | None]] = {
    "flood": None,
    "no-dispatch": None,
    "unexpected-result": None,
    "participant-failed": None,
    "join-failed": None,
    "publish-failed": None,
    "cannot-subscribe": None,
    "media-failed": "media",
    "no-common-codec": "media",
    "no-common-crypto": "media",
}
"""Why the bridge did not take an inbound call, and the outcome's detail. `cannot-subscribe`: no
agent came within the ringing timeout. With which code it refused is not logged."""

DIRECTIONS: Final = {
    "processing invite": "inbound",
    "Accepting the call": "inbound",
    "Closing inbound call": "inbound",
    "Closing inbound call with error": "inbound",
    "Inbound call closed": "inbound",
    "inbound call transferred": "inbound",
    "Creating SIP participant": "outbound",
    "SIP invite failed": "outbound",
    "SIP call failed": "outbound",
    "Outbound SIP call established": "outbound",
    "Closing outbound call": "outbound",
    "Closing outbound call with error": "outbound",
    "outbound call transferred": "outbound",
}
"""A bridge of 2025 or before writes no `direction`: these messages are of one only."""


def hung_up_by(reason: str, *, direction: str | None, by_bye: bool) -> str | None:
    """Who ended an answered call: `caller`, `callee`, `agent`, `platform`; None where unsaid.

    `by_bye` is whether the far end's BYE was seen. Every bridge logs it: `hangup` without one is
    the bridge's own end (the call's longest duration, a shutdown, a call that was passed on).
    """
    if by_bye or reason == "bye" or reason.startswith("bye-"):
        return _far_end(direction)
    if reason in _BY_AGENT:
        return "agent"
    return "platform" if reason in _BY_PLATFORM else None


def _far_end(direction: str | None) -> str | None:
    return {"inbound": "caller", "outbound": "callee"}.get(direction or "")
