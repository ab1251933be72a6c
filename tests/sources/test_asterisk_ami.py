"""The manager's events: traps of the stream, older releases, and what cannot be read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.asterisk import (
    CALLEE,
    CALLEE_ID,
    CALLER,
    CALLER_CALLS,
    CALLER_ID,
    CALLS,
    answered_call,
    by_leg,
    callee,
    captured,
    channel,
    event,
    parse,
    quality,
    truth,
    variable,
    whole,
)

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Observation, Parsed
from trunktrace.sources.reading import Reading

AMI = "asterisk-ami"
NUMBER = "+15555550143"


def _legs(*events: str, reading: Reading | None = None) -> dict[str, Observation]:
    parsed = parse(AMI, "".join(events), reading)
    assert parsed.broken == ()
    return by_leg(parsed)


def _counted(one: Observation, direction: str) -> list[dict[str, object]]:
    return [
        window.measures()
        for window in one.windows
        if window.direction == direction and window.loss_method == "counted"
    ]


# Quality -----------------------------------------------------------------------------------------


def test_the_names_of_jitter_are_swapped() -> None:
    """`txjitter` is Asterisk's own measure of what came, `rxjitter` the peer's of what it sent."""
    string = quality(rxcount=500, txcount=500, txjitter=0.002, rxjitter=0.007)
    one = _legs(answered_call(variable("RTPAUDIOQOS", string)))["pstn"]
    assert whole(one, "in")["jitter_ms"] == 2.0
    assert whole(one, "out")["jitter_ms"] == 7.0


def test_the_sibling_strings_are_not_swapped() -> None:
    """In `RTPAUDIOQOSJITTER` `rx` is Asterisk's own; its mean is preferred to the last value."""
    one = _legs(
        answered_call(
            variable("RTPAUDIOQOS", quality(rxcount=9, txcount=9, txjitter=0.002, rxjitter=0.007)),
            variable("RTPAUDIOQOSJITTER", "avgrxjitter=000.001000;maxrxjitter=000.009000;"
                     "  avgtxjitter=000.003000;  maxtxjitter=000.004000;"),
        )
    )["pstn"]  # fmt: skip
    told = whole(one, "in")
    assert (told["jitter_ms"], told["jitter_max_ms"]) == (1.0, 9.0)
    told = whole(one, "out")
    assert (told["jitter_ms"], told["jitter_max_ms"]) == (3.0, 4.0)


@pytest.mark.parametrize("rtt", ["0.000000", "65535.999557", "10.000001", "-0.5", "nan", ""])
def test_a_round_trip_that_cannot_be_is_missing(rtt: str) -> None:
    """0 is unknown, and a negative value that wrapped is no round trip."""
    one = _legs(answered_call(variable("RTPAUDIOQOS", quality(rxcount=9, txcount=9, rtt=rtt))))
    assert "rtt_ms" not in whole(one["pstn"], "in")


def test_the_sibling_of_a_wrapped_round_trip_counts() -> None:
    """Where `rtt` wrapped, the mean of `RTPAUDIOQOSRTT` is sane."""
    one = _legs(
        answered_call(
            variable("RTPAUDIOQOS", quality(rxcount=9, txcount=9, rtt=65535.99)),
            variable("RTPAUDIOQOSRTT", "minrtt=000.000427;     avgrtt=000.000580;"),
        )
    )["pstn"]
    assert whole(one, "in")["rtt_ms"] == 0.58


def test_zero_without_any_report_is_missing() -> None:
    """A peer that sent no RTCP lost nobody knows how much; what was sent is counted."""
    one = _legs(answered_call(variable("RTPAUDIOQOS", quality(rxcount=90, txcount=80))))["pstn"]
    assert whole(one, "out") == {"packet_count": 80}
    assert whole(one, "in")["loss_ratio"] == 0.0


def test_a_silent_end_is_a_count_of_zero() -> None:
    """Nothing came on an answered leg: 0 packets and no loss, in the direction of that end."""
    one = _legs(answered_call(variable("RTPAUDIOQOS", quality(txcount=80))))["pstn"]
    assert whole(one, "in") == {"packet_count": 0}


def test_an_empty_string_says_nothing() -> None:
    """A channel without RTP sets the variable to nothing: that is no broken record."""
    one = _legs(answered_call(variable("RTPAUDIOQOS", "")))["pstn"]
    assert one.untimed == ()


def test_a_leg_that_was_not_answered_is_not_one_way() -> None:
    """Before the answer nobody must send: a count of 0 is not told."""
    one = _legs(
        event("Newchannel", **channel(state=4)),
        variable("RTPAUDIOQOS", quality(txcount=80), **channel(state=4)),
    )["pstn"]
    assert [window.direction for window in one.untimed] == ["out"]


def test_a_leg_without_media_says_nothing_of_it() -> None:
    """Two counts of 0 are media that never went through Asterisk."""
    one = _legs(answered_call(variable("RTPAUDIOQOS", quality())))["pstn"]
    assert one.windows == one.untimed == ()


def test_a_negative_loss_is_none() -> None:
    """More packets than expected wrap near 2^32: nothing was lost."""
    string = quality(lp=2**32 - 6, rxcount=100, txcount=100)
    one = _legs(answered_call(variable("RTPAUDIOQOS", string)))["pstn"]
    assert whole(one, "in")["loss_ratio"] == 0.0


@pytest.mark.parametrize(
    "score, mos", [("88.087887", 4.4044), ("20.000000", None), ("0.000000", None)]
)
def test_the_experience_score_at_its_floor_is_missing(score: str, mos: float | None) -> None:
    """Asterisk's own MES / 20 is a MOS by its algorithm; at 20 or 0 it says nothing."""
    string = quality(rxcount=9, txcount=9) + f";rxmes=55.000000;txmes={score}"
    one = _legs(answered_call(variable("RTPAUDIOQOS", string)))["pstn"]
    assert whole(one, "in").get("mos") == mos
    assert whole(one, "in").get("mos_algorithm") == ("mes" if mos else None)
    assert "mos" not in whole(one, "out")


def _lossy(heard: int, told: int) -> str:
    """100 packets from the caller, some lost on the way; the callee's peer tells of some."""
    came = 1000 - heard
    return answered_call(
        variable("RTPAUDIOQOS", quality(lp=heard, rxcount=came, txcount=1000, rxjitter=0.001)),
        variable("RTPAUDIOQOS", quality(rxcount=1000, txcount=came, rlp=told, rxjitter=0.001),
                 **callee()),
    )  # fmt: skip


