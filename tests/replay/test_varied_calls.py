"""Captured calls with one thing changed: what the ten did not happen to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from livekit.api import SipCallError

from trunktrace import Directory
from trunktrace.livecall import LiveCall

from .capture import FAILED, INBOUND, Capture, RoomEvent, load
from .expected import CARRIER, CODE, REGION, ROUTE, Known, final, held, known_facts, rows
from .player import (
    TRUSTED_ATTRIBUTES,
    TRUSTED_HEADERS,
    Job,
    Outcome,
    directory_of,
    inherited,
    play,
    toml_of,
)

FAILOVER, ANSWERED, INBOUND_CALL = "07-outbound-503-failover", "05-outbound-answered", INBOUND[0]
SECOND_NS = 1_000_000_000


def played(capture: Capture, known: tuple[Known, ...] | None = None, **changes: Any) -> Outcome:
    """The call, with a directory of rows."""
    known = known_facts(capture, "rows") if known is None else known
    return play(Job(capture, directory_of(capture, "rows"), known, **changes))


def with_events(capture: Capture, *more: RoomEvent) -> Capture:
    """The call, with more happening in its room."""
    events = sorted((*capture.events, *more), key=lambda event: event.at_ns)
    return replace(capture, events=tuple(events))


def assert_on_time(outcome: Outcome) -> None:
    """Each span has what its time allows, while it is open and at its end."""
    assert outcome.strays == []
    for span in outcome.capture.spans:
        found = inherited(outcome.alone.attributes(span))
        assert found == held(outcome.known, span.start_ns, span.end_ns), span.name


# Failover -----------------------------------------------------------------------------------------


def hasty() -> Capture:
    """The failover call, dialled again 0.1 ms after the 503: before the first callee has left."""
    capture = load(FAILOVER)
    first, second = capture.dials
    took_s = (second.ended_ns - first.ended_ns) / 1e9 - 0.0001
    changed = {"attempt": 2, "took_s": round(took_s, 4)}
    events = [
        replace(event, body={**event.body, **changed}) if event.at_ns == second.ended_ns else event
        for event in capture.events
    ]
    return replace(capture, events=tuple(events))


def test_an_attempt_right_after_a_failure_is_an_attempt() -> None:
    """A second dial counts, even if the first callee's leaving is told only after it."""
    capture = hasty()
    first, second = capture.dials
    left = next(e.at_ns for e in capture.events if e.name == "participant_disconnected")
    assert first.ended_ns < second.started_ns < left
    outcome = played(capture)
    assert_on_time(outcome)
    assert outcome.root["sip.attempt_count"] == 2
    assert outcome.root["trunk.id"] == second.trunk_id
    setup_ms = (second.ended_ns - second.started_ns) / 1e6
    assert outcome.root["sip.setup_ms"] == pytest.approx(setup_ms, abs=60)


def test_attempts_may_share_an_identity() -> None:
    """Two attempts whose callees have one identity are two attempts all the same."""
    capture = load(FAILOVER)
    renamed = json.loads(
        json.dumps([e.body for e in capture.events]).replace("callee-2", "callee-1")
    )
    events = zip(capture.events, renamed, strict=True)
    outcome = played(
        replace(capture, events=tuple(replace(event, body=body) for event, body in events))
    )
    assert_on_time(outcome)
    assert outcome.root == played(capture).root


def second_row_without_region() -> tuple[Capture, str, tuple[Known, ...]]:
    """The failover call, where the directory has no region for the second trunk."""
    capture = load(FAILOVER)
    table = rows(capture)
    del table[capture.dials[1].trunk_id]["region"]
    known = [fact for fact in known_facts(capture, "rows") if fact.value != "us-2"]
    return capture, toml_of(table), tuple(known)


def test_the_facts_of_a_refused_attempt_go_no_further() -> None:
    """A span that starts after a failover has nothing of the trunk that refused."""
    capture, table, known = second_row_without_region()
    outcome = play(Job(capture, Directory.parse(table), known))
    assert REGION not in final(known)
    for span in capture.spans:
        if span is not capture.root:
            assert REGION not in outcome.late.attributes(span), span.name
    assert outcome.call.facts.region is None
    assert outcome.call.facts.reason is None


def test_late_facts_withdraw_what_a_refused_attempt_said() -> None:
    """Through LateFactsExporter the root of a recovered call speaks of the last attempt alone."""
    capture, table, known = second_row_without_region()
    root = play(Job(capture, Directory.parse(table), known)).late.attributes(capture.root)
    assert (root[CARRIER], root[CODE]) == ("carrier-b", 200)
    assert not {REGION, "sip.response.reason"} & root.keys()


@pytest.mark.xfail(
    strict=True,
    reason="an attribute cannot be taken off an open span: without LateFactsExporter the root of "
    "a call that failed over keeps what only the attempt before had said (here region, reason)",
)
def test_the_root_of_a_failover_speaks_of_the_last_attempt() -> None:
    """The root of a recovered call has no fact that belongs to the refused attempt alone."""
    capture, table, known = second_row_without_region()
    outcome = play(Job(capture, Directory.parse(table), known))
    assert not {REGION, "sip.response.reason"} & outcome.root.keys()


# Exceptions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAILED)
def test_the_dials_exception_ends_the_entrypoint_as_it_is(name: str) -> None:
    """An entrypoint that lets it through ends by that very exception; the facts are the same."""
    outcome, quiet = played(load(name), raises_dial=True), played(load(name))
    assert outcome.ended_by is outcome.raised[-1]
    assert quiet.ended_by is None
    assert dict(outcome.root) == dict(quiet.root)
    assert (outcome.left_open, outcome.left_held) == (0, 0)


