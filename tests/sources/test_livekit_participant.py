"""What an agent saw in its room: legs, dial results, times, and who speaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sources.captured import ANSWERED, INBOUND, NAMES, OUTBOUND, data, lines, truth

from trunktrace import conventions as c
from trunktrace.facts import Attempt, Observation
from trunktrace.sources.livekit import participant as livekit_participant
from trunktrace.sources.parsed import Parsed

T = 1_795_000_000.0
CALLER = "+15551234567"


def _parsed(name: str) -> Parsed:
    return livekit_participant.parse(data(name, "livekit-participant"))


def _kinds(one: Observation) -> list[str]:
    return [mark.kind for mark in one.marks]


@pytest.mark.parametrize("name", NAMES)
def test_every_leg_of_a_captured_room_is_told(name: str) -> None:
    """No line is broken, and each SIP participant is one observation with its id."""
    parsed = _parsed(name)
    assert parsed.broken == ()
    ids = [one.ids["livekit_call_id"] for one in parsed.observations]
    assert ids == truth(name)["livekit_call_ids"]
    assert {one.facts[c.SIP_CALL_DIRECTION] for one in parsed.observations} == {
        truth(name)["direction"]
    }


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answered_leg_has_its_times(name: str) -> None:
    """200, the talking time within a second, and marks of the answer, the track and the end."""
    one = _parsed(name).observations[-1]
    assert one.facts[c.SIP_RESPONSE_STATUS_CODE] == 200
    talked = float(one.facts[c.SIP_CALL_DURATION_MS]) / 1000.0
    assert talked == pytest.approx(truth(name)["talk_s"], abs=1.1)
    assert {"caller_track", "answered", "hangup", "agent_speaking"} <= set(_kinds(one))
    # CLIENT_INITIATED does not say who hung up.
    assert c.SIP_HANGUP_SOURCE not in one.facts


@pytest.mark.parametrize("name", OUTBOUND)
def test_each_dial_is_an_attempt_with_its_code(name: str) -> None:
    """The exception's SIP code is the attempt's; an HTTP 408 or 412 never is."""
    for one, stated in zip(_parsed(name).observations, truth(name)["attempts"], strict=True):
        (attempt,) = one.attempts
        assert attempt.status_code == stated["sip_final_code"]
        assert attempt.trunk_id == stated["trunk"]
        assert attempt.livekit_call_id == stated["livekit_call_id"]
        assert attempt.progress is True


def test_an_http_408_is_our_own_timeout() -> None:
    """No answer within the ringing timeout comes as a plain error of the API, without SIP code."""
    (one,) = _parsed("08-outbound-no-answer").observations
    assert one.attempts[0].failure == "timeout"
    assert one.facts[c.SIP_CALL_OUTCOME] == "no_answer"
    assert c.SIP_RESPONSE_STATUS_CODE not in one.facts


def test_digits_are_counted_and_never_told() -> None:
    """One key was pressed in call 01; which one stands nowhere."""
    (one,) = _parsed("01-inbound-clean-pcmu").observations
    assert one.facts[c.SIP_DTMF_COUNT] == 1


@pytest.mark.parametrize("name", INBOUND)
def test_claims_name_the_carrier(name: str) -> None:
    """What the directory goes by is there: mapped attributes, X- headers, the host."""
    (one,) = _parsed(name).observations
    stated = truth(name)
    carriers = {one.claims.get("carrier.name"), one.claims.get("sip.h.x-carrier")}
    assert stated["expected_carrier"] in carriers
    assert "sip.hostname" in one.claims
    assert not {key for key in one.claims if "number" in key.lower() or key == "sip.h.from"}


@pytest.mark.parametrize("name", NAMES)
def test_no_number_leaves_the_room(name: str) -> None:
    """No number of a captured call stands anywhere in what is read."""
    assert "1555" not in repr(_parsed(name))


def test_all_legs_of_one_job_share_its_id() -> None:
    """Two attempts of one job are told to belong together."""
    told = _parsed("07-outbound-503-failover").observations
    assert len({one.ids["job_id"] for one in told}) == 1


def test_a_withheld_caller_is_no_difference_of_identities() -> None:
    """From is anonymous and the asserted identity is a number: nothing is to be told of that."""
    (one,) = _parsed("10-inbound-anonymous-pai").observations
    assert one.identity_differs is None


# Rooms of our own --------------------------------------------------------------------------------


def _joined(at: float = 0.0, **attributes: str) -> dict[str, Any]:
    return {
        "t": T + at,
        "event": "participant_connected",
        "participant": {
            "identity": f"sip_{CALLER}",
            "name": f"Phone {CALLER}",
            "kind": "PARTICIPANT_KIND_SIP",
            "attributes": {
                "sip.callID": "SCL_made",
                "sip.ruleID": "SDR_made",
                "sip.phoneNumber": CALLER,
                "sip.callStatus": "ringing",
                **attributes,
            },
        },
    }


def _changed(at: float, identity: str, **attributes: str) -> dict[str, Any]:
    changed = {key.replace("_", "."): value for key, value in attributes.items()}
    return {
        "t": T + at,
        "event": "participant_attributes_changed",
        "identity": identity,
        "changed": changed,
    }


def _left(at: float, reason: str | int) -> dict[str, Any]:
    return {**_joined(at), "event": "participant_disconnected"} | {
        "participant": {"identity": f"sip_{CALLER}", "disconnect_reason": reason}
    }


def _one(*records: dict[str, Any]) -> Observation:
    parsed = livekit_participant.parse(lines(*records))
    assert parsed.broken == ()
    (one,) = parsed.observations
    return one


def test_two_identities_that_differ() -> None:
    """From and P-Asserted-Identity are two numbers: that is said, and no number."""
    headers = {
        "sip.h.from": f"<sip:{CALLER}@host.invalid>",
        "sip.h.p-asserted-identity": "<sip:+15557654321@host.invalid>",
    }
    one = _one(_joined(0.0, **headers))
    assert one.identity_differs is True
    assert "7654321" not in repr(one)


def test_headers_that_were_asked_for_count_as_well() -> None:
    """The bridge's answer to GetRemoteHeaders names the carrier and the identities."""
    headers = {"X-Carrier": "carrier-z", "P-Asserted-Identity": f"<tel:{CALLER}>"}
    answer = {"t": T + 1, "event": "rpc_GetRemoteHeaders", "response": {"headers": headers}}
    one = _one(_joined(), answer)
    assert one.claims["sip.h.x-carrier"] == "carrier-z"
    assert one.identity_differs is False


