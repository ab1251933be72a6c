"""OpenSIPS's accounting, made from its documented fields: no real record was seen."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.proxies import legs, parse

NAME = "opensips-acc"
HEAD = "Nov 23 01:00:00 edge1 /usr/sbin/opensips[812]: "
T = 1795396000
ENDED = (
    f"{HEAD}ACC: call ended: created={T};call_start_time={T + 16};duration=5;ms_duration=4250;"
    "setuptime=16;method=INVITE;from_tag=ft;to_tag=tt;call_id=c1;code=200;reason=OK"
)
MISSED = (
    f"{HEAD}ACC: call missed: timestamp={T + 4};created={T};setuptime=4;method=INVITE;"
    "from_tag=ft;to_tag=;call_id=c1;code=408;reason=Request Timeout"
)
CORE: dict[str, Any] = {
    "method": "INVITE", "from_tag": "ft", "to_tag": "tt", "callid": "c1", "sip_code": "200",
    "sip_reason": "OK", "time": T + 16,
}  # fmt: skip
CDR = {**CORE, "created": T, "duration": 5, "ms_duration": 4250, "setuptime": 16}


def _log(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def _event(name: str, params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": name, "params": params})


@pytest.mark.parametrize("data", [ENDED, _event("E_ACC_CDR", CDR),
                         json.dumps({"event": "E_ACC_CDR", **CDR}), json.dumps(CDR)])  # fmt: skip
def test_a_cdr(data: str) -> None:
    """Code, set-up time, duration in milliseconds and the times, from the log or from the event."""
    told = legs(parse(NAME, _log(data)))
    assert set(told) == {"caller", "callee"}
    for one in told.values():
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.setup_ms"] == 16_000
        assert one.facts["sip.call.duration_ms"] == 4250
        assert [(mark.kind, mark.start) for mark in one.marks] == [
            ("invite", T), ("answered", T + 16), ("hangup", T + 20.25)]  # fmt: skip
        assert one.completeness == "complete"


def test_seconds_where_there_are_no_milliseconds() -> None:
    """Old versions have `duration` alone."""
    line = ENDED.replace("ms_duration=4250;", "")
    assert legs(parse(NAME, _log(line)))["caller"].facts["sip.call.duration_ms"] == 5000


def test_a_setup_time_in_milliseconds() -> None:
    """OpenSIPS 2.2 wrote it so: the times beside it tell."""
    line = ENDED.replace("setuptime=16", "setuptime=15730")
    assert legs(parse(NAME, _log(line)))["caller"].facts["sip.setup_ms"] == 15_730


@pytest.mark.parametrize("missed", [MISSED, _event("E_ACC_MISSED_EVENT", {**CORE, "time": T + 4,
                         "created": T, "setuptime": 4, "sip_code": "408"})])  # fmt: skip
def test_a_missed_call(missed: str) -> None:
    """It is an attempt of the callee's leg, and does not say what the caller got."""
    told = legs(parse(NAME, _log(missed)))
    (attempt,) = told["callee"].attempts
    assert (attempt.start, attempt.end, attempt.status_code) == (T, T + 4, 408)
    assert "sip.setup_ms" not in told["callee"].facts
    assert "sip.response.status_code" not in told["caller"].facts


def test_failover() -> None:
    """Attempts that failed and the CDR of the one that did not are one call."""
    parsed = parse(NAME, _log(MISSED, ENDED))
    assert [a.status_code for a in legs(parsed)["callee"].attempts] == [408, 200]
    assert not parsed.broken


@pytest.mark.parametrize("sender", [("ft", "tt", "caller"), ("tt", "ft", "callee")])
def test_transactions(sender: tuple[str, str, str]) -> None:
    """Without the dialog module a call is its INVITE and its BYE, whose tags say who sent it."""
    times = "timestamp=%d;method=%s;from_tag=%s;to_tag=%s;call_id=c1;code=200;reason=OK"
    base = f"{HEAD}ACC: transaction answered: {times}"
    log = _log(base % (T, "INVITE", "ft", "tt"), base % (T + 30, "BYE", *sender[:2]))
    for one in legs(parse(NAME, log)).values():
        assert one.facts["sip.call.duration_ms"] == 30_000
        assert one.facts["sip.hangup.source"] == sender[2]


