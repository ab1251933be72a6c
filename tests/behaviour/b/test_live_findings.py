"""Findings of a live call outside LiveKit: when they come, how often, and whose fault they name."""

from __future__ import annotations

import pytest

import trunktrace
from behaviour.kit import FACTS, Pipeline, fake_time, ours
from trunktrace.timeline import Mark

EVENT = "trunktrace.failure"
MODE = "trunktrace.failure.mode"


class Live:
    """A phone call on a fake clock; `say` states windows of five seconds."""

    def __init__(self, **facts):
        self.facts = {**FACTS, **facts}
        self.pipe = Pipeline()

    def __enter__(self):
        self._clock = fake_time()
        self.time = self._clock.__enter__()
        self._scope = self.pipe.call(**self.facts)
        self.call = self._scope.__enter__()
        return self

    def __exit__(self, *exc):
        self._scope.__exit__(None, None, None)
        self._clock.__exit__(None, None, None)

    def say(self, *ratios, direction="in", leg="trunk", length=5.0, method="counted", **more):
        """One window after the other from now on; the clock goes with them."""
        for ratio in ratios:
            start, packets = self.time.now, round(50 * length)
            lost = round(packets * ratio)
            self.time.now = start + length
            counts = (
                {"packet_count": packets - lost, "lost_count": lost} if method == "counted" else {}
            )
            self.call.record_media(
                leg=leg, direction=direction, loss_ratio=ratio, loss_method=method,
                start=self.time.unix(start), end=self.time.unix(self.time.now), **counts, **more,
            )  # fmt: skip

    def both(self, *pairs, length=5.0):
        """Packets that came in and went out in each window."""
        for came, went in pairs:
            start = self.time.now
            self.time.now = start + length
            for direction, count in (("in", came), ("out", went)):
                self.call.record_media(
                    leg="trunk", direction=direction, packet_count=count,
                    start=self.time.unix(start), end=self.time.unix(self.time.now),
                )  # fmt: skip

    @property
    def root(self):
        return self.pipe.attributes("sip.call")

    @property
    def events(self):
        return [e for e in self.pipe.named("sip.call").events if e.name == EVENT]


def second(event):
    return event.timestamp / 1e9 - 1_790_000_000


def test_a_degraded_trunk_is_an_event_once_and_an_attribute():
    """Entered on three bad windows of five; one event while it goes on; fault network."""
    with Live() as live:
        live.say(0, 0, 0.08, 0.08, 0.08, 0.08, 0.08, 0.08, 0.08, 0, 0)
    assert len(live.events) == 1
    event = live.events[0]
    assert second(event) == pytest.approx(25, abs=5.1)
    attributes = dict(event.attributes)
    assert attributes[MODE] == "media_degradation"
    assert attributes["trunktrace.leg"] == "trunk"
    assert attributes["rtp.direction"] == "in"
    assert attributes["trunktrace.failure.evidence"]
    assert attributes["trunktrace.window.start_unix_ms"] == (1_790_000_010) * 1000
    assert attributes["trunktrace.window.end_unix_ms"] <= (1_790_000_055) * 1000
    assert live.root[MODE] == "media_degradation"
    assert live.root["trunk.fault"] == "network"
    assert live.root["trunktrace.media.state"] in ("degraded", "bad")


@pytest.mark.parametrize(
    "ratios",
    [
        (0, 0.08, 0, 0, 0, 0, 0.08, 0, 0, 0, 0, 0.08, 0, 0),
        (0.08, 0.08, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0),
        (0.002,) * 12,
    ],
    ids=["single bad windows", "two bad windows", "a little all the time"],
)
def test_hysteresis_holds_against_single_bad_windows(ratios):
    """Fewer than three of five windows, or little loss, is no event while the call goes on."""
    with Live() as live:
        live.say(*ratios)
        span = live.call.story()
        assert span is not None
    early = [e for e in live.events if second(e) < live.time.now - 0.001]
    assert early == []


def test_a_second_bad_time_after_recovery_is_not_told_as_the_same_event_again():
    """Bad, clean for long, bad again: at most one event a mode, leg and direction and incident."""
    with Live() as live:
        live.say(*(0.08,) * 4, *(0.0,) * 6, *(0.08,) * 4)
    assert 1 <= len(live.events) <= 2
    starts = {e.attributes["trunktrace.window.start_unix_ms"] for e in live.events}
    assert len(starts) == len(live.events)


