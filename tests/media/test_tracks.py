"""The two tracks of a call: who listens to which, who is muted, and what the poller makes of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from trunktrace.clock import replaced
from trunktrace.livecall import LiveCall
from trunktrace.livekit.tracks import NEVER_AFTER_S, Tracks
from trunktrace.timeline import Mark

from .test_media_poller import Room as PolledRoom
from .test_media_poller import watch, windows

ANSWERED = 1000.0
AUDIO, VIDEO = 1, 2


class Scene:
    """A room with a caller and an agent, a call that was answered, and the time."""

    def __init__(self) -> None:
        self.now = ANSWERED
        self.room: Any = rtc.EventEmitter()
        self.caller = SimpleNamespace(track_publications={})
        self.room.remote_participants = {"caller": self.caller}
        self.room.local_participant = SimpleNamespace(track_publications={})
        self.call = LiveCall(trace_id=1, root_span_id=1)
        self.call.mark(Mark(kind="answered", start=ANSWERED))
        self.identity: str | None = "caller"
        self.holds: list[tuple[float, float | None]] = []
        self.tracks = Tracks(
            self.room, self.call, lambda: self.identity, lambda *times: self.holds.append(times)
        )
        self.tracks.start()

    def marks(self, kind: str) -> list[tuple[float, float | None, str]]:
        found = self.call.story(final=True).marks
        return [(one.start, one.end, one.value) for one in found if one.kind == kind]

    def at(self, seconds: float, event: str = "", *arguments: Any) -> None:
        """Seconds after the answer: an event of the room, or a second that has passed."""
        self.now = ANSWERED + seconds
        with replaced(lambda: round(self.now * 1e9)):
            if event:
                self.room.emit(event, *arguments)
            else:
                self.tracks.tick(self.now)

    def caller_publishes(self, *, subscribed: bool = True, muted: bool = False) -> Any:
        track = SimpleNamespace(kind=AUDIO) if subscribed else None
        publication = SimpleNamespace(kind=AUDIO, track=track, muted=muted)
        self.caller.track_publications["TR_caller"] = publication
        return publication

    def agent_publishes(self, kind: int = AUDIO) -> None:
        publications = self.room.local_participant.track_publications
        publications[f"TR_{kind}"] = SimpleNamespace(kind=kind)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_callers_track_is_marked_when_it_is_subscribed(scene: Scene) -> None:
    """Once, at the event; a track that is only published is not."""
    publication = scene.caller_publishes(subscribed=False)
    scene.at(1)
    assert scene.marks("caller_track") == []
    publication.track = SimpleNamespace(kind=AUDIO)
    scene.at(1.5, "track_subscribed", publication.track, publication, scene.caller)
    scene.at(2)
    assert scene.marks("caller_track") == [(ANSWERED + 1.5, None, "")]


def test_a_track_that_no_event_told_of_is_found_a_second_later(scene: Scene) -> None:
    """It was subscribed before anybody said who the caller is."""
    scene.identity = None
    scene.caller_publishes()
    scene.at(1)
    scene.identity = "caller"
    scene.at(2)
    assert scene.marks("caller_track") == [(ANSWERED + 2, None, "")]


def test_a_muted_caller_is_on_hold_until_unmuted(scene: Scene) -> None:
    """One interval, and the estimate of the trunk's loss is told of it at once and at its end."""
    publication = scene.caller_publishes()
    scene.at(1)
    publication.muted = True
    scene.at(3.25, "track_muted", scene.caller, publication)
    assert scene.marks("hold") == [(ANSWERED + 3.25, None, "")]
    publication.muted = False
    scene.at(9.5, "track_unmuted", scene.caller, publication)
    assert scene.marks("hold") == [(ANSWERED + 3.25, ANSWERED + 9.5, "")]
    assert scene.holds == [(ANSWERED + 3.25, None), (ANSWERED + 3.25, ANSWERED + 9.5)]


