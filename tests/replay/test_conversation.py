"""What was said in the captured calls, replayed as the events of a session, as marks and measures.

The session's events are made from livekit-agents' own spans of the same call: `agent_speaking` and
`user_speaking` are started and ended by the very calls that send the events.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from trunktrace.diagnosis.story import Story
from trunktrace.livekit.session import observe_session
from trunktrace.voice.measures import VoiceMeasures, measures_of

from .capture import NAMES, OUTBOUND, CapturedSpan, load
from .expected import answered_ns, known_facts
from .player import Job, directory_of, play

LATENCY = "lk.e2e_latency"


class Session(rtc.EventEmitter):  # type: ignore[type-arg]
    """The events of a captured session, and nothing else of one."""

    def __init__(self) -> None:
        super().__init__()
        self.output = SimpleNamespace(audio=object(), audio_enabled=True)
        self.current_speech: Any = None


class Conversation(Job):
    """A replayed job with a session in it."""

    def _schedule(self) -> None:
        super()._schedule()
        session = Session()
        self.story = Story()
        # The job's call is open once the entrypoint has run.
        self.timeline.at(self.capture.connected_ns, lambda: observe_session(session, self._call()))
        for span in self.capture.spans:
            if span.name in ("agent_speaking", "user_speaking"):
                self._speech(session, span)
            elif span.name == "user_turn":
                self.timeline.at(span.end_ns, lambda at=span.end_ns: _emit_turn(session, at))
        self.timeline.at(self.capture.root.end_ns - 1, self._look_back)

    def _call(self) -> Any:
        assert self.call is not None
        return self.call

    def _speech(self, session: Session, span: CapturedSpan) -> None:
        event = span.name.replace("speaking", "state_changed")
        turn = next((one for one in self.capture.lineage(span) if one.name == "agent_turn"), span)
        for at_ns, old, new in (
            (span.start_ns, "listening", "speaking"),
            (span.end_ns, "speaking", "listening"),
        ):
            changed = SimpleNamespace(old_state=old, new_state=new, created_at=at_ns / 1e9)
            self.timeline.at(
                at_ns, lambda changed=changed: _emit(session, event, changed, turn.span_id)
            )

    def _look_back(self) -> None:
        self.story = self._call().story()


def _emit(session: Session, event: str, changed: Any, speech: str) -> None:
    session.current_speech = SimpleNamespace(id=speech)
    session.emit(event, changed)


def _emit_turn(session: Session, at_ns: int) -> None:
    item = SimpleNamespace(type="message", role="user", text_content="", metrics={})
    session.emit("conversation_item_added", SimpleNamespace(item=item, created_at=at_ns / 1e9))


@cache
def story_of(name: str) -> Story:
    capture = load(name)
    job = Conversation(capture, directory_of(capture, "rows"), known_facts(capture, "rows"))
    play(job)
    return job.story


def measured(name: str) -> VoiceMeasures:
    story = story_of(name)
    return measures_of(story.marks, story.facts)


FIRST_AUDIO = {
    "01-inbound-clean-pcmu": 0.081,
    "02-inbound-clean-pcma": 0.152,
    # The agent began 58 ms after the answer, though its session ran while the phone still rang.
    "05-outbound-answered": 0.049,
    # Here the greeting began 0.9 s before the answer, which cut it in two.
    "09-inbound-one-way": 4.635,
}


@pytest.mark.parametrize("name, seconds", FIRST_AUDIO.items())
def test_time_to_first_audio_of_the_captured_calls(name, seconds):
    """From `sip.callStatus: active` to the first speech that began after it."""
    assert measured(name).time_to_first_audio_s == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize("name", NAMES)
def test_response_times_are_what_livekit_measured(name):
    """Each is livekit-agents' own `lk.e2e_latency`, within 5 ms."""
    spans = [span for span in load(name).spans if span.name == "agent_turn"]
    theirs = [s.attributes[LATENCY] for s in spans if LATENCY in s.attributes]
    assert measured(name).response_times_s == pytest.approx(theirs, abs=0.005)
    assert measured(name).user_turns == sum(s.name == "user_turn" for s in load(name).spans)


@pytest.mark.parametrize("name", NAMES)
def test_the_moments_of_a_call_are_marked_when_they_were(name):
    """Ringing, answer and hang-up at the time of the participant's attribute."""
    capture = load(name)
    for kind, at in (("answered", answered_ns(capture)), ("hangup", capture.status_at("hangup"))):
        told = [mark.start for mark in story_of(name).marks if mark.kind == kind]
        if at is not None:
            assert told[-1:] == pytest.approx([at / 1e9], abs=1e-6)
        elif kind == "answered":
            assert told == []
    invites = [mark for mark in story_of(name).marks if mark.kind == "invite"]
    assert len(invites) == (len(capture.dials) if name in OUTBOUND else 1)
