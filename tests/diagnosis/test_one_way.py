"""One-way audio: each direction, each rule, each suppression, and the borders."""

from __future__ import annotations

import pytest

from trunktrace.diagnosis import one_way
from trunktrace.diagnosis.thresholds import Thresholds

from .stories import T0, answered, clean_media, diagnosed, found, mark, rules, window, windows

NONE = {"packet_count": 0}
SOME = {"packet_count": 50}


def spoke(*spans):
    """The agent spoke in these spans."""
    return [mark("agent_speaking", start, end, source="livekit-spans") for start, end in spans]


def bridge(received, seconds=14.0, sent=700, **more):
    """What the bridge's log says at the end."""
    return [
        window("trunk", "in", 0, seconds, packet_count=received, **more),
        window("trunk", "out", 0, seconds, packet_count=sent),
    ]


def agent_leg(*counts, start=0.0):
    """One window a second of what the agent received; and it sent all the while."""
    heard = windows("agent", "in", *[{"packet_count": n} for n in counts], length=1, start=start)
    sent = windows("agent", "out", *[SOME] * len(counts), length=1, start=start)
    return [*heard, *sent]


# Towards the agent -------------------------------------------------------------------------------


def test_nothing_received_on_the_trunk_is_one_way_audio_in():
    """The bridge received no packet; the path is to blame, the loss ratio is absent."""
    told = diagnosed(answered(14, windows=bridge(0)))
    assert [(f.mode, f.leg, f.direction, f.evidence) for f in told.findings] == [
        ("one_way_audio", "trunk", "in", ("OWA-1",))
    ]
    assert (told.findings[0].start, told.findings[0].end) == (T0, T0 + 14)
    assert (told.fault, told.media_state, told.outcome) == ("network", "one_way", "answered")


@pytest.mark.parametrize("received", [1, 700])
def test_received_packets_are_no_one_way_audio(received):
    """Few packets are loss, not silence."""
    assert one_way.find(answered(14, windows=bridge(received)), Thresholds.default()) == ()


@pytest.mark.parametrize("seconds,expected", [(4.9, set()), (5.0, {"OWA-1"}), (5.5, {"OWA-1"})])
def test_a_short_call_is_not_judged(seconds, expected):
    """Five seconds of talk are needed."""
    assert rules(answered(seconds, windows=bridge(0, seconds, 250))) == expected


def test_an_unanswered_call_is_not_judged():
    """Telnyx says 0 packets with a 603: no audio was ever due."""
    story = answered(30, windows=bridge(0, 30))
    unanswered = type(story)(
        facts={"sip.response.status_code": 603, "sip.call.direction": "outbound"},
        windows=story.windows,
    )
    assert rules(unanswered) == {"CSF-1"}


def test_packets_of_a_payload_that_was_not_agreed_have_a_rule_of_their_own():
    """They arrived and were ignored: the path works, so nobody is blamed."""
    told = diagnosed(answered(14, windows=bridge(0, ignored_count=650)))
    assert told.findings[0].evidence == ("OWA-1", "OWA-5")
    assert told.findings[0].direction == "in"
    assert told.fault is None


def test_a_call_that_the_bridge_gave_up_is_one_way():
    """Media timeout: whatever the counters say, no RTP came for too long."""
    gave_up = mark("media_timeout", 30)
    assert rules(answered(30, windows=bridge(0, 30), marks=[gave_up])) == {"OWA-1", "OWA-7"}
    stopped = answered(40, windows=bridge(1200, 40), marks=[mark("media_timeout", 40)])
    assert rules(stopped) == {"OWA-7"}
    assert diagnosed(stopped).fault == "network"


def test_a_held_call_that_the_bridge_gave_up_is_not_one_way():
    """No RTP was due when it timed out."""
    marks = [mark("hold", 20, 40), mark("media_timeout", 40)]
    assert rules(answered(40, windows=bridge(1000, 40), marks=marks)) == set()


def test_both_directions_dead_are_a_media_failure():
    """Not one-way: it is told as media degradation, without a direction."""
    told = diagnosed(answered(14, windows=bridge(0, sent=0), marks=spoke((1, 8))))
    assert [(f.mode, f.evidence, f.direction) for f in told.findings] == [
        ("media_degradation", ("MED-7",), None)
    ]
    assert told.media_state == "bad"


def test_an_agent_that_never_spoke_into_a_dead_call_is_not_heard_one_way():
    """No packet either way, whoever should have spoken: a media failure."""
    nothing = [
        *windows("agent", "in", *[NONE] * 14, length=1),
        *windows("agent", "out", *[NONE] * 14, length=1),
    ]
    assert rules(answered(14, windows=nothing)) == {"MED-7"}


def test_the_agent_alone_sees_that_nothing_reaches_it():
    """No trunk source: the finding is about the agent leg, and nobody is blamed."""
    told = diagnosed(answered(14, windows=agent_leg(*[0] * 14)))
    assert found(answered(14, windows=agent_leg(*[0] * 14))) == [
        ("one_way_audio", "agent", "in", ("OWA-1",))
    ]
    assert told.fault is None


