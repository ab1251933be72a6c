"""The metrics of calls: what one call adds, with which labels, and where its exemplar leads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import trunktrace
from trunktrace import conventions as c
from trunktrace.diagnosis.findings import Diagnosis, Finding
from trunktrace.diagnosis.story import Story
from trunktrace.directory import Directory
from trunktrace.guard import reraising
from trunktrace.livecall import LiveCall
from trunktrace.metrics import CallMetrics, points
from trunktrace.metrics.ended import EndedCall
from trunktrace.metrics.invites import failovers, invites
from trunktrace.metrics.points import failures
from trunktrace.registry import CallRegistry, calls
from trunktrace.timeline import Attempt, Mark

LABELS = {"trunk.carrier": "telnyx", "sip.call.direction": "inbound"}


@dataclass(frozen=True, slots=True)
class Point:
    """One data point as the SDK exports it."""

    labels: dict[str, Any]
    value: float
    count: int | None
    traces: tuple[int, ...]
    bounds: tuple[float, ...]


class Read:
    """Metrics of the calls that are made while it stands."""

    def __init__(self, registry: CallRegistry = calls) -> None:
        self.reader = InMemoryMetricReader()
        self.metrics = CallMetrics(registry)
        self.metrics.install(MeterProvider([self.reader], shutdown_on_exit=False))

    def points(self, name: str) -> list[Point]:
        """What has been recorded under this name so far."""
        return [
            Point(
                dict(one.attributes or {}),
                getattr(one, "value", None) if hasattr(one, "value") else one.sum,
                getattr(one, "count", None),
                tuple(exemplar.trace_id or 0 for exemplar in one.exemplars),
                tuple(getattr(one, "explicit_bounds", ())),
            )
            for metric in self.all()
            if metric.name == name
            for one in metric.data.data_points
        ]

    def all(self) -> list[Any]:
        """Every metric that has points."""
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def one(self, name: str) -> Point:
        """The only point of this name."""
        (point,) = self.points(name)
        return point


@pytest.fixture
def read() -> Read:
    return Read()


@pytest.fixture
def tracers() -> Iterator[TracerProvider]:
    provider = TracerProvider()
    yield provider
    provider.shutdown()


@pytest.fixture
def call(tracers) -> Iterator[LiveCall]:
    """An answered call that is still open."""
    facts = {"direction": "inbound", "carrier": "telnyx", "status_code": 200}
    scope = trunktrace.start_call(tracer_provider=tracers, **facts)
    with scope as opened:
        yield opened


def ended(call: LiveCall) -> None:
    calls.close(call)


def invite(carrier: str, code: int, outcome: str, **more: str) -> dict[str, Any]:
    """Labels of an outbound INVITE."""
    return {
        "trunk.carrier": carrier,
        "sip.call.direction": "outbound",
        "sip.response.status_code": code,
        "sip.call.outcome": outcome,
        **{f"trunk.{name}": value for name, value in more.items()},
    }


def mark(call: LiveCall, kind: Any, start: float, **more: Any) -> None:
    call.mark(Mark(kind=kind, start=start, **more))


class TestInvites:
    """`sip.invites`: one for each INVITE, with its final answer."""

    def test_an_answered_call_is_one(self, read, tracers):
        """Its code is 200, its outcome answered, its labels the trunk's."""
        facts = {"route": "us-east/primary", "region": "us1", "status_code": 200}
        with trunktrace.start_call(
            tracer_provider=tracers, carrier="telnyx", direction="inbound", **facts
        ):
            pass
        point = read.one("sip.invites")
        assert point.value == 1
        assert point.labels == {
            **LABELS,
            "trunk.route": "us-east/primary",
            "trunk.region": "us1",
            "sip.response.status_code": 200,
            "sip.call.outcome": "answered",
        }

    def test_an_unknown_carrier_is_said(self, read, tracers):
        """As on the root: `unknown` at the call's end; what else is unknown is absent."""
        with trunktrace.start_call(tracer_provider=tracers):
            pass
        assert read.one("sip.invites").labels == {"trunk.carrier": "unknown"}

    def test_each_attempt_counts_by_its_own_answer(self, read, tracers):
        """A call that failed over is two INVITEs, each at its own carrier."""
        with trunktrace.start_call(tracer_provider=tracers, direction="outbound") as call:
            call.observe({"carrier": "telnyx", "status_code": 503}, source="livekit")
            call.begin_attempt()
            call.observe({"carrier": "twilio", "status_code": 200}, source="livekit")
        keys = ("trunk.carrier", "sip.response.status_code", "sip.call.outcome")
        found = {
            tuple(one.labels.get(key) for key in keys): one.value
            for one in read.points("sip.invites")
        }
        assert found == {("telnyx", 503, "congestion"): 1, ("twilio", 200, "answered"): 1}

    def test_an_attempt_without_an_answer_has_its_outcome(self):
        """Our own ringing timeout has no code; what became of it is told all the same."""
        story = Story(attempts=(Attempt(start=1.0, failure="canceled"), Attempt(start=2.0)))
        former, last = invites(EndedCall(facts={}, former=({"trunk.id": "ST_1"},), story=story))
        assert former.labels["sip.call.outcome"] == "canceled"
        assert "sip.response.status_code" not in former.labels
        assert last.labels == {"trunk.carrier": "unknown", "sip.call.direction": "outbound"}

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_attempts_over_two_trunks_in_turn_count_by_themselves(self, order):
        """What is told of the legs that were left may come in any order, or not at all."""
        tried = (
            Attempt(start=1.0, trunk_id="ST_a", carrier="alpha", route="a", status_code=503),
            Attempt(start=2.0, trunk_id="ST_b", carrier="beta", region="b1", status_code=480),
            Attempt(start=3.0, trunk_id="ST_a", carrier="alpha", route="a", status_code=200),
        )
        legs = tuple(
            {"trunk.id": trunk, "trunk.carrier": "wrong", "sip.response.status_code": 600}
            for trunk in ("ST_a", "ST_b")
        )
        facts = {
            "trunk.id": "ST_a",
            "trunk.carrier": "alpha",
            "sip.call.direction": "outbound",
            "sip.response.status_code": 200,
            "sip.call.outcome": "answered",
        }
        for former in (tuple(legs[at] for at in order), legs[:1], ()):
            call = EndedCall(facts=facts, former=former, story=Story(attempts=tried))
            assert [dict(point.labels) for point in invites(call)] == [
                invite("alpha", 503, "congestion", route="a"),
                invite("beta", 480, "no_answer", region="b1"),
                invite("alpha", 200, "answered", route="a"),
            ]

    def test_the_last_attempt_counts_by_what_the_call_knows(self):
        """A header of the 200 OK may name the carrier; the directory had no row for the trunk."""
        tried = (
            Attempt(start=1.0, trunk_id="ST_a", status_code=503),
            Attempt(start=2.0, trunk_id="ST_b", region="b1", status_code=200),
        )
        facts = {"trunk.id": "ST_b", "trunk.carrier": "beta", "sip.call.direction": "outbound"}
        call = EndedCall(facts=facts, story=Story(attempts=tried))
        assert [dict(point.labels) for point in invites(call)] == [
            invite("unknown", 503, "congestion"),
            invite("beta", 200, "answered", region="b1"),
        ]
        (advance,) = failovers(call)
        assert advance.labels["trunk.failover.to_carrier"] == "beta"

    def test_a_participant_that_others_dialled_is_an_invite_too(self):
        """It is no attempt of ours: it counts by the facts of its leg, beside ours."""
        story = Story(attempts=(Attempt(start=1.0, livekit_call_id="SCL_1", status_code=503),))
        ours = {"sip.call.direction": "outbound", "livekit.sip.call_id": "SCL_1"}
        other = {
            "sip.call.direction": "outbound",
            "livekit.sip.call_id": "SCL_2",
            "trunk.carrier": "beta",
            "sip.response.status_code": 200,
        }
        call = EndedCall(facts=other, former=(ours,), story=story)
        assert [dict(point.labels) for point in invites(call)] == [
            invite("beta", 200, "answered"),
            invite("unknown", 503, "congestion"),
        ]

    def test_a_failed_warm_transfer_is_an_invite_of_the_colleagues_trunk(self, read, call):
        """The caller's own INVITE stays his; the colleague's 486 is none of his carrier's."""
        call.note_attempt(
            Attempt(start=5.0, party=1, aside=True, carrier="desk", status_code=486, end=6.0)
        )
        ended(call)
        found = {tuple(sorted(one.labels.items())): one.value for one in read.points("sip.invites")}
        assert found == {
            tuple(sorted((invite("telnyx", 200, "answered") | LABELS).items())): 1,
            tuple(sorted(invite("desk", 486, "busy").items())): 1,
        }
        assert read.points("trunk.failovers") == []

    def test_a_job_without_a_phone_adds_nothing(self, read):
        """A browser's job has no metric at all."""
        call = LiveCall(trace_id=7, root_span_id=8)
        calls.open(call, owns_trace=True)
        calls.close(call)
        assert read.points("sip.invites") == []
        assert {metric.name for metric in read.all()} <= {"sip.calls.active"}

    def test_a_call_counts_once(self, read, tracers):
        """Closed twice is closed once."""
        with trunktrace.start_call(tracer_provider=tracers) as call:
            calls.close(call)
            calls.close(call)
        assert read.one("sip.invites").value == 1


