"""The log of LiveKit's SIP bridge (livekit-sip, JSON or console): one observation a call leg.

The only place in LiveKit that knows the codec of the trunk leg, its loss towards the agent and the
exact times of its signalling. Messages as in livekit/sip, `pkg/sip/inbound.go`, `outbound.go` and
`signaling_timestamps.go` of August 2026, and of 2024 and 2025 where they differ; a key that is not
there is not known, one that is new is passed over. A final line of an inbound call says
`"status": 486`: the default of a variable, never a SIP code, and never read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.livekit.sip_call import HANDLERS, BridgeCall
from trunktrace.sources.livekit.sip_lines import LogLines
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.shapes.jsonlines import Record, text_in, time_in
from trunktrace.sources.shapes.ordered import Key, take_in_order

NAME: Final = "livekit-sip"

CALL_ID_PREFIX: Final = "SCL_"
MOST_CALLS: Final = 100_000
"""Calls held at once. A log that opens more without closing any gives up the oldest, as partial."""

SETTLE_S: Final = 2.0
"""After a call has closed, its last lines come within this time of the log's own clock."""

_MOST_TOLD: Final = 10_000


def parse(data: bytes) -> Parsed:
    """Every call leg of a log, in the order in which they began."""
    log = BridgeLog()
    broken, ignored = take_in_order(LogLines().records(data), _key_of, log.take)
    told = tuple(log.rest())
    return Parsed(told, broken, ignored + log.unsaid)


class BridgeLog:
    """Takes the lines of a log one by one, and gives each call when it is over.

    What it holds is bounded: each open call in a few kilobytes, closed ones not at all.
    """

    def __init__(self) -> None:
        self._calls: dict[str, BridgeCall] = {}
        self._told: dict[str, None] = {}
        self._given_up: list[BridgeCall] = []
        self._now: float | None = None
        self._taken: dict[str, int] = {}
        self.unsaid = 0
        """Lines of calls that are over, and of which nothing can be said."""

    def take(self, record: Record) -> str | None:
        """Why the line could not be read; empty if it was, None if it says nothing of a call."""
        reason = self._take(record)
        call_id = text_in(record, "callID")
        if reason == "" and call_id is not None:
            self._taken[call_id] = self._taken.get(call_id, 0) + 1
        return reason

    def _take(self, record: Record) -> str | None:
        call_id = text_in(record, "callID")
        if call_id is None or not call_id.startswith(CALL_ID_PREFIX) or call_id in self._told:
            return None
        at = _time_of(record)
        if at is None:
            return "no time under `ts`"
        self._now = max(at, self._now or at)
        handler = HANDLERS.get(text_in(record, "msg") or "")
        call = self._call(call_id)
        call.take_common(record)
        if handler is None and not call.offers_media(record, at):
            return None
        if handler is not None:
            handler(call, record, at)
        if call.is_reinvite:
            # A re-INVITE is logged under an id of its own, and is no call.
            del self._calls[call_id]
            self.unsaid += self._taken.pop(call_id, 0)
            return None
        return ""

    def over(self) -> Iterator[Observation]:
        """The calls that are over by the log's own clock; each is given once."""
        now = self._now
        if now is None:
            return
        done = [
            call_id
            for call_id, call in self._calls.items()
            if call.closed_at is not None and call.closed_at + SETTLE_S <= now
        ]
        yield from self._give(done)

    def settled(self) -> Iterator[Observation]:
        """The calls that have closed, whatever the clock says: no line has come for a while."""
        yield from self._give(
            [call_id for call_id, call in self._calls.items() if call.closed_at is not None]
        )

    def rest(self) -> Iterator[Observation]:
        """All that is left, closed or not: the log has ended."""
        yield from self._give(list(self._calls))

    def _give(self, call_ids: Iterable[str]) -> Iterator[Observation]:
        for call in self._given_up:
            yield call.observation()
        self._given_up.clear()
        for call_id in call_ids:
            call = self._calls.pop(call_id)
            self._tell(call_id)
            taken = self._taken.pop(call_id, 0)
            if call.says_something:
                yield call.observation()
            else:
                self.unsaid += taken

    def _tell(self, call_id: str) -> None:
        """Remember for a while that this call was given: a late line must not give it again."""
        self._told[call_id] = None
        if len(self._told) > _MOST_TOLD:
            del self._told[next(iter(self._told))]

    def _call(self, call_id: str) -> BridgeCall:
        call = self._calls.get(call_id)
        if call is None:
            if len(self._calls) >= MOST_CALLS:
                oldest = next(iter(self._calls))
                self._given_up.append(self._calls.pop(oldest))
                self._taken.pop(oldest, None)
                self._tell(oldest)
            call = self._calls[call_id] = BridgeCall(NAME, call_id)
        return call


def _key_of(record: Record) -> Key | None:
    at = _time_of(record)
    return None if at is None else (at, 0)


def _time_of(record: Record) -> float | None:
    """Unix seconds under `ts`: a number, or text as in RFC 3339."""
    at = time_in(record, "ts")
    text = text_in(record, "ts")
    if at is not None or text is None or len(text) > 40:
        return at
    try:
        stated = datetime.fromisoformat(text)
    except ValueError:
        return None
    return stated.timestamp() if stated.tzinfo is not None else None
