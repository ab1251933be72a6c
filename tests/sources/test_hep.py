"""HEP traces: what SIP and RTCP of both legs say of a call, against the truth of captured ones."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES
from tests.sources.heptrace import (
    ALICE,
    CALLER,
    EAST,
    PCMU,
    PROXY,
    T0,
    WEST,
    Leg,
    answered,
    block,
    chunk,
    hexed,
    packet,
    rtcp,
    sdp,
)  # fmt: skip
from tests.sources.quick import lines_of_json

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES
from trunktrace.windows import MediaWindow

KAMAILIO = ("01-clean", "02-loss5-caller-to-proxy", "03-loss5-proxy-to-caller", "04-busy-486",
            "05-unavailable-503", "06-timeout-408", "07-one-way-callee-silent")  # fmt: skip
ASTERISK = ("01-clean", "02-busy-486", "03-one-way")


def parse(*packets: bytes, bridge: tuple[str, ...] = (), end: Any = None) -> Parsed:
    """What HEP says of packets."""
    reading = Reading(bridge=Bridge(frozenset(bridge), end))
    return SOURCES["hep"].parse(b"".join(packets), reading)


def captured(path: str) -> bytes:
    """A captured file."""
    return (CAPTURES / path).read_bytes()


def truth(folder: str) -> dict[str, Any]:
    """The truth of a captured call."""
    found: dict[str, Any] = json.loads((CAPTURES / folder / "facts.json").read_text())
    return found


def by_leg(told: Parsed) -> dict[str, Observation]:
    """Observations by their leg; each leg once."""
    assert len({one.leg for one in told.observations}) == len(told.observations)
    return {one.leg: one for one in told.observations}


def whole(told: Parsed, leg: str, direction: str) -> MediaWindow | None:
    """The longest window of a place."""
    found = [
        window
        for one in told.observations
        for window in one.windows
        if (window.leg, window.direction) == (leg, direction)
    ]
    return max(found, key=lambda window: window.duration_s, default=None)


@pytest.mark.parametrize("name", KAMAILIO)
def test_kamailio_facts_are_the_truth(name: str) -> None:
    """Codes of both legs, cause, codec, who hung up and the duration are those of the call."""
    facts = truth(f"kamailio/{name}")
    told = parse(captured(f"kamailio/{name}/hep-sip.hex"))
    legs = by_leg(told)
    caller, callee = legs["pstn"].facts, legs["trunk"].facts
    assert (told.broken, told.ignored) == ((), 0)
    assert caller[c.SIP_RESPONSE_STATUS_CODE] == facts["sip_code"]
    assert callee.get(c.SIP_RESPONSE_STATUS_CODE) == facts["attempts"][0]["sip_code"]
    causes = {leg.facts.get(c.SIP_REASON_Q850) for leg in legs.values()} - {None}
    assert causes == ({facts["q850_cause"]} if facts["q850_cause"] else set())
    for leg in legs.values():
        codec = facts["codec"].split("/")[0].lower() if facts["codec"] else None
        assert leg.facts.get(c.RTP_CODEC) == codec
        assert leg.facts.get(c.RTP_PTIME_MS) == facts["ptime_ms"]
        assert leg.facts.get(c.SIP_HANGUP_SOURCE) == facts["hung_up_by"]
        assert leg.ids["call_id"] == leg.ids["linked_id"] == facts["call_id"]
        duration = leg.facts.get(c.SIP_CALL_DURATION_MS)
        if facts["answered"]:
            assert duration == pytest.approx(facts["duration_s"] * 1000, abs=20)
        else:
            assert duration is None


@pytest.mark.parametrize("name", ASTERISK)
def test_asterisk_facts_are_the_truth(name: str) -> None:
    """Two Call-IDs of one call are linked, and say what the call was."""
    facts = truth(f"asterisk/{name}")
    told = parse(captured(f"asterisk/{name}/hep.hex"))
    legs = by_leg(told)
    assert (told.broken, told.ignored) == ((), 0)
    assert len({leg.ids["linked_id"] for leg in legs.values()}) == 1
    assert legs["pstn"].ids["call_id"] != legs["trunk"].ids["call_id"]
    for leg in legs.values():
        assert leg.facts[c.SIP_RESPONSE_STATUS_CODE] == facts["sip_code"]
        assert leg.facts.get(c.SIP_REASON_Q850) in (None, facts["q850_cause"])
        assert leg.facts.get(c.SIP_HANGUP_SOURCE) == facts["hung_up_by"]
        assert leg.facts.get(c.RTP_CODEC) == ("pcmu" if facts["answered"] else None)
        if facts["answered"]:
            said = leg.facts[c.SIP_CALL_DURATION_MS]
            assert said == pytest.approx(facts["duration_s"] * 1000, abs=1000)


def test_asterisk_counts_each_direction_of_each_leg() -> None:
    """Receiver reports of Asterisk and of its peers are told on the legs that they are about."""
    told = parse(captured("asterisk/01-clean/hep.hex"))
    for leg in ("trunk", "pstn"):
        for direction in ("in", "out"):
            window = whole(told, leg, direction)
            assert window is not None
            assert window.loss_ratio == 0.0
            assert window.packet_count == pytest.approx(1500, abs=3)
            assert window.jitter_ms is not None
            assert window.jitter_ms < 2.0


def test_asterisk_round_trip_needs_no_clock() -> None:
    """LSR finds the sender report that was seen leaving: half a millisecond, not 65536 s."""
    window = whole(parse(captured("asterisk/01-clean/hep.hex")), "pstn", "out")
    assert window is not None
    assert window.rtt_ms == pytest.approx(0.6, abs=0.5)


def test_a_leg_that_heard_nothing_says_nothing_of_loss() -> None:
    """Where the caller's RTP never came, nobody counted: no loss is told, neither 0 nor 1."""
    told = parse(captured("asterisk/03-one-way/hep.hex"))
    assert whole(told, "pstn", "in") is None
    assert whole(told, "trunk", "in") is None
    out = whole(told, "trunk", "out")
    assert out is not None
    assert out.loss_ratio == 0.0


