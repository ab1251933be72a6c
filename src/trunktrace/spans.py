"""The spans of one call: which are open, which turn they belong to, and the push to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from trunktrace import conventions as c
from trunktrace.facts import AttributeValues, Value
from trunktrace.media import Loss, MediaBook
from trunktrace.turns import (
    AGENT_TURN,
    KEPT_TURNS,
    MOST_MEMBERS,
    ROLES,
    TO_CALLER,
    USER_SPEAKING,
    USER_TURN,
    Turn,
)
from trunktrace.windows import MediaWindow

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

_NO_TRACES: Final[frozenset[int]] = frozenset()
"""Shared: on Python 3.11 each `frozenset()` is a new object of 216 bytes."""

LOSS_KEYS: Final = frozenset({c.RTP_LOSS_RATIO, c.RTP_LOSS_METHOD})


class View:
    """What one processor sees of a call: the keys it passes on, the snapshot, the open spans."""

    __slots__ = ("keys", "open", "snapshot")

    def __init__(self, keys: frozenset[str], snapshot: AttributeValues) -> None:
        self.keys = keys
        self.snapshot = snapshot
        self.open: dict[int, Span] = {}


class SpanBook:
    """Open spans by view, turns by span, and the media windows that speak about them."""

    __slots__ = ("_media", "_turns", "foreign_traces", "turn", "turn_of", "views")

    def __init__(self) -> None:
        self.views: tuple[View, ...] = ()
        self.turn: Turn | None = None
        # Made with the first turn: most spans ask for it, many calls never have one.
        self.turn_of: dict[int, Turn] | None = None
        # Traces of their own that were begun inside this call.
        self.foreign_traces: frozenset[int] = _NO_TRACES
        self._turns: tuple[Turn, ...] = ()
        self._media: MediaBook | None = None

    @property
    def media(self) -> MediaBook:
        """The windows of the trunk leg; made when the first one comes."""
        if self._media is None:
            self._media = MediaBook()
        return self._media

    def view(self, keys: frozenset[str], attributes: AttributeValues) -> View:
        """The view for a set of keys; the caller holds the call's lock."""
        for view in self.views:
            if view.keys is keys or view.keys == keys:
                return view
        view = View(keys, self.select(attributes, keys))
        self.views = (*self.views, view)
        return view

    def open_ids(self) -> set[int]:
        """Ids of the spans that are open now."""
        return {span_id for view in self.views for span_id in view.open.copy()}

    def oldest_open(self, but: int) -> Span | None:
        """The open span that started first, without the one with id `but`."""
        spans = [s for view in self.views for i, s in view.open.copy().items() if i != but]
        return min(spans, key=lambda span: span.start_time or 0, default=None)

    def select(self, attributes: AttributeValues, keys: Collection[str]) -> AttributeValues:
        """The inherited facts without the loss, which depends on the span."""
        if all(key in keys and key not in LOSS_KEYS for key in attributes):
            # Neither is ever mutated, so one mapping serves as both.
            return attributes
        return {k: v for k, v in attributes.items() if k in keys and k not in LOSS_KEYS}

    def replace_snapshots(self, attributes: AttributeValues) -> None:
        """Make later spans inherit from `attributes`, without touching the open ones."""
        for view in self.views:
            view.snapshot = self.select(attributes, view.keys)

    def push(
        self, attributes: AttributeValues, changed: Mapping[str, Value], root_span_id: int
    ) -> None:
        """Set what changed on every open span; the snapshots first, see the call's invariants."""
        for view in self.views:
            news = {k: v for k, v in changed.items() if k in view.keys and k not in LOSS_KEYS}
            if not news:
                continue
            view.snapshot = self.select(attributes, view.keys)
            for span_id, span in view.open.copy().items():
                if span_id != root_span_id and span.is_recording():
                    span.set_attributes(news)

    # Turns --------------------------------------------------------------------------------------

    def started(self, span: ReadableSpan, span_id: int, role: int, parent_id: int) -> Turn | None:
        """Place a span that starts; the turn whose loss it shares, or None."""
        if self.turn_of is None:
            if role not in (USER_TURN, AGENT_TURN):
                return None
            self.turn_of = {}
        placed = self.turn_of.get(span_id)
        if placed is not None:
            return None if role == TO_CALLER else placed
        if role == USER_TURN:
            turn = self._new_turn(span.start_time)
        elif role == AGENT_TURN:
            turn = self.turn if self.turn and not self.turn.answered else self._new_turn(None)
        else:
            found = self.turn_of.get(parent_id)
            if found is None:
                return None
            turn = found
            if role == USER_SPEAKING:
                turn.spoken[span_id] = (span.start_time or 0, None)
        if len(turn.members) < MOST_MEMBERS:
            self.turn_of[span_id] = turn
            turn.members.append(span_id)
        return None if role == TO_CALLER else turn

    def ended(self, span: ReadableSpan, span_id: int, role: int) -> None:
        """Close the caller's speech when its span ends, and a turn once it was answered."""
        turn = self.turn_of.get(span_id) if self.turn_of else None
        if turn is None:
            return
        if role == USER_SPEAKING:
            turn.spoken[span_id] = (span.start_time or 0, span.end_time)
        elif role == USER_TURN:
            turn.end_ns = span.end_time
        elif role == AGENT_TURN and turn.end_ns is not None:
            turn.answered = True

    def _new_turn(self, start_ns: int | None) -> Turn:
        self.turn = turn = Turn(start_ns)
        self._turns = (*self._turns, turn)
        if len(self._turns) > KEPT_TURNS and self.turn_of is not None:
            for span_id in self._turns[0].members:
                self.turn_of.pop(span_id, None)
            self._turns = self._turns[1:]
        return turn

    def loss_of(self, name: str, span_id: int, start_ns: int, end_ns: int) -> Loss | None:
        """The loss of the part of the call that a span speaks about."""
        if self._media is None:
            return None
        if ROLES[name] == TO_CALLER:
            return self._media.loss("out", (start_ns / 1e9, end_ns / 1e9))
        turn = self.turn_of.get(span_id) if self.turn_of else None
        if turn is None:
            return self._media.loss("in", (start_ns / 1e9, end_ns / 1e9))
        return self._media.loss("in", *turn.speech(end_ns))

    def push_loss(self, window: MediaWindow, now_ns: int, root_span_id: int) -> None:
        """Work out anew the loss of the turns and open spans that a window is about, and set it."""
        if window.direction == "in":
            for turn in self._turns:
                if turn.heard_between(window.start, window.end):
                    turn.loss = self.media.loss("in", *turn.speech(now_ns))
        for view in self.views:
            if c.RTP_LOSS_RATIO not in view.keys:
                continue
            for span_id, span in view.open.copy().items():
                if span_id != root_span_id and span.is_recording():
                    self._set_loss(span, span_id, window, now_ns)

    def _set_loss(self, span: Span, span_id: int, window: MediaWindow, now_ns: int) -> None:
        if (ROLES[span.name] == TO_CALLER) != (window.direction == "out"):
            return
        loss = self.loss_of(span.name, span_id, span.start_time or now_ns, now_ns)
        if loss is not None:
            span.set_attributes({c.RTP_LOSS_RATIO: loss[0], c.RTP_LOSS_METHOD: loss[1]})
