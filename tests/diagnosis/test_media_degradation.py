"""Media degradation: hysteresis, long windows, estimates, and whose leg it was."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.diagnosis.series import Sample, episodes, samples_of
from trunktrace.diagnosis.thresholds import Thresholds

from .stories import T0, answered, clean_media, diagnosed, found, loss, mark, rules, window, windows

LIMITS = Thresholds.default()


def trunk_in(*percents, **more):
    return windows("trunk", "in", *[loss(p) for p in percents], **more)


# Hysteresis --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "percents,expected",
    [
        ([0] * 12, False),
        ([10] * 2 + [0] * 10, False),
        ([10] * 3 + [0] * 9, True),
        ([10, 0, 10, 0, 10] + [0] * 7, True),
        ([10, 0, 0, 10, 0, 0, 10, 0, 0], False),
        ([0] * 9 + [10] * 3, True),
    ],
)
def test_three_bad_windows_of_five_begin_it(percents, expected):
    """Fewer, or further apart, do not."""
    assert bool(found(answered(60, windows=trunk_in(*percents)))) is expected


def test_three_clean_windows_end_it():
    """The finding lasts from the first bad window to the last one before them."""
    finding = diagnosed(
        answered(60, windows=trunk_in(0, 0, 9, 9, 9, 0, 0, 9, 0, 0, 0, 0))
    ).findings[0]
    assert (finding.start, finding.end) == (T0 + 10, T0 + 40)


def test_two_bad_minutes_are_one_finding_over_both():
    """One finding a leg and direction."""
    story = answered(120, windows=trunk_in(*[9] * 4, *[0] * 10, *[9] * 4, *[0] * 6))
    told = diagnosed(story).findings
    assert len(told) == 1
    assert (told[0].start, told[0].end) == (T0, T0 + 90)


def test_live_it_has_no_end_while_it_goes_on():
    """Four bad windows so far."""
    story = answered(20, windows=trunk_in(9, 9, 9, 9), live=True)
    assert diagnosed(story).findings[0].end is None


def test_a_look_at_a_long_call_is_quick():
    """Two hours of windows of a second: the work does not grow with the square of them."""
    windows_of_a_second = windows("agent", "in", *[loss(0, 50)] * 7200, length=1)
    story = answered(7200, windows=windows_of_a_second)
    began = time.process_time()
    assert found(story) == []
    assert time.process_time() - began < 5.0


bools = st.lists(st.one_of(st.none(), st.booleans()), max_size=60)


def samples(flags):
    return [Sample(start=5.0 * at, end=5.0 * at + 5) for at in range(len(flags))]


@given(bools)
def test_episodes_need_their_bad_samples_and_are_apart(flags):
    """Each has at least `enter` bad samples, begins and ends with one; no two overlap."""
    made = samples(flags)
    verdicts = dict(zip(made, flags, strict=True))
    told = episodes(made, verdicts.__getitem__, LIMITS.windows)
    last = -1.0
    for at, one in enumerate(told):
        end = one.end if one.end is not None else float("inf")
        inside = [s for s, bad in verdicts.items() if bad and one.start <= s.start and s.end <= end]
        assert len(inside) >= LIMITS.windows.enter
        assert inside[0].start == one.start
        assert one.start > last
        assert one.end is not None or at == len(told) - 1
        last = end


@given(bools)
def test_samples_that_say_nothing_change_nothing(flags):
    """Without the unknown ones the same samples are found bad, as often."""
    made = samples(flags)
    known = [(s, f) for s, f in zip(made, flags, strict=True) if f is not None]
    judged = dict(zip(made, flags, strict=True))
    with_unknown = episodes(made, judged.__getitem__, LIMITS.windows)
    without = episodes([s for s, _ in known], judged.__getitem__, LIMITS.windows)
    assert with_unknown == without


@given(bools)
def test_more_bad_samples_never_make_fewer_bad_seconds_disappear(flags):
    """If something is found, it is found as well where every sample is bad."""
    made = samples(flags)
    judged = dict(zip(made, flags, strict=True))
    if episodes(made, judged.__getitem__, LIMITS.windows):
        assert episodes(made, lambda _: True, LIMITS.windows) != []


# What a window is --------------------------------------------------------------------------------


def test_windows_of_a_second_are_put_together():
    """Fifteen bad seconds in a row are three samples."""
    seconds = [loss(10, 50)] * 15 + [loss(0, 50)] * 30
    assert found(answered(45, windows=windows("trunk", "in", *seconds, length=1))) == [
        ("media_degradation", "trunk", "in", ("MED-1",))
    ]
    assert len(samples_of(windows("trunk", "in", *seconds, length=1), LIMITS.windows)) == 9


def test_one_bad_second_in_each_five_is_averaged():
    """2 % over each five seconds is degraded, 0.4 % is not."""
    one = windows("trunk", "in", *[loss(10, 50), *[loss(0, 50)] * 4] * 9, length=1)
    assert rules(answered(45, windows=one)) == {"MED-1"}
    less = windows("trunk", "in", *[loss(2, 50), *[loss(0, 50)] * 4] * 9, length=1)
    assert rules(answered(45, windows=less)) == set()


def test_a_window_of_few_packets_is_not_judged():
    """Fewer than 100 packets say nothing about loss."""
    few = windows("trunk", "in", *[loss(20, 90)] * 12)
    enough = windows("trunk", "in", *[loss(20, 100)] * 12)
    assert rules(answered(60, windows=few)) == set()
    assert rules(answered(60, windows=enough)) == {"MED-1"}


def test_a_hole_between_windows_is_not_bridged():
    """Seconds before and after it make no sample together."""
    one = windows("trunk", "in", *[loss(9, 50)] * 3, length=1)
    two = windows("trunk", "in", *[loss(9, 50)] * 3, length=1, start=20)
    assert samples_of([*one, *two], LIMITS.windows) == []


@pytest.mark.parametrize(
    "percent,packets,expected",
    [
        (0.0, 3400, set()),
        (0.3, 3400, set()),
        (0.6, 3400, {"MED-2"}),
        (9.56, 3400, {"MED-2"}),
        (1.0, 300, set()),
    ],
)
def test_a_long_window_speaks_for_itself(percent, packets, expected):
    """The bridge's count over the whole call; a handful of packets is not enough."""
    story = answered(68, windows=windows("trunk", "in", loss(percent, packets), length=68))
    assert rules(story) == expected


