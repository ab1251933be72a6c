"""Every captured call of Asterisk: what its records say is what was set up and counted."""

from __future__ import annotations

import pytest
from tests.sources.asterisk import CALLER_CALLS, CALLS, by_leg, captured, parse, truth, whole

from trunktrace.sources.parsed import Observation
from trunktrace.sources.reading import Reading

ANSWERED = tuple(call for call in CALLS if truth(call)["answered"])
REFUSED = tuple(call for call in CALLS if not truth(call)["answered"])
READINGS = {"bridge is called": Reading(), "bridge calls": CALLER_CALLS}
LEGS = {"bridge is called": ("pstn", "trunk"), "bridge calls": ("trunk", "pstn")}
"""Our legs of Asterisk's a-leg (the caller's) and b-leg."""
ONE_POINT = 0.01

every_call = pytest.mark.parametrize("call", CALLS)
answered_call = pytest.mark.parametrize("call", ANSWERED)
either_end = pytest.mark.parametrize("placed", READINGS)
FILES = {"asterisk-ami": "ami.txt", "asterisk-cdr": "Master.csv"}
both_files = pytest.mark.parametrize("source", FILES)


def _legs(source: str, call: str, placed: str = "bridge is called") -> tuple[Observation, ...]:
    """The a-leg and the b-leg."""
    parsed = parse(source, captured(call, FILES[source]), READINGS[placed])
    assert parsed.broken == ()
    legs = by_leg(parsed)
    return tuple(legs[leg] for leg in LEGS[placed])


@both_files
@every_call
@either_end
def test_each_leg_is_ours(source: str, call: str, placed: str) -> None:
    """The leg of the end that faces the bridge is `trunk`, and the far one names the trunk."""
    told = {one.leg: one for one in _legs(source, call, placed)}
    names = dict(zip(LEGS[placed], truth(call)["trunk"].values(), strict=True))
    assert {leg: one.ids["endpoint"] for leg, one in told.items()} == names
    assert told["pstn"].facts["trunk.id"] == names["pstn"]
    assert "trunk.id" not in told["trunk"].facts
    direction = {"bridge is called": "inbound", "bridge calls": "outbound"}[placed]
    assert told["pstn"].facts["sip.call.direction"] == direction


@both_files
@every_call
def test_legs_of_a_call_are_one_call(source: str, call: str) -> None:
    """Both legs have the Linkedid; the caller's has the id of its channel."""
    first, second = _legs(source, call)
    assert first.ids["linked_id"] == second.ids["linked_id"] == truth(call)["linkedid"]
    assert first.ids["channel_id"] == truth(call)["uniqueid_caller"]


@every_call
def test_the_manager_tells_code_cause_and_who_hung_up(call: str) -> None:
    """Final code, Q.850 cause and who hung up are the truth, on both legs."""
    facts = truth(call)
    for one in _legs("asterisk-ami", call):
        assert one.facts["sip.response.status_code"] == facts["sip_code"]
        assert one.facts["sip.reason.q850"] == facts["q850_cause"]
        assert one.facts.get("sip.hangup.source") == facts["hung_up_by"]
        assert one.facts["sip.call.outcome"] == ("answered" if facts["answered"] else "busy")
        assert one.completeness == "complete"


@answered_call
def test_the_packet_time_is_the_truth(call: str) -> None:
    """Packet time and media clock follow from the peer's sender reports; the codec does not."""
    name, clock = truth(call)["codec"].split("/")
    assert name == "PCMU"
    spoken = [one for one in _legs("asterisk-ami", call) if "rtp.clock_rate_hz" in one.facts]
    assert spoken
    for one in spoken:
        assert one.facts["rtp.clock_rate_hz"] == int(clock)
        assert one.facts["rtp.ptime_ms"] == truth(call)["ptime_ms"]
        assert "rtp.codec" not in one.facts


@both_files
@every_call
def test_durations_are_the_truth(source: str, call: str) -> None:
    """An answered call lasts as long as it did, to the second; a refused one has no duration."""
    for one in _legs(source, call):
        duration = one.facts.get("sip.call.duration_ms")
        if truth(call)["answered"]:
            assert isinstance(duration, float)
            assert int(duration / 1000.0) == truth(call)["duration_s"]
        else:
            assert duration is None


@pytest.mark.parametrize("call", REFUSED)
def test_a_record_of_a_refused_call_tells_no_code(call: str) -> None:
    """Two rows of a failed `Dial` are one call: outcome, the cause given to the caller, no code."""
    first, second = _legs("asterisk-cdr", call)
    for one in (first, second):
        assert "sip.response.status_code" not in one.facts
        assert one.facts["sip.call.outcome"] == "busy"
        assert one.windows == one.untimed == ()
    assert first.facts["sip.reason.q850"] == truth(call)["q850_cause"]
    assert "sip.reason.q850" not in second.facts


