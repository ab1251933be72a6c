"""Ten captured calls, replayed: each span has what its time allows, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest
from livekit.api import ServerError, SipCallError

from .capture import ANSWERED, FAILED, INBOUND, NAMES, OUTBOUND, Capture
from .expected import CARRIER, CODE, DIRECTION, HOWS, UNKNOWN, How, answered_ns, final, held
from .player import HASH_KEY, TICK_NS, Outcome, inherited, replay
from .summary import share

SPOKEN = ("asr", "llm", "tool", "tts")
GRACE_NS = 1_000_000_000
"""How long the late-facts exporter waits behind a settled call, by default."""

OF_A_TRACE = {
    "x-traceparent",
    "traceparent",
    "x-trace-id",
    "x-span-id",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "session-id",
    "user-to-user",
}
"""SIP headers that may tell of a trace: they are asked for beside the others."""

TOLD_LATE_S = {"09-inbound-one-way": 1.0}
"""Where no RTP came from the caller, the bridge said `active` a second after its 200 OK."""

every_call = pytest.mark.parametrize("name", NAMES)
every_way = pytest.mark.parametrize("how", HOWS)


def root_of(name: str, how: How = "rows") -> dict[str, object]:
    return dict(replay(name, how).root)


# Time ---------------------------------------------------------------------------------------------


@every_way
@every_call
def test_a_span_ends_with_what_was_known_until_then(name: str, how: How) -> None:
    """A span has each fact that was known while it was open, and no fact that came later."""
    outcome = replay(name, how)
    root = outcome.capture.root
    for span in outcome.capture.spans:
        found = inherited(outcome.alone.attributes(span))
        if span is root and found.get(CARRIER) == UNKNOWN:
            del found[CARRIER]
        assert found == held(outcome.known, span.start_ns, span.end_ns), span.name


@every_way
@every_call
def test_an_open_span_has_each_fact_at_once(name: str, how: How) -> None:
    """After every event of the call each open span has what is known at that moment."""
    assert replay(name, how).strays == []


@every_way
@every_call
def test_late_facts_reach_every_span(name: str, how: How) -> None:
    """Through LateFactsExporter every span has every fact, those it had itself unchanged."""
    outcome = replay(name, how)
    known = final(outcome.known)
    assert len(outcome.late.spans) == len(outcome.capture.spans)
    for span in outcome.capture.spans:
        alone = inherited(outcome.alone.attributes(span))
        assert inherited(outcome.late.attributes(span)) == {**known, **alone}, span.name


@every_way
@every_call
def test_no_span_is_held_longer_than_it_helps(name: str, how: How) -> None:
    """A span leaves at the latest a second and one tick after it ended and the call is settled."""
    outcome = replay(name, how)
    settled = settled_ns(outcome)
    for span in outcome.capture.spans:
        due = max(span.end_ns, settled) + GRACE_NS + TICK_NS
        assert outcome.late.came_ns[span.span_id] <= due, span.name


def settled_ns(outcome: Outcome) -> int:
    """When carrier, route, direction and code were known, or could no longer come."""
    capture = outcome.capture
    if answered_ns(capture) is not None:
        return max(fact.since_ns for fact in outcome.known if fact.key != "rtp.codec")
    left = [event.at_ns for event in capture.events if event.name == "participant_disconnected"]
    return max(*left, capture.dials[-1].ended_ns)


@every_way
@pytest.mark.parametrize("name", ANSWERED)
def test_only_the_greeting_can_be_too_early(
    name: str, how: How, record_property: Callable[[str, object], None]
) -> None:
    """Every ASR, LLM, tool and TTS span has every fact; but the greeting, spoken too early."""
    outcome = replay(name, how)
    for key in final(outcome.known):
        counts = [share(outcome, of_class, key) for of_class in SPOKEN]
        record_property(f"greeting spans without {key}", sum(count.greeting for count in counts))
        assert sum(count.spans for count in counts) > 20
        assert sum(count.other for count in counts) == 0
        assert sum(count.late for count in counts) == sum(count.spans for count in counts)


@every_way
@every_call
def test_nothing_is_left_when_the_root_has_ended(name: str, how: How) -> None:
    """The end of the root ends the call: none is open, no span is held, no failure was hidden."""
    outcome = replay(name, how)
    assert (outcome.left_open, outcome.left_held, outcome.swallowed) == (0, 0, {})
    assert not outcome.call


OURS = ("sip.", "trunktrace.")


@every_call
def test_what_livekit_wrote_is_untouched(name: str) -> None:
    """Attributes, events, times and parents of LiveKit's spans stay as they are."""
    outcome = replay(name, "rows")
    for captured in outcome.capture.spans:
        wrote = {key: frozen(value) for key, value in captured.attributes.items()}
        assert wrote.items() <= dict(outcome.alone.attributes(captured)).items(), captured.name
        span = outcome.late.spans[captured.span_id]
        assert (span.start_time, span.end_time) == (captured.start_ns, captured.end_ns)
        assert (f"{span.parent.span_id:016x}" if span.parent else None) == captured.parent_id
        told = [event.name for event in span.events if not event.name.startswith(OURS)]
        assert told == [event for _, event, _ in captured.events]


def frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


# Facts --------------------------------------------------------------------------------------------


@every_way
@every_call
def test_the_root_has_the_code_of_the_last_attempt(name: str, how: How) -> None:
    """The root ends with the final code that the far end sent, or with none where it sent none."""
    truth = replay(name, how).capture.facts["sip_final_code"]
    assert root_of(name, how).get(CODE) == truth


def test_a_refused_attempt_counts_only_until_the_next() -> None:
    """503, then 200: the root says 503 in between, and no other span ever does."""
    outcome = replay("07-outbound-503-failover", "rows")
    capture, (first, second) = outcome.capture, outcome.capture.dials
    assert [error.sip_status_code for error in outcome.raised] == [503]  # type: ignore[attr-defined]
    root_told = held(outcome.known, capture.root.start_ns, second.started_ns - 1)
    assert (root_told[CODE], root_told[CARRIER]) == (503, "carrier-a")
    codes = {span.name: outcome.alone.attributes(span).get(CODE) for span in capture.spans}
    assert 503 not in codes.values()
    assert codes["job_entrypoint"] == 200
    assert outcome.root[CARRIER] == "carrier-b"
    assert outcome.root["sip.attempt_count"] == 2
    assert first.trunk_id != outcome.root["trunk.id"] == second.trunk_id


def test_an_http_status_is_no_sip_code() -> None:
    """No answer comes as HTTP 408 without a SIP code: no span gets one."""
    outcome = replay("08-outbound-no-answer", "rows")
    (error,) = outcome.raised
    assert isinstance(error, ServerError)
    assert not isinstance(error, SipCallError)
    assert error.status == 408
    for span in outcome.capture.spans:
        assert CODE not in outcome.alone.attributes(span)
        assert CODE not in outcome.late.attributes(span)


@pytest.mark.parametrize("name", FAILED)
def test_a_call_without_a_session_is_told_on_its_root(name: str) -> None:
    """A failed attempt leaves six spans that say nothing of it; the root now does."""
    outcome, root = replay(name, "rows"), root_of(name)
    (attempt,) = outcome.capture.facts["attempts"]
    assert len(outcome.capture.spans) == 6
    assert root[DIRECTION] == "outbound"
    assert root[CARRIER] == attempt["carrier"]
    assert root["trunk.id"] == attempt["trunk"]
    assert root["livekit.sip.call_id"] == attempt["livekit_call_id"]
    assert root["sip.attempt_count"] == 1
    assert root.get("sip.response.reason") == (
        "Busy Here" if attempt["sip_final_code"] == 486 else None
    )
    assert not {"sip.call_id", "sip.call.duration_ms", "sip.setup_ms"} & root.keys()


@every_call
def test_client_initiated_names_nobody(name: str) -> None:
    """The reason of leaving stands in the event; it makes nobody the one who hung up."""
    outcome = replay(name, "rows")
    reasons = [
        event.body["participant"]["disconnect_reason"].lower()
        for event in outcome.capture.events
        if event.name == "participant_disconnected"
    ]
    told = [event.get("livekit.disconnect_reason") for event in outcome.events("sip.state")]
    assert [reason for reason in told if reason is not None] == reasons
    assert "sip.hangup.source" not in outcome.root


@every_call
def test_the_states_are_told_in_their_order(name: str) -> None:
    """The root has one `sip.state` event for each state that the SIP participant went through."""
    outcome = replay(name, "rows")
    told = [event["sip.call.state"] for event in outcome.events("sip.state")]
    assert told == states_of(outcome.capture)


