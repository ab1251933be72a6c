"""The legs of a call apart: what is the far one's, what was passed on, who answered what."""

from __future__ import annotations

from typing import Any

import pytest

from trunktrace.diagnosis.assemble import story_of
from trunktrace.diagnosis.engine import diagnose
from trunktrace.facts import Observation

from .stories import T0, answered, attempt, diagnosed, found, loss, mark, window, windows

PBX = "asterisk-ami"
DIRECTION = {"sip.call.direction": "outbound"}


def seen(source: str = PBX, leg: str = "trunk", *, end: str | None = "caller", **more: Any):
    """What a PBX says of a leg; by default the bridge is the caller."""
    more.setdefault("ids", {"call_id": f"{source}-{leg}", "linked_id": "one"})
    return Observation(source=source, leg=leg, bridge_end=end, **more)  # type: ignore[arg-type]


def refused(code: int, handed_on: int, **more: Any) -> list[Observation]:
    """A gateway that answered `code`, of which the caller got another one."""
    return [
        seen(facts={**DIRECTION, "sip.response.status_code": handed_on}, **more),
        seen(
            leg="pstn",
            facts={**DIRECTION, "sip.response.status_code": code, "sip.reason.q850": 34},
            **more,
        ),
    ]


# Facts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key,value",
    [("rtp.codec", "g722"), ("rtp.payload_type", 9), ("rtp.ptime_ms", 30), ("sip.transport", "tls"),
     ("rtp.clock_rate_hz", 16000), ("sip.media_encryption", "srtp"), ("sip.call_id", "x")],
)  # fmt: skip
def test_what_is_of_the_far_leg_is_no_fact_of_the_trunk(key, value):
    """Neither beside the trunk's own nor alone."""
    far = seen(leg="pstn", facts={key: value, "trunk.carrier": "acme"})
    facts = story_of([far]).facts
    assert key not in facts
    assert facts["trunk.carrier"] == "acme"
    near = seen(facts={key: "pcmu"})
    assert story_of([far, near]).facts[key] == "pcmu"


def test_the_answer_is_of_one_leg_with_its_reason_and_cause():
    """500 is what the caller got: the 503's cause does not stand beside it."""
    facts = story_of(refused(503, 500)).facts
    assert facts["sip.response.status_code"] == 500
    assert "sip.reason.q850" not in facts
    assert story_of(refused(486, 486)).facts["sip.reason.q850"] == 34


def test_a_far_answer_alone_is_the_calls():
    """A carrier's callback, and nobody else who says."""
    far = Observation(source="twilio-status", leg="pstn", facts={"sip.response.status_code": 486})
    assert story_of([far]).facts["sip.response.status_code"] == 486


@pytest.mark.parametrize("end,rule", [("caller", "carrier"), ("callee", None)])
def test_the_carriers_own_answer_decides(end, rule):
    """Outbound by the 503 of the gateway. Inbound, the far leg is the caller's: no carrier's."""
    told = refused(503, 500, end=end)
    if end == "callee":
        told = [seen(leg=one.leg, end=end, facts={**one.facts, "sip.call.direction": "inbound"})
                for one in told]  # fmt: skip
    diagnosis = diagnose(story_of(told))
    assert diagnosis.fault == rule
    assert diagnosis.outcome == ("congestion" if end == "caller" else "failed")


def test_a_far_487_is_our_own_cancel():
    """We stopped ringing: nobody answered, whatever the gateway confirmed the CANCEL with."""
    ours = Observation(
        source="livekit-sip",
        ids={"livekit_call_id": "SCL_1", "call_id": "abc"},
        facts=DIRECTION,
        attempts=(attempt("ST_a", failure="timeout", livekit_call_id="SCL_1", progress=True),),
    )
    far = seen(leg="pstn", facts={"sip.response.status_code": 487})
    assert diagnose(story_of([ours, far])).outcome == "no_answer"


@pytest.mark.parametrize("order", [1, -1])
def test_the_complete_record_stands_before_the_partial_one(order):
    """A summary that was asked for too early, and again."""
    early = seen(completeness="partial", facts={"sip.call.duration_ms": 1.0, "sip.pdd_ms": 2.0})
    late = seen(facts={"sip.call.duration_ms": 3.0})
    facts = story_of([early, late][::order]).facts
    assert (facts["sip.call.duration_ms"], facts["sip.pdd_ms"]) == (3.0, 2.0)


# Attempts ---------------------------------------------------------------------------------------


def test_gateways_that_a_proxy_tried_are_no_attempts_of_ours():
    """One INVITE of the bridge became two of the proxy: one attempt, no failover of ours."""
    ours = Observation(
        source="livekit-sip",
        ids={"livekit_call_id": "SCL_1"},
        facts=DIRECTION,
        attempts=(attempt("ST_a", 200, livekit_call_id="SCL_1"),),
    )
    proxy = seen(
        "kamailio-acc", "pstn", attempts=(attempt("gw-a", 503), attempt("gw-b", 200, at=1))
    )
    story = story_of([ours, proxy])
    assert [one.trunk_id for one in story.attempts] == ["ST_a"]
    assert story.facts["sip.attempt_count"] == 1


