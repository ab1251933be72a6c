"""The live call: what is known now, which spans are open, and how a new fact reaches them.

Invariants, on which the processor's lock-free reading rests:
- `attributes` and every `View.snapshot` are replaced, never mutated;
- a span is in `View.open` before it reads the snapshot, and a writer replaces the snapshot before
  it reads `View.open`: so each fact reaches each open span at least once;
- only writers take the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.context import create_key

from trunktrace import conventions as c
from trunktrace.belief import Rank, Value
from trunktrace.clock import clock
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.dropped import drop_value
from trunktrace.facts import AttributeValues, CallFacts, checked
from trunktrace.guard import guarded
from trunktrace.merge import LEG_KEYS, RESULT_KEYS, Claim, conflict_event, disagree
from trunktrace.redaction import Redaction
from trunktrace.remembered import Remembered
from trunktrace.spans import SpanBook, View
from trunktrace.timeline import Mark, recording_delay_ms
from trunktrace.windows import MediaWindow

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

CALL_KEY: Final = create_key("trunktrace-call")
"""Context key under which the current call travels; the trace id is looked up first."""

LOOK_EVERY_S: Final = 5.0
"""The rules judge windows of 5 s; between two of them there is nothing new to judge."""

_MOST_FORMER: Final = 32
_MOST_LEGS: Final = 256
_MOST_SOURCES: Final = 64

Names = frozenset[str]


class Examiner(Protocol):
    """Asks the rules about a call; `final`: nothing more will come."""

    def __call__(self, call: LiveCall, *, final: bool) -> None:
        """Look at the call now."""
        ...


RootValues = Mapping[str, Value | Sequence[str]]
_NONE: Final[Names] = frozenset()


class LiveCall(Remembered):
    """One phone call while it lasts.

    False in a boolean sense once it has ended, and where there is no call at all (`current_call()`
    outside of one): its methods then do nothing.
    """

    __slots__ = (
        "_claim",
        "_claims",
        "_conflicts",
        "concluded",
        "diagnosis",
        "examiner",
        "former",
        "identified",
        "is_phone_call",
        "legs",
        "linked_elsewhere",
        "looked_at",
        "outlives_root",
        "owns_trace",
        "root",
        "root_span_id",
        "spans",
        "tracer_provider",
        "view",
    )

    def __init__(
        self,
        *,
        trace_id: int,
        root_span_id: int,
        root: Span | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        super().__init__(trace_id, redaction)
        self.root_span_id = root_span_id
        self.root = root
        # The provider that made the root, where it was given by hand.
        self.tracer_provider: TracerProvider | None = None
        self.spans = SpanBook()
        self.view: View | None = None
        self.legs: tuple[CallFacts, ...] = ()
        # What was known at the end of each former attempt, oldest first.
        self.former: tuple[AttributeValues, ...] = ()
        self.is_phone_call = False
        # The agent's session talks to somebody who is not on the phone.
        self.linked_elsewhere = False
        self.identified = False
        self.concluded = False
        # Set by the registry: every span of the trace is this call's.
        self.owns_trace = True
        # livekit-agents before 1.8 ends its root when the entrypoint returns, mid-call.
        self.outlives_root = False
        # What the rules found when they were last asked, and who asks them.
        self.diagnosis: Diagnosis | None = None
        self.examiner: Examiner | None = None
        self.looked_at = 0.0
        # The first claim stands for every key that is not in `_claims`: most keys have one source.
        self._claim: Claim = (Rank.OBSERVED, "")
        self._claims: dict[str, Claim] | None = None
        self._conflicts: Names = _NONE

    def __bool__(self) -> bool:
        return not self.finished

    def __repr__(self) -> str:
        # No more than names: the rest may hold a number in clear, if that was asked for.
        facts = self.facts
        return f"<LiveCall {self.trace_id:032x} {facts.direction} {facts.carrier} {facts.route}>"

    @property
    def facts(self) -> CallFacts:
        """What is known about the call now."""
        return CallFacts.from_attributes(self.attributes)

    @property
    def settled(self) -> bool:
        """Whether carrier, route, direction and final code are known, or can no longer come."""
        known = self.attributes
        if self.concluded or self.finished or (self.linked_elsewhere and not self.is_phone_call):
            return True
        identity = self.identified or (c.TRUNK_CARRIER in known and c.TRUNK_ROUTE in known)
        return identity and c.SIP_CALL_DIRECTION in known and c.SIP_RESPONSE_STATUS_CODE in known

    def become_phone_call(self) -> None:
        """Somebody is on the phone: facts, findings and metrics are about a phone call."""
        self.is_phone_call = self.is_phone_call or not self.finished

    # What sources say ---------------------------------------------------------------------------

    @guarded
    def observe(
        self, facts: Mapping[str, object], *, source: str, rank: Rank = Rank.OBSERVED
    ) -> None:
        """Take what `source` says, by field name, as far as it is believed (`rank`)."""
        if self._is_over("fact"):
            return
        values: dict[str, Value] = {}
        for name, value in facts.items():
            if value is None:
                continue
            if name in ("caller_number", "callee_number"):
                if isinstance(value, str):
                    self.add_secrets([value])
                values |= self._persons.party(name, value)
                continue
            believed = checked(name, value)
            if believed is None:
                drop_value(name, value)
            else:
                values[believed[0]] = self._persons.clean(*believed, self.secrets)
        self._apply(values, (rank, source))

    @guarded
    def observe_media(self, window: MediaWindow) -> None:
        """Take a window: the root's media attributes, and the loss of the turns that it covers."""
        if self._is_over("window"):
            return
        if window.leg == "agent" and not self.is_phone_call:
            # A browser has an agent leg too; its job gets no key of ours.
            return
        with self._lock:
            self._note_source(window.source)
            self._remembered().add_window(window)
            book = self.spans.media
            refuted = book.add(window)
            root = book.root_values(window.leg, window.direction)
            self.attributes = {**self.attributes, **root}
            self._write_root(root)
            if window.leg == "trunk":
                self.spans.push_loss(window, clock.now_ns(), self.root_span_id)
        if refuted is not None:
            self._tell_conflict(*refuted)
        self.look()

    def is_counted(self, window: MediaWindow) -> bool:
        """Whether somebody counted the loss that this window of the trunk leg estimates."""
        with self._lock:
            return self.spans.media.is_counted(window)

    def look(self) -> None:
        """Have the rules look at the call now, unless they have a moment ago."""
        now = clock.now_s()
        if self.examiner is not None and not 0 <= now - self.looked_at < LOOK_EVERY_S:
            self.looked_at = now
            self.examiner(self, final=False)

    @guarded
    def mark(self, mark: Mark) -> None:
        """Take what happened and when; a mark of the same kind, start and source is replaced."""
        super().mark(mark)
        if mark.kind in ("answered", "recording") and self._evidence is not None:
            delay = recording_delay_ms(self._evidence.marks)
            if delay is not None:
                self.annotate({c.TRUNKTRACE_RECORDING_START_DELAY_MS: delay})

    @guarded
    def begin_attempt(self) -> None:
        """Turn to another attempt or participant: what was known of the former is withdrawn.

        Attributes that stand on spans already stay: they were true of the time that they speak of.
        """
        with self._lock:
            kept = {
                key: value
                for key, value in self.attributes.items()
                if key not in LEG_KEYS
                or (key not in RESULT_KEYS and self._claim_on(key)[0] is Rank.USER)
            }
            self.former = (*self.former, self.attributes)[-_MOST_FORMER:]
            self._persons.forget_parties()
            self.attributes = kept
            self.identified = self.concluded = False
            self.spans.replace_snapshots(kept)

    @guarded
    def add_leg(self, leg: CallFacts, attributes: AttributeValues) -> None:
        """Record a leg of the room that is not the call: `legs`, and a `sip.leg` event."""
        with self._lock:
            self.legs = (*self.legs, leg)[-_MOST_LEGS:]
        self.add_event(c.EVENT_SIP_LEG, attributes)

    @guarded
    def annotate(self, values: RootValues) -> None:
        """What our own rules conclude, by attribute key: on the root, and never on a child."""
        with self._lock:
            told = {
                key: value for key, value in values.items() if isinstance(value, str | int | float)
            }
            self.attributes = {**self.attributes, **told}
            self._write_root(values)

    @guarded
    def add_event(self, name: str, attributes: RootValues) -> None:
        """Add an event to the root call span, as long as that is open."""
        root = self.root
        if root is not None and root.is_recording():
            root.add_event(name, dict(attributes), timestamp=clock.now_ns())

    @guarded
    def conclude(self, *, may_go_on: bool = False) -> None:
        """Nothing more will be learned while the call lasts: name what stayed unknown.

        `may_go_on`: an attempt has failed, and another may follow; the rules are asked later.
        """
        self.concluded = True
        if self.examiner is not None and not may_go_on:
            self.examiner(self, final=True)
        if self.is_phone_call and c.TRUNK_CARRIER not in self.attributes:
            self._write_root({c.TRUNK_CARRIER: c.UNKNOWN_CARRIER})

    @guarded
    def root_ended(self) -> None:
        """The root ended while the call goes on: the oldest open span stands in for it."""
        oldest = self.spans.oldest_open(self.root_span_id)
        self.root = oldest
        if oldest is not None:
            self.root_span_id = oldest.get_span_context().span_id
            with self._lock:
                self._write_root(self.attributes)

    def abandon(self) -> None:
        """In a forked child: the call goes on in the parent, here it is none."""
        self.finished = True
        self.root = None
        self._lock = threading.Lock()

    def loss_of(self, name: str, span_id: int, start_ns: int, end_ns: int) -> AttributeValues:
        """`rtp.loss_ratio` and its method for a span of this call, by what is known now."""
        loss = self.spans.loss_of(name, span_id, start_ns, end_ns)
        return {} if loss is None else {c.RTP_LOSS_RATIO: loss[0], c.RTP_LOSS_METHOD: loss[1]}

    # How it gets there --------------------------------------------------------------------------

    def view_of(self, keys: Names) -> View:
        """The open spans and the snapshot of one set of inherited keys, made on first use."""
        for view in self.spans.views:
            if view.keys is keys:
                return view
        with self._lock:
            view = self.spans.view(keys, self.attributes)
            self.view = self.spans.views[0]
            return view

    def _claim_on(self, key: str) -> Claim:
        return self._claim if self._claims is None else self._claims.get(key, self._claim)

    def _note_claim(self, keys: Collection[str], claim: Claim) -> None:
        if not self._claim[1]:
            self._claim = claim
        if claim == self._claim and self._claims is None:
            return
        self._claims = {**(self._claims or {}), **dict.fromkeys(keys, claim)}

    def _apply(self, values: Mapping[str, Value], claim: Claim) -> None:
        with self._lock:
            if not values:
                return
            changed = {key: value for key, value in values.items() if self._wins(key, value, claim)}
            self._note_source(claim[1])
            if not changed:
                return
            self._note_claim(changed, claim)
            self.attributes = {**self.attributes, **changed}
            self._write_root(changed)
            self.spans.push(self.attributes, changed, self.root_span_id)

    def _wins(self, key: str, value: Value, claim: Claim) -> bool:
        """Whether `value` replaces what stands; a contradiction is told, never silent."""
        old = self.attributes.get(key)
        if old is None:
            return True
        standing = self._claim_on(key)
        wins = claim[0] >= standing[0]
        if claim[1] != standing[1] and disagree(key, old, value):
            new, former = (value, claim[1]), (old, standing[1])
            self._tell_conflict(key, *((new, former) if wins else (former, new)))
        return wins and old != value

    def _tell_conflict(self, key: str, kept: tuple[Value, str], refused: tuple[Value, str]) -> None:
        # Once a key, and never with a value in clear.
        if key in self._conflicts or c.ATTRIBUTES[key].privacy == "pii":
            return
        self._conflicts |= {key}
        self.add_event(c.EVENT_FACT_CONFLICT, conflict_event(key, kept, refused))

    def _write_root(self, values: RootValues) -> None:
        root = self.root
        if root is not None and values and root.is_recording():
            root.set_attributes(dict(values))

    def _note_source(self, source: str) -> None:
        # "directory:trunks.ST_abc" is the directory; the rest is for conflict events.
        source = source.partition(":")[0]
        if source in self._sources or source == c.SCOPE_NAME:
            # What we conclude ourselves is no source.
            return
        if len(self._sources) >= _MOST_SOURCES:
            return
        self._sources = (*self._sources, source)
        root = self.root
        if root is not None and root.is_recording():
            root.set_attribute(c.TRUNKTRACE_SOURCES, list(self._sources))


NO_CALL: Final = LiveCall(trace_id=0, root_span_id=0)
"""What `current_call()` returns where there is no call."""
NO_CALL.finished = True