def states_of(capture: Capture) -> list[str]:
    """What the room said of the call's state, each leaving as a hang-up."""
    joined = [person["attributes"]["sip.callStatus"] for person in capture.present_at_connect]
    told = list(joined)
    for event in capture.events:
        if event.name == "participant_connected":
            told.append(event.body["participant"]["attributes"]["sip.callStatus"])
        elif event.name == "participant_attributes_changed":
            told.append(event.body["changed"].get("sip.callStatus", "hangup"))
        elif event.name == "participant_disconnected":
            told.append("end")
    said = [state for state in told if state != "hangup"]
    return ["hangup" if state == "end" else state for state in said]


@every_call
def test_ids_are_those_of_the_call(name: str) -> None:
    """Call-ID, LiveKit's call id, trunk and rule on the root are those of the last attempt."""
    capture, root = replay(name, "rows").capture, root_of(name)
    facts = capture.facts
    assert root["livekit.sip.call_id"] == facts["livekit_call_ids"][-1]
    if capture.inbound:
        assert root["sip.call_id"] == facts["sip_call_id_header"]
        assert root["trunk.id"] == facts["trunk"]["id"]
        assert root["livekit.sip.rule_id"] == facts["trunk"]["dispatch_rule"]
    else:
        last = facts["attempts"][-1]
        assert root["trunk.id"] == last["trunk"]
        assert root.get("sip.call_id") == (last["call_id_header"] if facts["answered"] else None)


@pytest.mark.parametrize("name", ANSWERED)
def test_setup_and_duration_are_those_of_the_far_end(name: str) -> None:
    """Setup time and duration agree with what the far end measured, as far as the room tells."""
    capture, root = replay(name, "rows").capture, root_of(name)
    late_s = TOLD_LATE_S.get(name, 0.0)
    dials = capture.dials
    setup_s = capture.facts["setup_s"] if capture.inbound else dials[-1].body["took_s"]
    assert root["sip.setup_ms"] == pytest.approx((setup_s + late_s) * 1000, abs=60)
    # An outbound `active` comes after the far end's 200 OK by a third of a second.
    tolerance = 60 if capture.inbound else 400
    talk_s = capture.facts["talk_s"]
    assert root["sip.call.duration_ms"] == pytest.approx((talk_s - late_s) * 1000, abs=tolerance)


@pytest.mark.parametrize("name", OUTBOUND)
def test_an_outbound_attempt_has_its_delays(name: str) -> None:
    """Post-dial delay runs from the last dial to ringing, and ringing to the answer."""
    capture, root = replay(name, "rows").capture, root_of(name)
    dialled = capture.dials[-1].started_ns
    rang = next(at for at, state in capture.changes("sip.callStatus")[::-1] if state == "ringing")
    assert root["sip.pdd_ms"] == pytest.approx((rang - dialled) / 1e6, abs=1)
    if (active := capture.status_at("active")) is not None:
        assert root["sip.ring_ms"] == pytest.approx((active - rang) / 1e6, abs=1)


@every_call
def test_counts_are_those_of_the_call(name: str) -> None:
    """Attempts are the INVITEs that we sent; digits are counted, and their values are nowhere."""
    capture, root = replay(name, "rows").capture, root_of(name)
    digits = [event.body["digit"] for event in capture.events if event.name == "sip_dtmf_received"]
    assert root.get("sip.attempt_count") == (len(capture.facts.get("attempts", [])) or None)
    assert root.get("sip.dtmf_count") == (len(digits) or None)
    assert not [key for key in root if "dtmf" in key and key != "sip.dtmf_count"]


@every_call
def test_what_the_agent_cannot_see_is_on_no_span(name: str) -> None:
    """Nobody on the trunk leg has counted, so no span has a loss: the agent's leg has none."""
    outcome = replay(name, "rows")
    for span in outcome.capture.spans:
        for recorder in (outcome.alone, outcome.late):
            media = [
                key for key in recorder.attributes(span) if key.startswith(("rtp.", "webrtc."))
            ]
            assert media in ([], ["rtp.codec"])


@every_way
@every_call
def test_an_unknown_carrier_is_on_the_root_alone(name: str, how: How) -> None:
    """Where nobody named the carrier the root ends with `unknown`, and no other span has a key."""
    outcome = replay(name, how)
    carriers = {outcome.late.attributes(span).get(CARRIER) for span in outcome.capture.spans}
    if CARRIER in final(outcome.known):
        assert UNKNOWN not in carriers
    else:
        assert outcome.root[CARRIER] == UNKNOWN
        assert outcome.late.attributes(outcome.capture.root)[CARRIER] == UNKNOWN
        assert carriers == {UNKNOWN, None}


