"""An observation in the making: takes what a record states, believes what can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, Literal

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.facts import End, Observation, checked
from trunktrace.redaction import Redaction, scrub, secrets_of
from trunktrace.redaction.text import scrubber_for
from trunktrace.sip import codecs
from trunktrace.sip.codes import meaning_of
from trunktrace.sources.ends import ENDPOINT, Ends
from trunktrace.timeline import Attempt, Mark, MarkKind
from trunktrace.windows import Leg, LossMethod, MediaDirection, MediaWindow, checked_window

_REDACTION: Final = Redaction()
"""Numbers are masked, whatever the environment asks for: a record is read without any key."""

MOST_MARKS: Final = 10_000
_ID_FIELDS: Final = frozenset(
    {"livekit_call_id", "call_id", "provider_call_id", "session_id", "livekit_rule_id", "trunk_id"}
)


class Draft:
    """One leg of one call, as one source tells it.

    Later words replace earlier ones. What cannot be believed is left out. Numbers of persons are
    masked at once, and every other text is scrubbed of them when the observation is built.
    """

    def __init__(self, source: str, *, leg: Leg = "trunk", record_id: str = "") -> None:
        self.source = source
        self.leg: Leg = leg
        self.record_id = record_id
        self.start: float | None = None
        self.end: float | None = None
        self.complete = True
        self.identity_differs: bool | None = None
        self.attempts: list[Attempt] = []
        self.windows: list[MediaWindow] = []
        self.untimed: list[MediaWindow] = []
        self._ends: Ends | None = None
        self._is_aside = False
        self._facts: dict[str, Value] = {}
        self._ids: dict[str, str] = {}
        self._marks: list[Mark] = []
        self._claims: dict[str, str] = {}
        self._persons: set[str] = set()

    def place(
        self,
        ends: Ends,
        end: End,
        *,
        names: Iterable[str | None] = (),
        states_direction: bool = True,
    ) -> None:
        """Say that this is the leg of an end of a call that went through a PBX or proxy.

        `names` are those of this leg alone: one that is not the bridge's, at the end where the
        bridge was found, stands aside, and its media are left out.
        `states_direction` is False for a record of one end that cannot know where the call went.
        """
        self._ends = ends
        self._is_aside = ends.is_aside(end, names)
        self.leg = "pstn" if self._is_aside else ends.leg(end)
        if states_direction and not self._is_aside:
            self.say(direction=ends.stated_by(end))

    def say(self, **facts: object) -> None:
        """Facts by field name; None says nothing. An id is also something to be matched by.

        A codec may be named as any system does (`sip.codecs.named`).
        """
        for name, value in facts.items():
            if name in ("caller_number", "callee_number"):
                self._party("caller" if name == "caller_number" else "callee", value)
            elif name == "call_id" and isinstance(value, str):
                self._take(name, _REDACTION.call_id(value))
            elif name == "codec":
                self._take(name, codecs.named(value))
            elif value is not None:
                self._take(name, value)

    def answer(
        self,
        code: int | None,
        *,
        reason: str | None = None,
        q850_cause: int | None = None,
        progress: bool | None = None,
    ) -> None:
        """The final answer to the INVITE, and what it means; None where there was no code."""
        self.say(status_code=code, reason=reason, q850_cause=q850_cause)
        if code is not None and code >= 200:
            row = meaning_of(code, reason=reason, q850_cause=q850_cause, progress=progress)
            self.say(outcome=row.outcome, outcome_detail=row.detail)

    def state(self, facts: Mapping[str, Value]) -> None:
        """Facts by attribute key that were believed and masked before."""
        self._facts.update(facts)

    def known(self, key: str) -> Value | None:
        """The fact under an attribute key, None if it is not known."""
        return self._facts.get(key)

    def identify(self, name: str, value: str | None) -> None:
        """An id that is no fact of a call (a room's), to be matched by."""
        if value:
            self._ids[name] = value[: c.MAX_STRING_CHARACTERS]

    def claim(self, attributes: Mapping[str, str]) -> None:
        """What a directory may name the carrier by; persons are taken out at the end."""
        self._claims.update(attributes)

    def hide(self, *persons: str | None) -> None:
        """Strings that hold a number or SIP user: they stand nowhere in the observation."""
        self._persons.update(person for person in persons if person)

    def happened(
        self, kind: MarkKind, start: float | None, end: float | None = None, value: str = ""
    ) -> None:
        """A mark; left out without a time, and beyond 10,000."""
        if start is not None and len(self._marks) < MOST_MARKS:
            self._marks.append(
                Mark(kind=kind, start=start, end=end, value=value, source=self.source)
            )

    def saw(
        self,
        leg: Leg,
        direction: MediaDirection,
        start: float | None,
        end: float | None,
        measures: Mapping[str, object],
        loss_method: LossMethod = "counted",
    ) -> None:
        """A window; left out where no time or no measure can be believed."""
        self.windows += self._window(leg, direction, (start, end), measures, loss_method)

    def total(
        self,
        leg: Leg,
        direction: MediaDirection,
        measures: Mapping[str, object],
        loss_method: LossMethod = "counted",
    ) -> None:
        """What is said of the whole call by a record that does not say when it was."""
        told = self._window(leg, direction, (1.0, 1.0), measures, loss_method)
        self.untimed += [replace(window, start=0.0, end=0.0) for window in told]

    def _window(
        self,
        leg: Leg,
        direction: MediaDirection,
        times: tuple[float | None, float | None],
        measures: Mapping[str, object],
        loss_method: LossMethod,
    ) -> list[MediaWindow]:
        """The window, or none where it cannot be believed."""
        try:
            window = checked_window(
                leg=leg,
                direction=direction,
                start=times[0],
                end=times[1],
                source=self.source,
                loss_method=loss_method,
                measures=measures,
            )
        except ValueError:
            return []
        return [window]

    def build(self) -> Observation:
        """What was said, in order of time, with no number in clear."""
        secrets = secrets_of(*self._persons)
        self._name_trunk()
        return Observation(
            source=self.source,
            leg=self.leg,
            record_id=scrub(self.record_id, secrets),
            completeness="complete" if self.complete else "partial",
            start=self.start,
            end=self.end,
            facts={key: _clean(key, value, secrets) for key, value in self._facts.items()},
            ids={name: scrub(value, secrets) for name, value in self._ids.items()},
            windows=() if self._is_aside else tuple(self.windows),
            marks=tuple(sorted(self._marks, key=lambda mark: mark.start)),
            attempts=tuple(_scrubbed(self.attempts, secrets)),
            claims={key: scrub(value, secrets) for key, value in self._claims.items()},
            identity_differs=self.identity_differs,
            untimed=() if self._is_aside else tuple(self.untimed),
            bridge_end=self._ends.bridge if self._ends else None,
            bridge_end_by=self._ends.by if self._ends else "assumed",
            is_aside=self._is_aside,
        )

    def _name_trunk(self) -> None:
        """The trunk is the PBX's endpoint or gateway on the far side."""
        if self._ends is None or self._is_aside or self.leg != "pstn":
            return
        if c.TRUNK_ID not in self._facts:
            self.say(trunk_id=self._ids.get(ENDPOINT))

    def _take(self, name: str, value: object) -> None:
        believed = checked(name, value)
        if believed is not None:
            self._facts[believed[0]] = believed[1]
            if name in _ID_FIELDS:
                self._ids[name] = str(believed[1])

    def _party(self, role: Literal["caller", "callee"], value: object) -> None:
        if isinstance(value, str):
            self._persons.add(value)
            self._facts.update(_REDACTION.party(role, value))


def _clean(key: str, value: Value, secrets: frozenset[str]) -> Value:
    if not isinstance(value, str):
        return value
    if key == c.SIP_RESPONSE_REASON:
        return _phrase(value, secrets)
    return scrub(value, secrets)


def _phrase(text: str, secrets: frozenset[str]) -> str:
    """What somebody wrote in his own words: any number in it may be a person's."""
    return scrubber_for(secrets).name(text)


def _scrubbed(attempts: Iterable[Attempt], secrets: frozenset[str]) -> Iterable[Attempt]:
    for attempt in attempts:
        yield replace(
            attempt,
            livekit_call_id=_text(attempt.livekit_call_id, secrets),
            trunk_id=_text(attempt.trunk_id, secrets),
            carrier=_text(attempt.carrier, secrets),
            route=_text(attempt.route, secrets),
            reason=None if attempt.reason is None else _phrase(attempt.reason, secrets),
        )


def _text(text: str | None, secrets: frozenset[str]) -> str | None:
    return None if text is None else scrub(text, secrets)
