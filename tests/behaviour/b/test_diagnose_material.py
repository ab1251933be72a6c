"""Material as other rigs write it: log levels, other lists, other tracks, other parties, noise."""

from __future__ import annotations

import copy
import random

import pytest

from . import captured
from .console import diagnose, modes
from .rig import BEGIN, Line, dump
from .rig_inbound import Inbound
from .rig_outbound import Outbound, Try
from .test_diagnose_captured import FAULT, expected
from .variants import LOSS

AGENT = ("participant", "rtc_stats")


@pytest.mark.parametrize("number", sorted(FAULT))
def test_a_bridge_that_logs_at_info_says_as_much(number, tmp_path):
    """Production logs have no debug lines: the same findings, fault, outcome and loss."""

    def info(records):
        return [r for r in records if r["level"] != "debug"]

    whole = diagnose(captured.material(number, tmp_path / "w"))
    answer = diagnose(captured.material(number, tmp_path / "i", livekit_sip=info))
    assert modes(answer) == expected(number)
    for part in ("fault", "outcome"):
        assert answer[part] == whole[part]
    for key in ("rtp.in.loss_ratio", "rtp.codec", "sip.response.status_code"):
        assert answer["facts"].get(key) == whole["facts"].get(key)


@pytest.mark.parametrize("number", ["01", "03", "04"])
def test_only_the_last_statistics_line_is_enough(number, tmp_path):
    """A rotated log: the call's last twenty lines; the count is still the whole call's."""

    def tail(records):
        return records[-20:]

    folder = captured.material(number, tmp_path / "call", ("livekit-sip",), livekit_sip=tail)
    answer = diagnose(folder)
    truth = captured.facts(number)["loss"]["carrier_to_bridge"]
    assert answer["facts"]["rtp.in.lost_count"] == truth["removed"]
    assert modes(answer) == expected(number)


def moved(records):
    """The agent's statistics as two peer connections tell them: what it receives is apart."""
    receiving = ("inbound_rtp", "remote_outbound_rtp")
    for record in records:
        record["subscriber"] = [s for s in record["publisher"] if s["kind"] in receiving]
        record["publisher"] = [s for s in record["publisher"] if s["kind"] not in receiving]
    return records


@pytest.mark.parametrize("number", ["01", "03", "04", "09"])
def test_statistics_of_two_peer_connections_say_the_same(number, tmp_path):
    """inbound_rtp in `subscriber`: the same estimate and findings."""
    before = diagnose(captured.material(number, tmp_path / "a", AGENT))
    after = diagnose(captured.material(number, tmp_path / "b", AGENT, rtc_stats=moved))
    assert modes(after) == modes(before)
    assert after["facts"].get("rtp.loss_ratio") == pytest.approx(
        before["facts"].get("rtp.loss_ratio")
    )


def test_redundant_packets_that_were_discarded_are_no_loss(tmp_path):
    """With RED `packets_discarded` counts duplicates: 766 of 766 on a clean call."""

    def red(records):
        for record in records:
            for stats in record["publisher"]:
                if stats["kind"] == "inbound_rtp":
                    stats["inbound"]["packets_discarded"] = stats["received"]["packets_received"]
        return records

    answer = diagnose(captured.material("01", tmp_path / "call", AGENT, rtc_stats=red))
    assert modes(answer) == []
    assert answer["facts"].get("rtp.loss_ratio", 0) <= 0.005


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_track_in_the_room_is_not_the_callers(share, first, tmp_path):
    """A supervisor's microphone that sends a share of the packets: no false loss, no finding."""
    line = Line(talk=60, every=1)
    call = Inbound(line, seed=12)
    folder = call.write(tmp_path / "call", *AGENT)
    samples = line.samples()
    for sample in samples:
        own = next((s for s in sample["publisher"] if s["kind"] == "inbound_rtp"), None)
        if own is None:
            continue
        other = copy.deepcopy(own)
        other["rtc"]["id"], other["stream"]["ssrc"] = "IT01A999", 999
        other["inbound"].update(mid="3", track_identifier="aaaaaaaa-0000")
        other["received"]["packets_received"] = round(own["received"]["packets_received"] * share)
        at = 0 if first else len(sample["publisher"])
        sample["publisher"].insert(at, other)
    dump(folder / "rtc_stats.jsonl", samples)
    answer = diagnose(folder)
    assert modes(answer) == [], answer
    assert answer["facts"].get("rtp.loss_ratio", 0) <= 0.005


