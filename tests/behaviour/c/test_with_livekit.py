"""LiveKit's records of a call beside those of a carrier or PBX: one call, two legs, kept apart."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime

import pytest

from behaviour.b import captured

from .shelf import raw
from .test_carriers import TRUNKING
from .test_joined import one

START = {"01": 1795396149.7, "03": 1795396481.5}


def livekit(number: str, into):
    """A copy of LiveKit's files of a captured call."""
    return captured.material(number, into)


def connected(number: str) -> tuple[str, float, float]:
    """Call-ID, start and end of the call, as the bridge's first and last window say."""
    from trunktrace.sources.table import SOURCES

    found = SOURCES["livekit-sip"].parse(captured.path(number, "livekit-sip").read_bytes())
    (only,) = found.observations
    edges = [each.start for each in only.windows], [each.end for each in only.windows]
    return str(only.facts["sip.call_id"]), min(edges[0]), max(edges[1])


def iso(seconds: float) -> str:
    """A time as Twilio writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(number: str, lost: int, call_id: str | None = None) -> str:
    """A Twilio summary of that call: inbound over a trunk; packets lost before Twilio's edge."""
    known, start, end = connected(number)
    found = copy.deepcopy(TRUNKING)
    found |= {
        "created_time": iso(start),
        "start_time": iso(start),
        "end_time": iso(end),
        "duration": int(end - start),
        "connect_duration": int(end - start),
        "tags": None,
    }
    caller = captured.facts(number)["from_header"]
    found["from"]["caller"] = re.search(r"\+\d+", caller)[0]
    found["to"]["callee"] = captured.facts(number)["to_number"]
    found["properties"] |= {"direction": "trunking_originating", "disconnected_by": "caller"}
    found["sip_edge"]["properties"] |= {"sip_call_id": call_id or known, "direction": "outbound"}
    expected = int((end - start) * 50)
    found["sip_edge"]["metrics"]["outbound"]["packets_sent"] = expected - lost
    found["carrier_edge"]["properties"]["direction"] = "inbound"
    found["carrier_edge"]["metrics"] = {
        "inbound": {
            "codec": 0,
            "codec_name": "pcmu",
            "packets_received": expected - lost,
            "packets_lost": lost,
            "packets_loss_percentage": 100 * lost / expected,
            "jitter": {"avg": 1.0, "max": 3.0},
        }
    }
    return json.dumps(found)


@pytest.mark.parametrize("lost", [0, 200])
def test_loss_before_the_carriers_edge_is_not_the_trunks(lost, tmp_path):
    """01: the trunk is clean; 200 packets lost in the telephone network are the carrier's."""
    folder = livekit("01", tmp_path / "call")
    (folder / "summary.json").write_text(summary("01", lost))
    answer = one(folder)
    told = answer["facts"]
    assert told["rtp.in.loss_ratio"] == 0
    assert told["rtp.loss_ratio"] == 0
    assert told["pstn.in.loss_ratio"] == pytest.approx(lost / 3400, abs=0.002)
    places = [(f["mode"], f["leg"], f["direction"]) for f in answer["findings"]]
    assert places == ([("media_degradation", "pstn", "in")] if lost else [])
    assert answer["fault"] == ("carrier" if lost else "none")
    assert told["trunk.carrier"]
    assert told["sip.call.direction"] == "inbound"


def test_loss_on_the_trunk_with_a_clean_carrier_is_the_trunks(tmp_path):
    """03: 9.56 % on the trunk; Twilio's edge got everything: not the carrier's network."""
    folder = livekit("03", tmp_path / "call")
    (folder / "summary.json").write_text(summary("03", 0))
    answer = one(folder)
    told = answer["facts"]
    assert told["rtp.in.loss_ratio"] == pytest.approx(0.0956, abs=0.0003)
    assert told["rtp.in.lost_count"] == 325
    assert told["rtp.loss_method"] == "counted"
    assert told["pstn.in.loss_ratio"] == 0
    places = [(f["mode"], f["leg"], f["direction"]) for f in answer["findings"]]
    assert places == [("media_degradation", "trunk", "in")]
    assert answer["fault"] in ("network", "carrier")


def test_a_record_of_another_call_id_of_the_same_time_and_numbers_is_joined(tmp_path):
    """Call-IDs change across a B2BUA: numbers and time are enough where there is one candidate."""
    folder = livekit("01", tmp_path / "call")
    (folder / "summary.json").write_text(summary("01", 200, "other@192.0.2.9"))
    told = one(folder)["facts"]
    assert told["pstn.in.loss_ratio"] > 0.05
    assert told["sip.call_id"].startswith("3b6e87185fc0"), "the bridge's own leg"


def shifted(text: str, by: float) -> str:
    """Unix times and syslog stamps of a Kamailio log moved; numbers of ten digits are times."""
    return re.sub(r"\b1795\d{6}\b", lambda m: str(int(m[0]) + int(by)), text)


def test_a_proxys_attempts_behind_one_invite_are_no_attempts_of_ours(tmp_path):
    """06: LiveKit dialled once and got 486; Kamailio in between says the same."""
    folder = captured.material("06", tmp_path / "call")
    from trunktrace.sources.table import SOURCES

    (only,) = SOURCES["livekit-sip"].parse((folder / "livekit-sip.jsonl").read_bytes()).observations
    assert only.start is not None
    text = raw("kamailio", "04-busy-486", "kamailio.log").decode()
    text = text.replace("d796f74a5a8e7db0", str(only.facts["sip.call_id"]))
    (folder / "kamailio.log").write_text(shifted(text, only.start - 1795396344))
    answer = one(folder)
    assert answer["outcome"] == "busy"
    assert answer["fault"] == "callee"
    assert [f["mode"] for f in answer["findings"]] == ["call_setup_failure"]
    told = answer["facts"]
    assert told["sip.response.status_code"] == 486
    assert told.get("sip.attempt_count", 1) == 1
    assert told["sip.call.direction"] == "outbound"
    assert told.get("trunk.failover.count", 0) == 0


def test_a_record_of_a_stranger_is_not_joined(tmp_path):
    """A busy call of other numbers an hour later is not this call's."""
    folder = livekit("01", tmp_path / "call")
    text = raw("kamailio", "04-busy-486", "kamailio.log").decode()
    (folder / "kamailio.log").write_text(shifted(text, 3600))
    from .test_joined import diagnose

    answer = diagnose(folder)
    mine = (
        answer
        if "calls" not in answer
        else next(c for c in answer["calls"] if c["facts"].get("livekit.sip.call_id"))
    )
    assert mine["findings"] == []
    assert mine["outcome"] == "answered"
