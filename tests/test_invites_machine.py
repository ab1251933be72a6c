"""Requests and participants in any order: each attempt ends once, and says nothing of another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from livekit import api
from opentelemetry.trace import INVALID_SPAN_ID

from trunktrace.clock import replaced
from trunktrace.livecall import LiveCall
from trunktrace.livekit.invite import Invite
from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings

from .behaviour.fakejob import REASON, Participant, Room
from .behaviour.kit import CODE, Pipeline, Time
from .inviting import DIRECTORY, NUMBER, OTHER, leg, request, said

TRUNKS = ("ST_a", "ST_b")
MASKED = {NUMBER: "+1*******34", OTHER: "+1*******77"}


@dataclass(eq=False)
class Dial:
    """What is true of one attempt, whatever the observer has learned."""

    number: int
    trunk: str
    to: str
    named: bool
    waits: bool
    hidden: bool
    invite: Invite
    phone: Participant | None = None
    active: bool = False
    gone: bool = False
    responded: bool = False
    named_by_response: bool = False
    refused: bool = False
    ends: list[object] = field(default_factory=list)
    """What could end it, in the order in which it came; a code, or a word."""

    @property
    def identity(self) -> str:
        return f"named-{self.number}" if self.named else f"sip_{self.number}"

    @property
    def call_id(self) -> str:
        return f"SCL_{self.number}"

    @property
    def is_known(self) -> bool:
        """Whether request and participant can be joined without a doubt."""
        return self.named or (self.named_by_response and not self.waits)


class Interleavings(RuleBasedStateMachine):
    """One room, several dials at once."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self._clock = replaced(self.time.source)
        self._clock.__enter__()
        self.pipe = Pipeline()
        root = self.pipe.tracer.start_span("root")
        context = root.get_span_context()
        self.call = LiveCall(trace_id=context.trace_id, root_span_id=INVALID_SPAN_ID, root=root)
        self.room = Room()
        self.observer = RoomObserver(
            self.room,
            None,
            self.call,
            Settings(directory=DIRECTORY),
            lambda: self.pipe.provider.get_tracer("trunktrace"),
        )
        self.observer.start()
        self.dials: list[Dial] = []

    def _some(self, data: Any, which: Any) -> Dial | None:
        found = [dial for dial in self.dials if which(dial)]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(
        trunk=st.sampled_from(TRUNKS),
        to=st.sampled_from([NUMBER, OTHER]),
        named=st.booleans(),
        waits=st.booleans(),
        hidden=st.booleans(),
    )
    @precondition(lambda self: len(self.dials) < 5)
    def asks(self, trunk: str, to: str, named: bool, waits: bool, hidden: bool) -> None:
        number = len(self.dials) + 1
        asked = request(trunk, to=to, identity=f"named-{number}" if named else "", waits=waits)
        invite = self.observer.dial_started(asked)
        assert invite is not None
        self.dials.append(Dial(number, trunk, to, named, waits, hidden, invite))

    @rule(data=st.data())
    def joins(self, data: Any) -> None:
        dial = self._some(data, lambda one: one.phone is None and not one.refused)
        if dial is not None:
            number = {"sip.phoneNumber": "" if dial.hidden else dial.to}
            dial.phone = self.room.join(leg(dial.identity, dial.trunk, dial.call_id, **number))

    @rule(data=st.data())
    def rings(self, data: Any) -> None:
        dial = self._some(data, lambda one: one.phone and not one.gone and not one.active)
        if dial is not None and dial.phone is not None:
            self.room.status(dial.phone, "ringing")

    @rule(data=st.data())
    def becomes_active(self, data: Any) -> None:
        dial = self._some(data, lambda one: one.phone and not one.gone and not one.active)
        if dial is not None and dial.phone is not None:
            dial.active = True
            dial.ends.append(200)
            self.room.status(dial.phone, "active")

    @rule(data=st.data())
    def leaves(self, data: Any) -> None:
        dial = self._some(data, lambda one: one.phone and not one.gone)
        if dial is not None and dial.phone is not None:
            dial.gone = True
            if not dial.waits:
                dial.ends.append("unanswered")
            self.room.leave(dial.phone, REASON.CLIENT_INITIATED)

    @rule(data=st.data())
    def responds(self, data: Any) -> None:
        dial = self._some(data, lambda one: not one.responded)
        if dial is not None:
            dial.responded = dial.named_by_response = True
            if dial.waits:
                dial.ends.append(200)
            answer = SimpleNamespace(sip_call_id=dial.call_id, participant_identity=dial.identity)
            self.observer.dial_returned(dial.invite, answer)

    @rule(data=st.data(), code=st.sampled_from([486, 503, 0, -1]))
    def raises(self, data: Any, code: int) -> None:
        dial = self._some(data, lambda one: not one.responded)
        if dial is None:
            return
        dial.responded, dial.refused = True, code > 0
        error: BaseException = asyncio.CancelledError()
        if code == 0:
            error = TimeoutError()
        elif code > 0:
            meta = {"sip_status_code": str(code), "sip_status": "No"}
            error = api.TwirpError("unknown", "no", status=400, metadata=meta)
        dial.ends.append(code if code > 0 else {0: "TimeoutError", -1: "canceled"}[code])
        self.observer.dial_failed(dial.invite, error)

    @rule()
    def time_passes(self) -> None:
        self.time.now += 1

    def teardown(self) -> None:
        try:
            self._check_root()
            self.room.disconnect()
            spans = [one for one in self.pipe.finished() if one.name == "sip.invite"]
            by_number = {said(one)["sip.attempt.number"]: said(one) for one in spans}
            assert len(spans) == len(by_number) == len(self.dials), "each ends, and once"
            for dial in self.dials:
                self._check(dial, by_number[dial.number])
        finally:
            self._clock.__exit__(None, None, None)

    @staticmethod
    def _check(dial: Dial, facts: dict[str, Any]) -> None:
        assert facts["trunk.id"] == dial.trunk
        assert facts["sip.callee.number"] == MASKED[dial.to]
        assert facts.get("livekit.sip.call_id", dial.call_id) == dial.call_id
        said_end = facts.get(CODE, facts.get("error.type", facts.get("sip.call.outcome")))
        possible = [*dial.ends, None]
        if dial.is_known:
            # What could be seen before it was known whose participant this is comes with it.
            first = 200 if dial.active and not dial.named and not dial.waits else possible[0]
            assert said_end == first, (dial, facts)
        else:
            assert said_end in possible, (dial, facts)

    def _check_root(self) -> None:
        known = self.call.attributes
        if known.get(CODE) == 200:
            answered = [dial for dial in self.dials if 200 in dial.ends]
            assert (known["trunk.id"], known["sip.callee.number"]) in [
                (dial.trunk, MASKED[dial.to]) for dial in answered
            ]


Interleavings.TestCase.settings = settings(
    max_examples=40, stateful_step_count=14, deadline=None, print_blob=True
)
TestInterleavings = Interleavings.TestCase
