"""The poller: one look a second at the room's statistics, whatever the room does."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from trunktrace.guard import guard, reraising
from trunktrace.livecall import LiveCall
from trunktrace.livekit.media import MediaPoller
from trunktrace.windows import MediaWindow

from .captured import CLEAN, LOSSY, ONE_WAY, messages_of, truth_of
from .faketime import run
from .line import BEGIN

SIP = 3


def participant(identity: str, *sids: str, kind: int = SIP, stats: Any = ()) -> SimpleNamespace:
    async def get_stats() -> Any:
        return list(stats)

    publications = {
        sid: SimpleNamespace(kind=1, track=SimpleNamespace(sid=sid, get_stats=get_stats))
        for sid in sids
    }
    return SimpleNamespace(identity=identity, kind=kind, track_publications=publications)


class Room:
    """Gives recorded looks in their order; `takes_s` a look takes, `fails` is raised instead."""

    def __init__(self, looks: list[list[Any]] | None = None, *, takes_s: float = 0.0) -> None:
        self.looks = looks or []
        self.takes_s = takes_s
        self.fails: Exception | None = None
        self.connected = True
        self.asked: list[float] = []
        self.overlaps = 0
        self._running = 0
        caller = participant("caller", "TR_caller")
        self.remote_participants = {caller.identity: caller}

    def isconnected(self) -> bool:
        return self.connected

    async def get_rtc_stats(self) -> SimpleNamespace:
        self.asked.append(round(asyncio.get_running_loop().time(), 6))
        self.overlaps += self._running
        self._running += 1
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self._running -= 1
        if self.fails is not None:
            raise self.fails
        at = min(len(self.asked), len(self.looks)) - 1
        stats = self.looks[at] if at >= 0 else []
        return SimpleNamespace(publisher_stats=stats[:3], subscriber_stats=stats[3:])


def phone_call() -> LiveCall:
    call = LiveCall(trace_id=1, root_span_id=1)
    call.is_phone_call = True
    return call


def watch(room: Any, seconds: float, call: LiveCall | None = None, **more: Any) -> LiveCall:
    """Poll a room for some seconds of fake time, then stop."""
    watched = call or phone_call()

    async def program() -> None:
        poller = MediaPoller(room, watched, **more)
        poller.start()
        poller.start()
        await asyncio.sleep(seconds)
        poller.stop()
        poller.stop()
        await asyncio.sleep(5)

    run(program())
    return watched


def windows(call: LiveCall, leg: str, direction: str) -> list[MediaWindow]:
    found = call.story(final=True).windows
    return [w for w in found if (w.leg, w.direction) == (leg, direction)]


@pytest.mark.parametrize("name", [*CLEAN, *LOSSY])
def test_a_real_call_gives_both_legs(name):
    """Recorded statistics, live: the agent leg lost nothing, the trunk's loss is estimated."""
    looks = messages_of(name)
    call = watch(Room(looks), len(looks) + 0.5)
    truth = truth_of(name)
    assert call.attributes["webrtc.in.loss_ratio"] == 0.0
    assert call.attributes["webrtc.rtt_ms"] < 5
    assert call.attributes["rtp.in.loss_ratio"] == pytest.approx(truth, abs=0.01)
    assert call.attributes["rtp.loss_method"] == "estimated"
    assert "rtp.out.loss_ratio" not in call.attributes
    assert {w.source for w in windows(call, "agent", "in")} == {"livekit-rtc"}
    assert {w.source for w in windows(call, "trunk", "in")} == {"agent"}
    assert windows(call, "trunk", "out") == []


def test_a_caller_who_is_not_heard_is_a_count_of_zero():
    """The caller's track is subscribed and has no statistics: each second says 0 packets."""
    looks = messages_of(ONE_WAY)
    call = watch(Room(looks), len(looks) + 0.5)
    assert {w.packet_count for w in windows(call, "agent", "in")} == {0}
    assert windows(call, "trunk", "in") == []


def test_without_a_subscribed_track_nothing_received_is_not_said():
    """Nobody subscribed to the caller: that is no evidence of silence."""
    room = Room(messages_of(ONE_WAY))
    room.remote_participants = {}
    call = watch(room, 12)
    assert windows(call, "agent", "in") == []
    assert windows(call, "agent", "out")