class TestFailovers:
    """`trunk.failovers`: each going on to another trunk for one number."""

    def test_it_counts_by_who_was_left(self, read, tracers):
        """Carrier and route that were left, its answer, and the carrier that the call went to."""
        with trunktrace.start_call(tracer_provider=tracers, direction="outbound") as call:
            call.observe({"carrier": "telnyx", "status_code": 503}, source="livekit")
            call.note_attempt(
                Attempt(start=1.0, carrier="telnyx", route="t", party=1, status_code=503)
            )
            call.begin_attempt()
            call.note_attempt(Attempt(start=2.0, carrier="twilio", party=1, status_code=200))
            call.observe({"carrier": "twilio", "status_code": 200}, source="livekit")
        point = read.one("trunk.failovers")
        assert point.value == 1
        assert point.labels == {
            "trunk.carrier": "telnyx",
            "trunk.route": "t",
            "sip.call.direction": "outbound",
            "sip.response.status_code": 503,
            "trunk.failover.to_carrier": "twilio",
        }

    def test_two_numbers_in_turn_are_two_stories(self):
        """Each number's attempts follow each other, whatever was dialled in between."""
        tried = (
            Attempt(start=1.0, party=1, carrier="alpha", status_code=503),
            Attempt(start=2.0, party=2, carrier="gamma", status_code=408),
            Attempt(start=3.0, party=1, carrier="beta", status_code=486),
            Attempt(start=4.0, party=2, carrier="delta", failure="timeout"),
        )
        told = failovers(EndedCall(facts={}, story=Story(attempts=tried)))
        assert [
            (point.labels["trunk.carrier"], point.labels["trunk.failover.to_carrier"])
            for point in told
        ] == [("alpha", "beta"), ("gamma", "delta")]

    def test_what_is_no_failover(self):
        """The same way again, what is dialled after an answer, and whom an agent calls in."""
        tried = (
            Attempt(start=1.0, carrier="alpha", status_code=503),
            Attempt(start=2.0, carrier="alpha", status_code=200),
            Attempt(start=3.0, carrier="beta", status_code=503),
        )
        aside = Attempt(start=4.0, carrier="gamma", aside=True, status_code=486)
        story = Story(attempts=tried, asides=(aside,))
        assert list(failovers(EndedCall(facts={}, story=story))) == []


