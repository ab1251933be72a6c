"""The agent leg from RTC statistics: deltas of running totals, whatever the totals do."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.quality.deltas import Deltas, agent_windows
from trunktrace.quality.rtc import Inbound, Outbound, Sample, sample_of
from trunktrace.sources.livekit.rtc import parse, read
from trunktrace.windows import MediaWindow

from .captured import CLEAN, LOSSY, NEVER_ANSWERED, ONE_WAY, file_of, messages_of, samples_of
from .line import BEGIN


def heard(received: int, lost: int = 0, **more: object) -> Inbound:
    return Inbound(ssrc=1, track_id="a", packets_received=received, packets_lost=lost, **more)


def said(sent: int, **more: object) -> Outbound:
    return Outbound(ssrc=9, packets_sent=sent, **more)


def at(seconds: float, inbound: Inbound | None = None, **more: object) -> Sample:
    return Sample(t=BEGIN + seconds, inbound=inbound, **more)


def windows(*samples: Sample, direction: str = "in", **more: object) -> list[MediaWindow]:
    found = agent_windows(samples, **more)
    return [window for window in found if window.direction == direction]


def test_a_window_is_the_difference_of_two_looks():
    """Counts, loss, jitter and times are those of the second between the looks."""
    (window,) = windows(at(0, heard(100, 2)), at(1, heard(148, 4, jitter_s=0.004)))
    assert (window.leg, window.direction, window.source) == ("agent", "in", "livekit-rtc")
    assert (window.start, window.end) == (BEGIN, BEGIN + 1)
    assert (window.packet_count, window.lost_count) == (48, 2)
    assert window.loss_ratio == pytest.approx(0.04)
    assert window.jitter_ms == pytest.approx(4)
    assert window.loss_method == "counted"


def test_audible_concealment_is_a_share_of_the_samples_played():
    """Concealed silence is no damage: only the rest counts."""
    old = heard(0, total_samples=48_000, concealed_samples=100, silent_concealed_samples=100)
    new = heard(50, total_samples=96_000, concealed_samples=5_000, silent_concealed_samples=200)
    assert windows(at(0, old), at(1, new))[0].concealment_ratio == pytest.approx(0.1)
    (unknown,) = windows(at(0, heard(0)), at(1, heard(50)))
    assert unknown.concealment_ratio is None


def test_counters_that_go_back_give_no_window_and_then_go_on():
    """After a reset the next difference is of the new counters."""
    found = windows(at(0, heard(500)), at(1, heard(10)), at(2, heard(60)))
    assert [(w.start - BEGIN, w.packet_count) for w in found] == [(1, 50)]


def test_another_track_is_never_subtracted_from_the_one_before():
    """A new SSRC or track id starts anew, even where its counters are larger."""
    other = dataclasses.replace(heard(900), ssrc=2)
    more = dataclasses.replace(heard(950), ssrc=2)
    found = windows(at(0, heard(500)), at(1, other), at(2, more))
    assert [(w.start - BEGIN, w.packet_count) for w in found] == [(1, 50)]
    named = dataclasses.replace(heard(950), track_id="b")
    assert windows(at(0, heard(900)), at(1, named)) == []


def test_a_look_without_the_track_leaves_a_gap_that_the_next_one_closes():
    """Nothing is said while the entry is away; the window then covers all the time."""
    found = windows(at(0, heard(100)), at(1), at(2, heard(200)))
    assert [(w.duration_s, w.packet_count) for w in found] == [(2, 100)]


def test_after_the_hang_up_nothing_more_is_said():
    """The entry vanishes with the participant: that is no window without packets."""
    found = windows(at(0, heard(100)), at(1, heard(150)), at(2), at(3), subscribed=(BEGIN, None))
    assert [w.packet_count for w in found] == [50]


def test_a_repeated_look_is_not_a_window():
    """The same time, or nearly, twice: one look."""
    found = windows(at(0, heard(100)), at(0, heard(100)), at(0.1, heard(105)), at(1, heard(150)))
    assert [(w.duration_s, w.packet_count) for w in found] == [(1, 50)]


def test_a_clock_set_back_costs_one_window():
    """Nothing is said across the jump; afterwards all is as before."""
    found = windows(at(10, heard(100)), at(5, heard(150)), at(6, heard(200)))
    assert [(w.start - BEGIN, w.packet_count) for w in found] == [(5, 50)]


def test_looks_may_be_seconds_apart():
    """A window is as long as the time between two looks."""
    found = windows(at(0, heard(0)), at(4, heard(200)), at(5, heard(250)), at(8.5, heard(425)))
    assert [(w.duration_s, w.packet_count) for w in found] == [(4, 200), (1, 50), (3.5, 175)]


def test_a_track_that_stands_still_has_windows_of_no_packets():
    """The entry is there and nothing comes: a count of 0, and no loss and no jitter of it."""
    (window,) = windows(at(0, heard(50)), at(1, heard(50, jitter_s=0.001)))
    assert (window.packet_count, window.loss_ratio, window.jitter_ms) == (0, None, None)


@pytest.mark.parametrize("subscribed, counts", [(True, [0, 0]), (False, []), (None, [])])
def test_nothing_received_is_said_only_of_a_subscribed_track(subscribed, counts):
    """Without an entry there is a count of 0 only where the caller's track is subscribed."""
    deltas = Deltas()
    found = [w for s in (at(0), at(1), at(2)) for w in deltas.add(s, subscribed)]
    assert [w.packet_count for w in found] == counts
    assert all(w.loss_ratio is None for w in found)