@pytest.mark.parametrize("order", [1, -1])
def test_two_systems_name_one_gateway_differently(order):
    """A proxy's `gw-a` is a tap's address: two attempts, told twice, are two."""
    proxy = seen(
        "kamailio-acc", "pstn", attempts=(attempt("gw-a", 503), attempt("gw-b", 503, at=1))
    )
    tap = seen("hep", "pstn", attempts=(attempt("192.0.2.1", 503), attempt("192.0.2.2", 503, at=1)))
    story = story_of([proxy, tap][::order])
    assert len(story.attempts) == 2
    assert "failover_loop" not in {one.mode for one in diagnose(story).findings}


def test_a_proxys_408_for_a_gateway_that_never_answered():
    """One says that it waited in vain, the other that nothing came: no answer of the gateway."""
    proxy = seen("kamailio-acc", "pstn", attempts=(attempt("gw-a", 408),))
    tap = seen("hep", "pstn", attempts=(attempt("192.0.2.1", failure="no_response"),))
    diagnosis = diagnose(story_of([proxy, tap, seen(facts=DIRECTION)]))
    assert (diagnosis.outcome, diagnosis.fault) == ("timeout", "network")


def test_what_a_pbx_says_of_a_failed_attempt_is_not_said_of_the_answered_one():
    """Two trunks of ours: the PBX's record goes with the INVITE whose Call-ID it has."""
    first, second = (
        Observation(
            source="livekit-sip",
            ids={"livekit_call_id": f"SCL_{at}", "call_id": f"call-{at}"},
            start=T0 + at,
            facts={**DIRECTION, "sip.response.status_code": code},
            attempts=(attempt(f"ST_{at}", code, at=5.0 * at, livekit_call_id=f"SCL_{at}"),),
        )
        for at, code in ((0, 503), (1, 200))
    )
    pbx = seen(ids={"call_id": "call-0", "linked_id": "x"}, facts={"trunk.region": "east"})
    far = seen(leg="pstn", ids={"linked_id": "x"}, facts={"trunk.route": "r"})
    facts = story_of([first, second, pbx, far]).facts
    assert not {"trunk.region", "trunk.route"} & set(facts)


# Times ------------------------------------------------------------------------------------------


def test_the_bridges_clock_stands_before_a_pbxs():
    """A PBX an hour off: answer and hang-up are the bridge's; what it held stays."""
    ours = Observation(source="livekit-sip", marks=(mark("answered", 0), mark("hangup", 60)))
    pbx = seen(
        marks=(mark("answered", -3600, source=PBX), mark("hangup", -3540, source=PBX),
               mark("hold", 20, 30, source=PBX))
    )  # fmt: skip
    assert [(one.kind, one.start - T0) for one in story_of([ours, pbx]).marks] == [
        ("answered", 0), ("hold", 20), ("hangup", 60),
    ]  # fmt: skip


def test_media_without_a_time_are_of_the_whole_talk():
    """From the answer to the hang-up; where nobody knows these, what is found has no time."""
    total = window("pstn", "in", -T0, -T0, packet_count=900, lost_count=100, source="telnyx")
    told = seen(leg="pstn", facts={"sip.response.status_code": 200}, untimed=(total,))
    bare = story_of([told])
    assert bare.is_untimed
    assert bare.facts["pstn.in.loss_ratio"] == 0.1
    (finding,) = diagnose(bare).findings
    assert (finding.mode, finding.leg, finding.direction) == ("media_degradation", "pstn", "in")
    assert (finding.start, finding.end) == (None, None)
    marks = seen(marks=(mark("answered", 0), mark("hangup", 60)))
    story = story_of([told, marks])
    assert not story.is_untimed
    assert [(w.start - T0, w.end - T0) for w in story.windows] == [(0, 60)]
    assert [one.mode for one in diagnose(story).findings] == ["media_degradation"]


# Loss on both legs ------------------------------------------------------------------------------


def far(
    percent: float, *, direction: str = "in", leg: str = "pstn", source: str = PBX, **more: Any
):
    return window(leg, direction, 0, 60, source=source, **{**loss(percent, 3000), **more})


@pytest.mark.parametrize("near", [4.0, 5.0, 5.4])
def test_loss_that_came_through_is_told_once(near):
    """Where it began, as long as the next leg adds nothing of its own."""
    story = answered(windows=(far(5), far(near, leg="trunk", source="livekit-sip")))
    assert found(story) == [("media_degradation", "pstn", "in", ("MED-2",))]
    assert diagnosed(story).fault == "carrier"


