"""Webhooks: SIP participants that came and went, and recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sources.captured import NAMES, data, lines, truth

from trunktrace import conventions as c
from trunktrace.sources.livekit import webhook as livekit_webhook
from trunktrace.sources.parsed import Parsed

T = 1_795_000_000


def _parsed(name: str) -> Parsed:
    return livekit_webhook.parse(data(name, "livekit-webhook"))


@pytest.mark.parametrize("name", NAMES)
def test_every_leg_of_a_captured_room_is_told(name: str) -> None:
    """No body is broken; each SIP participant is an observation with room, job and call id."""
    parsed = _parsed(name)
    assert parsed.broken == ()
    ids = [one.ids["livekit_call_id"] for one in parsed.observations]
    assert ids == truth(name)["livekit_call_ids"]
    for one in parsed.observations:
        assert one.ids["room_id"].startswith("RM_")
        assert one.ids["job_id"].startswith("AJ_")
        assert one.facts[c.SIP_CALL_DIRECTION] == truth(name)["direction"]


@pytest.mark.parametrize("name", NAMES)
def test_no_number_leaves_a_webhook(name: str) -> None:
    """No number of a captured call stands anywhere in what is read; room names hold some."""
    assert "1555" not in repr(_parsed(name))


def test_whole_seconds_make_no_moment() -> None:
    """A body's time is a whole second: too coarse to say when a call was answered or ended."""
    for name in NAMES:
        assert all(one.marks == () for one in _parsed(name).observations)


def test_an_answer_is_said_only_where_it_is_sure() -> None:
    """`hangup` proves an answer of an outbound call, and of no inbound one; a 503 shows nothing."""
    (inbound,) = _parsed("01-inbound-clean-pcmu").observations
    failed, answered = _parsed("07-outbound-503-failover").observations
    assert c.SIP_RESPONSE_STATUS_CODE not in inbound.facts
    assert c.SIP_RESPONSE_STATUS_CODE not in failed.facts
    assert answered.facts[c.SIP_RESPONSE_STATUS_CODE] == 200


def _room(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, "room": {"sid": "RM_made", "name": "r"}, "createdAt": str(T), **fields}


def _person(**fields: Any) -> dict[str, Any]:
    attributes = {"sip.callID": "SCL_made", "sip.ruleID": "SDR_made", "sip.callStatus": "active"}
    return {
        "sid": "PA_made",
        "identity": "sip_caller",
        "kind": "SIP",
        "joinedAt": str(T),
        "attributes": attributes,
        **fields,
    }


def test_an_agent_that_ends_an_active_call_hung_up() -> None:
    """The participant was removed while it was active: answered, and ended by the agent."""
    left = _person(disconnectReason="PARTICIPANT_REMOVED")
    parsed = livekit_webhook.parse(lines(_room("participant_left", participant=left)))
    (one,) = parsed.observations
    assert one.facts[c.SIP_RESPONSE_STATUS_CODE] == 200
    assert one.facts[c.SIP_HANGUP_SOURCE] == "agent"


def _egress(event: str, **fields: Any) -> dict[str, Any]:
    info = {
        "egressId": "EG_made",
        "roomId": "RM_made",
        "status": "EGRESS_ACTIVE",
        "startedAt": str((T + 2) * 10**9),
        **fields,
    }
    return {"event": event, "egressInfo": info, "createdAt": str(T)}


def test_a_recording_is_an_interval() -> None:
    """Egress says to the nanosecond when a recording began and ended."""
    joined = _room("participant_joined", participant=_person())
    ended = _egress("egress_ended", endedAt=str((T + 9) * 10**9), status="EGRESS_COMPLETE")
    parsed = livekit_webhook.parse(lines(joined, _egress("egress_started"), ended))
    (one,) = parsed.observations
    marks = [(mark.kind, mark.start, mark.end) for mark in one.marks]
    assert marks == [("recording", T + 2, T + 9)]


def test_a_failed_egress_recorded_nothing() -> None:
    """An egress that failed or only streams to elsewhere is no recording."""
    failed = _egress("egress_ended", status="EGRESS_FAILED")
    stream = _egress("egress_started", streamResults=[{"url": "rtmp://x.invalid"}])
    assert livekit_webhook.parse(lines(failed, stream)) == Parsed(ignored=2)