def test_one_bad_minute_of_an_hour_is_found():
    """The average of the hour is 0.17 %, that of the minute 10 %."""
    minutes = [loss(0, 3000)] * 60
    minutes[30] = loss(10, 3000)
    finding = diagnosed(
        answered(3600, windows=windows("trunk", "in", *minutes, length=60))
    ).findings[0]
    assert (finding.start, finding.end) == (T0 + 1800, T0 + 1860)


def test_a_call_too_short_for_three_windows_is_judged_as_a_whole():
    """Ten seconds at 10 %, at the end; live it is too early to say."""
    short = trunk_in(10, 10)
    assert rules(answered(10, windows=short)) == {"MED-2"}
    assert rules(answered(10, windows=short, live=True)) == set()


def test_windows_before_the_answer_and_on_hold_do_not_count():
    """Early media and held media are not judged."""
    assert rules(answered(60, windows=trunk_in(9, 9, 9, start=-15))) == set()
    held = mark("hold", 0, 60)
    assert rules(answered(60, windows=trunk_in(*[9] * 12), marks=[held])) == set()


# Directions, legs, faults ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leg,fault", [("trunk", "network"), ("agent", "platform"), ("pstn", "carrier")]
)
@pytest.mark.parametrize("direction", ["in", "out"])
def test_each_leg_has_its_own_finding_and_fault(leg, direction, fault):
    """Loss of one leg is never told of another."""
    lossy = windows(leg, direction, *[loss(10)] * 12, source="x")
    story = answered(60, windows=lossy)
    assert found(story) == [("media_degradation", leg, direction, ("MED-1",))]
    assert diagnosed(story).fault == fault


def test_loss_that_was_there_beyond_the_carriers_edge_is_the_carriers():
    """The same direction is lossy on both sides of the edge."""
    story = answered(60, windows=[*trunk_in(*[9] * 12), *windows("pstn", "in", *[loss(9)] * 12)])
    assert diagnosed(story).fault == "carrier"
    other = answered(60, windows=[*trunk_in(*[9] * 12), *windows("pstn", "out", *[loss(0)] * 12)])
    assert diagnosed(other).fault == "network"


def test_recognition_bears_less_than_ears():
    """0.8 % is told towards the agent and not towards the caller."""
    lossy = [loss(0.8)] * 12
    assert rules(answered(60, windows=windows("trunk", "in", *lossy))) == {"MED-1"}
    assert rules(answered(60, windows=windows("trunk", "out", *lossy))) == set()


@pytest.mark.parametrize("percent,state", [(0, "good"), (1, "degraded"), (10, "bad")])
def test_the_media_state_is_the_worst(percent, state):
    """Good, degraded or bad, by the limits of the direction."""
    assert diagnosed(answered(60, windows=trunk_in(*[percent] * 12))).media_state == state


