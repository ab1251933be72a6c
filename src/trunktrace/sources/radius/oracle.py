"""Oracle's (Acme Packet's) SBC: both legs of a call in one session.

The ingress leg is the caller's, the egress leg the callee's, each with its own Call-ID, realm and
trunk group. `Calling-...` is of the ingress leg, `Called-...` of the egress leg: `-RTP-` is what
the SBC counted of the packets that it received there, `-RTCP-` what the far end reported of those
that it was sent. R-factor and MOS are times 100, delays in milliseconds. Where neither jitter nor
a score is known, QoS was not measured, and its zeros say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sip import codecs
from trunktrace.sources import losses
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.losses import Loss
from trunktrace.sources.radius.record import RadiusRecord
from trunktrace.sources.radius.session import Session, Times, host_of
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.values import decimal

_SIDES: Final[dict[End, tuple[str, str, str]]] = {
    "caller": ("ingress", "calling", "originating"),
    "callee": ("egress", "called", "terminating"),
}
_INITIATORS: Final = {1: "caller", 2: "callee"}
"""Acme-Disconnect-Initiator; 0 is unknown, 3 the SBC itself."""
_ANSWERED: Final = 3
"""Acme-Session-Disposition: 0 unknown, 1 attempt, 2 ringing, 3 answered."""
_NORMAL_CLEARING: Final = 16
_ATTESTATIONS: Final = ("acme-stir-vs-attest", "acme-stir-as-attest")


def observations(session: Session, reading: Reading) -> Iterator[Observation]:
    """The ingress leg, and the egress leg where the call got one."""
    whole = session.whole
    ends = reading.bridge.ends(caller=_names(whole, "caller"), callee=_names(whole, "callee"))
    times = session.times(reading.zone)
    for end in _SIDES:
        side, _, _ = _SIDES[end]
        if end == "callee" and not whole.text(
            f"acme-session-{side}-callid", f"acme-session-{side}-realm"
        ):
            continue
        draft = session.draft("radius", ends, end, whole)
        _tell_place(draft, session, ends, end)
        session.tell_times(draft, times)
        _tell_end(draft, session, times)
        _tell_media(draft, session, times, ends, end)
        yield draft.build()


def _names(whole: RadiusRecord, end: End) -> tuple[str | None, ...]:
    side, _, group = _SIDES[end]
    remote = whole.text(f"acme-{side}-remote-addr")
    return (
        whole.text(f"acme-session-{side}-realm"),
        whole.text(f"acme-{group}-trunk-group"),
        host_of(remote),
        remote,
    )


def _tell_place(draft: Draft, session: Session, ends: Ends, end: End) -> None:
    whole = session.whole
    side, _, _ = _SIDES[end]
    realm, trunk_group, host, _ = _names(whole, end)
    draft.say(call_id=whole.text(f"acme-session-{side}-callid"))
    draft.identify("linked_id", session.session_id)
    draft.identify("endpoint", realm)
    draft.identify("trunk_group", trunk_group)
    draft.identify("host", host)
    if end == ends.far:
        if host is not None:
            draft.claim({"sip.hostname": host})
        if ends.by != "assumed":
            draft.say(route=trunk_group)
    forward = codecs.named(whole.text("acme-flowtype-fs1-f"))
    reverse = codecs.named(whole.text("acme-flowtype-fs1-r"))
    if reverse is None or forward is None or forward == reverse:
        draft.say(codec=forward or reverse)
    draft.say(ptime_ms=whole.number("acme-flow-ptime-fs1-f"))
    draft.say(stir_attestation=(whole.text(*_ATTESTATIONS) or "").upper())


def _tell_end(draft: Draft, session: Session, times: Times) -> None:
    whole = session.whole
    answered = session.answered(times) or whole.number("acme-session-disposition") == _ANSWERED
    cause = _cause(session, answered=answered)
    status = whole.number("acme-sip-status")
    draft.say(pdd_ms=whole.number("acme-post-dial-delay") or None)
    if answered:
        draft.answer(200)
        draft.say(
            q850_cause=cause,
            hangup_source=_INITIATORS.get(whole.number("acme-disconnect-initiator") or 0),
        )
    elif session.complete:
        if status is not None and 300 <= status < 700:
            draft.answer(status, reason=whole.text("acme-reason-phrase"), q850_cause=cause)
        else:
            session.tell_cause(draft, cause, answered=False)


def _cause(session: Session, *, answered: bool) -> int | None:
    """Acme-Disconnect-Cause; else h323-disconnect-cause, where that is a cause of Q.850.

    Of one digit it is a class of Oracle's own: `5` stood beside User-Error.
    """
    told = session.whole.number("acme-disconnect-cause")
    if told and told < 128:
        return told
    other = session.cause(answered=answered)
    return other if other is not None and other >= _NORMAL_CLEARING else None


def _tell_media(draft: Draft, session: Session, times: Times, ends: Ends, end: End) -> None:
    whole = session.whole
    _, name, _ = _SIDES[end]
    other = "called" if name == "calling" else "calling"
    received = whole.number(f"acme-{name}-packets-fs1")
    session.tell_media(draft, times, ends.sent_by(end), *_heard(whole, name, received))
    sent = whole.number(f"acme-{other}-packets-fs1")
    session.tell_media(draft, times, ends.sent_to(end), *_reported(whole, name, sent))


def _heard(whole: RadiusRecord, name: str, received: int | None) -> Loss:
    """What the SBC counted of the packets that came from this side."""
    found: dict[str, object] = {"packet_count": received}
    jitter = whole.number(f"acme-{name}-rtp-avg-jitter-fs1")
    largest = whole.number(f"acme-{name}-rtp-maxjitter-fs1")
    lost = whole.number(f"acme-{name}-rtp-packets-lost-fs1")
    mos, rating = _score(whole, f"acme-{name}-mos"), _score(whole, f"acme-{name}-r-factor")
    if not (jitter or largest or lost or mos or rating):
        return Loss(found, "counted")
    found |= {"jitter_ms": jitter, "jitter_max_ms": largest, "mos": mos, "r_factor": rating}
    if mos or rating:
        found["mos_algorithm"] = "vendor"
    if lost is not None and received:
        found |= losses.of_received(received, lost).measures
    return Loss(found, "counted")


def _reported(whole: RadiusRecord, name: str, sent: int | None) -> Loss:
    """What this side's receiver reports said of the packets that the SBC sent there.

    What was sent is counted on the other leg.
    """
    jitter = whole.number(f"acme-{name}-rtcp-avg-jitter-fs1")
    largest = whole.number(f"acme-{name}-rtcp-maxjitter-fs1")
    lost = whole.number(f"acme-{name}-rtcp-packets-lost-fs1")
    latency = whole.number(f"acme-{name}-rtcp-avg-latency-fs1")
    slowest = whole.number(f"acme-{name}-rtcp-maxlatency-fs1")
    if not (jitter or largest or lost or latency or slowest):
        return Loss({}, "derived")
    found: dict[str, object] = {
        "jitter_ms": jitter,
        "jitter_max_ms": largest,
        "rtt_ms": latency or None,
        "lost_count": lost,
    }
    if lost is not None and sent:
        found |= losses.of_sent(sent, lost).measures
    return Loss(found, "derived")


def _score(whole: RadiusRecord, name: str) -> float | None:
    """A score that is kept times 100; 0 is unknown."""
    told = whole.text(name)
    number = decimal(told)
    if not number:
        return None
    return number if told is not None and "." in told else number / 100.0
