"""Captured calls with other counters, codes and endings: the rest is as a real stack wrote it."""

from __future__ import annotations

import json

import pytest

from . import captured
from .console import diagnose, modes
from .rig_outbound import PHRASES
from .variants import DEAF, LOSS, SETUP


def lose(share: float):
    """The bridge's counters as if this share of what the carrier sent had been lost."""

    def change(records):
        for record in records:
            if record.get("msg") != "call statistics":
                continue
            port = record["stats"]["port"]
            sent = port["audio_packets"] + port["jitter_buffer_packets_lost"]
            lost = round(sent * share)
            port["jitter_buffer_packets_lost"] = lost
            port["audio_packets"] = sent - lost
            for key in ("packets", "packets_input", "mux_packets"):
                port[key] = sent - lost + port["dtmf_packets"]
            port["mux_gaps"], port["mux_gaps_sum"] = lost, lost * 2
        return records

    return change


@pytest.mark.parametrize("percent", [0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("number", ["01", "02", "05", "07"])
@pytest.mark.parametrize("alone", [True, False], ids=["bridge", "folder"])
def test_the_counters_decide_whatever_the_packet_rate_says(number, percent, alone, tmp_path):
    """A count replaces the estimate: the ratio is the count's, 2 % and more is degradation."""
    kinds = ("livekit-sip",) if alone else captured.FILES
    folder = captured.material(number, tmp_path / "call", kinds, livekit_sip=lose(percent / 100))
    answer = diagnose(folder)
    told = answer["facts"]
    assert told["rtp.in.loss_ratio"] == pytest.approx(percent / 100, abs=8e-4)
    assert told["rtp.loss_method"] == "counted"
    if percent >= 2:
        assert modes(answer) == [LOSS]
        assert answer["fault"] == "network"
    elif percent <= 0.2:
        assert modes(answer) == []
        assert answer["fault"] == "none"
    else:
        assert set(modes(answer)) <= {LOSS}


@pytest.mark.parametrize("number", ["03", "04"])
def test_a_count_of_nothing_refutes_the_estimate(number, tmp_path):
    """The packet rate says 3 to 10 %, the bridge counted nothing lost: nothing is found."""
    folder = captured.material(number, tmp_path / "call", livekit_sip=lose(0.0))
    answer = diagnose(folder)
    assert answer["facts"]["rtp.in.loss_ratio"] == 0
    assert modes(answer) == []


def recoded(code: int):
    """486 Busy Here becomes another code, in every spelling that a file has."""

    def change(records):
        text = json.dumps(records)
        text = text.replace("sip status: 486: Busy Here", f"sip status: {code}: {PHRASES[code]}")
        text = text.replace("486 Busy Here", f"{code} {PHRASES[code]}")
        text = text.replace('"sip_status_code": 486', f'"sip_status_code": {code}')
        text = text.replace('"sip_status_code": "486"', f'"sip_status_code": "{code}"')
        text = text.replace("Busy Here", PHRASES[code])
        text = text.replace('"reason": "busy"', f'"reason": "client-error-{code}"')
        found = json.loads(text)
        for record in found:
            record.get("metadata", {}).pop("error_details", None)
        return found

    return change


OUTCOMES = {
    401: ("failed", {"operator"}), 403: ("rejected", {"operator", None}),
    404: ("invalid_number", {"callee", "caller", "operator", "carrier", None}),
    408: ("timeout", {"carrier", "network", "callee", None}), 480: ("no_answer", {"callee", None}),
    488: ("failed", {"operator", "carrier", "platform", None}), 500: ("failed", {"carrier", None}),
    503: ("congestion", {"carrier", None}), 603: ("rejected", {"callee", None}),
    604: ("invalid_number", {"callee", "caller", "operator", None}), 607: ("blocked", {"callee"}),
    608: ("blocked", {"intermediary"}), 600: ("busy", {"callee"}),
    504: ("timeout", {"carrier", None}),
}  # fmt: skip


@pytest.mark.parametrize(
    "kinds", [captured.FILES, ("livekit-sip",), ("participant",)], ids=["all", "log", "agent"]
)
@pytest.mark.parametrize("code", OUTCOMES)
def test_another_final_code_in_the_captured_refusal(code, kinds, tmp_path):
    """Code, outcome and fault of the code, from the log as from the exception."""
    folder = captured.material(
        "06", tmp_path / "call", kinds, livekit_sip=recoded(code), participant=recoded(code)
    )
    answer = diagnose(folder)
    outcome, faults = OUTCOMES[code]
    assert modes(answer) == [SETUP]
    assert answer["facts"]["sip.response.status_code"] == code
    assert answer["outcome"] == outcome
    assert answer["fault"] in faults


def test_packets_that_nobody_could_decode_are_one_way(tmp_path):
    """Offer PCMU, send PCMA: packets come, no audio does; the agent has no inbound_rtp."""

    def deaf(records):
        for record in records:
            for side in ("publisher", "subscriber"):
                record[side] = [
                    s
                    for s in record[side]
                    if s["kind"] not in ("inbound_rtp", "remote_outbound_rtp")
                ]
        return records

    silent = captured.port(
        audio_packets=0, audio_bytes=0, audio_in_frames=0, audio_in_samples=0, audio_rx=0.0
    )
    folder = captured.material("02", tmp_path / "call", livekit_sip=silent, rtc_stats=deaf)
    answer = diagnose(folder)
    assert modes(answer) == [DEAF]
    assert answer["fault"] != "none"
    assert not [k for k in answer["facts"] if k.startswith("rtp.in.loss")]


def test_a_media_timeout_is_one_way_audio_that_the_platform_ended(tmp_path):
    """The bridge cut the call because nothing came: the finding of 09, ended by the platform."""

    def cut(records):
        kept = [r for r in records if r["msg"] != "BYE from remote"]
        for record in kept:
            if record.get("reason") == "hangup":
                record["reason"] = "media-timeout"
                if "result" in record:
                    record["result"] = "indeterminate"
        return kept

    for kinds in (captured.FILES, ("livekit-sip",)):
        folder = captured.material("09", tmp_path / str(len(kinds)), kinds, livekit_sip=cut)
        answer = diagnose(folder)
        assert modes(answer) == [DEAF]
        assert answer["facts"]["sip.hangup.source"] == "platform"
        assert answer["fault"] in ("network", None)


def shorten(seconds: float):
    """All records later than `seconds` after the answer are gone: the log was cut there."""

    def change(records):
        begin = next(r["ts"] for r in records if r["msg"] == "Accepting the call")
        return [r for r in records if r["ts"] <= begin + seconds]

    return change


@pytest.mark.parametrize("number", ["01", "02", "09", "10"])
def test_a_log_that_ends_in_the_middle_of_a_call_tells_no_failure(number, tmp_path):
    """No statistics yet: nothing is known of the media, and nothing is claimed."""
    folder = captured.material(
        number, tmp_path / "call", ("livekit-sip",), livekit_sip=shorten(4.0)
    )
    answer = diagnose(folder)
    assert modes(answer) == []
    assert answer["fault"] in ("none", None)
    assert "rtp.loss_ratio" not in answer["facts"]
    assert answer["outcome"] == "answered"


def test_slow_models_on_a_captured_clean_call_blame_nobody(tmp_path):
    """All model spans stretched to ten seconds and failed: no finding, no fault of the trunk."""

    def slow(records):
        for record in records:
            span = record["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
            if span["name"].startswith(("llm_", "eou_", "tts_", "user_turn")):
                span["startTimeUnixNano"] = str(int(span["endTimeUnixNano"]) - 10**10)
                span["status"] = {"code": 2, "message": "recognition failed"}
        return records

    for number in ("01", "02", "05", "10"):
        answer = diagnose(captured.material(number, tmp_path / number, spans=slow))
        assert modes(answer) == [], number
        assert answer["fault"] in ("none", "agent"), number