def test_loss_upstream_counts_once() -> None:
    """Gaps pass the bridge: what the callee's peer misses was lost before Asterisk already."""
    legs = _legs(_lossy(50, 50))
    assert whole(legs["pstn"], "in")["loss_ratio"] == 0.05
    assert whole(legs["trunk"], "in")["loss_ratio"] == 0.0


def test_loss_downstream_is_what_remains() -> None:
    """What the callee's peer misses beyond that was lost after Asterisk."""
    told = whole(_legs(_lossy(50, 88))["trunk"], "in")
    assert (told["lost_count"], told["loss_ratio"]) == (38, 38 / 950)


def test_a_bridge_that_numbers_anew_passes_no_gaps() -> None:
    """Where the peer misses far less than was lost before Asterisk, all of it is its own."""
    assert whole(_legs(_lossy(100, 10))["trunk"], "in")["lost_count"] == 10


@pytest.mark.parametrize("sent, loss", [(950, 0.0), (1000, 0.05)])
def test_of_one_leg_alone_the_counts_tell(sent: int, loss: float) -> None:
    """`Echo` sends the gaps back: packets that were never sent were not lost after Asterisk."""
    string = quality(lp=50, rxcount=950, txcount=sent, rlp=50, rxjitter=0.001)
    one = _legs(
        event("Newchannel", **channel(state=4)),
        event("Newstate", **channel()),
        variable("RTPAUDIOQOS", string),
    )["pstn"]
    assert whole(one, "in")["loss_ratio"] == 0.05
    assert whole(one, "out")["loss_ratio"] == loss


def test_the_copy_of_the_peer_is_no_second_leg() -> None:
    """`RTPAUDIOQOSBRIDGED` on a channel is the other leg's string."""
    string = quality(rxcount=70, txcount=80)
    legs = _legs(answered_call(variable("RTPAUDIOQOSBRIDGED", string, **callee())))
    assert whole(legs["pstn"], "in")["packet_count"] == 70
    assert legs["trunk"].untimed == ()


# RTCP --------------------------------------------------------------------------------------------


def _report(
    name: str, at: float, lost: int, highest: int, cycles: int = 0, **fields: object
) -> str:
    told: dict[str, object] = {
        "SentNTP": at,
        "SentRTP": 1 + int((at - 1795396000) * 8000),
        "SentPackets": 1 + int((at - 1795396000) * 50),
        "Report0SourceSSRC": "0x1",
        "Report0CumulativeLost": lost,
        "Report0FractionLost": 0,
        "Report0HighestSequence": highest,
        "Report0SequenceNumberCycles": cycles,
        "Report0IAJitter": 16,
    }
    return event(name, **(channel() | told | fields))


def test_reports_become_intervals() -> None:
    """Running totals become differences; jitter is in units of the peer's media clock."""
    one = _legs(
        answered_call(
            _report("RTCPSent", 1795396500, 0, 65400),
            _report("RTCPReceived", 1795396500, 4, 1000),
            _report("RTCPSent", 1795396505, 10, 114, 1),
            _report("RTCPReceived", 1795396505, 4, 1250, RTT="0.0210"),
        )
    )["pstn"]
    assert _counted(one, "in") == [
        {"loss_ratio": 0.04, "lost_count": 10, "packet_count": 240, "jitter_ms": 2.0}
    ]
    assert _counted(one, "out") == [
        {"loss_ratio": 0.0, "lost_count": 0, "packet_count": 250, "jitter_ms": 2.0, "rtt_ms": 21.0}
    ]
    assert [(window.start, window.end) for window in one.windows] == [(1795396500, 1795396505)] * 2


def test_jitter_without_a_known_clock_is_not_told() -> None:
    """`IAJitter` is in units of a clock that the stream must give."""
    one = _legs(
        answered_call(
            _report("RTCPSent", 1795396500, 0, 100), _report("RTCPSent", 1795396505, 0, 350)
        )
    )["pstn"]
    assert [set(told) for told in _counted(one, "in")] == [
        {"loss_ratio", "lost_count", "packet_count"}
    ]


def test_reports_of_another_stream_are_not_subtracted() -> None:
    """A new SSRC, or totals that run back, give no interval with a count."""
    one = _legs(
        answered_call(
            _report("RTCPSent", 1795396500, 900, 60000),
            _report("RTCPSent", 1795396505, 0, 100, Report0SourceSSRC="0x2"),
        )
    )["pstn"]
    assert one.windows == ()


def test_the_peers_count_of_gaps_from_upstream_is_no_loss() -> None:
    """While the other leg loses, what the peer misses in an interval tells of no leg."""
    lossy = quality(lp=50, rxcount=950, txcount=1000)
    dialed = callee()
    one = _legs(
        answered_call(
            _report("RTCPReceived", 1795396500, 0, 1000, **dialed),
            _report("RTCPReceived", 1795396505, 12, 1250, **dialed),
            variable("RTPAUDIOQOS", lossy),
        )
    )["trunk"]
    assert _counted(one, "in") == [{"jitter_ms": 2.0}]


def test_a_peer_with_another_clock_is_not_believed() -> None:
    """A sender report from 1970, or from years ahead, does not move the windows of a call."""
    one = _legs(
        answered_call(
            _report("RTCPReceived", 1795396500, 0, 1000, SentNTP="12.5"),
            _report("RTCPReceived", 1795396505, 0, 1250, SentNTP="2795396505.0"),
        )
    )["pstn"]
    assert one.windows == ()


# Legs, codes and times ---------------------------------------------------------------------------


