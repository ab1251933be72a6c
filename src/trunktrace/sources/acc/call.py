"""A call as the accounting of a proxy tells it: its transactions, its attempts, its CDR.

A proxy has one Call-ID for both legs. The caller's leg is what went back to the caller, the
callee's is what the gateways answered: a lone gateway's 503 leaves as 500 (RFC 3261, 16.7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from trunktrace.belief import believable_text, carrier_slug, name_of_ours
from trunktrace.conventions import SIP_CALL_ID
from trunktrace.facts import End, Observation
from trunktrace.sip.reason import parse_reasons, q850_cause
from trunktrace.sip.uris import host_in_uri, parse_host
from trunktrace.sources.acc import names
from trunktrace.sources.acc.record import AccRecord
from trunktrace.sources.acc.times import times_of
from trunktrace.sources.acc.voice import VoiceOfEnd, voices_of
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.reading import Reading
from trunktrace.timeline import Attempt

_MOST_RECORDS: Final = 128
"""Records of one call that are kept; a call that was tried over ten gateways has some thirty."""

_CHALLENGES: Final = frozenset({401, 407})


@dataclass(slots=True)
class AccCall:
    """What the records of one Call-ID say. Records may be taken in any order."""

    call_id: str
    transactions: list[AccRecord] = field(default_factory=list[AccRecord])
    missed: list[AccRecord] = field(default_factory=list[AccRecord])
    failures: list[AccRecord] = field(default_factory=list[AccRecord])
    cdrs: list[AccRecord] = field(default_factory=list[AccRecord])

    def take(self, record: AccRecord) -> bool:
        """Whether the record says something that was not known."""
        if record.kind != "cdr" and record.code < 200:
            return False  # with `early_media` a 183 is accounted like an answer
        kept = {
            "transaction": self.transactions,
            "missed": self.missed,
            "failure": self.failures,
            "cdr": self.cdrs,
        }[record.kind]
        # An attempt and the final answer of one second are the same object of JSON twice.
        most = 2 if record.kind == "failure" else 1
        if len(kept) >= _MOST_RECORDS or kept.count(record) >= most:
            return False
        kept.append(record)
        return True

    def observations(self, source: str, reading: Reading) -> Iterator[Observation]:
        """The caller's leg, and the callee's where a gateway was tried."""
        self._tell_failures_apart()
        self._tell_own_apart()
        for records in (self.transactions, self.missed, self.cdrs):
            records.sort(key=lambda one: one.at)
        yield from _Telling(source, self, reading).legs()

    def _tell_own_apart(self) -> None:
        """No attempts: what the proxy refused itself (the caller got that), and challenges.

        A challenge (401, 407) that was answered by a second INVITE is no attempt of its own; where
        all later ones went to other gateways, it was not answered.
        """
        own = [one for one in self.missed if one.is_own]
        if own and not any(one.method == "INVITE" for one in self.transactions):
            self.transactions.append(own[-1])
        tried = sorted((one for one in self.missed if not one.is_own), key=lambda one: one.at)
        invites = [one for one in self.transactions if one.method == "INVITE"]
        real = [one for one in tried if one.code not in _CHALLENGES]
        if not real and not any(_is_answer(one) for one in invites):
            real = tried[-1:]
        self.missed = [
            one
            for number, one in enumerate(tried, 1)
            if one in real or _is_left(one, [*tried[number:], *invites])
        ]

    def _tell_failures_apart(self) -> None:
        """Take one of the failures of JSON for what went back to the caller, where it must be."""
        self.failures.sort(key=lambda one: one.at)
        answered = any(_is_answer(one) for one in self.transactions)
        final = None if answered else _final_of(self.failures)
        self.missed.extend(one for one in self.failures if one is not final)
        if final is not None:
            self.transactions.append(final)


def _is_answer(record: AccRecord) -> bool:
    return record.method == "INVITE" and record.code < 300


def _is_left(challenge: AccRecord, others: list[AccRecord]) -> bool:
    """Whether the proxy went from the gateway that challenged it to others."""
    gateway = challenge.first(*names.GATEWAYS)
    asked = {one.first(*names.GATEWAYS) for one in others}
    return gateway is not None and not {gateway, None} & asked


def _final_of(failures: list[AccRecord]) -> AccRecord | None:
    """Of the failures of one call: the caller's answer, None where all may be attempts.

    One without a To tag is the proxy's own. One that repeats the attempt before it passes it on. A
    lone 503 is an attempt: what goes back is 500.
    """
    own = [one for one in failures if one.is_own or "to_tag" not in one.fields]
    if own:
        return own[-1]
    if len(failures) == 1:
        return failures[0] if failures[0].code != 503 else None
    last = failures[-1] if failures else None
    for other in failures[:-1]:
        same = last is not None and other.first(*names.GATEWAYS) == last.first(*names.GATEWAYS)
        if same and last is not None and last.code in (other.code, 500):
            return last
    return None


class _Telling:
    """One call, put together."""

    def __init__(self, source: str, call: AccCall, reading: Reading) -> None:
        self._source = source
        self._call = call
        self._invites = [one for one in call.transactions if one.method == "INVITE"]
        self._byes = [one for one in call.transactions if one.method == "BYE"]
        self._cdr = call.cdrs[-1] if call.cdrs else None
        self._answer = next((one for one in self._invites if one.code < 300), None)
        self._final = self._answer or _last(self._invites)
        failed = self._final or _last(call.missed)
        self._times = times_of(self._answer, failed, _last(self._byes), self._cdr)
        self._attempts = list(self._tried())
        self._host = self._said(names.CALLER_HOSTS) or self._address_under("src")
        self._gateway = self._said(names.GATEWAYS, latest=True) or self._address_under("dst")
        self._carrier = self._said(names.CARRIERS, latest=True)
        self._route = self._said(names.ROUTES, latest=True)
        self._ends = self._where(reading)

    def legs(self) -> Iterator[Observation]:
        """The caller's leg, and the callee's where there was one."""
        voices = tuple(voices_of(self._cdr))
        yield self._leg("caller", voices, self._caller)
        if self._attempts or self._byes or (self._cdr and self._times.duration_ms):
            yield self._leg("callee", voices, self._callee)

    def _leg(
        self, end: End, voices: Iterable[VoiceOfEnd], tell: Callable[[Draft], None]
    ) -> Observation:
        draft = Draft(self._source, record_id=believable_text(self._call.call_id) or "")
        draft.place(self._ends, end, states_direction=self._ends.by != "assumed")
        self._persons(draft)
        self._identity(draft)
        tell(draft)
        self._timing(draft)
        start, end_s = self._times.answered, self._times.ended
        for voice in voices:
            where = (draft.leg, self._ends.sent_to(voice.end))
            if start is not None and end_s is not None:
                draft.saw(*where, start, end_s, voice.told_of(end), "derived")
            else:
                draft.total(*where, voice.told_of(end), "derived")
        return draft.build()

    def _caller(self, draft: Draft) -> None:
        """What went back to the caller."""
        draft.identify("host", _host(self._host))
        told = self._final or self._code_of_cdr()
        if told is not None:
            _say_answer(draft, told)
        elif self._times.answered is not None:
            draft.answer(200)
        self._claim(draft, "caller", self._host)

    def _callee(self, draft: Draft) -> None:
        """What the gateway answered that was tried last."""
        draft.identify("endpoint", _believed(name_of_ours, self._route) or _host(self._gateway))
        draft.identify("host", _host(self._gateway))
        record = self._answer or _last(self._call.missed) or self._passed_on()
        if record is not None:
            _say_answer(draft, record)
        elif self._times.answered is not None:
            draft.answer(200)
        draft.attempts.extend(self._attempts)
        if self._call.missed:
            draft.say(attempt_count=len(self._attempts))
        self._claim(draft, "callee", self._gateway)

    def _claim(self, draft: Draft, end: End, host: str | None) -> None:
        if self._ends.far == end and (named := _host(host)):
            draft.claim({"sip.hostname": named})

    def _identity(self, draft: Draft) -> None:
        draft.say(call_id=self._call.call_id, carrier=self._carrier, route=self._route)
        known = draft.known(SIP_CALL_ID)
        draft.identify("linked_id", known if isinstance(known, str) else None)
        for tag in ("from_tag", "to_tag"):
            said = self._answer or self._final or _last(self._call.missed) or self._cdr
            draft.identify(tag, believable_text(said.fields.get(tag) if said else None))

    def _persons(self, draft: Draft) -> None:
        draft.say(caller_number=self._person(names.CALLERS))
        draft.say(callee_number=self._person(names.CALLEES))
        for record in (*self._records(), *self._byes):
            said = (record.fields.get(name) for name in (*names.CALLERS, *names.CALLEES))
            draft.hide(*(one for one in said if one and not names.is_address(one)))

    def _person(self, wanted: tuple[str, ...]) -> str | None:
        told = (names.person_in(one.fields, wanted) for one in self._records())
        return next((one for one in told if one is not None), None)

    def _timing(self, draft: Draft) -> None:
        times = self._times
        draft.say(duration_ms=times.duration_ms, setup_ms=times.setup_ms)
        draft.say(hangup_source=self._hung_up_by())
        draft.happened("invite", times.invited)
        draft.happened("answered", times.answered)
        if times.answered is not None or self._byes:
            draft.happened("hangup", times.ended)
        tried = [one.start or one.end for one in self._attempts]
        known = [one for one in (times.invited, times.answered, *tried) if one is not None]
        draft.start = min(known, default=None)
        is_after = times.ended is None or draft.start is None or times.ended >= draft.start
        draft.end = times.ended if is_after else None
        draft.complete = times.ended is not None or self._final is None

    def _code_of_cdr(self) -> AccRecord | None:
        """The CDR, where the operator put the final code into it and it fits the call."""
        cdr = self._cdr
        was_answered = self._times.answered is not None
        return cdr if cdr is not None and cdr.code and (cdr.code < 300) == was_answered else None

    # Attempts -----------------------------------------------------------------------------------

    def _tried(self) -> Iterator[Attempt]:
        """Each gateway that was tried. The next is tried when the one before it has failed."""
        answer = self._answer
        failed = [one for one in self._call.missed if answer is None or one.at <= answer.at + 1.0]
        tried = [one for one in failed if one.method == "INVITE"]
        if answer is not None:
            tried.append(answer)
        elif not tried and (passed := self._passed_on()) is not None:
            tried.append(passed)
        start = self._times.invited
        for record in tried:
            end = max(record.at, start or 0.0)
            if record is answer:
                end = self._times.answered or end
            route = _believed(name_of_ours, record.first(*names.ROUTES))
            yield Attempt(
                start=start,
                end=end,
                trunk_id=route or _host(record.first(*names.GATEWAYS)),
                carrier=_believed(carrier_slug, record.first(*names.CARRIERS)),
                route=route,
                status_code=record.code,
                reason=_reason(record)[0],
            )
            start = end

    def _passed_on(self) -> AccRecord | None:
        """The caller's failure, where it can only be a gateway's.

        Attempts are not logged, and it is neither the 500 in place of a 503 nor the proxy's own.
        """
        final = self._final
        if final is None or final.code < 300 or self._call.missed:
            return None
        is_own = final.is_own or "to_tag" not in final.fields
        return None if final.code == 500 or is_own else final

    # Who and where ------------------------------------------------------------------------------

    def _records(self) -> list[AccRecord]:
        """The records, those of the INVITE first, then the CDR.

        A BYE goes either way, to a contact: whom it names is neither the caller nor who was called.
        """
        final = [self._final] if self._final is not None else []
        cdr = [self._cdr] if self._cdr is not None else []
        return [*final, *reversed(self._call.missed), *cdr]

    def _said(self, wanted: tuple[str, ...], *, latest: bool = False) -> str | None:
        """What the INVITE's records say; of a call that failed over, the gateway of the last."""
        records = self._records()
        if latest and self._final is not None and self._answer is None and self._call.missed:
            records = records[1:] + records[:1]
        return next((said for one in records if (said := one.first(*wanted))), None)

    def _address_under(self, name: str) -> str | None:
        """A host where others write a person: `src=$si`."""
        said = self._said((name,))
        return said if said is not None and names.is_address(said) else None

    def _where(self, reading: Reading) -> Ends:
        return reading.bridge.ends(
            caller=(self._host, _host(self._host)),
            callee=(self._gateway, _host(self._gateway), self._route, self._carrier),
            told="caller" if self._carrier else None,
        )

    def _hung_up_by(self) -> End | None:
        if self._answer is None and any(o.method == "CANCEL" for o in self._call.transactions):
            return "caller"  # only the caller's side can send one (RFC 3261, 9.1)
        bye = self._byes[0] if self._byes else None
        named = (self._cdr.first(*names.HUNG_UP_BY) or "").lower() if self._cdr is not None else ""
        if named in ("caller", "callee"):
            return "caller" if named == "caller" else "callee"
        host = self._cdr.first(*names.BYE_HOSTS) if self._cdr is not None else None
        host = host or (bye.first(*names.CALLER_HOSTS) if bye is not None else None)
        return self._end_of_host(host) or (self._end_of_bye(bye) if bye is not None else None)

    def _end_of_host(self, host: str | None) -> End | None:
        """The end that sends from a host, where the other one does not."""
        caller, gateway = _host(self._host), _host(self._gateway)
        named = _host(host)
        if named is None or caller == gateway:
            return None
        if named == caller:
            return "caller"
        return "callee" if named == gateway else None

    def _end_of_bye(self, bye: AccRecord) -> End | None:
        """The end by the From of the BYE.

        With `detect_direction` the tags are the INVITE's whoever sent it; the user is the sender's.
        """
        sender = bye.first("src_user", "from_user")
        caller, callee = self._said(names.CALLERS), self._said(names.CALLEES)
        if sender is not None and caller != callee and sender in (caller, callee):
            return "caller" if sender == caller else "callee"
        invite = self._answer
        if invite is None or "from_tag" not in bye.fields:
            return None
        if bye.fields["from_tag"] == invite.fields.get("to_tag"):
            return "callee"
        came_from, called_from = bye.first(*names.CALLER_HOSTS), self._host
        if came_from is not None and called_from is not None and came_from != called_from:
            return None
        return "caller" if bye.fields["from_tag"] == invite.fields.get("from_tag") else None