def test_a_video_track_is_not_audio(tmp_path):
    """Video packets have another rate: no estimate from them."""
    line = Line(talk=60, every=1)
    folder = Inbound(line, seed=13).write(tmp_path / "call", *AGENT)
    samples = line.samples()
    for sample in samples:
        for stats in list(sample["publisher"]):
            if stats["kind"] == "inbound_rtp":
                other = copy.deepcopy(stats)
                other["stream"].update(kind="video", ssrc=5)
                other["rtc"]["id"] = "IT01V5"
                other["received"].update(packets_received=int(sample["t"] - BEGIN), packets_lost=9)
                sample["publisher"].insert(0, other)
    dump(folder / "rtc_stats.jsonl", samples)
    answer = diagnose(folder)
    assert modes(answer) == []
    assert answer["facts"].get("webrtc.in.loss_ratio", 0) == 0
    assert answer["facts"].get("rtp.loss_ratio", 0) <= 0.005


def test_looks_that_came_late_or_not_at_all_are_no_loss(tmp_path):
    """A worker that was blocked for 3 to 9 s looks late: the rate is still the line's."""
    chance = random.Random(3)
    line = Line(talk=90, every=1)
    folder = Inbound(line, seed=14).write(tmp_path / "call", *AGENT)
    kept = [s for s in line.samples() if chance.random() > 0.5]
    dump(folder / "rtc_stats.jsonl", kept)
    answer = diagnose(folder)
    assert modes(answer) == []
    assert answer["facts"].get("rtp.loss_ratio", 0) <= 0.005


def test_statistics_that_stand_still_are_no_loss(tmp_path):
    """A worker whose statistics are cached: two looks with one and the same time stamp."""
    line = Line(talk=60, every=1)
    folder = Inbound(line, seed=15).write(tmp_path / "call", *AGENT)
    samples = line.samples()
    doubled = [each for sample in samples for each in (sample, {**sample, "t": sample["t"] + 0.4})]
    dump(folder / "rtc_stats.jsonl", doubled)
    answer = diagnose(folder)
    assert modes(answer) == []
    assert answer["facts"].get("rtp.loss_ratio", 0) <= 0.005


@pytest.mark.parametrize("code", [200, 486, None])
def test_a_consultation_of_a_human_is_no_failover(code, tmp_path):
    """An answered inbound call whose agent dials a human: the call is inbound."""
    inbound = Inbound(Line(talk=60), seed=16)
    side = Outbound([Try("desk", code)], Line(talk=20), seed=17)
    side.room, side.room_id = inbound.room, inbound.room_id
    later = 30.0
    for row in (rows := side.log()):
        row["ts"] += later
    for event in (events := side.events()):
        event["t"] += later
    ends = ("room_disconnected", "shutdown_callback")
    events = [e for e in events if e["event"] not in ends and "lk.agent" not in str(e)]
    folder = inbound.write(tmp_path / "call")
    dump(folder / "livekit-sip.jsonl", sorted(inbound.log() + rows, key=lambda r: r["ts"]))
    dump(folder / "participant.jsonl", sorted(inbound.events() + events, key=lambda r: r["t"]))
    answer = diagnose(folder)
    assert "failover_loop" not in {mode for mode, _ in modes(answer)}
    assert "call_setup_failure" not in {mode for mode, _ in modes(answer)}
    assert answer["outcome"] == "answered"
    assert answer["facts"]["sip.call.direction"] == "inbound"