def test_times_come_from_timestamps() -> None:
    """With `timestampevents` each moment is exact, and so are set-up, ringing and duration."""
    legs = _legs(
        event("Newchannel", Timestamp=1795396417.1, **channel(state=4)),
        event("Newchannel", Timestamp=1795396417.2, **callee(0)),
        event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")),
        event("Newstate", Timestamp=1795396418.2, **callee(5)),
        event("Newstate", Timestamp=1795396420.2, **callee(6)),
        event("Newstate", Timestamp=1795396420.3, **channel()),
        event("HangupRequest", Timestamp=1795396430.3, **channel(), Cause=16),
        event("Hangup", Timestamp=1795396430.4, **callee(), Cause=16),
        event("Hangup", Timestamp=1795396430.5, **channel(), Cause=16),
    )
    facts = legs["trunk"].facts
    assert facts["sip.pdd_ms"] == 1000.0
    assert facts["sip.ring_ms"] == 2000.0
    assert facts["sip.setup_ms"] == 3000.0
    assert legs["pstn"].facts["sip.call.duration_ms"] == 10000.0
    kinds = [(mark.kind, mark.start) for mark in legs["pstn"].marks]
    assert kinds == [
        ("invite", 1795396417.1),
        ("answered", 1795396420.3),
        ("hangup", 1795396430.3),
    ]


def test_without_timestamps_there_are_no_moments() -> None:
    """An id of a channel holds whole seconds: a beginning of the record, and no mark."""
    one = _legs(answered_call())["pstn"]
    assert (one.start, one.end, one.marks) == (1795396417.0, None, ())


def test_a_call_that_goes_on_is_partial() -> None:
    """A leg is complete when its channel is gone."""
    legs = _legs(answered_call(event("Hangup", **callee(), Cause=16)))
    assert (legs["trunk"].completeness, legs["pstn"].completeness) == ("complete", "partial")


@pytest.mark.parametrize(
    "events, who",
    [
        ((("HangupRequest", channel()), ("SoftHangupRequest", callee())), "caller"),
        ((("HangupRequest", callee()), ("SoftHangupRequest", channel())), "callee"),
        ((("SoftHangupRequest", channel()), ("HangupRequest", callee())), None),
        ((), None),
    ],
)
def test_the_first_to_ask_hung_up(
    events: tuple[tuple[str, dict[str, object]], ...], who: str | None
) -> None:
    """`HangupRequest` is a far end that left; a call that Asterisk ended itself has nobody."""
    asked = [event(name, **snapshot, Cause=16) for name, snapshot in events]
    gone = [event("Hangup", **snapshot, Cause=16) for snapshot in (callee(), channel())]
    legs = _legs(answered_call(*asked, *gone))
    assert {one.facts.get("sip.hangup.source") for one in legs.values()} == {who}


def test_each_callee_of_a_caller_has_an_end_of_its_own() -> None:
    """After a first callee left, the caller may talk to a second one, and leave himself."""
    second = channel("PJSIP/livekit-00000003", unique="1795396417.3")
    dest = {f"Dest{key}": value for key, value in second.items()}
    parsed = parse(
        AMI,
        answered_call(
            event("HangupRequest", **callee(), Cause=16),
            event("DialBegin", **channel(), **dest),
            event("DialEnd", **channel(), **dest, DialStatus="ANSWER"),
            event("HangupRequest", **channel(), Cause=16),
            event("SoftHangupRequest", **second, Cause=16),
        ),
    )
    told = [one.facts["sip.hangup.source"] for one in parsed.observations]
    assert told == ["caller", "callee", "caller"]


def test_a_caller_who_gave_up() -> None:
    """A hang-up of the caller before the answer is a call that he canceled."""
    legs = _legs(
        event("Newchannel", **channel(state=4)),
        event("Newchannel", **callee(0)),
        event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")),
        event("HangupRequest", **channel(state=4), Cause=0),
        event("DialEnd", **channel(state=4), **callee(0, prefix="Dest"), DialStatus="CANCEL"),
        event("Hangup", **callee(0), Cause=0),
        event("Hangup", **channel(state=4), Cause=0, TechCause=487),
    )
    assert legs["pstn"].facts["sip.call.outcome"] == "canceled"
    assert legs["pstn"].facts["sip.hangup.source"] == "caller"
    assert legs["pstn"].facts["sip.response.status_code"] == 487
    assert legs["trunk"].facts["sip.call.outcome"] == "canceled"
    assert "sip.reason.q850" not in legs["trunk"].facts


@pytest.mark.parametrize(
    "status, outcome",
    [
        ("BUSY", "busy"),
        ("NOANSWER", "no_answer"),
        ("CONGESTION", "congestion"),
        ("CHANUNAVAIL", "failed"),
    ],
)
def test_releases_without_a_tech_cause_tell_no_code(status: str, outcome: str) -> None:
    """Before the end of 2025 there is a Q.850 cause and a `DialStatus`: no SIP code is made up."""
    legs = _legs(
        event("Newchannel", **channel(state=4)),
        event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")),
        event("DialEnd", **channel(state=4), **callee(0, prefix="Dest"), DialStatus=status),
        event("Hangup", **callee(0), Cause=17),
        event("Hangup", **channel(state=4), Cause=17),
    )
    for one in legs.values():
        assert "sip.response.status_code" not in one.facts
        assert one.facts["sip.call.outcome"] == outcome
        assert one.facts["sip.reason.q850"] == 17


def test_a_tech_cause_of_the_request_counts() -> None:
    """`TechCause` stands on `HangupRequest` too; a stream that ends there has it."""
    legs = _legs(
        event("Newchannel", **channel(state=4)),
        event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")),
        event("HangupRequest", **callee(0), Cause=34, TechCause=503),
    )
    assert legs["trunk"].facts["sip.response.status_code"] == 503
    assert "sip.hangup.source" not in legs["trunk"].facts


def test_a_second_carrier_is_another_attempt() -> None:
    """Towards carriers each dialled channel is an INVITE with its own end."""
    other = channel("PJSIP/beta-00000003", 0, unique="1795396417.3")
    dest = {f"Dest{key}": value for key, value in other.items()}
    parsed = parse(
        AMI,
        event("Newchannel", **channel(state=4))
        + event("DialBegin", **channel(state=4), **callee(0, prefix="Dest"))
        + event("Hangup", **callee(0), Cause=34, TechCause=503)
        + event("DialBegin", **channel(state=4), **dest)
        + event("Newstate", **(other | {"ChannelState": 6})),
        CALLER_CALLS,
    )
    attempts = [one.attempts for one in parsed.observations if one.leg == "pstn"]
    assert [(a.trunk_id, a.status_code) for (a,) in attempts] == [("livekit", 503), ("beta", 200)]


