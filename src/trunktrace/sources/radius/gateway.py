"""Voice gateways (Cisco, AudioCodes): a session for each leg, joined by their conference id.

h323-call-origin says which leg it is: `answer` came in (the caller's), `originate` went out (the
callee's). Acct-Input-Packets came from that leg's end, Acct-Output-Packets were sent to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sources import losses
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.radius.session import Session, Times, host_of
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.values import decimal

_ORIGINS: Final[dict[str, End]] = {"answer": "caller", "originate": "callee"}
_RELEASED_BY: Final = {"1": "caller", "2": "caller", "3": "callee", "4": "callee"}
"""Cisco's release-source: calling party, called party, each on the PSTN or on VoIP."""
_TERMINATED_BY: Final = {"yes": "callee", "no": "caller"}
"""AudioCodes' call-terminator: whether the outgoing leg ended the call."""
_MILLISECONDS: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?(?:ms)?")


def observations(sessions: Iterable[Session], reading: Reading) -> Iterator[Observation]:
    """One leg for each session of one call."""
    told = list(sessions)
    names: dict[End, list[str | None]] = {"caller": [], "callee": []}
    for session in told:
        if (end := _end_of(session)) is not None:
            names[end] += _names(session)
    ends = reading.bridge.ends(caller=names["caller"], callee=names["callee"])
    for session in told:
        yield _leg(session, ends, _end_of(session) or ends.bridge, reading)


def _end_of(session: Session) -> End | None:
    return _ORIGINS.get((session.whole.text("h323-call-origin") or "").lower())


def _names(session: Session) -> list[str | None]:
    return [_host(session), session.whole.text("h323-remote-id")]


def _host(session: Session) -> str | None:
    return host_of(session.whole.text("h323-remote-address"))


def _leg(session: Session, ends: Ends, end: End, reading: Reading) -> Observation:
    whole = session.whole
    times = session.times(reading.zone)
    answered = session.answered(times)
    draft = session.draft("radius", ends, end, whole, _names(session))
    draft.say(
        call_id=whole.text("call-id", "sip-call-id"),
        codec=whole.text("coder-type-rate"),
    )
    draft.identify("linked_id", session.conference)
    draft.identify("channel_id", session.session_id)
    draft.identify("endpoint", whole.text("h323-remote-id"))
    draft.identify("host", _host(session))
    if end == ends.far and (host := _host(session)) is not None:
        draft.claim({"sip.hostname": host})
    session.tell_times(draft, times)
    if answered:
        draft.answer(200)
        draft.say(hangup_source=_ended_by(session))
    if session.complete:
        session.tell_cause(draft, session.cause(answered=answered), answered=answered)
    _tell_media(draft, session, times, ends, end)
    return draft.build()


def _ended_by(session: Session) -> str | None:
    whole = session.whole
    return _RELEASED_BY.get(whole.text("release-source") or "") or _TERMINATED_BY.get(
        (whole.text("call-terminator") or "").lower()
    )


def _tell_media(draft: Draft, session: Session, times: Times, ends: Ends, end: End) -> None:
    whole = session.whole
    received = whole.number("acct-input-packets")
    lost = whole.number("lost-packets")
    heard: dict[str, object] = {
        "packet_count": received,
        "discarded_count": whole.number("late-packets"),
        "rtt_ms": _milliseconds(whole.text("round-trip-delay")),
    }
    if lost is not None and received:
        heard |= losses.of_received(received, lost).measures
    session.tell_media(draft, times, ends.sent_by(end), heard)
    sent: dict[str, object] = {"packet_count": whole.number("acct-output-packets")}
    session.tell_media(draft, times, ends.sent_to(end), sent)


def _milliseconds(told: str | None) -> float | None:
    """A delay as `70 ms`; 0 is unknown."""
    found = _MILLISECONDS.fullmatch(told.strip()) if told else None
    return decimal(found[1]) or None if found else None
