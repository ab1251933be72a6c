"""Records of Kamailio and rtpengine that were run on loopback, against what their ends saw."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.sources.proxies import legs, parse

from trunktrace.facts import End, Observation
from trunktrace.sources.kinds import kind_of
from trunktrace.windows import MediaWindow

HERE = Path(__file__).parent / "captures"
SOURCE = {
    "default.log": "kamailio-acc", "uris.log": "kamailio-acc", "json-engine.log": "kamailio-acc",
    "reason-header.log": "kamailio-acc", "mqueue.jsonl": "kamailio-acc-json", "hep.hex": "hep",
}  # fmt: skip


@cache
def _truth(folder: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((HERE / folder / "truth.json").read_text())
    return told


CALLS = [(name, call["to"][-2:]) for name, told in _truth("kamailio-loopback").items()
         for call in told]  # fmt: skip


def _call(name: str, number: str) -> tuple[dict[str, Any], dict[End, Observation]]:
    told = next(c for c in _truth("kamailio-loopback")[name] if c["to"].endswith(number))
    parsed = parse(SOURCE[name], (HERE / "kamailio-loopback" / name).read_bytes())
    assert not parsed.broken
    mine = [one for one in parsed.observations if one.facts["sip.call_id"] == told["call_id"]]
    return told, legs(type(parsed)(tuple(mine), (), 0))


@pytest.mark.parametrize("name, number", CALLS)
def test_what_the_caller_got(name: str, number: str) -> None:
    """The code, how long it lasted and who ended it are those that the caller's end saw."""
    told, found = _call(name, number)
    facts = found["caller"].facts
    if name == "default.log" and told["code"] >= 300:
        assert "sip.response.status_code" not in facts  # without failed_transaction_flag
    else:
        assert facts["sip.response.status_code"] == told["code"]
    if "hangup" not in told:
        assert "sip.call.duration_ms" not in facts
        return
    assert facts["sip.hangup.source"] == told["hangup"]
    whole_seconds = name in ("default.log", "mqueue.jsonl")
    slack = 1000 if whole_seconds else 60
    assert facts["sip.call.duration_ms"] == pytest.approx(told["duration_ms"], abs=slack)
    if name == "hep.hex":
        assert facts["sip.setup_ms"] == pytest.approx(told["setup_ms"], abs=30)
        assert facts["sip.pdd_ms"] == pytest.approx(told["pdd_ms"], abs=30)


@pytest.mark.parametrize("name, number", CALLS)
def test_what_the_gateways_answered(name: str, number: str) -> None:
    """An attempt for each INVITE that reached a gateway; a challenge, or the proxy, is none."""
    told, found = _call(name, number)
    if not told["gateways"]:
        assert set(found) == {"caller"}
        return
    assert [one.status_code for one in found["callee"].attempts] == told["gateways"]
    assert found["callee"].facts["sip.response.status_code"] == told["gateways"][-1]
    counted = found["callee"].facts.get("sip.attempt_count", 1)
    assert counted == len(told["gateways"])


def test_two_values_of_a_reason_header() -> None:
    """`SIP;cause=603;text="Network Blocked", Q.850;cause=21`: the cause is Q.850's."""
    for name in ("reason-header.log", "mqueue.jsonl"):
        _, found = _call(name, "11")
        for one in found.values():
            assert one.facts["sip.reason.q850"] == 21
            assert one.facts["sip.call.outcome"] == "blocked"


def test_each_is_told_to_be_of_its_source() -> None:
    """By its content alone."""
    for name, source in SOURCE.items():
        assert kind_of((HERE / "kamailio-loopback" / name).read_bytes()) == source
    for path in (HERE / "rtpengine-loopback").glob("*[eg].*[ng]"):
        if path.name != "truth.json":
            assert kind_of(path.read_bytes()) == "rtpengine"


def _whole(one: Observation, way: str) -> MediaWindow:
    """The longest window of what comes from an end (`by`) or goes to it (`to`)."""
    direction = "in" if (one.leg == "trunk") == (way == "to") else "out"
    told = [window for window in one.windows if window.direction == direction]
    return max(told, key=lambda window: window.duration_s)


def _media(call: str) -> dict[End, Observation]:
    data = (HERE / "rtpengine-loopback" / f"{call}-delete.json").read_bytes()
    parsed = parse("rtpengine", data)
    assert not parsed.broken
    return legs(parsed)


@pytest.mark.parametrize("call", ["b", "c", "d"])
def test_whose_tag_is_whose_without_labels(call: str) -> None:
    """Who hung up changes the order of the tags, not who called."""
    told, found = _truth("rtpengine-loopback")[call], _media(call)
    for end, one in found.items():
        assert (one.ids["from_tag"], one.ids["to_tag"]) == ("ftA", "ttB")
        arrived = told[end]["sent"] - told[end]["lost_out"]
        assert _whole(one, "by").packet_count == arrived


def test_a_loss_behind_rtpengine_without_labels() -> None:
    """It stands on the caller's leg: 43 of the 48 until the last report."""
    window = _whole(_media("d")["caller"], "to")
    assert (window.lost_count, window.loss_method) == (43, "counted")
    assert window.loss_ratio == pytest.approx(48 / 701, abs=0.01)


def test_the_log_on_stderr() -> None:
    """It says of all calls what the answers say, with times."""
    parsed = parse("rtpengine", (HERE / "rtpengine-loopback" / "stderr.log").read_bytes())
    assert not parsed.broken
    for call, told in _truth("rtpengine-loopback").items():
        mine = [o for o in parsed.observations if o.facts["sip.call_id"].startswith(f"{call}@")]  # type: ignore[union-attr]
        found = legs(type(parsed)(tuple(mine), (), 0))
        for end, one in found.items():
            assert _whole(one, "by").packet_count == told[end]["sent"] - told[end]["lost_out"]
            assert one.start is not None
            assert one.end is not None
            assert one.end - one.start == pytest.approx(14, abs=1)