def test_the_bridge_is_found_by_its_endpoint() -> None:
    """The name of an endpoint tells which end faces the bridge, whatever its case."""
    named = Reading(bridge=Bridge(frozenset({"Carrier-In"})))
    legs = _legs(answered_call(), reading=named)
    assert legs["trunk"].ids["endpoint"] == "carrier-in"
    assert legs["pstn"].facts["trunk.id"] == "livekit"


def test_channels_of_asterisk_itself_are_no_legs() -> None:
    """`Local` and the like stand between legs: their events say nothing of a trunk."""
    local = channel("Local/s@agents-00000004;1", unique="1795396417.4")
    parsed = parse(AMI, event("Newchannel", **local) + event("Hangup", **local, Cause=16))
    assert parsed == Parsed(ignored=2)


@pytest.mark.parametrize("name", ["+15555550143", "15555550143", "1001", "trunk-15555550143"])
def test_a_channel_that_is_named_after_a_number(name: str) -> None:
    """The endpoint of such a channel is not told, and the number stands nowhere."""
    snapshot = channel(f"PJSIP/{name}-00000001")
    parsed = parse(AMI, event("Newchannel", **snapshot))
    assert "endpoint" not in parsed.observations[0].ids
    assert name not in repr(parsed)


def test_numbers_are_masked_on_both_legs() -> None:
    """Caller and callee stand in no fact, id or reason in clear."""
    parties = {"CallerIDNum": "+15555550142", "ConnectedLineNum": NUMBER}
    back = {"CallerIDNum": NUMBER, "ConnectedLineNum": "+15555550142"}
    parsed = parse(
        AMI,
        event("Newchannel", **channel(state=4, Exten=NUMBER, **parties))
        + event("DialBegin", **channel(state=4, **parties), **callee(0, prefix="Dest", **back),
                DialString=f"{NUMBER}@livekit")
        + event("Hangup", **callee(0, **back), Cause=17, TechCause="+15555550143"),
    )  # fmt: skip
    assert "555555014" not in repr(parsed)
    for one in parsed.observations:
        assert one.facts["sip.caller.number"] == "+1*******42"
        assert one.facts["sip.callee.number"] == "+1*******43"


def test_digits_are_counted_and_never_told() -> None:
    """`DTMFEnd` that was received counts on its leg; a digit that was sent on does not."""
    digits = [event("DTMFEnd", **channel(), Digit=d, Direction="Received") for d in "90210"]
    sent = [event("DTMFEnd", **callee(), Digit=d, Direction="Sent") for d in "90210"]
    legs = _legs(answered_call(*digits, *sent))
    assert legs["pstn"].facts["sip.dtmf_count"] == 5
    assert "sip.dtmf_count" not in legs["trunk"].facts


def test_the_dialplan_may_tell_call_id_and_format() -> None:
    """`SIPCALLID` and `AUDIOFORMAT` are of the channel they are set on; a NoOp line tells too."""
    line = event("Newexten", **callee(), Application="NoOp", AppData="callid 71c02175-26f2")
    legs = _legs(
        answered_call(
            variable("SIPCALLID", "a84b4c76e66710@carrier.example"),
            variable("AUDIOFORMAT", "(ulaw)"),
            line,
        )
    )
    assert legs["pstn"].ids["call_id"] == "a84b4c76e66710@carrier.example"
    assert legs["pstn"].facts["rtp.codec"] == "pcmu"
    assert legs["trunk"].ids["call_id"] == "71c02175-26f2"
    assert "rtp.codec" not in legs["trunk"].facts


def test_a_line_with_the_id_of_the_channel_is_no_call_id() -> None:
    """What a dialplan calls so, but is Asterisk's own id, is left out."""
    line = event("Newexten", **callee(), Application="NoOp", AppData=f"callid {CALLEE_ID}")
    assert "call_id" not in _legs(answered_call(line))["trunk"].ids


def test_an_empty_answer_time_is_no_time() -> None:
    """`AnswerTime:` is there and empty on unanswered calls."""
    cdr = event("Cdr", Channel=CALLER, DestinationChannel=CALLEE, UniqueID="1795396417.1",
                StartTime="2026-11-23 01:13:37", AnswerTime="", EndTime="2026-11-23 01:13:40",
                Duration=3, BillableSeconds=0, Disposition="NO ANSWER")  # fmt: skip
    one = _legs(event("Newchannel", **channel(state=4)), cdr)["pstn"]
    assert one.end == 1795396420.0
    assert "sip.response.status_code" not in one.facts
    assert "sip.call.duration_ms" not in one.facts


# What cannot be read -----------------------------------------------------------------------------


def test_everything_of_a_stream_is_accounted_for() -> None:
    """Banner, responses and events of other kinds are ignored; the rest is used."""
    noise = (
        "Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nMessage: Hello\r\n\r\n"
        + event("DeviceStateChange", Device="PJSIP/livekit", State="INUSE")
        + event("VarSet", **channel(), Variable="FOO", Value="bar")
    )
    parsed = parse(AMI, noise + event("Hangup", **channel(), Cause=16))
    assert (len(parsed.observations), parsed.broken, parsed.ignored) == (1, (), 4)


@pytest.mark.parametrize(
    "event_text",
    [
        "Event: Hangup\r\nUniqueid: 1795396417.1\r\nCause: 16\r\n\r\n",
        "Event: Hangup\r\nChannel: PJSIP/acme-00000009\r\nCause: 16\r\n\r\n",
        "Event: Hangup\r\nChannel: PJSIP/acme-00000009\r\nUniqueid: \x00\r\n\r\n",
        "Event: Newchannel\r\nChannel: PJSIP/acme-00000009\r\nUniqueid 17.1\r\n\r\n",
        "Channel: PJSIP/acme-00000009\r\nUniqueid: 1795396417.9\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
        "Event: Cdr\r\nChannel: PJSIP/acme-00000009\r\nUniqueID: 17.1\r\n\r\n",
        (
            "Event: VarSet\r\nChannel: PJSIP/acme-00000009\r\nUniqueid: 17.1\r\n"
            "Variable: RTPAUDIOQOS\r\nValue: ssrc=1;rxcount=\r\n\r\n"
        ),
        "Event: Hangup\r\n" + "Key: value\r\n" * 600 + "\r\n",
        "Event: Hangup\r\nChannel: " + "x" * 70_000 + "\r\n\r\n",
    ],
)
def test_an_event_that_cannot_be_read_is_broken(event_text: str) -> None:
    """It is reported with its line, and takes nothing of its neighbours with it."""
    good = event("Newchannel", **channel(state=4))
    parsed = parse(AMI, good + event_text + event("Hangup", **channel(), Cause=16))
    assert [one.line for one in parsed.broken] == [7]
    assert parsed.observations[0].facts["sip.reason.q850"] == 16
    assert parsed.observations[0].completeness == "complete"


