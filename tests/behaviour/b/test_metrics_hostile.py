"""The metrics of calls: names, units, bounds, labels, exemplars, and that nothing counts twice."""

from __future__ import annotations

import re

import pytest

from .meter import told

UNITS = {
    "sip.invites": "{invite}", "sip.call.setup.duration": "s", "sip.call.pdd": "s",
    "sip.call.duration": "s", "sip.calls.active": "{call}", "sip.calls.dropped": "{call}",
    "trunk.failovers": "{failover}", "rtp.loss.ratio": "1", "rtp.clipping.ratio": "1",
    "rtp.jitter": "s", "rtp.rtt": "s", "rtp.mos": "1", "rtp.calls": "{call}",
    "trunktrace.failures": "{incident}", "voice_agent.time_to_first_audio": "s",
    "voice_agent.turn.response_time": "s", "voice_agent.user_turns": "{turn}",
    "voice_agent.user_corrections": "{turn}", "voice_agent.agent_turns": "{turn}",
    "voice_agent.barge_ins": "{turn}", "voice_agent.transfers": "{transfer}",
    "voice_agent.tasks": "{task}", "gen_ai.evaluation.score": "1",
    "trunktrace.internal_errors": "{error}", "trunktrace.facts.dropped": "{fact}",
    "trunktrace.calls.evicted": "{call}",
}  # fmt: skip
BOUNDS = {
    "sip.call.setup.duration": [0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60],
    "sip.call.pdd": [0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60],
    "voice_agent.time_to_first_audio": [0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10],
    "voice_agent.turn.response_time": [0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10],
    "rtp.loss.ratio": [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2],
    "rtp.clipping.ratio": [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2],
    "rtp.jitter": [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1],
    "rtp.rtt": [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1],
    "rtp.mos": [1.5, 2, 2.5, 3, 3.5, 3.8, 4, 4.2, 4.4],
}  # fmt: skip
CALL_LABELS = {"trunk.carrier", "trunk.route", "trunk.region", "sip.call.direction"}
MORE_LABELS = {
    "sip.invites": {"sip.response.status_code", "sip.call.outcome"},
    "sip.calls.dropped": {"sip.hangup.source"},
    "trunk.failovers": {"trunk.failover.to_carrier", "sip.response.status_code"},
    "rtp.loss.ratio": {"rtp.direction", "rtp.loss_method"}, "rtp.clipping.ratio": {"rtp.direction"},
    "rtp.jitter": {"rtp.direction"}, "rtp.rtt": {"rtp.direction"},
    "rtp.mos": {"rtp.direction", "rtp.mos_algorithm"}, "rtp.calls": {"rtp.codec"},
    "trunktrace.failures": {"trunktrace.failure.mode", "rtp.direction"},
    "voice_agent.transfers": {"voice_agent.transfer.to", "voice_agent.transfer.result"},
    "voice_agent.tasks": {"voice_agent.task.result"},
    "trunktrace.internal_errors": {"trunktrace.place"},
}  # fmt: skip


@pytest.fixture(scope="module")
def mixed():
    """Calls of all sorts in one process, with numbers and ids given to every statement."""
    return told(
        """
        call()
        call(loss=0.08)
        call(direction="outbound", status_code=486, seconds=0, codec=None)
        call(caller_number="+15553216549", callee_number="+15557410258",
             call_id="abc-15553216549@h",
             livekit_call_id="SCL_abcdefghijkl", provider_call_id="CA0123", seconds=20)
        with trunktrace.start_call(tracer_provider=tracing, **FACTS) as made:
            made.expect(caller="+15550000001", country="DE")
            made.record(caller_number="+15553216549")
            made.record_task("completed"); made.record_task("failed"); made.record_task("nonsense")
            made.mark(Mark(kind="transfer", start=T0 + now.s, value="human:ok"))
            made.mark(Mark(kind="user_turn", start=T0 + now.s))
            made.mark(Mark(kind="agent_turn", start=T0 + now.s, value="0.7"))
            made.mark(Mark(kind="barge_in", start=T0 + now.s))
            made.mark(Mark(kind="correction", start=T0 + now.s))
        """
    )


def test_every_metric_has_the_name_and_unit_of_the_page(mixed):
    """No metric that the page does not name, none with another unit, all of one meter."""
    assert mixed.points
    for point in mixed.points:
        assert point["name"] in UNITS, point["name"]
        assert point["unit"] == UNITS[point["name"]], point
        assert point["scope"] == "trunktrace"


def test_histograms_have_the_bounds_of_the_page(mixed):
    """Bucket bounds are the page's, not the SDK's."""
    seen = {p["name"] for p in mixed.points if p["kind"] == "Histogram"}
    assert {"sip.call.setup.duration", "rtp.loss.ratio", "rtp.mos", "rtp.jitter", "rtp.rtt"} <= seen
    for point in mixed.points:
        if point["name"] in BOUNDS:
            assert point["bounds"] == BOUNDS[point["name"]], point["name"]