def test_looks_are_a_second_apart_by_the_clock_and_never_overlap():
    """A look that takes 0.4 s delays no other; one that takes 1.5 s leaves one out."""
    room = Room(takes_s=0.4)
    watch(room, 5.5)
    assert room.asked == [1, 2, 3, 4, 5]
    slow = Room(takes_s=1.5)
    watch(slow, 9.5)
    assert slow.asked == [1, 3, 5, 7, 9]
    assert slow.overlaps == 0


def test_a_room_that_never_answers_is_asked_less_and_less():
    """Each look ends after 2 s; the next ones are left out: 1, 3, 7, at most 30."""
    room = Room(takes_s=1e9)
    watch(room, 120)
    gaps = [round(b - a) for a, b in itertools.pairwise(room.asked)]
    assert gaps[:4] == [3, 5, 9, 17]
    assert max(gaps) <= 33
    assert room.overlaps == 0


def test_a_room_that_fails_is_asked_again_later():
    """After failures looks go on; once one succeeds, every second."""
    room = Room(messages_of(CLEAN[1]))
    room.fails = RuntimeError("the room isn't connected")
    ticks: list[float] = []

    def tick(now: float) -> None:
        ticks.append(now)
        if now > BEGIN + 6.5:
            room.fails = None

    call = watch(room, 20.5, on_tick=[tick])
    assert room.asked[:3] == [1, 3, 7]
    assert room.asked[3:] == list(range(8, 21))
    assert ticks == [BEGIN + i for i in range(1, 21)]
    assert windows(call, "agent", "in")


def test_a_room_that_is_not_connected_is_left_alone():
    """No look before it is connected; from then on every second."""
    room = Room()
    room.connected = False

    def tick(now: float) -> None:
        room.connected = now > BEGIN + 3.5

    watch(room, 6.5, on_tick=[tick])
    assert room.asked == [4, 5, 6]


def test_after_the_hang_up_nothing_is_said_of_the_room():
    """The agent may stay in the room; what it sends there is not what a caller hears."""
    room = Room(messages_of(CLEAN[0]))

    def tick(now: float) -> None:
        if now > BEGIN + 5.5:
            room.remote_participants.clear()

    watch(room, 20, caller=lambda: "caller", on_tick=[tick])
    assert room.asked == [1, 2, 3, 4, 5]


def test_a_livekit_without_statistics_is_no_error():
    """No `get_rtc_stats`: no look, no failure, and the callbacks are called."""
    ticks: list[float] = []
    room = SimpleNamespace(isconnected=lambda: True, remote_participants={})
    call = watch(room, 3.5, on_tick=[ticks.append])
    assert len(ticks) == 3
    assert call.story(final=True).windows == ()


def test_a_call_that_is_not_on_the_phone_is_not_looked_at():
    """A browser's job has no SIP, so no media facts of ours."""
    room = Room(messages_of(CLEAN[1]))
    call = watch(room, 5.5, LiveCall(trace_id=1, root_span_id=1))
    assert room.asked == []
    assert call.attributes == {}


def test_a_callback_that_raises_stops_nobody():
    """It is counted; the other callbacks and the looks go on."""
    room, ticks = Room(), []

    def broken(_: float) -> None:
        raise ValueError

    with reraising(value=False):
        watch(room, 3.5, on_tick=[broken, ticks.append])
    assert len(ticks) == 3
    assert len(room.asked) == 3
    assert guard.counts["media.on_tick"] == 3
    guard.reset()


def test_nothing_is_asked_after_the_end():
    """Stopped, or the call finished: no further look."""
    room = Room()
    watch(room, 2.5)
    assert room.asked == [1, 2]
    room, call = Room(), phone_call()

    def tick(now: float) -> None:
        call.finished = now > BEGIN + 2.5

    watch(room, 10, call, on_tick=[tick])
    assert room.asked[-1] <= 3


