"""Kamailio and OpenSIPS: Start at the answered INVITE, Stop at the BYE, Failed at a refused INVITE.

A proxy hands on the Call-ID, which is its Acct-Session-Id: both legs have it. Who hung up is told
by the tags of the BYE: those of the INVITE, or those turned around.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sip.uris import host_in_uri
from trunktrace.sources.draft import Draft
from trunktrace.sources.radius.dictionary import METHODS
from trunktrace.sources.radius.record import FAILED, START, STOP, RadiusRecord
from trunktrace.sources.radius.session import Session
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.values import count, milliseconds_between

_ENDS: Final[tuple[End, ...]] = ("caller", "callee")


def observations(session: Session, reading: Reading) -> Iterator[Observation]:
    """Both legs of the call."""
    start = _last(session, START)
    stop = _last(session, STOP)
    failed = _last(session, FAILED)
    invite = start or failed
    callee = None if invite is None else host_in_uri(invite.text("sip-translated-request-uri"))
    caller = None if invite is None else invite.text("sip-src-ip")
    ends = reading.bridge.ends(caller=(caller,), callee=(callee,))
    for end in _ENDS:
        # The parties of a BYE are those of who sent it, so only an INVITE's are told.
        draft = session.draft("radius", ends, end, invite)
        draft.say(call_id=session.session_id)
        draft.identify("linked_id", session.session_id)
        draft.identify("host", caller if end == "caller" else callee)
        _tell(draft, start, stop, failed)
        yield draft.build()


def _tell(
    draft: Draft,
    start: RadiusRecord | None,
    stop: RadiusRecord | None,
    failed: RadiusRecord | None,
) -> None:
    answered_at = start.time if start else None
    ended_at = stop.time if stop else failed.time if failed else None
    draft.start, draft.end = answered_at or ended_at, ended_at
    if start is not None or stop is not None:
        draft.answer(200)
        draft.happened("answered", answered_at)
        draft.say(
            duration_ms=milliseconds_between(answered_at, ended_at),
            hangup_source=_ended_by(start, stop),
        )
    elif failed is not None and _method(failed) in (None, "INVITE"):
        code = failed.number("sip-response-code")
        draft.answer(code if code is not None and 300 <= code < 700 else None)
    draft.happened("hangup", ended_at)


def _last(session: Session, status: int) -> RadiusRecord | None:
    found = [one for one in session.records if one.status == status]
    return found[-1] if found else None


def _ended_by(start: RadiusRecord | None, stop: RadiusRecord | None) -> str | None:
    if start is None or stop is None or _method(stop) not in (None, "BYE"):
        return None
    sender = stop.text("sip-from-tag")
    if sender is None:
        return None
    tags = {start.text("sip-from-tag"): "caller", start.text("sip-to-tag"): "callee"}
    return tags.get(sender)


def _method(record: RadiusRecord) -> str | None:
    told = record.text("sip-method")
    number = count(told)
    return METHODS.get(number) if number is not None else told.upper() if told else None