def test_an_event_that_the_file_cuts_is_broken() -> None:
    """A value may be cut short: `Cause: 1` of 16 is not believed."""
    whole_event = event("Hangup", **channel(), Cause=16)
    parsed = parse(AMI, event("Newstate", **channel()) + whole_event[:-5])
    assert parsed.broken[0].reason == "the file ends within this event"
    assert "sip.reason.q850" not in parsed.observations[0].facts


def test_an_event_of_no_interest_may_be_cut() -> None:
    """What says nothing of a leg is ignored, also as the last lines of a file."""
    data = captured(CALLS[0], "ami.txt")
    cut = parse(AMI, data.rstrip())
    assert cut == parse(AMI, data)


def test_a_lost_blank_line_costs_nothing() -> None:
    """`Event:` begins an event wherever it stands."""
    events = event("Newchannel", **channel(state=4)).rstrip() + "\r\n"
    parsed = parse(AMI, events + event("Hangup", **channel(), Cause=16))
    assert parsed.broken == ()
    assert parsed.observations[0].completeness == "complete"


def test_a_name_in_another_encoding_is_taken() -> None:
    """Names of persons come in any encoding: they are not looked at."""
    data = event("Hangup", CallerIDName="M?ller", **channel(), Cause=16).encode()
    parsed = parse(AMI, data.replace(b"M?ller", b"M\xfcller"))
    assert (len(parsed.observations), parsed.broken) == (1, ())


# For any stream ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_line_ends_do_not_matter(call: str) -> None:
    """LF and CRLF say the same, and so does a byte order mark before them."""
    data = captured(call, "ami.txt")
    known = parse(AMI, data)
    assert parse(AMI, data.replace(b"\r\n", b"\n")) == known
    assert parse(AMI, b"\xef\xbb\xbf" + data) == known


def test_two_calls_at_once_are_two_calls() -> None:
    """Events of two calls between each other say what each stream says alone."""
    one, other = (captured(call, "ami.txt").split(b"\r\n\r\n") for call in CALLS[::2])
    mixed = b"\r\n\r\n".join(
        part for pair in zip(one, other, strict=False) for part in pair if part
    )
    rest = b"\r\n\r\n".join(one[len(other) :] if len(one) > len(other) else other[len(one) :])
    parsed = parse(AMI, mixed + b"\r\n\r\n" + rest)
    alone = {
        seen.record_id: seen
        for call in CALLS[::2]
        for seen in parse(AMI, captured(call, "ami.txt")).observations
    }
    assert {seen.record_id: seen for seen in parsed.observations} == alone


@given(st.data())
def test_no_stream_raises(data: st.DataObject) -> None:
    """Cut, flipped and repeated bytes give observations, broken records or ignored ones."""
    stream = bytearray(captured(data.draw(st.sampled_from(CALLS)), "ami.txt"))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    parsed = parse(AMI, bytes(stream))
    assert parsed.observations
    assert all("5555501" not in one.reason for one in parsed.broken)


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    """Whatever the bytes: what is not blank is broken or ignored."""
    parsed = parse(AMI, data)
    assert parsed.observations == ()
    assert bool(parsed.broken or parsed.ignored) or not data.removeprefix(b"\xef\xbb\xbf").strip()


# Streams that begin in mid-call ------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_a_stream_may_begin_at_any_event(call: str) -> None:
    """What was not seen is not known: no leg, hang-up, code or duration but those of the truth."""
    told = captured(call, "ami.txt").split(b"\r\n\r\n")
    real = truth(call)
    seconds = real.get("duration_s")
    for cut in range(len(told) - 1):
        for one in parse(AMI, b"\r\n\r\n".join(told[cut:])).observations:
            facts = one.facts
            assert one.leg == ("trunk" if one.ids["endpoint"] == "acme-east" else "pstn"), cut
            assert facts.get("sip.hangup.source") in (None, real.get("hung_up_by")), cut
            assert facts.get("sip.response.status_code") in (None, real["sip_code"]), cut
            duration = facts.get("sip.call.duration_ms")
            if duration is not None:
                assert isinstance(duration, float)
                assert duration / 1000.0 == pytest.approx(seconds, abs=1.5), cut


def test_a_state_is_no_answer() -> None:
    """A channel that is up when the stream begins was answered some time before."""
    at = 1795396480.0
    legs = _legs(
        event("HangupRequest", Timestamp=at, **callee(), Cause=16),
        variable("RTPAUDIOQOS", quality(rxcount=2700, txcount=2700), **callee()),
        event("Hangup", Timestamp=at, **callee(), Cause=16),
        event("SoftHangupRequest", Timestamp=at, **channel(), Cause=16),
        event("Hangup", Timestamp=at + 0.01, **channel(), Cause=16),
    )
    for one in legs.values():
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.hangup.source"] == "callee"
        assert "sip.call.duration_ms" not in one.facts
        assert {mark.kind for mark in one.marks} == {"hangup"}
    assert (legs["trunk"].ids["endpoint"], legs["pstn"].ids["endpoint"]) == (
        "livekit",
        "carrier-in",
    )
    assert legs["pstn"].facts["trunk.id"] == "carrier-in"
    (lasted, _) = legs["trunk"].windows
    assert (lasted.start, lasted.end) == (1795396417.0, at)


def test_a_change_to_up_is_an_answer() -> None:
    """`Newstate` comes when the state changes, also as the first event of a channel."""
    legs = _legs(
        event("Newstate", Timestamp=1795396420.0, **channel()),
        event("Hangup", Timestamp=1795396430.5, **channel(), Cause=16),
    )
    assert legs["pstn"].facts["sip.call.duration_ms"] == 10_500.0


def test_blank_lines_are_nothing() -> None:
    """Lines of blanks between events are no events."""
    parsed = parse(AMI, "  \n\t\n")
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 0)