class TestSampling:
    """A call is counted whether or not its trace is sampled."""

    def test_an_unsampled_call_counts_without_an_exemplar(self, read):
        """There is no trace that an exemplar could lead to."""
        provider = TracerProvider(sampler=ALWAYS_OFF)
        with trunktrace.start_call(tracer_provider=provider):
            pass
        point = read.one("sip.invites")
        assert point.value == 1
        assert point.traces == ()

    def test_an_exemplar_leads_to_the_trace(self, read, tracers):
        """Every metric of a sampled call has its trace id, wherever the call is closed from."""
        with trunktrace.start_call(
            tracer_provider=tracers, status_code=200, codec="pcmu", duration_ms=5000.0
        ) as call:
            pass
        traces = {
            metric.name: {exemplar.trace_id for exemplar in point.exemplars}
            for metric in read.all()
            if metric.name in ("sip.invites", "rtp.calls", "sip.call.duration")
            for point in metric.data.data_points
        }
        assert len(traces) == 3
        assert all(found == {call.trace_id} for found in traces.values()), traces

    def test_another_span_in_the_context_is_not_the_call(self, read, tracers, call):
        """What runs when the call is closed is not what the exemplar shows."""
        with tracers.get_tracer("test").start_as_current_span("other", context=trace.Context()):
            calls.close(call)
        assert read.one("sip.invites").traces == (call.trace_id,)

    def test_no_tracing_at_all_still_counts(self, read):
        """Without an SDK for traces there are metrics."""
        with trunktrace.start_call(tracer_provider=trace.NoOpTracerProvider()):
            pass
        assert read.one("sip.invites").value == 1