@pytest.mark.parametrize(
    "name, place, other",
    [("02-loss5-caller-to-proxy", "in", "out"), ("03-loss5-proxy-to-caller", "out", "in")],
)
@pytest.mark.parametrize("with_sip", [False, True])
def test_loss_through_a_media_proxy(name: str, place: str, other: str, with_sip: bool) -> None:
    """What an end counts through rtpengine is exact, on the caller's leg, and marked as derived."""
    data = captured(f"rtpengine/{name}/hep-rtcp.hex")
    if with_sip:
        data = captured(f"kamailio/{name}/hep-sip.hex") + data
    told = parse(data)
    window = whole(told, "pstn", place)
    assert window is not None
    expected = truth(f"rtpengine/{name}")["legs"]["caller"][place]["loss_ratio"]
    assert window.loss_ratio == pytest.approx(expected, abs=0.002)
    assert window.loss_method == "derived"
    clean = whole(told, "pstn", other)
    assert clean is not None
    assert (clean.loss_ratio, clean.loss_method) == (0.0, "counted")
    for one in told.observations:
        assert all(w.loss_ratio in (None, 0.0) for w in one.windows if w.leg == "trunk")


@pytest.mark.parametrize(
    "name, place", [("02-loss5-caller-to-proxy", "out"), ("03-loss5-proxy-to-caller", "in")]
)
def test_loss_through_a_media_proxy_to_a_bridge_that_calls(name: str, place: str) -> None:
    """The caller's leg is then the trunk: the loss stays on it, and the far leg has none."""
    told = parse(captured(f"rtpengine/{name}/hep-rtcp.hex"), bridge=(CALLER,))
    window = whole(told, "trunk", place)
    assert window is not None
    expected = truth(f"rtpengine/{name}")["legs"]["caller"]["out" if place == "in" else "in"]
    assert window.loss_ratio == pytest.approx(expected["loss_ratio"], abs=0.002)
    assert window.loss_method == "derived"
    for one in told.observations:
        assert all(w.loss_ratio in (None, 0.0) for w in one.windows if w.leg == "pstn")