def test_two_legs_of_one_id_are_each_others() -> None:
    """A queue, or a stream that began later, tells of no dialling: the `Linkedid` does."""
    legs = _legs(
        variable("RTPAUDIOQOS", quality(lp=50, rxcount=950, txcount=1000, rxjitter=0.001)),
        variable("RTPAUDIOQOS", quality(rxcount=1000, txcount=950, rlp=50, rxjitter=0.001),
                 **callee()),
        event("HangupRequest", **callee()),
    )  # fmt: skip
    assert whole(legs["pstn"], "in")["lost_count"] == 50
    assert whole(legs["trunk"], "in")["lost_count"] == 0
    assert legs["trunk"].facts["sip.hangup.source"] == "callee"


# Other releases, channel drivers and ways to keep the stream --------------------------------------


def test_chan_sip_makes_a_channel_before_the_call_comes_in() -> None:
    """Its first state is Down; Ring says that a call comes in, for whom, and on whose leg."""
    old = channel(linked=None, state=0, Exten="+15555550143")
    told = _legs(
        event("Newchannel", **old),
        event("Newstate", **(old | {"ChannelState": 4})),
        event("Newstate", **(old | {"ChannelState": 6, "Exten": "+15555550199"})),
    )
    assert told["pstn"].facts["sip.callee.number"] == "+1*******43"


def test_a_contact_in_a_dial_string_is_a_number() -> None:
    """`PJSIP/acme/sip:NUMBER@host` dials a number as `PJSIP/NUMBER@acme` does."""
    for dialed in (f"acme/sip:{NUMBER}@192.0.2.7:5060", f"{NUMBER}@acme", f"acme/{NUMBER}"):
        begin = event("DialBegin", **channel(state=4), **callee(0, prefix="Dest"),
                      DialString=dialed)  # fmt: skip
        one = _legs(event("Newchannel", **channel(state=4)), begin)["trunk"]
        assert one.facts["sip.callee.number"] == "+1*******43"


def test_variables_of_the_channel_may_tell_the_call_id() -> None:
    """`channelvars=SIPCALLID` puts a line of each variable on every event, of both channels."""
    variables = "ChanVariable: realm=\r\nChanVariable: SIPCALLID=b5ser03a@sip.example.com\r\n"
    dest = "DestChanVariable: SIPCALLID=3aff7b25@pbx.example.com\r\nDestChanVariable: realm=x=y\r\n"
    begin = event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")).rstrip()
    empty = event("Hangup", **callee(0), Cause=17).rstrip() + "\r\nChanVariable: SIPCALLID=\r\n\r\n"
    legs = _legs(
        event("Newchannel", **channel(state=4)), f"{begin}\r\n{variables}{dest}\r\n", empty
    )
    assert legs["pstn"].ids["call_id"] == "b5ser03a@sip.example.com"
    assert legs["trunk"].ids["call_id"] == "3aff7b25@pbx.example.com"


@pytest.mark.parametrize("sender", ["From: 192.0.2.121:41047", "From 192.0.2.121:41047"])
def test_reports_of_old_releases_are_nobodys(sender: str) -> None:
    """Before 12 neither kind of report names its channel: both are ignored, and not broken."""
    received = (
        f"Event: RTCPReceived\r\nPrivilege: reporting,all\r\n{sender}\r\nPT: 200(Sender Report)\r\n"
        "ReceptionReports: 1\r\nSenderSSRC: 137330593\r\nFractionLost: 0\r\nPacketsLost: 2\r\n"
        "HighestSequence: 3021\r\nSequenceNumberCycles: 0\r\nIAJitter: 12\r\n"
        "LastSR: 21321.0123456789\r\nDLSR: 0.0120(sec)\r\nRTT: 0(sec)\r\n\r\n"
    )
    parsed = parse(AMI, event("Newchannel", **channel(state=4)) + received)
    assert (parsed.broken, parsed.ignored) == ((), 1)


def test_the_end_of_a_bridge_is_no_answer() -> None:
    """`Bridgestate: Unlink` in a stream that began later: answered, nobody knows when."""
    at = 1795396480.0
    unlink = event("Bridge", Timestamp=at, Bridgestate="Unlink", Channel1=CALLER, Channel2=CALLEE,
                   Uniqueid1=CALLER_ID, Uniqueid2=CALLEE_ID)  # fmt: skip
    legs = _legs(unlink, event("Hangup", Timestamp=at + 5, **channel(linked=None), Cause=16))
    for one in legs.values():
        assert one.facts["sip.response.status_code"] == 200
        assert "sip.call.duration_ms" not in one.facts
        assert one.ids["linked_id"] == CALLER_ID
    assert {mark.kind for mark in legs["pstn"].marks} == {"hangup"}


@pytest.mark.parametrize("ends", [(CALLER, CALLEE), (CALLEE, CALLER)])
def test_a_queue_of_an_old_release_joins_by_its_bridge(ends: tuple[str, str]) -> None:
    """`app_queue` before 12 tells of no `Dial`: the channel on which the call came in is first."""
    ids = {CALLER: CALLER_ID, CALLEE: CALLEE_ID}
    link = event("Bridge", Bridgestate="Link", Channel1=ends[0], Channel2=ends[1],
                 Uniqueid1=ids[ends[0]], Uniqueid2=ids[ends[1]])  # fmt: skip
    legs = _legs(
        event("Newchannel", **channel(state=4, linked=None)),
        event("Newchannel", **channel(CALLEE, 0, unique=CALLEE_ID, linked=None)),
        link,
        event("HangupRequest", **channel(CALLEE, unique=CALLEE_ID, linked=None)),
    )
    assert legs["pstn"].ids["channel_id"] == legs["trunk"].ids["linked_id"] == CALLER_ID
    assert legs["pstn"].facts["sip.hangup.source"] == "callee"


@pytest.mark.parametrize(
    "line",
    [
        "<-- Examining AMI event: -->",
        "[2026-11-16 22:51:47.016] DEBUG[24]: manager.c:57 send: Examining AMI event (9):",
    ],
)
def test_lines_of_the_console_before_events_cost_nothing(line: str) -> None:
    """With debugging switched on Asterisk writes a line before each event."""
    told = [event("Newchannel", **channel(state=4)), event("Hangup", **channel(), Cause=16)]
    parsed = parse(AMI, "".join(f"{line}\r\n{one}\r\n" for one in told))
    assert (parsed.broken, parsed.ignored) == ((), 2)
    assert parsed.observations[0].facts["sip.reason.q850"] == 16