@pytest.mark.parametrize(
    "reason, source",
    [("ROOM_DELETED", "agent"), ("CONNECTION_TIMEOUT", "platform"), ("CLIENT_INITIATED", None),
     (4, "agent"), (14, "platform"), (1, None), (99, None), (-1, None)],
)  # fmt: skip
def test_who_hung_up_where_the_reason_says_so(reason: str | int, source: str | None) -> None:
    """The room's reason names the side that ended an answered call, or nobody."""
    one = _one(
        _joined(), _changed(1.0, f"sip_{CALLER}", sip_callStatus="active"), _left(9.0, reason)
    )
    assert one.facts.get(c.SIP_HANGUP_SOURCE) == source
    assert one.facts[c.SIP_CALL_DURATION_MS] == pytest.approx(8000.0)


def test_a_track_before_its_participant_is_kept() -> None:
    """The agent hears of a track before it is told of the participant: the mark is there."""
    track = {"t": T, "event": "track_subscribed", "identity": f"sip_{CALLER}"}
    assert "caller_track" in _kinds(_one(track, _joined(0.1)))


def test_the_agents_states_are_speech() -> None:
    """Speaking lasts until the next state; what is open at the end ends with the record."""
    agent = "agent-AJ_made1"
    one = _one(
        _joined(),
        _changed(1.0, agent, lk_agent_state="speaking"),
        _changed(3.0, agent, lk_agent_state="listening"),
        _changed(5.0, agent, lk_agent_state="speaking"),
        _left(6.0, "CLIENT_INITIATED"),
    )
    speech = [(m.start - T, (m.end or 0) - T) for m in one.marks if m.kind == "agent_speaking"]
    assert speech == [(1.0, 3.0), (5.0, 6.0)]


def _dial(**fields: Any) -> Attempt:
    record = {"t": T + 2, "event": "create_sip_participant", "trunk": "ST_made", "took_s": 1.5}
    (one,) = livekit_participant.parse(lines(record | fields)).observations
    (attempt,) = one.attempts
    return attempt


@pytest.mark.parametrize(
    "fields, failure",
    [
        ({"code": "unavailable", "status": 503, "message": "cpu exhausted"}, "no_bridge"),
        ({"code": "unavailable", "status": 503, "message": ""}, "no_bridge"),
        ({"exc_type": "TimeoutError"}, "client_error"),
        ({"exc_type": "ClientConnectorError", "message": "Connection refused"}, "client_error"),
        ({"code": "canceled", "status": 408, "message": "sip request timed out"}, "timeout"),
        ({"code": "internal", "message": "no such host"}, "dns"),
        ({"code": "internal", "message": ""}, "other"),
    ],
)
def test_a_dial_that_gave_no_code_says_why(fields: dict[str, Any], failure: str) -> None:
    """An error of the API without SIP code is never a SIP code, whatever its HTTP status is."""
    attempt = _dial(ok=False, **fields)
    assert (attempt.status_code, attempt.failure) == (None, failure)
    assert attempt.start == T + 0.5


def test_a_code_in_the_metadata_alone_is_one() -> None:
    """Older API packages have the SIP code in the metadata of a plain error, as text."""
    attempt = _dial(ok=False, metadata={"sip_status_code": "603", "sip_status": "Decline"})
    assert (attempt.status_code, attempt.reason) == (603, "Decline")


@pytest.mark.parametrize(
    "record, reason",
    [
        ({"event": "participant_connected"}, "no time under `t`"),
        ({"t": T}, "no name under `event`"),
        ({"t": "1795000000", "event": "x"}, "no time under `t`"),
        ({"t": T, "event": "participant_connected"}, "no participant with an identity"),
        ({"t": T, "event": "create_sip_participant"}, "no truth value under `ok`"),
        ({"t": T, "event": "participant_attributes_changed"}, "no identity"),
    ],
)
def test_a_broken_event_is_named(record: dict[str, Any], reason: str) -> None:
    """An event that lacks what it must have is told by line and reason; others stay."""
    parsed = livekit_participant.parse(lines(_joined(), record))
    assert [(broken.line, broken.reason) for broken in parsed.broken] == [(2, reason)]
    assert len(parsed.observations) == 1


def test_a_list_over_several_lines_says_the_same() -> None:
    """A file that was saved as one list of events is read as the events one a line are."""
    known = data(NAMES[0], "livekit-participant")
    listed = json.dumps([json.loads(line) for line in known.splitlines()], indent=2)
    assert livekit_participant.parse(listed.encode()) == livekit_participant.parse(known)


def test_somebody_without_a_phone_is_no_leg() -> None:
    """A participant of another kind gives no observation."""
    browser = _joined()
    browser["participant"]["kind"] = "PARTICIPANT_KIND_STANDARD"
    parsed = livekit_participant.parse(lines(browser, {"t": T, "event": "room_disconnected"}))
    assert parsed == Parsed(ignored=2)