def test_somebody_elses_mute_is_no_hold(scene: Scene) -> None:
    """A supervisor's track is not the caller's."""
    scene.caller_publishes()
    scene.at(3, "track_muted", SimpleNamespace(), SimpleNamespace(kind=AUDIO, muted=True))
    assert scene.marks("hold") == []


def test_whoever_subscribes_to_the_agent_is_its_listener(scene: Scene) -> None:
    """A subscription is marked when it happens; of a video nobody speaks."""
    scene.agent_publishes()
    scene.at(1, "local_track_subscribed", SimpleNamespace(kind=VIDEO))
    assert scene.marks("agent_track") == []
    scene.at(2, "local_track_subscribed", SimpleNamespace(kind=AUDIO))
    scene.at(60)
    assert scene.marks("agent_track") == [(ANSWERED + 2, None, "")]


def test_an_agent_that_nobody_listens_to_is_told_once(scene: Scene) -> None:
    """Five seconds after both were there, the answer and the agent's track."""
    scene.at(2)
    scene.agent_publishes()
    for tenths in range(30, 30 + int(10 * NEVER_AFTER_S), 10):
        scene.at(tenths / 10)
    assert scene.marks("agent_track") == []
    for second in range(10):
        scene.at(3 + NEVER_AFTER_S + second)
    assert scene.marks("agent_track") == [(ANSWERED + 3, None, "never")]


def test_a_starved_agent_does_not_say_that_nobody_listens(scene: Scene) -> None:
    """Its loop stood still: what happened meanwhile it is told after the second that was due.

    As in a call on an overloaded machine: looks 0.0, 1.4 and 7.1 s after the answer, and the
    subscription 0.2 s after the last of them.
    """
    scene.agent_publishes()
    for second in (0.0, 1.4, 7.1):
        scene.at(second)
    scene.at(7.3, "local_track_subscribed", SimpleNamespace(kind=AUDIO))
    for second in (8.1, 9.1):
        scene.at(second)
    assert scene.marks("agent_track") == [(ANSWERED + 7.3, None, "")]


def test_a_starved_agent_says_later_that_nobody_listens(scene: Scene) -> None:
    """A look that was late counts as one and a half seconds: three of them are not yet five."""
    scene.agent_publishes()
    for second in (0.0, 4.0, 8.0, 12.0):
        scene.at(second)
    assert scene.marks("agent_track") == []
    for second in (13.0, 14.0):
        scene.at(second)
    assert scene.marks("agent_track") == [(ANSWERED, None, "never")]


def test_an_agent_without_a_track_has_no_listener_to_miss(scene: Scene) -> None:
    """An agent that only listens is not unheard."""
    scene.agent_publishes(VIDEO)
    scene.at(60)
    assert scene.marks("agent_track") == []


def test_a_second_leg_hears_the_agent_too(scene: Scene) -> None:
    """LiveKit tells of a track's first subscription only: the next attempt is not unheard."""
    scene.caller_publishes()
    scene.agent_publishes()
    scene.at(1, "local_track_subscribed", SimpleNamespace(kind=AUDIO))
    scene.at(2)
    scene.room.remote_participants["other"] = scene.caller
    scene.identity = "other"
    scene.at(8)
    assert [start - ANSWERED for start, _, _ in scene.marks("agent_track")] == [1, 2, 8]


def test_a_caller_who_publishes_nothing_is_a_count_of_zero() -> None:
    """A bridge always publishes: without a track each second says 0 packets."""
    room = PolledRoom([])
    room.remote_participants["caller"].track_publications = {}
    call = watch(room, 6.5, caller=lambda: "caller")
    assert {window.packet_count for window in windows(call, "agent", "in")} == {0}


def test_a_caller_whose_track_the_agent_does_not_take_is_not_silent() -> None:
    """It was the agent that did not subscribe: nothing received says nothing."""
    room = PolledRoom([])
    publications = room.remote_participants["caller"].track_publications
    for publication in publications.values():
        publication.track = None
    call = watch(room, 6.5, caller=lambda: "caller")
    assert windows(call, "agent", "in") == []
