"""What the worker's program sees for itself, apart from trunktrace: for the tests to compare with.

Every span that ends in the process, every call that opens or finishes, and the moment at which each
fact could be known.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

from livekit import rtc
from livekit.agents import AgentSession, AgentStateChangedEvent, UserStateChangedEvent
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from .calls import CARRIERS
from .notes import note

if TYPE_CHECKING:
    from trunktrace.livecall import LiveCall


class SpanCounter(SpanProcessor):
    """Notes each span that ends, so that a test knows what should have arrived."""

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        assert context is not None
        note(
            "span",
            name=span.name,
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
        )


_counted: WeakSet[TracerProvider] = WeakSet()


def count_spans(provider: object) -> None:
    """Note every span of `provider` that ends from now on; once a provider."""
    if isinstance(provider, TracerProvider) and provider not in _counted:
        _counted.add(provider)
        provider.add_span_processor(SpanCounter())


class CallWatcher:
    """Notes each call that trunktrace opens and finishes, with its facts at the end."""

    def call_opened(self, call: LiveCall) -> None:
        note("call_opened", trace_id=f"{call.trace_id:032x}")

    def call_finished(self, call: LiveCall) -> None:
        note(
            "call_finished",
            trace_id=f"{call.trace_id:032x}",
            is_phone_call=call.is_phone_call,
            facts=dict(call.attributes),
        )


def watch_answer(room: rtc.Room, call: LiveCall | None) -> None:
    """Note when the room says that a leg is up; then state the first one's codec, known to us."""

    def changed(values: dict[str, str], participant: rtc.Participant) -> None:
        if values.get("sip.callStatus") != "active":
            return
        note("active", room=room.name, identity=participant.identity)
        trunk_id = participant.attributes.get("sip.trunkID")
        codec = next((one.codec for one in CARRIERS if one.trunk_id == trunk_id), None)
        if call is not None and codec is not None and call.facts.codec is None:
            call.record(codec=codec)
            note("codec", room=room.name, codec=codec)

    room.on("participant_attributes_changed", changed)


class Losses:
    """States the trunk's loss as a bridge would count it: one window for each piece of speech.

    `towards_agent` has one ratio for each time that the caller speaks; None states nothing.
    `towards_caller` is the loss of all that the agent says.
    """

    def __init__(
        self,
        call: LiveCall,
        towards_agent: list[float | None],
        towards_caller: float | None,
        room: str,
    ) -> None:
        self._call = call
        self._towards_agent = iter(towards_agent)
        self._towards_caller = towards_caller
        self._room = room
        self._user_since: float | None = None
        self._agent_since: float | None = None

    def watch(self, session: AgentSession[None]) -> None:
        """State windows for the speech of this session."""
        session.on("user_state_changed", self._user)
        session.on("agent_state_changed", self._agent)

    def _user(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._user_since = time.time()
        elif event.old_state == "speaking" and self._user_since is not None:
            self._state("in", next(self._towards_agent, None), self._user_since)

    def _agent(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._agent_since = time.time()
        elif event.old_state == "speaking" and self._agent_since is not None:
            self._state("out", self._towards_caller, self._agent_since)

    def _state(self, direction: Literal["in", "out"], ratio: float | None, start: float) -> None:
        if ratio is None:
            return
        end = time.time()
        self._call.record_media(
            leg="trunk", direction=direction, loss_ratio=ratio, start=start, end=end
        )
        note("loss", room=self._room, direction=direction, ratio=ratio, start=start, end=end)