def test_labels_are_those_of_the_page_and_hold_no_number_id_or_room(mixed):
    """Only the listed labels; no digit run, no SCL_, no Call-ID in a value; none is empty."""
    for point in mixed.points:
        allowed = MORE_LABELS.get(point["name"], set()) | CALL_LABELS
        assert set(point["attributes"]) <= allowed, point
        for key, value in point["attributes"].items():
            assert value not in ("", None), point
            assert not re.search(r"\d{6}|SCL_|ST_|@|CA01", str(value)), (key, value)


def test_seconds_are_seconds_and_ratios_are_ratios(mixed):
    """900 ms is 0.9 in the histogram; a jitter of 4 ms is 0.004."""
    setup = mixed.named("sip.call.setup.duration")
    assert sum(p["sum"] for p in setup) == pytest.approx(
        0.9 * mixed.total("sip.call.setup.duration")
    )
    jitter = mixed.named("rtp.jitter")
    assert sum(p["sum"] for p in jitter) == pytest.approx(0.004 * mixed.total("rtp.jitter"))
    rtt = mixed.named("rtp.rtt")
    assert sum(p["sum"] for p in rtt) == pytest.approx(0.08 * mixed.total("rtp.rtt"))
    assert max(p["sum"] for p in mixed.named("rtp.loss.ratio")) < 1


def test_what_was_said_once_counts_once(mixed):
    """Two tasks (the third is no result), one transfer to a human, one turn of each kind."""
    tasks = {
        p["attributes"]["voice_agent.task.result"]: p["value"]
        for p in mixed.named("voice_agent.tasks")
    }
    assert tasks == {"completed": 1, "failed": 1}
    assert mixed.total("voice_agent.transfers") == 1
    assert (
        mixed.named("voice_agent.transfers")[0]["attributes"]["voice_agent.transfer.to"] == "human"
    )
    for name in ("user_turns", "user_corrections", "agent_turns", "barge_ins"):
        assert mixed.total(f"voice_agent.{name}") == 1, name


def test_findings_are_counted_once_a_call_with_mode_and_direction(mixed):
    """The lossy call, the busy call and the misrouted call: three incidents."""
    found = {
        (p["attributes"]["trunktrace.failure.mode"], p["attributes"].get("rtp.direction")): p[
            "value"
        ]
        for p in mixed.named("trunktrace.failures")
    }
    assert found == {
        ("media_degradation", "in"): 1, ("call_setup_failure", None): 1, ("misrouting", None): 1,
    }  # fmt: skip


def test_a_refused_call_has_no_media_and_no_duration(mixed):
    """A busy call is an invite and nothing of an answered one."""
    busy = [p for p in mixed.points if p["attributes"].get("sip.call.direction") == "outbound"]
    names = {p["name"] for p in busy if (p["value"] or p["count"])}
    assert "sip.invites" in names
    assert not names & {
        "sip.call.duration",
        "rtp.calls",
        "rtp.mos",
        "rtp.loss.ratio",
        "sip.calls.dropped",
    }
    invite = next(p for p in busy if p["name"] == "sip.invites")
    assert invite["attributes"]["sip.response.status_code"] == 486
    assert invite["attributes"]["sip.call.outcome"] == "busy"


def test_no_call_is_active_when_all_are_over(mixed):
    """The up-down counter is back to nothing."""
    assert mixed.total("sip.calls.active") == 0


def test_active_calls_are_counted_by_what_is_known():
    """Two open calls of one carrier, one of another."""
    got = told(
        """
        one = trunktrace.start_call(tracer_provider=tracing, **FACTS); one.__enter__()
        two = trunktrace.start_call(tracer_provider=tracing, **FACTS); two.__enter__()
        three = trunktrace.start_call(tracer_provider=tracing, direction="inbound")
        made = three.__enter__()
        made.record(carrier="twilio")
        held = points()
        for each in (three, two, one): each.__exit__(None, None, None)
        points = lambda held=held: held
        """
    )
    active = {
        p["attributes"].get("trunk.carrier"): p["value"] for p in got.named("sip.calls.active")
    }
    assert active == {"telnyx": 2, "twilio": 1}


def test_a_call_is_counted_whether_or_not_its_trace_is_sampled():
    """Ten sampled, ten not: twenty invites; exemplars only lead to traces that exist."""
    got = told(
        """
        for _ in range(10): call(seconds=10)
        sampled = list(trace_ids)
        off = provider(ALWAYS_OFF)
        for _ in range(10): call(seconds=10, tracing=off)
        trace_ids[:] = sampled
        """
    )
    assert got.total("sip.invites") == 20
    assert got.total("rtp.calls") == 20
    assert got.total("sip.call.duration") == 20
    exemplars = {e for p in got.points for e in p["exemplars"]}
    assert exemplars, "there is no exemplar at all"
    assert exemplars <= set(got.traces)