def test_the_names_of_the_definition_say_the_same() -> None:
    """Python's protobuf can print `created_at` for `createdAt`, and enums as numbers."""
    left = _person(disconnectReason="PARTICIPANT_REMOVED", joinedAtMs=str(T * 1000 + 250))
    known = lines(
        _room("participant_joined", participant=_person()),
        _room("participant_left", participant=left),
        _egress("egress_ended", endedAt=str((T + 9) * 10**9), status="EGRESS_COMPLETE"),
    )
    names = {
        "createdAt": "created_at", "joinedAt": "joined_at", "joinedAtMs": "joined_at_ms",
        "egressInfo": "egress_info", "egressId": "egress_id", "roomId": "room_id",
        "startedAt": "started_at", "endedAt": "ended_at", "disconnectReason": "disconnect_reason",
    }  # fmt: skip
    text = known.decode()
    for name, other in names.items():
        text = text.replace(f'"{name}"', f'"{other}"')
    numbers = text.replace('"PARTICIPANT_REMOVED"', "4").replace('"SIP"', "3")
    numbers = numbers.replace('"EGRESS_COMPLETE"', "3")
    told = livekit_webhook.parse(known)
    assert (told.broken, told.ignored, len(told.observations)) == ((), 0, 1)
    assert livekit_webhook.parse(text.encode()) == told
    assert livekit_webhook.parse(numbers.encode()) == told


def test_bodies_over_several_lines_say_the_same() -> None:
    """A body that was saved for people to read, several of them, or a list."""
    known = [json.loads(line) for line in data(NAMES[0], "livekit-webhook").splitlines()]
    told = livekit_webhook.parse(data(NAMES[0], "livekit-webhook"))
    for text in (
        json.dumps(known, indent=2),
        json.dumps(known),
        "\n".join(json.dumps(one, indent=1) for one in known),
    ):
        assert livekit_webhook.parse(text.encode()) == told
    cut = json.dumps(known[0], indent=2)[:-1]
    assert livekit_webhook.parse(cut.encode()).broken
    nameless = json.dumps([known[0], {"room": {}}], indent=2)
    line = nameless[: nameless.rindex('"room"')].count("\n")
    (broken,) = livekit_webhook.parse(nameless.encode()).broken
    assert (broken.line, broken.reason) == (line, "no name under `event`")


def test_an_agent_that_failed_ended_the_call() -> None:
    """AGENT_ERROR, a reason of 2026, is the agent's doing."""
    left = _person(disconnectReason="AGENT_ERROR")
    (one,) = livekit_webhook.parse(lines(_room("participant_left", participant=left))).observations
    assert one.facts[c.SIP_HANGUP_SOURCE] == "agent"


def test_an_aborted_connection_is_a_leg_that_left() -> None:
    """A participant whose session ended before it was active is told, and was not answered."""
    ringing = {"sip.callID": "SCL_made", "sip.ruleID": "SDR_made", "sip.callStatus": "ringing"}
    gone = _person(attributes=ringing, joinedAt="0", disconnectReason="CLIENT_INITIATED")
    (one,) = livekit_webhook.parse(
        lines(_room("participant_connection_aborted", participant=gone))
    ).observations
    assert (one.completeness, one.end) == ("complete", T)
    assert c.SIP_RESPONSE_STATUS_CODE not in one.facts


def test_an_egress_of_the_deprecated_field_that_streams_is_no_recording() -> None:
    """`stream` beside no `file`: it went elsewhere. A status of another type says nothing."""
    streams = _egress("egress_started", stream={"info": [{"url": "rtmp://x.invalid"}]})
    assert livekit_webhook.parse(lines(streams)) == Parsed(ignored=1)
    odd = _egress("egress_started", status=[{}])
    (one,) = livekit_webhook.parse(lines(odd)).observations
    assert [mark.kind for mark in one.marks] == ["recording"]


@pytest.mark.parametrize(
    "record, reason",
    [
        ({"room": {}}, "no name under `event`"),
        ({"event": "participant_joined"}, "no id of a room"),
        (_room("participant_joined"), "no participant with an identity and an id"),
        (
            {**_room("participant_joined", participant=_person(joinedAt=None)), "createdAt": "x"},
            "no time under `joinedAt` or `createdAt`",
        ),
    ],
)
def test_a_broken_body_is_named(record: dict[str, Any], reason: str) -> None:
    """A body that lacks what it must have is told by line and reason; others stay."""
    joined = _room("participant_joined", participant=_person(sid="PA_other"))
    parsed = livekit_webhook.parse(lines(joined, record))
    assert [(broken.line, broken.reason) for broken in parsed.broken] == [(2, reason)]
    assert len(parsed.observations) == 1
