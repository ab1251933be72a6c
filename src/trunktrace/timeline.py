"""What happened in a call and when, and each outbound attempt: values that rules are asked about.

Times are unix seconds. None is unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

MarkKind = Literal[
    "invite",
    "ringing",
    "answered",
    "hangup",
    "media_timeout",
    "caller_track",
    "agent_track",
    "hold",
    "user_speaking",
    "agent_speaking",
    "user_turn",
    "agent_turn",
    "barge_in",
    "correction",
    "asks_if_heard",
    "transfer",
    "recording",
    "task",
]
MARK_KINDS: Final[dict[str, str]] = {
    "invite": "the INVITE was sent or came",
    "ringing": "a 18x was sent or came: progress, not proof of ringing",
    "answered": "the 2xx",
    "hangup": "the BYE, or the participant left",
    "media_timeout": "the bridge ended the call because no RTP came",
    "caller_track": "the agent subscribed to the caller's track",
    "agent_track": "the caller's side (the bridge) subscribed to the agent's track; value `never`: "
    "it has not, since both were there",
    "hold": "interval: media was held (sendonly, inactive), or the user said so",
    "user_speaking": "interval: the agent's VAD heard the caller",
    "agent_speaking": "interval: the agent sent speech",
    "user_turn": "a turn of the caller ended; interval of it where that is known",
    "agent_turn": "the agent's first audio of an answer; value is the response time in s",
    "barge_in": "the caller interrupted the agent",
    "correction": "the caller corrected what the agent understood",
    "asks_if_heard": "the caller asked whether anybody hears him",
    "transfer": "value `human:ok`, `human:failed`, `other:ok`, `other:failed`",
    "recording": "interval: the call was recorded; end None while it goes on",
    "task": "value `completed`, `failed` or `abandoned`",
}
"""Every kind of mark, and what it says; the keys are `MarkKind`."""

NEVER: Final = "never"
"""Value of an `agent_track` mark: seconds after the answer nobody had subscribed to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened at `start`, or lasted from `start` to `end` (unix seconds).

    `end` is None for a moment, and for an interval that had not ended when its source last spoke.
    `value` is what the kind says it is. It never holds a number of a person.
    """

    kind: MarkKind
    start: float
    end: float | None = None
    value: str = ""
    source: str = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One outbound INVITE and what became of it, as far as it is known.

    `status_code` is the final SIP answer: None while there is none, and where there never was one
    (`failure` then says why: `timeout` is our own ringing timeout, `canceled` our own CANCEL,
    `no_bridge` no bridge took the request, `no_response`, `transport`, `dns`, `sdp`, `auth`,
    `client_error` the request to the bridge's API failed, `unanswered` nobody says why, `other`).
    `progress` is whether a 18x was seen; None where nobody could see one. `region` is the trunk's.
    `party` tells attempts to one number from those to another: 1 is the first number that was
    dialled in the call; None is not known. `aside` is an INVITE beside the call, whose answer is
    another leg (a colleague who is called in). `own_cancel` is whether our side gave it up.
    `retry_after_s` is Retry-After (RFC 3261, 20.33) in seconds, None where nobody states it.
    """

    start: float | None = None
    end: float | None = None
    livekit_call_id: str | None = None
    trunk_id: str | None = None
    carrier: str | None = None
    route: str | None = None
    status_code: int | None = None
    reason: str | None = None
    failure: str | None = None
    progress: bool | None = None
    region: str | None = None
    party: int | None = None
    aside: bool = False
    own_cancel: bool = False
    retry_after_s: float | None = None

    @property
    def answered(self) -> bool:
        """Whether a 2xx came."""
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def over(self) -> bool:
        """Whether its end is known."""
        return self.status_code is not None or self.failure is not None


def recording_delay_ms(marks: Iterable[Mark], answered_at: float | None = None) -> float | None:
    """From the answer to the first recorded audio; 0 where it ran before, None where unknown.

    The answer is the first `answered` mark, or `answered_at` (unix seconds) where there is none.
    """
    began: float | None = None
    answered: float | None = None
    for mark in marks:
        if mark.kind == "recording":
            began = mark.start if began is None else min(began, mark.start)
        elif mark.kind == "answered":
            answered = mark.start if answered is None else min(answered, mark.start)
    answered = answered_at if answered is None else answered
    if began is None or answered is None:
        return None
    return max(0.0, began - answered) * 1000.0