def test_digits_and_hold_of_old_releases() -> None:
    """`DTMF` tells of both ends of a digit, `Hold` with a status of both of a hold."""
    at = 1795396420.0
    digits = [
        event("DTMF", **channel(), Digit="7", Direction=way, Begin=begin, End=end)
        for way in ("Received", "Sent")
        for begin, end in (("Yes", "No"), ("No", "Yes"))
    ]
    holds = [
        event("Hold", Timestamp=at, **channel(), Status="On"),
        event("Hold", Timestamp=at + 2, **channel(), Status="Off"),
        event("MonitorStart", Timestamp=at + 3, **channel()),
        event("MonitorStop", Timestamp=at + 4, **channel()),
    ]
    one = _legs(answered_call(*digits, *holds))["pstn"]
    assert one.facts["sip.dtmf_count"] == 1
    assert [(mark.kind, mark.start, mark.end) for mark in one.marks] == [
        ("hold", at, at + 2),
        ("recording", at + 3, at + 4),
    ]


def test_the_output_of_a_command_is_ignored() -> None:
    """Until 14 it stands as it is behind `Response: Follows`, also after a blank line."""
    told = (
        "Response: Follows\r\nPrivilege: Command\r\nActionID: 7\r\n\r\n"
        "Q1 has 0 calls (max unlimited) in 'ringall' strategy\n  None\n--END COMMAND--\r\n\r\n"
    )
    parsed = parse(AMI, told + event("Hangup", **channel(), Cause=16))
    assert (len(parsed.observations), parsed.broken, parsed.ignored) == (1, (), 2)


@pytest.mark.parametrize(
    "disposition, outcome",
    [("BUSY", "busy"), ("NO ANSWER", "no_answer"), ("FAILED", "failed"), ("PERHAPS", None)],
)
def test_a_cdr_event_alone_tells_how_the_call_ended(disposition: str, outcome: str | None) -> None:
    """Whoever reads `cdr` alone has the disposition, and no code."""
    cdr = event("Cdr", Channel=CALLER, DestinationChannel=CALLEE, UniqueID=CALLER_ID,
                Source="+15555550142", Destination=NUMBER, StartTime="2026-11-23 01:13:37",
                AnswerTime="", EndTime="2026-11-23 01:13:40", Duration=3, BillableSeconds=0,
                Disposition=disposition)  # fmt: skip
    for one in _legs(cdr).values():
        assert one.facts.get("sip.call.outcome") == outcome
        assert "sip.response.status_code" not in one.facts
        assert "sip.reason.q850" not in one.facts


def _record(**more: object) -> str:
    told: dict[str, object] = {
        "Channel": CALLER, "DestinationChannel": CALLEE, "UniqueID": CALLER_ID,
        "Source": "+15555550142", "Destination": NUMBER, "StartTime": "2026-11-23 01:13:37",
        "AnswerTime": "2026-11-23 01:13:40", "EndTime": "2026-11-23 01:14:00", "Duration": 23,
        "BillableSeconds": 20, "Disposition": "ANSWERED",
    }  # fmt: skip
    return event("Cdr", **(told | more))


def test_a_cdr_event_alone_has_both_legs() -> None:
    """The channel that was dialled has no id there: its leg has the caller's, and is numbered."""
    legs = _legs(_record())
    for one in legs.values():
        assert (one.start, one.end) == (1795396417.0, 1795396440.0)
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.call.duration_ms"] == 20_000.0
        assert one.facts["sip.caller.number"] == "+1*******42"
        assert one.facts["sip.callee.number"] == "+1*******43"
        assert one.ids["linked_id"] == CALLER_ID
        assert one.completeness == "complete"
    assert legs["trunk"].ids["endpoint"] == "livekit"
    assert "channel_id" not in legs["trunk"].ids
    assert legs["trunk"].record_id == f"{CALLER_ID} 1"


def test_a_caller_may_be_answered_by_asterisk_alone() -> None:
    """`AnswerTime` is the caller's channel's, `Disposition` of whom it had dialled."""
    legs = _legs(_record(Disposition="NO ANSWER"))
    assert legs["pstn"].facts["sip.response.status_code"] == 200
    assert legs["pstn"].facts["sip.call.duration_ms"] == 20_000.0
    assert legs["trunk"].facts["sip.call.outcome"] == "no_answer"
    assert "sip.call.duration_ms" not in legs["trunk"].facts


def test_a_second_record_of_a_caller_goes_on() -> None:
    """A queue that found nobody, then somebody: the caller talks since the first answer."""
    later = {"StartTime": "2026-11-23 01:14:00", "AnswerTime": "2026-11-23 01:14:00",
             "EndTime": "2026-11-23 01:15:00", "BillableSeconds": 60, "Duration": 60,
             "DestinationChannel": "PJSIP/beta-00000003"}  # fmt: skip
    caller, _, other = parse(AMI, _record(Disposition="NO ANSWER") + _record(**later)).observations
    assert caller.facts["sip.call.duration_ms"] == 80_000.0
    assert other.facts["sip.call.duration_ms"] == 60_000.0


def test_an_event_after_the_record_is_of_the_same_leg() -> None:
    """Its id comes to be known: one leg, not two."""
    legs = _legs(_record(), event("Hangup", **callee(), Cause=16))
    assert legs["trunk"].record_id == legs["trunk"].ids["channel_id"] == CALLEE_ID
    assert legs["trunk"].facts["sip.reason.q850"] == 16
    assert legs["trunk"].ids["linked_id"] == CALLER_ID


def test_names_of_channels_come_again() -> None:
    """After a restart a later call has channels of the same names: its legs are its own."""
    times = {"StartTime": "2026-11-24 01:13:37", "AnswerTime": "2026-11-24 01:13:40",
             "EndTime": "2026-11-24 01:13:50", "BillableSeconds": 10}  # fmt: skip
    later = _record(UniqueID="1795482817.1", **times)
    parsed = parse(AMI, _record() + later)
    assert [one.facts["sip.call.duration_ms"] for one in parsed.observations] == [
        *(20_000.0, 20_000.0, 10_000.0, 10_000.0)
    ]
    snapshot = channel(CALLEE, 0, unique="1795482817.2", linked="1795482817.1")
    parsed = parse(AMI, _record() + event("Newchannel", **snapshot))
    assert len(parsed.observations) == 3


