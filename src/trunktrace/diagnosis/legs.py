"""The legs of a call kept apart: what is of the far one never becomes the trunk's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.story import FarAnswer
from trunktrace.facts import Observation
from trunktrace.timeline import Attempt, Mark, MarkKind

OF_A_LEG: Final[frozenset[MarkKind]] = frozenset(
    {"invite", "ringing", "answered", "hangup", "media_timeout", "caller_track", "hold"}
)

_ONCE: Final[frozenset[MarkKind]] = frozenset({"invite", "ringing", "answered", "hangup"})
"""What happens once on each leg of a call: who stands nearest says when."""

_OF_THE_TRUNK: Final = frozenset(
    {
        c.SIP_CALL_ID,
        c.SIP_TRANSPORT,
        c.SIP_MEDIA_ENCRYPTION,
        c.RTP_CODEC,
        c.RTP_PAYLOAD_TYPE,
        c.RTP_CLOCK_RATE_HZ,
        c.RTP_PTIME_MS,
    }
)
"""Facts that are the trunk leg's: said of the far one they are facts of something else."""

_ANSWER: Final = (
    c.SIP_RESPONSE_STATUS_CODE,
    c.SIP_RESPONSE_REASON,
    c.SIP_REASON_Q850,
    c.SIP_CALL_OUTCOME,
    c.SIP_CALL_OUTCOME_DETAIL,
)
"""The final answer, and what it means: of one leg, never mixed with the other's."""

_IDS: Final = ("call_id", "provider_call_id", "channel_id", "linked_id")


def is_of_our_side(source: str) -> bool:
    """Whether a source stands at the bridge or the agent, not beyond."""
    return source == "api" or source.startswith("livekit")


def facts_of(told: Sequence[Observation], leave: frozenset[str]) -> dict[str, Value]:
    """The first word on each key; `told` come with the most believed first, the far leg last."""
    merged: dict[str, Value] = {}
    far = [one for one in told if one.leg == "pstn"]
    for one in told:
        if one.leg != "pstn":
            _add(merged, one, leave)
    for one in far:
        _add(merged, one, leave | _OF_THE_TRUNK | frozenset(_ANSWER))
    for one in far:
        _add_answer(merged, one)
    return merged


def _add(merged: dict[str, Value], one: Observation, leave: frozenset[str]) -> None:
    for key, value in one.facts.items():
        if key not in leave:
            merged.setdefault(key, value)


def _add_answer(merged: dict[str, Value], one: Observation) -> None:
    """What the far leg was answered, where our leg's answer is not known or is the same."""
    code = one.facts.get(c.SIP_RESPONSE_STATUS_CODE)
    known = merged.get(c.SIP_RESPONSE_STATUS_CODE)
    if known is not None and known != code:
        return
    for key in _ANSWER:
        if key in one.facts:
            merged.setdefault(key, one.facts[key])


def legs_of(told: Sequence[Observation]) -> dict[int, str]:
    """LiveKit's id of the leg that each observation is of, by the observation's `id()`.

    A record of a PBX or carrier names no leg of LiveKit's: it is of the leg whose Call-ID, or
    provider's id, it has; and so is what else its system calls by the same linked id.
    """
    found = {id(one): leg for one in told if (leg := one.ids.get("livekit_call_id"))}
    by_id: dict[str, str] = {}
    for one in told:
        if id(one) in found:
            for name in _IDS:
                if name in one.ids:
                    by_id.setdefault(one.ids[name], found[id(one)])
    for _ in range(2):  # by an id of its own, then by what is linked with that
        for one in told:
            if id(one) in found:
                continue
            known = next((by_id[v] for name in _IDS if (v := one.ids.get(name)) in by_id), None)
            if known is not None:
                found[id(one)] = known
                by_id.setdefault(one.ids.get("linked_id", ""), known)
    return found


def marks_of(ours: Sequence[Observation], others: Sequence[Observation]) -> Iterator[Mark]:
    """What happened when: each mark once; of other legs what is not of a leg.

    When the call came, was answered and ended, the bridge's side says where it can: another
    machine's clock, and its seconds, are worse.
    """
    known = {m.kind for one in ours if is_of_our_side(one.source) for m in one.marks}
    seen: set[Mark] = set()
    for one in ours:
        beyond = not is_of_our_side(one.source)
        for mark in one.marks:
            if not (beyond and mark.kind in _ONCE and mark.kind in known) and mark not in seen:
                seen.add(mark)
                yield mark
    for one in others:
        for mark in one.marks:
            if mark.kind not in OF_A_LEG and mark not in seen:
                seen.add(mark)
                yield mark


def far_answer_of(ours: Iterable[Observation], attempts: Sequence[Attempt]) -> FarAnswer | None:
    """What the far end of a call of ours answered, as a PBX, proxy or carrier got it.

    None where nobody says, or where the call came in: then the far end is who called.
    `attempts` are those of PBXs and proxies: of several the last one is the answer.
    """
    beyond = [one for one in ours if one.leg == "pstn" and _is_dialled(one)]
    last = attempts[-1] if attempts else None
    for one in beyond:
        code = one.facts.get(c.SIP_RESPONSE_STATUS_CODE)
        if not isinstance(code, int) or (last is not None and last.status_code not in (None, code)):
            continue
        reason, cause = one.facts.get(c.SIP_RESPONSE_REASON), one.facts.get(c.SIP_REASON_Q850)
        return FarAnswer(
            code=code,
            reason=reason if isinstance(reason, str) else None,
            q850_cause=cause if isinstance(cause, int) else None,
            source=one.source,
        )
    if last is not None and last.status_code is not None:
        return FarAnswer(code=last.status_code, reason=last.reason)
    return None


def _is_dialled(one: Observation) -> bool:
    if one.bridge_end is not None:
        return one.bridge_end == "caller"
    return one.facts.get(c.SIP_CALL_DIRECTION) != "inbound"