def test_a_caller_that_gave_up_before_the_answer_has_no_media_to_judge(tmp_path):
    """An inbound call that was never accepted: not answered, no one-way audio, no loss."""
    call = Inbound(Line(talk=5, silent=((0.0, 5.0),)), seed=18)
    answered = (
        "Accepting the call", "ACK from remote", "media timeout enabled", "BYE from remote",
    )  # fmt: skip
    rows = [
        r for r in call.log()
        if r["msg"] not in answered
    ]  # fmt: skip
    for row in rows:
        row.pop("inviteToAcceptMs", None)
        if row.get("reason") == "hangup":
            row["reason"] = "cancelled"
            row["result"] = "client_error"
    folder = tmp_path / "call"
    folder.mkdir()
    dump(folder / "livekit-sip.jsonl", rows)
    answer = diagnose(folder)
    assert answer["outcome"] != "answered"
    assert answer["facts"].get("sip.response.status_code") not in (200, 486)
    assert not {"one_way_audio", "media_degradation"} & {mode for mode, _ in modes(answer)}


@pytest.mark.parametrize("cause", [16, 38, 41, 127])
def test_a_call_that_a_network_ended_keeps_its_cause(cause, tmp_path):
    """BYE with another Q.850 cause: the cause is a fact, the code stays 200."""
    call = Inbound(Line(talk=30), seed=19 + cause)
    rows = call.log()
    for row in rows:
        if row["msg"] == "BYE from remote":
            row["reason-cause"], row["reason-raw"] = cause, f"Q.850;cause={cause}"
        elif row.get("reason") == "hangup" and cause != 16:
            row["reason"] = f"bye-q.850-{cause}"
    folder = call.write(tmp_path / "call")
    dump(folder / "livekit-sip.jsonl", rows)
    answer = diagnose(folder)
    assert answer["facts"]["sip.reason.q850"] == cause
    assert answer["facts"]["sip.response.status_code"] == 200
    assert answer["outcome"] == "answered"
    assert "media_degradation" not in {mode for mode, _ in modes(answer)}


def noisy(line: Line, seed: int) -> list[dict]:
    """The looks of this line, each a little late, with ragged counters as of a busy worker."""
    chance = random.Random(seed)
    found = []
    for sample in line.samples():
        for stats in sample["publisher"]:
            if stats["kind"] == "inbound_rtp":
                received = stats["received"]
                received["packets_received"] = max(
                    0, received["packets_received"] - chance.choice((0, 0, 0, 1, 2))
                )
                received["jitter"] = round(chance.random() * 0.006, 3)
        sample["t"] += chance.random() * 0.02
        found.append(sample)
    return found


def test_many_clean_calls_are_clean_from_the_agent_alone(tmp_path):
    """15 to 90 s, looked at each 1, 2 or 4 s, noisy: no finding, no estimate above 0.5 %."""
    wrong = []
    for seed in range(24):
        chance = random.Random(seed)
        line = Line(talk=chance.uniform(15, 90), every=chance.choice((1, 2, 4)), seed=seed)
        folder = Inbound(line, seed=500 + seed).write(tmp_path / str(seed), "participant")
        dump(folder / "rtc_stats.jsonl", noisy(line, seed))
        answer = diagnose(folder)
        ratio = answer["facts"].get("rtp.loss_ratio", 0.0)
        if modes(answer) or ratio > 0.005 or answer["fault"] in ("network", "carrier"):
            wrong.append((seed, line.talk, line.every, modes(answer), ratio))
    assert not wrong


def test_many_lossy_calls_are_told_within_a_point(tmp_path):
    """20 to 90 s with 3 to 20 % lost: estimated within a point; five of six are a finding."""
    wrong, found = [], 0
    for seed in range(24):
        chance = random.Random(1000 + seed)
        share = chance.uniform(0.03, 0.2)
        line = Line(
            talk=chance.uniform(20, 90),
            every=chance.choice((1, 2, 4)),
            seed=seed,
            lost=lambda _, p=share: p,
        )
        folder = Inbound(line, seed=600 + seed).write(tmp_path / str(seed), "participant")
        dump(folder / "rtc_stats.jsonl", noisy(line, seed))
        answer = diagnose(folder)
        ratio = answer["facts"].get("rtp.loss_ratio")
        # In a short call that is looked at rarely a third of it lies outside of the looks.
        within = 0.015 if line.talk < 45 and line.every == 4 else 0.01
        if ratio is None or abs(ratio - line.truth) > within:
            wrong.append((seed, round(line.talk), line.every, line.truth, ratio))
        found += modes(answer) == [LOSS]
    assert not wrong
    assert found >= 20, found