def _last(records: list[AccRecord]) -> AccRecord | None:
    """The last of them, a challenge (401, 407) only where there is nothing else."""
    final = [one for one in records if one.code not in _CHALLENGES]
    told = final or records
    return told[-1] if told else None


def _say_answer(draft: Draft, record: AccRecord) -> None:
    text, cause = _reason(record)
    draft.answer(record.code, reason=text, q850_cause=cause)


def _reason(record: AccRecord) -> tuple[str | None, int | None]:
    """The reason phrase, and a Q.850 cause.

    With `reason_from_hf` the Reason header stands in the phrase's place.
    """
    said = record.fields.get("reason", "")
    if "cause=" not in said.lower():
        return believable_text(said), None
    reasons = parse_reasons(said)
    return (reasons[0].text if reasons else None), q850_cause(said)


def _believed(check: Callable[[object], str | None], value: str | None) -> str | None:
    """A value that a check believes; None for None."""
    return None if value is None else check(value)


def _host(text: str | None) -> str | None:
    """The host of an address, a URI or a host and its port; None for anything else."""
    if text is None or len(text) > 512:
        return None
    address = text.strip("<>")
    if address.lower().startswith(("sip:", "sips:")):
        return host_in_uri(address)
    if address.lower().startswith(("udp:", "tcp:", "tls:")):
        address = address.partition(":")[2]
    host = parse_host(address)
    return None if host is None else host.host