def test_records_of_two_carriers_are_two_legs() -> None:
    """Each `Cdr` event of a call has another channel that was dialled."""
    other = _record(DestinationChannel="PJSIP/beta-00000003")
    parsed = parse(AMI, _record(Disposition="CONGESTION", BillableSeconds=0) + other, CALLER_CALLS)
    told = [(one.leg, one.record_id, one.facts["sip.call.outcome"]) for one in parsed.observations]
    assert told == [
        ("trunk", CALLER_ID, "answered"),
        ("pstn", f"{CALLER_ID} 1", "congestion"),
        ("pstn", f"{CALLER_ID} 2", "answered"),
    ]


def test_events_of_before_1_6_are_read() -> None:
    """State in a word, `Dial` with `Source`, `Link`, and ids with the system's name and pid."""
    ids = {"SrcUniqueID": "pbx-30339-1267898190.141", "DestUniqueID": "pbx-30339-1267898190.143"}
    zap = {"Channel": "Zap/1-1", "Uniqueid": ids["SrcUniqueID"]}
    sip = {"Channel": "SIP/livekit-08248170", "Uniqueid": ids["DestUniqueID"]}
    legs = _legs(
        event("Newchannel", **zap, State="Ring", CallerIDNum="+15555550142"),
        event("Newchannel", **sip, State="Down", CallerIDNum="<unknown>"),
        event("Dial", Source=zap["Channel"], Destination=sip["Channel"], **ids),
        event("Newstate", **sip, State="Ringing"),
        event("Newstate", **sip, State="Up"),
        event("Newstate", **zap, State="Up"),
        event("Link", Channel1=zap["Channel"], Channel2=sip["Channel"],
              Uniqueid1=ids["SrcUniqueID"], Uniqueid2=ids["DestUniqueID"]),
        event("Hangup", **sip, Cause=16),
        event("Hangup", **zap, Cause=16),
    )  # fmt: skip
    for one in legs.values():
        assert one.ids["linked_id"] == ids["SrcUniqueID"]
        assert one.facts["sip.response.status_code"] == 200
        assert one.start == 1267898190.0
    assert legs["trunk"].ids["endpoint"] == "livekit"


def test_a_request_to_hang_up_has_the_cause_as_well() -> None:
    """A stream that ends before `Hangup`, or whose `Hangup` says 0, has it from the request."""
    request = event("HangupRequest", **channel(), Cause=16)
    for data in (request, request + event("Hangup", **channel(), Cause=0)):
        assert _legs(data)["pstn"].facts["sip.reason.q850"] == 16
    later = request + event("Hangup", **channel(), Cause=31)
    assert _legs(later)["pstn"].facts["sip.reason.q850"] == 31


def test_where_a_call_of_asterisk_itself_goes_nobody_says() -> None:
    """A channel that nobody's channel had dialled: to the agent, or far away."""
    begin = event("DialBegin", **channel(state=0, prefix="Dest"), DialString=f"{NUMBER}@carrier-in")
    named = Reading(bridge=Bridge(frozenset({"carrier-in"})))
    for reading in (None, named):
        (one,) = parse(AMI, event("Newchannel", **channel(state=0)) + begin, reading).observations
        assert "sip.call.direction" not in one.facts


def test_the_state_at_the_end_began_some_time_before() -> None:
    """Without `Newstate` (an event filter) nobody knows when a channel rang, or was answered."""
    at = 1795396417.5
    for state, code in ((5, None), (6, 200)):
        parsed = parse(
            AMI,
            event("Newchannel", Timestamp=at, **channel(state=0))
            + event("HangupRequest", Timestamp=at + 20, **channel(state=state), Cause=16)
            + event("Hangup", Timestamp=at + 20, **channel(state=state), Cause=16),
        )
        facts = parsed.observations[0].facts
        assert facts.get("sip.response.status_code") == code
        assert not {"sip.pdd_ms", "sip.setup_ms", "sip.call.duration_ms"} & facts.keys()


def test_the_tech_cause_of_a_canceled_channel_is_nobodys_answer() -> None:
    """The caller gave up: of cause 127 Asterisk makes a 500 for the channel that it canceled."""
    ringing = callee(5, prefix="Dest")
    gone = [
        event("HangupRequest", **channel(state=4), Cause=127, TechCause=487),
        event("DialEnd", **channel(state=4), **ringing, DialStatus="CANCEL"),
        event("SoftHangupRequest", **channel(state=4), Cause=16, TechCause=487),
        event("Hangup", **callee(5), Cause=127, TechCause=500),
        event("Hangup", **channel(state=4), Cause=127, TechCause=487),
    ]
    begun = [
        event("Newchannel", **channel(state=4)),
        event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")),
    ]
    for events in (gone, [gone[0], *gone[2:]]):
        legs = _legs(*begun, *events)
        assert legs["pstn"].facts["sip.response.status_code"] == 487
        assert legs["pstn"].facts["sip.hangup.source"] == "caller"
        assert "sip.response.status_code" not in legs["trunk"].facts
        for one in legs.values():
            assert one.facts.get("sip.call.outcome", "canceled") == "canceled"


def test_events_as_json_say_the_same() -> None:
    """Libraries write an event as an object; its keys in any case, all in a list or one a line."""
    told = captured(CALLS[0], "ami.txt").decode().split("\r\n\r\n")
    objects = [
        dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        for block in told
        if "\nEvent: " in f"\n{block}"
    ]
    known = parse(AMI, captured(CALLS[0], "ami.txt"))
    lowered = [{key.lower(): value for key, value in one.items()} for one in objects]
    for data in (json.dumps(objects, indent=1), "\n".join(map(json.dumps, lowered))):
        parsed = parse(AMI, data)
        assert parsed.observations == known.observations
        assert parsed.broken == ()


@pytest.mark.parametrize("body", ['{"some": "thing"}', '{"Event": null}', '{"Event": "Hangup",'])
def test_an_object_that_is_no_event_is_broken(body: str) -> None:
    """It is reported; a response is ignored, and the next event is read."""
    good = json.dumps({"Event": "Hangup", **channel(), "Cause": 16})
    parsed = parse(AMI, f'{good}\n{body}\n{{"Response": "Success"}}\n{good}\n')
    assert [one.line for one in parsed.broken] == [2]
    assert parsed.observations[0].facts["sip.reason.q850"] == 16
