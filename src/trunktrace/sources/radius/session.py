"""A RADIUS accounting session: when its call was, how it ended, and what is said of any leg."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Literal

from trunktrace.facts import End
from trunktrace.sip import q850
from trunktrace.sip.codes import meaning_of
from trunktrace.sip.uris import parse_host
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import Ends
from trunktrace.sources.radius.record import FAILED, STOP, RadiusRecord
from trunktrace.sources.sbc.words import gateway_time, q850_of
from trunktrace.sources.shapes.values import http_time, iso_time, milliseconds_between
from trunktrace.windows import LossMethod, MediaDirection

Kind = Literal["oracle", "proxy", "gateway"]
_MOST_PERSONS: Final = 48
_FIRST_DAY_S: Final = 86_400.0
"""1970-01-01 in any zone: the clock of a call that was not answered."""
_PERSONS: Final = frozenset({
    "user-name",
    "calling-station-id",
    "called-station-id",
    "acme-p-asserted-id",
    "acme-sip-diversion",
    "sip-translated-request-uri",
    "sip-rpid",
    "gw-rxd-cdn",
    "gw-rxd-cgn",
    "gw-final-xlated-cdn",
    "gw-final-xlated-cgn",
})  # fmt: skip
"""Attributes that hold a number or a SIP user, besides those that have `number` in their name."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a call was set up, rang, was answered and ended (unix seconds); None: not told."""

    setup: float | None
    connect: float | None
    disconnect: float | None
    alert: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One accounting session: all its records together, and each."""

    whole: RadiusRecord
    records: tuple[RadiusRecord, ...]

    @property
    def kind(self) -> Kind | None:
        """Who wrote it; None where it says nothing of a call."""
        if (self.whole.text("acme-sip-method-type") or "").upper() == "REGISTER":
            return None  # Oracle's SBC accounts for registrations, too
        if self.whole.has("acme-"):
            return "oracle"
        if self.whole.has("sip-response-code", "sip-method", "sip-from-tag"):
            return "proxy"
        return "gateway" if self.whole.has("h323-", "sip-call-id", "call-id") else None

    @property
    def session_id(self) -> str:
        """Acct-Session-Id."""
        return self.whole.text("acct-session-id") or ""

    @property
    def conference(self) -> str | None:
        """The id that a gateway gives to all legs of one call."""
        return self.whole.text("h323-conf-id", "h323-incoming-conf-id")

    @property
    def complete(self) -> bool:
        """Whether its last record was seen."""
        return any(one.status in (STOP, FAILED) for one in self.records)

    def times(self, zone: tzinfo) -> Times:
        """Out of h323-setup-time, -connect-time and -disconnect-time, and alert-timepoint."""
        whole = self.whole
        setup = _time(whole.text("h323-setup-time"), zone)
        alert = _time(whole.text("alert-timepoint"), zone, after=setup)
        connect = _time(whole.text("h323-connect-time"), zone, after=setup)
        earlier = setup if connect is None else connect
        end = _time(whole.text("h323-disconnect-time"), zone, after=earlier)
        talked = whole.number("acct-session-time")
        if connect is not None and connect == end and not talked:
            connect = None  # gateways write the end there when nobody answered
        if end is None and connect is not None and talked and self.complete:
            end = connect + talked
        return Times(setup, connect, end, alert)

    def answered(self, times: Times) -> bool:
        """Whether the call was answered, as far as its times and its duration tell."""
        return times.connect is not None or bool(self.whole.number("acct-session-time"))

    def draft(
        self,
        source: str,
        ends: Ends,
        end: End,
        parties: RadiusRecord | None,
        names: Iterable[str | None] = (),
    ) -> Draft:
        """A leg of it; `parties` is the record that names caller and callee as the INVITE does.

        `names` are those of this leg alone, as `Draft.place` takes them.
        """
        draft = Draft(source, record_id=self.session_id)
        draft.complete = self.complete
        draft.hide(*self._persons())
        draft.place(ends, end, names=names, states_direction=ends.by != "assumed")
        if parties is not None:
            draft.say(
                caller_number=parties.text("calling-station-id"),
                callee_number=parties.text("called-station-id"),
            )
        return draft

    def _persons(self) -> list[str]:
        told = (
            one
            for record in self.records
            for name, values in record.attributes.items()
            if name in _PERSONS or "number" in name
            for one in values
            if not _is_address(one)
        )
        return list(dict.fromkeys(told))[:_MOST_PERSONS]

    def tell_times(self, draft: Draft, times: Times) -> None:
        """Marks and durations; a session time counts where the times do not tell it."""
        draft.start = times.setup or times.connect
        draft.end = times.disconnect
        draft.happened("invite", times.setup)
        draft.happened("ringing", times.alert)
        draft.happened("answered", times.connect)
        draft.happened("hangup", times.disconnect)
        exact = milliseconds_between(times.connect, times.disconnect)
        talked = self.whole.number("acct-session-time") if self.complete else None
        if exact is None and talked is not None and self.answered(times):
            exact = talked * 1000.0
        draft.say(
            duration_ms=exact,
            setup_ms=milliseconds_between(times.setup, times.connect),
            pdd_ms=milliseconds_between(times.setup, times.alert),
            ring_ms=milliseconds_between(times.alert, times.connect),
        )

    def tell_cause(self, draft: Draft, cause: int | None, *, answered: bool) -> None:
        """The Q.850 cause, and the outcome that it stands for where no code is known."""
        draft.say(q850_cause=cause)
        code = q850.sip_code(cause) if cause is not None and not answered else None
        if code is not None and self.complete:
            row = meaning_of(code, q850_cause=cause)
            draft.say(outcome=row.outcome, outcome_detail=row.detail)

    def cause(self, *, answered: bool) -> int | None:
        """The Q.850 cause of h323-disconnect-cause."""
        return q850_of(
            self.whole.text("h323-disconnect-cause"),
            decimal=self.whole.decimal or self.whole.has("sip-call-id", "call-terminator"),
            answered=answered,
        )

    def until(self, times: Times) -> tuple[float, float] | None:
        """Between when its media ran; None where the session does not tell."""
        start = times.connect or times.setup
        end = times.disconnect
        if end is None and not self.complete:
            end = self.whole.time
        return None if start is None or end is None or end < start else (start, end)

    def tell_media(
        self,
        draft: Draft,
        times: Times,
        direction: MediaDirection,
        measures: dict[str, object],
        method: LossMethod = "counted",
    ) -> None:
        """A window over the call, or over no known time.

        That no packet came in a call that nobody answered says nothing.
        """
        if not self.answered(times) and not measures.get("packet_count"):
            return
        between = self.until(times)
        if between is None:
            draft.total(draft.leg, direction, measures, method)
        else:
            draft.saw(draft.leg, direction, *between, measures, method)


def _is_address(text: str) -> bool:
    """Whether a User-Name is a trunk that is known by its address, and nobody's name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _time(told: str | None, zone: tzinfo, *, after: float | None = None) -> float | None:
    """As gateways write it, or of the other fashions of GNU Gatekeeper and its like.

    Those are ISO 8601 (also `2026-11-23_13:00:05`) and RFC 2822. The first day of 1970 is none.
    """
    found = gateway_time(told, zone, after=after)
    if found is None and told is not None and ":" in told:  # a day alone is no time
        iso = iso_time(told.replace("_", " "), zone, after=after)
        found = iso if iso is not None else http_time(told)
    return found if found is not None and found > _FIRST_DAY_S else None


def host_of(address: str | None) -> str | None:
    """The host of `192.0.2.10:5060`; 0.0.0.0 says nothing."""
    found = None if address is None else parse_host(address)
    return None if found is None or found.host in ("0.0.0.0", "::") else found.host  # noqa: S104