def test_the_first_packets_of_a_subscribed_track_are_counted():
    """The look that brings the entry says how many came since the one without."""
    found = windows(at(0), at(1), at(2, heard(40)), subscribed=(BEGIN, None))
    assert [w.packet_count for w in found] == [0, 40]


def test_several_tracks_and_nobody_says_whose_is_no_evidence():
    """An ambiguous look is never a count of 0."""
    deltas = Deltas()
    deltas.add(at(0), True)
    assert deltas.add(at(1, ambiguous=True), True) == ()


def test_the_way_out_counts_packets_sent_and_takes_loss_from_reports():
    """Loss, jitter and round trip are said in the windows in which a report came."""
    first = said(100, reported_at=1.0, packets_lost=0, rtt_s=0.02)
    same = dataclasses.replace(first, packets_sent=150)
    second = said(200, reported_at=2.0, packets_lost=5, jitter_s=0.003, rtt_s=0.04)
    silent, report = windows(
        at(0, outbound=first),
        at(1, outbound=same),
        at(2, outbound=second, pair_rtt_s=0.5),
        direction="out",
    )
    assert (silent.packet_count, silent.lost_count, silent.loss_ratio) == (50, None, None)
    assert (report.packet_count, report.lost_count) == (50, 5)
    assert report.loss_ratio == pytest.approx(0.05)
    assert report.jitter_ms == pytest.approx(3)
    assert report.rtt_ms == pytest.approx(40)


def test_silence_of_the_agent_is_no_loss():
    """The agent's Opus uses DTX: few packets sent, nothing lost."""
    looks = [
        at(i, outbound=said(4 * i, reported_at=float(i + 1), packets_lost=0)) for i in range(4)
    ]
    found = windows(*looks, direction="out")
    assert [w.packet_count for w in found] == [4, 4, 4]
    assert [w.loss_ratio for w in found] == [0.0, 0.0, 0.0]


def test_a_round_trip_of_zero_of_the_connection_is_a_value():
    """On a loopback it is 0: known, and not absent."""
    looks = [at(i, heard(50 * i), pair_rtt_s=0.0) for i in range(2)]
    assert windows(*looks)[0].rtt_ms == 0.0
    looks = [at(i, outbound=said(50 * i), pair_rtt_s=0.0) for i in range(2)]
    assert windows(*looks, direction="out")[0].rtt_ms == 0.0


def test_a_round_trip_that_was_never_measured_is_unknown():
    """Zero measurements, or no answer yet on the connection, is no round trip of 0."""
    report = {"round_trip_time": 0.0, "round_trip_time_measurements": 0}
    stream = {"ssrc": 9, "kind": "audio"}
    pair = {"nominated": True, "responses_received": 0, "current_round_trip_time": 0.0}
    sample = sample_of(
        [
            ("outbound_rtp", {"stream": stream, "sent": {"packets_sent": 5}}),
            ("remote_inbound_rtp", {"stream": stream, "remote_inbound": report}),
            ("candidate_pair", {"candidate_pair": pair}),
        ],
        at=BEGIN,
    )
    assert sample.outbound is not None
    assert sample.outbound.rtt_s is None
    assert sample.pair_rtt_s is None
    assert sample.t == BEGIN


def test_two_incoming_tracks_are_told_apart_by_ssrc_or_not_at_all():
    """Without the caller's SSRC the look is ambiguous; with it, it is the caller's."""
    entries = [
        (
            "inbound_rtp",
            {
                "stream": {"ssrc": ssrc, "kind": kind},
                "received": {"packets_received": 10 * ssrc, "packets_lost": 0},
            },
        )
        for ssrc, kind in ((1, "audio"), (2, "audio"), (3, "video"))
    ]
    unsure = sample_of(entries, at=BEGIN)
    assert unsure.inbound is None
    assert unsure.ambiguous
    known = sample_of(entries, at=BEGIN, ssrcs={2})
    assert known.inbound is not None
    assert (known.inbound.packets_received, known.ambiguous) == (20, False)