def test_each_direction_is_its_own_finding():
    """Towards the caller only: `out`, and nothing about `in`."""
    with Live() as live:
        live.say(*(0.08,) * 6, direction="out")
    assert [(e.attributes[MODE], e.attributes["rtp.direction"]) for e in live.events] == [
        ("media_degradation", "out")
    ]
    assert "rtp.in.loss_ratio" not in live.root


def test_a_lossy_agent_leg_is_never_the_trunks():
    """Loss on the agent's leg: whatever is found, it is on that leg, and no fault of the trunk."""
    with Live() as live:
        live.say(*(0.0,) * 8)
        live.time.now = 0
        live.say(*(0.1,) * 8, leg="agent")
    assert all(e.attributes["trunktrace.leg"] == "agent" for e in live.events)
    assert live.root.get("trunk.fault") not in ("network", "carrier")
    assert live.root["rtp.loss_ratio"] == 0.0


def test_loss_beyond_the_edge_is_the_carriers():
    """The carrier's own observation (pstn leg) with a clean trunk is evidence against it."""
    with Live() as live:
        live.say(*(0.0,) * 8)
        live.time.now = 0
        live.say(*(0.1,) * 8, leg="pstn", source="twilio.insights")
    assert live.root.get("trunk.fault") in ("carrier", None)
    assert live.root.get("trunk.fault") != "network"
    assert "rtp.in.loss_ratio" not in live.root or live.root["rtp.in.loss_ratio"] == 0


def test_a_clean_call_has_no_finding_and_nobodys_fault():
    """Twelve clean windows each way: no event, no mode, fault none, state good."""
    with Live() as live:
        live.say(*(0.0,) * 12)
        live.time.now = 0
        live.say(*(0.0,) * 12, direction="out")
    assert live.events == []
    assert MODE not in live.root
    assert live.root["trunk.fault"] == "none"
    assert live.root["trunktrace.media.state"] == "good"
    assert live.root["sip.call.outcome"] == "answered"


def test_nothing_in_while_something_goes_out_is_one_way_audio():
    """Packets go out and none come for ten seconds: `in`, an event, no loss ratio."""
    with Live() as live:
        live.call.mark(Mark(kind="answered", start=live.time.unix(0)))
        live.both(*[(0, 250)] * 4)
    found = [(e.attributes[MODE], e.attributes["rtp.direction"]) for e in live.events]
    assert found == [("one_way_audio", "in")]
    assert "rtp.loss_ratio" not in live.root
    assert live.root["trunktrace.media.state"] == "one_way"


def test_nothing_either_way_is_not_one_way():
    """Both directions zero is a media failure, not one-way audio."""
    with Live() as live:
        live.call.mark(Mark(kind="answered", start=live.time.unix(0)))
        live.both(*[(0, 0)] * 4)
    assert "one_way_audio" not in [e.attributes[MODE] for e in live.events]


def test_a_held_call_is_not_one_way():
    """On hold nothing needs to come."""
    with Live() as live:
        live.call.mark(Mark(kind="answered", start=live.time.unix(0)))
        live.both(*[(250, 250)] * 2)
        live.call.mark(Mark(kind="hold", start=live.time.unix(10), end=live.time.unix(30)))
        live.both(*[(0, 250)] * 4, *[(250, 250)] * 2)
    assert live.events == []


def test_a_call_of_four_seconds_is_not_judged():
    """Short: no one-way audio."""
    with Live() as live:
        live.call.mark(Mark(kind="answered", start=live.time.unix(0)))
        live.both((0, 100), (0, 100), length=2.0)
    assert live.events == []


def test_an_unanswered_call_is_not_one_way():
    """A refused call has no media to miss."""
    with Live(status_code=486, direction="outbound", codec=None) as live:
        live.both(*[(0, 250)] * 4)
    assert {e.attributes[MODE] for e in live.events} == {"call_setup_failure"}
    assert live.root["trunk.fault"] == "callee"
    assert live.root["sip.call.outcome"] == "busy"