def test_a_subscribed_track_without_any_count_is_not_silence():
    """Nobody can say which of several streams is the caller's: no count is no count of 0."""
    sent = windows("agent", "out", *[SOME] * 14, length=1)
    subscribed = mark("caller_track", 0.2)
    assert rules(answered(14, windows=sent, marks=[subscribed])) == set()


def test_statistics_that_nobody_polled_show_nothing():
    """The bridge's own count of the agent's packets is no look at what the agent received."""
    sent = [window("agent", "out", 0, 14, packet_count=500, source="livekit-sip")]
    story = answered(14, windows=sent, marks=[mark("caller_track", 0.2)])
    assert found(story) == []


def test_what_the_bridge_received_and_the_agent_did_not_is_the_platforms():
    """The trunk worked: the agent leg is dead."""
    told = diagnosed(answered(14, windows=[*bridge(700), *agent_leg(*[0] * 14)]))
    assert (told.findings[0].leg, told.fault) == ("agent", "platform")


@pytest.mark.parametrize("silent,expected", [(7, set()), (8, {"OWA-1"}), (20, {"OWA-1"})])
def test_packets_that_stop_for_good_are_one_way(silent, expected):
    """Eight seconds until the end of the call."""
    story = answered(20 + silent, windows=agent_leg(*[50] * 20, *[0] * silent))
    assert rules(story) == expected


def test_packets_that_stop_and_come_back_are_a_pause():
    """A hold that nobody told of, or a silent caller: it was over before the call was."""
    assert rules(answered(42, windows=agent_leg(*[50] * 20, *[0] * 12, *[50] * 10))) == set()


def test_a_line_that_suppresses_silence_is_not_dead():
    """It paused and came back twice: a third pause is silence."""
    counts = [*[50] * 5, 0, 0, *[50] * 5, 0, 0, *[50] * 5, *[0] * 12]
    assert rules(answered(len(counts), windows=agent_leg(*counts))) == set()


def test_the_trunk_is_named_where_all_that_it_gave_reached_the_agent():
    """The bridge received no more than the agent did: the trunk fell silent, not the agent leg."""
    counts = [*[50] * 20, *[0] * 15]
    told = diagnosed(answered(35, windows=[*bridge(1000, 35), *agent_leg(*counts)]))
    assert (told.findings[0].leg, told.fault) == ("trunk", "network")


def test_totals_and_their_parts_are_counted_once():
    """The bridge tells each minute and the whole: one of them is compared with the agent's."""
    parts = [
        window("trunk", "in", 0, 20, packet_count=1000),
        window("trunk", "in", 20, 35, packet_count=0),
    ]
    counts = [*[50] * 20, *[0] * 15]
    story = answered(35, windows=[*bridge(1000, 35), *parts, *agent_leg(*counts)])
    assert found(story)[0][:3] == ("one_way_audio", "trunk", "in")


@pytest.mark.parametrize("hold", [(0.0, 12.0), (0.0, None)])
def test_a_held_call_is_not_judged(hold):
    """Nothing is due while media are held."""
    held = mark("hold", *hold)
    assert rules(answered(14, windows=agent_leg(*[0] * 14), marks=[held])) == set()
    assert rules(answered(14, windows=bridge(0), marks=[held])) == set()


def test_packets_after_the_hang_up_are_not_missed():
    """The statistics go on for some seconds after the caller left."""
    counts = [*[50] * 14, *[0] * 10]
    assert rules(answered(14, windows=agent_leg(*counts))) == set()


def test_a_gap_of_a_second_is_none_while_the_call_goes_on():
    """Live: a short hole is no dead line."""
    story = answered(22, windows=agent_leg(*[50] * 20, 0, 0), live=True)
    assert found(story) == []


def test_live_a_dead_line_is_told_while_it_goes_on():
    """Five seconds after the answer without a packet."""
    assert found(answered(4, windows=agent_leg(*[0] * 4), live=True)) == []
    assert rules(answered(6, windows=agent_leg(*[0] * 6), live=True)) == {"OWA-1"}


# No sound ----------------------------------------------------------------------------------------


def silent(seconds=20, level=None, ratio=1.0):
    measures = {"packet_count": 50, "silence_ratio": ratio}
    if level is not None:
        measures = {"packet_count": 50, "level_dbfs": level}
    return windows("agent", "in", *[measures] * seconds, length=1)


def test_packets_without_sound_are_one_way_where_the_agent_talks_to_itself():
    """It spoke twice and its VAD heard nobody; who fell silent cannot be seen."""
    told = diagnosed(answered(20, windows=silent(), marks=spoke((1, 4), (8, 11))))
    assert [f.evidence for f in told.findings] == [("OWA-2",)]
    assert told.fault is None
    assert rules(answered(20, windows=silent(level=-80.0), marks=spoke((1, 4), (8, 11)))) == {
        "OWA-2"
    }


