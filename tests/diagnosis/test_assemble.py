"""The story out of what sources say: who is believed, which leg is the call, what one attempt."""

from __future__ import annotations

import pytest

from trunktrace.diagnosis.assemble import story_of
from trunktrace.diagnosis.engine import diagnose
from trunktrace.diagnosis.report import root_facts, verdict_facts
from trunktrace.diagnosis.scores import with_scores
from trunktrace.facts import Observation

from .stories import T0, attempt, clean_media, mark, path, window

BRIDGE = "livekit-sip"
ROOM = "livekit-participant"


def told(source, *, leg_id="SCL_1", start=0.0, **more):
    ids = {"livekit_call_id": leg_id} if leg_id else {}
    return Observation(source=source, ids=ids, start=T0 + start, **more)


def test_nothing_said_is_an_empty_story():
    """No observation: nothing known, and it is over."""
    story = story_of([])
    assert (dict(story.facts), story.windows, story.attempts, story.now) == ({}, (), (), None)


@pytest.mark.parametrize("order", [1, -1])
def test_who_saw_it_is_believed_before_who_was_told(order):
    """The bridge before a carrier's record, that before LiveKit's events, these before spans."""
    said = [
        told(source, facts={"sip.setup_ms": float(at), key: key})
        for at, (source, key) in enumerate(
            [(BRIDGE, "trunk.id"), ("carrier", "sip.call_id"), (ROOM, "trunk.route"),
             ("livekit-spans", "trunk.region")]
        )
    ]  # fmt: skip
    facts = story_of(said[::order]).facts
    assert facts["sip.setup_ms"] == 0.0
    assert {"trunk.id", "sip.call_id", "trunk.route", "trunk.region"} <= set(facts)


def test_what_a_diagnosis_wrote_is_no_evidence_for_the_next():
    """Our own verdict on a root span is not read back."""
    said = told("livekit-spans", facts={"trunk.fault": "carrier", "rtp.loss_ratio": 0.5})
    assert dict(story_of([said]).facts) == {}


def test_one_attempt_told_by_two_sources_is_one():
    """By its id, or by trunk and time; a code stands before any other end."""
    by_id = story_of(
        [
            told(BRIDGE, attempts=(attempt("ST_a", 503, livekit_call_id="SCL_1"),)),
            told(ROOM, attempts=(attempt("ST_a", failure="x", at=1, livekit_call_id="SCL_1"),)),
        ]
    )
    assert [(a.status_code, a.failure) for a in by_id.attempts] == [(503, None)]
    near = [told(BRIDGE, attempts=(attempt("ST_a", 503),)), told(ROOM, attempts=(attempt("ST_a"),))]
    assert len(story_of(near).attempts) == 1
    far = [
        told(BRIDGE, attempts=(attempt("ST_a", 503),)),
        told(ROOM, attempts=(attempt("ST_a", 486, at=30),)),
    ]
    assert [a.status_code for a in story_of(far).attempts] == [503, 486]


def failover():
    """A 503 over one trunk, then an answer over another."""
    first = told(
        BRIDGE,
        leg_id="SCL_1",
        facts={"sip.call.direction": "outbound", "sip.response.status_code": 503, "trunk.id": "A"},
        attempts=(attempt("A", 503, at=-5, livekit_call_id="SCL_1"),),
        marks=(mark("invite", -5), mark("hangup", -4)),
        start=-5,
    )
    second = told(
        BRIDGE,
        leg_id="SCL_2",
        facts={"sip.call.direction": "outbound", "sip.response.status_code": 200, "trunk.id": "B"},
        attempts=(attempt("B", 200, at=-2, livekit_call_id="SCL_2"),),
        marks=(mark("invite", -2), mark("answered", 0), mark("hangup", 60)),
        windows=tuple(clean_media()),
        start=-2,
    )
    return [first, second]


def test_the_answered_attempt_is_the_call():
    """Its facts and marks; of the failed one only the attempt."""
    story = story_of(failover())
    assert story.facts["trunk.id"] == "B"
    assert story.facts["sip.response.status_code"] == 200
    assert story.facts["sip.attempt_count"] == 2
    assert story.facts["trunk.failover.path"] == "A:503>B:200"
    assert [m.start for m in story.marks if m.kind == "invite"] == [T0 - 2]
    assert diagnose(story).findings == ()


def test_of_attempts_that_all_failed_the_last_is_the_call():
    """Its code is the call's."""
    first, _ = failover()
    last = told(
        BRIDGE,
        leg_id="SCL_2",
        facts={"sip.call.direction": "outbound", "sip.response.status_code": 486},
        attempts=(attempt("B", 486, at=-2, livekit_call_id="SCL_2"),),
    )
    assert story_of([last, first]).facts["sip.response.status_code"] == 486