def test_loss_that_the_next_leg_adds_is_its_own():
    """5 % and 12 %: two findings."""
    story = answered(windows=(far(5), far(12, leg="trunk", source="livekit-sip")))
    assert {one[1] for one in found(story)} == {"pstn", "trunk"}


def test_towards_the_caller_the_bridges_side_is_first():
    """Lost on its way to the PBX, and missing beyond it: the trunk's."""
    story = answered(windows=(far(5, direction="out"), far(5, direction="out", leg="trunk")))
    assert found(story) == [("media_degradation", "trunk", "out", ("MED-2",))]
    assert diagnosed(story).fault == "network"


def test_loss_beyond_a_relay_alone_blames_nobody():
    """What the far end misses may have been missing before the PBX; unless that was watched."""
    beyond = far(5, direction="out")
    assert diagnosed(answered(windows=(beyond,))).fault is None
    clean = far(0, direction="out", leg="trunk")
    assert diagnosed(answered(windows=(beyond, clean))).fault == "carrier"
    carrier = far(5, direction="out", source="twilio-summary")
    assert diagnosed(answered(windows=(carrier,))).fault == "carrier"


def test_an_estimate_beside_a_count_beyond_is_the_same_loss():
    """The agent estimates 6 %, the PBX counted 5 % before it: one finding."""
    guess = windows(
        "trunk", "in", *[{"loss_ratio": 0.06}] * 12, source="agent", loss_method="estimated"
    )
    assert found(answered(windows=(far(5), *guess))) == [
        ("media_degradation", "pstn", "in", ("MED-2",))
    ]


@pytest.mark.parametrize("derived,expected", [(0.05, 1), (0.0, 0)])
def test_derived_loss_counts_where_nobody_counted(derived, expected):
    """And is no finding beside a count of the same time."""
    told = window("trunk", "in", 0, 60, loss_ratio=derived, loss_method="derived", source=PBX)
    assert len(found(answered(windows=(told,)))) == expected
    counted = far(0, leg="trunk", source="livekit-sip")
    assert found(answered(windows=(told, counted))) == []


# One way ----------------------------------------------------------------------------------------


def silent(leg: str, direction: str, source: str = PBX):
    return window(leg, direction, 0, 60, source=source, packet_count=0)


def flowing(leg: str, direction: str, source: str = PBX):
    return window(leg, direction, 0, 60, source=source, packet_count=3000)


def test_silence_that_began_beyond_is_told_there():
    """The PBX got nothing from the carrier, and so the bridge got nothing."""
    story = answered(
        windows=(
            silent("pstn", "in"), silent("trunk", "in"), flowing("trunk", "out"),
            silent("trunk", "in", "livekit-sip"),
        )
    )  # fmt: skip
    assert found(story) == [("one_way_audio", "pstn", "in", ("OWA-1",))]
    assert diagnosed(story).fault == "carrier"


def test_what_a_pbx_sent_is_no_proof_that_it_came():
    """The PBX sent it, the bridge got none of it: between them."""
    story = answered(
        windows=(
            flowing("pstn", "in"), flowing("trunk", "in"), flowing("trunk", "out"),
            silent("trunk", "in", "livekit-sip"),
        )
    )  # fmt: skip
    assert found(story) == [("one_way_audio", "trunk", "in", ("OWA-1",))]
    assert diagnosed(story).fault == "network"


def test_media_that_go_past_the_pbx_are_no_silence():
    """Direct media: the PBX sees none on either side, the bridge has all."""
    story = answered(
        windows=(
            silent("pstn", "in"), silent("trunk", "in"), silent("trunk", "out"),
            flowing("trunk", "in", "livekit-sip"), flowing("trunk", "out", "livekit-sip"),
        )
    )  # fmt: skip
    assert found(story) == []


def test_a_pbx_alone_that_gets_nothing_from_the_bridges_side():
    """And sends it the caller's audio all the time."""
    story = answered(
        windows=(flowing("pstn", "in"), flowing("trunk", "in"), silent("trunk", "out"))
    )
    assert found(story) == [("one_way_audio", "trunk", "out", ("OWA-8",))]
    assert diagnosed(story).fault is None


def test_an_agent_that_said_nothing_is_not_one_way():
    """The bridge says that it sent nothing, and nobody spoke: there was nothing to send."""
    story = answered(
        windows=(
            flowing("trunk", "in", "livekit-sip"), silent("trunk", "out", "livekit-sip"),
            silent("trunk", "out"),
        )
    )  # fmt: skip
    assert found(story) == []


def test_what_a_sender_reports_is_no_count_of_what_came():
    """RTCP of the callee says 1000 sent; the media proxy got none: lost on the way."""
    told = window("trunk", "out", 0, 60, source="hep", packet_count=3000)
    story = answered(windows=(told, silent("trunk", "out", "rtpengine"), flowing("trunk", "in")))
    assert found(story) == [("one_way_audio", "trunk", "out", ("OWA-4",))]