@pytest.mark.parametrize(
    "marks",
    [
        spoke((1, 4)),
        [*spoke((1, 4), (8, 11)), mark("user_speaking", 5, 6)],
        [],
    ],
)
def test_a_silent_caller_is_not_enough(marks):
    """One turn of the agent, or a caller whom the VAD heard: no finding."""
    assert rules(answered(20, windows=silent(), marks=marks)) == set()


@pytest.mark.parametrize(
    "told",
    [silent(9), silent(20, ratio=0.9), silent(20, level=-50.0)],
    ids=["short", "some sound", "loud enough"],
)
def test_sound_or_a_short_silence_is_not_silence(told):
    """Ten seconds below the level are needed."""
    assert rules(answered(20, windows=told, marks=spoke((1, 4), (5, 8)))) == set()


# Towards the caller ------------------------------------------------------------------------------


def test_what_the_far_end_never_received_is_one_way_audio_out():
    """The carrier counted none of what the bridge sent: lost on the path."""
    told = diagnosed(
        answered(
            30,
            windows=[
                *bridge(1500, 30, 1500),
                *windows("trunk", "out", *[NONE] * 6, source="carrier"),
            ],
        )
    )
    assert [(f.leg, f.direction, f.evidence) for f in told.findings] == [
        ("trunk", "out", ("OWA-4",))
    ]
    assert told.fault == "network"


def test_what_was_lost_beyond_the_carrier_is_the_carriers():
    """Its own far edge sent nothing on."""
    far = windows("pstn", "out", *[NONE] * 6)
    told = diagnosed(answered(30, windows=[*bridge(1500, 30, 1500), *far]))
    assert (told.findings[0].leg, told.fault) == ("pstn", "carrier")


def test_what_the_bridge_sent_is_not_taken_for_what_arrived():
    """The bridge's own count towards the caller is of packets sent."""
    assert found(answered(30, windows=bridge(1500, 30, 1500), marks=spoke((1, 8)))) == []


def test_an_agent_whose_speech_never_reaches_the_bridge():
    """The bridge counted no packet of the agent, which spoke: the platform's."""
    counted = [window("agent", "out", 0, 30, packet_count=0, source="livekit-sip")]
    told = diagnosed(answered(30, windows=[*bridge(1500, 30), *counted], marks=spoke((1, 5))))
    assert [(f.leg, f.direction, f.evidence) for f in told.findings] == [
        ("agent", "out", ("OWA-3",))
    ]
    assert told.fault == "platform"


@pytest.mark.parametrize("spans,expected", [([(1, 3.9)], set()), ([(1, 4)], {"OWA-3"})])
def test_an_agent_that_hardly_spoke_is_not_judged(spans, expected):
    """Three seconds of speech."""
    counted = [window("agent", "out", 0, 30, packet_count=0, source="livekit-sip")]
    story = answered(30, windows=[*bridge(1500, 30), *counted], marks=spoke(*spans))
    assert rules(story) == expected


def test_an_agent_that_sends_nothing_is_its_own_fault():
    """Its process sent no packet of what it spoke."""
    mine = windows("agent", "out", *[NONE] * 30, length=1)
    told = diagnosed(answered(30, windows=[*bridge(1500, 30), *mine], marks=spoke((1, 5))))
    assert told.findings[0].evidence == ("OWA-3",)
    assert told.fault == "agent"


def test_live_a_track_that_nobody_subscribed_to_is_one_way_out():
    """Who watched the room says that there was no subscription; a later one takes it back."""
    heard = agent_leg(*[50] * 12)
    never = mark("agent_track", 5, value="never", source="livekit")
    subscribed = mark("agent_track", 8, source="livekit")
    alone = answered(12, windows=heard, marks=[never, *spoke((1, 6))], live=True)
    assert rules(alone) == {"OWA-3"}
    assert diagnosed(alone).findings[0].end is None
    both = answered(12, windows=heard, marks=[never, subscribed, *spoke((1, 6))], live=True)
    assert rules(both) == set()
    unwatched = answered(12, windows=heard, marks=spoke((1, 6)), live=True)
    assert rules(unwatched) == set()


def test_a_caller_who_asks_whether_he_is_heard_adds_to_evidence_and_never_makes_it():
    """OWA-6 stands beside another rule only."""
    asks = [mark("asks_if_heard", 6), mark("asks_if_heard", 9)]
    assert rules(answered(30, windows=clean_media(30), marks=asks)) == set()
    far = windows("trunk", "out", *[NONE] * 6, source="carrier")
    told = answered(30, windows=[*bridge(1500, 30, 1500), *far], marks=asks)
    assert rules(told) == {"OWA-4", "OWA-6"}
    once = answered(30, windows=[*bridge(1500, 30, 1500), *far], marks=asks[:1])
    assert rules(once) == {"OWA-4"}