def test_an_inbound_call_stays_the_call_when_somebody_is_dialled_from_it():
    """A transfer that is refused is not the caller's failure, nor are its media the call's."""
    caller = told(
        BRIDGE,
        leg_id="SCL_1",
        facts={"sip.call.direction": "inbound", "sip.response.status_code": 200},
        marks=(mark("answered", 0), mark("hangup", 60)),
        windows=tuple(clean_media()),
    )
    supervisor = told(
        BRIDGE,
        leg_id="SCL_2",
        start=30,
        facts={"sip.call.direction": "outbound", "sip.response.status_code": 486},
        attempts=(attempt("B", 486, at=30, livekit_call_id="SCL_2"),),
        marks=(mark("hangup", 32),),
        windows=(window("trunk", "in", 31, 60, packet_count=0),),
    )
    found = diagnose(story_of([supervisor, caller]))
    assert (found.findings, found.outcome, found.fault) == ((), "answered", "none")


def test_who_spoke_when_is_of_the_call_whoever_tells_it():
    """Spans of the room name no leg."""
    said = [
        told(BRIDGE, marks=(mark("answered", 0),)),
        told("livekit-spans", leg_id=None, marks=(mark("agent_speaking", 1, 4),)),
        told("livekit-spans", leg_id="SCL_9", marks=(mark("agent_speaking", 5, 6),)),
    ]
    assert [m.kind for m in story_of(said).marks] == [
        "answered",
        "agent_speaking",
        "agent_speaking",
    ]


def test_totals_of_the_media_stand_beside_the_facts():
    """Counted before estimated, the worse direction on the root."""
    counted = window("trunk", "in", 0, 60, packet_count=2700, lost_count=300)
    guessed = window("trunk", "in", 0, 5, source="agent", loss_ratio=0.5, loss_method="estimated")
    facts = story_of([told(BRIDGE, windows=(counted, guessed))]).facts
    assert facts["rtp.in.loss_ratio"] == facts["rtp.loss_ratio"] == 0.1
    assert facts["rtp.loss_method"] == "counted"
    assert facts["rtp.in.lost_count"] == 300


@pytest.mark.parametrize(
    "said,expected", [((None, None), None), ((None, False), False), ((False, True), True)]
)
def test_two_identities_differ_if_one_source_saw_it(said, expected):
    """None where nobody compared."""
    stories = [told(ROOM, identity_differs=one) for one in said]
    assert story_of(stories).identity_differs is expected


def test_a_score_needs_codec_and_loss():
    """R and MOS by G.107; a score that a source states is not replaced."""
    facts = {"rtp.codec": "pcmu", "rtp.in.loss_ratio": 0.0}
    assert with_scores(facts)["rtp.in.r_factor"] == pytest.approx(93.206, abs=0.001)
    assert with_scores(facts)["rtp.in.mos_algorithm"] == "g107-2015"
    assert "rtp.in.mos" not in with_scores({"rtp.in.loss_ratio": 0.0})
    assert "rtp.in.mos" not in with_scores({"rtp.codec": "pcmu"})
    stated = {**facts, "rtp.in.mos": 3.0, "rtp.in.mos_algorithm": "vendor"}
    assert with_scores(stated)["rtp.in.mos_algorithm"] == "vendor"
    assert "rtp.in.r_factor" not in with_scores(stated)


def test_a_score_of_ours_is_made_anew():
    """A later look knows more; what is not known any more is not kept."""
    first = with_scores({"rtp.codec": "pcmu", "rtp.in.loss_ratio": 0.0})
    later = with_scores({**first, "rtp.in.loss_ratio": 0.1})
    assert later == with_scores({"rtp.codec": "pcmu", "rtp.in.loss_ratio": 0.1})
    assert later["rtp.in.mos"] < first["rtp.in.mos"]
    assert with_scores({**first, "rtp.codec": "x-unknown"}) == {
        "rtp.codec": "x-unknown",
        "rtp.in.loss_ratio": 0.0,
    }


def test_a_report_holds_verdict_and_sources():
    """Keyed as on the root; of two findings the worse one's evidence."""
    story = path(("A", 503), ("B", 503), ("A", 503))
    facts = root_facts(story, diagnose(story))
    assert facts["trunktrace.failure.mode"] == "call_setup_failure"
    assert facts["trunktrace.failure.evidence"] == ["CSF-1"]
    assert facts["trunk.fault"] == "carrier"
    assert list(facts) == sorted(facts)
    assert "trunktrace.sources" not in facts


def test_nothing_found_is_no_failure_key():
    """Absent, never empty."""
    assert verdict_facts(diagnose(story_of([]))) == {}


def test_the_delay_of_a_recording_is_reported():
    """From the answer; 0 where it ran before."""
    for began, expected in ((3.0, 3000.0), (-1.0, 0.0)):
        said = told("api", marks=(mark("answered", 0), mark("recording", began)))
        story = story_of([said])
        facts = root_facts(story, diagnose(story))
        assert facts["trunktrace.recording.start_delay_ms"] == expected