class TestDurations:
    """Milliseconds of the root are seconds in metrics."""

    @pytest.mark.parametrize(
        "field, name",
        [
            ("setup_ms", "sip.call.setup.duration"),
            ("pdd_ms", "sip.call.pdd"),
            ("duration_ms", "sip.call.duration"),
        ],
    )
    def test_they_are_in_seconds(self, read, tracers, field, name):
        """1500 ms is 1.5 s."""
        with trunktrace.start_call(tracer_provider=tracers, **{field: 1500.0}):
            pass
        point = read.one(name)
        assert (point.value, point.count) == (1.5, 1)

    def test_unknown_ones_are_not_recorded(self, read, tracers):
        """No 0 for a call whose duration nobody knows."""
        with trunktrace.start_call(tracer_provider=tracers):
            pass
        assert read.points("sip.call.duration") == []

    def test_every_histogram_has_its_bounds(self, read):
        """The bounds of the conventions come with the instrument: no view is needed."""
        for metric in c.METRICS:
            if metric.instrument == "histogram":
                read.metrics._histograms[metric.name].record(0.5)
        found = {metric.name: read.one(metric.name).bounds for metric in read.all()}
        wanted = {m.name: m.bounds for m in c.METRICS if m.instrument == "histogram"}
        assert found == wanted
        assert all(wanted.values())


class TestDropped:
    """`sip.calls.dropped`: answered calls that neither side ended."""

    @pytest.mark.parametrize("source", ["carrier", "platform"])
    def test_the_trunk_or_the_platform_ended_it(self, read, call, source):
        """It is counted, by who ended it."""
        call.record(hangup_source=source)
        ended(call)
        point = read.one("sip.calls.dropped")
        assert point.labels == {**LABELS, "sip.hangup.source": source}

    @pytest.mark.parametrize("source", ["caller", "callee", "agent", None])
    def test_a_side_ended_it_or_nobody_knows(self, read, call, source):
        """It is not counted."""
        call.record(hangup_source=source)
        ended(call)
        assert read.points("sip.calls.dropped") == []

    def test_a_media_timeout_drops_a_call(self, read, call):
        """LiveKit does not say who hung up then; the bridge did."""
        mark(call, "media_timeout", 100.0)
        ended(call)
        assert read.one("sip.calls.dropped").labels["sip.hangup.source"] == "platform"

    def test_an_unanswered_call_is_not_dropped(self, read, tracers):
        """It failed; that is another metric."""
        with trunktrace.start_call(
            tracer_provider=tracers, status_code=503, hangup_source="carrier"
        ):
            pass
        assert read.points("sip.calls.dropped") == []


class TestMedia:
    """What the trunk leg was like."""

    def test_each_direction_by_itself(self, read, call):
        """Loss, jitter and MOS of `in` and `out`, never mixed; jitter in seconds."""
        for direction, loss in (("in", 0.02), ("out", 0.5)):
            call.record_media(
                leg="trunk",
                direction=direction,
                start=100.0,
                end=105.0,
                loss_ratio=loss,
                jitter_ms=20.0,
                mos=4.0,
                mos_algorithm="vendor",
                clipping_ratio=0.25,
            )
        ended(call)
        losses = {one.labels["rtp.direction"]: one.value for one in read.points("rtp.loss.ratio")}
        assert losses == {"in": 0.02, "out": 0.5}
        assert {one.value for one in read.points("rtp.jitter")} == {0.02}
        assert {one.value for one in read.points("rtp.clipping.ratio")} == {0.25}
        assert {one.labels["rtp.mos_algorithm"] for one in read.points("rtp.mos")} == {"vendor"}

    @pytest.mark.parametrize(
        "methods, told", [(["estimated"], "estimated"), (["estimated", "counted"], "counted")]
    )
    def test_a_loss_says_how_it_was_found(self, read, call, methods, told):
        """A count stands where there is one."""
        for method in methods:
            call.record_media(
                leg="trunk",
                direction="in",
                start=100.0,
                end=105.0,
                loss_ratio=0.02,
                loss_method=method,
                source=method,
            )
        ended(call)
        assert read.one("rtp.loss.ratio").labels["rtp.loss_method"] == told

    def test_the_agent_leg_is_not_the_trunk(self, read, call):
        """Loss between bridge and agent is no loss of the trunk."""
        call.record_media(leg="agent", direction="in", start=100.0, end=101.0, loss_ratio=0.5)
        ended(call)
        assert read.points("rtp.loss.ratio") == []

    def test_codec_mix_is_of_answered_calls(self, read, tracers):
        """A call that was never answered has no codec to count."""
        for code in (200, 486):
            with trunktrace.start_call(tracer_provider=tracers, codec="pcmu", status_code=code):
                pass
        assert read.one("rtp.calls").labels["rtp.codec"] == "pcmu"
        assert read.one("rtp.calls").value == 1


