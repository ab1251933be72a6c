"""Who asks the rules when: also where a call's root ends and nobody has concluded the call."""

from __future__ import annotations

import pytest
from opentelemetry.trace import get_current_span

from trunktrace import LateFactsExporter
from trunktrace.diagnosis.engine import diagnose
from trunktrace.timeline import Mark
from trunktrace.windows import MediaWindow

from .behaviour.kit import FACTS, Pipeline, fake_time


def test_a_root_that_just_ends_has_its_verdict_all_the_same():
    """A framework may end the root before anybody says that the call is over."""
    pipe = Pipeline(wrap=LateFactsExporter)
    with fake_time() as time, pipe.call(**FACTS) as call:
        for at in range(0, 60, 5):
            time.now = at + 5
            call.record_media(
                leg="trunk", direction="in", start=time.unix(at), end=time.unix(at + 5),
                packet_count=225, lost_count=25, loss_ratio=0.1,
            )  # fmt: skip
        get_current_span().end()
        assert call.finished
    root = pipe.attributes("sip.call")
    assert root["trunktrace.failure.mode"] == "media_degradation"
    assert root["trunk.fault"] == "network"


def test_a_live_look_sees_what_was_told_late():
    """Windows of the last minutes are seen in whatever order they were told; older ones are not."""
    with fake_time() as time, Pipeline().call(**FACTS) as call:
        time.now = 1000.0

        def say(start: float) -> None:
            call.record_media(
                leg="trunk", direction="in", start=time.unix(start), end=time.unix(start + 5),
                loss_ratio=0.0,
            )  # fmt: skip

        recent, old = list(range(700, 1000, 5)), list(range(0, 690, 5))
        for start in (*old[:-20], *recent, *old[-20:]):
            say(start)
        told = [window.start - time.unix(0.0) for window in call.story().windows]
        assert told == recent
        assert len(call.story(final=True).windows) == len(old) + len(recent)


def _told(counts, *, direction="in"):
    """The failures that are told, second by second, of a call that the agent alone watches."""
    pipe, told = Pipeline(), list[tuple[int, str, float]]()
    with fake_time() as time, pipe.call(**FACTS) as call:
        call.mark(Mark(kind="answered", start=time.unix(0), source="livekit"))
        call.mark(
            Mark(kind="agent_speaking", start=time.unix(1), end=time.unix(9), source="livekit")
        )
        for at, count in enumerate(counts):
            time.now = float(at + 1)
            other = "out" if direction == "in" else "in"
            for towards, packets in ((other, 50), (direction, count)):
                call.observe_media(
                    MediaWindow(
                        leg="agent",
                        direction=towards,
                        start=time.unix(at),
                        end=time.unix(at + 1),
                        source="livekit-rtc",
                        packet_count=packets,
                    )
                )
            found = call.diagnosis.findings if call.diagnosis is not None else ()
            told += [(at + 1, one.mode, one.start - time.unix(0)) for one in found]
        now = call.attributes.get("trunktrace.media.state")
    return told, now, [e for e in pipe.named("sip.call").events if e.name == "trunktrace.failure"]


SUPPRESSED = [*[50] * 5, *[0] * 5] * 6


@pytest.mark.parametrize(
    "counts",
    [
        [*SUPPRESSED, *[0] * 400],
        [*SUPPRESSED, *[50] * 220, *[0] * 200],
        [*SUPPRESSED, *[50] * 500, *[0] * 100],
    ],
    ids=["listens", "talks and listens", "talks for long and listens"],
)
def test_a_line_that_suppressed_silence_minutes_ago_still_does(counts):
    """A look sees the last minutes in full; that the line paused before is not forgotten."""
    assert _told(counts)[2] == []


def test_a_line_that_died_minutes_ago_is_still_dead():
    """Told once; while it stays dead, the state of the media stays one-way."""
    told, state, events = _told([*[50] * 100, *[0] * 400])
    assert len(events) == 1
    assert {start for _, _, start in told} == {100.0}
    assert [at for at, *_ in told] == list(range(told[0][0], 501))
    assert state == "one_way"


def test_a_line_that_dies_late_in_a_call_is_dead():
    """What the look no longer sees in full had no pauses."""
    told, _, events = _told([*[50] * 700, *[0] * 20])
    assert len(events) == 1
    assert 708 <= told[0][0] <= 714


def test_a_line_that_was_dead_from_the_start_is_so_for_long():
    """Since the answer, however long ago that is."""
    told, _, events = _told([0] * 400)
    assert len(events) == 1
    assert {start for _, _, start in told} == {0.0}


def test_an_agent_that_spoke_long_ago_and_is_silent_since_was_heard():
    """Its packets are too long ago to be seen, and were sent."""
    assert _told([*[50] * 10, *[0] * 400], direction="out")[2] == []


def test_a_bad_minute_is_told_when_it_was_and_again_at_the_end():
    """While the call goes on the last five minutes are looked at; the end looks at the whole."""
    with fake_time() as time, Pipeline().call(**FACTS) as call:
        for at, lost in enumerate([25] * 12 + [0] * 72):
            time.now = 5.0 * at + 5
            call.record_media(
                leg="trunk", direction="in", start=time.unix(5.0 * at), end=time.unix(time.now),
                packet_count=250 - lost, lost_count=lost, loss_ratio=lost / 250,
            )  # fmt: skip
        assert call.diagnosis.findings == ()
        now = call.attributes["trunktrace.media.state"]
        found = diagnose(call.story(final=True)).findings
    assert now == "good"
    assert [finding.evidence for finding in found] == [("MED-1",)]
