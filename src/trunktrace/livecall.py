"""The live call: what is known now, which spans are open, and how a new fact reaches them.

Invariants, on which the processor's lock-free reading rests:
- `attributes` and every `View.snapshot` are replaced, never mutated;
- a span is in `View.open` before it reads the snapshot, and a writer replaces the snapshot before
  it reads `View.open`: so each fact reaches each open span at least once;
- only writers take the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry.context import create_key

from trunktrace import conventions as c
from trunktrace.clock import clock
from trunktrace.facts import (
    KNOWN_NAMES,
    AttributeValues,
    CallFacts,
    FactFields,
    MediaFields,
    MediaWindow,
    Value,
    believable_text,
    checked,
    checked_window,
)
from trunktrace.guard import guard, guarded, warn_once
from trunktrace.merge import Claim, Rank, conflict_event, disagree
from trunktrace.redaction import Redaction, secrets_of
from trunktrace.spans import SpanBook, View

if TYPE_CHECKING:
    from typing import Unpack

    from opentelemetry.trace import Span

CALL_KEY: Final = create_key("trunktrace-call")
"""Context key under which the current call travels; the trace id is looked up first."""

Names = frozenset[str]
_NONE: Final[Names] = frozenset()

LEG_KEYS: Final = frozenset(
    {
        c.TRUNK_CARRIER,
        c.TRUNK_ROUTE,
        c.TRUNK_REGION,
        c.TRUNK_ID,
        c.SIP_RESPONSE_STATUS_CODE,
        c.SIP_RESPONSE_REASON,
        c.SIP_CALL_OUTCOME,
        c.SIP_CALL_OUTCOME_DETAIL,
        c.SIP_CALL_ID,
        c.SIP_PROVIDER_CALL_ID,
        c.LIVEKIT_SIP_CALL_ID,
        c.RTP_CODEC,
    }
)
"""What belongs to one leg or attempt, and goes when the call turns to another."""


class LiveCall:
    """One phone call while it lasts.

    False in a boolean sense once it has ended, and where there is no call at all (`current_call()`
    outside of one): its methods then do nothing.
    """

    __slots__ = (
        "_claim",
        "_claims",
        "_conflicts",
        "_lock",
        "_redaction",
        "_sources",
        "attributes",
        "concluded",
        "finished",
        "identified",
        "is_phone_call",
        "legs",
        "outlives_root",
        "owns_trace",
        "root",
        "root_span_id",
        "secrets",
        "spans",
        "trace_id",
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
        self.trace_id = trace_id
        self.root_span_id = root_span_id
        self.root = root
        self.attributes: AttributeValues = {}
        self.spans = SpanBook()
        self.view: View | None = None
        self.secrets: Names = _NONE
        self.legs: tuple[CallFacts, ...] = ()
        self.is_phone_call = False
        self.identified = False
        self.concluded = False
        self.finished = False
        # Set by the registry: every span of the trace is this call's.
        self.owns_trace = True
        # livekit-agents before 1.8 ends its root when the entrypoint returns, mid-call.
        self.outlives_root = False
        self._redaction = redaction
        # The first claim stands for every key that is not in `_claims`: most keys have one source.
        self._claim: Claim = (Rank.OBSERVED, "")
        self._claims: dict[str, Claim] | None = None
        self._conflicts: Names = _NONE
        self._sources: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return not self.finished

    def __repr__(self) -> str:
        return f"<LiveCall trace_id={self.trace_id:032x} {dict(self.attributes)!r}>"

    @property
    def facts(self) -> CallFacts:
        """What is known about the call now."""
        return CallFacts.from_attributes(self.attributes)

    @property
    def settled(self) -> bool:
        """Whether carrier, route, direction and final code are known, or can no longer come."""
        known = self.attributes
        if self.concluded or self.finished:
            return True
        identity = self.identified or (c.TRUNK_CARRIER in known and c.TRUNK_ROUTE in known)
        return identity and c.SIP_CALL_DIRECTION in known and c.SIP_RESPONSE_STATUS_CODE in known

    def record(self, /, **facts: Unpack[FactFields]) -> None:
        """State facts about this call; they go on the root and on every open and later span.

        The names are the fields of `CallFacts`. `caller_number` and `callee_number` are given in
        clear and are masked here. None is skipped. A name that is not known or a value that cannot
        be true is dropped, logged once and counted; nothing is raised.
        """
        self.is_phone_call = True
        self.observe(facts, source="api", rank=Rank.USER)

    def record_media(
        self,
        *,
        leg: str,
        direction: str,
        start: float | datetime,
        end: float | datetime,
        loss_method: str = "counted",
        source: str = "api",
        **measures: Unpack[MediaFields],
    ) -> None:
        """State what one leg's media was like between two times.

        `leg` is `trunk`, `agent` or `pstn`; `direction` is `in` (towards the agent) or `out`.
        Times are unix seconds or aware datetimes. Ratios are 0..1. `loss_method` is `counted` (by
        a receiver on that leg) or `estimated`. A window of the trunk leg of at most 15 s marks the
        turns it covers; a longer one goes to the root only. Wrong values are dropped, logged once
        and counted; nothing is raised.
        """
        try:
            window = checked_window(
                leg=leg,
                direction=direction,
                start=start,
                end=end,
                source=source,
                loss_method=loss_method,
                measures=measures,
            )
        except Exception as error:
            why = str(error) if type(error) is ValueError else type(error).__name__
            self._drop("record_media", why)
            return
        believed = window.measures()
        for name, value in measures.items():
            if value is not None and name not in believed:
                self._drop(name, f"{type(value).__name__} that cannot be its value")
        self.observe_media(window)

    # What sources say ---------------------------------------------------------------------------

    @guarded
    def observe(
        self, facts: Mapping[str, object], *, source: str, rank: Rank = Rank.OBSERVED
    ) -> None:
        """Take what `source` says, by field name, as far as it is believed (`rank`)."""
        if self.finished:
            return
        values: dict[str, Value] = {}
        for name, value in facts.items():
            if value is None:
                continue
            if name in ("caller_number", "callee_number"):
                values |= self._party(name, value)
                continue
            believed = checked(name, value)
            if believed is None:
                self._drop(name, f"{type(value).__name__} that cannot be its value")
            else:
                values[believed[0]] = believed[1]
        self._apply(values, (rank, source))

    @guarded
    def observe_media(self, window: MediaWindow) -> None:
        """Take a window: the root's media attributes, and the loss of the turns that it covers."""
        if self.finished:
            return
        with self._lock:
            self._note_source(window.source)
            if window.leg == "trunk":
                self.spans.media.add(window)
            root = self._root_media(window)
            self.attributes = {**self.attributes, **root}
            self._write_root(root)
            self.spans.push_losses(clock.now_ns(), self.root_span_id)

    @guarded
    def begin_leg(self) -> None:
        """Turn to another leg or attempt: what belonged to the former one is withdrawn.

        Attributes that stand on spans already stay: they were true of the time that they speak of.
        """
        with self._lock:
            kept = {
                key: value
                for key, value in self.attributes.items()
                if key not in LEG_KEYS or self._claim_on(key)[0] is Rank.USER
            }
            self.attributes = kept
            self.identified = self.concluded = False
            self.spans.replace_snapshots(kept)

    @guarded
    def add_leg(self, leg: CallFacts, attributes: AttributeValues) -> None:
        """Record a leg of the room that is not the call: `legs`, and a `sip.leg` event."""
        self.legs = (*self.legs, leg)
        self.add_event(c.EVENT_SIP_LEG, attributes)

    @guarded
    def add_event(self, name: str, attributes: AttributeValues) -> None:
        """Add an event to the root call span, as long as that is open."""
        if self.root is not None and self.root.is_recording():
            self.root.add_event(name, dict(attributes), timestamp=clock.now_ns())

    def add_secrets(self, raws: Iterable[str]) -> None:
        """Remember signalling values that exporters must not let out; in memory only."""
        self.secrets |= secrets_of(*raws)

    @guarded
    def conclude(self) -> None:
        """Nothing more will be learned while the call lasts: name what stayed unknown."""
        self.concluded = True
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

    def snapshot(self, keys: Collection[str]) -> AttributeValues:
        """What a span that starts now and belongs to no turn would get of `keys`."""
        return self.spans.select(self.attributes, keys)

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
        if claim[1] != standing[1] and disagree(key, old, value) and key not in self._conflicts:
            self._conflicts |= {key}
            new, former = (value, claim[1]), (old, standing[1])
            pair = (new, former) if wins else (former, new)
            self.add_event(c.EVENT_FACT_CONFLICT, conflict_event(key, *pair))
        return wins and old != value

    def _write_root(self, values: Mapping[str, Value]) -> None:
        if self.root is not None and values and self.root.is_recording():
            self.root.set_attributes(dict(values))

    def _note_source(self, source: str) -> None:
        # "directory:trunks.ST_abc" is the directory; the rest is for conflict events.
        source = source.partition(":")[0]
        if source in self._sources:
            return
        self._sources = (*self._sources, source)
        if self.root is not None and self.root.is_recording():
            self.root.set_attribute(c.TRUNKTRACE_SOURCES, list(self._sources))

    def _root_media(self, window: MediaWindow) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, value in window.measures().items():
            key = c.media_key(window.leg, window.direction, name) or c.ROUND_TRIP_KEYS.get(
                (window.leg, name)
            )
            if key is not None:
                values[key] = value
        if window.leg != "trunk":
            return values
        book = self.spans.media
        whole = book.whole(window.direction)
        if whole is not None:
            values[c.MEDIA_KEYS["trunk", window.direction, "loss_ratio"]] = whole[0]
        if (worst := book.worst()) is not None:
            values |= {c.RTP_LOSS_RATIO: worst[0], c.RTP_LOSS_METHOD: worst[1]}
        return values

    def _party(self, name: str, value: object) -> dict[str, Value]:
        if believable_text(value) is None or not isinstance(value, str):
            self._drop(name, f"{type(value).__name__} that cannot be its value")
            return {}
        if self._redaction is None:
            self._redaction = Redaction.from_environment()
        self.add_secrets([value])
        role: Literal["caller", "callee"] = "caller" if name == "caller_number" else "callee"
        return dict(self._redaction.party(role, value))

    def _drop(self, name: str, why: str) -> None:
        # Only names that we know are logged: anything else may hold a number.
        guard.dropped_facts += 1
        shown = name if name in KNOWN_NAMES else "(a name that trunktrace does not know)"
        warn_once(f"fact:{shown}", "trunktrace dropped the fact %s: %s", shown, why)


NO_CALL: Final = LiveCall(trace_id=0, root_span_id=0)
"""What `current_call()` returns where there is no call."""
NO_CALL.finished = True