class TestFailures:
    """`trunktrace.failures`: findings of the diagnosis."""

    def test_a_finding_counts_once_a_mode_leg_and_direction(self):
        """Two times of one-way audio in one direction are one incident of the call."""
        found = Finding(mode="one_way_audio", evidence=("OWA-1",), leg="trunk", direction="in")
        other = Finding(mode="call_setup_failure", evidence=("CSF-1",))
        diagnosis = Diagnosis(findings=(found, found, other))
        told = [dict(one.labels) for one in failures(EndedCall(facts={}, diagnosis=diagnosis))]
        assert told == [
            {
                "trunk.carrier": "unknown",
                "trunktrace.failure.mode": "one_way_audio",
                "rtp.direction": "in",
            },
            {"trunk.carrier": "unknown", "trunktrace.failure.mode": "call_setup_failure"},
        ]

    def test_what_the_watch_finds_is_counted(self, read, tracers):
        """A refused outbound call is a finding of the rules, so it is an incident."""
        with trunktrace.start_call(
            tracer_provider=tracers, direction="outbound", carrier="telnyx", status_code=503
        ):
            pass
        point = read.one("trunktrace.failures")
        assert point.labels["trunktrace.failure.mode"] == "call_setup_failure"
        assert point.labels["trunk.carrier"] == "telnyx"


class TestVoice:
    """What the conversation was like, by its marks."""

    def test_turns_rates_and_results(self, read, call):
        """First audio, response times, turns, barge-ins, corrections, transfers and tasks."""
        mark(call, "answered", 100.0)
        mark(call, "agent_speaking", 100.5, end=102.0)
        mark(call, "user_turn", 105.0)
        mark(call, "agent_turn", 105.75, value="0.75")
        mark(call, "barge_in", 106.0)
        mark(call, "transfer", 110.0, value="human:ok")
        call.record_task("completed")
        ended(call)
        assert read.one("voice_agent.time_to_first_audio").value == 0.5
        assert read.one("voice_agent.turn.response_time").value == 0.75
        assert read.one("voice_agent.user_turns").value == 1
        assert read.one("voice_agent.agent_turns").value == 1
        assert read.one("voice_agent.barge_ins").value == 1
        assert read.one("voice_agent.user_corrections").value == 0, "a known zero is told"
        assert read.one("voice_agent.transfers").labels == {
            **LABELS,
            "voice_agent.transfer.to": "human",
            "voice_agent.transfer.result": "completed",
        }
        assert read.one("voice_agent.tasks").labels["voice_agent.task.result"] == "completed"

    def test_a_call_nobody_listened_to_has_no_turns(self, read, call):
        """No 0 where no session was watched."""
        ended(call)
        assert not [one for one in read.all() if one.name.startswith("voice_agent.")]


