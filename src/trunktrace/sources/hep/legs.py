"""Legs of a call in a trace: what their SIP messages say, as observations in the making."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace import conventions as c
from trunktrace.facts import End
from trunktrace.redaction import Redaction
from trunktrace.sip.headers import header_attribute
from trunktrace.sip.participant import RULE_ID
from trunktrace.sip.uris import parse_host
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.hep.hop import CLOCK_STEP_S, Hop, Seen, Transaction
from trunktrace.sources.hep.link import Call
from trunktrace.sources.livekit.identity import identities_differ
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.values import milliseconds_between
from trunktrace.timeline import Attempt

SOURCE: Final = "hep"
_MOST_LEGS: Final = 64


@dataclass(slots=True)
class Part:
    """One leg: its hops (several where a proxy tried several gateways), and the end it leads to.

    `end` is None for a leg between two elements in the middle.
    """

    call: Call
    hops: list[Hop]
    end: End | None

    @property
    def decisive(self) -> Hop:
        """The hop that was answered, else the last that was tried."""
        answered = [hop for hop in self.hops if hop.answered_at is not None]
        return answered[0] if answered else self.hops[-1]

    def bye(self) -> tuple[Seen, Hop] | None:
        """The first BYE, and its hop."""
        told = [(one, hop) for hop in self.hops if (one := hop.first("BYE")) is not None]
        return min(told, key=lambda item: item[0].time) if told else None

    @property
    def host(self) -> str:
        """The neighbour at the leg's end, as the hop names it."""
        hop = self.decisive
        return hop.client if self.end == "caller" else hop.server


def parts_of(root: Call) -> list[Part]:
    """The legs of a call and of the calls that carry it on, the caller's first."""
    parts: list[Part] = []
    waiting, known = [root], {id(root)}
    while waiting and len(parts) < _MOST_LEGS:
        call = waiting.pop(0)
        followers = [one for one in call.after if id(one) not in known]
        known |= {id(one) for one in followers}
        waiting += followers
        for number, level in enumerate(call.levels):
            is_last = number == len(call.levels) - 1 and not call.after
            end: End | None = "callee" if is_last else None
            parts.append(Part(call, level, "caller" if not parts else end))
    return parts


def place(parts: Sequence[Part], reading: Reading) -> Ends:
    """The ends of a call; of one that has one leg here, that leg is the bridge's if it is named."""
    callee = [_name for part in parts if part.end == "callee" for _name in _servers(part)]
    single = len(parts) == 1
    ends = reading.bridge.ends(
        caller=_known(parts[0].decisive.client),
        callee=_servers(parts[0]) if single else callee,
    )
    named = {name.lower() for name in reading.bridge.names}
    if single and named & set(_servers(parts[0])) and ends.bridge == "callee":
        parts[0].end = "callee"
    return ends


def _servers(part: Part) -> list[str]:
    return [name for hop in part.hops for name in _known(hop.server)]


def _known(label: str) -> list[str]:
    return [label.lower(), _host(label)]


def _host(label: str) -> str:
    found = parse_host(label)
    return found.host if found else label


def draft_of(part: Part, ends: Ends, number: int, linked_id: str | None) -> Draft:
    """The observation of a leg as far as SIP tells it; who hung up is `say_hangup`'s."""
    draft = Draft(SOURCE)
    end = part.end if part.end is not None else ends.far
    draft.place(ends, end, states_direction=ends.by != "assumed")
    hop = part.decisive
    _say_parties(draft, part)
    draft.say(call_id=part.call.call_id)
    draft.record_id = f"{draft.known(c.SIP_CALL_ID) or '?'}/{number}"
    draft.identify("linked_id", linked_id)
    draft.identify("host", _host(part.host) if part.end else None)
    via = next((one.message.transport for one in hop.seen if one.message.is_request), None)
    draft.say(transport=via)
    _say_answer(draft, part)
    _say_times(draft, part)
    _say_audio(draft, hop)
    _say_holds(draft, hop)
    _claim(draft, part)
    if part.end == "callee":
        draft.attempts = attempts_of(part)
        draft.say(attempt_count=len(draft.attempts) or None)
    return draft


def _say_parties(draft: Draft, part: Part) -> None:
    for hop in part.hops:
        for one in (hop.seen[0].message, hop.invitation()):
            if one is not None:
                for party in (one.sender, one.receiver):
                    draft.hide(party.text, party.user)
                draft.hide(*one.said.identities.values())
    message = part.decisive.invitation()
    if message is None:
        return
    draft.say(caller_number=message.sender.text, callee_number=message.receiver.text)
    session = (message.said.session_id or "").partition(";")[0].strip()
    draft.say(session_id=session if session.strip("0") else None)
    if part.end == "caller" and draft.leg == "pstn":
        told = {header_attribute(name): text for name, text in message.said.identities.items()}
        told |= {header_attribute("From"): message.sender.text, RULE_ID: "inbound"}
        draft.identity_differs = identities_differ(told, Redaction())


def _deciding(part: Part) -> Transaction | None:
    return part.decisive.decisive