@every_way
@every_call
def test_headers_are_asked_for_only_where_they_are_needed(name: str, how: How) -> None:
    """One RPC, naming just the trusted headers that no attribute has, and those of a trace."""
    outcome = replay(name, how)
    mapped = name in ("02-inbound-clean-pcma", "10-inbound-anonymous-pai")
    needed = how == "headers" and not mapped and name not in FAILED
    asked = [set(include) - OF_A_TRACE for _, include in outcome.asked]
    assert asked == [{"x-carrier", "x-route"}] * needed


@every_call
def test_facts_say_what_the_root_says(name: str) -> None:
    """`call.facts` holds by field what the root holds by key; one leg makes no others."""
    outcome, root = replay(name, "rows"), root_of(name)
    facts = outcome.call.facts
    assert facts.carrier == root.get(CARRIER)
    assert facts.status_code == root.get(CODE)
    assert facts.trunk_id == root["trunk.id"]
    assert facts.setup_ms == root.get("sip.setup_ms")
    assert outcome.call.legs == ()
    assert outcome.events("sip.leg") == []


# Privacy ------------------------------------------------------------------------------------------


@every_way
@every_call
def test_no_number_of_the_call_leaves(name: str, how: How) -> None:
    """No phone number of the call is in the OTLP bytes, with late facts or without, nor logged."""
    outcome = replay(name, how)
    assert len(outcome.capture.numbers) == 2
    for number in outcome.capture.numbers:
        # LiveKit's own spans hold them; but where there was no session there are none that could.
        assert (number.encode() in outcome.alone.data) is (name in ANSWERED)
        assert number.encode() not in outcome.redacted.data
        assert number.encode() not in outcome.late.data
        assert number not in outcome.log


@every_call
def test_numbers_are_masked_and_hashed(name: str) -> None:
    """The root has both parties as country code and last two digits, and by the keyed hash."""
    capture, root = replay(name, "rows").capture, root_of(name)
    theirs, ours = ("caller", "callee") if capture.inbound else ("callee", "caller")
    attributes = person_of(capture)
    numbers = {theirs: attributes["sip.phoneNumber"], ours: attributes["sip.trunkPhoneNumber"]}
    for role, number in numbers.items():
        if number == "anonymous":
            assert not [key for key in root if key.startswith(f"sip.{role}.")]
            continue
        masked = str(root[f"sip.{role}.number"])
        assert (masked[:2], masked[-2:]) == ("+1", number[-2:])
        assert set(masked[2:-2]) == {"*"}
        digest = hmac.new(HASH_KEY.encode(), number.encode(), hashlib.sha256).hexdigest()
        assert str(root[f"sip.{role}.hash"]).partition(":")[2] == digest[:16]
        assert f"sip.{role}.pii.number" not in root


def person_of(capture: Capture) -> dict[str, str]:
    """The attributes of the call's SIP participant when it left."""
    left = [event for event in capture.events if event.name == "participant_disconnected"]
    return left[-1].body["participant"]["attributes"]


@every_way
def test_an_anonymous_caller_stays_anonymous(how: How) -> None:
    """Neither the P-Asserted-Identity nor another header that names the caller leaves the job."""
    outcome = replay("10-inbound-anonymous-pai", how)
    for told in (b"5553334444", b"carrier-a.example", b"caller@", b"anonymous@", b"35992"):
        assert told in outcome.alone.data
        assert told not in outcome.late.data
        assert told not in outcome.redacted.data
    assert "sip.caller.number" not in outcome.root
    assert outcome.root["sip.transport"] == "udp"


def test_a_directory_that_names_nobody_says_how() -> None:
    """Where no row names the carrier, one log line gives the row to write."""
    assert replay("02-inbound-clean-pcma", "attributes").log.count("[trunks.ST_TxhsY6XFJizb]") == 1
    for name in FAILED:
        trunk_id = replay(name, "attributes").capture.dials[-1].trunk_id
        assert replay(name, "attributes").log.count(f"[trunks.{trunk_id}]") == 1


@every_way
@pytest.mark.parametrize("name", ANSWERED)
def test_nothing_is_missed_that_only_comes_later(name: str, how: How) -> None:
    """No log line asks for a row where the answer brings what names the carrier."""
    outcome = replay(name, how)
    if CARRIER in final(outcome.known):
        assert f"[trunks.{outcome.root['trunk.id']}]" not in outcome.log


def test_every_captured_call_is_replayed() -> None:
    """Six inbound and four outbound calls are there."""
    assert (len(NAMES), len(INBOUND), len(OUTBOUND)) == (10, 6, 4)