class TestActive:
    """`sip.calls.active`: calls that are open now, by what is known of them now."""

    def test_it_follows_the_calls(self, read, tracers):
        """One open call is 1; over it is 0, so that no backend shows it for ever."""
        facts = {"direction": "inbound", "carrier": "telnyx"}
        with trunktrace.start_call(tracer_provider=tracers, **facts):
            assert [(one.labels, one.value) for one in read.points("sip.calls.active")] == [
                (LABELS, 1)
            ]
        assert read.one("sip.calls.active").value == 0

    def test_labels_follow_what_is_known(self, read, tracers):
        """A call whose carrier is named later moves, and is nowhere counted twice."""
        with trunktrace.start_call(tracer_provider=tracers, direction="inbound") as call:
            read.points("sip.calls.active")
            call.record(carrier="telnyx")
            found = {
                one.labels.get("trunk.carrier"): one.value
                for one in read.points("sip.calls.active")
            }
        assert found == {None: 0, "telnyx": 1}

    def test_a_call_that_was_hung_up_is_not_active(self, read, call):
        """The job goes on for a summary; the call does not."""
        read.points("sip.calls.active")
        call.conclude()
        assert read.one("sip.calls.active").value == 0


class TestBounds:
    """Every label is bounded."""

    def test_the_201st_value_is_other(self, read, tracers, caplog):
        """200 routes are told apart, the rest are `other`, and one line says so."""
        for number in range(230):
            with trunktrace.start_call(tracer_provider=tracers, route=f"route-{number}"):
                pass
        found = {one.labels["trunk.route"]: one.value for one in read.points("sip.invites")}
        assert len(found) == 201
        assert found["other"] == 30
        assert found["route-199"] == 1

    def test_names_of_the_directory_are_never_other(self, read, tracers):
        """However late they come, and however many strange values came before."""
        directory = Directory.parse('[trunks.ST_1]\ncarrier = "acme"\nroute = "ours/first"\n')
        read.metrics.know(directory.names)
        for number in range(201):
            with trunktrace.start_call(tracer_provider=tracers, route=f"r{number}", carrier="x"):
                pass
        with trunktrace.start_call(tracer_provider=tracers, route="ours/first", carrier="acme"):
            pass
        routes = {one.labels["trunk.route"] for one in read.points("sip.invites")}
        assert {"ours/first", "other"} <= routes

    def test_no_number_is_a_label(self, read, tracers):
        """Callers, callees and Call-IDs are nowhere in the metrics."""
        with trunktrace.start_call(
            tracer_provider=tracers,
            caller_number="+15557778888",
            callee_number="+15550001111",
            call_id="abc-123@host",
            status_code=200,
            codec="pcmu",
            duration_ms=1000.0,
        ):
            read.points("sip.calls.active")
        told = json.dumps([metric.to_json() for metric in read.all()])
        assert "sip.invites" in told
        for secret in ("7778888", "0001111", "abc-123", "*"):
            assert secret not in told

    def test_labels_are_those_of_the_conventions(self, read, call):
        """A metric has no label that its entry in the conventions does not name."""
        call.record(codec="pcmu", duration_ms=1.0, setup_ms=1.0, hangup_source="carrier")
        call.record_media(
            leg="trunk", direction="in", start=1.0, end=2.0, loss_ratio=0.1, mos=4.0, rtt_ms=10.0
        )
        mark(call, "transfer", 110.0, value="human:ok")
        call.record_task("failed")
        ended(call)
        allowed = {one.name: {*c.CALL_LABELS, *one.attributes} for one in c.METRICS}
        seen = [metric.name for metric in read.all()]
        assert len(seen) >= 9
        for name in seen:
            for point in read.points(name):
                assert point.labels.keys() <= allowed[name], name


class TestSafety:
    """Nothing raises into the call, and nothing is lost with what fails."""

    def test_one_broken_group_takes_no_other_with_it(self, read, call, monkeypatch):
        """The invite is counted though the conversation cannot be read; that is counted too."""

        def broken(*_: object) -> None:
            raise LookupError("a bug of ours")

        monkeypatch.setattr(points, "measures_of", broken)
        with reraising(value=False) as guard:
            ended(call)
            assert guard.counts["metrics.voice"] >= 1
        assert read.one("sip.invites").value == 1

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_child_has_none_of_the_parents_calls(self, read, call):
        """What is open in the parent is not open in the child."""
        assert read.one("sip.calls.active").value == 1
        child = os.fork()
        if child == 0:
            os._exit(len(read.points("sip.calls.active")))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_the_processor_is_enough(self):
        """Who adds the processor has metrics, of calls and of our health."""
        from trunktrace.metrics import call_metrics

        trunktrace.CallSpanProcessor()
        assert call_metrics in calls._listeners