def _say_answer(draft: Draft, part: Part) -> None:
    told = _deciding(part)
    progress = any(hop.progress_at is not None for hop in part.hops)
    if told is None or told.final is None:
        failure = _failure(part.decisive, told, part.call) if told is not None else None
        draft.say(outcome={"canceled": "canceled", "no_response": "timeout"}.get(failure or ""))
        return
    bye = part.bye()
    cause = told.final.said.q850_cause
    if cause is None and bye is not None:
        cause = next(
            (
                one.message.said.q850_cause
                for one in bye[1].seen
                if one.message.method == "BYE" and one.message.said.q850_cause is not None
            ),
            None,
        )
    draft.answer(told.status, reason=told.final.reason, q850_cause=cause, progress=progress)


def _failure(hop: Hop, told: Transaction, call: Call) -> str | None:
    """Why an INVITE without a final answer is over; None where it may still be open."""
    if told.final is not None:
        return None
    if hop.first("BYE") is not None:
        return None  # it was answered, and the trace has lost that
    if hop.first("CANCEL") is not None:
        return "canceled"
    entry = call.entry
    is_over = entry is not hop and entry.decisive is not None and entry.decisive.final is not None
    heard = any(one.message.cseq_method == "INVITE" and one.message.status for one in hop.seen)
    return "no_response" if is_over and not heard else None


def attempts_of(part: Part) -> list[Attempt]:
    """Each INVITE that was sent on, in order of time; retransmissions count once."""
    told = [(one, hop) for hop in part.hops for one in hop.attempts]
    return [
        Attempt(
            start=one.start,
            end=one.final_at,
            trunk_id=hop.server,
            status_code=one.status,
            reason=one.final.reason if one.final else None,
            failure=_failure(hop, one, part.call),
            progress=one.progress_at is not None,
        )
        for one, hop in sorted(told, key=lambda item: item[0].start)
    ]


def _between(start: float | None, end: float | None) -> float | None:
    """Milliseconds; an end that seems older by the agent's clock step is at the start."""
    if start is not None and end is not None and 0 < start - end <= CLOCK_STEP_S:
        return 0.0
    return milliseconds_between(start, end)


def _say_times(draft: Draft, part: Part) -> None:
    hop, bye = part.decisive, part.bye()
    start = min(one.start for one in part.hops)
    answered, progress = hop.answered_at, hop.progress_at
    ended = bye[0].time if bye else None
    draft.start = start
    told = _deciding(part)
    failed_at = told.final_at if told and answered is None else None
    draft.end = ended or failed_at or max(one.time for one in hop.seen)
    has_failed = failed_at is not None or (
        told is not None and _failure(hop, told, part.call) is not None
    )
    draft.complete = ended is not None or has_failed
    if hop.invites and any(one.request for one in hop.invites):
        draft.happened("invite", start)
        draft.say(pdd_ms=_between(start, progress), setup_ms=_between(start, answered))
    draft.say(ring_ms=_between(progress, answered), duration_ms=_between(answered, ended))
    draft.happened("ringing", progress)
    draft.happened("answered", answered)
    draft.happened("hangup", ended)


def _say_audio(draft: Draft, hop: Hop) -> None:
    audio = hop.audio()
    if audio is None or not audio.port:
        return
    draft.say(
        codec=audio.codec,
        payload_type=audio.payload_type,
        clock_rate_hz=audio.clock_rate_hz,
        ptime_ms=audio.ptime_ms,
        media_encryption="srtp" if audio.is_encrypted else "none",
    )


def _say_holds(draft: Draft, hop: Hop) -> None:
    begun: float | None = None
    for time, is_held in hop.holds:
        if is_held and begun is None:
            begun = time
        elif not is_held and begun is not None:
            draft.happened("hold", begun, time)
            begun = None
    draft.happened("hold", begun)


def _claim(draft: Draft, part: Part) -> None:
    """What may name the carrier: the far end's host, and headers that name routes."""
    if draft.leg != "pstn" or part.end is None:
        return
    draft.claim({"sip.hostname": _host(part.host)})
    message = part.decisive.invitation()
    if message is not None:
        draft.claim({header_attribute(name): value for name, value in message.said.passed.items()})


def say_hangup(parts: Sequence[Part], drafts: Sequence[Draft]) -> None:
    """Who ended an answered call: the end whose own BYE was first.

    Where every BYE came from the middle, nobody knows; where one leg is in the trace, it is the
    side from which that leg's BYE came.
    """
    told = [(bye, part) for part in parts if (bye := part.bye()) is not None]
    answered = [part for part in parts if part.decisive.answered_at is not None]
    if not told or not answered:
        return
    own = [
        (bye.time, part.end)
        for (bye, hop), part in told
        if part.end is not None and hop.sent_by(bye) == part.end
    ]
    if own:
        source = min(own)[1]
    elif len(told) == 1 and told[0][1].decisive.invites:
        (one, at), _ = told[0]
        source = at.sent_by(one)
    else:
        return
    for part, draft in zip(parts, drafts, strict=True):
        if part.decisive.answered_at is not None:
            draft.say(hangup_source=source)
