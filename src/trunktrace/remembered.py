"""What a live call knows and remembers: its facts, its evidence for the rules, its secrets."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from trunktrace import conventions as c
from trunktrace.clock import clock
from trunktrace.diagnosis.story import Expectation, Story
from trunktrace.dropped import drop_late
from trunktrace.evidence import Evidence
from trunktrace.facts import AttributeValues
from trunktrace.guard import guarded
from trunktrace.persons import Persons
from trunktrace.redaction import Redaction, secrets_of
from trunktrace.statements import Statements
from trunktrace.timeline import Attempt, Mark, MarkKind

_NO_SECRETS: Final[frozenset[str]] = frozenset()


class Remembered(Statements):
    """What is known of one call; the live call adds its spans. Only writers take the lock."""

    __slots__ = (
        "_evidence",
        "_lock",
        "_persons",
        "_sources",
        "attributes",
        "finished",
        "secrets",
        "trace_id",
    )

    def __init__(self, trace_id: int, redaction: Redaction | None) -> None:
        self.trace_id = trace_id
        self.attributes: AttributeValues = {}
        self.secrets = _NO_SECRETS
        self.finished = False
        # Made with the first thing to remember: many calls of a test or of a gateway have none.
        self._evidence: Evidence | None = None
        self._persons = Persons(redaction)
        self._sources: tuple[str, ...] = ()
        self._lock = threading.Lock()

    @guarded
    def mark(self, mark: Mark) -> None:
        """Take what happened and when; a mark of the same kind, start and source is replaced."""
        if self._is_over("mark"):
            return
        with self._lock:
            self._remembered().add_mark(mark)

    @guarded
    def note_attempt(self, attempt: Attempt) -> None:
        """Take an outbound attempt; one with the same start is replaced."""
        if self.finished:
            return
        with self._lock:
            self._remembered().put_attempt(attempt)

    @guarded
    def expect_party(
        self, *, caller: str | None = None, country: str | None = None, region: str | None = None
    ) -> None:
        """Take what the customer record says that this call should be; None changes nothing."""
        if self._is_over("expectation"):
            return
        if caller is not None:
            self.add_secrets([caller])
            self._persons.expect_customer(caller)
        with self._lock:
            evidence = self._remembered()
            before = evidence.expected or Expectation()
            evidence.expected = Expectation(
                country=country or before.country, region=region or before.region
            )

    @guarded
    def note_policy(
        self, *, must_record: bool | None = None, identity_differs: bool | None = None
    ) -> None:
        """Take whether the call must be recorded, and whether its two caller identities differ."""
        if self.finished:
            return
        with self._lock:
            evidence = self._remembered()
            if must_record is not None:
                evidence.must_record = must_record
            if identity_differs is not None:
                evidence.identity_differs = identity_differs

    def time_of(self, kind: MarkKind) -> float | None:
        """When this last began (unix seconds); None where nobody has said so."""
        evidence = self._evidence
        starts = () if evidence is None else (m.start for m in evidence.marks if m.kind == kind)
        return max(starts, default=None)

    def story(self, *, final: bool = False) -> Story:
        """Everything so far as one value, for the rules; `final`: nothing more will come."""
        with self._lock:
            now = None if final else clock.now_s()
            is_outbound = self.attributes.get(c.SIP_CALL_DIRECTION) == "outbound"
            matches = self._persons.customer_matches(is_outbound=is_outbound)
            evidence = self._evidence or Evidence()
            sources = frozenset(self._sources)
            return evidence.story(self.attributes, sources, now, caller_matches=matches)

    def first_told(self, what: tuple[str | None, ...]) -> bool:
        """Whether this is told for the first time in this call; it is remembered."""
        with self._lock:
            told = self._remembered().told
            first = what not in told
            told.add(what)
            return first

    def add_secrets(self, raws: Iterable[str]) -> None:
        """Remember signalling values that exporters must not let out; in memory only."""
        found = secrets_of(*raws)
        with self._lock:
            self.secrets |= found

    def _remembered(self) -> Evidence:
        # The caller holds the lock.
        if self._evidence is None:
            self._evidence = Evidence()
        return self._evidence

    def _is_over(self, what: str) -> bool:
        if self.finished and self.trace_id:
            drop_late(what)
        return self.finished
