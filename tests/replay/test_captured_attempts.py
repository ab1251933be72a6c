"""Captured outbound calls, replayed: each attempt is told as it was, to the rules and as a span."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from trunktrace.diagnosis.engine import diagnose
from trunktrace.timeline import Attempt

from .capture import INBOUND, NAMES, OUTBOUND, Capture, Dial, load
from .expected import HOWS, How, rows
from .player import replay

FAILOVER, NO_ANSWER = "07-outbound-503-failover", "08-outbound-no-answer"
PHRASES = {486: "Busy Here", 503: "Service Unavailable"}
FOUND = {"none": set(), "call_setup_failure": {"call_setup_failure"}}

each = pytest.mark.parametrize("name", OUTBOUND)
every_call = pytest.mark.parametrize("name", NAMES)
every_way = pytest.mark.parametrize("how", HOWS)


def truth_of(capture: Capture) -> list[dict[str, Any]]:
    """The attempts as the far end of the captured call saw them."""
    return capture.facts["attempts"]


def told_of(name: str, how: How = "rows") -> tuple[Attempt, ...]:
    """What the rules are told."""
    return replay(name, how).call.story(final=True).attempts


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def ended_s(capture: Capture, dial: Dial) -> float:
    """When the attempt's end was first told: by the request, or by the participant that answered.

    Whoever was refused is known by the request alone: there is no state for it.
    """
    active = capture.status_at("active") if dial.sip_code == 200 else None
    return min(dial.ended_ns, active or dial.ended_ns) / 1e9


def path_of(capture: Capture) -> str | None:
    """`carrier:code` of each attempt, out of the truth alone."""
    attempts = truth_of(capture)
    steps = [f"{one['carrier']}:{one['sip_final_code']}" for one in attempts]
    return ">".join(steps) if len(attempts) > 1 else None


@each
def test_the_attempts_are_the_far_ends(name: str) -> None:
    """Code, LiveKit's id, trunk, carrier, route and region of each, in their order."""
    capture = load(name)
    table = rows(capture)
    told = told_of(name)
    assert [(one.status_code, one.livekit_call_id, one.trunk_id) for one in told] == [
        (one["sip_final_code"], one["livekit_call_id"], one["trunk"]) for one in truth_of(capture)
    ]
    named = [{"carrier": one.carrier, "route": one.route, "region": one.region} for one in told]
    assert named == [table[one["trunk"]] for one in truth_of(capture)]
    assert {(one.party, one.aside, one.own_cancel) for one in told} == {(1, False, False)}


@each
def test_each_attempt_has_its_times_reason_and_progress(name: str) -> None:
    """From the request to its end; the phrase as it was sent; a 18x where the room showed one."""
    capture = load(name)
    for one, dial in zip(told_of(name), capture.dials, strict=True):
        assert one.start == pytest.approx(dial.started_ns / 1e9, abs=1e-3)
        assert one.end == pytest.approx(ended_s(capture, dial), abs=1e-3)
        assert one.reason == PHRASES.get(dial.sip_code or 0)
        rang = [
            at
            for at, state in capture.changes("sip.callStatus")
            if state == "ringing" and dial.started_ns < at < dial.ended_ns
        ]
        assert one.progress is bool(rang)
    assert all(one.progress for one in told_of(name)), "in each captured call a 18x came"


@every_way
@each
def test_the_path_is_on_the_root(name: str, how: How) -> None:
    """Carrier and code of each attempt, where it failed over; else nothing is said of it."""
    outcome = replay(name, how)
    capture, root = outcome.capture, outcome.root
    count = len(truth_of(capture)) - 1
    assert root.get("trunk.failover.count") == (count or None)
    if how == "rows":
        assert root.get("trunk.failover.path") == path_of(capture)
    assert root["sip.attempt_count"] == count + 1


@each
def test_the_rules_find_what_was_wrong(name: str) -> None:
    """The captured failover is legitimate: a server failed. What nobody took is a failed setup."""
    outcome = replay(name, "rows")
    found = diagnose(outcome.call.story(final=True)).findings
    assert {one.mode for one in found} == FOUND[outcome.capture.facts["expected_failure_mode"]]