@pytest.mark.parametrize(
    "measure,degraded,fine,rule",
    [
        ("jitter_ms", 35.0, 20.0, "MED-4"),
        ("rtt_ms", 350.0, 200.0, "MED-5"),
        ("clipping_ratio", 0.02, 0.001, "MED-8"),
    ],
)
def test_each_measure_has_its_rule(measure, degraded, fine, rule):
    """Above its limit in three of five windows."""
    assert rules(answered(60, windows=windows("trunk", "in", *[{measure: degraded}] * 12))) == {
        rule
    }
    assert rules(answered(60, windows=windows("trunk", "in", *[{measure: fine}] * 12))) == set()
    twice = [{measure: degraded}] * 2 + [{measure: fine}] * 10
    assert rules(answered(60, windows=windows("trunk", "in", *twice))) == set()


def test_clipped_speech_of_the_agent_is_the_agents():
    """What was clipped before it came to the agent is nobody's that can be named."""
    clipped = [{"clipping_ratio": 0.05}] * 12
    assert diagnosed(answered(60, windows=windows("agent", "out", *clipped))).fault == "agent"
    assert diagnosed(answered(60, windows=windows("agent", "in", *clipped))).fault is None


def test_concealment_is_the_agent_legs_only_where_all_packets_came():
    """With a fifth of the packets missing it is the trunk's doing."""
    full = {"packet_count": 250, "concealment_ratio": 0.2}
    thin = {"packet_count": 200, "concealment_ratio": 0.2}
    assert rules(answered(60, windows=windows("agent", "in", *[full] * 12))) == {"MED-6"}
    assert rules(answered(60, windows=windows("agent", "in", *[thin] * 12))) == set()


def test_jitter_of_a_thinned_stream_is_not_the_agent_legs():
    """Holes of the trunk make jitter at the agent."""
    full = {"packet_count": 250, "jitter_ms": 60.0}
    thin = {"packet_count": 200, "jitter_ms": 60.0}
    assert rules(answered(60, windows=windows("agent", "in", *[full] * 12))) == {"MED-4"}
    assert rules(answered(60, windows=windows("agent", "in", *[thin] * 12))) == set()


def test_windows_of_one_source_may_know_different_things():
    """Statistics and audio of one place do not hide each other."""
    counted = windows("agent", "in", *[loss(10, 50)] * 60, length=1)
    heard = windows("agent", "in", *[{"clipping_ratio": 0.05}] * 60, length=1)
    both = sorted([*counted, *heard], key=lambda each: each.start)
    assert rules(answered(60, windows=both)) == {"MED-1", "MED-8"}


# Estimates ---------------------------------------------------------------------------------------


def estimated(*ratios, source="agent", **more):
    return windows(
        "trunk",
        "in",
        *[{"loss_ratio": r} for r in ratios],
        source=source,
        loss_method="estimated",
        **more,
    )


@pytest.mark.parametrize(
    "ratios,expected",
    [
        ([0.0] * 6, set()),
        ([0.0038] * 6, set()),
        ([0.033] * 6, {"MED-3"}),
        ([0.10] * 6, {"MED-3"}),
        ([0.06, 0.0, 0.0], {"MED-3"}),
        ([0.02, 0.0, 0.0, 0.0, 0.0, 0.0], set()),
        ([0.10] * 2, set()),
    ],
)
def test_estimated_loss_needs_a_margin_and_some_time(ratios, expected):
    """A window is within 3 points, a call within half a point; ten seconds say nothing."""
    assert rules(answered(len(ratios) * 5, windows=estimated(*ratios))) == expected


def test_a_count_replaces_an_estimate():
    """Where the bridge counted no loss, no estimate is a finding."""
    story = answered(60, windows=[*clean_media(), *estimated(*[0.1] * 12)])
    assert found(story) == []
    assert diagnosed(story).fault == "none"


def test_a_count_of_another_time_replaces_nothing():
    """The bridge counted ten seconds of sixty."""
    counted = [window("trunk", "in", 0, 10, packet_count=500, lost_count=0)]
    assert rules(answered(60, windows=[*counted, *estimated(*[0.1] * 12)])) == {"MED-3"}


def test_estimated_loss_is_the_networks_too():
    """The bearer of proof is the same; the evidence says that it is an estimate."""
    told = diagnosed(answered(60, windows=estimated(*[0.1] * 12)))
    assert (told.fault, told.findings[0].evidence) == ("network", ("MED-3",))