def test_the_callbacks_are_asked_once_more_after_the_end():
    """So they let go of what they hold, also where the call ended while the room was asked."""
    call, told = phone_call(), []

    class Ending(Room):
        async def get_rtc_stats(self) -> Any:
            call.finished = len(self.asked) == 2
            return await super().get_rtc_stats()

    def tick(now: float) -> None:
        told.append(call.finished)

    watch(Ending(), 10, call, on_tick=[tick])
    assert told == [False, False, False, True]


def test_the_end_of_a_call_tells_the_whole():
    """When the caller goes, the estimate over the whole call is told, and the root says it."""
    looks = messages_of(LOSSY[0])
    call = watch(Room(looks), len(looks) + 0.5)
    long = [w for w in windows(call, "trunk", "in") if w.duration_s > 15]
    assert len(long) == 1
    assert long[0].loss_method == "estimated"
    assert call.attributes["rtp.in.loss_ratio"] == pytest.approx(long[0].loss_ratio)


def test_the_caller_is_told_from_other_tracks_by_its_statistics():
    """Two tracks arrive: the one of the named caller is the call, found by its own statistics."""
    looks = messages_of(LOSSY[1])
    theirs = next(one for one in looks[0] if one.WhichOneof("stats") == "inbound_rtp")
    other = type(theirs)()
    other.CopyFrom(theirs)
    other.inbound_rtp.stream.ssrc = 77
    other.inbound_rtp.received.packets_received = 5
    room = Room([[*look, other] for look in looks])
    room.remote_participants = {
        "web": participant("web", "TR_web", kind=0, stats=[other]),
        "caller": participant("caller", "TR_caller", stats=[theirs]),
    }
    call = watch(room, len(looks) + 0.5, caller=lambda: "caller")
    assert call.attributes["rtp.in.loss_ratio"] == pytest.approx(truth_of(LOSSY[1]), abs=0.01)


def test_the_track_of_somebody_else_is_not_the_callers():
    """The caller sends nothing and another does: the caller's count is 0, not the other's."""
    looks = messages_of(CLEAN[1])
    theirs = next(one for one in looks[0] if one.WhichOneof("stats") == "inbound_rtp")
    room = Room(looks)
    room.remote_participants = {
        "web": participant("web", "TR_web", kind=0, stats=[theirs]),
        "caller": participant("caller", "TR_caller"),
    }
    call = watch(room, 10.5)
    assert {w.packet_count for w in windows(call, "agent", "in")} == {0}
    assert "rtp.in.loss_ratio" not in call.attributes


def test_a_count_silences_the_estimate():
    """Where somebody counted those seconds, or the whole, no estimate is told of them."""
    looks = messages_of(LOSSY[0])
    start = next(one for one in looks[0] if one.WhichOneof("stats") == "inbound_rtp")
    begin = start.inbound_rtp.rtc.timestamp / 1e6
    call = phone_call()
    for i in range(16):
        call.observe_media(
            MediaWindow(
                leg="trunk",
                direction="in",
                start=begin + 5 * i,
                end=begin + 5 * i + 5,
                source="livekit-sip",
                loss_ratio=0.25,
            )
        )
    watch(Room(looks), len(looks) + 0.5, call)
    assert {w.loss_method for w in windows(call, "trunk", "in")} == {"counted"}
    assert call.attributes["rtp.in.loss_ratio"] == 0.25
    assert call.attributes["rtp.loss_method"] == "counted"


def test_held_and_answered_times_reach_the_estimate():
    """What is known of the call's state is left out of the estimate."""
    looks = messages_of(LOSSY[0])
    begin = next(one for one in looks[0] if one.WhichOneof("stats") == "inbound_rtp")
    at = begin.inbound_rtp.rtc.timestamp / 1e6
    call, room = phone_call(), Room(looks)

    async def program() -> None:
        poller = MediaPoller(room, call)
        poller.answered(at + 10)
        poller.held(at + 30, at + 50)
        poller.start()
        await asyncio.sleep(len(looks) + 0.5)
        poller.hung_up()
        poller.stop()

    run(program())
    short = [w for w in windows(call, "trunk", "in") if w.duration_s < 15]
    assert short
    assert min(w.start for w in short) >= at + 12
    assert all(w.end <= at + 30 or w.start >= at + 50 for w in short)