@each
def test_each_attempt_is_a_span(name: str) -> None:
    """A CLIENT span below the root, from the request to its end, with its own trunk's facts."""
    outcome = replay(name, "rows")
    capture, spans = outcome.capture, outcome.invites
    table = rows(capture)
    assert len(spans) == len(truth_of(capture))
    for number, (span, truth, dial) in enumerate(
        zip(spans, truth_of(capture), capture.dials, strict=True), start=1
    ):
        attributes = said(span)
        assert span.kind is SpanKind.CLIENT
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == capture.root.span_id
        assert (span.end_time or 0) / 1e9 == pytest.approx(ended_s(capture, dial), abs=1e-3)
        assert attributes["sip.attempt.number"] == number
        assert attributes["sip.attempt.progress"] is True
        assert attributes["livekit.sip.call_id"] == truth["livekit_call_id"]
        assert attributes["trunk.id"] == truth["trunk"]
        assert attributes.get("sip.response.status_code") == truth["sip_final_code"]
        own = table[truth["trunk"]]
        assert {name: attributes[f"trunk.{name}"] for name in own} == own
        assert attributes["sip.call.direction"] == "outbound"


@each
def test_a_failed_attempts_span_is_an_error(name: str) -> None:
    """With its code, or `timeout`; an answered one is not."""
    outcome = replay(name, "rows")
    for span, truth in zip(outcome.invites, truth_of(outcome.capture), strict=True):
        code = truth["sip_final_code"]
        answered = code == 200
        expected = None if answered else "timeout" if code is None else str(code)
        assert said(span).get("error.type") == expected
        assert span.status.status_code == (StatusCode.UNSET if answered else StatusCode.ERROR)
        assert span.status.description is None


def test_the_second_attempt_links_to_the_first() -> None:
    """And to nothing else; a first attempt links to nothing."""
    first, second = replay(FAILOVER, "rows").invites
    assert [link.context for link in second.links] == [first.context]
    for name in OUTBOUND:
        assert replay(name, "rows").invites[0].links == ()


def test_our_own_ringing_timeout_is_the_callees() -> None:
    """It rang, and nobody took it: `no_answer`, no code, and no SIP 408 of an HTTP status."""
    (span,) = replay(NO_ANSWER, "rows").invites
    told = said(span)
    assert (told["sip.call.outcome"], told["trunk.fault"]) == ("no_answer", "callee")
    assert not {"sip.response.status_code", "sip.response.reason"} & told.keys()
    (attempt,) = told_of(NO_ANSWER)
    assert attempt.failure == "timeout"


def test_a_refused_attempt_keeps_what_was_its_own() -> None:
    """503, the first carrier and congestion stay with it when the call has moved on."""
    for recorder in (replay(FAILOVER, "rows").alone, replay(FAILOVER, "rows").late):
        first, second = sorted(recorder.ours.values(), key=lambda span: span.start_time or 0)
        keys = ("trunk.carrier", "sip.response.status_code", "sip.call.outcome", "trunk.fault")
        assert [said(first)[key] for key in keys] == ["carrier-a", 503, "congestion", "carrier"]
        assert [said(second)[key] for key in keys] == ["carrier-b", 200, "answered", "none"]


@every_way
@every_call
def test_no_number_is_in_what_we_say_of_an_attempt(name: str, how: How) -> None:
    """Masked, and with country; even through the processor alone nothing is in clear."""
    outcome = replay(name, how)
    for span in outcome.alone.ours.values():
        text = repr((said(span), span.name, [dict(one.attributes or {}) for one in span.events]))
        for number in outcome.capture.numbers:
            assert number not in text
    for span in outcome.invites:
        assert said(span)["sip.callee.number"].startswith("+1***")


@pytest.mark.parametrize("name", INBOUND)
def test_an_inbound_call_has_no_attempt(name: str) -> None:
    """Nobody was dialled: no span of ours, no attempt, no count."""
    outcome = replay(name, "rows")
    assert outcome.alone.ours == {}
    assert outcome.call.story(final=True).attempts == ()
    assert not {"sip.attempt_count", "trunk.failover.count"} & outcome.root.keys()