@pytest.mark.parametrize("name", [*CLEAN, *LOSSY])
def test_captured_calls_have_no_loss_on_the_agent_leg(name):
    """Real statistics: windows add up to the counters, and the agent leg lost nothing."""
    samples = [s for s in samples_of(name) if s.inbound is not None]
    found = windows(*samples_of(name))
    first, last = samples[0].inbound, samples[-1].inbound
    assert first is not None
    assert last is not None
    assert sum(w.packet_count or 0 for w in found) == last.packets_received - first.packets_received
    assert {w.lost_count for w in found} == {0}
    assert all(0 <= (w.jitter_ms or 0) < 30 for w in found)
    assert all(w.packet_count for w in windows(*samples_of(name), direction="out"))


def test_a_caller_who_never_came_through_is_a_count_of_zero_once_the_track_is_known():
    """Capture 09: subscribed, and in no look is there an entry: every second says 0."""
    samples = samples_of(ONE_WAY)
    assert windows(*samples) == []
    span = (samples[0].t, samples[-1].t)
    assert [w.packet_count for w in windows(*samples, subscribed=span)] == [0] * 16


@pytest.mark.parametrize("name", [*CLEAN, *LOSSY, ONE_WAY])
def test_protobuf_and_json_give_the_same_samples(name):
    """What LiveKit gives live and what a file holds are read alike."""
    live = [
        sample_of([(m.WhichOneof("stats"), getattr(m, m.WhichOneof("stats"))) for m in look], at=0)
        for look in messages_of(name)
    ]
    assert live == list(samples_of(name))


@pytest.mark.parametrize("name", [*CLEAN, *LOSSY])
def test_a_file_is_one_observation_of_the_agent_leg(name):
    """The reader gives the agent leg's windows and the estimates, in one observation."""
    parsed = parse(file_of(name))
    (seen,) = parsed.observations
    assert (seen.source, seen.leg, parsed.broken) == ("livekit-rtc", "agent", ())
    assert {(w.leg, w.direction) for w in seen.windows} == {
        ("agent", "in"),
        ("agent", "out"),
        ("trunk", "in"),
    }
    assert seen.start is not None
    assert seen.end is not None
    assert seen.start < seen.end


@pytest.mark.parametrize("name", NEVER_ANSWERED)
def test_a_file_without_media_says_nothing(name):
    """No observation, and nothing broken."""
    assert parse(file_of(name)).observations == ()
    assert parse(file_of(name)).broken == ()


def test_broken_lines_are_named_and_the_rest_is_read():
    """Each line that is no look is told with its number; the others stand."""
    good = file_of(CLEAN[1]).splitlines()
    wrong = [b"{", b'{"t": "now"}', b'{"t": 5}', b'{"t": 5, "publisher": 3}', b"[]"]
    samples, broken = read(b"\n".join([*wrong, *good]))
    assert [one.line for one in broken] == [1, 2, 3, 4, 5]
    assert len(samples) == len(good)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_part = st.dictionaries(
    st.sampled_from(
        [
            "ssrc", "kind", "packets_received", "packets_lost", "jitter", "timestamp",
            "track_identifier", "packets_sent", "total_samples_received", "concealed_samples",
            "last_packet_received_timestamp", "nominated", "responses_received",
            "current_round_trip_time",
        ]
    ),
    _anything,
)  # fmt: skip
_entry = st.dictionaries(
    st.sampled_from(["rtc", "stream", "received", "inbound", "sent", "candidate_pair", "kind"]),
    _part | st.sampled_from(["inbound_rtp", "outbound_rtp", "candidate_pair"]) | _anything,
)


@given(st.lists(st.fixed_dictionaries({"t": _anything, "publisher": st.lists(_entry)}), max_size=4))
def test_whatever_a_file_holds_the_reader_never_raises(looks):
    """Any JSON: observations and broken lines, ratios within 0..1, no exception."""
    data = b"\n".join(json.dumps(look).encode() for look in looks)
    for seen in parse(data).observations:
        for window in seen.windows:
            assert 0 <= (window.loss_ratio or 0) <= 1
            assert window.start <= window.end


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.none() | st.tuples(st.integers(0, 9999), st.integers(-99, 9999), st.integers(0, 2)),
            st.none() | st.tuples(st.integers(0, 9999), st.integers(-9, 99), st.floats(0, 9)),
            st.sampled_from([None, True, False]),
        ),
        max_size=12,
    )
)
def test_whatever_the_counters_do_windows_stay_possible(looks):
    """Any counters in any order: no negative count, no ratio outside 0..1, no exception."""
    deltas = Deltas()
    for t, inbound, outbound, subscribed in looks:
        sample = at(
            t,
            inbound and dataclasses.replace(heard(*inbound[:2]), ssrc=inbound[2]),
            outbound=outbound
            and said(outbound[0], packets_lost=outbound[1], reported_at=outbound[2]),
        )
        for window in deltas.add(sample, subscribed):
            assert window.end > window.start
            assert (window.packet_count or 0) >= 0
            assert (window.lost_count or 0) >= 0
            assert 0 <= (window.loss_ratio or 0) <= 1
