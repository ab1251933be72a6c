"""Several audio streams in a room: nothing is said of a caller who cannot be told from others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest

from trunktrace.quality.deltas import agent_windows
from trunktrace.quality.estimate import estimate_windows, whole_estimate
from trunktrace.quality.rtc import Inbound, Sample

from .captured import CLEAN, messages_of
from .line import BEGIN, Line
from .test_media_poller import Room, participant, watch, windows

OTHER = 999


def mixed(samples: Iterable[Sample], start: float, end: float, left: int) -> list[Sample]:
    """Between two seconds somebody else is heard too; `left` (SSRC) is who is heard afterwards."""
    found: list[Sample] = []
    for sample in samples:
        second = sample.t - BEGIN
        if start <= second < end:
            found.append(dataclasses.replace(sample, inbound=None, ambiguous=True))
        elif second >= end and left == OTHER:
            other = Inbound(ssrc=OTHER, packets_received=int(second * 50))
            found.append(dataclasses.replace(sample, inbound=other))
        else:
            found.append(sample)
    return found


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_two_streams_throughout_say_nothing_of_the_caller(loss):
    """Neither what was received, nor that nothing was, nor an estimate."""
    samples = mixed(Line(lost=lambda _: loss).samples(), 0, 61, 1)
    assert agent_windows(samples, subscribed=(BEGIN, None)) == ()
    assert estimate_windows(samples) == ()
    assert whole_estimate(samples) is None


def test_the_caller_who_was_alone_before_is_known_again():
    """Somebody comes and goes: windows before and after, of the caller's own counters."""
    line = Line(lost=lambda _: 0.05)
    samples = mixed(line.samples(), 20, 30, 1)
    found = [w for w in agent_windows(samples) if w.direction == "in"]
    first, last = samples[0].inbound, samples[-1].inbound
    assert first is not None
    assert last is not None
    assert sum(w.packet_count or 0 for w in found) == last.packets_received - first.packets_received
    assert max(w.duration_s for w in found) == pytest.approx(11, abs=0.1)
    whole = whole_estimate(samples)
    assert whole is not None
    assert whole.loss_ratio == pytest.approx(line.truth, abs=0.01)


def test_who_is_left_alone_is_not_the_caller_unless_alone_before():
    """The caller goes and the other stays: the rest of the time says nothing."""
    samples = mixed(Line().samples(), 20, 30, OTHER)
    found = [w for w in agent_windows(samples, subscribed=(BEGIN, None)) if w.direction == "in"]
    assert max(w.end for w in found) < BEGIN + 20
    assert max(w.end for w in estimate_windows(samples)) < BEGIN + 20
    from_the_start = mixed(Line().samples(), 0, 30, 1)
    assert agent_windows(from_the_start, subscribed=(BEGIN, None)) == ()
    assert whole_estimate(from_the_start) is None


def two(theirs_known: bool, others_known: bool) -> tuple[Room, int]:
    """A room with the caller and another, each with a stream; whose statistics name it."""
    looks = messages_of(CLEAN[1])
    theirs = next(one for one in looks[0] if one.WhichOneof("stats") == "inbound_rtp")
    other = type(theirs)()
    other.CopyFrom(theirs)
    other.inbound_rtp.stream.ssrc = OTHER
    room = Room([[*look, other] for look in looks])
    room.remote_participants = {
        "web": participant("web", "TR_web", kind=0, stats=[other] if others_known else []),
        "caller": participant("caller", "TR_c", stats=[theirs] if theirs_known else []),
    }
    return room, len(looks)


@pytest.mark.parametrize("others_known", [True, False])
def test_a_caller_whose_stream_is_unknown_is_not_a_count_of_zero(others_known):
    """The track's own statistics are empty, and a stream comes that may be the caller's."""
    room, looks = two(theirs_known=False, others_known=others_known)
    call = watch(room, looks + 0.5, caller=lambda: "caller")
    assert windows(call, "agent", "in") == []
    assert windows(call, "trunk", "in") == []
    assert windows(call, "agent", "out")


def test_a_track_whose_own_statistics_hold_two_streams_is_unknown():
    """Two streams of one track: nobody can say which is the caller's now."""
    room, looks = two(theirs_known=True, others_known=True)
    both: list[Any] = room.looks[0][-1:] + [
        one for one in room.looks[0][:-1] if one.WhichOneof("stats") == "inbound_rtp"
    ]
    room.remote_participants["caller"] = participant("caller", "TR_c", stats=both)
    call = watch(room, looks + 0.5, caller=lambda: "caller")
    assert windows(call, "agent", "in") == []


def test_a_caller_is_followed_when_the_others_have_gone():
    """Known by its statistics while others were there, it is known when it is alone."""
    room, looks = two(theirs_known=True, others_known=True)
    web = room.remote_participants["web"]

    def leave(_: float) -> None:
        if len(room.asked) >= 8 and room.remote_participants.pop("web", None) is web:
            room.looks = [look[:-1] for look in room.looks]

    call = watch(room, looks + 0.5, caller=lambda: "caller", on_tick=[leave])
    found = windows(call, "agent", "in")
    assert len(found) >= looks - 3
    assert all(w.packet_count for w in found)
    assert max(w.duration_s for w in found) < 1.5