def test_extra_fields_name_the_trunk() -> None:
    """`extra_fields` of the how-to: hosts, gateway, carrier and users."""
    extra = ";src_ip=192.0.2.1;gw=203.0.113.9;carrier=Acme;trunk=gw-east;src_user=+15555550199"
    told = legs(parse(NAME, _log(ENDED + extra)))
    assert told["caller"].leg == "trunk"
    assert told["callee"].facts["trunk.carrier"] == "acme"
    assert told["callee"].facts["trunk.route"] == "gw-east"
    assert told["callee"].ids["host"] == "203.0.113.9"
    assert told["caller"].facts["sip.caller.number"] == "+1*******99"


def test_legs_of_a_multi_leg_record() -> None:
    """Of fields that stand once for each leg the first counts; none of them ends the record."""
    told = legs(parse(NAME, _log(f"{ENDED};caller=Alice;callee=Bob;caller=Bob;callee=Charlie")))
    assert told["caller"].facts["sip.call.duration_ms"] == 4250


def test_other_events_are_ignored() -> None:
    """Events of other modules say nothing here."""
    data = _log(_event("E_DLG_STATE_CHANGED", {"callid": "c1"}), _event("E_CORE_LOG", {}), "{}")
    parsed = parse(NAME, data)
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 3)


@pytest.mark.parametrize(
    "bad",
    [
        _event("E_ACC_CDR", None),
        _event("E_ACC_CDR", [1]),
        _event("E_ACC_CDR", {**CDR, "duration": "x", "ms_duration": None}),
        _event("E_ACC_EVENT", {**CORE, "sip_code": "OK"}),
        _event("E_ACC_EVENT", {**CORE, "callid": None}),
        _event("E_ACC_EVENT", {**CORE, "time": ""}),
        '{"jsonrpc": "2.0", "method": "E_ACC',
    ],
)
def test_broken_events(bad: str) -> None:
    """An event that lacks what it needs is broken, and the next one is read."""
    parsed = parse(NAME, _log(_event("E_ACC_CDR", {**CDR, "callid": "c0"}), bad))
    assert [one.line for one in parsed.broken] == [2]
    assert len(parsed.observations) == 2


@pytest.mark.parametrize("old, new", [("code=200", "code=2"), ("method=INVITE", "method="),
                         ("call_id=c1", "call_id="), ("duration=5;ms_duration=4250",
                         "duration=;ms_duration=")])  # fmt: skip
def test_broken_lines(old: str, new: str) -> None:
    """A line that lacks what it needs is broken, or says less; the others are read."""
    parsed = parse(NAME, _log(MISSED, ENDED.replace(old, new)))
    if "duration" in old:
        assert "sip.call.duration_ms" not in parsed.observations[0].facts
    else:
        assert [one.line for one in parsed.broken] == [2]


@settings(max_examples=100, deadline=None)
@given(draw=st.data())
def test_whatever_bytes(draw: st.DataObject) -> None:
    """Changed bytes give a `Parsed`."""
    content = draw.draw(st.sampled_from([_log(MISSED, ENDED), _log(_event("E_ACC_CDR", CDR))]))
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(st.integers(0, len(content)))
        cut = draw.draw(st.integers(0, 20))
        content = content[:at] + draw.draw(st.binary(max_size=6)) + content[at + cut :]
    parsed = parse(NAME, content)
    assert all(1 <= one.line <= content.count(b"\n") + 1 for one in parsed.broken)


@given(seed=st.integers(0, 1000))
def test_order_does_not_matter(seed: int) -> None:
    """Lines in any order say the same."""
    lines = [MISSED, MISSED.replace("408", "503").replace(f"={T + 4}", f"={T + 8}"), ENDED]
    expected = parse(NAME, _log(*lines)).observations
    random.Random(seed).shuffle(lines)
    assert parse(NAME, _log(*lines)).observations == expected
