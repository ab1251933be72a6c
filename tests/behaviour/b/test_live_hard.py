"""A live call under load and abuse: threads, late statements, many windows, odd windows."""

from __future__ import annotations

import threading
import time

import pytest

from behaviour.kit import FACTS, Pipeline, fake_time

from .test_live_findings import EVENT, MODE, Live


def test_windows_from_many_threads_make_one_event():
    """Four threads state the same bad minute at once: one event, sane facts, no exception."""
    with Live() as live:
        live.time.now = 60

        def state(offset):
            for n in range(0, 60, 5):
                for _ in range(5):
                    live.call.record_media(
                        leg="trunk", direction="in", loss_ratio=0.1,
                        packet_count=225, lost_count=25,
                        start=live.time.unix(n), end=live.time.unix(n + 5), source=f"s{offset}",
                    )  # fmt: skip

        threads = [threading.Thread(target=state, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert [e.attributes[MODE] for e in live.events] == ["media_degradation"]
    assert live.root["rtp.in.loss_ratio"] == pytest.approx(0.1)


def test_statements_after_the_end_do_nothing():
    """A reference kept too long: no exception, nothing changes."""
    with Live() as live:
        live.say(0.0, 0.0)
        kept = live.call
    before = dict(live.root)
    with fake_time() as time_:
        time_.now = 90
        kept.record(carrier="other")
        for n in range(0, 60, 5):
            kept.record_media(
                leg="trunk", direction="in", loss_ratio=0.5, packet_count=125, lost_count=125,
                start=time_.unix(n), end=time_.unix(n + 5),
            )  # fmt: skip
        kept.record_task("completed")
        kept.record_recording()
        kept.expect(caller="+15550000001")
    assert dict(live.root) == before


def test_a_long_call_does_not_grow_dear():
    """Windows each second for forty minutes: the last quarter costs at most twice the first."""
    took = []
    with Live() as live:
        for quarter in range(4):
            begin = time.perf_counter()
            for second in range(quarter * 600, quarter * 600 + 600):
                live.time.now = second + 1
                live.call.record_media(
                    leg="trunk", direction="in", loss_ratio=0.0, packet_count=50, lost_count=0,
                    start=live.time.unix(second), end=live.time.unix(second + 1),
                )  # fmt: skip
            took.append(time.perf_counter() - begin)
    assert took[-1] < took[0] * 2 + 1, took
    assert live.events == []
    assert live.root["rtp.in.packet_count"] == 50 * 2400


@pytest.mark.parametrize("length", [0.5, 1, 2, 5, 10, 20])
def test_bad_windows_of_any_length_are_found(length):
    """A minute of 8 % loss told in short or long windows is the same finding."""
    with Live() as live:
        live.say(*(0.08,) * int(60 / length), length=length)
    assert [(e.attributes[MODE], e.attributes["rtp.direction"]) for e in live.events] == [
        ("media_degradation", "in")
    ]


def test_few_packets_say_nothing():
    """Windows of ten packets with one lost are 10 %, and no evidence."""
    with Live() as live:
        for n in range(0, 15, 5):
            live.time.now = n + 5
            live.call.record_media(
                leg="trunk", direction="in", loss_ratio=0.1, packet_count=9, lost_count=1,
                start=live.time.unix(n), end=live.time.unix(n + 5),
            )  # fmt: skip
    assert live.events == []


def test_windows_that_come_out_of_order_are_the_same_story():
    """The bridge's windows arrive late and shuffled: the finding and the loss are the same."""
    spans = [(n, 0.08 if 20 <= n < 50 else 0.0) for n in range(0, 80, 5)]
    answers = []
    for order in (spans, spans[::-1], spans[::2] + spans[1::2]):
        with Live() as live:
            live.time.now = 80
            for start, ratio in order:
                live.call.record_media(
                    leg="trunk", direction="in", loss_ratio=ratio,
                    packet_count=round(250 * (1 - ratio)),
                    lost_count=round(250 * ratio),
                    start=live.time.unix(start), end=live.time.unix(start + 5),
                )  # fmt: skip
        answers.append((live.root["rtp.in.loss_ratio"], live.root[MODE], live.root["trunk.fault"]))
    assert len(set(answers)) == 1, answers


def test_two_calls_at_once_keep_their_findings_apart():
    """One bad, one clean, in two threads: events and attributes on their own roots."""
    pipes = {"bad": Pipeline(seed=1), "good": Pipeline(seed=2)}
    with fake_time() as time_:
        time_.now = 60

        def run(name, ratio):
            with pipes[name].call(**FACTS) as call:
                for n in range(0, 60, 5):
                    call.record_media(
                        leg="trunk", direction="in", loss_ratio=ratio,
                        packet_count=round(250 * (1 - ratio)), lost_count=round(250 * ratio),
                        start=time_.unix(n), end=time_.unix(n + 5),
                    )  # fmt: skip

        threads = [
            threading.Thread(target=run, args=pair) for pair in (("bad", 0.1), ("good", 0.0))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    bad, good = pipes["bad"].named("sip.call"), pipes["good"].named("sip.call")
    assert [e.name for e in bad.events] == [EVENT]
    assert list(good.events) == []
    assert good.attributes["trunk.fault"] == "none"


def test_an_overlap_of_short_and_long_windows_counts_packets_once():
    """The bridge tells each 5 s and then the whole minute: the root's loss is not counted twice."""
    with Live() as live:
        for n in range(0, 60, 5):
            live.time.now = n + 5
            live.call.record_media(
                leg="trunk", direction="in", loss_ratio=0.02, packet_count=245, lost_count=5,
                start=live.time.unix(n), end=live.time.unix(n + 5), source="livekit-sip",
            )  # fmt: skip
        live.call.record_media(
            leg="trunk", direction="in", loss_ratio=0.02, packet_count=2940, lost_count=60,
            start=live.time.unix(0), end=live.time.unix(60), source="livekit-sip",
        )  # fmt: skip
    assert live.root["rtp.in.lost_count"] == 60
    assert live.root["rtp.in.packet_count"] == 2940
    assert live.root["rtp.in.loss_ratio"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "code,direction,fault,outcome",
    [
        (404, "outbound", {"callee", "caller", "operator", "carrier", None}, "invalid_number"),
        (403, "outbound", {"operator", None}, "rejected"), (486, "outbound", {"callee"}, "busy"),
        (503, "outbound", {"carrier", None}, "congestion"),
        (607, "outbound", {"callee"}, "blocked"),
        (608, "outbound", {"intermediary"}, "blocked"), (407, "outbound", {"operator"}, "failed"),
    ],
)  # fmt: skip
def test_a_refused_call_is_a_setup_failure_with_its_outcome(code, direction, fault, outcome):
    """A stated final code: one event, outcome and fault of the code, no media state."""
    with Live(status_code=code, direction=direction, codec=None) as live:
        live.time.now = 4
    assert [e.attributes[MODE] for e in live.events] == ["call_setup_failure"]
    assert live.root["sip.call.outcome"] == outcome
    assert live.root.get("trunk.fault") in fault
    assert "trunktrace.media.state" not in live.root
    assert "rtp.direction" not in live.events[0].attributes