def test_slow_models_and_failing_recognition_blame_no_trunk():
    """Long LLM spans and STT errors on a clean trunk: no finding, fault none or the agent's."""
    with Live() as live:
        for n in range(10):
            live.say(0.0)
            at = live.time.now
            for name in ("stt", "llm_node", "user_turn"):
                span = live.pipe.tracer.start_span(name, start_time=live.time.ns(at - 4.9))
                span.record_exception(RuntimeError("recognition failed"))
                span.set_status(trunktrace.start.StatusCode.ERROR)  # type: ignore[attr-defined]
                span.end(live.time.ns(at))
            assert n >= 0
    assert live.events == []
    assert live.root["trunk.fault"] in ("none", "agent")


def test_the_loss_of_the_bridge_alone_is_the_networks():
    """From the bridge alone nobody can say whether it was the carrier: `network`."""
    with Live() as live:
        live.say(*(0.2,) * 6, source="livekit-sip")
    assert live.root["trunk.fault"] == "network"


def test_a_job_without_sip_has_no_key_and_no_finding():
    """A browser's call: media windows make no finding, and no key of ours comes from them."""
    from trunktrace.registry import calls  # the way a LiveKit job opens a call

    assert len(calls) == 0
    pipe = Pipeline()
    with fake_time() as time_:
        root = pipe.tracer.start_span("job_entrypoint", start_time=time_.ns(0))
        call = trunktrace.start.open_call(root, owns_trace=True, redaction=trunktrace.Redaction())
        from trunktrace.windows import MediaWindow

        for start in range(0, 60, 5):
            time_.now = start + 5
            call.observe_media(
                MediaWindow(
                    leg="agent",
                    direction="in",
                    start=time_.unix(start),
                    end=time_.unix(start + 5),
                    source="livekit",
                    packet_count=10,
                    lost_count=240,
                    loss_ratio=0.96,
                )
            )
        root.end(time_.ns(60))
    found = pipe.named("job_entrypoint")
    assert ours(found.attributes) == {}
    assert not [event for event in found.events if event.name.startswith("trunktrace")]


def test_an_estimate_that_the_count_refutes_leaves_no_finding():
    """The agent estimated 9 %; the bridge counted 0 over the same time: the count wins."""
    with Live() as live:
        live.say(*(0.0,) * 4)
        live.time.now = 0
        live.say(*(0.09,) * 4, method="estimated", source="agent")
    assert live.root["rtp.loss_ratio"] == 0.0
    assert live.root["rtp.loss_method"] == "counted"
    assert MODE not in live.root
    assert live.root["trunk.fault"] == "none"


def test_clipped_audio_is_media_degradation_and_no_loss():
    """Clipping above the thresholds: its own evidence, no loss ratio."""
    with Live() as live:
        for start in range(0, 40, 5):
            live.time.now = start + 5
            live.call.record_media(
                leg="trunk", direction="in", clipping_ratio=0.08, silence_ratio=0.2,
                start=live.time.unix(start), end=live.time.unix(start + 5),
            )  # fmt: skip
    assert [e.attributes[MODE] for e in live.events] == ["media_degradation"]
    assert "rtp.loss_ratio" not in live.root
    assert live.root["rtp.in.clipping_ratio"] == pytest.approx(0.08)


def test_the_customer_record_that_does_not_match_is_misrouting():
    """Another caller, country or region than the record says; nothing of it in clear."""
    with Live(caller_number="+15553216549") as live:
        live.call.expect(caller="+15550000001", country="DE", region="eu-west")
        live.say(*(0.0,) * 3)
    assert [e.attributes[MODE] for e in live.events] == ["misrouting"]
    everything = str(live.root) + str([dict(e.attributes) for e in live.events])
    assert "5550000001" not in everything
    assert "5553216549" not in everything


def test_the_customer_record_that_matches_is_no_finding():
    """The same number in another spelling matches."""
    with Live(caller_number="+15553216549") as live:
        live.call.expect(caller="(555) 321-6549", country="US", region="us1")
        live.call.expect(caller="+1 555 321 6549")
        live.say(*(0.0,) * 3)
    assert live.events == []


def test_a_late_recording_is_a_compliance_finding_with_its_delay():
    """Begun 12 s after the answer: delay on the root, a finding; at once: the delay alone."""
    for started, late in ((12.0, True), (0.3, False)):
        with Live() as live:
            live.call.mark(Mark(kind="answered", start=live.time.unix(0)))
            live.call.record_recording(started=live.time.unix(started))
            live.say(*(0.0,) * 5)
        assert live.root["trunktrace.recording.start_delay_ms"] == pytest.approx(started * 1000)
        assert ([e.attributes[MODE] for e in live.events] == ["compliance"]) is late