def test_a_first_report_speaks_of_the_time_that_its_packets_took() -> None:
    """Without SIP nobody says when media began: the rate of the later packets does."""
    told = parse(captured("rtpengine/01-clean/hep-rtcp.hex"))
    counted = [w for one in told.observations for w in one.windows if w.packet_count]
    assert counted
    for one in counted:
        assert (one.packet_count or 0) + (one.lost_count or 0) <= 51 * one.duration_s + 1


@pytest.mark.parametrize("clock_hz", [8000, 48000])
def test_jitter_without_sip_is_by_the_senders_own_clock(clock_hz: int) -> None:
    """RTP timestamps of its sender reports tell the clock that no SDP has told."""

    def report(at: float, source: str, target: str, ssrc: int, heard: int, jitter: int) -> bytes:
        seconds = T0 + at + 2_208_988_800
        body = {
            "ssrc": ssrc,
            "sender_information": {"ntp_timestamp_sec": int(seconds), "ntp_timestamp_usec": 0,
                                   "rtp_timestamp": int(clock_hz * at), "packets": int(50 * at)},
            "report_blocks": [{"source_ssrc": heard, "highest_seq_no": int(50 * at),
                               "fraction_lost": 0, "packets_lost": 0, "ia_jitter": jitter,
                               "lsr": 0, "dlsr": 0}],
        }  # fmt: skip
        return packet(json.dumps(body), at=at, source=source, target=target, kind=5,
                      correlation="c1")  # fmt: skip

    data = [
        one
        for at in (5.0, 10.0, 15.0)
        for one in (report(at, CALLER, PROXY, 1, 2, clock_hz // 100),
                    report(at + 0.1, EAST, PROXY, 2, 1, clock_hz // 100))
    ]  # fmt: skip
    found = {w.jitter_ms for one in parse(*data).observations for w in one.windows}
    assert found - {None} == {10.0}


def test_lost_packets_are_exact() -> None:
    """109 packets of 2000 were lost; the windows between reports add up to the same."""
    told = parse(captured("rtpengine/02-loss5-caller-to-proxy/hep-rtcp.hex"))
    window = whole(told, "pstn", "in")
    assert window is not None
    assert (window.lost_count, window.packet_count) == (109, 1891)
    short = [
        w for one in told.observations for w in one.windows
        if (w.leg, w.direction) == ("pstn", "in") and w.duration_s < 15
    ]  # fmt: skip
    assert sum(w.lost_count or 0 for w in short) == 109


def test_an_invite_whose_answer_was_not_seen_and_that_was_hung_up() -> None:
    """It was answered: no timeout is told of the gateway that said BYE."""
    entry = Leg("f1").invite(0).answer(4.0).bye(10.0)
    east = Leg("f1", PROXY, EAST).invite(0.01).bye(9.9)
    for one in parse(*entry.packets, *east.packets).observations:
        assert one.facts.get(c.SIP_CALL_OUTCOME) in (None, "answered")


def test_statistics_of_an_agents_own_kind_are_ignored() -> None:
    """Payload 34 holds what its agent likes; only a quality report in it is read."""
    told = parse(packet("some text", at=0, source=CALLER, target=PROXY, kind=34))
    assert (told.observations, told.broken, told.ignored) == ((), (), 1)
    told = parse(packet("some text", at=0, source=CALLER, target=PROXY, kind=35))
    assert [one.line for one in told.broken] == [1]


def test_a_mark_of_the_byte_order_is_no_packet() -> None:
    """Before hexadecimal lines, and alone."""
    data = captured("kamailio/01-clean/hep-sip.hex")
    assert parse(b"\xef\xbb\xbf" + data) == parse(data)
    assert parse(b"\xef\xbb\xbf") == parse(b"")


def test_the_bridge_at_the_caller_turns_legs_and_directions() -> None:
    """With the caller's address named as the bridge, its leg is the trunk and the call outbound."""
    data = captured("kamailio/05-unavailable-503/hep-sip.hex")
    legs = by_leg(parse(data, bridge=(CALLER,)))
    assert legs["trunk"].facts[c.SIP_RESPONSE_STATUS_CODE] == 500
    assert legs["pstn"].facts[c.SIP_RESPONSE_STATUS_CODE] == 503
    assert legs["pstn"].facts[c.SIP_CALL_DIRECTION] == "outbound"
    assert legs["pstn"].claims == {"sip.hostname": EAST}
    assert legs["trunk"].bridge_end == "caller"
    assert legs["trunk"].bridge_end_by == "configured"


def test_an_attempt_without_any_answer() -> None:
    """A gateway that never answered has no code; the proxy's 408 is the caller's leg alone."""
    legs = by_leg(parse(captured("kamailio/06-timeout-408/hep-sip.hex")))
    (attempt,) = legs["trunk"].attempts
    assert (attempt.status_code, attempt.failure, attempt.progress) == (None, "no_response", False)
    assert c.SIP_RESPONSE_STATUS_CODE not in legs["trunk"].facts
    assert legs["trunk"].facts[c.SIP_CALL_OUTCOME] == "timeout"


def failover() -> list[bytes]:
    """A proxy whose first gateway is busy and whose second answers."""
    entry = Leg("f1").invite(0).answer(4.0).bye(10.0, "server")
    east = Leg("f1", PROXY, EAST).invite(0.01).invite(0.5).answer(1.0, "503 Service Unavailable")
    west = Leg("f1", PROXY, WEST).invite(1.1).answer(3.9).bye(9.9, "server")
    return [*entry.packets, *east.packets, *west.packets]


def test_attempts_in_order_and_retransmissions_once() -> None:
    """Two gateways are two attempts in order of time; the repeated INVITE is no third."""
    legs = by_leg(parse(*failover()))
    told = [(one.trunk_id, one.status_code) for one in legs["trunk"].attempts]
    assert told == [(EAST, 503), (WEST, 200)]
    assert legs["trunk"].facts[c.SIP_ATTEMPT_COUNT] == 2
    assert legs["trunk"].facts[c.SIP_RESPONSE_STATUS_CODE] == 200
    assert legs["trunk"].facts[c.SIP_HANGUP_SOURCE] == "callee"


def test_a_challenge_is_no_attempt() -> None:
    """401 and the INVITE with credentials are one attempt, and the code is the second's."""
    leg = Leg("auth").invite(0).answer(0.1, "401 Unauthorized", body="")
    leg.say(0.2, "INVITE", "2 INVITE", tagged=False, branch="b2")
    leg.say(2.0, "486 Busy Here", "2 INVITE", by="server", branch="b2")
    (told,) = parse(*leg.packets).observations
    assert told.facts[c.SIP_RESPONSE_STATUS_CODE] == 486
    assert told.facts[c.SIP_CALL_OUTCOME] == "busy"


def test_a_refused_challenge_is_the_answer() -> None:
    """A 407 after which nothing came is the final answer."""
    leg = Leg("auth").invite(0).answer(0.1, "407 Proxy Authentication Required", body="")
    (told,) = parse(*leg.packets).observations
    assert told.facts[c.SIP_RESPONSE_STATUS_CODE] == 407


def test_times_of_a_call() -> None:
    """Post-dial delay, ringing, set-up and duration come from the times of the messages."""
    (told,) = parse(*answered(Leg("t")).packets).observations
    keys = (c.SIP_PDD_MS, c.SIP_RING_MS, c.SIP_SETUP_MS, c.SIP_CALL_DURATION_MS)
    assert [told.facts[key] for key in keys] == [1000.0, 2000.0, 3000.0, 20000.0]
    assert [mark.kind for mark in told.marks] == ["invite", "ringing", "answered", "hangup"]
    assert told.completeness == "complete"


def test_a_call_that_goes_on_is_partial() -> None:
    """Without a BYE there is no duration, and the record may grow."""
    leg = Leg("t").invite(0).answer(2.0)
    (told,) = parse(*leg.packets).observations
    assert told.completeness == "partial"
    assert c.SIP_CALL_DURATION_MS not in told.facts
    assert c.SIP_HANGUP_SOURCE not in told.facts


def test_an_invite_that_is_open_says_nothing_of_its_outcome() -> None:
    """An INVITE without any answer at the end of the file may still be answered."""
    (told,) = parse(*Leg("t").invite(0).packets).observations
    assert told.completeness == "partial"
    assert c.SIP_CALL_OUTCOME not in told.facts


def test_hold_lasts_until_media_flows_again() -> None:
    """A re-INVITE with sendonly begins a hold, one with sendrecv ends it; neither is an attempt."""
    leg = Leg("h").invite(0).answer(2.0)
    for at, cseq, way in ((5.0, 2, "sendonly"), (9.0, 3, "sendrecv")):
        body = sdp(CALLER, 4000, *PCMU, more=(f"a={way}",))
        leg.say(at, "INVITE", f"{cseq} INVITE", branch=f"r{cseq}", body=body)
        leg.say(at + 0.1, "200 OK", f"{cseq} INVITE", by="server", branch=f"r{cseq}")
    (told,) = parse(*leg.bye(12.0).packets).observations
    (hold,) = [mark for mark in told.marks if mark.kind == "hold"]
    assert (hold.start, hold.end) == (T0 + 5.0, T0 + 9.0)
    assert told.facts[c.SIP_SETUP_MS] == 2000.0


def test_a_refused_hold_is_none() -> None:
    """A re-INVITE that was answered with 491 changes nothing, the code of the call included."""
    leg = Leg("h").invite(0).answer(2.0)
    body = sdp(CALLER, 4000, *PCMU, more=("a=sendonly",))
    leg.say(5.0, "INVITE", "2 INVITE", branch="r", body=body)
    leg.say(5.1, "491 Request Pending", "2 INVITE", by="server", branch="r")
    (told,) = parse(*leg.bye(12.0).packets).observations
    assert "hold" not in {mark.kind for mark in told.marks}
    assert told.facts[c.SIP_RESPONSE_STATUS_CODE] == 200


def test_prack_update_and_info_are_no_answers() -> None:
    """Other requests of the dialog, and their 200s, do not answer the INVITE."""
    leg = Leg("p").invite(0).say(1.0, "183 Session Progress", "1 INVITE", by="server")
    for cseq, method in ((2, "PRACK"), (3, "UPDATE"), (4, "INFO")):
        leg.say(1.1, method, f"{cseq} {method}", branch=method)
        leg.say(1.2, "200 OK", f"{cseq} {method}", by="server", branch=method)
    leg.answer(3.0, "480 Temporarily Unavailable")
    (told,) = parse(*leg.packets).observations
    assert told.facts[c.SIP_RESPONSE_STATUS_CODE] == 480
    assert told.facts[c.SIP_PDD_MS] == 1000.0


def test_a_canceled_call() -> None:
    """CANCEL and 487: canceled, and nobody hung up an answered call."""
    leg = Leg("c").invite(0).say(1.0, "180 Ringing", "1 INVITE", by="server")
    leg.say(4.0, "CANCEL", "1 CANCEL", tagged=False).answer(4.1, "487 Request Terminated")
    (told,) = parse(*leg.packets).observations
    assert told.facts[c.SIP_CALL_OUTCOME] == "canceled"
    assert c.SIP_HANGUP_SOURCE not in told.facts


def test_a_pbx_that_ends_both_legs_is_no_end() -> None:
    """Where both BYEs come from the PBX, nobody knows who hung up."""
    caller = answered(Leg("a1", CALLER, PROXY), by="server")
    callee = answered(Leg("b1", PROXY, EAST), at=0.1, by="client")
    told = parse(*caller.packets, *callee.packets)
    assert len(told.observations) == 2
    assert all(c.SIP_HANGUP_SOURCE not in one.facts for one in told.observations)


@pytest.mark.parametrize(
    "after_s, callee, linked",
    [(0.1, None, True), (0.1, "15555550101", True), (0.1, "+15555550777", True),
     (-5.0, None, False), (200.0, None, False)],
)  # fmt: skip
def test_when_two_call_ids_are_one_call(after_s: float, callee: str | None, linked: bool) -> None:
    """The PBX dials on while the call is there, with one of its numbers, however it is written."""
    first = answered(Leg("a1", CALLER, PROXY))
    second = answered(Leg("b1", PROXY, EAST, callee=callee or "+15555550101"), at=after_s)
    told = parse(*first.packets, *second.packets).observations
    assert len({one.ids.get("linked_id", one.ids["call_id"]) for one in told}) == 2 - linked


def test_two_calls_at_once_are_not_mixed() -> None:
    """Each leg beyond the PBX goes with the call that has its numbers."""
    legs = [
        answered(Leg("a1", CALLER, PROXY)),
        answered(Leg("a2", CALLER, PROXY, caller="+15555550198", callee="+15555550102"), at=0.05),
        answered(Leg("b1", PROXY, EAST), at=0.1),
        answered(Leg("b2", PROXY, EAST, caller="+15555550198", callee="+15555550102"), at=0.12),
    ]
    told = parse(*(one for leg in legs for one in leg.packets)).observations
    linked = {one.ids["call_id"]: one.ids["linked_id"] for one in told}
    assert linked == {"a1": "a1", "b1": "a1", "a2": "a2", "b2": "a2"}


def test_a_call_with_other_numbers_is_not_linked() -> None:
    """The PBX's address and the time alone link nothing."""
    first = answered(Leg("a1", CALLER, PROXY))
    other = Leg("b1", PROXY, EAST, caller="+15555550120", callee="+15555550121")
    told = parse(*first.packets, *answered(other, at=0.1).packets).observations
    assert {one.ids["call_id"] for one in told} == {"a1", "b1"}
    assert all("linked_id" not in one.ids for one in told)


def test_one_host_with_two_ports() -> None:
    """On one machine ports tell the neighbours apart."""
    text = b"INVITE sip:b@127.0.0.1 SIP/2.0\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n"
    busy = b"SIP/2.0 486 Busy Here\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n"
    hops = [(5070, 5060), (5060, 5080)]
    packets: list[bytes] = []
    for at, (client, server) in enumerate(hops):
        common: dict[str, Any] = {"source": "127.0.0.1", "target": "127.0.0.1"}
        packets.append(packet(text, at=at, source_port=client, target_port=server, **common))
        packets.append(packet(busy, at=9 - at, source_port=server, target_port=client, **common))
    told = parse(*packets, bridge=("127.0.0.1:5080",))
    assert [one.leg for one in told.observations] == ["pstn", "trunk"]
    assert {one.bridge_end_by for one in told.observations} == {"configured"}


def through_pbx(lost_before: int, lost_behind: int) -> list[bytes]:
    """A PBX that passes gaps on: its own report on the caller, and the callee's on the PBX."""
    packets = [*answered(Leg("a1")).packets]
    east = Leg("b1", PROXY, EAST)
    packets += answered(east, at=0.1).packets
    for n in range(1, 5):
        at, sent = 3.0 + 5.0 * n, 250 * n
        packets += [
            rtcp(at, CALLER, PROXY, 1, sent, correlation="a1"),
            rtcp(at, PROXY, CALLER, 2, sent, block(1, 1000 + sent, lost_before * n),
                 correlation="a1", ports=(6001, 4001)),
            rtcp(at, PROXY, EAST, 3, sent, correlation="b1", ports=(4001, 6001)),
            rtcp(at, EAST, PROXY, 4, sent, block(3, 7000 + sent, (lost_before + lost_behind) * n),
                 correlation="b1", ports=(6001, 4001)),
        ]  # fmt: skip
    return packets


@pytest.mark.parametrize("before, behind", [(10, 0), (10, 5), (0, 5), (0, 0)])
def test_gaps_that_a_pbx_passes_on_count_once(before: int, behind: int) -> None:
    """What was lost before the PBX is missing for the callee too, and is told of the first leg."""
    told = parse(*through_pbx(before, behind))
    upstream, down = whole(told, "pstn", "in"), whole(told, "trunk", "in")
    assert upstream is not None
    assert down is not None
    assert (upstream.lost_count, down.lost_count) == (4 * before, 4 * behind)
    assert upstream.loss_method == "counted"
    assert down.loss_method == ("derived" if before else "counted")


@pytest.mark.parametrize("told, expected", [(63_125_527, None), (80, 10.0)])
def test_absurd_jitter_is_left_out(told: int, expected: float | None) -> None:
    """Jitter is in timestamp units; a first report's start value is no jitter."""
    leg = answered(Leg("j"))
    report = rtcp(8.0, PROXY, CALLER, 2, 250, block(1, 1250, ia_jitter=told), correlation="j",
                  ports=(6001, 4001))  # fmt: skip
    window = whole(parse(*leg.packets, report), "pstn", "in")
    assert window is not None
    assert window.jitter_ms == expected


@pytest.mark.parametrize("lost, expected", [(0xFFFFFF, 0), (-1, 0), (3, 3)])
def test_lost_packets_below_zero(lost: int, expected: int) -> None:
    """16777215 is -1 without its sign: duplicates, and nothing lost."""
    leg = answered(Leg("j"))
    reports = [
        rtcp(at, PROXY, CALLER, 2, sent, block(1, 1000 + sent, lost), correlation="j",
             ports=(6001, 4001))
        for at, sent in ((8.0, 250), (13.0, 500))
    ]  # fmt: skip
    caller = rtcp(8.0, CALLER, PROXY, 1, 250, correlation="j")
    window = whole(parse(*leg.packets, caller, *reports), "pstn", "in")
    assert window is not None
    assert window.lost_count == expected


def test_rtcp_without_correlation_is_found_by_its_sdp() -> None:
    """Addresses and ports of the SDP lead a report to its leg."""
    leg = answered(Leg("s"))
    report = rtcp(8.0, PROXY, CALLER, 2, 250, block(1, 1250), ports=(6001, 4001))
    (told,) = parse(*leg.packets, report).observations
    assert {(w.leg, w.direction) for w in told.windows} == {("pstn", "in")}


def test_packets_of_who_is_not_heard_are_what_was_sent() -> None:
    """Where nobody reports on a sender, its own count is told, and no loss."""
    leg = answered(Leg("s"))
    (told,) = parse(*leg.packets, rtcp(8.0, CALLER, PROXY, 1, 250, correlation="s")).observations
    (window,) = told.windows
    assert (window.direction, window.packet_count, window.loss_ratio) == ("in", 250, None)


def test_other_payloads_are_ignored() -> None:
    """Logs, keep-alives, registrations and source descriptions say nothing of a call."""
    register = (
        "REGISTER sip:x SIP/2.0\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\nFrom: <sip:a@x>;tag=1\r\n\r\n"
    )
    where: dict[str, Any] = {"at": 0.0, "source": CALLER, "target": PROXY}
    told = parse(
        packet("a log line", kind=100, **where),
        packet("\r\n\r\n", **where),
        packet(register, **where),
        packet('{"sdes_report_count":1}', kind=5, **where),
    )
    assert (told.observations, told.broken, told.ignored) == ((), (), 4)


def test_chunks_of_other_vendors_are_passed_over() -> None:
    """A chunk with a vendor's number is another thing, whatever its type."""
    data = packet("\r\n", at=0, source=CALLER, target=PROXY, extra=chunk(9, b"xx", vendor=7))
    assert parse(data).ignored == 1


def test_hex_and_binary_say_the_same() -> None:
    """Lines of digits, CRLF or LF, upper or lower case, and packets one after the other."""
    packets = failover()
    said = parse(*packets)
    lines = hexed(*packets)
    assert parse(lines) == parse(lines.upper()) == parse(lines.replace(b"\n", b"\r\n"))
    assert parse(lines).observations == said.observations


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_packets_does_not_matter(shuffle: random.Random) -> None:
    """Packets carry their times: whatever order they come in, the call is the same."""
    packets = [*failover(), *through_pbx(3, 2)]
    mixed = list(packets)
    shuffle.shuffle(mixed)

    def told(some: list[bytes]) -> list[Observation]:
        return sorted(parse(*some).observations, key=lambda one: one.record_id)

    assert told(mixed) == told(packets)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_mutation_breaks_the_reader(data: st.DataObject) -> None:
    """Whatever a byte becomes: nothing is raised, and a whole call beside it still comes out."""
    broken = bytearray(data.draw(st.sampled_from(failover())))
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    told = parse(hexed(bytes(broken), *answered(Leg("whole")).packets))
    assert "whole" in {one.ids.get("call_id") for one in told.observations}


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    """No bytes raise, and what is not empty is told of in some way."""
    told = SOURCES["hep"].parse(data)
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    says_nothing = not text.strip(b" \t\r\n:") or text.startswith(b"#")
    assert told.observations or told.broken or told.ignored or says_nothing


@pytest.mark.parametrize(
    "headers, differs",
    [
        ((), None),
        (("P-Asserted-Identity: <sip:+12025550199@x>",), True),
        (("P-Asserted-Identity: <sip:+12025550123@x>",), False),
        (("P-Asserted-Identity: <sip:+12025550199@x>", "Privacy: id"), None),
    ],
)
def test_two_identities_of_the_caller(headers: tuple[str, ...], differs: bool | None) -> None:
    """From and the asserted identity are compared on the far leg, and neither number is told."""
    leg = Leg("i", caller="+12025550123").invite(0, headers=headers).answer(1.0, "486 Busy Here")
    (told,) = parse(*leg.packets).observations
    assert told.identity_differs is differs
    assert "2025550199" not in repr(told)


def test_the_session_id_of_both_legs() -> None:
    """RFC 7989: the sender's half is told, and links legs whose numbers are others."""
    uuid = "ab30317f1a784dc48ff824d0d3715d86"
    header = f"Session-ID: {uuid};remote={'0' * 32}"
    first = Leg("a1").invite(0, headers=(header,)).answer(3.0).bye(9.0)
    other = Leg("b1", PROXY, EAST, caller="+15555550120", callee="+15555550121")
    other.invite(0.1, headers=(header,)).answer(2.9).bye(9.1)
    told = parse(*first.packets, *other.packets).observations
    assert {one.facts[c.SIP_SESSION_ID] for one in told} == {uuid}
    assert {one.ids["linked_id"] for one in told} == {"a1"}


def test_no_number_leaves_the_reader() -> None:
    """Numbers in URIs, display names and reason phrases are masked everywhere."""
    leg = Leg("n").invite(0).answer(1.0, f"404 No such number {ALICE}")
    told = parse(*leg.packets)
    assert ALICE[1:] not in repr(told)


@pytest.mark.parametrize(
    "kind, payload",
    [
        (1, "INVITE sip:a SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n" + "X: y\r\n" * 190 + "\r\n"),
        (1, "\r\n" * 30_000),
        (5, '{"report_blocks":[' + "{}," * 8_000 + "{}]}"),
        (5, "[" * 60_000),
        (35, "VQSessionReport\r\nCallID: a\r\nLocalMetrics:\r\n" + 'a="' * 4_000),
        (100, "x" * 60_000),
    ],
)  # fmt: skip
def test_hostile_payloads_are_quick(kind: int, payload: str) -> None:
    """No packet takes longer than a long line of JSON takes three times."""
    data = packet(payload, at=0, source=CALLER, target=PROXY, kind=kind)
    parse(*answered(Leg("w")).packets)  # what is loaded once is loaded
    assert lines_of_json(lambda: parse(data)) < 3
