"""Which Call-IDs of a trace are one call: a PBX (B2BUA) has one with each side.

Two are linked where the PBX's address is in both, the second began while the first was there, and
they name the same Session-ID, or the same callee or caller. Nothing else is guessed.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import Final

from trunktrace.sources.hep.hop import CLOCK_STEP_S, Hop

LONGEST_S: Final = 120.0
"""A PBX that dials later than this after the INVITE is not taken to carry on that call."""

_MOST: Final = 16
_DIGITS: Final = 9
_LEAST_DIGITS: Final = 7


@dataclass(slots=True)
class Call:
    """The hops of one Call-ID by their distance from the caller."""

    call_id: str
    levels: list[list[Hop]]
    end: float
    """The last message of its first hop; infinite where the call has not ended."""
    correlation: str | None = None
    before: Call | None = None
    after: list[Call] = field(default_factory=list["Call"])

    @property
    def start(self) -> float:
        """Its first INVITE."""
        return self.levels[0][0].start

    @property
    def entry(self) -> Hop:
        """The hop on which it came in."""
        return self.levels[0][0]


def _end(hop: Hop) -> float:
    failed = hop.decisive is not None and (hop.decisive.status or 0) >= 300
    return hop.seen[-1].time if failed or hop.first("BYE") is not None else float("inf")


def call_of(call_id: str, hops: list[Hop], correlation: str | None) -> Call:
    """The hops as a chain: from the one that nobody before has sent on."""
    servers = {hop.server for hop in hops}
    entry = next((hop for hop in hops if hop.client not in servers), hops[0])
    by_client: dict[str, list[Hop]] = {}
    for hop in hops:
        if hop is not entry:
            by_client.setdefault(hop.client, []).append(hop)
    levels = [[entry]]
    while by_client:
        reached = {hop.server: None for hop in levels[-1]}
        level = [hop for name in reached for hop in by_client.pop(name, ())]
        if not level:
            # What hangs together with nothing is the last.
            level = [hop for told in by_client.values() for hop in told]
            by_client = {}
        levels.append(sorted(level, key=lambda hop: hop.start))
    return Call(call_id, levels, _end(entry), correlation)


def link(calls: list[Call]) -> None:
    """Set `before` and `after` of calls that a PBX carries on."""
    index: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
    ordered = sorted(calls, key=lambda call: call.start)
    for number, call in enumerate(ordered):
        for hop in call.levels[-1]:
            for kind, name in _names(call):
                insort(index.setdefault((hop.server, kind, name), []), (call.start, number))
    for call in ordered:
        found = _before(call, ordered, index)
        if found is not None:
            call.before = found
            found.after.append(call)


def _before(
    call: Call, ordered: list[Call], index: dict[tuple[str, str, str], list[tuple[float, int]]]
) -> Call | None:
    scores: dict[int, int] = {}
    for kind, name in (*_names(call), *_correlated(call)):
        told = index.get((call.entry.client, kind, name), [])
        until = bisect_right(told, (call.start + CLOCK_STEP_S, len(ordered)))
        for start, number in told[max(0, until - _MOST) : until]:
            other = ordered[number]
            if other is call or call.start - start > LONGEST_S or other.end < call.start:
                continue
            if other.before is call:
                continue
            scores[number] = scores.get(number, 0) + _WEIGHTS[kind]
    if not scores:
        return None
    best = max(scores.items(), key=lambda item: (item[1], item[0]))
    return ordered[best[0]]


_WEIGHTS: Final = {"session": 8, "id": 8, "callee": 2, "caller": 1}


def _correlated(call: Call) -> list[tuple[str, str]]:
    return [("id", call.correlation)] if call.correlation else []


def _names(call: Call) -> list[tuple[str, str]]:
    """By what a call may be found again on the other side of a PBX."""
    message = call.entry.invitation()
    told = [("id", call.call_id)]
    if message is None:
        return told
    for kind, user in (("callee", message.receiver.user), ("caller", message.sender.user)):
        name = _name(user, is_caller=kind == "caller")
        if name is not None:
            told.append((kind, name))
    session = (message.said.session_id or "").partition(";")[0].strip().lower()
    if session and session.strip("0"):
        told.append(("session", session))
    return told


def _name(user: str | None, *, is_caller: bool) -> str | None:
    """A number by its last digits, so that prefixes do not matter; else the callee's user."""
    if user is None:
        return None
    plain = user.partition(";")[0]
    digits = "".join(char for char in plain if char in "0123456789")
    if len(digits) >= _LEAST_DIGITS:
        return digits[-_DIGITS:]
    return None if is_caller else plain.lower() or None