def test_a_refused_transfer_is_not_the_calls_code() -> None:
    """603 to our REFER, in an answered call, leaves the call's own 200 alone."""
    refused = SipCallError(
        "failed_precondition",
        "transfer refused",
        status=412,
        metadata={"sip_status_code": "603", "sip_status": "Decline"},
    )
    outcome = played(load(ANSWERED), raises=refused)
    assert outcome.ended_by is refused
    assert_on_time(outcome)
    assert outcome.root[CODE] == 200
    assert "sip.response.reason" not in outcome.root


# Other legs ---------------------------------------------------------------------------------------

CONSULTED = "+15552223333"


def consultation(capture: Capture) -> Capture:
    """A second SIP participant is in the room from the 20th to the 30th second."""
    person: Mapping[str, Any] = {
        "identity": "consulted",
        "name": "Desk",
        "kind": "PARTICIPANT_KIND_SIP",
        "sid": "PA_consulted",
        "metadata": "",
        "attributes": {
            "sip.callStatus": "active",
            "sip.callID": "SCL_consulted",
            "sip.trunkID": "ST_other",
            "sip.hostname": "other.pstn.twilio.com",
            "sip.phoneNumber": CONSULTED,
            "carrier.name": "other",
            "trunk.route": "other",
        },
        "disconnect_reason": "CLIENT_INITIATED",
    }
    start = capture.root.start_ns
    return with_events(
        capture,
        RoomEvent(start + 20 * SECOND_NS, "participant_connected", {"participant": person}),
        RoomEvent(start + 30 * SECOND_NS, "participant_disconnected", {"participant": person}),
    )


def test_another_leg_is_told_and_changes_nothing() -> None:
    """A second SIP participant is a leg of the call: its facts and its number are on no span."""
    capture = load(INBOUND_CALL)
    outcome = played(consultation(capture), known_facts(capture, "rows"))
    assert_on_time(outcome)
    alone = played(capture)
    assert dict(outcome.root) == dict(alone.root)
    (leg,) = outcome.call.legs
    assert (leg.trunk_id, leg.carrier, leg.direction) == ("ST_other", "twilio", "outbound")
    assert [event["livekit.sip.call_id"] for event in outcome.events("sip.leg")] == [
        "SCL_consulted",
        "SCL_consulted",
    ]
    assert outcome.events("sip.state") == alone.events("sip.state")
    assert CONSULTED[2:].encode() not in outcome.late.data


def test_a_busy_colleague_is_not_the_calls_code() -> None:
    """A second dial beside an answered call is a leg: its 486 and its trunk are not the call's."""
    capture = load(ANSWERED)
    busy = load("06-outbound-486").dials[0].body
    at_ns = capture.root.start_ns + 6 * SECOND_NS
    told = RoomEvent(at_ns, "create_sip_participant", {**busy, "trunk": "ST_other", "attempt": 2})
    outcome = played(with_events(capture, told), known_facts(capture, "rows"))
    assert [error.sip_status_code for error in outcome.raised] == [486]  # type: ignore[attr-defined]
    assert_on_time(outcome)
    assert outcome.root[CODE] == 200
    assert outcome.root["sip.attempt_count"] == 1
    assert outcome.root["trunk.id"] == capture.dials[0].trunk_id
    assert "sip.response.reason" not in outcome.root


# Who is believed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INBOUND)
def test_a_header_never_overrides_the_row(name: str) -> None:
    """Where row, attributes and headers disagree, every span has what the row says."""
    capture = load(name)
    row = {"carrier": "operators-word", "route": "operators/route"}
    table = toml_of({capture.facts["trunk"]["id"]: row}) + TRUSTED_ATTRIBUTES + TRUSTED_HEADERS
    said = {CARRIER: row["carrier"], ROUTE: row["route"]}
    spoofed = {str(capture.facts[key]) for key in ("carrier_header", "route_header")}
    outcome = play(Job(capture, Directory.parse(table), known_facts(capture, "rows")))
    for span in capture.spans:
        late = outcome.late.attributes(span)
        assert {key: late[key] for key in said} == said, span.name
        ours = {v for key, v in outcome.alone.attributes(span).items() if key.startswith("trunk.")}
        assert not spoofed & ours, span.name


# Media --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["03-inbound-loss10", "04-inbound-loss3-nft"])
def test_a_count_of_the_whole_call_is_the_roots(name: str) -> None:
    """The bridge's final count covers more than 15 s: it goes to the root, and to no turn."""
    capture = load(name)
    counted = capture.facts["loss"]["carrier_to_bridge"]
    ratio = counted["removed"] / counted["packets_put_out"]
    answered, hung_up = capture.status_at("active"), capture.status_at("hangup")
    assert answered is not None
    assert hung_up is not None

    def record(call: LiveCall) -> None:
        call.record_media(
            leg="trunk",
            direction="in",
            loss_ratio=ratio,
            start=answered / 1e9,
            end=hung_up / 1e9,
        )

    outcome = played(capture, at_hangup=record)
    assert_on_time(outcome)
    root = outcome.root
    assert root["rtp.in.loss_ratio"] == root["rtp.loss_ratio"] == pytest.approx(ratio)
    assert root["rtp.loss_method"] == "counted"
    for span in capture.spans:
        if span is not capture.root:
            assert "rtp.loss_ratio" not in outcome.late.attributes(span), span.name