def test_exemplars_lead_to_the_calls_own_trace():
    """One call: every exemplar of every histogram is its trace."""
    got = told("call(loss=0.08)")
    with_one = {p["name"] for p in got.points if p["exemplars"]}
    assert {
        "sip.invites",
        "sip.call.setup.duration",
        "rtp.loss.ratio",
        "trunktrace.failures",
    } <= with_one
    for point in got.points:
        assert set(point["exemplars"]) <= set(got.traces), point


def test_after_a_failover_each_invite_counts_once_and_the_call_once():
    """A 503 at one carrier, then answered at another: two invites, one call, under each its own."""
    got = told(
        """
        first = Attempt(start=T0 + 1.0, end=T0 + 1.5, carrier="alpha", route="a",
                        status_code=503, livekit_call_id="SCL_a")
        then = Attempt(start=T0 + 1.6, end=T0 + 2.2, carrier="beta", route="b",
                       status_code=200, livekit_call_id="SCL_b")
        call(direction="outbound", carrier="beta", route="b", attempts=(first, then), seconds=30)
        """
    )
    invites = {
        (p["attributes"].get("trunk.carrier"), p["attributes"]["sip.response.status_code"]): p[
            "value"
        ]
        for p in got.named("sip.invites")
    }
    assert invites == {("alpha", 503): 1, ("beta", 200): 1}
    (failover,) = got.named("trunk.failovers")
    labels = failover["attributes"]
    assert failover["value"] == 1
    assert (labels["trunk.carrier"], labels["trunk.failover.to_carrier"]) == ("alpha", "beta")
    for name in ("sip.call.setup.duration", "sip.call.duration", "rtp.calls"):
        assert got.total(name) == 1, name
        assert {p["attributes"]["trunk.carrier"] for p in got.named(name)} == {"beta"}, name
    assert "trunktrace.failures" not in {p["name"] for p in got.points if p["value"]}


@pytest.mark.parametrize(
    "key,field",
    [("trunk.carrier", "carrier"), ("trunk.route", "route"), ("trunk.region", "region")],
)
def test_the_201st_value_of_a_label_becomes_other(key, field):
    """300 distinct values: 200 names and `other`, and no call is lost."""
    got = told(f"for n in range(300): call(seconds=0, media=False, {field}=f'v{{n}}')")
    values = [p["attributes"].get(key) for p in got.named("sip.invites")]
    assert len(set(values)) == 201
    assert "other" in values
    assert got.total("sip.invites") == 300
    other = sum(p["value"] for p in got.named("sip.invites") if p["attributes"].get(key) == "other")
    assert other == 100


def test_codec_labels_are_bounded_too():
    """A codec is a string of the far end: it cannot make a label for each call."""
    got = told("for n in range(260): call(seconds=10, codec=f'x-codec-{n}')")
    values = {p["attributes"].get("rtp.codec") for p in got.named("rtp.calls")}
    assert len(values) <= 201
    assert got.total("rtp.calls") == 260


def test_a_route_that_is_a_number_is_no_label_in_clear():
    """An operator's header gave the caller's number as route: no label holds it."""
    got = told("call(route='+15553216549', region='15553216549', carrier='+15553216549')")
    assert "5553216549" not in str(got.points)


def test_a_call_with_estimated_loss_says_so_in_its_label():
    """Estimates and counts are never one series."""
    got = told(
        """
        call(loss=0.02)
        with trunktrace.start_call(tracer_provider=tracing, **FACTS) as made:
            for n in range(0, 60, 5):
                now.s += 5
                made.record_media(leg="trunk", direction="in", loss_ratio=0.05,
                    loss_method="estimated", start=T0 + now.s - 5, end=T0 + now.s)
        """
    )
    loss = {p["attributes"]["rtp.loss_method"]: p for p in got.named("rtp.loss.ratio")}
    assert set(loss) == {"counted", "estimated"}
    assert loss["estimated"]["sum"] == pytest.approx(0.05)


def test_the_answer_and_the_hangup_give_the_duration():
    """Marks of the answer and of the end are enough for `sip.call.duration`."""
    got = told("call(seconds=30, timed=False)")
    assert got.total("sip.call.duration") == 1
    assert got.named("sip.call.duration")[0]["sum"] == pytest.approx(30)


def test_a_call_that_raises_is_counted():
    """An exception of the user's block: the call is counted once, and the exception passes."""
    got = told(
        """
        try:
            with trunktrace.start_call(tracer_provider=tracing, **FACTS) as made:
                raise KeyError("theirs")
        except KeyError:
            pass
        """
    )
    assert got.total("sip.invites") == 1
    assert got.total("sip.calls.active") == 0