@answered_call
@either_end
def test_packets_and_loss_of_both_legs_are_the_truth(call: str, placed: str) -> None:
    """What came to Asterisk is counted; what it sent arrived; loss lies within a point."""
    legs = dict(zip("ab", _legs("asterisk-ami", call, placed), strict=True))
    for name, one in legs.items():
        # A leg's `in` is towards Asterisk: on the bridge's leg that is our `out`.
        ours = ("in", "out") if one.leg == "pstn" else ("out", "in")
        for theirs, direction in zip(("in", "out"), ours, strict=True):
            _agrees(truth(call)["legs"][name][theirs], whole(one, direction))


def _agrees(real: dict[str, float], told: dict[str, float]) -> None:
    arrived = real.get("rtp_packets_arriving")
    if real["loss_ratio"] == 1.0:
        assert told == {"packet_count": 0}
        return
    if arrived is not None:
        assert told["packet_count"] == arrived - real["dropped"]
    if "loss_ratio" in told:
        assert real["loss_ratio"] is not None
        assert abs(told["loss_ratio"] - real["loss_ratio"]) <= ONE_POINT


@answered_call
def test_the_user_field_tells_of_the_callers_leg(call: str) -> None:
    """`CHANNEL(rtcp,all)` in a CDR gives the same counts as the manager, on the same leg."""
    first, second = _legs("asterisk-cdr", call)
    manager, _ = _legs("asterisk-ami", call)
    assert second.windows == ()
    for direction in ("in", "out"):
        told, known = whole(first, direction), whole(manager, direction)
        for measure in ("packet_count", "lost_count", "loss_ratio"):
            assert told.get(measure) == known.get(measure)


@answered_call
def test_call_ids_are_of_the_right_leg(call: str) -> None:
    """`BRIDGEPVTCALLID` is the other leg's: each leg has the Call-ID that ARI has for it."""
    channels = parse("asterisk-ari", captured(call, "ari-channels-live.json"))
    known = {one.ids["channel_id"]: one.ids["call_id"] for one in channels.observations}
    told = {one.ids["channel_id"]: one.ids["call_id"] for one in _legs("asterisk-ami", call)}
    assert told == known


@answered_call
def test_ari_tells_the_same_as_the_manager(call: str) -> None:
    """Statistics and channels together give both legs, about a second before the end."""
    files = ("ari-channels-live.json", "ari-rtp_statistics-live-caller.json",
             "ari-rtp_statistics-live-callee.json")  # fmt: skip
    parsed = parse("asterisk-ari", b"\n".join(captured(call, file) for file in files))
    assert parsed.broken == ()
    for leg, manager in by_leg(parse("asterisk-ami", captured(call, "ami.txt"))).items():
        one = by_leg(parsed)[leg]
        assert one.completeness == "partial"
        assert one.facts["sip.response.status_code"] == 200
        assert one.ids["endpoint"] == manager.ids["endpoint"]
        for direction in ("in", "out"):
            told, known = whole(one, direction), whole(manager, direction)
            assert told.keys() == known.keys()
            assert 0 <= known["packet_count"] - told["packet_count"] < 75


@answered_call
@pytest.mark.parametrize("end", ["caller", "callee"])
def test_statistics_alone_are_taken_for_the_callers(call: str, end: str) -> None:
    """A lone body does not say which end it is: it is read as the caller's, as configured."""
    data = captured(call, f"ari-rtp_statistics-live-{end}.json")
    assert by_leg(parse("asterisk-ari", data)).keys() == {"pstn"}
    assert by_leg(parse("asterisk-ari", data, CALLER_CALLS)).keys() == {"trunk"}


@answered_call
def test_strings_out_of_the_stream_are_read(call: str) -> None:
    """The stream's own lines hold one string a leg: the copy for the peer counts once."""
    lines = [
        line
        for line in captured(call, "ami.txt").split(b"\r\n")
        if line.startswith((b"Variable: RTPAUDIOQOS", b"Value: ssrc="))
    ]
    parsed = parse("asterisk-qos", b"\n".join(lines))
    assert parsed.broken == ()
    counts = {
        (leg["in"]["rtp_packets_arriving"] - leg["in"]["dropped"])
        for leg in truth(call)["legs"].values()
        if "rtp_packets_arriving" in leg["in"]
    }
    assert counts <= {whole(one, "in")["packet_count"] for one in parsed.observations}
    assert len(parsed.observations) == 2
